//! Where the tunnel and nginx may differ, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Generated, Shape, Trait};

/// Who has something that the other one has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
    /// Both have it, differently.
    Both,
}

/// Something that the two do differently.
#[derive(Debug)]
pub enum Difference<'a> {
    /// This side refuses with this status what the other side passes on.
    Refused(Side, u16, &'a Generated),
    /// Both refuse, with these statuses.
    Statuses((u16, u16), &'a Generated),
    /// The backend has answered both, the clients got these statuses.
    Answers((u16, u16), &'a Generated),
    /// A field of the request at the backend.
    RequestField(Side, &'a str, &'a Generated),
    /// A field of the answer at the client.
    AnswerField(Side, &'a str),
    /// The trailers of either, which nginx has not.
    Trailers(Side),
}

struct Rule {
    reason: &'static str,
    covers: fn(&Difference<'_>) -> bool,
}

/// What we answer a request of this shape with.
pub fn status(shape: Shape) -> u16 {
    match shape {
        Shape::Connect => 405,
        Shape::Expectation => 417,
        Shape::Version12 | Shape::Version20 => 505,
        _ => 400,
    }
}

/// Whether we refuse what nginx passes on, for one of these shapes.
fn stricter(difference: &Difference<'_>, shapes: &[Shape]) -> bool {
    matches!(difference, Difference::Refused(Side::Ours, _, request)
        if request.shape.is_some_and(|shape| shapes.contains(&shape)))
}

/// Whether nginx refuses with one of these statuses what we pass on, for one of these traits.
fn laxer(difference: &Difference<'_>, statuses: &[u16], traits: &[Trait]) -> bool {
    matches!(difference, Difference::Refused(Side::Theirs, status, request)
        if statuses.contains(status) && request.traits.iter().any(|it| traits.contains(it)))
}

/// Whether both refuse a request of one of these shapes, by these statuses.
fn both(difference: &Difference<'_>, statuses: (u16, u16), shapes: &[Shape]) -> bool {
    matches!(difference, Difference::Statuses(found, request)
        if *found == statuses && request.shape.is_some_and(|shape| shapes.contains(&shape)))
}

/// Whether it is about this field of a request.
fn of_request(difference: &Difference<'_>, side: Side, names: &[&str]) -> bool {
    matches!(difference, Difference::RequestField(found, name, _)
        if *found == side && names.iter().any(|other| other.eq_ignore_ascii_case(name)))
}

/// Whether it is about this field of an answer.
fn of_answer(difference: &Difference<'_>, side: Side, names: &[&str]) -> bool {
    matches!(difference, Difference::AnswerField(found, name)
        if *found == side && names.iter().any(|other| other.eq_ignore_ascii_case(name)))
}

const RULES: &[Rule] = &[
    // We are stricter.
    Rule {
        reason: "LF alone ends no line of ours: who takes it for one reads other fields (RFC 9112 §2.2)",
        covers: |it| stricter(it, &[Shape::BareLf, Shape::BareLfEnd, Shape::ChunkBareLf]),
    },
    Rule {
        reason: "a first line is three words with one blank between them (RFC 9112 §3)",
        covers: |it| {
            stricter(
                it,
                &[Shape::TwoBlanks, Shape::BlankInTarget, Shape::Version09],
            )
        },
    },
    Rule {
        reason: "a field has a name and a colon (RFC 9112 §5)",
        covers: |it| {
            stricter(
                it,
                &[
                    Shape::NoColon,
                    Shape::NoName,
                    Shape::BlankInName,
                    Shape::Trailer,
                ],
            )
        },
    },
    Rule {
        reason: "nobody has made an HTTP/1.2",
        covers: |it| stricter(it, &[Shape::Version12]),
    },
    Rule {
        reason: "an absolute target and Host that differ are two routes for one request (RFC 9112 §3.2.2)",
        covers: |it| stricter(it, &[Shape::HostOther]),
    },
    Rule {
        reason: "a host has no user and a port of digits (RFC 9110 §7.2)",
        covers: |it| stricter(it, &[Shape::HostWithUser, Shape::HostPort]),
    },
    Rule {
        reason: "behind a chunk's size is nothing but extensions (RFC 9112 §7.1)",
        covers: |it| stricter(it, &[Shape::ChunkSize]),
    },
    Rule {
        reason: "a target has neither a fragment nor bytes beyond ASCII (RFC 9112 §3.2)",
        covers: |it| stricter(it, &[Shape::Fragment, Shape::RawTarget]),
    },
    Rule {
        reason: "nobody here knows that expectation (RFC 9110 §10.1.1)",
        covers: |it| stricter(it, &[Shape::Expectation]),
    },
    Rule {
        reason: "our pages say what is not implemented as what is not understood",
        covers: |it| {
            both(
                it,
                (400, 501),
                &[
                    Shape::EncodingIdentity,
                    Shape::EncodingUnknown,
                    Shape::EncodingRepeated,
                    Shape::EncodingCompressed,
                    Shape::EncodingTab,
                ],
            )
        },
    },
    Rule {
        reason: "methods that we don't have are told so, whatever else nginx does not like",
        covers: |it| {
            matches!(it, Difference::Statuses((405, 400), request)
                if request.shape == Some(Shape::Connect)
                    || request.traits.contains(&Trait::Trace))
        },
    },
    Rule {
        reason: "nginx takes two lengths that are the same, and LF alone, from backends",
        covers: |it| {
            matches!(it, Difference::Answers((502, 200), request)
                if ["two-lengths", "bare-lf"].contains(&request.answer))
        },
    },
    // nginx is.
    Rule {
        reason: "nginx has no OPTIONS *; here it is the backend that decides",
        covers: |it| laxer(it, &[400], &[Trait::Star]),
    },
    Rule {
        reason: "nginx reads paths, which are the backend's business here",
        covers: |it| laxer(it, &[400], &[Trait::OddPath]),
    },
    Rule {
        reason: "nginx takes no tab around a value (RFC 9110 §5.6.3 does)",
        covers: |it| laxer(it, &[400, 501], &[Trait::Tab]),
    },
    Rule {
        reason: "nginx knows no host with an underscore in an absolute target",
        covers: |it| laxer(it, &[400], &[Trait::OddHost]),
    },
    Rule {
        reason: "nginx takes some fields only once that are none of ours",
        covers: |it| laxer(it, &[400], &[Trait::Repeated]),
    },
    // Fields of requests.
    Rule {
        reason: "nginx gives a body in chunks a length when all of it has come",
        covers: |it| {
            of_request(it, Side::Theirs, &["Content-Length"])
                || of_request(it, Side::Ours, &["Transfer-Encoding"])
        },
    },
    Rule {
        reason: "we pass Expect on, for the backend to decide; nginx answers it itself",
        covers: |it| of_request(it, Side::Ours, &["Expect"]),
    },
    Rule {
        reason: "nginx passes on what Connection names as this hop's (RFC 9110 §7.6.1 does not)",
        covers: |it| of_request(it, Side::Theirs, &["X-Named"]),
    },
    Rule {
        reason: "where a request of HTTP/1.0 names no host, we name the one of TLS",
        covers: |it| {
            matches!(it, Difference::RequestField(_, name, request)
                if request.traits.contains(&Trait::NoHost)
                    && ["Host", "X-Forwarded-Host", "Forwarded"].contains(name))
        },
    },
    Rule {
        reason: "nginx drops trailers",
        covers: |it| matches!(it, Difference::Trailers(Side::Ours)),
    },
    // Fields of answers.
    Rule {
        reason: "nginx names itself and the time",
        covers: |it| of_answer(it, Side::Theirs, &["Server", "Date"]),
    },
    Rule {
        reason: "nginx says keep-alive where HTTP/1.1 means it",
        covers: |it| of_answer(it, Side::Theirs, &["Connection"]),
    },
];

/// The table, and how often each rule was needed.
#[derive(Default)]
pub struct Rules {
    used: BTreeMap<usize, usize>,
    /// The shapes that we have refused.
    pub refused: BTreeSet<Shape>,
}

impl Rules {
    /// Panics where no rule covers a difference.
    pub fn allow(&mut self, difference: &Difference<'_>, what: &str) {
        let rule = RULES.iter().position(|rule| (rule.covers)(difference));
        match rule {
            Some(rule) => *self.used.entry(rule).or_default() += 1,
            None => panic!("no rule allows {difference:?}: {what}"),
        }
    }

    /// How often each was needed.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (rule, count) in &self.used {
            writeln!(text, "{count:5} {}", RULES[*rule].reason).expect("a String grows");
        }
        text
    }

    /// A rule that is never needed excuses what nobody has seen.
    pub fn all_were_used(&self) {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(
                self.used.contains_key(&index),
                "not needed: {}",
                rule.reason
            );
        }
    }
}

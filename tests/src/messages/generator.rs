//! Connections full of requests, ordinary ones and such that parsers have disagreed on, from a seed.

use super::recorder::{ANSWERS, WANTED};
use crate::simulation::random::Random;

mod odd;

pub use odd::Shape;

/// One connection: its requests one behind the other, the last of them an ordinary one that ends it.
pub struct Case {
    /// Its number, which is in every target: `/c12-0`.
    pub number: u64,
    /// The requests.
    pub requests: Vec<Generated>,
    /// After how many bytes of the whole a new piece is sent.
    pub cuts: Vec<usize>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Its bytes.
    pub text: Vec<u8>,
    /// What is wrong with it, if anything is.
    pub shape: Option<Shape>,
    /// What is uncommon about it.
    pub traits: Vec<Trait>,
    /// Its method.
    pub method: &'static str,
    /// What it asks the backend for.
    pub answer: &'static str,
    /// Its version is HTTP/1.0.
    pub is_old: bool,
    /// What its target has in it, and no other request's.
    pub tag: String,
}

/// What may make servers treat a sound request differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trait {
    /// The method is none of RFC 9110.
    UnknownMethod,
    /// `TRACE`.
    Trace,
    /// `OPTIONS *`.
    Star,
    /// The path has an escape that is none, `%00`, or goes above the root.
    OddPath,
    /// An absolute target's host has an underscore.
    OddHost,
    /// There is no `Host`, which HTTP/1.0 allows.
    NoHost,
    /// `Connection` names `X-Named`, which is there.
    Named,
    /// There is a trailer section with a field in it.
    Trailers,
    /// It expects 100-continue.
    Expects,
    /// The client says `close`, or is of HTTP/1.0 without `keep-alive`.
    Ends,
    /// The name of a field has bytes beyond letters, digits, and hyphens.
    OddName,
    /// A field is there more than once.
    Repeated,
    /// An empty line is in front of it.
    EmptyLine,
    /// There is a tab around a field's value.
    Tab,
    /// It is no `POST` or `PUT` and has a body.
    UncommonBody,
}

const PATHS: [&str; 22] = [
    "",
    "/",
    "/a/b",
    "?b=c&d=e",
    "/%41%2F%2e",
    "/a%20b?q=%20",
    "//a//b",
    "/x/../b",
    "/./a/.",
    "/~u;p=1,2",
    "?q=a?b/c:d@e",
    "/a|b",
    "/\"x\"<y>",
    "/{a}^`b`",
    "/a\\b",
    "?",
    "/a?http://b/",
    "/%C3%A9",
    // None of these is an ordinary one: see `Trait::OddPath`.
    "/%zz",
    "/%00",
    "/../../..",
    "?%zz",
];
/// From here on paths are odd, but for the last one.
const ODD_PATHS: usize = 18;

const HOSTS: [&str; 7] = [
    "localhost",
    "LocalHost",
    "localhost:443",
    "www.example.com:8443",
    "192.0.2.1",
    "[2001:db8::1]:443",
    "under_score.example",
];

const FIELDS: [(&str, &str); 26] = [
    ("Accept", "*/*"),
    ("User-Agent", "generator/1.0 (some; where)"),
    ("Cookie", "a=b; c=\"d\""),
    ("X-Empty", ""),
    ("x-lower", "v"),
    ("X-UPPER", "V"),
    ("X-Tab", "a\tb"),
    ("X-Latin", "caf\u{e9}"),
    ("X-Comma", "a,,b, c"),
    ("Accept-Encoding", "gzip, br;q=0.5"),
    ("If-None-Match", "\"x\", W/\"y\""),
    ("Range", "bytes=0-1"),
    ("Via", "1.1 somebody"),
    ("Authorization", "Basic eDp5"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("X-Colon", "a:b: c"),
    ("X-Forwarded-For", "192.0.2.66"),
    ("x-forwarded-proto", "http"),
    ("X-Forwarded-Host", "evil.example"),
    ("Forwarded", "for=192.0.2.66;proto=http"),
    ("X-Real-IP", "192.0.2.66"),
    ("TE", "trailers"),
    ("Keep-Alive", "timeout=5"),
    ("X_Forwarded_For", "192.0.2.66"),
    ("X!Odd", "v"),
    ("X.Dot", "v"),
];

impl Case {
    /// The connection with this number; of all seeds and numbers each is always the same.
    pub fn new(seed: u64, number: u64) -> Case {
        let mut random = Random::fork(seed, "requests", number);
        let mut requests: Vec<Generated> = (0..random.within(1..=4))
            .map(|index| ordinary(&mut random, &format!("c{number}-{index}.")))
            .collect();
        // Two in five end with an odd one: every shape in its turn.
        if number % 5 < 2 {
            let shape = usize::try_from(number / 5 * 2 + number % 5).unwrap_or_default();
            let shape = Shape::ALL[shape % Shape::ALL.len()];
            requests.truncate(2);
            requests.retain(Generated::is_common);
            let tag = format!("c{number}-odd.");
            requests.push(odd::request(shape, &tag));
        }
        let tag = format!("c{number}-end.");
        requests.push(Generated {
            text: format!("GET /{tag} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .into_bytes(),
            shape: None,
            traits: vec![Trait::Ends],
            method: "GET",
            answer: ANSWERS[0].name,
            is_old: false,
            tag,
        });
        let length = requests.iter().map(|request| request.text.len()).sum();
        let pieces = random.pick(&[0, 0, 1, 2, 3, 6]);
        let mut cuts: Vec<usize> = (0..pieces).map(|_| random.within(1..=length)).collect();
        cuts.sort_unstable();
        Case {
            number,
            requests,
            cuts,
        }
    }

    /// What is sent, piece by piece.
    pub fn pieces(&self) -> Vec<Vec<u8>> {
        let texts = self.requests.iter().map(|request| request.text.as_slice());
        let whole = texts.collect::<Vec<_>>().concat();
        let ends = self.cuts.iter().copied().chain([whole.len()]);
        let mut start = 0;
        ends.map(|end| whole[std::mem::replace(&mut start, end)..end].to_vec())
            .filter(|piece| !piece.is_empty())
            .collect()
    }
}

impl Generated {
    /// Whether every server reads on behind it.
    fn is_common(&self) -> bool {
        let harmless = [
            Trait::Named,
            Trait::Trailers,
            Trait::Expects,
            Trait::UncommonBody,
        ];
        let answers = ["two-lengths", "bare-lf"];
        self.traits.iter().all(|it| harmless.contains(it)) && !answers.contains(&self.answer)
    }
}

/// A request without fault.
fn ordinary(random: &mut Random, tag: &str) -> Generated {
    const METHODS: [&str; 14] = [
        "GET", "GET", "GET", "POST", "POST", "PUT", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS",
        "PROPFIND", "TRACE", "brew",
    ];
    let method = random.pick(&METHODS);
    let is_old = random.happens(1, 8);
    let mut traits = Vec::new();
    let mut add = |what: Trait, if_so: bool| {
        if if_so {
            traits.push(what);
        }
    };
    add(Trait::UnknownMethod, method == "brew");
    add(Trait::Trace, method == "TRACE");
    let host = random.pick(&HOSTS);
    let is_odd = random.happens(1, 16);
    let path = match is_odd {
        true => random.within(ODD_PATHS..=PATHS.len() - 1),
        false => random.within(0..=ODD_PATHS - 1),
    };
    let is_absolute = !is_odd && random.happens(1, 8);
    let is_star = method == "OPTIONS" && random.happens(1, 2);
    add(Trait::OddPath, is_odd && path < PATHS.len() - 1);
    add(Trait::Star, is_star);
    add(
        Trait::OddHost,
        is_absolute && !is_star && host.contains('_'),
    );
    let path = PATHS[path];
    let target = match (is_star, is_absolute) {
        (true, _) => "*".to_owned(),
        (false, true) => {
            let scheme = random.pick(&["http", "https", "HTTP"]);
            format!("{scheme}://{host}/{tag}{path}")
        }
        (false, false) => format!("/{tag}{path}"),
    };

    let empty_line = random.happens(1, 20);
    add(Trait::EmptyLine, empty_line);
    let no_host = is_old && !is_absolute && random.happens(1, 4);
    add(Trait::NoHost, no_host);
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    let mut field = |name: &str, value: &str| {
        let value = value.chars().map(|letter| letter as u8).collect();
        fields.push((name.to_owned(), value));
    };
    if !no_host {
        field(random.pick(&["Host", "host", "HOST"]), host);
    }
    let answer = random.pick(&ANSWERS).name;
    field(WANTED, answer);
    // Where the target can't tell, a field does.
    field("X-Tag", tag);
    let mut drawn = Vec::new();
    for _ in 0..random.within(0..=6) {
        let (name, value) = random.pick(&FIELDS);
        add(
            Trait::OddName,
            name.contains(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-'),
        );
        add(Trait::Repeated, drawn.contains(&name));
        drawn.push(name);
        field(name, value);
    }
    if random.happens(1, 24) {
        field("X-Long", "long ".repeat(random.within(1..=2400)).trim_end());
    }
    let connection = match is_old {
        true => random.pick(&["", "", "keep-alive", "Keep-Alive, X-Named", "close"]),
        false => random.pick(&[
            "",
            "",
            "",
            "",
            "",
            "keep-alive",
            "X-Named",
            ", X-Named ,,",
            "te, keep-alive",
            "close",
        ]),
    };
    if !connection.is_empty() {
        field("Connection", connection);
    }
    let is_named = connection.contains("X-Named");
    if is_named {
        field("X-Named", "for this hop");
    }
    add(Trait::Named, is_named);
    let keeps = connection.to_ascii_lowercase().contains("keep-alive");
    add(Trait::Ends, connection == "close" || is_old && !keeps);

    let body = body(random, method, is_old);
    add(Trait::Trailers, body.has_trailers);
    add(
        Trait::UncommonBody,
        !body.bytes.is_empty() && !matches!(method, "POST" | "PUT"),
    );
    if let Some((name, value)) = &body.field {
        field(name, value);
    }
    let expects = !body.bytes.is_empty() && random.happens(1, 6);
    if expects {
        field("Expect", random.pick(&["100-continue", "100-Continue"]));
    }
    add(Trait::Expects, expects);
    let tab = random
        .happens(1, 10)
        .then(|| random.within(0..=fields.len() - 1));
    add(Trait::Tab, tab.is_some());
    // The fields that say what the message is may stand anywhere.
    for index in (1..fields.len()).rev() {
        fields.swap(index, random.within(0..=index));
    }

    let mut text = if empty_line {
        b"\r\n".to_vec()
    } else {
        Vec::new()
    };
    let version = if is_old { "1.0" } else { "1.1" };
    text.extend(format!("{method} {target} HTTP/{version}\r\n").bytes());
    for (index, (name, value)) in fields.into_iter().enumerate() {
        let (before, behind) =
            random.pick(&[(" ", ""), (" ", ""), (" ", ""), ("", ""), ("  ", " ")]);
        let (before, behind) = match tab {
            Some(place) if place == index => ("\t", " \t"),
            _ => (before, behind),
        };
        text.extend([&name, ":", before].concat().bytes());
        text.extend(value);
        text.extend([behind, "\r\n"].concat().bytes());
    }
    text.extend_from_slice(b"\r\n");
    text.extend(body.bytes);
    Generated {
        text,
        shape: None,
        traits,
        method,
        answer,
        is_old,
        tag: tag.to_owned(),
    }
}

#[derive(Default)]
struct Written {
    field: Option<(&'static str, String)>,
    bytes: Vec<u8>,
    has_trailers: bool,
}

/// A body of some length, perhaps none.
fn body(random: &mut Random, method: &str, is_old: bool) -> Written {
    let wants = match method {
        "POST" | "PUT" | "PATCH" => random.happens(9, 10),
        "TRACE" | "HEAD" => false,
        _ => random.happens(1, 8),
    };
    if !wants {
        return Written::default();
    }
    let length = match random.happens(1, 6) {
        true => 0,
        false => random.size(40_000),
    };
    let content = content(random, length);
    if is_old || random.happens(1, 2) {
        let zeros = if random.happens(1, 10) { "00" } else { "" };
        return Written {
            field: Some(("Content-Length", format!("{zeros}{length}"))),
            bytes: content,
            has_trailers: false,
        };
    }
    let mut bytes = Vec::new();
    let mut rest = content.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.size(rest.len()));
        rest = later;
        let size = match random.below(4) {
            0 => format!("{:X}", now.len()),
            1 => format!("{:06x}", now.len()),
            _ => format!("{:x}", now.len()),
        };
        let extension = match random.happens(1, 4) {
            true => random.pick(&[";a", ";a=b", ";a=\"q;r\"", " ;a", "; a = b", ";", ";a;b;c"]),
            false => "",
        };
        bytes.extend([&size, extension, "\r\n"].concat().bytes());
        bytes.extend_from_slice(now);
        bytes.extend_from_slice(b"\r\n");
    }
    let has_trailers = random.happens(1, 4);
    let trailers = match has_trailers {
        true => "X-Sum: 1\r\nX-Other:2\r\n",
        false => "",
    };
    let last = random.pick(&["0", "000", "0;last"]);
    bytes.extend([last, "\r\n", trailers, "\r\n"].concat().bytes());
    Written {
        field: Some((
            random.pick(&["Transfer-Encoding", "transfer-encoding"]),
            random.pick(&["chunked", "Chunked"]).to_owned(),
        )),
        bytes,
        has_trailers,
    }
}

/// Bytes that look like messages where that is possible.
fn content(random: &mut Random, length: usize) -> Vec<u8> {
    const LIKE: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    match random.happens(1, 3) {
        true => LIKE.bytes().cycle().take(length).collect(),
        false => random.bytes(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_the_same_each_time_and_its_pieces_are_the_whole() {
        for number in 0..50 {
            let (case, same) = (Case::new(7, number), Case::new(7, number));
            let texts: Vec<_> = case.requests.iter().map(|it| it.text.clone()).collect();
            assert_eq!(case.pieces().concat(), texts.concat());
            assert_eq!(case.pieces(), same.pieces());
        }
    }

    #[test]
    fn a_few_hundred_cases_have_every_shape_and_every_trait() {
        let all: Vec<Generated> = (0..600)
            .flat_map(|number| Case::new(1, number).requests)
            .collect();
        for shape in Shape::ALL {
            assert!(all.iter().any(|it| it.shape == Some(shape)), "{shape:?}");
        }
        for answer in ANSWERS {
            assert!(all.iter().any(|it| it.answer == answer.name), "{answer:?}");
        }
        for what in [
            Trait::UnknownMethod,
            Trait::Trace,
            Trait::Star,
            Trait::OddPath,
            Trait::OddHost,
            Trait::NoHost,
            Trait::Named,
            Trait::Trailers,
            Trait::Expects,
            Trait::Ends,
            Trait::OddName,
            Trait::Repeated,
            Trait::EmptyLine,
            Trait::Tab,
            Trait::UncommonBody,
        ] {
            assert!(all.iter().any(|it| it.traits.contains(&what)), "{what:?}");
        }
    }
}

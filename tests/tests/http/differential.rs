//! The same bytes to the tunnel and to nginx as a reverse proxy, in front of the same backend.
//!
//! Whatever the two do differently is either in the table of [`rules`], with its reason, or fails.

mod rules;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use stockade_tests::client;
use stockade_tests::messages::generator::{Case, Generated, Shape, Trait};
use stockade_tests::messages::recorder::{Heard, Recorder};
use stockade_tests::messages::{Body, Head, Wire};
use stockade_tests::namespace;
use stockade_tests::peers::proxies::Proxy;
use stockade_tests::stunnel::ports;
use stockade_tests::tap::Tap;

use crate::rig::{Kind, Tunnel};
use rules::{Difference, Rules, Side};

/// What the requests grow from.
const SEED: u64 = 0x5107_cade;
/// How many requests there are at least.
const REQUESTS: usize = 500;
/// How long a connection is silent before it counts as one that waits for more.
const SILENCE: Duration = Duration::from_secs(3);

/// How a connection ended, seen by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// In order, between messages.
    Closed,
    /// Within a message, or by a reset.
    Cut(String),
    /// Not: something more was awaited.
    Waits,
    /// With bytes that are no message, or one that was not asked for.
    Garbage(String),
}

/// What became of a connection.
#[derive(Debug)]
struct Outcome {
    answers: Vec<(Head, Body)>,
    /// How many answers of HTTP/1.1 (1xx) came for requests of HTTP/1.0.
    interim: usize,
    end: End,
    heard: Vec<Heard>,
    faults: Vec<String>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
enum Fate<'a> {
    /// The backend has got it, and the client this answer.
    Passed(&'a Heard, Option<&'a (Head, Body)>),
    /// The client was answered, and not by the backend.
    Refused(&'a Head),
    /// It was not read any more.
    Dropped,
}

/// Sends the pieces and reads what comes until the end.
fn converse<S: Read + Write>(mut wire: Wire<S>, case: &Case, backend: &Recorder) -> Outcome {
    for piece in case.pieces() {
        // Who has refused something earlier listens no more.
        if wire.stream().write_all(&piece).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let mut answers: Vec<(Head, Body)> = Vec::new();
    let mut interim = 0;
    let mut requests = case.requests.iter();
    let end = loop {
        let Some(request) = requests.next() else {
            break match wire.head() {
                Ok(None) => End::Closed,
                Ok(Some(head)) => End::Garbage(head.first),
                Err(error) => ending(&error),
            };
        };
        match wire.head() {
            Ok(None) => break End::Closed,
            Ok(Some(head)) if head.status() < 200 => {
                interim += usize::from(request.is_old);
                // Not its answer yet.
                let answer = wire.answer(request.method);
                match answer {
                    Ok(answer) => answers.push(answer),
                    Err(error) => break ending(&error),
                }
            }
            Ok(Some(head)) => {
                let length = head.answer_length(request.method);
                match length.and_then(|length| wire.body(length)) {
                    Ok(body) => answers.push((head, body)),
                    Err(error) => break ending(&error),
                }
            }
            Err(error) => break ending(&error),
        }
    };
    drop(wire);
    let (heard, faults) = backend.take();
    Outcome {
        answers,
        interim,
        end,
        heard,
        faults,
    }
}

fn ending(error: &std::io::Error) -> End {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Waits,
        ErrorKind::InvalidData => End::Garbage(error.to_string()),
        kind => End::Cut(kind.to_string()),
    }
}

impl Outcome {
    /// What became of each request, and what the backend has heard beyond them.
    fn fates<'a>(&'a self, case: &'a Case) -> (Vec<Fate<'a>>, Vec<&'a Heard>) {
        let mut answers = self.answers.iter();
        let mut stray: Vec<&Heard> = self.heard.iter().collect();
        let fates = case.requests.iter().map(|request| {
            let place = stray.iter().position(|heard| is_for(heard, request));
            let heard = place.map(|place| stray.remove(place));
            match (heard, answers.next()) {
                (Some(heard), answer) => Fate::Passed(heard, answer),
                (None, Some((head, _))) => Fate::Refused(head),
                (None, None) => Fate::Dropped,
            }
        });
        let fates = fates.collect();
        (fates, stray)
    }
}

fn is_for(heard: &Heard, request: &Generated) -> bool {
    let tagged = heard.head.values("X-Tag").next() == Some(&request.tag);
    tagged || heard.head.word(1).contains(&request.tag)
}

/// Compares what became of a connection; panics with all of it where no rule allows a difference.
fn compare(case: &Case, ours: &Outcome, theirs: &Outcome, rules: &mut Rules) {
    let (our_fates, our_stray) = ours.fates(case);
    let (their_fates, their_stray) = theirs.fates(case);
    // Nobody but the client makes requests, and nobody makes what is none.
    assert!(our_stray.is_empty(), "smuggled past us: {our_stray:?}");
    assert!(ours.faults.is_empty(), "from us: {:?}", ours.faults);
    assert_eq!(ours.interim, 0, "1xx for HTTP/1.0");
    assert!(their_stray.is_empty(), "past nginx: {their_stray:?}");
    assert!(theirs.faults.is_empty(), "from nginx: {:?}", theirs.faults);
    assert_eq!(ours.end, End::Closed, "our connection's end");
    for (index, request) in case.requests.iter().enumerate() {
        if let (Some(shape), Fate::Refused(head)) = (request.shape, our_fates[index]) {
            assert_eq!(head.status(), rules::status(shape), "{shape:?}");
            rules.refused.insert(shape);
        }
        let passed = matches!(our_fates[index], Fate::Passed(..));
        assert!(
            !passed || request.shape.is_none(),
            "{:?} is passed on",
            request.shape
        );
        match (our_fates[index], their_fates[index]) {
            (Fate::Passed(our, our_answer), Fate::Passed(their, their_answer)) => {
                same_request(request, our, their, rules);
                match (our_answer, their_answer) {
                    (Some(our), Some(their)) if our.0.status() != their.0.status() => {
                        let statuses = (our.0.status(), their.0.status());
                        let what = format!("{our:?} and {their:?}");
                        rules.allow(&Difference::Answers(statuses, request), &what);
                        return closed_behind(&our_fates[index + 1..]);
                    }
                    (Some(our), Some(their)) => same_answer(our, their, rules),
                    (our, their) => panic!("answered are {our:?} and {their:?}"),
                }
            }
            (Fate::Refused(our), Fate::Passed(..)) => {
                let refused = Difference::Refused(Side::Ours, our.status(), request);
                rules.allow(&refused, &our.first);
                return closed_behind(&our_fates[index + 1..]);
            }
            (Fate::Passed(..), Fate::Refused(their)) => {
                let refused = Difference::Refused(Side::Theirs, their.status(), request);
                rules.allow(&refused, &their.first);
                return;
            }
            (Fate::Refused(our), Fate::Refused(their)) => {
                if our.status() != their.status() {
                    let statuses = (our.status(), their.status());
                    let what = format!("{} and {}", our.first, their.first);
                    rules.allow(&Difference::Statuses(statuses, request), &what);
                }
                return closed_behind(&our_fates[index + 1..]);
            }
            (Fate::Dropped, Fate::Dropped) => return,
            (our, their) => panic!(
                "one of the connections has ended: {our:?} and {their:?}, {:?}",
                theirs.end
            ),
        }
    }
}

/// After a page of ours nothing more is read.
fn closed_behind(fates: &[Fate<'_>]) {
    let all = fates.iter().all(|fate| matches!(fate, Fate::Dropped));
    assert!(all, "read on behind a page: {fates:?}");
}

/// What the backend has got of a request.
fn same_request(request: &Generated, our: &Heard, their: &Heard, rules: &mut Rules) {
    // These are the borders: no rule allows another method, target, or body.
    assert_eq!(our.head.word(0), their.head.word(0), "methods");
    assert_eq!(our.head.word(1), their.head.word(1), "targets");
    assert_eq!(our.head.word(2), their.head.word(2), "versions");
    assert!(our.body.bytes == their.body.bytes, "bodies differ");
    let (our_trailers, their_trailers) = (&our.body.trailers, &their.body.trailers);
    if our_trailers != their_trailers {
        let what = format!("{our_trailers:?} and {their_trailers:?}");
        rules.allow(
            &Difference::Trailers(side(our_trailers, their_trailers)),
            &what,
        );
    }
    same_fields(
        &our.head,
        &their.head,
        &mut |side, name| Difference::RequestField(side, name, request),
        rules,
    );
}

fn same_answer(
    (our, our_body): &(Head, Body),
    (their, their_body): &(Head, Body),
    rules: &mut Rules,
) {
    assert!(
        our_body.bytes == their_body.bytes,
        "{our_body:?} and {their_body:?}"
    );
    let (our_trailers, their_trailers) = (&our_body.trailers, &their_body.trailers);
    if our_trailers != their_trailers {
        let what = format!("{our_trailers:?} and {their_trailers:?}");
        rules.allow(
            &Difference::Trailers(side(our_trailers, their_trailers)),
            &what,
        );
    }
    let reason = |head: &Head| {
        head.first
            .splitn(3, ' ')
            .nth(2)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(reason(our), reason(their), "reasons");
    same_fields(
        our,
        their,
        &mut |side, name| Difference::AnswerField(side, name),
        rules,
    );
}

/// Each field has the same values in the same order.
fn same_fields<'a>(
    our: &'a Head,
    their: &'a Head,
    difference: &mut dyn FnMut(Side, &'a str) -> Difference<'a>,
    rules: &mut Rules,
) {
    let fields = our.fields.iter().chain(&their.fields);
    let mut names: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
    names.sort_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    for name in names {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (our.values(name).collect(), their.values(name).collect());
        if ours == theirs {
            continue;
        }
        let what = format!("{name}: {ours:?} and {theirs:?}");
        rules.allow(&difference(side(&ours, &theirs), name), &what);
    }
}

/// Who has any at all, where they are not the same.
fn side<T>(ours: &[T], theirs: &[T]) -> Side {
    match (ours.is_empty(), theirs.is_empty()) {
        (true, _) => Side::Theirs,
        (_, true) => Side::Ours,
        _ => Side::Both,
    }
}

/// nginx, told to do what we promise.
fn nginx(front: SocketAddr, backend: SocketAddr) -> Proxy {
    let mut folders = String::new();
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        write!(folders, "{name}_temp_path /var/tmp/{name}; ").expect("a String grows");
    }
    let blocks = format!(
        "http {{
          access_log off; {folders}
          map $http_host $quoted {{ ~^[A-Za-z0-9._-]+$ $http_host; default '\"$http_host\"'; }}
          upstream backend {{ server {backend}; keepalive 16; }}
          server {{
            listen {front}; keepalive_timeout 75s;
            large_client_header_buffers 4 32k; client_max_body_size 0;
            location / {{
              proxy_pass http://backend; proxy_http_version 1.1; proxy_redirect off;
              proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 32k;
              proxy_buffers 8 32k;
              proxy_next_upstream off;
              proxy_set_header Connection \"\"; proxy_set_header Host $http_host;
              proxy_set_header X-Forwarded-For $remote_addr;
              proxy_set_header X-Forwarded-Proto https;
              proxy_set_header X-Forwarded-Host $http_host;
              proxy_set_header Forwarded \"for=$remote_addr;proto=https;host=$quoted\";
              proxy_set_header X-Real-IP \"\";
            }}
          }}
        }}\n"
    );
    Proxy::nginx(&blocks, front.port())
}

#[test]
fn five_hundred_requests_as_by_nginx() {
    namespace::require();
    let tap = Tap::create();
    let backend = Recorder::start(tap.host().into());
    let front = SocketAddr::new(tap.host().into(), ports::next());
    let _nginx = nginx(front, backend.address);
    let tunnel = Tunnel::start(tap, backend.address, Kind::default());
    let mut rules = Rules::default();
    let (mut requests, mut cases) = (0, 0);
    while requests < REQUESTS {
        let case = Case::new(SEED, cases);
        let story = Story(&case);
        let mut ours = tunnel.connect();
        let patience = Some(SILENCE);
        let socket = ours.stream().tcp();
        socket.set_read_timeout(patience).expect("an open socket");
        let ours = converse(ours, &case, &backend);
        let theirs = client::tcp(front).expect("nginx accepts");
        theirs.set_read_timeout(patience).expect("an open socket");
        let theirs = converse(Wire::new(theirs), &case, &backend);
        compare(&case, &ours, &theirs, &mut rules);
        drop(story);
        cases += 1;
        requests += case.requests.len() - 1;
    }
    println!(
        "{requests} requests on {cases} connections\n{}",
        rules.report()
    );
    rules.all_were_used();
    let all = BTreeSet::from(Shape::ALL);
    assert_eq!(rules.refused, all, "the shapes that we have refused");
}

/// Tells of a case when it fails.
struct Story<'a>(&'a Case);

impl Drop for Story<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("connection {} of seed {SEED:#x}:", self.0.number);
            for request in &self.0.requests {
                let (shape, traits) = (request.shape, &request.traits);
                println!("---- {shape:?} {traits:?}\n{}", request.text.escape_ascii());
            }
            println!("---- in pieces of {:?}", self.0.cuts);
        }
    }
}

//! Whole connections, however their bytes are cut.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::Piece;

mod keeping;

/// What a backend does with one connection.
#[derive(Clone)]
struct Script {
    /// What it says once it has got so many bytes in all.
    says: Vec<(usize, &'static str)>,
    /// Then it ends the connection.
    ends: bool,
}

fn says(text: &'static str) -> Script {
    Script {
        says: vec![(1, text)],
        ends: false,
    }
}

fn says_and_ends(text: &'static str) -> Script {
    Script {
        ends: true,
        ..says(text)
    }
}

#[derive(Debug, Default)]
struct Seen {
    client: String,
    /// What each connection to a backend got.
    backends: Vec<String>,
    hosts: Vec<Option<String>>,
    released: Vec<bool>,
    end: Option<Progress>,
}

/// A backend's connection.
struct Live {
    script: Script,
    got: Vec<u8>,
    waiting: VecDeque<u8>,
}

impl Live {
    fn new(script: Script) -> Live {
        Live {
            script,
            got: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.got.extend_from_slice(bytes);
        while let Some((after, text)) = self.script.says.first()
            && self.got.len() >= *after
        {
            self.waiting.extend(text.bytes());
            self.script.says.remove(0);
        }
    }

    fn ended(&self) -> bool {
        self.script.ends && self.script.says.is_empty()
    }
}

/// Carries what the client says, `step` bytes at a time each way, with these backends in turn. A
/// kept connection is used again.
fn carry(options: Options, client: &str, backends: Vec<Script>, step: usize) -> Seen {
    let about = Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: Some("tls.example"),
    };
    let options = Arc::new(options);
    let mut exchange = Exchange::new(options.clone());
    let mut scripts = VecDeque::from(backends);
    let mut seen = Seen::default();
    let (mut kept, mut live): (Option<Live>, Option<Live>) = (None, None);
    let (mut at, mut come) = (0, 0);
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    let mut shown = 0;
    for _ in 0..100_000 {
        let (ended, heard) = live.as_mut().map_or((false, Vec::new()), |live| {
            let all: Vec<u8> = live.waiting.iter().copied().take(shown).collect();
            (live.ended() && shown >= live.waiting.len(), all)
        });
        let view = View {
            bytes: &client.as_bytes()[at..come],
            ended: come == client.len(),
            lost: false,
        };
        let backend = live.as_ref().map(|_| View {
            bytes: &heard,
            ended,
            lost: false,
        });
        let turn = exchange.poll(&about, view, backend, &mut to_client, &mut to_backend);
        at += turn.client;
        if let Some(live) = &mut live {
            live.waiting.drain(..turn.backend);
            shown -= turn.backend;
            live.hear(&to_backend);
            to_backend.clear();
        }
        seen.client
            .push_str(core::str::from_utf8(&to_client).unwrap());
        to_client.clear();
        let idle = turn.client == 0 && turn.backend == 0;
        match turn.progress {
            Progress::Wait if idle => {
                let more = live.as_ref().is_some_and(|live| shown < live.waiting.len());
                let can_end = live.as_ref().is_some_and(|live| live.ended() && !ended);
                if come == client.len() && !more && !can_end {
                    break;
                }
                come = client.len().min(come + step);
                shown += step.min(live.as_ref().map_or(0, |live| live.waiting.len() - shown));
            }
            Progress::Wait => {}
            Progress::Connect { host, fresh } => {
                if let Err(status) = exchange.enter(&options) {
                    exchange.unreachable(status, &mut to_client);
                    continue;
                }
                seen.hosts.push(host);
                let reused = !fresh && kept.is_some();
                if let Some(dead) = live.take() {
                    seen.backends.push(String::from_utf8(dead.got).unwrap());
                }
                shown = 0;
                live = match kept.take().filter(|_| reused) {
                    Some(kept) => Some(kept),
                    None => scripts.pop_front().map(Live::new),
                };
                match &mut live {
                    Some(live) => {
                        exchange.connected(reused, &mut to_backend);
                        live.hear(&to_backend);
                        to_backend.clear();
                    }
                    None => exchange.unreachable(502, &mut to_client),
                }
            }
            Progress::Release { keep } => {
                seen.released.push(keep);
                match keep {
                    true => kept = live.take(),
                    false => {
                        let gone = live.take().unwrap();
                        seen.backends.push(String::from_utf8(gone.got).unwrap());
                    }
                }
                shown = 0;
            }
            over => {
                seen.end = Some(over);
                break;
            }
        }
    }
    for live in [live, kept].into_iter().flatten() {
        seen.backends.push(String::from_utf8(live.got).unwrap());
    }
    seen
}

/// The same with every step: they must all see the same.
fn check(client: &str, backends: &[Script]) -> Seen {
    let carry = |step| carry(Options::default(), client, backends.to_vec(), step);
    let whole = carry(1 << 20);
    for step in [1, 2, 7, 100] {
        let other = carry(step);
        assert_eq!(contents(&other.client), contents(&whole.client), "{step}");
        assert_eq!(other.end, whole.end, "{step}");
        assert_eq!(other.hosts, whole.hosts, "{step}");
    }
    whole
}

/// Answers with their chunks joined: those are cut as the bytes came.
fn contents(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
        out.push_str(head);
        out.push('|');
        rest = behind;
        if !head.contains("chunked") {
            continue;
        }
        let mut body = Body::new(Framing::Chunked);
        while !body.is_over() {
            let Ok(piece) = body.next(rest.as_bytes()) else {
                break;
            };
            let count = match piece {
                Piece::More | Piece::End => break,
                Piece::Content(count) => {
                    out.push_str(&rest[..count]);
                    count
                }
                Piece::Framing(count) | Piece::Trailers(count) => count,
            };
            body.took(rest.as_bytes(), piece, count);
            rest = &rest[count..];
        }
        out.push('|');
    }
    out + rest
}

const GET: &str = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_goes_and_its_answer_comes() {
    let seen = check(GET, &[says(OK)]);
    assert_eq!(seen.client, OK);
    assert!(seen.backends[0].starts_with("GET /1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For:"));
    assert_eq!((seen.released, seen.end), (vec![true], Some(Progress::End)));
}

#[test]
fn pipelined_requests_are_answered_in_their_order_over_one_connection() {
    let client = GET.repeat(3);
    let script = Script {
        says: vec![(1, OK), (200, OK), (330, OK)],
        ends: false,
    };
    let seen = check(&client, &[script]);
    assert_eq!(seen.client, OK.repeat(3));
    assert_eq!(seen.backends.len(), 1);
    assert_eq!(seen.backends[0].matches("GET /1").count(), 3);
}

#[test]
fn each_request_goes_to_its_own_host() {
    let client = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: B:443\r\n\r\n";
    let script = Script {
        says: vec![(1, OK), (150, OK)],
        ends: false,
    };
    let seen = check(client, &[script]);
    assert_eq!(seen.hosts, [Some("a".into()), Some("b".into())]);
}

#[test]
fn bodies_go_in_every_framing() {
    let length = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let seen = check(length, &[says(OK)]);
    assert!(seen.backends[0].ends_with("\r\n\r\nhello"), "{seen:?}");
    let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: u\r\n\r\n";
    let script = Script {
        says: vec![(200, OK)],
        ends: false,
    };
    let seen = check(chunked, &[script]);
    assert!(seen.backends[0].ends_with("0\r\nT: u\r\n\r\n"), "{seen:?}");
    assert!(!seen.backends[0].contains("x=y"));
    assert_eq!(seen.client, OK);
}

#[test]
fn answers_come_in_every_framing() {
    let client = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n";
    let until = "HTTP/1.0 200 OK\r\n\r\nwhole";
    let seen = check(client, &[says(chunked), says_and_ends(until)]);
    assert!(seen.released[0]);
    // The kept connection has nothing more to say: the second request waits for it for ever.
    assert!(seen.client.ends_with("0\r\nT: u\r\n\r\n"), "{seen:?}");
    let seen = check(GET, &[says_and_ends(until)]);
    assert!(
        seen.client.ends_with("\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"),
        "{seen:?}"
    );
    assert_eq!(
        (seen.released, seen.end),
        (vec![false], Some(Progress::End))
    );
    let old = "GET / HTTP/1.0\r\n\r\n";
    let seen = check(old, &[says(chunked)]);
    assert!(
        seen.client.ends_with("Connection: close\r\n\r\nabc"),
        "{seen:?}"
    );
    assert_eq!(seen.end, Some(Progress::End));
}

#[test]
fn interim_answers_come_before_the_answer() {
    let client = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";
    let both = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let seen = check(client, &[says(both)]);
    assert!(
        seen.client
            .starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    );
}

#[test]
fn refused_requests_get_a_page_and_nothing_behind_them_is_read() {
    let client = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
                  0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let seen = check(client, &[says(OK)]);
    assert!(
        seen.client.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{seen:?}"
    );
    assert_eq!(seen.client.matches("HTTP/1.1 ").count(), 1);
    assert!(seen.backends.is_empty() && seen.hosts.is_empty());
    assert_eq!(seen.end, Some(Progress::End));
}

#[test]
fn a_bad_chunk_is_refused_as_long_as_nothing_was_answered() {
    let client =
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n";
    let silent = Script {
        says: vec![],
        ends: false,
    };
    let seen = check(client, &[silent]);
    assert!(seen.client.starts_with("HTTP/1.1 400 "), "{seen:?}");
}

#[test]
fn bodies_have_a_bound() {
    let options = || Options {
        max_body: Some(4),
        ..Options::default()
    };
    let silent = Script {
        says: vec![],
        ends: false,
    };
    let length = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (client, tried) in [(length, 0), (chunked, 1)] {
        let seen = carry(options(), client, vec![silent.clone()], 3);
        assert!(seen.client.starts_with("HTTP/1.1 413 "), "{seen:?}");
        assert_eq!(seen.hosts.len(), tried);
    }
}

#[test]
fn backends_that_give_no_answer_get_a_page() {
    for script in [
        says_and_ends(""),
        says_and_ends("HTTP/1.1 200 OK\r\n"),
        says("SSH-2.0-x\r\n\r\n"),
        says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
    ] {
        let seen = check(GET, &[script]);
        assert!(
            seen.client.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{seen:?}"
        );
    }
    let seen = check(GET, &[]);
    assert!(seen.client.starts_with("HTTP/1.1 502 "), "{seen:?}");
}

#[test]
fn a_cut_answer_is_told_as_one() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfx",
    ] {
        let seen = check(GET, &[says_and_ends(text)]);
        assert_eq!(seen.end, Some(Progress::Abort), "{seen:?}");
        assert!(!seen.client.contains("\r\n0\r\n"));
    }
}

#[test]
fn a_kept_connection_that_is_dead_is_replaced_once() {
    let client = GET.repeat(2);
    let first = says_and_ends(OK);
    let seen = carry(
        Options::default(),
        &client,
        vec![first.clone(), says(OK)],
        1 << 20,
    );
    // Its end was seen with the answer: it is not kept at all.
    assert_eq!(seen.client, OK.repeat(2), "{seen:?}");
    let late = Script {
        says: vec![(1, OK), (150, "")],
        ends: true,
    };
    let seen = check(&client, &[late, says(OK)]);
    assert_eq!(seen.client, OK.repeat(2), "{seen:?}");
    assert_eq!(seen.hosts.len(), 3);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let late = Script {
        says: vec![(1, OK), (150, "")],
        ends: true,
    };
    let seen = check(&[GET, post].concat(), &[late, says(OK)]);
    assert!(seen.client.contains("HTTP/1.1 502 "), "{seen:?}");
}

#[test]
fn an_early_answer_ends_the_connection_behind_it() {
    let client = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n".to_string();
    let client = client + &"x".repeat(1000);
    let seen = carry(Options::default(), &client, vec![says(OK)], 1);
    assert!(seen.client.contains("Connection: close\r\n"), "{seen:?}");
    assert_eq!(seen.released, [false]);
}

#[test]
fn another_protocol_takes_over() {
    let client = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes";
    let seen = check(client, &[says(answer)]);
    assert_eq!(seen.end, Some(Progress::Upgrade));
    assert!(
        seen.client.ends_with("\r\n\r\n"),
        "{}",
        seen.client.escape_debug().to_string()
    );
}

#[test]
fn silence_is_told_where_it_can_be() {
    let about = Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: None,
    };
    let begun = |exchange: &mut Exchange, out: &mut Vec<u8>| {
        let view = View {
            bytes: GET.as_bytes(),
            ..View::default()
        };
        exchange.poll(&about, view, None, out, &mut Vec::new())
    };
    let mut out = Vec::new();
    let mut exchange = Exchange::new(Options::default());
    assert_eq!(exchange.timed_out(false, &mut out), Progress::End);
    let mut exchange = Exchange::new(Options::default());
    assert_eq!(exchange.timed_out(true, &mut out), Progress::Wait);
    assert!(out.starts_with(b"HTTP/1.1 408 "));
    let mut exchange = Exchange::new(Options::default());
    out.clear();
    begun(&mut exchange, &mut out);
    exchange.connected(false, &mut Vec::new());
    assert_eq!(exchange.timed_out(true, &mut out), Progress::Wait);
    assert!(out.starts_with(b"HTTP/1.1 504 "));
}

/// Whoever has shown it what led to a page comes again at once, to send it.
#[test]
fn a_page_waits_for_nothing() {
    let about = Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: None,
    };
    for (bytes, ended) in [(&b"SSH-2.0-x\r\n\r\n"[..], false), (b"HTTP/1.1 2", true)] {
        let mut exchange = Exchange::new(Options::default());
        let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
        let client = View {
            bytes: GET.as_bytes(),
            ..View::default()
        };
        exchange.poll(&about, client, None, &mut to_client, &mut to_backend);
        exchange.connected(false, &mut to_backend);
        let backend = Some(View {
            bytes,
            ended,
            lost: false,
        });
        let client = View::default();
        let turn = exchange.poll(&about, client, backend, &mut to_client, &mut to_backend);
        assert!(to_client.starts_with(b"HTTP/1.1 502 "));
        assert_eq!(turn.progress, Progress::End);
    }
}

#[test]
fn content_of_known_length_can_be_carried_past() {
    let about = Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: None,
    };
    let view = |text: &'static str| View {
        bytes: text.as_bytes(),
        ..View::default()
    };
    let mut exchange = Exchange::new(Options::default());
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    let asked = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let turn = exchange.poll(&about, view(asked), None, &mut to_client, &mut to_backend);
    assert_eq!(turn.client, asked.len());
    assert_eq!(exchange.for_backend(), 0, "there is no backend yet");
    exchange.connected(false, &mut to_backend);
    assert_eq!(exchange.for_backend(), 10);
    let none = Some(View::default());
    exchange.poll(&about, view("012"), none, &mut to_client, &mut to_backend);
    assert!(to_backend.ends_with(b"012"));
    to_backend.clear();
    exchange.carried_to_backend(6);
    assert_eq!((exchange.for_backend(), exchange.for_client()), (1, 0));
    exchange.carried_to_backend(1);

    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
    let turn = exchange.poll(
        &about,
        view("GET"),
        Some(view(answer)),
        &mut to_client,
        &mut to_backend,
    );
    assert_eq!((turn.client, turn.backend), (0, answer.len()));
    assert!(to_client.ends_with(b"ab"));
    assert_eq!((exchange.for_backend(), exchange.for_client()), (0, 3));
    exchange.carried_to_client(3);
    let turn = exchange.poll(&about, view("GET"), none, &mut to_client, &mut to_backend);
    assert_eq!(turn.progress, Progress::Release { keep: true });
    assert!(exchange.is_idle());
}

#[test]
fn chunks_are_seen_by_the_exchange() {
    let about = Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: None,
    };
    let mut exchange = Exchange::new(Options::default());
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    let asked = View {
        bytes: b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ..View::default()
    };
    exchange.poll(&about, asked, None, &mut to_client, &mut to_backend);
    exchange.connected(false, &mut to_backend);
    let chunk = View {
        bytes: b"a\r\n012",
        ..View::default()
    };
    let none = Some(View::default());
    let turn = exchange.poll(&about, chunk, none, &mut to_client, &mut to_backend);
    assert_eq!((turn.client, exchange.for_backend()), (6, 0));
    assert!(to_backend.ends_with(b"\r\n3\r\n012\r\n"));
}

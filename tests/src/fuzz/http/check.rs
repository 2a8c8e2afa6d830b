//! What must hold of a connection that was carried.

use stockade_http::Progress;

use super::reader::{Field, Kind, MANNERS, MANNERS_BEHIND, Manner, Message, read};
use super::{Asked, Case, EXTRA, Found, is_page};

/// What a connection has come to, but for how contents were cut into chunks.
#[derive(Debug, PartialEq)]
pub struct Seen {
    hosts: Vec<Option<String>>,
    kept: Vec<Option<bool>>,
    heard: Vec<Vec<Message>>,
    got: Vec<Message>,
    page: Vec<u8>,
    end: Option<Progress>,
}

/// How many whole requests there are.
pub fn requests(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut count = 0;
    while let Some(message) = read(rest, Kind::Request, MANNERS[0]).filter(|it| it.whole) {
        rest = &rest[message.length..];
        count += 1;
    }
    count
}

pub fn check(case: &Case<'_>, found: &Found) -> Seen {
    let sent = sent(case, found);
    let heard = heard(case, found, &sent);
    let (got, page) = got(case, found, &sent);
    Seen {
        hosts: found.asked.iter().map(|it| it.host.clone()).collect(),
        kept: found
            .asked
            .iter()
            .map(|it| it.answered.map(|it| it.1))
            .collect(),
        heard,
        got,
        page,
        end: found.end.clone(),
    }
}

/// A message without what may differ by how it was cut: where chunks end, and how much of a message
/// that was cut off has gone.
fn compared(message: Message) -> Message {
    let content = if message.whole {
        message.content
    } else {
        Vec::new()
    };
    Message {
        content,
        length: 0,
        ..message
    }
}

/// What all manners make of a message's head, and, if it is a `whole` one or one of ours, of all of it.
#[track_caller]
fn agreed(bytes: &[u8], kind: Kind<'_>, manners: &[Manner], whole: bool) -> Option<Message> {
    let first = read(bytes, kind, manners[0]);
    for manner in &manners[1..] {
        let other = read(bytes, kind, *manner);
        let head = |message: &Option<Message>| {
            let message = message.as_ref();
            message.map(|it| (it.words.clone(), it.fields.clone()))
        };
        let shown = bytes.escape_ascii().to_string();
        assert_eq!(head(&first), head(&other), "{manner:?}\n{shown}");
        if whole {
            assert_eq!(first, other, "{manner:?}\n{shown}");
        }
    }
    first
}

/// The requests that were accepted, as the client's bytes are read.
fn sent(case: &Case<'_>, found: &Found) -> Vec<Message> {
    let mut all = Vec::new();
    for (index, asked) in found.asked.iter().enumerate() {
        let next = found.asked.get(index + 1);
        let bytes = &case.client[asked.start..];
        let message = read(bytes, Kind::Request, MANNERS[0]).expect("a head");
        let is_heard = next.is_some() || asked.answered.is_some_and(|(_, keep)| keep);
        // What is not taken as a whole need not be sound behind its head.
        let bytes = if is_heard {
            bytes
        } else {
            &case.client[asked.start..found.taken]
        };
        for manner in &MANNERS[1..] {
            let other = read(bytes, Kind::Request, *manner).expect("a head");
            assert_eq!(
                (&other.words, &other.fields),
                (&message.words, &message.fields)
            );
            assert!(
                !is_heard || other == message,
                "{manner:?} {other:?} {message:?}"
            );
        }
        if let Some(next) = next {
            assert!(message.whole, "{message:?}");
            assert_eq!(asked.start + message.length, next.start, "{message:?}");
        }
        if is_heard {
            assert!(message.whole && asked.start + message.length <= found.taken);
        }
        all.push(message);
    }
    all
}

/// What each backend has heard, held against what the client has sent.
fn heard(case: &Case<'_>, found: &Found, sent: &[Message]) -> Vec<Vec<Message>> {
    let mut all = Vec::new();
    for (index, connection) in found.connections.iter().enumerate() {
        let mut rest = &*connection.heard;
        let mut messages = Vec::new();
        let by_this = |asked: &&Asked| asked.ways.iter().any(|way| way.0 == index);
        let asked: Vec<&Asked> = found.asked.iter().filter(by_this).collect();
        let all_asked = asked.len();
        for (place, asked) in asked.iter().enumerate() {
            let is_last = place + 1 == all_asked;
            let keep = asked.answered.is_some_and(|(_, keep)| keep);
            let Some(message) = agreed(rest, Kind::Request, &MANNERS_BEHIND, true) else {
                assert!(
                    is_last && !keep,
                    "{:?}",
                    connection.heard.escape_ascii().to_string()
                );
                rest = b"";
                break;
            };
            let number = found.asked.iter().position(|it| it.start == asked.start);
            let number = number.expect("a request");
            assert!(message.whole || is_last && !keep, "{message:?}");
            // Of what has not come whole, no more is looked at.
            rest = if message.whole {
                &rest[message.length..]
            } else {
                b""
            };
            same_request(case, &sent[number], &message);
            messages.push(compared(message));
        }
        assert!(
            rest.is_empty(),
            "behind its requests: {:?}",
            rest.escape_ascii().to_string()
        );
        all.push(messages);
    }
    all
}

/// A request as the client sent it, and as a backend heard it.
fn same_request(case: &Case<'_>, sent: &Message, heard: &Message) {
    assert_eq!(heard.words.len(), 3, "{heard:?}");
    assert_eq!(
        (heard.method(), &*heard.words[2]),
        (sent.method(), "HTTP/1.1")
    );
    let (target, asked) = (&heard.words[1], &sent.words[1]);
    let is_root = asked.contains("://") && matches!(&**target, "/" | "*");
    assert!(is_root || asked.ends_with(&**target), "{target} {asked}");
    match heard.whole {
        true => assert!(
            sent.whole && sent.content == heard.content,
            "{sent:?} {heard:?}"
        ),
        false => assert!(
            sent.content.starts_with(&heard.content),
            "{sent:?} {heard:?}"
        ),
    }
    let most = case.options.max_body;
    assert!(
        most.is_none_or(|most| heard.content.len() as u64 <= most),
        "{heard:?}"
    );
    let only = |name: &str| {
        let mut values = heard.values(name).map(String::from_utf8_lossy);
        let value = values.next().map(|value| value.into_owned());
        assert!(values.next().is_none(), "{name} twice: {heard:?}");
        value
    };
    let host = only("host").expect("a host");
    let names_it = |value: &[u8]| value.eq_ignore_ascii_case(host.as_bytes());
    assert!(sent.values("host").all(names_it), "{heard:?}");
    assert_eq!(only("x-forwarded-for").as_deref(), Some("192.0.2.7"));
    assert_eq!(only("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(only("x-forwarded-host"), Some(host));
    let forwarded = only("forwarded").expect("forwarded");
    assert!(
        forwarded.starts_with("for=192.0.2.7;proto=https;host="),
        "{forwarded}"
    );
    let (length, chunked) = (only("content-length"), only("transfer-encoding"));
    assert!(length.is_none() || chunked.is_none(), "{heard:?}");
    let upgrade = only("upgrade");
    assert_eq!(only("connection").is_some(), upgrade.is_some(), "{heard:?}");
    let is_h2c = |it: &str| it.trim().eq_ignore_ascii_case("h2c");
    assert!(upgrade.is_none_or(|it| !it.split([',', '/']).any(is_h2c)));
    assert!(only("expect").is_none_or(|it| it == "100-continue"));
    const OURS: [&str; 11] = [
        "host",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "connection",
        "expect",
        "",
    ];
    let is_theirs = |field: &&Field| !OURS.contains(&&*field.0);
    for field in heard.fields.iter().filter(is_theirs) {
        assert!(sent.fields.contains(field), "{field:?}");
        assert!(!is_ours_to_say(&field.0), "{field:?}");
        ends_elsewhere(sent, field);
    }
    trailers(&sent.trailers, &heard.trailers);
}

fn trailers(theirs: &[Field], passed: &[Field]) {
    for field in passed {
        assert!(
            theirs.contains(field) && !is_ours_to_say(&field.0),
            "{field:?}"
        );
        let decides = ["content-length", "transfer-encoding", "host", "connection"];
        assert!(!decides.contains(&&*field.0), "{field:?}");
    }
}

/// Fields by which backends would know the client.
fn is_ours_to_say(name: &str) -> bool {
    let names = [
        "forwarded",
        "x-forwarded",
        "x-real-ip",
        "client-ip",
        "proxy",
    ];
    name.starts_with("x-forwarded-") || names.contains(&name)
}

/// Not a field of one hop.
fn ends_elsewhere(sender: &Message, field: &Field) {
    let hop = ["keep-alive", "proxy-connection", "te"];
    assert!(!hop.contains(&&*field.0), "{field:?}");
    let kept = [
        "cookie",
        "content-encoding",
        "content-type",
        "authorization",
        "cache-control",
    ];
    let is_named = sender.values("connection").any(|value| {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        text.split(',').any(|name| name.trim() == field.0)
    });
    assert!(!is_named || kept.contains(&&*field.0), "{field:?}");
}

/// What the client has got, held against what backends have said; and a page of ours behind it.
fn got(case: &Case<'_>, found: &Found, sent: &[Message]) -> (Vec<Message>, Vec<u8>) {
    let mut rest = &*found.got;
    let mut all: Vec<Message> = Vec::new();
    let is_cut = found.end == Some(Progress::Abort);
    for (asked, sent) in found.asked.iter().zip(sent) {
        let kind = Kind::Response {
            method: sent.method(),
            ended: !is_cut,
        };
        let (interim, answer_found) = answer(rest, kind, true);
        let length: usize = interim.iter().map(|it| it.length).sum();
        assert!(interim.is_empty() || !sent.is_old());
        all.extend(interim.into_iter().map(compared));
        rest = &rest[length..];
        let is_page = is_page(rest, &[400, 408, 413, 502, 504]) || rest.is_empty();
        let Some(message) = answer_found.filter(|_| !is_page) else {
            assert!(
                asked.answered.is_none() && is_page,
                "{:?}",
                rest.escape_ascii().to_string()
            );
            return (all, rest.to_vec());
        };
        rest = &rest[message.length..];
        let (index, from) = *asked.ways.last().expect("a connection");
        let connection = &found.connections[index];
        let upgraded = asked.answered.is_none() && found.end == Some(Progress::Upgrade);
        let to = match asked.answered {
            Some((to, _)) => to,
            None if upgraded => connection.taken,
            None => connection.come,
        };
        let said = &connection.said[from..to];
        // A connection's end counts, but for a reset.
        let ended = connection.end_come && !connection.lost && to == connection.said.len();
        let kind = Kind::Response {
            method: sent.method(),
            ended,
        };
        let whole = asked.answered.is_some();
        let (before, theirs) = answer(said, kind, whole);
        let theirs = theirs.expect("an answer");
        let length = before.iter().map(|it| it.length).sum::<usize>() + theirs.length;
        let is_whole = whole || upgraded;
        assert!(
            !is_whole || theirs.whole && length == said.len(),
            "{theirs:?}"
        );
        assert_eq!(message.status(), theirs.status());
        assert_eq!(message.words[0], "HTTP/1.1");
        match whole {
            true => assert!(
                message.whole && message.content == theirs.content,
                "{message:?}"
            ),
            false => assert!(theirs.content.starts_with(&message.content), "{message:?}"),
        }
        if upgraded {
            assert!(message.status() == 101 && sent.values("upgrade").count() == 1);
            assert_eq!(asked.start + sent.length, found.taken, "{sent:?}");
        }
        same_fields(case, &theirs, &message);
        let closes = message.values("connection").any(|value| value == b"close");
        assert!(message.delimited || closes, "{message:?}");
        let is_over = !closes || rest.is_empty() && asked.start == last(found);
        assert!(
            is_over,
            "behind the last: {:?}",
            rest.escape_ascii().to_string()
        );
        all.push(compared(message));
    }
    let statuses = [400, 405, 408, 413, 417, 431, 505];
    assert!(
        rest.is_empty() || is_page(rest, &statuses),
        "{:?}",
        rest.escape_ascii().to_string()
    );
    (all, rest.to_vec())
}

fn last(found: &Found) -> usize {
    found.asked.last().map_or(0, |asked| asked.start)
}

/// The interim answers, and the answer if its head is there.
fn answer(bytes: &[u8], kind: Kind<'_>, whole: bool) -> (Vec<Message>, Option<Message>) {
    let mut interim = Vec::new();
    let mut at = 0;
    while let Some(message) = agreed(&bytes[at..], kind, &MANNERS, whole) {
        if message.status() >= 200 || message.status() == 101 {
            return (interim, Some(message));
        }
        at += message.length;
        interim.push(message);
    }
    (interim, None)
}

/// An answer's fields as the backend said them, and as the client has got them.
fn same_fields(case: &Case<'_>, said: &Message, got: &Message) {
    const OURS: [&str; 5] = [
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "strict-transport-security",
    ];
    for field in &got.fields {
        let is_theirs = said.fields.contains(field);
        assert!(is_theirs || OURS.contains(&&*field.0), "{field:?}");
        if !OURS.contains(&&*field.0) {
            ends_elsewhere(said, field);
        }
    }
    for name in OURS {
        let is_ours = name != "strict-transport-security" || case.options.extra.is_some();
        assert!(got.values(name).count() < 2 || !is_ours, "{got:?}");
    }
    if case.options.extra.is_some() && got.status() != 101 {
        let value = got.values("strict-transport-security").next();
        assert_eq!(value, Some(EXTRA.1.as_bytes()), "{got:?}");
    }
    trailers(&said.trailers, &got.trailers);
}

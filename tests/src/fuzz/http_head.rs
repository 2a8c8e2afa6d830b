//! Requests in the clear.

use stockade_tunnel::hosting::Token;
use stockade_tunnel::hosting::http::{Answer, Answers, MAX_HEAD, Status};

/// 2026-11-22 07:00:00 UTC.
const NOW: u64 = 1_795_330_800;

/// Most bytes of an answer: a head whose every byte is written as three, and its own fields.
const LONGEST: usize = 3 * MAX_HEAD + 512;

/// What a client sends to where HTTP is answered in the clear.
///
/// Checked: a full head is answered whatever it is, and what is answered depends neither on how it
/// arrives nor on what follows; an answer is bounded, has the fields that it is to have and no others,
/// and ends where it says; a location is a URI at https, so that nothing of the client's ends a line.
pub fn http_head(bytes: &[u8]) {
    let (port, head) = match bytes.split_first() {
        Some((choice, head)) => (443 + u16::from(*choice & 1), head),
        None => (443, bytes),
    };
    let token = Token {
        token: "one".into(),
        authorization: "one.thumbprint".into(),
    };
    let answers = Answers {
        tokens: vec![token],
        https_port: port,
    };
    let found = answers.answer(head, NOW);
    assert!(found.is_some() || head.len() < MAX_HEAD, "it waits");
    // Only some beginnings of long ones.
    let step = 1 + head.len() / 128;
    let mut first = None;
    for length in (0..head.len()).step_by(step) {
        match answers.answer(&head[..length], NOW) {
            None => assert_eq!(first, None, "it waits after all"),
            Some(answer) => first = first.or(Some(answer)),
        }
    }
    if first.is_some() {
        assert_eq!(first, found, "cut differently");
    }
    if let Some(answer) = &found {
        check(answer, port);
    }
}

fn check(answer: &Answer, port: u16) {
    assert!(answer.bytes.len() <= LONGEST, "{}", answer.bytes.len());
    let text = std::str::from_utf8(&answer.bytes).expect("text");
    assert!(text.is_ascii());
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().expect("a line");
    assert_eq!(status, format!("HTTP/1.1 {}", answer.status));
    let fields: Vec<(&str, &str)> = lines
        .map(|line| {
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            line.split_once(": ").expect("a field")
        })
        .collect();
    let value = |name: &str| {
        let mut values = fields.iter().filter(|(field, _)| *field == name);
        let value = values.next().map(|(_, value)| *value);
        assert!(values.next().is_none(), "{name} twice");
        value
    };
    let own = match answer.status {
        Status::MovedPermanently | Status::PermanentRedirect => {
            location(value("Location").expect("a location"), port);
            assert_eq!(body, "");
            1
        }
        Status::MethodNotAllowed => 2,
        _ => 1,
    };
    assert_eq!(fields.len(), 3 + own, "{fields:?}");
    assert_eq!(value("Date"), Some("Sun, 22 Nov 2026 07:00:00 GMT"));
    assert_eq!(value("Connection"), Some("close"));
    let length: usize = value("Content-Length")
        .expect("a length")
        .parse()
        .expect("a number");
    assert!(body.is_empty() || body.len() == length, "{body:?}");
    if answer.status == Status::Ok {
        assert!(["", "one.thumbprint"].contains(&body));
    }
}

/// RFC 3986: scheme, a host and perhaps the port, and a path.
fn location(uri: &str, port: u16) {
    let rest = uri.strip_prefix("https://").expect("https");
    let (authority, path) = rest.split_at(rest.find('/').expect("a path"));
    let host = match port {
        443 => authority,
        _ => authority
            .strip_suffix(&format!(":{port}"))
            .expect("the port"),
    };
    let stands = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    assert!(!host.is_empty() && host.chars().all(stands), "{host:?}");
    assert_eq!(host.contains(':'), host.starts_with('['), "{host:?}");
    let stands = |c: char| c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c);
    assert!(path.chars().all(stands), "{path:?}");
}

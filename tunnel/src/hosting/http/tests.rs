//! Requests, and what they are answered.

use alloc::{format, string::String, vec, vec::Vec};

use net::StreamError;

use super::*;
use crate::{
    dialect,
    relay::{Scratch, Stream},
    session::{
        SessionError,
        tests::pipe::{End, pipe},
    },
};

/// Sun, 22 Nov 2026 07:00:00 GMT.
const NOW: u64 = 1_795_330_800;

fn answers(https_port: u16) -> Answers {
    let token = |name: &str| Token {
        token: name.into(),
        authorization: format!("{name}.thumbprint"),
    };
    Answers {
        tokens: vec![token("one"), token("two-_2")],
        https_port,
    }
}

fn answer(request: &[u8]) -> Option<String> {
    let answer = answers(443).answer(request, NOW)?;
    Some(String::from_utf8(answer.bytes).unwrap())
}

/// A request's status line, its `Location` where it has one, and the body.
fn check(request: &str, expected: (u16, &str, &str)) {
    let whole = answer(request.as_bytes()).unwrap_or_else(|| panic!("no answer: {request:?}"));
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!((status, location, body), expected, "{request:?}");
}

/// The same of a request's first line, for `www.example.org`.
fn check_line(line: &str, expected: (u16, &str, &str)) {
    let request = format!("{line}\r\nHost: www.example.org\r\n\r\n");
    check(&request, expected);
}

fn moved(location: &str) -> (u16, &str, &'static str) {
    (301, location, "")
}

const BAD: (u16, &str, &str) = (400, "", "Bad Request\n");

#[test]
fn every_field_of_an_answer_is_there() {
    let whole = answer(b"GET /a HTTP/1.1\r\nHost: b.example:80\r\n\r\n").unwrap();
    assert_eq!(
        whole,
        "HTTP/1.1 301 Moved Permanently\r\nDate: Sun, 22 Nov 2026 07:00:00 GMT\r\n\
         Location: https://b.example/a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let challenge = b"GET /.well-known/acme-challenge/one HTTP/1.1\r\nHost: b.example\r\n\r\n";
    assert_eq!(
        answer(challenge).unwrap(),
        "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 07:00:00 GMT\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: 14\r\nConnection: close\r\n\r\n\
         one.thumbprint"
    );
    // RFC 9110 §9.3.2: all but the content.
    let head = [b"HEAD", &challenge[3..]].concat();
    let (with, without) = (answer(challenge).unwrap(), answer(&head).unwrap());
    assert_eq!(with.strip_suffix("one.thumbprint"), Some(&*without));
}

#[test]
fn challenges_are_answered_to_whoever_reads_them() {
    let there = |token: &str, status| {
        let line = format!("GET /.well-known/acme-challenge/{token} HTTP/1.1");
        let body = match status {
            200 => format!("{}.thumbprint", token.split('?').next().unwrap()),
            _ => "Not Found\n".into(),
        };
        check_line(&line, (status, "", &body));
    };
    there("one", 200);
    there("two-_2", 200);
    there("one?x=y", 200);
    for unknown in ["", "three", "on", "onee", "one/", "ONE", "%6fne", "../one"] {
        there(unknown, 404);
    }
    let path = "/.well-known/acme-challenge/one";
    let body = "Method Not Allowed\n";
    check_line(&format!("POST {path} HTTP/1.1"), (405, "", body));
    check_line(
        &format!("GET http://x{path} HTTP/1.1"),
        (200, "", "one.thumbprint"),
    );
    // An old client need not say whom it means, and for this nobody has to know.
    check(
        &format!("GET {path} HTTP/1.0\r\n\r\n"),
        (200, "", "one.thumbprint"),
    );
    check(&format!("GET {path} HTTP/1.1\r\n\r\n"), BAD);
    check_line(
        "GET /.well-known/acme-challenge HTTP/1.1",
        moved("https://www.example.org/.well-known/acme-challenge"),
    );
}

#[test]
fn everything_else_is_sent_to_https() {
    check_line("GET / HTTP/1.1", moved("https://www.example.org/"));
    check_line("HEAD / HTTP/1.1", moved("https://www.example.org/"));
    check_line(
        "GET /a/b?c=d&e=%20%0d HTTP/1.1",
        moved("https://www.example.org/a/b?c=d&e=%20%0d"),
    );
    check_line(
        "GET //elsewhere HTTP/1.1",
        moved("https://www.example.org//elsewhere"),
    );
    // What may not stand in a URI is written by its number.
    check_line("GET /a|b HTTP/1.1", moved("https://www.example.org/a%7Cb"));
    check_line(
        "GET /\u{e9} HTTP/1.1",
        moved("https://www.example.org/%C3%A9"),
    );
    // Others than GET and HEAD stay what they are (RFC 9110 §15.4.9).
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        let line = format!("{method} /x HTTP/1.1");
        check_line(&line, (308, "https://www.example.org/x", ""));
    }
    let post = "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody";
    check(post, (308, "https://a.example/x", ""));
    for (target, location) in [
        ("http://a.example/x?y", "https://a.example/x?y"),
        ("HTTP://a.example:80/", "https://a.example/"),
        ("https://a.example", "https://a.example/"),
        ("http://a.example?y", "https://a.example/?y"),
    ] {
        check_line(&format!("GET {target} HTTP/1.1"), moved(location));
        check(&format!("GET {target} HTTP/1.0\r\n\r\n"), moved(location));
    }
}

#[test]
fn the_host_is_what_the_client_says_without_its_port() {
    let host = |field: &str, expected: Option<&str>| {
        let request = format!("GET /x HTTP/1.1\r\nHost: {field}\r\n\r\n");
        match expected {
            Some(host) => check(&request, moved(&format!("https://{host}/x"))),
            None => check(&request, BAD),
        }
    };
    host("a.example", Some("a.example"));
    host("A.Example:8080", Some("A.Example"));
    host("a.example:", Some("a.example"));
    host("a.example.", Some("a.example"));
    host("a.example.:80", Some("a.example"));
    host("10.0.0.1:80", Some("10.0.0.1"));
    host("[2001:db8::1]:80", Some("[2001:db8::1]"));
    host("[2001:db8::1]", Some("[2001:db8::1]"));
    host("my_host", Some("my_host"));
    for wrong in [
        "",
        ".",
        ":80",
        "a..b",
        "a b",
        "a,b",
        "a/b",
        "a@b",
        "user@a.example",
        "a.example:x",
        "a.example:99999",
        "a.example:+8",
        "a.example:80:80",
        "[::1",
        "::1",
        "[::1]x",
        "[x]",
        "]",
        "a%0d%0ab",
        "a\tb",
        "\u{e9}.example",
        "a?b",
        "a#b",
        "a\\b",
        "<a>",
    ] {
        host(wrong, None);
    }
    host(&"a".repeat(301), None);
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BAD);
    check("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", BAD);
    check("GET / HTTP/1.1\r\n\r\n", BAD);
    check("GET / HTTP/1.0\r\n\r\n", BAD);
    check("GET http://a.example/ HTTP/1.1\r\n\r\n", BAD);
}

#[test]
fn other_ports_than_https_s_own_are_named() {
    let request = b"GET /x HTTP/1.1\r\nHost: a.example:80\r\n\r\n";
    let answer = answers(8443).answer(request, NOW).unwrap();
    let text = String::from_utf8(answer.bytes).unwrap();
    assert!(
        text.contains("Location: https://a.example:8443/x\r\n"),
        "{text}"
    );
    assert_eq!(answer.status, Status::MovedPermanently);
    assert_eq!(answer.asked, "/x");
}

#[test]
fn malformed_requests_are_refused() {
    for wrong in [
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        "G\u{7}T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
    ] {
        check(wrong, BAD);
    }
    for target in [
        "*",
        "a.example:443",
        "x",
        "ftp://a.example/",
        "/a#b",
        "http:///x",
        "://a/",
        "http://u@a/",
    ] {
        check_line(&format!("OPTIONS {target} HTTP/1.1"), BAD);
    }
}

#[test]
fn no_head_is_too_long_for_an_answer() {
    let long = (431, "", "Request Header Fields Too Large\n");
    let field = "X-Padding: y\r\n";
    let many = |count| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", field.repeat(count));
    check(&many(MAX_FIELDS - 1), moved("https://a/"));
    check(&many(MAX_FIELDS), long);
    let padded = |length: usize| {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{head}{}\r\n\r\n", "y".repeat(length - head.len() - 4))
    };
    check(&padded(MAX_HEAD), moved("https://a/"));
    check(&padded(MAX_HEAD + 1), long);
    check(&format!("GET /{}", "y".repeat(MAX_HEAD)), long);
    // The longest that there is.
    let target = "\u{e9}".repeat((MAX_HEAD - 30) / 2);
    let request = format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n");
    check(
        &request,
        moved(&format!(
            "https://a/{}",
            "%C3%A9".repeat((MAX_HEAD - 30) / 2)
        )),
    );
}

#[test]
fn a_head_is_waited_for_byte_by_byte() {
    let request = b"\r\nGET /x HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n";
    for length in 0..request.len() {
        assert_eq!(answer(&request[..length]), None, "{length}");
    }
    assert!(answer(request).is_some());
    assert!(answer(b"GET /x HTTP/1.1\nHost: a.example\n\n").is_some());
}

/// A client's end and ours, with buffers of `capacity` bytes.
fn pair(capacity: usize) -> (End, End, Responder, Scratch) {
    let (client, own) = pipe(capacity);
    (client, own, Responder::default(), Scratch::new())
}

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[test]
fn a_request_in_pieces_is_answered_once_and_the_rest_passed_over() {
    let (mut client, mut own, mut responder, mut scratch) = pair(1000);
    let answers = answers(443);
    for byte in GET {
        assert_eq!(
            responder.poll(&mut own, &answers, &mut scratch, NOW),
            Turn::Wait
        );
        client.send(&[*byte]);
    }
    client.send(GET);
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::Answered
    );
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::End(Ok(()))
    );
    let received = client.read_all();
    assert_eq!(received.len(), responder.sent());
    assert!(received.starts_with(b"HTTP/1.1 301 "));
    assert!(client.peer_finished() && own.recv_len() == 0);
}

#[test]
fn an_answer_waits_for_room() {
    let (mut client, mut own, mut responder, mut scratch) = pair(120);
    let answers = answers(443);
    client.send(GET);
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::Answered
    );
    let mut received = Vec::new();
    let mut turns = 0;
    loop {
        let turn = responder.poll(&mut own, &answers, &mut scratch, NOW);
        received.extend(client.read_all());
        turns += 1;
        // Goes on talking meanwhile.
        client.send(GET);
        match turn {
            Turn::Wait => assert!(turns < 10 && !client.peer_finished()),
            turn => break assert_eq!(turn, Turn::End(Ok(()))),
        }
    }
    assert!(turns > 1);
    assert!(received.ends_with(b"Connection: close\r\n\r\n"));
}

#[test]
fn half_closed_clients_are_answered_and_others_that_leave_are_not() {
    let answers = answers(443);
    let (mut client, mut own, mut responder, mut scratch) = pair(1000);
    client.send(GET);
    client.finish();
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::Answered
    );
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::End(Ok(()))
    );
    assert!(!client.read_all().is_empty());

    let (mut client, mut own, mut responder, mut scratch) = pair(1000);
    client.finish();
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::End(Ok(()))
    );

    let (mut client, mut own, mut responder, mut scratch) = pair(1000);
    client.send(&GET[..10]);
    client.finish();
    let left = SessionError::NegotiationAbandoned(dialect::End::Client);
    assert_eq!(
        responder.poll(&mut own, &answers, &mut scratch, NOW),
        Turn::End(Err(left))
    );
    assert!(client.peer_finished() && client.read_all().is_empty());

    for is_answered in [false, true] {
        let (mut client, mut own, mut responder, mut scratch) = pair(1000);
        client.send(if is_answered { GET } else { &GET[..10] });
        responder.poll(&mut own, &answers, &mut scratch, NOW);
        client.reset();
        let lost = SessionError::PlainEndLost(StreamError::Reset);
        assert_eq!(
            responder.poll(&mut own, &answers, &mut scratch, NOW),
            Turn::End(Err(lost))
        );
    }
}

//! What clients send, and what backends get of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Client, Framing, Refusal, Request, request};

fn client() -> Client<'static> {
    Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: Some("tls.example"),
    }
}

fn carried(head: &str) -> (Request, String) {
    let mut out = Vec::new();
    let found = request(head.as_bytes(), &client(), &mut out);
    let found = found.unwrap().unwrap();
    (found, String::from_utf8(out).unwrap())
}

fn refused(head: &[u8]) -> Refusal {
    let mut out = Vec::new();
    let refusal = request(head, &client(), &mut out).expect_err(&head.escape_ascii().to_string());
    assert!(out.is_empty());
    refusal
}

/// The fields of the backend's head, but for ours.
fn rest(head: &str) -> String {
    let (_, text) = carried(head);
    let theirs = |line: &&str| !line.starts_with("X-Forwarded-") && !line.starts_with("Forwarded");
    let lines: Vec<&str> = text.trim_end().split("\r\n").filter(theirs).collect();
    lines.join("|")
}

#[test]
fn a_head_is_written_anew() {
    let (found, text) =
        carried("GET /a?b HTTP/1.1\r\naccept:  x \r\nHOST: Www.Example.org:443\r\n\r\nrest of it");
    assert_eq!(
        text,
        "GET /a?b HTTP/1.1\r\nHost: Www.Example.org:443\r\naccept: x\r\n\
         X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: Www.Example.org:443\r\n\
         Forwarded: for=192.0.2.7;proto=https;host=\"Www.Example.org:443\"\r\n\r\n"
    );
    assert_eq!(found.host.as_deref(), Some("www.example.org"));
    assert_eq!(found.framing, Framing::None);
    assert!(found.keep_alive && found.may_repeat && !found.is_head && !found.may_upgrade);
    assert_eq!(found.length, 61);
}

#[test]
fn hosts_are_found_in_every_form() {
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n", "a.example"),
        ("GET / HTTP/1.1\r\nHost: A:\r\n\r\n", "a"),
        (
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n",
            "[2001:db8::1]",
        ),
        ("GET / HTTP/1.1\r\nHost: 192.0.2.1:1\r\n\r\n", "192.0.2.1"),
        ("GET / HTTP/1.0\r\n\r\n", "tls.example"),
        ("GET / HTTP/1.0\r\nHost: b\r\n\r\n", "b"),
        ("GET http://c/ HTTP/1.0\r\n\r\n", "c"),
        ("GET https://D:1/x HTTP/1.1\r\nHost: d:1\r\n\r\n", "d"),
    ] {
        let (found, text) = carried(head);
        assert_eq!(found.host.as_deref(), Some(expected), "{head}");
        assert!(text.contains("\r\nHost: "), "{text}");
    }
}

#[test]
fn absolute_targets_become_paths() {
    for (target, expected) in [
        ("http://a/b?c", "/b?c"),
        ("HTTPS://a", "/"),
        ("https://a/", "/"),
        ("/http://a/", "/http://a/"),
    ] {
        let head = alloc::format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let line = alloc::format!("GET {expected} HTTP/1.1|Host: a");
        assert_eq!(rest(&head), line);
    }
    assert_eq!(
        rest("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        "OPTIONS * HTTP/1.1|Host: a"
    );
    assert_eq!(
        rest("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        "OPTIONS * HTTP/1.1|Host: a"
    );
}

#[test]
fn other_refusals_have_statuses_of_their_own() {
    let many = "A: b\r\n".repeat(crate::MAX_FIELDS);
    let long = "a".repeat(crate::MAX_HEAD);
    for (head, status) in [
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_string(), 405),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_string(), 405),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n".to_string(),
            417,
        ),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_string(), 505),
        (
            alloc::format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            431,
        ),
        (
            alloc::format!("GET / HTTP/1.1\r\nHost: a\r\nA: {long}\r\n\r\n"),
            431,
        ),
    ] {
        assert_eq!(refused(head.as_bytes()).status(), status);
    }
}

#[test]
fn a_head_counts_once_it_is_whole_wherever_it_was_cut() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    for end in 0..head.len() {
        let mut out = Vec::new();
        let found = request(&head.as_bytes()[..end], &client(), &mut out);
        assert_eq!(found, Ok(None));
        assert!(out.is_empty());
    }
    assert_eq!(carried(head).0.framing, Framing::Length(3));
}

#[test]
fn what_the_client_says_of_itself_goes() {
    let text = rest(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1\r\nx-forwarded-proto: http\r\n\
         X-Forwarded-Anything: x\r\nForwarded: for=1\r\nX-Real-IP: 1\r\nX_Forwarded_For: 1\r\n\
         Content_Length: 5\r\nX-Mine: y\r\nX.Forwarded.For: 1\r\nClient-IP: 1\r\n\
         X-Client-IP: 1\r\nTrue-Client-IP: 1\r\nX-Forwarded: for=1\r\nProxy: http://x/\r\n\r\n",
    );
    assert_eq!(text, "GET / HTTP/1.1|Host: a|X-Mine: y");
}

#[test]
fn fields_of_this_hop_end_here() {
    let text = rest(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-mine, host, Close\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Mine: y\r\nX-Other: z\r\n\r\n",
    );
    assert_eq!(text, "GET / HTTP/1.1|Host: a|X-Other: z");
}

#[test]
fn connections_are_kept_as_their_version_says() {
    for (line, expected) in [
        ("HTTP/1.1\r\nHost: a", true),
        ("HTTP/1.1\r\nHost: a\r\nConnection: close", false),
        (
            "HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close",
            false,
        ),
        ("HTTP/1.0", false),
        ("HTTP/1.0\r\nConnection: Keep-Alive", true),
    ] {
        let (found, _) = carried(&alloc::format!("GET / {line}\r\n\r\n"));
        assert_eq!(found.keep_alive, expected, "{line}");
    }
}

#[test]
fn a_websocket_may_be_upgraded_to_and_http_2_in_the_clear_may_not() {
    let head = |fields: &str| alloc::format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let text = head(
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    );
    assert!(carried(&text).0.may_upgrade);
    assert_eq!(
        rest(&text),
        "GET / HTTP/1.1|Host: a|Sec-WebSocket-Version: 13|Connection: upgrade|Upgrade: websocket"
    );
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
    ] {
        let (found, text) = carried(&head(fields));
        assert!(
            !found.may_upgrade && !text.to_lowercase().contains("upgrade:"),
            "{text}"
        );
        assert!(!text.to_lowercase().contains("http2-settings"), "{text}");
    }
}

#[test]
fn an_expectation_is_passed_on_to_those_who_know_it() {
    let head = |version: &str| {
        alloc::format!(
            "PUT / {version}\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"
        )
    };
    let (found, text) = carried(&head("HTTP/1.1"));
    assert!(found.expects_continue && text.contains("Expect: 100-continue\r\n"));
    // Nobody waits where nothing comes.
    let none = head("HTTP/1.1").replace("Length: 1", "Length: 0");
    assert!(!carried(&none).0.expects_continue && !carried(&none).1.contains("Expect"));
    let (found, text) = carried(&head("HTTP/1.0"));
    assert!(!found.expects_continue && !text.contains("Expect"));
}

#[test]
fn an_old_client_that_names_no_host_anywhere_gets_an_empty_one() {
    let client = Client {
        server_name: None,
        ..client()
    };
    let mut out = Vec::new();
    let found = request(b"GET / HTTP/1.0\r\n\r\n", &client, &mut out);
    assert_eq!(found.unwrap().unwrap().host, None);
    assert!(out.starts_with(b"GET / HTTP/1.1\r\nHost: \r\n"));
}

#[test]
fn what_says_who_may_see_a_message_is_not_taken_away() {
    let text = rest(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: host, Cookie, authorization, x-forwarded-for\r\n\
         Cookie: c\r\nAuthorization: d\r\n\r\n",
    );
    assert_eq!(text, "GET / HTTP/1.1|Host: a|Cookie: c|Authorization: d");
}

#[test]
fn a_client_of_ipv6_is_told_as_the_standard_says() {
    let client = Client {
        address: "2001:db8::7".parse().unwrap(),
        server_name: None,
    };
    let mut out = Vec::new();
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    request(head, &client, &mut out).unwrap().unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("X-Forwarded-For: 2001:db8::7\r\n"), "{text}");
    assert!(
        text.contains("Forwarded: for=\"[2001:db8::7]\";proto=https;host=a\r\n"),
        "{text}"
    );
}

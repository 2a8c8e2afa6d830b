//! What backends answer, and what clients get of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Client, Framing, Request, Response, request, response};

fn asked(head: &str) -> Request {
    let client = Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: None,
    };
    let found = request(head.as_bytes(), &client, &mut Vec::new());
    found.unwrap().unwrap()
}

fn get() -> Request {
    asked("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn old() -> Request {
    asked("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
}

fn carried(request: &Request, head: &str) -> (Response, String) {
    let mut out = Vec::new();
    let found = response(head.as_bytes(), request, false, None, &mut out);
    (found.unwrap().unwrap(), String::from_utf8(out).unwrap())
}

#[test]
fn lengths_are_understood_and_told_anew() {
    for (request, head, framing, to_client, text) in [
        (
            get(),
            "HTTP/1.1 200 OK\r\nContent-Length:  3\r\nA: b\r\n\r\n",
            Framing::Length(3),
            Framing::Length(3),
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n",
        ),
        (
            get(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            Framing::Chunked,
            Framing::Chunked,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            get(),
            "HTTP/1.0 200 OK\r\n\r\n",
            Framing::UntilClose,
            Framing::Chunked,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            old(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Framing::Chunked,
            Framing::UntilClose,
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        ),
        (
            old(),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
            Framing::Length(1),
            Framing::Length(1),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
        ),
        (
            asked("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
            Framing::None,
            Framing::None,
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        ),
        (
            get(),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n",
            Framing::None,
            Framing::None,
            "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 7\r\n\r\n",
        ),
        (
            get(),
            "HTTP/1.1 204 No Content\r\n\r\n",
            Framing::None,
            Framing::None,
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
    ] {
        let (found, written) = carried(&request, head);
        assert_eq!(
            (found.framing, found.to_client),
            (framing, to_client),
            "{head}"
        );
        assert_eq!(written, text);
    }
}

#[test]
fn both_connections_are_kept_where_both_sides_can() {
    for (request, head, backend, client) in [
        (
            get(),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
            true,
            true,
        ),
        (
            get(),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
            false,
            true,
        ),
        (
            get(),
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            false,
            true,
        ),
        (get(), "HTTP/1.1 200 OK\r\n\r\n", false, true),
        // They have no body; but who says so may send one.
        (
            get(),
            "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
            false,
            true,
        ),
        (
            get(),
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            true,
            true,
        ),
        (
            old(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            true,
            false,
        ),
        (
            asked("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
            true,
            false,
        ),
    ] {
        let (found, text) = carried(&request, head);
        assert_eq!(
            (found.keep_alive, found.client_keep_alive),
            (backend, client),
            "{head}"
        );
        assert_eq!(text.contains("Connection: close"), !client, "{text}");
    }
    let mut out = Vec::new();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
    let found = response(head, &get(), true, None, &mut out)
        .unwrap()
        .unwrap();
    assert!(!found.client_keep_alive && found.keep_alive);
}

#[test]
fn interim_answers_go_to_those_who_know_them() {
    let (found, text) = carried(&get(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(found.is_interim && found.client_keep_alive);
    assert_eq!(text, "HTTP/1.1 100 Continue\r\n\r\n");
    let (found, text) = carried(&old(), "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    assert!(found.is_interim && text.is_empty());
}

#[test]
fn another_protocol_comes_only_where_it_was_asked_for() {
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let upgrade =
        asked("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let (found, text) = carried(&upgrade, head);
    assert!(found.is_upgrade && !found.is_interim && !found.keep_alive);
    assert!(text.contains("Connection: upgrade\r\n") && text.contains("Upgrade: websocket\r\n"));
    let refused = |request: &Request, head: &str| {
        response(head.as_bytes(), request, false, None, &mut Vec::new()).is_err()
    };
    assert!(refused(&get(), head));
    let two = head.replace("\r\nUpgrade", "\r\nUpgrade: x\r\nUpgrade");
    let none = head.replace("\r\nUpgrade", "\r\nX-Upgrade");
    assert!(refused(&upgrade, &two) && refused(&upgrade, &none));
}

#[test]
fn a_field_more_takes_the_place_of_the_backend_s() {
    let mut out = Vec::new();
    let extra = Some(("Strict-Transport-Security", "max-age=1"));
    let head =
        b"HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=0\r\nContent-Length: 0\r\n\r\n";
    response(head, &get(), false, extra, &mut out)
        .unwrap()
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\r\nStrict-Transport-Security: max-age=1\r\n"));
    assert!(!text.contains("max-age=0"));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 099 Odd\r\n\r\n",
        "HTTP/1.1 600 Odd\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    ] {
        let mut out = Vec::new();
        let found = response(head.as_bytes(), &get(), false, None, &mut out);
        assert!(
            found.is_err() && out.is_empty(),
            "{}",
            head.escape_debug().to_string()
        );
    }
}

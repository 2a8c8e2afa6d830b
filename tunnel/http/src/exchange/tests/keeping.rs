//! Which connections to backends are kept, and what else must not go wrong with them.

use alloc::vec;

use super::*;
use crate::exchange::carried::MAX_INTERIM;

const ABOUT: Client<'static> = Client {
    address: core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)),
    server_name: None,
};

/// An exchange whose request these bytes begin with, the turn that took it, and what its backend is to
/// get; `reused`: by a connection that was kept.
fn asked(client: &[u8], reused: bool) -> (Exchange, Turn, Vec<u8>) {
    let mut exchange = Exchange::new(Options::default());
    let (mut said, mut waiting) = (Vec::new(), Vec::new());
    let client = View {
        bytes: client,
        ..View::default()
    };
    let turn = exchange.poll(&ABOUT, client, None, &mut said, &mut waiting);
    exchange.connected(reused, &mut waiting);
    assert!(said.is_empty());
    (exchange, turn, waiting)
}

/// A request of `client` that is answered at once, while its backend takes `heard` bytes of it.
fn answered_early(client: &[u8], heard: usize) -> (Turn, Vec<u8>) {
    let (mut exchange, head, mut waiting) = asked(client, false);
    let mut said = Vec::new();
    let view = |bytes| View {
        bytes,
        ..View::default()
    };
    let body = &client[head.client..];
    let silent = Some(View::default());
    let turn = exchange.poll(&ABOUT, view(body), silent, &mut said, &mut waiting);
    assert_eq!(turn.client, body.len());
    waiting.drain(..heard.min(waiting.len()));
    let backend = Some(view(OK.as_bytes()));
    let turn = exchange.poll(&ABOUT, view(b""), backend, &mut said, &mut waiting);
    assert_eq!(said, OK.as_bytes());
    (turn, waiting)
}

#[test]
fn a_backend_that_has_not_heard_all_of_a_request_is_not_kept_and_no_other_one_hears_the_rest() {
    let client =
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\nGET /smuggled HTTP/1.1\r\n";
    for (heard, keep) in [(0, false), (100, false), (1 << 20, true)] {
        let (turn, waiting) = answered_early(client, heard);
        assert_eq!(turn.progress, Progress::Release { keep }, "{heard}");
        assert!(waiting.is_empty(), "{heard}");
    }
}

#[test]
fn a_backend_that_may_not_look_for_a_body_is_not_kept_behind_it() {
    for (line, keep) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            false,
        ),
        (
            "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            true,
        ),
    ] {
        let (turn, _) = answered_early(line.as_bytes(), 1 << 20);
        assert_eq!(turn.progress, Progress::Release { keep }, "{line}");
    }
}

#[test]
fn a_request_that_is_sent_again_is_sent_once() {
    let (mut exchange, _, mut waiting) = asked(GET.as_bytes(), true);
    let mut said = Vec::new();
    let head = waiting.clone();
    // The kept connection took nothing of it.
    let dead = View {
        ended: true,
        lost: true,
        ..View::default()
    };
    let silent = View::default();
    let turn = exchange.poll(&ABOUT, silent, Some(dead), &mut said, &mut waiting);
    let (host, fresh) = (Some("a".into()), true);
    assert_eq!(turn.progress, Progress::Connect { host, fresh });
    exchange.connected(false, &mut waiting);
    assert_eq!(waiting, head);
}

#[test]
fn a_reset_does_not_complete_an_answer() {
    for (lost, expected) in [
        (true, Progress::Abort),
        (false, Progress::Release { keep: false }),
    ] {
        let (mut exchange, _, mut waiting) = asked(GET.as_bytes(), false);
        let mut said = Vec::new();
        let answer = View {
            bytes: b"HTTP/1.1 200 OK\r\n\r\nhalf",
            ended: true,
            lost,
        };
        let silent = View::default();
        let turn = exchange.poll(&ABOUT, silent, Some(answer), &mut said, &mut waiting);
        assert_eq!(turn.progress, expected);
    }
}

#[test]
fn interim_answers_have_a_bound() {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let most = usize::from(MAX_INTERIM);
    for (count, status) in [(most, "200"), (most + 1, "502")] {
        let answers = interim.repeat(count) + OK;
        let script = says(alloc::boxed::Box::leak(answers.into_boxed_str()));
        let seen = carry(Options::default(), GET, vec![script], 1 << 20);
        let rest = seen.client.trim_start_matches(interim);
        assert!(
            rest.starts_with(&alloc::format!("HTTP/1.1 {status} ")),
            "{rest}"
        );
    }
}

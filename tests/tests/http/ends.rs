//! Ends that are slow, go away, or do what nobody has asked them for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use stockade_tests::client::{TlsStream, reset_on_close};
use stockade_tests::messages::{Length, Wire};
use stockade_tests::pattern::{Hasher, Pattern, Sum};

use crate::rig::{Backend, Rig, expect, expect_cut, expect_end, expect_page, say};

const GET: &str = "GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST: &str = "POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A rig whose client has been answered, and the connection that is kept since.
fn with_kept_backend() -> (Rig, Wire<TlsStream>, Backend) {
    let rig = Rig::new();
    let mut client = rig.client(GET);
    let mut backend = rig.accept();
    backend.hear("GET /first");
    backend.say(OK);
    expect(&mut client, 200, "ok");
    (rig, client, backend)
}

#[test]
fn a_head_in_single_bytes_is_read() {
    let rig = Rig::new();
    let mut client = rig.tunnel.connect();
    for byte in GET.bytes() {
        client.stream().write_all(&[byte]).expect("it is taken");
    }
    let mut backend = rig.accept();
    backend.hear("GET /first");
    for byte in OK.bytes() {
        backend.stream().write_all(&[byte]).expect("it is taken");
    }
    expect(&mut client, 200, "ok");
}

#[test]
fn a_backend_that_does_not_listen_is_a_page() {
    let tunnel = Rig::new().without_listener();
    let mut client = tunnel.client(GET);
    expect_page(&mut client, 502);
}

#[test]
fn a_backend_that_ends_without_a_word_is_a_page() {
    let rig = Rig::new();
    for resets in [false, true] {
        let mut client = rig.client(GET);
        let mut backend = rig.accept();
        backend.hear("GET /first");
        match resets {
            true => backend.reset(),
            false => backend.end(),
        }
        expect_page(&mut client, 502);
    }
}

#[test]
fn a_backend_that_dies_within_its_head_is_a_page() {
    let rig = Rig::new();
    for resets in [false, true] {
        let mut client = rig.client(GET);
        let mut backend = rig.accept();
        backend.hear("GET /first");
        backend.say("HTTP/1.1 200 OK\r\nContent-Le");
        match resets {
            true => backend.reset(),
            false => backend.end(),
        }
        expect_page(&mut client, 502);
    }
}

#[test]
fn what_is_no_answer_is_a_page() {
    let rig = Rig::new();
    for words in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let mut client = rig.client(GET);
        let mut backend = rig.accept();
        backend.hear("GET /first");
        backend.say(words);
        expect_page(&mut client, 502);
        backend.expect_end();
    }
}

/// Each is behind a whole head, and told to the client before the backend dies.
#[test]
fn a_backend_that_dies_within_a_body_cuts_the_client_off() {
    let rig = Rig::new();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, part) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "half"),
        (chunked, ""),
        (chunked, "9\r\nhalf"),
        (chunked, "4\r\nhalf\r\n"),
        (chunked, "4\r\nhalf\r\n0\r\nX-Sum: 1\r\n"),
    ] {
        for resets in [false, true] {
            let mut client = rig.client(GET);
            let mut backend = rig.accept();
            backend.hear("GET /first");
            backend.say(&[head, part].concat());
            let told = client.expect_head().expect("the head is passed on at once");
            assert_eq!(told.status(), 200);
            match resets {
                true => backend.reset(),
                false => backend.end(),
            }
            let length = told.answer_length("GET").expect("one length");
            let mut got = Vec::new();
            let error = client
                .body_into(length, &mut got)
                .expect_err("it is cut off");
            let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(kinds.contains(&error.kind()), "{error}");
            assert!(b"half".starts_with(&got), "{}", got.escape_ascii());
        }
    }
}

/// HTTP/1.0 knows no end but the connection's: that one must not come in order.
#[test]
fn an_old_client_can_tell_that_its_answer_is_cut_off() {
    let rig = Rig::new();
    let mut client = rig.client("GET /first HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let mut backend = rig.accept();
    backend.hear("GET /first");
    backend.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf");
    let head = client.expect_head().expect("the head is passed on at once");
    assert_eq!(head.length().expect("none"), None);
    backend.end();
    assert!(client.body(Length::UntilEnd).is_err(), "it ends in order");
}

#[test]
fn malformed_chunks_of_a_backend_cut_the_client_off() {
    let rig = Rig::new();
    let mut client = rig.client(GET);
    let mut backend = rig.accept();
    backend.hear("GET /first");
    backend.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfXX0\r\n\r\n");
    expect_cut(&mut client);
    backend.expect_end();
}

#[test]
fn a_get_is_repeated_where_a_kept_connection_was_dead() {
    for resets in [false, true] {
        let (rig, mut client, mut backend) = with_kept_backend();
        say(client.stream(), NEXT);
        backend.hear("GET /next");
        match resets {
            true => backend.reset(),
            false => backend.end(),
        }
        let mut other = rig.accept();
        other.hear("GET /next");
        other.say(OK);
        expect(&mut client, 200, "ok");
        // Once, not for ever.
        say(client.stream(), NEXT);
        other.hear("GET /next");
        other.end();
        let mut last = rig.accept();
        last.hear("GET /next");
        last.end();
        expect_page(&mut client, 502);
        assert!(rig.is_left_alone());
    }
}

#[test]
fn a_post_is_not_repeated_where_a_kept_connection_was_dead() {
    let (rig, mut client, mut backend) = with_kept_backend();
    say(client.stream(), POST);
    backend.hear_all("POST /first");
    backend.end();
    expect_page(&mut client, 502);
    assert!(rig.is_left_alone());
}

#[test]
fn a_get_is_not_repeated_once_its_answer_has_begun() {
    let (rig, mut client, mut backend) = with_kept_backend();
    say(client.stream(), NEXT);
    backend.hear("GET /next");
    backend.say("HTTP/1.1 2");
    backend.end();
    expect_page(&mut client, 502);
    assert!(rig.is_left_alone());
}

#[test]
fn a_kept_connection_serves_other_clients_and_is_not_used_once_it_has_ended() {
    let (rig, _first, mut backend) = with_kept_backend();
    let mut second = rig.client(NEXT);
    backend.hear("GET /next");
    backend.say(OK);
    expect(&mut second, 200, "ok");
    assert!(backend.is_quiet());
    backend.end();
    // The tunnel learns of it before the next request comes.
    assert!(rig.is_left_alone());
    let mut third = rig.client(POST);
    let mut other = rig.accept();
    other.hear_all("POST /first");
    other.say(OK);
    expect(&mut third, 200, "ok");
}

#[test]
fn answers_that_nobody_asked_for_reach_nobody() {
    // With the answer before, and after it.
    for together in [true, false] {
        let rig = Rig::new();
        let mut client = rig.client(GET);
        let mut backend = rig.accept();
        backend.hear("GET /first");
        let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        match together {
            true => backend.say(&[OK, unasked].concat()),
            false => backend.say(OK),
        }
        expect(&mut client, 200, "ok");
        if !together {
            backend.say(unasked);
        }
        backend.expect_end();
        say(client.stream(), NEXT);
        let mut other = rig.accept();
        other.hear("GET /next");
        other.say(OK);
        expect(&mut client, 200, "ok");
    }
}

/// A client that goes on sending is told all the same, and what it sends breaks nothing.
#[test]
fn an_early_answer_reaches_a_client_that_uploads() {
    const LENGTH: u64 = 64 << 20;
    let rig = Rig::new();
    let chunked = ("Transfer-Encoding: chunked", "4000000\r\n");
    for (body, begin) in [("Content-Length: 67108864", ""), chunked] {
        let text = format!("POST /first HTTP/1.1\r\nHost: localhost\r\n{body}\r\n\r\n");
        let mut client = rig.client(&text);
        let mut backend = rig.accept();
        backend.hear("POST /first");
        say(client.stream(), begin);
        backend.say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!");
        backend.end();
        // As much as is taken: in the end the tunnel has no more reason to listen.
        let sent = io::copy(&mut Pattern::new(1, LENGTH), client.stream());
        assert!(sent.is_err() || sent.is_ok_and(|sent| sent == LENGTH));
        let head = expect(&mut client, 413, "no!");
        let connection = head.value("Connection").expect("one of them");
        assert_eq!(connection, Some("close"));
    }
}

#[test]
fn an_upload_that_breaks_off_ends_the_backend_s_connection() {
    let rig = Rig::new();
    for (head, part) in [
        ("Content-Length: 9", "half"),
        ("Transfer-Encoding: chunked", "9\r\nhalf"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\n"),
    ] {
        for resets in [false, true] {
            let text = format!("POST /first HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n{part}");
            let mut client = rig.client(&text);
            let mut backend = rig.accept();
            let length = backend.hear("POST /first").length();
            let length = length.expect("one").expect("it has a body");
            match resets {
                true => reset_on_close(client.stream().tcp()),
                // The close_notify alone is enough: the FIN behind it may come too late.
                false => drop(client.stream().finish()),
            }
            drop(client);
            backend
                .body(length)
                .expect_err("no end where there was none");
            // It is no connection for others.
            let mut other = rig.client(NEXT);
            let mut fresh = rig.accept();
            fresh.hear("GET /next");
            fresh.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
            expect(&mut other, 200, "ok");
        }
    }
}

#[test]
fn a_download_that_nobody_reads_any_more_ends_the_backend_s_connection() {
    let rig = Rig::new();
    for resets in [false, true] {
        let mut client = rig.client(GET);
        let mut backend = rig.accept();
        backend.hear("GET /first");
        backend.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegin");
        client.expect_head().expect("it is passed on at once");
        match resets {
            true => reset_on_close(client.stream().tcp()),
            false => drop(client.stream().tcp().shutdown(Shutdown::Both)),
        }
        drop(client);
        let sent = io::copy(&mut Pattern::new(1, 1_000_000_000), backend.stream());
        sent.expect_err("the connection ends long before");
        assert!(rig.is_left_alone());
    }
}

/// What is behind a request for another protocol is that protocol, whatever it looks like.
#[test]
fn requests_behind_an_upgrade_are_not_read_as_such() {
    let upgrade = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
                   Upgrade: websocket\r\n\r\n";
    let rig = Rig::new();
    // The backend changes over.
    let mut client = rig.client(&[upgrade, NEXT].concat());
    let mut backend = rig.accept();
    backend.hear("GET /chat");
    backend
        .say("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nwelcome");
    let head = client.expect_head().expect("the answer");
    assert_eq!(head.status(), 101);
    let mut welcome = Vec::new();
    let read = client.body_into(Length::Bytes(7), &mut welcome);
    read.expect("what the backend said behind it");
    assert_eq!(welcome, b"welcome");
    let mut heard = Vec::new();
    let read = backend.body_into(Length::Bytes(NEXT.len() as u64), &mut heard);
    read.expect("what the client said behind it");
    assert_eq!(heard, NEXT.as_bytes());
    // Each direction ends by itself.
    client.stream().finish().expect("an open socket");
    backend.expect_end();
    backend.say("goodbye");
    backend.end();
    let rest = client.body(Length::UntilEnd).expect("an orderly end");
    assert_eq!(rest.bytes, b"goodbye");

    // The backend does not: they are requests after all.
    let mut client = rig.client(&[upgrade, NEXT].concat());
    let mut backend = rig.accept();
    backend.hear("GET /chat");
    assert!(backend.is_quiet());
    backend.say(OK);
    expect(&mut client, 200, "ok");
    backend.hear("GET /next");
    backend.say(OK);
    expect(&mut client, 200, "ok");
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    const COUNT: usize = 200;
    let rig = Rig::new();
    let all: String = (0..COUNT)
        .map(|index| format!("GET /{index} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .collect();
    let mut client = rig.client(&all);
    let mut backend = rig.accept();
    for index in 0..COUNT {
        backend.hear(&format!("GET /{index} "));
        if index < 3 {
            // One at a time: the next one waits for this one's answer.
            assert!(backend.is_quiet());
        }
        backend.say(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{index:03}"
        ));
    }
    for index in 0..COUNT {
        expect(&mut client, 200, &format!("{index:03}"));
    }
    client.stream().finish().expect("an open socket");
    expect_end(&mut client);
}

#[test]
fn a_client_waits_with_its_body_until_the_backend_wants_it() {
    let rig = Rig::new();
    let head = "POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\
                Expect: 100-continue\r\n\r\n";
    let mut client = rig.client(head);
    let mut backend = rig.accept();
    let heard = backend.hear("POST /first");
    assert_eq!(heard.value("Expect").expect("one"), Some("100-continue"));
    backend.say("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.expect_head().expect("it is passed on").status(), 100);
    say(client.stream(), "hello");
    assert_eq!(
        backend.body(Length::Bytes(5)).expect("the body").bytes,
        b"hello"
    );
    backend.say(OK);
    expect(&mut client, 200, "ok");
    // One that does not want it: nobody knows whether the body comes, so the connections end.
    say(client.stream(), head);
    backend.hear("POST /first");
    backend.say("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno");
    expect(&mut client, 417, "no");
    expect_end(&mut client);
    backend.expect_end();
}

/// RFC 9110 §15.2: HTTP/1.0 has none of them.
#[test]
fn early_hints_reach_those_who_know_them() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let rig = Rig::new();
    let mut client = rig.client(GET);
    let mut backend = rig.accept();
    backend.hear("GET /first");
    backend.say(hints);
    let head = client.expect_head().expect("they are passed on at once");
    assert_eq!(head.status(), 103);
    assert_eq!(head.value("Link").expect("one"), Some("</style.css>"));
    backend.say(OK);
    expect(&mut client, 200, "ok");
    let mut client = rig.client("GET /first HTTP/1.0\r\nHost: localhost\r\n\r\n");
    backend.hear("GET /first");
    backend.say(&[hints, hints, OK].concat());
    let head = client.expect_head().expect("the answer");
    assert_eq!(head.status(), 200);
}

/// A client that reads slowly gets all of it, and the backend waits meanwhile.
#[test]
fn a_slow_reader_holds_its_backend_back() {
    const LENGTH: u64 = 64 << 20;
    let rig = Rig::new();
    let mut client = rig.client(GET);
    let mut backend = rig.accept();
    backend.hear("GET /first");
    backend.say(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
    ));
    // Until nothing is taken any more: all buffers on the way are full.
    let stream = backend.stream();
    let quiet = Some(Duration::from_millis(500));
    stream.set_write_timeout(quiet).expect("an open socket");
    let mut pattern = Pattern::new(7, LENGTH);
    let mut chunk = vec![0; 64 << 10];
    let mut sent = 0;
    let rest = loop {
        pattern
            .read_exact(&mut chunk)
            .expect("memory does not fail");
        let mut at = 0;
        let stuck = loop {
            match stream.write(&chunk[at..]) {
                Ok(count) if at + count == chunk.len() => break false,
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        };
        sent += at;
        if stuck {
            break chunk[at..].to_vec();
        }
        sent += chunk.len() - at;
    };
    assert!((sent as u64) < LENGTH / 2, "{sent} bytes wait somewhere");
    stream.set_write_timeout(None).expect("an open socket");
    let mut sink = Hasher::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            stream.write_all(&rest).expect("it is taken in the end");
            io::copy(&mut pattern, stream).expect("it is taken in the end");
        });
        let head = client.expect_head().expect("the head");
        let length = head.answer_length("GET").expect("one length");
        client.body_into(length, &mut sink).expect("all of it");
    });
    assert_eq!(sink.finish(), Sum::of_pattern(7, LENGTH));
}

/// Clients in the middle of everything, and one that is served meanwhile.
#[test]
fn fast_clients_are_served_among_many_slow_ones() {
    const EACH: usize = 60;
    let rig = Rig::new();
    let mut slow = Vec::new();
    let mut backends = Vec::new();
    for _ in 0..EACH {
        // Within a head, within a body, before an answer, and within one.
        slow.push(rig.client("GET /slow HTTP/1.1\r\nHost: lo"));
        slow.push(rig.client(&POST[..POST.len() - 2]));
        let mut backend = rig.accept();
        backend.hear("POST /first");
        backends.push(backend);
        slow.push(rig.client(GET));
        let mut backend = rig.accept();
        backend.hear("GET /first");
        backends.push(backend);
        let mut client = rig.client(GET);
        let mut backend = rig.accept();
        backend.hear("GET /first");
        backend.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        client.expect_head().expect("it is passed on at once");
        slow.push(client);
        backends.push(backend);
    }
    let mut fast = rig.client(NEXT);
    let mut backend = rig.accept();
    for _ in 0..100 {
        backend.hear("GET /next");
        backend.say(OK);
        expect(&mut fast, 200, "ok");
        say(fast.stream(), NEXT);
    }
    // And the slow ones go on where they were.
    let mut last = slow.pop().expect("the last one");
    let mut other = backends.pop().expect("the last one");
    other.say("whole");
    let body = last.body(Length::Bytes(9)).expect("the rest");
    assert_eq!(body.bytes, b"halfwhole");
}

//! Proxies that are asked, and the one that we are.

use alloc::{
    string::{String, ToString},
    vec,
};

use super::*;
use crate::dialect::{
    Protocol,
    trial::{PIECES, Peer, Trial, clear, setup},
};

fn asking() -> Setup {
    Setup {
        host: Some("server.example:443".into()),
        ..setup(Protocol::Connect)
    }
}

/// What is sent without options.
const REQUEST: &str = "CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n";
const OK: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n";

fn client_check(says: &str, expect: Result<(), &str>) {
    for piece in PIECES {
        let (progress, client, backend) =
            clear(client(&asking()), b"application", says.as_bytes(), piece);
        match expect {
            Ok(()) => assert_eq!(progress, Ok(Progress::Next), "{says:?} by {piece}"),
            Err(text) => {
                let fault = progress.expect_err("the proxy is refused");
                assert_eq!((fault.end, &*fault.to_string()), (End::Backend, text));
            }
        }
        assert_eq!(backend.heard, REQUEST.as_bytes());
        assert_eq!(
            (&*client.says, &*client.heard),
            (&b"application"[..], &b""[..])
        );
    }
}

#[test]
fn requests_hold_what_is_configured() {
    let sent = |setup: &Setup| {
        let mut trial = Trial::new(client(setup), b"", b"");
        assert_eq!(trial.stage(Stage::Clear, 1), Ok(Progress::Wait));
        assert_eq!(trial.stage(Stage::Clear, 1), Ok(Progress::Wait));
        String::from_utf8(trial.backend.heard).unwrap()
    };
    assert_eq!(sent(&asking()), REQUEST);
    // Without both, there are no credentials (RFC 7617 §2's own example).
    let mut setup = asking();
    setup.username = Some("Aladdin".into());
    assert_eq!(sent(&setup), REQUEST);
    setup.password = Some(Zeroizing::new("open sesame".into()));
    setup.headers = vec!["X-One: 1".into(), "User-Agent: two".into()];
    assert_eq!(
        sent(&setup),
        "CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\
         Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\
         X-One: 1\r\nUser-Agent: two\r\n\r\n"
    );
    let mut trial = Trial::new(
        client(&Setup {
            host: None,
            ..setup
        }),
        b"",
        b"",
    );
    let fault = trial.stage(Stage::Clear, 1).unwrap_err();
    assert_eq!(fault.text, "protocolHost not specified");
    assert_eq!(trial.backend.heard, b"");
}

#[test]
fn proxies_say_yes_in_many_ways() {
    for says in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 299\n\n",
        "HTTP/1.1 200 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        client_check(says, Ok(()));
    }
}

#[test]
fn proxies_say_no_in_many_ways() {
    for (says, shown) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n",
            "HTTP/1.1 407",
        ),
        ("HTTP/1.1 302 Found\r\n\r\n", "HTTP/1.1 302"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101"),
        ("HTTP/1.1 502\r\n", "HTTP/1.1 502"),
        ("HTTP/1.1 2\r\n\r\n", "HTTP/1.1 2"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200"),
        ("HTTP/1.1 20x OK\r\n\r\n", "HTTP/1.1 20x"),
        ("HTTP/1.1 999 OK\r\n\r\n", "HTTP/1.1 999"),
        ("HTTP/2 200 OK\r\n\r\n", "HTTP/2 200 O"),
        ("HTTP/1.2 200 OK\r\n\r\n", "HTTP/1.2 200"),
        ("ICY 200 OK\r\n\r\n", "ICY 200 OK"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n",
            "HTTP/1.1 403",
        ),
    ] {
        let text = alloc::format!("CONNECT request rejected: {shown}");
        client_check(says, Err(&text));
    }
}

#[test]
fn nothing_may_wait_behind_a_proxy_s_yes() {
    for early in ["x", "HTTP/1.1 200 OK\r\n\r\n", "\x16\x03\x01"] {
        let says = alloc::format!("HTTP/1.1 200 OK\r\n\r\n{early}");
        let (progress, ..) = clear(client(&asking()), b"", says.as_bytes(), usize::MAX);
        assert_eq!(progress.unwrap_err().end, End::Backend, "{early:?}");
    }
}

/// Messages that never end, each by another bound.
fn endless(first: &str) -> [(Vec<u8>, &'static str); 3] {
    let head = |line: &str, count| [first, &line.repeat(count)].concat().into_bytes();
    let long = alloc::format!("A: {}\r\n", "b".repeat(8000));
    [
        (head("A: b\r\n", MAX_LINES), "The HTTP header is too long"),
        (head(&long, 5), "The HTTP header is too long"),
        (head("b", MAX_LINE + 1), "The line is too long"),
    ]
}

#[test]
fn messages_end_somewhere() {
    for (says, text) in endless("HTTP/1.1 200 OK\r\n") {
        for piece in [7, 4096] {
            let (progress, ..) = clear(client(&asking()), b"", &says, piece);
            assert_eq!(progress.unwrap_err().text, text);
        }
    }
    for (says, text) in endless("CONNECT a:1 HTTP/1.1\r\n") {
        for piece in [7, 4096] {
            let (progress, client, _) = clear(server(&asking()), &says, b"", piece);
            assert_eq!(progress.unwrap_err().text, text);
            let answer = b"HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n";
            assert_eq!(client.heard, answer);
        }
    }
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_LINES);
    client_check(&interim, Err("The HTTP header is too long"));
}

#[test]
fn who_leaves_in_between_is_a_fault() {
    let left = |dialect, client: &[u8], backend: &[u8]| {
        let mut trial = Trial::new(dialect, client, backend);
        assert_eq!(trial.stage(Stage::Clear, 3), Ok(Progress::Wait));
        (trial.client.ends, trial.backend.ends) = (true, true);
        let fault = trial.stage(Stage::Clear, 3).unwrap_err();
        assert_eq!(fault.text, "Unexpected socket close");
        fault.end
    };
    for length in 0..OK.len() {
        let end = left(client(&asking()), b"", &OK[..length]);
        assert_eq!(end, End::Backend);
    }
    let request = REQUEST.as_bytes();
    for length in 0..request.len() {
        let end = left(server(&asking()), &request[..length], b"");
        assert_eq!(end, End::Client);
    }
}

/// Asks in the clear; then what the client has heard, and where it led.
fn ask(says: &[u8], piece: usize) -> (Result<Progress, Fault>, Peer) {
    let mut trial = Trial::new(server(&setup(Protocol::Connect)), says, b"");
    assert!(!trial.dialect.dials_first());
    let mut progress = trial.stage(Stage::Clear, piece);
    if progress == Ok(Progress::Next) {
        assert_eq!(trial.client.heard, OK);
        progress = trial.stage(Stage::Secured, piece);
    }
    (progress, trial.client)
}

/// Asks inside TLS, which `says` then is.
fn ask_in_tls(says: &[u8], piece: usize) -> (Result<Progress, Fault>, Trial) {
    let mut trial = Trial::new(server(&setup(Protocol::Connect)), b"\x16\x03", b"");
    assert_eq!(trial.stage(Stage::Clear, piece), Ok(Progress::Next));
    assert_eq!(trial.client.says, b"\x16\x03", "it is left to TLS");
    trial.client.says = says.to_vec();
    (trial.stage(Stage::Secured, piece), trial)
}

fn server_check(target: &str, expect: &str, port: u16) {
    for request in [
        alloc::format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n"),
        alloc::format!("connect {target} HTTP/1.0\n\n"),
    ] {
        for piece in PIECES {
            let from_tls = ask_in_tls(request.as_bytes(), piece).0;
            for progress in [ask(request.as_bytes(), piece).0, from_tls] {
                let Ok(Progress::Connect(destination)) = progress else {
                    panic!("{request:?} leads nowhere: {progress:?}");
                };
                assert_eq!(destination.host.to_string(), expect);
                assert_eq!(destination.port, port);
            }
        }
    }
}

#[test]
fn clients_name_backends_of_all_kinds() {
    server_check("backend.example:80", "backend.example", 80);
    server_check("Backend.Example.:65535", "backend.example", 65535);
    server_check("192.0.2.1:1", "192.0.2.1", 1);
    server_check("[2001:db8::1]:443", "2001:db8::1", 443);
    server_check("[::ffff:192.0.2.1]:443", "::ffff:192.0.2.1", 443);
    server_check("localhost:00080", "localhost", 80);
}

#[test]
fn bad_requests_are_refused_in_words() {
    for (says, status) in [
        ("GET / HTTP/1.0\r\n", "400 Bad Request Method"),
        ("CONNECTED a:1 HTTP/1.1\r\n", "400 Bad Request Method"),
        ("\r\n", "400 Bad Request Method"),
        (" CONNECT a:1 HTTP/1.1\r\n", "400 Bad Request Method"),
        ("CONNECT \r\n", "400 Bad Request Protocol"),
        ("CONNECT a:1\r\n", "400 Bad Request Protocol"),
        ("CONNECT a:1 \r\n", "400 Bad Request Protocol"),
        ("CONNECT a:1 HTTP/2\r\n", "400 Bad Request Protocol"),
        ("CONNECT a:1 HTTP/1.1 \r\n", "400 Bad Request Protocol"),
        ("CONNECT  a:1 HTTP/1.1\r\n", "400 Bad Request Protocol"),
        ("CONNECT  HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a: HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT :1 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a:0 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a:+1 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a:65536 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a:https HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT ::1:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT [::1]80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT [::1%eth0]:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT [192.0.2.1]:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT user@a:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT http://a:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT 127.1:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT a\0b:80 HTTP/1.1\r\n", "400 Bad Request"),
        ("CONNECT /run/socket HTTP/1.1\r\n", "400 Bad Request"),
    ] {
        let answer = alloc::format!("HTTP/1.0 {status}\r\n\r\n");
        for piece in PIECES {
            let in_tls = ask_in_tls(says.as_bytes(), piece);
            let (progress, client) = ask(says.as_bytes(), piece);
            for (progress, heard) in [(progress, client.heard), (in_tls.0, in_tls.1.client.heard)] {
                let fault = progress.expect_err("the request is refused");
                assert_eq!(
                    (fault.end, fault.text),
                    (End::Client, "CONNECT request rejected")
                );
                assert_eq!(heard, answer.as_bytes(), "{says:?} by {piece}");
            }
        }
    }
    let (progress, _) = ask(b"CONNECT \xff:1 HTTP/1.1\r\n", 1);
    assert!(progress.is_err());
    // What stands behind a method may be secret.
    let (progress, _) = ask(b"GET /?token=1 HTTP/1.1\r\n", 1);
    let text = progress.unwrap_err().to_string();
    assert_eq!(text, "CONNECT request rejected: GET");
}

#[test]
fn nothing_may_wait_behind_a_request_in_the_clear() {
    for early in ["x", "\x16\x03\x01", REQUEST] {
        let says = [REQUEST, early].concat();
        let (progress, client) = ask(says.as_bytes(), usize::MAX);
        assert_eq!(progress.unwrap_err().end, End::Client);
        assert_eq!(client.heard, b"", "it is not told to go on");
    }
}

#[test]
fn tls_is_not_begun_in_the_midst_of_a_request() {
    let (progress, client) = ask(b"CONNECT a:1 HTTP/1.1\r\n\x16\x03\x01\r\n\r\n", usize::MAX);
    assert!(
        matches!(progress, Ok(Progress::Connect(_))),
        "it is a header"
    );
    assert_eq!(client.heard, OK);
}

#[test]
fn who_asked_in_the_clear_is_answered_once() {
    let mut trial = Trial::new(server(&setup(Protocol::Connect)), REQUEST.as_bytes(), b"");
    trial.stage(Stage::Clear, 1).unwrap();
    trial.stage(Stage::Secured, 1).unwrap();
    trial.client.says = b"for the relay".to_vec();
    assert_eq!(trial.stage(Stage::Connected, 1), Ok(Progress::Next));
    let mut wire = Wire::new(End::Client, b"", false, &mut trial.client.heard);
    trial
        .dialect
        .unreachable(&mut wire, Unreachable::NotResolved);
    assert_eq!(trial.client.heard, OK);
    assert_eq!(trial.client.says, b"for the relay");
}

#[test]
fn who_asked_in_tls_is_answered_once_the_backend_is_there() {
    let says = [REQUEST, "for the relay"].concat();
    let (progress, mut trial) = ask_in_tls(says.as_bytes(), usize::MAX);
    assert!(matches!(progress, Ok(Progress::Connect(_))));
    assert_eq!(trial.client.heard, b"");
    assert_eq!(trial.stage(Stage::Connected, 1), Ok(Progress::Next));
    assert_eq!(trial.client.heard, OK);
    assert_eq!(trial.client.says, b"for the relay");
    assert_eq!(trial.backend.heard, b"");
}

#[test]
fn who_asked_in_tls_learns_why_there_is_no_backend() {
    for (why, status) in [
        (Unreachable::NotResolved, "404 Not Found"),
        (Unreachable::Forbidden, "403 Forbidden"),
        (Unreachable::Failed(DialError::NoAddress), "404 Not Found"),
        (
            Unreachable::Failed(DialError::Failed(StreamError::Refused)),
            "502 Bad Gateway",
        ),
        (
            Unreachable::Failed(DialError::Failed(StreamError::TimedOut)),
            "504 Gateway Timeout",
        ),
    ] {
        let (_, mut trial) = ask_in_tls(REQUEST.as_bytes(), 1);
        let mut wire = Wire::new(End::Client, b"", false, &mut trial.client.heard);
        trial.dialect.unreachable(&mut wire, why);
        let answer = alloc::format!("HTTP/1.0 {status}\r\n\r\n");
        assert_eq!(trial.client.heard, answer.as_bytes());
    }
}

//! The socket's side of a notice, before a stand-in of the image's.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use stockade_store::notice::{Notice, Refusal, Taker, Trouble};

use super::*;

fn pass(text: &str) -> Pass {
    super::pass(text).unwrap()
}

/// An image that takes one notice, whose pass is `foo`, and what it was given.
fn image(
    bare: bool,
    outcome: Outcome,
) -> (Target, thread::JoinHandle<Result<Option<Notice>, Refusal>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        let mut taker = Taker::new(Arc::new(pass("foo")), bare, [1; NONCE]);
        let mut bytes = [0; 100];
        loop {
            let result = match stream.read(&mut bytes).unwrap() {
                0 => taker.receive_end(),
                count => taker.receive(&bytes[..count]),
            };
            if matches!(result, Ok(Some(_))) {
                taker.conclude(&outcome, 5);
            }
            stream.write_all(&taker.departing()).unwrap();
            if result != Ok(None) {
                return result;
            }
        }
    };
    (target, thread::spawn(serve))
}

#[test]
fn the_outcome_is_brought_back() {
    let outcome = Outcome::Failed("nobody answers".to_owned());
    let (target, image) = image(false, outcome.clone());
    let mut waits = false;
    let told = notify(&target, &pass("foo"), || waits = true).unwrap();
    assert_eq!(told, Told { outcome, time: 5 });
    assert!(waits);
    let taken = image.join().unwrap();
    assert!(
        matches!(taken, Ok(Some(Notice::Framed { .. }))),
        "{taken:?}"
    );
}

#[test]
fn a_wrong_pass_and_strangers_are_told_by_what_they_are() {
    let (target, image) = image(false, Outcome::Failed(String::new()));
    let error = notify(&target, &pass("bar"), || ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it refuses the notice: the pass is not the right one"
    );
    assert_eq!(image.join().unwrap(), Err(Refusal::Pass));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = "127.0.0.1".to_owned();
    let target = Target { host, port };
    let stranger = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        // Whoever closes with bytes unread resets the connection, and its own words may be lost.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        listener
    });
    let error = notify(&target, &pass("foo"), || panic!("it was not told")).unwrap_err();
    assert_eq!(error.to_string(), "what answers there takes no notices");
    drop(stranger.join().unwrap());
    let error = notify(&target, &pass("foo"), || ()).unwrap_err();
    assert!(matches!(error, NotifyError::Unreachable(_)), "{error}");
}

#[test]
fn the_bare_pass_goes_alone() {
    let (target, image) = image(true, Outcome::Failed(String::new()));
    notify_bare(&target, &pass("foo")).unwrap();
    assert_eq!(image.join().unwrap(), Ok(Some(Notice::Bare)));
}

#[test]
fn a_pass_may_stand_in_a_file() {
    let folder = std::env::temp_dir().join(format!("stockade-notify-{}", std::process::id()));
    for content in ["foo", "foo\n", "foo\r\n"] {
        fs::write(&folder, content).unwrap();
        assert_eq!(pass(&format!("file:{}", folder.display())).bare(), b"foo");
    }
    fs::remove_file(&folder).unwrap();
    let error = super::pass(&format!("file:{}", folder.display())).unwrap_err();
    assert!(error.to_string().starts_with("--pass: "), "{error}");
    assert!(super::pass("").is_err());
}

#[test]
fn targets_are_addresses_and_names() {
    let target = |host: &str, port| {
        let host = host.to_owned();
        Ok(Target { host, port })
    };
    for (text, expected, shown) in [
        ("10.0.0.2", target("10.0.0.2", 9418), "10.0.0.2:9418"),
        ("10.0.0.2:1", target("10.0.0.2", 1), "10.0.0.2:1"),
        (
            "tls.example",
            target("tls.example", 9418),
            "tls.example:9418",
        ),
        ("::1", target("::1", 9418), "[::1]:9418"),
        ("[::1]", target("::1", 9418), "[::1]:9418"),
        ("[::1]:99", target("::1", 99), "[::1]:99"),
    ] {
        let found = text.parse::<Target>();
        assert_eq!(found, expected, "{text}");
        assert_eq!(found.unwrap().to_string(), shown);
    }
    for text in [
        "", ":1", "a:", "a:0", "a:65536", "a:+1", "a:b", "[::1]9", "[::1", "a b", "1:2:3", "[]:1",
    ] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}

#[test]
fn an_outcome_is_told_in_lines() {
    let told = |outcome, time| described_at(&Told { outcome, time }, 1_795_330_800);
    let done = Outcome::Done {
        hosts: 1,
        troubles: vec![Trouble {
            host: "a\u{1b}".to_owned(),
            why: "no key".to_owned(),
        }],
        more: 2,
    };
    assert_eq!(
        told(done, 1_795_330_500),
        [
            "the store was read; 1 host served",
            "a\\u{1b}: no key",
            "and 2 more with troubles: the image's log names them"
        ]
    );
    assert_eq!(
        told(Outcome::Failed("x".to_owned()), 0),
        [
            "the store could not be read, and what was served is served on: x",
            "the image's clock shows 1970-01-01 00:00:00 UTC, this one 2026-11-22 07:00:00 UTC: one \
             of them is wrong, and certificates are judged by the image's"
        ]
    );
}

//! News servers of all kinds, and the application behind us.

use alloc::{string::ToString, vec, vec::Vec};

use super::*;
use crate::dialect::{
    Protocol,
    trial::{PIECES, Trial, clear, setup},
};

fn dialect() -> Box<dyn Dialect> {
    client(&setup(Protocol::Nntp))
}

/// What a server that says this is to us; what it was sent, and what the application.
fn check(says: &[u8], expect: Result<(), &str>, asked: &str, shown: &str) {
    for piece in PIECES {
        let (progress, client, backend) = clear(dialect(), b"application", says, piece);
        match expect {
            Ok(()) => assert_eq!(progress, Ok(Progress::Next), "{says:?} by {piece}"),
            Err(text) => {
                let fault = progress.expect_err("the server is refused");
                assert_eq!((fault.end, &*fault.to_string()), (End::Backend, text));
            }
        }
        assert_eq!(backend.heard, asked.as_bytes(), "{says:?} by {piece}");
        assert_eq!(client.heard, shown.as_bytes(), "{says:?} by {piece}");
        assert_eq!(client.says, b"application");
    }
}

const STARTTLS: &str = "STARTTLS\r\n";

#[test]
fn servers_that_begin_tls_have_their_greetings_passed_on() {
    for (says, shown) in [
        ("200 hi\r\n382 go\r\n", "200 hi\r\n"),
        ("201 no posting\r\n382\r\n", "201 no posting\r\n"),
        ("200\n382 \n", "200\r\n"),
    ] {
        check(says.as_bytes(), Ok(()), STARTTLS, shown);
    }
}

#[test]
fn servers_that_do_not_are_refused() {
    for (says, text, asked, shown) in [
        ("400 busy\r\n", "Unknown server welcome: 400 busy", "", ""),
        ("2000\r\n", "Unknown server welcome: 2000", "", ""),
        ("20\r\n", "Unknown server welcome: 20", "", ""),
        (
            "200-a\r\n200 b\r\n",
            "Unknown server welcome: 200-a",
            "",
            "",
        ),
        ("200 a\rb\r\n", "Unknown server welcome: 200 a\\rb", "", ""),
        ("\r\n", "Unknown server welcome: ", "", ""),
        (
            "200 hi\r\n483 no\r\n",
            "Server does not support TLS: 483 no",
            STARTTLS,
            "200 hi\r\n",
        ),
        (
            "200 hi\r\n3820\r\n",
            "Server does not support TLS: 3820",
            STARTTLS,
            "200 hi\r\n",
        ),
        (
            "200 hi\r\n200 hi\r\n382 go\r\n",
            "Server does not support TLS: 200 hi",
            STARTTLS,
            "200 hi\r\n",
        ),
    ] {
        check(says.as_bytes(), Err(text), asked, shown);
    }
}

#[test]
fn nothing_may_wait_behind_the_go_ahead() {
    for early in ["x", "200 injected\r\n", "\x16\x03\x01"] {
        let says = alloc::format!("200 hi\r\n382 go\r\n{early}");
        let (progress, ..) = clear(dialect(), b"", says.as_bytes(), usize::MAX);
        assert!(progress.is_err(), "{early:?}");
    }
}

#[test]
fn lines_end_somewhere() {
    for start in ["", "200 hi\r\n"] {
        let says: Vec<u8> = [start.as_bytes(), &vec![b'2'; MAX_LINE + 1]].concat();
        for piece in PIECES {
            let fault = clear(dialect(), b"", &says, piece).0.unwrap_err();
            assert_eq!(fault.text, "The line is too long");
        }
    }
}

#[test]
fn a_server_that_leaves_before_its_answer_is_a_fault() {
    let whole = b"200 hi\r\n382 go\r\n";
    for length in 0..whole.len() {
        let mut trial = Trial::new(dialect(), b"", &whole[..length]);
        assert_eq!(trial.stage(Stage::Clear, 3), Ok(Progress::Wait));
        trial.backend.ends = true;
        let fault = trial.stage(Stage::Clear, 3).unwrap_err();
        assert_eq!(fault.text, "Unexpected socket close", "{length}");
    }
}

#[test]
fn under_tls_there_is_nothing_to_say() {
    let mut trial = Trial::new(dialect(), b"a", b"b");
    assert_eq!(trial.stage(Stage::Secured, 1), Ok(Progress::Next));
    assert_eq!(
        (trial.client.says, trial.backend.says),
        (vec![b'a'], vec![b'b'])
    );
}

//! libpq's first words, and those of servers.

use alloc::{string::ToString, vec::Vec};

use super::*;
use crate::dialect::{
    Protocol,
    trial::{PIECES, Peer, Trial, clear, setup},
};

const CANCEL_REQUEST: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\0\0\x09";
const STARTUP: &[u8] = b"\0\0\0\x13\0\x03\0\0user\0joe\0\0";

/// What a server's answer is to us.
fn client_check(says: &[u8], expect: Result<(), &str>) {
    for piece in PIECES {
        let dialect = client(&setup(Protocol::Pgsql));
        let (progress, client, backend) = clear(dialect, STARTUP, says, piece);
        match expect {
            Ok(()) => assert_eq!(progress, Ok(Progress::Next)),
            Err(text) => {
                let fault = progress.expect_err("the server is refused");
                assert_eq!((fault.end, &*fault.to_string()), (End::Backend, text));
            }
        }
        assert_eq!(backend.heard, b"\0\0\0\x08\x04\xd2\x16\x2f");
        assert_eq!((&*client.says, &*client.heard), (STARTUP, &b""[..]));
    }
}

/// What a client's words are to us, and our answer.
fn server_check(says: &[u8], expect: Result<(), &str>, answer: &[u8]) {
    for piece in PIECES {
        let (progress, client) = serve(says, piece);
        match expect {
            Ok(()) => assert_eq!(progress, Ok(Progress::Next)),
            Err(text) => {
                let fault = progress.expect_err("the client is refused");
                assert_eq!((fault.end, &*fault.to_string()), (End::Client, text));
            }
        }
        assert_eq!(client.heard, answer);
    }
}

fn serve(says: &[u8], piece: usize) -> (Result<Progress, Fault>, Peer) {
    let dialect = server(&setup(Protocol::Pgsql));
    assert!(!dialect.dials_first());
    let (progress, client, _) = clear(dialect, says, b"", piece);
    (progress, client)
}

#[test]
fn servers_say_yes_or_no() {
    client_check(b"S", Ok(()));
    for (says, text) in [
        ("N", "PostgreSQL server rejected TLS: N"),
        ("\0", "PostgreSQL server rejected TLS: \\x00"),
        // An error's text may be an attacker's.
        ("E\0\0\0\x0aSFATAL\0\0", "PostgreSQL server rejected TLS: E"),
        ("EERROR\0", "PostgreSQL server rejected TLS: E"),
    ] {
        client_check(says.as_bytes(), Err(text));
    }
}

#[test]
fn nothing_may_wait_behind_a_server_s_yes() {
    for early in [&b"Sx"[..], b"SR\0\0\0\x08\0\0\0\0", b"S\x16\x03\x01"] {
        let dialect = client(&setup(Protocol::Pgsql));
        let (progress, ..) = clear(dialect, b"", early, usize::MAX);
        assert!(progress.is_err(), "{early:?}");
    }
}

#[test]
fn clients_ask_for_tls_perhaps_after_gssapi() {
    server_check(&SSL_REQUEST, Ok(()), b"S");
    let both: Vec<u8> = [GSS_ENCRYPTION_REQUEST, SSL_REQUEST].concat();
    server_check(&both, Ok(()), b"NS");
}

#[test]
fn clients_that_do_not_ask_for_tls_are_refused() {
    server_check(STARTUP, Err(NO_TLS), TLS_REQUIRED);
    let both: Vec<u8> = [&GSS_ENCRYPTION_REQUEST[..], STARTUP].concat();
    let answer: Vec<u8> = [b"N", &TLS_REQUIRED[..]].concat();
    server_check(&both, Err(NO_TLS), &answer);
    for says in [
        CANCEL_REQUEST,
        b"\0\0\0\x09\x04\xd2\x16\x2f",
        b"\x08\0\0\0\x04\xd2\x16\x2f",
        b"\0\0\0\x08\0\x02\0\0",
        b"GET / HT",
    ] {
        let text = alloc::format!("{NO_TLS}: {}", says[..8].escape_ascii());
        server_check(says, Err(&text), b"");
    }
    let twice: Vec<u8> = [GSS_ENCRYPTION_REQUEST; 2].concat();
    let text = alloc::format!("{NO_TLS}: {}", GSS_ENCRYPTION_REQUEST.escape_ascii());
    server_check(&twice, Err(&text), b"N");
}

#[test]
fn the_error_for_clients_without_tls_is_whole() {
    let (head, fields) = TLS_REQUIRED.split_at(5);
    assert_eq!(
        head,
        [b"E", &(fields.len() as u32 + 4).to_be_bytes()[..]].concat()
    );
    let kinds: Vec<u8> = fields
        .split(|byte| *byte == 0)
        .filter_map(|field| field.first().copied())
        .collect();
    assert_eq!(kinds, b"SVCM");
    assert!(fields.ends_with(b"\0\0"));
}

#[test]
fn nothing_may_wait_behind_ssl_request() {
    for early in [&b"x"[..], STARTUP, &SSL_REQUEST, b"\x16\x03\x01"] {
        let says = [&SSL_REQUEST[..], early].concat();
        let (progress, client) = serve(&says, usize::MAX);
        assert_eq!(progress.unwrap_err().end, End::Client);
        assert_eq!(client.heard, b"", "it is not told to go on");
    }
}

#[test]
fn tls_may_begin_at_once() {
    for piece in PIECES {
        let says = b"\x16\x03\x01\x02\x00\x01\x00";
        let mut trial = Trial::new(server(&setup(Protocol::Pgsql)), says, b"");
        assert_eq!(trial.stage(Stage::Clear, piece), Ok(Progress::Next));
        assert_eq!(
            (&*trial.client.says, &*trial.client.heard),
            (&says[..], &b""[..])
        );
        // There is no TLS, so no protocol was agreed on.
        assert_eq!(
            trial.stage(Stage::Secured, piece).unwrap_err().end,
            End::Client
        );
    }
    assert_eq!(agreed(Some(b"postgresql")), Ok(Progress::Next));
    for protocol in [None, Some(&b"http/1.1"[..]), Some(b"postgresq"), Some(b"")] {
        assert!(agreed(protocol).is_err());
    }
}

#[test]
fn tls_that_was_asked_for_needs_no_alpn() {
    let mut trial = Trial::new(server(&setup(Protocol::Pgsql)), &SSL_REQUEST, b"");
    for stage in [Stage::Clear, Stage::Secured, Stage::Connected] {
        assert_eq!(trial.stage(stage, 1), Ok(Progress::Next));
    }
    assert_eq!(trial.client.heard, b"S");
    assert_eq!(trial.backend.heard, b"");
}

#[test]
fn who_leaves_in_between_is_a_fault() {
    for length in 0..SSL_REQUEST.len() {
        let mut trial = Trial::new(server(&setup(Protocol::Pgsql)), &SSL_REQUEST[..length], b"");
        assert_eq!(trial.stage(Stage::Clear, 3), Ok(Progress::Wait));
        trial.client.ends = true;
        let fault = trial.stage(Stage::Clear, 3).unwrap_err();
        assert_eq!(
            (fault.end, fault.text),
            (End::Client, "Unexpected socket close")
        );
    }
    let mut trial = Trial::new(client(&setup(Protocol::Pgsql)), b"", b"");
    trial.backend.ends = true;
    assert_eq!(trial.stage(Stage::Clear, 3).unwrap_err().end, End::Backend);
}

#[test]
fn applications_are_spared_tls_inside_tls() {
    const SSL: &[u8] = &SSL_REQUEST;
    const GSS: &[u8] = &GSS_ENCRYPTION_REQUEST;
    for (says, answers, left) in [
        ([STARTUP].concat(), "", STARTUP),
        ([SSL, STARTUP].concat(), "N", STARTUP),
        ([GSS, SSL, STARTUP].concat(), "NN", STARTUP),
        // A third one is not for us to judge.
        ([GSS, SSL, SSL, STARTUP].concat(), "NN", SSL),
    ] {
        for piece in PIECES {
            let mut trial = Trial::new(client(&setup(Protocol::Pgsql)), &says, b"S");
            assert_eq!(trial.stage(Stage::Clear, piece), Ok(Progress::Next));
            assert_eq!(trial.client.heard, b"", "not before there is TLS");
            assert_eq!(trial.stage(Stage::Secured, piece), Ok(Progress::Next));
            assert_eq!(trial.client.heard, answers.as_bytes());
            assert!(trial.client.says.starts_with(left));
        }
    }
}

#[test]
fn a_silent_application_is_waited_for_and_one_that_ends_is_not() {
    for (says, ends, progress) in [
        (&b""[..], false, Progress::Wait),
        (&STARTUP[..7], false, Progress::Wait),
        (b"", true, Progress::Next),
        (&STARTUP[..7], true, Progress::Next),
    ] {
        let mut trial = Trial::new(client(&setup(Protocol::Pgsql)), says, b"S");
        trial.client.ends = ends;
        assert_eq!(trial.stage(Stage::Clear, 1), Ok(Progress::Next));
        assert_eq!(trial.stage(Stage::Secured, 1), Ok(progress));
        assert_eq!(trial.client.says, says);
    }
}

//! Tests, and how the mail protocols' conversations are written down for theirs.

use alloc::{string::String, vec, vec::Vec};
use core::mem;

use super::*;
use crate::{
    dialect::{
        Protocol, Setup,
        trial::{PIECES, Trial},
    },
    session::Mode,
};

pub(in crate::dialect) use crate::dialect::trial::setup;

/// What happens next.
pub(in crate::dialect) enum Step<'a> {
    /// The client says this.
    Client(&'a [u8]),
    /// The backend says this.
    Backend(&'a [u8]),
    /// The client says nothing more.
    ClientEnds,
    /// The backend says nothing more.
    BackendEnds,
    /// The client has just heard this.
    ToClient(&'a [u8]),
    /// The backend has just heard this.
    ToBackend(&'a [u8]),
    /// The stage is over, and this one comes.
    Enter(Stage),
    /// The stage is over, and this waits at the client's and the backend's end for whoever comes next.
    Leaves(&'a [u8], &'a [u8]),
    /// The conversation comes to nothing.
    Fails(End, &'a str),
}

/// A conversation with everything at once, and in pieces.
pub(in crate::dialect) fn check(setup: &Setup, mode: Mode, steps: &[Step<'_>]) {
    for piece in PIECES {
        check_pieces(setup, mode, steps, piece);
    }
}

/// A conversation in which what is said together arrives together.
pub(in crate::dialect) fn check_whole(setup: &Setup, mode: Mode, steps: &[Step<'_>]) {
    check_pieces(setup, mode, steps, super::super::WINDOW);
}

fn check_pieces(setup: &Setup, mode: Mode, steps: &[Step<'_>], piece: usize) {
    let mut trial = Trial::new(crate::dialect::begin(setup, mode).unwrap(), b"", b"");
    let mut stage = Stage::Clear;
    let mut progress = trial.stage(stage, piece);
    for (number, step) in steps.iter().enumerate() {
        let place = alloc::format!("step {number}, pieces of {piece}: {progress:?}");
        match step {
            Step::Client(_) | Step::Backend(_) | Step::ClientEnds | Step::BackendEnds => {
                assert_eq!(progress, Ok(Progress::Wait), "{place}");
                match step {
                    Step::Client(said) => trial.client.says.extend_from_slice(said),
                    Step::Backend(said) => trial.backend.says.extend_from_slice(said),
                    Step::ClientEnds => trial.client.ends = true,
                    _ => trial.backend.ends = true,
                }
                progress = trial.stage(stage, piece);
            }
            Step::ToClient(expected) => heard(&mut trial.client.heard, expected, &place),
            Step::ToBackend(expected) => heard(&mut trial.backend.heard, expected, &place),
            Step::Enter(next) => {
                assert_eq!(progress, Ok(Progress::Next), "{place}");
                stage = *next;
                progress = trial.stage(stage, piece);
            }
            Step::Leaves(client, backend) => {
                assert_eq!(progress, Ok(Progress::Next), "{place}");
                assert_eq!(
                    (&trial.client.says[..], &trial.backend.says[..]),
                    (*client, *backend),
                    "{place}"
                );
            }
            Step::Fails(end, text) => {
                let fault = progress.clone().expect_err(&place);
                assert_eq!(
                    (fault.end, &*alloc::format!("{fault}")),
                    (*end, *text),
                    "{place}"
                );
            }
        }
    }
    heard(&mut trial.client.heard, b"", "the end");
    heard(&mut trial.backend.heard, b"", "the end");
}

fn heard(heard: &mut Vec<u8>, expected: &[u8], place: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&mem::take(heard)), text(expected), "{place}");
}

fn line(lines: &mut Lines, input: &[u8], ended: bool) -> Result<Option<Vec<u8>>, Fault> {
    let mut output = Vec::new();
    let line = lines.next(&mut Wire::new(End::Backend, input, ended, &mut output))?;
    Ok(line.map(<[u8]>::to_vec))
}

fn refused(input: &[u8], ended: bool) -> &'static str {
    line(&mut Lines::new(1), input, ended).unwrap_err().text
}

#[test]
fn lines_are_bounded_in_length_and_number() {
    assert_eq!(
        line(&mut Lines::new(1), b"a\tb\r\n", false),
        Ok(Some(b"a\tb".to_vec()))
    );
    assert_eq!(
        line(&mut Lines::new(0), b"a\r", true).unwrap_err().text,
        "Unexpected socket close"
    );
    assert_eq!(refused(&[b'x'; LINE + 1], false), "The line is too long");
    let mut lines = Lines::new(2);
    assert!(line(&mut lines, b"1\n", false).is_ok());
    assert!(line(&mut lines, b"2\n", false).is_ok());
    assert_eq!(line(&mut lines, b"", false), Ok(None));
    assert_eq!(
        line(&mut lines, b"3\n", false).unwrap_err().text,
        "There are too many lines"
    );
}

#[test]
fn lines_hold_no_control_characters() {
    for input in [
        &b"a\rb\r\n"[..],
        b"a\0\r\n",
        b"\x16\x03\x01\r\n",
        b"a\r\r\n",
        b"\x7f\n",
    ] {
        assert_eq!(refused(input, false), "A line has a control character");
    }
    assert!(line(&mut Lines::new(1), "Grüße\r\n".as_bytes(), false).is_ok());
}

#[test]
fn words_are_told_apart_in_any_case() {
    for (line, expected) in [
        (&b"* OK"[..], true),
        (b"* ok hi", true),
        (b"* OKAY", false),
        (b"* O", false),
        (b"", false),
    ] {
        assert_eq!(begins(line, b"* OK"), expected, "{line:?}");
    }
    assert_eq!(word(b"EHLO  me.test "), (&b"EHLO"[..], &b"me.test"[..]));
    assert_eq!(word(b"EHLO"), (&b"EHLO"[..], &b""[..]));
    assert_eq!(word(b""), (&b""[..], &b""[..]));
}

#[test]
fn a_client_of_any_protocol_may_begin_tls_at_once() {
    for protocol in [Protocol::Smtp, Protocol::Imap, Protocol::Pop3] {
        check(
            &setup(protocol),
            Mode::Server,
            &[
                Step::Client(b"\x16\x03\x01"),
                Step::Leaves(b"\x16\x03\x01", b""),
                Step::Enter(Stage::Secured),
                Step::Enter(Stage::Connected),
                Step::Leaves(b"\x16\x03\x01", b""),
            ],
        );
    }
}

#[test]
fn a_greeting_that_came_with_the_clients_first_record_stays_for_the_inside_of_tls() {
    for protocol in [Protocol::Smtp, Protocol::Imap, Protocol::Pop3] {
        let mut trial = Trial::new(
            crate::dialect::begin(&setup(protocol), Mode::Server).unwrap(),
            b"\x16\x03\x01",
            b"220 mx\r\n",
        );
        assert_eq!(trial.stage(Stage::Clear, 100), Ok(Progress::Next));
        assert_eq!(trial.backend.says, b"220 mx\r\n");
        assert!(trial.client.heard.is_empty());
    }
}

#[test]
fn tls_behind_a_greeting_in_the_clear_is_refused() {
    for (protocol, greeting) in [
        (Protocol::Smtp, &b"220 mx\r\n"[..]),
        (Protocol::Imap, b"* OK\r\n"),
        (Protocol::Pop3, b"+OK\r\n"),
    ] {
        let mut trial = Trial::new(
            crate::dialect::begin(&setup(protocol), Mode::Server).unwrap(),
            b"",
            greeting,
        );
        assert_eq!(trial.stage(Stage::Clear, 100), Ok(Progress::Wait));
        trial.client.heard.clear();
        trial.client.says = b"\x16\x03\x01\0\x05".to_vec();
        let fault = trial.stage(Stage::Clear, 100).unwrap_err();
        assert_eq!(fault.end, End::Client);
        assert!(trial.client.heard.is_empty());
    }
}

#[test]
fn clients_have_few_commands_without_tls() {
    for (protocol, greeting, command) in [
        (Protocol::Smtp, &b"220 mx\r\n"[..], &b"NOOP\r\n"[..]),
        (Protocol::Imap, b"* OK\r\n", b"a NOOP\r\n"),
        (Protocol::Pop3, b"+OK\r\n", b"CAPA\r\n"),
    ] {
        let dialect = crate::dialect::begin(&setup(protocol), Mode::Server).unwrap();
        let mut trial = Trial::new(dialect, &command.repeat(COMMANDS.into()), greeting);
        assert_eq!(trial.stage(Stage::Clear, 1000), Ok(Progress::Wait));
        trial.client.says = command.to_vec();
        let fault = trial.stage(Stage::Clear, 1000).unwrap_err();
        assert_eq!(fault, Fault::new(End::Client, "There are too many lines"));
        assert!(trial.backend.heard.is_empty());
    }
}

#[test]
fn any_bytes_in_any_pieces_are_survived() {
    let mut random = crate::dialect::random::Random(7);
    let backend = b"220 mx ESMTP\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n+OK\r\n+OK\r\n* OK x\r\nstockade OK\r\n";
    let client = b"EHLO me\r\nCAPA\r\na CAPABILITY\r\na NOOP\r\nSTARTTLS\r\nSTLS\r\na STARTTLS\r\n";
    for turn in 0..3000 {
        let protocol = [Protocol::Smtp, Protocol::Imap, Protocol::Pop3][turn % 3];
        let mode = [Mode::Client, Mode::Server][turn / 3 % 2];
        let from = |random: &mut crate::dialect::random::Random, seed: &[u8]| {
            let start = random.below(seed.len());
            random.spoil(&seed[start..])
        };
        let (client, backend) = (from(&mut random, client), from(&mut random, backend));
        let mut trial = Trial::new(
            crate::dialect::begin(&setup(protocol), mode).unwrap(),
            &client,
            &backend,
        );
        let piece = 1 + random.below(20);
        for stage in [Stage::Clear, Stage::Secured, Stage::Connected] {
            if trial.stage(stage, piece) != Ok(Progress::Next) {
                break;
            }
        }
        assert!(trial.client.heard.len() <= 4 * 1024);
    }
}

#[test]
fn a_windowful_of_commands_is_answered_within_bounds() {
    let name = vec![b'n'; 255];
    let greeting = [b"220 ", &name[..], b"\r\n"].concat();
    let dialect = crate::dialect::begin(&setup(Protocol::Smtp), Mode::Server).unwrap();
    let mut trial = Trial::new(dialect, &b"EHLO\n".repeat(1000), &greeting);
    assert!(trial.stage(Stage::Clear, super::super::WINDOW).is_err());
    assert!(trial.client.heard.len() < 2 * super::super::MAX_OUTPUT);
}

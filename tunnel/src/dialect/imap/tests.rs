//! Tests.

use super::*;
use crate::{
    dialect::{
        Protocol,
        lines::tests::{Step, Step::*, setup},
    },
    session::Mode,
};

const GREETING: &[u8] = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready.\r\n";
const GREETED: &[u8] = b"* OK ready. (stockade)\r\n";
const SORRY: &[u8] = b"* BYE There is no TLS with the server\r\n";
const ASKED: &[u8] = b"stockade STARTTLS\r\n";

fn check(mode: Mode, steps: &[Step<'_>]) {
    crate::dialect::lines::tests::check(&setup(Protocol::Imap), mode, steps);
}

fn check_whole(mode: Mode, steps: &[Step<'_>]) {
    crate::dialect::lines::tests::check_whole(&setup(Protocol::Imap), mode, steps);
}

#[test]
fn clients_learn_of_starttls_and_begin_tls() {
    check(
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"a1 CAPABILITY\r\n"),
            ToClient(
                b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\na1 OK CAPABILITY completed\r\n",
            ),
            Client(b"a2 noop\r\n"),
            ToClient(b"a2 OK NOOP completed\r\n"),
            Client(b"a3 starttls\r\n"),
            ToClient(b"a3 OK Begin TLS negotiation now\r\n"),
            Leaves(b"", b""),
            Enter(Stage::Secured),
            Enter(Stage::Connected),
            Leaves(b"", b""),
        ],
    );
}

#[test]
fn tags_are_what_clients_make_of_them() {
    // RFC 9051 §9; a dot alone is what `openssl s_client -starttls imap` uses.
    for tag in [&b"."[..], b"A-1_x", b"ABCD1]", &[b'x'; TAG]] {
        check(
            Mode::Server,
            &[
                Backend(GREETING),
                ToClient(GREETED),
                Client(&[tag, b" STARTTLS\r\n"].concat()),
                ToClient(&[tag, b" OK Begin TLS negotiation now\r\n"].concat()),
                Leaves(b"", b""),
            ],
        );
    }
}

#[test]
fn the_backends_list_of_capabilities_does_not_reach_clients() {
    for (greeting, greeted) in [
        (&b"* OK ready\r\n"[..], &b"* OK ready (stockade)\r\n"[..]),
        (b"* ok\r\n", b"* OK (stockade)\r\n"),
        (b"* OK [capability IMAP4rev1]\r\n", b"* OK (stockade)\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1\r\n", b"* OK (stockade)\r\n"),
        (
            b"* OK [ALERT] today\r\n",
            b"* OK [ALERT] today (stockade)\r\n",
        ),
        (b"* OK [CAPABILITY X] a] b\r\n", b"* OK a] b (stockade)\r\n"),
    ] {
        check(Mode::Server, &[Backend(greeting), ToClient(greeted)]);
    }
}

#[test]
fn no_command_but_these_is_taken_without_tls_nor_repeated() {
    let first = b" NO [PRIVACYREQUIRED] STARTTLS must come first\r\n";
    let bad = b"* BAD A tag and a command are needed\r\n";
    for (said, tag, answer) in [
        (&b"a LOGIN joe secret\r\n"[..], &b"a"[..], &first[..]),
        (b"b AUTHENTICATE PLAIN AGpvZQBz\r\n", b"b", first),
        (b"c ID NIL\r\n", b"c", first),
        (b"d STARTTLS x\r\n", b"d", first),
        (b"STARTTLS\r\n", b"", bad),
        (b"\r\n", b"", bad),
        (b"* STARTTLS\r\n", b"", bad),
        (b"+ STARTTLS\r\n", b"", bad),
        (&[&[b'x'; TAG + 1][..], b" NOOP\r\n"].concat(), b"", bad),
    ] {
        check(
            Mode::Server,
            &[
                Backend(GREETING),
                ToClient(GREETED),
                Client(said),
                ToClient(&[tag, answer].concat()),
                Client(b"z STARTTLS\r\n"),
                ToClient(b"z OK Begin TLS negotiation now\r\n"),
                Leaves(b"", b""),
            ],
        );
    }
}

#[test]
fn literals_are_not_taken_for_commands() {
    for said in [&b"a LOGIN {3}\r\n"[..], b"a LOGIN {11+}\r\n"] {
        check(
            Mode::Server,
            &[
                Backend(GREETING),
                ToClient(GREETED),
                Client(said),
                ToClient(b"* BYE STARTTLS must come first\r\n"),
                Fails(End::Client, "Unexpected client command"),
            ],
        );
    }
}

#[test]
fn a_client_that_logs_out_is_taken_leave_of_at_both_ends() {
    check(
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"a Logout\r\n"),
            ToClient(b"* BYE Logging out\r\na OK LOGOUT completed\r\n"),
            ToBackend(b"stockade LOGOUT\r\n"),
            Fails(End::Client, "Client does not want TLS"),
        ],
    );
}

#[test]
fn commands_behind_starttls_are_refused_and_never_reach_the_backend() {
    for said in [
        &b"a STARTTLS\r\nb LOGIN joe secret\r\n"[..],
        b"a STARTTLS\r\n\x16\x03\x01",
        b"a STARTTLS\n\n",
    ] {
        check_whole(
            Mode::Server,
            &[
                Backend(GREETING),
                ToClient(GREETED),
                Client(said),
                Fails(End::Client, "Data arrived in the clear where TLS begins"),
            ],
        );
    }
}

#[test]
fn a_backend_that_does_not_greet_is_unavailable() {
    for (said, text) in [
        (&b"* BYE busy\r\n"[..], "Unknown server welcome: * BYE busy"),
        (b"* PREAUTH hi\r\n", "Unknown server welcome: * PREAUTH hi"),
        (b"+OK\r\n", "Unknown server welcome: +OK"),
        (b"* OK \x1b[1m\r\n", "A line has a control character"),
        (&[b'*'; 3000], "The line is too long"),
    ] {
        check(
            Mode::Server,
            &[
                Backend(said),
                ToClient(b"* BYE The server is not available\r\n"),
                Fails(End::Backend, text),
            ],
        );
    }
}

#[test]
fn ends_that_come_early_are_told() {
    check(
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"a START"),
            ClientEnds,
            Fails(End::Client, "Unexpected socket close"),
        ],
    );
    check(
        Mode::Client,
        &[
            Backend(GREETING),
            ToBackend(ASKED),
            BackendEnds,
            ToClient(SORRY),
            Fails(End::Backend, "Unexpected socket close"),
        ],
    );
}

#[test]
fn a_server_is_asked_for_tls_and_the_application_greeted_then() {
    for news in [&b""[..], b"* CAPABILITY IMAP4rev1\r\n* OK still here\r\n"] {
        check(
            Mode::Client,
            &[
                Client(b"a CAPABILITY\r\n"),
                Backend(GREETING),
                ToBackend(ASKED),
                Backend(&[news, b"Stockade ok begin\r\n"].concat()),
                ToClient(b""),
                Leaves(b"a CAPABILITY\r\n", b""),
                Enter(Stage::Secured),
                ToClient(b"* OK Connected.\r\n"),
                Leaves(b"a CAPABILITY\r\n", b""),
            ],
        );
    }
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    for (said, text) in [
        (
            &b"stockade NO no\r\n"[..],
            "Server does not support TLS: stockade NO no",
        ),
        (
            b"stockade BAD what\r\n",
            "Server does not support TLS: stockade BAD what",
        ),
        (b"stunnel OK\r\n", "Server does not support TLS: stunnel OK"),
        (b"* bye\r\n", "Server does not support TLS: * bye"),
        (b"+ go on\r\n", "Server does not support TLS: + go on"),
    ] {
        check(
            Mode::Client,
            &[
                Backend(GREETING),
                ToBackend(ASKED),
                Backend(said),
                ToClient(SORRY),
                Fails(End::Backend, text),
            ],
        );
    }
    // A connection that is logged in already can't be secured any more (RFC 9051 §6.2.1).
    check(
        Mode::Client,
        &[
            Backend(b"* PREAUTH hi\r\n"),
            ToClient(SORRY),
            Fails(End::Backend, "Unknown server welcome: * PREAUTH hi"),
        ],
    );
}

#[test]
fn answers_that_come_early_or_together_are_refused() {
    check_whole(
        Mode::Client,
        &[
            Backend(b"* OK ready\r\nstockade OK\r\na OK\r\n"),
            ToBackend(ASKED),
            ToClient(SORRY),
            Fails(End::Backend, "Data arrived in the clear where TLS begins"),
        ],
    );
    for injected in [
        &b"stockade OK\r\n* CAPABILITY IMAP4rev1\r\n"[..],
        b"stockade OK\r\na OK LOGIN completed\r\n",
        b"* 1 EXISTS\r\nstockade OK\r\n\x16",
    ] {
        check_whole(
            Mode::Client,
            &[
                Backend(GREETING),
                ToBackend(ASKED),
                Backend(injected),
                ToClient(SORRY),
                Fails(End::Backend, "Data arrived in the clear where TLS begins"),
            ],
        );
    }
}

#[test]
fn news_come_to_an_end() {
    let news = b"* 1 EXISTS\r\n".repeat(lines::REPLIES.into());
    check(
        Mode::Client,
        &[
            Backend(GREETING),
            ToBackend(ASKED),
            Backend(&news),
            ToClient(SORRY),
            Fails(End::Backend, "There are too many lines"),
        ],
    );
}

//! Tests.

use super::*;
use crate::{
    dialect::{
        Protocol,
        lines::tests::{Step::*, check, check_whole, setup},
    },
    session::Mode,
};

const GREETING: &[u8] = b"+OK ready <1.2@x>\r\n";
const GREETED: &[u8] = b"+OK ready <1.2@x> + stockade\r\n";
const GO: &[u8] = b"+OK Begin TLS negotiation\r\n";
const LIST: &[u8] = b"+OK Capability list follows\r\nSTLS\r\n.\r\n";
const SORRY: &[u8] = b"-ERR [SYS/TEMP] There is no TLS with the server\r\n";

#[test]
fn clients_learn_of_stls_and_begin_tls() {
    check(
        &setup(Protocol::Pop3),
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"CAPA\r\n"),
            ToClient(LIST),
            Client(b"capa\r\n"),
            ToClient(LIST),
            Client(b"USER joe\r\n"),
            ToClient(b"-ERR Must issue a STLS command first\r\n"),
            Client(b"STLS now\r\n"),
            ToClient(b"-ERR Must issue a STLS command first\r\n"),
            Client(b"stls\r\n"),
            ToClient(GO),
            Leaves(b"", b""),
            Enter(Stage::Secured),
            Enter(Stage::Connected),
            Leaves(b"", b""),
        ],
    );
}

#[test]
fn clients_may_ask_before_they_are_greeted_and_with_bare_line_feeds() {
    check_whole(
        &setup(Protocol::Pop3),
        Mode::Server,
        &[
            Client(b"CAPA\nSTLS\n"),
            Backend(b"+OK\n"),
            ToClient(&[b"+OK + stockade\r\n", LIST, GO].concat()),
            Leaves(b"", b""),
        ],
    );
}

#[test]
fn a_client_that_quits_is_taken_leave_of_at_both_ends() {
    check(
        &setup(Protocol::Pop3),
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"QUIT\r\n"),
            ToClient(b"+OK Bye\r\n"),
            ToBackend(b"QUIT\r\n"),
            Fails(End::Client, "Client does not want TLS"),
        ],
    );
}

#[test]
fn commands_behind_stls_are_refused_and_never_reach_the_backend() {
    for said in [
        &b"STLS\r\nUSER joe\r\n"[..],
        b"STLS\r\n\x16\x03\x01",
        b"CAPA\r\nSTLS\n\r\n",
    ] {
        let answered: &[u8] = if said.starts_with(b"CAPA") { LIST } else { b"" };
        check_whole(
            &setup(Protocol::Pop3),
            Mode::Server,
            &[
                Backend(GREETING),
                ToClient(GREETED),
                Client(said),
                ToClient(answered),
                Fails(End::Client, "Data arrived in the clear where TLS begins"),
            ],
        );
    }
}

#[test]
fn a_backend_that_does_not_greet_is_unavailable() {
    for (said, text) in [
        (&b"-ERR busy\r\n"[..], "Unknown server welcome: -ERR busy"),
        (b"+OKAY\r\n", "Unknown server welcome: +OKAY"),
        (b"220 mx\r\n", "Unknown server welcome: 220 mx"),
        (b"+OK a\rb\r\n", "A line has a control character"),
        (&[b'+'; 3000], "The line is too long"),
    ] {
        check(
            &setup(Protocol::Pop3),
            Mode::Server,
            &[
                Backend(said),
                ToClient(b"-ERR [SYS/TEMP] The server is not available\r\n"),
                Fails(End::Backend, text),
            ],
        );
    }
}

#[test]
fn ends_that_come_early_are_told() {
    check(
        &setup(Protocol::Pop3),
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"STL"),
            ClientEnds,
            Fails(End::Client, "Unexpected socket close"),
        ],
    );
    for before in [&b""[..], b"+O"] {
        check(
            &setup(Protocol::Pop3),
            Mode::Client,
            &[
                Backend(before),
                BackendEnds,
                ToClient(SORRY),
                Fails(End::Backend, "Unexpected socket close"),
            ],
        );
    }
}

#[test]
fn a_server_is_asked_for_tls_and_the_application_hears_its_greeting_then() {
    check(
        &setup(Protocol::Pop3),
        Mode::Client,
        &[
            Client(b"CAPA\r\n"),
            Backend(GREETING),
            ToBackend(b"STLS\r\n"),
            ToClient(b""),
            Backend(b"+OK begin\r\n"),
            ToClient(b""),
            Leaves(b"CAPA\r\n", b""),
            Enter(Stage::Secured),
            ToClient(GREETING),
            Leaves(b"CAPA\r\n", b""),
        ],
    );
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    for (said, text) in [
        (&b"-ERR no\r\n"[..], "Server does not support TLS: -ERR no"),
        (b"what?\r\n", "Server does not support TLS: what?"),
        (b"\r\n", "Server does not support TLS: "),
    ] {
        check(
            &setup(Protocol::Pop3),
            Mode::Client,
            &[
                Backend(GREETING),
                ToBackend(b"STLS\r\n"),
                Backend(said),
                ToClient(SORRY),
                Fails(End::Backend, text),
            ],
        );
    }
    check(
        &setup(Protocol::Pop3),
        Mode::Client,
        &[
            Backend(b"-ERR busy\r\n"),
            ToClient(SORRY),
            Fails(End::Backend, "Unknown server welcome: -ERR busy"),
        ],
    );
}

#[test]
fn answers_that_come_early_or_together_are_refused() {
    check_whole(
        &setup(Protocol::Pop3),
        Mode::Client,
        &[
            Backend(b"+OK ready\r\n+OK begin\r\n+OK 1 1\r\n"),
            ToBackend(b"STLS\r\n"),
            ToClient(SORRY),
            Fails(End::Backend, "Data arrived in the clear where TLS begins"),
        ],
    );
    for injected in [
        &b"+OK begin\r\n+OK 1 1\r\n"[..],
        b"+OK begin\r\n\x16",
        b"+OK begin\n\n",
    ] {
        check_whole(
            &setup(Protocol::Pop3),
            Mode::Client,
            &[
                Backend(GREETING),
                ToBackend(b"STLS\r\n"),
                Backend(injected),
                ToClient(SORRY),
                Fails(End::Backend, "Data arrived in the clear where TLS begins"),
            ],
        );
    }
}

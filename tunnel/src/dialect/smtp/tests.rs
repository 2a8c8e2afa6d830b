//! Tests.

use alloc::{format, string::ToString, vec};

use super::*;
use crate::{
    dialect::{
        Protocol,
        lines::tests::{self, Step, Step::*, check_whole, setup},
        trial::Trial,
    },
    session::Mode,
};

const GREETING: &[u8] = b"220 mx.test ESMTP Postfix\r\n";
const GREETED: &[u8] = b"220 mx.test stockade for ESMTP Postfix\r\n";
const LIST: &[u8] = b"250-mx.test\r\n250 STARTTLS\r\n";
const CAPABLE: &[u8] = b"250-mx.test\r\n250-SIZE 100\r\n250 STARTTLS\r\n";
const HELLO: &[u8] = b"EHLO localhost\r\n";
const ASKED: &[u8] = b"STARTTLS\r\n";
const SORRY: &[u8] = b"421 4.7.0 There is no TLS with the server, or it does not know us\r\n";

fn check(mode: Mode, steps: &[Step<'_>]) {
    tests::check(&setup(Protocol::Smtp), mode, steps);
}

fn knowing(authentication: Authentication) -> Setup {
    Setup {
        username: Some("user".to_string()),
        password: Some(Zeroizing::new("secret".to_string())),
        authentication,
        ..setup(Protocol::Smtp)
    }
}

/// Up to the first answer inside TLS.
const SECURE: [Step<'_>; 7] = [
    Backend(GREETING),
    ToBackend(HELLO),
    Backend(CAPABLE),
    ToBackend(ASKED),
    Backend(b"220 go\r\n"),
    Leaves(b"", b""),
    Enter(Stage::Secured),
];

fn check_secured(setup: &Setup, steps: Vec<Step<'_>>) {
    tests::check(
        setup,
        Mode::Client,
        &SECURE.into_iter().chain(steps).collect::<Vec<_>>(),
    );
}

#[test]
fn clients_learn_of_starttls_and_begin_tls() {
    check(
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"EHLO me.test\r\n"),
            ToClient(LIST),
            Client(b"ehlo me.test\r\n"),
            ToClient(LIST),
            Client(b"noop\r\n"),
            ToClient(b"250 2.0.0 Ok\r\n"),
            Client(b"starttls\r\n"),
            ToClient(b"220 Go ahead\r\n"),
            Leaves(b"", b""),
            Enter(Stage::Secured),
            Enter(Stage::Connected),
            Leaves(b"", b""),
        ],
    );
}

#[test]
fn greetings_are_passed_on_with_a_word_of_ours() {
    for (greeting, greeted) in [
        (
            &b"220 mx.test hi\r\n"[..],
            &b"220 mx.test stockade for hi\r\n"[..],
        ),
        (b"220 mx.test\r\n", b"220 mx.test stockade\r\n"),
        (b"220\r\n", b"220 localhost stockade\r\n"),
        (b"220 mx\n", b"220 mx stockade\r\n"),
        (
            b"220-mx a\r\n220-mx b\r\n220 mx ESMTP\r\n",
            b"220-mx stockade for a\r\n220-mx b\r\n220 mx ESMTP\r\n",
        ),
    ] {
        check(Mode::Server, &[Backend(greeting), ToClient(greeted)]);
    }
}

#[test]
fn no_command_but_these_is_taken_without_tls() {
    let first: &[u8] = b"530 5.7.0 Must issue a STARTTLS command first\r\n";
    for (said, answer) in [
        (&b"MAIL FROM:<a@b>\r\n"[..], first),
        (b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", first),
        (b"\r\n", first),
        (b"STARTTLSX\r\n", first),
        (b"STARTTLS x\r\n", b"501 5.5.4 No parameters allowed\r\n"),
        (b"HELO me\r\n", b"250 mx.test\r\n"),
    ] {
        check(
            Mode::Server,
            &[
                Backend(GREETING),
                ToClient(GREETED),
                Client(said),
                ToClient(answer),
                Client(b"STARTTLS \r\n"),
                ToClient(b"220 Go ahead\r\n"),
                Leaves(b"", b""),
            ],
        );
    }
}

#[test]
fn a_client_that_quits_is_taken_leave_of_at_both_ends() {
    check(
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"QUIT\r\n"),
            ToClient(b"221 2.0.0 Bye\r\n"),
            ToBackend(b"QUIT\r\n"),
            Fails(End::Client, "Client does not want TLS"),
        ],
    );
}

#[test]
fn commands_behind_starttls_are_refused_and_never_reach_the_backend() {
    for said in [
        &b"STARTTLS\r\nRSET\r\n"[..],
        b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<a@b>\r\n",
        b"STARTTLS\r\n\x16\x03\x01",
        b"STARTTLS\n\n",
    ] {
        for before in [&b""[..], b"EHLO me\r\n"] {
            check_whole(
                &setup(Protocol::Smtp),
                Mode::Server,
                &[
                    Backend(GREETING),
                    ToClient(GREETED),
                    Client(&[before, said].concat()),
                    ToClient(if before.is_empty() { b"" } else { LIST }),
                    Fails(End::Client, "Data arrived in the clear where TLS begins"),
                ],
            );
        }
    }
}

#[test]
fn commands_before_starttls_may_come_together() {
    check(
        Mode::Server,
        &[
            Client(b"EHLO me\r\nSTARTTLS\r\n"),
            Backend(GREETING),
            ToClient(&[GREETED, LIST, b"220 Go ahead\r\n"].concat()),
            Leaves(b"", b""),
        ],
    );
}

#[test]
fn a_backend_that_does_not_greet_is_unavailable() {
    for (said, text) in [
        (
            &b"554 go away\r\n"[..],
            "Unknown server welcome: 554 go away",
        ),
        (b"2200 mx\r\n", "Unknown server welcome: 2200 mx"),
        (b"22\r\n", "Unknown server welcome: 22"),
        (b"* OK\r\n", "Unknown server welcome: * OK"),
        (b"220 a\rb\r\n", "A line has a control character"),
        (&[b'2'; 3000], "The line is too long"),
    ] {
        check(
            Mode::Server,
            &[
                Backend(said),
                ToClient(b"421 4.3.2 The server is not available\r\n"),
                Fails(End::Backend, text),
            ],
        );
    }
    check(
        Mode::Server,
        &[
            Backend(b"220-mx a\r\n554 mx b\r\n"),
            ToClient(b"220-mx stockade for a\r\n"),
            Fails(End::Backend, "Unknown server welcome: 554 mx b"),
        ],
    );
}

#[test]
fn ends_that_come_early_are_told() {
    check(
        Mode::Server,
        &[
            Backend(GREETING),
            ToClient(GREETED),
            Client(b"EHL"),
            ClientEnds,
            Fails(End::Client, "Unexpected socket close"),
        ],
    );
    check(
        Mode::Client,
        &[
            Backend(GREETING),
            ToBackend(HELLO),
            Backend(b"250-mx\r\n"),
            BackendEnds,
            ToClient(SORRY),
            Fails(End::Backend, "Unexpected socket close"),
        ],
    );
}

#[test]
fn a_server_is_asked_for_tls_and_the_application_hears_its_greeting_then() {
    for greeting in [GREETING, b"220-mx a\r\n220-mx b\r\n220 mx c\r\n"] {
        check(
            Mode::Client,
            &[
                Client(b"EHLO app\r\n"),
                Backend(greeting),
                ToBackend(HELLO),
                Backend(CAPABLE),
                ToBackend(ASKED),
                Backend(b"220-go\r\n220 ahead\r\n"),
                ToClient(b""),
                Leaves(b"EHLO app\r\n", b""),
                Enter(Stage::Secured),
                ToClient(greeting),
                Leaves(b"EHLO app\r\n", b""),
            ],
        );
    }
}

#[test]
fn a_server_is_greeted_with_the_name_that_is_set() {
    let setup = Setup {
        host: Some("my.name".to_string()),
        ..setup(Protocol::Smtp)
    };
    tests::check(
        &setup,
        Mode::Client,
        &[Backend(GREETING), ToBackend(b"EHLO my.name\r\n")],
    );
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    for (hello, go_ahead, text) in [
        (
            &b"500 what\r\n"[..],
            &b""[..],
            "Remote server is not RFC 1425 compliant: 500 what",
        ),
        (
            b"250-a\r\n550 b\r\n",
            b"",
            "Remote server is not RFC 1425 compliant: 550 b",
        ),
        (
            b"250+a\r\n",
            b"",
            "Remote server is not RFC 1425 compliant: 250+a",
        ),
        (
            CAPABLE,
            b"454 no\r\n",
            "Remote server is not RFC 2487 compliant: 454 no",
        ),
        (
            b"250 mx\r\n",
            b"502 no\r\n",
            "Remote server is not RFC 2487 compliant: 502 no",
        ),
        (
            CAPABLE,
            b"220-a\r\n221 b\r\n",
            "Remote server is not RFC 2487 compliant: 221 b",
        ),
        (
            CAPABLE,
            b"\r\n",
            "Remote server is not RFC 2487 compliant: ",
        ),
    ] {
        let mut steps = vec![Backend(GREETING), ToBackend(HELLO), Backend(hello)];
        if !go_ahead.is_empty() {
            steps.extend([ToBackend(ASKED), Backend(go_ahead)]);
        }
        steps.extend([ToClient(SORRY), Fails(End::Backend, text)]);
        check(Mode::Client, &steps);
    }
    check(
        Mode::Client,
        &[
            Backend(b"554 go away\r\n"),
            ToClient(SORRY),
            Fails(End::Backend, "Unknown server welcome: 554 go away"),
        ],
    );
}

#[test]
fn answers_that_come_early_or_together_are_refused() {
    let early = "Data arrived in the clear where TLS begins";
    for (steps, text) in [
        (
            vec![
                Backend(b"220 mx\r\n250 mx\r\n220 go\r\n250 evil\r\n"),
                ToBackend(b"EHLO localhost\r\nSTARTTLS\r\n"),
            ],
            early,
        ),
        (
            vec![Backend(b"220 mx\r\n220 mx\r\n"), ToBackend(HELLO)],
            "Remote server is not RFC 1425 compliant: 220 mx",
        ),
        (
            vec![
                Backend(GREETING),
                ToBackend(HELLO),
                Backend(b"250-mx\r\n250 STARTTLS\r\n220 go\r\n235 ok\r\n"),
                ToBackend(ASKED),
            ],
            early,
        ),
        (
            vec![
                Backend(GREETING),
                ToBackend(HELLO),
                Backend(CAPABLE),
                ToBackend(ASKED),
                Backend(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"),
            ],
            early,
        ),
        (
            vec![
                Backend(GREETING),
                ToBackend(HELLO),
                Backend(CAPABLE),
                ToBackend(ASKED),
                Backend(b"220-go\r\n220 ahead\r\n\x16"),
            ],
            early,
        ),
    ] {
        let last = [ToClient(SORRY), Fails(End::Backend, text)];
        check_whole(
            &knowing(Authentication::Plain),
            Mode::Client,
            &steps.into_iter().chain(last).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn what_servers_say_is_bounded() {
    let greeting = b"220-a long greeting\r\n".repeat(300);
    let capable = b"250-x\r\n".repeat(lines::REPLIES.into());
    check(
        Mode::Client,
        &[
            Backend(&[&b"220-"[..], &[b'x'; 2000], b"\r\n"].concat().repeat(3)),
            ToClient(SORRY),
            Fails(End::Backend, "The greeting is too long"),
        ],
    );
    check(
        Mode::Client,
        &[
            Backend(&greeting),
            ToClient(SORRY),
            Fails(End::Backend, "There are too many lines"),
        ],
    );
    check(
        Mode::Client,
        &[
            Backend(GREETING),
            ToBackend(HELLO),
            Backend(&capable),
            ToClient(SORRY),
            Fails(End::Backend, "There are too many lines"),
        ],
    );
}

#[test]
fn credentials_are_sent_inside_tls_in_one() {
    check_secured(
        &knowing(Authentication::Plain),
        vec![
            ToBackend(HELLO),
            Backend(b"250-mx.test\r\n250 AUTH PLAIN LOGIN\r\n"),
            // base64 of NUL, user, NUL, secret
            ToBackend(b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"),
            Client(b"EHLO app\r\n"),
            ToClient(b""),
            Backend(b"235 2.7.0 ok\r\n"),
            ToClient(GREETING),
            Leaves(b"EHLO app\r\n", b""),
        ],
    );
}

#[test]
fn credentials_are_sent_inside_tls_one_after_the_other() {
    check_secured(
        &knowing(Authentication::Login),
        vec![
            ToBackend(HELLO),
            Backend(b"250 AUTH LOGIN\r\n"),
            ToBackend(b"AUTH LOGIN\r\n"),
            Backend(b"334 VXNlcm5hbWU6\r\n"),
            ToBackend(b"dXNlcg==\r\n"),
            Backend(b"334 UGFzc3dvcmQ6\r\n"),
            ToBackend(b"c2VjcmV0\r\n"),
            Backend(b"235 ok\r\n"),
            ToClient(GREETING),
            Leaves(b"", b""),
        ],
    );
}

#[test]
fn nothing_is_sent_inside_tls_without_both_name_and_password() {
    let nameless = Setup {
        username: None,
        ..knowing(Authentication::Plain)
    };
    let wordless = Setup {
        password: None,
        ..knowing(Authentication::Login)
    };
    for setup in [nameless, wordless] {
        check_secured(&setup, vec![ToClient(GREETING), Leaves(b"", b"")]);
    }
}

#[test]
fn credentials_that_are_not_taken_are_not_shown() {
    for (authentication, dialogue, text) in [
        (
            Authentication::Plain,
            vec![Backend(b"535 no user secret AHVzZXIAc2VjcmV0\r\n")],
            "The server did not take the credentials: 535",
        ),
        (
            Authentication::Plain,
            vec![Backend(b"334 \r\n")],
            "The server did not take the credentials: 334",
        ),
        (
            Authentication::Plain,
            vec![Backend(b"AHVzZXIAc2VjcmV0\r\n")],
            "The server did not take the credentials: ?",
        ),
        (
            Authentication::Login,
            vec![Backend(b"504 no\r\n")],
            "Remote server does not support LOGIN authentication: 504",
        ),
        (
            Authentication::Login,
            vec![
                Backend(b"334 VXNlcm5hbWU6\r\n"),
                ToBackend(b"dXNlcg==\r\n"),
                Backend(b"535 user\r\n"),
            ],
            "LOGIN authentication failed: 535",
        ),
        (
            Authentication::Login,
            vec![
                Backend(b"334 VXNlcm5hbWU6\r\n"),
                ToBackend(b"dXNlcg==\r\n"),
                Backend(b"334 UGFzc3dvcmQ6\r\n"),
                ToBackend(b"c2VjcmV0\r\n"),
                Backend(b"535 c2VjcmV0\r\n"),
            ],
            "The server did not take the credentials: 535",
        ),
    ] {
        let request: &[u8] = match authentication {
            Authentication::Login => b"AUTH LOGIN\r\n",
            _ => b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
        };
        let mut steps = vec![ToBackend(HELLO), Backend(b"250 mx\r\n"), ToBackend(request)];
        steps.extend(dialogue);
        steps.extend([ToClient(SORRY), Fails(End::Backend, text)]);
        check_secured(&knowing(authentication), steps);
    }
}

#[test]
fn a_server_that_forgets_its_manners_inside_tls_gets_no_credentials() {
    check_secured(
        &knowing(Authentication::Plain),
        vec![
            ToBackend(HELLO),
            Backend(b"500 what\r\n"),
            ToClient(SORRY),
            Fails(
                End::Backend,
                "Remote server is not RFC 1425 compliant: 500 what",
            ),
        ],
    );
}

#[test]
fn no_credentials_are_sent_in_the_clear_whatever_a_server_says() {
    let replies: [&[u8]; 5] = [GREETING, CAPABLE, b"220 go\r\n", b"334 \r\n", b"235 ok\r\n"];
    for first in replies {
        for second in replies {
            for third in replies {
                for authentication in [Authentication::Plain, Authentication::Login] {
                    let dialect =
                        crate::dialect::begin(&knowing(authentication), Mode::Client).unwrap();
                    let mut trial = Trial::new(dialect, b"", b"");
                    for said in [first, second, third] {
                        trial.backend.says.extend_from_slice(said);
                        if trial.stage(Stage::Clear, 100).is_err() {
                            break;
                        }
                    }
                    let heard = trial.backend.heard.escape_ascii().to_string();
                    for secret in ["AUTH", "AHVz", "dXNl", "c2Vj", "secret", "user"] {
                        assert!(!heard.contains(secret), "{}", format!("{heard} {secret}"));
                    }
                }
            }
        }
    }
}

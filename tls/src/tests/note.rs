//! Clients' certificates that are noted, not insisted on.

use std::string::ToString;
use std::vec::Vec;

use super::{NOW, PROVIDERS, Pair, Setup, VERSIONS, fixture, identity};
use crate::{
    Client, ClientAuth, ClientOptions, ClientVerify, NameCheck, PathOptions, RefusalReason, Server,
    ServerOptions, Suite, TicketSecret, Trust, Verdict, VerifyMode, Version,
};

type Shown = Option<(&'static str, &'static str)>;

const GOOD: Shown = Some(("test-p256.pem", "test-p256.key"));
const STRANGER: Shown = Some(("test-selfsigned.pem", "test-p256.key"));
const OLD: Shown = Some(("test-p256-v1.pem", "test-p256.key"));

fn path() -> ClientVerify {
    ClientVerify::Path {
        roots: Vec::from([fixture("test-ca.pem")]),
        options: PathOptions {
            names: NameCheck::Nobody,
            ..PathOptions::default()
        },
    }
}

fn chain() -> ClientVerify {
    ClientVerify::Chain {
        roots: Vec::from([fixture("test-ca.pem")]),
    }
}

fn server(setup: &Setup, verify: ClientVerify) -> Server {
    Server::new(ServerOptions {
        client_auth: ClientAuth::Note(verify),
        ..setup.server_options()
    })
    .unwrap()
}

fn client(setup: &Setup, shown: Shown) -> Client {
    Client::new(ClientOptions {
        identity: shown.map(|(certificate, key)| identity(certificate, key, setup.client)),
        ..setup.client_options()
    })
    .unwrap()
}

/// A full handshake and one that resumes it: both verdicts.
fn verdicts(setup: &Setup, verify: ClientVerify, shown: Shown) -> [Verdict; 2] {
    let (server, client) = (server(setup, verify), client(setup, shown));
    [false, true].map(|resumed| {
        let mut pair = Pair::of(&server, &client, Some("localhost"));
        assert_eq!(pair.server.0.client_verdict(), None, "too soon");
        pair.pump().unwrap();
        pair.check();
        assert_eq!(pair.server.handshake().resumed, resumed);
        assert_eq!(pair.client.0.client_verdict(), None);
        assert_eq!(pair.server.0.peer().is_some(), shown.is_some());
        pair.server.0.client_verdict().unwrap().clone()
    })
}

fn each(mut check: impl FnMut(&Setup)) {
    for provider in PROVIDERS {
        for version in VERSIONS {
            for tickets in [true, false] {
                check(&Setup {
                    tickets,
                    ..Setup::providers(provider, provider).version(version)
                });
            }
        }
    }
}

#[test]
fn a_good_certificate_is_noted_and_stays_good() {
    each(|setup| {
        for verify in [path(), chain(), ClientVerify::Any] {
            assert_eq!(
                verdicts(setup, verify, GOOD),
                [Verdict::Good, Verdict::Good]
            );
        }
        assert_eq!(verdicts(setup, path(), OLD), [Verdict::Good, Verdict::Good]);
    });
}

#[test]
fn a_missing_certificate_is_noted_and_stays_missing() {
    each(|setup| {
        for verify in [path(), chain(), ClientVerify::Any] {
            let missing = [Verdict::Missing, Verdict::Missing];
            assert_eq!(verdicts(setup, verify, None), missing);
        }
    });
}

#[test]
fn a_bad_certificate_is_noted_with_its_reason() {
    each(|setup| {
        for (verify, shown) in [(path(), STRANGER), (chain(), STRANGER), (chain(), OLD)] {
            let ours = matches!(verify, ClientVerify::Path { .. });
            let [first, second] = verdicts(setup, verify, shown);
            let Verdict::Refused { reason, refusal } = first else {
                panic!("{first}");
            };
            if ours {
                let refusal = refusal.unwrap();
                assert_eq!(refusal.depth, 0);
                assert_eq!(refusal.reason, RefusalReason::SelfSigned);
                assert_eq!(refusal.to_string(), reason);
                assert!(reason.contains(&refusal.subject));
            } else {
                assert_eq!(refusal, None);
                assert!(!reason.is_empty());
            }
            // A session keeps the words.
            let refusal = None;
            assert_eq!(second, Verdict::Refused { reason, refusal });
        }
    });
}

#[test]
fn a_pinned_client_is_told_from_others() {
    let pinned = ClientVerify::Path {
        roots: Vec::from([fixture("test-p256.pem")]),
        options: PathOptions {
            trust: Trust::Peer,
            names: NameCheck::Nobody,
            ..PathOptions::default()
        },
    };
    let setup = Setup::default();
    let other = Some(("test-p384.pem", "test-p384.key"));
    assert!(
        verdicts(&setup, pinned.clone(), GOOD)
            .iter()
            .all(Verdict::is_good)
    );
    assert!(!verdicts(&setup, pinned, other).iter().any(Verdict::is_good));
}

/// Words about the peer come from the session too.
#[test]
fn the_peers_certificate_is_known_to_both_ends() {
    each(|setup| {
        let (server, client) = (server(setup, path()), client(setup, GOOD));
        for _ in 0..2 {
            let mut pair = Pair::of(&server, &client, Some("localhost"));
            pair.pump().unwrap();
            for end in [&pair.client, &pair.server] {
                let peer = end.0.peer().unwrap();
                assert_eq!(peer.depth, 0);
                assert!(peer.subject.contains("CN="), "{}", peer.subject);
                assert!(peer.issuer.contains("CN="), "{}", peer.issuer);
                assert_ne!(peer.subject, peer.issuer);
                assert!(peer.not_before < NOW && NOW < peer.not_after);
                assert!(!peer.serial.is_empty());
                assert_eq!(end.0.peer_chain().first(), Some(&peer));
            }
        }
    });
}

/// As proxies tell it to backends, a resumed session included.
#[test]
fn the_certificate_itself_is_known_and_its_common_name() {
    each(|setup| {
        let (server, client) = (server(setup, path()), client(setup, GOOD));
        for _ in 0..2 {
            let mut pair = Pair::of(&server, &client, Some("localhost"));
            assert_eq!(pair.server.0.peer_der(), None);
            pair.pump().unwrap();
            for end in [&pair.client, &pair.server] {
                let name = end.0.peer_common_name().unwrap();
                let subject = end.0.peer().unwrap().subject;
                assert!(subject.contains(&std::format!("CN={name}")), "{subject}");
                let der = end.0.peer_der().unwrap();
                assert_eq!(der.first(), Some(&0x30));
                assert_eq!(crate::path::common_name(der), Some(name));
            }
        }
    });
}

#[test]
fn only_a_certificate_that_was_checked_is_verified() {
    for (auth, shown, expected) in [
        (ClientAuth::Off, GOOD, false),
        (ClientAuth::Request(path()), None, false),
        (ClientAuth::Request(path()), GOOD, true),
        (ClientAuth::Require(chain()), GOOD, true),
        (ClientAuth::Require(ClientVerify::Any), GOOD, false),
        (ClientAuth::Note(ClientVerify::Any), GOOD, false),
        (ClientAuth::Note(path()), GOOD, true),
        (ClientAuth::Note(path()), STRANGER, false),
        (ClientAuth::Note(path()), None, false),
    ] {
        let setup = Setup::default();
        let context = std::format!("{auth:?}");
        let server = Server::new(ServerOptions {
            client_auth: auth,
            ..setup.server_options()
        })
        .unwrap();
        let client = client(&setup, shown);
        for _ in 0..2 {
            let mut pair = Pair::of(&server, &client, Some("localhost"));
            assert!(!pair.server.0.client_verified());
            pair.pump().unwrap();
            assert_eq!(pair.server.0.client_verified(), expected, "{context}");
            assert!(!pair.client.0.client_verified());
        }
    }
}

#[test]
fn servers_that_do_not_note_have_no_verdict() {
    for auth in [
        ClientAuth::Off,
        ClientAuth::Request(path()),
        ClientAuth::Require(path()),
    ] {
        let setup = Setup::default();
        let server = Server::new(ServerOptions {
            client_auth: auth,
            ..setup.server_options()
        });
        let mut pair = Pair::of(&server.unwrap(), &client(&setup, GOOD), Some("localhost"));
        pair.pump().unwrap();
        assert_eq!(pair.server.0.client_verdict(), None);
    }
}

/// A session that the client offers and rustls declines, for its suite here, must leave nothing
/// behind: the full handshake that follows has its own verdict and data.
#[test]
fn a_declined_session_leaves_nothing_behind() {
    let setup = Setup {
        session_cache: 0,
        verify: VerifyMode::None,
        ..Setup::default().version(Version::Tls13)
    };
    let start = |suite| {
        Server::new(ServerOptions {
            ticket_secret: Some(TicketSecret::new(&[1; 32], &[2; 32])),
            suites: Vec::from([suite]),
            client_auth: ClientAuth::Note(path()),
            ..setup.server_options()
        })
        .unwrap()
    };
    let first = start(Suite::Aes128GcmSha256);
    let second = start(Suite::Chacha20Poly1305Sha256);
    let client = client(&setup, GOOD);
    let run = |server: &Server, data: &[u8]| {
        let mut pair = Pair {
            client: super::End(client.connect(Some("localhost")).unwrap(), Vec::new()),
            server: super::End(server.accept_with(data).unwrap(), Vec::new()),
        };
        pair.pump().unwrap();
        pair.check();
        let connection = &pair.server.0;
        (
            connection.handshake().unwrap().resumed,
            connection.client_verdict().cloned(),
            connection.resumed_data().map(<[u8]>::to_vec),
        )
    };
    let good = Some(Verdict::Good);
    assert_eq!(run(&first, b"first"), (false, good.clone(), None));
    assert_eq!(run(&second, b"second"), (false, good.clone(), None));
    assert_eq!(
        run(&second, b"third"),
        (true, good, Some(b"second".to_vec()))
    );
}

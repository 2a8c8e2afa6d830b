//! How long sessions live, what survives a restart, and what is kept with them.

use core::time::Duration;
use std::vec::Vec;

use super::{NOW, PROVIDERS, Pair, Setup, VERSIONS};
use crate::{
    Client, ClientAuth, ClientOptions, ClientVerify, Error, MAX_SESSION_DATA, Provider, Server,
    ServerOptions, Suite, TicketSecret, Version, WallClock,
};

const HOUR: u64 = 3600;

/// Connects once more; whether that resumed, and the data that came with the session.
fn again_with(server: &Server, client: &Client, data: &[u8]) -> (bool, Option<Vec<u8>>) {
    let mut pair = Pair {
        client: super::End(client.connect(Some("localhost")).unwrap(), Vec::new()),
        server: super::End(server.accept_with(data).unwrap(), Vec::new()),
    };
    pair.pump().unwrap();
    pair.check();
    let data = pair.server.0.resumed_data().map(<[u8]>::to_vec);
    (pair.server.handshake().resumed, data)
}

fn again(server: &Server, client: &Client) -> bool {
    again_with(server, client, b"").0
}

/// Tickets and memory, in both versions.
fn each(mut check: impl FnMut(Setup)) {
    for version in VERSIONS {
        for tickets in [true, false] {
            check(Setup {
                tickets,
                ..Setup::default().version(version)
            });
        }
    }
}

#[test]
fn sessions_end_with_their_lifetime() {
    each(|setup| {
        let options = ServerOptions {
            session_lifetime: Duration::from_secs(300),
            ..setup.server_options()
        };
        let (server, client) = (Server::new(options).unwrap(), setup.client());
        assert!(!again(&server, &client));
        setup.clock.set(NOW + 299);
        assert!(again(&server, &client));
        // TLS 1.3 makes new tickets with each handshake; TLS 1.2 by ticket does so too.
        let renewed = setup.tickets || setup.versions.min == Version::Tls13;
        setup.clock.set(NOW + 299 + 299);
        assert_eq!(again(&server, &client), renewed);
        setup.clock.set(NOW + 299 + 299 + 300);
        assert!(!again(&server, &client));
    });
}

#[test]
fn no_session_outlives_its_full_handshake_by_more_than_a_day() {
    let setup = Setup::default().version(Version::Tls13);
    let (server, client) = (setup.server(), setup.client());
    assert!(!again(&server, &client));
    for hours in [5, 10, 15, 20] {
        setup.clock.set(NOW + hours * HOUR);
        assert!(again(&server, &client), "after {hours} hours");
    }
    setup.clock.set(NOW + 24 * HOUR);
    assert!(!again(&server, &client));
    setup.clock.set(NOW + 25 * HOUR);
    assert!(again(&server, &client));
}

#[test]
fn a_client_may_forget_sooner() {
    each(|setup| {
        let options = ClientOptions {
            session_lifetime: Duration::from_secs(60),
            ..setup.client_options()
        };
        let (server, client) = (setup.server(), Client::new(options).unwrap());
        assert!(!again(&server, &client));
        setup.clock.set(NOW + 59);
        assert!(again(&server, &client));
        setup.clock.set(NOW + 59 + 60);
        assert!(!again(&server, &client));
    });
}

#[test]
fn without_resumption_every_handshake_is_a_full_one() {
    each(|setup| {
        let server = Server::new(ServerOptions {
            resumption: false,
            ..setup.server_options()
        });
        let (server, client) = (server.unwrap(), setup.client());
        assert!(!again(&server, &client));
        assert!(!again(&server, &client));
        let client = Client::new(ClientOptions {
            resumption: false,
            ..setup.client_options()
        });
        let (server, client) = (setup.server(), client.unwrap());
        assert!(!again(&server, &client));
        assert!(!again(&server, &client));
    });
}

#[test]
fn tickets_need_no_suite_of_their_own() {
    let setup = Setup {
        session_cache: 0,
        ..Setup::default()
    };
    let server = Server::new(ServerOptions {
        suites: Vec::from([Suite::Chacha20Poly1305Sha256]),
        ..setup.server_options()
    });
    let (server, client) = (server.unwrap(), setup.client());
    assert!(!again(&server, &client));
    assert!(again(&server, &client));
}

/// A server that begins at `since` with this secret.
fn restarted(setup: &Setup, secret: (&[u8], &[u8]), since: u64) -> ServerOptions {
    ServerOptions {
        clock: WallClock::new(since),
        ticket_secret: Some(TicketSecret::new(secret.0, secret.1)),
        session_cache: 0,
        ..setup.server_options()
    }
}

#[test]
fn a_secret_makes_tickets_survive_a_restart() {
    const SECRET: (&[u8], &[u8]) = (&[7; 32], &[9; 32]);
    for version in VERSIONS {
        for (before, after) in [
            (Provider::Ring, Provider::Ring),
            (Provider::Ring, Provider::RustCrypto),
            (Provider::RustCrypto, Provider::Ring),
        ] {
            let setup = |server| Setup::providers(server, Provider::Ring).version(version);
            let start = |server, secret, since| {
                Server::new(restarted(&setup(server), secret, since)).unwrap()
            };
            let client = setup(before).client();
            assert!(!again(&start(before, SECRET, NOW), &client));
            assert!(again(&start(after, SECRET, NOW + 5 * HOUR), &client));
            assert!(!again(&start(after, SECRET, NOW + 12 * HOUR), &client));
            for other in [
                (&[7; 32][..], &[8; 32][..]),
                (&[8; 32], &[9; 32]),
                (&[7; 16], &[9; 32]),
                // The same bytes, cut elsewhere.
                (&[7; 32], &[9; 31]),
            ] {
                let client = setup(before).client();
                assert!(!again(&start(before, SECRET, NOW), &client));
                assert!(!again(&start(after, other, NOW), &client));
            }
        }
    }
}

#[test]
fn a_secrets_tickets_stay_with_their_service_and_its_rules() {
    const SECRET: (&[u8], &[u8]) = (&[1; 16], &[2; 16]);
    let roots = Vec::from([super::fixture("test-ca.pem")]);
    let auths = [
        ClientAuth::Off,
        ClientAuth::Request(ClientVerify::Any),
        ClientAuth::Note(ClientVerify::Any),
        ClientAuth::Request(ClientVerify::Chain {
            roots: roots.clone(),
        }),
        ClientAuth::Request(ClientVerify::Path {
            roots,
            options: crate::PathOptions {
                names: crate::NameCheck::Nobody,
                ..crate::PathOptions::default()
            },
        }),
    ];
    let setup = Setup::default().version(Version::Tls13);
    let start = |context: &str, auth: &ClientAuth| {
        Server::new(ServerOptions {
            session_context: context.into(),
            client_auth: auth.clone(),
            ..restarted(&setup, SECRET, NOW)
        })
        .unwrap()
    };
    for issued in &auths {
        for used in &auths {
            for context in ["one", "two"] {
                let client = setup.client();
                assert!(!again(&start("one", issued), &client));
                let expect = context == "one" && issued == used;
                assert_eq!(again(&start(context, used), &client), expect);
            }
        }
    }
}

#[test]
fn data_is_kept_with_the_session() {
    for provider in PROVIDERS {
        each(|setup| {
            let setup = Setup {
                server: provider,
                ..setup
            };
            let (server, client) = (setup.server(), setup.client());
            let kept = Some(b"10.0.0.1:80".to_vec());
            assert_eq!(
                again_with(&server, &client, b"10.0.0.1:80"),
                (false, None),
                "nothing came before"
            );
            // It stays, whatever a later connection would have brought along.
            assert_eq!(again_with(&server, &client, b"other"), (true, kept.clone()));
            assert_eq!(again_with(&server, &client, b""), (true, kept));
        });
    }
}

#[test]
fn data_in_memory_can_be_changed_after_the_handshake() {
    for version in VERSIONS {
        let setup = Setup {
            tickets: false,
            ..Setup::default().version(version)
        };
        let (server, client) = (setup.server(), setup.client());
        let mut pair = Pair::of(&server, &client, Some("localhost"));
        pair.pump().unwrap();
        pair.server.0.change_session_data(b"decided later");
        pair.server
            .0
            .change_session_data(&[0; MAX_SESSION_DATA + 1]);
        let kept = Some(b"decided later".to_vec());
        assert_eq!(again_with(&server, &client, b"other"), (true, kept));
        // A connection that resumed the session may change it too.
        let mut pair = Pair::of(&server, &client, Some("localhost"));
        pair.pump().unwrap();
        pair.server.0.change_session_data(b"and again");
        let kept = Some(b"and again".to_vec());
        assert_eq!(again_with(&server, &client, b"other"), (true, kept));
    }
}

#[test]
fn data_has_a_bound() {
    let server = Setup::default().server();
    assert!(server.accept_with(&[0; MAX_SESSION_DATA]).is_ok());
    let error = server.accept_with(&[0; MAX_SESSION_DATA + 1]).unwrap_err();
    assert_eq!(error, Error::SessionData);
}

#[test]
fn each_session_key_has_sessions_of_its_own() {
    each(|setup| {
        let (server, client) = (setup.server(), setup.client());
        let resumed = |key| {
            let connection = client.connect_to(Some("localhost"), key).unwrap();
            let mut pair = Pair {
                client: super::End(connection, Vec::new()),
                server: super::End(server.accept().unwrap(), Vec::new()),
            };
            pair.pump().unwrap();
            pair.check();
            pair.client.handshake().resumed
        };
        assert!(!resumed("10.0.0.1:443"));
        assert!(!resumed("10.0.0.2:443"));
        assert!(!resumed(""));
        for key in ["10.0.0.1:443", "10.0.0.2:443", ""] {
            assert!(resumed(key), "{key:?}");
        }
    });
}

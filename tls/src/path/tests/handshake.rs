//! Path validation in handshakes, with the certificates that made it necessary.

use std::string::{String, ToString};
use std::vec::Vec;

use crate::tests::{NOW, PROVIDERS, Pair, Setup, VERSIONS, fixture, identity};
use crate::{
    Client, ClientAuth, ClientOptions, ClientVerify, ConfigError, Error, NameCheck, PathOptions,
    PeerName, Provider, RefusalReason, Server, ServerOptions, Trust, VerifyMode, Version,
    WallClock,
};

fn setup(provider: Provider, version: Version, certificate: &str) -> Setup {
    Setup {
        certificate: certificate.to_string(),
        ..Setup::providers(provider, provider).version(version)
    }
}

fn path(names: NameCheck) -> PathOptions {
    PathOptions {
        names,
        ..PathOptions::default()
    }
}

fn host(name: &str) -> NameCheck {
    NameCheck::AnyOf(Vec::from([PeerName::Host(name.into())]))
}

/// A client that trusts one fixture and judges by `options`.
fn client(setup: &Setup, root: &str, options: PathOptions) -> Client {
    Client::new(ClientOptions {
        roots: Vec::from([fixture(root)]),
        verify: VerifyMode::Path(options),
        ..setup.client_options()
    })
    .unwrap()
}

fn connect(setup: &Setup, client: &Client, name: Option<&str>) -> Result<Pair, Error> {
    let mut pair = Pair::of(&setup.server(), client, name);
    pair.pump()?;
    pair.check();
    Ok(pair)
}

fn refused(result: Result<Pair, Error>) -> RefusalReason {
    match result {
        Err(Error::Refused(refusal)) => refusal.reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the certificate was taken"),
    }
}

#[test]
fn leaves_of_version_1_are_taken_by_their_common_name() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            for certificate in ["test-p256-v1.pem", "test-p256.pem"] {
                let setup = setup(provider, version, certificate);
                let checked = client(&setup, "test-ca.pem", PathOptions::default());
                connect(&setup, &checked, Some("localhost")).unwrap();
                connect(&setup, &checked, Some("LOCALHOST.")).unwrap();
                let elsewhere = connect(&setup, &checked, Some("elsewhere.example"));
                let reason = refused(elsewhere);
                let RefusalReason::Name {
                    expected,
                    presented,
                } = reason
                else {
                    panic!("{reason:?}");
                };
                assert_eq!(expected, ["elsewhere.example"]);
                assert!(presented.contains(&"localhost".to_string()));
                assert_eq!(checked.connect(None).unwrap_err(), Error::ServerName);
            }
        }
    }
}

/// webpki, the default, goes on refusing them.
#[test]
fn without_path_options_nothing_changes() {
    for certificate in ["test-p256-v1.pem", "test-selfsigned.pem"] {
        let setup = setup(Provider::Ring, Version::Tls13, certificate);
        let mut options = setup.client_options();
        options.roots.push(fixture("test-selfsigned.pem"));
        let client = Client::new(options).unwrap();
        let result = connect(&setup, &client, Some("localhost"));
        assert!(matches!(result, Err(Error::Certificate { .. })));
    }
}

#[test]
fn a_self_signed_certificate_may_be_its_own_anchor() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            let setup = setup(provider, version, "test-selfsigned.pem");
            for trust in [Trust::Chain, Trust::Peer, Trust::ChainAndPeer] {
                let options = PathOptions {
                    trust,
                    ..PathOptions::default()
                };
                let own = client(&setup, "test-selfsigned.pem", options.clone());
                connect(&setup, &own, Some("localhost")).unwrap();
                let other = client(&setup, "test-ca.pem", options);
                let reason = refused(connect(&setup, &other, Some("localhost")));
                let expect = if trust == Trust::Chain {
                    RefusalReason::SelfSigned
                } else {
                    RefusalReason::NotPinned
                };
                assert_eq!(reason, expect);
            }
        }
    }
}

#[test]
fn names_may_be_others_than_the_one_connected_to_or_none() {
    let setup = setup(Provider::Ring, Version::Tls13, "test-p256.pem");
    let checked = |names| client(&setup, "test-ca.pem", path(names));
    connect(&setup, &checked(NameCheck::Nobody), None).unwrap();
    connect(
        &setup,
        &checked(NameCheck::Nobody),
        Some("elsewhere.example"),
    )
    .unwrap();
    connect(
        &setup,
        &checked(host("second.example")),
        Some("elsewhere.example"),
    )
    .unwrap();
    connect(&setup, &checked(NameCheck::ServerName), Some("127.0.0.1")).unwrap();
    let any = NameCheck::AnyOf(Vec::from([
        PeerName::Host("elsewhere.example".into()),
        PeerName::Address([127, 0, 0, 1].into()),
    ]));
    connect(&setup, &checked(any), Some("localhost")).unwrap();
    let reason = refused(connect(
        &setup,
        &checked(host("a.example")),
        Some("localhost"),
    ));
    assert!(matches!(reason, RefusalReason::Name { .. }));
    let reason = refused(connect(
        &setup,
        &checked(NameCheck::ServerName),
        Some("127.0.0.2"),
    ));
    assert!(matches!(reason, RefusalReason::Name { .. }));
}

/// The peer hears the alert that fits, and we the whole sentence.
#[test]
fn refusals_are_told_to_both_sides() {
    let check = |setup: &Setup, client: &Client, alert: u8, sentence: &str| {
        let mut pair = Pair::of(&setup.server(), client, Some("localhost"));
        let hello = pair.client.take_output();
        pair.server.receive(hello).unwrap();
        let flight = pair.server.take_output();
        let error = pair.client.receive(flight).unwrap_err();
        assert_eq!(
            error.to_string(),
            std::format!("the peer's certificate was refused: {sentence}")
        );
        let records = pair.client.take_output();
        let error = pair.server.receive(records).unwrap_err();
        assert!(
            matches!(error, Error::PeerAlert { code, .. } if code == alert),
            "{error}"
        );
    };
    let setup = setup(Provider::Ring, Version::Tls13, "test-p256-v1.pem");
    let elsewhere = client(&setup, "test-ca.pem", path(host("a.example")));
    check(
        &setup,
        &elsewhere,
        42,
        "\"CN=localhost\" at depth 0 is not for \"a.example\" but for \"localhost\"",
    );
    let stranger = client(&setup, "test-selfsigned.pem", PathOptions::default());
    check(
        &setup,
        &stranger,
        48,
        "\"CN=localhost\" at depth 0 was issued by \"CN=Stockade test CA\", \
         of which no fitting certificate is trusted or was sent",
    );
    let late = Setup {
        clock: WallClock::new(NOW + 200 * 365 * 86_400),
        ..setup.clone()
    };
    let mut pair = Pair::of(
        &late.server(),
        &client(&late, "test-ca.pem", PathOptions::default()),
        Some("localhost"),
    );
    let error = pair.pump().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "the peer's certificate was refused: \"CN=localhost\" at depth 0 expired on 21"
        ),
        "{error}"
    );
}

#[test]
fn resumption_goes_on_with_path_validation() {
    for version in VERSIONS {
        let setup = setup(Provider::Ring, version, "test-p256-v1.pem");
        let (server, client) = (
            setup.server(),
            client(&setup, "test-ca.pem", PathOptions::default()),
        );
        for resumed in [false, true] {
            let mut pair = Pair::of(&server, &client, Some("localhost"));
            pair.pump().unwrap();
            pair.check();
            assert_eq!(pair.client.handshake().resumed, resumed);
        }
    }
}

/// A server that judges clients by `auth`, and a client that shows one of the fixtures or nothing.
fn mutual(
    provider: Provider,
    version: Version,
    auth: ClientAuth,
    shown: Option<(&str, &str)>,
) -> Result<(), Error> {
    let setup = Setup::providers(provider, provider).version(version);
    let server = Server::new(ServerOptions {
        client_auth: auth,
        ..setup.server_options()
    })
    .unwrap();
    let client = Client::new(ClientOptions {
        identity: shown.map(|(certificate, key)| identity(certificate, key, provider)),
        ..setup.client_options()
    })
    .unwrap();
    for resumed in [false, true] {
        let mut pair = Pair::of(&server, &client, Some("localhost"));
        // In TLS 1.3 the client is done before the server has judged it.
        pair.pump()?;
        pair.check();
        assert_eq!(pair.server.handshake().resumed, resumed);
    }
    Ok(())
}

#[test]
fn servers_judge_clients() {
    let by_path = |trusted: &str, trust, names| ClientVerify::Path {
        roots: Vec::from([fixture(trusted)]),
        options: PathOptions {
            trust,
            names,
            ..PathOptions::default()
        },
    };
    let ca = || by_path("test-ca.pem", Trust::Chain, NameCheck::Nobody);
    let old = ("test-p256-v1.pem", "test-p256.key");
    let new = ("test-p256.pem", "test-p256.key");
    let own = ("test-selfsigned.pem", "test-p256.key");
    for provider in PROVIDERS {
        for version in VERSIONS {
            let check = |auth, shown| mutual(provider, version, auth, shown);
            check(ClientAuth::Require(ca()), Some(old)).unwrap();
            check(ClientAuth::Request(ca()), Some(new)).unwrap();
            check(ClientAuth::Request(ca()), None).unwrap();
            check(ClientAuth::Request(ClientVerify::Any), None).unwrap();
            check(ClientAuth::Require(ClientVerify::Any), Some(own)).unwrap();
            let pinned = || by_path("test-selfsigned.pem", Trust::Peer, NameCheck::Nobody);
            check(ClientAuth::Require(pinned()), Some(own)).unwrap();
            // Another certificate for the same subject and key.
            check(ClientAuth::Require(pinned()), Some(new)).unwrap();
            let named = |name: &str| by_path("test-ca.pem", Trust::Chain, host(name));
            check(ClientAuth::Require(named("localhost")), Some(old)).unwrap();
            let chain = || ClientVerify::Chain {
                roots: Vec::from([fixture("test-ca.pem")]),
            };
            check(ClientAuth::Require(chain()), Some(new)).unwrap();
            check(ClientAuth::Request(chain()), None).unwrap();

            for verify in [ca(), pinned(), chain(), ClientVerify::Any] {
                let error = check(ClientAuth::Require(verify), None).unwrap_err();
                assert_eq!(error, Error::NoCertificate);
            }
            let reason = |auth, shown| match check(auth, Some(shown)) {
                Err(Error::Refused(refusal)) => refusal.reason,
                other => panic!("{other:?}"),
            };
            assert_eq!(
                reason(ClientAuth::Request(ca()), own),
                RefusalReason::SelfSigned
            );
            assert_eq!(
                reason(
                    ClientAuth::Require(pinned()),
                    ("test-p384.pem", "test-p384.key")
                ),
                RefusalReason::NotPinned
            );
            assert!(matches!(
                reason(ClientAuth::Require(named("a.example")), old),
                RefusalReason::Name { .. }
            ));
            let error = check(ClientAuth::Require(chain()), Some(old)).unwrap_err();
            assert!(matches!(error, Error::Certificate { .. }), "{error}");
        }
    }
}

#[test]
fn options_that_cannot_be_are_named() {
    let setup = Setup::default();
    let with = |options: PathOptions, root: &[u8]| {
        Client::new(ClientOptions {
            roots: Vec::from([root.to_vec()]),
            verify: VerifyMode::Path(options),
            ..setup.client_options()
        })
        .map(drop)
    };
    let root = fixture("test-ca.pem");
    let names = |names: &[PeerName]| path(NameCheck::AnyOf(names.to_vec()));
    let empty = PeerName::Host(String::new());
    let good = PeerName::Email("a@example.org".into());
    assert_eq!(with(names(core::slice::from_ref(&good)), &root), Ok(()));
    let bad_name = |index| Err(ConfigError::PeerName { index });
    assert_eq!(with(names(&[]), &root), bad_name(0));
    assert_eq!(with(names(&[good, empty]), &root), bad_name(1));
    let list = PathOptions {
        revocation_lists: Vec::from([root.clone()]),
        ..PathOptions::default()
    };
    let error = with(list, &root).unwrap_err();
    assert!(error.to_string().contains("BEGIN X509 CRL"), "{error}");
    let error = with(PathOptions::default(), b"0\x03\x02\x01\x01").unwrap_err();
    assert!(error.to_string().contains("malformed"), "{error}");
    let server = Server::new(ServerOptions {
        client_auth: ClientAuth::Require(ClientVerify::Path {
            roots: Vec::from([root]),
            options: PathOptions::default(),
        }),
        ..setup.server_options()
    });
    assert_eq!(server.unwrap_err(), ConfigError::ClientName);
}

/// A place without lists is not the same as no place: nobody is let in unchecked.
#[test]
fn an_empty_place_for_revocation_lists_refuses_everybody() {
    let setup = setup(Provider::Ring, Version::Tls13, "test-p256.pem");
    let options = PathOptions {
        revocation_lists: Vec::from([Vec::new()]),
        ..PathOptions::default()
    };
    let checked = client(&setup, "test-ca.pem", options);
    let reason = refused(connect(&setup, &checked, Some("localhost")));
    assert!(matches!(reason, RefusalReason::NoRevocationList { .. }));
}

//! Every provider with every other, every version, suite, group and kind of key.

use std::string::ToString;
use std::vec::Vec;

use rustls::{CipherSuite, NamedGroup};

use super::{NOW, PROVIDERS, Pair, Setup, VERSIONS, fixture};
use crate::{
    Client, ClientOptions, ConfigError, Error, Provider, Server, VerifyMode, Version, Versions,
    WallClock,
};

/// Every pairing of providers.
fn each(mut test: impl FnMut(Setup)) {
    for server in PROVIDERS {
        for client in PROVIDERS {
            test(Setup::providers(server, client));
        }
    }
}

#[test]
fn providers_and_versions_interoperate() {
    each(|setup| {
        for version in VERSIONS {
            let mut pair = setup.clone().version(version).connected();
            pair.check();
            assert_eq!(pair.server.handshake().version, version);
            assert_eq!(pair.server.handshake().provider, setup.server);
            assert_eq!(pair.client.handshake().provider, setup.client);
        }
    });
}

#[test]
fn newest_version_best_suite_and_hybrid_group_come_first() {
    each(|setup| {
        let mut pair = setup.connected();
        pair.check();
        let expected = std::format!(
            "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768 {} sni=\"localhost\" full",
            setup.server
        );
        assert_eq!(pair.server.handshake().to_string(), expected);
    });
}

#[test]
fn every_suite_works() {
    let tls13 = [
        (
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
    ];
    let tls12 = [
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "p256"),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "p256"),
        (
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            "p256",
        ),
        (
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            "rsa2048",
        ),
        (
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            "rsa2048",
        ),
        (
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            "rsa2048",
        ),
    ];
    each(|setup| {
        for (suite, name) in tls13 {
            let setup = Setup {
                suite: Some(suite),
                ..setup.clone().version(Version::Tls13)
            };
            let mut pair = setup.connected();
            pair.check();
            assert_eq!(pair.server.handshake().suite, name);
        }
        for (suite, leaf) in tls12 {
            let setup = Setup {
                suite: Some(suite),
                ..setup.clone().version(Version::Tls12).leaf(leaf)
            };
            let mut pair = setup.connected();
            pair.check();
            assert_eq!(pair.server.handshake().suite, suite.as_str().unwrap());
        }
    });
}

#[test]
fn every_group_works() {
    each(|setup| {
        for version in VERSIONS {
            for group in [
                NamedGroup::X25519MLKEM768,
                NamedGroup::X25519,
                NamedGroup::secp256r1,
                NamedGroup::secp384r1,
            ] {
                if version == Version::Tls12 && group == NamedGroup::X25519MLKEM768 {
                    continue;
                }
                let setup = Setup {
                    group: Some(group),
                    ..setup.clone().version(version)
                };
                let mut pair = setup.connected();
                pair.check();
                assert_eq!(pair.server.handshake().group, group.as_str());
            }
        }
    });
}

#[test]
fn hybrid_client_falls_back_to_its_x25519_half_without_another_round_trip() {
    each(|setup| {
        let x25519_only = Setup {
            group: Some(NamedGroup::X25519),
            ..setup.clone()
        };
        let mut pair = Pair::of(&x25519_only.server(), &setup.client(), Some("localhost"));
        let hello = pair.client.take_output();
        pair.server.receive(hello).unwrap();
        let flight = pair.server.take_output();
        pair.client.receive(flight).unwrap();
        assert!(
            !pair.client.0.is_handshaking(),
            "a second ClientHello was asked for"
        );
        pair.pump().unwrap();
        pair.check();
        assert_eq!(pair.server.handshake().group, Some("X25519"));
    });
}

#[test]
fn other_groups_are_reached_by_a_second_client_hello() {
    each(|setup| {
        let p384_only = Setup {
            group: Some(NamedGroup::secp384r1),
            ..setup.clone()
        };
        let mut pair = Pair::of(&p384_only.server(), &setup.client(), Some("localhost"));
        pair.pump().unwrap();
        pair.check();
        assert_eq!(pair.server.handshake().group, Some("secp384r1"));
    });
}

#[test]
fn every_kind_of_key_signs() {
    each(|setup| {
        for version in VERSIONS {
            for leaf in ["p256", "p384", "ed25519", "rsa2048", "rsa3072", "rsa4096"] {
                let mut pair = setup.clone().version(version).leaf(leaf).connected();
                pair.check();
            }
        }
    });
}

#[test]
fn every_encoding_of_a_key_is_read() {
    each(|setup| {
        for (certificate, key) in [
            ("test-p256.pem", "test-p256-sec1.key"),
            ("test-p256.pem", "test-p256-params.key"),
            ("test-p384.pem", "test-p384-sec1.key"),
            ("test-rsa2048.pem", "test-rsa2048-pkcs1.key"),
        ] {
            let setup = Setup {
                certificate: certificate.to_string(),
                key: key.to_string(),
                ..setup.clone()
            };
            setup.connected().check();
        }
    });
}

#[test]
fn version_1_certificates_are_served_to_clients_that_take_them() {
    each(|setup| {
        for version in VERSIONS {
            for kind in ["p256", "rsa2048"] {
                let setup = Setup {
                    certificate: std::format!("test-{kind}-v1.pem"),
                    key: std::format!("test-{kind}.key"),
                    verify: VerifyMode::None,
                    ..setup.clone().version(version)
                };
                setup.connected().check();
            }
        }
    });
}

#[test]
fn client_certificates_are_shown_when_asked_for_and_kept_otherwise() {
    // The server does not ask, so the handshake works with an identity as without.
    let setup = Setup::default();
    let options = ClientOptions {
        identity: Some(super::identity(
            "test-p384.pem",
            "test-p384.key",
            Provider::Ring,
        )),
        ..setup.client_options()
    };
    let client = Client::new(options).unwrap();
    let mut pair = Pair::of(&setup.server(), &client, Some("localhost"));
    pair.pump().unwrap();
    pair.check();
}

#[test]
fn server_notes_the_name_asked_for() {
    for (name, noted) in [
        (Some("localhost"), Some("localhost")),
        (Some("second.example"), Some("second.example")),
        // Literal addresses are not sent (RFC 6066 §3).
        (Some("127.0.0.1"), None),
    ] {
        for version in VERSIONS {
            let setup = Setup::default().version(version);
            let mut pair = Pair::of(&setup.server(), &setup.client(), name);
            pair.pump().unwrap();
            pair.check();
            assert_eq!(pair.server.handshake().sni.as_deref(), noted);
            assert_eq!(pair.client.handshake().sni.as_deref(), noted);
        }
    }
}

#[test]
fn clients_without_a_name_work_unverified_only() {
    let setup = Setup {
        verify: VerifyMode::None,
        ..Setup::default()
    };
    let mut pair = Pair::of(&setup.server(), &setup.client(), None);
    pair.pump().unwrap();
    pair.check();
    assert_eq!(pair.server.handshake().sni, None);
    let verified = Setup::default().client();
    assert_eq!(verified.connect(None).unwrap_err(), Error::ServerName);
    assert_eq!(
        verified.connect(Some("not a name")).unwrap_err(),
        Error::ServerName
    );
}

#[test]
fn certificates_are_refused_for_their_reasons() {
    let check = |setup: &Setup, name: &str, alert: u8| {
        let mut pair = Pair::of(&setup.server(), &setup.client(), Some(name));
        let hello = pair.client.take_output();
        pair.server.receive(hello).unwrap();
        let flight = pair.server.take_output();
        let error = pair.client.receive(flight).unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }), "{error}");
        let records = pair.client.take_output();
        let error = pair.server.receive(records).unwrap_err();
        assert!(
            matches!(error, Error::PeerAlert { code, .. } if code == alert),
            "{error}"
        );
    };
    for provider in PROVIDERS {
        let setup = Setup::providers(provider, provider);
        // bad_certificate for another name, certificate_expired, unknown_ca.
        check(&setup, "elsewhere.example", 42);
        let late = Setup {
            clock: WallClock::new(NOW + 200 * 365 * 86_400),
            ..setup.clone()
        };
        check(&late, "localhost", 45);
        let early = Setup {
            clock: WallClock::new(NOW / 2),
            ..setup.clone()
        };
        check(&early, "localhost", 45);
        let mut stranger = setup.client_options();
        stranger.roots = Vec::from([fixture("test-rsa2048.pem")]);
        let client = Client::new(stranger).unwrap();
        let mut pair = Pair::of(&setup.server(), &client, Some("localhost"));
        let error = pair.pump().unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }), "{error}");
    }
}

#[test]
fn protocols_are_negotiated_in_the_servers_order() {
    let protocols = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    for version in VERSIONS {
        let setup = Setup {
            server_alpn: protocols(&["h2", "http/1.1"]),
            client_alpn: protocols(&["http/1.1", "h2"]),
            ..Setup::default().version(version)
        };
        let mut pair = setup.connected();
        pair.check();
        assert_eq!(pair.server.handshake().alpn.as_deref(), Some(&b"h2"[..]));

        let stranger = Setup {
            client_alpn: protocols(&["acme-tls/1"]),
            ..setup.clone()
        };
        let error = stranger.pair().pump().unwrap_err();
        assert!(matches!(error, Error::NothingInCommon { .. }), "{error}");

        let indifferent = Setup {
            server_alpn: Vec::new(),
            ..setup
        };
        assert_eq!(indifferent.connected().server.handshake().alpn, None);
    }
}

#[test]
fn versions_without_overlap_end_with_an_alert() {
    let server = Setup::default().version(Version::Tls13).server();
    let client = Setup::default().version(Version::Tls12).client();
    let mut pair = Pair::of(&server, &client, Some("localhost"));
    let hello = pair.client.take_output();
    let error = pair.server.receive(hello).unwrap_err();
    assert!(matches!(error, Error::NothingInCommon { .. }), "{error}");
    // protocol_version (RFC 8446 §4.2.1).
    assert_eq!(pair.server.take_output(), [21, 3, 3, 0, 2, 2, 70]);
}

#[test]
fn impossible_options_are_refused() {
    let setup = Setup::default();
    let mut options = setup.server_options();
    options.versions = Versions {
        min: Version::Tls13,
        max: Version::Tls12,
    };
    assert_eq!(Server::new(options).unwrap_err(), ConfigError::Versions);

    let mut options = setup.server_options();
    options.alpn = Vec::from([b"h2".to_vec(), Vec::new()]);
    assert_eq!(
        Server::new(options).unwrap_err(),
        ConfigError::Alpn { index: 1 }
    );

    let mut options = setup.client_options();
    options.roots = Vec::new();
    assert_eq!(Client::new(options).unwrap_err(), ConfigError::NoRoots);

    let mut options = setup.client_options();
    options.roots.push(b"nothing".to_vec());
    let error = Client::new(options).unwrap_err();
    assert!(
        matches!(error, ConfigError::Root { index: 1, .. }),
        "{error}"
    );

    let mut options = setup.client_options();
    options.identity = Some(super::identity(
        "test-p256.pem",
        "test-p256.key",
        Provider::RustCrypto,
    ));
    assert_eq!(
        Client::new(options).unwrap_err(),
        ConfigError::IdentityProvider
    );
}

//! Which suites and groups are used, and whose order counts.

use std::vec::Vec;

use super::{PROVIDERS, Pair, Setup, VERSIONS};
use crate::{
    Client, ClientOptions, ConfigError, Error, Group, Server, ServerOptions, Suite, Version,
    Versions,
};

/// Both ends of a handshake with these choices.
fn connect(server: ServerOptions, client: ClientOptions) -> Result<Pair, Error> {
    let (server, client) = (Server::new(server).unwrap(), Client::new(client).unwrap());
    let mut pair = Pair::of(&server, &client, Some("localhost"));
    pair.pump()?;
    pair.check();
    Ok(pair)
}

fn only(version: Version) -> Versions {
    Versions {
        min: version,
        max: version,
    }
}

/// A setup whose certificate goes with a suite.
fn setup_for(suite: Suite) -> Setup {
    let rsa = suite.name().contains("_RSA_");
    if rsa {
        Setup::default().leaf("rsa2048")
    } else {
        Setup::default()
    }
}

#[test]
fn names_are_those_of_the_registry_and_of_openssl() {
    for suite in Suite::ALL {
        assert_eq!(Suite::named(suite.name()), Some(suite));
        assert_eq!(
            Suite::named(&suite.openssl_name().to_lowercase()),
            Some(suite)
        );
        let says_256 = suite.name().contains("_256_") || suite.name().contains("CHACHA20");
        assert_eq!(suite.bits(), if says_256 { 256 } else { 128 });
        let says_tls12 = suite.name().starts_with("TLS_ECDHE_");
        assert_eq!(suite.version() == Version::Tls12, says_tls12);
    }
    assert_eq!(Suite::named("AES128-SHA"), None);
}

#[test]
fn the_one_suite_that_an_end_has_is_used() {
    for suite in Suite::ALL {
        for at_server in [true, false] {
            let setup = setup_for(suite);
            let (mut server, mut client) = (setup.server_options(), setup.client_options());
            if at_server {
                server.suites = Vec::from([suite]);
            } else {
                client.suites = Vec::from([suite]);
            }
            // TLS 1.3 would be agreed on otherwise, and then find no suite.
            client.versions = only(suite.version());
            let pair = connect(server, client).unwrap();
            assert_eq!(pair.client.handshake().suite, suite.name());
        }
    }
}

#[test]
fn the_one_group_that_an_end_has_is_used() {
    for version in VERSIONS {
        for group in Group::ALL {
            if (version, group) == (Version::Tls12, Group::X25519MlKem768) {
                continue;
            }
            for at_server in [true, false] {
                for provider in PROVIDERS {
                    let setup = Setup::providers(provider, provider).version(version);
                    let (mut server, mut client) = (setup.server_options(), setup.client_options());
                    if at_server {
                        server.groups = Vec::from([group]);
                    } else {
                        client.groups = Vec::from([group]);
                    }
                    let pair = connect(server, client).unwrap();
                    assert_eq!(pair.server.handshake().group, Some(group.name()));
                }
            }
        }
    }
}

#[test]
fn the_order_is_the_servers_or_the_clients() {
    let pairs = [
        [Suite::Aes256GcmSha384, Suite::Chacha20Poly1305Sha256],
        [
            Suite::EcdheEcdsaAes256GcmSha384,
            Suite::EcdheEcdsaChacha20Poly1305,
        ],
    ];
    for [first, second] in pairs {
        for (own, expect) in [(true, first), (false, second)] {
            let setup = Setup::default().version(first.version());
            let server = ServerOptions {
                // Said twice, meant once.
                suites: Vec::from([first, second, first]),
                prefer_own_order: own,
                ..setup.server_options()
            };
            let client = ClientOptions {
                suites: Vec::from([second, first]),
                ..setup.client_options()
            };
            let pair = connect(server, client).unwrap();
            assert_eq!(pair.server.handshake().suite, expect.name(), "own={own}");
        }
    }
}

#[test]
fn the_first_group_of_the_client_that_the_server_has_is_used() {
    for version in VERSIONS {
        let setup = Setup::default().version(version);
        let server = ServerOptions {
            groups: Vec::from([Group::P256, Group::P384]),
            ..setup.server_options()
        };
        let client = ClientOptions {
            groups: Vec::from([Group::X25519, Group::P384, Group::P256]),
            ..setup.client_options()
        };
        let pair = connect(server, client).unwrap();
        assert_eq!(pair.client.handshake().group, Some("secp384r1"));
    }
}

#[test]
fn nothing_in_common_is_said_in_words() {
    let setup = Setup::default().version(Version::Tls13);
    let server = |suites: &[Suite], groups: &[Group]| ServerOptions {
        suites: suites.to_vec(),
        groups: groups.to_vec(),
        ..setup.server_options()
    };
    let client = ClientOptions {
        suites: Vec::from([Suite::Aes128GcmSha256]),
        groups: Vec::from([Group::X25519]),
        ..setup.client_options()
    };
    let reason = |server| match connect(server, client.clone()) {
        Err(Error::NothingInCommon { reason }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("something was in common"),
    };
    let suites = [Suite::Chacha20Poly1305Sha256];
    assert_eq!(reason(server(&suites, &[])), "no cipher suite");
    assert_eq!(reason(server(&[], &[Group::P256])), "no key exchange group");
}

#[test]
fn choices_that_no_version_has_are_refused() {
    let setup = Setup::default().version(Version::Tls12);
    let server = ServerOptions {
        suites: Vec::from([Suite::Aes128GcmSha256]),
        ..setup.server_options()
    };
    assert_eq!(Server::new(server).unwrap_err(), ConfigError::Suites);
    let client = ClientOptions {
        groups: Vec::from([Group::X25519MlKem768]),
        ..setup.client_options()
    };
    assert_eq!(Client::new(client).unwrap_err(), ConfigError::Groups);
    // With a version that has them the others may stay.
    let client = ClientOptions {
        suites: Vec::from([Suite::Aes128GcmSha256]),
        groups: Vec::from([Group::X25519MlKem768]),
        ..Setup::default().client_options()
    };
    let pair = connect(Setup::default().server_options(), client).unwrap();
    assert_eq!(pair.server.handshake().group, Some("X25519MLKEM768"));
}

//! Handshakes that succeed, handshakes that must not, and what follows them.

use super::*;
use crate::{ConfigError, Version};

#[test]
fn every_provider_suite_and_group_with_every_other() {
    for server in PROVIDERS {
        for client in PROVIDERS {
            for group in Group::ALL {
                for suite in [Suite::Aes128GcmSha256, Suite::Chacha20Poly1305Sha256] {
                    let mut setup = Setup::providers(server, client);
                    setup.client.groups = Vec::from([group]);
                    setup.client.suites = Vec::from([suite]);
                    let mut pair = setup.connected();
                    pair.check();
                    let handshake = pair.server.handshake();
                    assert_eq!(handshake.version, Version::Tls13);
                    assert_eq!(handshake.suite, suite.name());
                    assert_eq!(handshake.group, Some(group.name()));
                    assert_eq!(handshake.psk_identity.as_deref(), Some(IDENTITY));
                    assert_eq!(handshake.sni.as_deref(), Some("localhost"));
                    assert!(!handshake.resumed);
                }
            }
        }
    }
}

#[test]
fn another_group_is_asked_for() {
    for (first, second) in [
        (Group::X25519, Group::P256),
        (Group::P256, Group::X25519MlKem768),
        (Group::X25519MlKem768, Group::P384),
    ] {
        let mut setup = Setup::default();
        setup.client.groups = Vec::from([first, second]);
        setup.server.groups = Vec::from([second]);
        let mut pair = setup.connected();
        pair.check();
        assert_eq!(pair.client.handshake().group, Some(second.name()));
    }
}

#[test]
fn a_client_with_a_wrong_key_is_told_so() {
    let setup = Setup {
        key: key(IDENTITY, b"0123456789abcdef"),
        ..Setup::default()
    };
    let (server, client) = setup.failed();
    assert_eq!(
        server,
        Some(Error::PreSharedKey {
            reason: "the client has another key for its identity"
        })
    );
    assert!(
        matches!(client, Some(Error::PeerAlert { code: 47, .. })),
        "{client:?}"
    );
}

#[test]
fn a_client_that_is_not_known_is_told_so() {
    let setup = Setup {
        key: key(b"stranger", KEY),
        ..Setup::default()
    };
    let (server, client) = setup.failed();
    assert_eq!(
        server,
        Some(Error::PreSharedKey {
            reason: "no key found for the client's identity"
        })
    );
    assert!(
        matches!(client, Some(Error::PeerAlert { code: 40, .. })),
        "{client:?}"
    );
}

#[test]
fn nothing_in_common_ends_the_handshake() {
    let mut setup = Setup::default();
    setup.client.groups = Vec::from([Group::P256]);
    setup.server.groups = Vec::from([Group::X25519]);
    let (server, client) = setup.failed();
    assert!(matches!(server, Some(Error::NothingInCommon { .. })));
    assert!(matches!(client, Some(Error::PeerAlert { code: 40, .. })));

    let mut setup = Setup::default();
    setup.client.suites = Vec::from([Suite::Aes128GcmSha256]);
    setup.server.suites = Vec::from([Suite::Chacha20Poly1305Sha256]);
    let (server, client) = setup.failed();
    assert!(matches!(server, Some(Error::NothingInCommon { .. })));
    assert!(matches!(client, Some(Error::PeerAlert { code: 40, .. })));
}

#[test]
fn a_protocol_is_agreed_on() {
    let mut setup = Setup::default();
    setup.server.alpn = Vec::from([b"h2".to_vec(), b"postgresql".to_vec()]);
    setup.client.alpn = Vec::from([b"postgresql".to_vec(), b"spdy/1".to_vec()]);
    let mut pair = setup.connected();
    pair.check();
    assert_eq!(
        pair.client.handshake().alpn.as_deref(),
        Some(&b"postgresql"[..])
    );

    setup.client.alpn = Vec::from([b"spdy/1".to_vec()]);
    let (_, client) = setup.failed();
    assert!(matches!(client, Some(Error::PeerAlert { code: 120, .. })));
}

#[test]
fn the_first_of_two_keys_of_one_identity_counts() {
    let mut setup = Setup::default();
    setup.keys.push(key(IDENTITY, &[1; 16]));
    setup.connected().check();
    setup.key = key(IDENTITY, &[1; 16]);
    assert!(setup.failed().0.is_some());
}

#[test]
fn keys_are_updated_both_ways() {
    for provider in PROVIDERS {
        let mut pair = Setup::providers(provider, provider).connected();
        for _ in 0..3 {
            pair.client.0.refresh_keys().unwrap();
            pair.pump().unwrap();
            pair.check();
            pair.server.0.refresh_keys().unwrap();
            pair.pump().unwrap();
            pair.check();
        }
    }
}

#[test]
fn requests_for_key_updates_that_are_not_answered_do_not_pile_up() {
    let mut pair = Setup::default().connected();
    for _ in 0..1000 {
        let _ = pair.client.0.refresh_keys();
        let records = pair.client.take_output();
        pair.server.receive(records).unwrap();
    }
    assert!(pair.server.0.pending_output() < 4096);
    pair.pump().unwrap();
    pair.check();
}

#[test]
fn each_direction_closes_by_itself() {
    let mut pair = Setup::default().connected();
    pair.client.0.close_notify();
    pair.pump().unwrap();
    assert!(pair.server.0.peer_closed() && !pair.client.0.peer_closed());
    assert!(!pair.client.0.may_send() && pair.server.0.may_send());
    pair.server_sends(b"still here");
    pair.server.0.close_notify();
    pair.pump().unwrap();
    assert!(pair.client.0.peer_closed());
}

#[test]
fn a_request_for_a_key_update_after_our_close_notify_is_not_answered() {
    let mut pair = Setup::default().connected();
    pair.server.0.close_notify();
    pair.server.take_output();
    pair.client.0.refresh_keys().unwrap();
    let records = pair.client.take_output();
    pair.server.receive(records).unwrap();
    // "Each party MUST send a "close_notify" alert before closing its write side" (RFC 8446 §6.1),
    // and nothing behind it.
    assert_eq!(pair.server.0.pending_output(), 0);
    pair.client_sends(b"still heard");
}

#[test]
fn much_data_in_records_of_all_sizes() {
    let mut pair = Setup::default().connected();
    let mut random = Random(5);
    for _ in 0..200 {
        let length = 1 + random.below(40_000);
        let data: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        pair.client_sends(&data);
        pair.server_sends(&data);
    }
}

#[test]
fn keys_of_other_lengths_are_refused() {
    for (identity, secret) in [
        (&b""[..], &[0; 16][..]),
        (&[b'i'; 256], &[0; 16]),
        (b"i", &[0; 15]),
        (b"i", &[0; 513]),
    ] {
        let refused = PreSharedKey::new(identity, secret);
        assert!(matches!(refused, Err(ConfigError::PreSharedKey { .. })));
    }
    assert!(PreSharedKey::new(&[b'i'; 255], &[0; 512]).is_ok());
    assert!(matches!(
        PskServer::new(Vec::new(), &PskOptions::default()),
        Err(ConfigError::PreSharedKey { .. })
    ));
    let sha384 = PskOptions {
        suites: Vec::from([Suite::Aes256GcmSha384]),
        ..PskOptions::default()
    };
    let server = PskServer::new(Vec::from([key(IDENTITY, KEY)]), &sha384);
    assert_eq!(server.err(), Some(ConfigError::Suites));
}

#[test]
fn no_byte_of_a_key_is_shown() {
    let shown = std::format!("{:?} {:?}", Setup::default().key, Setup::default().client());
    assert!(shown.contains("client-host"));
    assert!(!shown.contains("shiPaetai"));
}

#[test]
fn a_peer_with_certificates_only_is_told_what_is_missing() {
    let certificates = crate::tests::Setup::default();
    let client = certificates.client().connect(Some("localhost")).unwrap();
    let mut pair = Pair::joined(Setup::default().server().accept(), client);
    let there = pair.client.take_output();
    let error = pair.server.receive(there).unwrap_err();
    assert!(matches!(error, Error::NothingInCommon { .. }), "{error}");
    let alert = pair.server.take_output();
    let error = pair.client.receive(alert).unwrap_err();
    assert!(
        matches!(error, Error::PeerAlert { code: 40, .. }),
        "{error}"
    );

    let client = Setup::default().client().connect(None).unwrap();
    let mut pair = Pair::joined(certificates.server().accept().unwrap(), client);
    let there = pair.client.take_output();
    pair.server.receive(there).unwrap();
    let flight = pair.server.take_output();
    let error = pair.client.receive(flight).unwrap_err();
    assert!(matches!(error, Error::PreSharedKey { .. }), "{error}");
    let alert = pair.client.take_output();
    assert!(pair.server.receive(alert).is_err());
}

#[test]
fn a_peer_with_tls_1_2_is_told_what_to_change() {
    let certificates = crate::tests::Setup::default().version(Version::Tls12);
    let client = certificates.client().connect(Some("localhost")).unwrap();
    let mut pair = Pair::joined(Setup::default().server().accept(), client);
    let there = pair.client.take_output();
    let error = pair.server.receive(there).unwrap_err();
    assert!(std::format!("{error}").contains("sslVersion"), "{error}");
    let alert = pair.server.take_output();
    let error = pair.client.receive(alert).unwrap_err();
    assert!(
        matches!(error, Error::PeerAlert { code: 70, .. }),
        "{error}"
    );
}

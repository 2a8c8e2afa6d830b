//! How connections end: RFC 8446 §6.1.

use std::vec::Vec;

use super::{PROVIDERS, Setup, VERSIONS};
use crate::{Error, Version};

fn each(mut test: impl FnMut(Setup)) {
    for provider in PROVIDERS {
        for version in VERSIONS {
            test(Setup::providers(provider, provider).version(version));
        }
    }
}

#[test]
fn each_direction_closes_on_its_own() {
    each(|setup| {
        let mut pair = setup.connected();
        pair.client_sends(b"the request");
        pair.client.0.close_notify();
        let close = pair.client.take_output();
        pair.server.receive(close).unwrap();
        assert!(pair.server.0.peer_closed());
        assert!(!pair.client.0.peer_closed());
        // The client still receives, and the server still sends.
        assert!(pair.server.0.may_send());
        pair.server_sends(&[9; 100_000]);
        pair.server.0.close_notify();
        let close = pair.server.take_output();
        pair.client.receive(close).unwrap();
        assert!(pair.client.0.peer_closed());
    });
}

#[test]
fn server_may_close_first() {
    each(|setup| {
        let mut pair = setup.connected();
        pair.server.0.close_notify();
        let close = pair.server.take_output();
        pair.client.receive(close).unwrap();
        assert!(pair.client.0.peer_closed());
        pair.client_sends(&[8; 100_000]);
        assert_eq!(pair.server.0.send(b"x", &mut [0; 100]), Err(Error::Closed));
    });
}

#[test]
fn nothing_is_sent_after_close_notify() {
    each(|setup| {
        let mut pair = setup.connected();
        pair.client.0.close_notify();
        let length = pair.client.0.pending_output();
        pair.client.0.close_notify();
        assert_eq!(pair.client.0.pending_output(), length);
        assert!(!pair.client.0.may_send());
        assert_eq!(
            pair.client.0.send(b"late", &mut [0; 100]),
            Err(Error::Closed)
        );
        assert_eq!(pair.client.0.refresh_keys(), Err(Error::Closed));
    });
}

#[test]
fn data_after_close_notify_is_ignored() {
    each(|setup| {
        let mut pair = setup.connected();
        let mut data = pair.client.seal(b"before");
        pair.client.0.close_notify();
        data.extend(pair.client.take_output());
        data.extend([0xff; 50]);
        pair.server.receive(data).unwrap();
        assert_eq!(pair.server.1, b"before");
        assert!(pair.server.0.peer_closed());
        pair.server.receive(Vec::from([1, 2, 3])).unwrap();
    });
}

#[test]
fn an_end_without_close_notify_can_be_told() {
    each(|setup| {
        let mut pair = setup.connected();
        pair.client_sends(b"cut off after this");
        assert!(!pair.server.0.peer_closed());
    });
}

#[test]
fn no_data_before_the_handshake_is_done() {
    each(|setup| {
        let mut pair = setup.pair();
        for end in [&mut pair.client, &mut pair.server] {
            assert!(end.0.is_handshaking() && !end.0.may_send());
            assert!(end.0.handshake().is_none());
            assert_eq!(end.0.send(b"early", &mut [0; 100]), Err(Error::NotYetReady));
            assert_eq!(end.0.refresh_keys(), Err(Error::NotYetReady));
        }
    });
}

#[test]
fn close_before_the_handshake_is_said_in_the_clear() {
    let mut pair = Setup::default().pair();
    pair.server.0.close_notify();
    assert_eq!(pair.server.take_output(), [21, 3, 3, 0, 2, 1, 0]);
    assert_eq!(pair.server.0.send(b"x", &mut [0; 100]), Err(Error::Closed));
}

#[test]
fn close_waits_behind_data_and_key_updates() {
    let mut pair = Setup::default().version(Version::Tls13).connected();
    pair.client.0.refresh_keys().unwrap();
    pair.client.0.close_notify();
    let records = pair.client.take_output();
    pair.server.receive(records).unwrap();
    assert!(pair.server.0.peer_closed());
}

#[test]
fn alerts_reach_the_peer_by_name() {
    each(|setup| {
        let mut pair = setup.connected();
        let mut record = pair.client.seal(b"changed on its way");
        let last = record.len() - 1;
        record[last] ^= 1;
        assert_eq!(pair.server.receive(record).unwrap_err(), Error::Decrypt);
        let alert = pair.server.take_output();
        let error = pair.client.receive(alert).unwrap_err();
        let expected = Error::PeerAlert {
            alert: "bad_record_mac".into(),
            code: 20,
        };
        assert_eq!(error, expected);
        // Both have failed for good.
        assert_eq!(pair.server.receive(Vec::from([0])), Err(Error::Decrypt));
        assert_eq!(pair.client.0.send(b"x", &mut [0; 100]), Err(expected));
        assert!(!pair.client.0.may_send());
    });
}

// rustls asserts in debug builds that no alert follows a close_notify, which a peer can bring about.
#[cfg(not(debug_assertions))]
#[test]
fn nothing_follows_our_close_notify_not_even_an_alert() {
    each(|setup| {
        let mut pair = setup.connected();
        pair.client.0.close_notify();
        let close = pair.client.take_output();
        pair.server.receive(close).unwrap();
        let mut record = pair.server.seal(b"changed on its way");
        record[10] ^= 1;
        assert_eq!(pair.client.receive(record).unwrap_err(), Error::Decrypt);
        assert_eq!(pair.client.0.pending_output(), 0);
    });
}

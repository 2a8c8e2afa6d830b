//! Peers that do not play by the rules.

use std::format;
use std::vec;
use std::vec::Vec;

use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;

use super::{PROVIDERS, Pair, Random, Setup, VERSIONS};
use crate::{Connection, Error, MAX_RECORD, Provider, Version};

/// A server that was just asked for a connection.
fn server(provider: Provider) -> Connection {
    Setup::providers(provider, provider)
        .server()
        .accept()
        .unwrap()
}

/// Hands `input` to a fresh server: the error, and the alert that it leaves.
fn refused(input: &[u8]) -> (Error, Vec<u8>) {
    let mut server = server(Provider::Ring);
    let error = server
        .receive(&mut input.to_vec(), usize::MAX, &mut |_| {})
        .unwrap_err();
    let mut alert = vec![0; server.pending_output()];
    server.transmit(&mut alert);
    (error, alert)
}

fn assert_misbehaved(error: &Error) {
    assert!(matches!(error, Error::PeerMisbehaved { .. }), "{error}");
}

/// What speaks another protocol would take an alert for an answer in it.
#[test]
fn other_protocols_are_refused_at_once_and_get_no_alert() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH",
        b"\x00",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x16\x02",
        // SSLv2's ClientHello.
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
    ] {
        let (error, alert) = refused(garbage);
        assert_misbehaved(&error);
        assert_eq!(alert, [0; 0]);
    }
}

#[test]
fn records_that_are_too_long_are_refused_by_their_header() {
    for length in [MAX_RECORD - 5 + 1, 0x4800, 0xffff] {
        let length = u16::try_from(length).unwrap().to_be_bytes();
        let (error, alert) = refused(&[22, 3, 1, length[0], length[1]]);
        assert_misbehaved(&error);
        assert!(matches!(alert[..], [21, 3, 3, 0, 2, 2, _]), "{alert:?}");
    }
    // Encrypted, and a TLS 1.2 record of more than 2^14 bytes of plaintext.
    for (version, length) in [(Version::Tls13, 16_641u16), (Version::Tls12, 16_409)] {
        for provider in PROVIDERS {
            let mut pair = Setup::providers(provider, provider)
                .version(version)
                .connected();
            let length = length.to_be_bytes();
            let error = pair
                .server
                .0
                .receive(&mut [23, 3, 3, length[0], length[1]], 0, &mut |_| {})
                .unwrap_err();
            assert_misbehaved(&error);
            let alert = pair.server.take_output();
            let error = pair.client.receive(alert).unwrap_err();
            assert!(matches!(error, Error::PeerAlert { .. }), "{error}");
        }
    }
}

/// Cuts the payload of a handshake record into records of `size` bytes.
fn fragment(record: &[u8], size: usize) -> Vec<u8> {
    let mut fragments = Vec::new();
    for piece in record[5..].chunks(size) {
        fragments.extend_from_slice(&[22, 3, 1, 0, piece.len() as u8]);
        fragments.extend_from_slice(piece);
    }
    fragments
}

#[test]
fn a_client_hello_may_come_in_fragments() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            for size in [1, 2, 3, 100, 255] {
                let mut pair = Setup::providers(provider, provider).version(version).pair();
                let hello = pair.client.take_output();
                pair.server.receive(fragment(&hello, size)).unwrap();
                pair.pump().unwrap();
                pair.check();
            }
        }
    }
}

#[test]
fn endless_fragments_end() {
    let mut server = server(Provider::Ring);
    // A handshake message of 2^24 - 1 bytes, a byte at a time.
    let mut first = Vec::from([22, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 0]);
    let mut error = server.receive(&mut first, 0, &mut |_| {}).err();
    for _ in 0..100_000 {
        if error.is_some() {
            break;
        }
        error = server
            .receive(&mut [22, 3, 1, 0, 1, 0], 0, &mut |_| {})
            .err();
    }
    assert_misbehaved(&error.expect("the server takes fragments without end"));

    // The longest message there may be, in the smallest of records.
    let mut server = super::hostile::server(Provider::Ring);
    let mut first = Vec::from([22, 3, 1, 0, 5, 1, 0, 0xff, 0xf0, 0]);
    let mut error = server.receive(&mut first, 0, &mut |_| {}).err();
    for _ in 0..100_000 {
        if error.is_some() {
            break;
        }
        error = server
            .receive(&mut [22, 3, 1, 0, 1, 0], 0, &mut |_| {})
            .err();
    }
    assert_misbehaved(&error.expect("the server takes fragments without end"));
}

#[test]
fn empty_records_are_bounded() {
    for version in VERSIONS {
        let mut pair = Setup::default().version(version).connected();
        let mut empty = [23, 3, 3, 0, 0];
        let error = pair
            .server
            .0
            .receive(&mut empty, 100, &mut |_| {})
            .unwrap_err();
        assert!(
            matches!(error, Error::PeerMisbehaved { .. } | Error::Decrypt),
            "{error}"
        );
    }
}

/// The share of `group` in a ClientHello, as a range of its bytes.
fn share_of(hello: &[u8], group: u16, length: usize) -> core::ops::Range<usize> {
    let mut header = Vec::from(group.to_be_bytes());
    header.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    let at = hello
        .windows(4)
        .position(|window| window == header)
        .unwrap()
        + 4;
    at..at + length
}

#[test]
fn key_shares_that_are_no_good_are_refused() {
    let x25519 = u16::from(NamedGroup::X25519);
    let hybrid = u16::from(NamedGroup::X25519MLKEM768);
    let p256 = u16::from(NamedGroup::secp256r1);
    let p384 = u16::from(NamedGroup::secp384r1);
    for provider in PROVIDERS {
        // An X25519 share whose secret is all zeros; an ML-KEM key with coefficients that are not
        // reduced; the hybrid's X25519 half all zeros; points that are on no curve.
        for (group, length, bad, byte) in [
            (x25519, 32, 0..32, 0),
            (hybrid, 1216, 0..1184, 0xff),
            (hybrid, 1216, 1184..1216, 0),
            (p256, 65, 1..65, 0xff),
            (p384, 97, 1..97, 0xff),
        ] {
            let setup = Setup {
                group: Some(NamedGroup::from(group)),
                ..Setup::providers(provider, provider).version(Version::Tls13)
            };
            let mut pair = setup.pair();
            let mut hello = pair.client.take_output();
            let share = share_of(&hello, group, length);
            hello[share][bad].fill(byte);
            let error = pair.server.receive(hello).unwrap_err();
            assert_misbehaved(&error);
            // illegal_parameter (RFC 8446 §4.2.8).
            assert_eq!(
                pair.server.take_output(),
                [21, 3, 3, 0, 2, 2, 47],
                "{provider} {group}"
            );
        }
    }
}

#[test]
fn clients_refuse_bad_shares_too() {
    for provider in PROVIDERS {
        for group in provider.crypto().kx_groups {
            let exchange = |share: &[u8]| {
                let result = group.start().unwrap().complete(share);
                assert!(
                    result.is_err(),
                    "{provider} {:?} took {share:?}",
                    group.name()
                );
            };
            let length = match group.name() {
                NamedGroup::X25519 => 32,
                NamedGroup::X25519MLKEM768 => 1120,
                NamedGroup::secp256r1 => 65,
                _ => 97,
            };
            exchange(&[]);
            exchange(&vec![0; length]);
            exchange(&vec![0; length - 1]);
            exchange(&vec![0; length + 1]);
        }
    }
}

#[test]
fn compressed_points_are_refused() {
    for provider in PROVIDERS {
        for group in provider.crypto().kx_groups {
            let group: &dyn SupportedKxGroup = group;
            if !matches!(group.name(), NamedGroup::secp256r1 | NamedGroup::secp384r1) {
                continue;
            }
            let share = group.start().unwrap().pub_key().to_vec();
            assert_eq!(share[0], 4);
            let half = (share.len() - 1) / 2;
            let mut compressed = Vec::from([2 + (share[share.len() - 1] & 1)]);
            compressed.extend_from_slice(&share[1..=half]);
            assert!(
                group.start().unwrap().complete(&compressed).is_err(),
                "{provider}"
            );
            assert!(group.start().unwrap().complete(&share).is_ok());
        }
    }
}

#[test]
fn low_order_x25519_points_are_refused() {
    // Of order 1, 2, 4 and 8, on the curve and on its twist: each gives an all-zero secret.
    let mut points = Vec::from([[0u8; 32], [0u8; 32]]);
    points[1][0] = 1;
    for hex in [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        points.push(core::array::from_fn(byte));
    }
    for provider in PROVIDERS {
        let groups = provider.crypto().kx_groups;
        let group = groups
            .iter()
            .find(|group| group.name() == NamedGroup::X25519)
            .unwrap();
        for point in &points {
            assert!(
                group.start().unwrap().complete(point).is_err(),
                "{provider} {point:?}"
            );
        }
    }
}

#[test]
fn renegotiation_is_refused() {
    // A TLS 1.2 client's second ClientHello: warned once, then ended.
    let mut pair = Setup::default().version(Version::Tls12).connected();
    let error = pair
        .server
        .receive(Vec::from([22, 3, 3, 0, 1, 0]))
        .unwrap_err();
    assert_eq!(
        error,
        Error::Decrypt,
        "in the clear it does not even decrypt"
    );
}

#[test]
fn alerts_in_the_clear_end_a_handshake() {
    let mut server = server(Provider::Ring);
    let error = server
        .receive(&mut [21, 3, 3, 0, 2, 2, 40], 0, &mut |_| {})
        .unwrap_err();
    let expected = Error::PeerAlert {
        alert: "handshake_failure".into(),
        code: 40,
    };
    assert_eq!(error, expected);
    assert_eq!(server.pending_output(), 0, "no alert answers an alert");
    assert_eq!(
        format!("{error}"),
        "the peer ended the connection with alert 40 (handshake_failure)"
    );
}

#[test]
fn random_bytes_are_refused_in_pieces_of_any_size() {
    let mut random = Random(7);
    for _ in 0..2_000 {
        let mut server = server(PROVIDERS[random.below(2)]);
        let mut waiting = Vec::new();
        let mut failed = false;
        for _ in 0..20 {
            let length = random.below(100);
            waiting.extend((0..length).map(|_| random.next() as u8));
            match server.receive(&mut waiting, 0, &mut |_| panic!("data from nothing")) {
                Ok(done) => drop(waiting.drain(..done.consumed)),
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        assert!(failed || waiting.len() < MAX_RECORD);
        assert!(server.pending_output() < 100);
    }
}

#[test]
fn pairs_that_were_mixed_up_do_not_talk() {
    for version in VERSIONS {
        let setup = Setup::default().version(version);
        let mut one: Pair = setup.connected();
        let mut other = setup.connected();
        let records = one.client.seal(b"for somebody else");
        assert_eq!(other.server.receive(records), Err(Error::Decrypt));
        // A record that is played back is refused too.
        let mut pair = setup.connected();
        let records = pair.client.seal(b"once");
        pair.server.receive(records.clone()).unwrap();
        assert_eq!(pair.server.receive(records), Err(Error::Decrypt));
    }
}

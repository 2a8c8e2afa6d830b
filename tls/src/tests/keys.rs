//! Keys that are used up: RFC 8446 §4.6.3 and §5.5.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::{End, PROVIDERS, Pair, Setup, VERSIONS, pattern};
use crate::{Client, Error, Provider, Server, Version};

/// A provider whose keys are good for `limit` records only.
fn short_lived(provider: Provider, limit: u64) -> CryptoProvider {
    let mut crypto = provider.crypto();
    for suite in &mut crypto.cipher_suites {
        let common = |common: &CipherSuiteCommon| CipherSuiteCommon {
            suite: common.suite,
            hash_provider: common.hash_provider,
            confidentiality_limit: limit,
        };
        // rustls wants suites that live for ever.
        *suite = match *suite {
            SupportedCipherSuite::Tls13(suite) => {
                SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                    common: common(&suite.common),
                    hkdf_provider: suite.hkdf_provider,
                    aead_alg: suite.aead_alg,
                    quic: None,
                })))
            }
            SupportedCipherSuite::Tls12(suite) => {
                SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                    common: common(&suite.common),
                    prf_provider: suite.prf_provider,
                    kx: suite.kx,
                    sign: suite.sign,
                    aead_alg: suite.aead_alg,
                })))
            }
        };
    }
    crypto
}

fn short_lived_pair(setup: &Setup, limit: u64) -> Pair {
    let server = short_lived(setup.server, limit);
    let client = short_lived(setup.client, limit);
    let server = Server::with_crypto(setup.server_options(), server).unwrap();
    let client = Client::with_crypto(setup.client_options(), client).unwrap();
    let mut pair = Pair::of(&server, &client, Some("localhost"));
    pair.pump().unwrap();
    pair
}

#[test]
fn every_aes_suite_has_a_limit_in_both_providers() {
    for provider in PROVIDERS {
        for suite in provider.crypto().cipher_suites {
            let limit = match suite {
                SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
                SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
            };
            let name = suite.suite().as_str().unwrap();
            if name.contains("AES") {
                assert_eq!(limit, 1 << 24, "{provider} {name}");
            } else {
                assert!(name.contains("CHACHA20"));
            }
        }
    }
}

#[test]
fn keys_change_at_their_limit_and_no_byte_is_lost() {
    for provider in PROVIDERS {
        let setup = Setup::providers(provider, provider).version(Version::Tls13);
        let mut pair = short_lived_pair(&setup, 10);
        // One byte a record: 200 records are 20 keys, each way, with a key update in front.
        let first = pair.client.seal(&[0]);
        let one_record = first.len();
        pair.server.receive(first).unwrap();
        let mut longer = 0;
        for number in 0..200u8 {
            let records = pair.client.seal(&[number]);
            longer += usize::from(records.len() > one_record);
            pair.server.1.clear();
            pair.server.receive(records).unwrap();
            assert_eq!(pair.server.1.last(), Some(&number));
            pair.server_sends(&[number]);
        }
        assert!(
            (15..=100).contains(&longer),
            "{longer} key updates of the client"
        );
        let data = pattern(1 << 20);
        pair.client_sends(&data);
        pair.server_sends(&data);
    }
}

#[test]
fn key_updates_fit_through_small_outputs() {
    for size in [40, 45, 60, 100] {
        let mut pair = short_lived_pair(&Setup::default().version(Version::Tls13), 5);
        let data = pattern(5_000);
        let mut read = 0;
        let mut stalled = 0;
        let mut waiting = Vec::new();
        while read < data.len() {
            let mut output = vec![0; size];
            let sealed = pair.client.0.send(&data[read..], &mut output).unwrap();
            stalled = if sealed.written == 0 { stalled + 1 } else { 0 };
            assert!(stalled < 3, "no progress with {size} bytes of output");
            read += sealed.read;
            output.truncate(sealed.written);
            let End(connection, received) = &mut pair.server;
            waiting.extend_from_slice(&output);
            let done = connection
                .receive(&mut waiting, usize::MAX, &mut |plaintext| {
                    received.extend_from_slice(plaintext);
                })
                .unwrap();
            waiting.drain(..done.consumed);
        }
        assert!(pair.server.1 == data);
    }
}

#[test]
fn refreshing_works_from_both_ends_at_any_time() {
    for provider in PROVIDERS {
        let mut pair = Setup::providers(provider, provider)
            .version(Version::Tls13)
            .connected();
        for _ in 0..40 {
            pair.client.0.refresh_keys().unwrap();
            pair.client_sends(b"new keys from the client");
            pair.server.0.refresh_keys().unwrap();
            pair.server_sends(b"new keys from the server");
        }
    }
}

#[test]
fn the_peers_request_is_answered_before_the_next_data() {
    let mut pair = Setup::default().version(Version::Tls13).connected();
    let plain = pair.server.seal(b"data").len();
    pair.client.0.refresh_keys().unwrap();
    let update = pair.client.take_output();
    pair.server.receive(update).unwrap();
    // "MUST send a KeyUpdate of its own ... prior to sending its next Application Data record".
    assert!(pair.server.seal(b"data").len() > plain);
    assert_eq!(pair.server.seal(b"data").len(), plain);
}

#[test]
fn waiting_key_updates_are_bounded() {
    let mut pair = Setup::default().version(Version::Tls13).connected();
    let refused = (0..1000).find_map(|_| pair.client.0.refresh_keys().err());
    assert_eq!(refused, Some(Error::NotYetReady));
    assert!(pair.client.0.pending_output() < 2048);
}

#[test]
fn floods_of_key_updates_are_refused() {
    let mut pair = Setup::default().version(Version::Tls13).connected();
    let error = (0..100).find_map(|_| {
        pair.client.0.refresh_keys().unwrap();
        let update = pair.client.take_output();
        pair.server.receive(update).err()
    });
    assert!(
        matches!(error, Some(Error::PeerMisbehaved { .. })),
        "{error:?}"
    );
    assert!(pair.server.0.pending_output() < 100);
}

#[test]
fn tls_1_2_ends_when_its_keys_are_used_up() {
    for provider in PROVIDERS {
        let setup = Setup::providers(provider, provider).version(Version::Tls12);
        let mut pair = short_lived_pair(&setup, 10);
        let mut output = vec![0; 1000];
        let mut records = Vec::new();
        let error = loop {
            match pair.client.0.send(b"x", &mut output) {
                Ok(sealed) => records.extend_from_slice(&output[..sealed.written]),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::KeysUsedUp);
        records.extend(pair.client.take_output());
        pair.server.receive(records).unwrap();
        assert!((5..=10).contains(&pair.server.1.len()));
        assert!(pair.server.0.peer_closed());
    }
}

#[test]
fn tls_1_2_has_no_key_update() {
    let mut pair = Setup::default().version(Version::Tls12).connected();
    assert_eq!(pair.client.0.refresh_keys(), Err(Error::NoKeyUpdate));
    for version in VERSIONS {
        Setup::default().version(version).connected().check();
    }
}

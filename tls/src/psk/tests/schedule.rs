//! The key schedule against values that `tests/vectors/psk_schedule.py` computed on its own.

use std::collections::BTreeMap;
use std::string::String;

use rustls::{SupportedCipherSuite, Tls13CipherSuite};

use super::*;
use crate::psk::schedule::{Early, HASH, Transcript, is_equal, next_secret};

fn vectors() -> BTreeMap<String, Vec<u8>> {
    let text = String::from_utf8(crate::tests::fixture("psk-schedule.txt")).unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines()
        .map(|line| {
            let (name, hex) = line.split_once(' ').unwrap();
            (name.into(), hex.as_bytes().chunks(2).map(byte).collect())
        })
        .collect()
}

fn suites() -> Vec<&'static Tls13CipherSuite> {
    let suites = PROVIDERS.map(|provider| provider.crypto().cipher_suites);
    let suites = suites.into_iter().flatten();
    suites
        .filter_map(|suite| match suite {
            SupportedCipherSuite::Tls13(suite) => Some(suite),
            SupportedCipherSuite::Tls12(_) => None,
        })
        .filter(|suite| suite.common.hash_provider.output_len() == HASH)
        .collect()
}

#[test]
fn every_secret_is_what_another_implementation_computes() {
    let expected = vectors();
    assert_eq!(suites().len(), 4);
    for suite in suites() {
        let early = Early::new(suite, KEY);
        let truncated = Transcript::new(suite).with(b"a ClientHello without its binders");
        assert_eq!(early.binder(&truncated).as_ref(), expected["binder"]);

        let mut transcript = Transcript::new(suite);
        transcript.add(b"a ClientHello");
        transcript.add(b"a ServerHello");
        let hello = transcript.current();
        let shared_secret: Vec<u8> = (0..32).collect();
        let handshake = early.handshake(&shared_secret, &hello);
        assert_eq!(handshake.client.as_ref(), expected["client_handshake"]);
        assert_eq!(handshake.server.as_ref(), expected["server_handshake"]);
        let finished = handshake.server_finished(&hello);
        assert_eq!(finished.as_ref(), expected["server_finished"]);
        assert!(is_equal(&finished, &expected["server_finished"]));
        assert!(!is_equal(&finished, &expected["client_finished"]));
        assert_eq!(
            handshake.client_finished(&hello).as_ref(),
            expected["client_finished"]
        );

        transcript.add(b"all up to the server's Finished");
        let (client, server) = handshake.application(&transcript.current());
        assert_eq!(client.as_ref(), expected["client_application"]);
        assert_eq!(server.as_ref(), expected["server_application"]);
        assert_eq!(
            next_secret(suite, &client).as_ref(),
            expected["client_application_next"]
        );
    }
}

#[test]
fn a_retry_puts_a_hash_in_the_first_hellos_place() {
    for suite in suites() {
        let mut transcript = Transcript::new(suite);
        transcript.add(b"a ClientHello");
        transcript.retry();
        transcript.add(b"a HelloRetryRequest");
        assert_eq!(transcript.current().as_ref(), vectors()["retry_transcript"]);
    }
}

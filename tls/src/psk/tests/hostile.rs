//! Peers that break the protocol: each must end in an alert, never in an open connection.

use rustls::SupportedCipherSuite;

use super::*;
use crate::psk::messages::BINDERS;
use crate::psk::schedule::{Early, HASH, Transcript};
use crate::tests::mutation::mutate;

/// The flights of one good handshake, to be replayed with changes to a peer of the same kind.
fn hello() -> Vec<u8> {
    let client = Setup::default()
        .client()
        .connect(Some("localhost"))
        .unwrap();
    End::new(client).take_output()
}

#[test]
fn a_flipped_bit_anywhere_in_a_client_hello_is_noticed() {
    let setup = Setup::default();
    let server = setup.server();
    let hello = hello();
    // Record header: type, version and length, of which the minor version means nothing.
    for at in 0..hello.len() {
        if at == 2 {
            continue;
        }
        let mut bytes = hello.clone();
        bytes[at] ^= 1 << (at % 8);
        let mut end = End::new(server.accept());
        let mut waiting = bytes;
        let result = end.0.receive(&mut waiting, 0, &mut |_| {});
        assert!(end.0.is_handshaking() || result.is_err());
        match result {
            Err(_) => assert!(end.0.pending_output() >= 7, "no alert for byte {at}"),
            // A longer record is waited for; all else is under the binder, whose failure is an error.
            Ok(done) => assert!(
                done.needed.is_some() || waiting.len() > done.consumed || (3..9).contains(&at),
                "byte {at} made no difference"
            ),
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_server_flight_is_noticed() {
    let setup = Setup::default();
    let length = {
        let mut pair = setup.pair();
        let there = pair.client.take_output();
        pair.server.receive(there).unwrap();
        pair.server.take_output().len()
    };
    for at in 0..length {
        let mut pair = setup.pair();
        let there = pair.client.take_output();
        pair.server.receive(there).unwrap();
        let mut back = pair.server.take_output();
        let version_byte = [2, 5 + 4 + 2 + 32 + 1].contains(&at) && at == 2;
        back[at] ^= 1 << (at % 8);
        let result = pair.client.0.receive(&mut back, usize::MAX, &mut |_| {});
        let is_open = pair.client.0.may_send();
        // The records' minor versions mean nothing; everything else does.
        let minor = version_byte || (is_open && is_minor_version(&back, at));
        assert!(
            minor || !is_open,
            "byte {at} made no difference: {result:?}"
        );
    }
}

/// Whether `at` is the third byte of a record.
fn is_minor_version(records: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start + 5 <= records.len() {
        if start + 2 == at {
            return true;
        }
        start += 5 + usize::from(u16::from_be_bytes([records[start + 3], records[start + 4]]));
    }
    false
}

#[test]
fn a_flipped_bit_anywhere_in_the_clients_last_flight_is_noticed() {
    let setup = Setup::default();
    let length = {
        let mut pair = setup.pair();
        let there = pair.client.take_output();
        pair.server.receive(there).unwrap();
        let back = pair.server.take_output();
        pair.client.receive(back).unwrap();
        pair.client.take_output().len()
    };
    for at in 0..length {
        let mut pair = setup.pair();
        let there = pair.client.take_output();
        pair.server.receive(there).unwrap();
        let back = pair.server.take_output();
        pair.client.receive(back).unwrap();
        let mut last = pair.client.take_output();
        last[at] ^= 1 << (at % 8);
        let minor = is_minor_version(&last, at);
        let _ = pair.server.0.receive(&mut last, usize::MAX, &mut |_| {});
        assert!(
            minor || !pair.server.0.may_send(),
            "byte {at} made no difference"
        );
    }
}

#[test]
fn damaged_flights_never_panic_and_never_open() {
    let mut random = Random(3);
    let setup = Setup::default();
    let (server, hello) = (setup.server(), hello());
    for _ in 0..4_000 {
        let mut bytes = hello.clone();
        mutate(&mut bytes, &mut random);
        let changed = bytes != hello;
        let mut end = End::new(server.accept());
        let result = end
            .0
            .receive(&mut bytes, 0, &mut |_| panic!("data from a stranger"));
        assert!(!changed || !end.0.may_send());
        if let Err(error) = result {
            assert_eq!(end.0.receive(&mut bytes, 0, &mut |_| {}), Err(error));
            assert!(end.0.pending_output() < 2_000);
        }
    }
    for _ in 0..1_000 {
        let mut pair = setup.pair();
        let there = pair.client.take_output();
        pair.server.receive(there).unwrap();
        let mut back = pair.server.take_output();
        mutate(&mut back, &mut random);
        let _ = pair
            .client
            .0
            .receive(&mut back, usize::MAX, &mut |_| panic!("early data"));
    }
}

#[test]
fn damaged_records_end_an_open_connection() {
    let mut random = Random(4);
    let mut pair = Setup::default().connected();
    for _ in 0..1_000 {
        let mut records = pair.client.seal(b"0123456789");
        mutate(&mut records, &mut random);
        let mut got = Vec::new();
        let result = pair
            .server
            .0
            .receive(&mut records, usize::MAX, &mut |plaintext| {
                got.extend_from_slice(plaintext);
            });
        assert!(got.is_empty() || got == b"0123456789", "{got:?}");
        if result.is_err() {
            assert!(pair.server.0.pending_output() > 0);
        }
        pair = Setup::default().connected();
    }
}

/// A good ClientHello with one more extension in front of its pre_shared_key, and a binder that fits.
fn hello_with(number: u16, content: &[u8]) -> Vec<u8> {
    /// pre_shared_key: its own header, the one identity with its age, the one binder.
    const KEYS: usize = 4 + (2 + 2 + IDENTITY.len() + 4) + BINDERS;
    /// Where the extensions' length is: behind version, random, session id, two suites, compression.
    const EXTENSIONS: usize = 4 + 2 + 32 + 33 + 2 + 4 + 2;
    let mut message = hello().split_off(5);
    let at = message.len() - KEYS;
    let mut extension = number.to_be_bytes().to_vec();
    extension.extend((content.len() as u16).to_be_bytes());
    extension.extend(content);
    message.splice(at..at, extension.iter().copied());
    let grown = |bytes: &mut [u8]| {
        let old = u16::from_be_bytes([bytes[0], bytes[1]]);
        bytes.copy_from_slice(&(old + extension.len() as u16).to_be_bytes());
    };
    grown(&mut message[2..4]);
    grown(&mut message[EXTENSIONS..EXTENSIONS + 2]);
    let crypto = Provider::Ring.crypto();
    let suite = crypto.cipher_suites.iter().find_map(|suite| match suite {
        SupportedCipherSuite::Tls13(suite) if suite.common.hash_provider.output_len() == HASH => {
            Some(*suite)
        }
        _ => None,
    });
    let suite = suite.unwrap();
    let bound = message.len() - BINDERS;
    let transcript = Transcript::new(suite).with(&message[..bound]);
    let binder = Early::new(suite, KEY).binder(&transcript);
    let end = message.len() - HASH;
    message[end..].copy_from_slice(binder.as_ref());
    let mut record = std::vec![22, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}

#[test]
fn extensions_that_nobody_knows_are_passed_over() {
    // GREASE (RFC 8701 §2), and numbers that are not given out.
    for number in [0x0a0a, 0x3a3a, 0xfafa, 0xfe0d] {
        let mut end = End::new(Setup::default().server().accept());
        end.receive(hello_with(number, b"anything")).unwrap();
        assert_eq!(end.take_output()[0], 22, "no ServerHello");
    }
    // One that comes twice is not.
    let mut end = End::new(Setup::default().server().accept());
    assert!(end.receive(hello_with(51, &[0, 0])).is_err());
}

#[test]
fn early_data_is_refused_and_passed_over_up_to_a_bound() {
    const EARLY_DATA: u16 = 42;
    let mut end = End::new(Setup::default().server().accept());
    end.receive(hello_with(EARLY_DATA, &[])).unwrap();
    let length = 16_384;
    let mut record = std::vec![23, 3, 3];
    record.extend((length as u16).to_be_bytes());
    record.extend(std::vec![7; length]);
    for _ in 0..4 {
        end.receive(record.clone()).unwrap();
    }
    assert_eq!(end.receive(record.clone()), Err(Error::Decrypt));
    // Without the announcement there is none to pass over.
    let mut end = End::new(Setup::default().server().accept());
    end.receive(hello()).unwrap();
    assert_eq!(end.receive(record), Err(Error::Decrypt));
}

#[test]
fn a_second_handshake_is_refused() {
    let mut pair = Setup::default().connected();
    let error = pair.server.receive(hello()).unwrap_err();
    assert!(matches!(error, Error::PeerMisbehaved { .. }), "{error}");
    assert!(pair.server.0.pending_output() > 0);
}

#[test]
fn data_before_the_handshake_is_refused() {
    let mut end = End::new(Setup::default().server().accept());
    let error = end.receive(std::vec![23, 3, 3, 0, 1, 0]).unwrap_err();
    assert!(matches!(error, Error::PeerMisbehaved { .. }), "{error}");
    assert_eq!(end.take_output(), [21, 3, 3, 0, 2, 2, 10]);
}

#[test]
fn change_cipher_spec_is_passed_over_only_while_the_handshake_runs() {
    let ccs = || std::vec![20, 3, 3, 0, 1, 1];
    assert!(
        End::new(Setup::default().server().accept())
            .receive(ccs())
            .is_err()
    );
    let mut pair = Setup::default().pair();
    let there = pair.client.take_output();
    pair.server.receive(there).unwrap();
    pair.server.receive(ccs()).unwrap();
    assert!(pair.server.receive(std::vec![20, 3, 3, 0, 1, 2]).is_err());
    let mut pair = Setup::default().connected();
    assert!(pair.server.receive(ccs()).is_err());
}

#[test]
fn an_alert_ends_the_handshake() {
    let mut pair = Setup::default().pair();
    let error = pair
        .client
        .receive(std::vec![21, 3, 3, 0, 2, 2, 80])
        .unwrap_err();
    assert!(
        matches!(error, Error::PeerAlert { code: 80, .. }),
        "{error}"
    );
}

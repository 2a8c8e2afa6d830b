//! A hundred thousand damaged conversations, the same ones every time: none may panic, hang or let
//! wrong data through.

use std::vec::Vec;

use super::{End, Pair, Random, Setup};
use crate::{Client, Provider, Server, VerifyMode, Version};

/// Damages `bytes` in one to three places: changes, removals, repetitions.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.next() as u8),
            _ => {
                let end = bytes.len().min(at + 1 + random.below(40));
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn ends(provider: Provider, version: Version) -> (Server, Client) {
    let setup = Setup {
        verify: VerifyMode::None,
        session_cache: 2,
        ..Setup::providers(provider, provider).version(version)
    };
    (setup.server(), setup.client())
}

/// Hands damaged bytes over and checks what may come of it.
fn check(end: &mut End, bytes: &mut [u8], room: usize) {
    let mut got = 0;
    let result = end
        .0
        .receive(bytes, room, &mut |plaintext| got += plaintext.len());
    assert!(got <= room.min(bytes.len()));
    match result {
        Ok(done) => assert!(done.consumed <= bytes.len()),
        Err(error) => {
            assert!(!end.0.may_send());
            // Said again and again, and alerts do not pile up.
            assert_eq!(end.0.receive(bytes, room, &mut |_| {}), Err(error));
            assert!(end.0.pending_output() < 10_000);
        }
    }
}

#[test]
fn damaged_client_hellos() {
    let mut random = Random(1);
    for (provider, version, count) in [
        (Provider::Ring, Version::Tls13, 42_000),
        (Provider::Ring, Version::Tls12, 40_000),
        (Provider::RustCrypto, Version::Tls13, 1_000),
    ] {
        let (server, client) = ends(provider, version);
        let mut end = End(client.connect(Some("localhost")).unwrap(), Vec::new());
        let hello = end.take_output();
        for _ in 0..count {
            let mut bytes = hello.clone();
            mutate(&mut bytes, &mut random);
            check(
                &mut End(server.accept().unwrap(), Vec::new()),
                &mut bytes,
                0,
            );
        }
    }
}

#[test]
fn damaged_server_flights() {
    let mut random = Random(2);
    for (provider, version, count) in [
        (Provider::Ring, Version::Tls13, 5_000),
        (Provider::Ring, Version::Tls12, 8_000),
        (Provider::RustCrypto, Version::Tls12, 600),
    ] {
        let (server, client) = ends(provider, version);
        for _ in 0..count / 10 {
            let hello = End(client.connect(None).unwrap(), Vec::new()).take_output();
            let mut end = End(server.accept().unwrap(), Vec::new());
            end.receive(hello).unwrap();
            let flight = end.take_output();
            // Another client's flight: as good as one's own up to the key exchange.
            for _ in 0..10 {
                let mut bytes = flight.clone();
                mutate(&mut bytes, &mut random);
                check(
                    &mut End(client.connect(None).unwrap(), Vec::new()),
                    &mut bytes,
                    0,
                );
            }
        }
    }
}

#[test]
fn damaged_ends_of_handshakes_and_data() {
    let mut random = Random(3);
    for (provider, version, count) in [
        (Provider::Ring, Version::Tls13, 1_500),
        (Provider::Ring, Version::Tls12, 1_500),
        (Provider::RustCrypto, Version::Tls13, 200),
        (Provider::RustCrypto, Version::Tls12, 200),
    ] {
        let (server, client) = ends(provider, version);
        for number in 0..count {
            let mut pair = Pair::of(&server, &client, Some("localhost"));
            let hello = pair.client.take_output();
            pair.server.receive(hello).unwrap();
            let flight = pair.server.take_output();
            pair.client.receive(flight).unwrap();
            let mut bytes = pair.client.take_output();
            if number % 2 == 0 {
                // The handshake's end is damaged, or else the data after it.
                mutate(&mut bytes, &mut random);
                check(&mut pair.server, &mut bytes, 100);
                continue;
            }
            pair.server.receive(bytes).unwrap();
            pair.pump().unwrap();
            let data = &[1, 2, 3, 4, 5][..1 + random.below(5)];
            let mut bytes = pair.client.seal(data);
            bytes.extend(pair.client.seal(data));
            let good = bytes.clone();
            mutate(&mut bytes, &mut random);
            let mut got = Vec::new();
            let _ = pair
                .server
                .0
                .receive(&mut bytes.clone(), 100, &mut |plaintext| {
                    got.extend_from_slice(plaintext)
                });
            assert!(good == bytes || [data, data].concat().starts_with(&got));
        }
    }
}

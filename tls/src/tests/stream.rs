//! Bytes through buffers of every size.

use std::vec;
use std::vec::Vec;

use super::{End, PROVIDERS, Pair, Random, Setup, VERSIONS, pattern};
use crate::{MAX_PLAINTEXT, MAX_RECORD, RECORD_OVERHEAD, Received};

/// Feeds `records` in chunks of the given sizes, as a socket would; returns what came out.
fn receive_in_chunks(end: &mut End, records: &[u8], mut chunk: impl FnMut() -> usize) {
    let End(connection, received) = end;
    let mut waiting = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(chunk().min(rest.len()));
        rest = later;
        waiting.extend_from_slice(now);
        let done = connection
            .receive(&mut waiting, usize::MAX, &mut |plaintext| {
                received.extend_from_slice(plaintext);
            })
            .unwrap();
        waiting.drain(..done.consumed);
        match done.needed {
            Some(needed) => assert!(needed > waiting.len() && needed <= MAX_RECORD),
            None => assert!(waiting.is_empty()),
        }
    }
    assert!(waiting.is_empty(), "{} bytes were left", waiting.len());
}

#[test]
fn one_byte_at_a_time() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            let mut pair = Setup::providers(provider, provider).version(version).pair();
            for _ in 0..4 {
                let there = pair.client.take_output();
                receive_in_chunks(&mut pair.server, &there, || 1);
                let back = pair.server.take_output();
                receive_in_chunks(&mut pair.client, &back, || 1);
            }
            let data = pattern(20_000);
            let records = pair.client.seal(&data);
            receive_in_chunks(&mut pair.server, &records, || 1);
            assert!(pair.server.1 == data);
        }
    }
}

#[test]
fn many_records_in_one_input() {
    for version in VERSIONS {
        let mut pair = Setup::default().version(version).connected();
        let mut records = Vec::new();
        for number in 0..100u8 {
            records.extend(pair.client.seal(&[number]));
        }
        pair.server.receive(records).unwrap();
        assert!(pair.server.1.iter().copied().eq(0..100));
    }
}

#[test]
fn a_record_split_anywhere() {
    let mut pair = Setup::default().connected();
    for cut in 0..80 {
        let records = pair.client.seal(&[7; 60]);
        pair.server.1.clear();
        let mut first = true;
        receive_in_chunks(&mut pair.server, &records, || {
            if core::mem::take(&mut first) {
                cut.max(1)
            } else {
                usize::MAX
            }
        });
        assert_eq!(pair.server.1, [7; 60]);
    }
}

#[test]
fn ten_megabytes_each_way_through_odd_buffers() {
    let data = pattern(10 << 20);
    for (provider, output) in [
        (PROVIDERS[0], 40_001),
        (PROVIDERS[1], 16_383),
        (PROVIDERS[0], 1_009),
    ] {
        for version in VERSIONS {
            let mut pair = Setup::providers(provider, provider)
                .version(version)
                .connected();
            for to_server in [true, false] {
                let Pair { client, server } = &mut pair;
                let (from, to) = if to_server {
                    (client, server)
                } else {
                    (server, client)
                };
                carry(from, to, &data, output);
            }
        }
    }
}

/// Sends `data` through an output buffer of `size` bytes, and inputs of random sizes.
fn carry(from: &mut End, to: &mut End, data: &[u8], size: usize) {
    let mut random = Random(size as u64);
    let mut output = vec![0; size];
    let mut waiting = Vec::new();
    let mut read = 0;
    let mut compared = 0;
    while read < data.len() {
        let offered = 1 + random.below(3 * MAX_PLAINTEXT);
        let end = data.len().min(read + offered);
        let sealed = from.0.send(&data[read..end], &mut output).unwrap();
        assert!(sealed.read > 0);
        read += sealed.read;
        waiting.extend_from_slice(&output[..sealed.written]);
        let length = random.below(waiting.len() + 1);
        let done =
            to.0.receive(&mut waiting[..length], usize::MAX, &mut |plaintext| {
                assert!(data[compared..].starts_with(plaintext));
                compared += plaintext.len();
            })
            .unwrap();
        waiting.drain(..done.consumed);
    }
    to.0.receive(&mut waiting, usize::MAX, &mut |plaintext| {
        assert!(data[compared..].starts_with(plaintext));
        compared += plaintext.len();
    })
    .unwrap();
    assert_eq!(compared, data.len());
}

#[test]
fn records_wait_for_room() {
    for version in VERSIONS {
        let mut pair = Setup::default().version(version).connected();
        let mut records = pair.client.seal(&[1; 100]);
        let first = records.len();
        records.extend(pair.client.seal(&[2; 50]));
        let mut got = 0;
        let mut receive = |records: &mut [u8], room| {
            pair.server
                .0
                .receive(records, room, &mut |plaintext| got += plaintext.len())
                .unwrap()
        };
        let waits = Received {
            consumed: 0,
            needed: None,
        };
        assert_eq!(receive(&mut records, 0), waits);
        assert_eq!(receive(&mut records, 99), waits);
        let one = Received {
            consumed: first,
            needed: None,
        };
        assert_eq!(receive(&mut records, 149), one);
        records.drain(..first);
        assert_eq!(receive(&mut records, 50).consumed, records.len());
        assert_eq!(got, 150);
    }
}

#[test]
fn incomplete_records_name_their_length() {
    let mut pair = Setup::default().connected();
    let mut records = pair.client.seal(&[3; 1000]);
    let whole = records.len();
    for have in 0..whole {
        let done = pair
            .server
            .0
            .receive(&mut records[..have], usize::MAX, &mut |_| {
                panic!("not whole")
            })
            .unwrap();
        let needed = match have {
            0 => None,
            1..5 => Some(5),
            _ => Some(whole),
        };
        assert_eq!((done.consumed, done.needed), (0, needed));
    }
    pair.server.receive(records).unwrap();
    assert_eq!(pair.server.1, [3; 1000]);
}

#[test]
fn small_writes_make_small_records_and_large_ones_full_records() {
    for provider in PROVIDERS {
        for version in VERSIONS {
            let mut pair = Setup::providers(provider, provider)
                .version(version)
                .connected();
            let small = pair.client.seal(&[1]);
            assert!(small.len() <= 1 + RECORD_OVERHEAD);

            let data = pattern(3 * MAX_PLAINTEXT);
            let mut output = vec![0; 4 * MAX_RECORD];
            let sealed = pair.client.0.send(&data, &mut output).unwrap();
            assert_eq!(sealed.read, data.len());
            assert_eq!(sealed.written % 3, 0);
            assert!(sealed.written <= data.len() + 3 * RECORD_OVERHEAD);
        }
    }
}

#[test]
fn whole_records_only_for_every_size_of_output() {
    for version in VERSIONS {
        let mut pair = Setup::default().version(version).connected();
        let data = pattern(200);
        for size in 0..300 {
            let mut output = vec![0; size];
            let sealed = pair.client.0.send(&data, &mut output).unwrap();
            assert!(sealed.written <= size);
            assert_eq!(sealed.read > 0, sealed.written > 0);
            // A whole byte of payload fits as soon as the overhead leaves room for it.
            if size > RECORD_OVERHEAD {
                assert!(sealed.read > 0, "nothing fits into {size} bytes");
            }
            output.truncate(sealed.written);
            pair.server.1.clear();
            pair.server.receive(output).unwrap();
            assert_eq!(pair.server.1, data[..sealed.read]);
        }
    }
}

#[test]
fn nothing_overtakes_what_waits() {
    let mut pair = Setup::default().connected();
    pair.client.0.refresh_keys().unwrap();
    let waiting = pair.client.0.pending_output();
    assert!(waiting > 0);
    // Room for less than the key update: no record may go before it.
    let mut output = vec![0; waiting - 1];
    let sealed = pair.client.0.send(b"data", &mut output).unwrap();
    assert_eq!((sealed.read, sealed.written), (0, waiting - 1));
    let mut more = vec![0; 100];
    let sealed = pair.client.0.send(b"data", &mut more).unwrap();
    assert_eq!(sealed.read, 4);
    output.extend_from_slice(&more[..sealed.written]);
    pair.server.receive(output).unwrap();
    assert_eq!(pair.server.1, b"data");
}

//! Bodies of every size, both ways, compared by SHA-256.

use std::io::{self, Read, Write};
use std::thread;

use stockade_tests::PATIENCE;
use stockade_tests::pattern::{Hasher, Pattern, Sum};
use stockade_tests::process;
use stockade_tests::tools::{curl, url};

use crate::clients::{curl_downloads, curl_uploads};
use crate::setup::{Place, Running, Setup};

const MEGABYTE: u64 = 1 << 20;

/// One body from the backend to our client.
pub fn download(running: &Running, length: u64) {
    let mut stream = running.connect();
    writeln!(stream, "DOWN {length}").expect("the guest takes the command");
    let sum = stream
        .read_into(Hasher::default())
        .expect("the whole body and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(length, length));
    stream.finish().expect("an orderly end");
}

/// One body from our client to the backend, which answers with its digest.
pub fn upload(running: &Running, length: u64) {
    let mut stream = running.connect();
    stream
        .write_all(b"UP\n")
        .expect("the guest takes the command");
    io::copy(&mut Pattern::new(length, length), &mut stream).expect("the guest takes the body");
    stream.finish().expect("the guest takes the end");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the digest and a close_notify");
    let sum = Sum::of_pattern(length, length);
    assert_eq!(answer, format!("{} {}\n", sum.length, sum.digest));
}

pub fn bodies_of_0_and_1_byte(place: Place) {
    let running = Setup::new(place).start();
    for length in [0, 1] {
        download(&running, length);
        upload(&running, length);
        curl_downloads(&running, length);
        curl_uploads(&running, length);
    }
}

/// Lengths around the boundaries of records (16,384 bytes) and of buffers.
pub fn bodies_around_record_boundaries(place: Place) {
    let running = Setup::new(place).start();
    for length in [16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 65_537] {
        download(&running, length);
        upload(&running, length);
    }
}

pub fn a_body_of_100_mb_down(place: Place) {
    let running = Setup::new(place).start();
    curl_downloads(&running, 100 * MEGABYTE);
}

pub fn a_body_of_100_mb_up(place: Place) {
    let running = Setup::new(place).start();
    curl_uploads(&running, 100 * MEGABYTE);
}

/// 10 MB each way through a card that offers no checksum, no segmentation, no mergeable buffers
/// and no event index.
pub fn a_card_without_offloads(place: Place) {
    let running = Setup::new(place).qemu(|qemu| qemu.plain_card(true)).start();
    curl_downloads(&running, 10 * MEGABYTE);
    curl_uploads(&running, 10 * MEGABYTE);
}

/// Both directions of one connection busy at the same time.
pub fn both_directions_at_once(place: Place) {
    const CHUNK: usize = 8 << 10;
    const ROUNDS: usize = 128;
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    stream
        .write_all(b"ECHO\n")
        .expect("the guest takes the command");
    let sent = Pattern::bytes(1, CHUNK * ROUNDS);
    let mut received = vec![0; sent.len()];
    // One chunk is always on its way while another one is read.
    stream
        .write_all(&sent[..CHUNK])
        .expect("the guest takes the first chunk");
    for round in 0..ROUNDS {
        let (start, end) = (round * CHUNK, (round + 1) * CHUNK);
        if let Some(next) = sent.get(end..end + CHUNK) {
            stream.write_all(next).expect("the guest takes a chunk");
        }
        stream
            .read_exact(&mut received[start..end])
            .expect("the echo of a chunk");
    }
    assert!(received == sent, "the echo differs");
    stream.finish().expect("an orderly end");
    assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
}

/// Many transfers at the same time, both ways: no byte strays into another connection.
pub fn many_transfers_at_once(place: Place) {
    const CLIENTS: u64 = 24;
    let running = Setup::new(place).start();
    let running = &running;
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            // Lengths differ, and with them the patterns.
            scope.spawn(move || download(running, MEGABYTE + 1000 * number));
            scope.spawn(move || upload(running, MEGABYTE + 1000 * number + 1));
        }
    });
}

/// Several requests on one connection, as browsers and proxies send them.
pub fn http_requests_in_turn_on_one_connection(place: Place) {
    let running = Setup::new(place).start();
    let mut command = curl(running.server, &running.authority.path());
    for length in [10, 100_000, 0, 5] {
        command.arg(url(running.server, &format!("/bytes/{length}")));
    }
    let finished = process::start(&mut command, io::empty(), Hasher::default());
    let sum = finished.finish(PATIENCE).succeeded().stdout.finish();
    let mut expected = Hasher::default();
    for length in [10, 100_000, 0, 5] {
        io::copy(&mut Pattern::new(length, length), &mut expected).expect("memory does not fail");
    }
    assert_eq!(sum, expected.finish());
    assert_eq!(running.backend.records().len(), 1);
}

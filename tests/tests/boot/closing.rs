//! How connections end: half-closed, reset, or without a backend.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use stockade_tests::backend::{End, GREETING, Mode};
use stockade_tests::client::{self, TlsStream};
use stockade_tests::pattern::{Hasher, Pattern, Sum};

use crate::setup::{Place, Setup};
use crate::transfer::download;

const MEGABYTE: u64 = 1 << 20;

/// The client ends its direction; the backend sends 1 MB after it has seen that end.
pub fn the_client_ends_first(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    let command = format!("LATE {MEGABYTE}");
    write!(stream, "{command}\nlast words").expect("the guest takes the request");
    stream.finish().expect("the guest takes the end");
    let sum = stream
        .read_into(Hasher::default())
        .expect("the body and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(MEGABYTE, MEGABYTE));
    stream.expect_fin().expect("FIN follows close_notify");
    let record = running.backend.wait_for_end(&command);
    assert_eq!(record.end, Some(End::Orderly));
    assert_eq!(
        record.received.map(|sum| sum.length),
        Some("last words".len() as u64)
    );
}

/// close_notify ends the client's direction even when no FIN follows it.
pub fn a_close_notify_alone_ends_the_client_s_direction(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    stream
        .write_all(b"LATE 1000\n")
        .expect("the guest takes the request");
    stream.close_notify().expect("the guest takes the end");
    let sum = stream
        .read_into(Hasher::default())
        .expect("the body and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(1000, 1000));
}

/// The backend ends its direction at once; the client sends 1 MB after it has seen that end.
pub fn the_backend_ends_first(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    stream
        .write_all(b"EARLY\n")
        .expect("the guest takes the request");
    assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
    let mut body = Pattern::new(MEGABYTE, MEGABYTE);
    io::copy(&mut body, &mut stream).expect("the guest still takes data");
    stream.finish().expect("the guest takes the end");
    stream.expect_fin().expect("FIN follows close_notify");
    let record = running.backend.wait_for_end("EARLY");
    assert_eq!(record.end, Some(End::Orderly));
    assert_eq!(record.received, Some(Sum::of_pattern(MEGABYTE, MEGABYTE)));
}

/// A client that goes away without close_notify must not look like an orderly end (RFC 8446 §6.1).
pub fn a_fin_without_close_notify_is_passed_on_as_a_reset(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    stream
        .write_all(b"SILENT\nsome data")
        .expect("the guest takes the data");
    running
        .backend
        .wait_for(|record| record.command == "SILENT");
    stream
        .tcp()
        .shutdown(Shutdown::Write)
        .expect("an open socket");
    assert_eq!(running.backend.wait_for_end("SILENT").end, Some(End::Reset));
}

pub fn a_reset_of_the_client_in_mid_transfer_reaches_the_backend(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    let command = format!("DOWN {}", 100 * MEGABYTE);
    writeln!(stream, "{command}").expect("the guest takes the request");
    let mut some = vec![0; MEGABYTE as usize];
    stream.read_exact(&mut some).expect("the first megabyte");
    stream.reset();
    assert_eq!(running.backend.wait_for_end(&command).end, Some(End::Reset));
    download(&running, 1000);
}

pub fn a_reset_of_a_silent_client_reaches_the_backend(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    stream
        .write_all(b"SILENT\n")
        .expect("the guest takes the request");
    running
        .backend
        .wait_for(|record| record.command == "SILENT");
    stream.reset();
    assert_eq!(running.backend.wait_for_end("SILENT").end, Some(End::Reset));
}

pub fn a_reset_of_the_backend_reaches_the_client(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = running.connect();
    stream
        .write_all(b"RESET 1000\n")
        .expect("the guest takes the request");
    let mut body = vec![0; 1000];
    stream
        .read_exact(&mut body)
        .expect("what was sent before the reset");
    assert!(body == Pattern::bytes(1000, 1000), "the body differs");
    stream
        .write_all(b"NOW\n")
        .expect("the guest takes the word");
    let error = stream.read(&mut body).expect_err("no orderly end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// The port refuses: the client is cut off without a byte, the log says why, and the next
/// connection is served once the backend is back.
pub fn the_backend_is_down_and_comes_back(place: Place) {
    let mut running = Setup::new(place).start();
    running.backend.down();
    let seen = running.guest.lines();
    let client = client::verifying(&running.identity);
    let answer = TlsStream::connect(running.server, &client).and_then(|mut stream| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map(|_| rest)
    });
    let error = answer.expect_err("there is nobody to end this in order");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let line = running.guest.wait_for_after(seen, "s_connect: connect ");
    let port = running.backend.address().port().to_string();
    assert!(
        line.contains(&port),
        "the log does not say which backend: {line}"
    );
    running.backend.up();
    download(&running, 1000);
}

pub fn a_backend_that_closes_at_once_ends_the_client_in_order(place: Place) {
    let running = Setup::new(place).backend(Mode::CloseAtOnce).start();
    for _ in 0..3 {
        let mut stream = running.connect();
        assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
    }
    running
        .backend
        .wait_for(|record| record.end == Some(End::Own));
}

pub fn a_backend_that_speaks_first_is_heard(place: Place) {
    let running = Setup::new(place).backend(Mode::Greeting).start();
    let mut stream = running.connect();
    let mut heard = Vec::new();
    stream
        .read_to_end(&mut heard)
        .expect("the greeting and a close_notify");
    assert_eq!(heard, GREETING);
}

/// A backend that does not even refuse: the client is cut off once the time to connect is over.
pub fn a_backend_that_does_not_answer(place: Place) {
    let running = Setup::new(place).absent_backend().start();
    let client = client::verifying(&running.identity);
    let answer = TlsStream::connect(running.server, &client).and_then(|mut stream| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).map(|_| rest)
    });
    let error = answer.expect_err("there is nobody to end this in order");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let absent = running.cable.tap().absent().to_string();
    // Where a host stands in between, it says that there is no route.
    running.guest.wait_for("No more addresses to connect");
    let log = running.guest.log();
    let is_told = |line: &&str| line.contains("s_connect: ") && !line.contains(" connecting ");
    let told = log.lines().find(is_told).unwrap_or_default();
    assert!(
        told.contains(&absent),
        "the log does not say which backend: {log}"
    );
}

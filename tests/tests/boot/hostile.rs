//! Clients that do not behave, and more of them than there is room for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Barrier;
use std::thread;

use stockade_tests::client::{self, TlsStream, tcp};
use stockade_tests::pattern::{Hasher, Pattern, Sum};
use stockade_tests::raw::SynSource;
use stockade_tests::{PATIENCE, wait_until};

use crate::setup::{Place, Running, Setup};
use crate::transfer::download;

/// The first byte of an alert record (RFC 8446 §5.1) and the level of a fatal one (§6).
const ALERT: u8 = 21;
const FATAL: u8 = 2;

/// Little memory: room for a few dozen connections.
const SMALLEST_MIB: u32 = 12;

fn garbage_gets_an_alert(server: SocketAddr, garbage: &[u8]) {
    let mut stream = tcp(server).expect("the guest accepts");
    stream.write_all(garbage).expect("the guest takes bytes");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("an orderly close after the alert");
    // RFC 8446 §5.1: type 21, version, length 2, then level and description.
    match answer.as_slice() {
        [ALERT, 3, _, 0, 2, FATAL, _] => {}
        other => panic!("not one fatal alert: {other:02x?}"),
    }
}

/// What speaks another protocol would take an alert for an answer in it.
fn garbage_is_reset(server: SocketAddr, garbage: &[u8]) {
    let mut stream = tcp(server).expect("the guest accepts");
    stream.write_all(garbage).expect("the guest takes bytes");
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert_eq!(
        end.map_err(|error| error.kind()),
        Err(ErrorKind::ConnectionReset)
    );
    assert!(answer.is_empty(), "{answer:02x?}");
}

/// Bytes that are no TLS get a reset, and broken TLS a fatal alert and a close; both a line in the
/// log, and they harm nobody else.
pub fn garbage(place: Place) {
    let running = Setup::new(place).start();
    garbage_is_reset(running.server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    garbage_is_reset(running.server, &Pattern::bytes(1, 4096));
    // A record header that announces more than RFC 8446 §5.1 allows.
    garbage_gets_an_alert(running.server, &[22, 3, 1, 0xff, 0xff, 1, 0, 0]);
    running
        .guest
        .wait_for("SSL_accept: error:0A00009C:SSL routines::http request");
    assert!(
        running.backend.records().is_empty(),
        "garbage reached the backend"
    );
    download(&running, 1000);
}

/// A client that says nothing is cut off when the time for its handshake is over.
pub fn a_silent_client_is_cut_off(place: Place) {
    let running = Setup::new(place).start();
    let mut stream = tcp(running.server).expect("the guest accepts");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    running
        .guest
        .wait_for("TIMEOUTbusy exceeded: sending reset");
    assert!(
        running.backend.records().is_empty(),
        "silence reached the backend"
    );
    download(&running, 1000);
}

pub fn a_client_hello_byte_by_byte(place: Place) {
    let running = Setup::new(place).start();
    let client = client::verifying(&running.identity);
    let tcp = tcp(running.server).expect("the guest accepts");
    let mut stream = TlsStream::open(tcp, &client).expect("a ClientHello");
    stream.complete_handshake_in_crumbs().expect("a handshake");
    stream
        .write_all(b"DOWN 1000\n")
        .expect("the guest takes the command");
    let body = stream
        .read_into(Vec::new())
        .expect("the body and a close_notify");
    assert!(body == Pattern::bytes(1000, 1000), "the body differs");
}

/// Opens `count` connections, waits until all of them are open, exchanges data on each, closes.
fn all_at_once(running: &Running, count: usize) {
    let client = client::verifying(&running.identity);
    let barrier = Barrier::new(count);
    let converse = |number: usize| -> io::Result<()> {
        // Everybody comes to the barrier, or the others would wait there for ever.
        let stream = TlsStream::connect(running.server, &client);
        let stream = stream.and_then(|mut stream| {
            stream.write_all(b"ECHO\n")?;
            Ok(stream)
        });
        barrier.wait();
        let mut stream = stream?;
        let sent = Pattern::bytes(number as u64, 4000);
        stream.write_all(&sent)?;
        let mut echo = vec![0; sent.len()];
        stream.read_exact(&mut echo)?;
        assert!(echo == sent, "the echo of connection {number} differs");
        stream.finish()?;
        match stream.read(&mut echo)? {
            0 => Ok(()),
            _ => Err(io::Error::other("more than the echo came back")),
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || converse(number)))
            .collect();
        for (number, thread) in threads.into_iter().enumerate() {
            let result = thread.join().expect("no connection panics");
            result.unwrap_or_else(|error| panic!("connection {number} of {count}: {error}"));
        }
    });
}

pub fn connections_200_at_once(place: Place) {
    let running = Setup::new(place).start();
    all_at_once(&running, 200);
    running.backend.wait_for_commands(200);
    download(&running, 1000);
}

/// At the smallest memory, as many connections as the image admits finish their work; one more is
/// refused; and once they are gone there is room again.
pub fn admission_at_the_smallest_memory(place: Place) {
    let running = Setup::new(place)
        .qemu(|qemu| qemu.memory_mib(SMALLEST_MIB))
        .start();
    let admitted = admitted_sessions(&running);
    assert!(
        (2..=300).contains(&admitted),
        "the guest admits {admitted} connections"
    );
    for _ in 0..2 {
        let mut streams: Vec<_> = (0..admitted).map(|_| running.connect()).collect();
        for stream in &mut streams {
            stream
                .write_all(b"ECHO\n")
                .expect("the guest takes the command");
        }
        let client = client::verifying(&running.identity);
        let refused = TlsStream::connect(running.server, &client);
        let error = refused.err().expect("there is no room for one more");
        // On the rootless network this host has taken the connection before the guest is asked.
        let expected = match place.is_rootless() {
            true => [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe],
            false => [ErrorKind::ConnectionRefused; 2],
        };
        assert!(expected.contains(&error.kind()), "{error}");
        for (number, stream) in streams.iter_mut().enumerate() {
            let sent = Pattern::bytes(number as u64, 16_000);
            stream
                .write_all(&sent)
                .expect("an admitted connection sends");
            let mut echo = vec![0; sent.len()];
            stream
                .read_exact(&mut echo)
                .expect("an admitted connection receives");
            assert!(echo == sent, "the echo of connection {number} differs");
        }
        for stream in &mut streams {
            stream.finish().expect("an orderly end");
            assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
        }
        drop(streams);
        let again = wait_until(PATIENCE, || {
            TlsStream::connect(running.server, &client).ok()
        });
        again
            .expect("there is room again")
            .finish()
            .expect("an orderly end");
        wait_for_room(&running, admitted);
    }
}

/// Connections that end badly give back what they held, as many of them as there may be.
pub fn connections_that_end_badly_leave_room(place: Place) {
    let running = Setup::new(place)
        .qemu(|qemu| qemu.memory_mib(SMALLEST_MIB))
        .start();
    let admitted = admitted_sessions(&running);
    // Reset in the middle of a conversation.
    let streams: Vec<_> = (0..admitted).map(|_| running.connect()).collect();
    for mut stream in streams {
        stream
            .write_all(b"SILENT\n")
            .expect("the guest takes the command");
        stream.reset();
    }
    wait_for_room(&running, admitted);
    // Reset in the middle of a ClientHello.
    for _ in 0..admitted {
        let mut stream = tcp(running.server).expect("the guest accepts");
        stream
            .write_all(&[22, 3, 1, 2, 0, 1])
            .expect("the guest takes bytes");
        client::reset_on_close(&stream);
    }
    wait_for_room(&running, admitted);
    // Gone before a byte was said.
    for _ in 0..admitted {
        drop(tcp(running.server).expect("the guest accepts"));
    }
    wait_for_room(&running, admitted);
}

/// Ten times as many connections as there is room for, one after the other.
pub fn many_connections_in_turn_leave_room(place: Place) {
    let running = Setup::new(place)
        .qemu(|qemu| qemu.memory_mib(SMALLEST_MIB))
        .start();
    let admitted = admitted_sessions(&running);
    for _ in 0..10 * admitted {
        download(&running, 100);
    }
    wait_for_room(&running, admitted);
}

/// A client that does not read holds up nobody but itself, and loses nothing.
pub fn a_client_that_does_not_read_holds_up_nobody_else(place: Place) {
    const LENGTH: u64 = 32 << 20;
    let running = Setup::new(place).start();
    let mut idle = running.connect();
    writeln!(idle, "DOWN {LENGTH}").expect("the guest takes the command");
    running.backend.wait_for_commands(1);
    for _ in 0..5 {
        download(&running, 1 << 20);
    }
    let record = running
        .backend
        .records()
        .into_iter()
        .next()
        .expect("the first connection");
    assert_eq!(record.end, None, "somebody buffers {LENGTH} bytes");
    let sum = idle
        .read_into(Hasher::default())
        .expect("the whole body and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(LENGTH, LENGTH));
}

/// During a flood of SYNs from nowhere an open connection goes on; after it, new ones are served.
pub fn a_syn_flood(place: Place) {
    const SYNS: u16 = 5000;
    let running = Setup::new(place).start();
    let mut open = running.connect();
    open.write_all(b"ECHO\n")
        .expect("the guest takes the command");
    let SocketAddr::V4(target) = running.server else {
        unreachable!("the link has IPv4 addresses");
    };
    let source = SynSource::open();
    for number in 0..SYNS {
        let from = running.cable.tap().absent_number((number % 100) as u8);
        let from = SocketAddrV4::new(from, 10_000 + number);
        source
            .send(from, target)
            .expect("a packet to our own guest");
        if number % 500 == 0 {
            open.write_all(b"still here")
                .expect("an open connection sends");
            let mut echo = [0; 10];
            open.read_exact(&mut echo)
                .expect("an open connection receives");
            assert_eq!(&echo, b"still here");
        }
    }
    // The flood has come as far as the guest's bounds, and its log says so without flooding itself.
    running.guest.wait_for("connections not taken");
    let warnings = running.guest.count("connections not taken");
    assert!(warnings <= 100, "{warnings} warnings about one flood");
    let client = client::verifying(&running.identity);
    let stream = wait_until(PATIENCE, || {
        TlsStream::connect(running.server, &client).ok()
    });
    assert!(stream.is_some(), "nobody is served after the flood");
}

/// The number in the image's own words: "memory: N sessions at once".
fn admitted_sessions(running: &Running) -> usize {
    let line = running.guest.wait_for("sessions at once");
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words
        .iter()
        .position(|word| *word == "sessions")
        .expect("the line holds the word");
    words[place - 1]
        .parse()
        .expect("a number before \"sessions\"")
}

/// Waits until `count` connections can be open at the same time.
fn wait_for_room(running: &Running, count: usize) {
    let client = client::verifying(&running.identity);
    let room = wait_until(PATIENCE, || {
        let open = (0..count).map(|_| TlsStream::connect(running.server, &client).ok());
        open.collect::<Option<Vec<_>>>().map(|mut streams| {
            // Their end is waited for, or they would still be in the next ones' way.
            for stream in &mut streams {
                stream.finish().expect("an orderly end");
                assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
                stream.expect_fin().expect("FIN follows close_notify");
            }
        })
    });
    assert!(
        room.is_some(),
        "room for {count} connections never comes back"
    );
}

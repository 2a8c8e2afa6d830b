//! A gigabyte each way, in every framing, through a tunnel that has far less memory.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use stockade_tests::client::TlsStream;
use stockade_tests::pattern::{Hasher, Pattern, Sum};

use crate::rig::{Kind, Rig, expect, say};

const GIGABYTE: u64 = 1 << 30;

/// Memory of the tunnel, in MiB: a sixteenth of what goes through it.
const MEMORY_MIB: usize = 64;

/// Bytes of a chunk, which no buffer on the way has.
const CHUNK: usize = 50_021;

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    WithLength,
    InChunks,
    UntilClose,
}

impl Sent {
    fn field(self, length: u64) -> String {
        match self {
            Sent::WithLength => format!("Content-Length: {length}\r\n"),
            Sent::InChunks => "Transfer-Encoding: chunked\r\n".to_owned(),
            Sent::UntilClose => String::new(),
        }
    }

    /// Sends the pattern of this length.
    fn send(self, length: u64, out: &mut impl Write) -> io::Result<()> {
        let mut pattern = Pattern::new(length, length);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = pattern.read(&mut chunk)?;
            let in_chunks = self == Sent::InChunks;
            if in_chunks {
                // The last one has none.
                write!(out, "{read:x}\r\n")?;
            }
            out.write_all(&chunk[..read])?;
            if in_chunks {
                out.write_all(b"\r\n")?;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// From the client to the backend, which tells what it has got.
fn upload(rig: &Rig, sent: Sent, length: u64) {
    let field = sent.field(length);
    let head = format!("PUT /large HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
    let mut client = rig.client(&head);
    let mut backend = rig.accept();
    let head = backend.hear("PUT /large");
    let framing = head.length().expect("one length").expect("a body");
    let mut got = Hasher::default();
    thread::scope(|scope| {
        let client: &mut TlsStream = client.stream();
        scope.spawn(move || sent.send(length, client).expect("the body is taken"));
        backend
            .body_into(framing, &mut got)
            .expect("the body comes");
    });
    assert_eq!(got.finish(), Sum::of_pattern(length, length), "{sent:?}");
    backend.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    expect(&mut client, 200, "ok");
}

/// From the backend to the client.
fn download(rig: &Rig, sent: Sent, length: u64) {
    let mut client = rig.client("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut backend = rig.accept();
    backend.hear("GET /large");
    let field = sent.field(length);
    backend.say(&format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n{field}\r\n"
    ));
    let mut got = Hasher::default();
    thread::scope(|scope| {
        scope.spawn(move || {
            let stream: &mut TcpStream = backend.stream();
            sent.send(length, stream).expect("the body is taken");
            backend.end();
        });
        let head = client.expect_head().expect("the head");
        let framing = head.answer_length("GET").expect("one length");
        client.body_into(framing, &mut got).expect("the body comes");
    });
    assert_eq!(got.finish(), Sum::of_pattern(length, length), "{sent:?}");
    // The client's connection goes on, whatever the backend's does.
    say(
        client.stream(),
        "GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let mut backend = rig.accept();
    backend.hear("GET /next");
    backend.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    expect(&mut client, 200, "ok");
}

/// Takes a body through, then looks at how much memory the process has ever had.
fn within_memory(carry: impl FnOnce(&Rig)) {
    let rig = Rig::of(Kind::Hosted(MEMORY_MIB));
    download(&rig, Sent::WithLength, 1 << 20);
    let before = rig.tunnel.guest.peak_memory();
    carry(&rig);
    let after = rig.tunnel.guest.peak_memory();
    let grown = after.saturating_sub(before);
    assert!(
        grown < 8 << 20,
        "memory has grown by {grown} bytes from {before}"
    );
}

#[test]
fn a_gigabyte_up_with_its_length() {
    within_memory(|rig| upload(rig, Sent::WithLength, GIGABYTE));
}

#[test]
fn a_gigabyte_up_in_chunks() {
    within_memory(|rig| upload(rig, Sent::InChunks, GIGABYTE));
}

#[test]
fn a_gigabyte_down_with_its_length() {
    within_memory(|rig| download(rig, Sent::WithLength, GIGABYTE));
}

#[test]
fn a_gigabyte_down_in_chunks() {
    within_memory(|rig| download(rig, Sent::InChunks, GIGABYTE));
}

#[test]
fn a_gigabyte_down_until_the_backend_closes() {
    within_memory(|rig| download(rig, Sent::UntilClose, GIGABYTE));
}

/// The image itself, on a machine of 32 MiB: emulated, so that it takes less.
#[test]
fn twice_its_memory_each_way_through_the_image() {
    const LENGTH: u64 = 64 << 20;
    let rig = Rig::of(Kind::Booted(32));
    upload(&rig, Sent::InChunks, LENGTH);
    download(&rig, Sent::WithLength, LENGTH);
    download(&rig, Sent::UntilClose, LENGTH);
}

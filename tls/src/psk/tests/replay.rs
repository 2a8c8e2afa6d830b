//! Conversations with Debian's stunnel 5.68, replayed byte for byte.
//!
//! Our side's randomness is fixed, so it must answer the recorded bytes with the recorded bytes.
//! `STOCKADE_RECORD=1 cargo test -p stockade-tls recorded` records them anew, with the `stunnel4`
//! that is installed, over loopback.

use std::boxed::Box;
use std::format;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::string::String;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{
    ActiveKeyExchange, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{NamedGroup, SupportedCipherSuite};
use x25519_dalek::{PublicKey, StaticSecret};

use super::*;
use crate::Connection;
use crate::connection::Side;
use crate::psk::common::Shared;
use crate::psk::secrets::Table;
use crate::psk::{client, server};
use crate::tests::fixture;
use crate::tests::interop::{Ended, connect, free_port};

/// The same bytes every time.
#[derive(Debug)]
struct Fixed;

impl SecureRandom for Fixed {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        for (byte, value) in bytes.iter_mut().zip((0u8..=255).cycle()) {
            *byte = value;
        }
        Ok(())
    }
}

/// X25519 with the same key every time.
#[derive(Debug)]
struct FixedX25519;

struct Exchange([u8; 32]);

fn secret() -> StaticSecret {
    StaticSecret::from([0x42; 32])
}

impl SupportedKxGroup for FixedX25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Ok(Box::new(Exchange(*PublicKey::from(&secret()).as_bytes())))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, rustls::Error> {
        let share: [u8; 32] = share.try_into().unwrap();
        let shared = secret().diffie_hellman(&share.into());
        Ok(SharedSecret::from(&shared.as_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.0
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

fn shared(provider: Provider) -> Arc<Shared> {
    let suites = provider.crypto().cipher_suites.into_iter();
    let suites = suites.filter_map(|suite| match suite {
        SupportedCipherSuite::Tls13(suite) => Some(suite),
        SupportedCipherSuite::Tls12(_) => None,
    });
    Arc::new(Shared {
        suites: suites
            .filter(|suite| suite.common.hash_provider.output_len() == 32)
            .collect(),
        groups: Vec::from([&FixedX25519 as &dyn SupportedKxGroup]),
        random: &Fixed,
        protocols: Vec::new(),
    })
}

fn our_server(provider: Provider) -> Connection {
    let shared = shared(provider);
    let hash = shared.suites[0].common.hash_provider;
    let keys = Vec::from([key(IDENTITY, KEY)]);
    let table = Table::new(keys, hash, key(b"?", &[0; 32]));
    Connection::new(Side::psk(server::accept(shared, Arc::new(table))), provider)
}

fn our_client(provider: Provider) -> Connection {
    let name = Some(String::from("localhost"));
    let psk = client::connect(shared(provider), key(IDENTITY, KEY), name).unwrap();
    let mut connection = Connection::new(Side::psk(psk), provider);
    connection.start().unwrap();
    connection
}

/// What was said, in turns: what stunnel sent, and what we answered.
struct Conversation(Vec<(Vec<u8>, Vec<u8>)>);

impl Conversation {
    fn read(name: &str) -> Conversation {
        let text = String::from_utf8(fixture(name)).unwrap();
        let bytes = |hex: &str| -> Vec<u8> {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        let turns = text.lines().map(|line| {
            let (theirs, ours) = line.split_once('|').unwrap();
            (bytes(theirs), bytes(ours))
        });
        Conversation(turns.collect())
    }

    fn write(&self, name: &str) {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let lines = self.0.iter();
        let lines = lines.map(|(theirs, ours)| format!("{}|{}\n", hex(theirs), hex(ours)));
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        std::fs::write(path.join(name), lines.collect::<String>()).unwrap();
    }
}

/// One turn: takes in, echoes data, answers a close_notify with one; gives what to send.
fn turn(connection: &mut Connection, input: &mut Vec<u8>, greeting: &mut Option<&[u8]>) -> Vec<u8> {
    let mut data = Vec::new();
    let done = connection.receive(input, usize::MAX, &mut |plaintext| {
        data.extend_from_slice(plaintext);
    });
    let done = done.unwrap_or_else(|error| panic!("{error}"));
    input.drain(..done.consumed);
    if connection.may_send() {
        data.extend_from_slice(greeting.take().unwrap_or_default());
    }
    let mut output = std::vec![0; 70_000];
    let mut length = connection.transmit(&mut output);
    if !data.is_empty() && connection.may_send() {
        length += connection
            .send(&data, &mut output[length..])
            .unwrap()
            .written;
    }
    if connection.peer_closed() {
        connection.close_notify();
        length += connection.transmit(&mut output[length..]);
    }
    output.truncate(length);
    output
}

fn replay(mut connection: Connection, conversation: &Conversation, greeting: Option<&[u8]>) {
    let mut greeting = greeting;
    let mut waiting = Vec::new();
    for (theirs, ours) in &conversation.0 {
        waiting.extend_from_slice(theirs);
        assert!(turn(&mut connection, &mut waiting, &mut greeting) == *ours);
    }
    let handshake = connection.handshake().expect("the handshake is done");
    assert_eq!(handshake.psk_identity.as_deref(), Some(IDENTITY));
    assert!(connection.peer_closed());
}

/// Talks over a socket until the peer closes.
fn converse(
    mut connection: Connection,
    stream: &mut TcpStream,
    greeting: Option<&[u8]>,
) -> Conversation {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut greeting = greeting;
    let (mut waiting, mut turns) = (Vec::new(), Vec::new());
    let mut theirs = Vec::new();
    loop {
        waiting.extend_from_slice(&theirs);
        let ours = turn(&mut connection, &mut waiting, &mut greeting);
        stream.write_all(&ours).unwrap();
        turns.push((theirs, ours));
        if connection.peer_closed() {
            return Conversation(turns);
        }
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "stunnel left");
        theirs = chunk[..length].to_vec();
    }
}

/// A stunnel with these lines in its one service, and the folder of its files.
fn stunnel(lines: &str) -> Ended {
    let folder = std::env::temp_dir().join(format!("stockade-replay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let secrets = folder.join("psk.txt");
    let line = [IDENTITY, b":", KEY, b"\n"].concat();
    std::fs::write(&secrets, line).unwrap();
    let conf = format!(
        "foreground = yes\npid =\n[replay]\nciphers = PSK\nPSKsecrets = {}\n{lines}",
        secrets.display()
    );
    let path = folder.join("stunnel.conf");
    std::fs::write(&path, conf).unwrap();
    let child = Command::new("stunnel4")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("stunnel4 is installed");
    Ended(child)
}

/// stunnel as the client of our server: a program sends a line through it and reads the echo.
fn record_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (ours, plain) = (listener.local_addr().unwrap().port(), free_port());
    let _stunnel = stunnel(&format!(
        "client = yes\naccept = 127.0.0.1:{plain}\nconnect = 127.0.0.1:{ours}\n"
    ));
    let mut program = connect(plain);
    program.write_all(b"a line through stunnel\n").unwrap();
    let reader = std::thread::spawn(move || {
        let mut echo = [0; 23];
        program.read_exact(&mut echo).unwrap();
        program.shutdown(std::net::Shutdown::Write).unwrap();
        program
    });
    let (mut stream, _) = listener.accept().unwrap();
    let conversation = converse(our_server(Provider::Ring), &mut stream, None);
    conversation.write("psk-stunnel-client.txt");
    drop(reader.join());
}

/// stunnel as the server of our client, with a program behind it that answers and closes.
fn record_server() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let (behind, tls) = (backend.local_addr().unwrap().port(), free_port());
    let _stunnel = stunnel(&format!(
        "accept = 127.0.0.1:{tls}\nconnect = 127.0.0.1:{behind}\n"
    ));
    let mut stream = connect(tls);
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = backend.accept().unwrap();
        let mut line = [0; 5];
        stream.read_exact(&mut line).unwrap();
        stream.write_all(b"answer\n").unwrap();
    });
    let conversation = converse(our_client(Provider::Ring), &mut stream, Some(b"hello"));
    conversation.write("psk-stunnel-server.txt");
    drop(answer.join());
}

#[test]
fn recorded_conversations_with_stunnel_are_answered_byte_for_byte() {
    if std::env::var_os("STOCKADE_RECORD").is_some() {
        record_client();
        record_server();
    }
    let (client, server) = (
        Conversation::read("psk-stunnel-client.txt"),
        Conversation::read("psk-stunnel-server.txt"),
    );
    for provider in PROVIDERS {
        replay(our_server(provider), &client, None);
        replay(our_client(provider), &server, Some(b"hello"));
    }
}

#[test]
fn a_recorded_conversation_with_one_byte_changed_is_not_answered() {
    let conversation = Conversation::read("psk-stunnel-client.txt");
    let mut connection = our_server(Provider::Ring);
    let hello = conversation
        .0
        .iter()
        .map(|(theirs, _)| theirs)
        .find(|theirs| !theirs.is_empty())
        .unwrap();
    let mut hello = hello.clone();
    let last = hello.len() - 1;
    hello[last] ^= 1;
    let error = connection.receive(&mut hello, 0, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::PreSharedKey { .. }), "{error}");
}

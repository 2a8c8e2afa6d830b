//! Handshakes with a pre-shared key, on both sides, and the records that follow.

use ring::digest::{SHA256, digest};
use ring::hmac;
use stockade_tls::{Connection, Error, Group, PreSharedKey, PskClient, PskOptions, PskServer};

use super::input::Input;

const IDENTITY: &[u8] = b"client-host";
const KEY: &[u8] = b"shiPaetai3ejaiGees3koi3nuoph5ohm";

/// Bytes of a record header, and of a handshake message's.
const HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
/// Bytes of a SHA-256 hash, and so of a binder.
const HASH: usize = 32;
/// Record types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Handshake types (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const MESSAGE_HASH: u8 = 254;
/// Most bytes that a connection may keep to be sent: a flight, or what key updates come to.
const OUTPUT_MOST: usize = 4096;
/// Steps of one input at most.
const STEPS_MOST: usize = 64;

/// Groups of few instructions, so that there are many handshakes.
fn options() -> PskOptions {
    PskOptions {
        groups: vec![Group::X25519, Group::P256],
        ..PskOptions::default()
    }
}

fn key() -> PreSharedKey {
    PreSharedKey::new(IDENTITY, KEY).expect("both lengths are allowed")
}

fn server() -> End {
    let server = PskServer::new(vec![key()], &options()).expect("sound options");
    End::new(server.accept())
}

fn client() -> End {
    let client = PskClient::new(key(), &options()).expect("sound options");
    End::new(client.connect(Some("localhost")).expect("a DNS name"))
}

/// A connection, what it has said, and what it has received.
struct End {
    connection: Connection,
    received: Vec<u8>,
    /// What has come and is not a whole record yet.
    waiting: Vec<u8>,
    error: Option<Error>,
}

impl End {
    fn new(connection: Connection) -> End {
        End {
            connection,
            received: Vec::new(),
            waiting: Vec::new(),
            error: None,
        }
    }

    /// Takes bytes in; errors must be final, and what waits to be sent must stay small.
    fn take(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        let received = &mut self.received;
        let result = self
            .connection
            .receive(&mut self.waiting, usize::MAX, &mut |plaintext| {
                received.extend_from_slice(plaintext);
            });
        match (&self.error, result) {
            (Some(first), again) => assert_eq!(again.as_ref(), Err(first), "another error"),
            (None, Ok(done)) => drop(self.waiting.drain(..done.consumed)),
            (None, Err(error)) => {
                assert!(!error.to_string().is_empty());
                assert!(!self.connection.may_send(), "it failed and is open");
                self.error = Some(error);
            }
        }
        let pending = self.connection.pending_output();
        assert!(pending <= OUTPUT_MOST, "{pending} bytes wait");
    }

    fn output(&mut self) -> Vec<u8> {
        let mut output = vec![0; self.connection.pending_output()];
        let length = self.connection.transmit(&mut output);
        output.truncate(length);
        output
    }

    fn is_open(&self) -> bool {
        self.connection.handshake().is_some()
    }
}

/// Half of all inputs are a client's bytes as they are; the others are bodies of ClientHellos, each
/// of which gets the binder that fits, and what follows them.
///
/// Checked: no connection opens, as nobody here can make a Finished message.
pub fn psk_server(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(kind) = input.byte() else { return };
    let mut server = server();
    if kind & 1 == 1 {
        // A second one is due after a HelloRetryRequest.
        let mut transcript = Vec::new();
        for _ in 0..2 {
            let Some(body) = input.block() else { break };
            let mut hello = message(CLIENT_HELLO, body);
            bind(&transcript, &mut hello);
            server.take(&records(
                HANDSHAKE,
                &hello,
                usize::from(kind >> 1) * 64 + 64,
            ));
            let reply = server.output();
            transcript = message(MESSAGE_HASH, digest(&SHA256, &hello).as_ref());
            transcript.extend(payload(&reply, HANDSHAKE));
        }
    }
    server.take(input.rest());
    assert!(!server.is_open(), "a stranger got in");
    assert!(server.received.is_empty(), "a stranger's data were taken");
}

/// What a server sends: the flight of a real one with changes, a ServerHello of the input's with
/// the client's session id in it, or any bytes.
///
/// Checked: the connection opens only if every handshake byte is the real server's.
pub fn psk_client(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(kind) = input.byte() else { return };
    let (mut client, mut server) = (client(), server());
    let hello = client.output();
    server.take(&hello);
    let good = server.output();
    let mut flight = good.clone();
    match kind & 3 {
        0 => flight = input.rest().to_vec(),
        1 => {
            // Behind the record's and message's headers, version and random: the session id.
            const SESSION_ID: usize = 2 + 32;
            let at = HEADER + MESSAGE_HEADER + SESSION_ID;
            let session_id = hello.get(at..at + 33).expect("our own ClientHello");
            let mut body = input.block().unwrap_or_default().to_vec();
            if let Some(place) = body.get_mut(SESSION_ID..SESSION_ID + 33) {
                place.copy_from_slice(session_id);
            }
            flight = records(HANDSHAKE, &message(SERVER_HELLO, &body), 64);
            flight.extend_from_slice(input.rest());
        }
        _ => {
            if kind & 4 == 4 {
                let cut = usize::from(kind >> 3) + 1;
                flight = records(HANDSHAKE, &payload(&good, HANDSHAKE), cut);
                let behind = good.len() - protected(&good).len();
                flight.extend_from_slice(&good[behind..]);
            }
            change(&mut flight, &mut input);
        }
    }
    client.take(&flight);
    if client.is_open() {
        let is_same = |kind| payload(&flight, kind).starts_with(&payload(&good, kind));
        assert!(is_same(HANDSHAKE) && is_same(APPLICATION_DATA), "opened");
    }
    assert!(client.received.is_empty(), "data before any were sent");
}

/// A good handshake, and then a program: data, key updates and ends on both sides, and changes to
/// the records on their way.
///
/// Checked: what is received was sent, in that order and without a gap; once something was changed
/// there is an error or nothing more.
pub fn psk_records(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut ends = [client(), server()];
    for from in [0, 1, 0] {
        let flight = ends[from].output();
        ends[1 - from].take(&flight);
    }
    assert!(ends.iter().all(End::is_open), "a good handshake failed");
    let mut sent = [Vec::new(), Vec::new()];
    for step in 0..STEPS_MOST {
        let Some(operation) = input.byte() else { break };
        let from = usize::from(operation & 1);
        let end = &mut ends[from];
        let mut wire = Vec::new();
        match operation >> 1 & 7 {
            0..=2 => {
                let length = usize::from(input.half().unwrap_or_default()) % 40_000;
                let data = vec![step as u8; length];
                wire = vec![0; length + OUTPUT_MOST];
                let (read, written) = match end.connection.send(&data, &mut wire) {
                    Ok(sealed) => (sealed.read, sealed.written),
                    Err(_) => (0, 0),
                };
                wire.truncate(written);
                sent[from].extend_from_slice(&data[..read]);
            }
            // Its records stay behind, so that they gather.
            3 => drop(end.connection.refresh_keys()),
            4 => {
                end.connection.close_notify();
                wire = end.output();
            }
            5 => wire = end.output(),
            6 => wire = input.block().unwrap_or_default().to_vec(),
            _ => {
                wire = end.output();
                let mut record = vec![0; OUTPUT_MOST];
                if let Ok(sealed) = end.connection.send(&[step as u8; 100], &mut record) {
                    wire.extend_from_slice(&record[..sealed.written]);
                    sent[from].extend_from_slice(&[step as u8; 100][..sealed.read]);
                }
                change(&mut wire, &mut input);
            }
        }
        let to = &mut ends[1 - from];
        to.take(&wire);
        assert!(
            sent[from].starts_with(&to.received),
            "what was received was not sent"
        );
        if let Some(error) = &to.error {
            assert_eq!(to.connection.send(b"x", &mut []).as_ref(), Err(error));
        }
    }
}

/// A handshake message of this type.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let [_, high, middle, low] = length.to_be_bytes();
    [&[kind, high, middle, low], body].concat()
}

/// `payload` in records of at most `piece` bytes.
fn records(kind: u8, payload: &[u8], piece: usize) -> Vec<u8> {
    let mut records = Vec::new();
    for piece in payload.chunks(piece) {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        records.extend_from_slice(&[kind, 3, 3, high, low]);
        records.extend_from_slice(piece);
    }
    records
}

/// The payloads of all records of one type, put together.
fn payload(mut records: &[u8], kind: u8) -> Vec<u8> {
    let mut found = Vec::new();
    while let Some((header, rest)) = records.split_first_chunk::<HEADER>() {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        if header[0] == kind {
            found.extend_from_slice(payload);
        }
        records = rest;
    }
    found
}

/// The flight from its first record on that is none of the handshake in the clear.
fn protected(mut records: &[u8]) -> &[u8] {
    while let [HANDSHAKE, _, _, high, low, ..] = records {
        let length = HEADER + usize::from(u16::from_be_bytes([*high, *low]));
        records = records.get(length..).unwrap_or_default();
    }
    debug_assert!(matches!(
        records.first(),
        None | Some(&CHANGE_CIPHER_SPEC | &APPLICATION_DATA)
    ));
    records
}

/// Applies the changes that are left in the input.
fn change(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..STEPS_MOST {
        let (Some(operation), Some(at)) = (input.byte(), input.half()) else {
            return;
        };
        let at = usize::from(at) % (bytes.len() + 1);
        match operation & 3 {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= input.byte().unwrap_or(1);
                }
            }
            1 => bytes.truncate(at),
            2 => {
                let block = input.block().unwrap_or_default();
                bytes.splice(at..at, block.iter().copied());
            }
            _ => {
                let end = (at + usize::from(input.byte().unwrap_or_default())).min(bytes.len());
                let copied = bytes[at..end].to_vec();
                bytes.extend(copied);
            }
        }
        if operation & 128 == 0 {
            return;
        }
    }
}

/// Puts the right binder into the last bytes of a ClientHello with one identity (RFC 8446
/// §4.2.11.2). `transcript` is what came before.
fn bind(transcript: &[u8], hello: &mut [u8]) {
    // A list of one binder: two bytes of the list's length, one of the binder's.
    let Some(bound) = hello.len().checked_sub(HASH + 3) else {
        return;
    };
    let (truncated, binders) = hello.split_at_mut(bound);
    let hash = digest(&SHA256, &[transcript, truncated].concat());
    let early = sign(&[0; HASH], KEY);
    let nothing = digest(&SHA256, b"");
    let binder_key = expand(early.as_ref(), b"tls13 ext binder", nothing.as_ref());
    let finished_key = expand(binder_key.as_ref(), b"tls13 finished", b"");
    let binder = sign(finished_key.as_ref(), hash.as_ref());
    binders[3..].copy_from_slice(binder.as_ref());
}

fn sign(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

/// HKDF-Expand-Label of one hash's length (RFC 8446 §7.1, RFC 5869 §2.3).
fn expand(secret: &[u8], label: &[u8], context: &[u8]) -> hmac::Tag {
    let length = |bytes: &[u8]| [u8::try_from(bytes.len()).unwrap_or(u8::MAX)];
    let info = [
        &[0, HASH as u8][..],
        &length(label),
        label,
        &length(context),
        context,
        &[1],
    ];
    sign(secret, &info.concat())
}

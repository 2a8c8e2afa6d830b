//! A TLS client's first bytes, as a service is chosen by them.

use stockade_tls::{ClientHello, MAX_CLIENT_HELLO, Peek, peek_client_hello};

use super::input::Input;

/// Most bytes of a host name.
const NAME_MOST: usize = 255;
/// Bytes of a record header.
const HEADER: usize = 5;

/// Half of all inputs are the connection's bytes as they are; the others are a ClientHello's body,
/// which is put into one record, and into several.
///
/// Checked: what is found does not depend on how the message is cut into records, nor on what comes
/// behind it; a beginning of a ClientHello never is anything else than incomplete, and what is
/// refused stays refused with more bytes; names and lists keep to their bounds.
pub fn client_hello(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(kind) = input.byte() else { return };
    if kind & 1 == 0 {
        raw(input.rest());
    } else {
        let piece = usize::from(kind >> 1) + 1;
        body(input.rest(), piece);
    }
}

fn raw(bytes: &[u8]) {
    let found = peek_client_hello(bytes);
    // Some beginnings only, as this is done for each.
    for length in [
        0,
        1,
        3,
        HEADER,
        bytes.len() / 2,
        bytes.len().saturating_sub(1),
    ] {
        let Some(beginning) = bytes.get(..length) else {
            continue;
        };
        match peek_client_hello(beginning) {
            Peek::Incomplete => {}
            verdict => assert_eq!(verdict, found, "more bytes change what was found"),
        }
    }
    match found {
        Peek::Incomplete => assert!(bytes.len() < 2 * (HEADER + 1) * MAX_CLIENT_HELLO),
        Peek::Hello(hello) => {
            bounds(&hello);
            let behind = [bytes, b"\x17\x03\x03\x00\x01\x00"].concat();
            assert_eq!(peek_client_hello(&behind), Peek::Hello(hello));
        }
        Peek::NotTls { reason } => assert!(!reason.is_empty()),
    }
}

fn body(body: &[u8], piece: usize) {
    const MOST: usize = 16_384 - 4;
    let body = body.get(..MOST).unwrap_or(body);
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1], &length[1..], body].concat();
    let one = records(&message, message.len());
    let found = peek_client_hello(&one);
    assert_ne!(found, Peek::Incomplete);
    let many = records(&message, piece);
    if many.len() <= MAX_CLIENT_HELLO {
        assert_eq!(peek_client_hello(&many), found, "in pieces of {piece}");
    }
    if let Peek::Hello(hello) = found {
        bounds(&hello);
    }
}

fn bounds(hello: &ClientHello) {
    if let Some(name) = &hello.server_name {
        assert!((1..=NAME_MOST).contains(&name.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(*name, name.to_ascii_lowercase());
    }
    assert!(hello.alpn.len() <= 32);
    assert!(hello.psk_offered || !hello.external_psk);
    assert_eq!(hello.offers_tls13, hello.max_version >= (3, 4));
}

/// `message` in handshake records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let mut records = Vec::new();
    for piece in message.chunks(size) {
        records.extend_from_slice(&[22, 3, 1]);
        records.extend_from_slice(&(piece.len() as u16).to_be_bytes());
        records.extend_from_slice(piece);
    }
    records
}

//! Record headers (RFC 8446 §5.1): `type (1) | legacy version (2) | length (2)`.

use crate::{MAX_PLAINTEXT, MAX_RECORD, Peek, peek_client_hello};

/// Bytes of a record's header.
pub(super) const HEADER: usize = 5;

const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// What the front of a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// The beginning of something that may become a record: bytes needed to know more.
    Incomplete { needed: usize },
    /// A whole record.
    Whole { content_type: u8, length: usize },
    /// No record of any TLS version.
    NotTls,
    /// A record that is longer than any may be.
    TooLong,
}

/// Looks at the front of `input`. Judges bytes as soon as they are there, so that a peer which does
/// not speak TLS is told at once and not after as many bytes as it seems to announce.
///
/// `overhead` is what sealing adds to a record of this connection, header included, once that is
/// known.
pub(super) fn front(input: &[u8], overhead: Option<usize>) -> Front {
    let content_type = match input.first() {
        None => return Front::Incomplete { needed: HEADER },
        Some(content_type @ CHANGE_CIPHER_SPEC..=APPLICATION_DATA) => *content_type,
        Some(_) => return Front::NotTls,
    };
    // All versions have the major number 3, in the record header even TLS 1.3.
    if input.get(1).is_some_and(|major| *major != 3) {
        return Front::NotTls;
    }
    let Some([_, _, _, high, low]) = input.first_chunk::<HEADER>() else {
        return Front::Incomplete { needed: HEADER };
    };
    let length = HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    // "The length MUST NOT exceed 2^14 + 256 bytes" (RFC 8446 §5.2). TLS 1.2 allows 2^14 + 2048
    // (RFC 5246 §6.2.3), but no suite here needs as much.
    let most = overhead.map_or(MAX_RECORD, |overhead| {
        // TLS 1.3 may pad up to its limit; what is sealed in TLS 1.2 has one length only.
        if overhead == TLS13_OVERHEAD {
            MAX_RECORD
        } else {
            MAX_PLAINTEXT + overhead
        }
    });
    if length > most {
        return Front::TooLong;
    }
    if input.len() < length {
        return Front::Incomplete { needed: length };
    }
    Front::Whole {
        content_type,
        length,
    }
}

/// Whether a request of HTTP/1 begins so, by the methods that OpenSSL knows.
pub(super) fn is_http(input: &[u8]) -> bool {
    let methods: [&[u8]; 4] = [b"GET ", b"POST ", b"HEAD ", b"PUT "];
    methods.iter().any(|method| input.starts_with(method))
}

/// Header, content type and tag: what sealing adds in TLS 1.3.
const TLS13_OVERHEAD: usize = HEADER + 1 + 16;

/// An unencrypted alert record (RFC 8446 §6).
pub(super) fn plain_alert(level: u8, description: u8) -> [u8; 7] {
    [ALERT, 3, 3, 0, 2, level, description]
}

/// When `record` begins a ClientHello that offers nothing newer than TLS 1.1: the newest version
/// that it offers.
pub(super) fn old_hello(record: &[u8]) -> Option<(u8, u8)> {
    const CLIENT_HELLO: u8 = 1;
    // Record header, type and length of the message, its version.
    let [HANDSHAKE, _, _, _, _, CLIENT_HELLO, _, _, _, major, minor] = *record.first_chunk()?
    else {
        return None;
    };
    let legacy = (major, minor);
    if legacy >= TLS12 {
        return None;
    }
    match peek_client_hello(record) {
        Peek::Hello(hello) if hello.max_version >= TLS12 => None,
        _ => Some(legacy),
    }
}

/// TLS 1.2 on the wire.
const TLS12: (u8, u8) = (3, 3);

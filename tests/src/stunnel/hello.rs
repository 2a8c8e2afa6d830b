//! What a TLS client offers: its ClientHello (RFC 8446 §4.1.2), taken at a plain TCP port.
//!
//! Read here and not with the product's own parser: a test of what the product sends should not
//! believe its word for it.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};

use crate::client::tcp;
use crate::{PATIENCE, namespace, wait_until};

const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// The offers of one ClientHello, code points as they are on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `server_name` (RFC 6066 §3).
    pub server_name: Option<String>,
    /// Cipher suites, in order.
    pub suites: Vec<u16>,
    /// `supported_groups`, in order.
    pub groups: Vec<u16>,
    /// `supported_versions`, in order; the legacy version alone when there is no such extension.
    pub versions: Vec<u16>,
    /// Whether `session_ticket` (RFC 5077) is there.
    pub ticket_extension: bool,
    /// Length of the legacy session id, in bytes.
    pub session_id: usize,
    /// Whether a pre-shared key, or a TLS 1.3 ticket, is offered.
    pub pre_shared_key: bool,
}

/// A TCP port that takes the first flight of whoever connects, then closes.
pub struct Catcher {
    listener: TcpListener,
}

impl Catcher {
    /// Listens on this address.
    pub fn listen(address: SocketAddr) -> Catcher {
        namespace::require();
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        listener.set_nonblocking(true).expect("an open socket");
        Catcher { listener }
    }

    /// Connects to `tunnel`, which dials this catcher, and gives the ClientHello that it sends.
    pub fn catch(&self, tunnel: SocketAddr) -> Hello {
        let _client = tcp(tunnel).expect("the tunnel accepts");
        let (mut stream, _) =
            wait_until(PATIENCE, || self.listener.accept().ok()).expect("the tunnel dials");
        stream.set_nonblocking(false).expect("an open socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("an open socket");
        let message = handshake_message(&mut stream).expect("a whole ClientHello");
        parse(&message).expect("a well-formed ClientHello")
    }
}

/// The first handshake message, over as many records as it takes.
fn handshake_message(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut message: Vec<u8> = Vec::new();
    loop {
        let mut header = [0; RECORD_HEADER];
        stream.read_exact(&mut header)?;
        if header[0] != HANDSHAKE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        stream.read_exact(&mut body)?;
        message.extend(body);
        if let Some([kind, high, middle, low]) = message.first_chunk() {
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            if *kind != CLIENT_HELLO {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if message.len() >= 4 + length {
                return Ok(message[4..4 + length].to_vec());
            }
        }
    }
}

fn parse(message: &[u8]) -> Option<Hello> {
    let mut rest = Bytes(message);
    let legacy = rest.u16()?;
    rest.take(32)?;
    let session_id = rest.vector_8()?.len();
    let suites = words(rest.vector_16()?);
    rest.vector_8()?;
    let mut hello = Hello {
        server_name: None,
        suites,
        groups: Vec::new(),
        versions: vec![legacy],
        ticket_extension: false,
        session_id,
        pre_shared_key: false,
    };
    if rest.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Bytes(rest.vector_16()?);
    while !extensions.0.is_empty() {
        let (kind, body) = (extensions.u16()?, extensions.vector_16()?);
        let mut body = Bytes(body);
        match kind {
            SERVER_NAME => {
                let mut list = Bytes(body.vector_16()?);
                list.take(1)?;
                let name = String::from_utf8(list.vector_16()?.to_vec()).ok()?;
                hello.server_name = Some(name);
            }
            SUPPORTED_GROUPS => hello.groups = words(body.vector_16()?),
            SUPPORTED_VERSIONS => hello.versions = words(body.vector_8()?),
            SESSION_TICKET => hello.ticket_extension = true,
            PRE_SHARED_KEY => hello.pre_shared_key = true,
            _ => {}
        }
    }
    Some(hello)
}

/// Code points of two bytes, without GREASE (RFC 8701).
fn words(bytes: &[u8]) -> Vec<u16> {
    let words = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    words.filter(|word| word & 0x0f0f != 0x0a0a).collect()
}

/// A cursor over bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector_8(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.take(1)?[0]);
        self.take(length)
    }

    fn vector_16(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_over_two_records_is_read() {
        // Version, random, session id of one byte, two suites (one of them GREASE), no compression.
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([1, 9, 0, 4, 0x0a, 0x0a, 0x13, 0x02, 1, 0]);
        let extensions = [
            &[0, 0, 0, 6, 0, 4, 0, 0, 1, b'x'][..],
            &[0, 10, 0, 4, 0, 2, 0, 29],
            &[0, 43, 0, 3, 2, 3, 4],
            &[0, 35, 0, 0],
        ]
        .concat();
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut message = vec![1, 0, 0, body.len() as u8];
        message.extend(&body);
        let (first, second) = message.split_at(40);
        let mut stream = Vec::new();
        for part in [first, second] {
            stream.extend([22, 3, 1, 0, part.len() as u8]);
            stream.extend(part);
        }
        let read = handshake_message(&mut stream.as_slice()).unwrap();
        assert_eq!(
            parse(&read),
            Some(Hello {
                server_name: Some("x".into()),
                suites: vec![0x1302],
                groups: vec![29],
                versions: vec![0x0304],
                ticket_extension: true,
                session_id: 1,
                pre_shared_key: false,
            })
        );
    }
}

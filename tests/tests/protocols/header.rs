//! A PROXY header of version 2 (HAProxy's proxy-protocol.txt §2.2), read by the tests' own eyes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Types of records (§2.2.1 and on).
pub const ALPN: u8 = 0x01;
pub const AUTHORITY: u8 = 0x02;
pub const CRC32C: u8 = 0x03;
pub const SSL: u8 = 0x20;
pub const SSL_VERSION: u8 = 0x21;
pub const SSL_CN: u8 = 0x22;
pub const SSL_CIPHER: u8 = 0x23;

/// Bits of the record [`SSL`]'s first byte.
pub const CLIENT_SSL: u8 = 1;
pub const CLIENT_CERT_CONN: u8 = 2;
pub const CLIENT_CERT_SESS: u8 = 4;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header with the command PROXY.
#[derive(Debug)]
pub struct Header {
    pub client: SocketAddr,
    pub local: SocketAddr,
    pub records: BTreeMap<u8, Vec<u8>>,
    /// What follows the header.
    pub behind: Vec<u8>,
}

impl Header {
    /// Reads a header from the front of `bytes`; panics if there is none as it must be.
    pub fn read(bytes: &[u8]) -> Header {
        let header = parse(bytes);
        header.unwrap_or_else(|| panic!("no header of version 2: {}", bytes.escape_ascii()))
    }

    /// What is in the record [`SSL`]: the client's bits, whether verification failed, and the
    /// records below.
    pub fn ssl(&self) -> (u8, bool, BTreeMap<u8, Vec<u8>>) {
        let ssl = self.records.get(&SSL);
        let ssl = ssl.unwrap_or_else(|| panic!("no record of TLS in {self:?}"));
        let (&[client, a, b, c, d], below) = ssl.split_first_chunk().expect("five bytes");
        let failed = [a, b, c, d] != [0; 4];
        (client, failed, records(below).expect("whole records"))
    }
}

/// A record's text.
pub fn text(records: &BTreeMap<u8, Vec<u8>>, kind: u8) -> Option<&str> {
    let value = records.get(&kind)?;
    Some(str::from_utf8(value).expect("a text"))
}

fn parse(bytes: &[u8]) -> Option<Header> {
    let rest = bytes.strip_prefix(SIGNATURE)?;
    let (&[command, family, high, low], rest) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (block, behind) = rest.split_at_checked(length)?;
    if command != 0x21 {
        return None;
    }
    let (client, local, below) = match family {
        0x11 => endpoints::<4>(block)?,
        0x21 => endpoints::<16>(block)?,
        _ => return None,
    };
    Some(Header {
        client,
        local,
        records: records(below)?,
        behind: behind.to_vec(),
    })
}

fn endpoints<const N: usize>(block: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (client, rest) = block.split_first_chunk::<N>()?;
    let (local, rest) = rest.split_first_chunk::<N>()?;
    let (&[a, b, c, d], rest) = rest.split_first_chunk()?;
    Some((
        SocketAddr::new(IpAddr::from(*client), u16::from_be_bytes([a, b])),
        SocketAddr::new(IpAddr::from(*local), u16::from_be_bytes([c, d])),
        rest,
    ))
}

/// Each record by its type; none may come twice.
fn records(mut bytes: &[u8]) -> Option<BTreeMap<u8, Vec<u8>>> {
    let mut records = BTreeMap::new();
    while let Some((&[kind, high, low], rest)) = bytes.split_first_chunk() {
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        if records.insert(kind, value.to_vec()).is_some() {
            return None;
        }
        bytes = rest;
    }
    bytes.is_empty().then_some(records)
}

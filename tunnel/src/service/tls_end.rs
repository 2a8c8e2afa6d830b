//! Which end of a service speaks TLS, and how its connections begin.

use alloc::string::{String, ToString};
use core::net::SocketAddr;

use tls::Connection;

use crate::session::Mode;

/// Which end of a service speaks TLS.
pub enum Tls {
    /// The accepted end.
    Server(tls::Server),
    /// The dialled end.
    Client {
        /// Trust, identity and resumption state.
        client: tls::Client,
        /// The name to ask for (RFC 6066 §3), and to verify where names are.
        server_name: Option<String>,
    },
}

impl Tls {
    /// Which end of its sessions is accepted.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Server(_) => Mode::Server,
            Self::Client { .. } => Mode::Client,
        }
    }

    /// A connection for a new session, whose other end is likely to be `backend`: a server keeps
    /// that with the session, so that who resumes it gets the same; a client keeps sessions for
    /// each by itself.
    ///
    /// # Errors
    /// No entropy, or an unusable name.
    pub fn connection(&self, backend: Option<SocketAddr>) -> Result<Connection, tls::Error> {
        match self {
            Self::Server(server) => match backend {
                Some(backend) => server.accept_with(backend.to_string().as_bytes()),
                None => server.accept(),
            },
            Self::Client {
                client,
                server_name,
            } => match backend {
                Some(backend) => client.connect_to(server_name.as_deref(), &backend.to_string()),
                None => client.connect(server_name.as_deref()),
            },
        }
    }
}

/// The backend that a resumed session was served by, as [`Tls::connection`] kept it.
pub fn kept_backend(connection: &Connection) -> Option<SocketAddr> {
    let kept = core::str::from_utf8(connection.resumed_data()?).ok()?;
    kept.parse().ok()
}

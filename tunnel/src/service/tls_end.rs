//! Which end of a service speaks TLS, and how its connections begin.

use alloc::string::{String, ToString};
use core::net::SocketAddr;

use tls::{ClientHello, Connection};

use crate::{
    hosting::{Notices, http},
    session::Mode,
};

/// Which end of a service speaks TLS.
pub enum Tls {
    /// The accepted end.
    Server(tls::Server),
    /// The accepted end, for clients with a pre-shared key.
    KeyServer {
        /// The keys of all clients.
        keys: tls::PskServer,
        /// For clients without one, where there is a certificate.
        certificates: Option<tls::Server>,
    },
    /// The dialled end, with a pre-shared key.
    KeyClient {
        /// The key.
        client: tls::PskClient,
        /// The name to ask for.
        server_name: Option<String>,
    },
    /// The dialled end.
    Client {
        /// Trust, identity and resumption state.
        client: tls::Client,
        /// The name to ask for (RFC 6066 §3), and to verify where names are.
        server_name: Option<String>,
    },
    /// The accepted end, for those alone whom another service takes over: all others are refused.
    Others,
    /// The accepted end, for a handshake and nothing after it (RFC 8737 §3).
    Proof(tls::Server),
    /// None: clients are answered here, in the clear.
    Answered(Answers),
}

/// What is answered in the clear.
pub enum Answers {
    /// HTTP.
    Http(http::Answers),
    /// Notices that the store has changed.
    Notices(Notices),
}

impl Tls {
    /// Which end of its sessions is accepted.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Server(_)
            | Self::KeyServer { .. }
            | Self::Others
            | Self::Proof(_)
            | Self::Answered(_) => Mode::Server,
            Self::Client { .. } | Self::KeyClient { .. } => Mode::Client,
        }
    }

    /// Has an OCSP response sent with the certificate, or none.
    pub fn set_staple(&self, response: Option<&[u8]>) {
        match self {
            Self::Server(server)
            | Self::KeyServer {
                certificates: Some(server),
                ..
            } => server.set_staple(response.map(<[u8]>::to_vec)),
            _ => {}
        }
    }

    /// A connection for a new session, whose other end is likely to be `backend`: a server keeps
    /// that with the session, so that who resumes it gets the same; a client keeps sessions for
    /// each by itself. `hello` is what a client has asked for, as far as it is known: it decides
    /// between pre-shared keys and certificates where a service has both.
    ///
    /// # Errors
    /// No entropy, an unusable name, or none of this service's own.
    pub fn connection(
        &self,
        backend: Option<SocketAddr>,
        hello: Option<&ClientHello>,
    ) -> Result<Connection, tls::Error> {
        match self {
            Self::Server(server) => accept(server, backend),
            Self::Proof(server) => server.accept(),
            Self::Others | Self::Answered(_) => Err(tls::Error::Internal {
                reason: "the service has no TLS of its own".into(),
            }),
            Self::KeyServer { keys, certificates } => match certificates {
                Some(server) if !hello.is_some_and(has_key) => accept(server, backend),
                _ => Ok(keys.accept()),
            },
            Self::KeyClient {
                client,
                server_name,
            } => client.connect(server_name.as_deref()),
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

fn accept(server: &tls::Server, backend: Option<SocketAddr>) -> Result<Connection, tls::Error> {
    match backend {
        Some(backend) => server.accept_with(backend.to_string().as_bytes()),
        None => server.accept(),
    }
}

/// Whether a client wants to be known by a pre-shared key. One that speaks TLS 1.2 at most is
/// told what to change, unless it takes a certificate as well.
fn has_key(hello: &ClientHello) -> bool {
    hello.external_psk || hello.psk_only
}

/// The backend that a resumed session was served by, as [`Tls::connection`] kept it.
pub fn kept_backend(connection: &Connection) -> Option<SocketAddr> {
    let kept = core::str::from_utf8(connection.resumed_data()?).ok()?;
    kept.parse().ok()
}

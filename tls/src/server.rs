//! The server side: what all accepted connections share.

mod accepted;
mod judge;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::server::UnbufferedServerConnection;
use rustls::sign::CertifiedKey;
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use spin::Mutex;

use crate::connection::Side;
use crate::sessions::ServerSessions;
use crate::tickets::{MAX_LIFETIME, Tickets};
use crate::{
    ConfigError, Connection, Error, Group, Identity, PathOptions, Provider, Suite, TicketSecret,
    Versions, WallClock,
};
use accepted::Shared;
use judge::Judge;

pub(crate) use accepted::Accepted;

/// Tickets sent after each TLS 1.3 handshake: two, so that a client may open two connections at
/// once without using a ticket twice (RFC 8446 appendix C.4).
const TICKETS: usize = 2;

/// Most bytes that [`Server::accept_with`] keeps with a session.
pub const MAX_SESSION_DATA: usize = 256;

/// How long sessions may be resumed where nobody says otherwise.
const SESSION_LIFETIME: Duration = Duration::from_secs(6 * 60 * 60);

/// How a [`Server`] behaves. Start from [`ServerOptions::new`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The certificate chain and key to show; its provider runs the connections.
    pub identity: Identity,
    /// Judges the age of sessions and ticket keys.
    pub clock: WallClock,
    /// The versions to accept.
    pub versions: Versions,
    /// Application protocols, most wanted first (RFC 7301); empty: the client's are passed over.
    /// A client that offers protocols, none of them ours, is refused (RFC 7301 §3.2).
    pub alpn: Vec<Vec<u8>>,
    /// Whether clients may resume by encrypted tickets (RFC 8446 §4.6.1, RFC 5077), which cost the
    /// server no memory.
    pub tickets: bool,
    /// Most sessions kept in memory for clients that take no tickets, or for all of them when
    /// `tickets` is off; 0 keeps none.
    pub session_cache: usize,
    /// Whether clients may resume sessions at all; without it `tickets` and `session_cache` count
    /// for nothing.
    pub resumption: bool,
    /// How long a session may be resumed after its tickets were made, or after it was kept; at most
    /// seven days (RFC 8446 §4.6.1). Resuming makes new tickets, but no session outlives its full
    /// handshake by more than a day, or by this time where it is longer.
    pub session_lifetime: Duration,
    /// Derives the ticket keys, so that tickets stay good after a restart; `None` draws them, and
    /// new ones from time to time.
    pub ticket_secret: Option<TicketSecret>,
    /// Tells servers with the same `ticket_secret` apart, such as a service's name: only those with
    /// the same context and the same `client_auth` resume each other's sessions.
    pub session_context: Vec<u8>,
    /// The cipher suites to accept, most wanted first; empty: all.
    pub suites: Vec<Suite>,
    /// The groups to accept; empty: all. Which of them is used is the client's choice: its first.
    pub groups: Vec<Group>,
    /// Whether the order of `suites` counts, or the client's.
    pub prefer_own_order: bool,
    /// Whether clients are asked for a certificate, and how it is judged.
    pub client_auth: ClientAuth,
}

/// Whether a server asks clients for a certificate (RFC 8446 §4.3.2). A resumed session keeps the
/// verdict of its full handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No client is asked.
    #[default]
    Off,
    /// Clients without one are let in; one that is shown must be good.
    Request(ClientVerify),
    /// Clients without a good one are refused.
    Require(ClientVerify),
    /// Nobody is refused: what was found is told by
    /// [`Connection::client_verdict`](crate::Connection::client_verdict).
    Note(ClientVerify),
}

/// How a server judges a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientVerify {
    /// Any certificate will do, X.509 v1 included; the client has its key, and that is all.
    Any,
    /// A chain to a root and validity, as strictly as browsers.
    Chain {
        /// Trusted roots: each entry PEM (any number of certificates) or one DER certificate.
        roots: Vec<Vec<u8>>,
    },
    /// What OpenSSL would take: see [`PathOptions`], whose names must not be
    /// [`NameCheck::ServerName`](crate::NameCheck::ServerName).
    Path {
        /// Trusted certificates: roots, or peers' own.
        roots: Vec<Vec<u8>>,
        /// What is checked.
        options: PathOptions,
    },
}

impl ServerOptions {
    /// TLS 1.2 and 1.3 with all suites and groups, tickets and sessions for six hours, and memory
    /// for 1,024 of them.
    #[must_use]
    pub fn new(identity: Identity, clock: WallClock) -> ServerOptions {
        ServerOptions {
            identity,
            clock,
            versions: Versions::default(),
            alpn: Vec::new(),
            tickets: true,
            session_cache: 1024,
            resumption: true,
            session_lifetime: SESSION_LIFETIME,
            ticket_secret: None,
            session_context: Vec::new(),
            suites: Vec::new(),
            groups: Vec::new(),
            prefer_own_order: true,
            client_auth: ClientAuth::Off,
        }
    }
}

/// Makes server connections that share an identity and resumption state. Clones share them too.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    config: Arc<ServerConfig>,
    /// Where clients are asked for certificates: each connection notes its own verdict, and rustls
    /// takes what gives it with a new configuration only.
    builder: Option<ConfigBuilder<ServerConfig, WantsVerifier>>,
    provider: Provider,
}

impl Server {
    /// Checks the options and makes the first ticket key.
    ///
    /// # Errors
    ///
    /// What in the options cannot be.
    pub fn new(options: ServerOptions) -> Result<Server, ConfigError> {
        let crypto = options.identity.provider().crypto();
        Server::with_crypto(options, crypto)
    }

    pub(crate) fn with_crypto(
        options: ServerOptions,
        mut crypto: CryptoProvider,
    ) -> Result<Server, ConfigError> {
        crate::handshake::check_alpn(&options.alpn)?;
        let (suites, groups) = (&options.suites, &options.groups);
        crate::suites::narrow(&mut crypto, suites, groups, options.versions)?;
        let crypto = Arc::new(crypto);
        let judge = Judge::new(&options.client_auth, &crypto)?;
        let lifetime = options.session_lifetime.as_secs().min(MAX_LIFETIME);
        let tickets = if options.resumption && options.tickets {
            let judged = judge::fingerprint(&options.client_auth);
            let bound = [&options.session_context[..], &judged];
            let secret = options.ticket_secret.as_ref();
            Some(Tickets::new(
                options.identity.provider(),
                options.clock.clone(),
                lifetime,
                secret.map(|secret| (secret, &bound[..])),
            )?)
        } else {
            None
        };
        let sessions = (options.resumption && options.session_cache > 0)
            .then(|| ServerSessions::new(options.session_cache));
        let builder = ServerConfig::builder_with_details(crypto, Arc::new(options.clock.clone()))
            .with_protocol_versions(options.versions.list()?)
            .map_err(ConfigError::internal)?;
        let asks = judge.asks();
        let shared = Arc::new(Shared {
            key: Mutex::new(options.identity.certified_key()),
            clock: options.clock,
            lifetime,
            tickets,
            sessions,
            judge,
        });
        let nobody = Arc::new(Accepted::new(shared.clone(), &[]));
        let mut config = builder
            .clone()
            .with_no_client_auth()
            .with_cert_resolver(nobody);
        config.ignore_client_order = options.prefer_own_order;
        config.alpn_protocols = options.alpn;
        config.max_early_data_size = 0;
        config.send_half_rtt_data = false;
        config.send_tls13_tickets = match (&shared.tickets, &shared.sessions) {
            (None, None) => 0,
            _ => TICKETS,
        };
        Ok(Server {
            shared,
            config: Arc::new(config),
            builder: asks.then_some(builder),
            provider: options.identity.provider(),
        })
    }

    /// Has this OCSP response sent with the certificate from now on, to clients that ask for one
    /// (RFC 6066 §8, RFC 8446 §4.4.2.1), or none. Nothing is checked.
    pub fn set_staple(&self, response: Option<Vec<u8>>) {
        let mut key = self.shared.key.lock();
        *key = Arc::new(CertifiedKey {
            cert: key.cert.clone(),
            key: key.key.clone(),
            ocsp: response,
        });
    }

    /// A connection that waits for a ClientHello.
    ///
    /// # Errors
    ///
    /// [`Error::Entropy`] or [`Error::Internal`].
    pub fn accept(&self) -> Result<Connection, Error> {
        self.accept_with(&[])
    }

    /// The same, with data to keep with the session, such as the backend it is served by: a
    /// connection that resumes it gives the data back
    /// ([`Connection::resumed_data`](crate::Connection::resumed_data)), and keeps it in turn.
    ///
    /// # Errors
    ///
    /// [`Error::SessionData`] for more than [`MAX_SESSION_DATA`] bytes, [`Error::Entropy`] or
    /// [`Error::Internal`].
    pub fn accept_with(&self, session_data: &[u8]) -> Result<Connection, Error> {
        if session_data.len() > MAX_SESSION_DATA {
            return Err(Error::SessionData);
        }
        let accepted = Arc::new(Accepted::new(self.shared.clone(), session_data));
        let shared = &self.config;
        let mut config = match &self.builder {
            None => ServerConfig::clone(shared),
            Some(builder) => {
                let mut config = builder
                    .clone()
                    .with_client_cert_verifier(accepted.clone())
                    .with_cert_resolver(accepted.clone());
                config.ignore_client_order = shared.ignore_client_order;
                config.alpn_protocols.clone_from(&shared.alpn_protocols);
                config.max_early_data_size = shared.max_early_data_size;
                config.send_half_rtt_data = shared.send_half_rtt_data;
                config.send_tls13_tickets = shared.send_tls13_tickets;
                config
            }
        };
        config.cert_resolver = accepted.clone();
        config.ticketer = accepted.clone();
        config.session_storage = accepted.clone();
        let connection =
            UnbufferedServerConnection::new(Arc::new(config)).map_err(Error::from_rustls)?;
        Ok(Connection::new(
            Side::server(connection, accepted),
            self.provider,
        ))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

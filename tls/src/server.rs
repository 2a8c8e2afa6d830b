//! The server side: what all accepted connections share.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use spin::Mutex;

use crate::client::read_roots;
use crate::connection::Side;
use crate::path::{PathVerifier, RefusalSlot};
use crate::sessions::ServerSessions;
use crate::tickets::Tickets;
use crate::verifier::AnyCertificate;
use crate::{
    ConfigError, Connection, Error, Group, Identity, PathOptions, PathValidator, Provider, Purpose,
    Suite, TicketSecret, Versions, WallClock,
};

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
    config: Arc<ServerConfig>,
    key: Arc<CertifiedKey>,
    refusals: Option<RefusalSlot>,
    provider: Provider,
}

impl Server {
    /// Checks the options and draws the first ticket key.
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
        crate::suites::narrow(&mut crypto, &options.suites, &options.groups)?;
        crate::handshake::check_alpn(&options.alpn)?;
        let crypto = Arc::new(crypto);
        let key = options.identity.certified_key();
        let (verifier, refusals) = client_verifier(options.client_auth, &crypto)?;
        let mut config =
            ServerConfig::builder_with_details(crypto.clone(), Arc::new(options.clock.clone()))
                .with_protocol_versions(options.versions.list()?)
                .map_err(ConfigError::internal)?
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(Arc::new(Resolver::new(key.clone(), NameSlot::default())));
        config.ignore_client_order = options.prefer_own_order;
        config.alpn_protocols = options.alpn;
        config.max_early_data_size = 0;
        config.send_half_rtt_data = false;
        config.session_storage = if options.session_cache > 0 {
            Arc::new(ServerSessions::new(
                options.session_cache,
                options.clock.clone(),
            ))
        } else {
            Arc::new(NoServerSessionStorage {})
        };
        config.send_tls13_tickets = 0;
        if options.tickets {
            let tickets = Tickets::new(&crypto.cipher_suites, options.clock)
                .map_err(|_| ConfigError::Entropy)?;
            if let Some(tickets) = tickets {
                config.ticketer = Arc::new(tickets);
                config.send_tls13_tickets = TICKETS;
            }
        }
        if options.session_cache > 0 {
            config.send_tls13_tickets = TICKETS;
        }
        Ok(Server {
            config: Arc::new(config),
            key,
            refusals,
            provider: options.identity.provider(),
        })
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
        // rustls tells the client's name to the resolver alone, so each connection has its own.
        let name = NameSlot::default();
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(Resolver::new(self.key.clone(), name.clone()));
        let connection =
            UnbufferedServerConnection::new(Arc::new(config)).map_err(Error::from_rustls)?;
        Ok(Connection::new(
            Side::server(connection, name),
            self.provider,
            self.refusals.clone(),
        ))
    }
}

/// What judges clients' certificates, and where it leaves its reasons.
fn client_verifier(
    auth: ClientAuth,
    crypto: &Arc<CryptoProvider>,
) -> Result<(Arc<dyn ClientCertVerifier>, Option<RefusalSlot>), ConfigError> {
    let (verify, required) = match auth {
        ClientAuth::Off => return Ok((WebPkiClientVerifier::no_client_auth(), None)),
        ClientAuth::Request(verify) => (verify, false),
        ClientAuth::Require(verify) => (verify, true),
        ClientAuth::Note(verify) => (verify, false),
    };
    let algorithms = crypto.signature_verification_algorithms;
    Ok(match verify {
        ClientVerify::Any => (Arc::new(AnyCertificate::new(algorithms, required)), None),
        ClientVerify::Chain { roots } => {
            let roots = Arc::new(read_roots(&roots)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, crypto.clone());
            if !required {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier.build().map_err(|error| ConfigError::Internal {
                reason: error.to_string(),
            })?;
            (verifier, None)
        }
        ClientVerify::Path { roots, options } => {
            let validator =
                PathValidator::with_algorithms(algorithms, Purpose::Client, &roots, options)?;
            let verifier = PathVerifier::new(validator, required);
            let refusals = verifier.refusals();
            (Arc::new(verifier), Some(refusals))
        }
    })
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Where a connection's resolver leaves the name that the client asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameSlot(Arc<Mutex<Option<String>>>);

impl NameSlot {
    pub(crate) fn name(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// Shows the one identity to everybody, and notes the name asked for.
#[derive(Debug)]
struct Resolver {
    key: Arc<CertifiedKey>,
    name: NameSlot,
}

impl Resolver {
    fn new(key: Arc<CertifiedKey>, name: NameSlot) -> Resolver {
        Resolver { key, name }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        *self.name.0.lock() = hello.server_name().map(ToString::to_string);
        Some(self.key.clone())
    }
}

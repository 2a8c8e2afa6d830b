//! The server side: what all accepted connections share.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

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
    ConfigError, Connection, Error, Identity, PathOptions, PathValidator, Provider, Purpose,
    Versions, WallClock,
};

/// Tickets sent after each TLS 1.3 handshake: two, so that a client may open two connections at
/// once without using a ticket twice (RFC 8446 appendix C.4).
const TICKETS: usize = 2;

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
    /// TLS 1.2 and 1.3, tickets, and memory for 1,024 sessions.
    #[must_use]
    pub fn new(identity: Identity, clock: WallClock) -> ServerOptions {
        ServerOptions {
            identity,
            clock,
            versions: Versions::default(),
            alpn: Vec::new(),
            tickets: true,
            session_cache: 1024,
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
        crypto: CryptoProvider,
    ) -> Result<Server, ConfigError> {
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
        // The order of suites and groups is ours: it is chosen for this machine's cryptography.
        config.ignore_client_order = true;
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

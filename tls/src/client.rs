//! The client side: what all connections that we open share.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use rustls::client::{
    Resumption, Tls12Resumption, UnbufferedClientConnection, WebPkiServerVerifier,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{Ipv4Addr, ServerName, TrustAnchor};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::connection::Side;
use crate::identity::certificates_in;
use crate::path::PathVerifier;
use crate::sessions::{ClientSessions, KeyedSessions};
use crate::verifier::AnyCertificate;
use crate::{
    ConfigError, Connection, Error, Group, Identity, PathOptions, PathValidator, Provider, Purpose,
    Suite, Versions, WallClock,
};

/// Stands where rustls wants a name and there is none: an address is never sent.
const NOBODY: [u8; 4] = [0; 4];

/// RFC 8446 §4.6.1: "Clients MUST NOT cache tickets for longer than 7 days".
const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How a client judges the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyMode {
    /// Chain to a root, validity and name (RFC 5280, RFC 6125), as strictly as browsers.
    ChainAndName,
    /// What OpenSSL would take, X.509 v1 included: see [`PathOptions`]. The roots may be peers'
    /// own certificates too.
    Path(PathOptions),
    /// Take any certificate, X.509 v1 included. The handshake's signature is still checked against
    /// it, but nothing says whose it is: whoever sits in between can read and change all data.
    None,
}

/// How a [`Client`] behaves. Start from [`ClientOptions::new`].
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Whose cryptography to use; the identity's, when there is one.
    pub provider: Provider,
    /// Trusted roots: each entry PEM (any number of certificates) or one DER certificate.
    pub roots: Vec<Vec<u8>>,
    /// Whether public roots are trusted, too: of those that Mozilla has chosen for its browser, the ones
    /// of authorities that issue certificates by ACME (RFC 8555).
    /// With [`VerifyMode::ChainAndName`] alone.
    pub public_roots: bool,
    /// How the server's certificate is judged.
    pub verify: VerifyMode,
    /// Whether what servers staple to their certificates is kept for
    /// [`Connection::take_staple`]; with [`VerifyMode::Path`] alone.
    pub keep_staples: bool,
    /// Certificate and key to show when the server asks.
    pub identity: Option<Identity>,
    /// Application protocols to offer, most wanted first (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
    /// The versions to offer.
    pub versions: Versions,
    /// Judges certificates' validity and tickets' lifetimes.
    pub clock: WallClock,
    /// Most servers whose sessions are kept for resumption; 0 keeps none.
    pub session_cache: usize,
    /// Whether sessions are resumed at all; without it `session_cache` counts for nothing.
    pub resumption: bool,
    /// How long a session may be resumed after it was kept, if the server does not say less.
    pub session_lifetime: Duration,
    /// The cipher suites to offer, most wanted first; empty: all.
    pub suites: Vec<Suite>,
    /// The groups to offer, most wanted first; empty: all.
    pub groups: Vec<Group>,
}

impl ClientOptions {
    /// *ring*, verification against `roots`, TLS 1.2 and 1.3 with all suites and groups, 256 servers
    /// remembered for a week, which is the most that servers allow.
    #[must_use]
    pub fn new(roots: Vec<Vec<u8>>, clock: WallClock) -> ClientOptions {
        ClientOptions {
            provider: Provider::Ring,
            roots,
            public_roots: false,
            verify: VerifyMode::ChainAndName,
            keep_staples: false,
            identity: None,
            alpn: Vec::new(),
            versions: Versions::default(),
            clock,
            session_cache: 256,
            resumption: true,
            session_lifetime: SESSION_LIFETIME,
            suites: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// Makes client connections that share trust and resumption state. Clones share them too.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    sessions: Option<Arc<ClientSessions>>,
    needs_name: bool,
    /// Path validation, when it is ours.
    paths: Option<Arc<PathVerifier>>,
    provider: Provider,
}

impl Client {
    /// Checks the options and reads the roots.
    ///
    /// # Errors
    ///
    /// What in the options cannot be.
    pub fn new(options: ClientOptions) -> Result<Client, ConfigError> {
        let crypto = options.provider.crypto();
        Client::with_crypto(options, crypto)
    }

    pub(crate) fn with_crypto(
        options: ClientOptions,
        mut crypto: CryptoProvider,
    ) -> Result<Client, ConfigError> {
        let (suites, groups) = (&options.suites, &options.groups);
        crate::suites::narrow(&mut crypto, suites, groups, options.versions)?;
        crate::handshake::check_alpn(&options.alpn)?;
        let crypto = Arc::new(crypto);
        let builder =
            ClientConfig::builder_with_details(crypto.clone(), Arc::new(options.clock.clone()))
                .with_protocol_versions(options.versions.list()?)
                .map_err(ConfigError::internal)?;
        let mut needs_name = false;
        let mut paths = None;
        let builder = match options.verify {
            VerifyMode::ChainAndName => {
                needs_name = true;
                let public = match options.public_roots {
                    true => crate::roots::PUBLIC,
                    false => &[],
                };
                let roots = Arc::new(read_roots(&options.roots, public)?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, crypto)
                    .build()
                    .map_err(|error| ConfigError::Internal {
                        reason: error.to_string(),
                    })?;
                builder.with_webpki_verifier(verifier)
            }
            VerifyMode::None => {
                let algorithms = crypto.signature_verification_algorithms;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(algorithms)))
            }
            VerifyMode::Path(path) => {
                let validator = PathValidator::with_algorithms(
                    crypto.signature_verification_algorithms,
                    Purpose::Server,
                    &options.roots,
                    path,
                )?;
                needs_name = validator.needs_name();
                let verifier = PathVerifier::new(validator).keeping_staples(options.keep_staples);
                let verifier = Arc::new(verifier);
                paths = Some(verifier.clone());
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
        };
        let mut config = match options.identity {
            Some(identity) if identity.provider() != options.provider => {
                return Err(ConfigError::IdentityProvider);
            }
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                identity.certified_key(),
            ))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = options.alpn;
        config.enable_early_data = false;
        let sessions = (options.resumption && options.session_cache > 0).then(|| {
            Arc::new(ClientSessions::new(
                options.session_cache,
                options.clock,
                options.session_lifetime.as_secs(),
            ))
        });
        config.resumption = resumption(sessions.as_ref(), "");
        Ok(Client {
            config: Arc::new(config),
            sessions,
            needs_name,
            paths,
            provider: options.provider,
        })
    }

    /// A connection whose ClientHello already waits in
    /// [`pending_output`](Connection::pending_output).
    ///
    /// `server_name` is a DNS name, sent as SNI, or an IP address, not sent (RFC 6066 §3: "Literal
    /// IPv4 and IPv6 addresses are not permitted in HostName"). `None` sends none, and is an error
    /// where names are verified; all such connections share one place in the session cache.
    ///
    /// # Errors
    ///
    /// [`Error::ServerName`] for a name that is neither, or missing; [`Error::Entropy`].
    pub fn connect(&self, server_name: Option<&str>) -> Result<Connection, Error> {
        self.connect_to(server_name, "")
    }

    /// The same, with sessions kept by `session_key`, such as the backend's address, besides the
    /// name: only connections with the same key resume each other's sessions.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_to(
        &self,
        server_name: Option<&str>,
        session_key: &str,
    ) -> Result<Connection, Error> {
        let name = match server_name {
            Some(name) => ServerName::try_from(name)
                .map_err(|_| Error::ServerName)?
                .to_owned(),
            None if self.needs_name => return Err(Error::ServerName),
            None => ServerName::from(Ipv4Addr::from(NOBODY)),
        };
        let sent = match &name {
            ServerName::DnsName(name) => Some(name.as_ref().to_string()),
            _ => None,
        };
        let config = match &self.sessions {
            Some(_) if !session_key.is_empty() => {
                let mut config = ClientConfig::clone(&self.config);
                config.resumption = resumption(self.sessions.as_ref(), session_key);
                Arc::new(config)
            }
            _ => self.config.clone(),
        };
        let connection =
            UnbufferedClientConnection::new(config, name.clone()).map_err(Error::from_rustls)?;
        let paths = self.paths.clone().map(|verifier| (verifier, name));
        let side = Side::client(connection, sent, paths);
        let mut connection = Connection::new(side, self.provider);
        connection.start()?;
        Ok(connection)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Where a connection with this session key looks for sessions.
fn resumption(sessions: Option<&Arc<ClientSessions>>, session_key: &str) -> Resumption {
    match sessions {
        Some(sessions) => Resumption::store(Arc::new(KeyedSessions {
            sessions: sessions.clone(),
            key: session_key.into(),
        }))
        .tls12_resumption(Tls12Resumption::SessionIdOrTickets),
        None => Resumption::disabled(),
    }
}

pub(crate) fn read_roots(
    roots: &[Vec<u8>],
    public: &[TrustAnchor<'static>],
) -> Result<RootCertStore, ConfigError> {
    let mut store = RootCertStore {
        roots: public.to_vec(),
    };
    for (index, root) in roots.iter().enumerate() {
        let certificates = certificates_in(root).ok_or_else(|| ConfigError::Root {
            index,
            reason: "neither PEM certificates nor a DER certificate".into(),
        })?;
        for certificate in certificates {
            store.add(certificate).map_err(|error| ConfigError::Root {
                index,
                reason: error.to_string(),
            })?;
        }
    }
    if store.is_empty() {
        return Err(ConfigError::NoRoots);
    }
    Ok(store)
}

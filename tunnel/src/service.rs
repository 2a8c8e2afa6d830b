//! What the image offers: services, as values.

use alloc::{string::String, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use config::{Config, Connect, Crypto, Host};
use net::{Addresses, Instant, QueryId, ResolveError};
use tls::{Connection, Identity, IdentityError, Provider, ServerOptions, WallClock};

use crate::{limits::Timeouts, session::Mode};

/// How long a resolved name is used before it is looked up again.
const NAME_LIFETIME: Duration = Duration::from_secs(60);

/// How long after a failed look-up the next one may follow.
const RETRY: Duration = Duration::from_secs(5);

/// One service: where it accepts, what it does to the bytes, where they go.
pub struct Service {
    /// What the log calls it.
    pub name: String,
    /// The one address to accept on; `None` for all.
    pub local: Option<IpAddr>,
    /// The port to accept on.
    pub port: u16,
    /// Which end speaks TLS, and with what.
    pub tls: Tls,
    /// Where accepted connections go.
    pub backend: Backend,
    /// How long its sessions may wait.
    pub timeouts: Timeouts,
}

/// Which end of a service speaks TLS.
pub enum Tls {
    /// The accepted end.
    Server(tls::Server),
    /// The dialled end.
    Client {
        /// Trust, identity and resumption state.
        client: tls::Client,
        /// The name to ask for and to verify.
        server_name: Option<String>,
    },
}

impl Tls {
    /// A connection for a new session.
    ///
    /// # Errors
    /// No entropy, or an unusable name.
    pub fn connection(&self) -> Result<Connection, tls::Error> {
        match self {
            Self::Server(server) => server.accept(),
            Self::Client {
                client,
                server_name,
            } => client.connect(server_name.as_deref()),
        }
    }

    /// Which end of its sessions is accepted.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Server(_) => Mode::Server,
            Self::Client { .. } => Mode::Client,
        }
    }
}

impl Service {
    /// The service that the command line describes: TLS accepted, plaintext dialled.
    ///
    /// # Errors
    /// Certificate and key do not work together, or TLS cannot be set up with them.
    pub fn from_config(
        config: &Config,
        certificate: &[u8],
        key: &[u8],
        clock: &WallClock,
    ) -> Result<Self, ServiceError> {
        let provider = match config.crypto {
            Crypto::Ring => Provider::Ring,
            Crypto::RustCrypto => Provider::RustCrypto,
        };
        let identity =
            Identity::from_pem(certificate, key, provider).map_err(ServiceError::Identity)?;
        for warning in identity.warnings(clock.now()) {
            log::warn!("--cert: {warning}");
        }
        let options = ServerOptions::new(identity, clock.clone());
        let server = tls::Server::new(options).map_err(ServiceError::Tls)?;
        Ok(Self {
            name: "tls".into(),
            local: config.accept.host,
            port: config.accept.port,
            tls: Tls::Server(server),
            backend: Backend::new(&config.connect),
            timeouts: Timeouts::default(),
        })
    }
}

/// Why a service cannot be offered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServiceError {
    /// The certificate chain and its key.
    Identity(IdentityError),
    /// The rest of TLS.
    Tls(tls::ConfigError),
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(error) => write!(f, "--cert, --key: {error}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
        }
    }
}

/// Where accepted connections go, and what is known of its address.
pub struct Backend {
    target: Target,
    /// What the target's name stands for; unused by the other targets.
    resolved: Vec<IpAddr>,
    query: Option<QueryId>,
    /// When to look the name up again, if somebody needs it then.
    refresh: Instant,
}

enum Target {
    /// The default gateway, whichever is in force.
    Gateway {
        port: u16,
    },
    Address(SocketAddr),
    Name {
        name: String,
        port: u16,
    },
}

impl Backend {
    /// The backend that `connect` names.
    pub fn new(connect: &Connect) -> Self {
        let port = connect.port;
        let target = match &connect.host {
            None => Target::Gateway { port },
            Some(Host::Address(address)) => Target::Address(SocketAddr::new(*address, port)),
            Some(Host::Name(name)) => Target::Name {
                name: name.clone(),
                port,
            },
        };
        Self {
            target,
            resolved: Vec::new(),
            query: None,
            refresh: Instant::ZERO,
        }
    }

    /// The address to dial at the given attempt (from 0); `None` when there is none left.
    pub fn candidate(&self, attempt: usize, addresses: &Addresses) -> Option<SocketAddr> {
        match &self.target {
            Target::Gateway { port } => {
                let v4 = addresses.ipv4_gateway.map(IpAddr::V4);
                let v6 = addresses.ipv6_gateway.map(IpAddr::V6);
                let gateway = v4.into_iter().chain(v6).nth(attempt)?;
                Some(SocketAddr::new(gateway, *port))
            }
            Target::Address(address) => (attempt == 0).then_some(*address),
            Target::Name { port, .. } => {
                let address = self.resolved.get(attempt)?;
                Some(SocketAddr::new(*address, *port))
            }
        }
    }

    /// The name to look up now, if one is due: nothing is known of it, or what is known is old.
    pub fn wants_lookup(&self, now: Instant) -> Option<&str> {
        match &self.target {
            Target::Name { name, .. } if self.query.is_none() && now >= self.refresh => Some(name),
            _ => None,
        }
    }

    /// When [`wants_lookup`](Self::wants_lookup) has to be asked again though nobody dials:
    /// only as long as the name has no address at all.
    pub fn retry_at(&self) -> Option<Instant> {
        let waits = matches!(self.target, Target::Name { .. })
            && self.query.is_none()
            && self.resolved.is_empty();
        waits.then_some(self.refresh)
    }

    /// A look-up has been sent, or could not be.
    pub fn looking_up(&mut self, query: Result<QueryId, ResolveError>, now: Instant) {
        match query {
            Ok(query) => self.query = Some(query),
            Err(error) => self.lookup_failed(error, now),
        }
    }

    /// Takes the answer if `query` was ours; addresses once known are kept when a later look-up
    /// fails.
    pub fn resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) -> bool {
        if self.query != Some(query) {
            return false;
        }
        self.query = None;
        match result {
            Ok(addresses) => {
                self.resolved.clone_from(addresses);
                self.refresh = now + NAME_LIFETIME;
            }
            Err(error) => self.lookup_failed(*error, now),
        }
        true
    }

    fn lookup_failed(&mut self, error: ResolveError, now: Instant) {
        self.refresh = now + RETRY;
        log::warn!(
            "--connect={self}: {error}; next look-up in {} s",
            RETRY.as_secs()
        );
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Gateway { port } => write!(f, "gateway:{port}"),
            Target::Address(address) => address.fmt(f),
            Target::Name { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

//! What the image offers: services, as values.
//!
//! A [`Service`] is made of the command line's options ([`Service::from_config`]) or is one of
//! many in a stunnel configuration ([`conf`]); the server knows no difference.

use alloc::{string::String, sync::Arc, vec, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, SocketAddr},
};

pub use config::stunnel::{Network, SocketOptions};
use config::{Config, Crypto};
use net::{Addresses, Instant};
use tls::{Identity, IdentityError, PeerName, Provider, ServerOptions, WallClock};

use crate::{
    dialect::Setup,
    hosting::{http_1, http_if_asked},
    journal::{Address, Channel, LogId, Severity},
    limits::{Needs, Timeouts},
    revocation::{Revocation, Stapling},
    session::Mode,
};

pub mod backend;
pub mod conf;
mod tls_end;
mod virtual_host;

pub use backend::Backend;
pub use tls_end::{Answers, Tls, kept_backend};
pub use virtual_host::VirtualHost;
pub(crate) use virtual_host::wants_proof;

/// TLS sessions that a service keeps unless it is told otherwise; one service's are part of
/// [`FIXED_RESERVE`](crate::limits::FIXED_RESERVE).
const DEFAULT_KEPT_SESSIONS: usize = 1024;

/// One service: where it accepts, what it does to the bytes, where they go.
pub struct Service {
    /// Its name, and what of it the log shows.
    pub channel: Channel,
    /// Where it accepts; nowhere for a virtual service.
    pub listeners: Vec<Listen>,
    /// What of the host leads to a port of its listeners: a UNIX socket, by its path, or any free
    /// port.
    pub led_by: Vec<(u16, Option<String>)>,
    /// Which end speaks TLS, and with what.
    pub tls: Tls,
    /// Where accepted connections go.
    pub backend: Backend,
    /// Where those of clients go that failed their authentication.
    pub redirect: Option<Backend>,
    /// Names for which another service takes over.
    pub virtual_hosts: Vec<VirtualHost>,
    /// What is said around TLS.
    pub dialect: Option<Setup>,
    /// Proxies that tell their clients' addresses: connections from them begin with a PROXY header.
    pub trusted_proxies: Vec<Network>,
    /// How long its sessions may wait.
    pub timeouts: Timeouts,
    /// Socket options.
    pub sockets: Sockets,
    /// Whether a failed connection ends with a reset at both ends (RFC 9293 §3.10.5), not with
    /// FIN.
    pub reset: bool,
    /// The image's address to dial from; `None`: the one that fits the way.
    pub source: Option<IpAddr>,
    /// Clients are asked for certificates, which take memory.
    pub asks_clients: bool,
    /// Clients without one are refused.
    pub requires_client: bool,
    /// How the peer's certificate is judged; `None`: it is only looked at.
    pub judges: Option<Judgement>,
    /// How it is found out whether peers' certificates are revoked, where that is wanted.
    pub revocation: Option<Revocation>,
    /// What to ask about its own certificate, so that the answer can be sent along with it.
    pub stapling: Option<Stapling>,
    /// TLS sessions that it keeps for resumption at most.
    pub kept_sessions: usize,
    /// What its clients say is HTTP: each request goes to the service of its host.
    pub requests: Option<Arc<http::Options>>,
}

/// What is asked of a peer's certificate, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whom it may be for; empty: anybody.
    pub names: Vec<PeerName>,
    /// It must have a path to a trusted certificate.
    pub chain: bool,
    /// It must be a known one.
    pub peer: bool,
}

/// Where a service accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The one address to accept on; `None` for all.
    pub local: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Listen {
    /// Whether one connection could belong to both.
    pub fn overlaps(&self, other: &Listen) -> bool {
        let any = self.local.is_none() || other.local.is_none();
        self.port == other.port && (any || self.local == other.local)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(local) => SocketAddr::new(local, self.port).fmt(f),
            None => write!(f, "port {}", self.port),
        }
    }
}

/// Socket options of a service's streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Of those that it accepts.
    pub accepted: SocketOptions,
    /// Of those that it dials.
    pub dialled: SocketOptions,
}

impl Service {
    /// A service with the defaults of the command line.
    pub fn new(channel: Channel, listeners: Vec<Listen>, tls: Tls, backend: Backend) -> Self {
        Self {
            channel,
            listeners,
            led_by: Vec::new(),
            tls,
            backend,
            redirect: None,
            virtual_hosts: Vec::new(),
            dialect: None,
            trusted_proxies: Vec::new(),
            timeouts: Timeouts::default(),
            sockets: Sockets::default(),
            reset: true,
            source: None,
            asks_clients: false,
            requires_client: false,
            judges: None,
            revocation: None,
            stapling: None,
            kept_sessions: DEFAULT_KEPT_SESSIONS,
            requests: None,
        }
    }

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
        let identity = Identity::from_pem(certificate, key, provider(config.crypto))
            .map_err(ServiceError::Identity)?;
        for warning in identity.warnings(clock.now()) {
            log::warn!("--cert: {warning}");
        }
        let requests = http_if_asked(&config.requests);
        let options = ServerOptions {
            alpn: requests.as_ref().map(|_| http_1()).unwrap_or_default(),
            ..ServerOptions::new(identity, clock.clone())
        };
        let server = tls::Server::new(options).map_err(ServiceError::Tls)?;
        let level = Severity::of_service(config.log);
        let service = Self::new(
            Channel::new("tls", level, LogId::Sequential),
            vec![Listen {
                local: config.accept.host,
                port: config.accept.port,
            }],
            Tls::Server(server),
            Backend::new(&config.connect),
        );
        Ok(Self {
            requests,
            ..service
        })
    }

    /// When names of its backends have to be looked up again though nobody connects.
    pub fn retry_at(&self) -> Option<Instant> {
        let backends = core::iter::once(&self.backend).chain(&self.redirect);
        backends.filter_map(Backend::retry_at).min()
    }

    /// Where it accepts, as the log says it.
    pub fn shown(&self, local: SocketAddr) -> Address<'_> {
        let led_by = self.led_by.iter().find(|(port, _)| *port == local.port());
        match led_by {
            Some((_, Some(path))) => Address::Unix(path),
            Some((_, None)) => Address::AnyPort,
            None => Address::Tcp(local),
        }
    }

    /// What becomes of its connections, in words: where they go, as it is known now.
    pub fn purpose<'a>(&'a self, addresses: &'a Addresses) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| match &self.tls {
            Tls::Others => f.write_str("the hosts that clients ask for"),
            Tls::Proof(_) => f.write_str("nowhere: the handshake is everything"),
            Tls::Answered(_) => f.write_str("nowhere: it is answered here"),
            _ => write!(f, "{}", self.backend.described(addresses)),
        })
    }

    /// Each place that its connections go to, as it was named.
    pub fn places(&self) -> Vec<String> {
        match self.tls {
            Tls::Others | Tls::Proof(_) | Tls::Answered(_) => Vec::new(),
            _ => self.backend.names().collect(),
        }
    }

    /// Where a connection goes that was redirected or was not.
    pub fn backend_for(&self, redirected: bool) -> &Backend {
        match (&self.redirect, redirected) {
            (Some(redirect), true) => redirect,
            _ => &self.backend,
        }
    }

    /// The service that requests for this host belong to.
    pub fn host(&self, host: &str) -> Option<usize> {
        let found = self.virtual_host(Some(host), &[]);
        found.map(|found| found.service)
    }

    /// The first virtual host that is for a client that asks for `name` and offers these protocols
    /// (RFC 7301).
    pub fn virtual_host(&self, name: Option<&str>, alpn: &[Vec<u8>]) -> Option<&VirtualHost> {
        let mut hosts = self.virtual_hosts.iter();
        hosts.find(|host| host.takes(name, alpn))
    }
}

/// What services need besides what each session does.
pub fn needs<'a>(services: impl IntoIterator<Item = &'a Service>) -> Needs {
    let mut needs = Needs::default();
    let mut count = 0;
    for service in services {
        count += 1;
        needs.peer_certificates |= takes_certificates(service);
        needs.inquiries |= inquires(service);
        needs.requests |= service.requests.is_some();
        needs.kept_sessions += service.kept_sessions;
    }
    if count == 1 {
        needs.kept_sessions = needs.kept_sessions.saturating_sub(DEFAULT_KEPT_SESSIONS);
    }
    needs
}

/// Whether peers of a service show it certificates.
pub(crate) fn takes_certificates(service: &Service) -> bool {
    service.asks_clients || service.tls.mode() == Mode::Client
}

/// Whether a service asks OCSP responders.
pub(crate) fn inquires(service: &Service) -> bool {
    service.revocation.as_ref().is_some_and(Revocation::asks) || service.stapling.is_some()
}

/// Whose cryptography the option means.
pub fn provider(crypto: Crypto) -> Provider {
    match crypto {
        Crypto::Ring => Provider::Ring,
        Crypto::RustCrypto => Provider::RustCrypto,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_overlap_by_port_and_address() {
        let listen = |local: Option<&str>, port| Listen {
            local: local.map(|local| local.parse().unwrap()),
            port,
        };
        assert!(listen(None, 1).overlaps(&listen(Some("10.0.0.1"), 1)));
        assert!(listen(Some("::1"), 1).overlaps(&listen(Some("::1"), 1)));
        assert!(!listen(Some("::1"), 1).overlaps(&listen(Some("10.0.0.1"), 1)));
        assert!(!listen(None, 1).overlaps(&listen(None, 2)));
    }
}

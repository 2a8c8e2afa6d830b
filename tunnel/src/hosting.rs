//! Hosts that are served by name: the state that is to be in force, as values.
//!
//! A [`Sites`] says everything: which hosts there are, with which certificates, and what is to be
//! answered to an authority that has names proven. Services are made of it as a whole, and take over
//! from those of the state before as they do at a reload: what lives, lives on.

use alloc::{string::String, sync::Arc, vec::Vec};

use config::{Accept, Connect, Zeroizing};
use store::host::{Host, Protocols};

mod build;
mod files;
pub mod http;
mod names;
pub mod notices;
#[cfg(test)]
mod tests;

pub use build::{Kept, memory, services};
pub use files::of_files;
pub use names::host_name;
pub use notices::Notices;

/// Everything that is served by name.
#[derive(Clone, Default)]
pub struct Sites {
    /// The hosts; a name that two of them have is the first one's.
    pub hosts: Vec<Site>,
    /// The host for clients that ask for none or for one that is not known; without one, they are
    /// refused by the alert `unrecognized_name` (RFC 6066 §3).
    pub default_host: Option<String>,
    /// Where TLS is accepted.
    pub https: Option<Accept>,
    /// Where HTTP is answered in the clear: tokens, and redirects to https.
    pub http: Option<Accept>,
    /// Where notices come that the store has changed, and from whom.
    pub notices: Option<Notices>,
    /// What is answered below `/.well-known/acme-challenge/` (RFC 8555 §8.3).
    pub tokens: Vec<Token>,
    /// What is shown to authorities that offer `acme-tls/1` (RFC 8737).
    pub proofs: Vec<Proof>,
}

/// One host.
#[derive(Clone)]
pub struct Site {
    /// Its names, its own first; in lower case.
    pub names: Vec<String>,
    /// The certificate chain, PEM, leaf first.
    pub chain: Arc<str>,
    /// The private key, PEM.
    pub key: Arc<Zeroizing<String>>,
    /// Where its plaintext goes.
    pub backend: Connect,
    /// The protocols that its backend speaks, most wanted first (RFC 7301); empty: clients' offers
    /// are passed over.
    pub alpn: Vec<Vec<u8>>,
}

impl Site {
    /// What a file of the store says of the host with this name, which is in the form that
    /// [`host_name`] gives; its first certificate is the one. `None`: it has none.
    pub fn of_store(name: &str, host: &Host) -> Option<Self> {
        let pair = host.pairs.first()?;
        let further = host.names.iter().filter_map(|name| host_name(name));
        Some(Self {
            names: core::iter::once(String::from(name))
                .chain(further)
                .collect(),
            chain: pair.chain.join("\n").into(),
            key: Arc::new(Zeroizing::new(pair.key.clone())),
            backend: Connect {
                host: Some(config::Host::Address(host.backend)),
                port: host.port,
            },
            alpn: protocols(host.protocols),
        })
    }

    /// Whether it is for clients that ask for `name`.
    fn has(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|own| crate::service::VirtualHost::of_host(own, 0).is_for(name))
    }
}

/// What clients are offered. A byte relay can't turn one version of HTTP into another: where the
/// backend is said to speak both, it is the one that every client speaks.
fn protocols(spoken: Protocols) -> Vec<Vec<u8>> {
    match (spoken.http1, spoken.http2) {
        (true, _) => Vec::from([b"http/1.1".to_vec()]),
        (false, true) => Vec::from([b"h2".to_vec()]),
        (false, false) => Vec::new(),
    }
}

/// The answer to one challenge by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The path's last part.
    pub token: String,
    /// The answer.
    pub authorization: String,
}

/// The answer to one challenge by TLS: a certificate for this name alone.
#[derive(Clone)]
pub struct Proof {
    /// The name that is asked for; of an address, its name below `in-addr.arpa` or `ip6.arpa`
    /// (RFC 8738 §6).
    pub name: String,
    /// The certificate, PEM.
    pub certificate: Arc<str>,
    /// Its key, PEM.
    pub key: Arc<Zeroizing<String>>,
}

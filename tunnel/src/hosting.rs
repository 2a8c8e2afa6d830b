//! Hosts that are served by name: the state that is to be in force, as values.
//!
//! A [`Sites`] says everything: which hosts there are, with which certificates, and what is to be
//! answered to an authority that has names proven. Services are made of it as a whole, and take over
//! from those of the state before as they do at a reload: what lives, lives on.

use alloc::{string::String, sync::Arc, vec::Vec};

use config::{
    Accept, Connect, Zeroizing,
    requests::{Mode, Requests},
};
use store::host::{self, Host, Protocols};

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

/// What clients of HTTP/1 are offered, best first (RFC 7301 §6): who speaks HTTP/1.0 alone may say so.
const HTTP_1: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

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
    /// What its clients say is read as HTTP, with these options.
    pub requests: Option<Arc<::http::Options>>,
}

impl Site {
    /// What a file of the store says of the host with this name, which is in the form that
    /// [`host_name`] gives; its first certificate is the one. `requests`: what holds where the file says
    /// nothing of it. `None`: it has no certificate.
    pub fn of_store(name: &str, host: &Host, requests: &Requests) -> Option<Self> {
        let own = Requests {
            mode: host.mode.map(|mode| match mode {
                host::Mode::Tcp => Mode::Tcp,
                host::Mode::Http => Mode::Http,
            }),
            hsts: host.hsts.or(requests.hsts),
            max_body: host.max_body.or(requests.max_body),
        };
        let is_told = host.hsts.is_some() || host.max_body.is_some();
        let told = own.mode.or(is_told.then_some(Mode::Http));
        // Backends of web servers are the usual ones; contruno's speak nothing else.
        let mode = told.or(requests.mode).unwrap_or(Mode::Http);
        let is_http = mode == Mode::Http && host.protocols.http1;
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
            requests: is_http.then(|| http_options(&own)),
        })
    }

    /// Whether it is for clients that ask for `name`.
    fn has(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        names.any(|own| crate::service::VirtualHost::of_host(own, 0).is_for(name))
    }
}

/// What requests of HTTP are held to, where the options ask for that mode.
pub(crate) fn http_if_asked(requests: &Requests) -> Option<Arc<::http::Options>> {
    (requests.mode == Some(Mode::Http)).then(|| http_options(requests))
}

/// What requests of HTTP are held to by these options.
fn http_options(requests: &Requests) -> Arc<::http::Options> {
    let field = |seconds| {
        let value = alloc::format!("max-age={seconds}");
        (String::from("Strict-Transport-Security"), value)
    };
    Arc::new(::http::Options {
        max_body: requests.max_body,
        extra: requests.hsts.map(field),
    })
}

/// What clients are offered whose requests are read.
pub(crate) fn http_1() -> Vec<Vec<u8>> {
    HTTP_1.map(<[u8]>::to_vec).into()
}

/// What clients are offered. A byte relay can't turn one version of HTTP into another: where the
/// backend is said to speak both, it is the one that every client speaks.
fn protocols(spoken: Protocols) -> Vec<Vec<u8>> {
    match (spoken.http1, spoken.http2) {
        (true, _) => http_1(),
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

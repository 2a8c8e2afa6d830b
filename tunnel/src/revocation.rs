//! Asking OCSP responders (RFC 6960) whether certificates are revoked: one exchange, and what is
//! known from earlier ones. Who asks, and when, is the server's business.

mod exchange;
mod known;
#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use config::stunnel::{Ocsp, Responder, ResponderError};

pub use exchange::{Exchange, ExchangeError};
pub use known::{Answer, Known};

/// How a service's peers are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    options: Ocsp,
}

/// A responder to ask, and why it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its address as it was written.
    pub url: String,
    /// Where it is, if that can be read.
    pub responder: Result<Responder, ResponderError>,
    /// The configuration names it, not the certificate.
    pub configured: bool,
}

impl Candidate {
    /// One that a certificate names.
    pub fn named(url: &str) -> Self {
        Self {
            url: url.into(),
            responder: Responder::parse(url),
            configured: false,
        }
    }
}

/// Whether a certificate is revoked, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not.
    Good,
    /// It is.
    Revoked,
    /// Nobody has said so.
    Unknown,
}

impl Revocation {
    /// What the options come to.
    pub fn new(options: &Ocsp) -> Self {
        Self {
            options: options.clone(),
        }
    }

    /// Whether anybody is asked; else only what servers send along counts.
    pub fn asks(&self) -> bool {
        self.options.asks()
    }

    /// Whom to ask about a certificate, in this order: the configured one about the peer's own,
    /// then those that it names.
    pub fn candidates(&self, query: &tls::StatusQuery) -> Vec<Candidate> {
        let configured = self.options.responder.iter();
        let configured = configured.filter(|_| query.depth() == 0);
        let configured = configured.map(|responder| Candidate {
            url: responder.url.clone(),
            responder: Ok(responder.clone()),
            configured: true,
        });
        let named = query.urls().iter().filter(|_| self.options.aia);
        configured
            .chain(named.map(|url| Candidate::named(url)))
            .collect()
    }

    /// Whether an answer has to be made for the very question.
    pub fn nonce(&self) -> bool {
        self.options.nonce
    }

    /// Whether a peer is refused of whom nobody has an answer.
    pub fn require(&self) -> bool {
        self.options.require
    }

    /// Whether responders' certificates may come with their answers.
    pub fn included(&self) -> bool {
        self.options.included
    }

    /// How long one responder has.
    pub fn timeout(&self) -> Duration {
        self.options.timeout
    }
}

/// What to ask about a server's own certificate.
#[derive(Clone, Debug)]
pub struct Stapling {
    /// The certificate and its issuer.
    pub query: tls::StatusQuery,
    /// How long one responder has.
    pub timeout: Duration,
}

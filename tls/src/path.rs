//! Path validation of our own (RFC 5280 §6), for certificates that webpki refuses.
//!
//! It follows OpenSSL 3.0 at security level 2, Debian's default, because the certificates that
//! our users have were made for it: X.509 v1 leaves and roots, hosts that only the subject's common
//! name tells, self-signed certificates that are their own trust anchor, peers that are known by
//! their key, and revocation lists for the leaf alone. Where it differs, it is stricter, but for the
//! few cases that the tests list with their reasons.
//!
//! webpki stays the default, [`VerifyMode::ChainAndName`](crate::VerifyMode::ChainAndName).

mod adapter;
mod certificate;
mod constraints;
mod crl;
mod extensions;
mod facts;
mod fields;
mod general;
mod matching;
mod name;
mod ocsp;
mod refusal;
mod search;
mod signature;
mod store;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;

use crate::identity::certificates_in;
use crate::{ConfigError, Provider};
use crl::RevocationList;
use search::{Path, Search};
use signature::{MAX_RSA_BITS, MIN_RSA_BITS};
use store::Store;

pub(crate) use adapter::PathVerifier;
pub(crate) use certificate::Outline;
pub(crate) use facts::{Facts, common_name, matching_name};
pub use matching::PeerName;
pub use ocsp::{
    CertificateStatus, MAX_OCSP_RESPONSE, OCSP_NONCE, OcspError, Status, StatusQuery, ocsp_nonce,
};
pub use refusal::{Refusal, RefusalReason};

/// Most certificates in a path, the peer's and the trust anchor included. The web's have three or
/// four.
pub const MAX_PATH: usize = 10;

/// Most certificates that a peer may send besides its own.
pub const MAX_SENT: usize = 16;

/// What a peer's certificate is used for (RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// As a TLS server: serverAuth.
    Server,
    /// As a TLS client: clientAuth.
    Client,
}

impl fmt::Display for Purpose {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Purpose::Server => "a TLS server",
            Purpose::Client => "a TLS client",
        })
    }
}

/// What makes a certificate trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// A path to a self-signed certificate among the trusted ones, as stunnel's `verifyChain` and
    /// socat's `verify`. The peer's certificate may itself be that one.
    #[default]
    Chain,
    /// Its subject and public key are those of a trusted certificate, as stunnel's `verifyPeer`.
    /// It must still be valid, and for this purpose; who issued it does not matter.
    Peer,
    /// Both.
    ChainAndPeer,
}

/// Which names a certificate is checked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NameCheck {
    /// The name that the client connects to; for clients only.
    #[default]
    ServerName,
    /// Any one of these, as stunnel's `checkHost`, `checkEmail` and `checkIP` together.
    AnyOf(Vec<PeerName>),
    /// None: whoever has a trusted certificate will do.
    Nobody,
}

/// What path validation goes by. The default: a chain, the name connected to, no revocation lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathOptions {
    /// What makes a certificate trusted.
    pub trust: Trust,
    /// Which names it is checked for.
    pub names: NameCheck,
    /// Revocation lists: each entry PEM (any number of lists) or one list in DER. When there is one,
    /// there must be a current one of the issuer of the peer's certificate, as with OpenSSL's
    /// `X509_V_FLAG_CRL_CHECK`; authorities above it are not checked. An empty entry stands for a
    /// place that holds no list, such as an empty directory: the check is on all the same.
    pub revocation_lists: Vec<Vec<u8>>,
}

/// Judges certificates by their paths. Touches no clock and no connection.
pub struct PathValidator {
    store: Store,
    lists: Option<Vec<RevocationList>>,
    trust: Trust,
    names: NameCheck,
    purpose: Purpose,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PathValidator {
    /// Reads the trusted certificates (`roots`: each entry PEM, any number of certificates, or one
    /// DER certificate) and the revocation lists.
    ///
    /// # Errors
    ///
    /// What cannot be read or cannot be.
    pub fn new(
        provider: Provider,
        purpose: Purpose,
        roots: &[Vec<u8>],
        options: PathOptions,
    ) -> Result<PathValidator, ConfigError> {
        let algorithms = provider.crypto().signature_verification_algorithms;
        PathValidator::with_algorithms(algorithms, purpose, roots, options)
    }

    pub(crate) fn with_algorithms(
        algorithms: WebPkiSupportedAlgorithms,
        purpose: Purpose,
        roots: &[Vec<u8>],
        options: PathOptions,
    ) -> Result<PathValidator, ConfigError> {
        match &options.names {
            NameCheck::ServerName if purpose == Purpose::Client => {
                return Err(ConfigError::ClientName);
            }
            NameCheck::AnyOf(names) => {
                // None of no names can match.
                let bad = names.iter().position(|name| !name.is_possible());
                if let Some(index) = bad.or(names.is_empty().then_some(0)) {
                    return Err(ConfigError::PeerName { index });
                }
            }
            _ => {}
        }
        let mut lists = Vec::new();
        for (index, text) in options.revocation_lists.iter().enumerate() {
            if text.is_empty() {
                continue;
            }
            let list = crl::lists_in(text);
            lists.extend(list.map_err(|reason| ConfigError::RevocationList { index, reason })?);
        }
        Ok(PathValidator {
            store: read_store(roots)?,
            lists: (!options.revocation_lists.is_empty()).then_some(lists),
            trust: options.trust,
            names: options.names,
            purpose,
            algorithms,
        })
    }

    /// Whether [`validate`](Self::validate) needs a server's name.
    pub(crate) fn needs_name(&self) -> bool {
        self.names == NameCheck::ServerName
    }

    /// Judges `leaf`, the DER of a peer's certificate, at `unix_seconds`; `sent` is what came with
    /// it, in any order. `server` is the name connected to.
    ///
    /// The work is bounded: 16 certificates besides the leaf, ten in a path, 32 signatures.
    ///
    /// # Errors
    ///
    /// The reason, of the certificate that is to blame; when several paths fail, of the one that
    /// came furthest.
    pub fn validate(
        &self,
        leaf: &[u8],
        sent: &[&[u8]],
        server: Option<PeerName>,
        unix_seconds: u64,
    ) -> Result<(), Refusal> {
        let sent: Vec<_> = sent.iter().map(|der| CertificateDer::from(*der)).collect();
        self.judge(leaf, &sent, server, unix_seconds)
    }

    fn judge(
        &self,
        leaf: &[u8],
        sent: &[CertificateDer<'_>],
        server: Option<PeerName>,
        now: u64,
    ) -> Result<(), Refusal> {
        self.find(leaf, sent, server, now, |_| ())
    }

    /// Judges a peer once more, and gives the questions about its path: each certificate but the
    /// trust anchor. None where the peer's own certificate is trusted, whoever issued it.
    fn status_queries(
        &self,
        leaf: &[u8],
        sent: &[CertificateDer<'_>],
        server: Option<PeerName>,
        now: u64,
    ) -> Result<Vec<StatusQuery>, Refusal> {
        let algorithms = &self.algorithms;
        self.find(leaf, sent, server, now, |path| {
            ocsp::queries(path, algorithms)
        })
    }

    /// Judges a peer, and hands its path over if it is good.
    fn find<R>(
        &self,
        leaf: &[u8],
        sent: &[CertificateDer<'_>],
        server: Option<PeerName>,
        now: u64,
        take: impl FnOnce(&Path<'_>) -> R,
    ) -> Result<R, Refusal> {
        // Without a name to check none can match.
        let server: Vec<PeerName> = server.into_iter().collect();
        let mut search = Search::new(&self.store, self.trust, self.purpose, &self.algorithms, now);
        search.lists = self.lists.as_deref();
        search.names = match &self.names {
            NameCheck::ServerName => Some(&server),
            NameCheck::AnyOf(names) => Some(names),
            NameCheck::Nobody => None,
        };
        let path = search.judge(leaf, sent)?;
        Ok(take(&path))
    }
}

impl fmt::Debug for PathValidator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PathValidator")
            .field("purpose", &self.purpose)
            .field("trust", &self.trust)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

fn read_store(roots: &[Vec<u8>]) -> Result<Store, ConfigError> {
    let mut store = Store::default();
    for (index, root) in roots.iter().enumerate() {
        let certificates = certificates_in(root).ok_or_else(|| ConfigError::Root {
            index,
            reason: "neither PEM certificates nor a DER certificate".into(),
        })?;
        for certificate in certificates {
            store
                .add(certificate)
                .map_err(|malformed| ConfigError::Root {
                    index,
                    reason: alloc::format!("malformed {}", malformed.0),
                })?;
        }
    }
    if store.is_empty() {
        return Err(ConfigError::NoRoots);
    }
    Ok(store)
}

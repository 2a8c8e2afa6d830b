//! Path building and validation in one: a path grows from the peer's certificate, one checked
//! issuer at a time, until it ends at a trust anchor (RFC 5280 §6.1, RFC 4158).

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;

use super::certificate::{Authority, Certificate};
use super::constraints;
use super::crl::{self, RevocationList};
use super::extensions::KeyUsage;
use super::matching::{self, PeerName};
use super::signature::{self, Budget};
use super::store::Store;
use super::{MAX_PATH, MAX_SENT, Purpose, Refusal, RefusalReason, Trust};

/// One validation's circumstances.
pub(super) struct Search<'r> {
    pub(super) store: &'r Store,
    pub(super) lists: Option<&'r [RevocationList]>,
    pub(super) trust: Trust,
    pub(super) purpose: Purpose,
    /// Any of these will do; `None`: whoever it is.
    pub(super) names: Option<&'r [PeerName]>,
    pub(super) algorithms: &'r WebPkiSupportedAlgorithms,
    pub(super) now: u64,
    pub(super) budget: Budget,
    /// The best reason so far why no path was found.
    refused: Option<Refusal>,
}

/// A peer's certificate, the one that issued it, and so on.
pub(super) type Path<'a> = Vec<Rc<Certificate<'a>>>;

impl<'r> Search<'r> {
    pub(super) fn new(
        store: &'r Store,
        trust: Trust,
        purpose: Purpose,
        algorithms: &'r WebPkiSupportedAlgorithms,
        now: u64,
    ) -> Search<'r> {
        Search {
            store,
            lists: None,
            trust,
            purpose,
            names: None,
            algorithms,
            now,
            budget: Budget::new(),
            refused: None,
        }
    }

    /// Judges the peer's certificate, with what it sent beside it. The path that was found: up to
    /// the trust anchor, unless the peer alone is trusted, which then is all of it.
    pub(super) fn judge<'a>(
        &mut self,
        leaf: &'a [u8],
        sent: &'a [CertificateDer<'_>],
    ) -> Result<Path<'a>, Refusal>
    where
        'r: 'a,
    {
        let leaf = Certificate::parse(leaf).map_err(|malformed| Refusal {
            depth: 0,
            subject: String::new(),
            reason: RefusalReason::Malformed { part: malformed.0 },
        })?;
        let leaf = Rc::new(leaf);
        self.judge_leaf(&leaf, sent)
            .map_err(|reason| refusal(0, &leaf, reason))?;
        // What cannot be read cannot be an issuer.
        let sent: Path<'_> = sent
            .iter()
            .filter_map(|der| Certificate::parse(der).ok())
            .map(Rc::new)
            .collect();
        if self.trust != Trust::Chain {
            self.judge_pinned(&leaf, &sent)?;
        }
        let mut path = Vec::from([leaf.clone()]);
        if self.trust != Trust::Peer && !self.extend(&mut path, &sent)? {
            return Err(self
                .refused
                .take()
                .unwrap_or_else(|| refusal(0, &leaf, unknown_issuer(&leaf))));
        }
        Ok(path)
    }

    /// What must be right about the peer's certificate in any path.
    fn judge_leaf(
        &mut self,
        leaf: &Certificate<'_>,
        sent: &[CertificateDer<'_>],
    ) -> Result<(), RefusalReason> {
        if sent.len() > MAX_SENT {
            return Err(RefusalReason::TooManyCertificates { limit: MAX_SENT });
        }
        self.judge_any(leaf)?;
        let extensions = &leaf.extensions;
        let key_usages = KeyUsage::DIGITAL_SIGNATURE
            | KeyUsage::KEY_AGREEMENT
            | match self.purpose {
                Purpose::Server => KeyUsage::KEY_ENCIPHERMENT,
                Purpose::Client => 0,
            };
        /// `sslClient` and `sslServer` of Netscape's certificate type.
        const NETSCAPE: [u8; 2] = [0x80, 0x40];
        let [netscape_client, netscape_server] = NETSCAPE;
        let netscape = match self.purpose {
            Purpose::Client => netscape_client,
            Purpose::Server => netscape_server,
        };
        if extensions
            .key_usage
            .is_some_and(|usage| !usage.any(key_usages))
            || extensions
                .netscape_type
                .is_some_and(|kinds| kinds & netscape == 0)
        {
            return Err(RefusalReason::Purpose {
                purpose: self.purpose,
            });
        }
        Ok(())
    }

    /// What must be right about every certificate of a path, wherever it stands.
    fn judge_any(&self, certificate: &Certificate<'_>) -> Result<(), RefusalReason> {
        let extensions = &certificate.extensions;
        if extensions.proxy {
            return Err(RefusalReason::Proxy);
        }
        // "A certificate-using system MUST reject the certificate if it encounters a critical
        // extension it does not recognize" (RFC 5280 §4.2).
        if let Some(id) = extensions.unknown_critical {
            return Err(RefusalReason::UnknownCriticalExtension { id: id.to_string() });
        }
        // In authorities too, as OpenSSL and browsers do.
        if extensions
            .extended_key_usage
            .is_some_and(|usage| match self.purpose {
                Purpose::Server => !usage.server,
                Purpose::Client => !usage.client,
            })
        {
            return Err(RefusalReason::Purpose {
                purpose: self.purpose,
            });
        }
        signature::check_key(&certificate.key, self.algorithms)?;
        if self.now < certificate.not_before {
            return Err(RefusalReason::NotYetValid {
                from: certificate.not_before,
                now: self.now,
            });
        }
        if self.now > certificate.not_after {
            return Err(RefusalReason::Expired {
                since: certificate.not_after,
                now: self.now,
            });
        }
        Ok(())
    }

    /// Whether the last certificate of `path` leads to a trust anchor. Dead ends leave their reason
    /// behind; an error ends the search.
    fn extend<'a>(
        &mut self,
        path: &mut Path<'a>,
        sent: &[Rc<Certificate<'a>>],
    ) -> Result<bool, Refusal>
    where
        'r: 'a,
    {
        let Some(top) = path.last().cloned() else {
            return Ok(false);
        };
        let depth = path.len() - 1;
        if top.is_self_signed() {
            if self.store.holds(&top) {
                return self.finish(path);
            }
            self.note(refusal(depth, &top, RefusalReason::SelfSigned));
            return Ok(false);
        }
        let trusted: Vec<_> = self
            .store
            .named(top.issuer.canonical())
            .filter_map(|der| Certificate::parse(der).ok())
            .map(Rc::new)
            .collect();
        let mut found = false;
        for candidate in trusted.iter().chain(sent) {
            if candidate.subject.canonical() != top.issuer.canonical()
                || !top.names_key_of(candidate)
                || path.iter().any(|known| known.is_twin_of(candidate))
            {
                continue;
            }
            found = true;
            if path.len() == MAX_PATH {
                let reason = RefusalReason::PathTooLong { limit: MAX_PATH };
                self.note(refusal(depth, &top, reason));
                return Ok(false);
            }
            if let Err(reason) = self.judge_issuer(candidate) {
                self.note(refusal(depth + 1, candidate, reason));
                continue;
            }
            match self.verify(&top, candidate) {
                Ok(()) => {}
                Err(RefusalReason::TooMuchWork) => {
                    return Err(refusal(depth, &top, RefusalReason::TooMuchWork));
                }
                Err(reason) => {
                    self.note(refusal(depth, &top, reason));
                    continue;
                }
            }
            path.push(candidate.clone());
            if self.extend(path, sent)? {
                return Ok(true);
            }
            path.pop();
        }
        if !found {
            self.note(refusal(depth, &top, unknown_issuer(&top)));
        }
        Ok(false)
    }

    /// What must be right about a certificate that has issued another.
    fn judge_issuer(&self, issuer: &Certificate<'_>) -> Result<(), RefusalReason> {
        match issuer.authority() {
            Authority::Constraints => {}
            Authority::Tolerated if issuer.is_self_signed() && self.store.holds(issuer) => {}
            Authority::NotByKeyUsage => return Err(RefusalReason::KeyUsage),
            Authority::Tolerated | Authority::No => {
                return Err(RefusalReason::NotAnAuthority {
                    version: issuer.version,
                });
            }
        }
        self.judge_any(issuer)
    }

    fn verify(
        &mut self,
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
    ) -> Result<(), RefusalReason> {
        signature::verify(
            &certificate.signed,
            &issuer.key,
            self.algorithms,
            &mut self.budget,
        )
    }

    /// Judges a path that has reached its trust anchor as a whole.
    fn finish(&mut self, path: &Path<'_>) -> Result<bool, Refusal> {
        let verdict = self.judge_path(path);
        let Err((depth, reason)) = verdict else {
            return Ok(true);
        };
        let Some(certificate) = path.get(depth) else {
            return Ok(false);
        };
        let is_end = reason == RefusalReason::TooMuchWork;
        let refusal = refusal(depth, certificate, reason);
        if is_end {
            return Err(refusal);
        }
        self.note(refusal);
        Ok(false)
    }

    fn judge_path(&mut self, path: &Path<'_>) -> Result<(), (usize, RefusalReason)> {
        check_path_lengths(path)?;
        constraints::check(path, &mut self.budget)?;
        let at_leaf = |reason| (0, reason);
        if let Some(leaf) = path.first() {
            // A self-signed certificate is its own issuer.
            let issuer = path.get(1).unwrap_or(leaf);
            self.judge_revocation(leaf, issuer).map_err(at_leaf)?;
        }
        self.judge_name(path).map_err(at_leaf)
    }

    fn judge_revocation(
        &mut self,
        leaf: &Certificate<'_>,
        issuer: &Certificate<'_>,
    ) -> Result<(), RefusalReason> {
        let Some(lists) = self.lists else {
            return Ok(());
        };
        crl::check(
            lists,
            leaf,
            issuer,
            self.now,
            self.algorithms,
            &mut self.budget,
        )
    }

    fn judge_name(&mut self, path: &[Rc<Certificate<'_>>]) -> Result<(), RefusalReason> {
        let (Some(leaf), Some(names)) = (path.first(), self.names) else {
            return Ok(());
        };
        let mut reason = None;
        for name in names {
            if !name.is_of(leaf) {
                continue;
            }
            let allowed = match name {
                PeerName::Host(host) => constraints::check_host(path, host, &mut self.budget),
                _ => Ok(()),
            };
            match allowed {
                Ok(()) => return Ok(()),
                Err(why) => reason = Some(why),
            }
        }
        Err(reason.unwrap_or_else(|| RefusalReason::Name {
            expected: names.iter().map(ToString::to_string).collect(),
            presented: matching::presented(leaf, names),
        }))
    }

    /// A peer that is known by its subject and public key, as stunnel's `verifyPeer`: who issued its
    /// certificate does not matter, but what can be checked must be right.
    fn judge_pinned<'a>(
        &mut self,
        leaf: &Rc<Certificate<'a>>,
        sent: &[Rc<Certificate<'a>>],
    ) -> Result<(), Refusal>
    where
        'r: 'a,
    {
        let at_leaf = |reason| refusal(0, leaf, reason);
        let pinned = self
            .store
            .named(leaf.subject.canonical())
            .filter_map(|der| Certificate::parse(der).ok())
            .any(|known| known.key == leaf.key);
        if !pinned {
            return Err(at_leaf(RefusalReason::NotPinned));
        }
        if leaf.is_self_signed() {
            if !self.store.holds(leaf) {
                return Err(at_leaf(RefusalReason::SelfSigned));
            }
            self.judge_revocation(leaf, leaf).map_err(at_leaf)?;
        } else {
            let trusted: Path<'_> = self
                .store
                .named(leaf.issuer.canonical())
                .filter_map(|der| Certificate::parse(der).ok())
                .map(Rc::new)
                .collect();
            let mut issuer = None;
            let mut reason = None;
            for candidate in trusted.iter().chain(sent) {
                if candidate.subject.canonical() != leaf.issuer.canonical()
                    || !leaf.names_key_of(candidate)
                {
                    continue;
                }
                match self.verify(leaf, candidate) {
                    Ok(()) => {
                        issuer = Some(candidate);
                        break;
                    }
                    Err(why) => reason = Some(why),
                }
            }
            match (issuer, reason) {
                (Some(issuer), _) => self.judge_revocation(leaf, issuer).map_err(at_leaf)?,
                (None, Some(reason)) => return Err(at_leaf(reason)),
                // Without its issuer no revocation list can be checked.
                (None, None) if self.lists.is_some() => {
                    return Err(at_leaf(unknown_issuer(leaf)));
                }
                (None, None) => {}
            }
        }
        let alone = core::slice::from_ref(leaf);
        self.judge_name(alone).map_err(at_leaf)
    }

    /// Keeps the reason that says most: a certificate that was found and is no good rather than one
    /// that was not found, and of several the first.
    fn note(&mut self, refusal: Refusal) {
        let rank = |reason: &RefusalReason| match reason {
            RefusalReason::UnknownIssuer { .. } | RefusalReason::SelfSigned => 0,
            RefusalReason::BadSignature => 1,
            _ => 2,
        };
        let better = self
            .refused
            .as_ref()
            .is_none_or(|known| rank(&refusal.reason) > rank(&known.reason));
        if better {
            self.refused = Some(refusal);
        }
    }
}

/// "the maximum number of non-self-issued intermediate certificates that may follow this certificate
/// in a valid certification path. (Note: The last certificate in the certification path is not an
/// intermediate certificate, and is not included in this limit.)" (RFC 5280 §4.2.1.9).
fn check_path_lengths(path: &[Rc<Certificate<'_>>]) -> Result<(), (usize, RefusalReason)> {
    let mut found = 0;
    for (depth, certificate) in path.iter().enumerate().skip(1) {
        let constraints = certificate.extensions.basic_constraints;
        if let Some(allowed) = constraints.and_then(|constraints| constraints.path_length)
            && found > allowed as usize
        {
            return Err((depth, RefusalReason::PathLength { allowed, found }));
        }
        if !certificate.is_self_issued() {
            found += 1;
        }
    }
    Ok(())
}

fn unknown_issuer(certificate: &Certificate<'_>) -> RefusalReason {
    RefusalReason::UnknownIssuer {
        issuer: certificate.issuer.shown(),
    }
}

fn refusal(depth: usize, certificate: &Certificate<'_>, reason: RefusalReason) -> Refusal {
    Refusal {
        depth,
        subject: certificate.subject.shown(),
        reason,
    }
}

//! OCSP (RFC 6960): what to ask about a certificate, and what an answer is worth.
//!
//! Nothing is sent from here. It goes by what OpenSSL's `OCSP_basic_verify` does without flags,
//! and is stricter where that trusts a responder for other reasons than the issuer's word.

mod request;
mod response;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::WebPkiSupportedAlgorithms;
use x509_cert::der::Tag;

use super::certificate::{Certificate, Key, Signed};
use super::extensions::KeyUsage;
use super::fields::{Field, Fields, context};
use super::search::Path;
use super::signature::{self, Budget};
use super::{Refusal, RefusalReason};
use crate::identity::{certificates_in, write_date};
use crate::{Error, Provider};
use request::CertificateId;
use response::{Basic, Single};

/// How far a responder's clock may be from ours, in seconds, as with stunnel.
const LEEWAY: u64 = 60;

/// Most responders that one certificate may name, and most bytes of an address.
const MAX_URLS: usize = 4;
const MAX_URL: usize = 2048;

/// Most certificates of a response that are looked at: honest ones bring one, or its path.
const MAX_RESPONDERS: usize = 4;

/// Bytes of a nonce: "Clients that include a nonce in a request MUST use a length of at least 32
/// octets" (RFC 9654 §2.1), which is also the most that RFC 8954 allows.
pub const OCSP_NONCE: usize = 32;

/// The longest response that is read, in bytes; honest ones have at most a few thousand.
pub const MAX_OCSP_RESPONSE: usize = 64 * 1024;

/// One certificate that was issued by a known other one, and whose status can be asked for.
#[derive(Clone)]
pub struct StatusQuery {
    depth: usize,
    subject: String,
    serial: Vec<u8>,
    /// The issuer's certificate.
    issuer: Vec<u8>,
    id: CertificateId,
    urls: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What a responder has said of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Its status.
    pub state: Status,
    /// Since when that is known to be so, Unix seconds.
    pub this_update: u64,
    /// When there will be newer information, Unix seconds; `None`: there always is.
    pub next_update: Option<u64>,
}

/// A certificate's status (RFC 6960 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is not revoked.
    Good,
    /// It is revoked.
    Revoked {
        /// Since when, Unix seconds.
        at: u64,
        /// CRLReason (RFC 5280 §5.3.1).
        reason: Option<u8>,
    },
    /// The responder does not know it.
    Unknown,
}

/// Why a response says nothing about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OcspError {
    /// It cannot be read.
    Malformed {
        /// The part that cannot be read.
        part: &'static str,
    },
    /// The responder has no answer (RFC 6960 §2.3).
    Responder {
        /// OCSPResponseStatus (RFC 6960 §4.2.1).
        status: u8,
    },
    /// It does not repeat the request's nonce.
    Nonce,
    /// Whoever has signed it is neither the issuer nor authorised by it (RFC 6960 §4.2.2.2).
    Responsible,
    /// The signature is not the responder's, or of a kind that is not taken.
    Signature,
    /// It is about other certificates.
    OtherCertificate,
    /// It has a critical extension that is not known here.
    CriticalExtension,
    /// It is not valid yet.
    NotYetValid {
        /// From when on, Unix seconds.
        from: u64,
    },
    /// There should be a newer one.
    Expired {
        /// Since when, Unix seconds.
        since: u64,
    },
}

/// A nonce for one request (RFC 9654).
///
/// # Errors
///
/// [`Error::Entropy`].
pub fn ocsp_nonce() -> Result<[u8; OCSP_NONCE], Error> {
    let mut nonce = [0; OCSP_NONCE];
    getrandom::fill(&mut nonce).map_err(|_| Error::Entropy)?;
    Ok(nonce)
}

/// The questions about a path: each certificate but the trust anchor, the peer's first.
pub(super) fn queries(path: &Path<'_>, algorithms: &WebPkiSupportedAlgorithms) -> Vec<StatusQuery> {
    let issuers = path.iter().skip(1);
    let issued = path.iter().zip(issuers).enumerate();
    issued
        .map(|(depth, (certificate, issuer))| {
            StatusQuery::of(depth, certificate, issuer, algorithms)
        })
        .collect()
}

impl StatusQuery {
    /// About the first certificate of `chain` (PEM, leaf first, or the DER of one), whose issuer is
    /// another one of `chain` or one of `authorities`. `None` where there is no issuer, or where
    /// these are no certificates.
    #[must_use]
    pub fn of_chain(
        provider: Provider,
        chain: &[u8],
        authorities: &[Vec<u8>],
    ) -> Option<StatusQuery> {
        let algorithms = provider.crypto().signature_verification_algorithms;
        let chain = certificates_in(chain)?;
        let (leaf, rest) = chain.split_first()?;
        let leaf = Certificate::parse(leaf).ok()?;
        let known = authorities.iter().filter_map(|text| certificates_in(text));
        let known: Vec<_> = known.flatten().collect();
        let mut budget = Budget::new();
        let issuer = rest.iter().chain(&known).find_map(|der| {
            let issuer = Certificate::parse(der).ok()?;
            let fits = issuer.subject.canonical() == leaf.issuer.canonical()
                && leaf.names_key_of(&issuer)
                && issuer.der != leaf.der;
            let is_issuer = fits
                && signature::verify(&leaf.signed, &issuer.key, &algorithms, &mut budget).is_ok();
            is_issuer.then_some(issuer)
        })?;
        Some(StatusQuery::of(0, &leaf, &issuer, &algorithms))
    }

    fn of(
        depth: usize,
        certificate: &Certificate<'_>,
        issuer: &Certificate<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> StatusQuery {
        let information = certificate.extensions.authority_information;
        StatusQuery {
            depth,
            subject: certificate.subject.shown(),
            serial: certificate.serial.to_vec(),
            issuer: issuer.der.to_vec(),
            id: CertificateId::new(certificate, issuer),
            urls: information.map(urls).unwrap_or_default(),
            algorithms: *algorithms,
        }
    }

    /// Where the certificate stands in its path: 0 is the peer's own.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Its subject, as the log shows it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The responders that the certificate names (RFC 5280 §4.2.2.1), in its order.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Whether both are about the same certificate of the same issuer.
    #[must_use]
    pub fn is_same(&self, other: &StatusQuery) -> bool {
        // Two issuers with the same name and key are the same here (RFC 6960 §4.1.1).
        self.id == other.id
    }

    /// What to send to a responder, DER (RFC 6960 §4.1.1).
    #[must_use]
    pub fn request(&self, nonce: Option<&[u8]>) -> Vec<u8> {
        request::encode(&self.id, nonce)
    }

    /// Judges what a responder has answered, or what a server has stapled to its certificate.
    /// `nonce` is the one that was sent; `included`: whether a responder's certificate that comes
    /// in the response counts.
    ///
    /// # Errors
    ///
    /// Why the response says nothing about the certificate.
    pub fn judge(
        &self,
        response: &[u8],
        nonce: Option<&[u8]>,
        included: bool,
        unix_seconds: u64,
    ) -> Result<CertificateStatus, OcspError> {
        let basic = Basic::parse(response)?;
        if let Some(nonce) = nonce
            && basic.nonce != Some(nonce)
        {
            return Err(OcspError::Nonce);
        }
        let issuer = Certificate::parse(&self.issuer)
            .map_err(|malformed| OcspError::Malformed { part: malformed.0 })?;
        self.verify(&basic, &issuer, included, unix_seconds)?;
        if basic.unknown_critical {
            return Err(OcspError::CriticalExtension);
        }
        let single = self.single(&basic)?.ok_or(OcspError::OtherCertificate)?;
        if single.unknown_critical {
            return Err(OcspError::CriticalExtension);
        }
        let CertificateStatus {
            this_update,
            next_update,
            ..
        } = single.status;
        if this_update > unix_seconds.saturating_add(LEEWAY) {
            return Err(OcspError::NotYetValid { from: this_update });
        }
        if let Some(next) = next_update {
            if next < this_update {
                return Err(OcspError::Malformed {
                    part: "next update",
                });
            }
            if next.saturating_add(LEEWAY) < unix_seconds {
                return Err(OcspError::Expired { since: next });
            }
        }
        Ok(single.status)
    }

    /// The first answer about this certificate.
    fn single<'a>(&self, basic: &Basic<'a>) -> Result<Option<Single<'a>>, OcspError> {
        for single in basic.singles()? {
            let single = single?;
            if self.id.is(single.id) {
                return Ok(Some(single));
            }
        }
        Ok(None)
    }

    /// Whether the issuer has signed, or somebody whom it has authorised: "The certificate's issuer
    /// MUST be the same CA that issued the certificate in question", and its extended key usage has
    /// id-kp-OCSPSigning (RFC 6960 §4.2.2.2).
    fn verify(
        &self,
        basic: &Basic<'_>,
        issuer: &Certificate<'_>,
        included: bool,
        now: u64,
    ) -> Result<(), OcspError> {
        let mut budget = Budget::new();
        let mut verify = |signed: &Signed<'_>, key: &Key<'_>| {
            signature::verify(signed, key, &self.algorithms, &mut budget)
        };
        let mut fault = OcspError::Responsible;
        if basic.responder.is(issuer) {
            if verify(&basic.signed, &issuer.key).is_ok() {
                return Ok(());
            }
            fault = OcspError::Signature;
        }
        if !included {
            return Err(fault);
        }
        for der in basic.certificates().take(MAX_RESPONDERS) {
            let Ok(responder) = Certificate::parse(der) else {
                continue;
            };
            if !basic.responder.is(&responder)
                || !is_authorised(&responder, issuer, now)
                || signature::check_key(&responder.key, &self.algorithms).is_err()
                || verify(&responder.signed, &issuer.key).is_err()
            {
                continue;
            }
            if verify(&basic.signed, &responder.key).is_ok() {
                return Ok(());
            }
            fault = OcspError::Signature;
        }
        Err(fault)
    }

    /// The refusal of a peer whose certificate is revoked.
    #[must_use]
    pub fn revoked(&self) -> Refusal {
        self.refusal(RefusalReason::Revoked {
            serial: super::facts::hexadecimal(&self.serial),
        })
    }

    /// The refusal of a peer of whose certificate nobody says whether it is revoked.
    #[must_use]
    pub fn unknown(&self) -> Refusal {
        self.refusal(RefusalReason::StatusUnknown)
    }

    fn refusal(&self, reason: RefusalReason) -> Refusal {
        Refusal {
            depth: self.depth,
            subject: self.subject.to_string(),
            reason,
        }
    }
}

/// Whether `issuer` says that `responder` may answer for it, but for the signature.
fn is_authorised(responder: &Certificate<'_>, issuer: &Certificate<'_>, now: u64) -> bool {
    let extensions = &responder.extensions;
    let signs =
        |usage: KeyUsage| usage.any(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::NON_REPUDIATION);
    responder.issuer.canonical() == issuer.subject.canonical()
        && responder.names_key_of(issuer)
        && extensions
            .extended_key_usage
            .is_some_and(|usage| usage.ocsp_signing)
        && extensions.key_usage.is_none_or(signs)
        && extensions.unknown_critical.is_none()
        && (responder.not_before..=responder.not_after).contains(&now)
}

/// The addresses of OCSP responders in an authority information access extension's value
/// (RFC 5280 §4.2.2.1); what cannot be read names none.
fn urls(information: &[u8]) -> Vec<String> {
    /// id-ad-ocsp, 1.3.6.1.5.5.7.48.1.
    const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let mut urls = Vec::new();
    let Ok(mut descriptions) =
        Field::only(information, Tag::Sequence).and_then(|all| Fields::new(all.value))
    else {
        return urls;
    };
    while urls.len() < MAX_URLS && !descriptions.is_empty() {
        let description = descriptions.of(Tag::Sequence).and_then(Field::fields);
        let Ok(mut fields) = description else {
            break;
        };
        let method = fields.of(Tag::ObjectIdentifier);
        // uniformResourceIdentifier.
        let location = fields.optional(context(6, false));
        if let (Ok(method), Ok(Some(location))) = (method, location)
            && method.value == OCSP
            && location.value.len() <= MAX_URL
            && location.value.iter().all(u8::is_ascii_graphic)
        {
            urls.push(String::from_utf8_lossy(location.value).into_owned());
        }
    }
    urls
}

impl Status {
    /// A CRLReason's name, as OpenSSL says it.
    #[must_use]
    pub fn reason_name(reason: u8) -> &'static str {
        match reason {
            0 => "unspecified",
            1 => "keyCompromise",
            2 => "cACompromise",
            3 => "affiliationChanged",
            4 => "superseded",
            5 => "cessationOfOperation",
            6 => "certificateHold",
            8 => "removeFromCRL",
            9 => "privilegeWithdrawn",
            10 => "aACompromise",
            _ => "(UNKNOWN)",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Status::Good => "good",
            Status::Revoked { .. } => "revoked",
            Status::Unknown => "unknown",
        })
    }
}

impl OcspError {
    /// OCSPResponseStatus (RFC 6960 §4.2.1) as OpenSSL says it.
    #[must_use]
    pub fn responder_words(status: u8) -> &'static str {
        match status {
            1 => "malformedrequest",
            2 => "internalerror",
            3 => "trylater",
            5 => "sigrequired",
            6 => "unauthorized",
            _ => "(UNKNOWN)",
        }
    }
}

impl fmt::Display for OcspError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OcspError::Malformed { part } => {
                write!(out, "the response cannot be read (malformed {part})")
            }
            OcspError::Responder { status } => write!(
                out,
                "the responder has no answer: {}",
                OcspError::responder_words(*status)
            ),
            OcspError::Nonce => out.write_str("the response does not repeat the nonce"),
            OcspError::Responsible => out.write_str(
                "the response is neither the issuer's nor of anybody whom it has authorised",
            ),
            OcspError::Signature => out.write_str("the response has a wrong signature"),
            OcspError::OtherCertificate => {
                out.write_str("the response is about other certificates")
            }
            OcspError::CriticalExtension => {
                out.write_str("the response has a critical extension that is not known here")
            }
            OcspError::NotYetValid { from } => {
                out.write_str("the response is not valid before ")?;
                write_date(out, *from)
            }
            OcspError::Expired { since } => {
                out.write_str("the response expired on ")?;
                write_date(out, *since)
            }
        }
    }
}

impl fmt::Debug for StatusQuery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StatusQuery")
            .field("depth", &self.depth)
            .field("subject", &self.subject)
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

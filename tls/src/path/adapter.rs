//! Path validation where rustls asks for it.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, IpAddr as ServerAddress, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use spin::Mutex;

use super::ocsp::{MAX_OCSP_RESPONSE, StatusQuery};
use super::{PathValidator, PeerName, Refusal, RefusalReason, Trust};
use crate::verifier::AnyCertificate;

/// Where a verifier leaves what rustls cannot carry to its connection.
///
/// The connection takes it at once, so it is another's only where threads share a `Client` and two
/// servers are judged in the same moment; then words are exchanged, never verdicts: what is stapled
/// is about one certificate and signed.
#[derive(Default)]
pub(crate) struct Findings(Mutex<Found>);

#[derive(Default)]
struct Found {
    refusal: Option<Refusal>,
    staple: Option<Vec<u8>>,
}

impl Findings {
    /// Why the last peer was refused.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.0.lock().refusal.take()
    }

    /// The OCSP response that the last peer has sent with its certificate.
    pub(crate) fn take_staple(&self) -> Option<Vec<u8>> {
        self.0.lock().staple.take()
    }
}

/// Judges peers by their paths.
pub(crate) struct PathVerifier {
    validator: PathValidator,
    signatures: AnyCertificate,
    found: Findings,
    keeps_staples: bool,
    subjects: Vec<DistinguishedName>,
}

impl PathVerifier {
    pub(crate) fn new(validator: PathValidator) -> PathVerifier {
        PathVerifier {
            signatures: AnyCertificate::new(validator.algorithms),
            // A pinned peer's own certificate says nothing about who may have issued it.
            subjects: match validator.trust {
                Trust::Peer => Vec::new(),
                Trust::Chain | Trust::ChainAndPeer => validator.store.subjects(),
            },
            validator,
            found: Findings::default(),
            keeps_staples: false,
        }
    }

    pub(crate) fn keeping_staples(self, keeps_staples: bool) -> PathVerifier {
        PathVerifier {
            keeps_staples,
            ..self
        }
    }

    /// Where a client's findings wait.
    pub(crate) fn findings(&self) -> &Findings {
        &self.found
    }

    /// Whose certificates clients should show.
    pub(crate) fn subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    /// What checks handshake signatures.
    pub(crate) fn signatures(&self) -> &AnyCertificate {
        &self.signatures
    }

    pub(crate) fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: Option<PeerName>,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        self.validator.judge(leaf, sent, name, now.as_secs())
    }

    /// What can be asked about a peer that was accepted.
    pub(crate) fn status_queries(
        &self,
        chain: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
        now: u64,
    ) -> Result<Vec<StatusQuery>, Refusal> {
        let (leaf, sent) = match chain.split_first() {
            Some((leaf, sent)) => (leaf.as_ref(), sent),
            None => (&[][..], chain),
        };
        let name = name.and_then(peer_name);
        self.validator.status_queries(leaf, sent, name, now)
    }

    /// The error whose alert tells the peer most.
    pub(crate) fn error(refusal: &Refusal) -> Error {
        alert_for(&refusal.reason).into()
    }
}

/// The name to check, from the one that rustls connects to.
fn peer_name(name: &ServerName<'_>) -> Option<PeerName> {
    match name {
        // "example.org." is the same host, said absolutely.
        ServerName::DnsName(name) => Some(PeerName::Host(
            name.as_ref().trim_end_matches('.').to_string(),
        )),
        ServerName::IpAddress(ServerAddress::V4(address)) => {
            Some(PeerName::Address(IpAddr::from(*address.as_ref())))
        }
        ServerName::IpAddress(ServerAddress::V6(address)) => {
            Some(PeerName::Address(IpAddr::from(*address.as_ref())))
        }
        _ => None,
    }
}

/// The error whose alert tells the peer most (RFC 8446 §6.2).
fn alert_for(reason: &RefusalReason) -> CertificateError {
    match reason {
        RefusalReason::UnknownIssuer { .. }
        | RefusalReason::SelfSigned
        | RefusalReason::NotAnAuthority { .. }
        | RefusalReason::KeyUsage
        | RefusalReason::PathLength { .. } => CertificateError::UnknownIssuer,
        RefusalReason::NotYetValid { .. } => CertificateError::NotValidYet,
        RefusalReason::Expired { .. } => CertificateError::Expired,
        RefusalReason::Purpose { .. } => CertificateError::InvalidPurpose,
        RefusalReason::UnknownCriticalExtension { .. } | RefusalReason::Proxy => {
            CertificateError::UnhandledCriticalExtension
        }
        RefusalReason::WeakSignature { .. }
        | RefusalReason::UnsupportedSignature { .. }
        | RefusalReason::BadSignature => CertificateError::BadSignature,
        RefusalReason::Revoked { .. } => CertificateError::Revoked,
        RefusalReason::NoRevocationList { .. }
        | RefusalReason::RevocationListNotYetValid { .. }
        | RefusalReason::RevocationListExpired { .. }
        | RefusalReason::RevocationListSignature
        | RefusalReason::StatusUnknown => CertificateError::UnknownRevocationStatus,
        RefusalReason::NotPinned => CertificateError::ApplicationVerificationFailure,
        RefusalReason::Name { .. }
        | RefusalReason::NameConstraints { .. }
        | RefusalReason::UnsupportedConstraint { .. } => CertificateError::NotValidForName,
        RefusalReason::Malformed { .. }
        | RefusalReason::KeyLength { .. }
        | RefusalReason::UnsupportedKey
        | RefusalReason::PathTooLong { .. }
        | RefusalReason::TooManyCertificates { .. }
        | RefusalReason::TooMuchWork => CertificateError::BadEncoding,
    }
}

impl ServerCertVerifier for PathVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_kept = self.keeps_staples && (1..=MAX_OCSP_RESPONSE).contains(&ocsp.len());
        self.found.0.lock().staple = is_kept.then(|| ocsp.to_vec());
        match self.judge(certificate, intermediates, peer_name(name), now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => {
                let error = PathVerifier::error(&refusal);
                self.found.0.lock().refusal = Some(refusal);
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

impl fmt::Debug for PathVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.validator.fmt(out)
    }
}

//! Path validation where rustls asks for it.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, IpAddr as ServerAddress, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use spin::Mutex;

use super::{PathValidator, PeerName, Refusal, RefusalReason, Trust};
use crate::verifier::AnyCertificate;

/// Where the last refusal waits for its connection: rustls's errors cannot carry it.
///
/// The connection takes it at once, so it is another's only where threads share a `Client` or
/// `Server` and two peers are refused in the same moment; then words are exchanged, never verdicts.
#[derive(Clone, Default)]
pub(crate) struct RefusalSlot(Arc<Mutex<Option<Refusal>>>);

impl RefusalSlot {
    pub(crate) fn take(&self) -> Option<Refusal> {
        self.0.lock().take()
    }
}

/// Judges peers by their paths.
pub(crate) struct PathVerifier {
    validator: PathValidator,
    signatures: AnyCertificate,
    refused: RefusalSlot,
    subjects: Vec<DistinguishedName>,
    /// For servers: whether a client must have a certificate.
    required: bool,
}

impl PathVerifier {
    pub(crate) fn new(validator: PathValidator, required: bool) -> PathVerifier {
        PathVerifier {
            signatures: AnyCertificate::new(validator.algorithms, required),
            // A pinned peer's own certificate says nothing about who may have issued it.
            subjects: match validator.trust {
                Trust::Peer => Vec::new(),
                Trust::Chain | Trust::ChainAndPeer => validator.store.subjects(),
            },
            validator,
            refused: RefusalSlot::default(),
            required,
        }
    }

    pub(crate) fn refusals(&self) -> RefusalSlot {
        self.refused.clone()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: Option<PeerName>,
        now: UnixTime,
    ) -> Result<(), Error> {
        self.validator
            .judge(leaf, sent, name, now.as_secs())
            .map_err(|refusal| {
                let error = alert_for(&refusal.reason);
                *self.refused.0.lock() = Some(refusal);
                error.into()
            })
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
        | RefusalReason::RevocationListSignature => CertificateError::UnknownRevocationStatus,
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
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(certificate, intermediates, peer_name(name), now)?;
        Ok(ServerCertVerified::assertion())
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

impl ClientCertVerifier for PathVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(certificate, intermediates, None, now)?;
        Ok(ClientCertVerified::assertion())
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

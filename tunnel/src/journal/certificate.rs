//! Refused certificates in the words that OpenSSL, and so stunnel, has for them.

use tls::{Refusal, RefusalReason};

/// What is wrong, as `X509_verify_cert_error_string(3)` says it; without an equal there, in words
/// of our own.
pub(super) fn words(refusal: &Refusal) -> &'static str {
    let leaf = refusal.depth == 0;
    match &refusal.reason {
        RefusalReason::Malformed { .. } => "malformed certificate",
        RefusalReason::UnknownIssuer { .. } => "unable to get local issuer certificate",
        RefusalReason::SelfSigned if leaf => "self-signed certificate",
        RefusalReason::SelfSigned => "self-signed certificate in certificate chain",
        RefusalReason::NotYetValid { .. } => "certificate is not yet valid",
        RefusalReason::Expired { .. } => "certificate has expired",
        RefusalReason::NotAnAuthority { .. } => "invalid CA certificate",
        RefusalReason::KeyUsage => "key usage does not include certificate signing",
        RefusalReason::PathLength { .. } => "path length constraint exceeded",
        RefusalReason::Purpose { .. } => "unsuitable certificate purpose",
        RefusalReason::UnknownCriticalExtension { .. } => "unhandled critical extension",
        RefusalReason::Proxy => "proxy certificates not allowed",
        RefusalReason::WeakSignature { .. } => "CA signature digest algorithm too weak",
        RefusalReason::UnsupportedSignature { .. } => "unsupported signature algorithm",
        RefusalReason::BadSignature => "certificate signature failure",
        RefusalReason::KeyLength { .. } if leaf => "EE certificate key too weak",
        RefusalReason::KeyLength { .. } => "CA certificate key too weak",
        RefusalReason::UnsupportedKey => "unsupported public key",
        RefusalReason::NameConstraints { .. } => "permitted subtree violation",
        RefusalReason::UnsupportedConstraint { .. } => "unsupported name constraint type",
        RefusalReason::Name { .. } => "hostname mismatch",
        RefusalReason::NotPinned => "certificate not found in local repository",
        RefusalReason::Revoked { .. } => "certificate revoked",
        RefusalReason::NoRevocationList { .. } => "unable to get certificate CRL",
        RefusalReason::RevocationListNotYetValid { .. } => "CRL is not yet valid",
        RefusalReason::RevocationListExpired { .. } => "CRL has expired",
        RefusalReason::RevocationListSignature => "CRL signature failure",
        RefusalReason::PathTooLong { .. } | RefusalReason::TooManyCertificates { .. } => {
            "certificate chain too long"
        }
        RefusalReason::TooMuchWork => "certificate chain too complex",
        _ => "certificate rejected",
    }
}

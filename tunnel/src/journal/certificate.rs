//! Refused certificates as programs are told of them; the words in the log follow from that.

use channel::{CertificateProblem, CertificateReason};
use tls::{Refusal, RefusalReason};

use alloc::string::String;

use super::text::{Shown, Text};

/// What is wrong, and with which certificate.
pub(super) fn problem(refusal: &Refusal) -> CertificateProblem {
    CertificateProblem {
        depth: u8::try_from(refusal.depth).unwrap_or(u8::MAX),
        reason: reason(refusal),
        subject: Text::new(format_args!("{}", Shown(&refusal.subject)))
            .as_str()
            .into(),
    }
}

/// The same of a peer's own certificate of which nothing more is known.
pub(super) fn of_leaf(reason: CertificateReason) -> CertificateProblem {
    CertificateProblem {
        depth: 0,
        reason,
        subject: String::new(),
    }
}

/// What is wrong; what `X509_verify_cert_error_string(3)` knows is called as it is there.
pub(super) fn reason(refusal: &Refusal) -> CertificateReason {
    use CertificateReason as Reason;
    let leaf = refusal.depth == 0;
    match &refusal.reason {
        RefusalReason::Malformed { .. } => Reason::Malformed,
        RefusalReason::UnknownIssuer { .. } => Reason::UnknownIssuer,
        RefusalReason::SelfSigned if leaf => Reason::SelfSigned,
        RefusalReason::SelfSigned => Reason::SelfSignedInChain,
        RefusalReason::NotYetValid { .. } => Reason::NotYetValid,
        RefusalReason::Expired { .. } => Reason::Expired,
        RefusalReason::NotAnAuthority { .. } => Reason::NotAnAuthority,
        RefusalReason::KeyUsage => Reason::KeyUsage,
        RefusalReason::PathLength { .. } => Reason::PathLength,
        RefusalReason::Purpose { .. } => Reason::Purpose,
        RefusalReason::UnknownCriticalExtension { .. } => Reason::UnknownCriticalExtension,
        RefusalReason::Proxy => Reason::Proxy,
        RefusalReason::WeakSignature { .. } => Reason::WeakSignature,
        RefusalReason::UnsupportedSignature { .. } => Reason::UnsupportedSignature,
        RefusalReason::BadSignature => Reason::BadSignature,
        RefusalReason::KeyLength { .. } if leaf => Reason::LeafKeyLength,
        RefusalReason::KeyLength { .. } => Reason::AuthorityKeyLength,
        RefusalReason::UnsupportedKey => Reason::UnsupportedKey,
        RefusalReason::NameConstraints { .. } => Reason::NameConstraints,
        RefusalReason::UnsupportedConstraint { .. } => Reason::UnsupportedConstraint,
        RefusalReason::Name { .. } => Reason::NameMismatch,
        RefusalReason::NotPinned => Reason::NotPinned,
        RefusalReason::Revoked { .. } => Reason::Revoked,
        RefusalReason::NoRevocationList { .. } => Reason::NoRevocationList,
        RefusalReason::RevocationListNotYetValid { .. } => Reason::RevocationListNotYetValid,
        RefusalReason::RevocationListExpired { .. } => Reason::RevocationListExpired,
        RefusalReason::RevocationListSignature => Reason::RevocationListSignature,
        RefusalReason::StatusUnknown => Reason::StatusUnknown,
        RefusalReason::PathTooLong { .. } | RefusalReason::TooManyCertificates { .. } => {
            Reason::PathTooLong
        }
        RefusalReason::TooMuchWork => Reason::PathTooComplex,
        _ => Reason::Rejected,
    }
}

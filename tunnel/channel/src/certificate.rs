//! What was wrong with a peer's certificate, for programs.

use alloc::string::String;
use core::fmt;

/// One thing that is wrong with one certificate of a peer's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateProblem {
    /// Where in the path: 0 is the peer's own certificate, 1 the one that issued it, and so on.
    pub depth: u8,
    /// What is wrong.
    pub reason: CertificateReason,
    /// That certificate's subject, such as `CN=example.org`; empty when it could not be read.
    pub subject: String,
}

/// What can be wrong with a certificate.
///
/// Displays in the words of `X509_verify_cert_error_string(3)`; what has no equal there, in words
/// of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum CertificateReason {
    /// Anything that has no reason of its own.
    #[default]
    Rejected = 0,
    /// Its issuer is neither trusted nor was it sent.
    UnknownIssuer = 1,
    /// It is self-signed and not trusted.
    SelfSigned = 2,
    /// The path ends with a self-signed certificate that is not trusted.
    SelfSignedInChain = 3,
    /// It is not valid yet.
    NotYetValid = 4,
    /// It is no longer valid.
    Expired = 5,
    /// It is for another name than the peer that was expected.
    NameMismatch = 6,
    /// It is none of those that were pinned.
    NotPinned = 7,
    /// It was revoked.
    Revoked = 8,
    /// No usable revocation list of its issuer is there.
    NoRevocationList = 9,
    /// Its issuer's revocation list is not valid yet.
    RevocationListNotYetValid = 10,
    /// Its issuer's revocation list is no longer valid.
    RevocationListExpired = 11,
    /// Its issuer did not sign the revocation list.
    RevocationListSignature = 12,
    /// It has issued another certificate and is no authority.
    NotAnAuthority = 13,
    /// It has issued another certificate, and its key usage does not allow that.
    KeyUsage = 14,
    /// More authorities follow it than it allows.
    PathLength = 15,
    /// It may not be used for this purpose.
    Purpose = 16,
    /// It has a critical extension that is not known here.
    UnknownCriticalExtension = 17,
    /// It is a proxy certificate.
    Proxy = 18,
    /// It was signed with a hash that can be forged.
    WeakSignature = 19,
    /// It was signed with an algorithm that is not supported.
    UnsupportedSignature = 20,
    /// The signature is not its issuer's.
    BadSignature = 21,
    /// The peer's own key is too short, or longer than anybody can use.
    LeafKeyLength = 22,
    /// The same of an authority's key.
    AuthorityKeyLength = 23,
    /// Its key is of a kind that is not supported.
    UnsupportedKey = 24,
    /// It is for a name that one of its issuers may not vouch for.
    NameConstraints = 25,
    /// An issuer's name constraints cannot be applied to its names.
    UnsupportedConstraint = 26,
    /// Its path is longer than is followed.
    PathTooLong = 27,
    /// Judging its path takes too much work.
    PathTooComplex = 28,
    /// It cannot be read.
    Malformed = 29,
    /// The peer has shown none.
    Missing = 30,
    /// No OCSP responder says that it is not revoked.
    StatusUnknown = 31,
}

impl CertificateReason {
    /// Every reason, each at its number's place, with its words.
    const WORDS: [(CertificateReason, &str); 32] = [
        (Self::Rejected, "certificate rejected"),
        (
            Self::UnknownIssuer,
            "unable to get local issuer certificate",
        ),
        (Self::SelfSigned, "self-signed certificate"),
        (
            Self::SelfSignedInChain,
            "self-signed certificate in certificate chain",
        ),
        (Self::NotYetValid, "certificate is not yet valid"),
        (Self::Expired, "certificate has expired"),
        (Self::NameMismatch, "hostname mismatch"),
        (Self::NotPinned, "certificate not found in local repository"),
        (Self::Revoked, "certificate revoked"),
        (Self::NoRevocationList, "unable to get certificate CRL"),
        (Self::RevocationListNotYetValid, "CRL is not yet valid"),
        (Self::RevocationListExpired, "CRL has expired"),
        (Self::RevocationListSignature, "CRL signature failure"),
        (Self::NotAnAuthority, "invalid CA certificate"),
        (
            Self::KeyUsage,
            "key usage does not include certificate signing",
        ),
        (Self::PathLength, "path length constraint exceeded"),
        (Self::Purpose, "unsuitable certificate purpose"),
        (
            Self::UnknownCriticalExtension,
            "unhandled critical extension",
        ),
        (Self::Proxy, "proxy certificates not allowed"),
        (
            Self::WeakSignature,
            "CA signature digest algorithm too weak",
        ),
        (
            Self::UnsupportedSignature,
            "unsupported signature algorithm",
        ),
        (Self::BadSignature, "certificate signature failure"),
        (Self::LeafKeyLength, "EE certificate key too weak"),
        (Self::AuthorityKeyLength, "CA certificate key too weak"),
        (Self::UnsupportedKey, "unsupported public key"),
        (Self::NameConstraints, "permitted subtree violation"),
        (
            Self::UnsupportedConstraint,
            "unsupported name constraint type",
        ),
        (Self::PathTooLong, "certificate chain too long"),
        (Self::PathTooComplex, "certificate chain too complex"),
        (Self::Malformed, "malformed certificate"),
        (Self::Missing, "peer did not return a certificate"),
        (Self::StatusUnknown, "certificate status unknown"),
    ];

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The reason of this number; [`Rejected`](Self::Rejected) for those of a later product.
    pub fn from_number(number: u8) -> CertificateReason {
        Self::WORDS
            .get(usize::from(number))
            .map_or(Self::Rejected, |(reason, _)| *reason)
    }

    /// Its words in OpenSSL's list.
    pub fn words(self) -> &'static str {
        Self::WORDS
            .get(usize::from(self.number()))
            .map_or("certificate rejected", |(_, words)| *words)
    }

    /// What stunnel's log says of it after `CERT: `, which is what scanners look for.
    pub fn log_words(self) -> impl fmt::Display {
        let (before, words) = match self {
            Self::NameMismatch => ("", "Subject checks failed"),
            Self::NotPinned => ("", "Certificate not found in local repository"),
            _ => ("Pre-verification error: ", self.words()),
        };
        fmt::from_fn(move |f| write!(f, "{before}{words}"))
    }
}

impl fmt::Display for CertificateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn reasons_stand_at_their_numbers() {
        for (number, (reason, words)) in CertificateReason::WORDS.iter().enumerate() {
            assert_eq!(usize::from(reason.number()), number);
            assert_eq!(CertificateReason::from_number(reason.number()), *reason);
            assert_eq!(reason.to_string(), *words);
        }
        assert_eq!(
            CertificateReason::from_number(200),
            CertificateReason::Rejected
        );
    }

    #[test]
    fn the_log_has_stunnel_s_words() {
        for (reason, expected) in [
            (CertificateReason::NameMismatch, "Subject checks failed"),
            (
                CertificateReason::NotPinned,
                "Certificate not found in local repository",
            ),
            (
                CertificateReason::SelfSigned,
                "Pre-verification error: self-signed certificate",
            ),
        ] {
            assert_eq!(reason.log_words().to_string(), expected);
        }
    }
}

//! Why a path was refused, in types and in words.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::identity::write_date;

/// Why a peer's certificate was refused: which certificate of its path, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where in the path: 0 is the peer's own certificate, 1 the one that issued it, and so on.
    pub depth: usize,
    /// That certificate's subject, such as `CN=example.org`; empty when it could not be read.
    pub subject: String,
    /// What is wrong with it.
    pub reason: RefusalReason,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// It cannot be read (RFC 5280 §4.1 and §4.2).
    Malformed {
        /// The part that cannot be read.
        part: &'static str,
    },
    /// Its issuer is neither trusted nor was it sent, or no certificate of that name fits.
    UnknownIssuer {
        /// The issuer's name.
        issuer: String,
    },
    /// It is self-signed and not among the trusted certificates.
    SelfSigned,
    /// It is not valid yet (RFC 5280 §4.1.2.5).
    NotYetValid {
        /// Start of validity, Unix seconds.
        from: u64,
        /// The time it was judged at, Unix seconds.
        now: u64,
    },
    /// It is no longer valid.
    Expired {
        /// End of validity, Unix seconds.
        since: u64,
        /// The time it was judged at, Unix seconds.
        now: u64,
    },
    /// It has issued another certificate and is no authority (RFC 5280 §6.1.4 (k)).
    NotAnAuthority {
        /// Its X.509 version: before 3 only trust anchors may be authorities.
        version: u8,
    },
    /// It has issued another certificate, and its key usage does not allow that (RFC 5280 §6.1.4
    /// (n)).
    KeyUsage,
    /// More authorities follow it than it allows (RFC 5280 §6.1.4 (m)).
    PathLength {
        /// How many it allows.
        allowed: u32,
        /// How many there are.
        found: usize,
    },
    /// Its key usage, extended key usage or certificate type rules this purpose out.
    Purpose {
        /// What it would be used for.
        purpose: super::Purpose,
    },
    /// It has a critical extension that is not known here (RFC 5280 §4.2).
    UnknownCriticalExtension {
        /// The extension's object identifier.
        id: String,
    },
    /// It is a proxy certificate (RFC 3820), which nobody here speaks.
    Proxy,
    /// It was signed with a hash that can be forged, such as MD5 or SHA-1.
    WeakSignature {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// It was signed with an algorithm that is not supported, or not by its issuer's kind of key.
    UnsupportedSignature {
        /// The algorithm's object identifier.
        algorithm: String,
    },
    /// The signature is not its issuer's.
    BadSignature,
    /// Its RSA key is too short, or longer than anybody can use.
    KeyLength {
        /// The key's length.
        bits: usize,
    },
    /// Its key is of a kind that is not supported.
    UnsupportedKey,
    /// It is for a name that one of its issuers may not vouch for (RFC 5280 §6.1.3 (b) and (c)).
    NameConstraints {
        /// The name.
        name: String,
    },
    /// An issuer's name constraints cannot be applied to its names.
    UnsupportedConstraint {
        /// The kind of name.
        name: String,
    },
    /// It is not for the peer that was expected (RFC 6125 §6).
    Name {
        /// The names that would have done, such as `example.org`.
        expected: Vec<String>,
        /// Names that it is for, the first few.
        presented: Vec<String>,
    },
    /// No trusted certificate has its subject and public key.
    NotPinned,
    /// It was revoked (RFC 5280 §5).
    Revoked {
        /// Its serial number, in hexadecimal.
        serial: String,
    },
    /// No usable revocation list of its issuer is there.
    NoRevocationList {
        /// The issuer's name.
        issuer: String,
    },
    /// Its issuer's revocation list is not valid yet.
    RevocationListNotYetValid {
        /// Its date, Unix seconds.
        from: u64,
    },
    /// A newer revocation list of its issuer is due.
    RevocationListExpired {
        /// When it was due, Unix seconds.
        since: u64,
    },
    /// The signature on the revocation list is not its issuer's, or the issuer may not sign one.
    RevocationListSignature,
    /// No responder says whether it was revoked (RFC 6960).
    StatusUnknown,
    /// Its path is longer than is followed.
    PathTooLong {
        /// Most certificates in a path.
        limit: usize,
    },
    /// The peer sent more certificates than are looked at.
    TooManyCertificates {
        /// Most certificates besides the peer's own.
        limit: usize,
    },
    /// Judging the path takes more work than any honest one: the search was given up.
    TooMuchWork,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subject.is_empty() {
            write!(out, "the certificate at depth {} ", self.depth)?;
        } else {
            write!(out, "{:?} at depth {} ", Plain(&self.subject), self.depth)?;
        }
        self.reason.fmt(out)
    }
}

/// In quotes, without escaping what was escaped already.
struct Plain<'a>(&'a str);

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.0)
    }
}

impl core::error::Error for Refusal {}

/// The words that follow `the certificate`.
impl fmt::Display for RefusalReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusalReason::Malformed { part } => {
                write!(out, "cannot be read (malformed {part})")
            }
            RefusalReason::UnknownIssuer { issuer } => write!(
                out,
                "was issued by \"{issuer}\", of which no fitting certificate is trusted or was sent"
            ),
            RefusalReason::SelfSigned => {
                out.write_str("is self-signed and not among the trusted certificates")
            }
            RefusalReason::NotYetValid { from, now } => {
                out.write_str("is not valid before ")?;
                write_date(out, *from)?;
                out.write_str(", and it is ")?;
                write_date(out, *now)
            }
            RefusalReason::Expired { since, now } => {
                out.write_str("expired on ")?;
                write_date(out, *since)?;
                out.write_str(", and it is ")?;
                write_date(out, *now)
            }
            RefusalReason::NotAnAuthority { version: 3 } => out
                .write_str("has issued another certificate without being a certificate authority"),
            RefusalReason::NotAnAuthority { version } => write!(
                out,
                "has issued another certificate and is X.509 v{version}, \
                 in which only a trusted root can be a certificate authority"
            ),
            RefusalReason::KeyUsage => out
                .write_str("has issued another certificate, and its key usage does not allow that"),
            RefusalReason::PathLength { allowed, found } => write!(
                out,
                "allows {allowed} certificate authorities below it, and there are {found}"
            ),
            RefusalReason::Purpose { purpose } => {
                write!(out, "may not be used for {purpose}")
            }
            RefusalReason::UnknownCriticalExtension { id } => {
                write!(out, "has a critical extension that is not known here, {id}")
            }
            RefusalReason::Proxy => out.write_str("is a proxy certificate"),
            RefusalReason::WeakSignature { algorithm } => {
                write!(out, "was signed with {algorithm}, which can be forged")
            }
            RefusalReason::UnsupportedSignature { algorithm } => write!(
                out,
                "was signed with an algorithm that is not supported \
                 or is not for its issuer's key, {algorithm}"
            ),
            RefusalReason::BadSignature => {
                out.write_str("has a signature that is not its issuer's")
            }
            RefusalReason::KeyLength { bits } => write!(
                out,
                "has an RSA key of {bits} bits: expected {} to {}",
                super::MIN_RSA_BITS,
                super::MAX_RSA_BITS
            ),
            RefusalReason::UnsupportedKey => out.write_str(
                "has a key of a kind that is not supported: \
                 expected RSA, P-256, P-384 or Ed25519",
            ),
            RefusalReason::NameConstraints { name } => write!(
                out,
                "is for {name}, for which one of its issuers may not vouch"
            ),
            RefusalReason::UnsupportedConstraint { name } => write!(
                out,
                "has {name}, to which the name constraints of an issuer cannot be applied"
            ),
            RefusalReason::Name {
                expected,
                presented,
            } => {
                out.write_str("is not for ")?;
                list(out, expected, " or ")?;
                out.write_str(" but for ")?;
                list(out, presented, " and ")
            }
            RefusalReason::NotPinned => {
                out.write_str("has a subject and key that no trusted certificate has")
            }
            RefusalReason::Revoked { serial } => {
                write!(out, "with serial number {serial} was revoked")
            }
            RefusalReason::NoRevocationList { issuer } => write!(
                out,
                "was issued by \"{issuer}\", of which there is no usable revocation list"
            ),
            RefusalReason::RevocationListNotYetValid { from } => {
                out.write_str("needs a revocation list, and the one there is starts on ")?;
                write_date(out, *from)
            }
            RefusalReason::RevocationListExpired { since } => {
                out.write_str("needs a revocation list, and the one there is ended on ")?;
                write_date(out, *since)
            }
            RefusalReason::RevocationListSignature => out
                .write_str("needs a revocation list, and its issuer did not sign the one there is"),
            RefusalReason::StatusUnknown => {
                out.write_str("may have been revoked: no OCSP responder says that it is not")
            }
            RefusalReason::PathTooLong { limit } => {
                write!(out, "is in a path of more than {limit} certificates")
            }
            RefusalReason::TooManyCertificates { limit } => {
                write!(out, "came with more than {limit} others")
            }
            RefusalReason::TooMuchWork => {
                out.write_str("came with a path that takes too much work to judge")
            }
        }
    }
}

fn list(out: &mut fmt::Formatter<'_>, names: &[String], between: &str) -> fmt::Result {
    if names.is_empty() {
        return out.write_str("no name of that kind");
    }
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.write_str(between)?;
        }
        write!(out, "\"{}\"", name.escape_debug())?;
    }
    Ok(())
}

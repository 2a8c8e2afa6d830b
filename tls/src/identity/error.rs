//! What can be wrong with a certificate and key, in words for the operator.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use x509_cert::der::DateTime;

/// Something about a certificate that clients may refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityWarning {
    /// The leaf is not valid before this time.
    NotYetValid {
        /// Start of validity, Unix seconds.
        from: u64,
    },
    /// The leaf is no longer valid.
    Expired {
        /// End of validity, Unix seconds.
        since: u64,
    },
    /// The leaf is X.509 v1 or v2, which OpenSSL takes and many others do not.
    OldVersion {
        /// The certificate's version.
        version: u8,
    },
}

impl fmt::Display for IdentityWarning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityWarning::NotYetValid { from } => {
                out.write_str("the certificate is not valid before ")?;
                write_date(out, *from)
            }
            IdentityWarning::Expired { since } => {
                out.write_str("the certificate expired on ")?;
                write_date(out, *since)
            }
            IdentityWarning::OldVersion { version } => write!(
                out,
                "the certificate is X.509 v{version}, which many clients refuse; \
                 with OpenSSL, `-extfile` with a subjectAltName makes a v3 certificate"
            ),
        }
    }
}

/// `unix_seconds` as an RFC 3339 date, or as the number where there is no such date.
pub(crate) fn write_date(out: &mut fmt::Formatter<'_>, unix_seconds: u64) -> fmt::Result {
    match DateTime::from_unix_duration(Duration::from_secs(unix_seconds)) {
        Ok(date) => write!(out, "{date}"),
        Err(_) => write!(out, "Unix time {unix_seconds}"),
    }
}

/// Which of the two texts a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemText {
    /// The certificate chain.
    Certificates,
    /// The private key.
    Key,
}

impl fmt::Display for PemText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            PemText::Certificates => "certificate",
            PemText::Key => "key",
        })
    }
}

/// Why a certificate and key cannot be used. No variant holds any part of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate text holds no certificate.
    NoCertificate {
        /// Whether it holds a private key: the two may have been exchanged.
        holds_key: bool,
    },
    /// The key text holds no private key.
    NoKey {
        /// Whether it holds a certificate: the two may have been exchanged.
        holds_certificate: bool,
    },
    /// The key text holds more than one private key.
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// The key is encrypted with a passphrase.
    EncryptedKey,
    /// The text is damaged.
    Pem {
        /// Which text.
        text: PemText,
        /// The line at fault, from 1, where it is known.
        line: Option<usize>,
    },
    /// The first certificate cannot be read.
    Certificate {
        /// Why, in words.
        reason: String,
    },
    /// The first certificate's public key is of a kind that nothing here signs with.
    CertificateKeyKind,
    /// The RSA key is too short or too long.
    RsaLength {
        /// Its length.
        bits: usize,
    },
    /// The private key cannot be read, or is of a kind that nothing here signs with.
    Key,
    /// The private key is not the first certificate's.
    Mismatch,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::NoCertificate { holds_key: true } => out.write_str(
                "the certificate text holds a private key and no certificate: \
                 were certificate and key exchanged?",
            ),
            IdentityError::NoCertificate { holds_key: false } => out.write_str(
                "the certificate text holds no certificate: \
                 expected PEM with a line `-----BEGIN CERTIFICATE-----`",
            ),
            IdentityError::NoKey {
                holds_certificate: true,
            } => out.write_str(
                "the key text holds a certificate and no private key: \
                 were certificate and key exchanged?",
            ),
            IdentityError::NoKey {
                holds_certificate: false,
            } => out.write_str(
                "the key text holds no private key: \
                 expected PEM with a line such as `-----BEGIN PRIVATE KEY-----`",
            ),
            IdentityError::SeveralKeys { count } => {
                write!(out, "the key text holds {count} private keys: expected one")
            }
            IdentityError::EncryptedKey => out.write_str(
                "the private key is encrypted with a passphrase, which is not supported: \
                 decrypt it with `openssl pkey -in KEY -out DECRYPTED`",
            ),
            IdentityError::Pem {
                text,
                line: Some(line),
            } => write!(out, "the {text} text is damaged in line {line}: not PEM"),
            IdentityError::Pem { text, line: None } => {
                write!(out, "the {text} text is damaged: not PEM")
            }
            IdentityError::Certificate { reason } => {
                write!(out, "the first certificate cannot be read: {reason}")
            }
            IdentityError::CertificateKeyKind => out.write_str(
                "the first certificate's public key is of a kind that is not supported: \
                 expected RSA, P-256, P-384 or Ed25519",
            ),
            IdentityError::RsaLength { bits } => {
                write!(out, "the RSA key has {bits} bits: expected 2048 to 4096")
            }
            IdentityError::Key => out.write_str(
                "the private key cannot be read: expected RSA, P-256, P-384 or Ed25519 \
                 as PKCS#8, PKCS#1 or SEC1",
            ),
            IdentityError::Mismatch => {
                out.write_str("the private key does not belong to the first certificate")
            }
        }
    }
}

impl core::error::Error for IdentityError {}

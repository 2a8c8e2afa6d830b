//! What goes wrong, and whose fault it is.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use rustls::{Error as Rustls, PeerIncompatible};

use crate::Refusal;

mod openssl;

pub use openssl::OpensslReason;

/// Reasons that are known by their words elsewhere.
pub(crate) const NOT_TLS: &str = "this is not TLS";
pub(crate) const HTTP: &str = "this is HTTP without TLS";
pub(crate) const UNEXPECTED: &str = "unexpected message";
pub(crate) const WRONG_KEY: &str = "the client has another key for its identity";
pub(crate) const UNKNOWN_IDENTITY: &str = "no key found for the client's identity";
const NO_CIPHER_SUITE: &str = "no cipher suite";
const NO_GROUP: &str = "no key exchange group";
pub(crate) const NO_PROTOCOL: &str = "no application protocol";
const OLD_VERSION: &str = "the peer speaks at most TLS 1.1";
const NOT_MODERN: &str = "the peer speaks at most TLS 1.2";

/// Why a connection ended early. The alert for the peer, where one is due, waits in
/// [`Connection::pending_output`](crate::Connection::pending_output).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol, or does not speak TLS at all.
    PeerMisbehaved {
        /// What was wrong, in words.
        reason: String,
    },
    /// Both sides speak TLS but have no version, suite, group, signature or protocol in common.
    NothingInCommon {
        /// What was missing, in words.
        reason: String,
    },
    /// The peer ended the connection with an alert (RFC 8446 §6.2).
    PeerAlert {
        /// The alert's name, as RFC 8446 appendix B.2 spells it.
        alert: String,
        /// The alert's number.
        code: u8,
    },
    /// The client has shown no certificate, and needs one.
    NoCertificate,
    /// The peer's certificate was refused.
    Certificate {
        /// Why, in words.
        reason: String,
    },
    /// The peer's certificate was refused by path validation of our own
    /// ([`VerifyMode::Path`](crate::VerifyMode::Path),
    /// [`ClientVerify::Path`](crate::ClientVerify::Path)).
    Refused(Box<Refusal>),
    /// The two sides do not have the same pre-shared key.
    PreSharedKey {
        /// What does not fit, in words.
        reason: &'static str,
    },
    /// A record did not decrypt: the peer used other keys, or somebody changed it on its way.
    Decrypt,
    /// The name to connect to is neither a DNS name nor an IP address, or is missing though
    /// certificates are to be verified.
    ServerName,
    /// The data to keep with a session is longer than [`MAX_SESSION_DATA`](crate::MAX_SESSION_DATA).
    SessionData,
    /// No entropy could be had.
    Entropy,
    /// Called before the handshake allows it.
    NotYetReady,
    /// Our sending direction is closed.
    Closed,
    /// A TLS 1.2 connection has sent as many records as its keys are good for, and ended with a
    /// close_notify; TLS 1.3 changes keys instead (RFC 8446 §5.5).
    KeysUsedUp,
    /// TLS 1.2 has no key update.
    NoKeyUpdate,
    /// A fault on our side.
    Internal {
        /// What went wrong, in words.
        reason: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::PeerMisbehaved { reason } => {
                write!(out, "the peer broke the protocol: {reason}")
            }
            Error::NothingInCommon { reason } => {
                write!(out, "nothing in common with the peer: {reason}")
            }
            Error::PeerAlert { alert, code } => {
                write!(
                    out,
                    "the peer ended the connection with alert {code} ({alert})"
                )
            }
            Error::NoCertificate => out.write_str("the client has shown no certificate"),
            Error::Certificate { reason } => {
                write!(out, "the peer's certificate was refused: {reason}")
            }
            Error::Refused(refusal) => {
                write!(out, "the peer's certificate was refused: {refusal}")
            }
            Error::PreSharedKey { reason } => write!(out, "pre-shared key: {reason}"),
            Error::Decrypt => out.write_str("a record from the peer did not decrypt"),
            Error::ServerName => {
                out.write_str("the server's name must be a DNS name or an IP address")
            }
            Error::SessionData => write!(
                out,
                "the data to keep with a session must have at most {} bytes",
                crate::MAX_SESSION_DATA
            ),
            Error::Entropy => out.write_str("no entropy could be had"),
            Error::NotYetReady => out.write_str("the handshake is not done yet"),
            Error::Closed => out.write_str("the sending direction is closed"),
            Error::KeysUsedUp => {
                out.write_str("the connection has sent as many records as its keys are good for")
            }
            Error::NoKeyUpdate => out.write_str("TLS 1.2 has no key update"),
            Error::Internal { reason } => write!(out, "TLS failed on our side: {reason}"),
        }
    }
}

impl core::error::Error for Error {}

impl Error {
    /// Whether a client has offered a pre-shared key whose identity is not known.
    #[must_use]
    pub fn is_unknown_identity(&self) -> bool {
        matches!(self, Error::PreSharedKey { reason } if *reason == UNKNOWN_IDENTITY)
    }

    pub(crate) fn misbehaved(reason: impl Into<String>) -> Error {
        Error::PeerMisbehaved {
            reason: reason.into(),
        }
    }

    pub(crate) fn internal(reason: impl Into<String>) -> Error {
        Error::Internal {
            reason: reason.into(),
        }
    }

    pub(crate) fn from_rustls(error: Rustls) -> Error {
        match error {
            Rustls::PeerMisbehaved(what) => Error::misbehaved(words(&what)),
            Rustls::InvalidMessage(what) => {
                Error::misbehaved(format!("malformed message ({})", words(&what)))
            }
            Rustls::InappropriateMessage { got_type, .. } => {
                Error::misbehaved(format!("unexpected record ({})", words(&got_type)))
            }
            Rustls::InappropriateHandshakeMessage { got_type, .. } => Error::misbehaved(format!(
                "unexpected handshake message ({})",
                words(&got_type)
            )),
            Rustls::PeerSentOversizedRecord => Error::misbehaved("a record is too long"),
            Rustls::NoCertificatesPresented => Error::NoCertificate,
            Rustls::InvalidCertificate(why) => Error::Certificate {
                reason: why.to_string(),
            },
            Rustls::PeerIncompatible(what) => Error::NothingInCommon {
                reason: match what {
                    PeerIncompatible::Tls12NotOffered
                    | PeerIncompatible::ServerDoesNotSupportTls12Or13 => OLD_VERSION.into(),
                    PeerIncompatible::SupportedVersionsExtensionRequired => NOT_MODERN.into(),
                    PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                        "the peer chose a TLS version that is switched off here".into()
                    }
                    PeerIncompatible::Tls12NotOfferedOrEnabled => "no TLS version".into(),
                    PeerIncompatible::NoCipherSuitesInCommon => NO_CIPHER_SUITE.into(),
                    PeerIncompatible::NoKxGroupsInCommon => NO_GROUP.into(),
                    other => words(&other),
                },
            },
            Rustls::NoApplicationProtocol => Error::NothingInCommon {
                reason: NO_PROTOCOL.into(),
            },
            Rustls::AlertReceived(alert) => Error::PeerAlert {
                alert: snake_case(&format!("{alert:?}")),
                code: alert.into(),
            },
            Rustls::DecryptError => Error::Decrypt,
            Rustls::FailedToGetRandomBytes => Error::Entropy,
            Rustls::UnsupportedNameType => Error::ServerName,
            Rustls::HandshakeNotComplete => Error::NotYetReady,
            other => Error::internal(other.to_string()),
        }
    }
}

/// Why a certificate was refused, in words.
pub(crate) fn certificate_words(error: &Rustls) -> String {
    match Error::from_rustls(error.clone()) {
        Error::Certificate { reason } => reason,
        other => other.to_string(),
    }
}

/// Why a [`Server`](crate::Server) or [`Client`](crate::Client) could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A root certificate cannot be used: its place in the list, and why.
    Root {
        /// Index into the list of roots, from 0.
        index: usize,
        /// Why, in words.
        reason: String,
    },
    /// A revocation list cannot be used: its place in the list, and why.
    RevocationList {
        /// Index into the list of lists, from 0.
        index: usize,
        /// Why, in words.
        reason: String,
    },
    /// A name to check is empty or holds a NUL, or there is none.
    PeerName {
        /// Index into the list of names, from 0.
        index: usize,
    },
    /// Clients were to be checked for the name that they connect to, which only servers have.
    ClientName,
    /// Chain verification was asked for, without a root to verify against.
    NoRoots,
    /// The oldest version is newer than the newest.
    Versions,
    /// None of the cipher suites chosen is of a version allowed.
    Suites,
    /// None of the groups chosen is of a version allowed.
    Groups,
    /// A pre-shared key cannot be used, or there is none.
    PreSharedKey {
        /// Why, in words.
        reason: &'static str,
    },
    /// An ALPN name is empty or longer than 255 bytes (RFC 7301 §3.1).
    Alpn {
        /// Index into the list of protocols, from 0.
        index: usize,
    },
    /// The identity was loaded for another provider.
    IdentityProvider,
    /// No entropy could be had for the ticket keys.
    Entropy,
    /// A fault on our side.
    Internal {
        /// What went wrong, in words.
        reason: String,
    },
}

impl ConfigError {
    // By value, as `map_err` hands it over.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn internal(error: Rustls) -> ConfigError {
        ConfigError::Internal {
            reason: error.to_string(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Root { index, reason } => {
                write!(out, "root certificate {index} cannot be used: {reason}")
            }
            ConfigError::NoRoots => out.write_str(
                "certificates are to be verified, but there is no root certificate to do it with",
            ),
            ConfigError::RevocationList { index, reason } => {
                write!(out, "revocation list {index} cannot be used: {reason}")
            }
            ConfigError::PeerName { index } => {
                write!(
                    out,
                    "name {index} to check certificates for is missing or empty"
                )
            }
            ConfigError::ClientName => {
                out.write_str("clients' certificates have no server name to be checked for")
            }
            ConfigError::Versions => {
                out.write_str("the oldest TLS version allowed is newer than the newest")
            }
            ConfigError::Suites => {
                out.write_str("none of the cipher suites chosen is of a TLS version allowed")
            }
            ConfigError::Groups => {
                out.write_str("none of the key exchange groups chosen is of a TLS version allowed")
            }
            ConfigError::PreSharedKey { reason } => {
                write!(out, "pre-shared key: {reason}")
            }
            ConfigError::Alpn { index } => {
                write!(out, "application protocol {index} must have 1 to 255 bytes")
            }
            ConfigError::IdentityProvider => {
                out.write_str("the identity was loaded for another cryptography provider")
            }
            ConfigError::Entropy => out.write_str("no entropy could be had"),
            ConfigError::Internal { reason } => write!(out, "TLS could not be set up: {reason}"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// A variant's name as words: `InvalidKeyShare` becomes `invalid key share`.
fn words(variant: &dyn fmt::Debug) -> String {
    snake_case(&format!("{variant:?}")).replace('_', " ")
}

/// `UnknownPSKIdentity` becomes `unknown_psk_identity`.
fn snake_case(name: &str) -> String {
    let letters: alloc::vec::Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 8);
    let mut before = None::<char>;
    for (index, letter) in letters.iter().copied().enumerate() {
        let after = letters.get(index + 1).copied();
        let starts_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase()
                        && after.is_some_and(|after| after.is_ascii_lowercase()))
            });
        if starts_word {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        before = Some(letter);
    }
    snake
}

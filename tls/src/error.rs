//! What goes wrong, and whose fault it is.

use alloc::string::String;
use core::fmt;

/// Why a connection ended early. The alert for the peer, where one is due, waits in
/// [`Connection::pending_output`](crate::Connection::pending_output).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol: what it did.
    PeerMisbehaved {
        /// What was wrong, in words.
        reason: String,
    },
    /// Both sides speak TLS but have no version, suite, group, signature or ALPN in common.
    NothingInCommon {
        /// What was missing, in words.
        reason: String,
    },
    /// The peer ended the connection with a fatal alert (RFC 8446 §6.2).
    PeerAlert {
        /// The alert's name, as RFC 8446 appendix B.2 spells it.
        alert: String,
        /// The alert's number.
        code: u8,
    },
    /// The peer's certificate was refused.
    Certificate {
        /// Why, in words.
        reason: String,
    },
    /// A record did not decrypt: the peer used other keys, or somebody changed it on its way.
    Decrypt,
    /// No entropy could be had.
    Entropy,
    /// [`send`](crate::Connection::send) before the handshake allows it.
    NotYetReady,
    /// A call on a connection whose sending direction is closed or that has failed.
    Closed,
    /// A fault on our side: what it was.
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
            Error::PeerAlert { alert, code } => write!(
                out,
                "the peer ended the connection with alert {code} ({alert})"
            ),
            Error::Certificate { reason } => {
                write!(out, "the peer's certificate was refused: {reason}")
            }
            Error::Decrypt => out.write_str("a record from the peer did not decrypt"),
            Error::Entropy => out.write_str("no entropy could be had"),
            Error::NotYetReady => out.write_str("the handshake does not allow data yet"),
            Error::Closed => out.write_str("the connection's sending direction is closed"),
            Error::Internal { reason } => write!(out, "TLS failed on our side: {reason}"),
        }
    }
}

impl core::error::Error for Error {}

/// Why a [`Server`](crate::Server) or [`Client`](crate::Client) could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A root certificate cannot be used: its place in the list (from 0), and why.
    Root {
        /// Index into the list of roots, from 0.
        index: usize,
        /// Why, in words.
        reason: String,
    },
    /// Chain verification was asked for, without a root to verify against.
    NoRoots,
    /// The oldest version is newer than the newest.
    Versions,
    /// An ALPN name is empty or longer than 255 bytes (RFC 7301 §3.1): its index, from 0.
    Alpn {
        /// Index into the list of protocols, from 0.
        index: usize,
    },
    /// The identity was loaded for another provider.
    IdentityProvider,
    /// No entropy could be had for the ticket keys.
    Entropy,
    /// A fault on our side: what it was.
    Internal {
        /// What went wrong, in words.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Root { index, reason } => {
                write!(out, "root certificate {index} cannot be used: {reason}")
            }
            ConfigError::NoRoots => {
                out.write_str("certificates are to be verified, but there is no root certificate")
            }
            ConfigError::Versions => {
                out.write_str("the oldest TLS version allowed is newer than the newest")
            }
            ConfigError::Alpn { index } => {
                write!(out, "ALPN protocol {index} must have 1 to 255 bytes")
            }
            ConfigError::IdentityProvider => {
                out.write_str("the identity's key was loaded for another cryptography provider")
            }
            ConfigError::Entropy => out.write_str("no entropy could be had"),
            ConfigError::Internal { reason } => write!(out, "TLS could not be set up: {reason}"),
        }
    }
}

impl core::error::Error for ConfigError {}

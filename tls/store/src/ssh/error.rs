//! What can go wrong with a connection.

use alloc::string::{String, ToString};
use core::fmt;

use super::HostKey;

/// Why a connection can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshError {
    /// The other machine has another key than the one that is trusted; `None`: one that is not of
    /// Ed25519.
    HostKey(Option<HostKey>),
    /// It does not let this user in with this key.
    Refused,
    /// It says something that is not SSH, or that SSH does not allow.
    Protocol(String),
    /// It has ended the connection before the command.
    Ended,
}

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SshError::HostKey(Some(key)) => write!(
                f,
                "the SSH server's host key is {key}, which is not the one that is trusted: if it is \
                 that machine's own, say so by --ssh-host-key={}",
                key.to_string().replace(' ', ":")
            ),
            SshError::HostKey(None) => {
                f.write_str("the SSH server has no host key of Ed25519 (ssh-ed25519)")
            }
            SshError::Refused => {
                f.write_str("the SSH server does not let this user in with this key")
            }
            SshError::Protocol(text) => write!(f, "SSH: {text}"),
            SshError::Ended => f.write_str("the SSH server has ended the connection too early"),
        }
    }
}

impl core::error::Error for SshError {}

impl From<sunset::Error> for SshError {
    fn from(error: sunset::Error) -> SshError {
        match error {
            sunset::Error::NoAuthMethods => SshError::Refused,
            error => SshError::Protocol(error.to_string()),
        }
    }
}

//! What a handshake agreed on.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Provider;

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Version::Tls12 => "TLSv1.2",
            Version::Tls13 => "TLSv1.3",
        })
    }
}

/// The versions allowed, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest version allowed.
    pub min: Version,
    /// The newest version allowed.
    pub max: Version,
}

impl Default for Versions {
    fn default() -> Versions {
        Versions {
            min: Version::Tls12,
            max: Version::Tls13,
        }
    }
}

/// What a handshake agreed on; `Display` gives one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handshake {
    /// The protocol version.
    pub version: Version,
    /// The cipher suite, as the IANA registry spells it.
    pub suite: &'static str,
    /// The key exchange group; `None` when a TLS 1.2 session was resumed.
    pub group: Option<&'static str>,
    /// The name the client asked for (server side) or was sent (client side), RFC 6066 §3.
    pub sni: Option<String>,
    /// The application protocol (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The cryptography that runs this connection.
    pub provider: Provider,
}

impl fmt::Display for Handshake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.version, self.suite)?;
        if let Some(group) = self.group {
            write!(out, " {group}")?;
        }
        write!(out, " {}", self.provider)?;
        if let Some(name) = &self.sni {
            write!(out, " sni={name:?}")?;
        }
        if let Some(protocol) = &self.alpn {
            write!(out, " alpn=\"{}\"", protocol.escape_ascii())?;
        }
        out.write_str(if self.resumed { " resumed" } else { " full" })
    }
}

//! What a handshake agreed on.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedProtocolVersion, version};

use crate::psk::Agreed;
use crate::{ConfigError, Provider};

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl Version {
    /// As OpenSSL's `SSL_get_version` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Version::Tls12 => "TLSv1.2",
            Version::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
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

impl Versions {
    /// The versions as rustls lists them.
    pub(crate) fn list(self) -> Result<&'static [&'static SupportedProtocolVersion], ConfigError> {
        static TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
        static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];
        match (self.min, self.max) {
            (Version::Tls12, Version::Tls12) => Ok(TLS12),
            (Version::Tls12, Version::Tls13) => Ok(rustls::ALL_VERSIONS),
            (Version::Tls13, Version::Tls13) => Ok(TLS13),
            (Version::Tls13, Version::Tls12) => Err(ConfigError::Versions),
        }
    }
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
    /// The identity of the external pre-shared key that authenticates both sides (RFC 8446 §2.2);
    /// `None` where certificates do.
    pub psk_identity: Option<Vec<u8>>,
    /// The cryptography that runs this connection.
    pub provider: Provider,
}

impl Handshake {
    pub(crate) fn with_psk(agreed: &Agreed, provider: Provider) -> Handshake {
        Handshake {
            version: Version::Tls13,
            suite: suite_name(agreed.suite),
            group: Some(group_name(agreed.group)),
            sni: agreed.server_name.clone(),
            alpn: agreed.protocol.clone(),
            resumed: false,
            psk_identity: Some(agreed.identity.clone()),
            provider,
        }
    }
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
        match (&self.psk_identity, self.resumed) {
            (Some(identity), _) => write!(out, " psk=\"{}\"", identity.escape_ascii()),
            (None, true) => out.write_str(" resumed"),
            (None, false) => out.write_str(" full"),
        }
    }
}

/// RFC 7301 §3.1: `opaque ProtocolName<1..2^8-1>`.
pub(crate) fn check_alpn(protocols: &[Vec<u8>]) -> Result<(), ConfigError> {
    let bad = |protocol: &Vec<u8>| !(1..=255).contains(&protocol.len());
    match protocols.iter().position(bad) {
        Some(index) => Err(ConfigError::Alpn { index }),
        None => Ok(()),
    }
}

pub(crate) fn version_of(version: ProtocolVersion) -> Option<Version> {
    match version {
        ProtocolVersion::TLSv1_2 => Some(Version::Tls12),
        ProtocolVersion::TLSv1_3 => Some(Version::Tls13),
        _ => None,
    }
}

/// A suite as the IANA registry spells it; rustls writes TLS 1.3's in its own way.
pub(crate) fn suite_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

pub(crate) fn group_name(group: NamedGroup) -> &'static str {
    group.as_str().unwrap_or("unknown")
}

/// Bytes that sealing adds to each record of a suite, header included.
pub(crate) fn overhead(version: Version, suite: CipherSuite) -> usize {
    const HEADER: usize = 5;
    const TAG: usize = 16;
    let inside = match (version, suite) {
        // The content type (RFC 8446 §5.2).
        (Version::Tls13, _) => 1,
        // No explicit nonce (RFC 7905 §2).
        (
            Version::Tls12,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ) => 0,
        // The explicit nonce (RFC 5288 §3).
        (Version::Tls12, _) => 8,
    };
    HEADER + inside + TAG
}

//! What errors, suites and groups are called in the log.

use core::fmt;

use net::StreamError;

use crate::session::DialError;

/// Why dialling an address failed, as Linux's `strerror(3)` says it.
pub(super) struct Reason {
    pub(super) error: DialError,
    /// Whether it was a UNIX socket of the host.
    pub(super) unix: bool,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use net::ConnectError;
        match self.error {
            DialError::Failed(StreamError::Refused) => f.write_str("Connection refused (111)"),
            DialError::Failed(StreamError::Reset) => f.write_str("Connection reset by peer (104)"),
            DialError::Failed(StreamError::TimedOut) => f.write_str("Connection timed out (110)"),
            // That is all the launcher says it of (`host::network`).
            DialError::Failed(StreamError::Unreachable) if self.unix => {
                f.write_str("No such file or directory (2)")
            }
            DialError::Failed(StreamError::Prohibited) if self.unix => {
                f.write_str("Permission denied (13)")
            }
            // As Linux takes that answer (icmp(7), `EHOSTUNREACH`).
            DialError::Failed(StreamError::Unreachable | StreamError::Prohibited)
            | DialError::Refused(ConnectError::NoRoute) => f.write_str("No route to host (113)"),
            DialError::Refused(ConnectError::Unaddressable) => f.write_str("Invalid argument (22)"),
            DialError::Refused(ConnectError::PortsExhausted) => {
                f.write_str("Cannot assign requested address (99)")
            }
            error => error.fmt(f),
        }
    }
}

/// A suite as OpenSSL spells it: TLS 1.3's as the IANA registry does, older ones in its own way.
pub(super) struct Suite(pub(super) &'static str);

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((exchange, cipher)) = self.0.split_once("_WITH_") else {
            return f.write_str(self.0);
        };
        let exchange = exchange.strip_prefix("TLS_").unwrap_or(exchange);
        let cipher = match cipher {
            "AES_128_GCM_SHA256" => "AES128-GCM-SHA256",
            "AES_256_GCM_SHA384" => "AES256-GCM-SHA384",
            "CHACHA20_POLY1305_SHA256" => "CHACHA20-POLY1305",
            _ => return f.write_str(self.0),
        };
        for part in exchange.split('_') {
            write!(f, "{part}-")?;
        }
        f.write_str(cipher)
    }
}

/// How long a suite's keys are.
pub(super) fn key_bits(suite: &str) -> u16 {
    match suite.contains("AES_128") {
        true => 128,
        false => 256,
    }
}

/// A group as OpenSSL describes a key of it.
pub(super) struct Group(pub(super) &'static str);

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            "X25519" => "X25519, 253 bits",
            "secp256r1" => "ECDH, P-256, 256 bits",
            "secp384r1" => "ECDH, P-384, 384 bits",
            group => group,
        })
    }
}

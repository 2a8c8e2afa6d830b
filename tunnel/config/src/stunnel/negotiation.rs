//! What is said around TLS (`protocol` and what belongs to it), and by whom it is believed.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use zeroize::Zeroizing;

mod check;
pub(super) mod set;

pub(super) use check::server_name;

/// `protocol` with its options.
#[derive(Clone, PartialEq, Eq)]
pub struct Negotiation {
    /// What is spoken.
    pub protocol: Protocol,
    /// `protocolHost`: `HOST:PORT` for a client's `connect` and `socks`, the name to greet with for
    /// `smtp`.
    pub host: Option<String>,
    /// `protocolUsername`.
    pub username: Option<String>,
    /// `protocolPassword`.
    pub password: Option<Zeroizing<String>>,
    /// `protocolAuthentication`.
    pub authentication: Authentication,
    /// `protocolHeader`, each `NAME: VALUE`.
    pub headers: Vec<String>,
}

/// A protocol that is spoken around TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP CONNECT (RFC 9110 §9.3.6).
    Connect,
    /// IMAP STARTTLS (RFC 9051 §6.2.1).
    Imap,
    /// LDAP StartTLS (RFC 4511 §4.14); client mode alone.
    Ldap,
    /// NNTP STARTTLS (RFC 4642); client mode alone.
    Nntp,
    /// PostgreSQL's SSLRequest (PostgreSQL documentation, "Message Flow").
    Pgsql,
    /// POP3 STLS (RFC 2595 §4).
    Pop3,
    /// A PROXY header of version 1 for the backend; server mode alone.
    Proxy,
    /// The same of version 2.
    Proxy2,
    /// SMTP STARTTLS (RFC 3207).
    Smtp,
    /// SOCKS inside TLS, versions 4, 4a and 5 (RFC 1928).
    Socks,
}

/// How a client makes itself known (`protocolAuthentication`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// HTTP's Basic (RFC 7617).
    Basic,
    /// SASL PLAIN (RFC 4616).
    Plain,
    /// SASL LOGIN.
    Login,
}

/// Addresses with a common beginning (RFC 4632 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The beginning; bits behind it are 0.
    pub address: IpAddr,
    /// Its length in bits.
    pub prefix: u8,
}

impl Network {
    /// Those that begin as `address` does, `prefix` bits long: at most 32 or 128 of them count.
    pub fn new(address: IpAddr, prefix: u8) -> Network {
        let rest = u32::from(prefix);
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shr(rest).unwrap_or(0);
                IpAddr::V4((address.to_bits() & !mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shr(rest).unwrap_or(0);
                IpAddr::V6((address.to_bits() & !mask).into())
            }
        };
        Network { address, prefix }
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

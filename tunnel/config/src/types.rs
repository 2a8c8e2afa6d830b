//! The typed configuration: what the rest of the product sees.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use zeroize::Zeroizing;

use crate::hosting::HostingSource;
use crate::requests::Requests;

/// Everything the command line says, checked and with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How the image gets its IPv4 address.
    pub ipv4: Ipv4,
    /// The image's IPv6 address; without one, IPv6 is off.
    pub ipv6: Option<Ipv6>,
    /// Name servers, in order of preference. Empty: the ones DHCP names, else the gateway.
    pub dns: Vec<IpAddr>,
    /// Where TLS clients connect to, also those of hosts by name; without meaning beside `--conf`.
    pub accept: Accept,
    /// Where their plaintext goes, unless their host has a backend of its own; without meaning beside
    /// `--conf`.
    pub connect: Connect,
    /// What is served.
    pub services: ServiceSource,
    /// How plaintext is carried; without meaning beside `--conf`.
    pub requests: Requests,
    /// Whether the launcher has published the services' addresses on the host (`--published`):
    /// hosts to listen on are then the host's, and the image listens on all its addresses.
    pub published: bool,
    /// The syslog server that gets each log line (RFC 5426); without one, none does.
    pub syslog: Option<SocketAddr>,
    /// The most talkative level that reaches the console.
    pub log: log::LevelFilter,
    /// The cryptography behind TLS.
    pub crypto: Crypto,
}

/// How the image gets its IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4 {
    /// IPv4 is off: only `--ipv6` was given.
    Disabled,
    /// Address, gateway and name servers come from DHCP (RFC 2131).
    Dhcp,
    /// The address stands on the command line.
    Static {
        /// The image's own address: unicast, and neither the first nor the last of its network.
        address: Ipv4Addr,
        /// Length of the network prefix in bits, 1 to 32.
        prefix: u8,
        /// The default gateway, an on-link address other than `address`.
        gateway: Option<Ipv4Addr>,
    },
}

/// The image's IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// The image's own unicast address.
    pub address: Ipv6Addr,
    /// Length of the network prefix in bits, 1 to 128.
    pub prefix: u8,
    /// The default gateway: on-link or link-local, and other than `address`.
    pub gateway: Option<Ipv6Addr>,
}

/// Where TLS clients connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The one address to listen on; `None` means every address of the image.
    pub host: Option<IpAddr>,
    /// TCP port, never 0.
    pub port: u16,
}

/// Where plaintext goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The backend; `None` means the default gateway (IPv4's, or IPv6's if IPv4 has none).
    pub host: Option<Host>,
    /// TCP port, never 0.
    pub port: u16,
}

/// A peer's host: an address, or a name to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A literal address.
    Address(IpAddr),
    /// A host name as RFC 1123 §2.1 allows it, at most 253 bytes, without a final dot.
    Name(String),
}

/// Where the description of the services is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSource {
    /// One service, told by options.
    Single {
        /// The certificate chain, PEM, leaf first (`--cert`).
        certificate: Source,
        /// The private key of the chain's leaf, PEM (`--key`).
        key: Source,
    },
    /// The services of a stunnel configuration (`--conf`).
    Conf(Source),
    /// Hosts by name (`--remote`, `--hosts`).
    Hosting(Box<HostingSource>),
}

/// Where a text comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// It stood on the command line as `base64:…`; these are the decoded bytes.
    Inline(Zeroizing<Vec<u8>>),
    /// It is the file of this name in the boot archive (`file:NAME`).
    Archive(String),
}

/// The cryptography behind TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crypto {
    /// ring: C and assembly, fast.
    #[default]
    Ring,
    /// RustCrypto: Rust alone.
    RustCrypto,
}

impl fmt::Display for Accept {
    /// Writes the `[HOST:]PORT` form that the command line takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            None => write!(f, "{}", self.port),
        }
    }
}

impl fmt::Display for Connect {
    /// Writes the `[HOST:]PORT` form that the command line takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(Host::Address(IpAddr::V6(address))) => write!(f, "[{address}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, "{}", self.port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Source {
    /// Tells how long an inline text is, never what it says: it may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Source::Archive(name) => f.debug_tuple("Archive").field(name).finish(),
        }
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Crypto::Ring => "ring",
            Crypto::RustCrypto => "rustcrypto",
        })
    }
}

//! Why something did not work; each variant says who is at fault.

use core::fmt;
use core::net::IpAddr;

/// Why a [`Config`](crate::Config) is no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The card's address is a multicast or zero address.
    MacNotUnicast,
    /// The device is not an Ethernet card, or its MTU cannot carry IP.
    DeviceUnsuitable,
    /// The address is unspecified, multicast, broadcast or loopback.
    AddressNotUnicast(IpAddr),
    /// The prefix is longer than an address.
    PrefixTooLong(IpAddr, u8),
    /// The gateway is outside the network of our address.
    GatewayNotOnLink(IpAddr),
    /// More DNS servers than the resolver can ask.
    TooManyDnsServers {
        /// Most that can be used.
        most: usize,
    },
    /// A DNS server's address is no unicast address.
    DnsNotUnicast(IpAddr),
    /// The guest's Ethernet address is no unicast address, or our own.
    GuestMacUnusable,
    /// The guest's address is outside our own network, or our own address.
    GuestNotOnLink(IpAddr),
    /// A gateway without a static address.
    GatewayWithoutAddress,
    /// A gateway is asked for in the image, which is never one.
    GatewayNotBuilt,
    /// A bound or buffer size is zero or beyond what TCP can use.
    LimitOutOfRange,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MacNotUnicast => f.write_str("the network card has no usable Ethernet address"),
            Self::DeviceUnsuitable => {
                f.write_str("the network card is not Ethernet or its MTU is too small for IP")
            }
            Self::AddressNotUnicast(address) => {
                write!(f, "{address} is not an address for a single host")
            }
            Self::PrefixTooLong(address, prefix) => {
                write!(f, "/{prefix} is too long a prefix for {address}")
            }
            Self::GatewayNotOnLink(gateway) => {
                write!(f, "the gateway {gateway} is outside our own network")
            }
            Self::TooManyDnsServers { most } => {
                write!(f, "at most {most} DNS servers can be used")
            }
            Self::DnsNotUnicast(address) => {
                write!(f, "{address} cannot be the address of a DNS server")
            }
            Self::GuestMacUnusable => f.write_str("the guest has no usable Ethernet address"),
            Self::GuestNotOnLink(guest) => {
                write!(
                    f,
                    "the guest's address {guest} is not inside our own network"
                )
            }
            Self::GatewayWithoutAddress => {
                f.write_str("a gateway needs a static address of its own")
            }
            Self::GatewayNotBuilt => f.write_str("the image cannot be a gateway"),
            Self::LimitOutOfRange => f.write_str("a limit of the network stack is out of range"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why [`Stack::listen`](crate::Stack::listen) refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// Port 0 cannot be listened on.
    PortZero,
    /// A listener already has this port, at this address or at all of them.
    InUse,
    /// There are as many listeners as the table holds.
    TooMany,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortZero => "port 0 cannot be listened on",
            Self::InUse => "Address already in use (98)",
            Self::TooMany => "there are too many listeners",
        })
    }
}

impl core::error::Error for ListenError {}

/// Why [`Stack::connect`](crate::Stack::connect) cannot even begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The remote address or port can never be connected to.
    Unaddressable,
    /// No address of ours, or no route, reaches that address family now.
    NoRoute,
    /// As many streams exist as [`Limits::streams`](crate::Limits::streams) allows.
    TooManyStreams,
    /// Every local port towards this remote address is in use.
    PortsExhausted,
    /// The local address asked for is not one of ours, or of the other family.
    NotOurAddress,
    /// There is a connection between these two ends already.
    InUse,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unaddressable => "the address cannot be connected to",
            Self::NoRoute => "there is no route to the address",
            Self::TooManyStreams => "there are too many connections",
            Self::PortsExhausted => "no local port is free towards the address",
            Self::NotOurAddress => "the local address to connect from is not ours",
            Self::InUse => "these two ends are connected already",
        })
    }
}

impl core::error::Error for ConnectError {}

/// Why [`Stack::admit`](crate::Stack::admit) does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdmitError {
    /// The request was answered or withdrawn before.
    NoSuchRequest,
    /// As many streams exist as [`Limits::streams`](crate::Limits::streams) allows; the request
    /// still waits.
    TooManyStreams,
}

impl fmt::Display for AdmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchRequest => "the request does not wait any more",
            Self::TooManyStreams => "there are too many connections",
        })
    }
}

impl core::error::Error for AdmitError {}

/// Why [`Stack::send_datagram`](crate::Stack::send_datagram) cannot send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatagramError {
    /// The remote address or port can never be sent to.
    Unaddressable,
    /// No address of ours, or no route, reaches that address family now.
    NoRoute,
    /// It would not fit into one frame.
    TooLong {
        /// Most bytes of payload.
        most: usize,
    },
    /// As many datagrams as the queue holds wait to be sent.
    Full,
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unaddressable => f.write_str("the address cannot be sent to"),
            Self::NoRoute => f.write_str("there is no route to the address"),
            Self::TooLong { most } => write!(f, "a datagram carries at most {most} bytes"),
            Self::Full => f.write_str("too many datagrams wait to be sent"),
        }
    }
}

impl core::error::Error for DatagramError {}

/// Why a connection ended other than in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer answered our SYN with RST.
    Refused,
    /// The peer sent RST, or we did.
    Reset,
    /// The peer stopped answering.
    TimedOut,
    /// A router said that the peer cannot be reached, or we lost our address.
    Unreachable,
    /// A router said that the peer may not be reached from here.
    Prohibited,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::TimedOut => "connection timed out",
            Self::Unreachable => "destination unreachable",
            Self::Prohibited => "communication prohibited",
        })
    }
}

impl core::error::Error for StreamError {}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name is empty, too long or has characters no host name has.
    InvalidName,
    /// `localhost` and names under it: there is nothing on this machine to connect to.
    Localhost,
    /// No DNS server is configured.
    NoServer,
    /// As many queries are open as the resolver holds.
    TooManyQueries,
    /// The servers answered that the name does not exist or has no address.
    NotFound,
    /// No server answered in time.
    TimedOut,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "not a valid host name",
            Self::Localhost => "localhost is the appliance itself, which serves nothing there",
            Self::NoServer => "no DNS server is known",
            Self::TooManyQueries => "too many DNS queries are open",
            Self::NotFound => "the name has no address",
            Self::TimedOut => "no DNS server answered",
        })
    }
}

impl core::error::Error for ResolveError {}

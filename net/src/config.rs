//! What the owner decides: addresses, bounds, entropy.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Everything a [`Stack`](crate::Stack) needs to know before its first frame.
#[derive(Clone, Debug)]
pub struct Config {
    /// The card's Ethernet address; must be unicast.
    pub mac: [u8; 6],
    /// Where the IPv4 address comes from.
    pub ipv4: Ipv4Config,
    /// A static IPv6 address, when there is one.
    pub ipv6: Option<Ipv6Config>,
    /// DNS servers. Empty: those of the DHCP lease, else the gateways.
    pub dns: Vec<IpAddr>,
    /// Entropy from the machine's generator: keys the connection table, sequence numbers and ports.
    pub seed: [u8; 32],
    /// The named bounds.
    pub limits: Limits,
    /// Which end of what kind of link this is.
    pub role: Role,
}

/// Which end of what kind of link the stack is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A host on a network.
    #[default]
    Host,
    /// A host whose link leads to a launcher, which is its gateway: the launcher's clients come with
    /// their own addresses, and those may be loopback ones (127/8, `::1`), which a host must
    /// otherwise never see on a network (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3).
    Published,
    /// The launcher's end of that link. There is one other host on it, the guest; all that it sends
    /// comes here, whatever the destination, and connections to it come from any address.
    ///
    /// The addresses of [`Config`] are those at which the guest has its gateway; they are static.
    /// [`Config::dns`] is what the guest is told by DHCP.
    Gateway {
        /// The guest's Ethernet address; nothing else is on the link.
        guest_mac: [u8; 6],
        /// The guest's IPv4 address, inside our network; it gets this one if it asks by DHCP.
        guest_ipv4: Ipv4Addr,
        /// The guest's IPv6 address, inside our network, if it has one.
        guest_ipv6: Option<Ipv6Addr>,
    },
}

/// Where the IPv4 address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Config {
    /// No IPv4 at all.
    Disabled,
    /// Ask a DHCP server (RFC 2131).
    Dhcp,
    /// A fixed address.
    Static {
        /// Our address.
        address: Ipv4Addr,
        /// Length of the network prefix, 0 to 32.
        prefix: u8,
        /// The default router, which must be inside the prefix.
        gateway: Option<Ipv4Addr>,
    },
}

/// A fixed IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Config {
    /// Our address.
    pub address: Ipv6Addr,
    /// Length of the network prefix, 0 to 128.
    pub prefix: u8,
    /// The default router, inside the prefix or link-local.
    pub gateway: Option<Ipv6Addr>,
}

/// Bounds of everything that peers can make grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets in all, accepted and connected ones together.
    pub streams: usize,
    /// Connections whose handshake a client has begun but not finished. One more has to
    /// wait until the oldest of them has had its time and gives way.
    pub half_open: usize,
    /// Receive buffer of each socket, in bytes.
    pub recv_buffer: usize,
    /// Send buffer of each socket, in bytes.
    pub send_buffer: usize,
}

/// The addresses in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4 address and prefix length.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// IPv4 default router.
    pub ipv4_gateway: Option<Ipv4Addr>,
    /// IPv6 address and prefix length.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// IPv6 default router.
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// DNS servers, in the order they are asked.
    pub dns: Vec<IpAddr>,
}

//! Which addresses are ours, and which are reached how.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use smoltcp::iface::Routes;
use smoltcp::wire::IpCidr;

use super::Stack;
use crate::classify::is_host;
use crate::service::{Lease, MAX_DNS_SERVERS};
use crate::{Addresses, Config, ConfigError, Event, Ipv4Config, Limits};

/// Sockets a stack can name.
const MAX_STREAMS: usize = 1 << 20;
/// Smallest socket buffer that carries a full Ethernet segment, bytes.
const MIN_BUFFER: usize = 1536;
/// Largest window that TCP can announce (RFC 7323 §2.2), bytes.
const MAX_BUFFER: usize = 1 << 30;

/// Checks a configuration; the static addresses it gives.
pub(super) fn check(config: &Config) -> Result<Addresses, ConfigError> {
    if config.mac[0] & 1 != 0 || config.mac == [0; 6] {
        return Err(ConfigError::MacNotUnicast);
    }
    let Limits {
        streams,
        half_open,
        recv_buffer,
        send_buffer,
    } = config.limits;
    let buffers = MIN_BUFFER..=MAX_BUFFER;
    if !(1..=MAX_STREAMS).contains(&streams)
        || half_open == 0
        || !buffers.contains(&recv_buffer)
        || !buffers.contains(&send_buffer)
    {
        return Err(ConfigError::LimitOutOfRange);
    }
    let mut addresses = Addresses::default();
    if let Ipv4Config::Static {
        address,
        prefix,
        gateway,
    } = config.ipv4
    {
        check_address(address.into(), prefix, 32, gateway.map(IpAddr::from))?;
        addresses.ipv4 = Some((address, prefix));
        addresses.ipv4_gateway = gateway;
    }
    if let Some(ipv6) = config.ipv6 {
        let gateway = ipv6.gateway;
        let link_local = gateway.is_some_and(|g| g.is_unicast_link_local());
        let routed = gateway.filter(|_| !link_local).map(IpAddr::from);
        check_address(ipv6.address.into(), ipv6.prefix, 128, routed)?;
        addresses.ipv6 = Some((ipv6.address, ipv6.prefix));
        addresses.ipv6_gateway = gateway;
    }
    if config.dns.len() > MAX_DNS_SERVERS {
        return Err(ConfigError::TooManyDnsServers {
            most: MAX_DNS_SERVERS,
        });
    }
    match config.dns.iter().find(|server| !is_host(**server)) {
        Some(server) => Err(ConfigError::DnsNotUnicast(*server)),
        None => Ok(addresses),
    }
}

fn check_address(
    address: IpAddr,
    prefix: u8,
    longest: u8,
    gateway: Option<IpAddr>,
) -> Result<(), ConfigError> {
    if prefix > longest {
        return Err(ConfigError::PrefixTooLong(address, prefix));
    }
    if !is_host(address) || is_edge(address, prefix) {
        return Err(ConfigError::AddressNotUnicast(address));
    }
    match gateway {
        Some(gateway) if !reaches(address, prefix, gateway) => {
            Err(ConfigError::GatewayNotOnLink(gateway))
        }
        _ => Ok(()),
    }
}

/// Whether `gateway` is another host inside the network.
pub(crate) fn reaches(address: IpAddr, prefix: u8, gateway: IpAddr) -> bool {
    is_host(gateway)
        && gateway != address
        && IpCidr::new(address.into(), prefix).contains_addr(&gateway.into())
        && !is_edge(gateway, prefix)
}

/// Whether an IPv4 address is its network's own or broadcast address (RFC 1122 §3.2.1.3; networks
/// of two hosts have neither, RFC 3021).
pub(crate) fn is_edge(address: IpAddr, prefix: u8) -> bool {
    let IpAddr::V4(address) = address else {
        return false;
    };
    let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    host > 1 && (address.to_bits() & host == 0 || address.to_bits() & host == host)
}

/// RFC 4291 §2.5.6 with the interface identifier of its appendix A.
pub(crate) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        pair(a ^ 2, b),
        pair(c, 0xff),
        pair(0xfe, d),
        pair(e, f),
    )
}

impl Stack {
    /// Puts addresses into force.
    pub(super) fn apply(&mut self, addresses: Addresses) {
        let Addresses {
            ipv4,
            ipv4_gateway,
            ipv6,
            ipv6_gateway,
            dns,
        } = addresses;
        let link_local = ipv6.map(|_| (link_local(self.link.mac), 64));
        let iface = &mut self.shard.iface;
        iface.update_ip_addrs(|list| {
            list.clear();
            let ipv4 = ipv4.map(|(address, prefix)| IpCidr::new(address.into(), prefix));
            let ipv6 = ipv6
                .into_iter()
                .chain(link_local)
                .map(|(address, prefix)| IpCidr::new(address.into(), prefix));
            for cidr in ipv4.into_iter().chain(ipv6) {
                // Three at most, and there is room for four.
                let _ = list.push(cidr);
            }
        });
        let mut routes = Routes::new();
        // One default route a family, of the two that fit.
        if let Some(gateway) = ipv4_gateway {
            let _ = routes.add_default_ipv4_route(gateway);
        }
        if let Some(gateway) = ipv6_gateway {
            let _ = routes.add_default_ipv6_route(gateway);
        }
        *iface.routes_mut() = routes;
        let gateways = [
            ipv4_gateway.map(IpAddr::from),
            ipv6_gateway.map(IpAddr::from),
        ];
        self.shard.gateways = gateways;
        let dns = match (self.configured_dns.is_empty(), dns.is_empty()) {
            (false, _) => self.configured_dns.clone(),
            (true, false) => dns,
            (true, true) => gateways.into_iter().flatten().collect(),
        };
        self.service.set_servers(&dns);
        self.addresses = Addresses {
            ipv4,
            ipv4_gateway,
            ipv6,
            ipv6_gateway,
            dns,
        };
    }

    /// Follows the DHCP client.
    pub(super) fn take_lease(&mut self) {
        let Some(news) = self.service.lease() else {
            return;
        };
        let mut addresses = self.addresses.clone();
        let had = addresses.ipv4.take();
        addresses.ipv4_gateway = None;
        addresses.dns = Vec::new();
        let event = match news.map(|lease| checked(&lease).map(|()| lease)) {
            Some(Ok(lease)) => {
                let network = (lease.address, lease.prefix);
                addresses.ipv4 = Some(network);
                addresses.ipv4_gateway = lease
                    .router
                    .filter(|router| reaches(lease.address.into(), lease.prefix, (*router).into()));
                if lease.router.is_some() && addresses.ipv4_gateway.is_none() {
                    log::warn!("the DHCP server's router is outside our network: not used");
                }
                addresses.dns = lease.dns;
                addresses.dns.retain(|server| is_host(*server));
                Event::Configured
            }
            Some(Err(error)) => {
                log::warn!("the DHCP server's offer is of no use: {error}");
                // Its renewal, or another server after it has expired, may bring a better one.
                Event::Deconfigured
            }
            None => Event::Deconfigured,
        };
        if addresses.ipv4.is_none() && had.is_none() {
            return;
        }
        self.apply(addresses);
        // Only the latest state of the addresses is of interest.
        self.shard.events.forget_addresses();
        self.shard.events.push(event);
        if had.is_some() && had.map(|had| had.0) != self.addresses.ipv4.map(|has| has.0) {
            let Addresses { ipv4, .. } = self.addresses;
            self.shard.address_lost(|ip| match ip {
                IpAddr::V4(ip) => ipv4.is_some_and(|(ours, _)| ours == ip),
                IpAddr::V6(_) => true,
            });
        }
    }

    /// Whether an address is this host's: for a gateway, every one.
    pub(super) fn is_ours(&self, address: IpAddr) -> bool {
        self.shard.iface.has_ip_addr(address)
    }

    /// Whether nobody else has this address.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        let addresses = self.shard.iface.ip_addrs();
        addresses
            .iter()
            .any(|own| IpAddr::from(own.address()) == address)
    }

    /// The address from which `remote` is reached, when there is a way.
    pub(super) fn source_for(&self, remote: IpAddr) -> Option<IpAddr> {
        let on_link = |cidr: &IpCidr| cidr.contains_addr(&remote.into());
        let iface = &self.shard.iface;
        let gateway = match remote {
            IpAddr::V4(_) => self.addresses.ipv4_gateway.is_some(),
            IpAddr::V6(_) => self.addresses.ipv6_gateway.is_some(),
        };
        let ours = iface.ip_addrs().iter().any(on_link);
        if !gateway && !ours || self.is_broadcast(remote) {
            return None;
        }
        iface.get_source_address(&remote.into()).map(IpAddr::from)
    }

    fn is_broadcast(&self, remote: IpAddr) -> bool {
        self.addresses.ipv4.is_some_and(|(ours, prefix)| {
            IpCidr::new(ours.into(), prefix).contains_addr(&remote.into())
                && is_edge(remote, prefix)
        })
    }
}

/// Why a lease is of no use.
#[derive(Debug, PartialEq)]
enum LeaseError {
    Address(ConfigError),
    /// The subnet mask has no network part.
    Mask,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Mask => f.write_str("the subnet mask 0.0.0.0 names no network"),
        }
    }
}

/// Checks what a DHCP server gives.
///
/// "The subnet mask option specifies the client's subnet mask as per RFC 950" (RFC 2132 §3.3),
/// and there a mask marks a network: with none, the whole world would be our link, and no packet
/// would ever go to the router. (smoltcp passes over an acknowledgement whose mask has holes or is
/// missing.)
fn checked(lease: &Lease) -> Result<(), LeaseError> {
    if lease.prefix == 0 {
        return Err(LeaseError::Mask);
    }
    check_address(lease.address.into(), lease.prefix, 32, None).map_err(LeaseError::Address)
}

//! Which addresses can be a host's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddressFault, Problem};

/// Refuses what can't be the address of one host (RFC 6890 §2.2.2, §2.2.3; RFC 5771).
pub(super) fn unicast(address: IpAddr) -> Result<(), AddressFault> {
    let fault = match address {
        IpAddr::V4(ipv4) if ipv4.is_broadcast() => AddressFault::Broadcast,
        IpAddr::V6(ipv6) if ipv6.to_ipv4_mapped().is_some() => AddressFault::Reserved,
        _ if address.is_unspecified() => AddressFault::Unspecified,
        IpAddr::V4(ipv4) if matches!(ipv4.octets(), [0 | 240.., ..]) => AddressFault::Reserved,
        _ if address.is_loopback() => AddressFault::Loopback,
        _ if address.is_multicast() => AddressFault::Multicast,
        _ => return Ok(()),
    };
    Err(fault)
}

/// Refuses what can't be a host of a network of this prefix.
///
/// RFC 1122 §3.2.1.3: host bits all 0 or all 1 are the network's and the broadcast address;
/// RFC 3021: but for networks of two addresses, and a network of one has no host bits.
pub(super) fn host_of(address: Ipv4Addr, prefix: u8) -> Result<(Ipv4Addr, u8), Problem> {
    let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    let host = address.to_bits() & host_bits;
    let fault = match unicast(address.into()) {
        Err(fault) => Some(fault),
        Ok(()) if prefix >= 31 => None,
        Ok(()) if host == 0 => Some(AddressFault::Network),
        Ok(()) if host == host_bits => Some(AddressFault::Broadcast),
        Ok(()) => None,
    };
    match fault {
        None => Ok((address, prefix)),
        Some(fault) => Err(Problem::Address {
            address: address.into(),
            fault,
        }),
    }
}

/// Refuses what can't be the image's own address.
///
/// RFC 4291 §2.6.1: host bits all 0 are the routers' anycast address; RFC 6164: but for
/// links between two routers.
pub(super) fn host_of6(address: Ipv6Addr, prefix: u8) -> Result<(Ipv6Addr, u8), Problem> {
    let fault = match unicast(address.into()) {
        Err(fault) => fault,
        Ok(()) if prefix < 127 && network6(address, prefix) == address => AddressFault::Network,
        Ok(()) => return Ok((address, prefix)),
    };
    Err(Problem::Address {
        address: address.into(),
        fault,
    })
}

pub(super) fn network4(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & !host_bits)
}

pub(super) fn network6(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let host_bits = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & !host_bits)
}

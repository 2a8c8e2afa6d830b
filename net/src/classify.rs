//! What a received frame is, and whose, decided before smoltcp sees it.
//!
//! Nothing here trusts a length. What no host may legitimately send (RFC 1122 §3.2.1.3) ends here,
//! which also keeps smoltcp's own assertions about addresses true.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::StreamError;
use crate::flow::Flow;

pub(crate) const ETHERNET_HEADER: usize = 14;
pub(crate) const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

const PROTOCOL_HOP_BY_HOP: u8 = 0;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;

/// TCP control bits (RFC 9293 §3.1).
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x10;
}

/// What to do with a frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Class {
    /// Not for us, malformed, or nothing a host answers.
    Drop,
    /// ARP or neighbour discovery: smoltcp's cache may change.
    Neighbor,
    /// DHCP, DNS or echo.
    Service,
    /// Deserves an ICMP error at most; answered at a bounded rate.
    Stray,
    /// A TCP segment addressed to this host's card.
    Tcp(Segment),
    /// A router or host says that a segment of ours did not arrive.
    Undeliverable(Undeliverable),
}

/// The parts of a TCP segment that the demultiplexer needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Segment {
    pub(crate) flow: Flow,
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    /// As in the header, not scaled.
    pub(crate) window: u16,
    /// Bytes of payload.
    pub(crate) payload: u32,
    /// Ethernet address it came from, to which a reply without look-up goes.
    pub(crate) source_mac: [u8; 6],
}

impl Segment {
    /// The first segment of a handshake: SYN and none of ACK, RST, FIN.
    pub(crate) fn opens(&self) -> bool {
        self.flags & (flag::SYN | flag::ACK | flag::RST | flag::FIN) == flag::SYN
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The sequence number after this segment.
    pub(crate) fn end(&self) -> u32 {
        let controls = u32::from(self.has(flag::SYN)) + u32::from(self.has(flag::FIN));
        self.sequence
            .wrapping_add(self.payload)
            .wrapping_add(controls)
    }
}

/// An ICMP destination-unreachable about a segment that we sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Undeliverable {
    pub(crate) flow: Flow,
    /// Sequence number of the segment it quotes: proof that the sender saw it (RFC 5927 §4.1).
    pub(crate) sequence: u32,
    pub(crate) error: StreamError,
}

/// What a card's link may carry.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The card's own address.
    pub(crate) mac: [u8; 6],
    pub(crate) loopback: Loopback,
}

/// Where TCP segments on a link may have a loopback address (RFC 1122 §3.2.1.3 (g): nowhere).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loopback {
    Nowhere,
    /// At the other end: [`Role::Published`](crate::Role::Published).
    Remote,
    /// At this end: [`Role::Gateway`](crate::Role::Gateway).
    Local,
}

/// Classifies an Ethernet frame that came in by `link`.
pub(crate) fn classify(frame: &[u8], link: &Link) -> Class {
    parse(frame, link).unwrap_or(Class::Drop)
}

fn parse(frame: &[u8], link: &Link) -> Option<Class> {
    let destination: [u8; 6] = array(frame, 0)?;
    let source_mac: [u8; 6] = array(frame, 6)?;
    let unicast = destination == link.mac;
    if !unicast && !is_group(destination) || is_group(source_mac) || source_mac == link.mac {
        return None;
    }
    let packet = frame.get(ETHERNET_HEADER..)?;
    match u16_at(frame, 12)? {
        0x0806 => Some(Class::Neighbor),
        0x0800 => ipv4(packet, unicast, source_mac, link),
        0x86dd => ipv6(packet, unicast, source_mac, link),
        _ => None,
    }
}

#[inline(always)]
fn ipv4(packet: &[u8], unicast: bool, source_mac: [u8; 6], link: &Link) -> Option<Class> {
    let first = *packet.first()?;
    let header = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16_at(packet, 2)?);
    if first >> 4 != 4 || header < 20 || total < header {
        return None;
    }
    let payload = packet.get(header..total)?;
    // Fragments are not reassembled: TCP never sends any, and a queue of them is a target.
    if u16_at(packet, 6)? & 0x3fff != 0 {
        return None;
    }
    let source = Ipv4Addr::from(array::<4>(packet, 12)?);
    let destination = Ipv4Addr::from(array::<4>(packet, 16)?);
    if (!is_host_v4(source) || destination.is_unspecified() || destination.is_loopback())
        && !excused(destination.into(), source.into(), *packet.get(9)?, link)
    {
        return None;
    }
    match *packet.get(9)? {
        PROTOCOL_TCP if unicast && is_one_v4(destination) => {
            tcp(payload, destination.into(), source.into(), source_mac)
        }
        PROTOCOL_TCP => None,
        PROTOCOL_UDP => udp(payload),
        PROTOCOL_ICMP => match *payload.first()? {
            8 if unicast => Some(Class::Service),
            3 => icmp_unreachable(payload, *payload.get(1)?),
            _ => None,
        },
        _ if unicast => Some(Class::Stray),
        _ => None,
    }
}

#[inline(always)]
fn ipv6(packet: &[u8], unicast: bool, source_mac: [u8; 6], link: &Link) -> Option<Class> {
    let length = usize::from(u16_at(packet, 4)?);
    if *packet.first()? >> 4 != 6 {
        return None;
    }
    let payload = packet.get(IPV6_HEADER..IPV6_HEADER + length)?;
    let source = Ipv6Addr::from(array::<16>(packet, 8)?);
    let destination = Ipv6Addr::from(array::<16>(packet, 24)?);
    if (!is_host_v6(source) || destination.is_unspecified() || destination.is_loopback())
        && !excused(destination.into(), source.into(), *packet.get(6)?, link)
    {
        return None;
    }
    match *packet.get(6)? {
        PROTOCOL_TCP if unicast && is_one_v6(destination) => {
            tcp(payload, destination.into(), source.into(), source_mac)
        }
        PROTOCOL_TCP => None,
        PROTOCOL_UDP => udp(payload),
        PROTOCOL_ICMPV6 => match *payload.first()? {
            128 if unicast => Some(Class::Service),
            135 | 136 => Some(Class::Neighbor),
            1 => icmpv6_unreachable(payload, *payload.get(1)?),
            _ => None,
        },
        // Multicast listener queries; this host joins no group that needs a report.
        PROTOCOL_HOP_BY_HOP => None,
        _ if unicast => Some(Class::Stray),
        _ => None,
    }
}

/// Whether addresses that no host may have are right on this link: TCP's, one of them a loopback
/// address at the end where it may be, the other a host's.
#[cold]
fn excused(local: IpAddr, remote: IpAddr, protocol: u8, link: &Link) -> bool {
    let (client, host) = match link.loopback {
        Loopback::Nowhere => return false,
        Loopback::Remote => (remote, local),
        Loopback::Local => (local, remote),
    };
    protocol == PROTOCOL_TCP && client.is_loopback() && is_host(host)
}

fn tcp(segment: &[u8], local: IpAddr, remote: IpAddr, source_mac: [u8; 6]) -> Option<Class> {
    let remote_port = u16_at(segment, 0)?;
    let local_port = u16_at(segment, 2)?;
    let header = usize::from(*segment.get(12)? >> 4) * 4;
    if header < TCP_HEADER || remote_port == 0 || local_port == 0 || remote == local {
        return None;
    }
    let payload = segment.len().checked_sub(header)?;
    Some(Class::Tcp(Segment {
        flow: Flow {
            local: SocketAddr::new(local, local_port),
            remote: SocketAddr::new(remote, remote_port),
        },
        flags: *segment.get(13)?,
        sequence: u32_at(segment, 4)?,
        acknowledgment: u32_at(segment, 8)?,
        window: u16_at(segment, 14)?,
        payload: u32::try_from(payload).ok()?,
        source_mac,
    }))
}

fn udp(datagram: &[u8]) -> Option<Class> {
    let source = u16_at(datagram, 0)?;
    let destination = u16_at(datagram, 2)?;
    if datagram.len() < UDP_HEADER {
        return None;
    }
    match (source, destination) {
        (67, 68) => Some(Class::Service),
        (53, 1024..) => Some(Class::Service),
        // smoltcp takes answers from the multicast DNS port whoever sends them.
        (5353, _) => None,
        _ => Some(Class::Stray),
    }
}

/// RFC 792: "the internet header plus the first 64 bits of the original datagram's data".
fn icmp_unreachable(message: &[u8], code: u8) -> Option<Class> {
    let error = match code {
        2 | 3 => StreamError::Refused,
        // "Fragmentation needed" does not end a connection.
        4 => return None,
        // Network, host and communication "administratively prohibited" (RFC 1122 §3.2.2.1, RFC 1812
        // §5.2.7.1).
        9 | 10 | 13 => StreamError::Prohibited,
        _ => StreamError::Unreachable,
    };
    let original = message.get(8..)?;
    let header = usize::from(*original.first()? & 0x0f) * 4;
    if header < 20 || *original.get(9)? != PROTOCOL_TCP {
        return None;
    }
    let local = Ipv4Addr::from(array::<4>(original, 12)?).into();
    let remote = Ipv4Addr::from(array::<4>(original, 16)?).into();
    quoted(original.get(header..)?, local, remote, error)
}

/// RFC 4443 §3.1.
fn icmpv6_unreachable(message: &[u8], code: u8) -> Option<Class> {
    let error = match code {
        4 => StreamError::Refused,
        1 => StreamError::Prohibited,
        _ => StreamError::Unreachable,
    };
    let original = message.get(8..)?;
    if *original.get(6)? != PROTOCOL_TCP {
        return None;
    }
    let local = Ipv6Addr::from(array::<16>(original, 8)?).into();
    let remote = Ipv6Addr::from(array::<16>(original, 24)?).into();
    quoted(original.get(IPV6_HEADER..)?, local, remote, error)
}

fn quoted(segment: &[u8], local: IpAddr, remote: IpAddr, error: StreamError) -> Option<Class> {
    Some(Class::Undeliverable(Undeliverable {
        flow: Flow {
            local: SocketAddr::new(local, u16_at(segment, 0)?),
            remote: SocketAddr::new(remote, u16_at(segment, 2)?),
        },
        sequence: u32_at(segment, 4)?,
        error,
    }))
}

/// What our own stack put into a frame, read back from the transmit buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outgoing {
    Tcp(Sent),
    /// ARP or neighbour solicitation.
    Solicitation,
    Other,
}

/// Sequence numbers of the last TCP segment sent on a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) sequence: u32,
    /// The sequence number after it.
    pub(crate) end: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) window: u16,
    pub(crate) flags: u8,
}

impl Sent {
    /// Whether this, which has no bytes, lies before what has been sent up to `highest`.
    pub(crate) fn is_stale(&self, highest: u32) -> bool {
        let behind = highest.wrapping_sub(self.sequence);
        behind != 0 && behind < 1 << 31 && self.flags & flag::RST == 0
    }
}

/// Reads back a frame that smoltcp has just written.
pub(crate) fn outgoing(frame: &[u8]) -> Outgoing {
    read_back(frame).unwrap_or(Outgoing::Other)
}

fn read_back(frame: &[u8]) -> Option<Outgoing> {
    let packet = frame.get(ETHERNET_HEADER..)?;
    let (protocol, header) = match u16_at(frame, 12)? {
        0x0806 => return Some(Outgoing::Solicitation),
        0x0800 => (*packet.get(9)?, usize::from(*packet.first()? & 0x0f) * 4),
        _ => (*packet.get(6)?, IPV6_HEADER),
    };
    let payload = packet.get(header..)?;
    match protocol {
        PROTOCOL_TCP => {
            let data = payload
                .len()
                .checked_sub(usize::from(*payload.get(12)? >> 4) * 4)?;
            let flags = *payload.get(13)?;
            let sequence = u32_at(payload, 4)?;
            let controls = u32::from(flags & flag::SYN != 0) + u32::from(flags & flag::FIN != 0);
            Some(Outgoing::Tcp(Sent {
                sequence,
                end: sequence
                    .wrapping_add(u32::try_from(data).ok()?)
                    .wrapping_add(controls),
                acknowledgment: u32_at(payload, 8)?,
                window: u16_at(payload, 14)?,
                flags,
            }))
        }
        PROTOCOL_ICMPV6 if *payload.first()? == 135 => Some(Outgoing::Solicitation),
        _ => None,
    }
}

/// Whether this can be one host's address on a network.
pub(crate) fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_host_v4(address),
        IpAddr::V6(address) => is_host_v6(address),
    }
}

fn is_host_v4(address: Ipv4Addr) -> bool {
    is_one_v4(address) && !address.is_loopback()
}

fn is_host_v6(address: Ipv6Addr) -> bool {
    is_one_v6(address) && !address.is_loopback()
}

/// Whether this can be one host's address, at least inside that host.
fn is_one_v4(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8 is "this network" (RFC 1122 §3.2.1.3).
    address.octets()[0] != 0 && !address.is_multicast() && !address.is_broadcast()
}

fn is_one_v6(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address.to_ipv4_mapped().is_none()
}

fn is_group(mac: [u8; 6]) -> bool {
    mac[0] & 1 != 0
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;

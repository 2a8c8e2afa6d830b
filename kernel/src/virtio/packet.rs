//! Finding the TCP or UDP segment of an Ethernet frame, and checking its checksum.
//!
//! The frame is a stranger's: every field is checked before it is followed.

use super::checksum::{fold, sum};

/// Bytes of an Ethernet header without VLAN tag.
pub(super) const ETHERNET_HEADER: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPV4_HEADER_LEAST: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER_LEAST: usize = 20;
const UDP_HEADER: usize = 8;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// Extension headers followed in one packet; RFC 8200 §4.1 knows of fewer.
const EXTENSION_HEADERS_MOST: usize = 8;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IpVersion {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// Where a frame's TCP or UDP segment lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Segment {
    pub(super) version: IpVersion,
    pub(super) protocol: Protocol,
    /// Bytes from the start of the frame.
    pub(super) start: usize,
    /// Bytes, header included; the frame holds them all.
    pub(super) length: usize,
    /// The sum of both IP addresses.
    addresses: u16,
}

impl Segment {
    /// The sum of the pseudo-header over `length` bytes (RFC 9293 §3.1, RFC 8200 §8.1).
    pub(super) fn pseudo_header(&self, length: usize) -> u16 {
        let number = match self.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
        };
        fold(u64::from(self.addresses) + u64::from(number) + length as u64)
    }
}

/// What a frame carries, as far as checksums are concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Contents {
    /// A whole TCP or UDP segment.
    Segment(Segment),
    /// A part of a TCP or UDP segment, whose checksum covers more than this frame.
    Fragment,
    /// Anything else, from ARP to ICMP.
    Other,
    /// An IP packet whose lengths contradict each other or the frame.
    Malformed,
}

/// Looks at a frame, from its Ethernet header on.
pub(super) fn inspect(frame: &[u8]) -> Contents {
    let Some(packet) = frame.get(ETHERNET_HEADER..) else {
        return Contents::Malformed;
    };
    let contents = match be16(frame, 12) {
        Some(ETHERTYPE_IPV4) => inspect_ipv4(packet),
        Some(ETHERTYPE_IPV6) => inspect_ipv6(packet),
        _ => Some(Contents::Other),
    };
    contents.unwrap_or(Contents::Malformed)
}

/// RFC 791 §3.1. `None` when something does not fit.
fn inspect_ipv4(packet: &[u8]) -> Option<Contents> {
    let first = *packet.first()?;
    let header = usize::from(first & 0xf) * 4;
    let total = usize::from(be16(packet, 2)?);
    if first >> 4 != 4 || header < IPV4_HEADER_LEAST || total < header || total > packet.len() {
        return None;
    }
    let protocol = match *packet.get(9)? {
        TCP => Protocol::Tcp,
        UDP => Protocol::Udp,
        _ => return Some(Contents::Other),
    };
    // More-fragments flag or an offset.
    if be16(packet, 6)? & 0x3fff != 0 {
        return Some(Contents::Fragment);
    }
    Some(Contents::Segment(Segment {
        version: IpVersion::V4,
        protocol,
        start: ETHERNET_HEADER + header,
        length: total - header,
        addresses: sum(packet.get(12..20)?),
    }))
}

/// RFC 8200 §3 and §4. `None` when something does not fit.
fn inspect_ipv6(packet: &[u8]) -> Option<Contents> {
    let end = IPV6_HEADER + usize::from(be16(packet, 4)?);
    if packet.first()? >> 4 != 6 || end > packet.len() {
        return None;
    }
    let mut next = *packet.get(6)?;
    let mut start = IPV6_HEADER;
    for _ in 0..EXTENSION_HEADERS_MOST {
        let protocol = match next {
            HOP_BY_HOP | DESTINATION_OPTIONS => {
                next = *packet.get(start)?;
                start += (usize::from(*packet.get(start + 1)?) + 1) * 8;
                if start > end {
                    return None;
                }
                continue;
            }
            // A routed packet's checksum is over its last destination, which nobody here is;
            // a fragment's is over more than we have.
            ROUTING | FRAGMENT => return Some(Contents::Fragment),
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            _ => return Some(Contents::Other),
        };
        return Some(Contents::Segment(Segment {
            version: IpVersion::V6,
            protocol,
            start: ETHERNET_HEADER + start,
            length: end - start,
            addresses: sum(packet.get(8..40)?),
        }));
    }
    None
}

/// What becomes of a received frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Its checksum is right, or is none of ours.
    Deliver,
    /// Its checksum is wrong, or its lengths are.
    Corrupt,
    /// It cannot be verified by itself.
    Fragment,
}

/// Judges a received frame when the stack was told not to verify TCP and UDP checksums.
///
/// `vouched`: the device says that the checksum is right or still to be filled in, so only what
/// could not be vouched for is looked at.
pub(super) fn judge(frame: &[u8], vouched: bool) -> Verdict {
    match inspect(frame) {
        Contents::Segment(_) if vouched => Verdict::Deliver,
        Contents::Segment(segment) if is_right(frame, &segment) => Verdict::Deliver,
        Contents::Segment(_) | Contents::Malformed => Verdict::Corrupt,
        Contents::Fragment => Verdict::Fragment,
        Contents::Other => Verdict::Deliver,
    }
}

/// Whether the segment's checksum is right (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1).
fn is_right(frame: &[u8], segment: &Segment) -> bool {
    let end = segment.start + segment.length;
    let Some(bytes) = frame.get(segment.start..end) else {
        return false;
    };
    let covered = match segment.protocol {
        Protocol::Tcp if bytes.len() < TCP_HEADER_LEAST => return false,
        Protocol::Tcp => bytes,
        Protocol::Udp => {
            let length = be16(bytes, 4).map_or(0, usize::from);
            let (Some(datagram), Some(checksum)) = (bytes.get(..length), be16(bytes, 6)) else {
                return false;
            };
            if length < UDP_HEADER {
                return false;
            }
            if checksum == 0 {
                // RFC 768: no checksum. RFC 8200 §8.1: IPv6 receivers must discard such packets.
                return segment.version == IpVersion::V4;
            }
            datagram
        }
    };
    let total = u64::from(sum(covered)) + u64::from(segment.pseudo_header(covered.len()));
    fold(total) == 0xffff
}

/// The big-endian 16-bit number at `offset`.
pub(super) fn be16(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*field))
}

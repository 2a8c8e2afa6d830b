//! Frames to the guest that are made without a socket, and where they wait for the card.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4DstUnreachable,
    Icmpv4Packet, Icmpv4Repr, Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr, IpProtocol, IpRepr,
    Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, TcpPacket, TcpRepr,
};

use super::Gateway;
use crate::Refusal;

/// Frames that wait for the card at most, and their bytes in all; beyond it they are lost.
const MAX_WAITING: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

/// Time to live of what we send (RFC 1700's recommendation).
const HOP_LIMIT: u8 = 64;

/// Frames that wait for the card.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Outbox {
    /// False when there is no room.
    pub(crate) fn push(&mut self, frame: Vec<u8>) -> bool {
        let bytes = self.bytes + frame.len();
        let fits = self.waiting.len() < MAX_WAITING && bytes <= MAX_BYTES;
        if fits {
            self.bytes = bytes;
            self.waiting.push_back(frame);
        }
        fits
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.waiting.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// A frame with an Ethernet header and `length` bytes that `emit` writes.
pub(super) fn ethernet(
    (source, destination): ([u8; 6], [u8; 6]),
    ethertype: EthernetProtocol,
    length: usize,
    emit: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let header = EthernetFrame::<&[u8]>::header_len();
    let mut frame = vec![0; header + length];
    if let Some((ethernet, payload)) = frame.split_at_mut_checked(header) {
        let repr = EthernetRepr {
            src_addr: EthernetAddress(source),
            dst_addr: EthernetAddress(destination),
            ethertype,
        };
        repr.emit(&mut EthernetFrame::new_unchecked(ethernet));
        emit(payload);
    }
    frame
}

/// A frame with an IP packet whose payload `emit` writes.
pub(super) fn packet(
    macs: ([u8; 6], [u8; 6]),
    ip: &IpRepr,
    checksum: &ChecksumCapabilities,
    emit: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ethertype = match ip {
        IpRepr::Ipv4(_) => EthernetProtocol::Ipv4,
        IpRepr::Ipv6(_) => EthernetProtocol::Ipv6,
    };
    ethernet(macs, ethertype, ip.buffer_len(), |buffer| {
        ip.emit(&mut *buffer, checksum);
        if let Some(payload) = buffer.get_mut(ip.header_len()..) {
            emit(payload);
        }
    })
}

/// Whether a frame with a TCP segment is one that smoltcp takes: checksums, options.
pub(super) fn is_sound(frame: &[u8], checksum: &ChecksumCapabilities) -> bool {
    let parse = || {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let (source, destination, segment) = match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
                let ip = Ipv4Repr::parse(&packet, checksum).ok()?;
                (ip.src_addr.into(), ip.dst_addr.into(), packet.payload())
            }
            _ => {
                let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
                let ip = Ipv6Repr::parse(&packet).ok()?;
                (ip.src_addr.into(), ip.dst_addr.into(), packet.payload())
            }
        };
        let segment = TcpPacket::new_checked(segment).ok()?;
        TcpRepr::parse(&segment, &source, &destination, checksum).ok()?;
        Some(())
    };
    parse().is_some()
}

impl Gateway {
    /// The ICMP error about a frame of the guest: it quotes the packet (RFC 792, RFC 4443 §3.1).
    pub(crate) fn unreachable(&self, about: &[u8], refusal: Refusal) -> Option<Vec<u8>> {
        let ethernet = EthernetFrame::new_checked(about).ok()?;
        let macs = (self.mac, self.guest.mac);
        match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
                let header = Ipv4Repr::parse(&packet, &ChecksumCapabilities::ignored()).ok()?;
                let icmp = Icmpv4Repr::DstUnreachable {
                    reason: match refusal {
                        Refusal::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
                        Refusal::Prohibited => Icmpv4DstUnreachable::CommProhibited,
                        _ => Icmpv4DstUnreachable::HostUnreachable,
                    },
                    header,
                    data: packet.payload(),
                };
                let (source, _) = self.ipv4?;
                let ip = IpRepr::new(
                    source.into(),
                    header.src_addr.into(),
                    IpProtocol::Icmp,
                    icmp.buffer_len(),
                    HOP_LIMIT,
                );
                Some(self::packet(macs, &ip, &self.checksum, |buffer| {
                    icmp.emit(&mut Icmpv4Packet::new_unchecked(buffer), &self.checksum);
                }))
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
                let header = Ipv6Repr::parse(&packet).ok()?;
                let icmp = Icmpv6Repr::DstUnreachable {
                    reason: match refusal {
                        Refusal::NetworkUnreachable => Icmpv6DstUnreachable::NoRoute,
                        Refusal::Prohibited => Icmpv6DstUnreachable::AdminProhibit,
                        _ => Icmpv6DstUnreachable::AddrUnreachable,
                    },
                    header,
                    data: packet.payload(),
                };
                let (source, _) = self.ipv6?;
                let ip = IpRepr::new(
                    source.into(),
                    header.src_addr.into(),
                    IpProtocol::Icmpv6,
                    icmp.buffer_len(),
                    HOP_LIMIT,
                );
                Some(self::packet(macs, &ip, &self.checksum, |buffer| {
                    icmp.emit(
                        &source,
                        &header.src_addr,
                        &mut Icmpv6Packet::new_unchecked(buffer),
                        &self.checksum,
                    );
                }))
            }
            _ => None,
        }
    }
}

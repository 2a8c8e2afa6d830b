//! Who is on the link: the guest is told that every address is here, and smoltcp where the guest is.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol, Icmpv6Packet, Icmpv6Repr,
    IpProtocol, IpRepr, Ipv6Packet, NdiscNeighborFlags, NdiscRepr,
};

use super::{Gateway, frames};
use crate::classify::is_host;

/// RFC 4861 §4: hop limit of all its messages, which no router passes on.
const HOP_LIMIT: u8 = 255;

impl Gateway {
    /// Answers the guest's ARP request (RFC 826), for any address but its own.
    pub(super) fn arp(&mut self, packet: &[u8]) -> Option<()> {
        self.ipv4?;
        let packet = ArpPacket::new_checked(packet).ok()?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        if operation != ArpOperation::Request
            || source_hardware_addr != EthernetAddress(self.guest.mac)
            || source_protocol_addr != self.guest.ipv4
            || target_protocol_addr == self.guest.ipv4
            || !is_host(target_protocol_addr.into())
        {
            return None;
        }
        let macs = (self.mac, self.guest.mac);
        let frame = arp_reply(macs, target_protocol_addr, self.guest.ipv4);
        self.outbox.push(frame);
        Some(())
    }

    /// Answers the guest's neighbour solicitation (RFC 4861 §7.2.4), for any address but its own.
    pub(super) fn neighbor_solicitation(&mut self, packet: &Ipv6Packet<&[u8]>) -> Option<()> {
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
        let message = Icmpv6Repr::parse(&source, &destination, &message, &self.checksum).ok()?;
        let Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, .. }) = message else {
            return None;
        };
        let target = IpAddr::V6(target_addr);
        if packet.hop_limit() != HOP_LIMIT
            || !is_host(target)
            || self.is_guest(target)
            || target_addr == self.guest.link_local
        {
            return None;
        }
        let macs = (self.mac, self.guest.mac);
        let frame = advertisement(macs, target_addr, source, &self.checksum);
        self.outbox.push(frame);
        Some(())
    }

    /// Frames, as if from the guest, that tell smoltcp its Ethernet address.
    pub(super) fn introductions(&self) -> Vec<Vec<u8>> {
        let macs = (self.guest.mac, self.mac);
        let mut frames = Vec::new();
        if let Some((own, _)) = self.ipv4 {
            frames.push(arp_reply(macs, self.guest.ipv4, own));
        }
        if let Some((own, _)) = self.ipv6 {
            for address in self.guest.ipv6.into_iter().chain([self.guest.link_local]) {
                frames.push(advertisement(macs, address, own, &self.checksum));
            }
        }
        frames
    }
}

/// Says to `to` that `address` is where the frame comes from.
fn arp_reply(
    (source, destination): ([u8; 6], [u8; 6]),
    address: Ipv4Addr,
    to: Ipv4Addr,
) -> Vec<u8> {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(source),
        source_protocol_addr: address,
        target_hardware_addr: EthernetAddress(destination),
        target_protocol_addr: to,
    };
    let macs = (source, destination);
    frames::ethernet(macs, EthernetProtocol::Arp, arp.buffer_len(), |buffer| {
        arp.emit(&mut ArpPacket::new_unchecked(buffer));
    })
}

/// The same by neighbour discovery.
fn advertisement(
    macs: ([u8; 6], [u8; 6]),
    address: Ipv6Addr,
    to: Ipv6Addr,
    checksum: &ChecksumCapabilities,
) -> Vec<u8> {
    let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
        flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
        target_addr: address,
        lladdr: Some(EthernetAddress(macs.0).into()),
    });
    let ip = IpRepr::new(
        address.into(),
        to.into(),
        IpProtocol::Icmpv6,
        message.buffer_len(),
        HOP_LIMIT,
    );
    frames::packet(macs, &ip, checksum, |buffer| {
        let mut packet = Icmpv6Packet::new_unchecked(buffer);
        message.emit(&address, &to, &mut packet, checksum);
    })
}

//! Frames that are made without a socket.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use smoltcp::phy::{ChecksumCapabilities, TxToken};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, HardwareAddress, Icmpv6Packet, Icmpv6Repr, IpProtocol, IpRepr, Ipv6Repr,
    NdiscRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use crate::flow::Flow;

/// Time to live of what we send (RFC 1700's recommendation).
const HOP_LIMIT: u8 = 64;

/// An ACK without data, to the Ethernet address that the segment it answers came from.
pub(crate) struct Ack {
    pub(crate) flow: Flow,
    pub(crate) source: HardwareAddress,
    pub(crate) destination: [u8; 6],
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) window: u16,
}

impl Ack {
    pub(crate) fn emit(&self, token: impl TxToken, checksum: &ChecksumCapabilities) {
        let HardwareAddress::Ethernet(source) = self.source;
        let tcp = TcpRepr {
            src_port: self.flow.local.port(),
            dst_port: self.flow.remote.port(),
            control: TcpControl::None,
            seq_number: sequence_number(self.sequence),
            ack_number: Some(sequence_number(self.acknowledgment)),
            window_len: self.window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let (local, remote) = (self.flow.local.ip().into(), self.flow.remote.ip().into());
        let ip = IpRepr::new(local, remote, IpProtocol::Tcp, tcp.buffer_len(), HOP_LIMIT);
        let ethertype = match self.flow.local {
            SocketAddr::V4(_) => EthernetProtocol::Ipv4,
            SocketAddr::V6(_) => EthernetProtocol::Ipv6,
        };
        let header = EthernetFrame::<&[u8]>::header_len();
        token.consume(header + ip.buffer_len(), |buffer| {
            let Some((ethernet, packet)) = buffer.split_at_mut_checked(header) else {
                return;
            };
            let frame = EthernetRepr {
                src_addr: source,
                dst_addr: EthernetAddress(self.destination),
                ethertype,
            };
            frame.emit(&mut EthernetFrame::new_unchecked(ethernet));
            ip.emit(&mut *packet, checksum);
            if let Some(segment) = packet.get_mut(ip.header_len()..) {
                tcp.emit(
                    &mut TcpPacket::new_unchecked(segment),
                    &local,
                    &remote,
                    checksum,
                );
            }
        });
    }
}

/// Asks on the link for the Ethernet address of `target`: ARP (RFC 826) or a neighbour
/// solicitation (RFC 4861 §4.3). Nothing when the two addresses are of different families.
pub(crate) fn solicit(
    token: impl TxToken,
    source: HardwareAddress,
    local: IpAddr,
    target: IpAddr,
    checksum: &ChecksumCapabilities,
) {
    let HardwareAddress::Ethernet(mac) = source;
    let header = EthernetFrame::<&[u8]>::header_len();
    match (local, target) {
        (IpAddr::V4(local), IpAddr::V4(target)) => {
            let arp = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Request,
                source_hardware_addr: mac,
                source_protocol_addr: local,
                target_hardware_addr: EthernetAddress::BROADCAST,
                target_protocol_addr: target,
            };
            let frame = EthernetRepr {
                src_addr: mac,
                dst_addr: EthernetAddress::BROADCAST,
                ethertype: EthernetProtocol::Arp,
            };
            token.consume(header + arp.buffer_len(), |buffer| {
                if let Some((ethernet, packet)) = buffer.split_at_mut_checked(header) {
                    frame.emit(&mut EthernetFrame::new_unchecked(ethernet));
                    arp.emit(&mut ArpPacket::new_unchecked(packet));
                }
            });
        }
        (IpAddr::V6(local), IpAddr::V6(target)) => {
            let message = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
                target_addr: target,
                lladdr: Some(source.into()),
            });
            let [.., x, y, z] = target.octets();
            // RFC 4291 §2.7.1, RFC 2464 §7.
            let group = Ipv6Addr::new(
                0xff02,
                0,
                0,
                0,
                0,
                1,
                0xff00 | u16::from(x),
                u16::from_be_bytes([y, z]),
            );
            let ip = Ipv6Repr {
                src_addr: local,
                dst_addr: group,
                next_header: IpProtocol::Icmpv6,
                payload_len: message.buffer_len(),
                hop_limit: 255,
            };
            let frame = EthernetRepr {
                src_addr: mac,
                dst_addr: EthernetAddress([0x33, 0x33, 0xff, x, y, z]),
                ethertype: EthernetProtocol::Ipv6,
            };
            let ip = IpRepr::Ipv6(ip);
            token.consume(header + ip.buffer_len(), |buffer| {
                let Some((ethernet, packet)) = buffer.split_at_mut_checked(header) else {
                    return;
                };
                frame.emit(&mut EthernetFrame::new_unchecked(ethernet));
                ip.emit(&mut *packet, checksum);
                if let Some(payload) = packet.get_mut(ip.header_len()..) {
                    let mut packet = Icmpv6Packet::new_unchecked(payload);
                    message.emit(&local, &group, &mut packet, checksum);
                }
            });
        }
        _ => {}
    }
}

fn sequence_number(number: u32) -> TcpSeqNumber {
    TcpSeqNumber(number.cast_signed())
}

//! Segments that are answered without a socket.

use core::net::SocketAddr;

use smoltcp::phy::{ChecksumCapabilities, TxToken};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, IpProtocol,
    IpRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
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

fn sequence_number(number: u32) -> TcpSeqNumber {
    TcpSeqNumber(number.cast_signed())
}

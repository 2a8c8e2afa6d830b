//! Frames to test with, made by smoltcp's own wire formats.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv4Repr, Ipv6Address, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, TcpTimestampRepr, UdpPacket, UdpRepr,
};

const V4: (Ipv4Address, Ipv4Address) = (
    Ipv4Address::new(10, 0, 0, 1),
    Ipv4Address::new(192, 168, 200, 255),
);
const V6: (Ipv6Address, Ipv6Address) = (
    Ipv6Address::new(0xfd00, 0, 0, 0, 0xdead, 0xbeef, 0, 1),
    Ipv6Address::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0xfffe, 2),
);

/// Bytes before the IP header.
pub const ETHERNET: usize = 14;

/// A TCP frame with right checksums and a 12-byte option, so that its header is 32 bytes.
pub fn tcp(version: u8, payload: &[u8]) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: 443,
        dst_port: 50_000,
        control: TcpControl::Psh,
        seq_number: TcpSeqNumber(0x1234_5678),
        ack_number: Some(TcpSeqNumber(0x0765_4321)),
        window_len: 0xfedc,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: Some(TcpTimestampRepr::new(77, 88)),
        payload,
    };
    let caps = ChecksumCapabilities::default();
    let (source, destination) = addresses(version);
    ip(version, IpProtocol::Tcp, tcp.buffer_len(), |bytes| {
        tcp.emit(
            &mut TcpPacket::new_unchecked(bytes),
            &source,
            &destination,
            &caps,
        );
    })
}

/// A UDP frame with right checksums.
pub fn udp(version: u8, payload: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: 53,
        dst_port: 40_000,
    };
    let caps = ChecksumCapabilities::default();
    let (source, destination) = addresses(version);
    ip(version, IpProtocol::Udp, 8 + payload.len(), |bytes| {
        udp.emit(
            &mut UdpPacket::new_unchecked(bytes),
            &source,
            &destination,
            payload.len(),
            |to| to.copy_from_slice(payload),
            &caps,
        );
    })
}

/// An Ethernet frame of IP version 4 or 6 around `length` bytes.
pub fn ip(
    version: u8,
    next_header: IpProtocol,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let header = if version == 4 { 20 } else { 40 };
    let mut frame = vec![0; ETHERNET + header + length];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 1]));
    ethernet.set_dst_addr(EthernetAddress([2, 0, 0, 0, 0, 2]));
    let packet = &mut frame[ETHERNET..];
    if version == 4 {
        let repr = Ipv4Repr {
            src_addr: V4.0,
            dst_addr: V4.1,
            next_header,
            payload_len: length,
            hop_limit: 64,
        };
        repr.emit(
            &mut Ipv4Packet::new_unchecked(&mut *packet),
            &ChecksumCapabilities::default(),
        );
    } else {
        let repr = Ipv6Repr {
            src_addr: V6.0,
            dst_addr: V6.1,
            next_header,
            payload_len: length,
            hop_limit: 64,
        };
        repr.emit(&mut Ipv6Packet::new_unchecked(&mut *packet));
    }
    fill(&mut packet[header..]);
    let kind = if version == 4 {
        EthernetProtocol::Ipv4
    } else {
        EthernetProtocol::Ipv6
    };
    EthernetFrame::new_unchecked(&mut frame[..]).set_ethertype(kind);
    frame
}

fn addresses(version: u8) -> (IpAddress, IpAddress) {
    if version == 4 {
        (V4.0.into(), V4.1.into())
    } else {
        (V6.0.into(), V6.1.into())
    }
}

//! Hand-made frames, and the answers that need no connection.

use std::net::{IpAddr, SocketAddr};
use std::vec;
use std::vec::Vec;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::*;

use super::world::*;
use crate::Instant;

/// What hand-made frames come from: the Ethernet address of host A.
pub const PEER: [u8; 6] = MACS[A];

fn frame(to: [u8; 6], ethertype: EthernetProtocol, len: usize) -> Vec<u8> {
    let mut frame = vec![0; 14 + len];
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(PEER),
        dst_addr: EthernetAddress(to),
        ethertype,
    };
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    frame
}

/// A frame to host B with an IP packet whose payload `emit` writes.
fn packet(
    from: IpAddr,
    to: IpAddr,
    protocol: IpProtocol,
    len: usize,
    emit: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = IpRepr::new(from.into(), to.into(), protocol, len, 64);
    let ethertype = match from {
        IpAddr::V4(_) => EthernetProtocol::Ipv4,
        IpAddr::V6(_) => EthernetProtocol::Ipv6,
    };
    let mut frame = frame(MACS[B], ethertype, ip.buffer_len());
    ip.emit(&mut frame[14..], &ChecksumCapabilities::default());
    emit(&mut frame[14 + ip.header_len()..]);
    frame
}

pub fn tcp(
    from: SocketAddr,
    to: SocketAddr,
    control: TcpControl,
    sequence: u32,
    acknowledgment: Option<u32>,
    payload: &[u8],
) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: from.port(),
        dst_port: to.port(),
        control,
        seq_number: TcpSeqNumber(sequence as i32),
        ack_number: acknowledgment.map(|number| TcpSeqNumber(number as i32)),
        window_len: 20_000,
        window_scale: None,
        max_seg_size: (control == TcpControl::Syn).then_some(1460),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let (source, destination) = (from.ip(), to.ip());
    packet(
        source,
        destination,
        IpProtocol::Tcp,
        tcp.buffer_len(),
        |buffer| {
            tcp.emit(
                &mut TcpPacket::new_unchecked(buffer),
                &source.into(),
                &destination.into(),
                &ChecksumCapabilities::default(),
            );
        },
    )
}

pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: from.port(),
        dst_port: to.port(),
    };
    let (source, destination) = (from.ip(), to.ip());
    let len = udp.header_len() + payload.len();
    packet(source, destination, IpProtocol::Udp, len, |buffer| {
        udp.emit(
            &mut UdpPacket::new_unchecked(buffer),
            &source.into(),
            &destination.into(),
            payload.len(),
            |data| data.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
    })
}

pub fn arp(operation: ArpOperation, from: std::net::Ipv4Addr, to: std::net::Ipv4Addr) -> Vec<u8> {
    let arp = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(PEER),
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress(MACS[B]),
        target_protocol_addr: to,
    };
    let mut frame = frame([0xff; 6], EthernetProtocol::Arp, arp.buffer_len());
    arp.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    frame
}

/// IP source, destination, protocol and payload of a frame.
pub fn ip_of(frame: &[u8]) -> Option<(IpAddress, IpAddress, IpProtocol, &[u8])> {
    let payload = &frame[14..];
    match EthernetFrame::new_checked(frame).ok()?.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(payload).unwrap();
            assert!(ip.verify_checksum());
            let (source, destination) = (ip.src_addr().into(), ip.dst_addr().into());
            Some((source, destination, ip.next_header(), ip.payload()))
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(payload).unwrap();
            let (source, destination) = (ip.src_addr().into(), ip.dst_addr().into());
            Some((source, destination, ip.next_header(), ip.payload()))
        }
        _ => None,
    }
}

pub fn try_tcp_of(frame: &[u8]) -> Option<TcpRepr<'_>> {
    let (source, destination, protocol, payload) = ip_of(frame)?;
    if protocol != IpProtocol::Tcp {
        return None;
    }
    let packet = TcpPacket::new_checked(payload).unwrap();
    let caps = ChecksumCapabilities::default();
    Some(TcpRepr::parse(&packet, &source, &destination, &caps).unwrap())
}

#[track_caller]
pub fn tcp_of(frame: &[u8]) -> TcpRepr<'_> {
    try_tcp_of(frame).unwrap()
}

/// Host B, which knows host A's Ethernet address.
pub fn acquainted() -> Host {
    let mut host = Host::new(config(B), Card::new());
    let answer = host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    assert_eq!(answer.len(), 1);
    host
}

#[test]
fn arp_is_answered() {
    let mut host = Host::new(config(B), Card::new());
    let answer = host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    let reply = ArpRepr::parse(&ArpPacket::new_checked(&answer[0][14..]).unwrap()).unwrap();
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        ..
    } = reply
    else {
        panic!("{reply:?}");
    };
    assert_eq!(operation, ArpOperation::Reply);
    assert_eq!(source_hardware_addr, EthernetAddress(MACS[B]));
    assert_eq!(source_protocol_addr, V4[B]);
    let other = arp(ArpOperation::Request, V4[A], [10, 9, 0, 55].into());
    assert!(host.answer(&other, Instant::ZERO).is_empty());
}

#[test]
fn echo_over_ipv4() {
    let mut host = acquainted();
    let caps = ChecksumCapabilities::default();
    let echo = Icmpv4Repr::EchoRequest {
        ident: 7,
        seq_no: 9,
        data: b"abcdefgh",
    };
    let (a, b) = (V4[A].into(), V4[B].into());
    let request = packet(a, b, IpProtocol::Icmp, echo.buffer_len(), |buffer| {
        echo.emit(&mut Icmpv4Packet::new_unchecked(buffer), &caps);
    });
    let answer = host.answer(&request, Instant::ZERO);
    let (source, destination, _, payload) = ip_of(&answer[0]).unwrap();
    assert_eq!((source, destination), (b.into(), a.into()));
    let packet = Icmpv4Packet::new_checked(payload).unwrap();
    let reply = Icmpv4Repr::parse(&packet, &caps).unwrap();
    let expect = Icmpv4Repr::EchoReply {
        ident: 7,
        seq_no: 9,
        data: b"abcdefgh",
    };
    assert_eq!(reply, expect);
    // Not to the whole link: that would multiply it.
    let mut broadcast = request;
    broadcast[..6].copy_from_slice(&[0xff; 6]);
    assert!(host.answer(&broadcast, Instant::ZERO).is_empty());
}

/// An ICMPv6 message from host A.
fn icmpv6(to: std::net::Ipv6Addr, message: Icmpv6Repr<'_>) -> Vec<u8> {
    let caps = ChecksumCapabilities::default();
    let len = message.buffer_len();
    let mut frame = packet(V6[A].into(), to.into(), IpProtocol::Icmpv6, len, |buffer| {
        let mut packet = Icmpv6Packet::new_unchecked(buffer);
        message.emit(&V6[A], &to, &mut packet, &caps);
    });
    // RFC 4861 §7.1: neighbour discovery counts only with the full hop limit.
    frame[14 + 7] = 255;
    frame
}

#[test]
fn neighbour_discovery_and_echo_over_ipv6() {
    let mut host = Host::new(config(B), Card::new());
    let caps = ChecksumCapabilities::default();
    let solicited = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);
    let solicitation = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
        target_addr: V6[B],
        lladdr: Some(RawHardwareAddress::from(EthernetAddress(PEER))),
    });
    let mut frame = icmpv6(solicited, solicitation);
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, 2]);
    let answer = host.answer(&frame, Instant::ZERO);
    let (source, destination, _, payload) = ip_of(&answer[0]).unwrap();
    let packet = Icmpv6Packet::new_checked(payload).unwrap();
    let (IpAddress::Ipv6(from), IpAddress::Ipv6(to)) = (source, destination) else {
        panic!("{source} {destination}");
    };
    let reply = Icmpv6Repr::parse(&from, &to, &packet, &caps).unwrap();
    let Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { target_addr, .. }) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(target_addr, V6[B]);

    let echo = Icmpv6Repr::EchoRequest {
        ident: 1,
        seq_no: 2,
        data: b"six",
    };
    let answer = host.answer(&icmpv6(V6[B], echo), Instant::ZERO);
    let (.., payload) = ip_of(&answer[0]).unwrap();
    let packet = Icmpv6Packet::new_checked(payload).unwrap();
    let expect = Icmpv6Repr::EchoReply {
        ident: 1,
        seq_no: 2,
        data: b"six",
    };
    assert_eq!(
        Icmpv6Repr::parse(&V6[B], &V6[A], &packet, &caps),
        Ok(expect)
    );
}

#[test]
fn strays_are_refused_at_a_bounded_rate() {
    let mut host = acquainted();
    let from = SocketAddr::from((V4[A], 1000));
    let to = SocketAddr::from((V4[B], 81));
    let ack = tcp(from, to, TcpControl::None, 5, Some(77), b"x");
    let answer = host.answer(&ack, Instant::ZERO);
    let reset = tcp_of(&answer[0]);
    assert_eq!(reset.control, TcpControl::Rst);
    assert_eq!(reset.seq_number, TcpSeqNumber(77));
    let rst = tcp(from, to, TcpControl::Rst, 5, Some(77), b"");
    assert!(host.answer(&rst, Instant::ZERO).is_empty());
    let mut answers = 0;
    for _ in 0..10_000 {
        answers += host.answer(&ack, Instant::ZERO).len();
    }
    assert!((100..1000).contains(&answers), "{answers}");
}

//! A stack on a card whose other end is the fuzzer.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use smoltcp::phy::{
    ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken,
};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber, UdpPacket,
    UdpRepr,
};
use stockade_net::{Config, Event, Instant, Ipv4Config, Ipv6Config, Limits, Role, Stack};

/// Our Ethernet address and the other end's.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Our addresses and the other end's, which is gateway, name server and DHCP server too.
pub const V4: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
pub const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// Sockets at most: few, so that an input reaches the bound.
pub const STREAMS: usize = 12;
/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;
/// Polls of one moment before the stack counts as spinning.
const POLLS_MOST: usize = 10_000;

/// A card without a wire.
pub struct Card {
    capabilities: DeviceCapabilities,
    pub incoming: VecDeque<Vec<u8>>,
    pub sent: Vec<Vec<u8>>,
}

pub struct Arrived(Vec<u8>);
pub struct Slot<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }

    fn set_meta(&mut self, _: PacketMeta) {}
}

impl Device for Card {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Arrived, Slot<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((Arrived(frame), Slot(&mut self.sent)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Slot<'_>> {
        Some(Slot(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

/// The stack under test, its card, and a clock that only we move.
pub struct Host {
    pub stack: Stack,
    pub card: Card,
    pub events: Vec<Event>,
    pub now: Instant,
}

impl Host {
    /// With `verifies`, the stack looks at checksums; without, the card has done so.
    pub fn new(config: Config, verifies: bool) -> Host {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        if !verifies {
            capabilities.checksum = ChecksumCapabilities::ignored();
        }
        let mut card = Card {
            capabilities,
            incoming: VecDeque::new(),
            sent: Vec::new(),
        };
        let stack = Stack::new(config, &mut card, Instant::ZERO).expect("a sound configuration");
        Host {
            stack,
            card,
            events: Vec::new(),
            now: Instant::ZERO,
        }
    }

    /// Hands a frame in and lets the stack work.
    pub fn receive(&mut self, frame: Vec<u8>) {
        self.card.incoming.push_back(frame);
        self.step();
    }

    /// Lets the stack do what is to be done now.
    ///
    /// Checked: it comes to rest, its sockets stay within the bound, and its frames have a header.
    pub fn step(&mut self) {
        for _ in 0..POLLS_MOST {
            let more = self.stack.poll(&mut self.card, self.now);
            while let Some(event) = self.stack.poll_event() {
                self.events.push(event);
            }
            self.stack.flush(&mut self.card, self.now);
            if !more && self.stack.poll_at().is_none_or(|due| due > self.now) {
                assert!(self.stack.sockets() <= STREAMS, "more sockets than allowed");
                let short = self.card.sent.iter().find(|frame| frame.len() < ETHERNET);
                assert!(short.is_none(), "a frame without a header is sent");
                return;
            }
        }
        panic!("the stack spins at {:?}", self.now);
    }

    /// Moves the clock, then lets the stack work.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.step();
    }

    /// Tells the stack the other end's Ethernet address, as ARP does.
    pub fn acquaint(&mut self) {
        self.receive(arp());
        self.card.sent.clear();
        self.events.clear();
    }
}

/// A static IPv4 address, an IPv6 one, and a name server.
pub fn config() -> Config {
    Config {
        mac: MAC,
        ipv4: Ipv4Config::Static {
            address: V4,
            prefix: 16,
            gateway: Some(PEER_V4),
        },
        ipv6: Some(Ipv6Config {
            address: V6,
            prefix: 64,
            gateway: None,
        }),
        dns: vec![PEER_V4.into()],
        seed: [7; 32],
        limits: Limits {
            streams: STREAMS,
            half_open: 4,
            recv_buffer: 4096,
            send_buffer: 4096,
        },
        role: Role::Host,
    }
}

/// A frame to us with an Ethernet header and `payload`.
pub fn ethernet(protocol: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET + payload.len()];
    let header = EthernetRepr {
        src_addr: EthernetAddress(PEER_MAC),
        dst_addr: EthernetAddress(MAC),
        ethertype: protocol,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    frame[ETHERNET..].copy_from_slice(payload);
    frame
}

/// A frame to us with an IP packet whose payload `emit` writes.
pub fn ip(
    (from, to): (IpAddr, IpAddr),
    protocol: IpProtocol,
    length: usize,
    emit: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let header = IpRepr::new(from.into(), to.into(), protocol, length, 64);
    let mut packet = vec![0; header.buffer_len()];
    header.emit(&mut packet, &ChecksumCapabilities::default());
    emit(&mut packet[header.header_len()..]);
    let protocol = match from {
        IpAddr::V4(_) => EthernetProtocol::Ipv4,
        IpAddr::V6(_) => EthernetProtocol::Ipv6,
    };
    ethernet(protocol, &packet)
}

/// The numbers of one connection, as far as the other end knows them from what was sent.
#[derive(Clone, Copy, Default)]
pub struct Numbers {
    /// What the stack acknowledged last.
    pub expects: u32,
    /// The number after the last byte that it sent.
    pub next: u32,
}

impl Numbers {
    /// Sequence and acknowledgment numbers of the other end's next segment, so far beside the
    /// right ones.
    pub fn near(self, sequence: u16, acknowledgment: u16) -> (u32, u32) {
        let near = |base: u32, offset: u16| base.wrapping_add_signed(offset.cast_signed().into());
        (
            near(self.expects, sequence),
            near(self.next, acknowledgment),
        )
    }

    /// Follows a segment that was sent.
    pub fn learn(&mut self, tcp: &TcpPacket<&[u8]>) {
        if tcp.ack() {
            self.expects = tcp.ack_number().0.cast_unsigned();
        }
        self.next = (tcp.seq_number() + tcp.segment_len()).0.cast_unsigned();
    }
}

/// A TCP segment of the other end.
pub struct Segment<'a> {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub window: u16,
    pub flags: u8,
    /// Cut to 40 bytes in whole words at most (RFC 9293 §3.1).
    pub options: &'a [u8],
    /// Bytes of its payload.
    pub payload: usize,
}

impl Segment<'_> {
    /// A frame to us with this segment, whose payload `fill` writes.
    pub fn frame(&self, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
        /// Bytes of a TCP header without options.
        const TCP_HEADER: usize = 20;
        let options = &self.options[..self.options.len().min(40) / 4 * 4];
        let header = TCP_HEADER + options.len();
        let ends = (self.from.ip(), self.to.ip());
        ip(ends, IpProtocol::Tcp, header + self.payload, |bytes| {
            let mut tcp = TcpPacket::new_unchecked(&mut *bytes);
            tcp.set_src_port(self.from.port());
            tcp.set_dst_port(self.to.port());
            tcp.set_seq_number(TcpSeqNumber(self.sequence.cast_signed()));
            tcp.set_ack_number(TcpSeqNumber(self.acknowledgment.cast_signed()));
            tcp.set_window_len(self.window);
            tcp.set_header_len(u8::try_from(header).expect("at most sixty"));
            bytes[13] = self.flags;
            bytes[TCP_HEADER..header].copy_from_slice(options);
            fill(&mut bytes[header..]);
            let mut tcp = TcpPacket::new_unchecked(bytes);
            tcp.fill_checksum(&ends.0.into(), &ends.1.into());
        })
    }
}

/// Addresses, protocol and payload of an IP packet that was sent.
pub fn sent_ip(frame: &[u8]) -> Option<((IpAddr, IpAddr), IpProtocol, &[u8])> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let bytes = &frame[ETHERNET..];
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(bytes).expect("a sound packet");
            let ends = (ip.src_addr().into(), ip.dst_addr().into());
            Some((ends, ip.next_header(), ip.payload()))
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(bytes).expect("a sound packet");
            let ends = (ip.src_addr().into(), ip.dst_addr().into());
            Some((ends, ip.next_header(), ip.payload()))
        }
        _ => None,
    }
}

/// A TCP segment that was sent, and its two ends.
pub fn sent_tcp(frame: &[u8]) -> Option<(SocketAddr, SocketAddr, TcpPacket<&[u8]>)> {
    let (ends, protocol, payload) = sent_ip(frame)?;
    if protocol != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(payload).expect("a sound segment");
    Some((
        SocketAddr::new(ends.0, tcp.src_port()),
        SocketAddr::new(ends.1, tcp.dst_port()),
        tcp,
    ))
}

/// A frame to us with a UDP datagram.
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let header = UdpRepr {
        src_port: from.port(),
        dst_port: to.port(),
    };
    let ends = (from.ip(), to.ip());
    let length = header.header_len() + payload.len();
    ip(ends, IpProtocol::Udp, length, |bytes| {
        header.emit(
            &mut UdpPacket::new_unchecked(bytes),
            &ends.0.into(),
            &ends.1.into(),
            payload.len(),
            |data| data.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
    })
}

/// The destination port and the payload of a UDP datagram over IPv4 that we sent, its source port
/// in front.
pub fn sent_udp(frame: &[u8]) -> Option<(u16, u16, &[u8])> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = smoltcp::wire::Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    let start = ETHERNET + usize::from(ip.header_len());
    if ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let udp = UdpPacket::new_checked(frame.get(start..)?).ok()?;
    let end = start + usize::from(udp.len());
    Some((udp.src_port(), udp.dst_port(), frame.get(start + 8..end)?))
}

/// The other end asks for our Ethernet address, and so tells its own.
fn arp() -> Vec<u8> {
    let request = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(PEER_MAC),
        source_protocol_addr: PEER_V4,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: V4,
    };
    let mut packet = vec![0; request.buffer_len()];
    request.emit(&mut ArpPacket::new_unchecked(&mut packet[..]));
    ethernet(EthernetProtocol::Arp, &packet)
}

//! A network card at one end of the virtual link.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};
use stockade_net::Instant;

use super::link::Direction;

/// Bytes of an Ethernet and an IPv4 header without options, as the stack sends them.
const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// What a card can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardOptions {
    /// Largest frame on the wire, Ethernet header included, in bytes.
    pub frame: usize,
    /// The card completes TCP checksums and cuts super-segments (IPv4), as a virtio card does.
    pub offload: bool,
}

/// A network card. Frames leave and arrive at the times that the link says.
pub struct Card {
    options: CardOptions,
    incoming: Direction,
    outgoing: Direction,
    /// TCP ports of this end that have been switched off.
    muted: HashSet<u16>,
}

impl Card {
    /// A card that sends into one direction and receives from the other.
    pub fn new(options: CardOptions, outgoing: Direction, incoming: Direction) -> Card {
        Card {
            options,
            incoming,
            outgoing,
            muted: HashSet::new(),
        }
    }

    /// Neither sends nor receives segments of this TCP port any more.
    pub fn mute(&mut self, port: u16) {
        self.muted.insert(port);
    }

    /// Takes [`mute`](Self::mute) back.
    pub fn unmute(&mut self, port: u16) {
        self.muted.remove(&port);
    }

    fn slot(&self, now: Instant) -> Slot<'_> {
        Slot {
            card: self,
            now,
            meta: PacketMeta::default(),
        }
    }

    /// Puts a frame on the link after doing what the stack left to the card.
    fn send(&self, mut frame: Vec<u8>, segment: Option<usize>, now: Instant) {
        if ports(&frame).is_some_and(|(from, _)| self.muted.contains(&from)) {
            return;
        }
        if !self.options.offload {
            assert!(frame.len() <= self.options.frame, "a frame beyond the MTU");
            return self.outgoing.send(frame, now);
        }
        match segment {
            Some(size) => {
                for frame in split(&frame, size) {
                    assert!(
                        frame.len() <= self.options.frame,
                        "a segment beyond the MTU"
                    );
                    self.outgoing.send(frame, now);
                }
            }
            None => {
                assert!(frame.len() <= self.options.frame, "a frame beyond the MTU");
                complete(&mut frame);
                self.outgoing.send(frame, now);
            }
        }
    }
}

/// Room for one frame to send.
pub struct Slot<'a> {
    card: &'a Card,
    now: Instant,
    meta: PacketMeta,
}

/// A frame that has arrived.
pub struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        let segment = self.meta.segmentation_offload_size;
        let segment = segment.map(|size| usize::from(size.get()));
        self.card.send(frame, segment, self.now);
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}

impl Device for Card {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, now: smoltcp::time::Instant) -> Option<(Arrived, Slot<'_>)> {
        let now = instant(now);
        loop {
            let frame = self.incoming.receive(now)?;
            let muted = ports(&frame).is_some_and(|(_, to)| self.muted.contains(&to));
            if !muted {
                return Some((Arrived(frame), self.slot(now)));
            }
        }
    }

    fn transmit(&mut self, now: smoltcp::time::Instant) -> Option<Slot<'_>> {
        let now = instant(now);
        self.outgoing.has_room(now).then(|| self.slot(now))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.options.frame;
        if self.options.offload {
            capabilities.checksum.tcp = Checksum::Rx;
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(65_535 + ETHERNET_HEADER);
        }
        capabilities
    }
}

fn instant(now: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(now.total_micros()).expect("virtual time is positive"))
}

/// Fills in the TCP checksum of a frame, and leaves other frames alone.
fn complete(frame: &mut [u8]) {
    let mut ethernet = EthernetFrame::new_unchecked(frame);
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
            let (source, destination) = (ip.src_addr().into(), ip.dst_addr().into());
            if ip.next_header() == IpProtocol::Tcp {
                TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&source, &destination);
            }
        }
        EthernetProtocol::Ipv6 => {
            let mut ip = Ipv6Packet::new_unchecked(ethernet.payload_mut());
            let (source, destination) = (ip.src_addr().into(), ip.dst_addr().into());
            if ip.next_header() == IpProtocol::Tcp {
                TcpPacket::new_unchecked(ip.payload_mut()).fill_checksum(&source, &destination);
            }
        }
        _ => {}
    }
}

/// The TCP ports of a frame, source first; `None` for anything else.
fn ports(frame: &[u8]) -> Option<(u16, u16)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let tcp = match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            let start = usize::from(ip.header_len());
            (ip.next_header() == IpProtocol::Tcp).then(|| &ethernet.payload()[start..])
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            (ip.next_header() == IpProtocol::Tcp).then(|| &ethernet.payload()[IPV6_HEADER..])
        }
        _ => None,
    }?;
    let tcp = TcpPacket::new_checked(tcp).ok()?;
    Some((tcp.src_port(), tcp.dst_port()))
}

/// Cuts a super-segment into frames of `size` payload bytes, as virtio 1.2 §5.1.6.2 leaves it to
/// the card: sequence numbers count on, FIN and PSH are on the last one alone.
fn split(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let tcp_start = ETHERNET_HEADER + IPV4_HEADER;
    let super_segment = TcpPacket::new_unchecked(&frame[tcp_start..]);
    let headers = tcp_start + usize::from(super_segment.header_len());
    let (first, fin, psh) = (
        super_segment.seq_number(),
        super_segment.fin(),
        super_segment.psh(),
    );
    let pieces = frame[headers..].chunks(size);
    let count = pieces.len();
    pieces
        .enumerate()
        .map(|(number, piece)| {
            let last = number + 1 == count;
            let mut cut = [&frame[..headers], piece].concat();
            let length = cut.len() - ETHERNET_HEADER;
            let mut ip = Ipv4Packet::new_unchecked(&mut cut[ETHERNET_HEADER..]);
            ip.set_total_len(u16::try_from(length).expect("cut to fit"));
            ip.fill_checksum();
            let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
            tcp.set_seq_number(first + number * size);
            tcp.set_fin(fin && last);
            tcp.set_psh(psh && last);
            complete(&mut cut);
            cut
        })
        .collect()
}

//! Frames of a guest, into the gateway at the launcher's end of its link.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use smoltcp::wire::{ArpOperation, ArpPacket, EthernetFrame, EthernetProtocol, IpProtocol};
use stockade_net::{Config, Event, Refusal, RequestId, Role, StreamId};

use super::host::{self, ETHERNET, Host, MAC, Numbers, PEER_MAC, PEER_V4, PEER_V6, STREAMS};
use super::input::Input;

/// Ports of the guest and of everyone else: eight of each.
const GUEST_PORT: u16 = 5000;
const PORT: u16 = 8000;
/// Payload of one segment or datagram at most, in bytes.
const PAYLOAD_MOST: u16 = 2000;
/// Instructions of one input at most: what an input can cost is bounded.
const STEPS_MOST: usize = 400;
/// Longest frame of the link, in bytes.
const FRAME_MOST: usize = 1514;
/// Requests that wait at once at most.
const REQUESTS_MOST: usize = 1024;

/// Who is not the guest, in either family.
const ELSEWHERE: [[&str; 8]; 2] = [
    [
        "10.9.0.2",
        "10.9.0.3",
        "192.0.2.1",
        "127.0.0.1",
        "10.9.255.255",
        "224.0.0.1",
        "255.255.255.255",
        "10.9.0.1",
    ],
    [
        "fd00::2",
        "fd00::3",
        "2001:db8::1",
        "::1",
        "fe80::1",
        "ff02::1",
        "::ffff:192.0.2.1",
        "fd00::1",
    ],
];

/// The gateway with its owner, and what the guest knows of its connections.
struct World {
    host: Host,
    streams: Vec<StreamId>,
    requests: HashSet<RequestId>,
    seen: HashSet<RequestId>,
    /// By the gateway's end and the guest's: the numbers that the gateway expects and has sent.
    numbers: HashMap<(SocketAddr, SocketAddr), Numbers>,
    /// The frame that was handed in last.
    last: Vec<u8>,
}

/// A program of frames, time and what the owner does; [`step`](World::step) lists its instructions.
///
/// Checked: what [`Host::step`] checks; nothing is sent but to the guest, no neighbour is asked for
/// and no frame is too long; requests are named once, end once, and are from the guest to one host
/// that is not the loopback; so are datagrams; in the end nothing is left.
pub fn gateway_frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let verifies = input.byte().is_some_and(|flags| flags & 1 != 0);
    let mut host = Host::new(config(), verifies);
    host.step();
    host.events.clear();
    let mut world = World {
        host,
        streams: Vec::new(),
        requests: HashSet::new(),
        seen: HashSet::new(),
        numbers: HashMap::new(),
        last: Vec::new(),
    };
    for _ in 0..STEPS_MOST {
        if world.step(&mut input).is_none() {
            break;
        }
        world.after();
    }
    world.pass_long();
    assert_eq!(world.requests.len(), 0, "a request without an end");
    for stream in core::mem::take(&mut world.streams) {
        world.host.stack.release(stream);
    }
    world.pass_long();
    assert_eq!(world.host.stack.sockets(), 0, "a socket is left behind");
}

fn config() -> Config {
    Config {
        role: Role::Gateway {
            guest_mac: PEER_MAC,
            guest_ipv4: PEER_V4,
            guest_ipv6: Some(PEER_V6),
        },
        ..host::config()
    }
}

impl World {
    /// Does one instruction; `None` at the program's end.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 16 {
            0 => self.hand_in(input.block()?.to_vec()),
            1 => self.hand_in(host::ethernet(EthernetProtocol::Ipv4, input.block()?)),
            2 => self.hand_in(host::ethernet(EthernetProtocol::Ipv6, input.block()?)),
            3 => self.hand_in(host::ethernet(EthernetProtocol::Arp, input.block()?)),
            4..=6 => {
                let frame = self.segment(input)?;
                self.hand_in(frame);
            }
            7 => self.host.pass(Duration::from_millis(input.half()?.into())),
            8 => self
                .host
                .pass(Duration::from_millis(100) * u32::from(input.half()?)),
            9 => self.connect(input.byte()?, input.byte()?),
            10 | 11 => self.decide(input.byte()?, input.byte()?),
            12 => self.act(input)?,
            13 => self.datagram(input)?,
            14 => {
                // A DHCP message: its options, or all of it.
                let mut frame = host::udp(
                    SocketAddr::from(([0; 4], 68)),
                    SocketAddr::from(([255; 4], 67)),
                    input.block()?,
                );
                frame[..6].fill(0xff);
                self.hand_in(frame);
            }
            _ => {
                // The last frame once more, one byte of it changed.
                let (at, value) = (usize::from(input.half()?), input.byte()?);
                let mut frame = self.last.clone();
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
                self.hand_in(frame);
            }
        }
        Some(())
    }

    fn hand_in(&mut self, frame: Vec<u8>) {
        self.last.clone_from(&frame);
        self.host.receive(frame);
    }

    /// A segment of the guest, whose sequence and acknowledgment numbers are near those that the
    /// gateway expects.
    fn segment(&self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let (ends, flags) = (input.half()?, input.byte()?);
        let (sequence, acknowledgment) = (input.half()?, input.half()?);
        let (window, length) = (input.half()?, input.half()? % PAYLOAD_MOST);
        let options = if ends & 0x8000 != 0 {
            input.block()?
        } else {
            &[]
        };
        let (guest, other) = pair(ends);
        let known = self.numbers.get(&(other, guest));
        let known = known.copied().unwrap_or_default();
        let (sequence, acknowledgment) = known.near(sequence, acknowledgment);
        // A SYN carries nothing, most of the time.
        let payload = if flags & 2 != 0 && window & 7 != 0 {
            0
        } else {
            usize::from(length)
        };
        let segment = host::Segment {
            from: guest,
            to: other,
            sequence,
            acknowledgment,
            window,
            flags,
            options,
            payload,
        };
        Some(segment.frame(|_| {}))
    }

    fn connect(&mut self, low: u8, high: u8) {
        let (guest, other) = pair(u16::from_le_bytes([low, high]));
        let now = self.host.now;
        let stack = &mut self.host.stack;
        let made = match high & 0x80 {
            0 => stack.connect_as(other, guest, now),
            _ => stack.connect_from(Some(other.ip()), guest, now),
        };
        if let Ok(id) = made {
            assert!(!other.ip().is_multicast(), "a client that is a group");
            self.streams.push(id);
        }
        self.host.step();
    }

    /// Answers a request.
    fn decide(&mut self, which: u8, how: u8) {
        let mut waiting: Vec<RequestId> = self.requests.iter().copied().collect();
        waiting.sort_unstable();
        let Some(&request) = waiting.get(usize::from(which) % waiting.len().max(1)) else {
            return;
        };
        let refusal = match how % 8 {
            0 => Refusal::Reset,
            1 => Refusal::HostUnreachable,
            2 => Refusal::NetworkUnreachable,
            3 => Refusal::Silent,
            _ => {
                if let Ok(id) = self.host.stack.admit(request) {
                    self.streams.push(id);
                    self.requests.remove(&request);
                    let again = self.host.stack.admit(request);
                    assert!(again.is_err(), "a request is admitted twice");
                }
                return self.host.step();
            }
        };
        self.host.stack.refuse(request, refusal);
        self.requests.remove(&request);
        self.host.step();
    }

    /// What the owner does with one of its streams.
    fn act(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (which, action) = (usize::from(input.byte()?), input.byte()?);
        let amount = usize::from(input.half()?);
        if self.streams.is_empty() {
            return Some(());
        }
        let index = which % self.streams.len();
        let id = self.streams[index];
        let stream = self.host.stack.stream(id);
        let mut stream = stream.expect("streams live until they are released");
        match action % 8 {
            0 | 1 => {
                stream.send(&vec![0x55; amount]);
            }
            2..=4 => stream.skip(amount),
            5 => stream.finish(),
            6 => stream.reset(),
            _ => {
                self.streams.swap_remove(index);
                self.host.stack.release(id);
                assert!(self.host.stack.stream(id).is_none(), "it is released");
            }
        }
        self.host.step();
        Some(())
    }

    /// A datagram, of the guest or to it.
    fn datagram(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (ends, length) = (input.half()?, input.half()? % PAYLOAD_MOST);
        let (guest, other) = pair(ends);
        let payload = vec![0x33; usize::from(length)];
        if ends & 0x8000 != 0 {
            let _ = self.host.stack.send_datagram_as(other, guest, &payload);
            self.host.step();
        } else {
            self.hand_in(host::udp(guest, other, &payload));
        }
        Some(())
    }

    fn pass_long(&mut self) {
        for _ in 0..8 {
            self.host.pass(Duration::from_secs(600));
            self.after();
        }
    }

    /// Takes events and datagrams, looks at what was sent, and learns numbers from it.
    fn after(&mut self) {
        for event in core::mem::take(&mut self.host.events) {
            match event {
                Event::Requested { request, from, to } => {
                    assert!(self.seen.insert(request), "a request's name comes twice");
                    self.requests.insert(request);
                    check_ends(from, to);
                }
                Event::Withdrawn(request) => {
                    assert!(self.requests.remove(&request), "what ended ends again");
                }
                Event::Ready(_) => {}
                other => panic!("a gateway has no {other:?}"),
            }
        }
        assert!(self.requests.len() <= REQUESTS_MOST, "too many requests");
        assert!(self.host.stack.sockets() <= STREAMS, "too many sockets");
        while let Some(datagram) = self.host.stack.take_datagram() {
            check_ends(datagram.from, datagram.to);
        }
        for frame in core::mem::take(&mut self.host.card.sent) {
            check_sent(&frame);
            self.learn(&frame);
        }
        for id in &self.streams {
            let stream = self.host.stack.stream(*id);
            let stream = stream.expect("streams live until they are released");
            let remote = stream.remote().ip();
            assert!(is_guest(remote), "a connection with {remote}");
            assert!(stream.recv_len() <= 4096, "more than the buffer holds");
            assert!(stream.send_queued() <= 4096, "more than the buffer holds");
        }
    }

    fn learn(&mut self, frame: &[u8]) -> Option<()> {
        let (local, remote, tcp) = host::sent_tcp(frame)?;
        self.numbers.entry((local, remote)).or_default().learn(&tcp);
        Some(())
    }
}

/// The guest's end and another: family, addresses and ports.
fn pair(bits: u16) -> (SocketAddr, SocketAddr) {
    let family = usize::from(bits & 1);
    let guest = if family == 0 {
        PEER_V4.into()
    } else {
        PEER_V6.into()
    };
    let other = ELSEWHERE[family][usize::from(bits >> 1 & 7)];
    let other: IpAddr = other.parse().expect("an address");
    (
        SocketAddr::new(guest, GUEST_PORT + (bits >> 4 & 7)),
        SocketAddr::new(other, PORT + (bits >> 7 & 7)),
    )
}

fn is_guest(address: IpAddr) -> bool {
    address == PEER_V4 || address == PEER_V6
}

/// What the guest wants to reach: one host, not itself.
fn check_ends(from: SocketAddr, to: SocketAddr) {
    assert!(is_guest(from.ip()), "not from the guest but {from}");
    let ip = to.ip();
    let one = !ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified() && !is_guest(ip);
    assert!(one && to.port() != 0, "to {to}");
    assert_ne!(ip, IpAddr::from([255; 4]));
}

fn check_sent(frame: &[u8]) {
    assert!(
        frame.len() <= FRAME_MOST,
        "a frame of {} bytes",
        frame.len()
    );
    let ethernet = EthernetFrame::new_checked(frame).expect("a header");
    assert_eq!(ethernet.src_addr().0, MAC);
    assert_eq!(ethernet.dst_addr().0, PEER_MAC, "sent to somebody else");
    match host::sent_ip(frame) {
        Some((_, IpProtocol::Icmpv6, message)) => {
            assert_ne!(message.first(), Some(&135), "a neighbour is asked for");
        }
        Some(_) => {}
        None => {
            let arp = ArpPacket::new_checked(&frame[ETHERNET..]).expect("ARP");
            assert_eq!(arp.operation(), ArpOperation::Reply);
        }
    }
}

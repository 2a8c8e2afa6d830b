//! Frames into the demultiplexer.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use smoltcp::wire::{EthernetProtocol, Icmpv4Packet, IpProtocol};
use stockade_net::{Event, StreamId};

use super::host::{self, ETHERNET, Host, Numbers, PEER_V4, PEER_V6, STREAMS, V4, V6};
use super::input::Input;

/// Where our listener is, and where nobody listens.
const LISTENING: u16 = 443;
const CLOSED: u16 = 81;
/// The other end's first port; it uses eight of them.
const PEER_PORT: u16 = 5000;
/// Payload of one segment at most, in bytes: beyond a window, beyond a frame.
const PAYLOAD_MOST: u16 = 5000;
/// Instructions of one input at most: what an input can cost is bounded.
const STEPS_MOST: usize = 400;

/// The stack with its application, and what the other end knows of its connections.
struct World {
    host: Host,
    streams: Vec<Application>,
    /// By the two ports and the family: the numbers that the stack expects and has sent.
    numbers: HashMap<(u16, u16, bool), Numbers>,
    /// The frame that was handed in last.
    last: Vec<u8>,
    /// Only segments whose bytes follow from their numbers have been handed in.
    orderly: bool,
}

/// One stream, and the byte that must come next in it.
struct Application {
    id: StreamId,
    expected: Option<u8>,
}

/// A program of frames, time and what an application does; [`step`](World::step) lists its
/// instructions.
///
/// Checked: what [`Host::step`] checks; a stream gives bytes in the order of their sequence numbers,
/// none twice and none left out; it never holds more than its buffers.
pub fn frames(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let verifies = input.byte().is_some_and(|flags| flags & 1 != 0);
    let mut host = Host::new(host::config(), verifies);
    host.acquaint();
    host.stack.set_admission(STREAMS);
    host.stack.listen(None, LISTENING).expect("a free port");
    let mut world = World {
        host,
        streams: Vec::new(),
        numbers: HashMap::new(),
        last: Vec::new(),
        orderly: true,
    };
    for _ in 0..STEPS_MOST {
        if world.step(&mut input).is_none() {
            break;
        }
        world.after();
    }
    // Everything that waits has a deadline.
    for _ in 0..8 {
        world.host.pass(Duration::from_secs(600));
        world.after();
    }
    for stream in core::mem::take(&mut world.streams) {
        world.host.stack.release(stream.id);
    }
    for _ in 0..8 {
        world.host.pass(Duration::from_secs(600));
        world.after();
    }
    assert_eq!(world.streams.len(), 0, "a connection out of nowhere");
    assert_eq!(world.host.stack.sockets(), 0, "a socket is left behind");
}

impl World {
    /// Does one instruction; `None` at the program's end.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 13 {
            0 => self.hand_in_any(input.block()?.to_vec()),
            1 => self.hand_in_any(host::ethernet(EthernetProtocol::Ipv4, input.block()?)),
            2 => self.hand_in_any(host::ethernet(EthernetProtocol::Ipv6, input.block()?)),
            3 => self.hand_in_any(host::ethernet(EthernetProtocol::Arp, input.block()?)),
            4 | 5 => {
                let frame = self.segment(input)?;
                self.hand_in(frame);
            }
            6 => self.host.pass(Duration::from_millis(input.half()?.into())),
            7 => self
                .host
                .pass(Duration::from_millis(100) * u32::from(input.half()?)),
            8 | 9 => self.act(input)?,
            10 => {
                let family = input.byte()?;
                let port = PEER_PORT + u16::from(family >> 1 & 7);
                let remote = SocketAddr::new(peer(family & 1 != 0), port);
                if let Ok(id) = self.host.stack.connect(remote, self.host.now) {
                    self.streams.push(Application { id, expected: None });
                }
                self.host.step();
            }
            11 => {
                // The last frame once more, one byte of it changed.
                let (at, value) = (usize::from(input.half()?), input.byte()?);
                let mut frame = self.last.clone();
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
                self.hand_in_any(frame);
            }
            _ => {
                let frame = self.unreachable(input.byte()?, input.byte()?);
                self.hand_in(frame);
            }
        }
        Some(())
    }

    fn hand_in_any(&mut self, frame: Vec<u8>) {
        self.orderly = false;
        self.hand_in(frame);
    }

    fn hand_in(&mut self, frame: Vec<u8>) {
        self.last.clone_from(&frame);
        self.host.receive(frame);
    }

    /// A segment of one of the other end's ports, whose sequence and acknowledgment numbers are near
    /// those that the stack expects; byte number `n` of a stream is the low byte of `n`.
    fn segment(&self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let (ports, flags) = (input.byte()?, input.byte()?);
        let (sequence, acknowledgment) = (input.half()?, input.half()?);
        let (window, length) = (input.half()?, input.half()? % PAYLOAD_MOST);
        let options = if ports & 0x80 != 0 {
            input.block()?
        } else {
            &[]
        };
        let ipv6 = ports & 1 != 0;
        let peer_port = PEER_PORT + u16::from(ports >> 1 & 7);
        let port = match ports >> 4 & 3 {
            0 | 1 => LISTENING,
            2 => self.connected_from(peer_port, ipv6).unwrap_or(LISTENING),
            _ => CLOSED,
        };
        let known = self.numbers.get(&(port, peer_port, ipv6));
        let known = known.copied().unwrap_or_default();
        let (sequence, acknowledgment) = known.near(sequence, acknowledgment);
        let segment = host::Segment {
            from: SocketAddr::new(peer(ipv6), peer_port),
            to: SocketAddr::new(own(ipv6), port),
            sequence,
            acknowledgment,
            window,
            flags,
            options,
            payload: usize::from(length),
        };
        Some(segment.frame(|payload| {
            // A SYN takes the first number (RFC 9293 §3.4).
            let first = sequence.wrapping_add(u32::from(flags >> 1 & 1));
            for (number, byte) in (first..=u32::MAX).chain(0..).zip(payload) {
                *byte = number as u8;
            }
        }))
    }

    /// The port of ours from which we connect to this one.
    fn connected_from(&self, peer_port: u16, ipv6: bool) -> Option<u16> {
        let mut ports: Vec<u16> = self
            .numbers
            .keys()
            .filter(|key| key.0 != LISTENING && (key.1, key.2) == (peer_port, ipv6))
            .map(|key| key.0)
            .collect();
        ports.sort_unstable();
        ports.pop()
    }

    /// An ICMP error about the packet that the stack sent last (RFC 792).
    fn unreachable(&self, kind: u8, code: u8) -> Vec<u8> {
        let sent = self.host.card.sent.last().cloned().unwrap_or_default();
        let quote = sent.get(ETHERNET..).unwrap_or_default();
        let quote = &quote[..quote.len().min(60)];
        let ends = (peer(false), own(false));
        host::ip(ends, IpProtocol::Icmp, 8 + quote.len(), |bytes| {
            bytes[..2].copy_from_slice(&[kind % 16, code]);
            bytes[8..].copy_from_slice(quote);
            Icmpv4Packet::new_unchecked(bytes).fill_checksum();
        })
    }

    /// What an application does with one of its streams.
    fn act(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (which, action) = (usize::from(input.byte()?), input.byte()?);
        let amount = usize::from(input.half()?);
        if self.streams.is_empty() {
            return Some(());
        }
        let index = which % self.streams.len();
        let application = &mut self.streams[index];
        let stream = self.host.stack.stream(application.id);
        let mut stream = stream.expect("streams live until they are released");
        match action % 8 {
            0 | 1 => {
                stream.send(&vec![0x55; amount]);
            }
            2..=4 => {
                let mut data = vec![0; amount.min(stream.recv_len())];
                let length = stream.peek(&mut data);
                assert_eq!(length, data.len(), "less to read than there is");
                stream.skip(length);
                if self.orderly {
                    for byte in data {
                        let expected = application.expected.unwrap_or(byte);
                        assert_eq!(byte, expected, "bytes out of order");
                        application.expected = Some(byte.wrapping_add(1));
                    }
                }
            }
            5 => stream.finish(),
            6 => stream.reset(),
            _ => {
                let id = self.streams.swap_remove(index).id;
                self.host.stack.release(id);
                assert!(self.host.stack.stream(id).is_none(), "it is released");
            }
        }
        self.host.step();
        Some(())
    }

    /// Takes the new connections, learns numbers from what was sent, and looks at every stream.
    fn after(&mut self) {
        for event in core::mem::take(&mut self.host.events) {
            if let Event::Accepted { stream: id, .. } = event {
                self.streams.push(Application { id, expected: None });
            }
        }
        let sent = core::mem::take(&mut self.host.card.sent);
        for frame in &sent {
            self.learn(frame);
        }
        // What an ICMP error is about.
        self.host.card.sent.extend(sent.into_iter().next_back());
        for application in &self.streams {
            let stream = self.host.stack.stream(application.id);
            let stream = stream.expect("streams live until they are released");
            assert!(stream.recv_len() <= 4096, "more than the buffer holds");
            assert!(stream.send_queued() <= 4096, "more than the buffer holds");
        }
    }

    fn learn(&mut self, frame: &[u8]) -> Option<()> {
        let (local, remote, tcp) = host::sent_tcp(frame)?;
        let key = (local.port(), remote.port(), local.is_ipv6());
        self.numbers.entry(key).or_default().learn(&tcp);
        Some(())
    }
}

fn peer(ipv6: bool) -> IpAddr {
    if ipv6 { PEER_V6.into() } else { PEER_V4.into() }
}

fn own(ipv6: bool) -> IpAddr {
    if ipv6 { V6.into() } else { V4.into() }
}

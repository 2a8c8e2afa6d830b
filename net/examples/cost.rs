//! What a packet costs: nanoseconds per data segment received and per reply sent, with more and
//! more connections, or with the numbers of connections given. Run with `--release`; figures are for comparison on one machine only.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant as Clock;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::*;
use stockade_net::{Config, Event, Instant, Ipv4Config, Limits, Role, Stack, StreamId};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SERVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 9, 0, 1);

/// A card that delivers prepared frames and remembers the last one sent.
#[derive(Default)]
struct Card {
    rx: VecDeque<Vec<u8>>,
    last: Vec<u8>,
    sent: u64,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a mut Card);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.sent += 1;
        self.0.last.resize(len, 0);
        f(&mut self.0.last)
    }
}

impl Device for Card {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        let frame = self.rx.pop_front()?;
        Some((Rx(frame), Tx(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        Some(Tx(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        caps.checksum.tcp = Checksum::None;
        caps
    }
}

fn client(number: usize) -> (std::net::Ipv4Addr, u16) {
    let host = u8::try_from(number / 20_000).expect("few hosts");
    let port = u16::try_from(20_000 + number % 20_000).expect("a port");
    (std::net::Ipv4Addr::new(10, 9, 1 + host, 2), port)
}

fn frame(number: usize, control: TcpControl, seq: u32, ack: Option<u32>, data: &[u8]) -> Vec<u8> {
    let (address, port) = client(number);
    let syn = control == TcpControl::Syn;
    let tcp = TcpRepr {
        src_port: port,
        dst_port: 443,
        control,
        seq_number: TcpSeqNumber(seq.cast_signed()),
        ack_number: ack.map(|ack| TcpSeqNumber(ack.cast_signed())),
        window_len: 60_000,
        window_scale: syn.then_some(7),
        max_seg_size: syn.then_some(1460),
        sack_permitted: syn,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: data,
    };
    let caps = smoltcp::phy::ChecksumCapabilities::default();
    let (from, to) = (address.into(), SERVER.into());
    let ip = IpRepr::new(from, to, IpProtocol::Tcp, tcp.buffer_len(), 64);
    let mut frame = vec![0; 14 + ip.buffer_len()];
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(PEER),
        dst_addr: EthernetAddress(MAC),
        ethertype: EthernetProtocol::Ipv4,
    };
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    ip.emit(&mut frame[14..], &caps);
    tcp.emit(
        &mut TcpPacket::new_unchecked(&mut frame[34..]),
        &from,
        &to,
        &caps,
    );
    frame
}

fn arp(number: usize) -> Vec<u8> {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(PEER),
        source_protocol_addr: client(number).0,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: SERVER,
    };
    let mut frame = vec![0; 14 + arp.buffer_len()];
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(PEER),
        dst_addr: EthernetAddress(MAC),
        ethertype: EthernetProtocol::Arp,
    };
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    arp.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    frame
}

fn sequence(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[38..42].try_into().expect("a segment"))
}

fn main() {
    let payload = [7; 1000];
    let chosen: Vec<usize> = std::env::args()
        .skip(1)
        .flat_map(|word| word.parse())
        .collect();
    let all = vec![10, 100, 1000, 10_000, 50_000];
    for connections in if chosen.is_empty() { all } else { chosen } {
        let mut card = Card::default();
        let mut now = Instant::from_micros(1000);
        let config = Config {
            mac: MAC,
            ipv4: Ipv4Config::Static {
                address: SERVER,
                prefix: 16,
                gateway: None,
            },
            ipv6: None,
            dns: Vec::new(),
            seed: [3; 32],
            limits: Limits {
                streams: connections,
                half_open: 16,
                recv_buffer: 4096,
                send_buffer: 4096,
            },
            role: Role::Host,
        };
        let mut stack = Stack::new(config, &mut card, now).expect("a stack");
        stack.listen(None, 443).expect("a listener");
        for number in (0..connections).step_by(20_000) {
            card.rx.push_back(arp(number));
        }
        let mut streams: Vec<StreamId> = Vec::with_capacity(connections);
        let mut acks = Vec::with_capacity(connections);
        let begin = Clock::now();
        for number in 0..connections {
            card.rx
                .push_back(frame(number, TcpControl::Syn, 100, None, &[]));
            stack.poll(&mut card, now);
            let ack = sequence(&card.last).wrapping_add(1);
            acks.push(ack);
            card.rx
                .push_back(frame(number, TcpControl::None, 101, Some(ack), &[]));
            stack.poll(&mut card, now);
            while let Some(event) = stack.poll_event() {
                if let Event::Accepted { stream, .. } = event {
                    streams.push(stream);
                }
            }
            stack.flush(&mut card, now);
        }
        let accept = begin.elapsed().as_nanos() as usize / connections;
        assert_eq!(streams.len(), connections);

        let count = (connections * 3).clamp(20_000, 150_000);
        let mut sequences = vec![101u32; connections];
        let mut dice = 12_345u64;
        let frames: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let number = usize::try_from(dice % connections as u64).expect("small");
                let ack = Some(acks[number]);
                let frame = frame(number, TcpControl::Psh, sequences[number], ack, &payload);
                sequences[number] = sequences[number].wrapping_add(1000);
                frame
            })
            .collect();
        let (before, mut received) = (card.sent, 0);
        let begin = Clock::now();
        for (turn, frame) in frames.into_iter().enumerate() {
            if turn % 64 == 0 {
                now = now + core::time::Duration::from_micros(100);
            }
            card.rx.push_back(frame);
            stack.poll(&mut card, now);
            while let Some(event) = stack.poll_event() {
                if let Event::Ready(id) = event {
                    let mut stream = stack.stream(id).expect("a stream");
                    while stream.recv_len() > 0 {
                        received += stream.with_recv(|data| (data.len(), data.len()));
                    }
                }
            }
            stack.flush(&mut card, now);
            black_box(stack.poll_at());
        }
        let receive = begin.elapsed().as_nanos() as usize / count;
        assert_eq!(received, count * 1000);
        let acknowledged = card.sent - before;

        let begin = Clock::now();
        for id in &streams {
            let mut stream = stack.stream(*id).expect("a stream");
            assert_eq!(stream.send(&payload), 1000);
            stack.flush(&mut card, now);
        }
        let send = begin.elapsed().as_nanos() as usize / connections;
        println!(
            "{connections:6} connections: receive {receive:5} ns a segment ({acknowledged} ACKs \
             for {count}), send {send:5} ns, accept {accept:5} ns"
        );
    }
}

//! Two cards with smoltcp on top, back to back through a device that does what it negotiated:
//! completes checksums and splits super-segments as virtio 1.2 §5.1.6.2 describes.

use std::collections::VecDeque;
use std::net::Ipv6Addr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Address};

use super::fake::{FakeDevice, FakeNic, MAC};
use crate::virtio::Features;
use crate::virtio::checksum::{fold, sum};

/// Bytes to carry in each test.
const LENGTH: usize = if cfg!(miri) { 20_000 } else { 1_000_000 };
const BUFFER: usize = 200_000;

/// One end: device, card, interface.
struct End {
    device: FakeDevice,
    nic: FakeNic,
    interface: Interface,
}

impl End {
    fn new(features: Features, mtu: u16, number: u8) -> End {
        let device = FakeDevice::new(features).with_mtu(mtu).with(|state| {
            state.configuration[5] = number;
        });
        let mut nic = device.nic();
        let mut mac = MAC;
        mac[5] = number;
        assert_eq!(nic.mac(), mac);
        let config = Config::new(EthernetAddress(mac).into());
        let mut interface = Interface::new(config, &mut nic, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for address in [address(4, number), address(6, number)] {
                addresses
                    .push(IpCidr::new(address, 24))
                    .expect("room for two");
            }
        });
        End {
            device,
            nic,
            interface,
        }
    }
}

fn address(version: u8, number: u8) -> IpAddress {
    match version {
        4 => Ipv4Address::new(10, 0, 0, number).into(),
        _ => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// What came over the wire in one run.
#[derive(Debug, Default)]
struct Wire {
    /// Frames that a device was asked to split.
    split: usize,
    /// The largest frame that went from one device into the other's buffer, in bytes.
    largest: usize,
    /// Frames with their headers that wait for buffers, for each receiver.
    waiting: [VecDeque<(Vec<u8>, Vec<u8>)>; 2],
}

impl Wire {
    /// Carries the frames that `from` has sent to `to`, end number `end`, as far as it has buffers.
    fn carry(&mut self, from: &FakeDevice, to: &FakeDevice, end: usize) {
        let takes = Features::from_bits(to.0.borrow().agreed);
        let waiting = &mut self.waiting[end];
        for bytes in from.sent() {
            let (header, frame) = bytes.split_at(12);
            if header[1] != 0 {
                self.split += 1;
            }
            let whole = takes.contains(Features::OFFLOADS);
            let frames = match (header[0], header[1]) {
                (0, _) => vec![frame.to_vec()],
                (_, _) if whole => vec![frame.to_vec()],
                (_, 0) => vec![complete(header, frame)],
                (_, _) => segment(header, frame),
            };
            for frame in frames {
                self.largest = self.largest.max(frame.len());
                let header = if whole { header } else { &[0; 12] };
                waiting.push_back((header.to_vec(), frame));
            }
        }
        while let Some((header, frame)) = waiting.front() {
            if !to.deliver(header, frame) {
                break;
            }
            waiting.pop_front();
        }
    }
}

/// Completes a checksum: the sum from `csum_start` on, complemented, at `csum_offset` behind.
fn complete(header: &[u8], frame: &[u8]) -> Vec<u8> {
    let number = |at| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (start, offset) = (number(6), number(8));
    let mut frame = frame.to_vec();
    let checksum = !sum(&frame[start..]);
    frame[start + offset..start + offset + 2].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// Splits a super-segment over IPv4 into packets with `gso_size` bytes of payload each.
fn segment(header: &[u8], frame: &[u8]) -> Vec<Vec<u8>> {
    let number = |at| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (headers, size, tcp) = (number(2), number(4), number(6));
    assert_eq!(header[1], 1, "only IPv4 is split here");
    let (head, payload) = frame.split_at(headers);
    let first = u32::from_be_bytes(head[tcp + 4..tcp + 8].try_into().expect("four bytes"));
    let count = payload.len().div_ceil(size);
    let chunks = payload.chunks(size).enumerate();
    let packets = chunks.map(|(n, chunk)| {
        let mut packet = [head, chunk].concat();
        let total = (packet.len() - 14) as u16;
        packet[16..18].copy_from_slice(&total.to_be_bytes());
        packet[24..26].fill(0);
        let checksum = !sum(&packet[14..tcp]);
        packet[24..26].copy_from_slice(&checksum.to_be_bytes());
        let number = first.wrapping_add((n * size) as u32);
        packet[tcp + 4..tcp + 8].copy_from_slice(&number.to_be_bytes());
        if n + 1 < count {
            // FIN and PSH belong to the last one.
            packet[tcp + 13] &= !0x09;
        }
        let length = (packet.len() - tcp) as u64;
        packet[tcp + 16..tcp + 18].fill(0);
        let pseudo = u64::from(sum(&packet[26..34])) + 6 + length;
        let checksum = !fold(pseudo + u64::from(sum(&packet[tcp..])));
        packet[tcp + 16..tcp + 18].copy_from_slice(&checksum.to_be_bytes());
        packet
    });
    packets.collect()
}

fn socket<'a>(receive: &'a mut [u8], send: &'a mut [u8]) -> Socket<'a> {
    let mut socket = Socket::new(SocketBuffer::new(receive), SocketBuffer::new(send));
    // Virtual time is cheap, acknowledgements at once are cheaper.
    socket.set_ack_delay(None);
    socket
}

fn byte(n: usize) -> u8 {
    (n * 31 + n / 251) as u8
}

/// Carries `LENGTH` bytes over TCP from a card to another, both with the features, and back.
fn transfer(features: [Features; 2], mtu: u16, version: u8) -> Wire {
    let mut ends = [End::new(features[0], mtu, 1), End::new(features[1], mtu, 2)];
    let mut memory = [(); 4].map(|()| vec![0; BUFFER]);
    let [receive_1, send_1, receive_2, send_2] = &mut memory;
    let mut storage = [SocketStorage::EMPTY; 1];
    let mut client_set = SocketSet::new(&mut storage[..]);
    let client = client_set.add(socket(receive_1, send_1));
    let mut storage = [SocketStorage::EMPTY; 1];
    let mut server_set = SocketSet::new(&mut storage[..]);
    let mut listening = socket(receive_2, send_2);
    listening.listen(443).expect("listens");
    let server = server_set.add(listening);
    let remote = IpEndpoint::new(address(version, 2), 443);
    client_set
        .get_mut::<Socket>(client)
        .connect(ends[0].interface.context(), remote, 50_000)
        .expect("connects");

    let mut wire = Wire::default();
    let mut now = Instant::ZERO;
    let (mut sent, mut echoed, mut received) = (0, 0, 0);
    for _ in 0..100_000 {
        let [a, b] = &mut ends;
        a.interface.poll(now, &mut a.nic, &mut client_set);
        assert!(a.nic.failure().is_none());
        a.nic.flush();
        wire.carry(&a.device, &b.device, 1);
        b.interface.poll(now, &mut b.nic, &mut server_set);
        echoed += echo(server_set.get_mut(server));
        b.interface.poll(now, &mut b.nic, &mut server_set);
        b.nic.flush();
        wire.carry(&b.device, &a.device, 0);
        a.interface.poll(now, &mut a.nic, &mut client_set);
        work(client, &mut client_set, &mut sent, &mut received);
        if received == LENGTH {
            break;
        }
        now += Duration::from_millis(1);
    }
    assert_eq!((sent, echoed, received), (LENGTH, LENGTH, LENGTH));
    for end in &ends {
        let counters = end.nic.counters();
        assert_eq!(counters.device_errors, 0);
        assert_eq!(counters.dropped_corrupt, 0);
        assert_eq!(counters.dropped_oversized, 0);
        assert!(end.nic.failure().is_none());
    }
    wire
}

/// Sends and checks the client's bytes.
fn work(client: SocketHandle, set: &mut SocketSet<'_>, sent: &mut usize, received: &mut usize) {
    let socket = set.get_mut::<Socket>(client);
    while socket.can_send() && *sent < LENGTH {
        *sent += socket
            .send(|room| {
                let count = room.len().min(LENGTH - *sent);
                for (n, to) in (*sent..).zip(&mut room[..count]) {
                    *to = byte(n);
                }
                (count, count)
            })
            .expect("open");
    }
    while socket.can_recv() {
        *received += socket
            .recv(|data| {
                assert!((*received..).zip(&*data).all(|(n, b)| *b == byte(n)));
                (data.len(), data.len())
            })
            .expect("open");
    }
}

/// Sends back what came; gives the number of bytes.
fn echo(socket: &mut Socket<'_>) -> usize {
    let mut total = 0;
    while socket.can_recv() && socket.can_send() {
        let mut chunk = [0; 4096];
        let room = socket.send_capacity() - socket.send_queue();
        let count = room.min(chunk.len());
        let count = socket.recv_slice(&mut chunk[..count]).expect("open");
        assert_eq!(socket.send_slice(&chunk[..count]), Ok(count));
        total += count;
    }
    total
}

const EVERYTHING: Features = Features::OFFLOADS.union(Features::EVENT_IDX);

#[test]
fn everything_negotiated_carries_super_segments_whole() {
    let wire = transfer([EVERYTHING; 2], 1500, 4);
    assert!(wire.split > 0);
    assert!(wire.largest > 16_000, "{wire:?}");
}

#[test]
fn ipv6_is_carried_without_segmentation() {
    let wire = transfer([EVERYTHING; 2], 1500, 6);
    assert_eq!(wire.split, 0, "smoltcp cannot");
    assert!(wire.largest <= 1514);
}

#[test]
fn nothing_negotiated_works_all_the_same() {
    for version in [4, 6] {
        let wire = transfer([Features::NONE; 2], 1500, version);
        assert!(wire.largest <= 1514);
        assert_eq!(wire.split, 0);
    }
}

#[test]
fn completed_checksums_satisfy_a_stack_that_verifies() {
    let send_only = Features::CSUM.union(Features::EVENT_IDX);
    for version in [4, 6] {
        transfer([send_only; 2], 1500, version);
    }
}

#[test]
fn split_segments_satisfy_a_stack_that_verifies() {
    let send_only = Features::CSUM.union(Features::HOST_TSO4);
    let wire = transfer([send_only; 2], 1500, 4);
    assert!(wire.split > 0);
    assert!(wire.largest <= 1514);
}

#[test]
fn split_segments_satisfy_the_cards_own_verification() {
    let send = Features::CSUM.union(Features::HOST_TSO4);
    let take = Features::GUEST_CSUM;
    for pair in [[send.union(take); 2], [send, take]] {
        let wire = transfer(pair, 1500, 4);
        assert!(wire.split > 0);
    }
}

#[test]
fn a_large_mtu_carries_large_frames_without_offloads() {
    let wire = transfer([Features::MTU; 2], 65_000, 4);
    assert!(wire.largest > 16_000, "{wire:?}");
    assert_eq!(wire.split, 0);
}

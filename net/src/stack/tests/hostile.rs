//! Frames that no honest peer sends. Debug assertions and overflow checks are on.

use std::net::SocketAddr;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use smoltcp::wire::{ArpOperation, TcpControl};

use super::frames::*;
use super::world::*;
use crate::*;

/// Frames of each kind that a fuzzer can start from.
fn seeds(dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let payload = dice.bytes(600);
    for (from, to) in [
        (
            SocketAddr::from((V4[A], 5000)),
            SocketAddr::from((V4[B], 443)),
        ),
        (
            SocketAddr::from((V6[A], 5000)),
            SocketAddr::from((V6[B], 443)),
        ),
    ] {
        for control in [
            TcpControl::None,
            TcpControl::Psh,
            TcpControl::Fin,
            TcpControl::Syn,
            TcpControl::Rst,
        ] {
            for acknowledgment in [None, Some(dice.next() as u32)] {
                let sequence = dice.next() as u32;
                let len = dice.below(600) as usize;
                seeds.push(tcp(
                    from,
                    to,
                    control,
                    sequence,
                    acknowledgment,
                    &payload[..len],
                ));
            }
        }
        for (source, destination) in [(67, 68), (53, 40_000), (5353, 5353), (9, 9)] {
            let from = SocketAddr::new(from.ip(), source);
            let to = SocketAddr::new(to.ip(), destination);
            seeds.push(udp(from, to, &payload[..300]));
        }
        // ICMP in name only: the rest is up to the mutation.
        let mut icmp = udp(from, to, &payload[..100]);
        if from.is_ipv4() {
            icmp[14 + 9] = 1;
            icmp[34] = [0, 3, 8][dice.below(3) as usize];
        } else {
            icmp[14 + 6] = [0, 43, 44, 58, 60][dice.below(5) as usize];
            icmp[14 + 7] = 255;
            icmp[54] = [1, 128, 134, 135, 136][dice.below(5) as usize];
        }
        seeds.push(icmp);
    }
    seeds.push(arp(ArpOperation::Request, V4[A], V4[B]));
    seeds.push(arp(ArpOperation::Reply, V4[A], V4[B]));
    seeds
}

pub fn mutate(frame: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..dice.below(6) {
        if frame.is_empty() {
            return;
        }
        let at = dice.below(frame.len().min(120) as u64) as usize;
        frame[at] = match dice.below(4) {
            0 => 0,
            1 => 0xff,
            2 => frame[at] ^ (1 << dice.below(8)),
            _ => dice.next() as u8,
        };
    }
    match dice.below(12) {
        0 => frame.truncate(dice.below(frame.len() as u64 + 1) as usize),
        1 => {
            let more = dice.below(2000) as usize;
            frame.extend(dice.bytes(more));
        }
        _ => {}
    }
}

/// Makes checksums no obstacle: the card has checked them, or says so.
pub fn trusting() -> Card {
    let mut card = Card::new();
    card.caps.checksum = smoltcp::phy::ChecksumCapabilities::ignored();
    card
}

fn target(card: Card) -> Host {
    let mut config = config(B);
    config.dns = vec![V4[A].into()];
    config.limits.streams = 30;
    let mut host = Host::new(config, card);
    host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    host.stack.listen(None, 443).unwrap();
    host
}

#[test]
fn mutated_frames_never_panic() {
    let mut dice = Dice(0xdead_beef);
    let mut host = target(trusting());
    let mut now = Instant::ZERO;
    for round in 0..2000 {
        if round % 100 == 0 {
            host = target(trusting());
            host.stack.resolve("example.org", now).unwrap();
        }
        for mut frame in seeds(&mut dice) {
            for _ in 0..3 {
                mutate(&mut frame, &mut dice);
                host.card.rx.push_back(frame.clone());
            }
        }
        now = now + Duration::from_micros(dice.below(500_000));
        host.step(now);
        host.card.tx.clear();
        while let Some(id) = host.accepted() {
            host.stack.stream(id).unwrap().send(&[1; 100]);
            if dice.below(2) == 0 {
                host.stack.release(id);
            }
        }
        host.events.clear();
        assert!(host.stack.sockets() <= 30);
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut dice = Dice(0xfeed);
    let mut host = target(trusting());
    for round in 0..50_000u32 {
        let len = dice.below(200) as usize;
        let mut frame = dice.bytes(len);
        if len > 14 && round % 4 != 0 {
            frame[..6].copy_from_slice(&MACS[B]);
            let ethertype: [u8; 2] = [[8, 0], [8, 6], [0x86, 0xdd]][dice.below(3) as usize];
            frame[12..14].copy_from_slice(&ethertype);
            frame[14] = if ethertype == [8, 0] { 0x45 } else { 0x60 };
        }
        host.answer(&frame, Instant::from_micros(u64::from(round) * 100));
    }
}

/// A peer that knows its connection's numbers, and says anything with them.
#[test]
fn a_hostile_peer_inside_the_window() {
    let mut dice = Dice(31);
    let mut established = 0;
    for _ in 0..400 {
        let mut host = target(trusting());
        let mut now = Instant::ZERO + Duration::from_secs(1);
        let from = SocketAddr::from((V4[A], 1000 + dice.below(60_000) as u16));
        let to = SocketAddr::from((V4[B], 443));
        // Numbers near the wrap, where mistakes show.
        let first = 0u32.wrapping_sub(dice.below(3000) as u32);
        let syn = tcp(from, to, TcpControl::Syn, first, None, b"");
        let answer = host.answer(&syn, now);
        let number: [u8; 4] = answer[0][14 + 20 + 4..][..4].try_into().unwrap();
        let number = u32::from_be_bytes(number);
        let mut accepted = None;
        for _ in 0..150 {
            let control = match dice.below(12) {
                0 => TcpControl::Fin,
                1 => TcpControl::Syn,
                2 if dice.below(4) == 0 => TcpControl::Rst,
                3..6 => TcpControl::Psh,
                _ => TcpControl::None,
            };
            let near = |dice: &mut Dice, base: u32| {
                let spread = [2, 2000, 70_000, u64::from(u32::MAX)][dice.below(4) as usize];
                base.wrapping_add(dice.below(spread) as u32)
                    .wrapping_sub(dice.below(3) as u32)
            };
            let sequence = near(&mut dice, first.wrapping_add(1));
            let acknowledgment = near(&mut dice, number.wrapping_add(1));
            let len = [0, 1, 1460, 60_000][dice.below(4) as usize] as usize;
            let payload = vec![5; len];
            let acknowledgment = (dice.below(8) > 0).then_some(acknowledgment);
            let mut frame = tcp(from, to, control, sequence, acknowledgment, &payload);
            // Windows of every size, zero among them.
            let window = (dice.next() as u16) & [0, 0xff, 0xffff][dice.below(3) as usize];
            frame[14 + 20 + 14..][..2].copy_from_slice(&window.to_be_bytes());
            host.answer(&frame, now);
            accepted = accepted.or_else(|| host.accepted());
            if let Some(mut stream) = accepted.and_then(|id| host.stack.stream(id)) {
                match dice.below(12) {
                    0 => stream.finish(),
                    1 => stream.reset(),
                    2..5 => {
                        stream.send(&vec![1; dice.below(20_000) as usize]);
                    }
                    _ => stream.skip(dice.below(3000) as usize),
                }
            }
            if let Some(id) = accepted
                && dice.below(60) == 0
            {
                host.stack.release(id);
            }
            now = now + Duration::from_micros(dice.below(400_000));
            host.step(now);
            host.card.tx.clear();
        }
        established += usize::from(accepted.is_some());
    }
    assert!(established > 200, "only {established} got in");
}

/// Text after a FIN is nobody's: not when it comes with the handshake's end, not later, and the end
/// stays the end.
#[test]
fn bytes_after_a_fin_are_ignored() {
    for with_handshake in [false, true] {
        let mut host = target(Card::new());
        let from = SocketAddr::from((V4[A], 5000));
        let to = SocketAddr::from((V4[B], 443));
        let first = u32::MAX - 1;
        let answer = host.answer(
            &tcp(from, to, TcpControl::Syn, first, None, b""),
            Instant::ZERO,
        );
        let number = tcp_of(&answer[0]).seq_number.0 as u32;
        let mut send = |control, offset: u32, payload: &[u8]| {
            let sequence = first.wrapping_add(offset);
            let acknowledgment = Some(number.wrapping_add(1));
            let frame = tcp(from, to, control, sequence, acknowledgment, payload);
            host.answer(&frame, Instant::ZERO);
        };
        if !with_handshake {
            send(TcpControl::None, 1, b"");
        }
        send(TcpControl::Fin, 1, b"ab");
        for (offset, payload) in [(4, &b"more"[..]), (1, b"ab\0xy"), (3, b"z"), (1, b"ab")] {
            send(TcpControl::None, offset, payload);
            send(TcpControl::Fin, offset, payload);
        }
        let id = host.accepted().unwrap();
        let mut stream = host.stack.stream(id).unwrap();
        let mut data = [0; 16];
        assert_eq!(stream.peek(&mut data), 2, "{with_handshake}");
        assert_eq!(data[..2], *b"ab");
        stream.skip(2);
        assert!(stream.recv_finished());
        // Our half is still open.
        assert_eq!(stream.send(b"answer"), 6);
        assert_eq!(stream.status(), Status::Open);
    }
}

/// Two honest stacks on a link that corrupts frames, which checksums then catch.
#[test]
fn corruption_on_the_link_is_only_loss() {
    let mut world = World::new();
    world.loss = 20;
    let (a, b) = world.connected(V4[B].into());
    let data = Dice(8).bytes(100_000);
    let mut dice = Dice(99);
    let (mut sent, mut received) = (0, Vec::new());
    world.run(Duration::from_secs(2000), |world| {
        for host in [A, B] {
            let Some(frame) = world.hosts[host].card.rx.back() else {
                continue;
            };
            let mut copy = frame.clone();
            let at = dice.below(copy.len() as u64) as usize;
            copy[at] ^= 1 << dice.below(8);
            // Ethernet's own checksum, which is not here, guards the addresses.
            if at >= 14 {
                world.hosts[host].card.rx.push_back(copy);
            }
        }
        sent += world.stream(A, a).send(&data[sent..]);
        received.extend(world.read(B, b));
        received.len() >= data.len()
    });
    assert!(received == data);
}

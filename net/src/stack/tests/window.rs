//! Windows that close, and what waits in front of them.

use std::net::SocketAddr;
use std::time::Duration;
use std::vec::Vec;

use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket};

use super::frames;
use super::world::*;
use crate::amend::set_sequence;
use crate::classify::{Class, ETHERNET_HEADER, Link, Loopback, Segment, classify, flag};
use crate::window::{ajar, closes_on_flight};
use crate::*;

fn segment(frame: &[u8]) -> Segment {
    let link = Link {
        mac: MACS[B],
        loopback: Loopback::Nowhere,
    };
    match classify(frame, &link) {
        Class::Tcp(segment) => segment,
        other => panic!("{other:?}"),
    }
}

/// A frame with this payload whose window is closed, with a right checksum.
fn closed(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut frame = frames::tcp(from, to, TcpControl::None, 7, Some(100), payload);
    let start = ETHERNET_HEADER + if from.is_ipv4() { 20 } else { 40 };
    let mut tcp = TcpPacket::new_unchecked(&mut frame[start..]);
    tcp.set_window_len(0);
    tcp.fill_checksum(&from.ip().into(), &to.ip().into());
    frame
}

#[test]
fn a_changed_sequence_number_has_a_right_checksum() {
    let mut dice = Dice(3);
    for length in 0..200 {
        let payload = dice.bytes(length);
        let sequence = dice.next() as u32;
        let mut frame = closed("10.9.0.1:80", "10.9.0.2:4000", &payload);
        set_sequence(&mut frame, sequence, true).unwrap();
        let ip = Ipv4Packet::new_checked(&frame[ETHERNET_HEADER..]).unwrap();
        let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
        assert_eq!(tcp.seq_number().0 as u32, sequence);
        assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
        // A card that adds the checksum by itself finds the field as it was.
        let mut offloaded = closed("[fd00::1]:80", "[fd00::2]:4000", &payload);
        let before = offloaded.clone();
        set_sequence(&mut offloaded, sequence, false).unwrap();
        assert_eq!(offloaded[58..62], sequence.to_be_bytes());
        assert_eq!(offloaded[62..], before[62..]);
        let cut = ETHERNET_HEADER + 10;
        assert_eq!(set_sequence(&mut frame[..cut], sequence, true), None);
    }
}

#[test]
fn a_window_ajar_has_a_right_checksum() {
    for length in 0..200 {
        let payload = Dice(length + 1).bytes(length as usize);
        let frame = ajar(&closed("10.9.0.1:80", "10.9.0.2:4000", &payload)).unwrap();
        let ip = Ipv4Packet::new_checked(&frame[ETHERNET_HEADER..]).unwrap();
        let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
        assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
        assert_eq!(tcp.window_len(), 1);
        let frame = ajar(&closed("[fd00::1]:80", "[fd00::2]:4000", &payload)).unwrap();
        let ip = Ipv6Packet::new_checked(&frame[ETHERNET_HEADER..]).unwrap();
        let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
        assert!(tcp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
        assert_eq!(tcp.window_len(), 1);
    }
}

#[test]
fn only_a_closed_window_on_bytes_in_flight_is_set_ajar() {
    let closed = segment(&closed("10.9.0.1:80", "10.9.0.2:4000", b""));
    let check = |segment: Segment, sent, expect| {
        assert_eq!(closes_on_flight(&segment, sent), expect, "{segment:?}");
    };
    check(closed, 101, true);
    check(closed, 100, false);
    check(closed, 99, false);
    let open = Segment {
        window: 1,
        ..closed
    };
    check(open, 101, false);
    let reset = Segment {
        flags: flag::ACK | flag::RST,
        ..closed
    };
    check(reset, 101, false);
    let wrapping = Segment {
        acknowledgment: u32::MAX - 1,
        ..closed
    };
    check(wrapping, 3, true);
}

/// A peer may close its window on bytes in flight: when it is scaled and its edge moves back, or
/// when memory runs out. What it did not take is sent again once the window opens, with the right
/// content.
#[test]
fn bytes_that_a_closing_window_cut_off_are_sent_again() {
    let mut host = frames::acquainted();
    host.stack.listen(None, 443).unwrap();
    let from = SocketAddr::from((V4[A], 5000));
    let to = SocketAddr::from((V4[B], 443));
    let mut now = Instant::ZERO;
    let syn = frames::tcp(from, to, TcpControl::Syn, 999, None, b"");
    let first = frames::tcp_of(&host.answer(&syn, now)[0]).seq_number.0 as u32 + 1;
    let acknowledge = |taken: u32, window: u16| {
        let ack = Some(first.wrapping_add(taken));
        let mut frame = frames::tcp(from, to, TcpControl::None, 1000, ack, b"");
        let mut tcp = TcpPacket::new_unchecked(&mut frame[ETHERNET_HEADER + 20..]);
        tcp.set_window_len(window);
        tcp.fill_checksum(&from.ip().into(), &to.ip().into());
        frame
    };
    host.answer(&acknowledge(0, 20_000), now);
    let id = host.accepted().unwrap();
    let data = Dice(9).bytes(1000);
    host.stack.stream(id).unwrap().send(&data);
    host.step(now);
    host.answer(&acknowledge(999, 0), now);
    now = now + Duration::from_millis(500);
    host.answer(&acknowledge(999, 20_000), now);
    let mut repeated = None;
    while repeated.is_none() {
        now = host.stack.poll_at().unwrap().max(now);
        assert!(now < Instant::ZERO + Duration::from_secs(5), "{now:?}");
        host.card.tx.clear();
        host.step(now);
        for frame in &host.card.tx {
            let sent = frames::tcp_of(frame);
            if !sent.payload.is_empty() {
                assert_eq!(sent.seq_number.0 as u32, first.wrapping_add(999));
                repeated = Some(sent.payload.to_vec());
            }
        }
    }
    assert_eq!(repeated.unwrap(), data[999..]);
}

/// smoltcp forgets a fast retransmission for which the card has no room.
#[test]
fn a_fast_retransmission_waits_for_room_in_the_card() {
    let mut host = frames::acquainted();
    host.stack.listen(None, 443).unwrap();
    let from = SocketAddr::from((V4[A], 5000));
    let to = SocketAddr::from((V4[B], 443));
    let mut now = Instant::ZERO;
    let syn = frames::tcp(from, to, TcpControl::Syn, 999, None, b"");
    let first = frames::tcp_of(&host.answer(&syn, now)[0]).seq_number.0 as u32 + 1;
    let duplicate = frames::tcp(from, to, TcpControl::None, 1000, Some(first), b"");
    host.answer(&duplicate, now);
    let id = host.accepted().unwrap();
    let data = Dice(9).bytes(8000);
    host.stack.stream(id).unwrap().send(&data);
    host.step(now);
    for _ in 0..4 {
        host.card.rx.push_back(duplicate.clone());
    }
    host.card.hears_when_full = true;
    host.card.room = 0;
    host.step(now);
    host.card.tx.clear();
    host.card.room = usize::MAX;
    now = now + Duration::from_millis(2);
    host.step(now);
    let repeated = frames::tcp_of(&host.card.tx[0]);
    assert_eq!(repeated.seq_number.0 as u32, first);
    assert!(!repeated.payload.is_empty());
}

#[test]
fn a_keep_alive_carries_no_byte() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).send(b"hello");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.read(B, b), b"hello");
    world.pass(Duration::from_secs(1));
    let sent = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = sent.clone();
    world.filter = Some(std::boxed::Box::new(move |_, frame| {
        assert_eq!(frames::tcp_of(frame).payload, b"");
        counter.set(counter.get() + 1);
        true
    }));
    world.pass(Duration::from_secs(600));
    assert!((10..100).contains(&sent.get()), "{} frames", sent.get());
    assert_eq!(world.status(A, a), Status::Open);
    assert_eq!(world.stream(B, b).recv_len(), 0);
}

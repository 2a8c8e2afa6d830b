//! Windows that close, and what waits in front of them.

use std::net::SocketAddr;
use std::time::Duration;
use std::vec::Vec;

use smoltcp::wire::{EthernetFrame, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket};

use super::frames;
use super::world::*;
use crate::classify::{Class, ETHERNET_HEADER, Segment, classify, flag};
use crate::window::{ajar, closes_on_flight};
use crate::*;

fn segment(frame: &[u8]) -> Segment {
    match classify(frame, MACS[B]) {
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

/// The payload of a TCP frame over IPv4.
fn payload(frame: &[u8]) -> &[u8] {
    let ethernet = EthernetFrame::new_unchecked(frame);
    let ip = Ipv4Packet::new_unchecked(&frame[ETHERNET_HEADER..]);
    assert_eq!(ethernet.ethertype(), smoltcp::wire::EthernetProtocol::Ipv4);
    let start = ETHERNET_HEADER + usize::from(ip.header_len());
    let end = ETHERNET_HEADER + usize::from(ip.total_len());
    let header = TcpPacket::new_unchecked(&frame[start..]).header_len();
    &frame[start + usize::from(header)..end]
}

/// Buffers of 64 KiB and more scale their window, whose edge then moves back by a byte now and
/// then: a segment that filled it loses its last byte, at the moment in which the window closes.
#[test]
fn a_byte_cut_off_by_a_closing_window_is_sent_again_and_nothing_in_its_place() {
    let wide = |host| {
        let mut config = config(host);
        config.limits.recv_buffer = 100_001;
        config.limits.send_buffer = 300_000;
        Host::new(config, Card::new())
    };
    let mut world = World::of([wide(A), wide(B)]);
    let (a, b) = world.connected(V4[B].into());
    let data = Dice(9).bytes(250_001);
    world.stream(A, a).send(&data);
    let mut received = Vec::new();
    let mut rests = 0;
    while received.len() < data.len() {
        // Reads everything, but only after the window has been closed for a while.
        world.pass(Duration::from_millis(900));
        received.extend(world.read(B, b));
        rests += 1;
        assert!(rests < 100, "{} bytes", received.len());
    }
    assert!(received == data);
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
        assert_eq!(payload(frame), b"");
        counter.set(counter.get() + 1);
        true
    }));
    world.pass(Duration::from_secs(600));
    assert!((10..100).contains(&sent.get()), "{} frames", sent.get());
    assert_eq!(world.status(A, a), Status::Open);
    assert_eq!(world.stream(B, b).recv_len(), 0);
}

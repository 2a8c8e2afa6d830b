//! Datagrams that leave, and what may come back.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use smoltcp::wire::{ArpOperation, IpProtocol};

use super::frames::*;
use super::world::*;
use crate::*;

fn host() -> Host {
    let mut host = Host::new(config(B), Card::new());
    host.events.clear();
    host
}

/// The datagrams among the frames sent: where to, and their payloads.
fn datagrams(host: &mut Host, now: Instant) -> Vec<(u16, Vec<u8>)> {
    host.step(now);
    let frames = core::mem::take(&mut host.card.tx);
    frames.iter().filter_map(|frame| datagram(frame)).collect()
}

/// The destination port and the payload of a frame from port 514.
fn datagram(frame: &[u8]) -> Option<(u16, Vec<u8>)> {
    let packet = match frame[12..14] {
        [0x08, 0x00] if frame[23] == u8::from(IpProtocol::Udp) => &frame[34..],
        [0x86, 0xdd] if frame[20] == u8::from(IpProtocol::Udp) => &frame[54..],
        _ => return None,
    };
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    assert_eq!(word(0), 514, "the source port");
    Some((word(2), packet[8..usize::from(word(4))].to_vec()))
}

fn send(host: &mut Host, to: SocketAddr, payload: &[u8]) -> Result<(), DatagramError> {
    host.stack.send_datagram(to, payload, Instant::ZERO)
}

#[test]
fn a_datagram_waits_for_the_neighbor_and_leaves() {
    let mut host = host();
    let to = SocketAddr::new(V4[A].into(), 5140);
    assert_eq!(send(&mut host, to, b"a line"), Ok(()));
    assert_eq!(datagrams(&mut host, Instant::ZERO), vec![]);
    let sent = host.answer(&arp(ArpOperation::Reply, V4[A], V4[B]), Instant::ZERO);
    let sent: Vec<_> = sent.iter().filter_map(|frame| datagram(frame)).collect();
    assert_eq!(sent, [(5140, b"a line".to_vec())]);
    // The next one finds the way at once.
    assert_eq!(send(&mut host, to, b"another"), Ok(()));
    assert_eq!(
        datagrams(&mut host, Instant::ZERO),
        [(5140, b"another".to_vec())]
    );
}

#[test]
fn datagrams_travel_between_hosts_in_both_families() {
    for to in [V4[B].into(), V6[B].into()] {
        let mut world = World::new();
        let seen = std::rc::Rc::new(core::cell::RefCell::new(Vec::new()));
        let sink = seen.clone();
        world.filter = Some(std::boxed::Box::new(move |from, frame| {
            if from == A {
                sink.borrow_mut().extend(datagram(frame));
            }
            true
        }));
        let now = world.now;
        let stack = &mut world.hosts[A].stack;
        let to = SocketAddr::new(to, 514);
        assert_eq!(stack.send_datagram(to, b"over the wire", now), Ok(()));
        world.pass(Duration::from_secs(2));
        assert_eq!(*seen.borrow(), [(514, b"over the wire".to_vec())]);
    }
}

#[test]
fn datagrams_that_cannot_leave_are_refused() {
    let mut host = host();
    let error = |host: &mut Host, to: &str, payload: &[u8]| {
        send(host, to.parse().unwrap(), payload).unwrap_err()
    };
    let unaddressable = ["10.9.0.2:514", "10.9.0.1:0", "0.0.0.0:514", "224.0.0.1:514"];
    for to in unaddressable {
        let error = error(&mut host, to, b"");
        assert_eq!(error, DatagramError::Unaddressable, "{to}");
    }
    for to in ["192.0.2.1:514", "[2001:db8::1]:514", "10.9.255.255:514"] {
        assert_eq!(error(&mut host, to, b""), DatagramError::NoRoute, "{to}");
    }
    let most = 1514 - 62;
    let too_long = DatagramError::TooLong { most };
    assert_eq!(
        error(&mut host, "10.9.0.1:514", &vec![0; most + 1]),
        too_long
    );
    let to = SocketAddr::new(V4[A].into(), 514);
    assert_eq!(send(&mut host, to, &vec![0; most]), Ok(()));
}

#[test]
fn the_queue_is_bounded_and_drains() {
    let mut host = host();
    let to = SocketAddr::new(V4[A].into(), 514);
    let taken = (0..1000)
        .take_while(|_| send(&mut host, to, b"line") == Ok(()))
        .count();
    assert_eq!(taken, 32);
    assert_eq!(send(&mut host, to, b"line"), Err(DatagramError::Full));
    let frames = host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    let mut sent = frames.iter().filter_map(|frame| datagram(frame)).count();
    for _ in 0..10 {
        sent += datagrams(&mut host, Instant::ZERO).len();
    }
    assert_eq!(sent, taken);
    assert_eq!(send(&mut host, to, b"line"), Ok(()));
}

#[test]
fn a_neighbor_that_is_not_there_costs_a_question_a_second() {
    let mut host = host();
    let to = SocketAddr::new(Ipv4Addr::new(10, 9, 7, 7).into(), 514);
    assert_eq!(send(&mut host, to, b"line"), Ok(()));
    let mut now = Instant::ZERO;
    let mut frames = 0;
    let mut steps = 0;
    while now < Instant::from_micros(60_000_000) {
        host.step(now);
        frames += core::mem::take(&mut host.card.tx).len();
        now = host
            .stack
            .poll_at()
            .unwrap()
            .max(now + Duration::from_millis(1));
        steps += 1;
    }
    assert!((30..=90).contains(&frames), "{frames} frames");
    assert!(steps < 1000, "{steps} steps");
}

#[test]
fn what_comes_back_is_dropped_without_an_answer() {
    let mut host = host();
    let to = SocketAddr::new(V4[A].into(), 514);
    host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    assert_eq!(send(&mut host, to, b"line"), Ok(()));
    assert_eq!(datagrams(&mut host, Instant::ZERO).len(), 1);
    host.events.clear();
    for _ in 0..1000 {
        let back = udp((V4[A], 514).into(), (V4[B], 514).into(), b"what?");
        let answers = host.answer(&back, Instant::ZERO);
        assert!(answers.iter().all(|frame| datagram(frame).is_none()));
    }
    assert_eq!(host.events, []);
}

//! Off the link, by way of a router.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::vec::Vec;

use smoltcp::wire::{ArpOperation, TcpControl};

use super::frames::*;
use super::world::*;
use crate::*;

/// Host B with host A as its router in both families.
fn routed() -> Host {
    let mut config = config(B);
    config.ipv4 = Ipv4Config::Static {
        address: V4[B],
        prefix: 24,
        gateway: Some(V4[A]),
    };
    config.ipv6 = Some(Ipv6Config {
        address: V6[B],
        prefix: 64,
        gateway: Some("fe80::1".parse().unwrap()),
    });
    Host::new(config, Card::new())
}

#[test]
fn connecting_asks_for_the_router() {
    let mut host = routed();
    let now = Instant::ZERO + Duration::from_secs(2);
    let remote: SocketAddr = "192.0.2.1:443".parse().unwrap();
    host.stack.connect(remote, now).unwrap();
    host.step(now);
    let sent = core::mem::take(&mut host.card.tx);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][38..42], V4[A].octets());
    let sent = host.answer(&arp(ArpOperation::Reply, V4[A], V4[B]), now);
    assert_eq!(sent.len(), 1);
    assert_eq!(tcp_of(&sent[0]).control, TcpControl::Syn);
    assert_eq!(sent[0][..6], PEER);
    let (from, to, ..) = ip_of(&sent[0]).unwrap();
    assert_eq!(
        (IpAddr::from(from), IpAddr::from(to)),
        (V4[B].into(), remote.ip())
    );
}

#[test]
fn a_link_local_router_is_solicited() {
    let mut host = routed();
    let now = Instant::ZERO + Duration::from_secs(2);
    let remote: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
    host.stack.connect(remote, now).unwrap();
    host.step(now);
    let sent = core::mem::take(&mut host.card.tx);
    // The solicited-node group of fe80::1.
    assert_eq!(sent[0][..6], [0x33, 0x33, 0xff, 0, 0, 1]);
    let (_, _, _, payload) = ip_of(&sent[0]).unwrap();
    assert_eq!(payload[0], 135);
    assert_eq!(payload[8..10], [0xfe, 0x80]);
}

#[test]
fn clients_behind_the_router_are_served() {
    let mut host = routed();
    host.stack.listen(None, 443).unwrap();
    let now = Instant::ZERO;
    host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), now);
    let from: SocketAddr = "198.51.100.7:5000".parse().unwrap();
    let to = SocketAddr::from((V4[B], 443));
    let answer = host.answer(&tcp(from, to, TcpControl::Syn, 0, None, b""), now);
    let segment = tcp_of(&answer[0]);
    assert_eq!(segment.control, TcpControl::Syn);
    let ack = Some((segment.seq_number.0 as u32).wrapping_add(1));
    // Data may come with the last segment of the handshake, and the end with it.
    let frame = tcp(from, to, TcpControl::Fin, 1, ack, b"all at once");
    host.answer(&frame, now);
    let id = host.accepted().unwrap();
    let mut stream = host.stack.stream(id).unwrap();
    assert_eq!((stream.local(), stream.remote()), (to, from));
    let text: Vec<u8> = stream.with_recv(|data| (data.len(), data.to_vec()));
    assert_eq!(text, b"all at once");
    assert!(stream.recv_finished());
    assert_eq!(stream.status(), Status::Open);
}

#[test]
fn static_addresses_are_in_force_at_once() {
    let mut host = routed();
    host.step(Instant::ZERO);
    assert_eq!(host.events, [Event::Configured]);
    let expect = Addresses {
        ipv4: Some((V4[B], 24)),
        ipv4_gateway: Some(V4[A]),
        ipv6: Some((V6[B], 64)),
        ipv6_gateway: Some("fe80::1".parse().unwrap()),
        dns: std::vec![V4[A].into(), "fe80::1".parse().unwrap()],
    };
    assert_eq!(host.stack.addresses(), &expect);
    // Nothing to do: nothing to wake up for.
    assert_eq!(host.stack.poll_at(), None);
}

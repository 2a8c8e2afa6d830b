//! Who gets a socket, and when it is given back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use smoltcp::wire::{ArpOperation, Icmpv6Packet, Icmpv6Repr, Ipv6Packet, NdiscRepr, TcpControl};

use super::frames::*;
use super::world::*;
use crate::connection::{HALF_OPEN_GRACE, HALF_OPEN_TIMEOUT};
use crate::*;

fn server() -> SocketAddr {
    SocketAddr::from((V4[B], 443))
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::from((V4[A], port))
}

fn syn(port: u16, sequence: u32) -> Vec<u8> {
    tcp(client(port), server(), TcpControl::Syn, sequence, None, b"")
}

fn listening() -> Host {
    let mut host = acquainted();
    host.stack.listen(None, 443).unwrap();
    host
}

/// A handshake by hand; the server's initial sequence number, when it answers.
fn handshake(host: &mut Host, port: u16, now: Instant) -> Option<u32> {
    let answer = host.answer(&syn(port, 1000), now);
    let segment = tcp_of(answer.first()?);
    if segment.control != TcpControl::Syn {
        return None;
    }
    let number = segment.seq_number.0 as u32;
    let ack = number.wrapping_add(1);
    let last = tcp(
        client(port),
        server(),
        TcpControl::None,
        1001,
        Some(ack),
        b"",
    );
    host.answer(&last, now);
    Some(number)
}

#[test]
fn a_flood_of_syns_leaves_established_connections_alone_and_lets_new_ones_in() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let now = world.now;
    for number in 0..20_000u32 {
        // Addresses on the link and ports, all different; nobody there answers.
        let source = Ipv4Addr::from(0x0a09_1000 + number % 4000);
        let from = SocketAddr::from((source, 1024 + (number / 4000) as u16));
        let frame = tcp(from, server(), TcpControl::Syn, number, None, b"");
        world.hosts[B].answer(&frame, now);
        assert!(world.hosts[B].stack.half_open() <= limits().half_open);
    }
    assert_eq!(world.hosts[B].stack.half_open(), limits().half_open);
    // A client that is there gets in at once: the oldest of the strangers gives way to it.
    world.pass(HALF_OPEN_GRACE);
    let (c, d) = world.connected(V4[B].into());
    assert_eq!(world.hosts[B].stack.half_open(), limits().half_open - 1);
    let data = Dice(4).bytes(8000);
    world.stream(A, a).send(&data);
    world.run(Duration::from_secs(1), |world| {
        world.stream(B, b).recv_len() == data.len()
    });
    world.pass(HALF_OPEN_TIMEOUT + Duration::from_secs(1));
    assert_eq!(world.hosts[B].stack.half_open(), 0);
    assert_eq!(world.hosts[B].stack.sockets(), 2);
    world.stream(B, d).send(b"still here");
    world.run(Duration::from_secs(1), |world| {
        world.stream(A, c).recv_len() == 10
    });
}

#[test]
fn the_oldest_unfinished_handshake_gives_way() {
    let mut host = listening();
    let now = Instant::ZERO;
    let most = limits().half_open as u16;
    // Finished handshakes do not count, wherever they stand in the order.
    assert!(handshake(&mut host, 1, now).is_some());
    for port in 2..2 + most {
        host.answer(&syn(port, 1000), now);
    }
    // A burst of clients is no flood: one more has to ask again.
    assert!(host.answer(&syn(2 + most, 1000), now).is_empty());
    let now = now + HALF_OPEN_GRACE;
    assert!(handshake(&mut host, 2 + most, now).is_some());
    assert_eq!(host.stack.half_open(), usize::from(most) - 1);
    assert_eq!(host.stack.sockets(), usize::from(most) + 1);
    // The second client, the oldest unfinished one, is unknown now; the third is not.
    let ack = |port| tcp(client(port), server(), TcpControl::None, 1001, Some(1), b"");
    let answer = host.answer(&ack(2), now);
    assert_eq!(tcp_of(&answer[0]).control, TcpControl::Rst);
    assert_eq!(host.stack.half_open(), usize::from(most) - 1);
    host.answer(&syn(3, 1000), now);
    assert_eq!(host.stack.half_open(), usize::from(most) - 1);
}

#[test]
fn beyond_admission_refused_then_recovers() {
    let mut host = listening();
    host.stack.set_admission(2);
    let now = Instant::ZERO;
    assert!(handshake(&mut host, 1, now).is_some());
    assert!(handshake(&mut host, 2, now).is_some());
    assert_eq!(host.stack.admission(), 0);
    let answer = host.answer(&syn(3, 0), now);
    assert_eq!(tcp_of(&answer[0]).control, TcpControl::Rst);
    let first = host.accepted().unwrap();
    host.stack.stream(first).unwrap().reset();
    assert_eq!(host.stack.admission(), 0);
    host.stack.release(first);
    host.step(now);
    assert_eq!(host.stack.admission(), 1);
    assert!(handshake(&mut host, 3, now).is_some());
}

#[test]
fn a_repeated_syn_finds_its_socket() {
    let mut host = listening();
    for _ in 0..5 {
        host.answer(&syn(1, 1000), Instant::ZERO);
    }
    assert_eq!(host.stack.half_open(), 1);
    assert_eq!(host.stack.sockets(), 1);
    // A client that is not there after all takes its socket with it.
    let rst = tcp(client(1), server(), TcpControl::Rst, 1001, None, b"");
    host.answer(&rst, Instant::ZERO);
    assert_eq!((host.stack.half_open(), host.stack.sockets()), (0, 0));
}

#[test]
fn a_wrong_checksum_makes_no_socket() {
    let mut host = listening();
    let mut frame = syn(1, 1000);
    let last = frame.len() - 1;
    frame[last] ^= 1;
    assert!(host.answer(&frame, Instant::ZERO).is_empty());
    assert_eq!(host.stack.sockets(), 0);
}

#[test]
fn listeners_keep_to_their_address() {
    let mut host = acquainted();
    let id = host.stack.listen(Some(V4[B].into()), 443).unwrap();
    assert_eq!(host.stack.listen(None, 443), Err(ListenError::InUse));
    assert_eq!(host.stack.listen(None, 0), Err(ListenError::PortZero));
    host.stack.listen(Some(V6[B].into()), 443).unwrap();
    assert!(handshake(&mut host, 5, Instant::ZERO).is_some());
    let accepted = |e: &Event| matches!(e, Event::Accepted { listener, .. } if *listener == id);
    assert!(host.events.iter().any(accepted));
    // To an address that is not ours, even with our Ethernet address: no answer at all.
    let other = SocketAddr::from(([10, 9, 0, 9], 443));
    let frame = tcp(client(6), other, TcpControl::Syn, 0, None, b"");
    assert!(host.answer(&frame, Instant::ZERO).is_empty());
}

#[test]
fn sequence_numbers_are_unrelated() {
    let mut host = listening();
    let mut numbers: Vec<u32> = (1..60)
        .map(|port| handshake(&mut host, port, Instant::ZERO).unwrap())
        .collect();
    let differences: Vec<u32> = numbers
        .windows(2)
        .map(|w| w[1].wrapping_sub(w[0]))
        .collect();
    numbers.extend(differences);
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count);
    // The same events with another seed: other numbers.
    let mut other = Host::new(
        Config {
            seed: [99; 32],
            ..config(B)
        },
        Card::new(),
    );
    other.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    other.stack.listen(None, 443).unwrap();
    let number = handshake(&mut other, 1, Instant::ZERO).unwrap();
    assert!(numbers.binary_search(&number).is_err());
}

#[test]
fn a_guessed_reset_or_syn_is_challenged() {
    let mut host = listening();
    let number = handshake(&mut host, 1, Instant::ZERO).unwrap();
    let id = host.accepted().unwrap();
    let challenge = |host: &mut Host, frame: &[u8]| {
        let answer = host.answer(frame, Instant::ZERO);
        let segment = tcp_of(&answer[0]);
        assert_eq!(segment.control, TcpControl::None);
        assert_eq!(segment.seq_number.0 as u32, number.wrapping_add(1));
        assert_eq!(segment.ack_number.unwrap().0, 1001);
        assert!(segment.window_len > 0);
    };
    // Inside the window, but not the next number (RFC 5961 §3.2).
    let guess = tcp(client(1), server(), TcpControl::Rst, 1500, None, b"");
    challenge(&mut host, &guess);
    challenge(&mut host, &syn(1, 1200));
    assert_eq!(host.status(id), Some(Status::Open));
    let exact = tcp(client(1), server(), TcpControl::Rst, 1001, None, b"");
    assert!(host.answer(&exact, Instant::ZERO).is_empty());
    let reset = Status::Closed(Some(StreamError::Reset));
    assert_eq!(host.status(id), Some(reset));
}

#[test]
fn time_wait_reopens_for_a_later_syn() {
    let mut host = listening();
    let number = handshake(&mut host, 1, Instant::ZERO).unwrap();
    let id = host.accepted().unwrap();
    host.stack.stream(id).unwrap().finish();
    host.step(Instant::ZERO);
    let ack = number.wrapping_add(2);
    let fin = tcp(client(1), server(), TcpControl::Fin, 1001, Some(ack), b"");
    let answer = host.answer(&fin, Instant::ZERO);
    assert_eq!(tcp_of(&answer[0]).ack_number.unwrap().0, 1002);
    host.stack.release(id);
    assert_eq!(host.stack.sockets(), 0);
    // An old SYN is only acknowledged.
    let answer = host.answer(&syn(1, 900), Instant::ZERO);
    let segment = tcp_of(&answer[0]);
    assert_eq!(segment.control, TcpControl::None);
    assert_eq!(segment.ack_number.unwrap().0, 1002);
    assert_eq!(host.stack.sockets(), 0);
    let answer = host.answer(&syn(1, 5000), Instant::ZERO);
    let segment = tcp_of(&answer[0]);
    assert_eq!(segment.control, TcpControl::Syn);
    assert_eq!(segment.ack_number.unwrap().0, 5001);
}

#[test]
fn connecting_waits_for_arp_no_longer_than_it_takes() {
    let mut host = Host::new(config(B), Card::new());
    let now = Instant::ZERO + Duration::from_secs(5);
    let remote = SocketAddr::from((V4[A], 80));
    host.stack.connect(remote, now).unwrap();
    host.step(now);
    let request = core::mem::take(&mut host.card.tx);
    assert_eq!(request.len(), 1);
    assert!(try_tcp_of(&request[0]).is_none());
    // A second one, while the first request is not answered yet.
    host.stack.connect(remote, now).unwrap();
    host.step(now);
    // Somebody else's address comes first.
    let later = now + Duration::from_millis(2);
    let other = arp(ArpOperation::Reply, [10, 9, 0, 99].into(), V4[B]);
    assert!(host.answer(&other, later).is_empty());
    let later = now + Duration::from_millis(3);
    let sent = host.answer(&arp(ArpOperation::Reply, V4[A], V4[B]), later);
    let syns = sent.iter().filter(|f| tcp_of(f).control == TcpControl::Syn);
    assert_eq!(syns.count(), 2);
}

#[test]
fn connecting_to_several_unknown_neighbours_asks_for_each() {
    let mut host = Host::new(config(B), Card::new());
    let now = Instant::ZERO + Duration::from_secs(5);
    let neighbours: Vec<IpAddr> = vec![
        [10, 9, 0, 5].into(),
        [10, 9, 0, 6].into(),
        [10, 9, 0, 7].into(),
        [10, 9, 0, 5].into(),
        "fd00::5".parse().unwrap(),
        "fd00::6".parse().unwrap(),
    ];
    for neighbour in &neighbours {
        let remote = SocketAddr::new(*neighbour, 80);
        host.stack.connect(remote, now).unwrap();
    }
    host.step(now);
    let asked: Vec<IpAddr> = host
        .card
        .tx
        .drain(..)
        .map(|frame| match ip_of(&frame) {
            None => IpAddr::from(<[u8; 4]>::try_from(&frame[38..42]).unwrap()),
            Some((.., payload)) => {
                let caps = smoltcp::phy::ChecksumCapabilities::default();
                let ip = Ipv6Packet::new_checked(&frame[14..]).unwrap();
                let packet = Icmpv6Packet::new_checked(payload).unwrap();
                let (from, to) = (ip.src_addr(), ip.dst_addr());
                assert_eq!(ip.hop_limit(), 255);
                match Icmpv6Repr::parse(&from, &to, &packet, &caps).unwrap() {
                    Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, .. }) => {
                        IpAddr::from(target_addr)
                    }
                    other => panic!("{other:?}"),
                }
            }
        })
        .collect();
    // Each once, and the one that two wait for at most twice.
    for neighbour in &neighbours {
        let times = asked.iter().filter(|asked| *asked == neighbour).count();
        assert!((1..=2).contains(&times), "{neighbour}: {asked:?}");
    }
    let sent = host.answer(&arp(ArpOperation::Reply, [10, 9, 0, 6].into(), V4[B]), now);
    assert_eq!(sent.len(), 1);
    assert_eq!(tcp_of(&sent[0]).control, TcpControl::Syn);
}

#[test]
fn connect_says_why_not() {
    let mut host = Host::new(config(B), Card::new());
    let mut check = |remote: &str, expect| {
        let remote = remote.parse().unwrap();
        assert_eq!(
            host.stack.connect(remote, Instant::ZERO),
            Err(expect),
            "{remote}"
        );
    };
    check("10.9.0.1:0", ConnectError::Unaddressable);
    check("0.0.0.0:1", ConnectError::Unaddressable);
    check("127.0.0.1:1", ConnectError::Unaddressable);
    check("224.0.0.1:1", ConnectError::Unaddressable);
    check("255.255.255.255:1", ConnectError::Unaddressable);
    check("10.9.0.2:1", ConnectError::Unaddressable);
    check("[::1]:1", ConnectError::Unaddressable);
    check("[ff02::1]:1", ConnectError::Unaddressable);
    check("[::ffff:10.9.0.1]:1", ConnectError::Unaddressable);
    check("10.9.255.255:1", ConnectError::NoRoute);
    check("192.0.2.1:1", ConnectError::NoRoute);
    check("[2001:db8::1]:1", ConnectError::NoRoute);
    for _ in 0..limits().streams {
        let remote = "10.9.0.1:1".parse().unwrap();
        host.stack.connect(remote, Instant::ZERO).unwrap();
    }
    assert_eq!(
        host.stack
            .connect("10.9.0.1:1".parse().unwrap(), Instant::ZERO),
        Err(ConnectError::TooManyStreams)
    );
}

#[test]
fn icmp_ends_a_connection_attempt_but_not_a_connection() {
    let mut host = acquainted();
    let now = Instant::ZERO;
    let remote = SocketAddr::from((V4[A], 80));
    let id = host.stack.connect(remote, now).unwrap();
    host.step(now);
    let syn = core::mem::take(&mut host.card.tx).remove(0);
    let quote = |quoted: &[u8], code: u8| {
        let mut message = std::vec![3, code, 0, 0, 0, 0, 0, 0];
        message.extend(&quoted[14..14 + 28]);
        let mut frame = tcp(client(1), server(), TcpControl::None, 0, None, &[0; 16]);
        frame.truncate(14 + 20 + 36);
        frame[34..].copy_from_slice(&message);
        frame[14 + 9] = 1;
        frame
    };
    let mut guess = syn.clone();
    guess[14 + 20 + 4] ^= 1;
    host.answer(&quote(&guess, 1), now);
    assert_eq!(host.status(id), Some(Status::Connecting));
    host.answer(&quote(&syn, 4), now);
    assert_eq!(host.status(id), Some(Status::Connecting));
    host.answer(&quote(&syn, 1), now);
    let unreachable = Status::Closed(Some(StreamError::Unreachable));
    assert_eq!(host.status(id), Some(unreachable));
    assert!(host.events.contains(&Event::Ready(id)));
}

/// Whatever happens, admission and sockets add up.
#[test]
fn admission_is_conserved() {
    const ALLOWED: usize = 40;
    for seed in 1..4 {
        let mut world = World::new();
        world.dice = Dice(seed);
        world.loss = 20;
        world.hosts[B].stack.listen(None, 443).unwrap();
        world.hosts[B].stack.set_admission(ALLOWED);
        let remote = SocketAddr::from((V4[B], 443));
        let mut open: [Vec<StreamId>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..4000 {
            match world.dice.below(10) {
                0..3 => open[A].extend(world.hosts[A].stack.connect(remote, world.now)),
                side @ 3..7 => {
                    let side = side as usize % 2;
                    let count = open[side].len() as u64;
                    if count > 0 {
                        let id = open[side][world.dice.below(count) as usize];
                        let mut stream = world.stream(side, id);
                        stream.send(&[7; 900]);
                        let len = stream.recv_len();
                        stream.skip(len);
                    }
                }
                side @ 7..9 => {
                    let side = side as usize % 2;
                    if !open[side].is_empty() {
                        let count = open[side].len() as u64;
                        let at = world.dice.below(count) as usize;
                        let id = open[side].swap_remove(at);
                        match world.dice.below(3) {
                            0 => world.stream(side, id).reset(),
                            1 => world.stream(side, id).finish(),
                            _ => {}
                        }
                        world.hosts[side].stack.release(id);
                    }
                }
                _ => world.pass(Duration::from_millis(300)),
            }
            world.step();
            open[B].extend(core::iter::from_fn(|| world.hosts[B].accepted()));
            let stack = &world.hosts[B].stack;
            assert_eq!(stack.admission() + stack.sockets(), ALLOWED);
            assert!(stack.half_open() <= stack.sockets());
        }
        for side in [A, B] {
            for id in core::mem::take(&mut open[side]) {
                world.hosts[side].stack.release(id);
            }
        }
        world.pass(Duration::from_secs(60));
        while let Some(id) = world.hosts[B].accepted() {
            world.hosts[B].stack.release(id);
        }
        world.pass(Duration::from_secs(300));
        assert_eq!(world.hosts[B].stack.admission(), ALLOWED);
        assert_eq!(world.hosts[B].stack.sockets(), 0);
        assert_eq!(world.hosts[A].stack.sockets(), 0);
    }
}

//! A launcher's end of a link and the guest at the other: whole connections, by two stacks.

mod answers;
mod lossy;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::vec::Vec;

use super::world::*;
use crate::*;

/// The guest is host A, the gateway host B.
pub const GUEST: usize = A;
pub const GATEWAY: usize = B;

/// Length of frames on a link in memory.
pub const JUMBO: usize = 65_014;

pub fn gateway() -> Config {
    Config {
        role: Role::Gateway {
            guest_mac: MACS[GUEST],
            guest_ipv4: V4[GUEST],
            guest_ipv6: Some(V6[GUEST]),
        },
        dns: std::vec![V4[GATEWAY].into(), V6[GATEWAY].into()],
        ..config(GATEWAY)
    }
}

pub fn guest() -> Config {
    Config {
        ipv4: Ipv4Config::Static {
            address: V4[GUEST],
            prefix: 16,
            gateway: Some(V4[GATEWAY]),
        },
        ipv6: Some(Ipv6Config {
            address: V6[GUEST],
            prefix: 64,
            gateway: Some(V6[GATEWAY]),
        }),
        role: Role::Published,
        ..config(GUEST)
    }
}

pub fn card(frame: usize) -> Card {
    let mut card = Card::new();
    card.caps.max_transmission_unit = frame;
    card
}

/// Guest and gateway on a link with frames of that length. The gateway asks nothing of the link.
pub fn link(frame: usize) -> World {
    let mut world = World::of([
        Host::new(guest(), card(frame)),
        Host::new(gateway(), card(frame)),
    ]);
    world.filter = Some(std::boxed::Box::new(|from, frame| {
        let asks = match frame[12..14] {
            [8, 6] => frame[21] == 1,
            [0x86, 0xdd] => frame[20] == 58 && frame[54] == 135,
            _ => false,
        };
        assert!(from == GUEST || !asks, "the gateway asks for a neighbour");
        true
    }));
    world
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The guest's port 443, in the family of `from`.
pub fn door(from: SocketAddr) -> SocketAddr {
    let guest = match from {
        SocketAddr::V4(_) => IpAddr::from(V4[GUEST]),
        SocketAddr::V6(_) => V6[GUEST].into(),
    };
    SocketAddr::new(guest, 443)
}

/// Lets both ends take in what has arrived, before time goes on.
pub fn settle(world: &mut World) {
    for host in &mut world.hosts {
        host.step(world.now);
    }
}

/// The request that has come, if any.
pub fn requested(world: &mut World) -> Option<(RequestId, SocketAddr, SocketAddr)> {
    settle(world);
    let events = &mut world.hosts[GATEWAY].events;
    let at = events
        .iter()
        .position(|e| matches!(e, Event::Requested { .. }))?;
    match events.remove(at) {
        Event::Requested { request, from, to } => Some((request, from, to)),
        _ => None,
    }
}

/// A connection of a client into the guest: the gateway's end and the guest's.
#[track_caller]
pub fn entered(world: &mut World, from: SocketAddr) -> (StreamId, StreamId) {
    let _ = world.hosts[GUEST].stack.listen(None, 443);
    let now = world.now;
    let outer = world.hosts[GATEWAY].stack.connect_as(from, door(from), now);
    let outer = outer.unwrap();
    let mut inner = None;
    world.run(Duration::from_secs(40), |world| {
        inner = inner.or_else(|| world.hosts[GUEST].accepted());
        inner.is_some() && world.hosts[GATEWAY].status(outer) == Some(Status::Open)
    });
    (outer, inner.unwrap())
}

/// A connection of the guest that has been admitted: the guest's end and the gateway's.
#[track_caller]
pub fn left(world: &mut World, to: SocketAddr) -> (StreamId, StreamId) {
    let now = world.now;
    let inner = world.hosts[GUEST].stack.connect(to, now).unwrap();
    let mut outer = None;
    world.run(Duration::from_secs(40), |world| {
        if let Some((request, _, at)) = requested(world) {
            assert_eq!(at, to);
            outer = Some(world.hosts[GATEWAY].stack.admit(request).unwrap());
        }
        outer.is_some_and(|outer| world.hosts[GATEWAY].status(outer) == Some(Status::Open))
            && world.hosts[GUEST].status(inner) == Some(Status::Open)
    });
    (inner, outer.unwrap())
}

/// Carries `data` from one end to the other, and checks that it arrives.
#[track_caller]
pub fn carry(world: &mut World, from: (usize, StreamId), to: (usize, StreamId), data: &[u8]) {
    let (mut sent, mut received) = (0, Vec::new());
    world.run(Duration::from_secs(600), |world| {
        settle(world);
        sent += world.stream(from.0, from.1).send(&data[sent..]);
        received.extend(world.read(to.0, to.1));
        received.len() == data.len()
    });
    assert!(received == data, "the bytes differ");
}

#[test]
fn clients_come_with_their_own_addresses() {
    for from in [
        "192.0.2.7:40000",
        "127.0.0.1:40001",
        "127.3.2.1:40001",
        // A neighbour of the guest, as far as the guest knows.
        "10.9.0.77:40000",
        "[2001:db8::7]:40000",
        "[::1]:40001",
        "[fd00::77]:40000",
        "[fe80::77]:40000",
    ] {
        let mut world = link(1514);
        let from = address(from);
        let (outer, inner) = entered(&mut world, from);
        let stream = world.stream(GUEST, inner);
        assert_eq!((stream.remote(), stream.local()), (from, door(from)));
        let stream = world.stream(GATEWAY, outer);
        assert_eq!((stream.local(), stream.remote()), (from, door(from)));
        let data = Dice(1).bytes(100_000);
        carry(&mut world, (GATEWAY, outer), (GUEST, inner), &data);
        carry(&mut world, (GUEST, inner), (GATEWAY, outer), &data);
        // Either direction ends by itself.
        world.stream(GATEWAY, outer).finish();
        world.run(Duration::from_secs(5), |world| {
            world.stream(GUEST, inner).recv_finished()
        });
        carry(&mut world, (GUEST, inner), (GATEWAY, outer), b"still");
        world.stream(GUEST, inner).finish();
        world.run(Duration::from_secs(5), |world| {
            world.status(GUEST, inner) == Status::Closed(None)
                && world.status(GATEWAY, outer) == Status::Closed(None)
        });
        // The same client once more, whatever is in TIME-WAIT.
        let (outer, inner) = entered(&mut world, from);
        world.stream(GUEST, inner).reset();
        world.run(Duration::from_secs(5), |world| {
            world.status(GATEWAY, outer) == Status::Closed(Some(StreamError::Reset))
        });
    }
}

#[test]
fn a_client_comes_again_after_the_guest_ended_first() {
    let mut world = link(1514);
    let from = address("127.0.0.1:40001");
    let (outer, inner) = entered(&mut world, from);
    world.stream(GUEST, inner).finish();
    world.run(Duration::from_secs(5), |world| {
        world.stream(GATEWAY, outer).recv_finished()
    });
    world.stream(GATEWAY, outer).finish();
    world.run(Duration::from_secs(5), |world| {
        world.status(GUEST, inner) == Status::Closed(None)
            && world.status(GATEWAY, outer) == Status::Closed(None)
    });
    // The guest is in TIME-WAIT now: it takes the new SYN, at once or after a challenge.
    for (host, id) in [(GUEST, inner), (GATEWAY, outer)] {
        world.hosts[host].stack.release(id);
    }
    entered(&mut world, from);
}

#[test]
fn nobody_listens_in_the_guest() {
    let mut world = link(1514);
    for from in ["127.0.0.1:40001", "[2001:db8::7]:40000"] {
        let from = address(from);
        let now = world.now;
        let stack = &mut world.hosts[GATEWAY].stack;
        let id = stack.connect_as(from, door(from), now).unwrap();
        world.run(Duration::from_secs(5), |world| {
            world.status(GATEWAY, id) == Status::Closed(Some(StreamError::Refused))
        });
    }
}

#[test]
fn what_cannot_be_a_client() {
    let mut world = link(1514);
    let stack = &mut world.hosts[GATEWAY].stack;
    let mut check = |from: &str, to: &str, expect| {
        let result = stack.connect_as(address(from), address(to), Instant::ZERO);
        assert_eq!(result.err(), Some(expect), "{from} {to}");
    };
    let guest = "10.9.0.1:443";
    for from in [
        "0.0.0.0:1",
        "224.0.0.1:1",
        "255.255.255.255:1",
        "1.2.3.4:0",
        "10.9.0.1:5",
    ] {
        check(from, guest, ConnectError::Unaddressable);
    }
    check("[::1]:5", guest, ConnectError::Unaddressable);
    check(
        "[::ffff:1.2.3.4]:5",
        "[fd00::1]:443",
        ConnectError::Unaddressable,
    );
    check("127.0.0.1:5", "10.9.0.1:0", ConnectError::Unaddressable);
    check("127.0.0.1:5", "10.9.0.3:443", ConnectError::NoRoute);
    check("127.0.0.1:5", "192.0.2.1:443", ConnectError::NoRoute);
    let first = stack.connect_as(address("127.0.0.1:5"), address(guest), Instant::ZERO);
    assert!(first.is_ok());
    let again = stack.connect_as(address("127.0.0.1:5"), address(guest), Instant::ZERO);
    assert_eq!(again, Err(ConnectError::InUse));
    // Others than gateways have their own addresses alone.
    let from = address("10.9.0.7:5");
    let result = world.hosts[GUEST]
        .stack
        .connect_as(from, address("10.9.0.2:1"), Instant::ZERO);
    assert_eq!(result, Err(ConnectError::NotOurAddress));
}

#[test]
fn a_gateway_connects_from_itself_and_from_any_address_with_a_port_of_its_own() {
    let mut world = link(1514);
    world.hosts[GUEST].stack.listen(None, 443).unwrap();
    for (local, expect) in [
        (None, IpAddr::from(V4[GATEWAY])),
        (
            Some("127.0.0.9".parse().unwrap()),
            "127.0.0.9".parse().unwrap(),
        ),
    ] {
        let to = SocketAddr::new(V4[GUEST].into(), 443);
        let now = world.now;
        let stack = &mut world.hosts[GATEWAY].stack;
        let outer = stack.connect_from(local, to, now).unwrap();
        world.run(Duration::from_secs(5), |world| {
            world.status(GATEWAY, outer) == Status::Open
        });
        assert_eq!(world.stream(GATEWAY, outer).local().ip(), expect);
    }
    let stack = &mut world.hosts[GATEWAY].stack;
    let elsewhere = address("10.9.0.5:443");
    assert_eq!(
        stack.connect(elsewhere, Instant::ZERO),
        Err(ConnectError::NoRoute)
    );
    let guest = address("10.9.0.1:443");
    let result = stack.connect_from(Some("224.0.0.1".parse().unwrap()), guest, Instant::ZERO);
    assert_eq!(result, Err(ConnectError::NotOurAddress));
}

#[test]
fn the_guests_connections_are_held_until_they_are_admitted() {
    for to in [
        "10.9.0.2:80",
        "192.0.2.9:443",
        "[fd00::2]:80",
        "[2001:db8::9]:443",
    ] {
        let mut world = link(1514);
        let to = address(to);
        let now = world.now;
        let inner = world.hosts[GUEST].stack.connect(to, now).unwrap();
        world.run(Duration::from_secs(1), |world| {
            world.hosts[GATEWAY]
                .events
                .iter()
                .any(|e| matches!(e, Event::Requested { .. }))
        });
        let (request, from, at) = requested(&mut world).unwrap();
        assert_eq!(at, to);
        assert_eq!(world.stream(GUEST, inner).local(), from);
        // The SYN comes again, and is the same request.
        world.pass(Duration::from_secs(5));
        assert_eq!(requested(&mut world), None);
        assert_eq!(world.status(GUEST, inner), Status::Connecting);
        let outer = world.hosts[GATEWAY].stack.admit(request).unwrap();
        assert_eq!(world.status(GATEWAY, outer), Status::Connecting);
        let again = world.hosts[GATEWAY].stack.admit(request);
        assert_eq!(again, Err(AdmitError::NoSuchRequest));
        world.run(Duration::from_secs(1), |world| {
            world.status(GUEST, inner) == Status::Open
                && world.status(GATEWAY, outer) == Status::Open
        });
        assert!(world.hosts[GATEWAY].events.contains(&Event::Ready(outer)));
        let stream = world.stream(GATEWAY, outer);
        assert_eq!((stream.local(), stream.remote()), (to, from));
        let data = Dice(2).bytes(50_000);
        carry(&mut world, (GUEST, inner), (GATEWAY, outer), &data);
        carry(&mut world, (GATEWAY, outer), (GUEST, inner), &data);
    }
}

#[test]
fn requests_are_refused_as_they_should() {
    for to in [
        "10.9.0.2:80",
        "192.0.2.9:443",
        "[fd00::2]:80",
        "[2001:db8::9]:443",
    ] {
        for (refusal, expect) in [
            (Refusal::Reset, Status::Closed(Some(StreamError::Refused))),
            (
                Refusal::HostUnreachable,
                Status::Closed(Some(StreamError::Unreachable)),
            ),
            (
                Refusal::NetworkUnreachable,
                Status::Closed(Some(StreamError::Unreachable)),
            ),
            (Refusal::Silent, Status::Connecting),
        ] {
            let mut world = link(1514);
            let now = world.now;
            let inner = world.hosts[GUEST].stack.connect(address(to), now).unwrap();
            let mut request = None;
            world.run(Duration::from_millis(500), |world| {
                request = request.or_else(|| requested(world));
                request.is_some()
            });
            world.hosts[GATEWAY]
                .stack
                .refuse(request.unwrap().0, refusal);
            world.pass(Duration::from_millis(400));
            assert_eq!(world.status(GUEST, inner), expect, "{to} {refusal:?}");
            // Who was not answered asks again.
            world.pass(Duration::from_secs(2));
            let again = requested(&mut world).is_some();
            assert_eq!(again, refusal == Refusal::Silent, "{to} {refusal:?}");
        }
    }
}

#[test]
fn a_request_is_withdrawn_when_it_has_waited_for_too_long() {
    let mut world = link(1514);
    let to = address("192.0.2.9:443");
    let inner = world.hosts[GUEST].stack.connect(to, Instant::ZERO).unwrap();
    world.pass(Duration::from_secs(1));
    let (request, ..) = requested(&mut world).unwrap();
    // The guest gives up without a word.
    world.hosts[GUEST].stack.release(inner);
    world.pass(Duration::from_secs(50));
    let withdrawn = Event::Withdrawn(request);
    assert!(!world.hosts[GATEWAY].events.contains(&withdrawn));
    world.pass(Duration::from_secs(15));
    assert!(world.hosts[GATEWAY].events.contains(&withdrawn));
    let admitted = world.hosts[GATEWAY].stack.admit(request);
    assert_eq!(admitted, Err(AdmitError::NoSuchRequest));
}

#[test]
fn a_guest_that_has_given_up_resets_what_is_admitted() {
    let mut world = link(1514);
    let to = address("192.0.2.9:443");
    let inner = world.hosts[GUEST].stack.connect(to, Instant::ZERO).unwrap();
    world.pass(Duration::from_secs(1));
    let (request, ..) = requested(&mut world).unwrap();
    world.hosts[GUEST].stack.release(inner);
    let outer = world.hosts[GATEWAY].stack.admit(request).unwrap();
    world.run(Duration::from_secs(5), |world| {
        world.status(GATEWAY, outer) == Status::Closed(Some(StreamError::Reset))
    });
    assert!(world.hosts[GATEWAY].events.contains(&Event::Ready(outer)));
    world.hosts[GATEWAY].stack.release(outer);
    assert_eq!(world.hosts[GATEWAY].stack.sockets(), 0);
}

#[test]
fn admission_is_bounded_by_streams() {
    let mut config = gateway();
    config.limits.streams = 1;
    let mut world = World::of([
        Host::new(guest(), card(1514)),
        Host::new(config, card(1514)),
    ]);
    left(&mut world, address("192.0.2.9:443"));
    let now = world.now;
    world.hosts[GUEST]
        .stack
        .connect(address("192.0.2.9:444"), now)
        .unwrap();
    world.pass(Duration::from_millis(500));
    let (request, ..) = requested(&mut world).unwrap();
    let stack = &mut world.hosts[GATEWAY].stack;
    // It still waits, and may be refused.
    assert_eq!(stack.admit(request), Err(AdmitError::TooManyStreams));
    assert_eq!(stack.admit(request), Err(AdmitError::TooManyStreams));
    stack.refuse(request, Refusal::Reset);
    assert_eq!(stack.admit(request), Err(AdmitError::NoSuchRequest));
}

#[test]
fn neighbours_stay_known_for_as_long_as_it_takes() {
    let mut world = link(1514);
    let from = address("127.0.0.1:40001");
    let (outer, inner) = entered(&mut world, from);
    for host in [GATEWAY, GUEST] {
        let id = if host == GATEWAY { outer } else { inner };
        world.stream(host, id).set_keep_alive(None);
    }
    world.pass(Duration::from_secs(10_000));
    carry(
        &mut world,
        (GATEWAY, outer),
        (GUEST, inner),
        b"good morning",
    );
    world.pass(Duration::from_secs(10_000));
    carry(
        &mut world,
        (GUEST, inner),
        (GATEWAY, outer),
        b"good evening",
    );
}

#[test]
fn a_listener_closes_and_its_connections_live_on() {
    let mut world = World::new();
    let first = world.hosts[B].stack.listen(None, 443).unwrap();
    let (a, b) = world.connected(V4[B].into());
    // A handshake that is not complete yet.
    let now = world.now;
    let remote = SocketAddr::new(V4[B].into(), 443);
    let late = world.hosts[A].stack.connect(remote, now).unwrap();
    world.run(Duration::from_secs(1), |world| {
        world.hosts[B].stack.half_open() == 1
    });
    world.hosts[B].stack.close_listener(first);
    let mut accepted = None;
    world.run(Duration::from_secs(1), |world| {
        accepted = accepted.or_else(|| world.hosts[B].accepted());
        accepted.is_some()
    });
    carry(&mut world, (A, a), (B, b), b"as before");
    carry(
        &mut world,
        (A, late),
        (B, accepted.unwrap()),
        b"just in time",
    );
    let now = world.now;
    let refused = world.hosts[A].stack.connect(remote, now).unwrap();
    world.run(Duration::from_secs(1), |world| {
        world.status(A, refused) == Status::Closed(Some(StreamError::Refused))
    });
    let second = world.hosts[B].stack.listen(None, 443).unwrap();
    assert_ne!(first, second);
    world.hosts[B].stack.close_listener(first);
    world.connected(V4[B].into());
}

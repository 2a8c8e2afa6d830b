//! Bytes arrive, whole and in order, whatever the link does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use super::world::*;
use crate::*;

/// One direction of a transfer: what was sent, and how much of it has left and arrived.
struct Direction {
    from: (usize, StreamId),
    to: (usize, StreamId),
    data: Vec<u8>,
    sent: usize,
    received: usize,
}

impl Direction {
    fn new(from: (usize, StreamId), to: (usize, StreamId), data: Vec<u8>) -> Direction {
        Direction {
            from,
            to,
            data,
            sent: 0,
            received: 0,
        }
    }

    fn advance(&mut self, world: &mut World) -> bool {
        let mut stream = world.stream(self.from.0, self.from.1);
        if self.sent < self.data.len() {
            // Now through the lent slice, now by copying.
            let rest = &self.data[self.sent..];
            self.sent += if self.sent.is_multiple_of(2) {
                stream.with_send(|free| {
                    let count = free.len().min(rest.len());
                    free[..count].copy_from_slice(&rest[..count]);
                    (count, count)
                })
            } else {
                stream.send(&rest[..rest.len().min(3001)])
            };
            if self.sent == self.data.len() {
                stream.finish();
            }
        }
        let mut stream = world.stream(self.to.0, self.to.1);
        let expect = &self.data[self.received..];
        self.received += stream.with_recv(|data| {
            assert!(
                expect.starts_with(data),
                "{} bytes before the end",
                expect.len()
            );
            (data.len(), data.len())
        });
        self.received == self.data.len() && stream.recv_finished()
    }
}

#[track_caller]
fn transfer(world: &mut World, to: IpAddr, bytes: usize, limit: Duration) {
    let (a, b) = world.connected(to);
    let mut dice = Dice(77);
    let mut there = Direction::new((A, a), (B, b), dice.bytes(bytes));
    let mut back = Direction::new((B, b), (A, a), dice.bytes(bytes));
    world.run(limit, |world| {
        let done = [there.advance(world), back.advance(world)];
        done == [true, true]
    });
    // Both FINs acknowledged: over in order, both ends.
    world.run(Duration::from_secs(100), |world| {
        world.status(A, a) == Status::Closed(None) && world.status(B, b) == Status::Closed(None)
    });
    world.hosts[A].stack.release(a);
    world.hosts[B].stack.release(b);
    world.run(Duration::from_secs(40), |world| {
        world.hosts[A].stack.sockets() + world.hosts[B].stack.sockets() == 0
    });
}

#[test]
fn one_byte_each_way() {
    let mut world = World::new();
    transfer(&mut world, V4[B].into(), 1, Duration::from_secs(1));
}

#[test]
fn ten_megabytes_each_way() {
    let mut world = World::new();
    transfer(
        &mut world,
        V4[B].into(),
        10_000_000,
        Duration::from_secs(60),
    );
}

#[test]
fn ten_megabytes_each_way_over_ipv6() {
    let mut world = World::new();
    transfer(
        &mut world,
        V6[B].into(),
        10_000_000,
        Duration::from_secs(60),
    );
}

#[test]
fn loss_and_reordering() {
    for seed in 1..6 {
        let mut world = World::new();
        world.dice = Dice(seed);
        world.loss = 30;
        world.reorder = 50;
        transfer(&mut world, V4[B].into(), 200_000, Duration::from_secs(3000));
    }
}

#[test]
fn segmentation_offload_sends_large_segments() {
    let mut card = Card::new();
    card.caps.checksum.tcp = smoltcp::phy::Checksum::Rx;
    card.caps.segmentation.tcpv4 = core::num::NonZeroUsize::new(65_536);
    card.caps.segmentation.tcpv6 = core::num::NonZeroUsize::new(65_536);
    let mut plain = Card::new();
    // The other side does not check what the card would have filled in.
    plain.caps.checksum.tcp = smoltcp::phy::Checksum::Tx;
    let mut world = World::of([Host::new(config(A), card), Host::new(config(B), plain)]);
    let largest = std::rc::Rc::new(core::cell::Cell::new(0));
    let seen = largest.clone();
    world.filter = Some(std::boxed::Box::new(move |_, frame| {
        seen.set(seen.get().max(frame.len()));
        true
    }));
    transfer(&mut world, V4[B].into(), 300_000, Duration::from_secs(60));
    assert!(largest.get() > 5000, "largest frame {}", largest.get());
    // smoltcp cannot leave IPv6 to the card: ordinary segments, none lost.
    largest.set(0);
    transfer(&mut world, V6[B].into(), 300_000, Duration::from_secs(60));
    assert!(largest.get() <= 1514, "largest frame {}", largest.get());
}

#[test]
fn five_hundred_connections() {
    let mut world = World::new();
    world.hosts[B].stack.listen(None, 443).unwrap();
    let remote = SocketAddr::from((V4[B], 443));
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    while clients.len() < 500 {
        for _ in 0..50 {
            let id = world.hosts[A].stack.connect(remote, world.now).unwrap();
            clients.push(id);
        }
        let want = clients.len();
        world.run(Duration::from_secs(10), |world| {
            servers.extend(core::iter::from_fn(|| world.hosts[B].accepted()));
            servers.len() == want
        });
    }
    world.run(Duration::from_secs(10), |world| {
        clients
            .iter()
            .all(|id| world.status(A, *id) == Status::Open)
    });
    for (number, id) in clients.iter().enumerate() {
        let text = std::format!("client {number}");
        assert_eq!(world.stream(A, *id).send(text.as_bytes()), text.len());
    }
    // Each server returns what it gets.
    let mut answered = vec![false; 500];
    world.run(Duration::from_secs(10), |world| {
        for id in &servers {
            let data = world.read(B, *id);
            world.stream(B, *id).send(&data);
        }
        for (number, id) in clients.iter().enumerate() {
            let data = world.read(A, *id);
            if !data.is_empty() {
                assert_eq!(data, std::format!("client {number}").as_bytes());
                answered[number] = true;
            }
        }
        answered.iter().all(|done| *done)
    });
    for id in clients {
        world.hosts[A].stack.release(id);
    }
    for id in servers {
        world.hosts[B].stack.release(id);
    }
    world.run(Duration::from_secs(60), |world| {
        world.hosts[A].stack.sockets() + world.hosts[B].stack.sockets() == 0
    });
}

#[test]
fn a_card_without_room_loses_nothing() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let data = Dice(5).bytes(60_000);
    let (mut sent, mut received) = (0, Vec::new());
    let mut turn = 0u64;
    world.run(Duration::from_secs(60), |world| {
        // One frame at a time, and none at all most of the time.
        turn += 1;
        world.hosts[A].card.room = usize::from(turn.is_multiple_of(5));
        sent += world.stream(A, a).send(&data[sent..]);
        received.extend(world.read(B, b));
        received.len() == data.len()
    });
    assert!(received == data);
    // Meanwhile nobody was asked to spin: the wait is a real one.
    world.hosts[A].card.room = 0;
    world.stream(A, a).send(b"more");
    let now = world.now;
    world.hosts[A].step(now);
    assert!(world.hosts[A].stack.poll_at().unwrap() > now);
}

#[test]
fn lent_slices_follow_the_wrap() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    let size = limits().recv_buffer;
    // Move both rings' starts to 1,000 bytes before the end.
    let before = vec![1; size - 1000];
    assert_eq!(world.stream(A, a).send(&before), before.len());
    world.run(Duration::from_secs(5), |world| {
        world.stream(B, b).recv_len() == before.len()
    });
    let half = before.len() / 2;
    world.stream(B, b).skip(half);
    world.stream(B, b).skip(before.len() - half - 1);
    world.pass(Duration::from_millis(100));

    let data = Dice(9).bytes(3000);
    let mut stream = world.stream(A, a);
    assert_eq!((stream.send_room(), stream.send_queued()), (size, 0));
    let fill = |free: &mut [u8]| {
        let count = free.len().min(700);
        free[..count].copy_from_slice(&data[..count]);
        (count, count)
    };
    assert_eq!(stream.with_send(fill), 700);
    assert_eq!(stream.send(&data[700..]), 2300);
    assert_eq!(stream.send_queued(), 3000);
    world.run(Duration::from_secs(5), |world| {
        world.stream(B, b).recv_len() == 3001
    });
    let mut stream = world.stream(B, b);
    stream.skip(1);
    let mut whole = vec![0; 3000];
    assert_eq!(stream.peek(&mut whole), 3000);
    assert!(whole == data);
    // The lent front is writable, stops at the wrap, and is not dropped unless asked for.
    stream.with_recv(|front| {
        assert!(*front == data[..1000]);
        front[0] ^= 0xff;
        (0, ())
    });
    assert_eq!(stream.recv_len(), 3000);
    assert_eq!(stream.with_recv(|front| (1, front[0])), data[0] ^ 0xff);
    stream.skip(1499);
    let rest = stream.with_recv(|front| (front.len(), front.to_vec()));
    assert!(rest == data[1500..]);
    // A closure that claims more than it was lent takes what there is.
    assert_eq!(stream.with_recv(|front| (10, front.len())), 0);
    assert_eq!(stream.recv_len(), 0);
}

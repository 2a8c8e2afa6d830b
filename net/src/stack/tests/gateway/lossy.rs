//! Both ways at once over a link that loses and reorders, and few frames over one in memory.

use std::time::Duration;
use std::vec::Vec;

use super::*;

/// One transfer each way on one connection.
struct Exchange {
    ends: [(usize, StreamId); 2],
    data: [Vec<u8>; 2],
    sent: [usize; 2],
    received: [Vec<u8>; 2],
}

impl Exchange {
    fn new(ends: [(usize, StreamId); 2], dice: &mut Dice) -> Exchange {
        let mut data = || {
            let length = 1 + dice.below(200_000) as usize;
            dice.bytes(length)
        };
        Exchange {
            ends,
            data: [data(), data()],
            sent: [0; 2],
            received: [Vec::new(), Vec::new()],
        }
    }

    /// Moves on; true when both directions have ended in order.
    fn step(&mut self, world: &mut World) -> bool {
        settle(world);
        let mut over = true;
        for way in 0..2 {
            let ((from, sender), (to, receiver)) = (self.ends[way], self.ends[1 - way]);
            let rest = &self.data[way][self.sent[way]..];
            let mut stream = world.stream(from, sender);
            if !rest.is_empty() {
                self.sent[way] += stream.send(rest);
                if self.sent[way] == self.data[way].len() {
                    stream.finish();
                }
            }
            let arrived = world.read(to, receiver);
            self.received[way].extend(arrived);
            over &= world.stream(to, receiver).recv_finished();
        }
        over
    }
}

#[test]
fn many_connections_over_a_lossy_link() {
    for seed in 1..=4 {
        let mut world = link([1514, JUMBO][seed as usize % 2]);
        world.dice = Dice(seed * 0x1234_5678_9abc);
        world.loss = 30;
        world.reorder = 30;
        let mut dice = Dice(seed);
        world.hosts[GUEST].stack.listen(None, 443).unwrap();
        let mut exchanges = Vec::new();
        for number in 0..12 {
            let text = match number % 4 {
                0 => std::format!("127.0.0.1:{}", 40_000 + number),
                1 => std::format!("[::1]:{}", 40_000 + number),
                2 => std::format!("198.51.100.3:{}", 40_000 + number),
                _ => std::format!("[2001:db8::3]:{}", 40_000 + number),
            };
            let peer = address(&text);
            let ends = if number < 6 || peer.ip().is_loopback() {
                let (outer, inner) = entered(&mut world, peer);
                [(GATEWAY, outer), (GUEST, inner)]
            } else {
                let (inner, outer) = left(&mut world, peer);
                [(GUEST, inner), (GATEWAY, outer)]
            };
            exchanges.push(Exchange::new(ends, &mut dice));
        }
        world.run(Duration::from_secs(3600), |world| {
            let mut over = true;
            for exchange in &mut exchanges {
                over &= exchange.step(world);
            }
            over
        });
        for exchange in exchanges {
            assert!(
                exchange.received == exchange.data,
                "bytes differ, seed {seed}"
            );
            for (host, id) in exchange.ends {
                world.hosts[host].stack.release(id);
            }
        }
        world.pass(Duration::from_secs(300));
        for host in &world.hosts {
            assert_eq!(host.stack.sockets(), 0, "seed {seed}");
        }
    }
}

/// Frames that each end sends, and the time it takes, for `length` bytes with these buffers.
fn cost(buffer: usize, length: usize, entering: bool) -> ([usize; 2], Duration) {
    let with = |mut config: Config| {
        config.limits.recv_buffer = buffer;
        config.limits.send_buffer = buffer;
        Host::new(config, card(JUMBO))
    };
    let mut world = World::of([with(guest()), with(gateway())]);
    let (outer, inner) = entered(&mut world, address("127.0.0.1:40000"));
    let counts = std::rc::Rc::new(std::cell::RefCell::new([0; 2]));
    let counter = counts.clone();
    world.filter = Some(std::boxed::Box::new(move |from, _| {
        counter.borrow_mut()[from] += 1;
        true
    }));
    let mut ends = [(GUEST, inner), (GATEWAY, outer)];
    if entering {
        ends.reverse();
    }
    let begin = world.now;
    let data = Dice(7).bytes(length);
    carry(&mut world, ends[0], ends[1], &data);
    let counts = *counts.borrow();
    (counts, world.now.saturating_duration_since(begin))
}

#[test]
fn a_link_in_memory_takes_few_frames_and_waits_for_no_timer() {
    const LENGTH: usize = 4 << 20;
    for entering in [false, true] {
        // A window a round trip of 100 µs: no delayed acknowledgment, no slow start.
        for buffer in [16 << 10, 64 << 10, 256 << 10] {
            let ([guest, gateway], time) = cost(buffer, LENGTH, entering);
            // The longest segment and what is left of a window, and an acknowledgment for them.
            let windows = LENGTH / buffer;
            let most = windows * (buffer / (JUMBO - 54) + 2) + 8;
            assert!(
                guest <= most && gateway <= most,
                "{buffer}: {guest}, {gateway} frames"
            );
            let most = Duration::from_micros(250) * (LENGTH / buffer + 8) as u32;
            assert!(time <= most, "{buffer}: {time:?}");
        }
    }
}

#[test]
fn ends_with_unlike_buffers_wait_for_no_timer() {
    // All that the guest can send at once is less than half of the gateway's window.
    let mut small = guest();
    small.limits.send_buffer = 16 << 10;
    let mut large = gateway();
    large.limits.recv_buffer = 256 << 10;
    let mut world = World::of([Host::new(small, card(JUMBO)), Host::new(large, card(JUMBO))]);
    let (inner, outer) = left(&mut world, address("192.0.2.1:80"));
    let begin = world.now;
    let data = Dice(9).bytes(1 << 20);
    carry(&mut world, (GUEST, inner), (GATEWAY, outer), &data);
    let time = world.now.saturating_duration_since(begin);
    assert!(time <= Duration::from_millis(20), "{time:?}");
}

//! Two endpoints on wires that lose, repeat, change and delay bytes, from a seed, in virtual time.

use alloc::collections::VecDeque;

use super::*;

/// Random numbers from a seed (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What a wire does to what is written to it, in percent of the frames.
#[derive(Clone, Copy, Debug)]
struct Faults {
    lose: usize,
    cut: usize,
    repeat: usize,
    flip: usize,
    garbage: usize,
}

/// One direction. What is written arrives later, in order, in pieces of any length.
struct Wire {
    faults: Faults,
    delay: usize,
    arriving: VecDeque<(Micros, Vec<u8>)>,
    /// Bytes that have arrived, and are not read while the reader pauses.
    arrived: VecDeque<u8>,
    /// Most bytes of them; the others are dropped, as QEMU's console does it.
    capacity: usize,
}

impl Wire {
    fn new(faults: Faults, delay: usize) -> Wire {
        Wire {
            faults,
            delay,
            arriving: VecDeque::new(),
            arrived: VecDeque::new(),
            capacity: 212_992,
        }
    }

    fn write(&mut self, bytes: &[u8], now: Micros, random: &mut Random) {
        let mut bytes = bytes.to_vec();
        let faults = self.faults;
        if random.percent(faults.lose) {
            return;
        }
        if random.percent(faults.cut) {
            let from = random.below(bytes.len());
            let to = from + random.below(bytes.len() - from);
            bytes.drain(from..to);
        }
        if random.percent(faults.flip) && !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        if random.percent(faults.repeat) {
            let from = random.below(bytes.len() + 1);
            bytes.extend_from_within(from..);
        }
        if random.percent(faults.garbage) {
            // Edges, versions, directions, and what looks like the beginning of a frame.
            let pieces: [&[u8]; 5] = [&[0], &[0, 4, 1, b'G', 9], &[1, b'H'], &[0xff; 40], &[0, 0]];
            for _ in 0..random.below(20) {
                bytes.extend(pieces[random.below(pieces.len())]);
            }
        }
        let last = self.arriving.back().map_or(now, |(at, _)| *at);
        let at = last.max(now + random.below(self.delay + 1) as u64);
        self.arriving.push_back((at, bytes));
    }

    fn arrive(&mut self, now: Micros) {
        while let Some((_, bytes)) = self.arriving.pop_front_if(|(at, _)| *at <= now) {
            let room = self.capacity - self.arrived.len();
            self.arrived.extend(&bytes[..bytes.len().min(room)]);
        }
    }

    fn read(&mut self, most: usize) -> Vec<u8> {
        let length = most.min(self.arrived.len());
        self.arrived.drain(..length).collect()
    }

    fn next(&self) -> Option<Micros> {
        self.arriving.front().map(|(at, _)| *at)
    }
}

/// One end: what it has yet to send, what it should receive, and what it has received.
struct End<Out, In> {
    endpoint: Endpoint<Out, In>,
    to_send: VecDeque<Out>,
    expected: VecDeque<In>,
    /// Until when it does nothing.
    paused: Micros,
}

impl<Out: Message, In: Message + PartialEq + fmt::Debug> End<Out, In> {
    /// Whatever its owner does when it is woken.
    fn step(&mut self, from: &mut Wire, to: &mut Wire, now: Micros, random: &mut Random) {
        from.arrive(now);
        if self.paused > now {
            return;
        }
        loop {
            let piece = from.read(1 + random.below(5000));
            if piece.is_empty() {
                break;
            }
            self.endpoint.receive(&piece, now);
            while let Some(message) = self.endpoint.poll_message() {
                let expected = self.expected.pop_front();
                assert_eq!(message.ok(), expected, "lost, twice or out of order");
            }
        }
        for _ in 0..random.below(4) {
            let Some(message) = self.to_send.pop_front() else {
                break;
            };
            if self.endpoint.send(&message).is_err() {
                self.to_send.push_front(message);
                break;
            }
        }
        loop {
            // A frame, however many writes it takes.
            let mut frame = Vec::new();
            let mut due = self.endpoint.output(now);
            while !due.is_empty() {
                let length = 1 + random.below(due.len());
                let is_whole = length == due.len();
                frame.extend_from_slice(&due[..length]);
                self.endpoint.consume(length);
                if is_whole {
                    break;
                }
                due = self.endpoint.output(now);
            }
            if frame.is_empty() {
                break;
            }
            to.write(&frame, now, random);
        }
        let at = self.endpoint.poll_at();
        assert!(at.is_none_or(|at| at > now), "it would spin");
    }

    fn is_done(&self) -> bool {
        self.to_send.is_empty() && self.expected.is_empty() && self.endpoint.is_settled()
    }

    /// When it wants to be woken; while it pauses, by nothing.
    fn wake(&self, now: Micros) -> Option<Micros> {
        if self.paused > now {
            return Some(self.paused);
        }
        let more = (!self.to_send.is_empty()).then_some(now + 1000);
        more.into_iter().chain(self.endpoint.poll_at()).min()
    }
}

/// What is tried with one seed.
struct Case {
    seed: u64,
    faults: Faults,
    /// Longest text of an event, longest archive, in bytes.
    text: usize,
    archive: usize,
    messages: usize,
    /// Longest pause of a side, and how often one begins, in percent of the steps.
    pause: Micros,
    pauses: usize,
}

/// Runs until everything has come on both sides; returns when that was.
#[track_caller]
fn check(case: &Case) -> (Micros, Counters) {
    let mut random = Random(case.seed);
    let to_host: Vec<_> = (1..=random.below(case.messages) as u64)
        .map(|number| event(number, random.below(case.text)))
        .collect();
    let to_guest: Vec<_> = (1..=random.below(case.messages) as u32)
        .map(|number| match random.below(4) {
            0 => configure(number, random.below(case.archive)),
            1 => ToGuest::Stop { drain_ms: number },
            _ => ToGuest::Status { request: number },
        })
        .collect();
    let mut guest = End {
        endpoint: guest(),
        to_send: to_host.iter().cloned().collect(),
        expected: to_guest.iter().cloned().collect(),
        paused: 0,
    };
    let mut host = End {
        endpoint: host(),
        to_send: to_guest.into(),
        expected: to_host.into(),
        paused: 0,
    };
    let delay = [0, 100, 10_000, 300_000][random.below(4)];
    let mut to_host = Wire::new(case.faults, delay);
    let mut to_guest = Wire::new(case.faults, delay);

    let mut now = 0;
    for _ in 0..200_000 {
        if random.percent(case.pauses) {
            host.paused = now + random.next() % case.pause;
        }
        if random.percent(case.pauses) {
            guest.paused = now + random.next() % case.pause;
        }
        guest.step(&mut to_guest, &mut to_host, now, &mut random);
        host.step(&mut to_host, &mut to_guest, now, &mut random);
        if guest.is_done() && host.is_done() {
            return (now, guest.endpoint.counters());
        }
        let wakes = [
            guest.wake(now),
            host.wake(now),
            to_host.next(),
            to_guest.next(),
        ];
        let wake = wakes.into_iter().flatten().min();
        let wake = wake.unwrap_or_else(|| panic!("seed {}: nobody goes on", case.seed));
        now = wake.max(now + 1);
    }
    panic!("seed {}: no end after {now} µs", case.seed);
}

const NONE: Faults = Faults {
    lose: 0,
    cut: 0,
    repeat: 0,
    flip: 0,
    garbage: 0,
};

#[test]
fn a_good_wire_repeats_nothing() {
    for seed in 0..200 {
        let (_, counters) = check(&Case {
            seed: seed * 4,
            faults: NONE,
            text: 300,
            archive: 50_000,
            messages: 50,
            pause: 1,
            pauses: 0,
        });
        assert_eq!(counters.frames_bad, 0);
    }
}

#[test]
fn nothing_is_lost_on_wires_that_spoil_what_they_carry() {
    for seed in 0..3000 {
        let mut random = Random(seed ^ 0xfa17);
        let mut rate = |most| random.below(most) * random.below(2);
        check(&Case {
            seed,
            faults: Faults {
                lose: rate(40),
                cut: rate(40),
                repeat: rate(40),
                flip: rate(20),
                garbage: rate(40),
            },
            text: 300,
            archive: 3000,
            messages: 25,
            pause: 1,
            pauses: 0,
        });
    }
}

#[test]
fn long_messages_come_whole_on_such_wires() {
    for seed in 0..100 {
        check(&Case {
            seed,
            faults: Faults {
                lose: 5,
                cut: 5,
                repeat: 5,
                flip: 2,
                garbage: 5,
            },
            text: 20_000,
            archive: 100_000,
            messages: 8,
            pause: 1,
            pauses: 0,
        });
    }
}

#[test]
fn pauses_of_minutes_lose_nothing() {
    for seed in 0..300 {
        check(&Case {
            seed,
            faults: NONE,
            text: 2000,
            archive: 10_000,
            messages: 200,
            pause: 300_000_000,
            pauses: 2,
        });
    }
}

/// The console of QEMU when its host pauses: what the socket does not hold is dropped, in the
/// middle of frames.
#[test]
fn a_host_that_reads_nothing_for_ten_minutes_gets_everything() {
    const EVENTS: u64 = 3000;
    let mut random = Random(1);
    let mut guest = guest();
    let mut host = host();
    let mut to_host = Wire::new(NONE, 0);
    to_host.capacity = 5000;
    let (mut sent, mut now) = (0, 0);
    let mut received = 0;
    for _ in 0..100_000 {
        while sent < EVENTS && guest.send(&event(sent + 1, 300)).is_ok() {
            sent += 1;
        }
        loop {
            let due = guest.output(now);
            let length = due.len();
            if length == 0 {
                break;
            }
            to_host.write(due, now, &mut random);
            guest.consume(length);
            to_host.arrive(now);
        }
        if now >= 600_000_000 {
            host.receive(&to_host.read(usize::MAX), now);
            for message in messages(&mut host) {
                received += 1;
                assert_eq!(message, event(received, 300));
            }
            guest.receive(&output(&mut host, now), now);
        }
        if received == EVENTS && guest.is_settled() {
            let repeated = guest.counters().frames_repeated;
            assert!(repeated < 1000, "{repeated} frames repeated");
            return;
        }
        now = match guest.poll_at() {
            Some(at) if now >= 600_000_000 => at.min(now + DELAY),
            at => at.unwrap_or(now).max(now + 1),
        };
    }
    panic!("{received} events after {now} µs");
}

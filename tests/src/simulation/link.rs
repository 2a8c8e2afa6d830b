//! The virtual link: two directions that lose, repeat, delay, reorder and cut frames, by a seed.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use stockade_net::Instant;

use super::random::Random;
use super::trace::Trace;

/// Bytes of an Ethernet header; what lies behind it is covered by checksums.
const ETHERNET_HEADER: usize = 14;

/// The EtherType of ARP, whose packets carry no checksum of their own.
const ARP: [u8; 2] = [0x08, 0x06];

/// What one direction of a link does to the frames on it.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Every frame's way.
    pub delay: Duration,
    /// Frames in 10,000 that are lost.
    pub loss: u64,
    /// Frames in 10,000 that arrive twice.
    pub duplication: u64,
    /// Frames in 10,000 that come late, by up to [`lateness`](Self::lateness), behind others.
    pub reordering: u64,
    /// The longest that a reordered frame is held back.
    pub lateness: Duration,
    /// Frames in 10,000 in which one bit flips on the way.
    pub bit_errors: u64,
    /// Bytes a second; `None` for a link without limit.
    pub rate: Option<u64>,
    /// Bytes that wait for the link at most; a frame beyond it is dropped. Only with a rate.
    pub queue: usize,
    /// Bytes that wait in the card itself at most; beyond it the card takes no frame. Only with a
    /// rate.
    pub ring: Option<usize>,
    /// Times in which nothing passes at all.
    pub blackouts: Vec<Range<Instant>>,
}

/// What a direction did, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Given to the link.
    pub sent: u64,
    /// Taken off the link at its other end.
    pub delivered: u64,
    /// Lost by chance, by blackout, or because the queue was full.
    pub lost: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Held back.
    pub reordered: u64,
    /// Arrived with a flipped bit.
    pub damaged: u64,
    /// Times that the card had no room.
    pub refused: u64,
}

/// One direction, shared by the card that sends and the card that receives.
#[derive(Clone)]
pub struct Direction(Rc<RefCell<Inner>>);

struct Inner {
    name: &'static str,
    conditions: Conditions,
    random: Random,
    /// When the link has sent everything that was queued.
    busy_until: Instant,
    flying: BinaryHeap<Reverse<Flying>>,
    /// Keeps frames with the same arrival in the order in which they were sent.
    number: u64,
    counters: Counters,
    trace: Trace,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    arrival: Instant,
    number: u64,
    frame: Vec<u8>,
}

impl Direction {
    /// An idle direction. `random` decides what happens to which frame.
    pub fn new(
        name: &'static str,
        conditions: Conditions,
        random: Random,
        trace: Trace,
    ) -> Direction {
        Direction(Rc::new(RefCell::new(Inner {
            name,
            conditions,
            random,
            busy_until: Instant::ZERO,
            flying: BinaryHeap::new(),
            number: 0,
            counters: Counters::default(),
            trace,
        })))
    }

    /// Whether the sending card has room for one more frame.
    pub fn has_room(&self, now: Instant) -> bool {
        let mut inner = self.0.borrow_mut();
        let waiting = inner.waiting(now);
        let room = inner.conditions.ring.is_none_or(|ring| waiting < ring);
        inner.counters.refused += u64::from(!room);
        room
    }

    /// Puts a frame on the link.
    pub fn send(&self, frame: Vec<u8>, now: Instant) {
        self.0.borrow_mut().send(frame, now);
    }

    /// The next frame that has arrived by `now`.
    pub fn receive(&self, now: Instant) -> Option<Vec<u8>> {
        let mut inner = self.0.borrow_mut();
        let next = inner.flying.peek()?;
        if next.0.arrival > now {
            return None;
        }
        inner.counters.delivered += 1;
        inner.flying.pop().map(|Reverse(flying)| flying.frame)
    }

    /// When the next frame arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        let inner = self.0.borrow();
        inner.flying.peek().map(|flying| flying.0.arrival)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.0.borrow().counters
    }
}

impl Inner {
    /// Bytes that the link has yet to send.
    fn waiting(&self, now: Instant) -> usize {
        let Some(rate) = self.conditions.rate else {
            return 0;
        };
        let left = self.busy_until.saturating_duration_since(now);
        (left.as_micros() as u64 * rate / 1_000_000) as usize
    }

    fn send(&mut self, mut frame: Vec<u8>, now: Instant) {
        self.counters.sent += 1;
        self.trace.frame(self.name, &frame, now);
        let conditions = &self.conditions;
        let overflow = conditions.rate.is_some()
            && conditions.ring.is_none()
            && self.waiting(now) + frame.len() > conditions.queue;
        let dark = conditions.blackouts.iter().any(|time| time.contains(&now));
        // Every frame draws the same numbers, so that one condition does not shift another's luck.
        let mut in_ten_thousand = |count| self.random.happens(count, 10_000);
        let lost = in_ten_thousand(conditions.loss);
        let twice = in_ten_thousand(conditions.duplication);
        let late = in_ten_thousand(conditions.reordering);
        let damaged = in_ten_thousand(conditions.bit_errors);
        let lateness = self.random.time(conditions.lateness);
        let bit = self.random.next();
        if overflow || dark || lost {
            self.counters.lost += 1;
            self.trace.lost(self.name, now);
            return;
        }
        if let Some(rate) = conditions.rate {
            let takes = Duration::from_micros((frame.len() as u64 * 1_000_000).div_ceil(rate));
            self.busy_until = self.busy_until.max(now) + takes;
        }
        let mut arrival = self.busy_until.max(now) + conditions.delay;
        if late {
            self.counters.reordered += 1;
            arrival = arrival + lateness;
        }
        if twice {
            self.counters.duplicated += 1;
            self.deliver(frame.clone(), arrival + lateness);
        }
        if damaged && frame.len() > ETHERNET_HEADER && frame[12..14] != ARP {
            self.counters.damaged += 1;
            let bits = (frame.len() - ETHERNET_HEADER) as u64 * 8;
            let bit = bit % bits;
            frame[ETHERNET_HEADER + (bit / 8) as usize] ^= 1 << (bit % 8);
        }
        self.deliver(frame, arrival);
    }

    fn deliver(&mut self, frame: Vec<u8>, arrival: Instant) {
        self.number += 1;
        self.flying.push(Reverse(Flying {
            arrival,
            number: self.number,
            frame,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn at(milliseconds: u64) -> Instant {
        Instant::from_micros(milliseconds * 1000)
    }

    fn direction(conditions: Conditions) -> Direction {
        Direction::new("test", conditions, Random::new(7), Trace::new(false))
    }

    /// Sends `count` frames, one a millisecond, and gives the numbers of those that arrive.
    fn arrivals(direction: &Direction, count: u8) -> Vec<u8> {
        for number in 0..count {
            direction.send(vec![number; 100], at(number.into()));
        }
        std::iter::from_fn(|| direction.receive(at(1_000_000)))
            .map(|frame| frame[0])
            .collect()
    }

    #[test]
    fn a_clean_link_delivers_in_order_after_its_delay() {
        let direction = direction(Conditions {
            delay: 5 * MILLISECOND,
            ..Conditions::default()
        });
        direction.send(vec![1], at(10));
        assert_eq!(direction.next_arrival(), Some(at(15)));
        assert_eq!(direction.receive(at(14)), None);
        assert_eq!(direction.receive(at(15)), Some(vec![1]));
        assert_eq!(arrivals(&direction, 100), (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn a_rate_spaces_frames_and_a_full_queue_drops_them() {
        let direction = direction(Conditions {
            rate: Some(1000),
            queue: 250,
            ..Conditions::default()
        });
        for number in 0..4 {
            direction.send(vec![number; 100], at(0));
        }
        assert_eq!(direction.counters().lost, 2);
        assert_eq!(direction.next_arrival(), Some(at(100)));
        assert_eq!(direction.receive(at(200)).map(|frame| frame[0]), Some(0));
        assert_eq!(direction.receive(at(200)).map(|frame| frame[0]), Some(1));
    }

    #[test]
    fn a_full_ring_takes_no_frame_until_some_have_left() {
        let direction = direction(Conditions {
            rate: Some(1000),
            ring: Some(150),
            ..Conditions::default()
        });
        for number in 0..2 {
            assert!(direction.has_room(at(0)));
            direction.send(vec![number; 100], at(0));
        }
        assert!(!direction.has_room(at(49)));
        assert!(direction.has_room(at(51)));
    }

    #[test]
    fn losses_duplicates_and_late_frames_come_as_often_as_they_should() {
        let direction = direction(Conditions {
            loss: 1000,
            duplication: 1000,
            reordering: 1000,
            lateness: 10 * MILLISECOND,
            ..Conditions::default()
        });
        let numbers = arrivals(&direction, 250);
        let counters = direction.counters();
        for count in [counters.lost, counters.duplicated, counters.reordered] {
            assert!((10..50).contains(&count), "{counters:?}");
        }
        assert!(!numbers.is_sorted());
        assert_eq!(
            numbers.len() as u64,
            counters.sent - counters.lost + counters.duplicated
        );
    }

    #[test]
    fn nothing_passes_in_a_blackout() {
        let direction = direction(Conditions {
            blackouts: vec![at(10)..at(20)],
            ..Conditions::default()
        });
        let expect: Vec<u8> = (0..10).chain(20..30).collect();
        assert_eq!(arrivals(&direction, 30), expect);
    }

    #[test]
    fn a_bit_error_flips_one_bit_behind_the_ethernet_header() {
        let direction = direction(Conditions {
            bit_errors: 10_000,
            ..Conditions::default()
        });
        direction.send(vec![0; 60], at(0));
        let frame = direction.receive(at(0)).unwrap();
        let flipped: u32 = frame.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(flipped, 1);
        assert_eq!(frame[..ETHERNET_HEADER], [0; ETHERNET_HEADER]);
    }
}

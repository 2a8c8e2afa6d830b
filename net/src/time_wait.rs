//! Connections in TIME-WAIT: a record each, not a socket (RFC 9293 §3.10.7.4).

use alloc::collections::VecDeque;
use core::time::Duration;

use hashbrown::HashMap;

use crate::Instant;
use crate::classify::{Segment, flag};
use crate::flow::{Flow, FlowHasher};

/// How long a 4-tuple is kept from accidental reuse: twice a maximum segment lifetime of 30 s,
/// as other stacks do; segments older than that are not seen on today's paths.
pub(crate) const TIME_WAIT: Duration = Duration::from_secs(60);

/// Most records, about 150 bytes each. Beyond it the oldest, nearly over anyway, goes first.
pub(crate) const TIME_WAIT_RECORDS: usize = 8192;

#[derive(Clone, Copy, Debug)]
struct Record {
    send_next: u32,
    receive_next: u32,
    expires: Instant,
    /// A SYN was answered with an acknowledgment.
    challenged: bool,
}

/// How a segment for a connection in TIME-WAIT is met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reaction {
    /// No such connection.
    Unknown,
    Ignore,
    /// Acknowledge again: the peer may not have seen the last ACK.
    Acknowledge {
        sequence: u32,
        acknowledgment: u32,
    },
    /// A new connection begins; the record is gone.
    Reopen,
}

/// The bounded table of records.
pub(crate) struct TimeWait {
    records: HashMap<Flow, Record, FlowHasher>,
    /// In order of expiry, since all wait equally long.
    order: VecDeque<(Instant, Flow)>,
}

impl TimeWait {
    pub(crate) fn new(hasher: FlowHasher) -> TimeWait {
        TimeWait {
            records: HashMap::with_hasher(hasher),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn insert(&mut self, flow: Flow, send_next: u32, receive_next: u32, now: Instant) {
        self.expire(now);
        while self.order.len() >= TIME_WAIT_RECORDS {
            self.drop_oldest();
        }
        let expires = now + TIME_WAIT;
        let record = Record {
            send_next,
            receive_next,
            expires,
            challenged: false,
        };
        self.records.insert(flow, record);
        self.order.push_back((expires, flow));
    }

    pub(crate) fn contains(&self, flow: &Flow) -> bool {
        self.records.contains_key(flow)
    }

    /// Forgets a connection, for another one between the same ends.
    pub(crate) fn forget(&mut self, flow: &Flow) {
        self.records.remove(flow);
    }

    pub(crate) fn react(&mut self, segment: &Segment, now: Instant) -> Reaction {
        self.expire(now);
        let Some(record) = self.records.get_mut(&segment.flow) else {
            return Reaction::Unknown;
        };
        if segment.has(flag::RST) {
            // RFC 1337 §3: ignoring RST keeps an old duplicate from ending TIME-WAIT early. But one
            // that answers our challenge to a SYN comes from a host that has forgotten the old
            // connection and waits to begin a new one (RFC 5961 §4.2); its SYN will come again.
            if record.challenged && segment.sequence == record.receive_next {
                self.records.remove(&segment.flow);
            }
            return Reaction::Ignore;
        }
        let ahead = segment.sequence.wrapping_sub(record.receive_next);
        if segment.opens() && ahead < 1 << 31 {
            // RFC 1122 §4.2.2.13: a SYN may reopen the connection when its sequence number is
            // beyond the last one of the previous incarnation.
            self.records.remove(&segment.flow);
            return Reaction::Reopen;
        }
        record.challenged |= segment.opens();
        if segment.opens() || segment.has(flag::FIN) || segment.payload > 0 {
            return Reaction::Acknowledge {
                sequence: record.send_next,
                acknowledgment: record.receive_next,
            };
        }
        Reaction::Ignore
    }

    fn expire(&mut self, now: Instant) {
        while self
            .order
            .front()
            .is_some_and(|(expires, _)| *expires <= now)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((expires, flow)) = self.order.pop_front()
            && self
                .records
                .get(&flow)
                .is_some_and(|r| r.expires == expires)
        {
            self.records.remove(&flow);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(port: u16, flags: u8, sequence: u32, payload: u32) -> Segment {
        Segment {
            flow: flow(port),
            flags,
            sequence,
            acknowledgment: 0,
            window: 0,
            payload,
            source_mac: [0; 6],
        }
    }

    fn flow(port: u16) -> Flow {
        Flow {
            local: "10.0.0.1:443".parse().unwrap(),
            remote: std::net::SocketAddr::from(([10, 0, 0, 2], port)),
        }
    }

    fn table() -> TimeWait {
        let mut table = TimeWait::new(FlowHasher::new([0; 16]));
        table.insert(flow(1), 5000, u32::MAX - 1, Instant::ZERO);
        table
    }

    #[test]
    fn reactions() {
        let check = |segment: Segment, expect: Reaction| {
            assert_eq!(
                table().react(&segment, Instant::ZERO),
                expect,
                "{segment:?}"
            );
        };
        let acknowledge = Reaction::Acknowledge {
            sequence: 5000,
            acknowledgment: u32::MAX - 1,
        };
        check(segment(2, flag::SYN, 0, 0), Reaction::Unknown);
        check(segment(1, flag::FIN | flag::ACK, 7, 0), acknowledge);
        check(segment(1, flag::ACK, 7, 10), acknowledge);
        check(segment(1, flag::ACK, 7, 0), Reaction::Ignore);
        check(segment(1, flag::RST, u32::MAX - 1, 0), Reaction::Ignore);
        // Sequence numbers wrap: 3 is beyond 2^32 - 2.
        check(segment(1, flag::SYN, 3, 0), Reaction::Reopen);
        check(segment(1, flag::SYN, u32::MAX - 100, 0), acknowledge);
    }

    #[test]
    fn only_a_reset_that_answers_our_challenge_ends_time_wait() {
        let old_syn = segment(1, flag::SYN, u32::MAX - 100, 0);
        let (right, wrong) = (u32::MAX - 1, u32::MAX);
        let check = |challenge: bool, sequence, ended: bool| {
            let mut table = table();
            if challenge {
                table.react(&old_syn, Instant::ZERO);
            }
            let reset = segment(1, flag::RST, sequence, 0);
            assert_eq!(table.react(&reset, Instant::ZERO), Reaction::Ignore);
            assert_eq!(table.contains(&flow(1)), !ended);
        };
        check(true, right, true);
        check(true, wrong, false);
        check(false, right, false);
    }

    #[test]
    fn expires_and_is_bounded() {
        let mut table = table();
        let later = Instant::ZERO + TIME_WAIT;
        assert_eq!(
            table.react(&segment(1, flag::FIN, 0, 0), later),
            Reaction::Unknown
        );
        for n in 0..TIME_WAIT_RECORDS + 10 {
            table.insert(flow(u16::try_from(n).unwrap()), 0, 0, later);
        }
        assert_eq!(table.len(), TIME_WAIT_RECORDS);
        assert!(!table.contains(&flow(9)));
        assert!(table.contains(&flow(10)));
    }

    #[test]
    fn a_reopened_record_does_not_take_its_successor_along() {
        let mut table = table();
        assert_eq!(
            table.react(&segment(1, flag::SYN, 3, 0), Instant::ZERO),
            Reaction::Reopen
        );
        let half = Instant::ZERO + TIME_WAIT / 2;
        table.insert(flow(1), 1, 1, half);
        table.expire(Instant::ZERO + TIME_WAIT);
        assert!(table.contains(&flow(1)));
    }
}

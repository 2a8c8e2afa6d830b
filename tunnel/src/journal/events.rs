//! Lines for whoever manages the image: numbered, with what a program wants to know of each.

use alloc::{
    collections::VecDeque,
    string::{String, ToString},
};

use channel::{CertificateProblem, Event, ToHost};
use net::Instant;

use super::{Entry, Id};

/// What an event takes besides its texts: itself, and three small pieces of the heap.
const OVERHEAD: usize = size_of::<ToHost>() + 3 * 16;

/// Events that wait for the channel. What does not fit is counted, and the count takes its place.
pub(crate) struct Events {
    waiting: VecDeque<ToHost>,
    /// Heap that they take, in bytes, and how much they may.
    bytes: usize,
    most: usize,
    /// Of the latest event.
    number: u64,
    /// Not kept since the last one that was.
    lost: u64,
    lost_total: u64,
    /// What the wall clock showed at power-on, in microseconds since 1970.
    power_on: u64,
    /// What it shows now.
    time: u64,
}

impl Events {
    /// Keeps events in as many bytes of heap.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            most,
            number: 0,
            lost: 0,
            lost_total: 0,
            power_on: 0,
            time: 0,
        }
    }

    /// Says what time it is. The wall clock knows seconds alone; between them the time since
    /// power-on goes on counting.
    pub(super) fn set_time(&mut self, unix_seconds: u64, now: Instant) {
        const SECOND: u64 = 1_000_000;
        let wall = unix_seconds.saturating_mul(SECOND);
        let counted = self.power_on.saturating_add(now.as_micros());
        self.time = match counted.abs_diff(wall) {
            // A clock that shows seconds is up to one behind.
            0..=SECOND => counted,
            _ => wall,
        };
        self.power_on = self.time.saturating_sub(now.as_micros());
    }

    /// Keeps one more. What is no failure leaves a quarter of the room to failures.
    pub(crate) fn push(&mut self, entry: &Entry<'_>, text: &str) {
        let event = Event {
            number: self.number + 1,
            unix_micros: self.time,
            severity: entry.severity.number(),
            service: entry.service.into(),
            connection: match entry.id {
                Id::TUNNEL => String::new(),
                id => id.to_string(),
            },
            kind: entry.kind,
            text: text.into(),
            beyond_log: entry.beyond_log,
            problems: entry.problems.to_vec(),
        };
        let bytes = size(&event);
        let gap = if self.lost > 0 { OVERHEAD } else { 0 };
        let most = match entry.is_failure() {
            true => self.most,
            false => self.most - self.most / 4,
        };
        if self.bytes + gap + bytes > most {
            return self.lose();
        }
        self.number += 1;
        self.tell_lost();
        self.bytes += bytes;
        self.waiting.push_back(ToHost::Event(event));
    }

    /// Counts one that is not kept.
    pub(super) fn lose(&mut self) {
        self.number += 1;
        self.lost += 1;
        self.lost_total += 1;
    }

    fn tell_lost(&mut self) {
        let events = core::mem::take(&mut self.lost);
        if events > 0 {
            self.bytes += OVERHEAD;
            self.waiting.push_back(ToHost::Lost { events });
        }
    }

    /// The next one.
    pub(crate) fn front(&mut self) -> Option<&ToHost> {
        if self.waiting.is_empty() {
            // However little room there is, there is some for this.
            self.tell_lost();
        }
        self.waiting.front()
    }

    /// The next one is on its way.
    pub(crate) fn pop(&mut self) {
        let bytes = match self.waiting.pop_front() {
            None => 0,
            Some(ToHost::Event(event)) => size(&event),
            Some(_) => OVERHEAD,
        };
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    /// Events since power-on that were not kept.
    pub(crate) fn total_lost(&self) -> u64 {
        self.lost_total
    }
}

fn size(event: &Event) -> usize {
    let problems = event.problems.iter();
    let problems: usize = problems
        .map(|problem| size_of::<CertificateProblem>() + problem.subject.len())
        .sum();
    OVERHEAD + event.service.len() + event.connection.len() + event.text.len() + problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Channel, FAILURES_PER_SECOND, Journal, Kind, LogId, Severity};
    use alloc::vec::Vec;
    use tls::WallClock;

    fn taken(events: &mut Events) -> Vec<ToHost> {
        let mut all = Vec::new();
        while let Some(event) = events.front() {
            all.push(event.clone());
            events.pop();
        }
        all
    }

    fn number(event: &ToHost) -> Option<u64> {
        match event {
            ToHost::Event(event) => Some(event.number),
            _ => None,
        }
    }

    #[test]
    fn a_line_of_the_journal_is_an_event() {
        let mut journal = Journal::new(WallClock::new(1_795_330_800), Severity::Notice);
        journal.keep_events(Events::new(10_000), Instant::from_micros(1_250_000));
        journal.begin_turn(Instant::from_micros(1_500_000));
        let channel = Channel::new("svc", Severity::Notice, LogId::Sequential);
        let id = journal.begin(&channel, [0; 8]);
        let peer: core::net::SocketAddr = "192.0.2.1:40000".parse().expect("an address");
        journal.connection(&channel, id).accepted(peer);
        journal.tunnel().configuration_failed();
        let events = taken(journal.events().expect("kept"));
        let expected = [
            ToHost::Event(Event {
                number: 1,
                unix_micros: 1_795_330_800_250_000,
                severity: 5,
                service: "svc".into(),
                connection: "0".into(),
                kind: Kind::Accepted,
                text: "Service [svc] accepted connection from 192.0.2.1:40000".into(),
                beyond_log: false,
                problems: Vec::new(),
            }),
            ToHost::Event(Event {
                number: 2,
                unix_micros: 1_795_330_800_250_000,
                severity: 3,
                service: String::new(),
                connection: String::new(),
                kind: Kind::ConfigurationFailed,
                text: "Configuration failed".into(),
                beyond_log: false,
                problems: Vec::new(),
            }),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn time_goes_on_between_the_seconds_of_the_clock_and_follows_it_when_it_is_set() {
        let mut events = Events::new(0);
        let mut times = Vec::new();
        for (seconds, micros) in [(100, 10), (100, 900_010), (101, 1_000_020), (50, 1_000_030)] {
            events.set_time(seconds, Instant::from_micros(micros));
            times.push(events.time);
        }
        assert_eq!(times, [100_000_000, 100_900_000, 101_000_010, 50_000_000]);
    }

    #[test]
    fn what_does_not_fit_is_counted_in_its_place() {
        let text = "x".repeat(100);
        let mut events = Events::new(3 * (OVERHEAD + 100));
        let push = |events: &mut Events, count| {
            for _ in 0..count {
                events.push(&Entry::of_tunnel(Kind::Line, Severity::Error), &text);
            }
        };
        push(&mut events, 10);
        assert_eq!(events.total_lost(), 7);
        events.pop();
        // The count needs room too.
        push(&mut events, 1);
        assert_eq!(events.total_lost(), 8);
        events.pop();
        push(&mut events, 1);
        let all = taken(&mut events);
        let numbers: Vec<_> = all.iter().map(number).collect();
        assert_eq!(numbers, [Some(3), None, Some(12)]);
        assert_eq!(all[1], ToHost::Lost { events: 8 });
        assert!(events.is_empty());
        assert_eq!(events.bytes, 0);
        push(&mut events, 5);
        let all = taken(&mut events);
        // Those lost at the end are told of without waiting for a next one.
        assert_eq!(all.last(), Some(&ToHost::Lost { events: 2 }));
    }

    #[test]
    fn failures_find_room_that_noise_leaves_them() {
        let text = "x".repeat(100);
        let mut events = Events::new(8 * (OVERHEAD + 100));
        let push = |events: &mut Events, severity, count| {
            for _ in 0..count {
                events.push(&Entry::of_tunnel(Kind::Line, severity), &text);
            }
        };
        push(&mut events, Severity::Notice, 10);
        assert_eq!(events.total_lost(), 4);
        // What is missing is told of between them, which takes some room.
        push(&mut events, Severity::Error, 1);
        push(&mut events, Severity::Notice, 1);
        assert_eq!(events.total_lost(), 5);
        let numbers: Vec<_> = taken(&mut events).iter().map(number).collect();
        let kept = [1, 2, 3, 4, 5, 6].map(Some).into_iter();
        let expected: Vec<_> = kept.chain([None, Some(11), None]).collect();
        assert_eq!(numbers, expected);
    }

    /// A journal that keeps events, one service of this level, and a connection of it.
    fn service(level: Severity) -> (Journal, Channel, Id) {
        let mut journal = Journal::new(WallClock::new(0), level);
        journal.keep_events(Events::new(usize::MAX), Instant::ZERO);
        let channel = Channel::new("svc", level, LogId::Sequential);
        let id = journal.begin(&channel, [0; 8]);
        (journal, channel, id)
    }

    fn events_of(journal: &mut Journal) -> Vec<ToHost> {
        taken(journal.events().expect("kept"))
    }

    #[test]
    fn a_refused_certificate_is_told_with_depth_and_reason() {
        let (mut journal, channel, id) = service(Severity::Notice);
        let refusal = tls::Refusal {
            depth: 1,
            subject: "CN=x".into(),
            reason: tls::RefusalReason::SelfSigned,
        };
        let error = tls::Error::Refused(refusal.into());
        let handshake = crate::journal::Operation::Handshake(crate::journal::Role::Client);
        let mut lines = journal.connection(&channel, id);
        lines.tls_failed(handshake, &error);
        lines.tls_failed(handshake, &tls::Error::NoCertificate);
        let problems: Vec<_> = events_of(&mut journal)
            .into_iter()
            .map(|event| match event {
                ToHost::Event(event) if event.kind == Kind::VerificationFailed => event.problems,
                event => panic!("{event:?}"),
            })
            .collect();
        let problem = |depth, reason, subject: &str| {
            Vec::from([CertificateProblem {
                depth,
                reason,
                subject: subject.into(),
            }])
        };
        use channel::CertificateReason::{Missing, SelfSignedInChain};
        assert_eq!(
            problems,
            [
                problem(1, SelfSignedInChain, "CN=x"),
                problem(0, Missing, "")
            ]
        );
    }

    /// Failures are events whatever the log's level, and beyond what it takes; of other lines, those
    /// alone that it has.
    #[test]
    fn failures_are_told_of_even_where_the_log_is_not() {
        let (mut journal, channel, id) = service(Severity::Emergency);
        let mut lines = journal.connection(&channel, id);
        lines.timed_out(crate::journal::Timeout::Busy);
        lines.timed_out(crate::journal::Timeout::Idle);
        lines.no_more_addresses();
        lines.restrain(true);
        lines.no_remote_host();
        let kinds: Vec<_> = events_of(&mut journal)
            .into_iter()
            .map(|event| match event {
                ToHost::Event(event) => (event.kind, event.beyond_log),
                event => panic!("{event:?}"),
            })
            .collect();
        assert_eq!(
            kinds,
            [(Kind::Timeout, true), (Kind::NameNotResolved, true)]
        );

        let (mut journal, channel, id) = service(Severity::Notice);
        let mut lines = journal.connection(&channel, id);
        lines.restrain(true);
        lines.no_more_addresses();
        lines.left_out(7);
        let events = events_of(&mut journal);
        assert!(
            matches!(&*events, [ToHost::Event(event)] if !event.beyond_log),
            "{events:?}"
        );
    }

    #[test]
    fn a_flood_displaces_no_failure_and_what_is_too_much_is_counted() {
        let (mut journal, channel, id) = service(Severity::Notice);
        let mut lines = journal.connection(&channel, id);
        let peer: core::net::SocketAddr = "192.0.2.1:40000".parse().expect("an address");
        for _ in 0..5000 {
            lines.accepted(peer);
        }
        for _ in 0..FAILURES_PER_SECOND + 5 {
            lines.no_remote_host();
        }
        let events = events_of(&mut journal);
        let failures = events.iter().filter(
            |event| matches!(event, ToHost::Event(event) if event.kind == Kind::NameNotResolved),
        );
        assert_eq!(failures.count(), FAILURES_PER_SECOND as usize);
        assert_eq!(events.last(), Some(&ToHost::Lost { events: 5 }));
    }
}

//! What has happened, numbered across restarts, kept within a bound.

use std::collections::VecDeque;
use std::fmt;
use std::time::SystemTime;

use stockade_channel::CertificateProblem;

/// syslog's severities that the launcher's own events have (RFC 5424 §6.2.1).
pub(super) const ERROR: u8 = 3;
pub(super) const WARNING: u8 = 4;
pub(super) const NOTICE: u8 = 5;

/// What an event costs besides its text, bytes.
const OVERHEAD: usize = 128;

/// Longest text of one event that is kept, bytes; last words have the most.
const MAX_TEXT: usize = 16 * 1024;

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A machine was started.
    Started,
    /// The image serves.
    Ready,
    /// A machine ended that nobody asked to; the text holds its last words.
    Ended,
    /// The next machine starts after a pause.
    Restarting,
    /// The image has taken a new configuration.
    Reloaded,
    /// A new configuration was refused; the old one goes on.
    ReloadRefused,
    /// A stop was asked for.
    Stopping,
    /// A program of this host was started for a connection, or has ended.
    Program,
    /// This many events of the image were lost, because it had no room for them.
    Lost(u64),
    /// What the image says; for one without a management channel, a line of its console.
    Image(stockade_channel::Kind),
}

impl Kind {
    /// One word for it, as programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Started => "started",
            Kind::Ready => "ready",
            Kind::Ended => "ended",
            Kind::Restarting => "restarting",
            Kind::Reloaded => "reloaded",
            Kind::ReloadRefused => "reload-refused",
            Kind::Stopping => "stopping",
            Kind::Program => "program",
            Kind::Lost(_) => "lost",
            Kind::Image(kind) => kind.name(),
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// From 1, without gap, across restarts.
    pub number: u64,
    /// When.
    pub time: SystemTime,
    /// Which machine of this launcher, from 1.
    pub machine: u32,
    /// syslog's severity, 0 to 7 (RFC 5424 §6.2.1).
    pub severity: u8,
    /// What kind it is.
    pub kind: Kind,
    /// The service that it is about, or empty.
    pub service: String,
    /// The connection that it is about, or empty.
    pub connection: String,
    /// In words.
    pub text: String,
    /// Whether the image's own log is less detailed than this: it tells of failures whatever it
    /// logs.
    pub beyond_log: bool,
    /// What was wrong with a peer's certificate.
    pub problems: Vec<CertificateProblem>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Some events in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The events.
    pub records: Vec<Record>,
    /// How many between the number asked for and the first of these are no longer kept.
    pub missed: u64,
    /// The number to ask with next.
    pub next: u64,
    /// Whether there are more already.
    pub more: bool,
}

/// The events that are kept: the newest, within a bound of bytes.
pub(super) struct Ring {
    records: VecDeque<Record>,
    bytes: usize,
    bound: usize,
    newest: u64,
}

impl Ring {
    pub(super) fn new(bound: usize) -> Ring {
        Ring {
            records: VecDeque::new(),
            bytes: 0,
            bound,
            newest: 0,
        }
    }

    /// Numbers an event and keeps it; the oldest give way.
    pub(super) fn push(&mut self, mut record: Record) -> &Record {
        self.newest += 1;
        record.number = self.newest;
        cut(&mut record.text, MAX_TEXT);
        self.bytes += size(&record);
        self.records.push_back(record);
        while self.bytes > self.bound && self.records.len() > 1 {
            if let Some(oldest) = self.records.pop_front() {
                self.bytes -= size(&oldest);
            }
        }
        self.records.back().expect("one was pushed just now")
    }

    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn since(&self, number: u64, most: usize) -> Events {
        // A number that is not given out yet is as good as the newest.
        let number = number.min(self.newest);
        let first = self.records.front().map_or(0, |record| record.number);
        let missed = first.saturating_sub(number + 1);
        let skip = usize::try_from((number + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        let records: Vec<Record> = self.records.iter().skip(skip).take(most).cloned().collect();
        let next = records.last().map_or(number, |record| record.number);
        Events {
            more: next < self.newest,
            next,
            missed,
            records,
        }
    }
}

fn size(record: &Record) -> usize {
    let problems = record.problems.iter();
    let problems: usize = problems
        .map(|problem| size_of::<CertificateProblem>() + problem.subject.len())
        .sum();
    OVERHEAD + problems + record.text.len() + record.service.len() + record.connection.len()
}

/// Cuts a text to at most this many bytes, between characters.
pub(super) fn cut(text: &mut String, bound: usize) {
    if text.len() > bound {
        let end = (0..=bound).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
    }
}

//! The log that operators read: stunnel's texts, levels and connection numbers.
//!
//! One method of [`Lines`] is one event; it decides the text and its [`Severity`], and the caller
//! says only what happened. Lines go to the logger (the console) with the connection's id as
//! their target, and, when one is named, to a syslog server.
//!
//! What peers sent is escaped and shortened before it gets into a line, and connections get no more
//! than [`LINES_PER_SECOND`] of them: a byte on a serial console is a trip to the hypervisor.

use alloc::string::String;
use core::{fmt, time::Duration};

pub(crate) use channel::{CertificateProblem, Kind};

use net::{Instant, Stack};
use tls::WallClock;

mod address;
mod certificate;
mod date;
mod events;
mod handshake;
mod id;
mod lifecycle;
mod negotiation;
mod revocation;
mod severity;
mod syslog;
#[cfg(test)]
mod tests;
mod text;
mod texts;
mod words;

pub use address::Address;
pub use date::Date;
pub use id::{Id, LogId, MARK};
pub use severity::Severity;
pub use syslog::{Facility, SYSLOG_PORT, Syslog};
pub(crate) use texts::binding;
pub use texts::{Closed, Operation, Role, Timeout};

pub(crate) use events::Events;
use text::Text;

/// Lines about connections that went well, per second: some 100 KB on the console. Those beyond
/// are counted. (Failures have a stricter bound where they are found.)
const LINES_PER_SECOND: u32 = 1000;

/// Events about failures, per second: those of a thousand clients. Those beyond are counted as lost.
const FAILURES_PER_SECOND: u32 = 4000;

/// What the log needs to know of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    name: String,
    level: Severity,
    ids: LogId,
}

impl Channel {
    /// The channel of the service `name`, whose lines are written up to `level` and whose
    /// connections are numbered as `ids` says.
    pub fn new(name: &str, level: Severity, ids: LogId) -> Self {
        Self {
            name: name.into(),
            level,
            ids,
        }
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The least important lines that are written.
    pub fn level(&self) -> Severity {
        self.level
    }
}

/// The log of the whole tunnel.
pub struct Journal {
    clock: WallClock,
    level: Severity,
    /// Connections so far, over all services.
    connections: u64,
    syslog: Option<Syslog>,
    /// Lines about connections that may still be written in this second.
    budget: u32,
    /// When the next second begins.
    refill: Instant,
    /// Lines left out in this second.
    left_out: u64,
    /// Lines for whoever manages the image.
    events: Option<Events>,
    /// Of those about failures, how many may still be kept in this second.
    failures: u32,
}

/// What is known of a line beside its text.
pub(crate) struct Entry<'a> {
    kind: Kind,
    severity: Severity,
    service: &'a str,
    id: Id,
    problems: &'a [CertificateProblem],
    /// Whether it is written to the log; an event may be more than that.
    is_logged: bool,
    /// Whether the log's level leaves it out.
    beyond_log: bool,
}

impl Entry<'_> {
    /// A line about the tunnel as a whole.
    pub(crate) fn of_tunnel(kind: Kind, severity: Severity) -> Entry<'static> {
        Entry {
            kind,
            severity,
            service: "",
            id: Id::TUNNEL,
            problems: &[],
            is_logged: true,
            beyond_log: false,
        }
    }

    /// Whether it tells of a failure, which noise must not displace.
    fn is_failure(&self) -> bool {
        self.severity < Severity::Notice || self.kind.is_failure()
    }
}

impl Journal {
    /// A journal whose lines that belong to no service are written up to `level`; `clock` dates
    /// what goes to a syslog server.
    pub fn new(clock: WallClock, level: Severity) -> Self {
        Self {
            clock,
            level,
            connections: 0,
            syslog: None,
            budget: LINES_PER_SECOND,
            refill: Instant::ZERO,
            left_out: 0,
            events: None,
            failures: FAILURES_PER_SECOND,
        }
    }

    /// Sends every line to a syslog server too, from now on.
    pub fn set_syslog(&mut self, syslog: Syslog) {
        self.syslog = Some(syslog);
    }

    /// Keeps every line as an event too, from now on.
    pub(crate) fn keep_events(&mut self, events: Events, now: Instant) {
        self.events = Some(events);
        self.begin_turn(now);
    }

    /// The events that were kept.
    pub(crate) fn events(&mut self) -> Option<&mut Events> {
        self.events.as_mut()
    }

    /// Dates the events of a turn.
    pub(crate) fn begin_turn(&mut self, now: Instant) {
        if let Some(events) = &mut self.events {
            events.set_time(self.clock.now(), now);
        }
    }

    /// Goes on as another configuration wants it. What waits for a syslog server that stays the
    /// same goes on waiting.
    pub(crate) fn reconfigure(&mut self, level: Severity, syslog: Option<Syslog>) {
        self.level = level;
        self.syslog = match (self.syslog.take(), syslog) {
            (Some(old), Some(new)) if old.is_like(&new) => Some(old),
            (_, new) => new,
        };
    }

    /// Whether lines wait for the syslog server.
    pub(crate) fn is_sending(&self) -> bool {
        self.syslog.as_ref().is_some_and(Syslog::is_waiting)
    }

    /// Changes up to which level lines that belong to no service are written.
    pub fn set_level(&mut self, level: Severity) {
        self.level = level;
    }

    /// Sends what waits for the syslog server, as far as the network takes it. To be called
    /// whenever lines may have been written, before the stack is flushed.
    ///
    /// Returns when to call again even if nothing happens.
    pub fn poll(&mut self, stack: &mut Stack, now: Instant) -> Option<Instant> {
        if now >= self.refill {
            self.refill = now + Duration::from_secs(1);
            self.budget = LINES_PER_SECOND;
            self.failures = FAILURES_PER_SECOND;
            let left_out = core::mem::take(&mut self.left_out);
            if left_out > 0 {
                self.tunnel().lines_left_out(left_out);
            }
        }
        let report = (self.left_out > 0).then_some(self.refill);
        let sending = match &mut self.syslog {
            Some(syslog) => syslog.send(stack, now),
            None => None,
        };
        let dropped = self.syslog.as_mut().map_or(0, Syslog::take_dropped);
        if dropped > 0 {
            self.tunnel().syslog_dropped(dropped);
        }
        report.into_iter().chain(sending).min()
    }

    /// The id of a new connection of `channel`'s service; `random` makes those unique that have
    /// to be.
    pub fn begin(&mut self, channel: &Channel, random: [u8; 8]) -> Id {
        let id = Id::new(channel.ids, self.connections, random);
        self.connections += 1;
        id
    }

    /// Lines about the tunnel as a whole.
    pub fn tunnel(&mut self) -> Lines<'_> {
        Lines {
            level: self.level,
            service: "",
            id: Id::TUNNEL,
            is_restrained: false,
            journal: self,
        }
    }

    /// Lines about one service, but none of its connections.
    pub fn service<'a>(&'a mut self, channel: &'a Channel) -> Lines<'a> {
        Lines {
            level: channel.level,
            service: &channel.name,
            id: Id::TUNNEL,
            is_restrained: false,
            journal: self,
        }
    }

    /// Lines about one connection of a service.
    pub fn connection<'a>(&'a mut self, channel: &'a Channel, id: Id) -> Lines<'a> {
        Lines {
            level: channel.level,
            service: &channel.name,
            id,
            is_restrained: false,
            journal: self,
        }
    }

    fn write(&mut self, entry: &Entry<'_>, arguments: fmt::Arguments<'_>) {
        let is_failure = entry.is_failure();
        if entry.id != Id::TUNNEL && !is_failure {
            if self.budget == 0 {
                self.left_out += 1;
                return;
            }
            self.budget -= 1;
        }
        let text = Text::new(arguments);
        let Entry { severity, id, .. } = *entry;
        if entry.is_logged {
            let mut target = id::Target::default();
            log::logger().log(
                &log::Record::builder()
                    .level(severity.log_level())
                    .target(id.target(&mut target))
                    .args(format_args!("{}", text.as_str()))
                    .build(),
            );
            if let Some(syslog) = &mut self.syslog {
                syslog.push(self.clock.now(), severity, id, text.as_str());
            }
        }
        let Some(events) = &mut self.events else {
            return;
        };
        match self.failures.checked_sub(u32::from(is_failure)) {
            None => events.lose(),
            Some(left) => {
                self.failures = left;
                events.push(entry, text.as_str());
            }
        }
    }
}

/// Writes lines that belong together: about the tunnel, one service, or one connection.
pub struct Lines<'a> {
    journal: &'a mut Journal,
    level: Severity,
    service: &'a str,
    id: Id,
    /// Whether the log has had enough of such lines: they are events alone.
    is_restrained: bool,
}

impl Lines<'_> {
    /// Whether lines of this importance are written: ask before preparing costly arguments.
    pub fn writes(&self, severity: Severity) -> bool {
        severity <= self.level
    }

    /// Writes a line that no other method knows.
    pub fn line(&mut self, severity: Severity, arguments: fmt::Arguments<'_>) {
        self.tell(Kind::Line, severity, arguments);
    }

    /// Keeps the lines that follow out of the log, or no longer; whoever manages the image gets them
    /// all the same.
    pub(crate) fn restrain(&mut self, restrain: bool) {
        self.is_restrained = restrain;
    }

    /// Writes a line that tells programs what has happened.
    fn tell(&mut self, kind: Kind, severity: Severity, arguments: fmt::Arguments<'_>) {
        self.tell_of(kind, severity, &[], arguments);
    }

    /// The same of a peer's certificate.
    fn tell_of(
        &mut self,
        kind: Kind,
        severity: Severity,
        problems: &[CertificateProblem],
        arguments: fmt::Arguments<'_>,
    ) {
        let is_written = self.writes(severity);
        let is_logged = is_written && !self.is_restrained;
        let is_kept = is_written || kind.is_failure();
        if is_logged || (is_kept && self.journal.events.is_some()) {
            let entry = Entry {
                kind,
                severity,
                service: self.service,
                id: self.id,
                problems,
                is_logged,
                beyond_log: !is_written,
            };
            self.journal.write(&entry, arguments);
        }
    }

    /// Writes a line that only the log needs.
    fn log_only(&mut self, severity: Severity, arguments: fmt::Arguments<'_>) {
        if self.writes(severity) {
            let events = self.journal.events.take();
            self.tell(Kind::LinesLeftOut, severity, arguments);
            self.journal.events = events;
        }
    }
}

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

use net::{Instant, Stack};
use tls::WallClock;

mod certificate;
mod date;
mod id;
mod severity;
mod syslog;
#[cfg(test)]
mod tests;
mod text;
mod texts;

pub use date::Date;
pub use id::{Id, LogId, MARK};
pub use severity::Severity;
pub use syslog::{Facility, SYSLOG_PORT, Syslog};
pub use texts::{Closed, Operation, Role, Timeout};

use text::Text;

/// Lines about connections that went well, per second: some 100 KB on the console. Those beyond
/// are counted. (Failures have a stricter bound where they are found.)
const LINES_PER_SECOND: u32 = 1000;

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
        }
    }

    /// Sends every line to a syslog server too, from now on.
    pub fn set_syslog(&mut self, syslog: Syslog) {
        self.syslog = Some(syslog);
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
            journal: self,
        }
    }

    /// Lines about one service, but none of its connections.
    pub fn service<'a>(&'a mut self, channel: &'a Channel) -> Lines<'a> {
        Lines {
            level: channel.level,
            service: &channel.name,
            id: Id::TUNNEL,
            journal: self,
        }
    }

    /// Lines about one connection of a service.
    pub fn connection<'a>(&'a mut self, channel: &'a Channel, id: Id) -> Lines<'a> {
        Lines {
            level: channel.level,
            service: &channel.name,
            id,
            journal: self,
        }
    }

    fn write(&mut self, severity: Severity, id: Id, arguments: fmt::Arguments<'_>) {
        if id != Id::TUNNEL && severity >= Severity::Notice {
            if self.budget == 0 {
                self.left_out += 1;
                return;
            }
            self.budget -= 1;
        }
        let text = Text::new(arguments);
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
}

/// Writes lines that belong together: about the tunnel, one service, or one connection.
pub struct Lines<'a> {
    journal: &'a mut Journal,
    level: Severity,
    service: &'a str,
    id: Id,
}

impl Lines<'_> {
    /// Whether lines of this importance are written: ask before preparing costly arguments.
    pub fn writes(&self, severity: Severity) -> bool {
        severity <= self.level
    }

    /// Writes a line that no other method knows.
    pub fn line(&mut self, severity: Severity, arguments: fmt::Arguments<'_>) {
        if self.writes(severity) {
            self.journal.write(severity, self.id, arguments);
        }
    }
}

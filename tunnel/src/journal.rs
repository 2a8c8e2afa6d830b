//! The log that operators read: stunnel's texts, levels and connection numbers.
//!
//! One method of [`Lines`] is one event; it decides the text and its [`Severity`], and the caller
//! says only what happened. Lines go to the logger (the console) with the connection's number as
//! their target, and, when one is named, to a syslog server.
//!
//! What peers sent is escaped and shortened before it gets into a line.

use alloc::string::String;
use core::fmt;

use tls::WallClock;

mod id;
mod severity;
mod texts;

pub use id::{Id, LogId};
pub use severity::Severity;
pub use texts::{Closed, Operation, Role, Timeout};

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
}

impl Journal {
    /// A journal whose lines that belong to no service are written up to `level`; `clock` dates
    /// what goes to a syslog server.
    pub fn new(clock: WallClock, level: Severity) -> Self {
        Self {
            clock,
            level,
            connections: 0,
        }
    }

    /// The number of a new connection of `channel`'s service; `random` makes those unique that
    /// have to be.
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
        let _ = self.clock.now();
        let mut name = id::Text::default();
        log::logger().log(
            &log::Record::builder()
                .level(severity.log_level())
                .target(id.text(&mut name))
                .args(arguments)
                .build(),
        );
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

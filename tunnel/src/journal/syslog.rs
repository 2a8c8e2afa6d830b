//! Lines for a syslog server: RFC 5424 over UDP (RFC 5426).

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::net::SocketAddr;

use net::{Instant, Stack};

use super::{Id, Severity};

/// A syslog facility's number, 0 to 23 (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// 3: what stunnel uses unless it is told otherwise.
    pub const DAEMON: Facility = Facility(3);

    /// The facility of this number; everything above 23 is 23.
    pub fn from_number(number: u8) -> Facility {
        Facility(number.min(23))
    }
}

/// A syslog server, and the lines that wait for it.
pub struct Syslog {
    server: SocketAddr,
    facility: Facility,
    name: String,
    waiting: VecDeque<Vec<u8>>,
}

impl Syslog {
    /// Sends to `server` as the application `name`.
    pub fn new(server: SocketAddr, facility: Facility, name: &str) -> Self {
        Self {
            server,
            facility,
            name: name.into(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, time: u64, severity: Severity, id: Id, text: &str) {
        let _ = (time, severity, id, text, self.facility, &self.name);
    }

    pub(super) fn send(&mut self, stack: &mut Stack, now: Instant) -> Option<Instant> {
        let _ = (stack, now, self.server, &self.waiting);
        None
    }
}

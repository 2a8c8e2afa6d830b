//! One line of the log, with what a program wants to know of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::OneLine;
use crate::certificate::CertificateProblem;

/// Something that happened in the image, or to it.
///
/// Displays as one line of the log, without the line's end, as stunnel writes it:
/// `2026.11.22 07:00:00 LOG5[0]: Service [https] accepted connection from 192.0.2.1:40000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1 for the first one; no number is left out but where [`ToHost::Lost`](crate::ToHost::Lost)
    /// says so.
    pub number: u64,
    /// When: microseconds since 1970-01-01T00:00:00Z, by the image's clock.
    pub unix_micros: u64,
    /// How important it is: 0 (the most) to 7, as syslog counts (RFC 5424 §6.2.1).
    pub severity: u8,
    /// The service's name; empty when it belongs to none.
    pub service: String,
    /// The connection's id in the log; empty when it belongs to none.
    pub connection: String,
    /// What happened, for programs.
    pub kind: Kind,
    /// What happened, for people: the log's text.
    pub text: String,
    /// Whether the log is less detailed than this: a failure is told of here, whatever is logged.
    pub beyond_log: bool,
    /// What was wrong with the peer's certificate; none with all kinds but
    /// [`Kind::VerificationFailed`].
    pub problems: Vec<CertificateProblem>,
}

/// What programs tell events apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Anything that has no kind of its own.
    #[default]
    Line = 0,
    /// A client's connection was accepted.
    Accepted = 1,
    /// The backend's connection stands.
    Connected = 2,
    /// A connection ended in order.
    Closed = 3,
    /// A connection was reset, by a peer or because of an error.
    Reset = 4,
    /// A TLS handshake failed, for another reason than the peer's certificate.
    HandshakeFailed = 5,
    /// The peer's certificate was refused.
    VerificationFailed = 6,
    /// A backend refused the connection.
    BackendRefused = 7,
    /// There was no way to a backend.
    BackendUnreachable = 8,
    /// A backend's name has no address.
    NameNotResolved = 9,
    /// What a connection needs to begin, an answer of a backend or of a TLS peer, did not come in time.
    Timeout = 10,
    /// A configuration is in force.
    ConfigurationSuccessful = 11,
    /// A configuration was refused.
    ConfigurationFailed = 12,
    /// A service listens.
    Listening = 13,
    /// A service can't listen where it should, as the port is taken.
    AddressInUse = 14,
    /// More lines came than are written; the text says how many are left out.
    LinesLeftOut = 15,
    /// The image refuses connections, as it has no memory for more.
    Overloaded = 16,
    /// The launcher's own: a machine was started.
    MachineStarted = 17,
    /// The launcher's own: a machine ended though nobody asked it to.
    MachineFailed = 18,
    /// The launcher's own: a machine ended as it was asked to.
    MachineStopped = 19,
    /// A backend's address is none that can be connected to.
    InvalidArgument = 20,
    /// Nothing moved in a connection for too long, or its other direction did not end too.
    Idle = 21,
}

impl Kind {
    /// Every kind, each at its number's place, with its name in the reports of programs.
    const NAMES: [(Kind, &str); 22] = [
        (Kind::Line, "line"),
        (Kind::Accepted, "accepted"),
        (Kind::Connected, "connected"),
        (Kind::Closed, "closed"),
        (Kind::Reset, "reset"),
        (Kind::HandshakeFailed, "handshake-failed"),
        (Kind::VerificationFailed, "verification-failed"),
        (Kind::BackendRefused, "backend-refused"),
        (Kind::BackendUnreachable, "backend-unreachable"),
        (Kind::NameNotResolved, "name-not-resolved"),
        (Kind::Timeout, "timeout"),
        (Kind::ConfigurationSuccessful, "configuration-successful"),
        (Kind::ConfigurationFailed, "configuration-failed"),
        (Kind::Listening, "listening"),
        (Kind::AddressInUse, "address-in-use"),
        (Kind::LinesLeftOut, "lines-left-out"),
        (Kind::Overloaded, "overloaded"),
        (Kind::MachineStarted, "machine-started"),
        (Kind::MachineFailed, "machine-failed"),
        (Kind::MachineStopped, "machine-stopped"),
        (Kind::InvalidArgument, "invalid-argument"),
        (Kind::Idle, "idle"),
    ];

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind of this number; [`Kind::Line`] for those of a later product.
    pub fn from_number(number: u8) -> Kind {
        Self::NAMES
            .get(usize::from(number))
            .map_or(Kind::Line, |(kind, _)| *kind)
    }

    /// Whether it is about something that failed: such events are told of whatever the log's level
    /// and rate, as far as there is room for them.
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Kind::HandshakeFailed
                | Kind::VerificationFailed
                | Kind::BackendRefused
                | Kind::BackendUnreachable
                | Kind::NameNotResolved
                | Kind::Timeout
                | Kind::ConfigurationFailed
                | Kind::AddressInUse
                | Kind::Overloaded
                | Kind::MachineFailed
                | Kind::InvalidArgument
        )
    }

    /// Its name in the reports of programs: `backend-refused`.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .get(usize::from(self.number()))
            .map_or("line", |(_, name)| *name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.unix_micros / 1_000_000;
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}.{month:02}.{day:02} ")?;
        write!(f, "{hour:02}:{minute:02}:{second:02} ")?;
        let connection = OneLine(&self.connection);
        write!(f, "LOG{}[{connection}]: ", self.severity)?;
        OneLine(&self.text).fmt(f)
    }
}

/// Year, month and day of so many days after 1970-01-01, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years are counted from March on, so that the leap day is the last one; the calendar repeats
    // after 400 of them (146,097 days), and 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months of 31, 30, 31, 30 and 31 days, and again: 153 days for five of them.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = match month < 10 {
        true => (month + 3, 0),
        false => (month - 9, 1),
    };
    (400 * era + year + next, month, day)
}

#[cfg(test)]
mod tests;

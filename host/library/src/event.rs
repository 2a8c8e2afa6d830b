//! What has happened to a proxy.

use std::fmt;
use std::time::SystemTime;

use stockade_channel::{CertificateProblem, Kind};
use stockade_host::launch::{self, Record};
use stockade_host::network;

use crate::Error;

/// Something that happened to a proxy, its connections or its machine.
///
/// Displays as a line of stunnel's log, with the time in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// 1 for the proxy's first one, and one more for each; where some are not kept, their numbers
    /// are left out, and [`EventKind::Missing`] says how many.
    pub number: u64,
    /// When.
    pub time: SystemTime,
    /// How important it is: 0 (the most) to 7, as syslog counts (RFC 5424 §6.2.1).
    pub severity: u8,
    /// What happened.
    pub kind: EventKind,
    /// The connection's id in the log; empty when it belongs to none.
    pub connection: String,
    /// What happened, for people: the log's text.
    pub text: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// Anything that has no kind of its own.
    Line,
    /// The proxy serves by its configuration.
    Configured,
    /// A client was accepted.
    Accepted,
    /// The remote's TCP connection stands.
    Connected,
    /// A connection ended in order.
    Closed,
    /// A connection was reset, by a peer or because of an error.
    Reset,
    /// A connection was ended because nothing moved in it.
    Idle,
    /// The remote's certificate was refused.
    VerificationFailed(Vec<CertificateProblem>),
    /// TLS failed for another reason.
    HandshakeFailed,
    /// The remote refused the connection.
    ConnectionRefused,
    /// The remote's name has no address.
    NoHostResolved,
    /// There is no way to the remote.
    NoRouteToHost,
    /// The remote's address is none that can be connected to.
    InvalidArgument,
    /// The remote, or its TLS, did not answer in time.
    TimedOut,
    /// A configuration was refused; the one before stays in force.
    ConfigurationFailed,
    /// The machine has no memory for more connections.
    Overloaded,
    /// A machine was started.
    MachineStarted,
    /// The machine serves.
    MachineReady,
    /// The machine ended unasked, and its connections with it; another one takes its place.
    MachineFailed,
    /// So many events are missing here: of this proxy, as more came than are kept between two calls
    /// of [`diagnose`](crate::Proxy::diagnose), or of any proxy of the machine, as it had no room for
    /// them.
    Missing(u64),
}

impl Event {
    /// The failure that it tells of, if it does.
    ///
    /// What xapi's `diagnose` answers is the first of them:
    ///
    /// ```no_run
    /// # fn example(proxy: &stockade::Proxy) -> Result<(), stockade::Error> {
    /// let failure = proxy.diagnose().iter().find_map(stockade::Event::error);
    /// failure.map_or(Ok(()), Err)
    /// # }
    /// ```
    pub fn error(&self) -> Option<Error> {
        let text = self.text.clone();
        Some(match &self.kind {
            EventKind::VerificationFailed(problems) => Error::CertificateVerify {
                reasons: problems.clone(),
            },
            EventKind::HandshakeFailed => Error::HandshakeFailed(text),
            EventKind::ConnectionRefused => Error::ConnectionRefused(text),
            EventKind::NoHostResolved => Error::NoHostResolved(text),
            EventKind::NoRouteToHost => Error::NoRouteToHost(text),
            EventKind::InvalidArgument => Error::InvalidArgument(text),
            EventKind::TimedOut => Error::TimedOut(text),
            EventKind::ConfigurationFailed => Error::ConfigurationFailed(vec![text]),
            EventKind::Overloaded | EventKind::MachineFailed => Error::MachineFailed(text),
            EventKind::Line
            | EventKind::Configured
            | EventKind::Accepted
            | EventKind::Connected
            | EventKind::Closed
            | EventKind::Reset
            | EventKind::Idle
            | EventKind::MachineStarted
            | EventKind::MachineReady
            | EventKind::Missing(_) => return None,
        })
    }

    /// Whether it tells of a failure; the others are the first to go where there are too many.
    pub fn is_failure(&self) -> bool {
        self.error().is_some() || matches!(self.kind, EventKind::Missing(_))
    }

    /// What the launcher has heard, without its number.
    pub(crate) fn of(record: &Record) -> Event {
        use launch::Kind as Heard;
        let kind = match record.kind {
            Heard::Started => EventKind::MachineStarted,
            Heard::Ready => EventKind::MachineReady,
            Heard::Ended => EventKind::MachineFailed,
            Heard::ReloadRefused => EventKind::ConfigurationFailed,
            Heard::Lost(events) => EventKind::Missing(events),
            Heard::Image(kind) => said(kind, record),
            _ => EventKind::Line,
        };
        Event {
            number: 0,
            time: record.time,
            severity: record.severity,
            kind,
            connection: record.connection.clone(),
            text: network::by_host(&record.text),
        }
    }
}

/// What the image says.
fn said(kind: Kind, record: &Record) -> EventKind {
    match kind {
        Kind::Accepted => EventKind::Accepted,
        Kind::Connected => EventKind::Connected,
        Kind::Closed => EventKind::Closed,
        Kind::Reset => EventKind::Reset,
        Kind::Idle => EventKind::Idle,
        Kind::VerificationFailed => EventKind::VerificationFailed(record.problems.clone()),
        Kind::HandshakeFailed => EventKind::HandshakeFailed,
        Kind::BackendRefused => EventKind::ConnectionRefused,
        Kind::BackendUnreachable => EventKind::NoRouteToHost,
        Kind::NameNotResolved => EventKind::NoHostResolved,
        Kind::InvalidArgument => EventKind::InvalidArgument,
        Kind::Timeout => EventKind::TimedOut,
        Kind::ConfigurationSuccessful | Kind::Listening => EventKind::Configured,
        Kind::ConfigurationFailed | Kind::AddressInUse => EventKind::ConfigurationFailed,
        Kind::Overloaded => EventKind::Overloaded,
        Kind::LinesLeftOut => EventKind::Missing(leading_number(&record.text)),
        _ => EventKind::Line,
    }
}

/// How many lines a text tells of: `12 lines about connections left out: …`.
fn leading_number(text: &str) -> u64 {
    let digits = text.split(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(1)
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH);
        let micros = since.unwrap_or_default().as_micros();
        let connection = match self.connection.is_empty() {
            true => "ui".to_owned(),
            false => self.connection.clone(),
        };
        let line = stockade_channel::Event {
            number: self.number,
            unix_micros: u64::try_from(micros).unwrap_or(u64::MAX),
            severity: self.severity,
            service: String::new(),
            connection,
            kind: Kind::Line,
            text: self.text.clone(),
            beyond_log: false,
            problems: Vec::new(),
        };
        line.fmt(f)
    }
}

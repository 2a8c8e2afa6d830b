//! Lines for a syslog server: RFC 5424 over UDP (RFC 5426).
//!
//! ```text
//! <29>1 2026-11-22T07:00:00Z 10.0.2.15 stunnel - - - LOG5[0]: Service [x] accepted …
//! ```
//!
//! One line is one datagram. Sending never waits: what the network does not take stays in a queue,
//! and when that is full, new lines are dropped and counted.

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use net::{Addresses, DatagramError, Instant, Stack};

use super::{Id, Severity, date::Date};

/// Lines that wait at most, for an address or for a busy network: some 100 KB.
const MAX_WAITING: usize = 512;

/// When to try again after the network took no more.
const RETRY: Duration = Duration::from_millis(100);

/// Most bytes of an application's name (RFC 5424 §6).
const MAX_NAME: usize = 48;

/// The port of syslog servers unless they have another (RFC 5426 §3.3).
pub const SYSLOG_PORT: u16 = 514;

/// A syslog facility (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// System daemons: what stunnel uses unless it is told otherwise.
    pub const DAEMON: Facility = Facility(3);

    /// The facility of this number; `None` above 23.
    pub fn from_number(number: u8) -> Option<Facility> {
        (number <= 23).then_some(Facility(number))
    }
}

/// A syslog server, and the lines that wait for it.
pub struct Syslog {
    server: SocketAddr,
    facility: Facility,
    name: String,
    waiting: VecDeque<Waiting>,
    /// Lines that found the queue full and were not reported yet.
    dropped: u64,
}

/// A line without its header.
struct Waiting {
    time: u64,
    severity: Severity,
    text: String,
}

impl Syslog {
    /// Sends to `server` as the application `name`, stunnel's `service` option; characters that
    /// RFC 5424 does not allow in it are left out.
    pub fn new(server: SocketAddr, facility: Facility, name: &str) -> Self {
        let printable = name.chars().filter(char::is_ascii_graphic);
        let mut name: String = printable.take(MAX_NAME).collect();
        if name.is_empty() {
            name.push('-');
        }
        Self {
            server,
            facility,
            name,
            waiting: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Whether lines go to the same place under the same name.
    pub(super) fn is_like(&self, other: &Syslog) -> bool {
        self.server == other.server && self.facility == other.facility && self.name == other.name
    }

    /// Whether lines wait.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Queues a line that was written at `time`, in Unix seconds.
    pub(super) fn push(&mut self, time: u64, severity: Severity, id: Id, text: &str) {
        if self.waiting.len() >= MAX_WAITING {
            self.dropped += 1;
            return;
        }
        let mut line = String::with_capacity(text.len() + 32);
        // Strings take everything.
        let _ = write!(line, "LOG{severity}[{id}]: {text}");
        self.waiting.push_back(Waiting {
            time,
            severity,
            text: line,
        });
    }

    /// Lines dropped since the last call, once there is room for a line that tells of them.
    pub(super) fn take_dropped(&mut self) -> u64 {
        match self.waiting.len() < MAX_WAITING {
            true => core::mem::take(&mut self.dropped),
            false => 0,
        }
    }

    /// Hands over to the network what it takes; says when to try again, if anything is left for
    /// which that is worth while.
    pub(super) fn send(&mut self, stack: &mut Stack, now: Instant) -> Option<Instant> {
        while let Some(line) = self.waiting.front() {
            let message = self.message(line, stack.addresses());
            match stack.send_datagram(self.server, &message, now) {
                Err(DatagramError::Full) => return Some(now + RETRY),
                // With an address or a route there is a new chance, and an event.
                Err(DatagramError::NoRoute) => return None,
                // Whatever else is wrong with one datagram, it is wrong for good.
                Ok(()) | Err(_) => {
                    self.waiting.pop_front();
                }
            }
        }
        None
    }

    /// A line as RFC 5424 §6 has it: priority, version, time, host, application, and neither
    /// process, message id nor structured data.
    fn message(&self, line: &Waiting, addresses: &Addresses) -> Vec<u8> {
        let priority = 8 * u16::from(self.facility.0) + u16::from(line.severity.number());
        let mut message = String::with_capacity(line.text.len() + 96);
        let _ = write!(message, "<{priority}>1 ");
        let _ = match line.time {
            // No wall clock: the nil value.
            0 => message.write_str("-"),
            time => write!(message, "{}", Date::from_unix(time).rfc3339()),
        };
        // "The HOSTNAME field identifies the machine": without a name, its address.
        let v4 = addresses.ipv4.map(|(address, _)| IpAddr::V4(address));
        let v6 = addresses.ipv6.map(|(address, _)| IpAddr::V6(address));
        let _ = match v4.or(v6) {
            Some(address) => write!(message, " {address}"),
            None => message.write_str(" -"),
        };
        let _ = write!(message, " {} - - - {}", self.name, line.text);
        message.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn server() -> SocketAddr {
        "10.9.0.1:514".parse().expect("an address")
    }

    fn check(name: &str, time: u64, addresses: &Addresses, expected: &str) {
        let mut syslog = Syslog::new(server(), Facility::DAEMON, name);
        syslog.push(time, Severity::Notice, Id::TUNNEL, "Terminated");
        let message = syslog.message(&syslog.waiting[0], addresses);
        assert_eq!(String::from_utf8(message).expect("text"), expected);
    }

    #[test]
    fn messages_have_the_fields_of_rfc_5424() {
        let mut addresses = Addresses::default();
        let time = 1_795_330_800;
        check(
            "stunnel",
            time,
            &addresses,
            "<29>1 2026-11-22T07:00:00Z - stunnel - - - LOG5[ui]: Terminated",
        );
        check("", 0, &addresses, "<29>1 - - - - - - LOG5[ui]: Terminated");
        addresses.ipv6 = Some(("2001:db8::2".parse().expect("an address"), 64));
        check(
            "my tunnel\n",
            time,
            &addresses,
            "<29>1 2026-11-22T07:00:00Z 2001:db8::2 mytunnel - - - LOG5[ui]: Terminated",
        );
        addresses.ipv4 = Some(("10.0.2.15".parse().expect("an address"), 24));
        check(
            &"n".repeat(60),
            time,
            &addresses,
            &format!(
                "<29>1 2026-11-22T07:00:00Z 10.0.2.15 {} - - - LOG5[ui]: Terminated",
                "n".repeat(48)
            ),
        );
    }

    #[test]
    fn priorities_join_facility_and_severity() {
        let facility = Facility::from_number(23).expect("local7");
        let mut syslog = Syslog::new(server(), facility, "x");
        syslog.push(1, Severity::Debug, Id::TUNNEL, "text");
        let message = syslog.message(&syslog.waiting[0], &Addresses::default());
        assert!(message.starts_with(b"<191>1 1970-01-01T00:00:01Z "));
        assert_eq!(Facility::from_number(24), None);
    }

    #[test]
    fn the_longest_line_needs_no_fragments() {
        let text = super::super::text::Text::new(format_args!("{}", "x".repeat(5000)));
        let mut syslog = Syslog::new(server(), Facility::DAEMON, &"n".repeat(60));
        let id = Id::new(crate::journal::LogId::Unique, 0, [0; 8]);
        syslog.push(u64::from(u32::MAX), Severity::Debug, id, text.as_str());
        let addresses = Addresses {
            ipv6: Some((
                "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
                    .parse()
                    .expect("an address"),
                64,
            )),
            ..Addresses::default()
        };
        let message = syslog.message(&syslog.waiting[0], &addresses);
        // RFC 5426 §3.2: 1,180 bytes are taken by every receiver over IPv6.
        assert!(message.len() <= 1180, "{}", message.len());
    }

    /// A stack on a card whose frames nobody answers.
    fn stack(ipv4: net::Ipv4Config) -> Stack {
        let mut card = smoltcp::phy::Loopback::new(smoltcp::phy::Medium::Ethernet);
        let config = net::Config {
            mac: [2, 0, 0, 0, 0, 2],
            ipv4,
            ipv6: None,
            dns: vec![],
            seed: [1; 32],
            limits: net::Limits {
                streams: 1,
                half_open: 1,
                recv_buffer: 4096,
                send_buffer: 4096,
            },
            role: net::Role::Host,
        };
        Stack::new(config, &mut card, Instant::ZERO).expect("a configuration")
    }

    #[test]
    fn lines_wait_for_an_address_and_then_for_the_network() {
        let mut syslog = Syslog::new(server(), Facility::DAEMON, "x");
        for _ in 0..100 {
            syslog.push(1, Severity::Notice, Id::TUNNEL, "line");
        }
        // The next address comes with an event: no timer is needed.
        let mut unconfigured = stack(net::Ipv4Config::Dhcp);
        assert_eq!(syslog.send(&mut unconfigured, Instant::ZERO), None);
        assert_eq!(syslog.waiting.len(), 100);
        let mut configured = stack(net::Ipv4Config::Static {
            address: "10.9.0.2".parse().expect("an address"),
            prefix: 16,
            gateway: None,
        });
        let retry = syslog.send(&mut configured, Instant::ZERO);
        assert_eq!(retry, Some(Instant::ZERO + RETRY));
        let left = syslog.waiting.len();
        assert!((1..100).contains(&left), "{left} lines left");
        // What can never be sent does not stop the rest.
        syslog.server = "10.9.0.2:514".parse().expect("our own address");
        assert_eq!(syslog.send(&mut configured, Instant::ZERO), None);
        assert!(syslog.waiting.is_empty());
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let mut syslog = Syslog::new(server(), Facility::DAEMON, "x");
        for _ in 0..MAX_WAITING + 7 {
            syslog.push(1, Severity::Notice, Id::TUNNEL, "line");
        }
        assert_eq!(syslog.waiting.len(), MAX_WAITING);
        assert_eq!(syslog.take_dropped(), 0);
        syslog.waiting.pop_front();
        assert_eq!(syslog.take_dropped(), 7);
        assert_eq!(syslog.take_dropped(), 0);
        assert_eq!(vec![syslog.waiting.len()], [MAX_WAITING - 1]);
    }
}

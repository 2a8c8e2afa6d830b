//! Texts of an image that may have been taken over, made fit for a terminal.

use alloc::string::{String, ToString};
use core::fmt::{self, Write};

use crate::message::ToHost;

/// A text that stays on its line and does nothing to a terminal: control characters are escaped.
#[derive(Clone, Copy, Debug)]
pub struct OneLine<'a>(
    /// The text as it came.
    pub &'a str,
);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter.is_control() {
                true => write!(f, "{}", letter.escape_default())?,
                false => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

impl ToHost {
    /// The same, with every text as [`OneLine`] shows it.
    #[must_use]
    pub fn printable(mut self) -> ToHost {
        match &mut self {
            Self::Hello { version, .. } => tame(version),
            Self::Ready { listening, .. } => {
                for listening in listening {
                    tame(&mut listening.service);
                    tame(&mut listening.backend);
                }
            }
            Self::Event(event) => {
                tame(&mut event.service);
                tame(&mut event.connection);
                tame(&mut event.text);
                for problem in &mut event.problems {
                    tame(&mut problem.subject);
                }
            }
            Self::Configured { result, .. } => {
                if let Err(lines) = result {
                    lines.iter_mut().for_each(tame);
                }
            }
            Self::Status { status, .. } => {
                for service in &mut status.services {
                    tame(&mut service.name);
                    service.backends.iter_mut().for_each(tame);
                }
                for connection in &mut status.connections {
                    tame(&mut connection.service);
                    tame(&mut connection.id);
                }
                for host in &mut status.hosts {
                    tame(&mut host.name);
                    host.trouble.as_mut().into_iter().for_each(tame);
                }
            }
            Self::Lost { .. } | Self::Stopping { .. } => {}
        }
        self
    }
}

fn tame(text: &mut String) {
    if text.contains(char::is_control) {
        *text = OneLine(text).to_string();
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;
    use crate::message::{ConnectionStatus, HostStatus, Listening, ServiceStatus, Status};
    use crate::{CertificateProblem, CertificateReason, Event, Kind};

    const HOSTILE: &str = "a\u{1b}[2Jb\r\nc\u{7}\u{9b}";

    /// Every text of a message is printable.
    #[track_caller]
    fn check(message: ToHost) {
        let plain = message.clone().printable();
        assert_ne!(plain, message);
        // Debug's own escapes are of the letters that are left.
        let shown = format!("{plain:?}");
        assert!(!shown.contains("a\\u{1b}"), "{shown}");
        assert_eq!(plain.clone().printable(), plain);
    }

    #[test]
    fn no_text_moves_the_cursor() {
        let text = || HOSTILE.to_string();
        check(ToHost::Hello {
            protocol: 2,
            version: text(),
            archive_most: 0,
        });
        check(ToHost::Ready {
            revision: 0,
            listening: vec![Listening {
                service: text(),
                address: "10.0.2.15:443".parse().unwrap(),
                backend: text(),
            }],
            boot_ms: 0,
        });
        check(ToHost::Event(Event {
            number: 1,
            unix_micros: 0,
            severity: 5,
            service: text(),
            connection: text(),
            kind: Kind::Line,
            text: text(),
            beyond_log: false,
            problems: vec![CertificateProblem {
                depth: 0,
                reason: CertificateReason::Expired,
                subject: text(),
            }],
        }));
        check(ToHost::Configured {
            revision: 1,
            result: Err(vec![text()]),
        });
        let status = Status {
            services: vec![ServiceStatus {
                name: text(),
                backends: vec![text()],
                ..ServiceStatus::default()
            }],
            connections: vec![ConnectionStatus {
                service: text(),
                id: text(),
                ..ConnectionStatus::default()
            }],
            hosts: vec![HostStatus {
                name: text(),
                trouble: Some(text()),
                ..HostStatus::default()
            }],
            ..Status::default()
        };
        check(ToHost::Status { request: 1, status });
    }

    #[test]
    fn escapes_are_rusts() {
        assert_eq!(
            OneLine(HOSTILE).to_string(),
            "a\\u{1b}[2Jb\\r\\nc\\u{7}\\u{9b}"
        );
        assert_eq!(OneLine("żółć").to_string(), "żółć");
    }
}

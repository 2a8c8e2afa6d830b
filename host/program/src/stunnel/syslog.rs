//! Lines for the system's log: datagrams to `/dev/log`, as syslog(3) of the C library sends them
//! (RFC 3164 §4.1 without a host name).

use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use stockade_config::stunnel::{Facility, Global};

use super::log::date;

/// Where the system's log listens (syslog(3), `_PATH_LOG`).
const SOCKET: &str = "/dev/log";

/// The way to the system's log.
pub(crate) struct Syslog {
    tag: String,
    facility: u8,
    /// None while nobody listens: each line tries again.
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    /// The way there, if the configuration wants it.
    pub(super) fn wanted(global: &Global) -> Option<Syslog> {
        let of = || Syslog::of(global.service.clone(), global.facility);
        global.syslog.then(of)
    }

    /// The way there for who speaks by this tag.
    pub(crate) fn of(tag: String, facility: Facility) -> Syslog {
        Syslog {
            tag,
            facility: facility as u8,
            socket: Mutex::new(None),
        }
    }

    /// Sends a line. What nobody takes is lost: the tunnel must not wait for its log.
    pub(super) fn send(&self, time: SystemTime, level: u8, subject: &str, text: &str) {
        self.tell(time, level, &format!("{subject}: {text}"));
    }

    /// The same without a subject.
    pub(crate) fn tell(&self, time: SystemTime, level: u8, text: &str) {
        let line = self.line(&date(time, &TimeZone::system(), "%b %e %H:%M:%S"), level);
        let line = format!("{line}{text}");
        let Ok(mut socket) = self.socket.lock() else {
            return;
        };
        let is_sent = |socket: &UnixDatagram| socket.send(line.as_bytes()).is_ok();
        if !socket.as_ref().is_some_and(is_sent) {
            // It was started anew, or not there before.
            *socket = connect().filter(is_sent);
        }
    }

    /// What stands before the text.
    fn line(&self, date: &str, level: u8) -> String {
        format!("<{}>{date} {}: ", self.facility * 8 + level, self.tag)
    }
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(SOCKET).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stockade_config::stunnel::Facility;

    #[test]
    fn lines_are_those_of_the_c_library() {
        let global = Global {
            service: "mytun".to_owned(),
            facility: Facility::Local1,
            ..Global::default()
        };
        let syslog = Syslog::wanted(&global).unwrap();
        assert_eq!(
            syslog.line("Nov 22 14:27:14", 5),
            "<141>Nov 22 14:27:14 mytun: "
        );
        let silent = Global {
            syslog: false,
            ..global
        };
        assert!(Syslog::wanted(&silent).is_none());
    }
}

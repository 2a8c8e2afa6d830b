//! Whatever serves a `stunnel.conf`: the tunnel as a process, the image, or Debian's stunnel.

use std::net::{Ipv4Addr, SocketAddr};

use crate::stunnel::debian::Debian;
use crate::stunnel::files::Files;
use crate::tap::Tap;

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's stunnel4: what the others are compared with.
    Debian,
}

/// A place for one subject: its network and its files.
pub struct Scene {
    /// What serves here.
    pub kind: Kind,
    /// The link between the subject and this host.
    pub tap: Tap,
    /// The configuration and the files that it names.
    pub files: Files,
}

impl Scene {
    /// An empty place.
    pub fn new(kind: Kind) -> Scene {
        Scene {
            kind,
            tap: Tap::create(),
            files: Files::create(),
        }
    }

    /// Where backends and peers listen; the subject's gateway.
    pub fn host(&self) -> Ipv4Addr {
        self.tap.host()
    }

    /// Where the subject is reached.
    pub fn subject(&self, port: u16) -> SocketAddr {
        let address = match self.kind {
            Kind::Debian => self.tap.host(),
        };
        (address, port).into()
    }

    /// Starts the subject and waits until it serves.
    pub fn start(&self, conf: &str) -> Subject {
        let path = self.files.add("stunnel.conf", conf);
        match self.kind {
            Kind::Debian => Subject::Debian(Debian::start(&path)),
        }
    }

    /// Gives the subject a configuration that it must refuse; gives what it says.
    pub fn refuse(&self, conf: &str) -> String {
        let path = self.files.add("stunnel.conf", conf);
        match self.kind {
            Kind::Debian => Debian::refuse(&path),
        }
    }
}

/// A subject that serves. Ended when dropped; a failing test then prints what it logged.
pub enum Subject {
    /// Debian's stunnel4.
    Debian(Debian),
}

impl Subject {
    /// Everything logged so far.
    pub fn log(&self) -> String {
        match self {
            Subject::Debian(debian) => debian.log.text(),
        }
    }

    /// How many lines of the log hold `needle`.
    pub fn count(&self, needle: &str) -> usize {
        match self {
            Subject::Debian(debian) => debian.log.count(needle),
        }
    }

    /// How many lines the log has.
    pub fn lines(&self) -> usize {
        match self {
            Subject::Debian(debian) => debian.log.len(),
        }
    }

    /// Waits for a line of the log that holds `needle`.
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_after(0, needle)
    }

    /// The same among the lines from number `from` on.
    pub fn wait_for_after(&self, from: usize, needle: &str) -> String {
        match self {
            Subject::Debian(debian) => debian.log.wait_for_after(from, needle),
        }
    }
}

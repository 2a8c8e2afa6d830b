//! The numbers that tell connections apart in the log.

use core::{fmt, fmt::Write};

/// How connections are numbered: stunnel's `logId`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogId {
    /// 0, 1, 2, … over all services.
    #[default]
    Sequential,
    /// A random text for each, as good as never the same again.
    Unique,
    /// The thread that serves it: there is but one.
    Thread,
    /// The process that serves it: there is but one.
    Process,
}

/// What stands for one connection in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tunnel,
    Number(u64),
    Unique([u8; 8]),
}

impl Id {
    /// No connection, but the tunnel itself.
    pub const TUNNEL: Id = Id(Kind::Tunnel);

    pub(crate) fn new(ids: LogId, number: u64, random: [u8; 8]) -> Id {
        Id(match ids {
            LogId::Sequential => Kind::Number(number),
            LogId::Unique => Kind::Unique(random),
            LogId::Thread | LogId::Process => Kind::Number(1),
        })
    }

    /// The id as the logger's target.
    pub(crate) fn text(self, text: &mut Text) -> &str {
        let _ = write!(text, "{self}");
        text.as_str()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Tunnel => f.write_str("ui"),
            Kind::Number(number) => write!(f, "{number}"),
            Kind::Unique(random) => random.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Room for an id's text without a heap.
#[derive(Default)]
pub(crate) struct Text {
    bytes: [u8; 24],
    length: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

//! What the launcher and its image tell, as it gets into the log.

use stockade_channel::Kind as Said;
use stockade_host::launch::{Kind, Record};
use stockade_host::network::by_host;

use super::log::{Level, Log};

/// What only the configuration's machinery has to say: it is made here, and nobody has seen it.
const INNER: [&str; 6] = [
    "Reading configuration from ",
    "Initializing service ",
    "Configuration successful",
    "Accepting new connections",
    "Terminated",
    "Stopping: ",
];

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    InOrder,
    Failed,
}

/// Logs what is told, and follows the one connection of a proxy for one.
pub(super) struct Hearer {
    log: Log,
    /// Whether something has gone wrong with the connection that is open.
    failed: bool,
}

impl Hearer {
    pub(super) fn new(log: Log) -> Hearer {
        Hearer { log, failed: false }
    }

    /// Gives how the connection has ended that this event is the end of.
    pub(super) fn hear(&mut self, record: &Record) -> Option<Ending> {
        let (level, text) = line(record);
        self.log.say(level, &text);
        match record.kind {
            Kind::Image(
                Said::HandshakeFailed
                | Said::VerificationFailed
                | Said::BackendRefused
                | Said::BackendUnreachable
                | Said::NameNotResolved
                | Said::InvalidArgument
                | Said::Timeout
                | Said::Idle,
            ) if !record.connection.is_empty() => self.failed = true,
            Kind::Image(Said::Closed) => return Some(self.ending()),
            Kind::Image(Said::Reset) | Kind::Ended => return Some(Ending::Failed),
            _ => {}
        }
        None
    }

    fn ending(&self) -> Ending {
        match self.failed {
            true => Ending::Failed,
            false => Ending::InOrder,
        }
    }
}

/// The line of an event.
fn line(record: &Record) -> (Level, String) {
    let Kind::Image(said) = record.kind else {
        let level = match record.kind {
            Kind::Started | Kind::Ready | Kind::Stopping | Kind::Reloaded => Level::Info,
            _ => Level::of(record.severity),
        };
        return (level, record.text.clone());
    };
    let is_inner =
        said == Said::Listening || INNER.iter().any(|head| record.text.starts_with(head));
    let level = match record.connection.is_empty() && is_inner {
        true => Level::Debug,
        false => Level::of(record.severity),
    };
    let level = match said {
        // At the usual level, a connection's end must have its reason before it.
        Said::Timeout | Said::Idle => level.min(Level::Notice),
        _ => level,
    };
    let text = by_host(&record.text);
    let text = match record.connection.as_str() {
        "" => text,
        connection => format!("connection {connection}: {text}"),
    };
    (level, text)
}

//! How a launcher stands, and how it ended.

use std::fmt;
use std::time::{Duration, SystemTime};

use stockade_channel::Listening;
use stockade_config::exit::Outcome;

use crate::Accel;
use crate::network::{Bound, Counters};

/// What a launcher is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A machine boots.
    Starting,
    /// The image serves.
    Serving,
    /// The machine has ended unasked; another one starts after a pause.
    Restarting,
    /// The machine is being stopped.
    Stopping,
    /// All is over.
    Ended,
}

impl Phase {
    /// One word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Restarting => "restarting",
            Phase::Stopping => "stopping",
            Phase::Ended => "ended",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// That the image serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Time from QEMU's start until the launcher knew.
    pub after: Duration,
    /// What this host listens on.
    pub bound: Vec<Bound>,
    /// What the image listens on; empty where it has no management channel.
    pub services: Vec<Listening>,
    /// Which configuration it serves by: 1 at the start, one more with each reload.
    pub revision: u32,
}

/// That the image has taken a new configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Its number.
    pub revision: u32,
    /// What this host listens on now.
    pub bound: Vec<Bound>,
}

/// The end of a machine that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords {
    /// When.
    pub at: SystemTime,
    /// How it ended.
    pub outcome: Outcome,
    /// The last lines of its console.
    pub console: Vec<String>,
    /// The last lines that QEMU itself wrote.
    pub messages: Vec<String>,
}

/// How a launcher stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The launcher's process.
    pub pid: u32,
    /// QEMU's process, while there is one.
    pub qemu_pid: Option<u32>,
    /// What runs the image's instructions.
    pub accel: Accel,
    /// Time since the launcher was started.
    pub uptime: Duration,
    /// Time since the machine that runs now became ready.
    pub serving: Option<Duration>,
    /// How many machines were started.
    pub starts: u32,
    /// Which configuration is served by: 1 at the start, one more with each reload.
    pub revision: u32,
    /// What this host listens on.
    pub bound: Vec<Bound>,
    /// What the image listens on; empty where it has no management channel.
    pub services: Vec<Listening>,
    /// The last end of a machine that nobody asked for.
    pub last_words: Option<LastWords>,
    /// Number of the newest event.
    pub newest_event: u64,
    /// What the image itself says; `None` where it has no management channel, or did not answer.
    pub image: Option<stockade_channel::Status>,
    /// What passed through the rootless network.
    pub network: Option<Counters>,
    /// Whether the image has a management channel, and so can be reloaded and drained.
    pub has_channel: bool,
}

/// How a launcher ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to stop, and the image shut down in order.
    Stopped,
    /// It was asked to stop, and the machine was ended by force: it did not run yet, it has no
    /// management channel, or it did not end in time.
    Killed,
    /// It can't go on.
    Failed {
        /// Why, in a sentence.
        reason: String,
        /// How the last machine ended, if one ran at all; its lines tell more.
        last_words: Option<LastWords>,
    },
}

impl End {
    /// Whether it ended because it was asked to.
    pub const fn is_success(&self) -> bool {
        matches!(self, End::Stopped | End::Killed)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Stopped => f.write_str("stopped in order"),
            End::Killed => f.write_str("stopped"),
            End::Failed { reason, .. } => f.write_str(reason),
        }
    }
}

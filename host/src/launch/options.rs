//! What a launcher is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stockade_config::Zeroizing;
use stockade_config::stunnel::Recording;

use super::events::Record;
use super::notify::Notify;
use crate::network::{Families, Forward, HostProgram, HostSocket};
use crate::{Accel, Error, Firmware, Machine};

/// Memory of a machine, MiB, unless told otherwise.
const DEFAULT_MEMORY_MIB: u32 = 128;

/// Bytes of events that are kept, unless told otherwise: some thousand lines.
const DEFAULT_EVENT_BYTES: usize = 1 << 20;

/// The image's bytes or where they are.
#[derive(Clone, Debug)]
pub enum Image {
    /// A file. It is read once, so that a machine that takes another's place runs the same.
    File(PathBuf),
    /// The image itself.
    Bytes(Arc<[u8]>),
}

/// What the image's network card is plugged into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// This process ([`network::Network`](crate::network::Network)): no privilege is needed.
    #[default]
    Rootless,
    /// An existing TAP interface that this user may open.
    Tap(String),
    /// Nothing: there is no card, which the image refuses.
    None,
}

/// What a machine is to do: one reading of the configuration.
#[derive(Clone, Default)]
pub struct Setup {
    /// The image's command line; may hold a private key. For [`Link::Rootless`] it holds
    /// [`network::options`](crate::network::options).
    pub kernel_line: Zeroizing<String>,
    /// Files that the command line calls `file:NAME`.
    pub files: Vec<(String, Zeroizing<Vec<u8>>)>,
    /// A stunnel configuration with its files; the command line calls it by
    /// [`conf::word`](crate::conf::word).
    pub conf: Option<Arc<Recording>>,
    /// What this host listens on; with [`Link::Rootless`] only.
    pub forwards: Vec<Forward>,
    /// UNIX sockets of this host that the image may connect to, likewise.
    pub sockets: Vec<HostSocket>,
    /// Programs of this host that the image's connections lead to, or that are its clients, likewise.
    pub programs: Vec<HostProgram>,
    /// Which addresses the image finds for names, likewise.
    pub families: Families,
}

/// Reads the configuration: at the start, and again at each reload.
pub trait Source: Send {
    /// Reads everything anew.
    ///
    /// # Errors
    ///
    /// What is wrong, a line each.
    fn read(&mut self) -> Result<Setup, Vec<String>>;
}

impl<F: FnMut() -> Result<Setup, Vec<String>> + Send> Source for F {
    fn read(&mut self) -> Result<Setup, Vec<String>> {
        self()
    }
}

/// Sees lines of the console.
pub type OnLine = Box<dyn FnMut(&str) + Send>;
/// Sees events.
pub type OnEvent = Box<dyn FnMut(&Record) + Send>;

/// Comes between the listeners and the first machine.
pub type OnBound = Box<dyn FnOnce() -> Result<(), Error> + Send>;

/// What every machine of a launcher has.
#[derive(Clone, Debug)]
pub struct Machinery {
    /// The image.
    pub image: Image,
    /// The network card's other end.
    pub link: Link,
    /// QEMU's program: a path, or a name that is looked for in `PATH`.
    pub program: String,
    /// The machine type.
    pub machine: Machine,
    /// The firmware; the machine's own when `None`.
    pub firmware: Option<Firmware>,
    /// The accelerator; [`Accel::Auto`] is resolved once, by a trial run.
    pub accel: Accel,
    /// The machine's memory, MiB.
    pub memory_mib: u32,
}

/// The pauses before a machine takes another one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// The first in a row; each further one is twice as long.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// After this long of serving, a row begins anew.
    pub settled_after: Duration,
}

impl Default for Pauses {
    /// 100 ms to 30 s, from the beginning again after 60 s of serving.
    fn default() -> Pauses {
        Pauses {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            settled_after: Duration::from_secs(60),
        }
    }
}

/// What a launcher is told.
pub struct Options {
    /// What every machine has.
    pub machinery: Machinery,
    /// The configuration.
    pub source: Box<dyn Source>,
    /// The pauses before restarts.
    pub pauses: Pauses,
    /// Whether the listeners close once there was a client, as those of a program that serves one.
    /// Not to be reloaded.
    pub takes_one: bool,
    /// Bytes of events that are kept for [`events_since`](super::Launcher::events_since).
    pub event_bytes: usize,
    /// Whom to tell that the service is ready, reloading, stopping.
    pub notify: Notify,
    /// Is called once this host's listeners are bound and before the first machine is started: the
    /// place to give up privileges that only the former need. Its error is that of the start.
    pub on_bound: OnBound,
    /// Sees every line of the console, on another thread. Must not wait for long, nor call the
    /// launcher: the console is not read meanwhile.
    pub on_line: OnLine,
    /// Sees every event, on another thread. Must not wait for long, nor call the launcher: the
    /// machine is not watched meanwhile.
    pub on_event: OnEvent,
}

impl Options {
    /// A microvm of 128 MiB, with everything else as it is by default.
    pub fn new(image: Image, link: Link, source: impl Source + 'static) -> Options {
        Options {
            machinery: Machinery {
                image,
                link,
                program: crate::qemu::PROGRAM.to_owned(),
                machine: Machine::default(),
                firmware: None,
                accel: Accel::default(),
                memory_mib: DEFAULT_MEMORY_MIB,
            },
            source: Box::new(source),
            pauses: Pauses::default(),
            takes_one: false,
            event_bytes: DEFAULT_EVENT_BYTES,
            notify: Notify::default(),
            on_bound: Box::new(|| Ok(())),
            on_line: Box::new(|_| {}),
            on_event: Box::new(|_| {}),
        }
    }
}

//! What launcher and image tell each other.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use zeroize::Zeroizing;

use crate::event::Event;

/// The number of this set of messages. The image names it in [`ToHost::Hello`]; a launcher whose own
/// number is smaller does not understand that image. (2: a status tells single connections. 3: it tells
/// hosts and their certificates.)
pub const PROTOCOL: u16 = 3;

/// The number of the oldest set of messages that a launcher understands.
pub const OLDEST_PROTOCOL: u16 = 1;

/// Most connections that a status tells.
pub const MOST_CONNECTIONS: usize = 512;

/// Most hosts that a status tells.
pub const MOST_HOSTS: usize = 512;

/// What the launcher tells the image.
#[derive(Clone, PartialEq, Eq)]
pub enum ToGuest {
    /// Serve by this configuration from now on. Answered with [`ToHost::Configured`].
    Configure {
        /// The launcher's number for it, which the answer repeats.
        revision: u32,
        /// A boot archive, as at boot: the command line's second half, the configuration and the
        /// files that it names. Private keys are in it, so it is wiped when it is dropped.
        archive: Zeroizing<Vec<u8>>,
    },
    /// Answer with [`ToHost::Status`].
    Status {
        /// The launcher's number for the question, which the answer repeats.
        request: u32,
    },
    /// Take no more connections, and shut down when those that live have ended.
    Stop {
        /// Milliseconds after which those that still live are reset.
        drain_ms: u32,
    },
}

/// What the image tells the launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHost {
    /// The image has started. Its first message.
    Hello {
        /// [`PROTOCOL`].
        protocol: u16,
        /// The product's version.
        version: String,
        /// Most bytes that an archive in [`ToGuest::Configure`] may have in this machine.
        archive_most: u32,
    },
    /// The image accepts connections.
    Ready {
        /// The configuration's number: 0 for the one it was started with.
        revision: u32,
        /// Where it listens.
        listening: Vec<Listening>,
        /// Milliseconds from power-on to now.
        boot_ms: u32,
    },
    /// Something happened.
    Event(Event),
    /// Events could not be kept, as they came faster than the launcher took them.
    Lost {
        /// How many are missing between the event before and the event after.
        events: u64,
    },
    /// What became of [`ToGuest::Configure`].
    Configured {
        /// Which one.
        revision: u32,
        /// In force, or refused with every error, a line each; then the one before stays in force.
        result: Result<(), Vec<String>>,
    },
    /// The answer to [`ToGuest::Status`].
    Status {
        /// To which one.
        request: u32,
        /// How things stand.
        status: Status,
    },
    /// The image's last message.
    Stopping {
        /// The value that it ends with (`stockade_config::exit::ExitStatus`).
        status: u8,
    },
}

/// An address at which the image accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The service's name.
    pub service: String,
    /// The image's own address and port.
    pub address: SocketAddr,
    /// Where its connections are carried to, in words.
    pub backend: String,
}

/// How the image is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Milliseconds since power-on.
    pub uptime_ms: u64,
    /// The number of the configuration in force: 0 for the one it was started with.
    pub revision: u32,
    /// Connections that live, each with both of its ends.
    pub sessions: u32,
    /// Those of them that began under an earlier configuration.
    pub old_sessions: u32,
    /// Of TCP handshakes with clients, how many have begun and not ended.
    pub half_open: u32,
    /// How many connections more there is memory for.
    pub admission: u32,
    /// Connections accepted since power-on.
    pub accepted_total: u64,
    /// Connections that ended with an error since power-on.
    pub failed_total: u64,
    /// Bytes carried to clients since power-on.
    pub bytes_to_clients: u64,
    /// Bytes carried to backends since power-on.
    pub bytes_to_backends: u64,
    /// Events that could not be kept since power-on.
    pub events_lost: u64,
    /// Bytes of the heap that are free.
    pub heap_free: u64,
    /// Bytes of the heap.
    pub heap_size: u64,
    /// The services of the configuration in force, in its order.
    pub services: Vec<ServiceStatus>,
    /// Connections that live, [`MOST_CONNECTIONS`] of them at most: the first of `sessions`.
    pub connections: Vec<ConnectionStatus>,
    /// Hosts of a store, the first [`MOST_HOSTS`] of them.
    pub hosts: Vec<HostStatus>,
    /// How many there are.
    pub hosts_total: u32,
}

/// How one host of a store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// The last second of its certificate, since 1970, UTC; `None`: it has none that can be used.
    pub not_after: Option<u64>,
    /// When it is to be renewed, or tried again; `None`: nobody renews it.
    pub next: Option<u64>,
    /// Why the last try has failed, or why its file can't be used.
    pub trouble: Option<String>,
}

/// How one connection is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// Its service's name.
    pub service: String,
    /// What the log calls it.
    pub id: String,
    /// Milliseconds since it was accepted.
    pub age_ms: u64,
    /// Plaintext bytes that have gone into TLS.
    pub bytes_to_tls: u64,
    /// Plaintext bytes that have come out of TLS, and gone on.
    pub bytes_to_socket: u64,
}

/// How one service is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Where it listens; nowhere when clients reach it by name through another service.
    pub listening: Vec<SocketAddr>,
    /// Connections that live.
    pub sessions: u32,
    /// Connections accepted since power-on.
    pub accepted_total: u64,
    /// Where connections are carried to, in words.
    pub backends: Vec<String>,
}

/// Why a message that came whole can't be used. The channel goes on with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMessage {
    /// It is longer than this side takes; it was passed over.
    TooLong {
        /// Its bytes.
        length: u32,
        /// How many may be.
        most: usize,
    },
    /// There was no memory for it; it was passed over.
    NoMemory {
        /// Its bytes.
        length: u32,
    },
    /// No message begins with this byte.
    Unknown(u8),
    /// It does not have the form of its kind.
    Malformed,
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, most } => {
                write!(f, "a message of {length} bytes, of which {most} are taken")
            }
            Self::NoMemory { length } => write!(f, "no memory for a message of {length} bytes"),
            Self::Unknown(kind) => write!(f, "a message of the unknown kind {kind}"),
            Self::Malformed => f.write_str("a message that does not have its kind's form"),
        }
    }
}

impl core::error::Error for BadMessage {}

impl fmt::Debug for ToGuest {
    /// Without the archive, in which there are private keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configure { revision, archive } => f
                .debug_struct("Configure")
                .field("revision", revision)
                .field("bytes", &archive.len())
                .finish(),
            Self::Status { request } => f.debug_tuple("Status").field(request).finish(),
            Self::Stop { drain_ms } => f.debug_tuple("Stop").field(drain_ms).finish(),
        }
    }
}

/// What can be sent through an [`Endpoint`](crate::Endpoint).
pub trait Message: Sized {
    /// Marks this direction's frames, so that nobody takes back his own by an echo.
    const DIRECTION: u8;

    /// Whether there are secrets in such messages, so that their bytes are wiped when they are sent.
    /// (Received ones are wiped in any case.)
    const SECRET: bool;

    /// Gives the message's bytes to `out`, piece by piece.
    fn encode(&self, out: &mut dyn FnMut(&[u8]));

    /// Reads a message that [`encode`](Self::encode) has written; any bytes may be given.
    ///
    /// # Errors
    ///
    /// They are none.
    fn decode(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadMessage>;
}

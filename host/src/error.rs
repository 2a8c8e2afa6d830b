//! What can go wrong on the host side.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use stockade_config::archive::ArchiveError;
use stockade_config::exit::Outcome;

use crate::network::Listen;

/// Why the host side could not do what it was asked to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A program can't be started.
    Start {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The image's file can't be read.
    ReadImage {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file can't be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The image or the boot archive can't be put into memory for QEMU.
    Memory(io::Error),
    /// The boot archive can't be made.
    Archive(ArchiveError),
    /// The machine ended before what was waited for had happened.
    Ended {
        /// How it ended.
        outcome: Outcome,
        /// The last lines of its console and of QEMU's messages.
        messages: String,
    },
    /// What was waited for did not happen in time; the machine still runs.
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// The last lines of its console and of QEMU's messages.
        messages: String,
    },
    /// The bridge that the TAP is to be attached to is not there.
    NoBridge {
        /// Its name.
        bridge: String,
    },
    /// `ip` refused to change the network.
    Network {
        /// The command.
        command: String,
        /// Its message.
        message: String,
    },
    /// The rootless network can't be started, or its thread has ended.
    NetworkStart(io::Error),
    /// An address or path can't be listened on.
    Listen {
        /// The address or path.
        listen: Listen,
        /// Why not, and what to do.
        reason: String,
        /// What kind of error it is.
        kind: io::ErrorKind,
    },
    /// The port that is to stand for a UNIX socket stands for another one still.
    SocketPort {
        /// The socket's file.
        path: PathBuf,
        /// The other one's.
        other: PathBuf,
    },
    /// The configuration is refused, or what a running launcher was asked for; a line each.
    Refused(Vec<String>),
    /// A launcher can't be called that.
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A launcher of this name runs already.
    AlreadyRunning {
        /// The name.
        name: String,
    },
    /// No launcher of this name runs, none at least that this user may speak to.
    NotRunning {
        /// The name.
        name: String,
    },
    /// A running launcher does not answer as it should.
    Control {
        /// Its name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The launcher can't go on.
    Launch(String),
    /// The launcher has been stopped.
    Stopped,
    /// The backend can't listen.
    Backend(io::Error),
    /// The development certificate can't be made.
    Certificate(rcgen::Error),
    /// The log file of a stunnel configuration can't be opened.
    LogFile {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The pid file of a stunnel configuration can't be made.
    PidFile {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Start { program, source } => match package_of(program) {
                Some(package) if source.kind() == io::ErrorKind::NotFound => {
                    write!(
                        f,
                        "{program} is not installed; it comes with the package {package}"
                    )
                }
                _ => write!(f, "{program} can't be started: {source}"),
            },
            Error::ReadImage { path, source } => {
                write!(f, "the image {} can't be read: {source}", path.display())
            }
            Error::File { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Memory(source) => {
                write!(f, "the image can't be put into memory for QEMU: {source}")
            }
            Error::Archive(source) => write!(f, "the boot archive can't be made: {source}"),
            Error::Ended { outcome, messages } => write!(f, "{outcome}{messages}"),
            Error::TimedOut {
                what,
                after,
                messages,
            } => {
                write!(
                    f,
                    "{what} did not come within {} s{messages}",
                    after.as_secs()
                )
            }
            Error::NoBridge { bridge } => write!(f, "there is no bridge {bridge}"),
            Error::Network { command, message } => write!(f, "`{command}` failed: {message}"),
            Error::NetworkStart(source) => {
                write!(f, "the rootless network can't be started: {source}")
            }
            Error::Listen { listen, reason, .. } => {
                write!(f, "{listen} can't be listened on: {reason}")
            }
            Error::SocketPort { path, other } => write!(
                f,
                "{}: the port that stands for it stands for {} until connections that began with \
                 that are over; reload in a quarter of an hour, or stop and start anew",
                path.display(),
                other.display()
            ),
            Error::Refused(lines) => f.write_str(&lines.join("\n")),
            Error::Name { name, reason } => {
                write!(f, "a launcher can't be called {name:?}: {reason}")
            }
            Error::AlreadyRunning { name } => write!(
                f,
                "a launcher named {name} runs already; stop it (stockade stop --name {name}) or choose \
                 another name (--name)"
            ),
            Error::NotRunning { name } => write!(f, "no launcher named {name} runs"),
            Error::Control { name, source } => {
                write!(f, "the launcher {name} does not answer: {source}")
            }
            Error::Launch(reason) => f.write_str(reason),
            Error::Stopped => f.write_str("the launcher has been stopped"),
            Error::Backend(source) => write!(f, "the backend can't listen: {source}"),
            Error::Certificate(source) => {
                write!(f, "the development certificate can't be made: {source}")
            }
            Error::LogFile { path, reason } => {
                write!(f, "Cannot open log file: {}: {reason}", path.display())
            }
            Error::PidFile { path, reason } => {
                write!(f, "Cannot create pid file {}: {reason}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {}

/// Debian's package that a program comes with; other distributions' names are alike.
fn package_of(program: &str) -> Option<&'static str> {
    Some(match program {
        "qemu-system-x86_64" => "qemu-system-x86",
        "setpriv" | "unshare" => "util-linux",
        "ip" => "iproute2",
        _ => return None,
    })
}

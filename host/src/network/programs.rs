//! Programs of this host that the guest's connections lead to, or that are its clients themselves
//! (stunnel's `exec`).
//!
//! A program has one end of a socketpair(2), or of a pseudo-terminal, as its standard input and output,
//! and lives for one connection. When that ends, its end is closed, and that is all it is told: as with
//! stunnel, nothing is killed.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use stockade_config::introduction::Introduction;
use stockade_config::stunnel::Program;

/// What a program is told of its client; whatever the launcher itself has by these names is not
/// passed on.
const VARIABLES: [&str; 4] = [
    "REMOTE_HOST",
    "REMOTE_PORT",
    "SSL_CLIENT_DN",
    "SSL_CLIENT_I_DN",
];

/// Stack of a thread that waits for a program, bytes.
const STACK: usize = 256 * 1024;

/// Is told what becomes of programs: syslog's severity (RFC 5424 §6.2.1) and a line.
pub type OnProgram = Arc<dyn Fn(u8, &str) + Send + Sync>;

/// syslog's severities.
const ERROR: u8 = 3;
const INFO: u8 = 6;

/// A program of this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostProgram {
    /// The port that stands for it: of [`HOST_SOCKETS`](super::HOST_SOCKETS) where it is offered, of the
    /// guest where it is started.
    pub port: u16,
    /// The program.
    pub program: Program,
    /// Which end it has.
    pub role: Role,
    /// Whether its errors go where this process's go; else to its peer.
    pub own_errors: bool,
}

/// Which end of a connection a program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The guest connects to it, and each connection has one of its own.
    Offered,
    /// It is the client itself, and started once the guest serves.
    Started {
        /// Started again so long after its connection's end.
        retry: Option<Duration>,
    },
}

/// Starts a program for one connection. Returns this process's end, which does not block. What comes
/// of it is told; where it can't be started at all, the other end is closed.
pub(super) fn begin(
    what: &HostProgram,
    client: Introduction,
    tell: &OnProgram,
) -> io::Result<OwnedFd> {
    let (ours, theirs) = match what.program.pty {
        true => terminal()?,
        false => {
            let flags = SocketFlags::CLOEXEC;
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?
        }
    };
    ioctl_fionbio(&ours, true)?;
    let (what, tell) = (what.clone(), Arc::clone(tell));
    thread::Builder::new()
        .name("program".to_owned())
        .stack_size(STACK)
        .spawn(move || match start(&what, theirs, &client) {
            Ok(mut child) => {
                let number = child.id();
                tell(INFO, &format!("Local mode child started (PID={number})"));
                if let Ok(status) = child.wait() {
                    tell(INFO, &format!("Child process {number} {}", ending(status)));
                }
            }
            Err(error) => {
                let path = &what.program.path;
                let why = crate::conf::stunnel_words(&error);
                tell(ERROR, &format!("exec {path}: {why}"));
            }
        })?;
    Ok(ours)
}

/// A pseudo-terminal: our end and the program's. It is as the system makes it, which is how stunnel
/// leaves it, too.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    Ok((ours, theirs))
}

/// Starts it. The descriptor is closed here when this returns.
fn start(what: &HostProgram, end: OwnedFd, client: &Introduction) -> io::Result<Child> {
    let program = &what.program;
    let mut arguments = program.arguments.iter();
    let mut command = Command::new(file(&program.path));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables(client));
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let end = File::from(end);
    let errors = match what.own_errors {
        true => Stdio::inherit(),
        false => Stdio::from(end.try_clone()?),
    };
    command
        .args(arguments)
        .stdin(Stdio::from(end.try_clone()?))
        .stdout(Stdio::from(end))
        .stderr(errors);
    command.spawn()
}

/// The file to run. execve(2) looks nowhere else, but what runs it here would look in `PATH`.
fn file(path: &str) -> PathBuf {
    match path.contains('/') {
        true => path.into(),
        false => Path::new(".").join(path),
    }
}

/// What the environment says of the client.
fn variables(client: &Introduction) -> Vec<(&'static str, &str)> {
    let mut variables = Vec::new();
    if let Some(host) = &client.host {
        variables.push(("REMOTE_HOST", host.as_str()));
        variables.push(("REMOTE_PORT", &client.port));
    }
    if let Some((subject, issuer)) = &client.names {
        variables.push(("SSL_CLIENT_DN", subject));
        variables.push(("SSL_CLIENT_I_DN", issuer));
    }
    variables
}

/// How a program has ended, in stunnel's words.
fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("finished with code {code}"),
        (None, Some(number)) => {
            let name = nix::sys::signal::Signal::try_from(number);
            let name = name.map_or_else(|_| format!("signal {number}"), |name| name.to_string());
            format!("terminated on {name}")
        }
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_looked_for_in_path() {
        assert_eq!(file("/bin/cat"), Path::new("/bin/cat"));
        assert_eq!(file("bin/cat"), Path::new("bin/cat"));
        assert_eq!(file("cat"), Path::new("./cat"));
    }

    #[test]
    fn a_client_without_address_or_certificate_has_no_variables_for_them() {
        assert_eq!(variables(&Introduction::default()), []);
        let unix = Introduction {
            host: Some("localhost".to_owned()),
            ..Introduction::default()
        };
        let expected = [("REMOTE_HOST", "localhost"), ("REMOTE_PORT", "")];
        assert_eq!(variables(&unix), expected);
    }

    #[test]
    fn ends_are_told_in_stunnels_words() {
        assert_eq!(ending(ExitStatus::from_raw(0x300)), "finished with code 3");
        assert_eq!(ending(ExitStatus::from_raw(15)), "terminated on SIGTERM");
    }
}

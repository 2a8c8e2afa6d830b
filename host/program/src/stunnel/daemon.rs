//! `foreground = no`: a child of this program serves, and its parent ends once it does.
//!
//! The child is this program anew, with [`WORD`] before its words: nothing forks but the standard
//! library. What it says before it serves goes to the terminal, whose place it has inherited; its
//! standard input is a socket from its parent, which brings the configuration that came by a
//! descriptor, and takes one byte back. It goes into a session of its own before it starts QEMU, so
//! that no key of the terminal reaches either.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::source::Place;

/// The word before a child's words. No configuration file is called that.
pub(super) const WORD: &str = "-serve-as-a-daemon";

/// What a child says once it serves.
const SERVES: u8 = b'1';

/// Most bytes that a parent sends: as much as a configuration file may have, and some.
const MOST: u64 = 16 * 1024 * 1024;

/// The other end, in the child.
pub(super) struct Parent {
    socket: UnixStream,
}

/// Starts the child, and waits until it serves or ends; gives the status to end with.
pub(super) fn start(program: &OsStr, words: &[OsString], place: &Place) -> io::Result<u8> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = again(program)?;
    command.arg(WORD).args(words);
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    let mut child = command.spawn()?;
    // Its end must not stay open here.
    drop(command);
    // A child that ends early says why itself.
    let _ = ours.write_all(place.bytes());
    let _ = ours.shutdown(Shutdown::Write);
    let mut answer = [0];
    match ours.read(&mut answer) {
        Ok(1) if answer[0] == SERVES => Ok(0),
        _ => {
            let code = child.wait()?.code();
            let code = code.and_then(|code| u8::try_from(code).ok());
            // One that was ended before it served has not done what was asked for.
            Ok(code.filter(|code| *code != 0).unwrap_or(1))
        }
    }
}

impl Parent {
    /// The parent of a process that was started with [`WORD`].
    pub(super) fn of_this_process() -> io::Result<Parent> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Parent {
            socket: UnixStream::from(socket),
        })
    }

    /// What came by a descriptor.
    pub(super) fn configuration(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.socket).take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Leaves the parent's session.
    pub(super) fn leave_session(&self) {
        // It fails for the leader of a session, which has none to leave.
        let _ = rustix::process::setsid();
    }

    /// Leaves the terminal, and tells the parent that it may end.
    ///
    /// # Errors
    ///
    /// The parent is gone: whoever started it does not want it any more.
    pub(super) fn release(mut self) -> io::Result<()> {
        let nothing = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        dup2_stdin(&nothing)?;
        dup2_stdout(&nothing)?;
        dup2_stderr(&nothing)?;
        self.socket.write_all(&[SERVES])
    }
}

/// This program anew, by the name that it was called: so it is found in lists of processes.
fn again(program: &OsStr) -> io::Result<Command> {
    let ours = env::current_exe()?;
    let called = found(program).filter(|path| is_same(path, &ours));
    let mut command = Command::new(called.unwrap_or(ours));
    command.arg0(program);
    if !super::is_called(program) {
        command.arg("stunnel");
    }
    Ok(command)
}

/// Where a shell would find it.
fn found(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 || path.is_absolute() {
        return Some(path.to_owned());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

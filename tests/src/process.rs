//! Child processes with bounded time.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait_until;

/// A running child with its pipes served by threads. Killed when dropped.
pub struct Running<W> {
    name: String,
    child: Child,
    stdout: Option<JoinHandle<io::Result<W>>>,
    stderr: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

/// What a child left behind.
#[derive(Debug)]
pub struct Finished<W> {
    /// How it ended.
    pub status: ExitStatus,
    /// Where its standard output went.
    pub stdout: W,
    /// Its standard error.
    pub stderr: String,
}

impl<W> Finished<W> {
    /// Panics with the child's own words unless it succeeded.
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        self
    }
}

/// Starts `command`, feeding it `stdin` and copying its standard output to `stdout`.
///
/// The child's standard input ends when `stdin` does.
pub fn start<W: Write + Send + 'static>(
    command: &mut Command,
    mut stdin: impl Read + Send + 'static,
    mut stdout: W,
) -> Running<W> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    let mut to_child = child.stdin.take().expect("piped above");
    // Ends with the child at the latest: writing to a closed pipe is an error.
    thread::spawn(move || io::copy(&mut stdin, &mut to_child));
    let mut from_child = child.stdout.take().expect("piped above");
    let stdout = thread::spawn(move || {
        io::copy(&mut from_child, &mut stdout)?;
        Ok(stdout)
    });
    let mut from_child = child.stderr.take().expect("piped above");
    let stderr = thread::spawn(move || {
        let mut text = Vec::new();
        from_child.read_to_end(&mut text)?;
        Ok(text)
    });
    Running {
        name,
        child,
        stdout: Some(stdout),
        stderr: Some(stderr),
    }
}

impl<W> Running<W> {
    /// Waits for the end; panics when it takes longer than `limit`.
    pub fn finish(mut self, limit: Duration) -> Finished<W> {
        let status = wait_until(limit, || self.child.try_wait().expect("our own child"));
        if status.is_none() {
            self.child.kill().expect("our own child");
        }
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
        let stderr = stderr.and_then(Result::ok).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let Some(status) = status else {
            panic!("{} did not end within {limit:?}: {stderr}", self.name);
        };
        let stdout = self.stdout.take().expect("taken only here");
        let stdout = stdout.join().expect("copying does not panic");
        let stdout = stdout.unwrap_or_else(|error| panic!("{}'s output: {error}", self.name));
        Finished {
            status,
            stdout,
            stderr,
        }
    }
}

impl<W> Drop for Running<W> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a short command that must succeed.
pub(crate) fn must(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}: {words}",
        output.status
    );
}

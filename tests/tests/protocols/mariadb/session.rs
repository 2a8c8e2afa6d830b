//! A client program that is told its statements one by one.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;

use stockade_tests::stunnel::log::Log;
use stockade_tests::{PATIENCE, namespace, wait_until};

/// A running client. Ended when dropped; a failing test then prints what it said.
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    /// Its standard output and standard error.
    pub log: Log,
}

impl Session {
    pub fn start(command: &mut Command) -> Session {
        namespace::require();
        let mut child = command
            // socat ends its whole process group with itself.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Log::default();
        log.follow(child.stdout.take().expect("piped above"));
        log.follow(child.stderr.take().expect("piped above"));
        Session {
            input: child.stdin.take(),
            child,
            log,
        }
    }

    /// Tells it a line; it may have ended.
    pub fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}");
        }
    }

    /// Tells it a statement and waits for these words.
    pub fn ask(&mut self, statement: &str, answer: &str) {
        let from = self.log.len();
        self.say(statement);
        self.log.wait_for_after(from, answer);
    }

    /// Waits for its end, which comes at the latest once it has carried out what it was told.
    pub fn finish(&mut self) -> ExitStatus {
        self.input = None;
        let ended = wait_until(PATIENCE, || self.child.try_wait().expect("our own child"));
        ended.unwrap_or_else(|| panic!("it still runs:\n{}", self.log.text()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("---- a client ----\n{}----", self.log.text());
        }
    }
}

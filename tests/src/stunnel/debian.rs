//! Debian's stunnel4 as a child process.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use crate::stunnel::log::Log;
use crate::{PATIENCE, namespace, wait_until};

/// What every configuration of these tests begins with: the process stays in the foreground, logs
/// all to standard error and leaves nothing behind.
pub const GLOBALS: &str = "foreground = yes\nsyslog = no\ndebug = 7\npid =\n";

/// A running stunnel. Ended when dropped; a failing test then prints what it logged.
pub struct Debian {
    process: Child,
    /// What it says on standard error.
    pub log: Log,
}

impl Debian {
    /// Starts stunnel with the configuration file at `path` and waits until it accepts.
    pub fn start(path: &str) -> Debian {
        let mut debian = Self::spawn(path);
        let ready = wait_until(PATIENCE, || {
            let ended = debian.process.try_wait().expect("our own child");
            let accepts = debian.log.find(0, "Accepting new connections").is_some();
            (accepts || ended.is_some()).then_some(accepts)
        });
        assert_eq!(
            ready,
            Some(true),
            "stunnel does not serve:\n{}",
            debian.log.text()
        );
        debian
    }

    /// Starts stunnel with a configuration that it must refuse; gives what it said.
    pub fn refuse(path: &str) -> String {
        let mut debian = Self::spawn(path);
        let (status, log) = (debian.finish(), debian.log.clone());
        assert!(!status.success(), "stunnel took it:\n{}", log.text());
        // The reading thread may be a moment behind the process.
        log.wait_for("Configuration failed");
        log.text()
    }

    fn spawn(path: &str) -> Debian {
        namespace::require();
        let mut process = Command::new("stunnel")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start stunnel: {error}"));
        let log = Log::default();
        log.follow(process.stdout.take().expect("piped above"));
        log.follow(process.stderr.take().expect("piped above"));
        Debian { process, log }
    }

    fn finish(&mut self) -> ExitStatus {
        let ended = wait_until(PATIENCE, || self.process.try_wait().expect("our own child"));
        ended.unwrap_or_else(|| panic!("stunnel still runs:\n{}", self.log.text()))
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("our own child").is_none()
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            println!("---- stunnel's log ----\n{}----", self.log.text());
        }
    }
}

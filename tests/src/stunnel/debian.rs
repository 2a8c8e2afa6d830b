//! Debian's stunnel4 as a child process.

use std::process::Command;

use crate::stunnel::daemon::Daemon;
use crate::stunnel::log::Log;

/// What every configuration of these tests begins with: the process stays in the foreground, logs
/// all to standard error and leaves nothing behind.
pub const GLOBALS: &str = "foreground = yes\nsyslog = no\ndebug = 7\npid =\n";

/// A running stunnel. Ended when dropped; a failing test then prints what it logged.
pub struct Debian(Daemon);

impl Debian {
    /// Starts stunnel with the configuration file at `path` and waits until it accepts.
    pub fn start(path: &str) -> Debian {
        Debian(Daemon::start(
            &mut command(path),
            "Accepting new connections",
        ))
    }

    /// Starts stunnel with a configuration that it must refuse; gives what it said.
    pub fn refuse(path: &str) -> String {
        let mut daemon = Daemon::spawn(&mut command(path));
        let (status, log) = (daemon.finish(), daemon.log.clone());
        assert!(!status.success(), "stunnel took it:\n{}", log.text());
        // The reading thread may be a moment behind the process.
        log.wait_for("Configuration failed");
        log.text()
    }

    /// What it says.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.0.is_running()
    }
}

fn command(path: &str) -> Command {
    let mut command = Command::new("stunnel");
    command.arg(path);
    command
}

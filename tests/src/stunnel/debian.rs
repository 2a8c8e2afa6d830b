//! Debian's stunnel4 as a child process.

use std::process::Command;

use crate::stunnel::daemon::Daemon;
use crate::stunnel::log::Log;
use crate::{PATIENCE, wait_until};

/// What every configuration of these tests begins with: the process stays in the foreground, logs
/// all to standard error and leaves nothing behind.
pub const GLOBALS: &str = "foreground = yes\nsyslog = no\ndebug = 7\npid =\n";

/// A running stunnel. Ended when dropped; a failing test then prints what it logged.
pub struct Debian(Daemon);

impl Debian {
    /// Starts stunnel with the configuration file at `path` and waits until it accepts; panics
    /// with what it says against that.
    pub fn start(path: &str) -> Debian {
        let started = Self::try_start(path);
        started.unwrap_or_else(|words| panic!("stunnel does not serve:\n{words}"))
    }

    /// Starts stunnel with the configuration file at `path` and waits until it accepts.
    ///
    /// # Errors
    /// It ends instead; these were its words.
    pub fn try_start(path: &str) -> Result<Debian, String> {
        let mut daemon = Daemon::spawn(&mut command(path));
        let serves = wait_until(PATIENCE, || {
            // A log that is brief does not say so.
            let says = daemon.log.find(0, "Accepting new connections").is_some();
            let is_brief = daemon.log.find(0, "LOG7[").is_none();
            let serves = says || (is_brief && daemon.listens());
            (serves || !daemon.is_running()).then_some(serves)
        });
        match serves {
            Some(true) => Ok(Debian(daemon)),
            Some(false) => {
                // The reading thread may be a moment behind the process.
                daemon.log.wait_for("Configuration failed");
                Err(daemon.log.text())
            }
            None => panic!("stunnel neither serves nor ends:\n{}", daemon.log.text()),
        }
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

//! The image as its users run it: by the program `stockade`, on the rootless network.

use std::path::Path;
use std::process::Command;

use crate::stunnel::daemon::Daemon;
use crate::stunnel::log::Log;
use crate::vm;

/// A running program with its machine. Ended when dropped; a failing test then prints its log.
pub struct Launched(Daemon);

impl Launched {
    /// Starts `program` with the configuration file at `path` and does not wait; `options` are the
    /// image's own.
    pub fn start(program: &str, path: &str, options: &[String]) -> Launched {
        let folder = Path::new(path).parent().expect("a file is in a folder");
        let mut command = Command::new(program);
        command
            .args(["run", "--accel", "tcg", "--conf", path, "--image"])
            .arg(vm::image())
            .arg("--")
            .args(options)
            // Where others find it by its name: each has a place of its own.
            .env("RUNTIME_DIRECTORY", folder);
        Launched(Daemon::spawn(&mut command))
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

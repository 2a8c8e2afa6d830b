//! A child process that serves until it is no longer needed.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use crate::stunnel::log::Log;
use crate::{PATIENCE, namespace, wait_until};

/// A running child. Ended when dropped; a failing test then prints what it said.
pub struct Daemon {
    name: String,
    process: Child,
    /// What it says on standard output and standard error.
    pub log: Log,
}

impl Daemon {
    /// Starts `command` and waits until it says `ready`.
    pub fn start(command: &mut Command, ready: &str) -> Daemon {
        let mut daemon = Self::spawn(command);
        let is_ready = wait_until(PATIENCE, || {
            let serves = daemon.log.find(0, ready).is_some();
            (serves || !daemon.is_running()).then_some(serves)
        });
        let Daemon { name, log, .. } = &daemon;
        assert_eq!(
            is_ready,
            Some(true),
            "{name} does not serve:\n{}",
            log.text()
        );
        daemon
    }

    /// Starts `command` and does not wait.
    pub fn spawn(command: &mut Command) -> Daemon {
        let name = command.get_program().to_string_lossy().into_owned();
        Self::spawn_as(name, command)
    }

    /// The same under a name of its own.
    pub fn spawn_as(name: String, command: &mut Command) -> Daemon {
        namespace::require();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let log = Log::default();
        log.follow(process.stdout.take().expect("piped above"));
        log.follow(process.stderr.take().expect("piped above"));
        Daemon { name, process, log }
    }

    /// Waits for its own end.
    pub fn finish(&mut self) -> ExitStatus {
        let ended = wait_until(PATIENCE, || self.process.try_wait().expect("our own child"));
        ended.unwrap_or_else(|| panic!("{} still runs:\n{}", self.name, self.log.text()))
    }

    /// Whether it listens on a TCP port (proc(5), `/proc/PID/net/tcp`: state 0A).
    pub fn listens(&self) -> bool {
        let folder = format!("/proc/{}", self.process.id());
        let table = fs::read_to_string(format!("{folder}/net/tcp")).unwrap_or_default();
        let listening = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let inodes = listening.filter(|words| words.get(3) == Some(&"0A"));
        let sockets: Vec<_> = inodes
            .filter_map(|words| words.get(9).map(|inode| format!("socket:[{inode}]")))
            .collect();
        let descriptors = fs::read_dir(format!("{folder}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| {
            sockets
                .iter()
                .any(|socket| link.as_os_str() == socket.as_str())
        })
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("our own child").is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            println!("---- {}'s log ----\n{}----", self.name, self.log.text());
        }
    }
}

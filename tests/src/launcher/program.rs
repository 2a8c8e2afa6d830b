//! The `stockade` program as a child process.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::launcher::processes::{self, Process};
use crate::stunnel::log::Log;
use crate::{PATIENCE, namespace, wait_until};

/// What a run prints once its image serves.
const SERVING: &str = "Serving";

/// How QEMU's processes are called: the first 15 bytes of the program's name.
const QEMU: &str = "qemu-system-x86";

/// A running launcher, the leader of a session of its own. Ended when dropped, with all of its
/// session; a failing test then prints what it said.
pub struct Program {
    process: Child,
    /// What it says on standard output and standard error.
    pub log: Log,
}

impl Program {
    /// Starts it and does not wait.
    pub fn spawn(command: &Command) -> Program {
        namespace::require();
        let mut process = in_own_session(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Log::default();
        log.follow(process.stdout.take().expect("piped above"));
        log.follow(process.stderr.take().expect("piped above"));
        Program { process, log }
    }

    /// Waits until it says that its image serves; panics when it ends instead.
    pub fn wait_until_serving(&mut self) {
        let serves = wait_until(PATIENCE, || {
            let serves = self.log.find(0, SERVING).is_some();
            let is_over = !serves && self.process.try_wait().expect("our own child").is_some();
            (serves || is_over).then_some(serves)
        });
        assert_eq!(
            serves,
            Some(true),
            "it does not serve:\n{}",
            self.log.text()
        );
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal, and to none of its children.
    pub fn signal(&self, signal: Signal) {
        assert!(processes::signal(self.pid(), signal), "our own child");
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("our own child").is_none()
    }

    /// Waits for its own end.
    pub fn finish(&mut self) -> ExitStatus {
        let ended = wait_until(PATIENCE, || self.process.try_wait().expect("our own child"));
        ended.unwrap_or_else(|| panic!("it still runs:\n{}", self.log.text()))
    }

    /// Ends it as no process can prevent, and takes notice.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// The processes of its session that have not ended, itself included.
    pub fn family(&self) -> Vec<Process> {
        processes::of_session(self.pid())
    }

    /// The number of its QEMU's process; waits until there is one.
    pub fn qemu(&self) -> u32 {
        let found = wait_until(PATIENCE, || {
            self.family()
                .into_iter()
                .find(|process| process.name == QEMU)
        });
        found
            .unwrap_or_else(|| panic!("there is no QEMU: {:#?}", self.family()))
            .pid
    }

    /// Waits until no process of its session is left; panics with those that are.
    pub fn expect_no_family(&self) {
        let left = || (self.family().is_empty()).then_some(());
        assert!(
            wait_until(PATIENCE, left).is_some(),
            "these have outlived it: {:#?}\n{}",
            self.family(),
            self.log.text()
        );
    }
}

/// The same command behind setsid(1), which becomes it: whatever it starts is known by its session.
fn in_own_session(command: &Command) -> Command {
    let mut wrapped = Command::new("setsid");
    wrapped.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

impl Drop for Program {
    fn drop(&mut self) {
        // A stopped process ends by this signal, too.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // What the kernel ends with its parent needs a moment; what it does not, is ended here.
        let ended = wait_until(Duration::from_secs(2), || {
            self.family().is_empty().then_some(())
        });
        if ended.is_none() {
            for process in self.family() {
                processes::signal(process.pid, Signal::KILL);
            }
        }
        if thread::panicking() {
            println!("---- the launcher's log ----\n{}----", self.log.text());
        }
    }
}

//! The program under stunnel's name beside Debian's stunnel: the same files, words and signals; the
//! same statuses and lines of the log.
//!
//! What differs is known and taken away first: times, versions, ports that nobody chose, and what
//! OpenSSL has to say ([`lines::comparable`]).

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::process::{self, Finished};
use stockade_tests::{PATIENCE, wait_until};

use crate::scene::{Scene, begin_echo, end};

mod cases;
mod lines;
mod ours;
pub mod system_log;
mod table;

/// Whose stunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's.
    Debian,
    /// This program under its name.
    Ours,
}

impl Kind {
    /// It with these words.
    pub fn command(self, scene: &Scene, words: &[&str]) -> Command {
        match self {
            Kind::Debian => {
                let mut command = Command::new("stunnel");
                command.args(words);
                command
            }
            Kind::Ours => scene.place.command_called("stunnel", words),
        }
    }

    /// Starts it in the foreground, and waits until it accepts.
    pub fn start(self, scene: &Scene, words: &[&str]) -> Program {
        let mut program = Program::spawn(&self.command(scene, words));
        self.wait_until_accepting(scene, &mut program);
        program
    }

    /// Debian's says so at one level, ours by its port: it is bound before anybody serves, and who
    /// connects early waits. Neither may see a connection that the other does not.
    fn wait_until_accepting(self, scene: &Scene, program: &mut Program) {
        let accepts = wait_until(PATIENCE, || {
            let says = program.log.find(0, "Accepting new connections").is_some();
            let log = fs::read_to_string(scene.place.files.path(LOG)).unwrap_or_default();
            let accepts = says || log.contains("Accepting new connections");
            (accepts || !program.is_running()).then_some(accepts)
        });
        assert_eq!(accepts, Some(true), "{self:?}: {}", program.log.text());
    }

    /// Calls it and waits for the end of the process that was called.
    pub fn call(self, scene: &Scene, words: &[&str]) -> Finished<Vec<u8>> {
        finish(&mut self.command(scene, words))
    }
}

/// The log file and the pid file of a case, below its place.
const LOG: &str = "stunnel.log";
const PID: &str = "stunnel.pid";

fn finish(command: &mut Command) -> Finished<Vec<u8>> {
    process::start(command, io::empty(), Vec::new()).finish(PATIENCE)
}

/// What a case has shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Of the process that was called.
    pub status: Option<i32>,
    /// On its terminal.
    pub terminal: Vec<String>,
    /// In its log file.
    pub log: Vec<String>,
}

impl Seen {
    fn new(scene: &Scene, status: ExitStatus, terminal: &str) -> Seen {
        let log = fs::read_to_string(scene.place.files.path(LOG)).unwrap_or_default();
        Seen {
            status: status.code(),
            terminal: lines::comparable(terminal),
            log: lines::comparable(&log),
        }
    }
}

/// One thing to do with either.
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// Does it.
    pub run: fn(Kind, &Scene) -> Seen,
    /// A line, of the terminal or the log, that must be among those that are the same.
    pub line: &'static str,
    /// The status that both end with.
    pub status: i32,
}

/// Does the same with both, one after the other in the same place.
fn check(case: &Case) {
    let scene = Scene::new();
    let seen = [Kind::Debian, Kind::Ours].map(|kind| {
        for file in [LOG, PID] {
            let _ = fs::remove_file(scene.place.files.path(file));
        }
        (case.run)(kind, &scene)
    });
    let [debian, ours] = seen;
    assert_eq!(debian, ours, "{}: Debian's, then ours", case.name);
    assert_eq!(ours.status, Some(case.status), "{}: {ours:#?}", case.name);
    let mut lines = ours.terminal.iter().chain(&ours.log);
    assert!(
        lines.any(|line| line.contains(case.line)),
        "{}: {:?} is in neither: {ours:#?}",
        case.name,
        case.line
    );
}

#[test]
fn what_is_refused_is_refused_in_the_same_words() {
    cases::REFUSALS.iter().for_each(check);
}

#[test]
fn what_serves_in_the_foreground_says_the_same() {
    cases::FOREGROUND.iter().for_each(check);
}

#[test]
fn daemons_say_the_same() {
    cases::DAEMONS.iter().for_each(check);
}

/// A process that nobody waits for. Ended when dropped.
struct Daemon(u32);

impl Daemon {
    /// The one whose number is in the case's pid file.
    fn of(scene: &Scene) -> Daemon {
        let path = scene.place.files.path(PID);
        let number = wait_until(PATIENCE, || {
            let text = fs::read_to_string(&path).ok()?;
            text.trim().parse().ok()
        });
        Daemon(number.unwrap_or_else(|| panic!("no number in {path}")))
    }

    fn signal(&self, signal: Signal) {
        assert!(processes::signal(self.0, signal), "it has ended");
    }

    /// Waits for its end, and for that of its pid file.
    fn expect_end(&self, scene: &Scene) {
        let path = scene.place.files.path(PID);
        let over = || (!processes::is_alive(self.0) && !Path::new(&path).exists()).then_some(());
        assert!(wait_until(PATIENCE, over).is_some(), "{} lives on", self.0);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if processes::is_alive(self.0) {
            processes::signal(self.0, Signal::KILL);
        }
    }
}

/// One connection, from its beginning to its orderly end on both sides.
fn serve_one(scene: &Scene) {
    end(begin_echo(scene, scene.server)).expect("an orderly end");
}

/// Waits for this text in the log file, as often as that.
fn wait_for_log(scene: &Scene, text: &str, times: usize) {
    let path = scene.place.files.path(LOG);
    let log = || fs::read_to_string(&path).unwrap_or_default();
    let found = wait_until(PATIENCE, || {
        (log().matches(text).count() >= times).then_some(())
    });
    assert!(found.is_some(), "no {text:?} in {:?}", log());
}

/// Somebody who has the service's port.
fn occupy(scene: &Scene) -> TcpListener {
    TcpListener::bind(scene.server).expect("a port of our own")
}

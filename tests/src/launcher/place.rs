//! A place for launchers: the folders that they use, and nobody else's.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::launcher::program::Program;
use crate::process::{self, Finished};
use crate::stunnel::files::Files;
use crate::{PATIENCE, namespace, vm, wait_until};

/// What every launcher here is called unless it is told otherwise.
pub const NAME: &str = "trial";

/// Folders for configurations, control sockets, state and temporary files. The launchers of one
/// place see those of no other.
pub struct Place {
    program: &'static str,
    /// Configurations, certificates and keys.
    pub files: Files,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A file with contents.
    File,
    /// A file without.
    Empty,
    /// A socket.
    Socket,
}

impl Place {
    /// An empty place for the program at this path.
    pub fn new(program: &'static str) -> Place {
        namespace::require();
        let files = Files::create();
        for folder in ["run", "state", "tmp"] {
            let path = files.path(folder);
            fs::create_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        Place { program, files }
    }

    /// The program with these words, as its user would call it here.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        self.settle(&mut command);
        command.args(words);
        command
    }

    /// The program under another name, by a link, with these words. Its image is named in the
    /// environment, for command lines that have no place for it.
    pub fn command_called(&self, name: &str, words: &[&str]) -> Command {
        let link = self.files.path(name);
        match symlink(self.program, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => panic!("{link}: {error}"),
            _ => {}
        }
        let image = vm::image();
        let image = image.to_str().expect("a path in UTF-8");
        let mut command = Command::new(link);
        self.settle(&mut command);
        command.args(words);
        command.env("STOCKADE_OPTIONS", format!("--accel tcg --image {image}"));
        command
    }

    /// The program with these words where `/etc/hosts` has this text: in a mount namespace of its
    /// own (mount_namespaces(7)).
    pub fn command_with_hosts(&self, hosts: &str, words: &[&str]) -> Command {
        let hosts = self.files.add("hosts", hosts);
        let mut command = Command::new("unshare");
        self.settle(&mut command);
        command.args(["--mount", "--", "sh", "-c"]);
        command.args(["mount --bind \"$0\" /etc/hosts && exec \"$@\"", &hosts]);
        command.arg(self.program).args(words);
        command
    }

    /// Says where the folders are, and nothing of this user's session.
    fn settle(&self, command: &mut Command) {
        command
            .env("RUNTIME_DIRECTORY", self.files.path("run"))
            .env("STATE_DIRECTORY", self.files.path("state"))
            .env("TMPDIR", self.files.path("tmp"))
            .env("HOME", self.files.folder())
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_STATE_HOME")
            .env_remove("NOTIFY_SOCKET");
    }

    /// The words of a run under [`NAME`], emulated, with `words` behind.
    pub fn run_words(words: &[&str]) -> Vec<String> {
        let image = vm::image();
        let image = image.to_str().expect("a path in UTF-8");
        let all = ["run", "--accel", "tcg", "--name", NAME, "--image", image];
        let all = all.iter().chain(words);
        all.map(|word| (*word).to_owned()).collect()
    }

    /// Starts a launcher under [`NAME`] and does not wait.
    pub fn run(&self, words: &[&str]) -> Program {
        let words = Self::run_words(words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Program::spawn(&self.command(&words))
    }

    /// Calls a command about [`NAME`] (`["stop", "--drain", "0"]`) and waits for its end.
    pub fn control(&self, words: &[&str]) -> Finished<Vec<u8>> {
        let (command, options) = words.split_first().expect("a command");
        let words: Vec<&str> = [&[*command, "--name", NAME], options].concat();
        process::start(&mut self.command(&words), io::empty(), Vec::new()).finish(PATIENCE)
    }

    /// How the launcher stands: `status --json`.
    pub fn status(&self) -> Value {
        let finished = self.control(&["status", "--json"]);
        let text = String::from_utf8_lossy(&finished.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text:?}, {}", finished.stderr))
    }

    /// What has happened: `diagnose --json`, from the event after this number on.
    pub fn events_since(&self, number: u64) -> Vec<Value> {
        let number = number.to_string();
        let finished = self.control(&["diagnose", "--json", "--since", &number]);
        let text = String::from_utf8_lossy(&finished.succeeded().stdout).into_owned();
        let read = |line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} in {text}"))
        };
        text.lines().map(read).collect()
    }

    /// Waits for an event of this kind after that number; panics with all events otherwise.
    pub fn wait_for_event(&self, after: u64, kind: &str) -> Value {
        let found = wait_until(PATIENCE, || {
            let mut events = self.events_since(after).into_iter();
            events.find(|event| event["kind"] == kind)
        });
        found.unwrap_or_else(|| panic!("no event {kind:?} in {:#?}", self.events_since(after)))
    }

    /// The control socket of a launcher under [`NAME`].
    pub fn socket(&self) -> PathBuf {
        self.files.path(&format!("run/{NAME}.sock")).into()
    }

    /// Every file in the folders for control sockets, state and temporary files.
    pub fn leavings(&self) -> Vec<(PathBuf, Sort)> {
        let mut found = Vec::new();
        for folder in ["run", "state", "tmp"] {
            list(Path::new(&self.files.path(folder)), &mut found);
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found
    }
}

fn list(folder: &Path, found: &mut Vec<(PathBuf, Sort)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // It may go while we look.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            list(&path, found);
        } else if metadata.file_type().is_socket() {
            found.push((path, Sort::Socket));
        } else if metadata.len() == 0 {
            found.push((path, Sort::Empty));
        } else {
            found.push((path, Sort::File));
        }
    }
}

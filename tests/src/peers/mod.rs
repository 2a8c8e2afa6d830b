//! Debian's servers and clients as peers, out of a folder in which their packages are unpacked.
//!
//! Each runs in a [`Place`]: to it the unpacked tree is the whole file system, so what is compiled
//! into it (modules, schemas, templates) is where it looks; `/etc`, `/run` and `/var` are the
//! place's own. It is an ordinary user there, whoever runs the tests, and its processes end with
//! its first one (user_namespaces(7), pid_namespaces(7)).

pub mod acme;
pub mod git;
pub mod interloper;
pub mod mail;
pub mod proxies;
pub mod script;
pub mod web;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Finished};
use crate::stunnel::daemon::Daemon;
use crate::stunnel::files::Files;
use crate::{PATIENCE, namespace, wait_until};

/// Where the unpacked packages are.
const VARIABLE: &str = "STOCKADE_PEERS";
/// What makes the tree the root and the place its folders, then runs a program.
const ENTER: &str = include_str!("enter.sh");
/// Which argument of a [`Place::command`] is the program.
const PROGRAM: usize = 12;
/// Where programs are, below the tree.
const FOLDERS: [&str; 4] = ["usr/sbin", "usr/bin", "usr/lib/news/bin", "usr/lib/dovecot"];
/// Every name that a program may look itself up by is the one user that there is.
const USERS: [&str; 9] = [
    "peer",
    "root",
    "nobody",
    "Debian-exim",
    "dovecot",
    "dovenull",
    "news",
    "openldap",
    "postgres",
];

/// A root of their own for peers that belong together. Removed when dropped.
pub struct Place {
    tree: PathBuf,
    files: Files,
}

impl Place {
    /// The packages' `/etc`, an empty `/run` and `/var`, and a few users.
    pub fn new() -> Place {
        namespace::require();
        let tree = tree();
        let files = Files::create();
        for folder in ["run", "var", "var/lib", "var/log", "var/spool", "var/tmp"] {
            make(Path::new(&files.path(folder)));
        }
        copy(&tree.join("etc"), Path::new(&files.path("etc")));
        // Where the mounts go.
        for folder in ["dev", "proc", "etc", "run", "var", temporary().as_str()] {
            make(&tree.join(folder.trim_start_matches('/')));
        }
        let place = Place { tree, files };
        let users = USERS.map(|name| format!("{name}:x:101:101::/var:/bin/sh\n"));
        place.etc("passwd", users.concat());
        let groups = USERS.map(|name| format!("{name}:x:101:\n"));
        place.etc("group", groups.concat() + "mail:x:101:\n");
        place.etc("hosts", "127.0.0.1 localhost\n::1 localhost\n");
        place.etc("hostname", "peer.example\n");
        place.etc(
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\n",
        );
        place
    }

    /// Writes a file below `/etc`; gives its path as the peers see it.
    pub fn etc(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let name = format!("etc/{name}");
        self.files.add(&name, contents);
        format!("/{name}")
    }

    /// Writes a file in the place's folder, which has the same path inside and outside; gives the
    /// path.
    pub fn add(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        self.files.add(name, contents)
    }

    /// The path of a file or folder in the place's folder, there or not; `etc/…`, `run/…` and
    /// `var/…` are also what the peers see as `/etc/…` and so on.
    pub fn path(&self, name: &str) -> String {
        self.files.path(name)
    }

    /// Makes an empty folder in the place's folder, and those above it; gives the path.
    pub fn folder(&self, name: &str) -> String {
        let path = self.files.path(name);
        make(Path::new(&path));
        path
    }

    /// A program of the tree by its name, such as `postgres`; arguments may be added.
    pub fn command(&self, program: &str) -> Command {
        self.command_of(&self.find(program))
    }

    /// A program of the tree by its path below the tree.
    pub fn command_at(&self, path: &Path) -> Command {
        self.command_of(&format!("/{}", path.display()))
    }

    fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--"]);
        command.args(["sh", "-c", ENTER, "enter"]);
        command.arg(&self.tree);
        command.args([&self.files.folder(), &temporary(), program]);
        command
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("HOME", "/var")
            .env_remove("LD_LIBRARY_PATH");
        command
    }

    /// Whether the packages have this file; its path is below the tree.
    pub fn has(&self, path: &Path) -> bool {
        self.tree.join(path).exists()
    }

    /// The name of the interpreter that the packages have, such as `python3.11`.
    pub fn python(&self) -> String {
        let folder = self.tree.join("usr/bin");
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let is_version = |name: &String| {
            let version = name.strip_prefix("python3.").unwrap_or_default();
            !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())
        };
        let found = names.find(is_version);
        found.unwrap_or_else(|| panic!("{} has no python3", folder.display()))
    }

    /// What a file of the packages holds; its path is below the tree.
    pub fn packaged(&self, path: &str) -> Vec<u8> {
        let path = self.tree.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Starts a server that stays in the foreground, and waits until somebody listens on the port.
    /// It must be nobody else's.
    pub fn serve(&self, command: &mut Command, port: u16) -> Daemon {
        let program = command.get_args().nth(PROGRAM).unwrap_or_default();
        let name = program.to_string_lossy().into_owned();
        let mut daemon = Daemon::spawn_as(name.clone(), command);
        let serves = wait_until(PATIENCE, || {
            let serves = is_listened_on(port);
            (serves || !daemon.is_running()).then_some(serves)
        });
        if serves != Some(true) {
            // The reading threads may be a moment behind the process.
            std::thread::sleep(std::time::Duration::from_millis(100));
            panic!("{name} does not serve:\n{}", daemon.log.text());
        }
        daemon
    }

    /// Runs a program to its end; panics with its words when that takes too long.
    pub fn run(
        &self,
        command: &mut Command,
        input: impl Read + Send + 'static,
    ) -> Finished<Vec<u8>> {
        namespace::require();
        process::start(command, input, Vec::new()).finish(PATIENCE)
    }

    /// A program's path inside the tree.
    fn find(&self, program: &str) -> String {
        let own = FOLDERS.map(|folder| self.tree.join(folder)).into_iter();
        // PostgreSQL's programs are in a folder for each version.
        let versions = fs::read_dir(self.tree.join("usr/lib/postgresql"));
        let versions = versions.into_iter().flatten().flatten();
        let mut candidates = own
            .chain(versions.map(|version| version.path().join("bin")))
            .map(|folder| folder.join(program));
        let found = candidates.find(|path| path.symlink_metadata().is_ok());
        let found = found.unwrap_or_else(|| panic!("{} has no {program}", self.tree.display()));
        let inside = found
            .strip_prefix(&self.tree)
            .expect("it is below the tree");
        format!("/{}", inside.display())
    }
}

impl Default for Place {
    fn default() -> Place {
        Place::new()
    }
}

/// Whether a TCP port of this network namespace is listened on (proc(5), `/proc/net/tcp`: state
/// 0A), without a connection to it.
pub fn is_listened_on(port: u16) -> bool {
    let port = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let table = fs::read_to_string(table).unwrap_or_default();
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some("0A")
        })
    })
}

fn tree() -> PathBuf {
    let tree = std::env::var_os(VARIABLE).map(PathBuf::from);
    tree.unwrap_or_else(|| {
        panic!(
            "{VARIABLE} is not set: run these tests with `cargo xtask test`, whose --help says
             which stage is theirs"
        )
    })
}

/// The system's folder for temporary files, in which the places are.
fn temporary() -> String {
    let folder = std::env::temp_dir();
    folder.to_str().expect("a path in UTF-8").to_owned()
}

fn make(folder: &Path) {
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

/// Copies a folder with what is in it; links stay links.
fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-R", "--no-preserve=ownership"]);
    process::must(command.arg(from).arg(to));
}

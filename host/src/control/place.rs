//! Where control sockets lie, and what a launcher may be called.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, io};

use crate::Error;

/// Longest name, characters.
const MAX_NAME: usize = 64;

/// Where root's launchers are.
const ROOTS: &str = "/run/stockade";

/// What a launcher is called: not empty, at most 64 characters, no slash, no control character,
/// and no dot in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    /// `stockade`.
    fn default() -> Name {
        Name("stockade".to_owned())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name, Error> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.chars().count() > MAX_NAME {
            "it has more than 64 characters"
        } else if text.contains('/') {
            "it has a slash"
        } else if text.starts_with('.') {
            "it begins with a dot"
        } else if text.chars().any(char::is_control) {
            "it has a control character"
        } else {
            return Ok(Name(text.to_owned()));
        };
        Err(Error::Name {
            name: text.to_owned(),
            reason,
        })
    }
}

/// What decides where sockets lie; the process's own, outside tests.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// `$RUNTIME_DIRECTORY`, whose first entry counts (systemd.exec(5)).
    pub(super) service: Option<PathBuf>,
    /// The place for root.
    pub(super) roots: PathBuf,
    /// `$XDG_RUNTIME_DIR`.
    pub(super) session: Option<PathBuf>,
    /// The directory for temporary files.
    pub(super) temporary: PathBuf,
    pub(super) uid: u32,
    /// Whether the place for root is ours.
    pub(super) is_root: bool,
}

impl Surroundings {
    pub(super) fn ours() -> Surroundings {
        let path = |name| {
            let text = env::var_os(name)?;
            let first = env::split_paths(&text).next()?;
            first.is_absolute().then_some(first)
        };
        Surroundings {
            service: path("RUNTIME_DIRECTORY"),
            roots: PathBuf::from(ROOTS),
            session: path("XDG_RUNTIME_DIR"),
            temporary: env::temp_dir(),
            uid: rustix::process::geteuid().as_raw(),
            is_root: crate::is_root(),
        }
    }

    /// The directory for a socket of ours; made when it is not there.
    pub(super) fn make(&self) -> Result<PathBuf, Error> {
        let directory = self.own();
        if self.service.is_none() {
            let made = DirBuilder::new().mode(0o700).create(&directory);
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::File {
                        path: directory,
                        source: error,
                    });
                }
                _ => {}
            }
        }
        self.check(&directory)?;
        Ok(directory)
    }

    fn own(&self) -> PathBuf {
        match (&self.service, &self.session) {
            (Some(service), _) => service.clone(),
            (None, _) if self.is_root => self.roots.clone(),
            (None, Some(session)) => session.join("stockade"),
            (None, None) => self.temporary.join(format!("stockade-{}", self.uid)),
        }
    }

    /// A directory that somebody else could write to is no place for our socket.
    fn check(&self, directory: &Path) -> Result<(), Error> {
        let failed = |source| Error::File {
            path: directory.to_owned(),
            source,
        };
        let found = fs::symlink_metadata(directory).map_err(failed)?;
        let problem = if !found.is_dir() && self.service.is_none() {
            "is no directory"
        } else if self.service.is_some() {
            return Ok(());
        } else if found.uid() != self.uid {
            "belongs to somebody else"
        } else if found.mode() & 0o022 != 0 {
            "can be written to by others (chmod go-w)"
        } else {
            return Ok(());
        };
        Err(failed(io::Error::other(format!(
            "{problem}; set RUNTIME_DIRECTORY to a directory of your own"
        ))))
    }

    /// Where the socket of a launcher with this name may be, the likeliest first.
    pub(super) fn candidates(&self, name: &Name) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        for directory in self.directories() {
            // A service of its own directory: /run/stockade/NAME/NAME.sock.
            for directory in [directory.clone(), directory.join(&name.0)] {
                let path = directory.join(file_name(name));
                if !found.contains(&path) {
                    found.push(path);
                }
            }
        }
        found
    }

    fn directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.own(), self.roots.clone()];
        all.extend(self.session.iter().map(|path| path.join("stockade")));
        all.push(self.temporary.join(format!("stockade-{}", self.uid)));
        let mut once = Vec::new();
        all.into_iter().for_each(|path| {
            if !once.contains(&path) {
                once.push(path);
            }
        });
        once
    }

    /// The names of all sockets that are there.
    pub(super) fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for directory in self.directories() {
            let entries = entries(&directory);
            let deeper = entries.iter().filter(|path| path.is_dir());
            let deeper: Vec<PathBuf> = deeper.flat_map(|path| self::entries(path)).collect();
            for path in entries.iter().chain(&deeper) {
                let stem = path.extension().filter(|kind| *kind == "sock");
                let stem = stem.and_then(|_| path.file_stem()?.to_str()?.parse().ok());
                names.extend(stem);
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Where the control socket of a launcher with this name is made.
pub fn place(name: &Name) -> PathBuf {
    Surroundings::ours().own().join(file_name(name))
}

pub(super) fn file_name(name: &Name) -> String {
    format!("{name}.sock")
}

/// The names of the launchers that run and that this user may speak to.
pub fn running() -> Vec<Name> {
    let names = Surroundings::ours().names();
    let answers = |name: &Name| super::client::connect(name).is_ok();
    names.into_iter().filter(answers).collect()
}

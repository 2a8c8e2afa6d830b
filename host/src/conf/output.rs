//! The files that stunnel keeps while it runs: the log and the process's number.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};

use stockade_config::stunnel::Global;

use super::publish::stunnel_words;
use crate::Error;

/// Permissions of a log file that is made, before the umask.
const LOG_MODE: u32 = 0o640;

/// Permissions of a pid file, before the umask.
const PID_MODE: u32 = 0o644;

/// The log file that `output` names.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LogFile {
    /// Opens the file that a configuration names, to continue it or to begin it anew as `log`
    /// says; `None` when it names none, or this process's own standard output or error, where
    /// the console goes anyway.
    ///
    /// # Errors
    ///
    /// The file can't be opened.
    pub fn open(global: &Global) -> Result<Option<LogFile>, Error> {
        let Some(path) = global.output.as_deref().filter(|path| !is_ours(path)) else {
            return Ok(None);
        };
        let path = PathBuf::from(path);
        let file = open(&path, global.append).map_err(|source| Error::LogFile {
            path: path.clone(),
            reason: stunnel_words(&source),
        })?;
        Ok(Some(LogFile {
            path,
            file: Mutex::new(file),
        }))
    }

    /// Adds a line. A full disk must not stop the tunnel: what can't be written is lost.
    pub fn write_line(&self, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One write, so that lines of several processes stay whole (O_APPEND in open(2)).
        let _ = file.write_all(format!("{text}\n").as_bytes());
    }

    /// Opens the file by its name again, after logrotate(8) has moved it.
    ///
    /// # Errors
    ///
    /// It can't be opened; the file that was open is kept.
    pub fn reopen(&self) -> Result<(), Error> {
        let file = open(&self.path, true).map_err(|source| Error::LogFile {
            path: self.path.clone(),
            reason: stunnel_words(&source),
        })?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether this path is one of this process's standard streams.
fn is_ours(path: &str) -> bool {
    matches!(
        path,
        "/dev/stdout"
            | "/dev/stderr"
            | "/dev/fd/1"
            | "/dev/fd/2"
            | "/proc/self/fd/1"
            | "/proc/self/fd/2"
    )
}

fn open(path: &Path, append: bool) -> io::Result<File> {
    if !append {
        // Emptied once; written to its end from then on, as the other way.
        let mut empty = OpenOptions::new();
        empty.write(true).create(true).truncate(true).mode(LOG_MODE);
        empty.open(path)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(LOG_MODE);
    options.open(path)
}

/// A file that holds this process's number. Dropping it removes the file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes the file anew.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub fn write(path: &str) -> Result<PidFile, Error> {
        let path = PathBuf::from(path);
        let text = format!("{}\n", process::id());
        let attempt = || -> io::Result<()> {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(PID_MODE);
            options.open(&path)?.write_all(text.as_bytes())
        };
        match attempt() {
            Ok(()) => Ok(PidFile { path, text }),
            Err(source) => Err(Error::PidFile {
                path,
                reason: stunnel_words(&source),
            }),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Another process may have taken the name over: its file stays.
        if fs::read_to_string(&self.path).is_ok_and(|found| found == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

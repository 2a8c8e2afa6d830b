//! The files of this host, as a configuration names them.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;

use stockade_config::Zeroizing;
use stockade_config::stunnel::{FileError, Files};

use super::keys::{self, Passphrases};

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Largest file that is taken, in bytes: a system's bundle of authorities has a quarter of a
/// megabyte, and all files together must fit into the image's memory beside its connections.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Permission bits of users that neither own a file nor are in its group.
const OTHERS: u32 = 0o007;

/// Reads files of this host. Private keys come out as the image can take them: PKCS #12 and
/// encrypted PEM as plain PEM.
#[derive(Debug)]
pub struct HostFiles {
    passphrases: Passphrases,
    /// Files that hold private keys and that every user of this host may use.
    exposed: BTreeSet<String>,
}

impl HostFiles {
    /// Asks for passphrases there.
    pub fn new(passphrases: Passphrases) -> HostFiles {
        HostFiles {
            passphrases,
            exposed: BTreeSet::new(),
        }
    }

    /// The files among those read that hold a private key and that every user of this host may
    /// use.
    pub(super) fn exposed(&self) -> impl Iterator<Item = &str> {
        self.exposed.iter().map(String::as_str)
    }
}

impl Files for &mut HostFiles {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let (bytes, metadata) = if path == STANDARD_INPUT {
            (take(io::stdin().lock(), 0)?, None)
        } else {
            let file = File::open(path).map_err(|error| reason(&error))?;
            let metadata = file.metadata().map_err(|error| reason(&error))?;
            if metadata.is_dir() {
                return Err(FileError::new("Is a directory"));
            }
            (take(&file, metadata.len())?, Some(metadata))
        };
        let plain = if keys::is_pkcs12(path) {
            Some(keys::from_pkcs12(&bytes, path, self.passphrases)?)
        } else {
            keys::decrypted(&bytes, path, self.passphrases)?
        };
        let bytes = plain.unwrap_or(bytes);
        if keys::holds_private_key(&bytes) && metadata.is_some_and(|found| is_exposed(&found)) {
            self.exposed.insert(path.to_owned());
        }
        Ok(bytes)
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| reason(&error))? {
            let entry = entry.map_err(|error| reason(&error))?;
            // Through links: a directory of authorities is made of them (openssl-rehash(1)).
            let is_file = fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Whether users that neither own the file nor are in its group may use it, as stunnel asks.
pub(super) fn is_exposed(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.permissions().mode() & OTHERS != 0
}

/// Reads to the end. The buffer is made once, so that no copy of a key is left behind.
fn take(input: impl Read, expected: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let room = expected.clamp(4096, MAX_FILE) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room as usize));
    input
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| reason(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(FileError::new(&format!(
            "File too large: more than {} MiB",
            MAX_FILE / (1024 * 1024)
        )));
    }
    Ok(bytes)
}

/// The system's words without Rust's number after them: `No such file or directory`.
fn reason(error: &io::Error) -> FileError {
    let text = error.to_string();
    let words = text
        .split_once(" (os error ")
        .map_or(text.as_str(), |(words, _)| words);
    FileError::new(words)
}

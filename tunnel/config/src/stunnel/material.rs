//! The files that options name, each read once.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::files::{FileError, Files};
use super::types::File;

/// Largest file in bytes: revocation lists can be of some megabytes.
const MAX_FILE: usize = 16 * 1024 * 1024;
/// Most bytes of all files together.
const MAX_TOTAL: usize = 64 * 1024 * 1024;
/// Most files of a directory.
const MAX_DIRECTORY: usize = 512;

/// Reads files.
pub(super) struct Material<'f> {
    files: &'f mut dyn Files,
    known: BTreeMap<String, Arc<Zeroizing<Vec<u8>>>>,
    total: usize,
}

/// What a directory gave.
pub(super) struct Directory {
    pub files: Vec<File>,
    pub problems: Vec<(String, FileError)>,
}

impl<'f> Material<'f> {
    pub fn new(files: &'f mut dyn Files) -> Material<'f> {
        Material {
            files,
            known: BTreeMap::new(),
            total: 0,
        }
    }

    /// The bytes of a file of the configuration itself, of at most so many.
    pub fn text(&mut self, path: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let bytes = self.files.read(path)?;
        if bytes.len() > most {
            return Err(FileError::new(&format!("longer than {most} bytes")));
        }
        Ok(bytes)
    }

    /// The names of a directory's files, sorted.
    pub fn names(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        self.files.list(directory)
    }

    /// A file that an option names.
    pub fn file(&mut self, path: &str) -> Result<File, FileError> {
        if let Some(bytes) = self.known.get(path) {
            return Ok(File {
                path: path.to_owned(),
                bytes: Arc::clone(bytes),
            });
        }
        let bytes = self.text(path, MAX_FILE)?;
        self.total += bytes.len();
        if self.total > MAX_TOTAL {
            let text = format!("all files together are longer than {MAX_TOTAL} bytes");
            return Err(FileError::new(&text));
        }
        let bytes = Arc::new(bytes);
        self.known.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(File {
            path: path.to_owned(),
            bytes,
        })
    }

    /// The files of a directory whose names are a hash of eight hexadecimal digits, a dot,
    /// `prefix` and a number; when there is none, those that end with `.pem`.
    pub fn directory(&mut self, path: &str, prefix: &str) -> Result<Directory, FileError> {
        let mut names = self.names(path)?;
        let hashed = |name: &str| {
            name.split_once('.').is_some_and(|(hash, rest)| {
                let number = rest.strip_prefix(prefix).unwrap_or_default();
                hash.len() == 8
                    && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
                    && !number.is_empty()
                    && number.bytes().all(|digit| digit.is_ascii_digit())
            })
        };
        if names.iter().any(|name| hashed(name)) {
            names.retain(|name| hashed(name));
        } else {
            names.retain(|name| name.ends_with(".pem"));
        }
        if names.len() > MAX_DIRECTORY {
            let text = format!("more than {MAX_DIRECTORY} files");
            return Err(FileError::new(&text));
        }
        let mut directory = Directory {
            files: Vec::new(),
            problems: Vec::new(),
        };
        for name in names {
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            match self.file(&path) {
                Ok(file) => directory.files.push(file),
                Err(error) => directory.problems.push((path, error)),
            }
        }
        Ok(directory)
    }
}

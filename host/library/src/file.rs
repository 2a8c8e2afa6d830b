//! The configuration file, which is in memory alone.

use std::collections::BTreeMap;

use stockade_config::Zeroizing;
use stockade_config::stunnel::{FileError, Files};

/// What it is called in error messages: no file of a host has this name.
pub(crate) const NAME: &str = "(proxy)";

/// A file that is not on this host, and all those that are.
pub(crate) struct WithText<F> {
    pub(crate) text: String,
    pub(crate) files: F,
}

impl<F: Files> Files for WithText<F> {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        match path {
            NAME => Ok(Zeroizing::new(self.text.clone().into_bytes())),
            _ => self.files.read(path),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        self.files.list(directory)
    }
}

/// What was read of a file last.
pub(crate) type Remembered = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Files that are read anew; one that has gone stays as it was, so that a proxy that runs is no
/// obstacle to another one's coming or going.
pub(crate) struct Remembering<'a, F> {
    pub(crate) files: F,
    pub(crate) remembered: &'a mut Remembered,
}

impl<F: Files> Files for Remembering<'_, F> {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        match self.files.read(path) {
            Ok(bytes) => {
                self.remembered.insert(path.to_owned(), bytes.clone());
                Ok(bytes)
            }
            Err(error) => self.remembered.get(path).cloned().ok_or(error),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        self.files.list(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One file, until it is taken away.
    struct One(Option<&'static str>);

    impl Files for One {
        fn read(&mut self, _: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
            let text = self.0.ok_or_else(|| FileError::new("gone"))?;
            Ok(Zeroizing::new(text.into()))
        }

        fn list(&mut self, _: &str) -> Result<Vec<String>, FileError> {
            Err(FileError::new("no directory"))
        }
    }

    #[test]
    fn a_file_that_has_gone_stays_as_it_was() {
        let mut remembered = Remembered::new();
        let mut read = |file, path: &str| {
            let mut files = Remembering {
                files: One(file),
                remembered: &mut remembered,
            };
            files.read(path).map(|bytes| bytes.to_vec())
        };
        assert_eq!(read(Some("old"), "a"), Ok(b"old".to_vec()));
        assert_eq!(read(Some("new"), "a"), Ok(b"new".to_vec()));
        assert_eq!(read(None, "a"), Ok(b"new".to_vec()));
        assert!(read(None, "b").is_err());
    }
}

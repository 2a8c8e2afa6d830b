//! The configuration file, which is in memory alone.

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

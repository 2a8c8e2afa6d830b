//! The files that a configuration names, read from disk as they are.

use std::fs;

use stockade_config::Zeroizing;
use stockade_config::stunnel::{FileError, Files};

/// This host's files.
pub struct Disk;

impl Files for Disk {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let bytes = fs::read(path).map_err(|error| reason(&error))?;
        Ok(Zeroizing::new(bytes))
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        let entries = fs::read_dir(directory).map_err(|error| reason(&error))?;
        let files = entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = files.collect();
        names.sort();
        Ok(names)
    }
}

/// strerror(3)'s text, without the number that Rust adds.
fn reason(error: &std::io::Error) -> FileError {
    let text = error.to_string();
    FileError::new(text.split(" (os error").next().unwrap_or_default())
}

//! Where the files of a configuration come from.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

/// The files that a configuration consists of and names.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// It can't be read.
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError>;

    /// The names of the regular files of a directory, sorted by their bytes.
    ///
    /// # Errors
    ///
    /// It can't be read.
    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError>;
}

/// Why a file can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The reason, such as `No such file or directory`.
    pub reason: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl core::error::Error for FileError {}

impl FileError {
    /// With this reason.
    pub fn new(reason: &str) -> FileError {
        FileError {
            reason: reason.into(),
        }
    }
}

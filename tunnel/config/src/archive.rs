//! The boot archive: the files that the host hands to the image.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

/// Version of the archive's format; host and image must agree on it.
pub const FORMAT: u32 = 1;
/// Name of the first entry: format version and maker.
pub const MANIFEST: &str = "stockade-manifest";
/// Name of the entry that holds the command line's second half.
pub const COMMAND_LINE: &str = "command-line";

/// A boot archive that was checked from its first byte to its last.
#[derive(Clone)]
pub struct Archive<'a> {
    files: Vec<(String, &'a [u8])>,
}

/// Collects the files of a boot archive and writes it.
#[derive(Clone, Default)]
pub struct Builder<'a> {
    files: Vec<(String, &'a [u8])>,
}

/// Why an archive can't be read or made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive ends in the middle of something.
    Truncated,
}

impl<'a> Archive<'a> {
    /// Reads and checks a whole archive. The bytes stay where they are.
    ///
    /// # Errors
    ///
    /// See [`ArchiveError`].
    pub fn open(_bytes: &'a [u8]) -> Result<Archive<'a>, ArchiveError> {
        Err(ArchiveError::Truncated)
    }

    /// The bytes of the file of this name.
    pub fn file(&self, name: &str) -> Option<&'a [u8]> {
        self.files
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, bytes)| *bytes)
    }

    /// The names of all files but the manifest and the command line, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// The command line's second half, if the archive holds one.
    pub fn command_line(&self) -> Option<&'a [u8]> {
        self.file(COMMAND_LINE)
    }
}

impl<'a> Builder<'a> {
    /// An archive without files.
    pub fn new() -> Builder<'a> {
        Builder::default()
    }

    /// Adds a file that the command line calls `file:name`.
    ///
    /// # Errors
    ///
    /// The name is reserved, not allowed, or there already.
    pub fn file(&mut self, name: &str, bytes: &'a [u8]) -> Result<&mut Self, ArchiveError> {
        self.files.push((name.into(), bytes));
        Ok(self)
    }

    /// Sets the command line's second half.
    ///
    /// # Errors
    ///
    /// There is one already.
    pub fn command_line(&mut self, text: &'a str) -> Result<&mut Self, ArchiveError> {
        self.files.push((COMMAND_LINE.into(), text.as_bytes()));
        Ok(self)
    }

    /// Writes the archive: manifest, command line, files.
    pub fn finish(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::default()
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("truncated")
    }
}

impl core::error::Error for ArchiveError {}

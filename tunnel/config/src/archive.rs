//! The boot archive: the files that the host hands to the image as `-initrd`.
//!
//! It is a ustar archive (POSIX.1-2017, *pax*, "ustar Interchange Format") of regular files:
//!
//! 1. `stockade-manifest`, always first, whose text is `stockade-boot-archive 1` and then
//!    lines of a key and a value, of which `created-by VERSION` is read and others are ignored;
//! 2. `command-line`, if present: the second half of the kernel command line;
//! 3. the files that options call `file:NAME`.
//!
//! GNU tar makes one, too: `tar --format=ustar -cf boot.tar stockade-manifest cert.pem key.pem`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

mod error;
mod ustar;

#[cfg(test)]
mod tests;

pub use error::{ArchiveError, Field, ManifestError, NameError};

/// Version of the archive's format; host and image must agree on it.
pub const FORMAT: u32 = 1;
/// Name of the first entry: format version and maker.
pub const MANIFEST: &str = "stockade-manifest";
/// Name of the entry that holds the command line's second half.
pub const COMMAND_LINE: &str = "command-line";
/// Most entries an archive may have: a directory of all the public authorities has some 300.
pub const MAX_ENTRIES: usize = 1024;
/// Longest name of a file in bytes: the header's name field, without a prefix.
pub const MAX_NAME: usize = 100;
/// Longest manifest in bytes.
pub const MAX_MANIFEST: usize = 4096;

/// The word that begins a manifest.
const MANIFEST_WORD: &str = "stockade-boot-archive";
/// Longest `created-by` that messages repeat, in bytes.
const MAX_CREATOR: usize = 32;

/// A boot archive that was checked from its first byte to its last.
#[derive(Clone)]
pub struct Archive<'a> {
    created_by: Option<&'a str>,
    command_line: Option<&'a [u8]>,
    files: Vec<(String, &'a [u8])>,
}

/// Collects the files of a boot archive and writes it.
#[derive(Clone, Default)]
pub struct Builder<'a> {
    command_line: Option<&'a [u8]>,
    files: Vec<(String, &'a [u8])>,
}

impl<'a> Archive<'a> {
    /// Reads and checks a whole archive. The files' bytes stay where they are.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoManifest`] and [`ArchiveError::Version`] when the archive was not
    /// made for this version; any other when it is damaged or holds more than plain files.
    pub fn open(bytes: &'a [u8]) -> Result<Archive<'a>, ArchiveError> {
        let mut entries = ustar::Entries::new(bytes);
        let first = entries.next().transpose()?;
        let Some(first) = first.as_ref().filter(|entry| entry.name == MANIFEST) else {
            let found = first.map(|entry| entry.name);
            return Err(ArchiveError::NoManifest { found });
        };
        let created_by = read_manifest(first.data)?;
        let mut archive = Archive {
            created_by,
            command_line: None,
            files: Vec::new(),
        };
        for entry in entries {
            archive.add(entry?)?;
        }
        Ok(archive)
    }

    fn add(&mut self, entry: ustar::Entry<'a>) -> Result<(), ArchiveError> {
        let duplicate = match entry.name.as_str() {
            MANIFEST => true,
            COMMAND_LINE => self.command_line.replace(entry.data).is_some(),
            name => self.file(name).is_some(),
        };
        if duplicate {
            return Err(ArchiveError::Duplicate { name: entry.name });
        }
        if entry.name != COMMAND_LINE {
            if self.files.len() >= MAX_ENTRIES {
                return Err(ArchiveError::TooManyEntries);
            }
            self.files.push((entry.name, entry.data));
        }
        Ok(())
    }

    /// The bytes of the file of this name; the manifest and the command line are no files.
    pub fn file(&self, name: &str) -> Option<&'a [u8]> {
        self.files
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, bytes)| *bytes)
    }

    /// The names of the files, in the archive's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// The command line's second half, if the archive holds one.
    pub fn command_line(&self) -> Option<&'a [u8]> {
        self.command_line
    }

    /// The version of the Stockade that made the archive, if the manifest tells it.
    pub fn created_by(&self) -> Option<&'a str> {
        self.created_by
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
    /// The name is reserved, not allowed ([`check_name`]) or there already, the file is of
    /// 8 GiB or more, or the archive is full.
    pub fn file(&mut self, name: &str, bytes: &'a [u8]) -> Result<&mut Self, ArchiveError> {
        check_name(name).map_err(|error| ArchiveError::Name {
            name: name.to_owned(),
            error,
        })?;
        if self.files.iter().any(|(known, _)| known == name) {
            return Err(ArchiveError::Duplicate {
                name: name.to_owned(),
            });
        }
        if self.files.len() >= MAX_ENTRIES {
            return Err(ArchiveError::TooManyEntries);
        }
        if bytes.len() as u64 > ustar::MAX_SIZE {
            return Err(ArchiveError::TooLarge {
                name: name.to_owned(),
            });
        }
        self.files.push((name.to_owned(), bytes));
        Ok(self)
    }

    /// Sets the command line's second half.
    ///
    /// # Errors
    ///
    /// There is one already.
    pub fn command_line(&mut self, text: &'a str) -> Result<&mut Self, ArchiveError> {
        if self.command_line.replace(text.as_bytes()).is_some() {
            return Err(ArchiveError::Duplicate {
                name: COMMAND_LINE.to_owned(),
            });
        }
        Ok(self)
    }

    /// Writes the archive: manifest, command line, files in the order they were added.
    ///
    /// The same files give the same bytes on every machine. The buffer is allocated once, so
    /// that no copy of a key is left behind, and wiped when it is dropped.
    pub fn finish(&self) -> Zeroizing<Vec<u8>> {
        let manifest = format!("{MANIFEST_WORD} {FORMAT}\ncreated-by {}\n", crate::VERSION);
        let head = [(MANIFEST, manifest.as_bytes())];
        let line = self.command_line.map(|text| (COMMAND_LINE, text));
        let files = self.files.iter().map(|(name, data)| (name.as_str(), *data));
        let entries: Vec<(&str, &[u8])> = head.into_iter().chain(line).chain(files).collect();
        ustar::write(&entries)
    }
}

/// Whether the command line may call a file by this name.
///
/// # Errors
///
/// A name is 1 to 100 bytes ([`MAX_NAME`]) of printable ASCII without blanks, neither begins
/// nor ends with a slash, and is neither `stockade-manifest` nor `command-line`.
pub fn check_name(name: &str) -> Result<(), NameError> {
    check_spelling(name.as_bytes())?;
    if name == MANIFEST || name == COMMAND_LINE {
        return Err(NameError::Reserved);
    }
    Ok(())
}

fn check_spelling(name: &[u8]) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.len() > MAX_NAME {
        Err(NameError::TooLong)
    } else if !name.iter().all(u8::is_ascii_graphic) {
        Err(NameError::Character)
    } else if name.starts_with(b"/") || name.ends_with(b"/") {
        Err(NameError::Slash)
    } else {
        Ok(())
    }
}

/// Checks format and version; gives the maker's version.
fn read_manifest(bytes: &[u8]) -> Result<Option<&str>, ArchiveError> {
    let malformed = |error| ArchiveError::Manifest { error };
    if bytes.len() > MAX_MANIFEST {
        return Err(malformed(ManifestError::TooLong));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| malformed(ManifestError::NotText))?;
    let mut lines = text.lines();
    let format = lines
        .next()
        .and_then(|line| line.strip_prefix(MANIFEST_WORD))
        .and_then(|rest| rest.strip_prefix(' '))
        .filter(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|number| number.parse::<u32>().ok())
        .ok_or(malformed(ManifestError::FirstLine))?;
    let created_by = lines
        .filter_map(|line| line.strip_prefix("created-by "))
        .find(|maker| {
            (1..=MAX_CREATOR).contains(&maker.len()) && maker.bytes().all(|b| b.is_ascii_graphic())
        });
    if format != FORMAT {
        return Err(ArchiveError::Version {
            archive: format,
            created_by: created_by.map(ToOwned::to_owned),
        });
    }
    Ok(created_by)
}

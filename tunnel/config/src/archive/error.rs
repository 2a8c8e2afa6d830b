//! Why a boot archive can't be read or made.

use alloc::string::String;
use core::fmt;

use super::{COMMAND_LINE, FORMAT, MANIFEST, MANIFEST_WORD, MAX_ENTRIES, MAX_MANIFEST, MAX_NAME};

/// Why an archive can't be read or made. Offsets are bytes from the archive's begin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive ends before its two closing blocks.
    Truncated {
        /// How long it is.
        length: usize,
    },
    /// There is no ustar header where one must be.
    NotUstar {
        /// Where.
        offset: usize,
    },
    /// A header's sum does not match the header: the archive is damaged.
    Checksum {
        /// Where the header begins.
        offset: usize,
    },
    /// A number of a header is not octal digits.
    Number {
        /// Where the header begins.
        offset: usize,
        /// Which number.
        field: Field,
    },
    /// A name that is not allowed.
    Name {
        /// The name; the empty name when it is not even UTF-8.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// An entry is a directory, a link or an extension, not a regular file.
    NotAFile {
        /// Its name.
        name: String,
        /// The header's type flag.
        kind: u8,
    },
    /// Two entries have this name.
    Duplicate {
        /// The name.
        name: String,
    },
    /// There are more than [`MAX_ENTRIES`](super::MAX_ENTRIES) files.
    TooManyEntries,
    /// A file is larger than a ustar header can say.
    TooLarge {
        /// Its name.
        name: String,
    },
    /// Something other than zeros follows the closing blocks.
    TrailingData {
        /// Where the first such block begins.
        offset: usize,
    },
    /// The first entry is not the manifest, so the format is not known.
    NoManifest {
        /// The first entry's name; `None` in an empty archive.
        found: Option<String>,
    },
    /// The manifest can't be read.
    Manifest {
        /// Why.
        error: ManifestError,
    },
    /// The archive was made for another version.
    Version {
        /// The archive's format.
        archive: u32,
        /// The version of the Stockade that made it, if the manifest tells.
        created_by: Option<String>,
    },
}

/// A number of a ustar header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The file's length.
    Size,
    /// The header's sum.
    Checksum,
}

/// What is wrong with a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no bytes.
    Empty,
    /// It is longer than [`MAX_NAME`](super::MAX_NAME).
    TooLong,
    /// It has a byte that is not printable ASCII, or a blank.
    Character,
    /// It begins or ends with a slash.
    Slash,
    /// It is the manifest's or the command line's.
    Reserved,
}

/// What is wrong with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// It is longer than [`MAX_MANIFEST`](super::MAX_MANIFEST).
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// Its first line is not `stockade-boot-archive` and a number.
    FirstLine,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { length } => {
                write!(f, "it ends at byte {length}, before its closing blocks")
            }
            Self::NotUstar { offset } => write!(
                f,
                "no ustar header at byte {offset}; \
                 make it with tar --format=ustar and leave it uncompressed"
            ),
            Self::Checksum { offset } => write!(
                f,
                "the header at byte {offset} does not match its checksum: it is damaged"
            ),
            Self::Number { offset, field } => {
                write!(
                    f,
                    "the header at byte {offset} has no octal number as its {field}"
                )
            }
            Self::Name { name, error } => write!(f, "the name {name:?} {error}"),
            Self::NotAFile { name, kind } => write!(
                f,
                "{name:?} is {}; only regular files can be in it",
                kind_words(*kind)
            ),
            Self::Duplicate { name } => write!(f, "there are two entries named {name:?}"),
            Self::TooManyEntries => write!(f, "there are more than {MAX_ENTRIES} files"),
            Self::TooLarge { name } => write!(f, "{name:?} is larger than 8 GiB"),
            Self::TrailingData { offset } => {
                write!(f, "data follows its closing blocks at byte {offset}")
            }
            Self::NoManifest { found } => {
                match found {
                    Some(name) => write!(f, "it begins with {name:?}, not with {MANIFEST}")?,
                    None => write!(f, "it is empty, without {MANIFEST}")?,
                }
                write!(
                    f,
                    ": the host made an unknown format, this image reads format {FORMAT} \
                     (Stockade {})",
                    crate::VERSION
                )
            }
            Self::Manifest { error } => write!(f, "{MANIFEST} {error}"),
            Self::Version {
                archive,
                created_by,
            } => {
                write!(f, "the host made format {archive}")?;
                if let Some(maker) = created_by {
                    write!(f, " (Stockade {maker})")?;
                }
                write!(
                    f,
                    ", this image reads format {FORMAT} (Stockade {}); \
                     use an image and a host of the same version",
                    crate::VERSION
                )
            }
        }
    }
}

/// The header's type flag in words (POSIX.1-2017, *pax*, "ustar Interchange Format").
fn kind_words(kind: u8) -> &'static str {
    match kind {
        b'1' => "a hard link",
        b'2' => "a symbolic link",
        b'3' | b'4' => "a device",
        b'5' => "a directory",
        b'6' => "a FIFO",
        b'x' | b'g' => "a pax extension (use tar --format=ustar)",
        b'L' | b'K' | b'S' => "a GNU extension (use tar --format=ustar)",
        _ => "of an unknown type",
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Size => "size",
            Field::Checksum => "checksum",
        })
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("is empty"),
            NameError::TooLong => write!(f, "is longer than {MAX_NAME} bytes"),
            NameError::Character => {
                f.write_str("has a character that is not printable ASCII, or a blank")
            }
            NameError::Slash => f.write_str("begins or ends with a slash"),
            NameError::Reserved => {
                write!(f, "is reserved, as are {MANIFEST} and {COMMAND_LINE}")
            }
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::TooLong => write!(f, "is longer than {MAX_MANIFEST} bytes"),
            ManifestError::NotText => f.write_str("is not UTF-8 text"),
            ManifestError::FirstLine => write!(
                f,
                "does not begin with \"{MANIFEST_WORD} VERSION\"; this image reads format {FORMAT}"
            ),
        }
    }
}

impl core::error::Error for ArchiveError {}
impl core::error::Error for NameError {}

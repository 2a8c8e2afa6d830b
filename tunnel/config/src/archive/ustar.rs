//! ustar blocks (POSIX.1-2017, *pax*, "ustar Interchange Format"), both ways.
//!
//! Reads what GNU tar writes by default, too: its header differs in the magic and has no
//! prefix. Any extension of either format is refused.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::{ArchiveError, Field, NameError, check_spelling};

/// Length of a block in bytes; headers are one block, data is padded to whole ones.
const BLOCK: usize = 512;
/// An archive ends with two blocks of zeros.
const END: usize = 2 * BLOCK;
/// Largest file in bytes that eleven octal digits can tell: 8 GiB less one.
pub(super) const MAX_SIZE: u64 = 0o777_7777_7777;

/// Magic and version of POSIX, and of the older GNU format.
const MAGIC_POSIX: &[u8; 8] = b"ustar\x0000";
const MAGIC_GNU: &[u8; 8] = b"ustar  \0";

/// Where the header's fields are: (begin, length).
const NAME: (usize, usize) = (0, 100);
const SIZE: (usize, usize) = (124, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const KIND: usize = 156;
const MAGIC: (usize, usize) = (257, 8);
const PREFIX: (usize, usize) = (345, 155);

/// A regular file.
pub(super) struct Entry<'a> {
    pub name: String,
    pub data: &'a [u8],
}

/// Walks through the files of an archive; ends after the first error.
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
    offset: usize,
    ended: bool,
}

impl<'a> Entries<'a> {
    pub fn new(bytes: &'a [u8]) -> Entries<'a> {
        Entries {
            bytes,
            offset: 0,
            ended: false,
        }
    }

    /// The next file; `None` at a sound end.
    fn read(&mut self) -> Result<Option<Entry<'a>>, ArchiveError> {
        let at = self.offset;
        let header = self.take(BLOCK)?;
        if header.iter().all(|&byte| byte == 0) {
            self.end()?;
            return Ok(None);
        }
        let magic = field(header, MAGIC);
        if magic != MAGIC_POSIX && magic != MAGIC_GNU {
            return Err(ArchiveError::NotUstar { offset: at });
        }
        let number = |place, field_name| {
            octal(field(header, place)).ok_or(ArchiveError::Number {
                offset: at,
                field: field_name,
            })
        };
        if number(CHECKSUM, Field::Checksum)? != u64::from(checksum(header)) {
            return Err(ArchiveError::Checksum { offset: at });
        }
        let size = number(SIZE, Field::Size)?;
        let name = read_name(header, magic == MAGIC_POSIX)?;
        match header.get(KIND).copied() {
            // Zero is what tar wrote before POSIX.
            Some(b'0' | 0) => {}
            kind => {
                return Err(ArchiveError::NotAFile {
                    name,
                    kind: kind.unwrap_or_default(),
                });
            }
        }
        check_spelling(name.as_bytes()).map_err(|error| ArchiveError::Name {
            name: name.clone(),
            error,
        })?;
        let size = usize::try_from(size).map_err(|_| self.truncated())?;
        let data = self.take(size)?;
        self.take(padding(size))?;
        Ok(Some(Entry { name, data }))
    }

    /// Checks the second closing block, and that nothing but zeros follows.
    fn end(&mut self) -> Result<(), ArchiveError> {
        self.take(BLOCK)?;
        let rest = self.bytes.get(self.offset - BLOCK..).unwrap_or_default();
        match rest.iter().position(|&byte| byte != 0) {
            Some(index) => Err(ArchiveError::TrailingData {
                offset: self.offset - BLOCK + index,
            }),
            None => Ok(()),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ArchiveError> {
        let end = self
            .offset
            .checked_add(length)
            .ok_or_else(|| self.truncated())?;
        let taken = self
            .bytes
            .get(self.offset..end)
            .ok_or_else(|| self.truncated())?;
        self.offset = end;
        Ok(taken)
    }

    fn truncated(&self) -> ArchiveError {
        ArchiveError::Truncated {
            length: self.bytes.len(),
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.read().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

/// Prefix and name, joined; a leading `./`, which tar likes to write, is dropped.
fn read_name(header: &[u8], has_prefix: bool) -> Result<String, ArchiveError> {
    let text = |place| {
        let bytes = field(header, place);
        let end = bytes.iter().position(|&byte| byte == 0);
        let bytes = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        core::str::from_utf8(bytes).map_err(|_| ArchiveError::Name {
            name: String::new(),
            error: NameError::Character,
        })
    };
    let name = text(NAME)?;
    let prefix = if has_prefix { text(PREFIX)? } else { "" };
    let mut joined = String::with_capacity(prefix.len() + 1 + name.len());
    if !prefix.is_empty() {
        joined.push_str(prefix);
        joined.push('/');
    }
    joined.push_str(name);
    // Each of several: a name that kept one could be read and not written again.
    Ok(match joined.trim_start_matches("./") {
        "" => joined,
        rest => rest.to_string(),
    })
}

fn field(header: &[u8], (begin, length): (usize, usize)) -> &[u8] {
    header.get(begin..begin + length).unwrap_or_default()
}

/// Octal digits, ended or padded by blanks or zero bytes. At most 12 digits, so it fits.
fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| *byte == b' ' || *byte == 0;
    let begin = field.iter().position(|byte| *byte != b' ')?;
    let digits = field.get(begin..)?;
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if digits.is_empty() || !rest.iter().all(blank) {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// The sum of the header's bytes, its own field counted as blanks.
fn checksum(header: &[u8]) -> u32 {
    let (begin, length) = CHECKSUM;
    header
        .iter()
        .enumerate()
        .map(|(index, &byte)| match index.checked_sub(begin) {
            Some(inside) if inside < length => u32::from(b' '),
            _ => u32::from(byte),
        })
        .sum()
}

fn padding(size: usize) -> usize {
    size.wrapping_neg() % BLOCK
}

/// Writes entries whose names and sizes were checked.
pub(super) fn write(entries: &[(&str, &[u8])]) -> Zeroizing<Vec<u8>> {
    let data: usize = entries
        .iter()
        .map(|(_, data)| BLOCK + data.len() + padding(data.len()))
        .sum();
    let mut archive = Vec::with_capacity(data + END);
    for (name, data) in entries {
        archive.extend_from_slice(&header(name, data.len() as u64));
        archive.extend_from_slice(data);
        archive.resize(archive.len() + padding(data.len()), 0);
    }
    archive.resize(archive.len() + END, 0);
    Zeroizing::new(archive)
}

/// A regular file's header: mode 0600, owner 0, time 0, so that equal files give equal bytes.
fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = [0u8; BLOCK];
    put(&mut header, NAME.0, name.as_bytes());
    put(&mut header, 100, b"0000600\0"); // mode
    put(&mut header, 108, b"0000000\0"); // user
    put(&mut header, 116, b"0000000\0"); // group
    put(&mut header, SIZE.0, &octal_digits::<11>(size));
    put(&mut header, 136, b"00000000000\0"); // modification time
    put(&mut header, KIND, b"0");
    put(&mut header, MAGIC.0, MAGIC_POSIX);
    put(&mut header, 329, b"0000000\0"); // device numbers
    put(&mut header, 337, b"0000000\0");
    let sum = u64::from(checksum(&header));
    put(&mut header, CHECKSUM.0, &octal_digits::<6>(sum));
    put(&mut header, CHECKSUM.0 + 6, b"\0 ");
    header
}

fn put(header: &mut [u8; BLOCK], begin: usize, bytes: &[u8]) {
    for (place, byte) in header.iter_mut().skip(begin).zip(bytes) {
        *place = *byte;
    }
}

/// The lowest `N` octal digits of a number.
fn octal_digits<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 8) as u8;
        number /= 8;
    }
    digits
}

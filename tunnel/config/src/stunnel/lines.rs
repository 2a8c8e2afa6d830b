//! The first step: a file's bytes become lines with a meaning.

use alloc::borrow::Cow;
use alloc::string::String;

/// Longest line that is read, in bytes; stunnel would go on with the rest as another line.
pub(super) const MAX_LINE: usize = 16 * 1024 - 1;
/// How much of a line a message shows, in bytes.
const MAX_SHOWN: usize = 256;
/// The byte order mark in UTF-8, which may begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What one line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `[NAME]`
    Section(&'a str),
    /// `NAME = VALUE`
    Option {
        name: &'a str,
        value: &'a str,
        text: &'a str,
    },
    /// Text without `=`.
    Stray(&'a str),
    /// Bytes that are no UTF-8 text, or have a NUL among them.
    NotText,
    /// Longer than [`MAX_LINE`].
    TooLong,
}

/// The lines that say something, each with its number from 1.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u32, Line<'_>)> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    bytes
        .split(|byte| *byte == b'\n')
        .zip(1u32..)
        .filter_map(|(line, number)| Some((number, meaning(line)?)))
}

/// `None` for blank lines and comments, whatever their bytes.
fn meaning(line: &[u8]) -> Option<Line<'_>> {
    let raw = line.strip_suffix(b"\r").unwrap_or(line);
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    let begin = line.iter().position(|byte| !is_blank(byte))?;
    let end = line.iter().rposition(|byte| !is_blank(byte))?;
    let line = line.get(begin..=end)?;
    if line.starts_with(b";") || line.starts_with(b"#") {
        return None;
    }
    if line.len() > MAX_LINE {
        return Some(Line::TooLong);
    }
    let text = match core::str::from_utf8(raw) {
        Ok(text) if !text.contains('\0') => text,
        _ => return Some(Line::NotText),
    };
    let line = trim(text);
    let section = line
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(name) = section {
        return Some(Line::Section(name));
    }
    Some(match line.split_once('=') {
        Some((name, value)) => Line::Option {
            name: trim(name),
            value: trim(value),
            text,
        },
        None => Line::Stray(text),
    })
}

/// Without the blanks of C's `isspace` at both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_ascii_whitespace() || letter == '\x0b')
}

/// A text as messages show it: cut short when long.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_SHOWN {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(MAX_SHOWN);
    let mut short = String::from(text.get(..end).unwrap_or_default());
    short.push('…');
    Cow::Owned(short)
}

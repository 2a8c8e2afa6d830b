//! The kernel command line: words in, a checked [`Config`] out.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::types::Config;

mod diagnostic;
mod options;

pub use diagnostic::{Diagnostic, Errors, Position, Problem};
pub use options::{OPTIONS, OptionSpec, help};

/// Longest command line that is read, in bytes: room for a key and a long chain.
pub const MAX_LINE: usize = 256 * 1024;

/// Reads a whole command line.
///
/// # Errors
///
/// Every error that the line has, not just the first.
pub fn parse(line: &str) -> Result<Config, Errors> {
    parse_bytes(line.as_bytes())
}

/// Reads a command line as the machine hands it over, which may not be UTF-8.
///
/// # Errors
///
/// As [`parse`]; a word that is not UTF-8 is one error.
pub fn parse_bytes(_line: &[u8]) -> Result<Config, Errors> {
    Err(Errors::default())
}

/// Joins the machine's command line and the boot archive's second half of it.
pub fn join(append: &[u8], second: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    let second = second.unwrap_or_default();
    let mut line = Zeroizing::new(Vec::with_capacity(append.len() + 1 + second.len()));
    line.extend_from_slice(append);
    if !second.is_empty() {
        line.push(b' ');
        line.extend_from_slice(second);
    }
    line
}

/// Whether `option` (such as `--cert`) stands on the line, with or without a value.
pub fn mentions(line: &str, option: &str) -> bool {
    line.split_ascii_whitespace()
        .any(|word| word.split('=').next() == Some(option))
}

/// Whether the line itself holds a private key, so that it must not stand where `ps` shows it.
///
/// True for every `--key` whose value is not a plain `file:` reference.
pub fn holds_secret(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let value = match word.split_once('=') {
            Some(("--key", value)) => Some(value),
            None if word == "--key" => words.peek().copied(),
            _ => None,
        };
        if value.is_some_and(|value| !value.starts_with("file:")) {
            return true;
        }
    }
    false
}

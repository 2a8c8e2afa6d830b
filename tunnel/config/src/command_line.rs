//! The kernel command line: words in, a checked [`Config`] out.
//!
//! The line is split at ASCII white space; there is no quoting and no escaping, as no value
//! needs any. `--option value` is the same as `--option=value`; a value never begins with
//! `--`. Options may come in any order and each once, `--dns` more often. Words that the
//! machine or its firmware adds ([`MACHINE_WORDS`]) are passed over; any other word is an
//! error.
//!
//! Reading takes two steps: words become options with their positions (`raw`), then options
//! become typed values that are checked against each other (`typed`). Both steps report
//! everything they find.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::types::Config;

mod address;
mod diagnostic;
mod links;
mod options;
mod raw;
mod typed;
mod value;

#[cfg(test)]
mod tests;

pub use diagnostic::{AddressFault, Base64Fault, Diagnostic, Errors, Found, Position, Problem};
pub use options::{MACHINE_WORDS, OPTIONS, OptionSpec, help};

/// Longest command line that is read, in bytes: room for a key and a long chain.
pub const MAX_LINE: usize = 256 * 1024;
/// Most name servers: as many as resolvers commonly take (`MAXNS` of resolv.conf(5)).
pub const MAX_NAME_SERVERS: usize = 3;
/// Where TLS clients connect to when `--accept` is not given: HTTPS (RFC 9110 §4.2.2).
pub const DEFAULT_ACCEPT_PORT: u16 = 443;
/// The gateway's port when `--connect` is not given: HTTP (RFC 9110 §4.2.1).
pub const DEFAULT_CONNECT_PORT: u16 = 80;
/// Where a syslog server listens when `--syslog` names no port (RFC 5426 §3.3).
pub const SYSLOG_PORT: u16 = 514;

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
/// As [`parse`]; each word that is not UTF-8 is one error more.
pub fn parse_bytes(line: &[u8]) -> Result<Config, Errors> {
    let mut errors = Errors::default();
    if line.len() > MAX_LINE {
        errors.push(Diagnostic {
            option: "command line".into(),
            position: None,
            problem: Problem::LineTooLong { length: line.len() },
        });
        return Err(errors);
    }
    let raw = raw::read(line, &mut errors);
    let config = typed::check(&raw, &mut errors);
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => {
            errors.sort();
            Err(errors)
        }
    }
}

/// Joins the machine's command line and the boot archive's second half of it, by one space
/// when there are both.
pub fn join(append: &[u8], second: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    let second = second.unwrap_or_default();
    let mut line = Zeroizing::new(Vec::with_capacity(append.len() + 1 + second.len()));
    line.extend_from_slice(append);
    if !append.is_empty() && !second.is_empty() {
        line.push(b' ');
    }
    line.extend_from_slice(second);
    line
}

/// An IPv4 address or a host name (RFC 1123 §2.1), whoever has said it.
pub fn host(text: &str) -> Option<crate::types::Host> {
    value::host(text)
}

/// Whether `option` (such as `--cert`) stands on the line, with or without a value, by this or another
/// name of its.
pub fn mentions(line: &str, option: &str) -> bool {
    line.split_ascii_whitespace().any(|word| {
        let name = word.split('=').next().unwrap_or(word);
        name == option || options::find(name).is_some_and(|found| found.name == option)
    })
}

/// Whether the line may hold a secret, so that it must not stand where `ps` shows it.
///
/// True for every option that takes a private key, a password or the like, unless its value is a plain
/// `file:` reference, and for base64 text anywhere, since a certificate's text may have the key in it.
pub fn holds_secret(line: &str) -> bool {
    line.contains("base64:") || !open_secrets(line).is_empty()
}

/// The options that take a private key, a password or the like, and whose values stand on the line
/// itself, by the names that the line has for them.
pub fn open_secrets(line: &str) -> Vec<&str> {
    let is_secret = |name: &str| {
        options::find(name).is_some_and(options::is_secret) || options::is_foreign_secret(name)
    };
    values(line)
        .filter(|(name, value)| is_secret(name) && !value.starts_with("file:"))
        .map(|(name, _)| name)
        .collect()
}

/// The files that the line's options name by `file:`, with the options' names, in the line's order;
/// each is a part of the line. A folder (`--hosts`) is among them.
pub fn files(line: &str) -> Vec<(&'static str, &str)> {
    values(line)
        .filter_map(|(name, value)| {
            let option = options::find(name).filter(|option| options::takes_file(option))?;
            Some((option.name, value.strip_prefix("file:")?))
        })
        .collect()
}

/// Every word that has a value behind a `=`, or another word that may be its value.
fn values(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut words = line.split_ascii_whitespace().peekable();
    core::iter::from_fn(move || {
        let word = words.next()?;
        let value = match word.split_once('=') {
            Some(parts) => Some(parts),
            None => words.peek().map(|next| (word, *next)),
        };
        Some(value)
    })
    .flatten()
}

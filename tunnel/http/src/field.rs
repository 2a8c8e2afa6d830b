//! Fields of a head: which are one hop's, which are ours, and how long the message is.

use alloc::vec::Vec;

use httparse::Header;

use crate::body::Framing;
use crate::{Fault, Refusal};

/// Fields that belong to one connection (RFC 9110 §7.6.1), whoever names them.
const HOP: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that no `Connection` may take away: they say what a message is, and to whom it may be
/// shown.
const KEPT: [&str; 9] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "range",
    "set-cookie",
];

/// What `Connection` says, and what else concerns this hop alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Names of further fields that are this hop's.
    named: Vec<Vec<u8>>,
}

impl Hop {
    /// Reads every `Connection` field.
    pub(crate) fn of(fields: &[Header<'_>]) -> Result<Hop, Fault> {
        let mut hop = Hop::default();
        for value in values(fields, "connection") {
            for option in list(value) {
                if option.is_empty() {
                    continue;
                }
                if !option.iter().copied().all(is_token) {
                    return Err(Fault::Connection);
                }
                if option.eq_ignore_ascii_case(b"close") {
                    hop.close = true;
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    hop.keep_alive = true;
                } else if option.eq_ignore_ascii_case(b"upgrade") {
                    hop.upgrade = true;
                } else {
                    hop.named.push(option.to_vec());
                }
            }
        }
        Ok(hop)
    }

    /// Whether a field ends here.
    pub(crate) fn ends(&self, name: &str) -> bool {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let named = |option: &Vec<u8>| option.eq_ignore_ascii_case(name.as_bytes());
        HOP.iter().any(|hop| is(hop))
            || self.named.iter().any(named) && !KEPT.iter().any(|kept| is(kept))
    }
}

/// The values of the fields of this name.
pub(crate) fn values<'a>(
    fields: &'a [Header<'a>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> + 'a {
    let named = fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| field.value)
}

/// The elements of a list (RFC 9110 §5.6.1), without the blanks around them.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trimmed)
}

/// Without blanks at its ends.
pub(crate) fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte));
    let end = value.iter().rposition(|byte| !is_blank(byte));
    match (start, end) {
        (Some(start), Some(end)) => value.get(start..=end).unwrap_or_default(),
        _ => &[],
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// How long the body is, as the fields say it; `None`: they say nothing.
pub(crate) fn framing(fields: &[Header<'_>]) -> Result<Option<Framing>, Refusal> {
    let mut lengths = values(fields, "content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Fault::Length.into());
    }
    let length = length.map(number).transpose()?;
    let mut encodings = values(fields, "transfer-encoding");
    let encoding = encodings.next();
    if encodings.next().is_some() {
        return Err(Fault::TransferEncoding.into());
    }
    match (encoding, length) {
        (None, length) => Ok(length.map(Framing::Length)),
        (Some(value), _) if !trimmed(value).eq_ignore_ascii_case(b"chunked") => {
            Err(Fault::TransferEncoding.into())
        }
        (Some(_), Some(_)) => Err(Fault::TwoLengths.into()),
        (Some(_), None) => Ok(Some(Framing::Chunked)),
    }
}

/// A number of bytes: digits, and nothing else.
pub(crate) fn number(value: &[u8]) -> Result<u64, Fault> {
    let value = trimmed(value);
    let digits = core::str::from_utf8(value).map_err(|_| Fault::Length)?;
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().map_err(|_| Fault::Length),
        false => Err(Fault::Length),
    }
}

/// Writes one field.
pub(crate) fn write(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes `Content-Length`.
pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    write_number(out, length, 10);
    out.extend_from_slice(b"\r\n");
}

/// Writes a number to the base 10 or 16, in lower case and without the formatter, which every message
/// would come by several times.
pub(crate) fn write_number(out: &mut Vec<u8>, number: u64, base: u64) {
    // As many digits as 2^64 - 1 has.
    let mut digits = [0; 20];
    let mut left = number;
    let mut count = 0;
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        // Less than sixteen.
        let value = (left % base) as u8;
        *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
        left /= base;
        count = place + 1;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - count..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_formatter_writes_them() {
        for number in [0, 9, 10, 15, 16, 255, 1024, 65_536, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number, 10);
            out.push(b' ');
            write_number(&mut out, number, 16);
            assert_eq!(out, alloc::format!("{number} {number:x}").as_bytes());
        }
    }
}

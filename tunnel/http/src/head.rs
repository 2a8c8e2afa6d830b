//! Where a head ends, and what all heads have to be.

use crate::{Fault, MAX_HEAD, Refusal};

/// The length of the head that these bytes begin with, its empty line included; `None`: it has not
/// come whole.
///
/// Every line must end with CR and LF: who takes LF alone for an end sees other lines than who does
/// not.
///
/// # Errors
///
/// A bare CR or LF, or more bytes than any head may have.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    // Empty lines before a request line are passed over (RFC 9112 §2.2), but only few of them.
    let mut blank = true;
    let mut line = 0;
    let mut before = 0;
    for (index, byte) in bytes.iter().enumerate().take(MAX_HEAD) {
        match (before, *byte) {
            (b'\r', b'\n') => {
                if line == 0 && !blank {
                    return Ok(Some(index + 1));
                }
                blank &= line == 0;
                if blank && index > 2 {
                    return Err(Fault::Syntax.into());
                }
                line = 0;
            }
            (b'\r', _) | (_, b'\n') => return Err(Fault::LineEnd.into()),
            (_, b'\r') => {}
            (_, 0) => return Err(Fault::Syntax.into()),
            _ => line += 1,
        }
        before = *byte;
    }
    match bytes.len() >= MAX_HEAD {
        true => Err(Refusal::TooLong),
        false => Ok(None),
    }
}

/// What httparse has made of a head, in our words.
pub(crate) fn judged<T>(result: httparse::Result<T>, head: &[u8]) -> Result<T, Refusal> {
    match result {
        Ok(httparse::Status::Complete(value)) => Ok(value),
        // The empty line is there.
        Ok(httparse::Status::Partial) => Err(Fault::Syntax.into()),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooLong),
        Err(httparse::Error::Version) if names_version(head) => Err(Refusal::Version),
        Err(_) => Err(Fault::Syntax.into()),
    }
}

/// Whether the first line has a version at all, where one has to be: last, or first.
fn names_version(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\r').next();
    let mut words = line.unwrap_or_default().split(|byte| *byte == b' ');
    let is_version = |word: Option<&[u8]>| word.is_some_and(|word| word.starts_with(b"HTTP/"));
    is_version(words.next()) || is_version(words.nth(1)) && words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_empty_line() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"[..], Ok(Some(27))),
            (b"\r\nGET / HTTP/1.1\r\n\r\n", Ok(Some(20))),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r", Ok(None)),
            (b"", Ok(None)),
            (b"\r\n", Ok(None)),
            (b"\r\n\r\nG", Err(Fault::Syntax.into())),
            (b"GET / HTTP/1.1\n", Err(Fault::LineEnd.into())),
            (b"GET / HTTP/1.1\r\nA: b\rc", Err(Fault::LineEnd.into())),
            (b"GET / HTTP/1.1\r\nA: b\n\r\n", Err(Fault::LineEnd.into())),
            (b"GET /\0 HTTP/1.1\r\n", Err(Fault::Syntax.into())),
        ] {
            assert_eq!(
                length(bytes),
                expected,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_head_has_its_bound() {
        let mut head = alloc::vec![b'a'; MAX_HEAD - 4];
        head.extend(b"\r\n\r\n");
        assert_eq!(length(&head), Ok(Some(MAX_HEAD)));
        head.insert(0, b'a');
        assert_eq!(length(&head), Err(Refusal::TooLong));
        assert_eq!(length(&head[..MAX_HEAD]), Err(Refusal::TooLong));
        assert_eq!(length(&head[..MAX_HEAD - 1]), Ok(None));
    }
    use alloc::string::ToString;
}

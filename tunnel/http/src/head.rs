//! Where a head ends, and what all heads have to be.

use crate::{Fault, MAX_HEAD, Refusal};

/// How far a head was looked through that has not come whole: what came first is not looked at again
/// whenever more comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Bytes of whole lines, and of the last line's part that ends none.
    seen: usize,
    /// Where the last line begins.
    line: usize,
    /// There was a line that is not empty.
    begun: bool,
}

impl Scan {
    /// The length of the head that these bytes begin with, its empty line included; `None`: it has
    /// not come whole. They are those of the last call, and more or fewer behind.
    ///
    /// Every line must end with CR and LF: who takes LF alone for an end sees other lines than who
    /// does not.
    ///
    /// # Errors
    ///
    /// A bare CR or LF, or more bytes than any head may have.
    pub(crate) fn length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let head = bytes.get(..bytes.len().min(MAX_HEAD)).unwrap_or_default();
        while let Some(rest) = head.get(self.seen..) {
            let Some(place) = special(rest) else {
                self.seen = head.len();
                break;
            };
            let end = self.seen + place;
            match rest.get(place..).unwrap_or_default() {
                [b'\r'] => {
                    self.seen = end;
                    break;
                }
                [b'\r', b'\n', ..] => {}
                [0, ..] => return Err(Fault::Syntax.into()),
                _ => return Err(Fault::LineEnd.into()),
            }
            let is_empty = end == self.line;
            self.seen = end + 2;
            self.line = self.seen;
            if is_empty && self.begun {
                return Ok(Some(self.seen));
            }
            self.begun |= !is_empty;
            // An empty line before a request line is passed over (RFC 9112 §2.2), but one only.
            if !self.begun && self.seen > 2 {
                return Err(Fault::Syntax.into());
            }
        }
        match bytes.len() >= MAX_HEAD {
            true => Err(Refusal::TooLong),
            false => Ok(None),
        }
    }
}

/// Where the first byte is that may end a line, or that no head may have.
fn special(bytes: &[u8]) -> Option<usize> {
    // The compiler makes a few instructions of each sixteen.
    let has_none = |bytes: &[u8; 16]| bytes.iter().fold(true, |none, byte| none & (*byte > b'\r'));
    let (chunks, _) = bytes.as_chunks();
    let chunks = chunks.iter().take_while(|chunk| has_none(chunk)).count();
    let rest = bytes.get(chunks * 16..)?;
    let place = rest
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n' | 0))?;
    Some(chunks * 16 + place)
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
    use alloc::string::ToString;

    use super::*;

    fn length(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        Scan::default().length(bytes)
    }

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

    /// Heads and what are none, with long and short lines.
    const MANY: [&[u8]; 9] = [
        b"GET /a/rather/long/target/of/a/request HTTP/1.1\r\nHost: a\r\n\r\nrest",
        b"\r\nGET / HTTP/1.1\r\nA:\tb\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nAccept-Language: en-US,en;q=0.5\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\nAccept-Language: en-\0US\r\n\r\n",
        b"\n\r\n",
        b"\r\r\n\r\n",
        b"\x80\xff\x0b\x0e\r\n\x01\r\n\r\n",
    ];

    #[test]
    fn a_head_in_pieces_is_judged_as_a_whole_one() {
        for bytes in MANY {
            for step in 1..bytes.len() {
                let mut scan = Scan::default();
                let mut last = Ok(None);
                for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                    last = scan.length(&bytes[..end]);
                    if last != Ok(None) {
                        break;
                    }
                    // Of what lies around a buffer's end, less may be shown than before.
                    assert_eq!(scan.length(&bytes[..end / 2]), Ok(None));
                }
                let text = bytes.escape_ascii().to_string();
                assert_eq!(last, length(bytes), "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn nothing_is_looked_at_twice() {
        let mut scan = Scan::default();
        assert_eq!(scan.length(b"GET / HTTP/1.1\r\nA"), Ok(None));
        // What was judged is not judged again.
        assert_eq!(
            scan.length(b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\nb\r\n\r\n"),
            Ok(Some(22))
        );
    }
}

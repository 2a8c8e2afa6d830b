//! One end of a connection, as a dialect sees it.

use alloc::vec::Vec;

use super::{End, Fault, Progress, WINDOW};

/// Bytes that wait, and room for an answer.
pub struct Wire<'a> {
    end: End,
    input: &'a [u8],
    taken: usize,
    ended: bool,
    output: &'a mut Vec<u8>,
}

impl<'a> Wire<'a> {
    /// `input` waits, at most [`WINDOW`] bytes of it; the peer has `ended` its direction behind
    /// them. What is sent is put behind `output`.
    pub fn new(end: End, input: &'a [u8], ended: bool, output: &'a mut Vec<u8>) -> Wire<'a> {
        Wire {
            end,
            input,
            taken: 0,
            ended,
            output,
        }
    }

    /// Which end it is.
    pub fn end(&self) -> End {
        self.end
    }

    /// What waits and is not taken.
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.taken..).unwrap_or_default()
    }

    /// Whether nothing more will come behind what waits.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many bytes were taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Takes `count` bytes, if so many are there.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.rest().get(..count)?;
        self.taken += count;
        Some(bytes)
    }

    /// Takes bytes of a number that is known.
    pub fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Takes a line, once it is whole, and gives it without its end (CR LF, or LF alone).
    ///
    /// # Errors
    /// It is longer than `limit` bytes, or than [`WINDOW`].
    pub fn line(&mut self, limit: usize) -> Result<Option<&'a [u8]>, Fault> {
        let limit = limit.min(WINDOW - 1);
        let rest = self.rest();
        let seen = rest.get(..limit + 1).unwrap_or(rest);
        let Some(length) = seen.iter().position(|byte| *byte == b'\n') else {
            return match rest.len() > limit {
                true => Err(Fault::new(self.end, "The line is too long")),
                false => Ok(None),
            };
        };
        self.taken += length + 1;
        let line = rest.get(..length).unwrap_or_default();
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// More has to come.
    ///
    /// # Errors
    /// Nothing will: the peer has ended its direction.
    pub fn more(&self) -> Result<Progress, Fault> {
        match self.ended {
            true => Err(Fault::new(self.end, "Unexpected socket close")),
            false => Ok(Progress::Wait),
        }
    }

    /// Nothing may wait any more, as TLS begins now.
    ///
    /// # Errors
    /// Something does.
    pub fn refuse_early(&self) -> Result<(), Fault> {
        match self.rest() {
            [] => Ok(()),
            _ => Err(Fault::new(
                self.end,
                "Data arrived in the clear where TLS begins",
            )),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Sends a line of these pieces, and its end (CR LF).
    pub fn send_line(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.send(piece);
        }
        self.send(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn wire<'a>(input: &'a [u8], output: &'a mut Vec<u8>) -> Wire<'a> {
        Wire::new(End::Client, input, false, output)
    }

    #[test]
    fn lines_are_taken_when_they_are_whole() {
        let mut output = Vec::new();
        let mut wire = wire(b"one\r\ntwo\n\r\nthr\ree", &mut output);
        for expected in [&b"one"[..], b"two", b""] {
            assert_eq!(wire.line(10), Ok(Some(expected)));
        }
        assert_eq!(wire.line(10), Ok(None));
        assert_eq!(wire.rest(), b"thr\ree");
        assert_eq!(wire.taken(), 11);
    }

    #[test]
    fn lines_have_a_limit_whether_whole_or_not() {
        let mut output = Vec::new();
        let mut check = |input: &[u8], limit| wire(input, &mut output).line(limit).is_ok();
        assert!(check(b"12345", 5));
        assert!(check(b"1234\r\n", 5));
        assert!(!check(b"123456", 5));
        assert!(!check(b"123456\n", 5));
        assert!(!check(&vec![b'x'; WINDOW], usize::MAX));
    }

    #[test]
    fn bytes_are_taken_together_or_not_at_all() {
        let mut output = Vec::new();
        let mut wire = wire(b"abcde", &mut output);
        assert_eq!(wire.take_array(), Some(*b"abc"));
        assert_eq!(wire.take(3), None);
        assert_eq!(wire.take(2), Some(&b"de"[..]));
        assert_eq!(wire.refuse_early(), Ok(()));
    }

    #[test]
    fn nothing_more_comes_from_an_end_that_has_ended() {
        let more = |ended| Wire::new(End::Backend, b"x", ended, &mut Vec::new()).more();
        assert_eq!(more(false), Ok(Progress::Wait));
        assert_eq!(more(true).unwrap_err().end, End::Backend);
    }

    #[test]
    fn what_waits_where_tls_begins_is_refused() {
        let mut output = Vec::new();
        let fault = wire(b"x", &mut output).refuse_early().unwrap_err();
        assert_eq!(fault.end, End::Client);
    }

    #[test]
    fn lines_are_sent_with_their_ends() {
        let mut output = Vec::new();
        let mut wire = wire(b"", &mut output);
        wire.send_line(&[b"a", b" b"]);
        wire.send(b"c");
        assert_eq!(output, b"a b\r\nc");
    }
}

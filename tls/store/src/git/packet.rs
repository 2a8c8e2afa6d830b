//! Packets: a line's length in four hexadecimal digits, then the line (gitprotocol-common(5),
//! "pkt-line Format").

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Error;

/// Most bytes of a packet, its length included.
const MOST: usize = 65_520;

/// Bytes of a length.
const LENGTH: usize = 4;

/// What stands between parts of a conversation.
pub(super) const FLUSH: &[u8] = b"0000";

/// A packet.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// The end of a part.
    Flush,
    /// A line, with its end if it has one.
    Line(Vec<u8>),
}

/// Bytes as they come, and the packets that they make.
#[derive(Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
    /// How many of them have been taken.
    taken: usize,
}

impl Packets {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next packet, once all of it is there. What a server says is wrong (`ERR`) is an error.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Error> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((length, rest)) = rest.split_at_checked(LENGTH) else {
            return Ok(None);
        };
        let length = length_of(length)?;
        if length == 0 {
            self.taken += LENGTH;
            return Ok(Some(Packet::Flush));
        }
        let Some(line) = rest.get(..length - LENGTH) else {
            return Ok(None);
        };
        if let Some(text) = line.strip_prefix(b"ERR ") {
            return Err(Error::Server(words(text)));
        }
        let line = line.to_vec();
        self.taken += length;
        Ok(Some(Packet::Line(line)))
    }

    /// Makes sure that all that has come was taken.
    pub(super) fn expect_end(&self) -> Result<(), Error> {
        match self.taken < self.bytes.len() {
            true => Err(Error::Unexpected("the end")),
            false => Ok(()),
        }
    }
}

/// 0, or 4 and more.
fn length_of(digits: &[u8]) -> Result<usize, Error> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Error::Packet);
    }
    let text = core::str::from_utf8(digits).map_err(|_| Error::Packet)?;
    match usize::from_str_radix(text, 16) {
        Ok(length @ (0 | LENGTH..=MOST)) => Ok(length),
        _ => Err(Error::Packet),
    }
}

/// A line as a packet.
pub(super) fn packet(line: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", line.len() + LENGTH).into_bytes();
    packet.extend_from_slice(line);
    packet
}

/// Most letters of a server's words that are kept.
const WORDS: usize = 400;

/// What a server says, as it may stand in a log: one line, without control characters.
pub(crate) fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    let letters = text.chars().take(WORDS);
    letters
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_whatever_the_pieces() {
        let stream = b"0006a\n00000004000bfoobar\n";
        let expected = [
            Packet::Line(b"a\n".to_vec()),
            Packet::Flush,
            Packet::Line(Vec::new()),
            Packet::Line(b"foobar\n".to_vec()),
        ];
        for size in 1..=stream.len() {
            let mut packets = Packets::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                packets.push(piece);
                while let Some(packet) = packets.next().unwrap() {
                    seen.push(packet);
                }
            }
            assert_eq!(seen, expected, "pieces of {size}");
            assert_eq!(packets.expect_end(), Ok(()));
        }
        assert_eq!(packet(b"a\n"), b"0006a\n");
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for bytes in [
            b"0001", b"0002", b"0003", b"fff1", b"ffff", b"+00a", b" 00a", b"00g0",
        ] {
            let mut packets = Packets::default();
            packets.push(bytes);
            assert_eq!(packets.next(), Err(Error::Packet), "{bytes:?}");
        }
    }

    #[test]
    fn a_server_s_complaint_is_one_line() {
        let mut packets = Packets::default();
        packets.push(&packet(b"ERR access\x1b[2J denied\nor not\n"));
        let error = packets.next().unwrap_err();
        assert_eq!(error, Error::Server("access [2J denied or not".into()));
    }
}

//! What is written on a connection, made so that every byte that is read can be judged at once.

use super::plan::HEADER;
use super::random::Random;

/// What one side writes: its number and length in eight bytes, then pseudo-random bytes that
/// depend on the number alone.
#[derive(Clone, Debug)]
pub struct Writing {
    length: usize,
    written: usize,
    stream: ByteStream,
}

/// What one side reads, checked against what the other side must have written.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    header: Vec<u8>,
    read: usize,
    stream: Option<ByteStream>,
}

/// The endless content of one writer.
#[derive(Clone, Debug)]
struct ByteStream {
    header: [u8; HEADER],
    at: usize,
    random: Random,
    word: [u8; 8],
}

impl ByteStream {
    fn new(number: u32, length: usize) -> ByteStream {
        let length = u32::try_from(length).expect("lengths are small");
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&number.to_be_bytes());
        header[4..].copy_from_slice(&length.to_be_bytes());
        ByteStream {
            header,
            at: 0,
            random: Random::new(number.into()),
            word: [0; 8],
        }
    }

    fn next(&mut self) -> u8 {
        let at = self.at;
        self.at += 1;
        if at < HEADER {
            return self.header[at];
        }
        if at.is_multiple_of(8) {
            self.word = self.random.next().to_le_bytes();
        }
        self.word[at % 8]
    }
}

impl Writing {
    /// The writing of side `number`, `length` bytes in all: none, or at least a header.
    pub fn new(number: u32, length: usize) -> Writing {
        Writing {
            length,
            written: 0,
            stream: ByteStream::new(number, length),
        }
    }

    /// The next bytes, at most `most`; they count as written.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.length - self.written);
        self.written += count;
        (0..count).map(|_| self.stream.next()).collect()
    }

    /// Bytes taken so far.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Whether everything has been taken.
    pub fn is_over(&self) -> bool {
        self.written == self.length
    }
}

impl Judge {
    /// Takes bytes that were read.
    ///
    /// # Errors
    /// They are not what their writer wrote: says where.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        for byte in bytes {
            let at = self.read;
            self.read += 1;
            if self.header.len() < HEADER {
                self.header.push(*byte);
                if self.header.len() == HEADER {
                    let (number, length) = self.announced().expect("the header is complete");
                    let mut stream = ByteStream::new(number, length as usize);
                    stream.at = HEADER;
                    self.stream = Some(stream);
                }
                continue;
            }
            let expect = self.stream.as_mut().expect("made with the header").next();
            if *byte != expect {
                return Err(format!(
                    "byte {at} is {byte:#04x} and should be {expect:#04x}, from {:?}",
                    self.announced()
                ));
            }
        }
        Ok(())
    }

    /// Bytes read so far.
    pub fn count(&self) -> usize {
        self.read
    }

    /// The writer's number, once its header is here.
    pub fn writer(&self) -> Option<u32> {
        self.announced().map(|(number, _)| number)
    }

    fn announced(&self) -> Option<(u32, u32)> {
        let (number, length) = self.header.split_first_chunk::<4>()?;
        let length = length.first_chunk::<4>()?;
        Some((u32::from_be_bytes(*number), u32::from_be_bytes(*length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Vec<u8>), right: bool) {
        let mut bytes = Writing::new(5, 1000).take(1000);
        change(&mut bytes);
        let mut judge = Judge::default();
        let pieces: Result<Vec<()>, String> =
            bytes.chunks(13).map(|piece| judge.read(piece)).collect();
        assert_eq!(pieces.is_ok(), right);
    }

    #[test]
    fn only_a_prefix_of_what_was_written_is_right() {
        check(|_| {}, true);
        check(|bytes| bytes.truncate(700), true);
        check(|bytes| drop(bytes.remove(500)), false);
        check(|bytes| bytes.insert(500, 0), false);
        check(|bytes| bytes.swap(100, 200), false);
        check(|bytes| bytes[999] ^= 1, false);
        check(|bytes| bytes[1] ^= 1, false);
    }

    #[test]
    fn a_judge_knows_who_wrote() {
        let mut judge = Judge::default();
        judge.read(&Writing::new(77, 20).take(7)).unwrap();
        assert_eq!(judge.writer(), None);
        judge.read(&Writing::new(77, 20).take(8)[7..]).unwrap();
        assert_eq!((judge.writer(), judge.count()), (Some(77), 8));
    }
}

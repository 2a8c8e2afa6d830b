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
    random: Random,
    /// The word that is being given out, and how many of its bytes have been.
    word: [u8; 8],
    used: usize,
}

impl ByteStream {
    /// The header is the first word.
    fn new(number: u32, length: usize) -> ByteStream {
        let length = u32::try_from(length).expect("lengths are small");
        let mut word = [0; HEADER];
        word[..4].copy_from_slice(&number.to_be_bytes());
        word[4..].copy_from_slice(&length.to_be_bytes());
        ByteStream {
            random: Random::new(number.into()),
            word,
            used: 0,
        }
    }

    fn next(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + self.word.len());
        while bytes.len() < count {
            if self.used == self.word.len() {
                self.word = self.random.next().to_le_bytes();
                self.used = 0;
            }
            let some = (count - bytes.len()).min(self.word.len() - self.used);
            bytes.extend_from_slice(&self.word[self.used..self.used + some]);
            self.used += some;
        }
        bytes
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
        self.stream.next(count)
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
        let missing = (HEADER - self.header.len()).min(bytes.len());
        let (header, bytes) = bytes.split_at(missing);
        self.header.extend_from_slice(header);
        self.read += missing;
        let Some((number, length)) = self.announced() else {
            return Ok(());
        };
        let stream = self.stream.get_or_insert_with(|| {
            let mut stream = ByteStream::new(number, length as usize);
            stream.next(HEADER);
            stream
        });
        let expect = stream.next(bytes.len());
        if let Some(at) = (0..bytes.len()).find(|at| bytes[*at] != expect[*at]) {
            return Err(format!(
                "byte {} is {:#04x} and should be {:#04x}, of party {number} which wrote {length}",
                self.read + at,
                bytes[at],
                expect[at]
            ));
        }
        self.read += bytes.len();
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
        check(|bytes| bytes.truncate(3), true);
        check(
            |bytes| {
                bytes.remove(500);
            },
            false,
        );
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

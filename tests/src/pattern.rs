//! Reproducible bytes of any length, and their SHA-256.

use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256};

/// An endless-looking stream of pseudo-random bytes that depends on its seed alone.
///
/// Both ends of a transfer can make the same bytes and compare digests. The generator is
/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators"): it only
/// has to make lost, repeated and swapped pieces visible.
pub struct Pattern {
    state: u64,
    remaining: u64,
    word: [u8; 8],
    used: usize,
}

impl Pattern {
    /// The first `length` bytes of the stream named by `seed`.
    pub fn new(seed: u64, length: u64) -> Pattern {
        Pattern {
            // The state must not be zero; the odd constant spreads small seeds over all bits.
            state: (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            remaining: length,
            word: [0; 8],
            used: 8,
        }
    }

    /// All of the bytes at once.
    pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        let filled = Pattern::new(seed, length as u64).fill(&mut out);
        debug_assert_eq!(filled, length);
        out
    }

    /// SHA-256 of the first `length` bytes of the stream named by `seed`, in lower-case hex.
    pub fn digest(seed: u64, length: u64) -> String {
        let mut hasher = Hasher::default();
        io::copy(&mut Pattern::new(seed, length), &mut hasher).expect("memory does not fail");
        hasher.finish().digest
    }

    fn fill(&mut self, out: &mut [u8]) -> usize {
        let length = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(out.len());
        let mut rest = &mut out[..length];
        while !rest.is_empty() {
            if self.used == self.word.len() {
                self.word = self.next_word().to_le_bytes();
                self.used = 0;
            }
            let take = rest.len().min(self.word.len() - self.used);
            let (now, later) = rest.split_at_mut(take);
            now.copy_from_slice(&self.word[self.used..self.used + take]);
            self.used += take;
            rest = later;
        }
        self.remaining -= length as u64;
        length
    }

    fn next_word(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

impl Read for Pattern {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(self.fill(out))
    }
}

/// How many bytes came, and their SHA-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Number of bytes.
    pub length: u64,
    /// SHA-256 of the bytes, lower-case hex.
    pub digest: String,
}

impl Sum {
    /// The sum of the first `length` bytes of the pattern named by `seed`.
    pub fn of_pattern(seed: u64, length: u64) -> Sum {
        Sum {
            length,
            digest: Pattern::digest(seed, length),
        }
    }
}

/// Counts and hashes what is written to it.
pub struct Hasher {
    length: u64,
    hash: Context,
}

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher {
            length: 0,
            hash: Context::new(&SHA256),
        }
    }
}

impl Hasher {
    /// The sum of everything written.
    pub fn finish(self) -> Sum {
        Sum {
            length: self.length,
            digest: hex(self.hash.finish().as_ref()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.hash.update(data);
        self.length += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_however_it_is_read() {
        let whole = Pattern::bytes(7, 1000);
        let mut pieces = Vec::new();
        let mut pattern = Pattern::new(7, 1000);
        let mut piece = [0; 13];
        loop {
            let length = pattern.read(&mut piece).unwrap();
            if length == 0 {
                break;
            }
            pieces.extend_from_slice(&piece[..length]);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn seeds_give_different_patterns() {
        assert_ne!(Pattern::bytes(0, 64), Pattern::bytes(1, 64));
        assert_ne!(Pattern::bytes(1, 64), Pattern::bytes(2, 64));
    }

    /// FIPS 180-4's digest of nothing.
    #[test]
    fn the_sum_of_nothing_is_the_empty_digest() {
        assert_eq!(
            Sum::of_pattern(3, 0),
            Sum {
                length: 0,
                digest: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
            }
        );
    }
}

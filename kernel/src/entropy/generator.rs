//! A ChaCha20 generator with fast key erasure.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// Bytes of a key and of a seed.
pub const SEED: usize = 32;

/// A deterministic generator: the same seeds and requests give the same output.
///
/// Each request is answered from a fresh ChaCha20 stream, whose first bytes replace the key:
/// whoever reads the state later cannot compute what was given out before ("fast key erasure").
pub struct Generator {
    key: [u8; SEED],
}

impl Generator {
    /// A generator with a key of zeroes, useless until [`Generator::mix`].
    pub fn new() -> Generator {
        Generator { key: [0; SEED] }
    }

    /// Mixes a seed into the key: the new key is unknown to whoever lacks either of the two.
    pub fn mix(&mut self, seed: &[u8; SEED]) {
        for (byte, fresh) in self.key.iter_mut().zip(seed) {
            *byte ^= fresh;
        }
        // Without this, a seed that is mixed twice would cancel itself out.
        self.fill(&mut []);
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(seeds: &[[u8; SEED]], length: usize) -> Vec<u8> {
        let mut generator = Generator::new();
        seeds.iter().for_each(|seed| generator.mix(seed));
        let mut bytes = vec![0; length];
        generator.fill(&mut bytes);
        bytes
    }

    /// The first ChaCha20 block for a key and nonce of zeroes, block counter 0 (RFC 8439 A.1,
    /// test vector 1).
    const ZERO_BLOCK: [u8; 64] = [
        0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd,
        0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77,
        0x0d, 0xc7, 0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8,
        0xd8, 0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69,
        0xb2, 0xee, 0x65, 0x86,
    ];

    #[test]
    fn the_stream_is_chacha20_and_its_start_becomes_the_key() {
        let mut generator = Generator::new();
        let mut bytes = [0; 32];
        generator.fill(&mut bytes);
        assert_eq!(generator.key, ZERO_BLOCK[..SEED]);
        assert_eq!(bytes, ZERO_BLOCK[SEED..]);
    }

    #[test]
    fn lengths_of_every_kind_are_filled() {
        let longest = output(&[[7; SEED]], 5_000);
        for length in [0, 1, 31, 32, 33, 223, 224, 225, 1024, 4_999] {
            assert_eq!(output(&[[7; SEED]], length), longest[..length]);
        }
        assert!(
            longest
                .chunks(64)
                .all(|part| part.iter().any(|&byte| byte != 0))
        );
    }

    #[test]
    fn no_two_requests_get_the_same() {
        let mut generator = Generator::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let mut bytes = [0; 16];
            generator.fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
    }

    #[test]
    fn every_seed_counts_and_so_does_their_order() {
        let (one, two) = ([1; SEED], [2; SEED]);
        let outputs = [
            output(&[one], 64),
            output(&[two], 64),
            output(&[one, two], 64),
            output(&[two, one], 64),
            output(&[one, one], 64),
            output(&[], 64),
        ];
        for (index, output) in outputs.iter().enumerate() {
            assert!(!outputs[..index].contains(output), "{index}");
        }
    }
}

//! Bytes from a seed, for tests: the same ones in every run.

use alloc::vec::Vec;

/// A SplitMix64 generator; any seed will do.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// `seed` with up to four bytes changed, and cut somewhere.
    pub(super) fn spoil(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..self.below(5) {
            let at = self.below(bytes.len());
            bytes[at] = self.next() as u8;
        }
        bytes.truncate(self.below(bytes.len() + 1));
        bytes
    }
}

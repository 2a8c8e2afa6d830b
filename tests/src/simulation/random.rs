//! Numbers that depend on a seed alone.

use std::ops::RangeInclusive;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
///
/// Written out here because a seed must mean the same run whatever a library's next version does.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator that `seed` names.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A generator of its own for `purpose`: what one part of a run draws does not change another.
    pub fn fork(seed: u64, purpose: &str, number: u64) -> Random {
        let mut random = Random(seed ^ number.rotate_left(32));
        for byte in purpose.bytes() {
            random.0 = random.next() ^ u64::from(byte);
        }
        random.next();
        random
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: bias below 2^-32 for the small bounds that are used here.
        let wide = u128::from(self.next()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// A number in `range`.
    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let span = (range.end() - range.start()) as u64 + 1;
        range.start() + self.below(span) as usize
    }

    /// Whether something happens that happens `count` times in `of`.
    pub fn happens(&mut self, count: u64, of: u64) -> bool {
        self.below(of) < count
    }

    /// A time up to `most`, in microseconds.
    pub fn time(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64 + 1))
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A size from 1 to `most` in which every order of magnitude is as likely as the next.
    pub fn size(&mut self, most: usize) -> usize {
        let bits = most.max(1).ilog2() + 1;
        let top = 1_usize << self.below(u64::from(bits));
        (top + self.below(top as u64) as usize).min(most)
    }

    /// Bytes of no meaning.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 7);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's first numbers for seed 1234567.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::new(1);
        let drawn: Vec<usize> = (0..1000).map(|_| random.within(3..=5)).collect();
        assert_eq!(drawn.iter().min(), Some(&3));
        assert_eq!(drawn.iter().max(), Some(&5));
        let sizes: Vec<usize> = (0..1000).map(|_| random.size(1000)).collect();
        assert!(sizes.iter().all(|size| (1..=1000).contains(size)));
        assert!(sizes.iter().any(|size| *size < 8) && sizes.iter().any(|size| *size > 500));
    }

    #[test]
    fn forks_differ_by_seed_purpose_and_number() {
        let first = |seed, purpose, number| Random::fork(seed, purpose, number).next();
        let base = first(1, "link", 0);
        assert_eq!(base, first(1, "link", 0));
        assert_ne!(base, first(2, "link", 0));
        assert_ne!(base, first(1, "clients", 0));
        assert_ne!(base, first(1, "link", 1));
    }
}

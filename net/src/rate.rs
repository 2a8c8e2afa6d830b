//! Bounds on what strangers can make us send or log.

use crate::Instant;

/// A token bucket.
pub(crate) struct Bucket {
    per_second: u64,
    burst: u64,
    /// Millionths of a token.
    filled: u64,
    since: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u64, burst: u64) -> Bucket {
        Bucket {
            per_second,
            burst,
            filled: burst.saturating_mul(1_000_000),
            since: Instant::ZERO,
        }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.as_micros().saturating_sub(self.since.as_micros());
        self.since = self.since.max(now);
        self.filled = elapsed
            .saturating_mul(self.per_second)
            .saturating_add(self.filled)
            .min(self.burst.saturating_mul(1_000_000));
        match self.filled.checked_sub(1_000_000) {
            Some(left) => {
                self.filled = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn burst_then_rate() {
        let mut bucket = Bucket::new(10, 3);
        let mut taken = |now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(Instant::ZERO), 3);
        assert_eq!(taken(Instant::ZERO + Duration::from_millis(100)), 1);
        assert_eq!(taken(Instant::ZERO + Duration::from_millis(50)), 0);
        assert_eq!(taken(Instant::ZERO + Duration::from_secs(100)), 3);
    }
}

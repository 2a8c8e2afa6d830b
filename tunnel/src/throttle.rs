//! Log lines that peers can provoke, kept to a rate that a serial console can take.

use core::time::Duration;

use net::Instant;

/// Lines written at once after a quiet time.
const BURST: u32 = 20;

/// Time that earns one more line.
const REFILL: Duration = Duration::from_millis(200);

/// A token bucket over log lines: [`BURST`] at once, then one every [`REFILL`].
#[derive(Debug)]
pub(crate) struct Throttle {
    tokens: u32,
    refilled: Instant,
    suppressed: u64,
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            tokens: BURST,
            refilled: now,
            suppressed: 0,
        }
    }

    /// Whether a line may be written now: `Some` with the number of lines left out before it.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        let earned = now.saturating_duration_since(self.refilled).as_micros() / REFILL.as_micros();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
        if self.tokens == 0 {
            self.suppressed += 1;
            return None;
        }
        self.tokens -= 1;
        Some(core::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_burst_and_counted() {
        let mut throttle = Throttle::new(Instant::ZERO);
        let written = (0..100)
            .filter(|_| throttle.admit(Instant::ZERO).is_some())
            .count();
        assert_eq!(written, 20);
        let later = Instant::ZERO + REFILL;
        assert_eq!(throttle.admit(later), Some(80));
        assert_eq!(throttle.admit(later), None);
    }

    #[test]
    fn a_quiet_time_earns_no_more_than_the_burst() {
        let mut throttle = Throttle::new(Instant::ZERO);
        let later = Instant::ZERO + Duration::from_secs(3600);
        let written = (0..100).filter(|_| throttle.admit(later).is_some()).count();
        assert_eq!(written, 20);
    }
}

//! The stack's clock.

use core::ops::Add;
use core::time::Duration;

/// A point on the machine's monotonic clock: microseconds since power-on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Power-on.
    pub const ZERO: Instant = Instant(0);

    /// The instant `micros` microseconds after power-on.
    pub const fn from_micros(micros: u64) -> Instant {
        Instant(micros)
    }

    /// Microseconds since power-on.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time from `earlier` until `self`; zero when `earlier` is the later one.
    pub const fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the end of time (585,000 years).
    fn add(self, duration: Duration) -> Instant {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(micros))
    }
}

impl From<Instant> for smoltcp::time::Instant {
    fn from(instant: Instant) -> Self {
        Self::from_micros(i64::try_from(instant.0).unwrap_or(i64::MAX))
    }
}

impl From<smoltcp::time::Instant> for Instant {
    /// Instants before power-on (smoltcp uses zero for "at once") become power-on.
    fn from(instant: smoltcp::time::Instant) -> Self {
        Instant(u64::try_from(instant.total_micros()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Instant::from_micros(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::ZERO.saturating_duration_since(end), Duration::ZERO);
        let later = Instant::from_micros(5) + Duration::from_millis(1);
        assert_eq!(later.as_micros(), 1005);
        assert_eq!(
            later.saturating_duration_since(Instant::from_micros(5)),
            Duration::from_millis(1)
        );
    }

    #[test]
    fn converts_to_smoltcp_and_back() {
        let instant = Instant::from_micros(1_234_567);
        let there = smoltcp::time::Instant::from(instant);
        assert_eq!(Instant::from(there), instant);
        assert_eq!(
            Instant::from(smoltcp::time::Instant::from_micros(-1i64)),
            Instant::ZERO
        );
    }
}

//! Time: a monotonic clock since power-on, and the wall clock.

mod calibrate;
mod date;
mod kvm;
mod rtc;

use core::fmt;
use core::time::Duration;

use crate::cpu;
use crate::once::OneAtATime;
pub(crate) use date::Date;
use kvm::KvmClock;

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;
/// A counter that says more than this at boot was not started at power-on: then the clock counts
/// from boot.
const PLAUSIBLE_BOOT: Duration = Duration::from_secs(60);

/// The machine's clocks. Cheap to copy and to read.
#[derive(Clone, Copy)]
pub struct Clock {
    source: Source,
    /// Unix time at the monotonic clock's zero; `None` when the machine has no wall clock.
    epoch: Option<Duration>,
}

#[derive(Clone, Copy)]
enum Source {
    /// The time-stamp counter alone.
    Counter { zero: u64, scale: Scale },
    /// The time-stamp counter with what KVM says about it, which holds across migrations.
    Kvm(&'static KvmClock),
}

/// Where the clock's rate comes from; displays as words for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The caller stated the frequency.
    Given,
    /// KVM's paravirtual clock.
    KvmClock,
    /// CPUID leaf 0x40000010 (hypervisors) or 0x15 (processors).
    Cpuid,
    /// Measured against the programmable interval timer.
    Pit,
    /// Measured against the local APIC's timer, assumed to run at QEMU's 1 GHz.
    LocalApic,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reference::Given => "frequency given",
            Reference::KvmClock => "kvmclock",
            Reference::Cpuid => "frequency from CPUID",
            Reference::Pit => "measured against the PIT",
            Reference::LocalApic => "measured against the local APIC at 1 GHz",
        })
    }
}

/// The machine has nothing that tells how fast its time-stamp counter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReference;

impl fmt::Display for NoReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no clock: neither kvmclock, CPUID, PIT nor local APIC tells the time-stamp counter's rate (drop pit=off from -machine)"
        )
    }
}

impl core::error::Error for NoReference {}

impl Clock {
    /// Finds the machine's clocks. `frequency`: the counter's rate in Hz, when the caller knows
    /// better than the machine.
    ///
    /// Takes up to some tens of milliseconds where the rate must be measured. The local APIC must
    /// be mapped and on.
    pub fn start(frequency: Option<u64>) -> Result<(Clock, Reference), NoReference> {
        let (source, reference) = match (frequency, KvmClock::start()) {
            (Some(hertz), _) => (counter(hertz), Reference::Given),
            (None, Some(clock)) => (Source::Kvm(clock), Reference::KvmClock),
            (None, None) => {
                let (hertz, reference) = calibrate::frequency().ok_or(NoReference)?;
                (counter(hertz), reference)
            }
        };
        let mut clock = Clock {
            source,
            epoch: None,
        };
        clock.epoch = kvm::wall_clock_at_boot().or_else(|| {
            let seconds = rtc::unix_time()?;
            Duration::from_secs(seconds).checked_sub(clock.now())
        });
        LOG_CLOCK.try_with(|slot| *slot = Some(clock));
        Ok((clock, reference))
    }

    /// Time since power-on. Never goes backwards.
    #[inline]
    pub fn now(&self) -> Duration {
        match self.source {
            Source::Counter { zero, scale } => {
                Duration::from_nanos(scale.nanoseconds(cpu::timestamp().saturating_sub(zero)))
            }
            Source::Kvm(clock) => clock.now(),
        }
    }

    /// Seconds since 1970-01-01 00:00 UTC, or `None` when the machine has no wall clock.
    pub fn unix_time(&self) -> Option<u64> {
        Some((self.epoch? + self.now()).as_secs())
    }
}

/// The time-stamp counter as a clock that began at power-on, when that is plausible.
fn counter(hertz: u64) -> Source {
    let scale = Scale::from_hertz(hertz);
    let now = cpu::timestamp();
    let zero = match Duration::from_nanos(scale.nanoseconds(now)) < PLAUSIBLE_BOOT {
        true => 0,
        false => now,
    };
    Source::Counter { zero, scale }
}

/// From counter ticks to nanoseconds: a multiplication and a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    /// Nanoseconds a tick, in units of 2^-32.
    multiplier: u64,
}

impl Scale {
    fn from_hertz(hertz: u64) -> Scale {
        let multiplier = (u128::from(NANOS) << 32) / u128::from(hertz.max(1));
        Scale {
            multiplier: multiplier as u64,
        }
    }

    #[inline]
    fn nanoseconds(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.multiplier)) >> 32) as u64
    }
}

/// The logger's copy of the clock.
static LOG_CLOCK: OneAtATime<Option<Clock>> = OneAtATime::new(None);

/// Unix seconds for the log; `None` until a clock has started, or when there is no wall clock.
pub(crate) fn log_time() -> Option<u64> {
    LOG_CLOCK
        .try_with(|slot| slot.as_ref().and_then(Clock::unix_time))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let scale = Scale::from_hertz(1_000_000_000);
        assert_eq!(scale.nanoseconds(12_345), 12_345);
        let scale = Scale::from_hertz(2_500_000_000);
        assert_eq!(scale.nanoseconds(5_000), 1_999);
        // A year of a 3.7 GHz counter: off by less than a millisecond.
        let scale = Scale::from_hertz(3_700_000_000);
        let year = 365 * 86_400;
        let error = scale
            .nanoseconds(3_700_000_000 * year)
            .abs_diff(NANOS * year);
        assert!(error < year * 4, "{error}");
    }

    #[test]
    fn a_frequency_of_zero_does_not_divide_by_zero() {
        assert_eq!(Scale::from_hertz(0), Scale::from_hertz(1));
    }

    #[test]
    fn a_counter_clock_moves_forward() {
        let clock = Clock {
            source: counter(1_000_000_000),
            epoch: Some(Duration::from_secs(1_700_000_000)),
        };
        let first = clock.now();
        assert!((0..1_000_000).any(|_| clock.now() > first));
        assert!(clock.unix_time() >= Some(1_700_000_000));
    }
}

//! How fast the time-stamp counter runs.

use super::Reference;
use crate::cpu;
use crate::interrupts::{LocalApic, TIMER_DIVISOR};
use crate::port::Port;

/// The PIT's input frequency, in Hz (8254 in every PC since 1981).
const PIT_HERTZ: u64 = 1_193_182;
/// PIT ticks of one measuring span, about 3 ms. Two spans are measured and must agree.
const PIT_SPAN: u16 = 3_579;
/// QEMU's local APIC timer, in Hz: its own emulation and KVM's both count nanoseconds, here
/// divided by the timer's divisor.
const APIC_HERTZ: u64 = 1_000_000_000 / TIMER_DIVISOR;
/// APIC ticks of one measuring span, about 3 ms.
const APIC_SPAN: u64 = APIC_HERTZ / 333;
/// Readings at each end of a span; the quickest is the most exact.
const READINGS: usize = 8;
/// Readings without an end before a timer is taken for absent.
const PATIENCE: usize = 50_000;
/// Measurements before the last one is taken although its halves disagree.
const ATTEMPTS: usize = 5;

/// The counter's rate in Hz, from the best source that the machine has.
pub(super) fn frequency() -> Option<(u64, Reference)> {
    if let Some(hertz) = from_cpuid() {
        return Some((hertz, Reference::Cpuid));
    }
    let pit = Pit::start();
    if let Some(hertz) = measure(PIT_HERTZ, u64::from(PIT_SPAN), || pit.elapsed()) {
        return Some((hertz, Reference::Pit));
    }
    let start = LocalApic.start_counting();
    let hertz = measure(APIC_HERTZ, APIC_SPAN, || {
        u64::from(start - LocalApic.count())
    });
    LocalApic.stop_timer();
    Some((hertz?, Reference::LocalApic))
}

/// What hypervisor or processor state themselves.
fn from_cpuid() -> Option<u64> {
    let signature = cpu::hypervisor();
    if signature.is_some() {
        let highest = cpu::identify(0x4000_0000, 0).eax;
        // QEMU and VMware: EAX is the counter's rate in kHz.
        if (0x4000_0010..0x4000_1000).contains(&highest) {
            let kilohertz = cpu::identify(0x4000_0010, 0).eax;
            if kilohertz != 0 {
                return Some(u64::from(kilohertz) * 1_000);
            }
        }
    }
    let leaf = cpu::identify(0x15, 0);
    from_crystal(leaf.eax, leaf.ebx, leaf.ecx)
}

/// CPUID leaf 0x15: ECX is the crystal's rate in Hz, EBX / EAX the counter's ratio to it
/// (Intel SDM volume 2, CPUID). Any zero means "not stated".
fn from_crystal(denominator: u32, numerator: u32, crystal: u32) -> Option<u64> {
    let product = u64::from(crystal) * u64::from(numerator);
    match product.checked_div(u64::from(denominator)) {
        Some(hertz) if hertz > 0 => Some(hertz),
        _ => None,
    }
}

/// One pair of readings.
#[derive(Clone, Copy)]
struct Sample {
    timestamp: u64,
    elapsed: u64,
}

/// Measures the counter against a timer of `hertz`, over two spans of `span` ticks.
///
/// The machine may lose the processor in the midst of it, for longer than the timer takes to wrap
/// around; then the two spans disagree and it is done again.
fn measure(hertz: u64, span: u64, mut elapsed: impl FnMut() -> u64) -> Option<u64> {
    let mut result = None;
    for _ in 0..ATTEMPTS {
        let first = sample(&mut elapsed);
        let middle = wait(first.elapsed + span, &mut elapsed)?;
        let last = wait(middle.elapsed + span, &mut elapsed)?;
        let halves = rate(first, middle, hertz).zip(rate(middle, last, hertz));
        result = rate(first, last, hertz).or(result);
        if let Some((one, other)) = halves
            && one.abs_diff(other) <= one / 100
        {
            return result;
        }
    }
    result
}

fn rate(from: Sample, to: Sample, hertz: u64) -> Option<u64> {
    let ticks = u128::from(to.timestamp.checked_sub(from.timestamp)?);
    let elapsed = u128::from(to.elapsed.checked_sub(from.elapsed)?);
    let rate = (ticks * u128::from(hertz)).checked_div(elapsed)?;
    (rate > 0).then_some(rate as u64)
}

/// Reads timer and counter together, as closely as [`READINGS`] tries allow.
fn sample(elapsed: &mut impl FnMut() -> u64) -> Sample {
    let mut best = (
        u64::MAX,
        Sample {
            timestamp: 0,
            elapsed: 0,
        },
    );
    for _ in 0..READINGS {
        let before = cpu::timestamp();
        let elapsed = elapsed();
        let took = cpu::timestamp().saturating_sub(before);
        if took < best.0 {
            let timestamp = before + took / 2;
            best = (took, Sample { timestamp, elapsed });
        }
    }
    best.1
}

/// Waits until the timer has come to `until`, then samples; `None` when it never does.
fn wait(until: u64, elapsed: &mut impl FnMut() -> u64) -> Option<Sample> {
    (0..PATIENCE).find(|_| elapsed() >= until)?;
    Some(sample(elapsed))
}

/// Channel 0 of the programmable interval timer, counting down from 65,536 for ever.
///
/// Channel 2 would be the classic choice, but microvm has no port 0x61 to start it with.
struct Pit {
    last: core::cell::Cell<u16>,
    total: core::cell::Cell<u64>,
}

impl Pit {
    // SAFETY: the timer's ports touch no memory.
    #[allow(unsafe_code)]
    const CHANNEL: Port<u8> = unsafe { Port::new(0x40) };
    // SAFETY: as above.
    #[allow(unsafe_code)]
    const COMMAND: Port<u8> = unsafe { Port::new(0x43) };

    fn start() -> Pit {
        // Channel 0, low byte then high byte, mode 2 (rate generator), from 65,536.
        Self::COMMAND.write(0x34);
        Self::CHANNEL.write(0);
        Self::CHANNEL.write(0);
        Pit {
            last: core::cell::Cell::new(Self::count()),
            total: core::cell::Cell::new(0),
        }
    }

    fn count() -> u16 {
        // Latch channel 0, then read both bytes.
        Self::COMMAND.write(0x00);
        let low = Self::CHANNEL.read();
        let high = Self::CHANNEL.read();
        u16::from_le_bytes([low, high])
    }

    /// Ticks since the start. Right when called more often than once in 54 ms.
    fn elapsed(&self) -> u64 {
        let count = Self::count();
        let passed = self.last.replace(count).wrapping_sub(count);
        self.total.set(self.total.get() + u64::from(passed));
        self.total.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crystal_and_ratio_make_the_frequency() {
        // Skylake: 24 MHz × 216 / 2.
        assert_eq!(from_crystal(2, 216, 24_000_000), Some(2_592_000_000));
        assert_eq!(from_crystal(0, 216, 24_000_000), None);
        assert_eq!(from_crystal(2, 0, 24_000_000), None);
        assert_eq!(from_crystal(2, 216, 0), None);
        assert_eq!(
            from_crystal(1, u32::MAX, u32::MAX),
            Some(0xffff_fffe_0000_0001)
        );
    }

    #[test]
    fn rates_come_from_differences() {
        let from = Sample {
            timestamp: 1_000,
            elapsed: 10,
        };
        let to = Sample {
            timestamp: 4_000,
            elapsed: 13,
        };
        assert_eq!(rate(from, to, 1_000_000), Some(1_000_000_000));
        // A timer that stands still or runs backwards gives no rate.
        assert_eq!(rate(from, from, 1_000_000), None);
        assert_eq!(rate(to, from, 1_000_000), None);
    }

    #[test]
    fn a_timer_that_stands_still_is_absent() {
        assert_eq!(measure(1_000, 5, || 7), None);
    }

    #[test]
    fn measures_a_timer_made_of_the_counter_itself() {
        // A timer that ticks once every 1024 counts of the very counter that is measured: with a
        // stated rate of 1 MHz the counter must come out near 1024 MHz.
        let start = cpu::timestamp();
        let hertz = measure(1_000_000, 100, || (cpu::timestamp() - start) >> 10);
        let hertz = hertz.expect("the counter moves");
        assert!(
            (900_000_000..1_150_000_000).contains(&hertz),
            "measured {hertz}"
        );
    }
}

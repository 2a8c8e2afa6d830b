//! KVM's paravirtual clock (Linux `Documentation/virt/kvm/x86/msr.rst`).
//!
//! Written from the documents; no machine at hand runs KVM, so it is untested there. The
//! arithmetic is unit-tested.

#![allow(unsafe_code)]

use alloc::boxed::Box;
use core::ptr::{addr_of, read_volatile};
use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use core::time::Duration;

use crate::cpu;

const SIGNATURE: [u8; 12] = *b"KVMKVMKVM\0\0\0";
/// The leaf after which KVM's features come, and the bit that offers the newer registers.
const FEATURES: u32 = 0x4000_0001;
const CLOCKSOURCE2: u32 = 1 << 3;
/// `MSR_KVM_WALL_CLOCK_NEW` and `MSR_KVM_SYSTEM_TIME_NEW`.
const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// Readings of a record that changes under us before the last one is taken as it is.
const ATTEMPTS: usize = 1_000;

/// `struct pvclock_vcpu_time_info`.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default)]
struct TimeInfo {
    version: u32,
    padding: u32,
    /// The counter's value at `system_time`.
    timestamp: u64,
    /// Nanoseconds since the machine was started.
    system_time: u64,
    /// Nanoseconds a tick, in units of 2^-32, after `shift`.
    multiplier: u32,
    shift: i8,
    flags: u8,
    padding2: [u8; 2],
}

/// `struct pvclock_wall_clock`.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default)]
struct WallClockInfo {
    version: u32,
    seconds: u32,
    nanoseconds: u32,
}

/// A clock that KVM keeps up to date.
pub(super) struct KvmClock {
    info: Box<TimeInfo>,
    /// The latest time given out, in nanoseconds: migration must not take time back.
    latest: AtomicU64,
}

fn is_offered() -> bool {
    cpu::hypervisor() == Some(SIGNATURE)
        && core::arch::x86_64::__cpuid(FEATURES).eax & CLOCKSOURCE2 != 0
}

impl KvmClock {
    /// Asks KVM for its clock; `None` when this is not KVM or it has none.
    pub(super) fn start() -> Option<&'static KvmClock> {
        if !is_offered() {
            return None;
        }
        let clock = Box::leak(Box::new(KvmClock {
            info: Box::new(TimeInfo::default()),
            latest: AtomicU64::new(0),
        }));
        let address = &raw const *clock.info as u64;
        // SAFETY: KVM offers the register. It will write the record for as long as the machine
        // runs, and the record is leaked: nobody else gets its memory.
        unsafe { cpu::write_msr(SYSTEM_TIME, address | 1) };
        // A multiplier of zero: KVM wrote nothing.
        (clock.read().multiplier != 0).then_some(clock)
    }

    /// Time since the machine was started.
    pub(super) fn now(&self) -> Duration {
        let info = self.read();
        let now = nanoseconds(&info, cpu::timestamp());
        let latest = self.latest.fetch_max(now, Ordering::Relaxed);
        Duration::from_nanos(now.max(latest))
    }

    fn read(&self) -> TimeInfo {
        let record = &raw const *self.info;
        // SAFETY: `record` leads to a live `TimeInfo`.
        let version = unsafe { addr_of!((*record).version) };
        read_stable(version, || {
            // SAFETY: `record` leads to a live `TimeInfo`; KVM writes it between our
            // instructions only, and a torn copy is thrown away.
            unsafe { read_volatile(record) }
        })
    }
}

/// Copies a record that carries a version: odd while it is written, different after a change.
fn read_stable<T>(version: *const u32, mut copy: impl FnMut() -> T) -> T {
    for _ in 0..ATTEMPTS {
        // SAFETY: the callers pass a pointer into the record that they copy.
        let before = unsafe { read_volatile(version) };
        compiler_fence(Ordering::SeqCst);
        let record = copy();
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as above.
        let after = unsafe { read_volatile(version) };
        if before == after && before & 1 == 0 {
            return record;
        }
    }
    copy()
}

/// The record's time at a counter value.
fn nanoseconds(info: &TimeInfo, timestamp: u64) -> u64 {
    let delta = u128::from(timestamp.saturating_sub(info.timestamp));
    let shifted = match info.shift {
        shift @ 0.. => delta << shift.min(63),
        shift => delta >> shift.unsigned_abs().min(63),
    };
    let passed = shifted.saturating_mul(u128::from(info.multiplier)) >> 32;
    info.system_time.saturating_add(passed as u64)
}

/// Unix time at the paravirtual clock's zero; `None` when this is not KVM or it does not say.
pub(super) fn wall_clock_at_boot() -> Option<Duration> {
    if !is_offered() {
        return None;
    }
    let record: *mut WallClockInfo = Box::into_raw(Box::default());
    // SAFETY: KVM offers the register, writes the record once, at this instruction, and the
    // record is leaked.
    unsafe { cpu::write_msr(WALL_CLOCK, record as u64) };
    // SAFETY: `record` leads to a live record.
    let version = unsafe { addr_of!((*record).version) };
    let info = read_stable(version, || {
        // SAFETY: as above.
        unsafe { read_volatile(record) }
    });
    let time = Duration::new(info.seconds.into(), info.nanoseconds.min(999_999_999));
    (info.seconds != 0).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shift: i8, multiplier: u32, ticks: u64, expected: u64) {
        let info = TimeInfo {
            timestamp: 5_000,
            system_time: 1_000_000,
            multiplier,
            shift,
            ..TimeInfo::default()
        };
        assert_eq!(nanoseconds(&info, 5_000 + ticks), 1_000_000 + expected);
    }

    #[test]
    fn scales_as_the_protocol_says() {
        // 1 GHz: one nanosecond a tick is 2^31 / 2^32 after one shift to the left.
        check(1, 1 << 31, 1_234, 1_234);
        // 2.5 GHz: 0.4 ns a tick, as KVM states it: shift -1, multiplier 0.8 × 2^32.
        check(-1, 3_435_973_836, 2_500_000_000, 999_999_999);
        check(0, 1 << 31, 0, 0);
    }

    #[test]
    fn a_counter_before_the_record_and_wild_shifts_are_survived() {
        let info = TimeInfo {
            timestamp: 5_000,
            system_time: 7,
            multiplier: u32::MAX,
            shift: i8::MAX,
            ..TimeInfo::default()
        };
        assert_eq!(nanoseconds(&info, 100), 7);
        nanoseconds(&info, u64::MAX);
        let info = TimeInfo {
            shift: i8::MIN,
            ..info
        };
        assert_eq!(nanoseconds(&info, 6_000), 7);
    }

    #[test]
    fn a_record_in_change_is_read_again() {
        let mut version = 1u32;
        let pointer = &raw mut version;
        let mut copies = 0;
        let copy = read_stable(pointer, || {
            copies += 1;
            // SAFETY: `pointer` leads to the test's own variable.
            unsafe { pointer.write_volatile(2) };
            copies
        });
        assert_eq!(copy, 2);
    }
}

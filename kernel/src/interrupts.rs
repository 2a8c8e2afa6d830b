//! Interrupts: the local APIC with its timer, IOAPIC routing, and the handlers.
//!
//! Interrupts only end a halt. They are masked everywhere else, so the handlers need no lock and
//! save no vector register: they acknowledge, count and return.

#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::cpu;
use crate::port::Port;
use crate::time::Clock;

/// The vector of the network card and every other device.
pub const DEVICE_VECTOR: u8 = 0x40;
/// The vector of the local APIC's timer.
pub const TIMER_VECTOR: u8 = 0x41;
/// The vector of interrupts that vanished before they were taken (Intel SDM volume 3 §10.9).
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// Where the local APIC's registers are after reset.
const LOCAL_APIC: u64 = 0xfee0_0000;
/// The IOAPICs of QEMU's machines: the only one, and microvm's second.
const IO_APICS: [u64; 2] = [0xfec0_0000, 0xfec1_0000];
/// Inputs of one IOAPIC.
const IO_APIC_PINS: u32 = 24;

/// The device registers that every machine has at fixed places, from the Generic Event Device to
/// the local APIC; to be mapped before anything here is used.
pub const DEVICE_WINDOW: core::ops::Range<u64> = 0xfea0_0000..0xff00_0000;

/// The timer counts one in this many bus ticks: 16 ns steps up to 68 s at QEMU's 1 GHz.
pub const TIMER_DIVISOR: u64 = 16;
/// The divide configuration register's code for [`TIMER_DIVISOR`].
const DIVIDE_BY_16: u32 = 0b0011;
/// How long the timer is measured.
const CALIBRATION: Duration = Duration::from_millis(1);

/// Bit 16 of a local vector table entry.
const MASKED: u32 = 1 << 16;

static DEVICE_INTERRUPTS: AtomicU64 = AtomicU64::new(0);
static TIMER_INTERRUPTS: AtomicU64 = AtomicU64::new(0);

/// Interrupts taken from devices and from the timer so far.
pub fn counts() -> (u64, u64) {
    (
        DEVICE_INTERRUPTS.load(Ordering::Relaxed),
        TIMER_INTERRUPTS.load(Ordering::Relaxed),
    )
}

/// Acknowledges and counts an interrupt; the body of a handler.
macro_rules! handler {
    ($counter:ident) => {
        naked_asm!(
            "inc qword ptr [rip + {counter}]",
            "push rax",
            // The end-of-interrupt register. The address needs all 32 bits, unsigned.
            "mov eax, {register}",
            "mov dword ptr [rax], 0",
            "pop rax",
            "iretq",
            counter = sym $counter,
            register = const LOCAL_APIC + 0xb0,
        )
    };
}

/// The handler for [`DEVICE_VECTOR`].
///
/// # Safety
///
/// For interrupt tables only: it returns as interrupts do.
#[unsafe(naked)]
pub unsafe extern "C" fn device_handler() {
    handler!(DEVICE_INTERRUPTS)
}

/// The handler for [`TIMER_VECTOR`].
///
/// # Safety
///
/// For interrupt tables only: it returns as interrupts do.
#[unsafe(naked)]
pub unsafe extern "C" fn timer_handler() {
    handler!(TIMER_INTERRUPTS)
}

/// The handler for every other vector: nothing is expected there, and a spurious interrupt is
/// not acknowledged.
///
/// # Safety
///
/// For interrupt tables only: it returns as interrupts do.
#[unsafe(naked)]
pub unsafe extern "C" fn spurious_handler() {
    naked_asm!("iretq")
}

/// The processor's local APIC, in the xAPIC mode that it is in after reset.
#[derive(Clone, Copy, Debug)]
pub struct LocalApic;

/// Registers, as byte offsets (Intel SDM volume 3 §10.4.1).
mod register {
    pub const ID: u64 = 0x20;
    pub const TASK_PRIORITY: u64 = 0x80;
    pub const SPURIOUS: u64 = 0xf0;
    pub const TIMER: u64 = 0x320;
    pub const LINT0: u64 = 0x350;
    pub const LINT1: u64 = 0x360;
    pub const ERROR: u64 = 0x370;
    pub const INITIAL_COUNT: u64 = 0x380;
    pub const CURRENT_COUNT: u64 = 0x390;
    pub const DIVIDE: u64 = 0x3e0;
}

impl LocalApic {
    fn read(self, register: u64) -> u32 {
        let pointer = (LOCAL_APIC + register) as *const u32;
        // SAFETY: the device window is mapped from boot on, and `register` is one of the module's.
        unsafe { pointer.read_volatile() }
    }

    fn write(self, register: u64, value: u32) {
        let pointer = (LOCAL_APIC + register) as *mut u32;
        // SAFETY: as for `read`; no register here makes the APIC write to memory.
        unsafe { pointer.write_volatile(value) }
    }

    /// Turns the APIC on and everything else off that could interrupt.
    pub fn start(self) {
        mask_legacy_controllers();
        self.write(register::TASK_PRIORITY, 0);
        for entry in [
            register::TIMER,
            register::LINT0,
            register::LINT1,
            register::ERROR,
        ] {
            self.write(entry, MASKED);
        }
        // Bit 8 enables.
        self.write(register::SPURIOUS, 1 << 8 | u32::from(SPURIOUS_VECTOR));
        self.write(register::DIVIDE, DIVIDE_BY_16);
    }

    /// This processor's APIC identifier.
    pub fn id(self) -> u8 {
        (self.read(register::ID) >> 24) as u8
    }

    /// Lets the timer count down from its largest value, without an interrupt; gives that value.
    pub(crate) fn start_counting(self) -> u32 {
        self.write(register::TIMER, MASKED);
        self.write(register::INITIAL_COUNT, u32::MAX);
        u32::MAX
    }

    /// What the timer has still to count.
    pub(crate) fn count(self) -> u32 {
        self.read(register::CURRENT_COUNT)
    }

    /// Stops the timer.
    pub(crate) fn stop_timer(self) {
        self.write(register::INITIAL_COUNT, 0);
    }
}

/// The one-shot timer that ends a halt in time.
#[derive(Clone, Copy, Debug)]
pub struct Timer {
    hertz: u64,
}

impl Timer {
    /// Measures the local APIC's timer against the clock, and unmasks its interrupt.
    pub fn start(clock: &Clock) -> Timer {
        let first = LocalApic.start_counting();
        let start = clock.now();
        let mut passed;
        loop {
            passed = clock.now() - start;
            if passed >= CALIBRATION {
                break;
            }
        }
        let ticks = first - LocalApic.count();
        LocalApic.stop_timer();
        // One-shot mode is 0 in bits 17 and 18.
        LocalApic.write(register::TIMER, u32::from(TIMER_VECTOR));
        Timer {
            hertz: frequency(ticks, passed),
        }
    }

    /// Bus ticks a second, after the divisor.
    pub fn hertz(&self) -> u64 {
        self.hertz
    }

    /// Interrupts once, `after` from now or earlier (when that is more than the timer can count).
    pub fn arm(&self, after: Duration) {
        LocalApic.write(register::INITIAL_COUNT, ticks(after, self.hertz));
    }

    /// Takes back what was armed.
    pub fn disarm(&self) {
        LocalApic.stop_timer();
    }
}

/// Ticks a second, from ticks in a time; at least 1.
fn frequency(ticks: u32, time: Duration) -> u64 {
    let nanoseconds = time.as_nanos().max(1);
    (u128::from(ticks) * 1_000_000_000 / nanoseconds).max(1) as u64
}

/// The timer's count for a time: at least 1, as 0 would stop it; at most what it holds.
fn ticks(time: Duration, hertz: u64) -> u32 {
    let ticks = time.as_nanos().saturating_mul(u128::from(hertz)) / 1_000_000_000;
    ticks.clamp(1, u128::from(u32::MAX)) as u32
}

/// The address that an MSI or MSI-X message is written to: this processor, fixed delivery (Intel
/// SDM volume 3 §10.11).
pub fn message_address() -> u64 {
    LOCAL_APIC | u64::from(LocalApic.id()) << 12
}

/// Sends a global system interrupt to [`DEVICE_VECTOR`], edge-triggered and active high, as
/// virtio-mmio devices on microvm are wired. False when no IOAPIC has it.
///
/// With edges, a device must be acknowledged before it interrupts again, and a handler that does
/// not know the device can end the interrupt.
pub fn route(interrupt: u32) -> bool {
    let Some(&base) = IO_APICS.get((interrupt / IO_APIC_PINS) as usize) else {
        return false;
    };
    let pin = interrupt % IO_APIC_PINS;
    let version = io_apic_read(base, 1);
    let last_pin = version >> 16 & 0xff;
    if version == 0 || version == u32::MAX || pin > last_pin {
        return false;
    }
    io_apic_write(base, 0x11 + pin * 2, u32::from(LocalApic.id()) << 24);
    io_apic_write(base, 0x10 + pin * 2, u32::from(DEVICE_VECTOR));
    true
}

/// Whether the machine has the second IOAPIC (microvm with ACPI).
pub fn has_second_io_apic() -> bool {
    !matches!(io_apic_read(IO_APICS[1], 1), 0 | u32::MAX)
}

fn io_apic_read(base: u64, register: u32) -> u32 {
    let select = base as *mut u32;
    // SAFETY: both IOAPIC pages lie in the device window, which is mapped from boot on; without
    // an IOAPIC the write goes nowhere.
    unsafe { select.write_volatile(register) };
    let window = (base + 0x10) as *const u32;
    // SAFETY: as above.
    unsafe { window.read_volatile() }
}

fn io_apic_write(base: u64, register: u32, value: u32) {
    let select = base as *mut u32;
    // SAFETY: as for `io_apic_read`.
    unsafe { select.write_volatile(register) };
    let window = (base + 0x10) as *mut u32;
    // SAFETY: as for `io_apic_read`; a redirection entry only chooses a vector.
    unsafe { window.write_volatile(value) };
}

/// Masks both 8259 interrupt controllers, after moving them away from the exceptions' vectors.
fn mask_legacy_controllers() {
    // Command port, data port, and how the two are cascaded (8259A data sheet, ICW3).
    for (command, data, cascade) in [(0x20, 0x21, 0x04), (0xa0, 0xa1, 0x02)] {
        // SAFETY: the interrupt controllers' ports touch no memory.
        let command: Port<u8> = unsafe { Port::new(command) };
        // SAFETY: as above.
        let data: Port<u8> = unsafe { Port::new(data) };
        command.write(0x11);
        data.write(0xf0);
        data.write(cascade);
        data.write(0x01);
        data.write(0xff);
    }
}

/// Waits for an interrupt or for `after`, whichever is first; `None` waits for a device alone.
pub fn halt(timer: &Timer, after: Option<Duration>) {
    match after {
        Some(after) => {
            timer.arm(after);
            cpu::wait_for_interrupt();
            timer.disarm();
        }
        None => cpu::wait_for_interrupt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_gets_a_count_that_it_can_hold() {
        assert_eq!(ticks(Duration::from_micros(16), 62_500_000), 1_000);
        assert_eq!(ticks(Duration::ZERO, 62_500_000), 1);
        assert_eq!(ticks(Duration::MAX, 62_500_000), u32::MAX);
        assert_eq!(ticks(Duration::from_secs(68), 62_500_000), 4_250_000_000);
    }

    #[test]
    fn the_timer_frequency_is_ticks_over_time() {
        assert_eq!(frequency(62_500, Duration::from_millis(1)), 62_500_000);
        assert_eq!(frequency(0, Duration::from_millis(1)), 1);
        assert_eq!(frequency(5, Duration::ZERO), 5_000_000_000);
    }
}

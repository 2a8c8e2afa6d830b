//! Ending: the debug-exit device, power-off on each machine, reset.

#![allow(unsafe_code)]

use crate::cpu;
use crate::pci;
use crate::port::Port;

/// Exit values, as written to `isa-debug-exit`; QEMU ends with `(value << 1) | 1`.
pub mod exit {
    /// The product shut down because it was asked to.
    pub const CLEAN: u8 = 0x10;
    /// Command line or boot archive are wrong.
    pub const CONFIGURATION: u8 = 0x11;
    /// A defect of the image.
    pub const PANIC: u8 = 0x12;
    /// The processor reported a fault.
    pub const EXCEPTION: u8 = 0x13;
    /// No network card that can be driven.
    pub const NO_DEVICE: u8 = 0x14;
    /// No source of entropy.
    pub const NO_ENTROPY: u8 = 0x15;
    /// Too little memory, or none left.
    pub const OUT_OF_MEMORY: u8 = 0x16;
}

/// QEMU's `isa-debug-exit`, where the launcher puts it (`iobase=0xf4,iosize=0x04`).
// SAFETY: the port ends the machine or does nothing; it never touches memory.
const DEBUG_EXIT: Port<u8> = unsafe { Port::new(0xf4) };
/// The chipset's reset control register (PIIX3 and ICH9 data sheets, "RST_CNT").
// SAFETY: the port resets the machine or does nothing.
const RESET_CONTROL: Port<u8> = unsafe { Port::new(0xcf9) };
/// The keyboard controller's command register; command 0xfe pulses the reset line.
// SAFETY: the port resets the machine or does nothing.
const KEYBOARD_COMMAND: Port<u8> = unsafe { Port::new(0x64) };

/// Where QEMU's microvm with ACPI has the sleep control register of its Generic Event Device.
const GED_SLEEP_CONTROL: usize = 0xfea0_0200;
/// Sleep type 5 (soft off) and sleep enable (ACPI 6.4 §4.8.3.7).
const GED_SOFT_OFF: u8 = 5 << 2 | 1 << 5;
/// The ACPI power-management register block that the image uses when firmware set none.
const POWER_BLOCK: u16 = 0x600;
/// PM1 control: sleep enable with sleep type 0, which QEMU's chipsets take for soft off.
const PM1_SOFT_OFF: u16 = 1 << 13;

/// Ends the machine with a value from [`exit`].
///
/// The debug-exit device comes first: it tells the launcher why. Without one, a clean end or a
/// wrong configuration powers the machine off, as starting over would not help; everything else
/// resets it.
pub fn end(value: u8) -> ! {
    DEBUG_EXIT.write(value);
    if value == exit::CLEAN || value == exit::CONFIGURATION {
        power_off();
    }
    reset()
}

/// Asks every power-off device that QEMU's machines have; returns when there is none.
fn power_off() {
    if pci::is_present() {
        if let Some(block) = pci::power_management_block(POWER_BLOCK) {
            // SAFETY: `block` is the ACPI register block of a chipset that was identified; the
            // register at offset 4 is PM1 control, which only changes sleep state.
            let control: Port<u16> = unsafe { Port::new(block + 4) };
            control.write(PM1_SOFT_OFF);
        }
    } else {
        let register = GED_SLEEP_CONTROL as *mut u8;
        // SAFETY: the page belongs to the device window, which is mapped uncached from boot on,
        // and only a machine without PCI (microvm) comes here: the Generic Event Device is there
        // or nothing is.
        unsafe { register.write_volatile(GED_SOFT_OFF) };
    }
    // Power-off may take effect a little after the write.
    for _ in 0..1_000_000 {
        core::hint::spin_loop();
    }
}

/// Resets the machine.
pub fn reset() -> ! {
    // Hard reset, first without and then with the bit that starts it.
    RESET_CONTROL.write(0x02);
    RESET_CONTROL.write(0x06);
    KEYBOARD_COMMAND.write(0xfe);
    for _ in 0..100_000 {
        core::hint::spin_loop();
    }
    triple_fault()
}

/// Resets through a fault that the processor cannot deliver: with an empty interrupt table, the
/// fault's handler faults, and so does that fault's.
fn triple_fault() -> ! {
    let table = [0u16; 5];
    // SAFETY: `table` is a valid operand: ten bytes, limit 0. Nothing returns from here.
    unsafe { core::arch::asm!("lidt [{}]", in(reg) &raw const table, options(readonly, nostack)) };
    // SAFETY: the breakpoint has no handler now, which is the purpose.
    unsafe { core::arch::asm!("int3", options(nomem, nostack)) };
    cpu::stop()
}

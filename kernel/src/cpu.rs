//! The processor: identification, control registers, the time-stamp counter, halting.

#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::CpuidResult;

use crate::mem;

/// `CR4` bits that the image turns on where the processor has them (Intel SDM volume 3 §2.5).
const CR4_UMIP: u64 = 1 << 11;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;

/// `XCR0` bits: x87, SSE and AVX (Intel SDM volume 1 §13.3).
const XCR0_AVX: u64 = 0b111;
/// `XCR0` bits: the three parts of AVX-512's state; all or none.
const XCR0_AVX512: u64 = 0b1110_0000;

/// Reads a CPUID leaf; all zero when the processor has no such leaf.
pub fn identify(leaf: u32, subleaf: u32) -> CpuidResult {
    let highest = core::arch::x86_64::__cpuid(leaf & 0xffff_0000).eax;
    if leaf > highest {
        return CpuidResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        };
    }
    core::arch::x86_64::__cpuid_count(leaf, subleaf)
}

/// The maximum leaf that a hypervisor offers and its signature, when there is a hypervisor.
pub fn hypervisor() -> Option<[u8; 12]> {
    if identify(1, 0).ecx >> 31 == 0 {
        return None;
    }
    let leaf = core::arch::x86_64::__cpuid(0x4000_0000);
    let mut signature = [0; 12];
    signature[..4].copy_from_slice(&leaf.ebx.to_le_bytes());
    signature[4..8].copy_from_slice(&leaf.ecx.to_le_bytes());
    signature[8..].copy_from_slice(&leaf.edx.to_le_bytes());
    Some(signature)
}

/// Whether the processor maps 1 GiB with one page-table entry.
pub fn has_gigabyte_pages() -> bool {
    identify(0x8000_0001, 0).edx >> 26 & 1 == 1
}

/// Turns on the protections and the vector registers that this processor offers.
///
/// SMEP, SMAP and UMIP cost nothing, as the image has no user pages; they take away steps that
/// an exploit would use. AVX and AVX-512 are what the cryptography looks for.
///
/// # Safety
///
/// Must run in ring 0, once, before any code that asks for AVX.
pub unsafe fn enable_features() {
    let mut cr4: u64;
    // SAFETY: reading CR4 in ring 0 has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
    let structured = identify(7, 0);
    if structured.ebx >> 7 & 1 == 1 {
        cr4 |= CR4_SMEP;
    }
    if structured.ebx >> 20 & 1 == 1 {
        cr4 |= CR4_SMAP;
    }
    if structured.ecx >> 2 & 1 == 1 {
        cr4 |= CR4_UMIP;
    }
    let has_xsave = identify(1, 0).ecx >> 26 & 1 == 1;
    if has_xsave {
        cr4 |= CR4_OSXSAVE;
    }
    // SAFETY: every bit added was checked against CPUID, and no page is a user page.
    unsafe { asm!("mov cr4, {}", in(reg) cr4, options(nostack, preserves_flags)) };
    if !has_xsave {
        return;
    }
    let offered = identify(0xd, 0);
    let state = vector_state(u64::from(offered.eax) | u64::from(offered.edx) << 32);
    // SAFETY: CR4.OSXSAVE is on, and `vector_state` keeps to what CPUID offers.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") state as u32, in("edx") (state >> 32) as u32,
            options(nomem, nostack, preserves_flags));
    }
    if state & XCR0_AVX == XCR0_AVX && identify(1, 0).ecx >> 28 & 1 == 1 {
        // SAFETY: CPUID names AVX, and XCR0 has just been told to keep its state.
        unsafe { mem::use_avx() };
    }
}

/// The `XCR0` to set when the processor supports `offered`.
fn vector_state(offered: u64) -> u64 {
    let mut state = 0b11;
    if offered & XCR0_AVX == XCR0_AVX {
        state |= XCR0_AVX;
        if offered & XCR0_AVX512 == XCR0_AVX512 {
            state |= XCR0_AVX512;
        }
    }
    state
}

/// The time-stamp counter, read no earlier than everything before it is done.
#[inline]
pub fn timestamp() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `lfence; rdtsc` only writes the named registers; CR4.TSD is never set here.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Reads a model-specific register.
///
/// # Safety
///
/// The processor must have this register, and the caller must be in ring 0.
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller promised that the register exists.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
///
/// The processor must have this register, and the value must not break what Rust relies on.
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller promised that the register exists and that the value is sound.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// Halts until an interrupt, with interrupts enabled only for the halt itself.
///
/// `sti` takes effect after the following instruction, so an interrupt that was pending before
/// ends the halt at once and none is slept through (Intel SDM volume 2, STI).
#[inline]
pub fn wait_for_interrupt() {
    // SAFETY: the handlers for all vectors only acknowledge and count; the block may use the
    // stack, so the compiler keeps no live data in the red zone.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// Stops for good: interrupts masked, halted.
pub fn stop() -> ! {
    loop {
        // SAFETY: masking interrupts and halting touches no memory.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_state_keeps_to_what_is_offered() {
        assert_eq!(vector_state(0b11), 0b11);
        assert_eq!(vector_state(0b111), 0b111);
        assert_eq!(vector_state(0b1110_0111), 0b1110_0111);
        // AVX-512 in part, or without AVX, is not enabled; nor is anything unknown (PKRU, AMX).
        assert_eq!(vector_state(0b0110_0111), 0b111);
        assert_eq!(vector_state(0b1110_0011), 0b11);
        assert_eq!(vector_state(0x6_02e7), 0b1110_0111);
    }

    #[test]
    fn a_leaf_beyond_the_highest_reads_as_zero() {
        let highest = identify(0, 0).eax;
        assert_eq!(identify(highest + 0x100, 0).eax, 0);
    }

    #[test]
    fn the_timestamp_counter_moves() {
        let first = timestamp();
        let moved = (0..1_000_000).any(|_| timestamp() > first);
        assert!(moved);
    }
}

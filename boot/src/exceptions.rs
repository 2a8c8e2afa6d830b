//! Processor exceptions: all of them end the machine, and say where.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel::console;
use stockade_kernel::power::{self, exit};

use crate::image;

global_asm!(include_str!("exceptions.s"), options(att_syntax));

/// Bytes of an entry in [`entry`]'s table.
const ENTRY_SIZE: u64 = 16;
/// The page fault's vector.
const PAGE_FAULT: u64 = 14;

/// What the exceptions are called (Intel SDM volume 3, table 6-1).
const NAMES: [&str; 32] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack-segment fault",
    "general protection fault",
    "page fault",
    "reserved",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point error",
    "virtualization exception",
    "control protection exception",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "hypervisor injection exception",
    "VMM communication exception",
    "security exception",
    "reserved",
];

/// What `exceptions.s` and the processor leave on the stack, from the top.
#[repr(C)]
struct Frame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// The address of the code that an exception's vector must lead to.
pub fn entry(vector: u8) -> u64 {
    unsafe extern "C" {
        static exception_entries: u8;
    }
    &raw const exception_entries as u64 + u64::from(vector) * ENTRY_SIZE
}

/// Prints what is known and ends the machine. Called by `exceptions.s` on a stack of its own.
// SAFETY: no other symbol of this name exists; only `exceptions.s` calls it.
#[unsafe(no_mangle)]
extern "C" fn exception(frame: &Frame) -> ! {
    static FAULTED: AtomicBool = AtomicBool::new(false);
    // A fault while printing a fault: print no more.
    if FAULTED.swap(true, Ordering::Relaxed) {
        power::end(exit::EXCEPTION);
    }
    let address: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    let name = NAMES.get(frame.vector as usize).unwrap_or(&"unknown");
    console::print(format_args!(
        "\nprocessor exception {} ({name}), error code {:#x}\n",
        frame.vector, frame.error_code
    ));
    if frame.vector == PAGE_FAULT {
        console::print(format_args!(
            "  {} address {address:#x}{}\n",
            page_fault_access(frame.error_code),
            place(address)
        ));
    }
    console::print(format_args!(
        "  rip {:016x}  rsp {:016x}  rflags {:016x}  cr2 {address:016x}\n  \
           cs  {:016x}  ss  {:016x}\n  \
           rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}\n  \
           rsi {:016x}  rdi {:016x}  rbp {:016x}  r8  {:016x}\n  \
           r9  {:016x}  r10 {:016x}  r11 {:016x}  r12 {:016x}\n  \
           r13 {:016x}  r14 {:016x}  r15 {:016x}\n",
        frame.rip,
        frame.rsp,
        frame.rflags,
        frame.cs,
        frame.ss,
        frame.rax,
        frame.rbx,
        frame.rcx,
        frame.rdx,
        frame.rsi,
        frame.rdi,
        frame.rbp,
        frame.r8,
        frame.r9,
        frame.r10,
        frame.r11,
        frame.r12,
        frame.r13,
        frame.r14,
        frame.r15,
    ));
    power::end(exit::EXCEPTION)
}

/// What was tried, from a page fault's error code (Intel SDM volume 3 §4.7).
fn page_fault_access(error_code: u64) -> &'static str {
    match (error_code & 1, error_code >> 1 & 1, error_code >> 4 & 1) {
        (0, _, 1) => "execution of unmapped",
        (_, _, 1) => "execution of non-executable",
        (0, 1, _) => "write to unmapped",
        (_, 1, _) => "write to read-only",
        (0, _, _) => "read from unmapped",
        _ => "read from protected",
    }
}

/// A word on addresses that tell what went wrong.
fn place(address: u64) -> &'static str {
    if address < 4096 {
        return " (a null pointer)";
    }
    let page = address & !4095;
    if image::layout().guards.contains(&page) {
        return " (a guard page: the stack overflowed)";
    }
    ""
}

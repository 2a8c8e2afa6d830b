//! Segments, the task state with the exception stacks, and the interrupt table.

use core::arch::asm;
use core::cell::UnsafeCell;

use stockade_kernel::interrupts::{
    DEVICE_VECTOR, TIMER_VECTOR, device_handler, spurious_handler, timer_handler,
};

use crate::exceptions;
use crate::image;

/// The code segment's selector.
const CODE: u16 = 0x08;
/// The task state segment's selector.
const TASK: u16 = 0x18;
/// Vectors of exceptions; the processor keeps the first 32 for them.
const EXCEPTIONS: u8 = 32;
/// Vectors of exceptions that must not share a stack with others: they may come at any time.
const NON_MASKABLE: u8 = 2;
const DOUBLE_FAULT: u8 = 8;
const MACHINE_CHECK: u8 = 18;
/// A 64-bit interrupt gate, present, ring 0.
const INTERRUPT_GATE: u64 = 0x8e;
/// A 64-bit task state segment, present, not busy.
const TASK_STATE: u64 = 0x89;

/// A table that the processor reads, and in part writes, behind the compiler's back.
struct Table<T>(UnsafeCell<T>);

// SAFETY: one core; the tables are written once, before the processor is told of them.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    const fn new(value: T) -> Table<T> {
        Table(UnsafeCell::new(value))
    }

    fn address(&self) -> u64 {
        self.0.get() as u64
    }

    /// Fills the table.
    ///
    /// # Safety
    ///
    /// The processor must not use the table yet.
    unsafe fn set(&self, value: T) {
        // SAFETY: the caller promised that nobody reads the table.
        unsafe { self.0.get().write(value) }
    }
}

/// Task state (Intel SDM volume 3 §8.7): only the stack pointers and the port map's offset matter.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    ring_stacks: [u64; 3],
    reserved2: u64,
    interrupt_stacks: [u64; 7],
    reserved3: u64,
    reserved4: u16,
    port_map: u16,
}

const TASK_STATE_SIZE: usize = size_of::<TaskState>();

static TASK_STATE_SEGMENT: Table<TaskState> = Table::new(TaskState {
    reserved: 0,
    ring_stacks: [0; 3],
    reserved2: 0,
    interrupt_stacks: [0; 7],
    reserved3: 0,
    reserved4: 0,
    // Beyond the segment: there is no port map.
    port_map: TASK_STATE_SIZE as u16,
});
static SEGMENTS: Table<[u64; 5]> = Table::new([0; 5]);
static INTERRUPTS: Table<[[u64; 2]; 256]> = Table::new([[0; 2]; 256]);

/// The operand of `lgdt` and `lidt`.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    address: u64,
}

/// Puts segments, exception stacks and interrupt table in force.
///
/// # Safety
///
/// To be called once, in ring 0 in long mode, with interrupts masked.
pub unsafe fn install() {
    let stacks = image::exception_stacks();
    let mut interrupt_stacks = [0; 7];
    interrupt_stacks[..3].copy_from_slice(&stacks);
    let state = TaskState {
        reserved: 0,
        ring_stacks: [0; 3],
        reserved2: 0,
        interrupt_stacks,
        reserved3: 0,
        reserved4: 0,
        port_map: TASK_STATE_SIZE as u16,
    };
    // SAFETY: the task register is loaded below.
    unsafe { TASK_STATE_SEGMENT.set(state) };

    let base = TASK_STATE_SEGMENT.address();
    let limit = TASK_STATE_SIZE as u64 - 1;
    let task = limit | (base & 0xff_ffff) << 16 | TASK_STATE << 40 | (base >> 24 & 0xff) << 56;
    let segments = [
        0,
        // Code, 64 bit; data; both ring 0, present and marked as accessed.
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        task,
        base >> 32,
    ];
    // SAFETY: the table is loaded below.
    unsafe { SEGMENTS.set(segments) };

    let mut interrupts = [[0; 2]; 256];
    for (vector, gate) in (0u8..=255).zip(&mut interrupts) {
        *gate = gate_for(vector);
    }
    // SAFETY: the table is loaded below.
    unsafe { INTERRUPTS.set(interrupts) };

    let pointer = Pointer {
        limit: size_of::<[u64; 5]>() as u16 - 1,
        address: SEGMENTS.address(),
    };
    // SAFETY: the table has the same code and data segments as the one in use, so the segment
    // registers stay right.
    unsafe { asm!("lgdt [{}]", in(reg) &raw const pointer, options(readonly, nostack)) };
    // SAFETY: the selector names the task state segment made above.
    unsafe { asm!("ltr {:x}", in(reg) TASK, options(nostack, preserves_flags)) };
    let pointer = Pointer {
        limit: size_of::<[[u64; 2]; 256]>() as u16 - 1,
        address: INTERRUPTS.address(),
    };
    // SAFETY: all 256 gates lead to handlers.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack)) };
}

/// The gate of a vector: where it leads, and on which stack it runs.
fn gate_for(vector: u8) -> [u64; 2] {
    let (address, stack) = match vector {
        DOUBLE_FAULT => (exceptions::entry(vector), 2),
        NON_MASKABLE | MACHINE_CHECK => (exceptions::entry(vector), 3),
        0..EXCEPTIONS => (exceptions::entry(vector), 1),
        // Interrupts come only during a halt, where the stack is as Rust left it.
        DEVICE_VECTOR => (device_handler as *const () as u64, 0),
        TIMER_VECTOR => (timer_handler as *const () as u64, 0),
        _ => (spurious_handler as *const () as u64, 0),
    };
    let low = address & 0xffff
        | u64::from(CODE) << 16
        | stack << 32
        | INTERRUPT_GATE << 40
        | (address >> 16 & 0xffff) << 48;
    [low, address >> 32]
}

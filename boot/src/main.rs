//! The image: from the loader's hand-over to the product's loop.
//!
//! `entry.s` brings the processor into long mode and calls [`start`]; everything after that is
//! Rust. The kernel starts the machine, the tunnel runs on it.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod descriptors;
#[allow(unsafe_code)]
mod exceptions;
#[allow(unsafe_code)]
mod image;
#[allow(unsafe_code)]
mod runtime;

mod bare;

use core::fmt::Display;

use bare::BareMachine;
use log::LevelFilter;
use stockade_kernel::power::{self, exit};
use stockade_kernel::pvh::Handoff;
use stockade_kernel::{Foundation, Machine, Options, console, cpu};

#[allow(unsafe_code)]
mod entry {
    core::arch::global_asm!(include_str!("entry.s"), options(att_syntax));
}

/// The first Rust code that runs. `start_info` is what the loader passed in `ebx`.
// SAFETY: no other symbol of this name exists; only `entry.s` calls it, once.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "C" fn start(start_info: u64) -> ! {
    console::start(LevelFilter::Info);
    // SAFETY: `entry.s` calls once, in ring 0 in long mode, with interrupts masked.
    unsafe { descriptors::install() };
    // SAFETY: as above, and no code here asked for AVX yet.
    unsafe { cpu::enable_features() };
    // SAFETY: the loader passed the address; the bootstrap tables map the lower 4 GiB, and only
    // the image's own data was written so far.
    let handoff = match unsafe { Handoff::read(start_info) } {
        Ok(handoff) => handoff,
        Err(error) => fail(&error, exit::CONFIGURATION),
    };
    let layout = image::layout();
    // SAFETY: this is the only call; the interrupt table has the kernel's handlers, the layout
    // is the linker's, and nobody gave the heap memory before.
    let foundation =
        unsafe { Foundation::start(&handoff, &layout, &runtime::HEAP, Options::default()) };
    let machine = foundation.and_then(|foundation| {
        log::info!("Stockade {}", env!("CARGO_PKG_VERSION"));
        Machine::start(foundation)
    });
    match machine {
        Ok(machine) => run(machine),
        Err(error) => fail(&error, error.exit_value()),
    }
}

/// Runs the product until it ends, then ends the machine.
fn run(machine: Machine) -> ! {
    let command_line = machine.command_line();
    let archive = machine.archive();
    let mut machine = BareMachine(machine);
    let status = stockade_tunnel::start(&mut machine, command_line.as_bytes(), archive);
    power::end(status.value())
}

/// Says why the machine cannot start, and ends it.
fn fail(reason: &dyn Display, value: u8) -> ! {
    log::error!(
        "Stockade {} cannot start: {reason}",
        env!("CARGO_PKG_VERSION")
    );
    power::end(value)
}

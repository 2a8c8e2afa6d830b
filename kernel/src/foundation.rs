//! What comes before any device: page tables, heap, interrupt controllers, clocks.

#![allow(unsafe_code)]

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use core::ops::Range;

use crate::cpu;
use crate::interrupts::{DEVICE_WINDOW, LocalApic, Timer};
use crate::machine::{ImageLayout, Options, StartError};
use crate::memory::{Heap, PAGE, carve, page_down, page_up};
use crate::paging::{Access, AddressSpace, MapError};
use crate::pvh::Handoff;
use crate::time::{Clock, Reference};

/// Memory that the bootstrap page tables reach; more is used once the final ones are in force.
const BOOTSTRAP_LIMIT: u64 = 4 << 30;
/// The least heap that is worth starting with, in bytes.
pub(crate) const LEAST_HEAP: usize = 4 << 20;

/// The machine with memory and time, but without devices: the log shows time from here on.
///
/// [`Machine::start`](crate::Machine::start) finds the devices and makes it whole.
pub struct Foundation {
    pub(crate) space: AddressSpace,
    pub(crate) heap: &'static Heap,
    pub(crate) clock: Clock,
    pub(crate) reference: Reference,
    pub(crate) timer: Timer,
    pub(crate) archive: Option<&'static [u8]>,
    pub(crate) command_line: &'static str,
}

impl Foundation {
    /// Puts the final page tables in force, gives the heap its memory, takes the command line
    /// over, and starts interrupt controllers and clocks.
    ///
    /// # Safety
    ///
    /// To be called once, in ring 0, with interrupts masked, on page tables that map the lower
    /// 4 GiB one to one, with the handlers of [`interrupts`](crate::interrupts) in the interrupt
    /// table. `handoff` and `image` must describe this machine, and `heap` must have no memory
    /// yet.
    pub unsafe fn start(
        handoff: &Handoff,
        image: &ImageLayout,
        heap: &'static Heap,
        options: Options,
    ) -> Result<Foundation, StartError> {
        // SAFETY: as this function's.
        let memory = unsafe { Memory::start(handoff, image, heap) }?;
        LocalApic.start();
        let (clock, reference) = Clock::start(options.counter_hertz).map_err(StartError::Clock)?;
        let timer = Timer::start(&clock);
        Ok(Foundation {
            space: memory.space,
            heap,
            clock,
            reference,
            timer,
            archive: memory.archive,
            command_line: memory.command_line,
        })
    }
}

/// Memory, once it is in order.
struct Memory {
    space: AddressSpace,
    archive: Option<&'static [u8]>,
    command_line: &'static str,
}

impl Memory {
    /// Gives the heap its memory, takes the command line over, and puts the final page tables in
    /// force.
    ///
    /// # Safety
    ///
    /// As [`Foundation::start`].
    unsafe fn start(
        handoff: &Handoff,
        image: &ImageLayout,
        heap: &'static Heap,
    ) -> Result<Memory, StartError> {
        let archive = handoff.archive.clone().unwrap_or_default();
        let occupied = [
            image.text.start..image.data.end,
            archive.clone(),
            handoff.command_line.clone(),
        ];
        let ram = carve(handoff.ram(), &occupied, u64::MAX);
        for region in carve(handoff.ram(), &occupied, BOOTSTRAP_LIMIT).iter() {
            // SAFETY: the region is memory that neither image nor loader needs any more, and the
            // bootstrap tables map it; the final ones will.
            unsafe { heap.add(region) };
        }
        if heap.free() < LEAST_HEAP {
            return Err(StartError::Memory { heap: heap.size() });
        }
        // SAFETY: the loader's text is still where it put it: it was kept out of the heap.
        let command_line = unsafe { take_text(&handoff.command_line) }?;

        let mut space = AddressSpace::new(cpu::has_gigabyte_pages());
        map_all(&mut space, image, ram.iter(), &archive).map_err(StartError::Map)?;
        // SAFETY: the image is mapped section by section, all memory is, and so are the devices
        // at fixed places; the stack lies in the image's data.
        unsafe { space.activate() };
        for region in carve(handoff.ram(), &occupied, u64::MAX).iter() {
            let above = region.start.max(BOOTSTRAP_LIMIT)..region.end;
            if above.start < above.end {
                // SAFETY: the region is unused memory, and the final tables map it.
                unsafe { heap.add(above) };
            }
        }
        let archive = handoff.archive.as_ref().map(|range| {
            let length = (range.end - range.start) as usize;
            // SAFETY: the archive's pages are mapped read-only and nobody's: they were kept out
            // of the heap.
            unsafe { core::slice::from_raw_parts(range.start as *const u8, length) }
        });
        Ok(Memory {
            space,
            archive,
            command_line,
        })
    }
}

/// Copies the command line and wipes the original: it may hold a key.
///
/// # Safety
///
/// `range` must be mapped, writable and nobody else's.
unsafe fn take_text(range: &Range<u64>) -> Result<&'static str, StartError> {
    if range.is_empty() {
        return Ok("");
    }
    let length = (range.end - range.start) as usize;
    // SAFETY: the caller promised that the range is ours.
    let bytes = unsafe { core::slice::from_raw_parts_mut(range.start as *mut u8, length) };
    let text = core::str::from_utf8(bytes)
        .map(|text| &*Box::leak(text.to_owned().into_boxed_str()))
        .map_err(|error| StartError::CommandLine {
            byte: error.valid_up_to(),
        });
    bytes.fill(0);
    text
}

/// Maps the image, memory, the archive and the devices at fixed places, each with its rights.
fn map_all(
    space: &mut AddressSpace,
    image: &ImageLayout,
    ram: impl Iterator<Item = Range<u64>>,
    archive: &Range<u64>,
) -> Result<(), MapError> {
    space.map(image.text.clone(), Access::Code)?;
    space.map(image.rodata.clone(), Access::Constant)?;
    let mut start = image.data.start;
    for guard in image.guards {
        if start < guard {
            space.map(start..guard, Access::Memory)?;
        }
        start = guard + PAGE;
    }
    space.map(start..image.data.end, Access::Memory)?;
    for region in ram {
        space.map(region, Access::Memory)?;
    }
    if !archive.is_empty() {
        let pages = page_down(archive.start)..page_up(archive.end);
        space.map(pages, Access::Constant)?;
    }
    space.map(DEVICE_WINDOW, Access::Device)
}

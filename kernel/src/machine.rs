//! The machine as one value.

#![allow(unsafe_code)]

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

use virtio_drivers::transport::{DeviceType, SomeTransport};

use crate::cpu;
use crate::device::{Buses, Device, DeviceError, Wiring};
use crate::dma::IdentityMapped;
use crate::entropy::{self, NoEntropy};
use crate::interrupts::{self, DEVICE_WINDOW, LocalApic, Timer};
use crate::memory::{Heap, PAGE, carve, page_down, page_up};
use crate::paging::{Access, AddressSpace, MapError};
use crate::power::{self, exit};
use crate::pvh::Handoff;
use crate::time::{Clock, NoReference};
use crate::virtio::{Nic, NicError, NicOptions};

/// Memory that the bootstrap page tables reach; more is used once the final ones are in force.
const BOOTSTRAP_LIMIT: u64 = 4 << 30;
/// The least heap that is worth starting with, in bytes.
const LEAST_HEAP: usize = 4 << 20;
/// How often a card without interrupts is asked.
const POLLING_INTERVAL: Duration = Duration::from_millis(1);

/// The card of the machine.
pub type Card = Nic<IdentityMapped, SomeTransport<'static>>;

/// Where the image lies in memory, section by section; all page-aligned.
#[derive(Clone, Debug)]
pub struct ImageLayout {
    /// Instructions.
    pub text: Range<u64>,
    /// Constants.
    pub rodata: Range<u64>,
    /// Variables and stacks.
    pub data: Range<u64>,
    /// Pages inside `data` that stay unmapped: the guards under the stacks, in ascending order.
    pub guards: [u64; 4],
}

/// What the caller may know better than the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The time-stamp counter's rate in Hz.
    pub counter_hertz: Option<u64>,
}

/// Why the machine cannot be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StartError {
    /// Too little memory.
    Memory {
        /// Bytes of heap that there would be.
        heap: usize,
    },
    /// The loader's memory map contradicts itself.
    Map(MapError),
    /// The command line is not UTF-8.
    CommandLine {
        /// The byte that begins the first wrong character, counted from 0.
        byte: usize,
    },
    /// No way to tell the time.
    Clock(NoReference),
    /// No source of entropy.
    Entropy(NoEntropy),
    /// No network card.
    NoCard,
    /// A network card that cannot be reached.
    Device(DeviceError),
    /// A network card that cannot be driven.
    Card(NicError),
}

impl StartError {
    /// The exit value for it, from [`exit`].
    pub fn exit_value(&self) -> u8 {
        match self {
            StartError::Memory { .. } | StartError::Card(NicError::Memory { .. }) => {
                exit::OUT_OF_MEMORY
            }
            StartError::CommandLine { .. } => exit::CONFIGURATION,
            StartError::Entropy(_) => exit::NO_ENTROPY,
            StartError::NoCard | StartError::Device(_) | StartError::Card(_) => exit::NO_DEVICE,
            StartError::Map(_) | StartError::Clock(_) => exit::PANIC,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Memory { heap } => write!(
                f,
                "too little memory: {heap} bytes of heap, at least {LEAST_HEAP} are needed; start QEMU with more ('-m 32' or above)"
            ),
            StartError::Map(error) => write!(f, "the memory map is contradictory: {error}"),
            StartError::CommandLine { byte } => {
                write!(f, "the command line is not UTF-8 (byte {byte})")
            }
            StartError::Clock(error) => write!(f, "{error}"),
            StartError::Entropy(error) => write!(f, "{error}"),
            StartError::NoCard => write!(
                f,
                "no virtio network card: add '-device virtio-net-pci' ('virtio-net-device' on microvm)"
            ),
            StartError::Device(error) => write!(f, "{error}"),
            StartError::Card(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for StartError {}

/// The machine, started: everything that the product needs from it.
pub struct Machine {
    nic: Card,
    wiring: Wiring,
    clock: Clock,
    timer: Timer,
    heap: &'static Heap,
    archive: Option<&'static [u8]>,
    command_line: &'static str,
}

impl Machine {
    /// Starts the machine: final page tables, heap, interrupts, clocks, entropy, network card.
    ///
    /// # Safety
    ///
    /// To be called once, in ring 0, with interrupts masked, on page tables that map the lower
    /// 4 GiB one to one, with the handlers of [`interrupts`] in the interrupt table. `handoff`
    /// and `image` must describe this machine, and `heap` must have no memory yet.
    pub unsafe fn start(
        handoff: &Handoff,
        image: &ImageLayout,
        heap: &'static Heap,
        options: Options,
    ) -> Result<Machine, StartError> {
        // SAFETY: as this function's.
        let mut memory = unsafe { Memory::start(handoff, image, heap) }?;
        LocalApic.start();
        let (clock, reference) = Clock::start(options.counter_hertz).map_err(StartError::Clock)?;
        let timer = Timer::start(&clock);
        log::debug!(
            "clock: {reference}; timer {} kHz; wall clock {}",
            timer.hertz() / 1_000,
            if clock.unix_time().is_some() {
                "set"
            } else {
                "absent"
            },
        );
        if clock.unix_time().is_none() {
            log::warn!("no wall clock: neither kvmclock nor a CMOS clock; dates cannot be checked");
        }
        log::debug!(
            "memory: {} KiB of heap, {} KiB free",
            heap.size() / 1024,
            heap.free() / 1024
        );

        let mut buses = Buses {
            command_line: memory.command_line,
            space: &mut memory.space,
        };
        let sources = start_entropy(&mut buses, &clock).map_err(StartError::Entropy)?;
        log::debug!("entropy: {sources}");

        let device = buses
            .open_first(DeviceType::Network)
            .map_err(StartError::Device)?
            .ok_or(StartError::NoCard)?;
        let Device {
            transport,
            doorbells,
            mut wiring,
            place,
        } = device;
        let mut bind = |queue| wiring.bind(queue);
        let options = NicOptions::for_memory(heap.size());
        let nic = Nic::new(transport, doorbells, options, &mut bind).map_err(StartError::Card)?;
        if matches!(wiring, Wiring::Polled) {
            log::warn!("the network card at {place} has no MSI-X: it is polled, which is slower");
        }
        log::debug!("network card at {place}, {wiring}: {}", nic.features());
        // Nothing may be mapped from here on.
        Box::leak(Box::new(memory.space));
        Ok(Machine {
            nic,
            wiring: core::mem::replace(&mut wiring, Wiring::Polled),
            clock,
            timer,
            heap,
            archive: memory.archive,
            command_line: memory.command_line,
        })
    }

    /// The network card.
    pub fn nic(&mut self) -> &mut Card {
        &mut self.nic
    }

    /// The network card's MAC address.
    pub fn mac(&self) -> [u8; 6] {
        self.nic.mac()
    }

    /// Time since power-on; never goes backwards.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Seconds since 1970-01-01 00:00 UTC; 0 when the machine has no wall clock.
    pub fn wall_clock(&self) -> u64 {
        self.clock.unix_time().unwrap_or_default()
    }

    /// Fills `bytes` from the machine's generator.
    pub fn fill_entropy(&mut self, bytes: &mut [u8]) {
        let filled = entropy::fill(bytes);
        assert!(filled.is_ok(), "entropy was started before the machine was");
    }

    /// Tells the card about everything queued since the last call.
    pub fn flush(&mut self) {
        self.nic.flush();
    }

    /// Halts until `deadline` (time since power-on) or until the card has work, whichever is
    /// first. May return early.
    ///
    /// Interrupts are masked from before the last look at the card's queues until the halt
    /// itself, so a frame that arrives in between ends the halt at once.
    pub fn idle_until(&mut self, deadline: Option<Duration>) {
        if matches!(self.wiring, Wiring::Line) {
            // A line stays up until the device is acknowledged; only a rise interrupts.
            self.nic.acknowledge_interrupt();
        }
        if self.nic.arm() {
            return;
        }
        let mut left = match deadline {
            None => None,
            Some(deadline) => match deadline.checked_sub(self.clock.now()) {
                None | Some(Duration::ZERO) => return,
                left => left,
            },
        };
        if matches!(self.wiring, Wiring::Polled) {
            left = Some(left.unwrap_or(POLLING_INTERVAL).min(POLLING_INTERVAL));
        }
        interrupts::halt(&self.timer, left);
    }

    /// Bytes of heap not in use.
    pub fn heap_free(&self) -> usize {
        self.heap.free()
    }

    /// The heap.
    pub fn heap(&self) -> &'static Heap {
        self.heap
    }

    /// The boot archive, as the loader left it; read-only memory.
    pub fn archive(&self) -> Option<&'static [u8]> {
        self.archive
    }

    /// The kernel command line. May hold secrets: never to be logged.
    pub fn command_line(&self) -> &'static str {
        self.command_line
    }

    /// Ends the machine with a value from [`exit`].
    pub fn exit(&self, value: u8) -> ! {
        power::end(value)
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
    /// As [`Machine::start`].
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

/// Keys the generator from all that the machine has.
fn start_entropy(buses: &mut Buses<'_>, clock: &Clock) -> Result<entropy::Sources, NoEntropy> {
    let seed = match buses.open_first(DeviceType::EntropySource) {
        Ok(None) => None,
        Ok(Some(device)) => entropy::read_virtio_rng(device.transport, clock)
            .inspect_err(|error| log::warn!("{error}"))
            .ok(),
        Err(error) => {
            log::warn!("{error}");
            None
        }
    };
    entropy::start(seed.as_ref())
}

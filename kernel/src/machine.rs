//! The machine as one value.

use alloc::boxed::Box;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

use virtio_drivers::transport::{DeviceType, SomeTransport};

use crate::device::{Buses, Device, DeviceError, Wiring};
use crate::dma::IdentityMapped;
use crate::entropy::{self, NoEntropy};
use crate::foundation::{Foundation, LEAST_HEAP};
use crate::interrupts::{self, Timer};
use crate::memory::Heap;
use crate::paging::MapError;
use crate::power::{self, exit};
use crate::time::{Clock, NoReference};
use crate::virtio::{Console, Nic, NicOptions, VirtioError};

/// How often devices without interrupts are asked.
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
    Card(VirtioError),
}

impl StartError {
    /// The exit value for it, from [`exit`].
    pub fn exit_value(&self) -> u8 {
        match self {
            StartError::Memory { .. } | StartError::Card(VirtioError::Memory { .. }) => {
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
            StartError::Card(error) => write!(f, "the network card {error}"),
        }
    }
}

impl core::error::Error for StartError {}

/// The management channel and how it interrupts.
struct Channel {
    console: Console<IdentityMapped, SomeTransport<'static>>,
    wiring: Wiring,
}

/// The machine, started: everything that the product needs from it.
pub struct Machine {
    nic: Card,
    wiring: Wiring,
    channel: Option<Channel>,
    /// Device interrupts taken up to the last acknowledgement; `None` before the first.
    acknowledged: Option<u64>,
    clock: Clock,
    timer: Timer,
    heap: &'static Heap,
    archive: Option<&'static [u8]>,
    command_line: &'static str,
}

impl Machine {
    /// Finds and starts the devices: entropy first, then the network card, then the management
    /// channel if there is one.
    pub fn start(foundation: Foundation) -> Result<Machine, StartError> {
        let Foundation {
            mut space,
            heap,
            clock,
            reference,
            timer,
            archive,
            command_line,
        } = foundation;
        if clock.unix_time().is_none() {
            log::warn!("no wall clock: neither kvmclock nor a CMOS clock; dates cannot be checked");
        }

        let mut buses = Buses::scan(command_line, &mut space);
        let sources = start_entropy(&mut buses, &clock).map_err(StartError::Entropy)?;
        log::info!(
            "memory {} KiB, clock {reference}, entropy {sources}",
            heap.size() / 1024
        );

        let device = buses
            .open_first(DeviceType::Network)
            .map_err(StartError::Device)?
            .ok_or(StartError::NoCard)?;
        let Device {
            transport,
            doorbells,
            wiring,
            place,
        } = device;
        let mut bind = |queue| wiring.bind(queue);
        let options = NicOptions::for_memory(heap.size());
        let nic = Nic::new(transport, doorbells, options, &mut bind).map_err(StartError::Card)?;
        if matches!(wiring, Wiring::Polled) {
            log::warn!("the network card at {place} has no MSI-X: it is polled, which is slower");
        }
        log::info!(
            "network card at {place}, {wiring}: {}, MTU {}, {}",
            MacAddress(nic.mac()),
            nic.mtu(),
            nic.features()
        );
        let channel = start_channel(&mut buses);
        // The processor uses the page tables for good.
        Box::leak(Box::new(space));
        Ok(Machine {
            nic,
            wiring,
            channel,
            acknowledged: None,
            clock,
            timer,
            heap,
            archive,
            command_line,
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

    /// Tells the card and the channel about everything queued since the last call.
    pub fn flush(&mut self) {
        self.nic.flush();
        if let Some(channel) = &mut self.channel {
            channel.console.flush();
        }
    }

    /// Whether the machine has a management channel.
    pub fn has_channel(&self) -> bool {
        self.channel.is_some()
    }

    /// Takes bytes that have come in over the channel; how many.
    pub fn channel_receive(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.channel {
            Some(channel) => channel.console.receive(bytes),
            None => 0,
        }
    }

    /// Queues bytes for the channel until the next [`flush`](Self::flush); how many were taken,
    /// fewer than all when its buffers are full.
    pub fn channel_send(&mut self, bytes: &[u8]) -> usize {
        match &mut self.channel {
            Some(channel) => channel.console.send(bytes),
            None => 0,
        }
    }

    /// Halts until `deadline` (time since power-on) or until the card or the channel has work,
    /// whichever is first. May return early.
    ///
    /// Interrupts are masked from before the last look at the devices' queues until the halt
    /// itself, so a frame that arrives in between ends the halt at once.
    pub fn idle_until(&mut self, deadline: Option<Duration>) {
        self.acknowledge_lines();
        if self.nic.arm() {
            return;
        }
        if let Some(channel) = &mut self.channel
            && channel.console.arm()
        {
            return;
        }
        let mut left = match deadline {
            None => None,
            Some(deadline) => match deadline.checked_sub(self.clock.now()) {
                None | Some(Duration::ZERO) => return,
                left => left,
            },
        };
        if self.is_polled() {
            left = Some(left.unwrap_or(POLLING_INTERVAL).min(POLLING_INTERVAL));
        }
        interrupts::halt(&self.timer, left);
    }

    /// Acknowledges the devices that interrupt by a line: a line stays up until then, and only a
    /// rise interrupts.
    ///
    /// A line that rose is an interrupt taken in some halt, if not yet then in the next one. So
    /// when none was taken since the last time there is nothing to acknowledge, and the devices'
    /// registers, which are slow to read, are left alone.
    fn acknowledge_lines(&mut self) {
        let (taken, _) = interrupts::counts();
        if self.acknowledged == Some(taken) {
            return;
        }
        self.acknowledged = Some(taken);
        if matches!(self.wiring, Wiring::Line) {
            self.nic.acknowledge_interrupt();
        }
        if let Some(channel) = &mut self.channel
            && matches!(channel.wiring, Wiring::Line)
        {
            channel.console.acknowledge_interrupt();
        }
    }

    /// Whether a device has no interrupt.
    fn is_polled(&self) -> bool {
        let channel = self.channel.as_ref().map(|channel| &channel.wiring);
        matches!(self.wiring, Wiring::Polled) || matches!(channel, Some(Wiring::Polled))
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

/// Displays a MAC address as usual.
struct MacAddress([u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
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

/// Starts the management channel. A machine without one, or with one that does not work, serves
/// all the same.
#[cold]
fn start_channel(buses: &mut Buses<'_>) -> Option<Channel> {
    let device = buses
        .open_first(DeviceType::Console)
        .inspect_err(|error| log::warn!("no management channel: {error}"))
        .ok()??;
    let Device {
        transport,
        doorbells,
        wiring,
        place,
    } = device;
    let console = Console::new(transport, doorbells, &mut |queue| wiring.bind(queue))
        .inspect_err(|error| log::warn!("the management channel {error}"))
        .ok()?;
    log::info!("management channel at {place}, {wiring}");
    Some(Channel { console, wiring })
}

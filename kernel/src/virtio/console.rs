//! The driver of the management channel: the first port of a virtio console.

use virtio_drivers::Hal;
use virtio_drivers::transport::{DeviceType, Transport};

use super::control::{Control, RECEIVE, TRANSMIT};
use super::queue::{BufferClass, Queue};
use super::{Doorbells, Features, VirtioError};

/// What the log calls the device.
const NAME: &str = "management channel";
/// Buffers of each direction, at most: the channel's peers acknowledge, so more in flight would
/// only be more to lose. Fewer than bits in [`Slots`].
const BUFFERS: u16 = 4;
/// Bytes of a buffer: a page.
const BUFFER_SIZE: usize = 4096;
/// What the device may offer and we use. Not `VIRTIO_CONSOLE_F_MULTIPORT`: without it there is one
/// port, and it is open from the start (virtio 1.2 §5.3.3).
const FEATURES: Features = Features::VERSION_1
    .union(Features::EVENT_IDX)
    .union(Features::ACCESS_PLATFORM);

/// The first port of a virtio console (virtio 1.2 §5.3): bytes to and from the host.
///
/// Nothing waits here: what there is no room for is not taken, and what has not come is not
/// there. The device may lose bytes: QEMU drops what its own end has no room for.
///
/// The order of use is that of [`Nic`](super::Nic): [`receive`](Self::receive) and
/// [`send`](Self::send), then [`flush`](Self::flush), and [`arm`](Self::arm) before a halt.
pub struct Console<H: Hal, T: Transport> {
    control: Control<T>,
    receive: Queue<H>,
    transmit: Queue<H>,
    /// A received buffer that is not read to its end.
    reading: Option<Reading>,
    /// A buffer to send that has room left; the device gets it when it is full or with
    /// [`flush`](Self::flush).
    filling: Option<Filling>,
    /// Transmit buffers that are neither with the device nor being filled.
    free: Slots,
    /// Bytes were refused for want of buffers.
    starved: bool,
    /// [`arm`](Self::arm) has told of bytes that nobody has asked for since.
    told: bool,
}

struct Reading {
    slot: u16,
    /// Bytes that the device wrote.
    length: usize,
    /// Bytes that were handed on.
    read: usize,
}

struct Filling {
    slot: u16,
    /// Bytes written so far.
    length: usize,
}

/// A set of slot numbers below 32.
struct Slots(u32);

impl<H: Hal, T: Transport> Console<H, T> {
    /// Sets the device up and hands it its receive buffers (virtio 1.2 §3.1.1, §5.3.5).
    ///
    /// `wire` and `doorbells` are as for [`Nic::new`](super::Nic::new).
    ///
    /// # Errors
    ///
    /// Any [`VirtioError`]; the device is then marked failed and left alone.
    pub fn new(
        transport: T,
        doorbells: Option<Doorbells>,
        wire: &mut dyn FnMut(u16) -> Result<(), VirtioError>,
    ) -> Result<Console<H, T>, VirtioError> {
        let mut control = Control::new(NAME, transport, doorbells);
        let (receive, transmit) = set_up(&mut control, wire).inspect_err(|_| control.give_up())?;
        let mut console = Console {
            free: Slots::below(transmit.size()),
            control,
            receive,
            transmit,
            reading: None,
            filling: None,
            starved: false,
            told: false,
        };
        for slot in 0..console.receive.size() {
            console.receive.offer(slot, BUFFER_SIZE);
        }
        console.flush();
        Ok(console)
    }

    /// Why the device is not used any longer, if so: no byte goes through it then.
    pub fn failure(&self) -> Option<VirtioError> {
        if self.control.needs_reset() {
            return Some(VirtioError::NeedsReset);
        }
        self.receive.failure().or_else(|| self.transmit.failure())
    }

    /// How often the device broke the rules of the rings.
    pub fn device_errors(&self) -> u64 {
        self.receive.misbehaviours() + self.transmit.misbehaviours()
    }

    /// Takes bytes that have come in; how many. What is handed on is wiped from the device's
    /// memory: it may be a key.
    pub fn receive(&mut self, bytes: &mut [u8]) -> usize {
        self.told = false;
        self.receive.ring_mut().disarm();
        let mut taken = 0;
        // At most one ring's worth of buffers: a device that returns empty ones ends no call late.
        for _ in 0..=BUFFERS {
            let Some(rest) = bytes.get_mut(taken..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            let Some(mut reading) = self.next_received() else {
                break;
            };
            let buffer = self.receive.bytes_mut(reading.slot, reading.length);
            let part = buffer.get_mut(reading.read..).unwrap_or_default();
            let length = copy(rest, part);
            part.get_mut(..length).unwrap_or_default().fill(0);
            taken += length;
            reading.read += length;
            if reading.read < reading.length {
                self.reading = Some(reading);
            } else {
                self.receive.offer(reading.slot, BUFFER_SIZE);
            }
        }
        taken
    }

    /// Queues bytes; how many were taken, fewer than all when the buffers are full. The device
    /// learns of them with [`flush`](Self::flush).
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        self.starved = false;
        self.transmit.ring_mut().disarm();
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(mut filling) = self.next_to_fill() else {
                self.starved = true;
                break;
            };
            let buffer = self.transmit.bytes_mut(filling.slot, BUFFER_SIZE);
            let room = buffer.get_mut(filling.length..).unwrap_or_default();
            let length = copy(room, rest);
            taken += length;
            filling.length += length;
            if filling.length < BUFFER_SIZE {
                self.filling = Some(filling);
            } else {
                self.transmit.offer(filling.slot, filling.length);
            }
        }
        taken
    }

    /// Gives the device what was queued, takes back what it has sent, and rings each doorbell that
    /// it wants rung. Cheap when there is nothing to do.
    pub fn flush(&mut self) {
        if let Some(filling) = self.filling.take() {
            self.transmit.offer(filling.slot, filling.length);
        }
        self.reclaim();
        if self.receive.ring_mut().should_notify() {
            self.control.notify(RECEIVE);
        }
        if self.transmit.ring_mut().should_notify() {
            self.control.notify(TRANSMIT);
        }
    }

    /// Flushes, then asks for an interrupt when bytes come in, or when there is room again if bytes
    /// were refused. True when there is something of it already: then do not halt, for no interrupt
    /// may come. Call with interrupts masked, right before halting.
    ///
    /// Of what nobody takes it tells once, so that it cannot keep a machine awake.
    pub fn arm(&mut self) -> bool {
        self.flush();
        if self.failure().is_some() {
            return false;
        }
        let bytes = self.receive.ring_mut().arm(0) || self.reading.is_some();
        if bytes && !self.told {
            self.told = true;
            return true;
        }
        if !self.starved {
            return false;
        }
        // Half of what is under way: one interrupt instead of one for each buffer.
        let half = self.transmit.outstanding() / 2;
        let room = !self.free.is_empty() || self.transmit.ring_mut().arm(half);
        self.starved = !room;
        room
    }

    /// Acknowledges the device's interrupt. Needed after every interrupt on a line, as MMIO devices
    /// have; with MSI-X it may be left out.
    pub fn acknowledge_interrupt(&mut self) {
        self.control.acknowledge_interrupt();
    }

    /// The buffer to read from: the one begun, or the next that the device gives back.
    fn next_received(&mut self) -> Option<Reading> {
        if self.control.needs_reset() {
            return None;
        }
        self.reading.take().or_else(|| {
            let returned = self.receive.take()?;
            Some(Reading {
                slot: returned.slot,
                length: returned.length,
                read: 0,
            })
        })
    }

    /// The buffer to write to: the one begun, or a free one.
    fn next_to_fill(&mut self) -> Option<Filling> {
        if self.failure().is_some() {
            return None;
        }
        if let Some(filling) = self.filling.take() {
            return Some(filling);
        }
        if self.free.is_empty() {
            self.reclaim();
        }
        let slot = self.free.take()?;
        Some(Filling { slot, length: 0 })
    }

    /// Takes back the buffers that the device has sent.
    fn reclaim(&mut self) {
        while let Some(returned) = self.transmit.take() {
            self.free.put(returned.slot);
        }
    }
}

/// Steps 1 to 8 of virtio 1.2 §3.1.1; gives the queues to receive and to transmit.
#[cold]
fn set_up<H: Hal, T: Transport>(
    control: &mut Control<T>,
    wire: &mut dyn FnMut(u16) -> Result<(), VirtioError>,
) -> Result<(Queue<H>, Queue<H>), VirtioError> {
    let features = control.begin(DeviceType::Console, &mut |offered| {
        offered & FEATURES.bits()
    })?;
    let event_idx = Features::from_bits(features).contains(Features::EVENT_IDX);
    let mut queue = |index| {
        let most = control.queue_most(index)?.min(u32::from(BUFFERS));
        // At most `BUFFERS`, so it fits; a ring's size is a power of two (virtio 1.2 §2.7).
        let size = 1 << most.ilog2();
        let class = BufferClass {
            count: size,
            size: BUFFER_SIZE,
        };
        wire(index)?;
        Queue::new(control, index, size, event_idx, &[class])
    };
    let queues = (queue(RECEIVE)?, queue(TRANSMIT)?);
    control.finish();
    Ok(queues)
}

/// Copies as much as fits; how many bytes.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let length = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
    length
}

impl<H: Hal, T: Transport> Drop for Console<H, T> {
    /// Stops the device before its memory is freed; memory of a device that does not stop is not.
    fn drop(&mut self) {
        if !self.control.reset() {
            self.receive.leak();
            self.transmit.leak();
        }
    }
}

impl Slots {
    /// All below `count`, which is below 32.
    fn below(count: u16) -> Slots {
        Slots((1 << count) - 1)
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn put(&mut self, slot: u16) {
        self.0 |= 1 << slot;
    }

    /// Takes one out.
    fn take(&mut self) -> Option<u16> {
        if self.is_empty() {
            return None;
        }
        let slot = self.0.trailing_zeros();
        self.0 &= !(1 << slot);
        // Below 32.
        Some(slot as u16)
    }
}

//! The split virtqueue (virtio 1.2 §2.7): what lies in memory, and the rules of ordering.
//!
//! Each buffer is one descriptor, and descriptor `n` always means the same buffer `n`, so chains
//! and free descriptors need no bookkeeping here. Numbers are little-endian (virtio 1.2 §1.4),
//! which is the byte order of the only processor this driver is for.

use core::sync::atomic::{Ordering, fence};

use virtio_drivers::transport::Transport;
use virtio_drivers::{Hal, PAGE_SIZE};

use super::VirtioError;
use super::memory::{BufferMemory, RingMemory};

/// Descriptor flag: the device writes the buffer (virtio 1.2 §2.7.5).
const DESC_WRITE: u16 = 2;
/// `flags` of the driver area: no interrupts, please (virtio 1.2 §2.7.6).
const NO_INTERRUPT: u16 = 1;
/// `flags` of the device area: no doorbells, please (virtio 1.2 §2.7.8).
const NO_NOTIFY: u16 = 1;

/// Where the three areas of a ring lie, in bytes from its start.
///
/// They follow one another as the legacy interface demands (virtio 1.2 §2.7.2), which suits the
/// modern one as well.
struct Layout {
    /// The driver area ("available ring").
    driver: usize,
    /// The device area ("used ring").
    device: usize,
    /// Bytes in all.
    total: usize,
}

impl Layout {
    fn new(size: u16) -> Layout {
        let size = usize::from(size);
        let driver = 16 * size;
        let device = (driver + 2 * size + 6).next_multiple_of(PAGE_SIZE);
        Layout {
            driver,
            device,
            total: device + 8 * size + 6,
        }
    }
}

/// A buffer that the device is done with, in the device's words: nothing here is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Used {
    /// Descriptor, supposedly one that was offered.
    pub(super) id: u32,
    /// Bytes written into the buffer, supposedly no more than it holds.
    pub(super) length: u32,
}

/// The device's used index went further than the ring is long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct IndexJumped {
    pub(super) expected: u16,
    pub(super) found: u16,
}

/// One split virtqueue.
pub(super) struct Ring<H: Hal> {
    memory: RingMemory<H>,
    layout: Layout,
    /// Entries: a power of two.
    size: u16,
    event_idx: bool,
    /// The next available index to write.
    available: u16,
    /// The available index at the last decision about the doorbell.
    notified: u16,
    /// The next used index to read.
    consumed: u16,
    /// The device's used index when last read: saves reading a cache line that the device writes.
    seen: u16,
    /// Interrupts are asked for.
    armed: bool,
}

impl<H: Hal> Ring<H> {
    /// Makes an empty ring with interrupts off. `size` must be a power of two.
    pub(super) fn new(size: u16, event_idx: bool) -> Result<Ring<H>, VirtioError> {
        debug_assert!(size.is_power_of_two());
        let layout = Layout::new(size);
        let mut ring = Ring {
            memory: RingMemory::allocate(layout.total)?,
            layout,
            size,
            event_idx,
            available: 0,
            notified: 0,
            consumed: 0,
            seen: 0,
            armed: true,
        };
        if event_idx {
            // "At the last index before the wrap" is as far away as an event can be.
            ring.set_used_event(u16::MAX);
        }
        ring.disarm();
        Ok(ring)
    }

    /// Tells the device where the ring is and enables it.
    pub(super) fn install<T: Transport>(&self, transport: &mut T, queue: u16) {
        let base = self.memory.physical();
        transport.queue_set(
            queue,
            u32::from(self.size),
            base,
            base + self.layout.driver as u64,
            base + self.layout.device as u64,
        );
    }

    /// Starts both indices elsewhere than at 0, so that a test meets the wrap early.
    #[cfg(test)]
    pub(super) fn start_at(&mut self, index: u16) {
        self.available = index;
        self.notified = index;
        self.consumed = index;
        self.seen = index;
        self.driver_word(1).store(index, Ordering::Release);
        self.device_word(1).store(index, Ordering::Release);
    }

    pub(super) fn size(&self) -> u16 {
        self.size
    }

    pub(super) fn leak(&mut self) {
        self.memory.leak();
    }

    /// Hands buffer `id`, `length` bytes at `offset` in `buffers`, to the device.
    ///
    /// The device may take it at once, even before the doorbell.
    pub(super) fn offer(
        &mut self,
        id: u16,
        buffers: &BufferMemory<H>,
        offset: usize,
        length: u32,
        device_writes: bool,
    ) {
        debug_assert!(id < self.size);
        let descriptor = 16 * usize::from(id);
        let address = buffers.physical(offset, length as usize);
        let flags = if device_writes { DESC_WRITE } else { 0 };
        self.memory
            .u64(descriptor)
            .store(address, Ordering::Relaxed);
        self.memory
            .u32(descriptor + 8)
            .store(length, Ordering::Relaxed);
        self.memory
            .u16(descriptor + 12)
            .store(flags, Ordering::Relaxed);
        let entry = usize::from(self.available & (self.size - 1));
        self.driver_word(2 + entry).store(id, Ordering::Relaxed);
        self.available = self.available.wrapping_add(1);
        // Release: the device must see descriptor and buffer before the index (§2.7.13.3).
        self.driver_word(1).store(self.available, Ordering::Release);
    }

    /// Whether the device wants to hear of what was offered since the last call.
    pub(super) fn should_notify(&mut self) -> bool {
        if self.available == self.notified {
            return false;
        }
        // The index store must be visible before the device's wish is read, else both sides may
        // go to sleep (§2.7.13.4.1): a store followed by a load, hence the strongest fence.
        fence(Ordering::SeqCst);
        let wanted = if self.event_idx {
            let event = self
                .device_word(2 + 4 * usize::from(self.size))
                .load(Ordering::Relaxed);
            event_passed(event, self.available, self.notified)
        } else {
            self.device_word(0).load(Ordering::Relaxed) & NO_NOTIFY == 0
        };
        self.notified = self.available;
        wanted
    }

    /// The next buffer that the device is done with.
    pub(super) fn take(&mut self) -> Result<Option<Used>, IndexJumped> {
        if self.seen == self.consumed {
            // Acquire: what the device wrote before the index must be seen after it.
            let found = self.device_word(1).load(Ordering::Acquire);
            if found.wrapping_sub(self.consumed) > self.size {
                return Err(IndexJumped {
                    expected: self.consumed,
                    found,
                });
            }
            self.seen = found;
            if found == self.consumed {
                return Ok(None);
            }
        }
        let entry = usize::from(self.consumed & (self.size - 1));
        let offset = self.layout.device + 4 + 8 * entry;
        let used = Used {
            id: self.memory.u32(offset).load(Ordering::Relaxed),
            length: self.memory.u32(offset + 4).load(Ordering::Relaxed),
        };
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Some(used))
    }

    /// Asks for an interrupt once more than `after` further buffers are used.
    /// True when that is so already: then no interrupt may come.
    pub(super) fn arm(&mut self, after: u16) -> bool {
        self.armed = true;
        if self.event_idx {
            self.set_used_event(self.consumed.wrapping_add(after));
        } else {
            self.driver_word(0).store(0, Ordering::Relaxed);
        }
        // The wish must be visible before the index is read, else the device's last update may
        // miss the one and we the other (§2.7.7.1).
        fence(Ordering::SeqCst);
        let found = self.device_word(1).load(Ordering::Acquire);
        found.wrapping_sub(self.consumed) > after
    }

    /// Asks for no more interrupts.
    ///
    /// With event indices there is nothing to write: the event passed lies behind, and the next
    /// time the index comes by is 65,536 buffers away.
    pub(super) fn disarm(&mut self) {
        if self.armed {
            self.armed = false;
            if !self.event_idx {
                self.driver_word(0).store(NO_INTERRUPT, Ordering::Relaxed);
            }
        }
    }

    fn set_used_event(&mut self, index: u16) {
        self.driver_word(2 + usize::from(self.size))
            .store(index, Ordering::Relaxed);
    }

    /// The `n`th 16-bit word of the driver area: flags, index, ring, event.
    fn driver_word(&self, n: usize) -> &core::sync::atomic::AtomicU16 {
        self.memory.u16(self.layout.driver + 2 * n)
    }

    /// The `n`th 16-bit word of the device area: flags, index, ring (four words each), event.
    fn device_word(&self, n: usize) -> &core::sync::atomic::AtomicU16 {
        self.memory.u16(self.layout.device + 2 * n)
    }
}

/// Whether an index that went from `old` to `new` passed `event` (virtio 1.2 §2.7.10).
///
/// All three wrap at 65,536, so only differences are compared.
pub(super) fn event_passed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

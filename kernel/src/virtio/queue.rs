//! A ring together with its buffers, and the record of who owns which.
//!
//! This is where the device's words are checked. What passes is a buffer of ours that was with
//! the device, and comes back once.

use core::fmt;
use core::ops::Range;

use alloc::vec::Vec;
use log::{error, warn};
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::VirtioError;
use super::control::{Control, RECEIVE};
use super::error::direction;
use super::memory::BufferMemory;
use super::ring::Ring;

/// Buffers of one size.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct BufferClass {
    /// How many.
    pub(super) count: u16,
    /// Bytes each; a network card's with the virtio-net header.
    pub(super) size: usize,
}

impl BufferClass {
    /// Bytes in all.
    pub(super) fn total(self) -> usize {
        usize::from(self.count) * self.size
    }
}

/// A buffer that the device gave back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Returned {
    pub(super) slot: u16,
    /// What the device says it wrote, in bytes; no more than it was given.
    pub(super) length: usize,
}

/// What a device did against the rules; costs the frame or the bytes, not the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Misbehaviour {
    /// It gave back a buffer that does not exist.
    UnknownBuffer { id: u32 },
    /// It gave back a buffer that it did not have.
    NotOutstanding { id: u32 },
    /// It claims to have written more than the buffer holds.
    TooLong { length: u32, capacity: u32 },
    /// It wrote less than the virtio-net and Ethernet headers.
    TooShort { length: usize },
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Misbehaviour::UnknownBuffer { id } => write!(f, "returned unknown buffer {id}"),
            Misbehaviour::NotOutstanding { id } => {
                write!(f, "returned buffer {id}, which it did not have")
            }
            Misbehaviour::TooLong { length, capacity } => {
                write!(f, "claims {length} bytes in a buffer of {capacity}")
            }
            Misbehaviour::TooShort { length } => {
                write!(
                    f,
                    "delivered a frame of {length} bytes, less than its headers"
                )
            }
        }
    }
}

struct Slot {
    offset: usize,
    size: usize,
    /// Bytes lent to the device; `None` while the buffer is ours.
    lent: Option<u32>,
}

/// One virtqueue with its buffers.
pub(super) struct Queue<H: Hal> {
    /// What the log calls the device.
    owner: &'static str,
    index: u16,
    ring: Ring<H>,
    buffers: BufferMemory<H>,
    slots: Vec<Slot>,
    outstanding: u16,
    device_writes: bool,
    failure: Option<VirtioError>,
    misbehaviours: u64,
}

impl<H: Hal> Queue<H> {
    /// Makes the queue and enables it. Slots are numbered through the classes in order.
    ///
    /// `size` is a power of two, no smaller than the number of buffers. The device writes the
    /// buffers of the receive queue and reads the others.
    #[cold]
    pub(super) fn new<T: Transport>(
        control: &mut Control<T>,
        index: u16,
        size: u16,
        event_idx: bool,
        classes: &[BufferClass],
    ) -> Result<Queue<H>, VirtioError> {
        let device_writes = index == RECEIVE;
        let bytes = classes.iter().map(|class| class.total()).sum();
        let count = classes.iter().map(|class| usize::from(class.count)).sum();
        debug_assert!(count <= usize::from(size));
        let direction = if device_writes {
            BufferDirection::DeviceToDriver
        } else {
            BufferDirection::DriverToDevice
        };
        let mut slots = Vec::with_capacity(count);
        let mut offset = 0;
        for class in classes {
            for _ in 0..class.count {
                slots.push(Slot {
                    offset,
                    size: class.size,
                    lent: None,
                });
                offset += class.size;
            }
        }
        let queue = Queue {
            owner: control.name(),
            index,
            ring: Ring::new(size, event_idx)?,
            buffers: BufferMemory::allocate(bytes, direction)?,
            slots,
            outstanding: 0,
            device_writes,
            failure: None,
            misbehaviours: 0,
        };
        queue.ring.install(control.transport(), index);
        Ok(queue)
    }

    /// Buffers with the device.
    pub(super) fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// Entries of the ring.
    pub(super) fn size(&self) -> u16 {
        self.ring.size()
    }

    /// Why the queue is dead, if it is.
    pub(super) fn failure(&self) -> Option<VirtioError> {
        self.failure
    }

    /// How often the device broke the rules.
    pub(super) fn misbehaviours(&self) -> u64 {
        self.misbehaviours
    }

    pub(super) fn ring_mut(&mut self) -> &mut Ring<H> {
        &mut self.ring
    }

    /// Gives the memory up for good: for a device that may still write to it.
    pub(super) fn leak(&mut self) {
        self.ring.leak();
        self.buffers.leak();
    }

    /// Hands the first `length` bytes of a buffer of ours to the device (all, when it has fewer).
    pub(super) fn offer(&mut self, slot: u16, length: usize) {
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        if entry.lent.is_some() {
            debug_assert!(false, "buffer {slot} offered twice");
            return;
        }
        let length = u32::try_from(length.min(entry.size)).unwrap_or(u32::MAX);
        entry.lent = Some(length);
        self.outstanding += 1;
        let offset = entry.offset;
        self.ring
            .offer(slot, &self.buffers, offset, length, self.device_writes);
    }

    /// The next buffer that the device gives back. What it gives back against the rules is
    /// counted and passed over, at most one ring's worth a call.
    pub(super) fn take(&mut self) -> Option<Returned> {
        if self.failure.is_some() {
            return None;
        }
        for _ in 0..self.ring.size() {
            let used = match self.ring.take() {
                Ok(used) => used?,
                Err(jump) => {
                    let failure = VirtioError::UsedIndexJumped {
                        queue: self.index,
                        expected: jump.expected,
                        found: jump.found,
                    };
                    error!("the {} {failure}", self.owner);
                    self.misbehaviours += 1;
                    self.failure = Some(failure);
                    return None;
                }
            };
            let id = used.id;
            let slot = u16::try_from(id).ok();
            let entry = slot.and_then(|slot| self.slots.get_mut(usize::from(slot)));
            let (Some(slot), Some(entry)) = (slot, entry) else {
                self.report(Misbehaviour::UnknownBuffer { id });
                continue;
            };
            let Some(capacity) = entry.lent.take() else {
                self.report(Misbehaviour::NotOutstanding { id });
                continue;
            };
            self.outstanding -= 1;
            // A transmit buffer is only read: whatever length the device states is meaningless.
            let length = if self.device_writes { used.length } else { 0 };
            if length > capacity {
                self.report(Misbehaviour::TooLong { length, capacity });
                self.offer(slot, usize::MAX);
                continue;
            }
            return Some(Returned {
                slot,
                length: length as usize,
            });
        }
        None
    }

    /// Counts what the device did against the rules; logs the 1st, 2nd, 4th, 8th … time.
    pub(super) fn report(&mut self, what: Misbehaviour) {
        self.misbehaviours += 1;
        if self.misbehaviours.is_power_of_two() {
            warn!(
                "the {}'s {} queue {what}; passed over ({} so far)",
                self.owner,
                direction(self.index),
                self.misbehaviours
            );
        }
    }

    /// The first `length` bytes of a buffer of ours; nothing when it is the device's.
    pub(super) fn bytes(&self, slot: u16, length: usize) -> &[u8] {
        match self.slots.get(usize::from(slot)).and_then(Slot::owned) {
            Some(range) => self.buffers.bytes(first(range, length)),
            None => &[],
        }
    }

    /// The first `length` bytes of a buffer of ours, to write; nothing when it is the device's.
    pub(super) fn bytes_mut(&mut self, slot: u16, length: usize) -> &mut [u8] {
        match self.slots.get(usize::from(slot)).and_then(Slot::owned) {
            Some(range) => self.buffers.bytes_mut(first(range, length)),
            None => &mut [],
        }
    }
}

impl Slot {
    /// Where the buffer lies, unless the device has it.
    fn owned(&self) -> Option<Range<usize>> {
        match self.lent {
            Some(_) => None,
            None => Some(self.offset..self.offset + self.size),
        }
    }
}

/// The first `length` of a range, or all of it.
fn first(range: Range<usize>, length: usize) -> Range<usize> {
    range.start..range.end.min(range.start + length)
}

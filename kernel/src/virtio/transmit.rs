//! The transmit direction.

use alloc::vec::Vec;

use smoltcp::phy::{self, PacketMeta};
use virtio_drivers::Hal;

use super::header::TransmitOffload;
use super::plan::QueuePlan;
use super::queue::Queue;

/// Buffers kept for answers to received frames, at most: a burst's worth.
const REPLY_RESERVE_MOST: u16 = 16;

/// The transmit queue, its free buffers, and what it does to frames.
pub(super) struct TransmitQueue<H: Hal> {
    queue: Queue<H>,
    /// Bytes of the virtio-net header.
    header: usize,
    offload: TransmitOffload,
    /// Bytes of the largest frame that the device takes unless it splits it.
    frame_most: usize,
    /// Slots below this number are small, the others large.
    small_count: u16,
    small_size: usize,
    large_size: usize,
    free_small: Vec<u16>,
    free_large: Vec<u16>,
    /// Free buffers that only answers to received frames may use.
    reserve: usize,
    /// A token was refused for want of buffers, and none was given since.
    starved: bool,
    /// Where a frame is built that cannot be sent; as large as the largest such frame so far.
    scratch: Vec<u8>,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) dropped_full: u64,
    pub(super) dropped_oversized: u64,
}

impl<H: Hal> TransmitQueue<H> {
    pub(super) fn new(
        queue: Queue<H>,
        plan: &QueuePlan,
        header: usize,
        offload: TransmitOffload,
        frame_most: usize,
    ) -> TransmitQueue<H> {
        let small_count = plan.small.count;
        let total = small_count + plan.large.count;
        TransmitQueue {
            queue,
            header,
            offload,
            frame_most,
            small_count,
            small_size: plan.small.size,
            large_size: plan.large.size,
            free_small: (0..small_count).rev().collect(),
            free_large: (small_count..total).rev().collect(),
            reserve: usize::from((small_count / 4).min(REPLY_RESERVE_MOST)),
            starved: false,
            scratch: Vec::new(),
            frames: 0,
            bytes: 0,
            dropped_full: 0,
            dropped_oversized: 0,
        }
    }

    pub(super) fn queue(&self) -> &Queue<H> {
        &self.queue
    }

    pub(super) fn queue_mut(&mut self) -> &mut Queue<H> {
        &mut self.queue
    }

    /// Whether a frame of any size can be sent now, the reserve left alone.
    pub(super) fn has_room(&self) -> bool {
        let large = self.large_size == 0 || !self.free_large.is_empty();
        large && self.free() > self.reserve
    }

    /// Whether an answer can be sent now.
    pub(super) fn has_reserve(&self) -> bool {
        self.free() > 0
    }

    /// Whether the stack waits for buffers to come back.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
    }

    pub(super) fn set_starved(&mut self, starved: bool) {
        self.starved = starved;
    }

    /// Takes back the buffers that the device has sent.
    pub(super) fn reclaim(&mut self) {
        while let Some(returned) = self.queue.take() {
            if returned.slot < self.small_count {
                self.free_small.push(returned.slot);
            } else {
                self.free_large.push(returned.slot);
            }
        }
    }

    fn free(&self) -> usize {
        self.free_small.len() + self.free_large.len()
    }

    /// A free buffer for `length` bytes: a small one if that is enough and there is one.
    fn choose(&mut self, length: usize) -> Option<u16> {
        if length <= self.small_size
            && let Some(slot) = self.free_small.pop()
        {
            return Some(slot);
        }
        if length <= self.large_size {
            return self.free_large.pop();
        }
        None
    }

    fn put_back(&mut self, slot: u16) {
        if slot < self.small_count {
            self.free_small.push(slot);
        } else {
            self.free_large.push(slot);
        }
    }

    /// Lets `f` build a frame of `length` bytes and offers it to the device.
    fn send<R>(
        &mut self,
        length: usize,
        segment_size: Option<u16>,
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let total = self.header + length;
        let Some(slot) = self.choose(total) else {
            self.dropped_full += 1;
            return self.discard(length, f);
        };
        let buffer = self.queue.bytes_mut(slot, total);
        let Some((header, frame)) = buffer.split_at_mut_checked(self.header) else {
            // A buffer is larger than the header, so this does not happen.
            self.put_back(slot);
            return self.discard(length, f);
        };
        let result = f(frame);
        let split = self.offload.fill(header, frame, segment_size);
        if length > self.frame_most && !split {
            self.dropped_oversized += 1;
            self.put_back(slot);
            return result;
        }
        self.queue.offer(slot, total);
        self.frames += 1;
        self.bytes += length as u64;
        result
    }

    /// Lets `f` build a frame that goes nowhere.
    fn discard<R>(&mut self, length: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        if self.scratch.len() < length {
            self.scratch.resize(length, 0);
        }
        match self.scratch.get_mut(..length) {
            Some(frame) => f(frame),
            None => f(&mut []),
        }
    }
}

/// A place for one frame to send.
///
/// One given along with a received frame is not held back by a full ring, so that receiving goes
/// on: when no buffer is left, the answer is lost as on a full wire, and counted.
pub struct TxToken<'a, H: Hal> {
    pub(super) transmit: &'a mut TransmitQueue<H>,
    pub(super) meta: PacketMeta,
}

impl<H: Hal> phy::TxToken for TxToken<'_, H> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let segment_size = self.meta.segmentation_offload_size.map(|size| size.get());
        self.transmit.send(length, segment_size, f)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}

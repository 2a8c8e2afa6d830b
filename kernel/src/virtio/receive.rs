//! The receive direction.

use smoltcp::phy;
use virtio_drivers::Hal;

use super::header::vouched;
use super::packet::{ETHERNET_HEADER, Verdict, judge};
use super::queue::{Misbehaviour, Queue};

/// The receive queue and what it does to frames.
pub(super) struct ReceiveQueue<H: Hal> {
    queue: Queue<H>,
    /// Bytes of the virtio-net header.
    header: usize,
    /// The device may vouch for TCP and UDP checksums (GUEST_CSUM). The stack verifies none: those
    /// that nobody vouches for are verified here.
    trust: bool,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) corrupt: u64,
    pub(super) fragments: u64,
}

/// A frame in a buffer of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    slot: u16,
    /// Bytes, virtio-net header included.
    length: usize,
}

impl<H: Hal> ReceiveQueue<H> {
    /// Takes the queue over and hands all of its `buffers` buffers to the device.
    pub(super) fn new(
        queue: Queue<H>,
        buffers: u16,
        header: usize,
        trust: bool,
    ) -> ReceiveQueue<H> {
        let mut receive = ReceiveQueue {
            queue,
            header,
            trust,
            frames: 0,
            bytes: 0,
            corrupt: 0,
            fragments: 0,
        };
        for slot in 0..buffers {
            receive.give_back(slot);
        }
        receive
    }

    pub(super) fn queue(&self) -> &Queue<H> {
        &self.queue
    }

    pub(super) fn queue_mut(&mut self) -> &mut Queue<H> {
        &mut self.queue
    }

    /// The next frame worth delivering. Looks at no more frames a call than the ring holds.
    pub(super) fn next(&mut self) -> Option<Frame> {
        for _ in 0..self.queue.size() {
            let returned = self.queue.take()?;
            let frame = Frame {
                slot: returned.slot,
                length: returned.length,
            };
            if self.accept(frame) {
                return Some(frame);
            }
            self.give_back(frame.slot);
        }
        None
    }

    fn accept(&mut self, frame: Frame) -> bool {
        let bytes = self.queue.bytes(frame.slot, frame.length);
        let Some((header, ethernet)) = bytes
            .split_at_checked(self.header)
            .filter(|(_, ethernet)| ethernet.len() >= ETHERNET_HEADER)
        else {
            self.queue.report(Misbehaviour::TooShort {
                length: frame.length,
            });
            return false;
        };
        match judge(ethernet, self.trust && vouched(header)) {
            Verdict::Deliver => {}
            Verdict::Corrupt => {
                self.corrupt += 1;
                return false;
            }
            Verdict::Fragment => {
                self.fragments += 1;
                return false;
            }
        }
        self.frames += 1;
        self.bytes += ethernet.len() as u64;
        true
    }

    fn give_back(&mut self, slot: u16) {
        self.queue.offer(slot, usize::MAX);
    }
}

/// A received frame, lent from the buffer that the device wrote.
///
/// The buffer goes back to the device when the token is consumed or dropped.
pub struct RxToken<'a, H: Hal> {
    pub(super) receive: &'a mut ReceiveQueue<H>,
    pub(super) frame: Frame,
}

impl<H: Hal> phy::RxToken for RxToken<'_, H> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let bytes = self.receive.queue.bytes(self.frame.slot, self.frame.length);
        // `accept` saw the header: there is always something behind it.
        f(bytes.get(self.receive.header..).unwrap_or_default())
    }
}

impl<H: Hal> Drop for RxToken<'_, H> {
    fn drop(&mut self) {
        self.receive.give_back(self.frame.slot);
    }
}

//! When each connection must be looked at next.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use crate::Instant;

/// A heap of wake-ups. An entry is never removed when it is superseded; the connection remembers
/// for when it is armed, and an entry that says something else is passed over.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
}

impl Timers {
    pub(crate) fn push(&mut self, when: Instant, index: u32) {
        self.heap.push(Reverse((when, index)));
    }

    /// The earliest entry, whether it still counts or not.
    pub(crate) fn first(&self) -> Option<(Instant, u32)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, u32)> {
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Keeps the entries that still count.
    pub(crate) fn retain(&mut self, mut counts: impl FnMut(Instant, u32) -> bool) {
        self.heap
            .retain(|Reverse((when, index))| counts(*when, *index));
    }
}

//! Bytes on their way out, kept until they are acknowledged.

use alloc::collections::VecDeque;

use zeroize::Zeroize;

/// Capacity, in bytes, that is kept when nothing waits.
const KEPT: usize = 16 * 1024;
/// Least capacity, in bytes, once something does.
const LEAST: usize = 1024;

/// A ring of bytes with a bound, which leaves no copies behind when it grows.
#[derive(Default)]
pub(crate) struct Queue {
    bytes: VecDeque<u8>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for so many bytes more, if then there are no more than `most`.
    pub(crate) fn reserve(&mut self, additional: usize, most: usize) -> bool {
        let Some(needed) = self.len().checked_add(additional) else {
            return false;
        };
        if needed <= self.bytes.capacity() || needed > most {
            return needed <= most;
        }
        let doubled = self.bytes.capacity().saturating_mul(2).max(LEAST);
        let mut larger = VecDeque::new();
        if larger
            .try_reserve_exact(doubled.clamp(needed, most))
            .is_err()
        {
            return false;
        }
        larger.extend(&self.bytes);
        self.wipe(self.len());
        self.bytes = larger;
        true
    }

    /// Appends bytes for which [`reserve`](Self::reserve) has made room.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// `length` bytes from the place `from` on, or as many as there are, in two pieces.
    pub(crate) fn part(&self, from: usize, length: usize) -> [&[u8]; 2] {
        let (front, back) = self.bytes.as_slices();
        let first = front.get(from..).unwrap_or_default();
        let first = first.get(..length).unwrap_or(first);
        let second = back
            .get(from.saturating_sub(front.len())..)
            .unwrap_or_default();
        let second = second.get(..length - first.len()).unwrap_or(second);
        [first, second]
    }

    /// Forgets the first `length` bytes, and wipes them if they are secret.
    pub(crate) fn remove(&mut self, length: usize, secret: bool) {
        let length = length.min(self.len());
        if secret {
            self.wipe(length);
        }
        self.bytes.drain(..length);
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = VecDeque::new();
        }
    }

    fn wipe(&mut self, length: usize) {
        let (front, back) = self.bytes.as_mut_slices();
        let in_front = length.min(front.len());
        for (slice, length) in [(front, in_front), (back, length - in_front)] {
            slice.get_mut(..length).unwrap_or_default().zeroize();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.wipe(self.len());
    }
}

#[cfg(test)]
mod tests;

//! Records that wait to be sent: handshake, alerts, key updates.

use alloc::vec::Vec;

/// Bytes in the order in which they must leave. Its memory is given back once it is empty, since
/// a connection that relays data needs none.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds `length` bytes for `write` to fill in.
    pub(super) fn push_with<E>(
        &mut self,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let before = self.bytes.len();
        self.bytes.resize(before + length, 0);
        let result = write(self.bytes.get_mut(before..).unwrap_or_default());
        let written = *result.as_ref().unwrap_or(&0);
        self.bytes.truncate(before + written.min(length));
        result.map(drop)
    }

    /// Forgets all but the first `length` waiting bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(self.sent + length);
    }

    /// Moves bytes from the front into `output`; returns how many.
    pub(super) fn transmit(&mut self, output: &mut [u8]) -> usize {
        let waiting = self.bytes.get(self.sent..).unwrap_or_default();
        let length = waiting.len().min(output.len());
        for (to, from) in output.iter_mut().zip(waiting) {
            *to = *from;
        }
        self.sent += length;
        if self.is_empty() {
            *self = Output::default();
        }
        length
    }
}

//! Bytes that came in order, and the messages that they make.
//!
//! A message is its length, in four bytes, and as many bytes.

use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use crate::message::BadMessage;

/// Bytes of a message's length.
pub(crate) const PREFIX: usize = 4;

/// Most bytes that wait to be asked for.
pub(crate) const WAITING_MOST: usize = 32 * 1024;

/// What has come and is not a message yet.
#[derive(Default)]
pub(crate) struct Inbound {
    waiting: Zeroizing<Vec<u8>>,
    /// How many of the bytes that wait are in a message already.
    taken: usize,
    state: State,
}

#[derive(Default)]
enum State {
    /// A message's length is next.
    #[default]
    Between,
    /// A message is being put together; so many bytes of it are missing.
    Message(Zeroizing<Vec<u8>>, usize),
    /// So many bytes are left of a message that is passed over.
    Skipping(usize),
}

impl Inbound {
    /// Takes in all of the bytes, or none of them when too many wait already.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        let waiting = self.waiting.get(self.taken..).unwrap_or_default();
        let needed = waiting.len() + bytes.len();
        if needed > WAITING_MOST {
            return false;
        }
        // A new one when the old is full, so that nothing stays behind where one has been moved.
        if self.waiting.len() + bytes.len() > self.waiting.capacity() {
            let capacity = match waiting {
                [] => needed,
                _ => (2 * needed).min(WAITING_MOST),
            };
            let mut larger = Zeroizing::new(Vec::new());
            if larger.try_reserve_exact(capacity).is_err() {
                return false;
            }
            larger.extend_from_slice(waiting);
            self.waiting = larger;
            self.taken = 0;
        }
        self.waiting.extend_from_slice(bytes);
        true
    }

    /// The next message's bytes, of which there may be `most`.
    pub(crate) fn next(&mut self, most: usize) -> Option<Result<Zeroizing<Vec<u8>>, BadMessage>> {
        let message = self.assemble(most);
        if self.taken == self.waiting.len() {
            self.taken = 0;
            match self.state {
                State::Between => self.waiting = Zeroizing::default(),
                // There will be more of it.
                _ => {
                    self.waiting.as_mut_slice().zeroize();
                    self.waiting.clear();
                }
            }
        }
        message
    }

    fn assemble(&mut self, most: usize) -> Option<Result<Zeroizing<Vec<u8>>, BadMessage>> {
        loop {
            match &mut self.state {
                State::Between => {
                    let waiting = self.waiting.get(self.taken..).unwrap_or_default();
                    let length = u32::from_le_bytes(*waiting.first_chunk::<PREFIX>()?);
                    self.taken += PREFIX;
                    if let Err(error) = self.begin(length, most) {
                        return Some(Err(error));
                    }
                }
                State::Message(message, missing) => {
                    let part = take(&self.waiting, &mut self.taken, missing);
                    message.extend_from_slice(part);
                    if *missing > 0 {
                        return None;
                    }
                    let message = core::mem::take(message);
                    self.state = State::Between;
                    return Some(Ok(message));
                }
                State::Skipping(missing) => {
                    take(&self.waiting, &mut self.taken, missing);
                    if *missing > 0 {
                        return None;
                    }
                    self.state = State::Between;
                }
            }
        }
    }

    /// Begins a message of this length: its memory is had at once, or it is passed over.
    fn begin(&mut self, length: u32, most: usize) -> Result<(), BadMessage> {
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        self.state = State::Skipping(bytes);
        if bytes > most {
            return Err(BadMessage::TooLong { length, most });
        }
        let mut message = Zeroizing::new(Vec::new());
        message
            .try_reserve_exact(bytes)
            .map_err(|_| BadMessage::NoMemory { length })?;
        self.state = State::Message(message, bytes);
        Ok(())
    }
}

/// As many of the bytes that wait as are missing and there; both are counted.
fn take<'a>(waiting: &'a [u8], taken: &mut usize, missing: &mut usize) -> &'a [u8] {
    let rest = waiting.get(*taken..).unwrap_or_default();
    let part = rest.get(..*missing).unwrap_or(rest);
    *taken += part.len();
    *missing -= part.len();
    part
}

#[cfg(test)]
mod tests;

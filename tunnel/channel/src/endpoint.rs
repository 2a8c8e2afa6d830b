//! One side of the channel.

use core::fmt;
use core::marker::PhantomData;

use crate::message::{BadMessage, Message};

/// Microseconds since any fixed moment; the same one in all calls of one endpoint.
pub type Micros = u64;

/// How much memory an endpoint may take, beside some 80 KiB for its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of a message from the peer; longer ones are passed over and reported.
    pub message: usize,
    /// Most bytes that wait until the peer has acknowledged them.
    pub queue: usize,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no room now: the peer has yet to acknowledge what waits.
    Full,
    /// It is longer than the whole queue may be.
    TooLong {
        /// Its bytes.
        length: usize,
        /// How many may be.
        most: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the other side has not yet taken what waits for it"),
            Self::TooLong { length, most } => {
                write!(f, "the message has {length} bytes, and {most} may be sent")
            }
        }
    }
}

impl core::error::Error for SendError {}

/// What an endpoint has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames put on the wire.
    pub frames_sent: u64,
    /// Of them, those that held bytes sent before.
    pub frames_repeated: u64,
    /// Frames that came whole.
    pub frames_received: u64,
    /// Frames that came broken, or that nobody could have sent.
    pub frames_bad: u64,
    /// Messages queued.
    pub messages_sent: u64,
    /// Messages taken out, the bad ones among them.
    pub messages_received: u64,
}

/// One side of the channel, which sends `Out` and receives `In`.
///
/// After each [`receive`](Self::receive), [`poll_message`](Self::poll_message) until `None`.
/// After each of these, after [`send`](Self::send), and at [`poll_at`](Self::poll_at), write
/// [`output`](Self::output) to the wire and say with [`consume`](Self::consume) how much of it the
/// wire took, until there is none; or use [`transmit`](Self::transmit), which does both.
pub struct Endpoint<Out, In> {
    bounds: Bounds,
    counters: Counters,
    direction: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message> Endpoint<Out, In> {
    /// An endpoint at the beginning of a channel. Nothing is allocated before it is needed.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counters: Counters::default(),
            direction: PhantomData,
        }
    }

    /// Takes in what came from the wire, cut anywhere.
    pub fn receive(&mut self, bytes: &[u8], now: Micros) {
        let _ = (bytes, now);
    }

    /// The next message from the peer, in the order it sent them.
    pub fn poll_message(&mut self) -> Option<Result<In, BadMessage>> {
        None
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// There is no room for it; nothing of it is sent.
    pub fn send(&mut self, message: &Out) -> Result<(), SendError> {
        let _ = (message, self.bounds);
        Err(SendError::Full)
    }

    /// What is due for the wire now; empty when nothing is. The same bytes again until
    /// [`consume`](Self::consume) says that they are on their way.
    pub fn output(&mut self, now: Micros) -> &[u8] {
        let _ = now;
        &[]
    }

    /// The wire took so many bytes of [`output`](Self::output).
    pub fn consume(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Copies what is due into `out` and takes it as being on its way; returns how many bytes.
    pub fn transmit(&mut self, out: &mut [u8], now: Micros) -> usize {
        let mut written = 0;
        while let Some(room) = out.get_mut(written..).filter(|room| !room.is_empty()) {
            let due = self.output(now);
            let length = due.len().min(room.len());
            if length == 0 {
                break;
            }
            for (to, from) in room.iter_mut().zip(due) {
                *to = *from;
            }
            self.consume(length);
            written += length;
        }
        written
    }

    /// When to ask for [`output`](Self::output) again even if nothing happens. `None` while
    /// nothing is owed or expected, and while bytes wait for the wire itself to have room.
    pub fn poll_at(&self) -> Option<Micros> {
        None
    }

    /// Whether the peer has acknowledged everything that was sent.
    pub fn is_settled(&self) -> bool {
        true
    }

    /// Bytes that the peer has not acknowledged yet.
    pub fn queued(&self) -> usize {
        0
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

//! One side of the channel: go-back-N over bytes.
//!
//! Messages are a stream of bytes, each byte has a number, and frames hold any part of the stream
//! (as TCP does it, RFC 9293 §3.4). What is not acknowledged in time is cut into frames anew, and a
//! frame whose bytes are partly known is as good as another. A byte is never numbered twice: the
//! numbers have 64 bits.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use zeroize::{Zeroize, Zeroizing};

use crate::frame::{Frame, PAYLOAD_MOST, Unstuffing, WIRE_MOST};
use crate::inbound::{Inbound, PREFIX};
use crate::message::{BadMessage, Message};
use crate::queue::Queue;

/// Microseconds since any fixed moment; the same one in all calls of one endpoint.
pub type Micros = u64;

/// Most bytes on their way that are not acknowledged: eight full frames, and one that is not.
///
/// QEMU's console drops what its host does not take, so this is less than a UNIX socket keeps for
/// its reader (some 200 KiB on Linux): a pause of the host costs nothing but repeated frames.
const WINDOW: usize = 8 * PAYLOAD_MOST;

/// How long an acknowledgement is waited for at first; doubled each time it does not come.
const TIMEOUT_FIRST: Micros = 100_000;
/// How long it is waited for at most.
const TIMEOUT_MOST: Micros = 2_000_000;

/// How long an acknowledgement waits for company: for more bytes, or for a frame of our own.
const DELAY: Micros = 20_000;
/// Bytes after which it waits no longer.
const DELAYED_MOST: usize = 2 * PAYLOAD_MOST;

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
/// After that, after [`send`](Self::send), and at [`poll_at`](Self::poll_at), write
/// [`output`](Self::output) to the wire and say with [`consume`](Self::consume) how much of it the
/// wire took, until there is none; or use [`transmit`](Self::transmit), which does both.
pub struct Endpoint<Out, In> {
    bounds: Bounds,
    counters: Counters,

    /// The bytes from number `acknowledged` on.
    queue: Queue,
    /// The peer has all bytes before this one.
    acknowledged: u64,
    /// The byte that is next for the wire.
    next: u64,
    /// No byte from this one on was ever on the wire.
    sent: u64,
    /// Where the last frame ended that was not full. There is one on its way at most, so that
    /// small messages gather while it is (RFC 9293 §3.7.4, in Minshall's variant).
    short: u64,
    /// Most bytes that may be on their way now.
    window: usize,
    /// How long the next acknowledgement is waited for.
    timeout: Micros,
    /// When to send again what is not acknowledged; something is on its way while it is set.
    repeat_at: Option<Micros>,
    /// A frame that the wire has not taken whole.
    wire: Zeroizing<Vec<u8>>,
    /// Bytes of it that the wire has taken.
    written: usize,

    frames: Unstuffing,
    inbound: Inbound,
    /// The byte that is next from the peer.
    expected: u64,
    /// Bytes taken in since the last acknowledgement.
    owed: usize,
    /// When to acknowledge.
    acknowledge_at: Option<Micros>,

    direction: PhantomData<fn(Out) -> In>,
}

impl<Out: Message, In: Message> Endpoint<Out, In> {
    /// An endpoint at the beginning of a channel. Nothing is allocated before it is needed.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counters: Counters::default(),
            queue: Queue::default(),
            acknowledged: 0,
            next: 0,
            sent: 0,
            short: 0,
            window: WINDOW,
            timeout: TIMEOUT_FIRST,
            repeat_at: None,
            wire: Zeroizing::default(),
            written: 0,
            frames: Unstuffing::default(),
            inbound: Inbound::default(),
            expected: 0,
            owed: 0,
            acknowledge_at: None,
            direction: PhantomData,
        }
    }

    /// Takes in what came from the wire, cut anywhere.
    pub fn receive(&mut self, mut bytes: &[u8], now: Micros) {
        while self.frames.read(&mut bytes) {
            let Some(frame) = self.frames.take() else {
                self.counters.frames_bad += 1;
                continue;
            };
            // Between one frame's last edge and the next one's first there is nothing.
            if !frame.is_empty() {
                let sound = Frame::parse(&frame).is_some_and(|frame| self.accept(&frame, now));
                self.counters.frames_received += u64::from(sound);
                self.counters.frames_bad += u64::from(!sound);
            }
            self.frames.reuse(frame);
        }
    }

    /// The next message from the peer, in the order it sent them.
    pub fn poll_message(&mut self) -> Option<Result<In, BadMessage>> {
        let bytes = self.inbound.next(self.bounds.message)?;
        self.counters.messages_received += 1;
        Some(bytes.and_then(In::decode))
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// There is no room for it; nothing of it is sent.
    pub fn send(&mut self, message: &Out) -> Result<(), SendError> {
        let mut length = 0usize;
        message.encode(&mut |bytes| length = length.saturating_add(bytes.len()));
        let most = self.bounds.queue.saturating_sub(PREFIX);
        let prefix = u32::try_from(length).ok().filter(|_| length <= most);
        let prefix = prefix.ok_or(SendError::TooLong { length, most })?;
        if !self.queue.reserve(PREFIX + length, self.bounds.queue) {
            return Err(SendError::Full);
        }
        self.queue.append(&prefix.to_le_bytes());
        message.encode(&mut |bytes| self.queue.append(bytes));
        self.counters.messages_sent += 1;
        Ok(())
    }

    /// What is due for the wire now; empty when nothing is. The same bytes again until
    /// [`consume`](Self::consume) says that they are on their way.
    pub fn output(&mut self, now: Micros) -> &[u8] {
        if self.written >= self.wire.len() {
            self.make_frame(now);
        }
        self.wire.get(self.written..).unwrap_or_default()
    }

    /// The wire took so many bytes of [`output`](Self::output).
    pub fn consume(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
        if self.written >= self.wire.len() {
            self.clear_wire();
        }
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
    /// nothing is owed or expected; and while some of it waits for the wire to have room, as there
    /// is nothing to do before that.
    pub fn poll_at(&self) -> Option<Micros> {
        if self.written < self.wire.len() {
            return None;
        }
        let times = [self.repeat_at, self.acknowledge_at];
        times.into_iter().flatten().min()
    }

    /// Whether the peer has acknowledged everything that was sent.
    pub fn is_settled(&self) -> bool {
        self.queue.len() == 0
    }

    /// Bytes that the peer has not acknowledged yet.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes in a frame that came whole; false if no peer of this channel can have sent it.
    fn accept(&mut self, frame: &Frame<'_>, now: Micros) -> bool {
        let [payload, _] = frame.payload;
        let length = payload.len() as u64;
        // Nobody can have received what was never sent.
        let sound = frame.direction == In::DIRECTION && frame.acknowledgement <= self.sent;
        let Some(end) = frame.sequence.checked_add(length).filter(|_| sound) else {
            return false;
        };
        self.acknowledge(frame.acknowledgement, now);
        if payload.is_empty() {
            return true;
        }
        let known = self.expected.checked_sub(frame.sequence);
        let known = known.and_then(|known| usize::try_from(known).ok());
        match known.and_then(|known| payload.get(known..)) {
            Some(new) if !new.is_empty() => {
                // When the owner takes no messages out, the peer has to wait.
                if self.inbound.push(new) {
                    self.expected = end;
                    self.owed = self.owed.saturating_add(new.len());
                    let at = match self.owed < DELAYED_MOST {
                        true => now.saturating_add(DELAY),
                        false => now,
                    };
                    self.acknowledge_by(at);
                }
            }
            // Known already, or after a gap: the peer should hear at once where we stand.
            _ => self.acknowledge_by(now),
        }
        true
    }

    fn acknowledge_by(&mut self, at: Micros) {
        let earlier = self.acknowledge_at.map_or(at, |before| before.min(at));
        self.acknowledge_at = Some(earlier);
    }

    /// The peer has all bytes before this one, which was on the wire or is the next to be.
    fn acknowledge(&mut self, number: u64, now: Micros) {
        let Some(progress) = number.checked_sub(self.acknowledged).filter(|n| *n > 0) else {
            return;
        };
        let progress = usize::try_from(progress).unwrap_or(usize::MAX);
        self.queue.remove(progress, Out::SECRET);
        self.acknowledged = number;
        self.next = self.next.max(number);
        self.window = (2 * self.window).min(WINDOW);
        self.timeout = TIMEOUT_FIRST;
        let on_its_way = self.next > number;
        self.repeat_at = on_its_way.then(|| now.saturating_add(self.timeout));
    }

    /// Puts the next frame on the wire, if one is due.
    fn make_frame(&mut self, now: Micros) {
        if self.repeat_at.is_some_and(|at| at <= now) {
            // One frame alone, to find out whether anybody listens.
            self.next = self.acknowledged;
            self.short = self.acknowledged;
            self.window = PAYLOAD_MOST;
            self.timeout = (2 * self.timeout).min(TIMEOUT_MOST);
            self.repeat_at = None;
        }
        // The difference is the window's size at most.
        let on_its_way = usize::try_from(self.next - self.acknowledged).unwrap_or(usize::MAX);
        let waiting = self.queue.len().saturating_sub(on_its_way);
        let room = self.window.saturating_sub(on_its_way);
        let length = waiting.min(room).min(PAYLOAD_MOST);
        let short_allowed = length == waiting && self.short <= self.acknowledged;
        let length = match length == PAYLOAD_MOST || short_allowed {
            true => length,
            false => 0,
        };
        let acknowledgement_due = self.acknowledge_at.is_some_and(|at| at <= now);
        if length == 0 && !acknowledgement_due {
            return;
        }
        if self.wire.capacity() < WIRE_MOST && self.wire.try_reserve_exact(WIRE_MOST).is_err() {
            return;
        }
        let frame = Frame {
            direction: Out::DIRECTION,
            sequence: self.next,
            acknowledgement: self.expected,
            payload: self.queue.part(on_its_way, length),
        };
        frame.write(&mut self.wire);
        self.counters.frames_sent += 1;
        self.owed = 0;
        self.acknowledge_at = None;
        if length == 0 {
            return;
        }
        self.counters.frames_repeated += u64::from(self.next < self.sent);
        self.next += length as u64;
        self.sent = self.sent.max(self.next);
        if length < PAYLOAD_MOST {
            self.short = self.next;
        }
        if self.repeat_at.is_none() {
            self.repeat_at = Some(now.saturating_add(self.timeout));
        }
    }

    fn clear_wire(&mut self) {
        if Out::SECRET {
            self.wire.as_mut_slice().zeroize();
        }
        self.wire.clear();
        self.written = 0;
    }
}

#[cfg(test)]
mod tests;

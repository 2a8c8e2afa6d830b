//! Moving bytes between a TLS connection and a plaintext stream, in both directions.
//!
//! Both pumps stop where the next buffer is full, so that a slow reader closes its peer's TCP
//! window: that is the whole back-pressure design. Records are opened and sealed where they lie
//! in the streams' buffers; only a record that wraps around the end of a buffer is copied, into
//! the one [`Scratch`] that all sessions share.

use alloc::{boxed::Box, vec};

use tls::{Connection, MAX_PLAINTEXT, MAX_RECORD};

/// A reliable byte stream with bounded buffers, as [`net::Stream`] is one.
pub trait Stream {
    /// Where the stream is in its life.
    fn status(&self) -> net::Status;
    /// Received bytes that wait, in all.
    fn recv_len(&self) -> usize;
    /// The peer has ended its direction; bytes may still wait.
    fn peer_finished(&self) -> bool;
    /// Lends the contiguous front of the receive buffer; `f` returns how many bytes to drop.
    fn with_recv<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R;
    /// Copies received bytes without dropping them; returns how many.
    fn peek(&mut self, out: &mut [u8]) -> usize;
    /// Drops `count` received bytes.
    fn skip(&mut self, count: usize);
    /// Free bytes in the send buffer, in all.
    fn send_room(&self) -> usize;
    /// Bytes in the send buffer that the peer has not acknowledged.
    fn send_queued(&self) -> usize;
    /// Lends contiguous free space; `f` returns how many bytes it wrote.
    fn with_send<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R;
    /// Copies `data` into the send buffer; returns how many bytes fitted.
    fn send(&mut self, data: &[u8]) -> usize;
    /// Ends our direction after what is queued (FIN).
    fn finish(&mut self);
    /// Ends both directions at once (RST).
    fn reset(&mut self);
}

impl Stream for net::Stream<'_> {
    fn status(&self) -> net::Status {
        net::Stream::status(self)
    }
    fn recv_len(&self) -> usize {
        net::Stream::recv_len(self)
    }
    fn peer_finished(&self) -> bool {
        net::Stream::peer_finished(self)
    }
    fn with_recv<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        net::Stream::with_recv(self, f)
    }
    fn peek(&mut self, out: &mut [u8]) -> usize {
        net::Stream::peek(self, out)
    }
    fn skip(&mut self, count: usize) {
        net::Stream::skip(self, count);
    }
    fn send_room(&self) -> usize {
        net::Stream::send_room(self)
    }
    fn send_queued(&self) -> usize {
        net::Stream::send_queued(self)
    }
    fn with_send<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        net::Stream::with_send(self, f)
    }
    fn send(&mut self, data: &[u8]) -> usize {
        net::Stream::send(self, data)
    }
    fn finish(&mut self) {
        net::Stream::finish(self);
    }
    fn reset(&mut self) {
        net::Stream::reset(self);
    }
}

/// Room for the one record that wraps around the end of a buffer; shared by all sessions.
pub struct Scratch(Box<[u8]>);

impl Scratch {
    /// A buffer of [`MAX_RECORD`] bytes.
    pub fn new() -> Self {
        Self(vec![0; MAX_RECORD].into_boxed_slice())
    }

    /// The first `length` bytes, or all there are.
    pub(crate) fn first(&mut self, length: usize) -> &mut [u8] {
        let length = length.min(self.0.len());
        self.0.get_mut(..length).unwrap_or_default()
    }

    /// Room for what waits at each of two ends: half a record.
    pub(crate) fn halves(&mut self) -> (&mut [u8], &mut [u8]) {
        let middle = self.0.len() / 2;
        self.0.split_at_mut(middle)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// What one call of a pump moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes taken from the source.
    pub read: usize,
    /// Bytes given to the destination.
    pub written: usize,
    /// The source holds no whole record: only more bytes from its peer can help.
    pub incomplete: bool,
}

impl Moved {
    /// Whether anything moved at all.
    pub fn any(self) -> bool {
        self.read > 0 || self.written > 0
    }
}

/// Opens TLS records from `source` and hands their plaintext to `sink`, which has `room` bytes.
///
/// # Errors
/// The connection is broken; the alert that says so waits in [`Connection::transmit`].
pub fn open(
    connection: &mut Connection,
    source: &mut impl Stream,
    room: usize,
    scratch: &mut Scratch,
    mut sink: impl FnMut(&[u8]),
) -> Result<Moved, tls::Error> {
    let mut moved = Moved::default();
    if source.recv_len() == 0 {
        moved.incomplete = true;
        return Ok(moved);
    }
    let mut plaintext = 0;
    let mut count = |bytes: &[u8]| {
        plaintext += bytes.len();
        sink(bytes);
    };
    let mut received =
        source.with_recv(
            |records| match connection.receive(records, room, &mut count) {
                Ok(received) => (received.consumed, Ok(received)),
                Err(error) => (0, Err(error)),
            },
        )?;
    // A record that is here as a whole, but whose end lies at the beginning of the buffer, is
    // copied; once if its header was in one piece, twice if not.
    while let Some(needed) = received.needed
        && received.consumed == 0
    {
        if needed > source.recv_len() {
            moved.incomplete = true;
            return Ok(moved);
        }
        let record = scratch.first(needed);
        let length = source.peek(record);
        let record = record.get_mut(..length).unwrap_or_default();
        received = connection.receive(record, room, &mut count)?;
        source.skip(received.consumed);
        if received.needed.is_some_and(|more| more <= needed) {
            break;
        }
    }
    moved.read = received.consumed;
    moved.written = plaintext;
    Ok(moved)
}

/// Seals plaintext from `source`, `most` bytes of it, into records in `destination`.
///
/// # Errors
/// The connection cannot send.
pub fn seal(
    connection: &mut Connection,
    source: &mut impl Stream,
    most: usize,
    destination: &mut impl Stream,
    scratch: &mut Scratch,
) -> Result<Moved, tls::Error> {
    let waiting = source.recv_len().min(most);
    if waiting == 0 || !has_room(destination, waiting) {
        return Ok(Moved::default());
    }
    let room = destination.send_room();
    source.with_recv(|plaintext| {
        let plaintext = plaintext
            .get(..plaintext.len().min(most))
            .unwrap_or_default();
        let whole = plaintext.len().min(MAX_PLAINTEXT) + (MAX_RECORD - MAX_PLAINTEXT);
        let in_place = destination.with_send(|output| {
            if output.len() < whole && output.len() < room {
                return (0, None);
            }
            match connection.send(plaintext, output) {
                Ok(sealed) => (sealed.written, Some(Ok(sealed))),
                Err(error) => (0, Some(Err(error))),
            }
        });
        let sealed = match in_place {
            Some(sealed) => sealed,
            None => {
                // The free space wraps: seal one record aside and copy its two parts.
                let output = scratch.first(room);
                connection.send(plaintext, output).inspect(|sealed| {
                    destination.send(output.get(..sealed.written).unwrap_or_default());
                })
            }
        };
        match sealed {
            Ok(sealed) => (
                sealed.read,
                Ok(Moved {
                    read: sealed.read,
                    written: sealed.written,
                    incomplete: false,
                }),
            ),
            Err(error) => (0, Err(error)),
        }
    })
}

/// Whether so many bytes can be sealed now. Where a part of a record would fit, acknowledgements will
/// make room for the whole: a record cut to fit would cost a seal of its own.
pub fn has_room(destination: &impl Stream, waiting: usize) -> bool {
    let whole = waiting.min(MAX_PLAINTEXT) + (MAX_RECORD - MAX_PLAINTEXT);
    let room = destination.send_room();
    room >= whole || room > 0 && destination.send_queued() == 0
}

/// Copies handshake messages and alerts that wait in `connection` to `destination`; returns how
/// many bytes.
pub fn transmit(connection: &mut Connection, destination: &mut impl Stream) -> usize {
    let mut total = 0;
    while connection.pending_output() > 0 {
        let written = destination.with_send(|output| {
            let written = connection.transmit(output);
            (written, written)
        });
        if written == 0 {
            break;
        }
        total += written;
    }
    total
}

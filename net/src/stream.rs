//! One connection, borrowed from the stack.

use core::marker::PhantomData;
use core::net::SocketAddr;

use crate::Status;

/// One TCP connection, borrowed from the [`Stack`](crate::Stack).
///
/// Bytes are lent, not copied. What is written here leaves with the next
/// [`Stack::flush`](crate::Stack::flush) or [`Stack::poll`](crate::Stack::poll).
pub struct Stream<'a> {
    remote: SocketAddr,
    lifetime: PhantomData<&'a mut ()>,
}

impl Stream<'_> {
    /// Where the connection is in its life.
    pub fn status(&self) -> Status {
        Status::Closed(None)
    }
    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.remote
    }
    /// The peer's end.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }
    /// Bytes waiting to be read, in all: they may lie in two pieces.
    pub fn recv_len(&self) -> usize {
        0
    }
    /// The peer's FIN is here and nothing is left to read.
    pub fn recv_finished(&self) -> bool {
        true
    }
    /// Lends the contiguous front of what was received, writable, so that records can be
    /// decrypted in place. `f` returns how many bytes to drop from the front.
    pub fn with_recv<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        f(&mut []).1
    }
    /// Copies the front of what was received, across the buffer's wrap, without dropping it.
    /// Returns the bytes copied.
    pub fn peek(&mut self, _out: &mut [u8]) -> usize {
        0
    }
    /// Drops up to `n` received bytes from the front, across the buffer's wrap.
    pub fn skip(&mut self, _n: usize) {}
    /// Bytes that [`send`](Self::send) would take now; zero once our direction has ended.
    pub fn send_room(&self) -> usize {
        0
    }
    /// Bytes written but not yet acknowledged by the peer.
    pub fn send_queued(&self) -> usize {
        0
    }
    /// Lends contiguous free space of the send buffer (empty when there is none).
    /// `f` returns how many bytes it wrote.
    pub fn with_send<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        f(&mut []).1
    }
    /// Queues as much of `data` as fits, across the buffer's wrap; returns the bytes taken.
    pub fn send(&mut self, _data: &[u8]) -> usize {
        0
    }
    /// Ends our direction: FIN after what is queued.
    pub fn finish(&mut self) {}
    /// Ends the connection with RST now; queued data is dropped.
    pub fn reset(&mut self) {}
}

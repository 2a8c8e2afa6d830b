//! One connection, borrowed from the stack.

use core::net::SocketAddr;
use core::time::Duration;

use smoltcp::socket::tcp::{Socket, State};

use crate::connection::{Connection, LINGER, Phase};
use crate::{KeepAlive, Status, StreamError};

/// One TCP connection, borrowed from the [`Stack`](crate::Stack).
///
/// Bytes are lent, not copied. What is written here leaves with the next
/// [`Stack::flush`](crate::Stack::flush) or [`Stack::poll`](crate::Stack::poll).
pub struct Stream<'a>(pub(crate) &'a mut Connection);

impl Stream<'_> {
    /// Where the connection is in its life. A connection that ended in order is
    /// [`Closed`](Status::Closed) once everything received has been read.
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.0.flow.local
    }

    /// The peer's end.
    pub fn remote(&self) -> SocketAddr {
        self.0.flow.remote
    }

    /// Bytes waiting to be read, in all: they may lie in two pieces. What came before an RST
    /// stays readable.
    pub fn recv_len(&self) -> usize {
        self.0.unread()
    }

    /// The peer's FIN is here; bytes that came before it may still wait.
    pub fn peer_finished(&self) -> bool {
        self.0.fin_seen
    }

    /// The peer's FIN is here and nothing is left to read.
    pub fn recv_finished(&self) -> bool {
        self.0.fin_seen && self.0.unread() == 0
    }

    /// Lends the contiguous front of what was received (empty when there is nothing), writable,
    /// so that records can be decrypted in place. `f` returns how many bytes to drop from the
    /// front.
    pub fn with_recv<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        let connection = &mut *self.0;
        let (dropped, result) = lend(f, |f| {
            if let Some(socket) = connection.socket_mut().filter(|s| s.can_recv()) {
                let _ = socket.recv(|data| (f(data), ()));
            }
        });
        self.0.touched |= dropped > 0;
        result
    }

    /// Copies the front of what was received, across the buffer's wrap, without dropping it.
    /// Returns the bytes copied.
    pub fn peek(&mut self, out: &mut [u8]) -> usize {
        self.0
            .socket_mut()
            .map_or(0, |socket| socket.peek_slice(out).unwrap_or(0))
    }

    /// Drops up to `n` received bytes from the front, across the buffer's wrap.
    pub fn skip(&mut self, n: usize) {
        let mut left = n;
        while left > 0 && self.recv_len() > 0 {
            left = self.with_recv(|data| {
                let count = left.min(data.len());
                (count, left - count)
            });
        }
    }

    /// Bytes that [`send`](Self::send) would take now; zero once our direction has ended.
    pub fn send_room(&self) -> usize {
        match self.0.socket() {
            Some(socket) if self.0.may_send() => socket.send_capacity() - socket.send_queue(),
            _ => 0,
        }
    }

    /// Bytes written but not yet acknowledged by the peer.
    pub fn send_queued(&self) -> usize {
        self.0.socket().map_or(0, Socket::send_queue)
    }

    /// Lends contiguous free space of the send buffer (empty when there is none).
    /// `f` returns how many bytes it wrote.
    pub fn with_send<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        let connection = &mut *self.0;
        let (written, result) = lend(f, |f| {
            if connection.may_send()
                && let Some(socket) = connection.socket_mut()
            {
                let _ = socket.send(|data| (f(data), ()));
            }
        });
        self.0.touched |= written > 0;
        result
    }

    /// Queues as much of `data` as fits, across the buffer's wrap; returns the bytes taken.
    pub fn send(&mut self, data: &[u8]) -> usize {
        if !self.0.may_send() {
            return 0;
        }
        let taken = self
            .0
            .socket_mut()
            .map_or(0, |socket| socket.send_slice(data).unwrap_or(0));
        self.0.touched |= taken > 0;
        taken
    }

    /// Ends our direction: FIN after what is queued. A connection that is not established yet is
    /// given up.
    pub fn finish(&mut self) {
        match self.0.state() {
            State::SynSent | State::SynReceived => self.reset(),
            _ => {
                self.0.finish();
                self.0.touched = true;
            }
        }
    }

    /// Sends small pieces at once (true, as from the beginning), or waits with them as long as
    /// something is unacknowledged: Nagle's algorithm (RFC 9293 §3.7.4), which `TCP_NODELAY` turns
    /// off.
    pub fn set_nodelay(&mut self, nodelay: bool) {
        if let Some(socket) = self.0.socket_mut() {
            socket.set_nagle_enabled(!nodelay);
        }
        self.0.touched = true;
    }

    /// Asks an idle peer whether it is there, as `keep_alive` says; with `None` never: then an idle
    /// connection lives until its owner ends it. From the beginning it is
    /// [`KeepAlive::default`]. Times below a second count as one.
    ///
    /// While the peer has something to acknowledge, 120 s of silence end the connection whatever is
    /// set here.
    pub fn set_keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        self.0.set_keep_alive(keep_alive);
        self.0.touched = true;
    }

    /// How long what is queued and the FIN may take to arrive after
    /// [`Stack::release`](crate::Stack::release), before the connection is reset: at least 1 s, at
    /// most 30 s, which it is from the beginning. No time at all ([`Duration::ZERO`]) resets the
    /// connection when it is released, unless both sides have ended it by then.
    ///
    /// This is `SO_LINGER`, except that nobody waits for it.
    pub fn set_linger(&mut self, linger: Duration) {
        self.0.linger = linger.min(LINGER);
    }

    /// Ends the connection with RST now; queued data is dropped, received data stays readable.
    pub fn reset(&mut self) {
        if self.0.phase == Phase::Over || self.0.error.is_some() {
            return;
        }
        self.0.error = Some(StreamError::Reset);
        self.0.touched = true;
        if let Some(socket) = self.0.socket_mut() {
            socket.abort();
        }
    }
}

/// Has `lender` call `f` with the slice it lends, or calls it with an empty one when the lender has
/// none. Returns how many bytes of the slice `f` used, and its result.
fn lend<R>(
    f: impl FnOnce(&mut [u8]) -> (usize, R),
    lender: impl FnOnce(&mut dyn FnMut(&mut [u8]) -> usize),
) -> (usize, R) {
    let mut f = Some(f);
    let mut used = None;
    lender(&mut |data| {
        let Some(f) = f.take() else { return 0 };
        let (count, result) = f(data);
        let count = count.min(data.len());
        used = Some((count, result));
        count
    });
    match (used, f) {
        (Some(used), _) => used,
        (None, Some(f)) => (0, f(&mut []).1),
        (None, None) => unreachable!("a closure that was taken has left its result"),
    }
}

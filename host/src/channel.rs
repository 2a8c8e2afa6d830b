//! The launcher's end of one machine's management channel: frames on a socket.
//!
//! QEMU has the other end, as the chardev behind the image's console. It drops what the image says
//! when this end does not read, wherever that cuts a frame; [`stockade_channel`] makes up for it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stockade_channel::{
    BadMessage, Bounds, Counters, Endpoint, Micros, SendError, ToGuest, ToHost,
};

/// What this end keeps. A message of the image is a status with many services at most, in bytes;
/// what waits for the image is a configuration with all its files at most.
const BOUNDS: Bounds = Bounds {
    message: 1 << 20,
    queue: 64 << 20,
};

/// Most that is read in one turn, bytes: an image that talks without end must not keep the
/// launcher from everything else.
const READ_MOST: usize = 1 << 20;

/// One machine's management channel. Does nothing by itself: [`pump`](Self::pump) it whenever its
/// socket is ready or [`poll_at`](Self::poll_at) has come, and after [`send`](Self::send).
///
/// A new machine has a new channel. What was not acknowledged when the old one ended is lost with
/// it.
pub struct Channel {
    socket: UnixStream,
    endpoint: Endpoint<ToGuest, ToHost>,
    /// Taken out of the endpoint by [`next_message`](Self::next_message) and not asked for yet.
    messages: VecDeque<Result<ToHost, BadMessage>>,
    start: Instant,
    /// Bytes wait for room in the socket.
    blocked: bool,
    /// Nothing comes any more, and nothing goes.
    closed: bool,
}

impl Channel {
    /// A fresh channel, and the end for QEMU.
    ///
    /// # Errors
    ///
    /// The system has no more file descriptors, or no memory.
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (socket, peer) = UnixStream::pair()?;
        Ok((Channel::new(socket)?, peer.into()))
    }

    /// A channel on a connected socket, with nothing sent over it before.
    ///
    /// # Errors
    ///
    /// It can't be made non-blocking.
    pub fn new(socket: UnixStream) -> io::Result<Channel> {
        socket.set_nonblocking(true)?;
        Ok(Channel {
            socket,
            endpoint: Endpoint::new(BOUNDS),
            messages: VecDeque::new(),
            start: Instant::now(),
            blocked: false,
            closed: false,
        })
    }

    /// The socket, to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether to wait for room in the socket, too.
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether QEMU has closed its end. Everything that had come before has been read.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// When to [`pump`](Self::pump) even if nothing happens on the socket.
    pub fn poll_at(&self) -> Option<Instant> {
        let at = self.endpoint.poll_at().filter(|_| !self.closed)?;
        self.start.checked_add(Duration::from_micros(at))
    }

    /// Queues a message for the image; [`pump`](Self::pump) puts it on its way.
    ///
    /// # Errors
    ///
    /// There is no room for it.
    pub fn send(&mut self, message: &ToGuest) -> Result<(), SendError> {
        self.endpoint.send(message)
    }

    /// Bytes that the image has not acknowledged yet.
    pub fn pending(&self) -> usize {
        self.endpoint.queued()
    }

    /// What has happened on the wire so far.
    pub fn counters(&self) -> Counters {
        self.endpoint.counters()
    }

    /// Takes in what has come, and sends what is due. True when more has come already.
    pub fn pump(&mut self, messages: &mut Vec<Result<ToHost, BadMessage>>) -> bool {
        messages.extend(self.messages.drain(..));
        let more = self.read(|message| messages.push(message));
        self.write();
        more
    }

    /// The next message; waits for it, and does what has to be done meanwhile. `None` when it does
    /// not come in time, and when none can come any more.
    pub fn next_message(&mut self, timeout: Duration) -> Option<Result<ToHost, BadMessage>> {
        let until = Instant::now() + timeout;
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Some(message);
            }
            let mut fresh = VecDeque::new();
            self.read(|message| fresh.push_back(message));
            self.messages = fresh;
            self.write();
            let now = Instant::now();
            if self.messages.is_empty() {
                if self.closed || now >= until {
                    return None;
                }
                let at = self.poll_at().map_or(until, |at| at.min(until));
                self.wait(at.saturating_duration_since(now));
            }
        }
    }

    /// Waits until something can be read or, when that is wanted, written.
    fn wait(&self, most: Duration) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.blocked);
        let mut fds = [PollFd::new(&self.socket, flags)];
        let timeout = Timespec::try_from(most).ok();
        // Interrupted or not, the caller looks again.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    fn read(&mut self, mut take: impl FnMut(Result<ToHost, BadMessage>)) -> bool {
        let mut bytes = [0; 16 * 1024];
        let mut taken = 0;
        while !self.closed {
            if taken >= READ_MOST {
                return true;
            }
            match self.socket.read(&mut bytes) {
                Ok(0) => self.closed = true,
                Ok(read) => {
                    taken += read;
                    let now = self.now();
                    let fresh = bytes.get(..read).unwrap_or_default();
                    self.endpoint.receive(fresh, now);
                    while let Some(message) = self.endpoint.poll_message() {
                        take(message.map(ToHost::printable));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.closed = true,
            }
        }
        false
    }

    fn write(&mut self) {
        self.blocked = false;
        while !self.closed {
            let now = self.now();
            let due = self.endpoint.output(now);
            if due.is_empty() {
                return;
            }
            match self.socket.write(due) {
                Ok(written) => self.endpoint.consume(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return;
                }
                // QEMU has gone; what it said last can still be read, and then comes the end.
                Err(_) => return,
            }
        }
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.start.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }
}

#[cfg(test)]
mod tests;

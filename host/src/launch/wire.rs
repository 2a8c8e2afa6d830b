//! The launcher's end of one machine's management channel.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use stockade_channel::{BadMessage, Bounds, Endpoint, Micros, SendError, ToGuest, ToHost};

/// Longest message of an image that is taken, bytes: a status with many services.
const LONGEST_MESSAGE: usize = 1 << 20;

/// Most bytes that wait for the image to take them: a configuration with all its files.
const LONGEST_QUEUE: usize = 64 << 20;

/// Most that is read in one turn, bytes: an image that talks without end must not keep the
/// launcher from everything else.
const MOST_AT_ONCE: usize = 1 << 20;

/// A socket with the channel's frames on it.
pub(super) struct Wire {
    socket: UnixStream,
    endpoint: Endpoint<ToGuest, ToHost>,
    start: Instant,
    /// Bytes wait for room in the socket.
    blocked: bool,
    /// Nothing comes any more, and nothing goes.
    closed: bool,
}

impl Wire {
    /// A fresh channel, and the end for QEMU.
    pub(super) fn pair() -> io::Result<(Wire, OwnedFd)> {
        let (socket, qemus) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let bounds = Bounds {
            message: LONGEST_MESSAGE,
            queue: LONGEST_QUEUE,
        };
        let wire = Wire {
            socket,
            endpoint: Endpoint::new(bounds),
            start: Instant::now(),
            blocked: false,
            closed: false,
        };
        Ok((wire, qemus.into()))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether to wait for room in the socket, too.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// When to [`pump`](Self::pump) even if nothing happens on the socket.
    pub(super) fn poll_at(&self) -> Option<Instant> {
        let at = self.endpoint.poll_at().filter(|_| !self.closed)?;
        Some(self.start + Duration::from_micros(at))
    }

    pub(super) fn send(&mut self, message: &ToGuest) -> Result<(), SendError> {
        self.endpoint.send(message)
    }

    /// Takes in what has come, and sends what is due. True when more has come already.
    pub(super) fn pump(&mut self, messages: &mut Vec<Result<ToHost, BadMessage>>) -> bool {
        let more = self.read(messages);
        self.write();
        more
    }

    fn read(&mut self, messages: &mut Vec<Result<ToHost, BadMessage>>) -> bool {
        let mut bytes = [0; 16 * 1024];
        let mut taken = 0;
        while !self.closed {
            if taken >= MOST_AT_ONCE {
                return true;
            }
            match self.socket.read(&mut bytes) {
                Ok(0) => self.closed = true,
                Ok(read) => {
                    taken += read;
                    let now = self.now();
                    let fresh = bytes.get(..read).unwrap_or_default();
                    self.endpoint.receive(fresh, now);
                    messages.extend(std::iter::from_fn(|| self.endpoint.poll_message()));
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
                // QEMU has gone, and what it said last can still be read.
                Err(_) => return,
            }
        }
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.start.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }
}

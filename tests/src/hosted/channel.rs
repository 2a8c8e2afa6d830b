//! The management channel of a hosted tunnel: a UNIX stream socket.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use rustix::event::PollFlags;

/// Bytes to and from whoever started the tunnel. Unlike QEMU's, this channel loses none.
pub struct SocketChannel {
    socket: UnixStream,
    /// Bytes were refused for want of room.
    starved: bool,
    /// The other end is gone: nothing more comes or goes.
    ended: bool,
}

impl SocketChannel {
    /// The channel whose other end listens under this abstract name (unix(7)).
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(name: &str) -> io::Result<SocketChannel> {
        let socket = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        socket.set_nonblocking(true)?;
        Ok(SocketChannel {
            socket,
            starved: false,
            ended: false,
        })
    }

    /// Takes bytes that have come; how many.
    pub fn receive(&mut self, bytes: &mut [u8]) -> usize {
        if self.ended || bytes.is_empty() {
            return 0;
        }
        let read = self.socket.read(bytes);
        self.ended = matches!(read, Ok(0));
        self.judge(read)
    }

    /// Gives bytes to the kernel; how many it took.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        if self.ended {
            return 0;
        }
        let written = self.socket.write(bytes);
        let taken = self.judge(written);
        self.starved = taken < bytes.len();
        taken
    }

    /// What to wait for before there is work: nothing once the other end is gone.
    pub fn interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, !self.ended);
        flags.set(PollFlags::OUT, !self.ended && self.starved);
        flags
    }

    fn judge(&mut self, result: io::Result<usize>) -> usize {
        result.unwrap_or_else(|error| {
            let later = [ErrorKind::WouldBlock, ErrorKind::Interrupted];
            self.ended |= !later.contains(&error.kind());
            0
        })
    }
}

impl AsFd for SocketChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

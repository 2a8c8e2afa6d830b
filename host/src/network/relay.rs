//! One connection: a socket of this host on one side, a stream of the guest on the other.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, read};
use rustix::net::{SendFlags, Shutdown, send, shutdown, sockopt};
use stockade_net::{RequestId, Status, Stream, StreamId};

/// When a peer that is silent is asked whether it is there, how long its answer is waited for, and
/// how often it is asked: as the image does on a network of its own.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(50);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(35);
const KEEP_ALIVE_COUNT: u32 = 2;

/// A connection of either direction.
pub(super) struct Relay {
    /// `None` once both directions have ended on this side.
    socket: Option<OwnedFd>,
    pub(super) stage: Stage,
    /// What the socket allows, as far as is known: epoll tells changes alone (`EPOLLET`, epoll(7)).
    readable: bool,
    writable: bool,
    /// A short read does not mean that nothing more is there: the peer has ended its direction, or the
    /// socket is a UNIX one, which ends a read where a descriptor was passed along (unix(7)).
    reads_short: bool,
    /// The peer has reset the connection.
    failed: bool,
    /// Listed among those with something to do.
    pub(super) queued: bool,
    /// The peer's end has been passed on to the guest.
    passed_to_guest: bool,
    /// The guest's end has been passed on to the peer.
    passed_to_peer: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The guest wants it, and this host's own connection is not established yet.
    Dialling {
        request: RequestId,
        /// Where to try next if this one refuses.
        next: Option<SocketAddr>,
    },
    /// Both sides are there, or the guest's is about to be.
    Joined(StreamId),
}

/// What a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits for either side.
    Waits,
    /// Both directions have ended, and both sides know.
    Over,
    /// It was reset, and both sides are told.
    Reset,
}

impl Relay {
    /// A client's socket and the stream into the guest.
    pub(super) fn joined(socket: OwnedFd, stream: StreamId, is_unix: bool) -> Relay {
        Relay {
            reads_short: is_unix,
            ..Relay::new(socket, Stage::Joined(stream))
        }
    }

    /// A socket that connects for the guest.
    pub(super) fn dialling(socket: OwnedFd, request: RequestId, next: Option<SocketAddr>) -> Relay {
        Relay::new(socket, Stage::Dialling { request, next })
    }

    /// The same with a UNIX socket.
    pub(super) fn dialling_unix(socket: OwnedFd, request: RequestId) -> Relay {
        Relay {
            reads_short: true,
            ..Relay::dialling(socket, request, None)
        }
    }

    fn new(socket: OwnedFd, stage: Stage) -> Relay {
        Relay {
            socket: Some(socket),
            stage,
            readable: false,
            writable: false,
            reads_short: false,
            failed: false,
            queued: false,
            passed_to_guest: false,
            passed_to_peer: false,
        }
    }

    /// Takes in what epoll says of the socket.
    pub(super) fn note(&mut self, flags: EventFlags) {
        let both = EventFlags::HUP | EventFlags::ERR;
        self.readable |= flags.intersects(EventFlags::IN | EventFlags::RDHUP | both);
        self.writable |= flags.intersects(EventFlags::OUT | both);
        self.reads_short |= flags.intersects(EventFlags::RDHUP | both);
        self.failed |= flags.contains(EventFlags::ERR);
    }

    /// Whether the socket of a connection being made has something to say.
    pub(super) fn has_answer(&self) -> bool {
        self.writable
    }

    /// How connecting ended.
    pub(super) fn connected(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        sockopt::socket_error(socket)??;
        self.failed = false;
        Ok(())
    }

    /// Carries bytes and ends both ways, as far as both sides allow.
    pub(super) fn pump(&mut self, stream: &mut Stream<'_>) -> Verdict {
        match stream.status() {
            Status::Closed(Some(_)) => {
                self.reset_peer();
                return Verdict::Reset;
            }
            Status::Connecting if !self.failed => return Verdict::Waits,
            Status::Connecting | Status::Open | Status::Closed(None) => {}
        }
        if let Err(_reset) = self.carry(stream) {
            stream.reset();
            return Verdict::Reset;
        }
        if self.passed_to_guest && self.passed_to_peer {
            // What is still on its way to the peer is the kernel's to deliver.
            self.socket = None;
            if let Status::Closed(_) = stream.status() {
                return Verdict::Over;
            }
        }
        Verdict::Waits
    }

    fn carry(&mut self, stream: &mut Stream<'_>) -> Result<(), Errno> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        if self.failed {
            return Err(Errno::CONNRESET);
        }
        while self.writable && stream.recv_len() > 0 {
            self.writable =
                stream.with_recv(|bytes| match send(socket, bytes, SendFlags::NOSIGNAL) {
                    Ok(count) => (count, Ok(count == bytes.len())),
                    Err(Errno::INTR) => (0, Ok(true)),
                    Err(Errno::AGAIN) => (0, Ok(false)),
                    Err(error) => (0, Err(error)),
                })?;
        }
        if stream.recv_finished() && !self.passed_to_peer {
            shutdown(socket, Shutdown::Write)?;
            self.passed_to_peer = true;
        }
        while self.readable && stream.send_room() > 0 {
            let reads_short = self.reads_short;
            let finished = stream.with_send(|space| {
                let size = space.len();
                match read(socket, space) {
                    Ok(0) => (0, Ok(Some(true))),
                    Ok(count) if count == size || reads_short => (count, Ok(None)),
                    Ok(count) => (count, Ok(Some(false))),
                    Err(Errno::INTR) => (0, Ok(None)),
                    Err(Errno::AGAIN) => (0, Ok(Some(false))),
                    Err(error) => (0, Err(error)),
                }
            })?;
            self.readable = finished.is_none();
            if finished == Some(true) {
                stream.finish();
                self.passed_to_guest = true;
            }
        }
        Ok(())
    }

    /// Ends the peer's side: with RST for TCP. A UNIX socket has no such thing; its peer sees an end.
    pub(super) fn reset_peer(&mut self) {
        if let Some(socket) = self.socket.take() {
            reset(socket);
        }
    }
}

/// Closes a socket so that its peer sees a reset: `SO_LINGER` of no time (socket(7)).
pub(super) fn reset(socket: OwnedFd) {
    // UNIX sockets take it without effect; nothing else can go wrong with a socket of ours.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

/// Settings of a TCP socket that carries a connection: what comes is passed on at once, urgent bytes
/// too and in their place (RFC 6093 §3.3), and a silent peer is asked whether it is there.
pub(super) fn settings(socket: impl AsFd) -> Result<(), Errno> {
    let socket = socket.as_fd();
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_oobinline(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEP_ALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEP_ALIVE_COUNT)?;
    sockopt::set_socket_keepalive(socket, true)
}

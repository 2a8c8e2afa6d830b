//! One connection: a socket of this host on one side, a stream of the guest on the other.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, read, write};
use rustix::net::{SendFlags, Shutdown, send, shutdown, sockopt};
use stockade_net::{RequestId, Status, Stream, StreamId};

use super::programs::HostProgram;

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
    /// What the peer is.
    peer: Peer,
    /// Listed among those with something to do.
    pub(super) queued: bool,
    /// The peer's end has been passed on to the guest.
    passed_to_guest: bool,
    /// The guest's end has been passed on to the peer.
    passed_to_peer: bool,
}

/// What is at the end of a relay's descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Somebody's socket.
    Socket,
    /// A program of ours. That it leaves without having read everything is its business: what it wrote
    /// before still counts.
    Program,
    /// A program on a pseudo-terminal, which is no socket and can't be half closed.
    Terminal,
}

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The guest has it, and says next for whom the program is to be started.
    Introducing(StreamId, Arc<HostProgram>),
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

    /// A stream that a program is to be started for.
    pub(super) fn introduced(stream: StreamId, program: Arc<HostProgram>) -> Relay {
        Relay::new(None, Stage::Introducing(stream, program))
    }

    /// A program and the guest's stream; `terminal`: it is on a pseudo-terminal.
    pub(super) fn with_program(end: OwnedFd, stream: StreamId, terminal: bool) -> Relay {
        Relay {
            reads_short: true,
            peer: match terminal {
                true => Peer::Terminal,
                false => Peer::Program,
            },
            ..Relay::new(end, Stage::Joined(stream))
        }
    }

    fn new(socket: impl Into<Option<OwnedFd>>, stage: Stage) -> Relay {
        Relay {
            socket: socket.into(),
            peer: Peer::Socket,
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
        self.failed |= self.peer == Peer::Socket && flags.contains(EventFlags::ERR);
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
            let peer = self.peer;
            self.writable = stream.with_recv(|bytes| match peer.send(socket, bytes) {
                Ok(count) => (count, Ok(count == bytes.len())),
                Err(Errno::INTR) => (0, Ok(true)),
                Err(Errno::AGAIN) => (0, Ok(false)),
                Err(error) => (0, Err(error)),
            })?;
        }
        if stream.recv_finished() && !self.passed_to_peer {
            self.peer.finish(socket)?;
            self.passed_to_peer = true;
        }
        while self.readable && stream.send_room() > 0 {
            let (reads_short, peer) = (self.reads_short, self.peer);
            let finished = stream.with_send(|space| {
                let size = space.len();
                match peer.read(socket, space) {
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
        if self.peer == Peer::Terminal && self.passed_to_peer && !self.passed_to_guest {
            // As stunnel: it is closed as a whole.
            stream.finish();
            self.passed_to_guest = true;
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

impl Peer {
    fn send(self, end: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
        let sent = match self {
            Peer::Terminal => write(end, bytes),
            Peer::Socket | Peer::Program => send(end, bytes, SendFlags::NOSIGNAL),
        };
        match (self, sent) {
            // Nobody is left to read it.
            (Peer::Program | Peer::Terminal, Err(Errno::PIPE | Errno::CONNRESET | Errno::IO)) => {
                Ok(bytes.len())
            }
            (_, sent) => sent,
        }
    }

    fn read(self, end: &OwnedFd, space: &mut [u8]) -> Result<usize, Errno> {
        match (self, read(end, space)) {
            // How a pseudo-terminal says that nobody is left (pty(7)), and a socket that something was
            // not read.
            (Peer::Program | Peer::Terminal, Err(Errno::CONNRESET | Errno::IO)) => Ok(0),
            (_, count) => count,
        }
    }

    fn finish(self, end: &OwnedFd) -> Result<(), Errno> {
        match self {
            Peer::Socket => shutdown(end, Shutdown::Write),
            // A program that has gone needs no end.
            Peer::Program => shutdown(end, Shutdown::Write).or(Ok(())),
            Peer::Terminal => Ok(()),
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

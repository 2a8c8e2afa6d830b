//! One connection: its socket, alone in a set, and what the demultiplexer remembers of it.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::SocketSet;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{Socket, tcp};

use crate::classify::{Segment, Sent, flag};
use crate::device::Repeating;
use crate::flow::Flow;
use crate::{Instant, Limits, ListenerId, Status, StreamError};

/// How long a client may take to finish its handshake: our SYN-ACK is repeated after 1, 3 and 7 s,
/// and who has not answered by then was not there.
pub(crate) const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client has to finish its handshake while others wait for its place: more than most
/// round trips. Only strangers that are not there take longer.
pub(crate) const HALF_OPEN_GRACE: Duration = Duration::from_millis(300);

/// How long a connection attempt lasts: SYN at 0, 1, 3, 7 and 15 s. Owners with less patience
/// release the stream.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a peer may stay silent that has something to acknowledge: RFC 1122 §4.2.3.5 asks for
/// at least 100 s before a connection is given up.
pub(crate) const USER_TIMEOUT: Duration = Duration::from_secs(120);

/// When an idle peer is asked whether it is there, and for how long (RFC 9293 §3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// After how long a silence it is asked first; Linux's `TCP_KEEPIDLE`.
    pub idle: Duration,
    /// How long its answer is waited for before it is asked again; `TCP_KEEPINTVL`.
    pub interval: Duration,
    /// After how many questions without an answer the connection is over; `TCP_KEEPCNT`.
    pub count: u32,
}

impl Default for KeepAlive {
    /// 50 s, 35 s and 2: address translators forget idle connections after some minutes, and who
    /// is silent for two minutes in spite of two questions is gone.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(50),
            interval: Duration::from_secs(35),
            count: 2,
        }
    }
}

impl KeepAlive {
    /// The shortest time between two questions: this is no way to flood.
    const SHORTEST: Duration = Duration::from_secs(1);

    /// The same within what makes sense.
    fn bounded(self) -> Self {
        Self {
            idle: self.idle.max(Self::SHORTEST),
            interval: self.interval.max(Self::SHORTEST),
            count: self.count.max(1),
        }
    }

    /// The silence after which the connection is over.
    fn patience(self) -> Duration {
        let asking = self.interval.saturating_mul(self.count);
        self.idle.saturating_add(asking)
    }
}

/// How long a released connection may take to deliver what is queued and its FIN: a 64 KiB buffer
/// at 20 kbit/s.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Origin {
    Accepted(ListenerId),
    Connected,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    /// SYN received; nobody but us knows of it.
    HalfOpen,
    /// SYN to send or sent.
    Connecting,
    /// Established, until both directions have ended and the peer knows.
    Open,
    /// Out of the table; the socket remains only for what is left to read.
    Over,
}

pub(crate) struct Connection {
    pub(crate) flow: Flow,
    pub(crate) origin: Origin,
    pub(crate) phase: Phase,
    /// Holds exactly one TCP socket; `None` once its memory is freed.
    pub(crate) sockets: Option<SocketSet<'static>>,
    /// The owner has a handle.
    pub(crate) held: bool,
    pub(crate) error: Option<StreamError>,
    /// The peer's FIN has been taken in.
    pub(crate) fin_seen: bool,
    /// The sequence number after the peer's FIN.
    pub(crate) peer_end: Option<u32>,
    /// Our FIN waits until what was sent before it is acknowledged: see [`Self::finish`].
    pub(crate) finishing: bool,
    /// Listed in the queue of connections to visit.
    pub(crate) queued: bool,
    /// The visit has a reason.
    pub(crate) touched: bool,
    /// Waits for a neighbour's Ethernet address.
    pub(crate) waiting: bool,
    /// A `Ready` event is on its way.
    pub(crate) ready: bool,
    /// Events on their way, of any kind.
    pub(crate) undelivered: u8,
    /// When the timer heap will wake this connection.
    pub(crate) armed: Option<Instant>,
    /// When a half-open or released connection is given up.
    pub(crate) deadline: Option<Instant>,
    /// The segment sent last, with the highest sequence number.
    pub(crate) sent: Option<Sent>,
    /// The segment sent last is one sent before.
    repeating: bool,
    /// The peer's window was closed when it last wrote.
    window_closed: bool,
    /// Where the peer's last segment came from.
    pub(crate) peer_mac: [u8; 6],
    /// When the peer, if nothing comes from it, is asked whether it is there.
    pub(crate) keep_alive_at: Instant,
    /// How it is asked; `None`: never.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// When the peer was heard of last.
    heard: Instant,
    /// Since when the peer has something to acknowledge.
    busy_since: Option<Instant>,
    /// How long it may live on once released.
    pub(crate) linger: Duration,
    /// The next sequence number expected from the peer, as far as segments in order tell.
    pub(crate) receive_next: u32,
    /// In TIME-WAIT: our next sequence number and the peer's.
    pub(crate) last: Option<(u32, u32)>,
}

/// What an owner can notice about a socket.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) state: tcp::State,
    received: usize,
    queued: usize,
}

impl Connection {
    pub(crate) fn new(
        flow: Flow,
        origin: Origin,
        phase: Phase,
        sockets: SocketSet<'static>,
    ) -> Connection {
        Connection {
            flow,
            origin,
            phase,
            sockets: Some(sockets),
            held: phase == Phase::Connecting,
            error: None,
            fin_seen: false,
            peer_end: None,
            finishing: false,
            queued: false,
            touched: false,
            waiting: false,
            ready: false,
            undelivered: 0,
            armed: None,
            deadline: None,
            sent: None,
            repeating: false,
            window_closed: false,
            peer_mac: [0; 6],
            keep_alive_at: Instant::ZERO,
            keep_alive: Some(KeepAlive::default()),
            heard: Instant::ZERO,
            busy_since: None,
            linger: LINGER,
            receive_next: 0,
            last: None,
        }
    }

    pub(crate) fn socket(&self) -> Option<&tcp::Socket<'static>> {
        match self.sockets.as_ref()?.iter().next()?.1 {
            Socket::Tcp(socket) => Some(socket),
            _ => None,
        }
    }

    pub(crate) fn socket_mut(&mut self) -> Option<&mut tcp::Socket<'static>> {
        match self.sockets.as_mut()?.iter_mut().next()?.1 {
            Socket::Tcp(socket) => Some(socket),
            _ => None,
        }
    }

    pub(crate) fn state(&self) -> tcp::State {
        self.socket().map_or(tcp::State::Closed, tcp::Socket::state)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state(),
            received: self.socket().map_or(0, tcp::Socket::recv_queue),
            queued: self.socket().map_or(0, tcp::Socket::send_queue),
        }
    }

    pub(crate) fn unread(&self) -> usize {
        self.socket().map_or(0, tcp::Socket::recv_queue)
    }

    pub(crate) fn status(&self) -> Status {
        if let Some(error) = self.error {
            return Status::Closed(Some(error));
        }
        match self.state() {
            tcp::State::SynSent | tcp::State::SynReceived => Status::Connecting,
            tcp::State::Closed | tcp::State::TimeWait if self.unread() == 0 => Status::Closed(None),
            _ => Status::Open,
        }
    }

    /// Ends our direction: FIN after what is queued.
    ///
    /// After the peer's FIN ours is held back until everything before it is acknowledged. smoltcp
    /// 0.14 disregards window updates in LAST-ACK (it takes them for duplicates, for RFC 9293
    /// §3.10.7.4's challenge ACK), so a peer whose window is full would never be sent the rest.
    pub(crate) fn finish(&mut self) {
        let Some(socket) = self.socket_mut() else {
            return;
        };
        if socket.state() == tcp::State::CloseWait && socket.send_queue() > 0 {
            self.finishing = true;
        } else {
            socket.close();
        }
    }

    /// Sends the FIN that waited, when it need not wait any longer.
    pub(crate) fn finish_when_drained(&mut self) {
        if self.finishing
            && let Some(socket) = self.socket_mut()
            && socket.send_queue() == 0
        {
            socket.close();
            self.finishing = false;
        }
    }

    /// Whether the owner may still write.
    pub(crate) fn may_send(&self) -> bool {
        !self.finishing && self.socket().is_some_and(tcp::Socket::may_send)
    }

    /// Whether an RST that the socket has not sent yet keeps the 4-tuple busy.
    pub(crate) fn reset_unsent(&self) -> bool {
        self.socket().is_some_and(|socket| {
            socket.state() == tcp::State::Closed && socket.local_endpoint().is_some()
        })
    }

    /// RFC 5961 §3.2: "If the RST bit is set and the sequence number exactly matches the next
    /// expected sequence number (RCV.NXT), then TCP MUST reset the connection."
    pub(crate) fn reset_is_exact(&self, segment: &Segment) -> bool {
        segment.sequence == self.receive_next
            || self
                .sent
                .is_some_and(|sent| sent.acknowledgment == segment.sequence)
    }

    /// Whether a segment tells nothing at all: of what we sent only the FIN is not acknowledged, and
    /// this acknowledges nothing new and carries nothing.
    ///
    /// smoltcp 0.14 must not see it: three of them make it drop its retransmission timer in favour
    /// of a fast retransmission of data, of which there is none, and the FIN is never sent again.
    pub(crate) fn is_told_nothing_by(&self, segment: &Segment) -> bool {
        use tcp::State::{Closing, FinWait1, LastAck};
        let only_ack = segment.payload == 0
            && segment.flags & (flag::ACK | flag::SYN | flag::FIN | flag::RST) == flag::ACK;
        let fin_in_flight = || {
            self.socket().is_some_and(|socket| {
                socket.send_queue() == 0 && matches!(socket.state(), FinWait1 | Closing | LastAck)
            })
        };
        only_ack
            && self
                .sent
                .is_some_and(|sent| sent.end.wrapping_sub(segment.acknowledgment) == 1)
            && fin_in_flight()
    }

    /// Whether a segment has text beyond the peer's FIN.
    ///
    /// RFC 9293 §3.10.7.4, seventh, of every state after a FIN: "This should not occur since a FIN
    /// has been received from the remote side. Ignore the segment text." smoltcp 0.14 would pass
    /// it on as data.
    pub(crate) fn is_beyond_the_end(&self, segment: &Segment) -> bool {
        let text_end = segment
            .end()
            .wrapping_sub(u32::from(segment.has(flag::FIN)));
        self.peer_end.is_some_and(|end| {
            let beyond = text_end.wrapping_sub(end.wrapping_sub(1));
            segment.payload > 0 && (1..1 << 31).contains(&beyond)
        })
    }

    /// Remembers where the peer's bytes end, when `segment` has just brought its FIN: smoltcp takes
    /// one only when nothing before it is missing.
    pub(crate) fn note_end(&mut self, segment: &Segment) {
        use tcp::State::{CloseWait, Closing, LastAck, TimeWait};
        let ended = self.socket().is_some_and(|socket| {
            matches!(socket.state(), CloseWait | Closing | LastAck | TimeWait)
        });
        if self.peer_end.is_none() && ended {
            self.peer_end = Some(segment.end());
        }
    }

    /// Remembers what was sent, for answers that are made without the socket.
    pub(crate) fn note_sent(&mut self, sent: Option<Sent>) {
        let Some(mut sent) = sent.filter(|sent| sent.flags & flag::RST == 0) else {
            return;
        };
        self.repeating = false;
        if let Some(before) = self.sent
            && sent.end.wrapping_sub(before.end) >= 1 << 31
        {
            // A repeated segment: the highest sequence number stays.
            sent.end = before.end;
            self.repeating = true;
        }
        if let Some(before) = self.sent
            && self.window_closed
            && sent.end == before.end.wrapping_add(1)
            && sent.flags & flag::FIN == 0
        {
            // A window probe, which smoltcp does not count as sent either.
            sent.end = before.end;
        }
        self.sent = Some(sent);
    }

    /// What is sent before again, if anything is.
    #[inline]
    pub(crate) fn repeats(&self, checksum: &ChecksumCapabilities) -> Option<Repeating> {
        if !self.repeating {
            return None;
        }
        self.sent.map(|sent| Repeating {
            highest: sent.end,
            summed: checksum.tcp.tx(),
        })
    }

    pub(crate) fn note_received(&mut self, segment: &Segment, now: Instant) {
        self.window_closed = segment.window == 0;
        self.peer_mac = segment.source_mac;
        self.heard = now;
        self.ask_after_idle();
        let first = segment.has(flag::SYN) && self.phase != Phase::Open;
        if first || segment.sequence == self.receive_next {
            self.receive_next = segment.end();
        }
    }

    /// Changes how an idle peer is asked whether it is there.
    pub(crate) fn set_keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        self.keep_alive = keep_alive.map(KeepAlive::bounded);
        self.ask_after_idle();
    }

    fn ask_after_idle(&mut self) {
        if let Some(keep_alive) = self.keep_alive {
            self.keep_alive_at = self.heard + keep_alive.idle;
        }
    }

    /// Notes since when the peer has something to acknowledge.
    pub(crate) fn note_busy(&mut self, now: Instant) {
        match self.is_idle() {
            true => self.busy_since = None,
            false => {
                self.busy_since.get_or_insert(now);
            }
        }
    }

    /// When an open connection's peer has been silent for too long: [`USER_TIMEOUT`] if it has
    /// something to acknowledge, else as long as keep-alives go on.
    ///
    /// smoltcp 0.14 has a time-out too, but counts it from before a long silence when only a FIN
    /// follows, and takes keep-alives of the peer for silence.
    pub(crate) fn silent_at(&self) -> Option<Instant> {
        match (self.phase, self.busy_since, self.keep_alive) {
            _ if self.error.is_some() => None,
            (Phase::Open, Some(since), _) => Some(since.max(self.heard) + USER_TIMEOUT),
            (Phase::Open, None, Some(keep_alive)) => Some(self.heard + keep_alive.patience()),
            _ => None,
        }
    }

    /// Whether the end of the connection that its owner has released is to be a reset:
    /// [`Stream::set_linger`](crate::Stream::set_linger) with no time, in a state in which there is
    /// something to reset.
    pub(crate) fn resets_on_release(&self) -> bool {
        use tcp::State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck};
        let unsent = self.socket().is_some_and(|socket| socket.send_queue() > 0);
        self.linger.is_zero()
            && match self.state() {
                Established | CloseWait | FinWait1 | FinWait2 => true,
                LastAck | Closing => unsent,
                _ => false,
            }
    }

    /// Whether the peer is to be asked whether it is there, sooner or later.
    pub(crate) fn needs_keep_alive(&self) -> bool {
        self.keep_alive.is_some() && self.is_idle()
    }

    /// Whether only a keep-alive can tell that the peer is there: it has nothing to acknowledge.
    ///
    /// smoltcp's own keep-alive carries a byte of garbage (RFC 1122 §4.2.3.6 allows that), and 0.14
    /// may send it in the place of a byte that the peer has yet to get.
    fn is_idle(&self) -> bool {
        use tcp::State::{CloseWait, Established, FinWait2};
        self.phase == Phase::Open
            && self.socket().is_some_and(|socket| {
                matches!(socket.state(), Established | CloseWait | FinWait2)
                    && socket.send_queue() == 0
            })
    }

    /// Throws away what a released connection received, so that the peer's FIN can follow.
    pub(crate) fn discard_received(&mut self) {
        if let Some(socket) = self.socket_mut() {
            // Twice: the buffer wraps once.
            for _ in 0..2 {
                if socket.can_recv() {
                    let _ = socket.recv(|data| (data.len(), ()));
                }
            }
        }
    }
}

/// A socket with the product's settings, not yet listening or connecting.
pub(crate) fn new_socket(limits: &Limits) -> tcp::Socket<'static> {
    let receive = tcp::SocketBuffer::new(vec![0; limits.recv_buffer]);
    let send = tcp::SocketBuffer::new(vec![0; limits.send_buffer]);
    let mut socket = tcp::Socket::new(receive, send);
    // Sessions write whole records and flush once: waiting for more would only add a round trip.
    socket.set_nagle_enabled(false);
    socket.set_congestion_control(tcp::CongestionControl::Reno);
    socket
}

/// The set in which `socket` is alone.
pub(crate) fn alone(socket: tcp::Socket<'static>) -> SocketSet<'static> {
    let mut sockets = SocketSet::new(Vec::with_capacity(1));
    sockets.add(socket);
    sockets
}

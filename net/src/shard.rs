//! The connections: table, timers, events and the queue of those to visit.
//!
//! Everything that one core needs to carry its connections is in here; nothing is shared.

mod traffic;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use hashbrown::HashMap;
use smoltcp::iface::Interface;
use smoltcp::phy::DeviceCapabilities;
use smoltcp::socket::tcp::State;

use crate::classify::Segment;
use crate::connection::{Connection, HALF_OPEN_GRACE, HALF_OPEN_TIMEOUT, Origin, Phase};
use crate::event::{Events, StreamId, Told};
use crate::flow::{Flow, FlowHasher};
use crate::rate::Bucket;
use crate::time_wait::TimeWait;
use crate::timers::Timers;
use crate::{Event, Instant, Limits, StreamError};

pub(crate) use traffic::{Received, Visit, hardware, nobody};

/// Challenge ACKs a second, for all connections together (RFC 5961 §10), and at once.
const CHALLENGES_PER_SECOND: u64 = 200;
const CHALLENGES_BURST: u64 = 50;

/// Superseded entries the timer heap may hold beyond one a connection before it is cleaned.
const STALE_TIMERS: usize = 1024;

/// How long the RST of a connection that has failed may wait to be sent, for room or for a
/// neighbour; then the peer has to find out by itself.
const RESET_GRACE: Duration = Duration::from_secs(1);

/// The least time for the peer of a released connection to acknowledge what it has been sent.
const SHORTEST_LINGER: Duration = Duration::from_secs(1);

/// Why a connection is looked at.
#[derive(Clone, Copy)]
pub(crate) enum Cause<'a> {
    Segment(&'a Segment),
    /// It was asked for something to send; this was its state before.
    Visit(State),
}

struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

pub(crate) struct Shard {
    pub(crate) iface: Interface,
    pub(crate) caps: DeviceCapabilities,
    pub(crate) limits: Limits,
    /// Both ends of the link are in one machine's memory: see [`Shard::set_in_memory`].
    in_memory: bool,
    slots: Vec<Slot>,
    free: Vec<u32>,
    table: HashMap<Flow, u32, FlowHasher>,
    pub(crate) time_wait: TimeWait,
    timers: Timers,
    queue: VecDeque<u32>,
    /// Those that wait for a neighbour's Ethernet address.
    waiting: Vec<u32>,
    pub(crate) events: Events,
    half_open: usize,
    /// Half-open connections, oldest first, by slot and generation; some have moved on since.
    half_open_order: VecDeque<(u32, u32)>,
    admission: usize,
    challenges: Bucket,
    /// Neighbours that were asked for here, lately.
    solicited: VecDeque<(IpAddr, Instant)>,
    /// The default routers, IPv4's and IPv6's.
    pub(crate) gateways: [Option<IpAddr>; 2],
    /// The card had no transmit token at this time.
    blocked: Option<Instant>,
}

impl Shard {
    pub(crate) fn new(
        iface: Interface,
        caps: DeviceCapabilities,
        limits: Limits,
        hasher: FlowHasher,
    ) -> Shard {
        Shard {
            iface,
            caps,
            limits,
            in_memory: false,
            slots: Vec::new(),
            free: Vec::new(),
            table: HashMap::with_hasher(hasher.clone()),
            time_wait: TimeWait::new(hasher),
            timers: Timers::default(),
            queue: VecDeque::new(),
            waiting: Vec::new(),
            events: Events::default(),
            half_open: 0,
            half_open_order: VecDeque::new(),
            admission: usize::MAX,
            challenges: Bucket::new(CHALLENGES_PER_SECOND, CHALLENGES_BURST),
            solicited: VecDeque::new(),
            gateways: [None; 2],
            blocked: None,
        }
    }

    /// Both ends of the link are in one machine's memory, and so are both ends of every connection:
    /// nothing gets lost by congestion, and a segment may be longer than a buffer's half.
    ///
    /// So there is no congestion window, which would begin with a small part of a segment, and each
    /// segment is acknowledged at once: smoltcp waits 10 ms for a second one of full length, and a
    /// peer's whole send buffer may be less than that.
    pub(crate) fn set_in_memory(&mut self) {
        self.in_memory = true;
    }

    pub(crate) fn find(&self, flow: &Flow) -> Option<u32> {
        self.table.get(flow).copied()
    }

    /// Sockets in existence.
    pub(crate) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn half_open(&self) -> usize {
        self.half_open
    }

    pub(crate) fn admission(&self) -> usize {
        self.admission
    }

    pub(crate) fn set_admission(&mut self, connections: usize) {
        self.admission = connections;
    }

    /// Whether a 4-tuple is in use or was until recently.
    pub(crate) fn is_taken(&self, flow: &Flow) -> bool {
        self.table.contains_key(flow) || self.time_wait.contains(flow)
    }

    pub(crate) fn connection(&mut self, index: u32) -> Option<&mut Connection> {
        connection(&mut self.slots, index)
    }

    /// The connection that `id` names, queued for a visit in case the caller writes to it.
    pub(crate) fn lend(&mut self, id: StreamId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let connection = slot.connection.as_mut().filter(|c| c.held)?;
        if !connection.queued {
            connection.queued = true;
            self.queue.push_back(id.index);
        }
        Some(connection)
    }

    /// As [`lend`](Self::lend), two at once.
    pub(crate) fn lend_pair(
        &mut self,
        a: StreamId,
        b: StreamId,
    ) -> Option<(&mut Connection, &mut Connection)> {
        self.lend(a)?;
        self.lend(b)?;
        let pair = [a.index as usize, b.index as usize];
        let [a, b] = self.slots.get_disjoint_mut(pair).ok()?;
        Some((a.connection.as_mut()?, b.connection.as_mut()?))
    }

    /// Takes a connection in; the caller has checked that there is room and the tuple is free.
    pub(crate) fn insert(&mut self, connection: Connection) -> StreamId {
        let flow = connection.flow;
        let half_open = connection.phase == Phase::HalfOpen;
        if matches!(connection.origin, Origin::Accepted(_)) {
            self.admission = self.admission.saturating_sub(1);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                connection: None,
            });
            // Bounded by `Limits::streams`, which fits.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.table.insert(flow, index);
        let mut generation = 0;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.connection = Some(connection);
            generation = slot.generation;
        }
        if half_open {
            self.half_open += 1;
            self.note_half_open(index, generation);
        }
        self.touch(index);
        StreamId { index, generation }
    }

    /// Remembers the order of half-open connections, and forgets those that have moved on once
    /// they are the most.
    fn note_half_open(&mut self, index: u32, generation: u32) {
        if self.half_open_order.len() > 2 * self.half_open {
            let mut order = core::mem::take(&mut self.half_open_order);
            order.retain(|&entry| self.is_half_open(entry));
            self.half_open_order = order;
        }
        self.half_open_order.push_back((index, generation));
    }

    fn is_half_open(&self, (index, generation): (u32, u32)) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| {
            slot.generation == generation
                && slot
                    .connection
                    .as_ref()
                    .is_some_and(|connection| connection.phase == Phase::HalfOpen)
        })
    }

    /// Gives the oldest half-open connection up, without a word, if it is older than
    /// [`HALF_OPEN_GRACE`].
    pub(crate) fn evict_half_open(&mut self, now: Instant) -> bool {
        while let Some(&entry) = self.half_open_order.front() {
            if !self.is_half_open(entry) {
                self.half_open_order.pop_front();
                continue;
            }
            let young = now + (HALF_OPEN_TIMEOUT - HALF_OPEN_GRACE);
            let is_young = |connection: &Connection| connection.deadline > Some(young);
            if connection(&mut self.slots, entry.0).is_some_and(|c| is_young(c)) {
                return false;
            }
            self.half_open_order.pop_front();
            self.remove(entry.0);
            return true;
        }
        false
    }

    /// Frees a connection's memory and gives its admission back.
    fn remove(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        let Some(connection) = slot.connection.take() else {
            return;
        };
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        if connection.phase != Phase::Over {
            self.table.remove(&connection.flow);
        }
        if connection.phase == Phase::HalfOpen {
            self.half_open = self.half_open.saturating_sub(1);
        }
        if matches!(connection.origin, Origin::Accepted(_)) {
            self.admission = self.admission.saturating_add(1);
        }
    }

    /// Queues a connection for a visit.
    pub(crate) fn touch(&mut self, index: u32) {
        if let Some(connection) = connection(&mut self.slots, index) {
            connection.touched = true;
            if !connection.queued {
                connection.queued = true;
                self.queue.push_back(index);
            }
        }
    }

    /// Tells the owner, once, that something changed.
    fn notify(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        let generation = slot.generation;
        if let Some(connection) = slot.connection.as_mut()
            && connection.held
            && !connection.ready
        {
            connection.ready = true;
            connection.undelivered += 1;
            self.events.push_ready(StreamId { index, generation });
        }
    }

    /// The next event whose stream still exists.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        loop {
            let (id, listener) = match self.events.pop()? {
                Told::Ready(id) => (id, None),
                Told::Accepted(listener, id) => (id, Some(listener)),
                Told::Rare(event) => return Some(*event),
            };
            let slot = self.slots.get_mut(id.index as usize);
            let Some(slot) = slot.filter(|slot| slot.generation == id.generation) else {
                continue;
            };
            if let Some(connection) = slot.connection.as_mut().filter(|c| c.held) {
                connection.undelivered = connection.undelivered.saturating_sub(1);
                let stream = id;
                if let Some(listener) = listener {
                    return Some(Event::Accepted { listener, stream });
                }
                connection.ready = false;
                return Some(Event::Ready(stream));
            }
        }
    }

    /// The owner gives its handle up.
    pub(crate) fn release(&mut self, id: StreamId, now: Instant) {
        let Some(connection) = self.lend(id) else {
            return;
        };
        connection.held = false;
        connection.undelivered = 0;
        match connection.phase {
            // A SYN-ACK that still comes is answered with RST like any stray segment.
            Phase::Over | Phase::Connecting => return self.remove(id.index),
            Phase::HalfOpen | Phase::Open => {}
        }
        connection.discard_received();
        if connection.resets_on_release() {
            connection.error.get_or_insert(StreamError::Reset);
            connection.deadline = Some(now + RESET_GRACE);
            if let Some(socket) = connection.socket_mut() {
                socket.abort();
            }
        } else {
            connection.deadline = Some(now + connection.linger.max(SHORTEST_LINGER));
            connection.finish();
        }
        self.touch(id.index);
    }

    /// Ends every connection from a local address that is no longer ours.
    pub(crate) fn address_lost(&mut self, still_ours: impl Fn(IpAddr) -> bool) {
        let lost: Vec<u32> = self
            .table
            .iter()
            .filter(|(flow, _)| !still_ours(flow.local.ip()))
            .map(|(_, index)| *index)
            .collect();
        for index in lost {
            self.fail(index, StreamError::Unreachable);
        }
    }

    /// Ends a connection without a word to the peer.
    pub(crate) fn fail(&mut self, index: u32, error: StreamError) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        connection.error.get_or_insert(error);
        if let Some(socket) = connection.socket_mut() {
            socket.abort();
        }
        self.over(index);
    }

    /// Draws the conclusions from a connection's state after `cause`.
    pub(crate) fn settle(&mut self, index: u32, now: Instant, cause: Cause<'_>) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        if connection.phase == Phase::Over {
            return self.free_if_done(index);
        }
        let state = connection.state();
        match state {
            // RST in SYN-RECEIVED takes smoltcp back to LISTEN.
            State::Listen => {
                connection.error.get_or_insert(StreamError::Reset);
                return self.over(index);
            }
            State::SynSent | State::SynReceived => return,
            State::Closed if connection.phase == Phase::HalfOpen => return self.remove(index),
            State::Closed => return self.closed(index, now, cause),
            State::Established | State::FinWait1 | State::FinWait2 => {}
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait => {
                connection.fin_seen = true;
            }
        }
        match connection.phase {
            Phase::HalfOpen => self.accepted(index),
            Phase::Connecting => {
                connection.phase = Phase::Open;
                if let Some(socket) = connection.socket_mut() {
                    socket.set_timeout(None);
                }
            }
            Phase::Open | Phase::Over => {}
        }
        if state == State::TimeWait {
            self.time_wait(index, now, cause);
        }
    }

    /// A client's handshake is complete.
    fn accepted(&mut self, index: u32) {
        self.half_open = self.half_open.saturating_sub(1);
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        let generation = slot.generation;
        let Some(connection) = slot.connection.as_mut() else {
            return;
        };
        connection.phase = Phase::Open;
        connection.deadline = None;
        connection.held = true;
        if let Origin::Accepted(listener) = connection.origin {
            connection.undelivered += 1;
            let stream = StreamId { index, generation };
            self.events.push_accepted(listener, stream);
        }
    }

    /// The socket is closed; find out why.
    fn closed(&mut self, index: u32, now: Instant, cause: Cause<'_>) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        if connection.error.is_none() {
            connection.error = match cause {
                Cause::Segment(segment) if segment.has(crate::classify::flag::RST) => {
                    Some(match connection.phase {
                        Phase::Connecting => StreamError::Refused,
                        _ => StreamError::Reset,
                    })
                }
                // LAST-ACK: our FIN is acknowledged, the peer's came before.
                Cause::Segment(_) | Cause::Visit(State::TimeWait) => None,
                Cause::Visit(_) => Some(StreamError::TimedOut),
            };
        }
        if connection.reset_unsent() {
            // The owner need not wait until there is room for the RST.
            connection.deadline.get_or_insert(now + RESET_GRACE);
            self.notify(index);
        } else {
            self.over(index);
        }
    }

    /// Both directions have ended; once the peer has our last ACK, a record is enough.
    fn time_wait(&mut self, index: u32, now: Instant, cause: Cause<'_>) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        if let Cause::Segment(segment) = cause
            && connection.last.is_none()
        {
            connection.last = Some((segment.acknowledgment, segment.end()));
        }
        if let Some((send_next, receive_next)) = connection.last
            && connection
                .sent
                .is_some_and(|sent| sent.acknowledgment == receive_next)
        {
            let flow = connection.flow;
            self.over(index);
            self.time_wait.insert(flow, send_next, receive_next, now);
        }
    }

    /// Takes a connection out of the table; its socket stays while there is something to read.
    fn over(&mut self, index: u32) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        if connection.phase == Phase::HalfOpen {
            return self.remove(index);
        }
        connection.phase = Phase::Over;
        connection.armed = None;
        connection.deadline = None;
        let flow = connection.flow;
        self.table.remove(&flow);
        self.notify(index);
        self.free_if_done(index);
    }

    fn free_if_done(&mut self, index: u32) {
        if let Some(connection) = connection(&mut self.slots, index) {
            if connection.unread() == 0 || !connection.held {
                connection.sockets = None;
            }
            if !connection.held {
                self.remove(index);
            }
        }
    }
}

/// The connection in a slot: a function of the slots alone, so that other fields stay usable.
fn connection(slots: &mut [Slot], index: u32) -> Option<&mut Connection> {
    slots.get_mut(index as usize)?.connection.as_mut()
}

//! Frames in and out of connections, and the timers that make them.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::{Config as InterfaceConfig, Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, PacketMeta, TxToken};
use smoltcp::socket::tcp::{self, State};
use smoltcp::wire::{EthernetAddress, IpCidr, IpEndpoint, IpListenEndpoint};

use super::{Cause, RESET_GRACE, STALE_TIMERS, Shard, connection};
use crate::classify::{Segment, flag};
use crate::connection::{
    CONNECT_TIMEOUT, Connection, HALF_OPEN_TIMEOUT, Origin, Phase, alone, new_socket,
};
use crate::device::{Egress, OneFrame, Watch};
use crate::flow::Flow;
use crate::{Instant, ListenerId, StreamError, StreamId, reply, window};

/// Frames one connection may send per visit, so that others get their turn: a 64 KiB buffer in
/// Ethernet's 1,460-byte segments. Larger segments come to a whole window at most.
const SEGMENTS_PER_VISIT: usize = 48;

/// When to try again after the card had no room: its completion normally wakes the owner sooner.
const TRANSMIT_RETRY: Duration = Duration::from_millis(1);

/// The shortest time after which an idle connection is visited again: smoltcp may say "now"
/// without having anything to send.
const SHORTEST_TIMER: Duration = Duration::from_millis(1);

/// How long a neighbour is not asked for again by us, and how many are remembered for that:
/// what smoltcp does for all neighbours together (RFC 1122 §2.3.2.1: "MUST prevent ARP flooding").
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(1);
const SOLICITATIONS: usize = 32;

/// A frame still in the card's buffer, with the token for an immediate answer.
pub(crate) struct Received<'a, T> {
    pub(crate) bytes: &'a [u8],
    pub(crate) meta: PacketMeta,
    pub(crate) token: T,
}

/// Which queued connections to visit.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Visit {
    All,
    /// Not those whose owner is about to act on an event: what it writes then travels along.
    Quiet,
}

enum Outcome {
    Done,
    /// More to send, but others first.
    More,
    Waiting,
    Blocked,
}

impl Shard {
    /// Hands a frame to smoltcp with the sockets that may take it.
    pub(crate) fn feed<T: TxToken>(
        &mut self,
        received: Received<'_, T>,
        sockets: &mut SocketSet<'static>,
        now: Instant,
    ) {
        let mut device = one_frame(received, &self.caps);
        self.iface
            .poll_ingress_single(now.into(), &mut device, sockets);
    }

    /// A segment for a connection in the table.
    pub(crate) fn ingress<T: TxToken>(
        &mut self,
        index: u32,
        segment: &Segment,
        received: Received<'_, T>,
        now: Instant,
    ) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        let synchronized = matches!(connection.phase, Phase::Open);
        let exact = connection.reset_is_exact(segment);
        if segment.has(flag::RST) && connection.phase != Phase::Connecting && !exact
            || segment.opens() && synchronized
        {
            // RFC 5961 §3.2, §4.2: "TCP MUST send an ACK (challenge ACK)"; the peer's answer to it
            // tells whether it has really forgotten the connection.
            if let Some(sent) = connection.sent
                && self.challenges.take(now)
            {
                let (flow, acknowledgment) = (connection.flow, sent.acknowledgment);
                let answer = reply::Ack {
                    flow,
                    source: self.iface.hardware_addr(),
                    destination: segment.source_mac,
                    sequence: sent.end,
                    acknowledgment,
                    window: sent.window,
                };
                answer.emit(received.token, &self.caps.checksum);
            }
            return;
        }
        if connection.is_told_nothing_by(segment) || connection.is_beyond_the_end(segment) {
            return;
        }
        let before = connection.snapshot();
        let repeating = connection.repeats(&self.caps.checksum);
        let Some(sockets) = connection.sockets.as_mut() else {
            return;
        };
        let closes = connection
            .sent
            .is_some_and(|sent| window::closes_on_flight(segment, sent.end));
        let ajar = closes.then(|| window::ajar(received.bytes)).flatten();
        let received = Received {
            bytes: ajar.as_deref().unwrap_or(received.bytes),
            ..received
        };
        let mut device = one_frame(received, &self.caps);
        device.watch.repeating = repeating;
        self.iface
            .poll_ingress_single(now.into(), &mut device, sockets);
        connection.note_sent(device.watch.sent);
        connection.note_received(segment, now);
        connection.note_end(segment);
        if !connection.held && connection.phase == Phase::Open {
            connection.discard_received();
        }
        let changed = connection.snapshot() != before;
        connection.finish_when_drained();
        self.settle(index, now, Cause::Segment(segment));
        if changed {
            self.notify(index);
        }
        self.touch(index);
    }

    /// A SYN that a listener takes: makes its socket. `seed` decides the sequence number.
    pub(crate) fn accept<T: TxToken>(
        &mut self,
        listener: ListenerId,
        segment: &Segment,
        received: Received<'_, T>,
        seed: u64,
        now: Instant,
    ) {
        self.answer(Origin::Accepted(listener), segment, received, seed, now);
    }

    /// A SYN that was held until our owner took it, in its `frame`.
    pub(crate) fn admit(
        &mut self,
        segment: &Segment,
        frame: &[u8],
        seed: u64,
        now: Instant,
    ) -> Option<StreamId> {
        let received = Received {
            bytes: frame,
            meta: PacketMeta::default(),
            token: NoToken,
        };
        self.answer(Origin::Connected, segment, received, seed, now)
    }

    fn answer<T: TxToken>(
        &mut self,
        origin: Origin,
        segment: &Segment,
        received: Received<'_, T>,
        seed: u64,
        now: Instant,
    ) -> Option<StreamId> {
        let flow = segment.flow;
        let mut socket = self.new_socket();
        let endpoint = IpListenEndpoint {
            addr: Some(flow.local.ip().into()),
            port: flow.local.port(),
        };
        socket.listen(endpoint).ok()?;
        let phase = match origin {
            Origin::Accepted(_) => Phase::HalfOpen,
            Origin::Connected => {
                socket.set_timeout(Some(CONNECT_TIMEOUT.into()));
                Phase::Connecting
            }
        };
        let mut sockets = alone(socket);
        let mut device = one_frame(received, &self.caps);
        let mut oracle = oracle(&self.iface, &mut device, seed, flow, now);
        oracle.poll_ingress_single(now.into(), &mut device, &mut sockets);
        let mut connection = Connection::new(flow, origin, phase, sockets);
        // A wrong checksum leaves it listening.
        if connection.state() != State::SynReceived {
            return None;
        }
        if phase == Phase::HalfOpen {
            connection.deadline = Some(now + HALF_OPEN_TIMEOUT);
        }
        connection.note_received(segment, now);
        Some(self.insert(connection))
    }

    /// A socket with the product's settings, not yet listening or connecting.
    fn new_socket(&self) -> tcp::Socket<'static> {
        let mut socket = new_socket(&self.limits);
        if self.in_memory {
            socket.set_congestion_control(tcp::CongestionControl::None);
            socket.set_ack_delay(None);
        }
        socket
    }

    /// Begins a connection; the SYN leaves with the next visit.
    pub(crate) fn open(&mut self, flow: Flow, seed: u64, now: Instant) -> Option<StreamId> {
        let mut socket = self.new_socket();
        socket.set_timeout(Some(CONNECT_TIMEOUT.into()));
        let mut device = OneFrame::<NoToken> {
            bytes: &[],
            meta: PacketMeta::default(),
            token: None,
            caps: &self.caps,
            watch: Watch::default(),
        };
        let mut oracle = oracle(&self.iface, &mut device, seed, flow, now);
        let remote = IpEndpoint::from(flow.remote);
        let local = IpEndpoint::from(flow.local);
        socket.connect(oracle.context(), remote, local).ok()?;
        let connection = Connection::new(flow, Origin::Connected, Phase::Connecting, alone(socket));
        Some(self.insert(connection))
    }

    /// A router or host says that a segment of ours cannot be delivered. Believed only while
    /// connecting, and only with our sequence number: RFC 5927 §5.2 makes it a soft error later.
    pub(crate) fn undeliverable(&mut self, flow: &Flow, sequence: u32, error: StreamError) {
        let Some(index) = self.find(flow) else {
            return;
        };
        let believed = self.connection(index).is_some_and(|connection| {
            connection.phase == Phase::Connecting
                && connection
                    .sent
                    .is_some_and(|sent| sent.sequence == sequence)
        });
        if believed {
            self.fail(index, error);
        }
    }

    /// Sends what queued connections have to send.
    pub(crate) fn pump<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant, visit: Visit) {
        self.blocked = None;
        for _ in 0..self.queue.len() {
            let Some(index) = self.queue.pop_front() else {
                return;
            };
            let Some(connection) = connection(&mut self.slots, index) else {
                continue;
            };
            if visit == Visit::Quiet && connection.held && connection.undelivered > 0 {
                self.queue.push_back(index);
                continue;
            }
            connection.queued = false;
            if !connection.touched {
                continue;
            }
            connection.touched = false;
            match self.visit(index, device, now) {
                Outcome::Done | Outcome::Waiting => {}
                Outcome::More => self.touch(index),
                Outcome::Blocked => {
                    if let Some(connection) = self.connection(index) {
                        connection.touched = true;
                        connection.queued = true;
                        self.queue.push_front(index);
                    }
                    self.blocked = Some(now);
                    return;
                }
            }
        }
    }

    fn visit<D: Device + ?Sized>(&mut self, index: u32, device: &mut D, now: Instant) -> Outcome {
        if device.transmit(now.into()).is_none() {
            // smoltcp forgets a fast retransmission that it finds no room for.
            return Outcome::Blocked;
        }
        self.keep_alive(index, device, now);
        let Some(connection) = connection(&mut self.slots, index) else {
            return Outcome::Done;
        };
        let before = connection.snapshot();
        let repeating = connection.repeats(&self.caps.checksum);
        let mut outcome = Outcome::Done;
        if connection.phase != Phase::Over
            && let Some(sockets) = connection.sockets.as_mut()
        {
            let mut egress = Egress {
                device,
                caps: &self.caps,
                watch: Watch {
                    repeating,
                    ..Watch::default()
                },
            };
            let mut unasked = false;
            outcome = Outcome::More;
            for _ in 0..SEGMENTS_PER_VISIT {
                egress.watch.asked = false;
                let result = self.iface.poll_egress(now.into(), &mut egress, sockets);
                if egress.watch.refused {
                    outcome = Outcome::Blocked;
                } else if result == PollResult::SocketStateChanged {
                    continue;
                } else if egress.watch.asked {
                    outcome = Outcome::Waiting;
                    unasked = egress.watch.solicitations == 0;
                } else {
                    outcome = Outcome::Done;
                }
                break;
            }
            connection.note_sent(egress.watch.sent);
            if egress.watch.frames > 0 {
                connection.waiting = false;
            }
            if matches!(outcome, Outcome::Waiting) && !connection.waiting {
                connection.waiting = true;
                self.waiting.push(index);
            }
            if unasked {
                let flow = connection.flow;
                self.solicit(&flow, device, now);
            }
        }
        let Some(connection) = super::connection(&mut self.slots, index) else {
            return Outcome::Done;
        };
        connection.note_busy(now);
        let changed = connection.state() != before.state;
        self.settle(index, now, Cause::Visit(before.state));
        if changed {
            self.notify(index);
        }
        if matches!(outcome, Outcome::Done | Outcome::Waiting) {
            self.arm(index, now);
        }
        outcome
    }

    /// Asks a peer that has been silent for long whether it is there: with a segment that it has
    /// already acknowledged, so that it answers (RFC 9293 §3.8.4), and without payload.
    fn keep_alive<D: Device + ?Sized>(&mut self, index: u32, device: &mut D, now: Instant) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        let Some(keep_alive) = connection.keep_alive else {
            return;
        };
        if connection.keep_alive_at > now || !connection.needs_keep_alive() {
            return;
        }
        connection.keep_alive_at = now + keep_alive.interval;
        if let Some(sent) = connection.sent
            && let Some(token) = device.transmit(now.into())
        {
            let question = reply::Ack {
                flow: connection.flow,
                source: self.iface.hardware_addr(),
                destination: connection.peer_mac,
                sequence: sent.end.wrapping_sub(1),
                acknowledgment: sent.acknowledgment,
                window: sent.window,
            };
            question.emit(token, &self.caps.checksum);
        }
    }

    /// Asks for the next hop's Ethernet address. smoltcp asks for one neighbour a second, so that
    /// a connection to a second one would wait for no reason.
    fn solicit<D: Device + ?Sized>(&mut self, flow: &Flow, device: &mut D, now: Instant) {
        let remote = flow.remote.ip();
        let on_link = |cidr: &IpCidr| cidr.contains_addr(&remote.into());
        let next_hop = match self.iface.ip_addrs().iter().any(on_link) {
            true => Some(remote),
            false => self
                .gateways
                .into_iter()
                .flatten()
                .find(|g| g.is_ipv4() == remote.is_ipv4()),
        };
        let Some(next_hop) = next_hop else {
            return;
        };
        let is_old = |(_, at): &(_, Instant)| *at + SOLICITATION_INTERVAL <= now;
        while self.solicited.front().is_some_and(is_old) {
            self.solicited.pop_front();
        }
        let asked = self
            .solicited
            .iter()
            .any(|(address, _)| *address == next_hop);
        if asked || self.solicited.len() >= SOLICITATIONS {
            return;
        }
        if let Some(token) = device.transmit(now.into()) {
            let (mac, local) = (self.iface.hardware_addr(), flow.local.ip());
            reply::solicit(token, mac, local, next_hop, &self.caps.checksum);
            self.solicited.push_back((next_hop, now));
        }
    }

    /// Enters a connection's next wake-up into the heap.
    fn arm(&mut self, index: u32, now: Instant) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        if connection.phase == Phase::Over {
            return;
        }
        let asked = connection
            .sockets
            .as_ref()
            .and_then(|sockets| self.iface.poll_at(now.into(), sockets))
            .map(|at| Instant::from(at).max(now + SHORTEST_TIMER));
        let keep_alive = connection
            .needs_keep_alive()
            .then_some(connection.keep_alive_at.max(now + SHORTEST_TIMER));
        let silent = connection.silent_at();
        let others = connection.deadline.into_iter().chain(keep_alive);
        let others = others.chain(silent);
        let Some(when) = asked.into_iter().chain(others).min() else {
            return;
        };
        if connection.armed.is_none_or(|armed| when < armed) {
            connection.armed = Some(when);
            self.timers.push(when, index);
        }
        if self.timers.len() > 2 * self.slots.len() + STALE_TIMERS {
            let slots = &mut self.slots;
            self.timers.retain(|when, index| {
                super::connection(slots, index).is_some_and(|c| c.armed == Some(when))
            });
        }
    }

    /// Queues the connections whose time has come.
    pub(crate) fn run_timers(&mut self, now: Instant) {
        while let Some((when, index)) = self.timers.first() {
            let live = connection(&mut self.slots, index).filter(|c| c.armed == Some(when));
            let Some(connection) = live else {
                self.timers.pop();
                continue;
            };
            if when > now {
                return;
            }
            connection.armed = None;
            let expired = connection.deadline.is_some_and(|deadline| deadline <= now);
            let silent = connection.silent_at().is_some_and(|silent| silent <= now);
            self.timers.pop();
            if silent && !expired {
                connection.error.get_or_insert(StreamError::TimedOut);
            }
            if expired || silent {
                self.give_up(index, now);
            }
            self.touch(index);
        }
    }

    /// A half-open or released connection has taken too long, or a peer was silent for too long.
    fn give_up(&mut self, index: u32, now: Instant) {
        let Some(connection) = connection(&mut self.slots, index) else {
            return;
        };
        if connection.phase == Phase::HalfOpen || connection.state() == State::Closed {
            return self.over(index);
        }
        connection.deadline = Some(now + RESET_GRACE);
        if let Some(socket) = connection.socket_mut() {
            socket.abort();
        }
    }

    /// Neighbours may have become known: those who wait for one try again. They stay listed until
    /// they have sent something, since it may have been another neighbour.
    pub(crate) fn wake_waiting(&mut self) {
        // Rare: a heap's sort is a tenth of the code of the other one.
        let waiting = BinaryHeap::from(core::mem::take(&mut self.waiting));
        let mut waiting = waiting.into_sorted_vec();
        waiting.dedup();
        waiting.retain(|index| {
            let still = self.connection(*index).is_some_and(|c| c.waiting);
            if still {
                self.touch(*index);
            }
            still
        });
        self.waiting = waiting;
    }

    /// When something must happen here.
    pub(crate) fn due(&self) -> Option<Instant> {
        if let Some(blocked) = self.blocked {
            return Some(blocked + TRANSMIT_RETRY);
        }
        let unsent = self.queue.iter().any(|index| {
            let slot = self.slots.get(*index as usize);
            slot.and_then(|slot| slot.connection.as_ref())
                .is_some_and(|connection| connection.touched)
        });
        if unsent {
            return Some(Instant::ZERO);
        }
        self.timers.first().map(|(when, _)| when)
    }
}

fn one_frame<'a, T>(received: Received<'a, T>, caps: &'a DeviceCapabilities) -> OneFrame<'a, T> {
    OneFrame {
        bytes: received.bytes,
        meta: received.meta,
        token: Some(received.token),
        caps,
        watch: Watch::default(),
    }
}

/// The sockets of nobody: what is fed to them is answered as what nobody waits for.
pub(crate) fn nobody() -> SocketSet<'static> {
    SocketSet::new(Vec::new())
}

/// An interface whose only use is one initial sequence number.
///
/// smoltcp draws them from a small generator inside the interface, whose state an observer can
/// compute from a few of its outputs; RFC 9293 §3.4.1 wants them unguessable off the path. The
/// public interface offers no other source, but any interface can stand in while a socket picks its
/// number: this one is seeded, for this connection alone, by a keyed pseudo-random function.
fn oracle<T: TxToken>(
    iface: &Interface,
    device: &mut OneFrame<'_, T>,
    seed: u64,
    flow: Flow,
    now: Instant,
) -> Interface {
    let mut config = InterfaceConfig::new(iface.hardware_addr());
    config.random_seed = seed;
    let mut oracle = Interface::new(config, device, now.into());
    let local = flow.local.ip();
    let prefix = if local.is_ipv4() { 32 } else { 128 };
    oracle.update_ip_addrs(|addresses| {
        // Never full: this is the first.
        let _ = addresses.push(IpCidr::new(local.into(), prefix));
    });
    oracle
}

/// The transmit token of a device that sends nothing.
struct NoToken;

impl TxToken for NoToken {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        f(&mut alloc::vec![0; len])
    }
}

/// The card's own address, in smoltcp's words.
pub(crate) fn hardware(mac: [u8; 6]) -> smoltcp::wire::HardwareAddress {
    EthernetAddress(mac).into()
}

//! The stack: one card, its addresses, its connections.

pub(crate) mod addressing;
mod gateway;

use core::net::{IpAddr, SocketAddr};

use alloc::boxed::Box;
use alloc::vec::Vec;

use smoltcp::iface::{Config as InterfaceConfig, Interface};
use smoltcp::phy::{Device, RxToken, TxToken};

use crate::classify::{Class, Link, Loopback, Segment, classify, flag, is_host};
use crate::flow::{Flow, FlowHasher, Unguessable};
use crate::gateway::{self as gate, Gate, Verdict};
use crate::rate::Bucket;
use crate::service::{HEADERS, MAX_DATAGRAM, Name, Service, parse};
use crate::shard::{Received, Shard, Visit, hardware, nobody};
use crate::time_wait::Reaction;
use crate::{
    Addresses, Config, ConfigError, ConnectError, DatagramError, Event, Instant, Ipv4Config,
    ListenError, ListenerId, QueryId, ResolveError, Role, Stream, StreamId, device, reply,
};

/// Frames one [`Stack::poll`] takes in, so that sessions get their turn: at 1,500 bytes, 96 KiB, and
/// no more than the windows of 64 connections when they are longer.
const FRAMES_PER_POLL: usize = 64;

/// Listeners a stack has at most; each SYN is compared with all of them.
const MAX_LISTENERS: usize = 64;

/// RSTs and ICMP errors a second for what belongs to no connection, and at once. Beyond it strays
/// are dropped silently, so that nobody can use this host to flood another.
const REFUSALS_PER_SECOND: u64 = 500;
const REFUSALS_BURST: u64 = 200;

/// Log lines a second about connections that were not taken, and at once.
const WARNINGS_PER_SECOND: u64 = 1;
const WARNINGS_BURST: u64 = 5;

/// The ports of our side when we connect: the range that other systems use (RFC 6056 §3.2 asks
/// for a large one).
const EPHEMERAL_PORTS: core::ops::Range<u16> = 32_768..61_000;

struct Listener {
    id: ListenerId,
    local: Option<IpAddr>,
    port: u16,
}

/// A TCP/IP stack over one Ethernet card.
///
/// After every call of [`poll`](Self::poll) take the events until there are none, act on them,
/// and then call [`flush`](Self::flush): what sessions write leaves together with the
/// acknowledgments of what they read. Call again no later than [`poll_at`](Self::poll_at).
pub struct Stack {
    link: Link,
    /// In [`Role::Gateway`] alone.
    gateway: Option<Box<dyn Gate>>,
    shard: Shard,
    service: Service,
    listeners: Vec<Listener>,
    /// Listeners there have been: no id is given twice.
    listened: u32,
    addresses: Addresses,
    /// Servers that the configuration names; they come before all others.
    configured_dns: Vec<IpAddr>,
    expects_ipv4: bool,
    numbers: Unguessable,
    /// Connections begun here.
    connects: u64,
    refusals: Bucket,
    warnings: Bucket,
    /// SYNs that were refused or dropped since the last log line about them.
    turned_away: u64,
    /// The latest time that the owner told.
    now: Instant,
}

impl Stack {
    /// A stack for `device`. Static addresses are in force at once; DHCP begins with the first
    /// [`poll`](Self::poll).
    pub fn new<D: Device + ?Sized>(
        config: Config,
        device: &mut D,
        now: Instant,
    ) -> Result<Stack, ConfigError> {
        let addresses = addressing::check(&config)?;
        let caps = device::usable(device.capabilities(), config.ipv6.is_some())
            .ok_or(ConfigError::DeviceUnsuitable)?;
        let (table_key, number_key) = keys(config.seed);
        let mut numbers = Unguessable::new(number_key);
        let mut interface_config = InterfaceConfig::new(hardware(config.mac));
        // Feeds DHCP's and DNS's identifiers and ports, which no outsider gets to see.
        interface_config.random_seed = numbers.next_u64();
        let mut blank = device::Egress {
            device,
            caps: &caps,
            watch: device::Watch::default(),
        };
        let iface = Interface::new(interface_config, &mut blank, now.into());
        let dhcp = config.ipv4 == Ipv4Config::Dhcp;
        let hasher = FlowHasher::new(table_key);
        let gateway = gate::of(&config, &addresses, &caps.checksum, &hasher)?;
        let in_memory = caps.max_transmission_unit > device::MAX_WIRE_FRAME;
        let mut shard = Shard::new(iface, caps, config.limits, hasher);
        shard.iface.set_any_ip(gateway.is_some());
        let loopback = match config.role {
            Role::Host => Loopback::Nowhere,
            Role::Published => Loopback::Remote,
            Role::Gateway { .. } => Loopback::Local,
        };
        if in_memory && config.role != Role::Host {
            shard.set_in_memory();
        }
        let link = Link {
            mac: config.mac,
            loopback,
        };
        let mut stack = Stack {
            link,
            gateway,
            shard,
            service: Service::new(dhcp),
            listeners: Vec::new(),
            listened: 0,
            addresses: Addresses::default(),
            configured_dns: config.dns,
            expects_ipv4: config.ipv4 != Ipv4Config::Disabled,
            numbers,
            connects: 0,
            refusals: Bucket::new(REFUSALS_PER_SECOND, REFUSALS_BURST),
            warnings: Bucket::new(WARNINGS_PER_SECOND, WARNINGS_BURST),
            turned_away: 0,
            now,
        };
        stack.apply(addresses);
        if !dhcp {
            stack.shard.events.push(Event::Configured);
        }
        Ok(stack)
    }

    /// Takes in up to a named burst of frames, runs the timers that are due and sends what is
    /// ready, except for streams that have an event to act on: those wait for
    /// [`flush`](Self::flush), or for the next call. True when more frames may be waiting.
    pub fn poll<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant) -> bool {
        self.now = now.max(self.now);
        let now = self.now;
        if self.is_gateway() {
            self.run_gateway(device);
        }
        self.shard.pump(device, now, Visit::All);
        let mut neighbors = false;
        let mut more = true;
        for _ in 0..FRAMES_PER_POLL {
            let Some((frame, token)) = device.receive(now.into()) else {
                more = false;
                break;
            };
            let meta = frame.meta();
            neighbors |= frame.consume(|bytes| self.take_in(Received { bytes, meta, token }));
        }
        if neighbors {
            // Once a burst: a flood of ARP must not cost a walk each.
            self.shard.wake_waiting();
        }
        if self.is_gateway() {
            self.run_gateway(device);
        }
        self.run_service(device);
        self.shard.run_timers(now);
        self.shard.pump(device, now, Visit::Quiet);
        more
    }

    /// Sends what sessions have just written, touching only the streams they touched.
    pub fn flush<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant) {
        self.now = now.max(self.now);
        if self.is_gateway() {
            self.run_gateway(device);
        }
        self.run_service(device);
        self.shard.pump(device, self.now, Visit::All);
    }

    /// When [`poll`](Self::poll) must be called next even if no frame arrives.
    pub fn poll_at(&self) -> Option<Instant> {
        // An event that nobody has taken cannot wait.
        if !self.shard.events.is_empty() {
            return Some(Instant::ZERO);
        }
        if self.is_gateway() {
            return self.gateway_due();
        }
        self.shard.due().into_iter().chain(self.service.due()).min()
    }

    /// The next thing that happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shard.poll_event()
    }

    /// The addresses in force.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether it was made for [`Role::Published`]: the gateway stands for the host.
    pub fn is_published(&self) -> bool {
        matches!(self.link.loopback, Loopback::Remote)
    }

    /// Accepts connections to `port`, at one local address or at all of them.
    pub fn listen(&mut self, local: Option<IpAddr>, port: u16) -> Result<ListenerId, ListenError> {
        if port == 0 {
            return Err(ListenError::PortZero);
        }
        let overlaps = |l: &Listener| {
            l.port == port && (l.local.is_none() || local.is_none() || l.local == local)
        };
        if self.listeners.iter().any(overlaps) {
            return Err(ListenError::InUse);
        }
        if self.listeners.len() >= MAX_LISTENERS {
            return Err(ListenError::TooMany);
        }
        let id = ListenerId(self.listened);
        self.listened += 1;
        self.listeners.push(Listener { id, local, port });
        Ok(id)
    }

    /// Takes no more connections: a SYN to that port is refused from now on. Connections that were
    /// taken before live on, also those whose handshake is not complete yet, of which
    /// [`Event::Accepted`] still tells. The port may be listened on again at once.
    pub fn close_listener(&mut self, listener: ListenerId) {
        self.listeners.retain(|l| l.id != listener);
    }

    /// How many more connections listeners may take. A SYN beyond it is answered with RST. Each
    /// accepted SYN takes one; it comes back when that stream's socket memory is freed.
    pub fn set_admission(&mut self, connections: usize) {
        self.shard.set_admission(connections);
    }

    /// How many more connections listeners may take now.
    pub fn admission(&self) -> usize {
        self.shard.admission()
    }

    /// Connections whose handshake a client has begun but not finished.
    pub fn half_open(&self) -> usize {
        self.shard.half_open()
    }

    /// Sockets in existence, whatever their state.
    pub fn sockets(&self) -> usize {
        self.shard.in_use()
    }

    /// Begins a connection; [`Event::Ready`] follows when it is established or has failed.
    pub fn connect(&mut self, remote: SocketAddr, now: Instant) -> Result<StreamId, ConnectError> {
        self.connect_from(None, remote, now)
    }

    /// As [`connect`](Self::connect), from the address `local`, which must be ours; a gateway's may
    /// be any.
    pub fn connect_from(
        &mut self,
        local: Option<IpAddr>,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<StreamId, ConnectError> {
        self.now = now.max(self.now);
        if remote.port() == 0 || !is_host(remote.ip()) || self.is_own(remote.ip()) {
            return Err(ConnectError::Unaddressable);
        }
        if !self.is_reached(remote.ip()) {
            return Err(ConnectError::NoRoute);
        }
        let likely = self.source_for(remote.ip()).ok_or(ConnectError::NoRoute)?;
        let local = match local {
            None => likely,
            Some(local) if self.may_come_from(local, remote) => local,
            Some(_) => return Err(ConnectError::NotOurAddress),
        };
        if self.shard.in_use() >= self.shard.limits.streams {
            return Err(ConnectError::TooManyStreams);
        }
        let flow = self
            .free_flow(local, plain(remote))
            .ok_or(ConnectError::PortsExhausted)?;
        let seed = self.numbers.next_u64();
        self.shard
            .open(flow, seed, self.now)
            .ok_or(ConnectError::Unaddressable)
    }

    /// RFC 6056 §3.3.3: ports in turn, from a place that only we know for each remote end. One is
    /// used again only after all the others, by when the remote end is likely to be done with
    /// TIME-WAIT: it would not take a SYN for that connection before (RFC 9293 §3.6.1).
    fn free_flow(&mut self, local: IpAddr, remote: SocketAddr) -> Option<Flow> {
        let count = u64::from(EPHEMERAL_PORTS.end - EPHEMERAL_PORTS.start);
        let offset = self.numbers.offset(local, remote) % count;
        let first = offset + self.connects % count;
        self.connects = self.connects.wrapping_add(1);
        (0..count)
            .map(|step| {
                let offset = u16::try_from((first + step) % count).unwrap_or(0);
                let local = SocketAddr::new(local, EPHEMERAL_PORTS.start + offset);
                Flow { local, remote }
            })
            .find(|flow| !self.shard.is_taken(flow))
    }

    /// The stream of that name, unless it has been released.
    pub fn stream(&mut self, id: StreamId) -> Option<Stream<'_>> {
        self.shard.lend(id).map(Stream)
    }

    /// Two streams at once, to carry bytes from one to the other. `None` when either is gone or
    /// both are the same.
    pub fn stream_pair(&mut self, a: StreamId, b: StreamId) -> Option<(Stream<'_>, Stream<'_>)> {
        let (a, b) = self.shard.lend_pair(a, b)?;
        Some((Stream(a), Stream(b)))
    }

    /// Gives the handle up. Queued data and FIN are still delivered in the background for at most
    /// 30 s, then the connection is reset; what the peer still sends is discarded.
    pub fn release(&mut self, id: StreamId) {
        self.shard.release(id, self.now);
    }

    /// Sends a UDP datagram (RFC 768) from port 514, for which nobody waits: it may get lost, and
    /// no answer is taken in. It leaves with the next [`flush`](Self::flush) or
    /// [`poll`](Self::poll), as soon as the next hop is known; until then a small queue holds it.
    pub fn send_datagram(
        &mut self,
        remote: SocketAddr,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), DatagramError> {
        self.now = now.max(self.now);
        if remote.port() == 0 || !is_host(remote.ip()) || self.is_own(remote.ip()) {
            return Err(DatagramError::Unaddressable);
        }
        if self.source_for(remote.ip()).is_none() || !self.is_reached(remote.ip()) {
            return Err(DatagramError::NoRoute);
        }
        let most = MAX_DATAGRAM.min(self.shard.caps.max_transmission_unit - HEADERS);
        if payload.len() > most {
            return Err(DatagramError::TooLong { most });
        }
        self.service.send_datagram(plain(remote), payload, self.now)
    }

    /// Asks for the addresses of `name`; [`Event::Resolved`] follows, at once for literal
    /// addresses.
    pub fn resolve(&mut self, name: &str, now: Instant) -> Result<QueryId, ResolveError> {
        self.now = now.max(self.now);
        match parse(name)? {
            Name::Literal(address) => {
                let query = self.service.next_id();
                let result = Ok(Vec::from([address]));
                self.shard.events.push(Event::Resolved { query, result });
                Ok(query)
            }
            Name::Host(_) if self.addresses.dns.is_empty() || self.is_gateway() => {
                Err(ResolveError::NoServer)
            }
            Name::Host(name) => {
                let families = [self.expects_ipv4, self.addresses.ipv6.is_some()];
                self.service
                    .ask(&mut self.shard.iface, name, families, self.now)
            }
        }
    }

    fn run_service<D: Device + ?Sized>(&mut self, device: &mut D) {
        let Shard {
            iface,
            caps,
            events,
            ..
        } = &mut self.shard;
        if self.service.run(iface, caps, device, self.now, events) {
            // A lease may run out while requests for its renewal are sent.
            self.take_lease();
        }
    }

    /// Takes one frame in. True when neighbours may have become known.
    fn take_in<T: TxToken>(&mut self, received: Received<'_, T>) -> bool {
        let now = self.now;
        if gate::IS_BUILT
            && let Some(gateway) = &mut self.gateway
            && gateway.take_in(received.bytes) == Verdict::Done
        {
            return false;
        }
        match classify(received.bytes, &self.link) {
            Class::Drop => false,
            Class::Tcp(segment) => {
                if self.is_ours(segment.flow.local.ip()) {
                    self.segment(&segment, received);
                }
                false
            }
            Class::Neighbor => {
                self.serve(received);
                true
            }
            Class::Service => {
                self.serve(received);
                false
            }
            Class::Stray => {
                if self.refusals.take(now) {
                    self.serve(received);
                }
                false
            }
            Class::Undeliverable(about) => {
                self.shard
                    .undeliverable(&about.flow, about.sequence, about.error);
                false
            }
        }
    }

    fn serve<T: TxToken>(&mut self, received: Received<'_, T>) {
        self.shard.feed(received, self.service.sockets(), self.now);
        self.service.after_ingress(self.now, &mut self.shard.events);
        self.take_lease();
    }

    fn segment<T: TxToken>(&mut self, segment: &Segment, received: Received<'_, T>) {
        let now = self.now;
        if let Some(index) = self.shard.find(&segment.flow) {
            return self.shard.ingress(index, segment, received, now);
        }
        match self.shard.time_wait.react(segment, now) {
            Reaction::Unknown | Reaction::Reopen => {}
            Reaction::Ignore => return,
            Reaction::Acknowledge {
                sequence,
                acknowledgment,
            } => {
                let answer = reply::Ack {
                    flow: segment.flow,
                    source: self.shard.iface.hardware_addr(),
                    destination: segment.source_mac,
                    sequence,
                    acknowledgment,
                    window: 0,
                };
                return answer.emit(received.token, &self.shard.caps.checksum);
            }
        }
        match self.listener(segment).filter(|_| segment.opens()) {
            Some(listener) => self.syn(listener, segment, received),
            None if self.hold(segment, received.bytes) => {}
            None => self.reset(segment, received),
        }
    }

    fn listener(&self, segment: &Segment) -> Option<ListenerId> {
        let local = segment.flow.local;
        let takes =
            |l: &&Listener| l.port == local.port() && l.local.is_none_or(|at| at == local.ip());
        self.listeners.iter().find(takes).map(|l| l.id)
    }

    fn syn<T: TxToken>(
        &mut self,
        listener: ListenerId,
        segment: &Segment,
        received: Received<'_, T>,
    ) {
        let limits = self.shard.limits;
        let is_full = |shard: &Shard| shard.admission() == 0 || shard.in_use() >= limits.streams;
        let too_many = self.shard.half_open() >= limits.half_open;
        if self.shard.half_open() > 0 && (too_many || is_full(&self.shard)) {
            // A burst of real clients or a flood of strangers: time tells. Whoever is real asks
            // again within a second, so silence loses nobody.
            if !self.shard.evict_half_open(self.now) {
                return self.turn_away("too many handshakes are unfinished");
            }
            self.turn_away("too many handshakes are unfinished, the oldest gives way");
        }
        if is_full(&self.shard) {
            self.turn_away("all connections are in use");
            self.reset(segment, received);
        } else {
            let seed = self.numbers.next_u64();
            self.shard
                .accept(listener, segment, received, seed, self.now);
        }
    }

    fn turn_away(&mut self, why: &str) {
        self.turned_away += 1;
        if self.warnings.take(self.now) {
            log::warn!("{} connections not taken: {why}", self.turned_away);
            self.turned_away = 0;
        }
    }

    /// Lets smoltcp answer with RST, as it does for a segment that no socket takes.
    fn reset<T: TxToken>(&mut self, segment: &Segment, received: Received<'_, T>) {
        if !segment.has(flag::RST) && self.refusals.take(self.now) {
            self.shard.feed(received, &mut nobody(), self.now);
        }
    }
}

/// Two keys from the seed: one for the connection table, one for numbers.
fn keys(seed: [u8; 32]) -> ([u8; 16], [u8; 16]) {
    let (mut table, mut numbers) = ([0; 16], [0; 16]);
    for (to, from) in table.iter_mut().chain(&mut numbers).zip(seed) {
        *to = from;
    }
    (table, numbers)
}

/// An address as frames carry it: without IPv6's flow label and scope.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

#[cfg(test)]
mod tests;

//! The tunnel at work: services, their listeners, and the sessions between them.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BinaryHeap},
    vec::Vec,
};
use core::{cmp::Reverse, time::Duration};

use net::{Event, Instant, Stack, StreamId};
use tls::WallClock;

use crate::{
    Machine,
    journal::{Journal, Severity},
    limits::Memory,
    management::Management,
    relay::Scratch,
    service::Service,
    throttle::Throttle,
};
use active::Active;
use inquiries::Inquiries;
pub(crate) use keeping::Keeping;
use listening::Listening;
use noticing::Noticing;
use services::Services;
use stapling::Staples;

mod active;
mod answering;
mod destination;
mod dialling;
mod entrance;
mod inquiries;
mod introducing;
mod keeping;
mod listening;
mod noticing;
mod orders;
mod reload;
mod report;
mod requests;
mod revocation;
mod services;
mod stapling;
#[cfg(test)]
mod tests;

/// The farthest a session's timer is set, whatever its deadline: an entry of the timer heap that
/// has become stale is gone after this time, so short sessions with long deadlines do not pile up.
const TIMER_HORIZON: Duration = Duration::from_secs(60);

/// How long clients in the midst of their TCP handshake are waited for when the image stops.
pub(crate) const HALF_OPEN_GRACE: Duration = Duration::from_millis(500);

/// What a server holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Sessions that have not ended.
    pub sessions: usize,
    /// Streams that those sessions own.
    pub streams: usize,
    /// Sockets of the stack, those included that only have to finish.
    pub sockets: usize,
    /// Connections whose handshake a client has begun but not finished.
    pub half_open: usize,
    /// Sessions that can still be admitted.
    pub admission: usize,
}

/// Everything that serves, on one core, in one loop.
pub struct Server {
    stack: Stack,
    services: Services,
    listening: Listening,
    sessions: Vec<Slot>,
    /// Slots whose session has ended.
    vacant: Vec<usize>,
    /// Which session each stream belongs to.
    owners: BTreeMap<StreamId, usize>,
    /// When sessions want to be polled; an entry whose session has another time is stale.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    scratch: Scratch,
    /// When a name has to be looked up though nobody connects.
    names_due: Option<Instant>,
    clock: WallClock,
    journal: Journal,
    throttle: Throttle,
    totals: Totals,
    /// What the machine has for sessions.
    memory: Memory,
    /// Bytes of heap for sessions and services.
    heap: usize,
    /// Connections that there was said to be memory for at once.
    promised: usize,
    management: Option<Box<Management>>,
    /// Questions about peers' certificates, and about the services' own.
    inquiries: Inquiries,
    staples: Staples,
    noticing: Noticing,
    keeping: Option<Box<Keeping>>,
    /// Bytes of heap that are the keeper's.
    keeper_memory: usize,
    /// Connections to backends that wait for further requests.
    kept: requests::Kept,
    /// For what need not be secret: connections' ids, where round robin begins.
    random: Option<u64>,
}

/// What has passed since the start.
#[derive(Clone, Copy, Default)]
struct Totals {
    accepted: u64,
    failed: u64,
    to_clients: u64,
    to_backends: u64,
}

#[derive(Default)]
struct Slot {
    /// Boxed, so that lending it to a turn of the loop moves a pointer.
    active: Option<Box<Active>>,
    /// The one entry of the timer heap that counts.
    armed: Option<Instant>,
}

impl Server {
    /// Puts `services` on `stack`, with room for as many sessions as `memory` says.
    pub fn new(
        stack: Stack,
        services: Vec<Service>,
        memory: Memory,
        clock: WallClock,
        now: Instant,
    ) -> Self {
        let level = Severity::of_tunnel(log::max_level());
        let journal = Journal::new(clock.clone(), level);
        Self::with_journal(stack, services, memory, clock, journal, now)
    }

    /// The same, with a journal of the caller's.
    pub fn with_journal(
        mut stack: Stack,
        services: Vec<Service>,
        memory: Memory,
        clock: WallClock,
        journal: Journal,
        now: Instant,
    ) -> Self {
        stack.set_admission(memory.sessions);
        let services = Services::new(services);
        let mut server = Self {
            stack,
            listening: Listening::new(&services),
            services,
            sessions: Vec::new(),
            vacant: Vec::new(),
            owners: BTreeMap::new(),
            timers: BinaryHeap::new(),
            scratch: Scratch::new(),
            names_due: None,
            clock,
            journal,
            throttle: Throttle::new(now),
            totals: Totals::default(),
            memory,
            heap: usize::MAX,
            promised: memory.sessions,
            management: None,
            inquiries: Inquiries::default(),
            staples: Staples::default(),
            noticing: Noticing::default(),
            keeping: None,
            keeper_memory: 0,
            kept: requests::Kept::default(),
            random: None,
        };
        server.gather_staples(now);
        server
    }

    /// What is in use now.
    pub fn usage(&self) -> Usage {
        Usage {
            sessions: self.session_count(),
            streams: self.owners.len(),
            sockets: self.stack.sockets(),
            half_open: self.stack.half_open(),
            admission: self.stack.admission(),
        }
    }

    fn session_count(&self) -> usize {
        self.sessions.len() - self.vacant.len()
    }

    /// Takes frames in, runs the sessions they concern, and sends what those wrote.
    ///
    /// Returns until when the machine may idle (`Some(None)`: until a frame comes), or `None`
    /// when more work waits already.
    pub fn poll<M: Machine>(&mut self, machine: &mut M) -> Option<Option<Instant>> {
        let now = machine.now();
        self.clock.set(machine.wall_clock());
        if self.random.is_none() {
            self.seed(machine);
        }
        self.journal.begin_turn(now);
        let mut more = self.stack.poll(machine.nic(), now);
        while let Some(event) = self.stack.poll_event() {
            self.handle(event, now);
        }
        self.run_timers(now);
        self.renew_staples(now);
        self.advance_inquiries(now);
        more |= self.keep(machine, now);
        let mut management = self.management.take();
        if let Some(management) = &mut management {
            more |= self.obey(management, machine, now);
        }
        let journal = self.journal.poll(&mut self.stack, now);
        self.stack.flush(machine.nic(), now);
        let reports = match &mut management {
            Some(management) => management.report(machine, &mut self.journal, now),
            None => None,
        };
        self.management = management;
        machine.flush();
        if more {
            return None;
        }
        let timer = self.timers.peek().map(|Reverse((when, _))| *when);
        let wakes = [
            timer,
            journal,
            reports,
            self.names_due,
            self.listening.due(),
            self.inquiries.due(),
            self.staples_due(),
            self.keeping_due(),
            self.kept.due(),
            self.stack.poll_at(),
        ];
        Some(wakes.into_iter().flatten().min())
    }

    fn seed<M: Machine>(&mut self, machine: &mut M) {
        let mut seed = [0; 8];
        machine.fill_entropy(&mut seed);
        self.random = Some(u64::from_le_bytes(seed));
        let mut key = [0; 64];
        machine.fill_entropy(&mut key);
        self.noticing.seed(key);
        self.shuffle();
    }

    /// Lets the services in force begin anywhere, once there are numbers for that.
    fn shuffle(&mut self) {
        if self.random.is_none() {
            return;
        }
        for place in 0..self.services.current().len() {
            let random = self.random();
            let index = self.services.current().get(place).copied();
            if let Some(service) = index.and_then(|index| self.services.get_mut(index)) {
                service.backend.shuffle(random);
                if let Some(redirect) = &mut service.redirect {
                    redirect.shuffle(random.rotate_left(32));
                }
            }
        }
    }

    /// Numbers without a pattern, but of no use as secrets: splitmix64.
    fn random(&mut self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.random.unwrap_or_default().wrapping_add(STEP);
        self.random = Some(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Configured => {
                self.log_addresses();
                self.look_up_names(now);
                self.open_services(now);
            }
            Event::Deconfigured => {
                self.journal.tunnel().lease_lost();
            }
            Event::Accepted { listener, stream } => self.accept(listener, stream, now),
            Event::Ready(stream) => {
                if let Some(&index) = self.owners.get(&stream) {
                    self.run(index, now);
                } else if !self.keeping_ready(stream) && !self.kept_ready(stream) {
                    self.inquiry_ready(stream, now);
                }
            }
            Event::Resolved { query, result } => self.resolved(query, &result, now),
            // A gateway's alone.
            Event::Requested { .. } | Event::Withdrawn(_) => {}
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(&Reverse((when, index))) = self.timers.peek() {
            if when > now {
                break;
            }
            self.timers.pop();
            if let Some(slot) = self.sessions.get_mut(index)
                && slot.armed == Some(when)
            {
                slot.armed = None;
                self.run(index, now);
            }
        }
        if self.names_due.is_some_and(|due| due <= now) {
            self.look_up_names(now);
        }
        if self.kept.due().is_some_and(|due| due <= now) {
            self.forget_kept(now);
        }
        if self.listening.due().is_some_and(|due| due <= now) {
            self.forget_closed(now);
        }
    }

    fn drop_stream_with_reset(&mut self, id: StreamId) {
        if let Some(mut stream) = self.stack.stream(id) {
            stream.reset();
        }
        self.drop_stream(Some(id));
    }

    fn drop_stream(&mut self, id: Option<StreamId>) {
        if let Some(id) = id {
            self.owners.remove(&id);
            self.stack.release(id);
        }
    }
}

//! The tunnel at work: services, their listeners, and the sessions between them.

use alloc::{
    collections::{BTreeMap, BinaryHeap},
    vec::Vec,
};
use core::{cmp::Reverse, time::Duration};

use net::{Event, Instant, ListenerId, Stack, StreamId};
use tls::WallClock;

use crate::{
    Machine,
    limits::Memory,
    relay::Scratch,
    service::Service,
    session::{DialError, Mode, Session, SessionError, Step},
    throttle::Throttle,
};

#[cfg(test)]
mod tests;

/// The farthest a session's timer is set, whatever its deadline: an entry of the timer heap that
/// has become stale is gone after this time, so short sessions with long deadlines do not pile up.
const TIMER_HORIZON: Duration = Duration::from_secs(60);

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
    services: Vec<Running>,
    sessions: Vec<Slot>,
    /// Slots whose session has ended.
    vacant: Vec<usize>,
    /// Which session each stream belongs to.
    owners: BTreeMap<StreamId, usize>,
    /// When sessions want to be polled; an entry whose session has another time is stale.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    scratch: Scratch,
    clock: WallClock,
    throttle: Throttle,
}

struct Running {
    service: Service,
    listener: Option<ListenerId>,
}

#[derive(Default)]
struct Slot {
    active: Option<Active>,
    /// The one entry of the timer heap that counts.
    armed: Option<Instant>,
}

/// A session and its streams.
struct Active {
    session: Session,
    service: usize,
    accepted: StreamId,
    dialled: Option<StreamId>,
    /// How many of the backend's addresses have been dialled.
    attempt: usize,
    /// The handshake has been logged.
    introduced: bool,
}

impl Server {
    /// Puts `services` on `stack`, with room for as many sessions as `memory` says.
    pub fn new(
        mut stack: Stack,
        services: Vec<Service>,
        memory: Memory,
        clock: WallClock,
        now: Instant,
    ) -> Self {
        stack.set_admission(memory.sessions);
        let services = services
            .into_iter()
            .map(|service| Running {
                service,
                listener: None,
            })
            .collect();
        Self {
            stack,
            services,
            sessions: Vec::new(),
            vacant: Vec::new(),
            owners: BTreeMap::new(),
            timers: BinaryHeap::new(),
            scratch: Scratch::new(),
            clock,
            throttle: Throttle::new(now),
        }
    }

    /// What is in use now.
    pub fn usage(&self) -> Usage {
        Usage {
            sessions: self.sessions.len() - self.vacant.len(),
            streams: self.owners.len(),
            sockets: self.stack.sockets(),
            half_open: self.stack.half_open(),
            admission: self.stack.admission(),
        }
    }

    /// Takes frames in, runs the sessions they concern, and sends what those wrote.
    ///
    /// Returns until when the machine may idle (`Some(None)`: until a frame comes), or `None`
    /// when more work waits already.
    pub fn poll<M: Machine>(&mut self, machine: &mut M) -> Option<Option<Instant>> {
        let now = machine.now();
        self.clock.set(machine.wall_clock());
        let more = self.stack.poll(machine.nic(), now);
        while let Some(event) = self.stack.poll_event() {
            self.handle(event, now);
        }
        self.run_timers(now);
        self.stack.flush(machine.nic(), now);
        machine.flush();
        if more {
            return None;
        }
        let retries = self
            .services
            .iter()
            .filter_map(|running| running.service.backend.retry_at());
        let timer = self.timers.peek().map(|Reverse((when, _))| *when);
        Some(retries.chain(timer).chain(self.stack.poll_at()).min())
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Configured => {
                self.log_addresses();
                self.open_services(now);
            }
            Event::Deconfigured => {
                log::warn!("network: the DHCP lease is lost; asking again");
            }
            Event::Accepted { listener, stream } => self.accept(listener, stream, now),
            Event::Ready(stream) => {
                if let Some(&index) = self.owners.get(&stream) {
                    self.run(index, now);
                }
            }
            Event::Resolved { query, result } => {
                for running in &mut self.services {
                    if running.service.backend.resolved(query, &result, now) {
                        break;
                    }
                }
                self.open_services(now);
            }
        }
    }

    fn log_addresses(&self) {
        let addresses = self.stack.addresses();
        if let Some((address, prefix)) = addresses.ipv4 {
            match addresses.ipv4_gateway {
                Some(gateway) => log::info!("network: {address}/{prefix}, gateway {gateway}"),
                None => log::info!("network: {address}/{prefix}, no gateway"),
            }
        }
        if let Some((address, prefix)) = addresses.ipv6 {
            match addresses.ipv6_gateway {
                Some(gateway) => log::info!("network: {address}/{prefix}, gateway {gateway}"),
                None => log::info!("network: {address}/{prefix}, no gateway"),
            }
        }
    }

    /// Opens the listeners of services whose backend has an address; looks up those that have
    /// none.
    fn open_services(&mut self, now: Instant) {
        for running in &mut self.services {
            look_up(&mut self.stack, &mut running.service, now);
            let service = &running.service;
            if running.listener.is_some() {
                continue;
            }
            let addresses = self.stack.addresses();
            let Some(backend) = service.backend.candidate(0, addresses) else {
                continue;
            };
            let v4 = addresses.ipv4.map(|(address, _)| address.into());
            let v6 = addresses.ipv6.map(|(address, _)| address.into());
            let Some(own) = service.local.or(v4).or(v6) else {
                continue;
            };
            match self.stack.listen(service.local, service.port) {
                Ok(listener) => {
                    running.listener = Some(listener);
                    log::info!(
                        "ready: accepting on {}, connecting to {}, {} ms after power-on",
                        core::net::SocketAddr::new(own, service.port),
                        backend,
                        now.as_micros() / 1000
                    );
                }
                Err(error) => log::error!("--accept: port {}: {error}", service.port),
            }
        }
    }

    fn accept(&mut self, listener: ListenerId, stream: StreamId, now: Instant) {
        let position = self
            .services
            .iter()
            .position(|running| running.listener == Some(listener));
        let Some((position, running)) =
            position.and_then(|position| Some((position, self.services.get(position)?)))
        else {
            self.stack.release(stream);
            return;
        };
        let service = &running.service;
        let connection = match service.tls.connection() {
            Ok(connection) => connection,
            Err(error) => {
                log::error!("{}: no TLS connection can be made: {error}", service.name);
                if let Some(mut stream) = self.stack.stream(stream) {
                    stream.reset();
                }
                self.stack.release(stream);
                return;
            }
        };
        let session = Session::new(connection, service.tls.mode(), service.timeouts, now);
        if let Some(stream) = self.stack.stream(stream) {
            log::debug!("{}: accepted {}", service.name, stream.remote());
        }
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.sessions.push(Slot::default());
            self.sessions.len() - 1
        });
        if let Some(slot) = self.sessions.get_mut(index) {
            slot.active = Some(Active {
                session,
                service: position,
                accepted: stream,
                dialled: None,
                attempt: 0,
                introduced: false,
            });
        }
        self.owners.insert(stream, index);
        self.run(index, now);
    }

    /// Polls one session, does what it asks for, and arms its timer.
    fn run(&mut self, index: usize, now: Instant) {
        let Some(slot) = self.sessions.get_mut(index) else {
            return;
        };
        let Some(mut active) = slot.active.take() else {
            return;
        };
        match self.drive(index, &mut active, now) {
            None => {
                let deadline = active.session.deadline().min(now + TIMER_HORIZON);
                if let Some(slot) = self.sessions.get_mut(index) {
                    slot.active = Some(active);
                    if slot.armed.is_none_or(|armed| deadline < armed) {
                        slot.armed = Some(deadline);
                        self.timers.push(Reverse((deadline, index)));
                    }
                }
            }
            Some(result) => {
                self.log_end(&active, &result, now);
                self.drop_stream(Some(active.accepted));
                self.drop_stream(active.dialled);
                if let Some(slot) = self.sessions.get_mut(index) {
                    slot.armed = None;
                }
                self.vacant.push(index);
            }
        }
    }

    /// Lets the session move bytes until it waits (`None`) or has ended.
    fn drive(
        &mut self,
        index: usize,
        active: &mut Active,
        now: Instant,
    ) -> Option<Result<(), SessionError>> {
        loop {
            let step = self.poll_session(active, now);
            self.introduce(active);
            match step {
                Step::Wait => return None,
                Step::End(result) => return Some(result),
                Step::Connect { failed } => {
                    if let Err(error) = self.dial(index, active, failed, now) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    fn poll_session(&mut self, active: &mut Active, now: Instant) -> Step {
        let Active {
            session,
            accepted,
            dialled,
            ..
        } = active;
        let scratch = &mut self.scratch;
        let (accepted, dialled) = match *dialled {
            Some(dialled) => match self.stack.stream_pair(*accepted, dialled) {
                Some((accepted, dialled)) => (Some(accepted), Some(dialled)),
                None => (None, None),
            },
            None => (self.stack.stream(*accepted), None),
        };
        let Some(mut accepted) = accepted else {
            let lost = net::StreamError::Reset;
            return Step::End(Err(SessionError::TlsEndLost(lost)));
        };
        let mut dialled = dialled;
        match session.mode() {
            Mode::Server => session.poll(Some(&mut accepted), dialled.as_mut(), scratch, now),
            Mode::Client => session.poll(dialled.as_mut(), Some(&mut accepted), scratch, now),
        }
    }

    /// Dials the next address of the session's backend.
    fn dial(
        &mut self,
        index: usize,
        active: &mut Active,
        failed: Option<net::StreamError>,
        now: Instant,
    ) -> Result<(), SessionError> {
        if let Some(dialled) = active.dialled.take() {
            self.drop_stream_with_reset(dialled);
        }
        let mut error = failed.map_or(DialError::NoAddress, DialError::Failed);
        let Some(running) = self.services.get_mut(active.service) else {
            return Err(SessionError::Connect(error));
        };
        look_up(&mut self.stack, &mut running.service, now);
        let backend = &running.service.backend;
        while let Some(address) = backend.candidate(active.attempt, self.stack.addresses()) {
            active.attempt += 1;
            match self.stack.connect(address, now) {
                Ok(stream) => {
                    active.dialled = Some(stream);
                    active.session.dialling(now);
                    self.owners.insert(stream, index);
                    return Ok(());
                }
                Err(refused) => error = DialError::Refused(refused),
            }
        }
        Err(match self.stack.stream(active.accepted) {
            Some(mut accepted) => active.session.give_up(&mut accepted, error),
            None => SessionError::Connect(error),
        })
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
        for running in &mut self.services {
            if running.service.backend.retry_at().is_some() {
                look_up(&mut self.stack, &mut running.service, now);
            }
        }
    }

    /// Logs what a handshake agreed on, once.
    fn introduce(&self, active: &mut Active) {
        if active.introduced {
            return;
        }
        if let Some(handshake) = active.session.handshake() {
            active.introduced = true;
            if let Some(running) = self.services.get(active.service) {
                log::debug!("{}: {handshake}", running.service.name);
            }
        }
    }

    fn log_end(&mut self, active: &Active, result: &Result<(), SessionError>, now: Instant) {
        let Some(running) = self.services.get(active.service) else {
            return;
        };
        let service = &running.service;
        let (received, sent) = active.session.bytes();
        let Err(error) = result else {
            log::debug!("{}: closed, {received} bytes in, {sent} out", service.name);
            return;
        };
        let level = match error {
            SessionError::Connect(_) => log::Level::Warn,
            SessionError::Handshake(_) => log::Level::Info,
            _ => log::Level::Debug,
        };
        if level > log::max_level() {
            return;
        }
        let Some(suppressed) = self.throttle.admit(now) else {
            return;
        };
        if suppressed > 0 {
            log::log!(level, "{suppressed} more lines like the next left out");
        }
        match (error, self.stack.stream(active.accepted)) {
            (SessionError::Connect(_), _) => {
                log::log!(level, "{}: {error} ({})", service.name, service.backend);
            }
            (_, Some(peer)) => log::log!(
                level,
                "{}: {}: {error}, {received} bytes in, {sent} out",
                service.name,
                peer.remote()
            ),
            (_, None) => log::log!(level, "{}: {error}", service.name),
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

/// Looks the backend's name up, if it has one and that is due.
fn look_up(stack: &mut Stack, service: &mut Service, now: Instant) {
    if let Some(name) = service.backend.wants_lookup(now) {
        let query = stack.resolve(name, now);
        service.backend.looking_up(query, now);
    }
}

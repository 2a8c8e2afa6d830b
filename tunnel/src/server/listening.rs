//! Opening services' listeners, and looking up the names of their backends.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use config::exit::ExitStatus;
use net::{Addresses, Instant, ListenError, ListenerId, QueryId, ResolveError, Stack};

use super::{Server, services::Services};
use crate::{
    journal::Journal,
    service::{Listen, Service},
};

/// How long connections may come from a listener that was closed: as long as the stack waits for
/// the end of a client's TCP handshake, and a little more.
const LATE: Duration = Duration::from_secs(15);

/// The listeners of all services.
#[derive(Default)]
pub(super) struct Listening {
    open: Vec<Open>,
    /// Where each service is still to accept, until addresses of that kind are in force.
    pending: Vec<(usize, Listen)>,
    /// Listeners that are no more, of whose clients some may still finish their TCP handshakes.
    closed: Vec<Closed>,
    /// Everything is open that is to be.
    complete: bool,
    failed: bool,
}

/// A listener and its service.
#[derive(Clone, Copy)]
struct Open {
    id: ListenerId,
    service: usize,
    listen: Listen,
    /// What it is bound to, as the log says it.
    shown: SocketAddr,
}

/// A listener that is no more. Its service is held.
struct Closed {
    id: ListenerId,
    service: usize,
    until: Instant,
}

/// What can be accepted on now.
#[derive(Clone, Copy)]
struct Own {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

impl Own {
    fn of(addresses: &Addresses) -> Self {
        Self {
            v4: addresses.ipv4.map(|(address, _)| IpAddr::V4(address)),
            v6: addresses.ipv6.map(|(address, _)| IpAddr::V6(address)),
        }
    }

    /// The address of the kind that `listen` wants, and what the log says of the listener; `None`
    /// as long as there is none.
    fn shown(self, listen: &Listen) -> Option<(IpAddr, SocketAddr)> {
        let any = self.v4.or(self.v6)?;
        let known = match listen.local {
            None => Some(any),
            Some(IpAddr::V4(_)) => self.v4,
            Some(IpAddr::V6(_)) => self.v6,
        };
        let shown = SocketAddr::new(listen.local.unwrap_or(any), listen.port);
        known.map(|known| (known, shown))
    }
}

/// Why a listener cannot be opened.
enum Fault {
    /// The address is another host's; ours is this one.
    Foreign(IpAddr),
    Refused(ListenError),
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Foreign(known) => write!(f, "the image's address is {known}"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl Listening {
    pub(super) fn new(services: &Services) -> Self {
        Self {
            pending: wanted(services),
            ..Self::default()
        }
    }

    /// The service that a listener belongs to: its own, or, where the listener is no more, the
    /// one that has taken its place at `local`, else the one that it had.
    pub(super) fn service(&self, listener: ListenerId, local: Option<SocketAddr>) -> Option<usize> {
        let open = self.open.iter().find(|open| open.id == listener);
        let closed = || self.closed.iter().find(|closed| closed.id == listener);
        open.map(|open| open.service)
            .or_else(|| self.service_at(local?))
            .or_else(|| closed().map(|closed| closed.service))
    }

    /// The service that accepts at an address of ours.
    pub(super) fn service_at(&self, local: SocketAddr) -> Option<usize> {
        let there = Listen {
            local: Some(local.ip()),
            port: local.port(),
        };
        let open = self.open.iter().find(|open| open.listen.overlaps(&there));
        open.map(|open| open.service)
    }

    /// Why it can never serve what it was told to.
    pub(super) fn failure(&self) -> Option<ExitStatus> {
        self.failed.then_some(ExitStatus::Configuration)
    }

    /// Whether every listener of every service is open.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Each service that listens, and what it is bound to.
    pub(super) fn bound(&self) -> impl Iterator<Item = (usize, SocketAddr)> {
        self.open.iter().map(|open| (open.service, open.shown))
    }

    /// When to forget the next listener that was closed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.closed.iter().map(|closed| closed.until).min()
    }
}

/// Where the services in force want to accept.
fn wanted(services: &Services) -> Vec<(usize, Listen)> {
    let current = services.current().iter();
    current
        .filter_map(|index| Some((*index, services.get(*index)?)))
        .flat_map(|(index, service)| {
            let listeners = service.listeners.iter();
            listeners.map(move |listen| (index, *listen))
        })
        .collect()
}

fn open(stack: &mut Stack, listen: &Listen, known: IpAddr) -> Result<ListenerId, Fault> {
    match listen.local {
        Some(local) if local != known => Err(Fault::Foreign(known)),
        local => stack.listen(local, listen.port).map_err(Fault::Refused),
    }
}

impl Server {
    pub(super) fn log_addresses(&self) {
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

    /// Opens the listeners of all services, once there is an address to accept on.
    ///
    /// A service accepts connections even before a name of its backend is known: they wait for
    /// that, as for the backend itself.
    pub(super) fn open_services(&mut self, now: Instant) {
        let own = Own::of(self.stack.addresses());
        if self.listening.pending.is_empty() || (own.v4.is_none() && own.v6.is_none()) {
            return;
        }
        for (index, listen) in core::mem::take(&mut self.listening.pending) {
            let Some(service) = self.services.get(index) else {
                continue;
            };
            let Some((known, shown)) = own.shown(&listen) else {
                self.listening.pending.push((index, listen));
                continue;
            };
            let mut lines = self.journal.service(&service.channel);
            match open(&mut self.stack, &listen, known) {
                Ok(id) => {
                    lines.bound(self.listening.open.len(), service.shown(shown));
                    self.listening.open.push(Open {
                        id,
                        service: index,
                        listen,
                        shown,
                    });
                }
                Err(fault) => {
                    lines.binding_failed(service.shown(shown), &fault);
                    self.listening.failed = true;
                }
            }
        }
        if !self.listening.failed && self.listening.pending.is_empty() {
            self.listening.complete = true;
            self.journal.tunnel().accepting_new_connections();
            self.log_ready(now);
        }
    }

    /// Tells whoever has started the image where it accepts.
    fn log_ready(&self, now: Instant) {
        for open in &self.listening.open {
            if let Some(service) = self.services.get(open.service) {
                log::info!(
                    "ready: accepting on {}, connecting to {}, {} ms after power-on",
                    service.shown(open.shown),
                    service.purpose(self.stack.addresses()),
                    now.as_micros() / 1000
                );
            }
        }
    }

    /// Opens what `services` want and is not open yet, and closes what they don't want, or does
    /// nothing.
    ///
    /// No frame is taken in meanwhile, so nobody finds a port closed that both want.
    ///
    /// # Errors
    /// Every line that says why a listener cannot be opened.
    pub(super) fn rearrange(&mut self, services: &[Service]) -> Result<Rearranged, Vec<String>> {
        let own = Own::of(self.stack.addresses());
        let mut errors = Vec::new();
        let mut plan = Vec::new();
        for (order, service) in services.iter().enumerate() {
            for listen in &service.listeners {
                let place = own.shown(listen);
                if let Some((known, shown)) = place
                    && listen.local.is_some_and(|local| local != known)
                {
                    errors.push(binding(service, shown, &Fault::Foreign(known)));
                }
                plan.push((order, service, *listen, place));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let is_wanted = |open: &Open| plan.iter().any(|(_, _, listen, _)| *listen == open.listen);
        let before = core::mem::take(&mut self.listening.open);
        let (kept, gone): (Vec<Open>, Vec<Open>) = before.iter().copied().partition(is_wanted);
        for open in &gone {
            self.stack.close_listener(open.id);
        }
        let mut next = Rearranged::default();
        for (order, service, listen, place) in plan {
            let known = kept.iter().find(|open| open.listen == listen);
            let opened = match (known, place) {
                (Some(open), _) => Ok(Open {
                    service: order,
                    ..*open
                }),
                (None, None) => {
                    next.pending.push((order, listen));
                    continue;
                }
                (None, Some((known, shown))) => match open(&mut self.stack, &listen, known) {
                    Ok(id) => {
                        next.new.push(id);
                        Ok(Open {
                            id,
                            service: order,
                            listen,
                            shown,
                        })
                    }
                    Err(fault) => Err(binding(service, shown, &fault)),
                },
            };
            match opened {
                Ok(open) => next.open.push(open),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            next.gone = gone;
            self.listening.open = before;
            return Ok(next);
        }
        for id in next.new {
            self.stack.close_listener(id);
        }
        self.listening.open = before
            .into_iter()
            .filter_map(|open| {
                let was_closed = gone.iter().any(|gone| gone.id == open.id);
                let id = match was_closed {
                    true => self
                        .stack
                        .listen(open.listen.local, open.listen.port)
                        .ok()?,
                    false => open.id,
                };
                Some(Open { id, ..open })
            })
            .collect();
        Err(errors)
    }

    /// Lets the listeners lead to the services at `places`, of which `rearranged` knows the order.
    /// Those that were closed keep their services for connections that come late.
    pub(super) fn follow(&mut self, rearranged: Rearranged, places: &[usize], now: Instant) {
        let Rearranged {
            open,
            pending,
            new,
            gone,
        } = rearranged;
        let placed = |order: usize| places.get(order).copied();
        let open = open.into_iter().filter_map(|open| {
            let service = placed(open.service)?;
            Some(Open { service, ..open })
        });
        self.listening.open = open.collect();
        let pending = pending.into_iter();
        let pending = pending.filter_map(|(order, listen)| Some((placed(order)?, listen)));
        self.listening.pending = pending.collect();
        self.retire(gone, now);
        self.listening.complete = self.listening.pending.is_empty();
        for (number, open) in self.listening.open.iter().enumerate() {
            if new.contains(&open.id)
                && let Some(service) = self.services.get(open.service)
            {
                let mut lines = self.journal.service(&service.channel);
                lines.bound(number, service.shown(open.shown));
            }
        }
    }

    /// Closes every listener, whatever may have been planned.
    pub(super) fn close_listeners(&mut self, now: Instant) {
        self.listening.pending.clear();
        let open = core::mem::take(&mut self.listening.open);
        for open in &open {
            self.stack.close_listener(open.id);
        }
        self.retire(open, now);
    }

    fn retire(&mut self, gone: Vec<Open>, now: Instant) {
        for Open { id, service, .. } in gone {
            self.services.hold(service);
            let until = now + LATE;
            self.listening.closed.push(Closed { id, service, until });
        }
    }

    /// Forgets the listeners from which nothing comes any more.
    pub(super) fn forget_closed(&mut self, now: Instant) {
        let closed = core::mem::take(&mut self.listening.closed);
        let (over, left): (Vec<Closed>, Vec<Closed>) =
            closed.into_iter().partition(|closed| closed.until <= now);
        self.listening.closed = left;
        for closed in over {
            self.services.release(closed.service);
        }
        self.divide_memory();
    }

    /// Looks up the names of backends that are due.
    pub(super) fn look_up_names(&mut self, now: Instant) {
        for place in 0..self.services.current().len() {
            let index = self.services.current().get(place).copied();
            if let Some(service) = index.and_then(|index| self.services.get_mut(index)) {
                look_up(&mut self.stack, &mut self.journal, service, false, now);
            }
        }
        self.note_names_due();
    }

    fn note_names_due(&mut self) {
        self.names_due = self.services.in_force().filter_map(Service::retry_at).min();
    }

    /// Hands an answer to the backends that have asked, and wakes the sessions that wait.
    pub(super) fn resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) {
        if self.inquiry_resolved(query, result, now)
            || self.keeping_resolved(query, result, now)
            || self.destination_resolved(query, result, now)
        {
            return;
        }
        let mut told = false;
        for service in self.services.all_mut() {
            let Service {
                backend,
                redirect,
                channel,
                ..
            } = service;
            for backend in core::iter::once(backend).chain(redirect) {
                let Some(name) = backend.resolved(query, result, now) else {
                    continue;
                };
                // Backends that took over a question hear the same answer.
                if core::mem::replace(&mut told, true) {
                    continue;
                }
                let mut lines = self.journal.service(channel);
                match result {
                    Ok(addresses) => lines.name_resolved(name, addresses),
                    Err(error) => lines.name_not_resolved(name, error),
                }
            }
        }
        self.note_names_due();
        for index in 0..self.sessions.len() {
            let active = self
                .sessions
                .get(index)
                .and_then(|slot| slot.active.as_ref());
            if active.is_some_and(|active| active.awaits_name.is_some()) {
                self.run(index, now);
            }
        }
    }
}

/// Listeners as new services have them, which are told apart by their order.
#[derive(Default)]
pub(super) struct Rearranged {
    open: Vec<Open>,
    pending: Vec<(usize, Listen)>,
    /// Those of `open` that are new.
    new: Vec<ListenerId>,
    /// Closed ones, with the services that they led to.
    gone: Vec<Open>,
}

/// The line that the log would have.
fn binding(service: &Service, local: SocketAddr, fault: &Fault) -> String {
    let name = service.channel.name();
    let local = service.shown(local);
    crate::journal::binding(name, local, &format!("{fault}")).to_string()
}

/// Looks up the names of a service's backends that are due.
pub(super) fn look_up(
    stack: &mut net::Stack,
    journal: &mut Journal,
    service: &mut Service,
    connection: bool,
    now: Instant,
) {
    let Service {
        backend,
        redirect,
        channel,
        ..
    } = service;
    for backend in core::iter::once(backend).chain(redirect) {
        backend.look_up(
            now,
            connection,
            |name| stack.resolve(name, now),
            |name, error| journal.service(channel).name_not_resolved(name, &error),
        );
    }
}

//! Opening services' listeners, and looking up the names of their backends.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use config::exit::ExitStatus;
use net::{Instant, ListenerId, QueryId, ResolveError};

use super::Server;
use crate::{
    journal::Journal,
    service::{Listen, Service},
};

/// The listeners of all services.
#[derive(Default)]
pub(super) struct Listening {
    open: Vec<(ListenerId, usize)>,
    /// Where each service is still to accept, until addresses of that kind are in force.
    pending: Vec<(usize, Listen)>,
    failed: bool,
}

impl Listening {
    pub(super) fn new(services: &[Service]) -> Self {
        let numbered = services.iter().enumerate();
        Self {
            open: Vec::new(),
            pending: numbered
                .flat_map(|(index, service)| {
                    let listeners = service.listeners.iter();
                    listeners.map(move |listen| (index, *listen))
                })
                .collect(),
            failed: false,
        }
    }

    /// The service that a listener belongs to.
    pub(super) fn service(&self, listener: ListenerId) -> Option<usize> {
        let mut open = self.open.iter();
        open.find(|(id, _)| *id == listener)
            .map(|(_, service)| *service)
    }

    pub(super) fn failure(&self) -> Option<ExitStatus> {
        self.failed.then_some(ExitStatus::Configuration)
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
        let addresses = self.stack.addresses();
        let v4 = addresses.ipv4.map(|(address, _)| IpAddr::V4(address));
        let v6 = addresses.ipv6.map(|(address, _)| IpAddr::V6(address));
        let Some(own) = v4.or(v6) else { return };
        if self.listening.pending.is_empty() {
            return;
        }
        for (index, listen) in core::mem::take(&mut self.listening.pending) {
            let Some(service) = self.services.get(index) else {
                continue;
            };
            let same_kind = match listen.local {
                None => Some(own),
                Some(IpAddr::V4(_)) => v4,
                Some(IpAddr::V6(_)) => v6,
            };
            let Some(known) = same_kind else {
                self.listening.pending.push((index, listen));
                continue;
            };
            let shown = SocketAddr::new(listen.local.unwrap_or(own), listen.port);
            let mut lines = self.journal.service(&service.channel);
            if listen.local.is_some_and(|local| local != known) {
                lines.binding_failed(shown, &format_args!("the image's address is {known}"));
                self.listening.failed = true;
                continue;
            }
            match self.stack.listen(listen.local, listen.port) {
                Ok(listener) => {
                    lines.bound(self.listening.open.len(), shown);
                    self.listening.open.push((listener, index));
                }
                Err(error) => {
                    lines.binding_failed(shown, &error);
                    self.listening.failed = true;
                }
            }
        }
        if self.listening.failed || !self.listening.pending.is_empty() {
            return;
        }
        self.journal.tunnel().accepting_new_connections();
        for service in &self.services {
            for listen in &service.listeners {
                log::info!(
                    "ready: accepting on {}, connecting to {}, {} ms after power-on",
                    SocketAddr::new(listen.local.unwrap_or(own), listen.port),
                    service.backend.described(self.stack.addresses()),
                    now.as_micros() / 1000
                );
            }
        }
    }

    /// Looks up the names of backends that are due.
    pub(super) fn look_up_names(&mut self, now: Instant) {
        for service in &mut self.services {
            look_up(&mut self.stack, &mut self.journal, service, false, now);
        }
        self.note_names_due();
    }

    fn note_names_due(&mut self) {
        self.names_due = self.services.iter().filter_map(Service::retry_at).min();
    }

    /// Hands an answer to the backend that has asked, and wakes the sessions that wait.
    pub(super) fn resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) {
        for service in &mut self.services {
            let Service {
                backend,
                redirect,
                channel,
                ..
            } = service;
            let mut backends = core::iter::once(backend).chain(redirect);
            let name = backends.find_map(|backend| backend.resolved(query, result, now));
            if let Some(name) = name {
                let mut lines = self.journal.service(channel);
                match result {
                    Ok(addresses) => lines.name_resolved(name, addresses),
                    Err(error) => lines.name_not_resolved(name, error),
                }
                break;
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

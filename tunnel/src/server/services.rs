//! The services in force, and earlier ones whose sessions have not ended.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    limits::Needs,
    service::{self, Service},
};

/// Services at places that stay theirs: sessions and listeners know them by number.
///
/// Those that one configuration makes are a *generation*. When another takes over, a service
/// stays as long as something needs it: its sessions, connections that are still on their way to
/// it, and, for a virtual service, the one that hands clients over to it.
pub(super) struct Services {
    places: Vec<Option<Box<Place>>>,
    vacant: Vec<usize>,
    /// The places of the generation in force, in the order of its configuration.
    current: Vec<usize>,
    /// Counts generations.
    generation: u64,
    /// Heap that services took when they were made, by generation.
    memory: Vec<(u64, usize)>,
}

struct Place {
    service: Service,
    generation: u64,
    sessions: usize,
    /// What else needs it.
    holds: usize,
    accepted: u64,
}

/// What is known of a service beside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) sessions: usize,
    /// Connections so far, those included of the service of this name that was before it.
    pub(super) accepted: u64,
}

impl Services {
    /// The first generation.
    pub(super) fn new(services: Vec<Service>) -> Self {
        let mut all = Self {
            places: Vec::new(),
            vacant: Vec::new(),
            current: Vec::new(),
            generation: 0,
            memory: Vec::new(),
        };
        all.install(services, 0);
        all
    }

    pub(super) fn get(&self, index: usize) -> Option<&Service> {
        self.place(index).map(|place| &place.service)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Service> {
        let place = self.places.get_mut(index)?.as_mut()?;
        Some(&mut place.service)
    }

    /// The places of the services in force, in the order of their configuration.
    pub(super) fn current(&self) -> &[usize] {
        &self.current
    }

    /// The services in force, in the order of their configuration.
    pub(super) fn in_force(&self) -> impl Iterator<Item = &Service> {
        self.current.iter().filter_map(|index| self.get(*index))
    }

    /// Every service that there is, earlier ones included.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        let places = self.places.iter_mut().flatten();
        places.map(|place| &mut place.service)
    }

    /// Whether it belongs to an earlier generation.
    pub(super) fn is_retired(&self, index: usize) -> bool {
        let place = self.place(index);
        place.is_none_or(|place| place.generation != self.generation)
    }

    pub(super) fn activity(&self, index: usize) -> Option<Activity> {
        let Place {
            sessions, accepted, ..
        } = *self.place(index)?;
        Some(Activity { sessions, accepted })
    }

    /// Sessions of earlier generations.
    pub(super) fn old_sessions(&self) -> usize {
        let places = self.places.iter().flatten();
        let old = places.filter(|place| place.generation != self.generation);
        old.map(|place| place.sessions).sum()
    }

    /// Services that there are, earlier ones included.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    /// Places that were ever needed at once.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Heap that services took when they were made, as long as one of their generation is there.
    pub(super) fn memory(&self) -> usize {
        self.memory.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The first generation took so many bytes of heap.
    pub(super) fn set_memory(&mut self, bytes: usize) {
        self.memory = Vec::from([(self.generation, bytes)]);
    }

    /// What the services need besides what each session does; with `next`, what they need once
    /// those are in force.
    pub(super) fn needs(&self, next: Option<&[Service]>) -> Needs {
        let mut needs = match next {
            Some(next) => service::needs(next),
            None => service::needs(self.in_force()),
        };
        for place in self.places.iter().flatten() {
            let stays = match next {
                Some(_) => place.sessions > 0,
                None => place.generation != self.generation,
            };
            if stays {
                needs.peer_certificates |= service::takes_certificates(&place.service);
                needs.inquiries |= service::inquires(&place.service);
                needs.requests |= place.service.requests.is_some();
                needs.kept_sessions += place.service.kept_sessions;
            }
        }
        needs
    }

    /// A connection has come for this service.
    pub(super) fn enter(&mut self, index: usize) {
        if let Some(place) = self.place_mut(index) {
            place.sessions += 1;
            place.accepted += 1;
        }
    }

    /// A connection to `from` belongs to `to`, which has taken its place and counts it already.
    pub(super) fn succeed(&mut self, from: usize, to: usize) {
        if let Some(place) = self.place_mut(to) {
            place.sessions += 1;
        }
        self.leave(from);
    }

    /// One of its connections belongs to another.
    pub(super) fn hand_over(&mut self, from: usize, to: usize) {
        self.enter(to);
        if let Some(place) = self.place_mut(from) {
            place.accepted = place.accepted.saturating_sub(1);
        }
        self.leave(from);
    }

    /// One of its connections has ended. True when that was the last thing that needed it.
    pub(super) fn leave(&mut self, index: usize) -> bool {
        if let Some(place) = self.place_mut(index) {
            place.sessions = place.sessions.saturating_sub(1);
        }
        self.drop_unused(index)
    }

    /// Keeps a service until [`release`](Self::release).
    pub(super) fn hold(&mut self, index: usize) {
        if let Some(place) = self.place_mut(index) {
            place.holds += 1;
        }
    }

    /// Undoes one [`hold`](Self::hold). True when that was the last thing that needed it.
    pub(super) fn release(&mut self, index: usize) -> bool {
        if let Some(place) = self.place_mut(index) {
            place.holds = place.holds.saturating_sub(1);
        }
        self.drop_unused(index)
    }

    /// Puts a new generation in force, for which `memory` bytes of heap were taken.
    ///
    /// Returns the places of the one before, each of them still held: the caller releases them
    /// when nothing leads there any more.
    pub(super) fn install(&mut self, services: Vec<Service>, memory: usize) -> Vec<usize> {
        self.generation += 1;
        self.memory.push((self.generation, memory));
        let places: Vec<usize> = services.iter().map(|_| self.vacate()).collect();
        for (mut service, index) in services.into_iter().zip(&places) {
            for host in &mut service.virtual_hosts {
                // They name services by their order in the configuration.
                let place = places.get(host.service).copied();
                host.service = place.unwrap_or(usize::MAX);
            }
            let place = Place {
                accepted: self.inherit(&mut service),
                service,
                generation: self.generation,
                sessions: 0,
                holds: 1,
            };
            if let Some(slot) = self.places.get_mut(*index) {
                *slot = Some(Box::new(place));
            }
        }
        let hosts: Vec<usize> = places.iter().flat_map(|index| self.hosts(*index)).collect();
        hosts.into_iter().for_each(|index| self.hold(index));
        core::mem::replace(&mut self.current, places)
    }

    /// Gives a new service what is known of the one of the same name in force: the addresses of
    /// its backends' names. Returns how many connections that has had.
    fn inherit(&self, service: &mut Service) -> u64 {
        let name = service.channel.name();
        let places = self.current.iter().filter_map(|index| self.place(*index));
        let mut accepted = 0;
        for place in places {
            let older = &place.service;
            if older.channel.name() == name {
                accepted = place.accepted;
            }
            let known = core::iter::once(&older.backend).chain(&older.redirect);
            for known in known {
                service.backend.learn(known);
                if let Some(redirect) = &mut service.redirect {
                    redirect.learn(known);
                }
            }
        }
        accepted
    }

    fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)?.as_deref()
    }

    fn place_mut(&mut self, index: usize) -> Option<&mut Place> {
        self.places.get_mut(index)?.as_deref_mut()
    }

    fn vacate(&mut self) -> usize {
        self.vacant.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }

    /// The services that this one hands clients over to.
    fn hosts(&self, index: usize) -> Vec<usize> {
        let hosts = self.get(index).map(|service| &service.virtual_hosts);
        let hosts = hosts.into_iter().flatten();
        hosts.map(|host| host.service).collect()
    }

    fn drop_unused(&mut self, index: usize) -> bool {
        let unused = |place: &Place| place.sessions == 0 && place.holds == 0;
        if !self.place(index).is_some_and(unused) {
            return false;
        }
        let hosts = self.hosts(index);
        if let Some(place) = self.places.get_mut(index) {
            *place = None;
            self.vacant.push(index);
        }
        for host in hosts {
            self.release(host);
        }
        let places = &self.places;
        self.memory.retain(|(generation, _)| {
            let mut places = places.iter().flatten();
            places.any(|place| place.generation == *generation)
        });
        true
    }
}

#[cfg(test)]
mod tests;

//! What the launcher orders over the management channel, and what it is told.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use channel::{
    ConnectionStatus, HostStatus, Listening, MOST_CONNECTIONS, MOST_HOSTS, ServiceStatus, Status,
    ToGuest, ToHost,
};
use config::exit::ExitStatus;
use net::Instant;

use super::{HALF_OPEN_GRACE, Server};
use crate::{
    Machine, keeper,
    management::{FAREWELL, Management, Stage},
    session::SessionError,
};

/// How long the frames that reset sessions may take to leave.
const CLEARING: Duration = Duration::from_millis(500);

/// Bytes of all hosts in a status: other answers find room beside.
const MAX_HOSTS: usize = 64 * 1024;

/// Bytes of what is said of one host's trouble.
const MAX_TROUBLE: usize = 300;

/// Orders that one turn follows; each may take milliseconds.
const ORDERS_PER_TURN: usize = 4;

impl Server {
    /// `heap` bytes are there for sessions and services, of which those in force took `services`.
    pub(crate) fn set_heap(&mut self, heap: usize, services: usize) {
        self.heap = heap;
        self.services.set_memory(services);
    }

    /// Follows `management`'s orders from now on.
    pub(crate) fn manage(&mut self, management: Box<Management>) {
        self.management = Some(management);
    }

    /// Why the loop is over: the image was told to stop, or can never serve.
    pub fn ended(&self) -> Option<ExitStatus> {
        match &self.management {
            None => self.listening.failure(),
            Some(management) => match management.stage {
                Stage::Ended(status) => Some(status),
                _ => None,
            },
        }
    }

    /// Does what was ordered. True when there is more to do at once.
    pub(super) fn obey<M: Machine>(
        &mut self,
        management: &mut Management,
        machine: &mut M,
        now: Instant,
    ) -> bool {
        let mut budget = Management::budget();
        let mut orders = 0;
        while orders < ORDERS_PER_TURN
            && let Some(order) = management.order(machine, &mut budget, now)
        {
            orders += 1;
            match order {
                Ok(ToGuest::Configure { revision, archive }) => {
                    let result = match management.stage {
                        Stage::Serving => self.configure(management, archive, machine, now),
                        _ => Err(Vec::from(["the image is about to stop".to_string()])),
                    };
                    if result.is_ok() {
                        management.revision = revision;
                    }
                    management.configured(revision, result);
                }
                Ok(ToGuest::Status { request }) => {
                    let status = self.status(management, machine, now);
                    management.answer(ToHost::Status { request, status });
                }
                Ok(ToGuest::Stop { drain_ms }) => self.stop(management, drain_ms, now),
                Err(error) => self.journal.tunnel().order_not_understood(&error),
            }
        }
        self.announce(management, now);
        let before = management.stage;
        management.stage = self.advance(before, now);
        budget == 0 || orders == ORDERS_PER_TURN || management.stage != before
    }

    /// Takes no more connections, and gives those that there are so many milliseconds.
    fn stop(&mut self, management: &mut Management, drain_ms: u32, now: Instant) {
        let drain = Duration::from_millis(drain_ms.into());
        let wanted = now + drain;
        management.stage = match management.stage {
            Stage::Serving => {
                self.close_listeners(now);
                let sessions = self.session_count();
                self.journal.tunnel().stopping(sessions, drain);
                self.wind_up_requests(now);
                Stage::Draining {
                    since: now,
                    until: wanted,
                }
            }
            // Who asks again has less patience, not more.
            Stage::Draining { since, until } => Stage::Draining {
                since,
                until: until.min(wanted),
            },
            stage => stage,
        };
    }

    /// How far the end has come.
    fn advance(&mut self, stage: Stage, now: Instant) -> Stage {
        match stage {
            Stage::Serving => match self.listening.failure() {
                Some(status) => parting(status, now),
                None => stage,
            },
            Stage::Draining { since, until } => {
                let unfinished = self.stack.sockets();
                // Whoever has only begun to connect has a moment to come through.
                let begun_only = unfinished == self.stack.half_open();
                let late = now >= since + HALF_OPEN_GRACE;
                let over = self.session_count() == 0 && begun_only && (unfinished == 0 || late);
                if !over && now < until {
                    return stage;
                }
                self.reset_sessions(now);
                let until = now + CLEARING;
                Stage::Clearing { until }
            }
            Stage::Clearing { until } => {
                let sent = self.stack.sockets() == self.stack.half_open();
                if (!sent || self.journal.is_sending()) && now < until {
                    return stage;
                }
                self.journal.tunnel().terminated();
                parting(ExitStatus::CleanShutdown, now)
            }
            Stage::Parting { .. } | Stage::Ended(_) => stage,
        }
    }

    /// Ends every session that still lives: never in order, for what was carried is not whole.
    fn reset_sessions(&mut self, now: Instant) {
        for index in 0..self.sessions.len() {
            let slot = self.sessions.get_mut(index);
            let Some(active) = slot.and_then(|slot| slot.active.take()) else {
                continue;
            };
            for stream in core::iter::once(active.accepted).chain(active.dialled) {
                if let Some(mut stream) = self.stack.stream(stream) {
                    stream.reset();
                }
            }
            self.conclude(index, &active, &Err(SessionError::Shutdown), now);
        }
    }

    /// Tells once for each configuration that everything listens.
    fn announce(&mut self, management: &mut Management, now: Instant) {
        let revision = management.revision;
        if management.announced == Some(revision) || !self.listening.is_complete() {
            return;
        }
        management.announced = Some(revision);
        let addresses = self.stack.addresses();
        let bound = self.listening.bound();
        let listening = bound.filter_map(|(index, address)| {
            let service = self.services.get(index)?;
            Some(Listening {
                service: service.channel.name().into(),
                address,
                backend: service.purpose(addresses).to_string(),
            })
        });
        management.answer(ToHost::Ready {
            revision,
            listening: listening.collect(),
            boot_ms: u32::try_from(now.as_micros() / 1000).unwrap_or(u32::MAX),
        });
    }

    fn status<M: Machine>(&mut self, management: &Management, machine: &M, now: Instant) -> Status {
        let mut carried = self.totals;
        for slot in &self.sessions {
            if let Some(active) = &slot.active {
                self.carried(active, &mut carried);
            }
        }
        let places = self.services.current().iter();
        let services = places.filter_map(|index| {
            let service = self.services.get(*index)?;
            let activity = self.services.activity(*index)?;
            let bound = self.listening.bound();
            let own = bound.filter(|(place, _)| place == index);
            Some(ServiceStatus {
                name: service.channel.name().into(),
                listening: own.map(|(_, address)| address).collect(),
                sessions: number(activity.sessions),
                accepted_total: activity.accepted,
                backends: service.places(),
            })
        });
        let services = services.collect();
        let keeping = self.keeping.as_ref();
        let hosts = keeping.map_or_else(Vec::new, |keeping| keeping.status());
        let hosts_total = number(hosts.len());
        Status {
            uptime_ms: now.as_micros() / 1000,
            revision: management.revision,
            sessions: number(self.session_count()),
            old_sessions: number(self.services.old_sessions()),
            half_open: number(self.stack.half_open()),
            admission: number(self.stack.admission()),
            accepted_total: carried.accepted,
            failed_total: carried.failed,
            bytes_to_clients: carried.to_clients,
            bytes_to_backends: carried.to_backends,
            events_lost: self
                .journal
                .events()
                .map_or(0, |events| events.total_lost()),
            heap_free: machine.heap_free() as u64,
            heap_size: management.heap_size as u64,
            services,
            connections: self.told_connections(now),
            hosts: told_hosts(hosts),
            hosts_total,
        }
    }

    /// The connections that live, up to a bound.
    fn told_connections(&self, now: Instant) -> Vec<ConnectionStatus> {
        let active = self.sessions.iter().filter_map(|slot| slot.active.as_ref());
        let told = active.take(MOST_CONNECTIONS).filter_map(|active| {
            let service = self.services.get(active.service)?;
            let (received, sent) = active.bytes();
            let age = now.saturating_duration_since(active.since);
            Some(ConnectionStatus {
                service: service.channel.name().into(),
                id: active.id.to_string(),
                age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
                bytes_to_tls: sent,
                bytes_to_socket: received,
            })
        });
        told.collect()
    }
}

fn parting(status: ExitStatus, now: Instant) -> Stage {
    Stage::Parting {
        until: now + FAREWELL,
        status,
        told: false,
    }
}

/// Hosts of the store, up to a bound.
pub(super) fn told_hosts(hosts: Vec<keeper::HostStatus>) -> Vec<HostStatus> {
    let told = hosts.into_iter().take(MOST_HOSTS).map(|host| HostStatus {
        name: host.name,
        not_after: host.not_after,
        next: host.next,
        trouble: host.trouble.map(|why| shortened(why, MAX_TROUBLE)),
    });
    let mut bytes = 0;
    let told = told.take_while(|host| {
        bytes += host.name.len() + host.trouble.as_ref().map_or(0, String::len) + 32;
        bytes <= MAX_HOSTS
    });
    told.collect()
}

/// As many whole characters of a text as `most` bytes have.
fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
    }
    text
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

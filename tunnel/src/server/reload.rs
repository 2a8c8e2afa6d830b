//! Another configuration in place of the one in force, without a connection lost.

use alloc::{format, string::String, vec, vec::Vec};

use config::{Services as Served, Settings, Zeroizing, stunnel};
use net::Instant;

use super::{Server, active::Stage, listening::Rearranged};
use crate::{
    Machine,
    journal::Severity,
    limits::KeeperMemory,
    management::Management,
    service::{Service, Tls},
    setup::{self, Built, Logging, lines},
};

/// Heap that a configuration may take while services are made of it, for each byte of its
/// archive: texts, what is parsed of them, and what is kept.
const HEAP_PER_ARCHIVE_BYTE: usize = 8;

/// The same for each byte of certificates, keys and lists that a service names: each service
/// keeps what it has made of them for itself.
const HEAP_PER_MATERIAL_BYTE: usize = 6;

/// Heap that it takes whatever its length, in bytes.
const HEAP_FOR_ANY: usize = 512 * 1024;

impl Server {
    /// Serves by another configuration from now on. Sessions that there are stay with the
    /// services that they began with.
    ///
    /// # Errors
    /// Every line that a start with it would end with, and nothing has changed.
    pub(super) fn configure<M: Machine>(
        &mut self,
        management: &Management,
        archive: Zeroizing<Vec<u8>>,
        machine: &M,
        now: Instant,
    ) -> Result<(), Vec<String>> {
        let result = self.try_configure(management, archive, machine, now);
        if let Err(errors) = &result {
            let mut log = self.journal.tunnel();
            for error in errors {
                log.line(Severity::Error, format_args!("{error}"));
            }
            log.configuration_failed();
            log.configuration_stays();
        }
        result
    }

    fn try_configure<M: Machine>(
        &mut self,
        management: &Management,
        archive: Zeroizing<Vec<u8>>,
        machine: &M,
        now: Instant,
    ) -> Result<(), Vec<String>> {
        let enough = |wanted: usize| match machine.heap_free() {
            free if free >= wanted => Ok(()),
            free => Err(vec![format!(
                "memory: the configuration may take {} KiB, and {} KiB are free: \
                 give the machine more, or try again with fewer sessions",
                wanted.div_ceil(1024),
                free / 1024
            )]),
        };
        enough(archive.len().saturating_mul(HEAP_PER_ARCHIVE_BYTE) + HEAP_FOR_ANY)?;
        let settings = Settings::read(&management.command_line, Some(&archive))
            .map_err(|error| lines(&error))?;
        drop(archive);
        if let Some(standing) = &management.standing {
            standing.permits(&settings.config)?;
        }
        setup::tell(&settings, &mut self.journal);
        enough(material(&settings).saturating_mul(HEAP_PER_MATERIAL_BYTE) + HEAP_FOR_ANY)?;
        let before = machine.heap_free();
        let Built { services, keeping } = setup::build(&settings, &self.clock)?;
        let took = before.saturating_sub(machine.heap_free());
        let logging = Logging::of(&settings);
        drop(settings);
        match keeping {
            // Its first act is to read the store: until then, what is served is served on.
            Some(mut keeping) => {
                let buffer = self.memory.stream_buffer;
                keeping.set_memory(KeeperMemory::for_heap(self.heap, buffer));
                self.keep_by(Some(keeping), true);
            }
            None => {
                self.replace(services, took, now)?;
                self.keep_by(None, false);
            }
        }
        log::set_max_level(logging.filter);
        self.journal.reconfigure(logging.level, logging.syslog);
        self.journal.tunnel().configuration_successful();
        Ok(())
    }

    /// Puts services in force, which took so many bytes of heap, if there is room for what they
    /// need and their listeners can be opened.
    pub(super) fn replace(
        &mut self,
        services: Vec<Service>,
        took: usize,
        now: Instant,
    ) -> Result<(), Vec<String>> {
        let (live, room) = (self.connections(), self.room(Some((&services, took))));
        if live > room || room == 0 {
            return Err(vec![format!(
                "memory: there are {live} connections, and with the new configuration there is \
                 room for {room}: give the machine more, or try again with fewer connections"
            )]);
        }
        let rearranged = self.rearrange(&services)?;
        self.install(services, took, rearranged, now);
        Ok(())
    }

    fn install(
        &mut self,
        services: Vec<Service>,
        took: usize,
        rearranged: Rearranged,
        now: Instant,
    ) {
        let old = self.services.install(services, took);
        self.shuffle();
        let places = self.services.current().to_vec();
        self.follow(rearranged, &places, now);
        let moved = self.move_greeting();
        for index in old {
            self.services.release(index);
        }
        self.forget_kept(now);
        self.divide_memory();
        self.gather_staples(now);
        self.look_up_names(now);
        for index in moved {
            self.run(index, now);
        }
    }

    /// Hands connections of which no hello has come yet to the services that now accept where
    /// they were accepted; those whose service has no successor stay with it.
    fn move_greeting(&mut self) -> Vec<usize> {
        let mut moved = Vec::new();
        for (index, slot) in self.sessions.iter_mut().enumerate() {
            let Some(active) = slot.active.as_deref_mut() else {
                continue;
            };
            let undecided = match &active.stage {
                Stage::Greeting { .. } => active.negotiation.is_none(),
                Stage::Answering(answering) => answering.is_undecided(),
                _ => false,
            };
            if !undecided || !self.services.is_retired(active.service) {
                continue;
            }
            let local = self.stack.stream(active.accepted);
            let local = local.map(|stream| stream.local());
            let next = local.and_then(|local| self.listening.service_at(local));
            // Who was to be answered cannot be served otherwise, nor the other way round.
            let answers = |index| match self.services.get(index).map(|service| &service.tls) {
                Some(Tls::Answered(answers)) => Some(core::mem::discriminant(answers)),
                _ => None,
            };
            let is_same = |next: &usize| answers(*next) == answers(active.service);
            if let Some(next) = next.filter(is_same) {
                self.services.succeed(active.service, next);
                active.service = next;
                moved.push(index);
            }
        }
        moved
    }

    /// Connections that hold memory: live sessions, those on the way to one, and those of which
    /// the stack has still something to send.
    fn connections(&self) -> usize {
        self.promised.saturating_sub(self.stack.admission())
    }

    /// How many connections there is memory for at once, perhaps with other services in force.
    fn room(&self, next: Option<(&[Service], usize)>) -> usize {
        let took = next.map_or(0, |(_, took)| took);
        let services = self.services.memory().saturating_add(took);
        let needs = self.services.needs(next.map(|(services, _)| services));
        let heap = self.heap.saturating_sub(services + self.keeper_memory);
        self.memory.sessions_with(heap, &needs)
    }

    /// Lets as many connections in as there is memory for, after services have come or gone.
    pub(super) fn divide_memory(&mut self) {
        let live = self.connections();
        let promised = self.room(None).max(live).max(1);
        if promised != self.promised {
            self.promised = promised;
            self.stack.set_admission(promised - live);
        }
    }
}

/// Bytes that the services' certificates, keys and lists have, counted for each service.
fn material(settings: &Settings) -> usize {
    let Served::Conf(configuration) = &settings.services else {
        return 0;
    };
    let bytes = |file: &stunnel::File| file.bytes.len();
    let services = configuration.services.iter();
    services
        .map(|service| {
            let files = service.cert.iter().chain(&service.key);
            let files = files.chain(&service.authorities);
            let files = files.chain(&service.revocation_lists);
            files.map(bytes).sum::<usize>()
        })
        .sum()
}

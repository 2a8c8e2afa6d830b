//! The keeper at work: its conversations with the store and the authority, and what it says is to be
//! served put in force.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use config::{
    Config,
    hosting::{Hosting, Store},
};
use net::{Instant, QueryId, ResolveError, Status, StreamId};
use tls::{Client, ClientOptions, PathOptions, VerifyMode};

use super::Server;
use crate::{
    Machine,
    errand::{Errand, Hindrance, Means},
    hosting::{self, Kept, Sites},
    journal::Severity,
    keeper::{self, Keeper, Reply, Time},
    limits::{self, KeeperMemory},
    service::{
        Backend,
        backend::{Failover, Route},
        conf::{self, Ground},
    },
    session::DialError,
};

/// Demands that are taken up in one turn of the loop.
const DEMANDS_PER_TURN: usize = 8;

/// Lines of a keeper that are written in one turn of the loop; it bounds how many there are.
const REMARKS_PER_TURN: usize = 32;

/// A keeper, and all that it needs besides.
pub(crate) struct Keeping {
    keeper: Keeper,
    kept: Kept,
    ground: Ground,
    /// Asks the authority; `None`: there is none.
    client: Option<Client>,
    open: Vec<Conversation>,
    /// The keeper's numbers of notices, and the server's.
    notices: BTreeMap<u64, u64>,
    memory: KeeperMemory,
    /// What is in force is another configuration's, and stays until the store was read.
    waits: bool,
    /// What there was no room for yet, and when to try again.
    postponed: Option<(Box<Sites>, Instant)>,
}

/// An errand on its way.
struct Conversation {
    number: u64,
    errand: Errand,
    backend: Backend,
    route: Route,
    dialled: Option<Dialled>,
    /// Why the latest address was of no use.
    failure: Option<String>,
    /// Something has come for it.
    is_ready: bool,
    /// Until when something has to move.
    idle: Instant,
    /// Until when it has to be over.
    until: Instant,
}

#[derive(Clone, Copy)]
struct Dialled {
    stream: StreamId,
    address: SocketAddr,
    connected: bool,
}

impl Conversation {
    fn deadline(&self) -> Instant {
        self.until.min(self.idle)
    }
}

impl Keeping {
    /// A keeper of a configuration's store; `None` when it has none.
    ///
    /// # Errors
    /// A line for each option that can't be used.
    pub(crate) fn new(
        hosting: &Hosting,
        config: &Config,
        ground: &Ground,
    ) -> Result<Option<Box<Self>>, Vec<String>> {
        let Some(store) = &hosting.store else {
            return Ok(None);
        };
        let settings = keeper::Settings::read(hosting, config)?;
        let keeper = Keeper::new(settings);
        let client = client(store, &keeper, ground)?;
        Ok(Some(Box::new(Self {
            keeper,
            kept: Kept::default(),
            ground: ground.clone(),
            client,
            open: Vec::new(),
            notices: BTreeMap::new(),
            memory: KeeperMemory::default(),
            waits: false,
            postponed: None,
        })))
    }

    /// How the hosts of the store are doing.
    pub(super) fn status(&self) -> Vec<keeper::HostStatus> {
        self.keeper.status()
    }

    /// Takes so much of the heap.
    pub(crate) fn set_memory(&mut self, memory: KeeperMemory) {
        self.memory = memory;
    }

    /// When something is to be done though nothing has come.
    fn due(&self) -> Option<Instant> {
        let open = self.open.iter().map(Conversation::deadline);
        let postponed = self.postponed.as_ref().map(|(_, when)| *when);
        let demands = match self.open.len() < limits::MAX_ERRANDS {
            true => self.keeper.due(),
            false => None,
        };
        open.chain(postponed).chain(demands).min()
    }
}

/// Who asks the authority, if there is one.
fn client(store: &Store, keeper: &Keeper, ground: &Ground) -> Result<Option<Client>, Vec<String>> {
    if store.authority.is_none() {
        return Ok(None);
    }
    let roots = keeper.roots();
    let client = Client::new(ClientOptions {
        provider: ground.provider,
        public_roots: roots.is_none(),
        // A trial authority's certificate is often the very one that it is trusted by.
        verify: match roots {
            Some(_) => VerifyMode::Path(PathOptions::default()),
            None => VerifyMode::ChainAndName,
        },
        alpn: vec![b"http/1.1".to_vec()],
        session_cache: limits::AUTHORITY_SESSIONS,
        ..ClientOptions::new(
            roots.map(<[u8]>::to_vec).into_iter().collect(),
            ground.clock.clone(),
        )
    });
    let told = |error| vec![format!("--authority-ca: {error}")];
    client.map(Some).map_err(told)
}

impl Server {
    /// Serves what this keeper says from now on. What is in force stays until it has read its store
    /// if `takes_over`.
    pub(crate) fn keep_by(&mut self, keeping: Option<Box<Keeping>>, takes_over: bool) {
        let before = self.keeping.take();
        self.keeping = keeping;
        let mut open = Vec::new();
        if let Some(before) = before {
            open = before.open;
            if let Some(keeping) = &mut self.keeping {
                // Hosts that stay as they are keep their clients' tickets.
                keeping.kept = before.kept;
            }
        }
        for mut conversation in open {
            self.hang_up(&mut conversation);
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.waits = takes_over;
        }
        self.keeper_memory = match &self.keeping {
            Some(keeping) => keeping.memory.total(),
            None => 0,
        };
        self.divide_memory();
    }

    /// When the keeper has something to do.
    pub(super) fn keeping_due(&self) -> Option<Instant> {
        let keeping = self.keeping.as_ref()?;
        self.is_reachable().then(|| keeping.due()).flatten()
    }

    /// Something came for one of the keeper's streams. False: it is none's.
    pub(super) fn keeping_ready(&mut self, stream: StreamId) -> bool {
        let Some(keeping) = &mut self.keeping else {
            return false;
        };
        let is = |conversation: &&mut Conversation| {
            let dialled = conversation.dialled;
            dialled.is_some_and(|dialled| dialled.stream == stream)
        };
        let conversation = keeping.open.iter_mut().find(is);
        conversation
            .map(|conversation| conversation.is_ready = true)
            .is_some()
    }

    /// Hands an answer to the conversation that has asked for it. True when there is one.
    pub(super) fn keeping_resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) -> bool {
        let Some(keeping) = &mut self.keeping else {
            return false;
        };
        for conversation in &mut keeping.open {
            if conversation.backend.resolved(query, result, now).is_some() {
                conversation.is_ready = true;
                if let Err(error) = result {
                    conversation.failure = Some(error.to_string());
                }
                return true;
            }
        }
        false
    }

    /// Whether anybody could be reached: before that, asking would only teach to wait longer.
    fn is_reachable(&self) -> bool {
        let addresses = self.stack.addresses();
        addresses.ipv4.is_some() || addresses.ipv6.is_some()
    }

    /// Does everything that the keeper wants and that can be done now. True when there is more.
    pub(super) fn keep<M: Machine>(&mut self, machine: &mut M, now: Instant) -> bool {
        if !self.is_reachable() {
            return false;
        }
        let Some(mut keeping) = self.keeping.take() else {
            return false;
        };
        while let Some(number) = self.notice() {
            let ticket = keeping.keeper.notice(self.time(now));
            keeping.notices.insert(ticket, number);
        }
        self.converse(&mut keeping, machine, now);
        let more = self.take_demands(&mut keeping, machine, now);
        self.put_in_force(&mut keeping, machine, now);
        while let Some((ticket, reloaded)) = keeping.keeper.concluded() {
            if let Some(number) = keeping.notices.remove(&ticket) {
                self.conclude_notice(number, &reloaded, now);
            }
        }
        for _ in 0..REMARKS_PER_TURN {
            let Some((severity, line)) = keeping.keeper.remark() else {
                break;
            };
            self.journal.tunnel().line(severity, format_args!("{line}"));
        }
        self.keeping = Some(keeping);
        more
    }

    fn time(&self, now: Instant) -> Time {
        Time {
            unix: self.clock.now(),
            now,
        }
    }

    /// Carries on the conversations for which something has come, or which take too long.
    fn converse<M: Machine>(&mut self, keeping: &mut Keeping, machine: &mut M, now: Instant) {
        let mut index = 0;
        while let Some(conversation) = keeping.open.get_mut(index) {
            let is_late = conversation.deadline() <= now;
            let is_ready = core::mem::take(&mut conversation.is_ready);
            let mut reply = match is_ready || is_late {
                true => self.carry_on(conversation, now),
                false => None,
            };
            if reply.is_none() && conversation.deadline() <= now {
                reply = Some(conversation.errand.hindered(Hindrance::TimedOut));
            }
            match reply {
                Some(reply) => {
                    let mut conversation = keeping.open.remove(index);
                    self.hang_up(&mut conversation);
                    self.hand_in(keeping, conversation.number, reply, machine, now);
                }
                None => index += 1,
            }
        }
    }

    /// Begins conversations that are wanted. True when there may be more.
    fn take_demands<M: Machine>(
        &mut self,
        keeping: &mut Keeping,
        machine: &mut M,
        now: Instant,
    ) -> bool {
        for _ in 0..DEMANDS_PER_TURN {
            if keeping.open.len() >= limits::MAX_ERRANDS {
                return false;
            }
            let time = self.time(now);
            let mut fill = |bytes: &mut [u8]| machine.fill_entropy(bytes);
            let Some((number, demand)) = keeping.keeper.demand(time, &mut fill) else {
                return false;
            };
            let means = Means {
                access: keeping.keeper.access(),
                limits: &keeping.memory.store,
                client: keeping.client.as_ref(),
            };
            let errand = match Errand::new(&demand, &means) {
                Ok(errand) => errand,
                Err(reply) => {
                    self.hand_in(keeping, number, reply, machine, now);
                    continue;
                }
            };
            drop(demand);
            let mut conversation = self.begin(number, errand, now);
            match self.carry_on(&mut conversation, now) {
                Some(reply) => {
                    self.hang_up(&mut conversation);
                    self.hand_in(keeping, number, reply, machine, now);
                }
                None => keeping.open.push(conversation),
            }
        }
        true
    }

    fn hand_in<M: Machine>(
        &mut self,
        keeping: &mut Keeping,
        number: u64,
        reply: Reply,
        machine: &mut M,
        now: Instant,
    ) {
        if matches!(reply, Reply::Visited(Ok(_))) {
            keeping.waits = false;
        }
        let mut fill = |bytes: &mut [u8]| machine.fill_entropy(bytes);
        keeping
            .keeper
            .reply(number, reply, self.time(now), &mut fill);
    }

    fn begin(&mut self, number: u64, errand: Errand, now: Instant) -> Conversation {
        let (host, port) = errand.place();
        let place = (conf::place(host), port);
        let until = match errand.is_visit() {
            true => now + limits::STORE_VISIT,
            false => now + limits::AUTHORITY_REQUEST,
        };
        let mut failure = None;
        let mut backend = Backend::of([place], Failover::Priority, false);
        let stack = &mut self.stack;
        backend.look_up(
            now,
            true,
            |name| stack.resolve(name, now),
            |_, error| failure = Some(error.to_string()),
        );
        Conversation {
            number,
            errand,
            backend,
            route: Route::default(),
            dialled: None,
            failure,
            is_ready: false,
            idle: now + limits::ERRAND_IDLE,
            until,
        }
    }

    /// Looks up, dials, sends and receives what can be; the reply once it is known.
    fn carry_on(&mut self, conversation: &mut Conversation, now: Instant) -> Option<Reply> {
        loop {
            let Some(dialled) = conversation.dialled else {
                let addresses = self.stack.addresses();
                let backend = &mut conversation.backend;
                let Some(next) = conversation.route.next(backend, addresses) else {
                    if backend.is_worth_waiting(addresses) {
                        return None;
                    }
                    return Some(unreachable(conversation));
                };
                conversation.idle = now + limits::ERRAND_CONNECT;
                match self.stack.connect_from(None, next.address, now) {
                    Ok(stream) => {
                        conversation.dialled = Some(Dialled {
                            stream,
                            address: next.address,
                            connected: false,
                        });
                    }
                    Err(error) => failed(conversation, next.address, DialError::Refused(error)),
                }
                continue;
            };
            let Some(mut stream) = self.stack.stream(dialled.stream) else {
                conversation.dialled = None;
                failed(conversation, dialled.address, DialError::NoAddress);
                continue;
            };
            if !dialled.connected {
                let error = match stream.status() {
                    Status::Connecting if conversation.idle > now => return None,
                    Status::Connecting => Some(net::StreamError::TimedOut),
                    Status::Closed(Some(error)) => Some(error),
                    Status::Open | Status::Closed(None) => None,
                };
                if let Some(error) = error {
                    self.hang_up(conversation);
                    failed(conversation, dialled.address, DialError::Failed(error));
                    continue;
                }
                conversation.dialled = Some(Dialled {
                    connected: true,
                    ..dialled
                });
            }
            if stream.recv_len() > 0 || !dialled.connected {
                conversation.idle = now + limits::ERRAND_IDLE;
            }
            return conversation.errand.poll(&mut stream, &mut self.scratch);
        }
    }

    /// Gives back the stream; one that is not over is reset.
    fn hang_up(&mut self, conversation: &mut Conversation) {
        let Some(dialled) = conversation.dialled.take() else {
            return;
        };
        if !conversation.errand.is_over()
            && let Some(mut stream) = self.stack.stream(dialled.stream)
        {
            stream.reset();
        }
        self.stack.release(dialled.stream);
    }

    /// Puts in force what the keeper says is to be served, if that has changed.
    fn put_in_force<M: Machine>(&mut self, keeping: &mut Keeping, machine: &mut M, now: Instant) {
        if keeping.waits {
            return;
        }
        let (sites, again) = match keeping.keeper.sites() {
            Some(sites) => (Box::new(sites), false),
            None => match keeping.postponed.take_if(|(_, when)| *when <= now) {
                Some((sites, _)) => (sites, true),
                None => return,
            },
        };
        keeping.postponed = None;
        let result = self.serve(&sites, keeping, machine, now);
        if result.is_err() {
            keeping.postponed = Some((sites, now + limits::POSTPONED));
        }
        // A second failure of the same is no news.
        if result.is_ok() || !again {
            keeping.keeper.installed(result);
        }
    }

    fn serve<M: Machine>(
        &mut self,
        sites: &Sites,
        keeping: &mut Keeping,
        machine: &M,
        now: Instant,
    ) -> Result<(), Vec<String>> {
        let takes = hosting::memory(sites);
        let free = machine.heap_free();
        if free < takes {
            return Err(vec![format!(
                "memory: what is to be served may take {} KiB, and {} KiB are free: give the machine \
                 more, or try again with fewer sessions",
                takes.div_ceil(1024),
                free / 1024
            )]);
        }
        let (services, left_out) = hosting::services(sites, &mut keeping.kept, &keeping.ground);
        for (host, why) in left_out {
            let mut log = self.journal.tunnel();
            log.line(Severity::Error, format_args!("{host} is not served: {why}"));
        }
        self.replace(services, takes, now)
    }
}

/// The reply of an errand for which there is no address left.
fn unreachable(conversation: &mut Conversation) -> Reply {
    let failure = conversation.failure.take();
    let failure = failure.unwrap_or_else(|| "no address of it is known".into());
    let why = format!("{}: {failure}", conversation.backend);
    conversation.errand.hindered(Hindrance::Unreachable(why))
}

/// An address was of no use; another may be.
fn failed(conversation: &mut Conversation, address: SocketAddr, error: DialError) {
    conversation.failure = Some(match conversation.errand.is_at(address.ip()) {
        true => error.to_string(),
        false => format!("{address}: {error}"),
    });
}

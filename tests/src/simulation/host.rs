//! The host at the far end of the link: clients and backend in one, over a stack of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;

use stockade_net::{Event, Instant, Stack, StreamId};
use stockade_tls::{Client, ClientOptions, Version, Versions, WallClock};

use super::card::Card;
use super::party::{End, Party};
use super::plan::{Mix, Opening, Plan};
use super::random::Random;
use crate::certificates::NAME;

/// Where backends' numbers begin; clients' are below.
pub const FIRST_BACKEND: u32 = 1 << 16;

/// Clients and backend.
pub struct Host {
    stack: Stack,
    card: Card,
    /// A client for each TLS version.
    clients: [Client; 2],
    server: SocketAddr,
    seed: u64,
    mix: Mix,
    /// Backends so far.
    backends: u32,
    parties: Vec<Party>,
    owners: BTreeMap<StreamId, usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    open: usize,
}

impl Host {
    /// A host on `stack`, whose clients connect to `server` and trust `authority`.
    pub fn new(
        stack: Stack,
        card: Card,
        server: SocketAddr,
        authority: &str,
        clock: &WallClock,
        seed: u64,
        mix: Mix,
    ) -> Host {
        let client = |version| {
            let versions = Versions {
                min: version,
                max: version,
            };
            let roots = vec![authority.as_bytes().to_vec()];
            let options = ClientOptions {
                versions,
                ..ClientOptions::new(roots, clock.clone())
            };
            Client::new(options).expect("the options are sound")
        };
        Host {
            stack,
            card,
            clients: [client(Version::Tls12), client(Version::Tls13)],
            server,
            seed,
            mix,
            backends: 0,
            parties: Vec::new(),
            owners: BTreeMap::new(),
            timers: BinaryHeap::new(),
            open: 0,
        }
    }

    /// From now on the backend takes connections on `port`.
    pub fn listen(&mut self, port: u16) {
        self.stack.listen(None, port).expect("a free port");
    }

    /// Starts client `number`.
    pub fn connect(&mut self, number: u32, now: Instant) {
        let mut random = Random::fork(self.seed, "client", number.into());
        let plan = Plan::client(&mut random, &self.mix);
        let client = match plan.opening {
            Opening::Proper(Version::Tls12) => &self.clients[0],
            _ => &self.clients[1],
        };
        let connection = client.connect(Some(NAME)).expect("a good name");
        let stream = self.stack.connect(self.server, now).expect("room for it");
        if let Some(stream) = self.stack.stream(stream) {
            self.card.unmute(stream.local().port());
        }
        log::debug!("client {number}: {plan:?}");
        let party = Party::client(number, plan, stream, connection, random, now);
        self.add(party);
    }

    fn accept(&mut self, stream: StreamId, now: Instant) {
        let number = FIRST_BACKEND + self.backends;
        self.backends += 1;
        let mut random = Random::fork(self.seed, "backend", number.into());
        let plan = Plan::backend(&mut random, &self.mix);
        log::debug!("backend {number}: {plan:?}");
        let party = Party::backend(number, plan, stream, random, now);
        let index = self.add(party);
        self.step(index, now);
    }

    fn add(&mut self, party: Party) -> usize {
        let index = self.parties.len();
        self.owners.insert(party.stream, index);
        self.parties.push(party);
        self.open += 1;
        index
    }

    /// Takes in what has arrived, lets parties act, and sends.
    pub fn poll(&mut self, now: Instant) {
        let mut more = true;
        while more {
            more = self.stack.poll(&mut self.card, now);
            while let Some(event) = self.stack.poll_event() {
                match event {
                    Event::Accepted { stream, .. } => self.accept(stream, now),
                    Event::Ready(stream) => {
                        if let Some(&index) = self.owners.get(&stream) {
                            self.step(index, now);
                        }
                    }
                    _ => {}
                }
            }
            while let Some(&Reverse((when, index))) = self.timers.peek()
                && when <= now
            {
                self.timers.pop();
                self.step(index, now);
            }
            self.stack.flush(&mut self.card, now);
        }
    }

    fn step(&mut self, index: usize, now: Instant) {
        let party = &mut self.parties[index];
        if party.end.is_some() {
            return;
        }
        let mut stream = self.stack.stream(party.stream).expect("not yet released");
        let wish = party.step(&mut stream, now);
        if let Some(wake) = wish.wake {
            self.timers.push(Reverse((wake, index)));
        }
        if wish.vanish {
            self.card.mute(stream.local().port());
            stream.reset();
        }
        if let Some(end) = wish.end {
            log::debug!("party {}: {end:?}, {:?}", party.number, party.counts());
            self.owners.remove(&party.stream);
            self.stack.release(party.stream);
            self.open -= 1;
        }
    }

    /// When to poll again though nothing arrives.
    pub fn poll_at(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((when, _))| *when);
        timer.into_iter().chain(self.stack.poll_at()).min()
    }

    /// Parties that have not ended.
    pub fn open(&self) -> usize {
        self.open
    }

    /// All parties so far, clients and backends.
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// Sockets that the host's stack still holds.
    pub fn sockets(&self) -> usize {
        self.stack.sockets()
    }

    /// A party that has not ended although `limit` has passed since it began.
    pub fn overdue(&self, limit: std::time::Duration, now: Instant) -> Option<&Party> {
        self.parties
            .iter()
            .find(|party| party.end.is_none() && party.began() + limit < now)
    }
}

impl End {
    /// Whether this is what a party sees that did nothing wrong and was served.
    pub fn is_orderly(&self) -> bool {
        *self == End::Orderly
    }
}

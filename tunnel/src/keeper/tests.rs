//! Keepers with a repository and an authority of the tests' own, on clocks that jump from one event
//! to the next.

use std::{
    string::{String, ToString},
    vec::Vec,
};

use config::{
    Accept, Config, Zeroizing,
    hosting::{Authority, HTTP_PORT, Hosting, KeyKind, NOTICES_PORT, POLL, PRODUCTION, Store},
};

use super::*;

mod adversity;
mod authority;
mod certificates;
mod reading;
mod renewing;
mod repository;
mod rivals;
mod settings;

use authority::{Mood, is_for};
use certificates::{file, issued, placeholder};
use repository::{Repository, change};

/// When the tests begin.
const START: u64 = 1_800_000_000;

const DAY: u64 = 86_400;

/// Options as a user gives them.
fn hosting() -> Hosting {
    let accept = |port| Accept { host: None, port };
    let key = store::ssh::LoginKey::from_seed([7; 32]).to_text();
    Hosting {
        files: Vec::new(),
        default_host: None,
        http: Some(accept(HTTP_PORT)),
        store: Some(Store {
            remote: "git@10.0.0.1:certificates.git#main".into(),
            ssh_key: key,
            ssh_host_key: None,
            pass: Some(Zeroizing::new(b"pass".to_vec())),
            notices: accept(NOTICES_PORT),
            legacy_reload: false,
            poll: POLL,
            encryption: None,
            authority: None,
        }),
    }
}

/// The same with an authority.
fn with_authority() -> Hosting {
    let mut hosting = hosting();
    let store = hosting.store.as_mut().unwrap();
    store.authority = Some(Authority {
        directory: "https://ca.example/directory".into(),
        roots: None,
        email: Some("admin@example.org".into()),
        profile: None,
        binding: None,
        account_seed: None,
        key: KeyKind::P256,
    });
    hosting
}

fn config() -> Config {
    let line = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --cert=file:c --key=file:k";
    config::command_line::parse(line).unwrap()
}

/// A keeper with all that is around it.
struct World {
    keeper: Keeper,
    repository: Repository,
    authority: authority::Authority,
    time: Time,
    /// What is in force.
    sites: Sites,
    lines: Vec<String>,
    concluded: Vec<(u64, Reloaded)>,
    entropy: u64,
}

impl World {
    fn new() -> World {
        World::of(hosting())
    }

    fn of(hosting: Hosting) -> World {
        let settings = Settings::read(&hosting, &config()).ok().unwrap();
        World {
            keeper: Keeper::new(settings),
            repository: Repository::default(),
            authority: authority::Authority::new(),
            time: Time {
                unix: START,
                now: Instant::from_micros(5_000_000),
            },
            sites: Sites::default(),
            lines: Vec::new(),
            concluded: Vec::new(),
            entropy: 1,
        }
    }

    /// With an authority, and hosts that have no certificates yet.
    fn with_hosts(names: &[&str]) -> World {
        let mut world = World::of(with_authority());
        world.add(names);
        world
    }

    /// Somebody adds these hosts.
    fn add(&mut self, names: &[&str]) {
        let added = |name: &&str| change(name, Some(file(placeholder(name), 3)));
        let changes: Vec<store::snapshot::Change> = names.iter().map(added).collect();
        self.repository.commit(&changes);
    }

    /// The same repository and authority before a keeper that knows nothing of them.
    fn restart(&mut self) {
        let settings = Settings::read(&with_authority(), &config()).ok().unwrap();
        self.keeper = Keeper::new(settings);
        self.sites = Sites::default();
    }

    /// Does everything that is to be done now.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let entropy = &mut self.entropy;
            let mut fill = |bytes: &mut [u8]| fill(entropy, bytes);
            let demand = self.keeper.demand(self.time, &mut fill);
            if let Some((number, demand)) = demand {
                let reply = match demand {
                    Demand::Fetch(known) => Reply::Visited(self.repository.fetch(known)),
                    Demand::Push(draft) => Reply::Visited(self.repository.push(draft)),
                    Demand::Request(request) => {
                        let authority = &mut self.authority;
                        let answer = authority.handle(&request, &self.sites, self.time.unix);
                        Reply::Answered(answer)
                    }
                };
                self.keeper.reply(number, reply, self.time, &mut fill);
                continue;
            }
            if let Some(sites) = self.keeper.sites() {
                self.sites = sites;
                self.keeper.installed(Ok(()));
                continue;
            }
            while let Some((_, line)) = self.keeper.remark() {
                self.lines.push(line);
            }
            while let Some(concluded) = self.keeper.concluded() {
                self.concluded.push(concluded);
            }
            // A key of RSA is drawn in many turns.
            if self.keeper.due().is_some_and(|due| due <= self.time.now) {
                continue;
            }
            return;
        }
        panic!("it never rests: {:?}", self.lines);
    }

    /// Lets so many seconds pass.
    fn pass(&mut self, seconds: u64) {
        let end = self.time.now + Duration::from_secs(seconds);
        self.settle();
        while self.time.now < end {
            let due = self.keeper.due().unwrap_or(end);
            assert!(due > self.time.now, "it is due and does nothing");
            self.tick(due.min(end));
            self.settle();
        }
    }

    fn tick(&mut self, now: Instant) {
        self.time.unix += now.as_micros() / 1_000_000 - self.time.now.as_micros() / 1_000_000;
        self.time.now = now;
    }

    /// The names that are served.
    fn served(&self) -> Vec<&str> {
        let names = self.sites.hosts.iter().flat_map(|site| &site.names);
        names.map(String::as_str).collect()
    }

    /// The chain that is served for this name.
    fn chain(&self, name: &str) -> String {
        let mut sites = self.sites.hosts.iter();
        let site = sites.find(|site| site.names[0] == name);
        site.map(|site| site.chain.to_string()).unwrap_or_default()
    }

    /// The seconds that the certificate has left that is served for this name.
    fn left(&self, name: &str) -> i64 {
        let lifetime = Lifetime::of(&self.chain(name)).unwrap();
        lifetime.not_after as i64 - self.time.unix as i64
    }

    /// What the store has for this name.
    fn stored(&self, name: &str) -> store::host::Host {
        store::host::Host::parse(self.repository.file(name).unwrap()).unwrap()
    }

    /// Whether the store has what is served.
    fn is_stored(&self, name: &str) -> bool {
        self.stored(name).pairs[0].chain.concat() == self.chain(name)
    }

    fn status(&self, name: &str) -> HostStatus {
        let mut all = self.keeper.status().into_iter();
        all.find(|host| host.name == name).unwrap()
    }

    fn lines_with(&self, part: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(part)).count()
    }
}

/// Bytes that no two draws have in common.
fn fill(entropy: &mut u64, bytes: &mut [u8]) {
    for byte in bytes {
        *entropy = entropy
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (*entropy >> 33) as u8;
    }
}

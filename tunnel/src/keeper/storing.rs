//! Conversations with the store: when it is read, and what is made of what was read.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use net::Instant;
use store::{
    git::Fetched,
    host::Host,
    snapshot::Snapshot,
    visit::{Outcome, VisitError},
};

use super::{Demand, Fault, Keeper, MOST_HOSTS, Severity, host::File};

/// The pause after a first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause while nothing was ever read: without the store there is nobody to serve.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The store as it was last read, and the conversation with it.
#[derive(Default)]
pub(super) struct Repository {
    /// `None`: it was never read.
    snapshot: Option<Snapshot>,
    visit: Option<(u64, Errand)>,
    fetch_at: Instant,
    /// Somebody says that it has changed, while it was being read.
    is_stale: bool,
    failures: u32,
    trouble: Option<String>,
}

enum Errand {
    Fetch,
}

impl Repository {
    /// When there is something to say to it; `None`: it has the word.
    pub(super) fn due(&self) -> Option<Instant> {
        self.visit.is_none().then_some(self.fetch_at)
    }

    /// It is to be read at once.
    pub(super) fn look_now(&mut self, now: Instant) {
        self.is_stale = self.visit.is_some();
        self.fetch_at = self.fetch_at.min(now);
    }

    /// How long to wait after a failure.
    fn pause(&self, poll: Duration) -> Duration {
        let most = match self.snapshot {
            Some(_) => poll,
            None => LONGEST_PAUSE,
        };
        let doublings = self.failures.saturating_sub(1).min(16);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(most)
    }
}

impl Keeper {
    /// The next conversation with the store.
    pub(super) fn visit(&mut self) -> Option<(u64, Demand)> {
        let repository = &self.repository;
        if repository.visit.is_some() || repository.fetch_at > self.time.now {
            return None;
        }
        let number = self.next_number();
        self.tickets.read();
        let repository = &mut self.repository;
        repository.is_stale = false;
        repository.visit = Some((number, Errand::Fetch));
        let known = repository.snapshot.as_ref().and_then(Snapshot::head);
        Some((number, Demand::Fetch(known)))
    }

    /// What has become of it.
    pub(super) fn visited(&mut self, number: u64, visited: Result<Outcome, Fault<VisitError>>) {
        let Some((_, errand)) = self.repository.visit.take_if(|(known, _)| *known == number) else {
            return;
        };
        match (errand, visited) {
            (Errand::Fetch, Ok(Outcome::Fetched(fetched))) => self.fetched(fetched),
            (Errand::Fetch, Ok(Outcome::Pushed)) => {}
            (Errand::Fetch, Err(fault)) => self.not_fetched(fault.to_string()),
        }
    }

    fn fetched(&mut self, fetched: Fetched) {
        match Snapshot::of(fetched, &self.settings.limits) {
            Ok(snapshot) => {
                let repository = &mut self.repository;
                repository.failures = 0;
                repository.fetch_at = match repository.is_stale {
                    true => self.time.now,
                    false => self.time.now + self.settings.poll,
                };
                if repository.trouble.take().is_some() {
                    let line = "Store: it can be read again".into();
                    self.remarks.say(Severity::Notice, line);
                }
                if let Some(snapshot) = snapshot {
                    self.take(snapshot);
                }
                self.tickets.install();
                if !self.is_changed && !self.is_given {
                    self.conclude(Vec::new());
                }
            }
            Err(error) => self.not_fetched(error.to_string()),
        }
    }

    fn not_fetched(&mut self, why: String) {
        self.tickets.fail(&why);
        let poll = self.settings.poll;
        let repository = &mut self.repository;
        repository.failures = repository.failures.saturating_add(1);
        let pause = repository.pause(poll);
        repository.fetch_at = self.time.now + pause;
        if repository.trouble.as_ref() != Some(&why) {
            let served = match repository.snapshot {
                Some(_) => "what was read before is served on",
                None => "no host of it is served yet",
            };
            let line = format!("Store: it can't be read, {served}: {why}");
            self.remarks.say(Severity::Error, line);
            repository.trouble = Some(why);
        }
    }

    /// Takes a state of the store in: what is new, what has changed, what is gone.
    fn take(&mut self, snapshot: Snapshot) {
        let old = self.repository.snapshot.replace(snapshot);
        let Some(snapshot) = &self.repository.snapshot else {
            return;
        };
        let is_host = |name: &str| !name.starts_with('.');
        let names = || {
            snapshot
                .files()
                .map(|(name, _)| name)
                .filter(|name| is_host(name))
        };
        let left_out = names().skip(MOST_HOSTS).count();
        if left_out > 0 {
            let line = format!(
                "Store: only {MOST_HOSTS} hosts are served, and {left_out} more are left out"
            );
            self.remarks.say(Severity::Error, line);
        }
        let before = self.hosts.len();
        let known: alloc::collections::BTreeSet<&str> = names().take(MOST_HOSTS).collect();
        self.hosts.retain(|name, _| known.contains(name.as_str()));
        self.is_changed |= self.hosts.len() != before;
        for name in known {
            let content = snapshot.file(name).unwrap_or_default();
            let is_known = self.hosts.contains_key(name);
            let old = old.as_ref().and_then(|old| old.file(name));
            if is_known && old == Some(content) {
                continue;
            }
            let read = Host::parse(content).map_err(|error| error.to_string());
            let provider = self.settings.provider;
            let read = read.and_then(|host| File::read(name, &host, provider));
            if let Err(why) = &read {
                let line = format!("{name}: its file in the store can't be used: {why}");
                self.remarks.say(Severity::Error, line);
            }
            self.is_changed |= read.is_ok();
            let kept = self.hosts.entry(name.into()).or_default();
            kept.update(read);
        }
    }
}

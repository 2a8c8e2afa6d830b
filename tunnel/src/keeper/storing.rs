//! Conversations with the store: when it is read, what is made of what was read, and what is written.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use net::Instant;
use store::{
    git::{Fetched, Person},
    host::Host,
    snapshot::{Change, Draft, Snapshot},
    visit::{Outcome, VisitError},
};

use super::{
    Demand, Fault, Keeper, MOST_HOSTS, Severity,
    fresh::message,
    host::{File, sealed},
};
use crate::journal::Date;

/// The pause after a first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause while nothing was ever read: without the store there is nobody to serve.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often a commit is made anew at once because somebody else was faster.
const RACES: u32 = 5;

/// The store as it was last read, and the conversation with it.
#[derive(Default)]
pub(super) struct Repository {
    /// `None`: it was never read.
    snapshot: Option<Snapshot>,
    visit: Option<(u64, Errand)>,
    fetch_at: Instant,
    push_at: Instant,
    /// Somebody says that it has changed, while it was being read.
    is_stale: bool,
    reading: Trouble,
    writing: Trouble,
    /// How often in a row somebody else was faster.
    races: u32,
}

enum Errand {
    Fetch,
    /// The state that the commit makes, and whose certificates are in it.
    Push(Snapshot, Vec<String>),
}

/// Failures in a row.
#[derive(Default)]
struct Trouble {
    failures: u32,
    why: Option<String>,
}

impl Trouble {
    /// One more; whether there is something new to tell.
    fn add(&mut self, why: &str) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_new = self.why.as_deref() != Some(why);
        self.why = Some(why.into());
        is_new
    }

    fn pause(&self, most: Duration) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        FIRST_PAUSE.saturating_mul(1 << doublings).min(most)
    }
}

impl Repository {
    /// When there is something to say to it; `None`: it has the word.
    pub(super) fn due(&self, has_fresh: bool) -> Option<Instant> {
        let push_at = has_fresh.then_some(self.push_at);
        let due = push_at.map_or(self.fetch_at, |push_at| push_at.min(self.fetch_at));
        self.visit.is_none().then_some(due)
    }

    /// It is to be read at once.
    pub(super) fn look_now(&mut self, now: Instant) {
        self.is_stale |= self.visit.is_some();
        self.fetch_at = self.fetch_at.min(now);
    }

    /// There is something to be written, at once unless that has failed lately.
    pub(super) fn write_now(&mut self, now: Instant) {
        if self.is_well() {
            self.push_at = now;
        }
    }

    /// Whether it was ever read.
    pub(super) fn is_read(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether it could be read and written when that was last tried.
    pub(super) fn is_well(&self) -> bool {
        self.reading.why.is_none() && self.writing.why.is_none()
    }
}

impl Keeper {
    /// The next conversation with the store.
    pub(super) fn visit(&mut self, fill: &mut dyn FnMut(&mut [u8])) -> Option<(u64, Demand)> {
        let now = self.time.now;
        let repository = &mut self.repository;
        if repository.visit.is_some() {
            return None;
        }
        if repository.fetch_at <= now {
            self.number += 1;
            repository.is_stale = false;
            repository.visit = Some((self.number, Errand::Fetch));
            self.tickets.read();
            let known = repository.snapshot.as_ref().and_then(Snapshot::head);
            return Some((self.number, Demand::Fetch(known)));
        }
        if self.fresh.is_empty() || repository.push_at > now {
            return None;
        }
        let (mut draft, names) = self.draft(fill)?;
        let snapshot = core::mem::take(&mut draft.snapshot);
        self.number += 1;
        self.repository.visit = Some((self.number, Errand::Push(snapshot, names)));
        Some((self.number, Demand::Push(draft)))
    }

    /// The commit that puts what is fresh into the newest state; `None`: there is none to be made.
    fn draft(&mut self, fill: &mut dyn FnMut(&mut [u8])) -> Option<(Draft, Vec<String>)> {
        let snapshot = self.repository.snapshot.as_ref()?;
        let secret = self.settings.encryption.as_ref();
        let secret = secret.map(|secret| secret.as_slice());
        let (mut changes, mut names, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for (name, fresh) in &self.fresh {
            // One that can't be read may be mended.
            let Some(Ok(mut host)) = snapshot.file(name).map(Host::parse) else {
                continue;
            };
            if fresh.is_in(&host) {
                done.push(name.clone());
                continue;
            }
            let key = match sealed(&fresh.key, secret, fill) {
                Ok(key) => key,
                Err(why) => {
                    let line = format!("{name}: its key can't be encrypted for the store: {why}");
                    self.remarks.say(Severity::Error, line);
                    continue;
                }
            };
            host.replace(fresh.pair(key));
            changes.push(Change {
                name: name.clone(),
                content: Some(host.to_file()),
            });
            names.push(name.clone());
        }
        let person = Person {
            name: "Stockade".into(),
            email: "stockade@localhost".into(),
        };
        let text = message(&names);
        let draft = snapshot.with(&changes, &person, self.time.unix, &text);
        self.written(&done);
        match draft {
            Some(draft) => Some((draft, names)),
            None => {
                // What is left waits for the store to change.
                self.repository.push_at = self.time.now + self.settings.poll;
                None
            }
        }
    }

    /// What has become of it.
    pub(super) fn visited(&mut self, number: u64, visited: Result<Outcome, Fault<VisitError>>) {
        let visit = &mut self.repository.visit;
        let Some((_, errand)) = visit.take_if(|(known, _)| *known == number) else {
            return;
        };
        match (errand, visited) {
            (Errand::Fetch, Ok(Outcome::Fetched(fetched))) => self.fetched(fetched),
            (Errand::Push(snapshot, names), Ok(Outcome::Pushed)) => {
                self.repository.snapshot = Some(snapshot);
                self.repository.writing = Trouble::default();
                self.repository.races = 0;
                self.written(&names);
            }
            (Errand::Push(..), Err(Fault::Conversation(error)))
                if error.is_stale() && self.repository.races < RACES =>
            {
                self.repository.races += 1;
                self.repository.look_now(self.time.now);
            }
            (Errand::Fetch, Err(fault)) => self.not_fetched(fault.to_string()),
            (Errand::Push(..), Err(fault)) => self.not_pushed(fault.to_string()),
            // The owner has mixed up two visits.
            (Errand::Fetch, Ok(_)) => self.not_fetched("another answer than asked for".into()),
            (Errand::Push(..), Ok(_)) => self.not_pushed("another answer than asked for".into()),
        }
    }

    fn fetched(&mut self, fetched: Fetched) {
        let snapshot = match Snapshot::of(fetched, &self.settings.limits) {
            Ok(snapshot) => snapshot,
            Err(error) => return self.not_fetched(error.to_string()),
        };
        let now = self.time.now;
        let repository = &mut self.repository;
        repository.fetch_at = match repository.is_stale {
            true => now,
            false => now + self.settings.poll,
        };
        if core::mem::take(&mut repository.reading).why.is_some() {
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

    fn not_fetched(&mut self, why: String) {
        self.tickets.fail(&why);
        let repository = &mut self.repository;
        let is_new = repository.reading.add(&why);
        let (most, served) = match repository.snapshot {
            Some(_) => (self.settings.poll, "what was read before is served on"),
            None => (LONGEST_PAUSE, "no host of it is served yet"),
        };
        repository.fetch_at = self.time.now + repository.reading.pause(most);
        repository.push_at = repository.push_at.max(repository.fetch_at);
        if is_new {
            let line = format!("Store: it can't be read, {served}: {why}");
            self.remarks.say(Severity::Error, line);
        }
        self.use_fresh();
    }

    fn not_pushed(&mut self, why: String) {
        let repository = &mut self.repository;
        let is_new = repository.writing.add(&why);
        let pause = repository.writing.pause(self.settings.poll);
        repository.races = 0;
        repository.push_at = self.time.now + pause;
        // It may have been written all the same: that is looked at first.
        repository.fetch_at = repository.fetch_at.min(repository.push_at);
        if is_new {
            let line = format!(
                "Store: it can't be written, new certificates are served all the same: {why}"
            );
            self.remarks.say(Severity::Error, line);
        }
        self.use_fresh();
    }

    /// Serves certificates that can't be written to the store for now.
    pub(super) fn use_fresh(&mut self) {
        let unused = self.fresh.iter_mut().filter(|(_, fresh)| !fresh.is_in_use);
        let names: Vec<String> = unused
            .map(|(name, fresh)| {
                fresh.is_in_use = true;
                name.clone()
            })
            .collect();
        for name in names {
            self.reread(&name);
        }
    }

    /// The certificates of these hosts are in the store now, and the store's state is known.
    fn written(&mut self, names: &[String]) {
        for name in names {
            self.reread(name);
            if let Some(fresh) = self.fresh.remove(name) {
                let date = Date::from_unix(fresh.lifetime.not_after);
                let date = date.rfc3339();
                let line =
                    format!("{name}: its new certificate is in the store, valid until {date}");
                self.remarks.say(Severity::Notice, line);
            }
        }
    }

    /// Takes a state of the store in: what is new, what has changed, what is gone.
    fn take(&mut self, snapshot: Snapshot) {
        let is_host = |(name, _): &(&str, &[u8])| !name.starts_with('.');
        let names = snapshot.files().filter(is_host);
        let mut names: Vec<String> = names.map(|(name, _)| name.into()).collect();
        let left_out = names.len().saturating_sub(MOST_HOSTS);
        if left_out > 0 {
            names.truncate(MOST_HOSTS);
            let line = format!(
                "Store: only {MOST_HOSTS} hosts are served, and {left_out} more are left out"
            );
            self.remarks.say(Severity::Error, line);
        }
        // The snapshot gives them in order.
        let is_known = |name: &String| names.binary_search(name).is_ok();
        let before = self.hosts.len();
        self.hosts.retain(|name, _| is_known(name));
        self.fresh.retain(|name, _| is_known(name));
        self.is_changed |= self.hosts.len() != before;
        let old = self.repository.snapshot.as_ref();
        names.retain(|name| {
            let old = old.and_then(|old| old.file(name));
            old != snapshot.file(name) || !self.hosts.contains_key(name)
        });
        self.repository.snapshot = Some(snapshot);
        for name in &names {
            self.drop_unwanted(name);
            self.reread(name);
        }
        self.check_order();
        self.repository.write_now(self.time.now);
    }

    /// Gives up a fresh certificate whose host's file has changed so that it is not wanted there.
    fn drop_unwanted(&mut self, name: &str) {
        let snapshot = self.repository.snapshot.as_ref();
        let file = snapshot.and_then(|snapshot| snapshot.file(name));
        let (Some(Ok(host)), Some(fresh)) = (file.map(Host::parse), self.fresh.get(name)) else {
            return;
        };
        if let Err(why) = fresh.is_wanted(name, &host, self.time.unix) {
            let line = format!("{name}: its new certificate is not used: {why}");
            self.remarks.say(Severity::Notice, line);
            self.fresh.remove(name);
        }
    }

    /// Understands a host's file as it is in the store, or with the fresh certificate that is used
    /// before it is there.
    fn reread(&mut self, name: &str) {
        let snapshot = self.repository.snapshot.as_ref();
        let Some(content) = snapshot.and_then(|snapshot| snapshot.file(name)) else {
            return;
        };
        let fresh = self.fresh.get(name);
        let secret = self.settings.encryption.as_ref();
        let secret = secret.map(|secret| secret.as_slice());
        let host = Host::parse(content).map_err(|error| error.to_string());
        let host = host.map(|mut host| {
            let in_use = fresh.filter(|fresh| fresh.is_in_use && !fresh.is_in(&host));
            if let Some(fresh) = in_use {
                host.replace(fresh.pair(String::clone(&fresh.key)));
            }
            host
        });
        let is_ours = |host: &Host| fresh.is_some_and(|fresh| fresh.is_in(host));
        let is_ours = host.as_ref().is_ok_and(is_ours);
        let settings = &self.settings;
        let read = host.and_then(|host| File::read(name, &host, secret, settings));
        let is_new = !self.hosts.contains_key(name);
        let kept = self.hosts.entry(name.into()).or_default();
        match &read {
            Ok(_) => self.is_changed = true,
            Err(why) => {
                let line = format!("{name}: its file in the store can't be used: {why}");
                self.remarks.say(Severity::Error, line);
            }
        }
        kept.update(read, is_ours);
        if !is_ours {
            kept.renewal.hurry();
        }
        let is_asked = is_new && self.settings.issuer.is_some();
        if let Some(why) = kept.obstacle().filter(|_| is_asked) {
            let line = format!("{name}: its certificate can't be renewed: {why}");
            self.remarks.say(Severity::Warning, line);
        }
    }
}

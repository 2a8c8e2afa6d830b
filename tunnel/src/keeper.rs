//! Keeps hosts' certificates: reads the store, has certificates renewed, writes them to the store.
//!
//! Here is what is to be done and when, and nothing that does it. Whoever owns a keeper carries out
//! what it demands, one conversation with another machine each, and hands the replies back:
//!
//! ```text
//! demand ──► the owner: a connection of its own, with a deadline ──► reply ─┐
//!   ▲                                                                      │
//!   └───────────────────────── Keeper ◄────────────────────────────────────┘
//!                                └──► sites: to be put in force, then installed()
//! ```

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{fmt, time::Duration};

use acme::renewal::Lifetime;
use net::Instant;
use store::{
    git::ObjectId,
    snapshot::Draft,
    visit::{Outcome, VisitError},
};

use crate::{hosting::Sites, journal::Severity};

mod fresh;
mod host;
mod office;
mod remarks;
mod renewal;
mod settings;
mod storing;
mod tickets;

#[cfg(test)]
mod tests;

pub use settings::Settings;

use fresh::Fresh;
use host::Kept;
use office::Office;
use remarks::Remarks;
use storing::Repository;
use tickets::Tickets;

/// Most hosts of a store; what is beyond them in the order of names is left out.
const MOST_HOSTS: usize = 4096;

/// How long a look at the clock on the wall may count: it can be set while nobody looks.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970, UTC; may jump.
    pub unix: u64,
    /// The machine's clock, which never does.
    pub now: Instant,
}

/// A conversation with another machine, to be had now.
pub enum Demand {
    /// Read the store, unless it is still at this commit.
    Fetch(Option<ObjectId>),
    /// Move the store's branch to this commit.
    Push(Draft),
    /// Ask the authority over HTTPS.
    Request(Request),
}

/// One HTTP request to an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'static str,
    /// Where to: `https://HOST[:PORT]/PATH`.
    pub url: String,
    /// Its content, of the type `application/jose+json`; empty for the others.
    pub body: Vec<u8>,
}

/// What has become of a demand.
pub enum Reply {
    /// Of [`Demand::Fetch`] and [`Demand::Push`].
    Visited(Result<Outcome, Fault<VisitError>>),
    /// Of [`Demand::Request`]: the answer, whatever its status.
    Answered(Result<acme::Response, Fault<HttpError>>),
}

/// Why there was no conversation, or none to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault<E> {
    /// The name has no address, or nobody could be reached: why, in words.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// The TLS connection: why, in words.
    Tls(String),
    /// The conversation itself.
    Conversation(E),
}

/// Why what came is no HTTP response (RFC 9112).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is none that can be asked.
    Url,
    /// What came is no response.
    Malformed,
    /// It is longer than any answer of an authority.
    TooLong,
    /// It ended in the midst.
    Cut,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "the address is no https:// address",
            Self::Malformed => "the answer is no HTTP response",
            Self::TooLong => "the answer is too long",
            Self::Cut => "the connection ended before the answer did",
        })
    }
}

impl<E: fmt::Display> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::TimedOut => f.write_str("it took too long"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Conversation(error) => error.fmt(f),
        }
    }
}

/// What came of a notice that the store has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The store was read; so many hosts are served. Hosts whose files can't be used stand by their
    /// names, with the reason.
    Done {
        /// Hosts that are served.
        hosts: usize,
        /// Those that are not, or not as their files say, and why.
        troubles: Vec<(String, String)>,
    },
    /// The store could not be read: why, in words. What was served is served on.
    Failed(String),
}

/// How one host is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// The last second of its certificate, since 1970, UTC; `None`: it has none that can be used.
    pub not_after: Option<u64>,
    /// When it is to be renewed, or tried again; `None`: nobody renews it.
    pub next: Option<u64>,
    /// Why the last try has failed; `None`: it has not.
    pub trouble: Option<String>,
}

/// What is kept for the hosts of a store. See [the module](self).
///
/// After every call that takes time, ask for [`demand`](Self::demand)s, [`sites`](Self::sites),
/// [`concluded`](Self::concluded) and [`remark`](Self::remark)s until there are none; and again at the
/// moment that [`due`](Self::due) says. Of the store and of the authority, one demand each is out at
/// most.
pub struct Keeper {
    settings: Settings,
    time: Time,
    /// Of the last demand.
    number: u64,
    repository: Repository,
    office: Office,
    hosts: BTreeMap<String, Kept>,
    /// Certificates that are not yet in the store, by their hosts.
    fresh: BTreeMap<String, Fresh>,
    /// Whether what is to be served has changed since it was asked for.
    is_changed: bool,
    /// Whether what was given out last is not yet said to be in force.
    is_given: bool,
    tickets: Tickets,
    remarks: Remarks,
    due: Option<Instant>,
}

impl Keeper {
    /// Begins: the store is to be read at once.
    pub fn new(settings: Settings) -> Keeper {
        let now = Instant::ZERO;
        Keeper {
            settings,
            time: Time { unix: 0, now },
            number: 0,
            repository: Repository::default(),
            office: Office::default(),
            hosts: BTreeMap::new(),
            fresh: BTreeMap::new(),
            is_changed: true,
            is_given: false,
            tickets: Tickets::default(),
            remarks: Remarks::default(),
            due: Some(now),
        }
    }

    /// The next conversation that is to be had, with its number for [`reply`](Self::reply); `fill`
    /// gives unpredictable bytes.
    pub fn demand(&mut self, time: Time, fill: &mut dyn FnMut(&mut [u8])) -> Option<(u64, Demand)> {
        if self.due.is_none_or(|due| time.now < due) {
            return None;
        }
        self.time = time;
        let demand = self.visit(fill);
        let demand = demand.or_else(|| self.consult(fill));
        self.look_ahead();
        demand
    }

    /// What has become of the demand with this number.
    pub fn reply(
        &mut self,
        number: u64,
        reply: Reply,
        time: Time,
        fill: &mut dyn FnMut(&mut [u8]),
    ) {
        self.time = time;
        match reply {
            Reply::Visited(visited) => self.visited(number, visited),
            Reply::Answered(answered) => self.answered(number, answered, fill),
        }
        self.look_ahead();
    }

    /// When to ask for demands again; `None`: when there is a reply.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be in force from now on, if that has changed. [`installed`](Self::installed) is to
    /// follow.
    pub fn sites(&mut self) -> Option<Sites> {
        if !core::mem::take(&mut self.is_changed) {
            return None;
        }
        self.is_given = true;
        let mut sites = self.settings.sites.clone();
        let files = self.hosts.values().filter_map(|kept| kept.file.as_ref());
        sites.hosts.extend(files.map(|file| file.site.clone()));
        if let Some(order) = self.office.order() {
            sites.tokens.clone_from(&order.tokens);
            sites.proofs.clone_from(&order.proofs);
        }
        Some(sites)
    }

    /// The sites that were given out last are in force, or why they are not.
    pub fn installed(&mut self, result: Result<(), Vec<String>>) {
        // What has changed since then is not in force: what follows is to be waited for.
        let is_latest = core::mem::take(&mut self.is_given) && !self.is_changed;
        let errors = result.err().unwrap_or_default();
        for error in &errors {
            let line = alloc::format!("Store: what is to be served can't be: {error}");
            self.remarks.say(Severity::Error, line);
        }
        if is_latest {
            self.published(&errors);
            self.conclude(errors);
        }
        self.look_ahead();
    }

    /// How to get into the store's machine.
    pub fn access(&self) -> &store::visit::Access {
        &self.settings.access
    }

    /// How much it may say.
    pub fn limits(&self) -> store::git::Limits {
        self.settings.limits
    }

    /// PEM certificates that the authority's own is trusted by; `None`: the public ones of authorities that offer ACME.
    pub fn roots(&self) -> Option<&[u8]> {
        self.settings.issuer.as_ref()?.roots.as_deref()
    }

    /// Somebody says that the store has changed. What comes of it is [`concluded`](Self::concluded)
    /// with the number that is given here.
    pub fn notice(&mut self, time: Time) -> u64 {
        self.time = time;
        self.repository.look_now(time.now);
        for kept in self.hosts.values_mut() {
            kept.renewal.hurry();
        }
        let ticket = self.tickets.draw();
        self.look_ahead();
        ticket
    }

    /// A notice's number, and what has come of it.
    pub fn concluded(&mut self) -> Option<(u64, Reloaded)> {
        self.tickets.concluded()
    }

    /// How the hosts are doing: those of the boot archive, then those of the store by their names.
    pub fn status(&self) -> Vec<HostStatus> {
        let files = self.settings.sites.hosts.iter().map(|site| HostStatus {
            name: site.names.first().cloned().unwrap_or_default(),
            not_after: Lifetime::of(&site.chain).map(|lifetime| lifetime.not_after),
            next: None,
            trouble: None,
        });
        let status = |(name, kept): (&String, &Kept)| {
            let is_renewed = self.settings.issuer.is_some();
            let obstacle = kept.obstacle().filter(|_| is_renewed);
            let renewal = kept.renewal.trouble();
            let trouble = kept.fault.as_deref().or(obstacle).or(renewal);
            HostStatus {
                name: name.clone(),
                not_after: kept.lifetime().map(|lifetime| lifetime.not_after),
                next: self.next_try(name, kept).filter(|_| is_renewed),
                trouble: trouble.map(String::from),
            }
        };
        files.chain(self.hosts.iter().map(status)).collect()
    }

    /// When a host's certificate is to be renewed or tried again, seconds since 1970, UTC.
    fn next_try(&self, name: &str, kept: &Kept) -> Option<u64> {
        let wanted = kept.wanted_at()?;
        if self.office.is_ordering_for(name) {
            return Some(self.time.unix);
        }
        let not_before = kept.renewal.not_before();
        let pause = not_before.saturating_duration_since(self.time.now);
        Some(wanted.max(self.time.unix.saturating_add(pause.as_secs())))
    }

    /// A line for the log.
    pub fn remark(&mut self) -> Option<(Severity, String)> {
        self.remarks.next()
    }

    /// Decides when there is something to do again.
    fn look_ahead(&mut self) {
        let latest = self.time.now + LONGEST_LOOK;
        let repository = self.repository.due(!self.fresh.is_empty());
        let due = repository.into_iter().chain(self.office_due()).min();
        self.due = due.map(|due| due.min(latest));
    }

    /// Hosts that are not as their files say.
    fn troubles(&self) -> Vec<(String, String)> {
        let trouble = |(name, kept): (&String, &Kept)| Some((name.clone(), kept.fault.clone()?));
        self.hosts.iter().filter_map(trouble).collect()
    }

    /// Tells everybody whose notice was heeded what has come of it.
    fn conclude(&mut self, errors: Vec<String>) {
        let mut troubles = self.troubles();
        let all = |error| (String::from("*"), error);
        troubles.extend(errors.into_iter().map(all));
        let files = self.hosts.values().filter(|kept| kept.file.is_some());
        let hosts = files.count();
        self.tickets.conclude(&Reloaded::Done { hosts, troubles });
    }
}

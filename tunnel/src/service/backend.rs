//! Where accepted connections go: one address or several, and which of them is next.

use alloc::{format, string::String, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use config::{Connect, Host, stunnel::HOST_SOCKETS};
use net::{Addresses, Instant, QueryId, ResolveError};

use crate::journal::Address;

#[cfg(test)]
mod tests;

/// How long a resolved name is used before it is looked up again.
const NAME_LIFETIME: Duration = Duration::from_secs(60);

/// The same with `delay`, where every connection looks names up: those that come while one answer
/// is fresh share it.
const DELAYED_NAME_LIFETIME: Duration = Duration::from_secs(1);

/// How long after a failed look-up the next one may follow.
pub const RETRY: Duration = Duration::from_secs(5);

/// Where accepted connections go, and what is known of the addresses.
pub struct Backend {
    targets: Vec<Target>,
    failover: Failover,
    /// Names are looked up for each connection.
    delay: bool,
    /// Entry at which the next connection begins, with round robin.
    turn: usize,
}

/// In which order the addresses are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failover {
    /// Always from the first.
    #[default]
    Priority,
    /// Each connection begins one further than the one before.
    RoundRobin,
}

/// A place to connect to, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The default gateway, whichever is in force; IPv4's before IPv6's.
    Gateway,
    /// What the host calls itself, which from here is the default gateway. With an address, that
    /// family's gateway first.
    Loopback(Option<IpAddr>),
    /// A literal address.
    Address(IpAddr),
    /// A name to be looked up.
    Name(String),
    /// A UNIX socket of the host, by its path; the port of [`HOST_SOCKETS`] stands for it.
    Unix(String),
    /// A program of the host, by its path; a port of [`HOST_SOCKETS`] stands for it, too. It is told
    /// first who its client is ([`config::introduction`]).
    Program(String),
}

/// An address to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The address.
    pub address: SocketAddr,
    /// The configuration calls it its own host's: there the way is no way at all, and
    /// `TIMEOUTconnect = 0` works.
    pub loopback: bool,
}

struct Target {
    place: Place,
    port: u16,
    /// What the name stands for; unused by places without one.
    resolved: Vec<IpAddr>,
    query: Option<QueryId>,
    /// When to look the name up again, if somebody needs it then.
    refresh: Instant,
}

impl Backend {
    /// The backend that the command line's `--connect` names.
    pub fn new(connect: &Connect) -> Self {
        let place = match &connect.host {
            None => Place::Gateway,
            Some(Host::Address(address)) => Place::Address(*address),
            Some(Host::Name(name)) => Place::Name(name.clone()),
        };
        Self::of([(place, connect.port)], Failover::Priority, false)
    }

    /// None: clients are handed over, or name one themselves, or are answered here.
    pub fn none() -> Self {
        Self::of([], Failover::Priority, false)
    }

    /// Several places with their ports, in the order in which they are tried. With `delay`, names
    /// are looked up for each connection.
    pub fn of(
        places: impl IntoIterator<Item = (Place, u16)>,
        failover: Failover,
        delay: bool,
    ) -> Self {
        let target = |(place, port)| Target {
            place,
            port,
            resolved: Vec::new(),
            query: None,
            refresh: Instant::ZERO,
        };
        Self {
            targets: places.into_iter().map(target).collect(),
            // stunnel(8): "delay ... implies failover = prio".
            failover: if delay { Failover::Priority } else { failover },
            delay,
            turn: 0,
        }
    }

    /// Lets round robin begin anywhere: images that start together then don't all begin at one
    /// backend.
    pub fn shuffle(&mut self, random: u64) {
        self.turn = usize::try_from(random % (1 << 16)).unwrap_or(0);
    }

    /// The addresses known now, in the order of the configuration.
    pub fn candidates<'a>(
        &'a self,
        addresses: &'a Addresses,
    ) -> impl Iterator<Item = Candidate> + 'a {
        self.targets
            .iter()
            .flat_map(|target| target.candidates(addresses))
    }

    /// Each place as it was named; where there is none, who names it.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let clients = self.targets.is_empty().then(|| format!("{self}"));
        let named = self.targets.iter().map(|target| format!("{target}"));
        named.chain(clients)
    }

    /// Whether there is more than one.
    pub fn has_choice(&self, addresses: &Addresses) -> bool {
        self.candidates(addresses).nth(1).is_some()
    }

    /// The first address as it is known now, or what it was named.
    pub fn described<'a>(&'a self, addresses: &'a Addresses) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| match self.candidates(addresses).next() {
            Some(candidate) => fmt::Display::fmt(&self.shown(candidate.address), f),
            None => fmt::Display::fmt(self, f),
        })
    }

    /// An address of this backend, as the log says it.
    pub fn shown(&self, address: SocketAddr) -> Address<'_> {
        let stands_for = |target: &Target| match &target.place {
            Place::Unix(_) | Place::Program(_) => {
                address == SocketAddr::new(HOST_SOCKETS.into(), target.port)
            }
            _ => false,
        };
        let target = self.targets.iter().find(|target| stands_for(target));
        match target.map(|target| &target.place) {
            Some(Place::Unix(path)) => Address::Unix(path),
            Some(Place::Program(path)) => Address::Program(path),
            _ => Address::Tcp(address),
        }
    }

    /// Whether round robin decides.
    pub fn is_round_robin(&self) -> bool {
        self.failover == Failover::RoundRobin
    }

    /// The entry among `count` at which the next connection begins.
    fn begin(&mut self, count: usize) -> usize {
        match self.failover {
            Failover::Priority => 0,
            Failover::RoundRobin => {
                let entry = self.turn.checked_rem(count).unwrap_or(0);
                self.turn = self.turn.wrapping_add(1);
                entry
            }
        }
    }

    /// Asks `resolve` for every name that is due: nothing is known of it, or what is known is
    /// old. `connection`: one waits for it. Names to be looked up for each connection are left
    /// alone without one.
    pub fn look_up(
        &mut self,
        now: Instant,
        connection: bool,
        mut resolve: impl FnMut(&str) -> Result<QueryId, ResolveError>,
        mut failed: impl FnMut(&str, ResolveError),
    ) {
        if self.delay && !connection {
            return;
        }
        for target in &mut self.targets {
            if let Place::Name(name) = &target.place
                && target.query.is_none()
                && now >= target.refresh
            {
                match resolve(name) {
                    Ok(query) => target.query = Some(query),
                    Err(error) => {
                        failed(name, error);
                        target.refresh = now + RETRY;
                    }
                }
            }
        }
    }

    /// Takes over what is known of the same names, and being told of answers that are on their
    /// way: a backend that replaces another need not begin without an address.
    pub fn learn(&mut self, known: &Backend) {
        let same_pace = self.delay == known.delay;
        for target in &mut self.targets {
            let is_new = target.query.is_none() && target.resolved.is_empty();
            if !is_new || !matches!(target.place, Place::Name(_)) {
                continue;
            }
            let same = |known: &&Target| known.place == target.place;
            if let Some(known) = known.targets.iter().find(same) {
                target.resolved.clone_from(&known.resolved);
                target.query = known.query;
                if same_pace {
                    target.refresh = known.refresh;
                }
            }
        }
    }

    /// Whether a connection does better to wait for an answer than to begin: with `delay` for
    /// each name's, else only while there is no address at all.
    pub fn is_worth_waiting(&self, addresses: &Addresses) -> bool {
        let asked = self.targets.iter().any(|target| target.query.is_some());
        asked && (self.delay || self.candidates(addresses).next().is_none())
    }

    /// When [`look_up`](Self::look_up) has to be called again though nobody dials: only as long
    /// as a name has no address at all.
    pub fn retry_at(&self) -> Option<Instant> {
        if self.delay {
            return None;
        }
        let waits = |target: &&Target| {
            matches!(target.place, Place::Name(_))
                && target.query.is_none()
                && target.resolved.is_empty()
        };
        self.targets
            .iter()
            .filter(waits)
            .map(|target| target.refresh)
            .min()
    }

    /// Takes the answer if `query` was ours, and gives the name that was asked for; addresses
    /// once known are kept when a later look-up fails.
    pub fn resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) -> Option<&str> {
        let asked = |target: &&mut Target| target.query == Some(query);
        let target = self.targets.iter_mut().find(asked)?;
        target.query = None;
        let Place::Name(name) = &target.place else {
            return None;
        };
        let lifetime = if self.delay {
            DELAYED_NAME_LIFETIME
        } else {
            NAME_LIFETIME
        };
        target.refresh = match result {
            Ok(addresses) => {
                target.resolved.clone_from(addresses);
                now + lifetime
            }
            Err(_) => now + RETRY.min(lifetime),
        };
        Some(name)
    }
}

impl Target {
    fn candidates<'a>(&'a self, addresses: &'a Addresses) -> impl Iterator<Item = Candidate> + 'a {
        let v4 = addresses.ipv4_gateway.map(IpAddr::V4);
        let v6 = addresses.ipv6_gateway.map(IpAddr::V6);
        let (first, second, named, loopback) = match &self.place {
            Place::Gateway => (v4, v6, &[][..], false),
            Place::Loopback(None) => (v4, v6, &[][..], true),
            Place::Loopback(Some(IpAddr::V4(_))) => (v4.or(v6), None, &[][..], true),
            Place::Loopback(Some(IpAddr::V6(_))) => (v6.or(v4), None, &[][..], true),
            Place::Address(address) => (Some(*address), None, &[][..], false),
            Place::Unix(_) | Place::Program(_) => (Some(HOST_SOCKETS.into()), None, &[][..], true),
            Place::Name(_) => (None, None, self.resolved.as_slice(), false),
        };
        let known = first.into_iter().chain(second);
        known
            .chain(named.iter().copied())
            .map(move |address| Candidate {
                address: SocketAddr::new(address, self.port),
                loopback,
            })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.place {
            Place::Gateway => write!(f, "gateway:{port}"),
            Place::Loopback(None) => write!(f, "localhost:{port}"),
            Place::Loopback(Some(address)) | Place::Address(address) => {
                SocketAddr::new(*address, port).fmt(f)
            }
            Place::Name(name) => write!(f, "{name}:{port}"),
            Place::Unix(path) => Address::Unix(path).fmt(f),
            Place::Program(path) => Address::Program(path).fmt(f),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.targets.is_empty() {
            // A dialect's.
            return f.write_str("where clients ask to go");
        }
        for (index, target) in self.targets.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            target.fmt(f)?;
        }
        Ok(())
    }
}

/// One connection's way through its backend's addresses: each is tried once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    /// Tried before all others, because the session that is resumed went there.
    preferred: Option<SocketAddr>,
    preferred_tried: bool,
    /// The entry that the order begins with; chosen once, when it is first needed.
    first: Option<usize>,
    /// Entries passed, the preferred one included where it stands in the list.
    passed: usize,
}

impl Route {
    /// Tries `address` first, if the backend still has it.
    pub fn prefer(&mut self, address: SocketAddr) {
        self.preferred = Some(address);
    }

    /// Whether an address was given.
    pub fn is_begun(&self) -> bool {
        self.preferred_tried || self.passed > 0
    }

    /// The entry that the order begins with, once it is used.
    pub fn entry(&self) -> Option<usize> {
        self.first.filter(|_| self.passed > 0)
    }

    /// The next address to dial; `None` when there is none left.
    pub fn next(&mut self, backend: &mut Backend, addresses: &Addresses) -> Option<Candidate> {
        if let Some(preferred) = self.preferred
            && !self.preferred_tried
        {
            self.preferred_tried = true;
            let mut candidates = backend.candidates(addresses);
            if let Some(candidate) = candidates.find(|known| known.address == preferred) {
                return Some(candidate);
            }
            self.preferred = None;
        }
        let count = backend.candidates(addresses).count();
        if count == 0 {
            // Nothing is known yet: the order begins when something is.
            return None;
        }
        let first = *self.first.get_or_insert_with(|| backend.begin(count));
        while self.passed < count {
            let entry = (first + self.passed) % count;
            self.passed += 1;
            let candidate = backend.candidates(addresses).nth(entry)?;
            if self.preferred != Some(candidate.address) {
                return Some(candidate);
            }
        }
        None
    }

    /// The address that [`next`](Self::next) would give, which it then will.
    pub fn peek(&mut self, backend: &mut Backend, addresses: &Addresses) -> Option<Candidate> {
        let before = *self;
        let candidate = self.next(backend, addresses);
        let first = self.first;
        *self = Self { first, ..before };
        candidate
    }
}

//! Sessions kept for resumption, each side's in a table with a fixed bound.
//!
//! When a table is full, the entry that was used least recently makes room.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::StoresServerSessions;
use spin::Mutex;
use zeroize::Zeroizing;

use crate::WallClock;

/// How long a server remembers a session, in seconds: the lifetime that rustls announces to clients
/// for sessions that are not tickets.
const SERVER_LIFETIME: u64 = 24 * 60 * 60;

/// TLS 1.3 tickets kept for each server. Each is used once (RFC 8446 appendix C.4); servers send
/// two or so with every handshake.
const TICKETS_PER_SERVER: usize = 8;

/// The server's sessions, by the random identifier that rustls draws.
pub(crate) struct ServerSessions {
    clock: WallClock,
    table: Mutex<Table<Vec<u8>, Stored>>,
}

struct Stored {
    state: Zeroizing<Vec<u8>>,
    since: u64,
}

impl ServerSessions {
    pub(crate) fn new(bound: usize, clock: WallClock) -> ServerSessions {
        ServerSessions {
            clock,
            table: Mutex::new(Table::new(bound)),
        }
    }

    fn is_fresh(&self, stored: &Stored) -> bool {
        self.clock
            .now()
            .checked_sub(stored.since)
            .is_some_and(|age| age < SERVER_LIFETIME)
    }
}

impl StoresServerSessions for ServerSessions {
    fn put(&self, key: Vec<u8>, state: Vec<u8>) -> bool {
        let stored = Stored {
            state: Zeroizing::new(state),
            since: self.clock.now(),
        };
        self.table.lock().insert(key, stored)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut table = self.table.lock();
        let stored = table.touch(key)?;
        self.is_fresh(stored).then(|| stored.state.to_vec())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let stored = self.table.lock().remove(key)?;
        self.is_fresh(&stored).then(|| stored.state.to_vec())
    }

    fn can_cache(&self) -> bool {
        self.table.lock().bound > 0
    }
}

impl fmt::Debug for ServerSessions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServerSessions").finish_non_exhaustive()
    }
}

/// The client's sessions, by server name.
pub(crate) struct ClientSessions(Mutex<Table<String, Server>>);

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl ClientSessions {
    pub(crate) fn new(bound: usize) -> ClientSessions {
        ClientSessions(Mutex::new(Table::new(bound)))
    }

    /// Changes what is kept for a server, which is added when it is new.
    fn change(&self, name: &ServerName<'_>, change: impl FnOnce(&mut Server)) {
        let name = key_of(name);
        let mut table = self.0.lock();
        if let Some(server) = table.touch(name.as_str()) {
            return change(server);
        }
        let mut server = Server::default();
        change(&mut server);
        table.insert(name, server);
    }

    fn look<R>(&self, name: &ServerName<'_>, look: impl FnOnce(&mut Server) -> R) -> Option<R> {
        self.0.lock().touch(key_of(name).as_str()).map(look)
    }
}

impl ClientSessionStore for ClientSessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.change(&name, |server| server.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.look(name, |server| server.group).flatten()
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.change(&name, |server| server.tls12 = Some(session));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.look(name, |server| server.tls12.clone()).flatten()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.look(name, |server| server.tls12 = None);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.change(&name, |server| {
            if server.tls13.len() == TICKETS_PER_SERVER {
                server.tls13.pop_front();
            }
            server.tls13.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.look(name, |server| server.tls13.pop_back()).flatten()
    }
}

impl fmt::Debug for ClientSessions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ClientSessions").finish_non_exhaustive()
    }
}

fn key_of(name: &ServerName<'_>) -> String {
    match name {
        ServerName::DnsName(name) => name.as_ref().to_ascii_lowercase(),
        // Addresses alone are written like this, so no name can be taken for one.
        other => format!("{other:?}"),
    }
}

/// A map with at most `bound` entries that forgets the least recently used.
struct Table<K, V> {
    bound: usize,
    entries: BTreeMap<K, Entry<V>>,
    /// Keys by when they were last used; one for every entry.
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

struct Entry<V> {
    value: V,
    used: u64,
}

impl<K: Ord + Clone, V> Table<K, V> {
    fn new(bound: usize) -> Table<K, V> {
        Table {
            bound,
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// Adds or replaces an entry; false when the bound is zero.
    fn insert(&mut self, key: K, value: V) -> bool {
        if self.bound == 0 {
            return false;
        }
        self.remove(&key);
        if self.entries.len() >= self.bound
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        let used = self.next_use();
        self.by_use.insert(used, key.clone());
        self.entries.insert(key, Entry { value, used });
        true
    }

    /// The value, which now counts as used.
    fn touch<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: core::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let used = self.next_use();
        let entry = self.entries.get_mut(key)?;
        if let Some(key) = self.by_use.remove(&entry.used) {
            self.by_use.insert(used, key);
        }
        entry.used = used;
        Some(&mut entry.value)
    }

    fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: core::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        Some(entry.value)
    }

    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }
}

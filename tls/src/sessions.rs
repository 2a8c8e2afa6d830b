//! Sessions kept for resumption, each side's in a table with a fixed bound.
//!
//! When a table is full, the entry that was used least recently makes room.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use spin::Mutex;
use zeroize::Zeroizing;

use crate::WallClock;

/// TLS 1.3 tickets kept for each server. Each is used once (RFC 8446 appendix C.4); servers send
/// two or so with every handshake.
const TICKETS_PER_SERVER: usize = 8;

/// The server's sessions, by the random identifier that rustls draws. How old they may be is their
/// reader's business.
pub(crate) struct ServerSessions(Mutex<Table<Vec<u8>, Zeroizing<Vec<u8>>>>);

impl ServerSessions {
    pub(crate) fn new(bound: usize) -> ServerSessions {
        ServerSessions(Mutex::new(Table::new(bound)))
    }

    /// Keeps a session; false where none is kept.
    pub(crate) fn put(&self, key: Vec<u8>, session: Vec<u8>) -> bool {
        self.0.lock().insert(key, Zeroizing::new(session))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.lock().touch(key).map(|session| session.clone())
    }

    pub(crate) fn take(&self, key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.lock().remove(key)
    }

    /// Replaces a session that is still there by what `change` makes of it.
    pub(crate) fn change(&self, key: &[u8], change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        let mut table = self.0.lock();
        let Some(entry) = table.entries.get_mut(key) else {
            return;
        };
        if let Some(changed) = change(&entry.value) {
            entry.value = Zeroizing::new(changed);
        }
    }
}

/// A client's sessions, by session key and server name.
pub(crate) struct ClientSessions {
    clock: WallClock,
    /// Of sessions, in seconds.
    lifetime: u64,
    table: Mutex<Table<String, Server>>,
}

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Aged<Tls12ClientSessionValue>>,
    tls13: VecDeque<Aged<Tls13ClientSessionValue>>,
}

/// Something, and since when it has been there, in Unix seconds.
#[derive(Clone)]
struct Aged<T> {
    value: T,
    since: u64,
}

impl ClientSessions {
    pub(crate) fn new(bound: usize, clock: WallClock, lifetime: u64) -> ClientSessions {
        ClientSessions {
            clock,
            lifetime,
            table: Mutex::new(Table::new(bound)),
        }
    }

    /// Changes what is kept for a server, which is added when it is new.
    fn change(&self, key: String, change: impl FnOnce(&mut Server)) {
        let mut table = self.table.lock();
        if let Some(server) = table.touch(key.as_str()) {
            return change(server);
        }
        let mut server = Server::default();
        change(&mut server);
        table.insert(key, server);
    }

    fn look<R>(&self, key: &str, look: impl FnOnce(&mut Server) -> R) -> Option<R> {
        self.table.lock().touch(key).map(look)
    }

    fn aged<T>(&self, value: T) -> Aged<T> {
        let since = self.clock.now();
        Aged { value, since }
    }

    fn if_fresh<T>(&self, aged: Aged<T>) -> Option<T> {
        let age = self.clock.now().checked_sub(aged.since);
        age.is_some_and(|age| age < self.lifetime)
            .then_some(aged.value)
    }
}

/// The sessions of one session key, where rustls looks for them.
pub(crate) struct KeyedSessions {
    pub(crate) sessions: Arc<ClientSessions>,
    pub(crate) key: String,
}

impl KeyedSessions {
    fn key_of(&self, name: &ServerName<'_>) -> String {
        let name = match name {
            ServerName::DnsName(name) => name.as_ref().to_ascii_lowercase(),
            // Addresses alone are written like this, so no name can be taken for one.
            other => format!("{other:?}"),
        };
        // No name has this character, so no two pairs look alike.
        format!("{name}\n{}", self.key)
    }
}

impl ClientSessionStore for KeyedSessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        let key = self.key_of(&name);
        self.sessions
            .change(key, |server| server.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.sessions
            .look(&self.key_of(name), |server| server.group)
            .flatten()
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        let session = self.sessions.aged(session);
        self.sessions
            .change(self.key_of(&name), |server| server.tls12 = Some(session));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = self
            .sessions
            .look(&self.key_of(name), |server| server.tls12.clone())
            .flatten()?;
        self.sessions.if_fresh(session)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.sessions
            .look(&self.key_of(name), |server| server.tls12 = None);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let ticket = self.sessions.aged(ticket);
        self.sessions.change(self.key_of(&name), |server| {
            if server.tls13.len() == TICKETS_PER_SERVER {
                server.tls13.pop_front();
            }
            server.tls13.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The newest; where that is too old, so are the others.
        let ticket = self
            .sessions
            .look(&self.key_of(name), |server| server.tls13.pop_back())
            .flatten()?;
        self.sessions.if_fresh(ticket)
    }
}

impl fmt::Debug for KeyedSessions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KeyedSessions").finish_non_exhaustive()
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

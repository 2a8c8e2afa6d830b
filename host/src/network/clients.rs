//! Clients: listeners, and what is done with those who come to them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use stockade_net::{ConnectError, StreamId};

use super::engine::{Engine, SHORTAGE};
use super::guest::Guest;
use super::listener::Listener;
use super::poller::{Interest, Poller, Token};
use super::relay::{self, Relay};
use super::route::is_shortage;
use super::table::{Key, Table};
use super::{Bound, Forward, GATEWAY_IPV4, GUEST_IPV4, GUEST_IPV6, HOST_SOCKETS};
use crate::Error;

/// Clients taken from one listener before others get their turn.
const BURST: usize = 64;

/// A listener, and whether clients may wait in its backlog.
struct Entry {
    listener: Listener,
    ready: bool,
    /// The machine is not ready for its clients.
    waits: bool,
}

impl Entry {
    fn is_due(&self) -> bool {
        self.ready && !self.waits
    }
}

/// What is listened on.
pub(super) struct Listeners {
    entries: Table<Entry>,
    /// A machine serves.
    pub(super) accepting: bool,
    /// The first client is the last.
    pub(super) takes_one: bool,
    /// Descriptors ran out: nobody is taken until then.
    paused: Option<Instant>,
}

impl Listeners {
    pub(super) fn new() -> Listeners {
        Listeners {
            entries: Table::new(),
            accepting: false,
            takes_one: false,
            paused: None,
        }
    }

    /// Someone may have come to a listener.
    pub(super) fn note(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.ready = true;
        }
    }

    /// A connection has ended, and its descriptor is free.
    pub(super) fn relieved(&mut self) {
        self.paused = None;
    }

    /// See [`Network::bind`](super::Network::bind).
    pub(super) fn bind(
        &mut self,
        forwards: &[Forward],
        waits: bool,
        poller: &Poller,
    ) -> Result<Vec<Bound>, Error> {
        let mut fresh = Vec::new();
        let done = self.bind_each(forwards, poller, &mut fresh);
        if done.is_err() {
            for key in fresh {
                self.entries.remove(key);
            }
        } else if waits {
            for (key, entry) in self.entries.iter_mut() {
                let mut wanted = forwards.iter();
                let leads_elsewhere = wanted
                    .find(|wanted| entry.listener.serves(wanted))
                    .is_some_and(|wanted| wanted.guest_port != entry.listener.forward.guest_port);
                entry.waits |= leads_elsewhere || fresh.contains(&key);
            }
        }
        done
    }

    fn bind_each(
        &mut self,
        forwards: &[Forward],
        poller: &Poller,
        fresh: &mut Vec<Key>,
    ) -> Result<Vec<Bound>, Error> {
        let mut keys = Vec::new();
        for forward in forwards {
            let known = self.find(forward);
            // Port 0 twice is two free ports.
            let again = forward.listen.address().is_some_and(|at| at.port() == 0);
            keys.push(match known.filter(|key| !(again && keys.contains(key))) {
                Some(key) => key,
                None => {
                    let key = self.open(forward, poller)?;
                    fresh.push(key);
                    key
                }
            });
        }
        let mut bound = Vec::new();
        for (key, forward) in keys.into_iter().zip(forwards) {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.listener.restyle(&forward.listen)?;
                bound.push(Bound {
                    listen: entry.listener.real.clone(),
                    guest_port: forward.guest_port,
                });
            }
        }
        Ok(bound)
    }

    fn open(&mut self, forward: &Forward, poller: &Poller) -> Result<Key, Error> {
        self.entries.insert_with(|key| {
            let listener = Listener::bind(forward)?;
            poller
                .add(&listener.socket, Token::Listener(key), Interest::Changes)
                .map_err(|error| Error::NetworkStart(error.into()))?;
            Ok(Entry {
                listener,
                ready: true,
                waits: false,
            })
        })
    }

    fn find(&mut self, forward: &Forward) -> Option<Key> {
        let mut entries = self.entries.iter_mut();
        let found = entries.find(|(_, entry)| entry.listener.serves(forward));
        found.map(|(key, _)| key)
    }

    /// See [`Network::retire`](super::Network::retire).
    pub(super) fn retire(&mut self, keep: &[Forward]) {
        self.entries.extract(|entry| {
            entry.waits = false;
            let kept = keep.iter().find(|forward| entry.listener.serves(forward));
            if let Some(forward) = kept {
                entry.listener.forward.guest_port = forward.guest_port;
            }
            kept.is_none()
        });
    }

    /// Takes the next client, and the port of the guest that it is led to.
    fn next(&mut self) -> Option<Client> {
        if !self.accepting || self.paused.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.paused = None;
        let client = self.accept()?;
        if self.takes_one {
            self.entries.extract(|_| true);
        }
        Some(client)
    }

    fn accept(&mut self) -> Option<Client> {
        for (_, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.is_due()) {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match acceptfrom_with(&entry.listener.socket, flags) {
                Ok((socket, address)) => {
                    return Some(Client {
                        socket,
                        address: address.and_then(|address| address.try_into().ok()),
                        port: entry.listener.forward.guest_port,
                    });
                }
                Err(Errno::AGAIN) => entry.ready = false,
                // That one has gone again (accept(2)).
                Err(error) if !is_shortage(&error.into()) => {}
                Err(_) => {
                    self.paused = Some(Instant::now() + SHORTAGE);
                    return None;
                }
            }
        }
        None
    }
}

/// Someone who has connected.
struct Client {
    socket: OwnedFd,
    /// Where from, over TCP.
    address: Option<SocketAddr>,
    port: u16,
}

impl Engine {
    /// Takes clients in, as many as there is room for.
    pub(super) fn accept(&mut self) {
        for _ in 0..BURST {
            if !self.guest.as_ref().is_some_and(Guest::has_room) {
                return;
            }
            let Some(client) = self.listeners.next() else {
                return;
            };
            self.counters.accepted += 1;
            // Who can't be led in is counted.
            let _ = self.join(client.socket, client.address, client.port);
        }
    }

    /// When clients are to be taken in that wait.
    pub(super) fn next_accept(&mut self, now: Instant) -> Option<Duration> {
        let waiting = self.listeners.accepting
            && self.guest.as_ref().is_some_and(Guest::has_room)
            && self
                .listeners
                .entries
                .iter_mut()
                .any(|(_, entry)| entry.is_due());
        let until = self.listeners.paused.unwrap_or(now);
        waiting.then(|| until.saturating_duration_since(now))
    }

    /// Leads a client into the guest; who can't be is reset.
    pub(super) fn join(
        &mut self,
        socket: OwnedFd,
        address: Option<SocketAddr>,
        port: u16,
    ) -> io::Result<Key> {
        let Some(guest) = &mut self.guest else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let stream = match begin(guest, address, port) {
            Ok(stream) => stream,
            Err(error) => {
                relay::reset(socket);
                self.counters.refused += 1;
                return Err(io::Error::other(error));
            }
        };
        let made = self.relays.insert_with(|key| {
            if address.is_some() {
                relay::settings(&socket)?;
            }
            self.poller
                .add(&socket, Token::Relay(key), Interest::Changes)?;
            Ok::<Relay, Errno>(Relay::joined(socket, stream, address.is_none()))
        });
        match made {
            Ok(key) => {
                self.by_stream.insert(stream, key);
                Ok(key)
            }
            Err(error) => {
                self.counters.refused += 1;
                if let Some(mut stream) = guest.stack.stream(stream) {
                    stream.reset();
                }
                guest.stack.release(stream);
                Err(error.into())
            }
        }
    }
}

/// Begins a connection into the guest that comes from a client's own address and port; without one,
/// from the address of this host's UNIX sockets.
///
/// Its address with another port stands for the client where both are taken: it may have come from one
/// port to two of this host's that lead to the same one of the guest.
pub(super) fn begin(
    guest: &mut Guest,
    client: Option<SocketAddr>,
    port: u16,
) -> Result<StreamId, ConnectError> {
    let now = guest.now();
    let target = |like: IpAddr| match like {
        IpAddr::V4(_) => SocketAddr::new(GUEST_IPV4.into(), port),
        IpAddr::V6(_) => SocketAddr::new(GUEST_IPV6.into(), port),
    };
    let gateway = IpAddr::V4(GATEWAY_IPV4);
    let Some(client) = client else {
        let sockets = IpAddr::V4(HOST_SOCKETS);
        return guest
            .stack
            .connect_from(Some(sockets), target(sockets), now);
    };
    let address = client.ip().to_canonical();
    let from = SocketAddr::new(address, client.port());
    guest
        .stack
        .connect_as(from, target(address), now)
        .or_else(|_| {
            guest
                .stack
                .connect_from(Some(address), target(address), now)
        })
        .or_else(|_| {
            guest
                .stack
                .connect_from(Some(gateway), target(gateway), now)
        })
}

//! Datagrams of the guest: one socket of this host for each pair of ends (RFC 4787's address- and
//! port-dependent mapping), forgotten after a while.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use stockade_net::Datagram;

use super::poller::{Interest, Poller, Token};
use super::table::{Key, Table};

/// Pairs of ends at once; one more takes the place of the one that was idle for longest.
const FLOWS: usize = 256;

/// How long an idle one is kept, for answers: less than RFC 4787 §4.3 asks of a translator for many,
/// more than any name server takes.
const IDLE: Duration = Duration::from_secs(60);

/// Datagrams read from one socket before others get their turn.
const BURST: usize = 16;

/// Longest datagram, bytes.
const LONGEST: usize = 65_536;

struct Flow {
    socket: OwnedFd,
    /// The guest's end.
    guest: SocketAddr,
    /// The other end, as the guest sees it.
    peer: SocketAddr,
    used: Instant,
}

/// The guest's datagrams.
pub(super) struct Datagrams {
    flows: Table<Flow>,
    by_ends: HashMap<(SocketAddr, SocketAddr), Key>,
    buffer: Box<[u8]>,
}

impl Datagrams {
    pub(super) fn new() -> Datagrams {
        Datagrams {
            flows: Table::new(),
            by_ends: HashMap::new(),
            buffer: vec![0; LONGEST].into(),
        }
    }

    /// Sends a datagram of the guest on to `to`, which is how this host sees where it leads. It may
    /// get lost, as any.
    pub(super) fn send(&mut self, datagram: &Datagram, to: SocketAddr, poller: &Poller) {
        let ends = (datagram.from, datagram.to);
        let known = self.by_ends.get(&ends).copied();
        let Some(key) = known.or_else(|| self.open(ends, to, poller)) else {
            return;
        };
        if let Some(flow) = self.flows.get_mut(key) {
            flow.used = Instant::now();
            // An error is of an earlier datagram that was not taken (ICMP), or says that this one
            // can't be sent; either way datagrams promise nothing.
            let _ = send(&flow.socket, &datagram.payload, SendFlags::NOSIGNAL);
        }
    }

    fn open(
        &mut self,
        (guest, peer): (SocketAddr, SocketAddr),
        to: SocketAddr,
        poller: &Poller,
    ) -> Option<Key> {
        if self.flows.len() >= FLOWS {
            let oldest = self.flows.iter_mut().min_by_key(|(_, flow)| flow.used);
            let oldest = oldest.map(|(key, _)| key);
            oldest.into_iter().for_each(|key| self.forget(key));
        }
        let made = self.flows.insert_with(|key| {
            let family = match to {
                SocketAddr::V4(_) => AddressFamily::INET,
                SocketAddr::V6(_) => AddressFamily::INET6,
            };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
            connect(&socket, &to)?;
            poller.add(&socket, Token::Datagrams(key), Interest::Readable)?;
            Ok::<Flow, Errno>(Flow {
                socket,
                guest,
                peer,
                used: Instant::now(),
            })
        });
        let key = made.ok()?;
        self.by_ends.insert((guest, peer), key);
        Some(key)
    }

    /// Takes in what has come to one socket, and calls `each` with peer, guest and payload.
    pub(super) fn receive(
        &mut self,
        key: Key,
        mut each: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let Some(flow) = self.flows.get_mut(key) else {
            return;
        };
        for _ in 0..BURST {
            match recv(&flow.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => {
                    flow.used = Instant::now();
                    let payload = self.buffer.get(..length).unwrap_or_default();
                    each(flow.peer, flow.guest, payload);
                }
                // Nobody listens there; the guest's datagram is lost.
                Err(Errno::CONNREFUSED | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Forgets those that were idle for long. Returns when to do so again.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        let idle = |flow: &mut Flow| now.saturating_duration_since(flow.used) >= IDLE;
        for flow in self.flows.extract(idle) {
            self.by_ends.remove(&(flow.guest, flow.peer));
        }
        let oldest = self.flows.iter_mut().map(|(_, flow)| flow.used).min();
        oldest.map(|used| used + IDLE)
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.flows.extract(|_| true);
        self.by_ends.clear();
    }

    fn forget(&mut self, key: Key) {
        if let Some(flow) = self.flows.remove(key) {
            self.by_ends.remove(&(flow.guest, flow.peer));
        }
    }
}

//! The guest: its link, our end of its TCP/IP, and what it asks for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use stockade_net::{
    Config, Event, Ipv4Config, Ipv6Config, Limits, Refusal, RequestId, Role, Stack,
};

use super::engine::Engine;
use super::link::Link;
use super::poller::{Interest, Token};
use super::relay::{self, Relay, Stage};
use super::route::{Route, refusal, route, socket_refusal};
use super::sockets::{self, End};
use super::table::Key;
use super::{
    Counters, GATEWAY_IPV4, GATEWAY_IPV6, GATEWAY_MAC, GUEST_IPV4, GUEST_IPV6, GUEST_MAC,
    PREFIX_V4, PREFIX_V6, RESOLVER_IPV4,
};

/// Connections at once, both directions together.
const STREAMS: usize = 8_192;

/// Bytes that one connection may hold on to, each way: two of the largest frames.
const BUFFER: usize = 128 * 1024;

/// A machine's end.
pub(super) struct Guest {
    pub(super) link: Link,
    pub(super) stack: Stack,
    number: u64,
    started: Instant,
}

impl Guest {
    /// The machine of that number: our end, and QEMU's end of the link.
    pub(super) fn new(number: u64) -> io::Result<(Guest, OwnedFd)> {
        let (mut link, theirs) = Link::new()?;
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let config = Config {
            mac: GATEWAY_MAC,
            ipv4: Ipv4Config::Static {
                address: GATEWAY_IPV4,
                prefix: PREFIX_V4,
                gateway: None,
            },
            ipv6: Some(Ipv6Config {
                address: GATEWAY_IPV6,
                prefix: PREFIX_V6,
                gateway: None,
            }),
            dns: vec![RESOLVER_IPV4.into()],
            seed,
            limits: Limits {
                streams: STREAMS,
                half_open: STREAMS,
                recv_buffer: BUFFER,
                send_buffer: BUFFER,
            },
            role: Role::Gateway {
                guest_mac: GUEST_MAC,
                guest_ipv4: GUEST_IPV4,
                guest_ipv6: Some(GUEST_IPV6),
            },
        };
        let stack =
            Stack::new(config, &mut link, stockade_net::Instant::ZERO).map_err(io::Error::other)?;
        let guest = Guest {
            link,
            stack,
            number,
            started: Instant::now(),
        };
        Ok((guest, theirs))
    }

    /// The stack's time.
    pub(super) fn now(&self) -> stockade_net::Instant {
        let elapsed = self.started.elapsed().as_micros();
        stockade_net::Instant::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Whether one more connection fits.
    pub(super) fn has_room(&self) -> bool {
        self.stack.sockets() < STREAMS
    }

    pub(super) fn token(&self) -> Token {
        Token::Link(self.low())
    }

    /// Whether an event is of this machine's link.
    pub(super) fn is(&self, number: u32) -> bool {
        self.low() == number
    }

    fn low(&self) -> u32 {
        u32::try_from(self.number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
    }

    /// Adds this link's frames to those of earlier ones.
    pub(super) fn count(&self, counters: &mut Counters) {
        let here = &self.link.counters;
        counters.frames_in += here.frames_in;
        counters.bytes_in += here.bytes_in;
        counters.frames_out += here.frames_out;
        counters.bytes_out += here.bytes_out;
    }
}

impl Engine {
    /// Reads frames and hands them to the stack. True when there may be more.
    pub(super) fn take_frames_in(&mut self) -> bool {
        let Some(guest) = &mut self.guest else {
            return false;
        };
        let broken = guest.link.fill().is_err();
        let now = guest.now();
        let more = guest.stack.poll(&mut guest.link, now);
        self.take_events();
        if broken
            && !self
                .guest
                .as_ref()
                .is_some_and(|guest| guest.link.has_frame())
        {
            self.leave();
            return false;
        }
        let more_to_read = |guest: &Guest| guest.link.readable || guest.link.has_frame();
        more && self.guest.as_ref().is_some_and(more_to_read)
    }

    /// Sends what connections have written.
    pub(super) fn send_frames(&mut self) {
        let Some(guest) = &mut self.guest else {
            return;
        };
        let now = guest.now();
        guest.stack.flush(&mut guest.link, now);
        if guest.link.drain().is_err() {
            self.leave();
        }
    }

    /// When the stack wants its turn.
    pub(super) fn next_frames(&self) -> Option<Duration> {
        let guest = self.guest.as_ref()?;
        if guest.link.readable || guest.link.has_frame() {
            return Some(Duration::ZERO);
        }
        let at = guest.stack.poll_at()?;
        Some(at.saturating_duration_since(guest.now()))
    }

    /// The machine has ended.
    fn leave(&mut self) {
        if let Some(guest) = &self.guest {
            guest.count(&mut self.counters);
        }
        self.unplug();
    }

    fn take_events(&mut self) {
        while let Some(event) = self
            .guest
            .as_mut()
            .and_then(|guest| guest.stack.poll_event())
        {
            match event {
                Event::Ready(stream) => {
                    if let Some(key) = self.by_stream.get(&stream).copied() {
                        self.make_due(key);
                    }
                }
                Event::Requested { request, to, .. } => self.requested(request, to),
                Event::Withdrawn(request) => {
                    if let Some(key) = self.by_request.remove(&request) {
                        self.relays.remove(key);
                        self.counters.refused += 1;
                        self.listeners.relieved();
                    }
                }
                // Nothing listens in the stack, its address is fixed, and it asks for no names.
                _ => {}
            }
        }
        while let Some(datagram) = self
            .guest
            .as_mut()
            .and_then(|guest| guest.stack.take_datagram())
        {
            match route(datagram.to) {
                Route::To(to, _) => self.datagrams.send(&datagram, to, &self.poller),
                Route::Resolver => {
                    self.counters.names += 1;
                    let number = self.guest.as_ref().map_or(0, |guest| guest.number);
                    self.resolver.ask(number, datagram);
                }
                Route::Socket(_) | Route::Nowhere => {}
            }
        }
    }

    /// The guest wants a connection.
    fn requested(&mut self, request: RequestId, to: SocketAddr) {
        match route(to) {
            Route::To(first, next) => {
                // Of one family alone, nothing of the other is tried.
                let families = self.resolver.families;
                let next = next.filter(|next| families.has(next.is_ipv6()));
                self.dial(request, first, next)
            }
            Route::Socket(port) => self.dial_socket(request, port),
            // Names are asked for over UDP.
            Route::Resolver => self.refuse(request, Refusal::Reset),
            Route::Nowhere => self.refuse(request, Refusal::HostUnreachable),
        }
    }

    pub(super) fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.counters.refused += 1;
        if let Some(guest) = &mut self.guest {
            guest.stack.refuse(request, refusal);
        }
    }

    /// Begins this host's own connection for the guest's.
    fn dial(&mut self, request: RequestId, to: SocketAddr, next: Option<SocketAddr>) {
        let poller = &self.poller;
        let made = self.relays.insert_with(|key| {
            let socket = begin(to)?;
            poller.add(&socket, Token::Relay(key), Interest::Changes)?;
            Ok::<Relay, Errno>(Relay::dialling(socket, request, next))
        });
        match (made, next) {
            (Ok(key), _) => {
                self.by_request.insert(request, key);
            }
            (Err(_), Some(next)) => self.dial(request, next, None),
            (Err(error), None) => self.refuse(request, refusal(&error.into())),
        }
    }

    /// Connects to the UNIX socket, or to the program, that a port stands for.
    fn dial_socket(&mut self, request: RequestId, port: u16) {
        let path = match self.sockets.end(port) {
            Some(End::Socket(path)) => path,
            Some(End::Program(program)) => {
                let program = Arc::clone(program);
                return self.offer_program(request, program);
            }
            None => return self.refuse(request, Refusal::Reset),
        };
        let poller = &self.poller;
        let made = self.relays.insert_with(|key| {
            let socket = sockets::begin(path)?;
            poller.add(&socket, Token::Relay(key), Interest::Changes)?;
            Ok::<Relay, Errno>(Relay::dialling_unix(socket, request))
        });
        match made {
            Ok(key) => {
                self.by_request.insert(request, key);
            }
            Err(error) => self.refuse(request, socket_refusal(error)),
        }
    }

    /// This host's own connection may be there, or have failed.
    pub(super) fn dialled(&mut self, key: Key) {
        let Some(relay) = self.relays.get_mut(key) else {
            return;
        };
        let &Stage::Dialling { request, next } = &relay.stage else {
            return;
        };
        if !relay.has_answer() {
            return;
        }
        let connected = relay.connected();
        let Some(guest) = &mut self.guest else {
            return;
        };
        self.by_request.remove(&request);
        if connected.is_ok()
            && let Ok(stream) = guest.stack.admit(request)
        {
            relay.stage = Stage::Joined(stream);
            self.by_stream.insert(stream, key);
            self.counters.connected += 1;
            return;
        }
        self.relays.remove(key);
        self.listeners.relieved();
        match (connected, next) {
            (Err(_), Some(next)) => self.dial(request, next, None),
            (Err(error), None) => self.refuse(request, refusal(&error)),
            // The guest has given up, or has too many.
            (Ok(()), _) => self.refuse(request, Refusal::Reset),
        }
    }

    /// Answers about names go to the guest that asked.
    pub(super) fn pass_names_on(&mut self) {
        while let Some(answer) = self.resolver.answer() {
            if let Some(guest) = &mut self.guest
                && guest.number == answer.plug
            {
                // A full queue loses it; the guest asks again.
                let _ = guest
                    .stack
                    .send_datagram_as(answer.from, answer.to, &answer.payload);
            }
        }
    }

    /// Datagrams that have come to a socket go to the guest.
    pub(super) fn pass_datagrams_on(&mut self, key: Key) {
        let guest = &mut self.guest;
        self.datagrams.receive(key, |peer, to, payload| {
            if let Some(guest) = guest {
                // As on any network, what finds no room is lost.
                let _ = guest.stack.send_datagram_as(peer, to, payload);
            }
        });
    }
}

/// Begins a connection from this host; epoll tells how it ends.
fn begin(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    relay::settings(&socket)?;
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

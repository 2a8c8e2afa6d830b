//! Connections that do not come from a listener: to and from programs of this host, and the one client
//! that this process was started with.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use stockade_config::introduction::{Found, Introduction};
use stockade_net::{Refusal, RequestId, Status, StreamId};

use super::clients;
use super::engine::Engine;
use super::guest::Guest;
use super::poller::{Interest, Token};
use super::programs::{self, HostProgram, OnProgram, Role};
use super::relay::Relay;
use super::table::Key;

/// What leads into the guest besides its listeners.
pub(super) struct Led {
    pub(super) tell: OnProgram,
    started: Vec<Started>,
    adopted: Option<Adopted>,
}

/// A program that is a client itself.
struct Started {
    program: Arc<HostProgram>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is to be started then.
    Due(Instant),
    /// This is its connection.
    Running(Key),
    /// It has ended for good.
    Over,
}

/// A client that somebody else has accepted.
pub(super) struct Adopted {
    /// Until it is led into the guest.
    client: Option<(OwnedFd, Option<SocketAddr>)>,
    port: u16,
    key: Option<Key>,
    /// To be told of its end.
    on_end: Option<Box<dyn FnOnce() + Send>>,
}

impl Adopted {
    pub(super) fn new(
        socket: OwnedFd,
        address: Option<SocketAddr>,
        port: u16,
        on_end: Box<dyn FnOnce() + Send>,
    ) -> Adopted {
        Adopted {
            client: Some((socket, address)),
            port,
            key: None,
            on_end: Some(on_end),
        }
    }

    fn end(&mut self) {
        if let Some(on_end) = self.on_end.take() {
            on_end();
        }
    }
}

impl Led {
    pub(super) fn new() -> Led {
        Led {
            tell: Arc::new(|_, _| {}),
            started: Vec::new(),
            adopted: None,
        }
    }

    /// See [`Network::run_programs`](super::Network::run_programs).
    pub(super) fn run(&mut self, programs: &[HostProgram]) {
        let wanted = |program: &&HostProgram| matches!(program.role, Role::Started { .. });
        let wanted: Vec<&HostProgram> = programs.iter().filter(wanted).collect();
        self.started.retain(|one| wanted.contains(&&*one.program));
        for program in wanted {
            if !self.started.iter().any(|one| *one.program == *program) {
                self.started.push(Started {
                    program: Arc::new(program.clone()),
                    state: State::Due(Instant::now()),
                });
            }
        }
    }

    pub(super) fn adopt(&mut self, client: Adopted) {
        self.adopted = Some(client);
    }

    /// A connection is over.
    pub(super) fn ended(&mut self, key: Key) {
        let mut started = self.started.iter_mut();
        if let Some(one) = started.find(|one| one.state == State::Running(key)) {
            one.state = match one.program.role {
                Role::Started { retry: Some(retry) } => State::Due(Instant::now() + retry),
                _ => State::Over,
            };
        }
        if let Some(adopted) = &mut self.adopted
            && adopted.key == Some(key)
        {
            adopted.end();
        }
    }

    /// The machine has gone, and every connection with it: the next one's programs are started anew.
    pub(super) fn unplugged(&mut self) {
        for one in &mut self.started {
            if let State::Running(_) = one.state {
                one.state = State::Due(Instant::now());
            }
        }
        if let Some(adopted) = &mut self.adopted
            && adopted.client.is_none()
        {
            adopted.end();
        }
    }

    /// When a program is to be started.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let due = self.started.iter().filter_map(|one| match one.state {
            State::Due(at) => Some(at.saturating_duration_since(now)),
            State::Running(_) | State::Over => None,
        });
        due.min()
    }
}

impl Engine {
    /// Starts what is to be started, and leads in who is to be led in, now that the guest serves.
    pub(super) fn lead(&mut self) {
        if !self.listeners.accepting || !self.guest.as_ref().is_some_and(Guest::has_room) {
            return;
        }
        if let Some(adopted) = &mut self.led.adopted
            && let Some((socket, address)) = adopted.client.take()
        {
            let port = adopted.port;
            self.counters.accepted += 1;
            let key = self.join(socket, address, port);
            if let Some(adopted) = &mut self.led.adopted {
                match key {
                    Ok(key) => adopted.key = Some(key),
                    Err(_) => adopted.end(),
                }
            }
        }
        let now = Instant::now();
        for place in 0..self.led.started.len() {
            let Some(one) = self.led.started.get(place) else {
                return;
            };
            if !matches!(one.state, State::Due(at) if at <= now) {
                continue;
            }
            let program = Arc::clone(&one.program);
            let state = match self.start(&program) {
                Some(key) => State::Running(key),
                // What has run out may be there again soon.
                None => State::Due(now + super::engine::SHORTAGE),
            };
            if let Some(one) = self.led.started.get_mut(place) {
                one.state = state;
            }
        }
    }

    /// When [`lead`](Self::lead) has something to do.
    pub(super) fn next_lead(&self, now: Instant) -> Option<Duration> {
        let serves = self.listeners.accepting && self.guest.as_ref().is_some_and(Guest::has_room);
        serves.then(|| self.led.next(now)).flatten()
    }

    /// Starts a program that is a client itself.
    fn start(&mut self, program: &HostProgram) -> Option<Key> {
        let guest = self.guest.as_mut()?;
        let stream = clients::begin(guest, None, program.port).ok()?;
        let made = programs::begin(program, Introduction::default(), &self.led.tell);
        let poller = &self.poller;
        let made = made.and_then(|socket| {
            let made = self.relays.insert_with(|key| {
                poller.add(&socket, Token::Relay(key), Interest::Changes)?;
                Ok::<Relay, Errno>(Relay::with_program(socket, stream, program.program.pty))
            });
            made.map_err(Into::into)
        });
        match made {
            Ok(key) => {
                self.by_stream.insert(stream, key);
                Some(key)
            }
            Err(error) => {
                (self.led.tell)(3, &format!("exec {}: {error}", program.program.path));
                if let Some(mut stream) = guest.stack.stream(stream) {
                    stream.reset();
                }
                guest.stack.release(stream);
                None
            }
        }
    }

    /// The guest wants a program: it is started once the guest has said for whom.
    pub(super) fn offer_program(&mut self, request: RequestId, program: Arc<HostProgram>) {
        let Some(guest) = &mut self.guest else {
            return;
        };
        let Ok(stream) = guest.stack.admit(request) else {
            return self.refuse(request, Refusal::Reset);
        };
        let made = self
            .relays
            .insert_with(|_| Ok::<Relay, Errno>(Relay::introduced(stream, program)));
        if let Ok(key) = made {
            self.by_stream.insert(stream, key);
            self.counters.connected += 1;
            self.make_due(key);
        }
    }

    /// The guest may have said whom a program is for.
    pub(super) fn introduced(&mut self, key: Key, stream: StreamId, program: &Arc<HostProgram>) {
        let Some(guest) = &mut self.guest else {
            return;
        };
        let found = match guest.stack.stream(stream) {
            Some(mut stream) if !matches!(stream.status(), Status::Closed(_)) => {
                let found = stream.with_recv(|bytes| match Introduction::decode(bytes) {
                    Found::Whole(client, length) => (length, Found::Whole(client, length)),
                    other => (0, other),
                });
                match found {
                    Found::Incomplete if !stream.peer_finished() => return,
                    found => found,
                }
            }
            _ => Found::Malformed,
        };
        let Found::Whole(client, _) = found else {
            return self.drop_relay(key, stream, true);
        };
        let poller = &self.poller;
        let made = programs::begin(program, client, &self.led.tell).and_then(|socket| {
            poller.add(&socket, Token::Relay(key), Interest::Changes)?;
            Ok(socket)
        });
        match (made, self.relays.get_mut(key)) {
            (Ok(socket), Some(relay)) => {
                *relay = Relay::with_program(socket, stream, program.program.pty);
                self.make_due(key);
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                (self.led.tell)(3, &format!("exec {}: {error}", program.program.path));
                self.drop_relay(key, stream, true);
            }
        }
    }
}

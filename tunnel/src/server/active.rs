//! One accepted connection in the server's hands: from its first bytes through its session.

use alloc::{boxed::Box, string::ToString};
use core::{cmp::Reverse, net::SocketAddr, time::Duration};

use config::introduction::Introduction;
use http::Exchange;
use net::{Instant, ListenerId, Status, StreamId};
use tls::{ClientHello, Peek, Verdict};

use super::{
    Server, Slot, TIMER_HORIZON, Totals, answering::Answering, destination::Asked, entrance::pair,
    introducing::introduce, revocation::Judgement,
};
use crate::{
    journal::{self, Address},
    negotiation::Negotiation,
    opening::Opening,
    relay::{Scratch, Stream},
    service::{Service, Tls, backend::Route},
    session::{Exchanging, Mode, Session, SessionError, Step},
};

/// Most bytes of a ClientHello that are waited for before a service is chosen; browsers' have two
/// thousand. A longer one is taken for one without a name, and judged by the TLS itself.
const MAX_GREETING: usize = tls::MAX_RECORD;

/// A connection, its session and its streams.
pub(super) struct Active {
    pub(super) stage: Stage,
    pub(super) service: usize,
    /// The service that knows the hosts of its requests; it is held for them.
    pub(super) front: Option<usize>,
    pub(super) id: journal::Id,
    /// When it was accepted.
    pub(super) since: Instant,
    pub(super) accepted: StreamId,
    /// The client's address: the true one, where a trusted proxy has told it.
    pub(super) client: SocketAddr,
    /// The address that the client connected to, likewise.
    pub(super) local: SocketAddr,
    pub(super) dialled: Option<StreamId>,
    /// Which addresses of the backend have been tried.
    pub(super) route: Route,
    /// What is dialled now, and since when.
    pub(super) dialling: Option<(SocketAddr, Instant)>,
    /// A client that failed its authentication: it goes to the other backend.
    pub(super) redirected: bool,
    /// Until when to wait for a name.
    pub(super) awaits_name: Option<Instant>,
    /// Its backend is settled, and names were looked up for it where they have to be.
    pub(super) looked_up: bool,
    /// The address that a client's connection was made for: its sessions are kept by that.
    pub(super) speaks_to: Option<SocketAddr>,
    /// The end of the handshake has been logged.
    pub(super) introduced: bool,
    /// The backend's answer has been logged.
    pub(super) connected: bool,
    /// What the client will be asked for has been logged.
    pub(super) invited: bool,
    /// The ends of directions that have been logged: out of TLS, into it.
    pub(super) ended: (bool, bool),
    /// What is said around TLS, between the stages that have it.
    pub(super) negotiation: Option<Negotiation>,
    /// What is still to be known of its peer's certificate.
    pub(super) judgement: Option<Judgement>,
    /// What was found of its client's certificate that its handshake did not show.
    pub(super) unverified: Option<Verdict>,
    /// The backend that the client has asked for itself.
    pub(super) destination: Option<Asked>,
    /// What the program that is dialled is still to be told of the client.
    pub(super) introduction: Option<Introduction>,
}

/// How far it has come. (All of it is boxed, as a part of [`Active`].)
#[allow(clippy::large_enum_variant)]
pub(super) enum Stage {
    /// It comes from a trusted proxy, which says first for whom it is.
    Header { since: Instant },
    /// Something has to be said before TLS begins.
    Opening(Opening),
    /// Nothing is known of the client: its ClientHello says which service it is for.
    Greeting { since: Instant },
    /// Its service is known.
    Session(Session),
    /// It is answered here, in the clear.
    Answering(Answering),
}

impl Stage {
    /// Another address is being dialled, for which there is so much time.
    pub(super) fn dialling(&mut self, now: Instant, patience: Duration, address: SocketAddr) {
        match self {
            Self::Session(session) => {
                session.dialling(now, patience);
                session.set_backend(address);
            }
            Self::Opening(opening) => {
                opening.dialling(now, patience);
                opening.negotiation_mut().set_backend(address);
            }
            Self::Header { .. } | Self::Greeting { .. } | Self::Answering(_) => {}
        }
    }
}

/// What a client's first bytes are good for.
enum Greeting {
    /// More have to come.
    Incomplete,
    /// They say what can be said.
    Complete(Option<ClientHello>),
}

impl Active {
    /// Plaintext bytes that have come out of TLS, and that have gone into it.
    pub(super) fn bytes(&self) -> (u64, u64) {
        match &self.stage {
            Stage::Session(session) => session.bytes(),
            Stage::Answering(answering) => (answering.sent(), 0),
            Stage::Header { .. } | Stage::Opening(_) | Stage::Greeting { .. } => (0, 0),
        }
    }
}

impl Server {
    pub(super) fn accept(&mut self, listener: ListenerId, stream: StreamId, now: Instant) {
        let ends = self.stack.stream(stream);
        let ends = ends.map(|stream| (stream.remote(), stream.local()));
        let local = ends.map(|(_, local)| local);
        let random = self.random().to_le_bytes();
        let service = self.listening.service(listener, local);
        let running = service.and_then(|service| self.services.get(service));
        let (Some(service), Some(running), Some((client, local))) = (service, running, ends) else {
            // Its service is gone for good.
            self.drop_stream_with_reset(stream);
            return;
        };
        let id = self.journal.begin(&running.channel, random);
        let header = Self::entrance(running, client, now);
        if header.is_none() {
            let mut lines = self.journal.connection(&running.channel, id);
            lines.accepted(Address::of_client(client, self.stack.is_published()));
        }
        let is_known = header.is_none();
        let mut active = Active {
            stage: header.unwrap_or(Stage::Greeting { since: now }),
            service,
            front: None,
            id,
            since: now,
            accepted: stream,
            client,
            local,
            dialled: None,
            route: Route::default(),
            dialling: None,
            redirected: false,
            awaits_name: None,
            looked_up: false,
            speaks_to: None,
            introduced: false,
            connected: false,
            invited: false,
            ended: (false, false),
            negotiation: None,
            judgement: None,
            unverified: None,
            destination: None,
            introduction: None,
        };
        if is_known {
            self.enter(&mut active, now);
        }
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.sessions.push(Slot::default());
            self.sessions.len() - 1
        });
        if let Some(slot) = self.sessions.get_mut(index) {
            slot.active = Some(Box::new(active));
        }
        self.owners.insert(stream, index);
        self.services.enter(service);
        self.totals.accepted += 1;
        self.run(index, now);
    }

    /// Polls one connection, does what its session asks for, and arms its timer.
    pub(super) fn run(&mut self, index: usize, now: Instant) {
        let Some(slot) = self.sessions.get_mut(index) else {
            return;
        };
        let Some(mut active) = slot.active.take() else {
            return;
        };
        match self.drive(index, &mut active, now) {
            None => {
                let deadline = self.deadline(&active).min(now + TIMER_HORIZON);
                if let Some(slot) = self.sessions.get_mut(index) {
                    slot.active = Some(active);
                    if slot.armed.is_none_or(|armed| deadline < armed) {
                        slot.armed = Some(deadline);
                        self.timers.push(Reverse((deadline, index)));
                    }
                }
            }
            Some(result) => self.conclude(index, &active, &result, now),
        }
    }

    /// Tells how a connection has ended, and gives back what it had.
    pub(super) fn conclude(
        &mut self,
        index: usize,
        active: &Active,
        result: &Result<(), SessionError>,
        now: Instant,
    ) {
        self.report_end(active, result, now);
        self.noticing.forget(active, result, now);
        self.drop_stream(Some(active.accepted));
        self.drop_stream(active.dialled);
        if let Some(slot) = self.sessions.get_mut(index) {
            slot.armed = None;
        }
        self.vacant.push(index);
        self.fit_kept(0);
        let mut totals = self.totals;
        self.carried(active, &mut totals);
        totals.failed += u64::from(result.is_err());
        self.totals = totals;
        let mut gone = self.services.leave(active.service);
        if let Some(front) = active.front {
            gone |= self.services.release(front);
        }
        if gone {
            self.divide_memory();
        }
    }

    /// Adds what a connection has carried.
    pub(super) fn carried(&self, active: &Active, totals: &mut Totals) {
        if let Stage::Session(session) = &active.stage {
            let (received, sent) = session.bytes();
            let (to_clients, to_backends) = match session.mode() {
                Mode::Server => (sent, received),
                Mode::Client => (received, sent),
            };
            totals.to_clients += to_clients;
            totals.to_backends += to_backends;
        }
    }

    fn deadline(&self, active: &Active) -> Instant {
        match &active.stage {
            Stage::Session(session) => session.deadline(),
            Stage::Opening(opening) => opening.deadline(),
            Stage::Answering(answering) => answering.deadline(),
            Stage::Greeting { since } | Stage::Header { since } => {
                let service = self.services.get(active.service);
                *since + service.map_or(TIMER_HORIZON, |service| service.timeouts.handshake)
            }
        }
    }

    /// Lets the connection move bytes until it waits (`None`) or has ended.
    fn drive(
        &mut self,
        index: usize,
        active: &mut Active,
        now: Instant,
    ) -> Option<Result<(), SessionError>> {
        loop {
            let step = match active.stage {
                Stage::Header { since } => match self.read_header(active, since, now) {
                    Ok(true) => {
                        self.enter(active, now);
                        continue;
                    }
                    Ok(false) => Step::Wait,
                    Err(error) => Step::End(Err(error)),
                },
                Stage::Opening(_) => self.poll_opening(active, now),
                Stage::Answering(_) => self.poll_answering(index, active, now),
                Stage::Greeting { since } => match self.greet(active, since, now) {
                    Ok(true) => continue,
                    Ok(false) => Step::Wait,
                    Err(error) => Step::End(Err(error)),
                },
                Stage::Session(_) => match self.settle(active, now) {
                    // Nothing of the handshake counts any more.
                    Some(error) => return Some(Err(error)),
                    None => self.poll_session(active, now),
                },
            };
            if !(active.introduced && active.connected) {
                self.report_progress(active);
            }
            self.report_ended_directions(active);
            self.report_page(active, now);
            let dialled = match step {
                Step::Again => continue,
                Step::Route { host, fresh } => {
                    self.route_request(index, active, (host.as_deref(), fresh), now);
                    continue;
                }
                Step::Release { keep } => {
                    self.release_backend(active, keep, now);
                    continue;
                }
                // Nobody is dialled for one of whom nothing is wanted but the handshake.
                Step::Connect { .. } if self.is_proof(active) => {
                    return Some(self.end_proof(active));
                }
                Step::Wait => return None,
                Step::End(result) => return Some(result),
                Step::Judge => {
                    self.judge_peer(index, active, now);
                    continue;
                }
                Step::BeginTls => {
                    Self::begin_tls(active, now);
                    continue;
                }
                Step::Connect { failed } if active.destination.is_some() => {
                    self.dial_asked(index, active, failed, now)
                }
                Step::Connect { failed } => self.dial(index, active, failed, now),
                // Who failed the authentication is not led anywhere else.
                Step::ConnectTo(_) if self.must_redirect(active) => {
                    self.dial(index, active, None, now)
                }
                Step::ConnectTo(destination) => {
                    self.dial_destination(index, active, destination, now)
                }
            };
            match dialled {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Finds out which service a client is for, and makes its session. False: more bytes have to
    /// come.
    fn greet(
        &mut self,
        active: &mut Active,
        since: Instant,
        now: Instant,
    ) -> Result<bool, SessionError> {
        let Some(service) = self.services.get(active.service) else {
            return Err(SessionError::HandshakeAbandoned);
        };
        let first = active.service;
        let mut hello = None;
        if service.tls.mode() == Mode::Server {
            if !core::mem::replace(&mut active.invited, true) {
                let mut lines = self.journal.connection(&service.channel, active.id);
                lines.certificate_wanted(service.requires_client);
            }
            let Some(mut stream) = self.stack.stream(active.accepted) else {
                return Err(SessionError::HandshakeAbandoned);
            };
            match greeting(&mut stream, &mut self.scratch) {
                Greeting::Complete(found) => {
                    self.choose(active, found.as_ref())?;
                    if active.service != first {
                        self.change_dialect(active, first);
                    }
                    hello = found;
                }
                Greeting::Incomplete => {
                    return undecided(&mut stream, service, since, now).map(|()| false);
                }
            }
        }
        let Some(service) = self.services.get_mut(active.service) else {
            return Err(SessionError::HandshakeAbandoned);
        };
        let mode = service.tls.mode();
        let addresses = self.stack.addresses();
        let likely = if mode == Mode::Client || service.backend.has_choice(addresses) {
            active.route.peek(&mut service.backend, addresses)
        } else {
            None
        };
        let likely = likely.map(|candidate| candidate.address);
        match service.tls.connection(likely, hello.as_ref()) {
            Ok(connection) => {
                let mut session = Session::new(connection, mode, service.timeouts, since);
                if let Some(options) = &service.requests {
                    let name = hello.and_then(|hello| hello.server_name);
                    let exchange = Exchange::new(options.clone());
                    let client = active.client.ip();
                    session = session.with_exchange(Exchanging::new(exchange, client, name));
                    active.front = Some(first);
                }
                if service.revocation.is_some() {
                    session = session.with_judge();
                }
                if !service.reset {
                    session = session.without_resets();
                }
                if let Some(negotiation) = active.negotiation.take() {
                    session = session.with_negotiation(negotiation);
                }
                active.stage = Stage::Session(session);
                active.speaks_to = likely;
                if let Some(mut stream) = self.stack.stream(active.accepted) {
                    super::dialling::set_options(&mut stream, &service.sockets.accepted);
                }
                if let Some(front) = active.front {
                    self.services.hold(front);
                }
                Ok(true)
            }
            Err(error) => {
                if let Some(mut stream) = self.stack.stream(active.accepted) {
                    stream.reset();
                }
                Err(SessionError::Handshake(error))
            }
        }
    }

    /// Hands a client to the virtual service whose name it asks for.
    ///
    /// # Errors
    /// There is none, and the one that accepts has nothing of its own. The client was told.
    fn choose(
        &mut self,
        active: &mut Active,
        hello: Option<&ClientHello>,
    ) -> Result<(), SessionError> {
        let Some(service) = self.services.get(active.service) else {
            return Ok(());
        };
        let mut lines = self.journal.connection(&service.channel, active.id);
        let hands_over = matches!(service.tls, Tls::Others);
        if service.virtual_hosts.is_empty() && !hands_over {
            lines.sni_no_services();
            return Ok(());
        }
        let name = hello.and_then(|hello| hello.server_name.as_deref());
        let offered = hello.map_or(&[][..], |hello| &hello.alpn);
        // Who goes to an address asks for no name (RFC 6066 §3), and a host may be called by one.
        let own = active.local.ip().to_canonical().to_string();
        let asked = name.or(Some(own.as_str()).filter(|_| hands_over && hello.is_some()));
        let found = service.virtual_host(asked, offered);
        let Some(host) = found else {
            if hands_over {
                return Err(self.turn_away(active, hello));
            }
            lines.sni_not_matched(name);
            return Ok(());
        };
        if let Some(other) = self.services.get(host.service) {
            lines.sni_switched(name, other.channel.name());
            let chosen = host.service;
            self.services.hand_over(active.service, chosen);
            active.service = chosen;
        }
        Ok(())
    }

    fn poll_session(&mut self, active: &mut Active, now: Instant) -> Step {
        let Active {
            stage,
            accepted,
            dialled,
            introduction,
            ..
        } = active;
        let Stage::Session(session) = stage else {
            return Step::Wait;
        };
        let scratch = &mut self.scratch;
        let (accepted, dialled) = pair(&mut self.stack, *accepted, *dialled);
        let Some(mut accepted) = accepted else {
            let lost = net::StreamError::Reset;
            return Step::End(Err(SessionError::TlsEndLost(lost)));
        };
        let mut dialled = dialled;
        introduce(introduction, dialled.as_mut());
        match session.mode() {
            Mode::Server => session.poll(Some(&mut accepted), dialled.as_mut(), scratch, now),
            Mode::Client => session.poll(dialled.as_mut(), Some(&mut accepted), scratch, now),
        }
    }
}

/// Looks at a client's first bytes without taking them.
fn greeting<S: Stream>(stream: &mut S, scratch: &mut Scratch) -> Greeting {
    let waiting = stream.recv_len();
    if waiting == 0 {
        return Greeting::Incomplete;
    }
    let look = |bytes: &mut [u8]| {
        let found = (bytes.len() == waiting).then(|| tls::peek_client_hello(bytes));
        (0, found)
    };
    let peek = stream.with_recv(look).unwrap_or_else(|| {
        // It wraps around the end of the buffer.
        let bytes = scratch.first(waiting);
        let length = stream.peek(bytes);
        tls::peek_client_hello(bytes.get(..length).unwrap_or_default())
    });
    match peek {
        Peek::Incomplete if waiting < MAX_GREETING => Greeting::Incomplete,
        Peek::Hello(hello) => Greeting::Complete(Some(hello)),
        Peek::Incomplete | Peek::NotTls { .. } => Greeting::Complete(None),
    }
}

/// What becomes of a client that has not said whom it wants: it gets time, up to a point.
fn undecided<S: Stream>(
    stream: &mut S,
    service: &Service,
    since: Instant,
    now: Instant,
) -> Result<(), SessionError> {
    match stream.status() {
        Status::Closed(_) => Err(SessionError::HandshakeAbandoned),
        _ if stream.peer_finished() => {
            stream.finish();
            Err(SessionError::HandshakeAbandoned)
        }
        _ if now >= since + service.timeouts.handshake => {
            match service.reset {
                true => stream.reset(),
                false => stream.finish(),
            }
            Err(SessionError::HandshakeTimeout)
        }
        _ => Ok(()),
    }
}

//! Choosing and dialling the address of a session's backend.

use core::{net::SocketAddr, time::Duration};

use net::{Instant, KeepAlive, Stream};
use tls::Verdict;

use super::{
    Server,
    active::{Active, Stage},
    introducing::introduction,
    listening::look_up,
};
use crate::{
    journal::Lines,
    service::{
        Service, SocketOptions,
        backend::{Candidate, Route},
        kept_backend,
    },
    session::{DialError, Mode, Session, SessionError},
};

/// `TIMEOUTconnect = 0` waits for nothing, which is enough for stunnel where the backend is on its
/// own host. From here that host is a network away; this long is nothing to people.
const NO_TIME: Duration = Duration::from_secs(1);

impl Server {
    /// Dials the next address of the session's backend. False: nothing is dialled yet, a name has
    /// to be looked up first.
    pub(super) fn dial(
        &mut self,
        index: usize,
        active: &mut Active,
        failed: Option<net::StreamError>,
        now: Instant,
    ) -> Result<bool, SessionError> {
        let mut error = failed.map_or(DialError::NoAddress, DialError::Failed);
        if let Some(dialled) = active.dialled.take() {
            self.report_failed_dial(active, error, now);
            self.drop_stream_with_reset(dialled);
        }
        if self.is_waiting(active, now) {
            return Ok(false);
        }
        while let Some(candidate) = self.next_candidate(active) {
            active.dialling = Some((candidate.address, now));
            let Candidate { address, loopback } = candidate;
            match self.dial_address(index, active, address, loopback, now) {
                Ok(()) => return Ok(true),
                Err(refused) => {
                    error = refused;
                    self.report_failed_dial(active, error, now);
                }
            }
        }
        if let Stage::Session(session) = &mut active.stage
            && session.is_exchanging()
        {
            session.has_no_backend(status(error), now);
            return Ok(true);
        }
        Err(
            match (self.stack.stream(active.accepted), &mut active.stage) {
                (Some(mut accepted), Stage::Session(session)) => {
                    session.give_up(&mut accepted, error)
                }
                (Some(mut accepted), Stage::Opening(opening)) => {
                    opening.give_up(&mut accepted, error)
                }
                _ => SessionError::Connect(error),
            },
        )
    }

    /// Whether the connection has to wait for a name. The first time it is asked, it settles which
    /// backend the connection goes to, and looks up what has to be.
    fn is_waiting(&mut self, active: &mut Active, now: Instant) -> bool {
        let Some(service) = self.services.get_mut(active.service) else {
            return false;
        };
        let patience = service.timeouts.connect;
        let until = match active.awaits_name {
            Some(until) => until,
            None if active.looked_up => return false,
            None => {
                active.looked_up = true;
                let mut lines = self.journal.connection(&service.channel, active.id);
                if let Stage::Session(session) = &active.stage {
                    let found = active.unverified.as_ref();
                    active.redirected = is_redirected(service, session, found, &mut lines);
                    match active.redirected {
                        true => active.route = Route::default(),
                        false => prefer_kept(&mut active.route, session),
                    }
                }
                look_up(&mut self.stack, &mut self.journal, service, true, now);
                match &mut active.stage {
                    Stage::Session(session) => session.dialling(now, patience),
                    Stage::Opening(opening) => opening.dialling(now, patience),
                    Stage::Header { .. } | Stage::Greeting { .. } | Stage::Answering(_) => {}
                }
                now + patience
            }
        };
        let backend = service.backend_for(active.redirected);
        let waits = now < until && backend.is_worth_waiting(self.stack.addresses());
        active.awaits_name = waits.then_some(until);
        waits
    }

    /// Whether the connection's client has failed its authentication where that means another
    /// backend.
    pub(super) fn must_redirect(&self, active: &Active) -> bool {
        let service = self.services.get(active.service);
        match &active.stage {
            Stage::Session(session) if service.is_some_and(|it| it.redirect.is_some()) => {
                let found = active.unverified.as_ref();
                let verdict = found.or_else(|| session.connection().client_verdict());
                verdict.is_some_and(|verdict| *verdict != Verdict::Good)
            }
            _ => false,
        }
    }

    fn next_candidate(&mut self, active: &mut Active) -> Option<Candidate> {
        let service = self.services.get_mut(active.service)?;
        let channel = &service.channel;
        let backend = match (&mut service.redirect, active.redirected) {
            (Some(redirect), true) => redirect,
            _ => &mut service.backend,
        };
        let addresses = self.stack.addresses();
        let unused = !active.route.is_begun();
        let candidate = active.route.next(backend, addresses);
        let mut lines = self.journal.connection(channel, active.id);
        let Some(candidate) = candidate else {
            match active.dialling {
                Some(_) => lines.no_more_addresses(),
                None => lines.no_remote_host(),
            }
            return None;
        };
        match active.route.entry() {
            Some(entry) if unused && backend.candidates(addresses).nth(1).is_some() => {
                lines.failover(backend.is_round_robin(), entry);
            }
            None => lines.persistence(backend.shown(candidate.address)),
            _ => {}
        }
        Some(candidate)
    }

    /// Dials an address; `loopback`: it stands for the host's own.
    pub(super) fn dial_address(
        &mut self,
        index: usize,
        active: &mut Active,
        address: SocketAddr,
        loopback: bool,
        now: Instant,
    ) -> Result<(), DialError> {
        self.fit_kept(1);
        let service = self
            .services
            .get(active.service)
            .ok_or(DialError::NoAddress)?;
        let backend = service.backend_for(active.redirected).shown(address);
        let mut lines = self.journal.connection(&service.channel, active.id);
        let is_program = backend.is_program();
        if !is_program {
            lines.connecting(backend);
        }
        if let Stage::Session(session) = &mut active.stage
            && session.mode() == Mode::Client
            && active.speaks_to != Some(address)
        {
            let connection = service
                .tls
                .connection(Some(address), None)
                .map_err(|_| DialError::Tls)?;
            session.replace(connection);
            active.speaks_to = Some(address);
        }
        // The launcher's network has that address in IPv4 alone.
        let source = service
            .source
            .filter(|_| !(backend.is_unix() || is_program));
        let stream = self
            .stack
            .connect_from(source, address, now)
            .map_err(DialError::Refused)?;
        if let Some(mut stream) = self.stack.stream(stream) {
            set_options(&mut stream, &service.sockets.dialled);
        }
        let patience = match service.timeouts.connect {
            Duration::ZERO if loopback => NO_TIME,
            patience => patience,
        };
        active.introduction = is_program.then(|| introduction(active, self.stack.is_published()));
        active.stage.dialling(now, patience, address);
        active.dialled = Some(stream);
        self.owners.insert(stream, index);
        Ok(())
    }
}

/// The status of a request whose backend can't be reached (RFC 9110 §15.6).
fn status(error: DialError) -> u16 {
    match error {
        DialError::Failed(net::StreamError::TimedOut) => 504,
        _ => 502,
    }
}

/// Whether the client has failed its authentication where that means another backend. A resumed
/// session keeps what its full handshake found.
fn is_redirected(
    service: &Service,
    session: &Session,
    found: Option<&Verdict>,
    lines: &mut Lines<'_>,
) -> bool {
    if service.redirect.is_none() {
        return false;
    }
    let Some(verdict) = found.or_else(|| session.connection().client_verdict()) else {
        return false;
    };
    match verdict {
        Verdict::Good => return false,
        Verdict::Missing => {}
        Verdict::Refused {
            refusal: Some(refusal),
            ..
        } => lines.certificate_refused(refusal),
        Verdict::Refused { .. } => {}
    }
    lines.client_unverified(verdict);
    lines.redirected();
    true
}

/// Goes where the session went that is resumed.
fn prefer_kept(route: &mut Route, session: &Session) {
    if session.mode() == Mode::Server
        && let Some(kept) = kept_backend(session.connection())
    {
        route.prefer(kept);
    }
}

/// Gives a stream the socket options of its service. What they leave open stays as the stack has
/// it: small pieces are sent at once, and idle peers are asked whether they are there.
pub(super) fn set_options(stream: &mut Stream<'_>, options: &SocketOptions) {
    if options.nodelay == Some(false) {
        stream.set_nodelay(false);
    }
    let times = options.keepidle.is_some() || options.keepintvl.is_some();
    match options.keepalive {
        Some(false) => stream.set_keep_alive(None),
        Some(true) if times || options.keepcnt.is_some() => {
            let default = KeepAlive::default();
            stream.set_keep_alive(Some(KeepAlive {
                idle: options.keepidle.unwrap_or(default.idle),
                interval: options.keepintvl.unwrap_or(default.interval),
                count: options.keepcnt.unwrap_or(default.count),
            }));
        }
        _ => {}
    }
    if let Some(Some(linger)) = options.linger {
        stream.set_linger(linger);
    }
}

//! What comes before a client's first byte of TLS: a PROXY header, and a dialect's words.

use core::net::{Ipv4Addr, SocketAddr};

use net::{Instant, Status, StreamId};

use super::{
    Server,
    active::{Active, Stage},
    answering::Answering,
    introducing::introduce,
};
use crate::{
    dialect::{self, End, Protocol, WINDOW, Wire, proxy::incoming},
    journal::Address,
    negotiation::{Negotiation, show},
    opening::Opening,
    relay::Stream,
    service::{Service, Tls},
    session::{Mode, SessionError, Step},
};

impl Server {
    /// Where a connection begins that was just accepted.
    pub(super) fn entrance(service: &Service, client: SocketAddr, now: Instant) -> Option<Stage> {
        let address = client.ip().to_canonical();
        let trusted = &service.trusted_proxies;
        let is_proxy = trusted.iter().any(|network| network.contains(address));
        is_proxy.then_some(Stage::Header { since: now })
    }

    /// Reads the header that a proxy sends first. False: more has to come.
    pub(super) fn read_header(
        &mut self,
        active: &mut Active,
        since: Instant,
        now: Instant,
    ) -> Result<bool, SessionError> {
        let Some(service) = self.services.get(active.service) else {
            return Err(SessionError::NegotiationAbandoned(End::Client));
        };
        let proxy = Address::of_client(active.client, self.stack.is_published());
        let Some(mut stream) = self.stack.stream(active.accepted) else {
            return Err(SessionError::NegotiationAbandoned(End::Client));
        };
        let (seen, _) = show(Some(&mut stream), self.scratch.first(WINDOW));
        let mut unused = alloc::vec::Vec::new();
        let mut wire = Wire::new(End::Client, seen, false, &mut unused);
        let read = incoming::read(&mut wire);
        let taken = wire.taken();
        let error = match read {
            Ok(Some(told)) => {
                stream.skip(taken);
                let mut lines = self.journal.connection(&service.channel, active.id);
                let mut shown = proxy;
                if let Some((client, local)) = told.source {
                    active.client = client;
                    active.local = local;
                    shown = Address::Tcp(client);
                }
                lines.accepted(shown);
                lines.proxied(proxy, shown);
                return Ok(true);
            }
            Ok(None) => match stream.status() {
                Status::Closed(_) => SessionError::NegotiationAbandoned(End::Client),
                _ if Stream::peer_finished(&stream) => {
                    SessionError::NegotiationAbandoned(End::Client)
                }
                _ if now >= since + service.timeouts.handshake => SessionError::NegotiationTimeout,
                _ => return Ok(false),
            },
            Err(fault) => SessionError::Negotiation(fault),
        };
        // Whoever is at fault is a proxy that is trusted: it is told by the log alone.
        let mut lines = self.journal.connection(&service.channel, active.id);
        lines.accepted(proxy);
        match service.reset {
            true => stream.reset(),
            false => stream.finish(),
        }
        Err(error)
    }

    /// The client is known: begins its service's dialect, if there is one.
    pub(super) fn enter(&mut self, active: &mut Active, now: Instant) {
        active.stage = Stage::Greeting { since: now };
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        if let Tls::Answered(answers) = &service.tls {
            let until = now + service.timeouts.handshake;
            let address = active.client.ip();
            let answering = Answering::new(answers, until, &mut self.noticing, address, now);
            active.stage = Stage::Answering(answering);
            return;
        }
        let mode = service.tls.mode();
        let Some(negotiation) = begin(service, active, self.stack.is_published()) else {
            return;
        };
        match mode {
            Mode::Server => {
                let opening = Opening::new(negotiation, service.timeouts, service.reset, now);
                active.stage = Stage::Opening(opening);
            }
            Mode::Client => active.negotiation = Some(negotiation),
        }
    }

    /// Lets a client and perhaps the backend speak before TLS begins.
    pub(super) fn poll_opening(&mut self, active: &mut Active, now: Instant) -> Step {
        let Active {
            stage,
            accepted,
            dialled,
            introduction,
            ..
        } = active;
        let Stage::Opening(opening) = stage else {
            return Step::Wait;
        };
        let (client, backend) = pair(&mut self.stack, *accepted, *dialled);
        let Some(mut client) = client else {
            return Step::End(Err(SessionError::NegotiationAbandoned(End::Client)));
        };
        let mut backend = backend;
        introduce(introduction, backend.as_mut());
        opening.poll(&mut client, backend.as_mut(), &mut self.scratch, now)
    }

    /// TLS begins now. Whoever it turns out to be for goes on with what was said.
    pub(super) fn begin_tls(active: &mut Active, now: Instant) {
        let stage = core::mem::replace(&mut active.stage, Stage::Greeting { since: now });
        if let Stage::Opening(opening) = stage {
            active.negotiation = Some(opening.into_negotiation());
        }
    }

    /// The connection was handed from the service `first` to another: what it says from now on is
    /// that one's. A protocol that both have goes on, and so does PostgreSQL's, which has still to
    /// judge clients that began TLS at once.
    pub(super) fn change_dialect(&mut self, active: &mut Active, first: usize) {
        let protocol = |index| {
            let service = self.services.get(index);
            service.and_then(|service| Some(service.dialect.as_ref()?.protocol))
        };
        let goes_on = match (protocol(first), protocol(active.service)) {
            (earlier, None) => earlier == Some(Protocol::Pgsql),
            (earlier, next) => earlier == next,
        };
        if !goes_on && let Some(service) = self.services.get(active.service) {
            active.negotiation = begin(service, active, self.stack.is_published());
        }
    }
}

/// A service's dialect, for one connection.
fn begin(service: &Service, active: &Active, published: bool) -> Option<Negotiation> {
    let mode = service.tls.mode();
    let dialect = dialect::begin(service.dialect.as_ref()?, mode)?;
    let (mut client, local) = (active.client, active.local);
    if Address::of_client(client, published).is_unix() {
        // Nothing that a backend could use.
        client = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    }
    Some(Negotiation::new(dialect, mode, client, local))
}

/// The two streams of a connection, as far as they are there.
pub(super) fn pair<'a>(
    stack: &'a mut net::Stack,
    accepted: StreamId,
    dialled: Option<StreamId>,
) -> (Option<net::Stream<'a>>, Option<net::Stream<'a>>) {
    match dialled {
        Some(dialled) => match stack.stream_pair(accepted, dialled) {
            Some((accepted, dialled)) => (Some(accepted), Some(dialled)),
            None => (None, None),
        },
        None => (stack.stream(accepted), None),
    }
}

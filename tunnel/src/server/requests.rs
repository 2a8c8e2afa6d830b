//! Backends for requests: each to its own host, by connections that are kept for the next ones.

use alloc::vec::Vec;
use core::time::Duration;

use net::{Instant, Status, StreamId};

use super::{
    Server,
    active::{Active, Stage},
};
use crate::{
    limits::{KEPT_STREAMS, MAX_KEPT_STREAMS},
    service::backend::Route,
};

/// How long a connection to a backend is kept for further requests: less than most backends wait.
const KEPT_FOR: Duration = Duration::from_secs(20);

/// The status of a request whose host is one of those whose bytes are carried as they are, on
/// connections of its own (RFC 9110 §15.5.20).
const MISDIRECTED: u16 = 421;

/// Connections to backends that wait for another request.
#[derive(Default)]
pub(super) struct Kept {
    /// The latest last.
    all: Vec<KeptStream>,
    /// None is kept any more.
    is_closed: bool,
}

struct KeptStream {
    service: usize,
    stream: StreamId,
    until: Instant,
}

impl Kept {
    /// When the first of them has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.first().map(|kept| kept.until)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The one that was used last: it is the likeliest to live.
    fn take(&mut self, service: usize) -> Option<StreamId> {
        let place = self.all.iter().rposition(|kept| kept.service == service)?;
        Some(self.all.remove(place).stream)
    }
}

impl Server {
    /// Leads a request to its host's backend: by a kept connection, unless it must be a `fresh` one,
    /// or by one that is dialled next.
    pub(super) fn route_request(
        &mut self,
        index: usize,
        active: &mut Active,
        (host, fresh): (Option<&str>, bool),
        now: Instant,
    ) {
        if let Some(dead) = active.dialled.take() {
            self.drop_stream_with_reset(dead);
        }
        let place = self.place_of(active, host);
        let is_old = active.front.is_some_and(|it| self.services.is_retired(it));
        let Stage::Session(session) = &mut active.stage else {
            return;
        };
        if is_old {
            // The next request is to find what is served by then.
            session.end_after_response();
        }
        let entered = place.and_then(|place| {
            let service = self.services.get(place);
            let options = service.and_then(|service| service.requests.as_ref());
            session.enter_host(options.ok_or(MISDIRECTED)?)?;
            Ok(place)
        });
        let place = match entered {
            Ok(place) => place,
            Err(status) => return session.has_no_backend(status, now),
        };
        if place != active.service {
            self.services.hand_over(active.service, place);
            active.service = place;
        }
        active.route = Route::default();
        active.looked_up = false;
        active.awaits_name = None;
        active.dialling = None;
        let kept = match fresh {
            true => None,
            false => self.take_kept(place),
        };
        if let Some(stream) = kept {
            active.dialled = Some(stream);
            self.owners.insert(stream, index);
        }
        session.routed(kept.is_some(), now);
    }

    /// The service that a request belongs to, or the status that it is answered with.
    fn place_of(&self, active: &Active, host: Option<&str>) -> Result<usize, u16> {
        let front = active.front.and_then(|front| self.services.get(front));
        let (Some(front), Some(host)) = (front, host) else {
            return Ok(active.service);
        };
        if front.virtual_hosts.is_empty() {
            return Ok(active.service);
        }
        front.host(host).ok_or(404)
    }

    /// Keeps the connection to a backend for further requests, or gives it back.
    pub(super) fn release_backend(&mut self, active: &mut Active, keep: bool, now: Instant) {
        let Some(stream) = active.dialled.take() else {
            return;
        };
        self.owners.remove(&stream);
        let keep = keep && !self.kept.is_closed;
        if !keep || self.services.is_retired(active.service) || !self.is_quiet(stream) {
            return self.let_go(stream);
        }
        self.kept.all.push(KeptStream {
            service: active.service,
            stream,
            until: now + KEPT_FOR,
        });
        self.fit_kept(0);
    }

    /// Gives back those that were kept longest, until there is memory for all: a session's is for two
    /// connections, so one without a backend lends half of it. So many are `wanted` back.
    pub(super) fn fit_kept(&mut self, wanted: usize) {
        let lent = (2 * self.session_count()).saturating_sub(self.owners.len() + wanted);
        let most = (KEPT_STREAMS + lent).min(MAX_KEPT_STREAMS);
        while self.kept.all.len() > most {
            let oldest = self.kept.all.remove(0);
            self.let_go(oldest.stream);
        }
    }

    /// Something came for a kept connection, which can only be its end. False: it is none.
    pub(super) fn kept_ready(&mut self, stream: StreamId) -> bool {
        let place = self.kept.all.iter().position(|kept| kept.stream == stream);
        if let Some(place) = place
            && !self.is_quiet(stream)
        {
            self.kept.all.remove(place);
            self.let_go(stream);
        }
        place.is_some()
    }

    /// Gives back the connections that have waited long enough, and those whose services are gone.
    pub(super) fn forget_kept(&mut self, now: Instant) {
        let all = core::mem::take(&mut self.kept.all);
        let (left, over): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|kept| kept.until > now && !self.services.is_retired(kept.service));
        self.kept.all = left;
        for kept in over {
            self.let_go(kept.stream);
        }
    }

    /// Takes no requests but those that clients have begun to ask, and keeps no backend for others.
    pub(super) fn wind_up_requests(&mut self, now: Instant) {
        self.kept.is_closed = true;
        for kept in core::mem::take(&mut self.kept.all) {
            self.let_go(kept.stream);
        }
        for index in 0..self.sessions.len() {
            let slot = self.sessions.get_mut(index);
            if let Some(active) = slot.and_then(|slot| slot.active.as_mut())
                && let Stage::Session(session) = &mut active.stage
                && session.is_exchanging()
            {
                session.end_after_response();
                self.run(index, now);
            }
        }
    }

    fn take_kept(&mut self, service: usize) -> Option<StreamId> {
        while let Some(stream) = self.kept.take(service) {
            if self.is_quiet(stream) {
                return Some(stream);
            }
            self.let_go(stream);
        }
        None
    }

    /// Whether a backend that was asked nothing has also said nothing, and is there.
    fn is_quiet(&mut self, stream: StreamId) -> bool {
        let stream = self.stack.stream(stream);
        stream.is_some_and(|stream| {
            let is_open = stream.status() == Status::Open && !stream.peer_finished();
            is_open && stream.recv_len() == 0
        })
    }

    fn let_go(&mut self, stream: StreamId) {
        if let Some(mut open) = self.stack.stream(stream) {
            open.finish();
        }
        self.stack.release(stream);
    }
}

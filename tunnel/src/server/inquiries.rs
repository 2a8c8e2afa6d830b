//! Asking OCSP responders about certificates.
//!
//! An [`Inquiry`] asks one responder after another about one certificate. Connections whose peers
//! show the same certificate wait for the same inquiry, and each takes its own conclusion from it.

use alloc::{boxed::Box, vec::Vec};
use core::{net::IpAddr, net::SocketAddr, time::Duration};

use net::{Instant, QueryId, ResolveError, Status, StreamId};
use tls::{CertificateStatus, OCSP_NONCE, StatusQuery};

use super::{Server, report::restrain, revocation::outcome};
use crate::{
    journal::{Channel, Id, Lines, Severity},
    limits::MAX_INQUIRIES,
    revocation::{Answer, Candidate, Exchange, Known, Outcome},
    service::{
        Backend,
        backend::{Failover, Route},
        conf,
    },
    session::DialError,
};

/// Most inquiries that wait for their turn besides those that are made; peers beyond get no answer.
const MAX_WAITING: usize = 64;

/// Inquiries that are made or wait, and what earlier ones have found.
#[derive(Default)]
pub(super) struct Inquiries {
    open: Vec<Inquiry>,
    known: Known,
    /// Of the latest.
    number: u64,
}

/// How a certificate is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) nonce: bool,
    pub(super) included: bool,
    pub(super) timeout: Duration,
    /// For the service's own certificate.
    pub(super) staple: bool,
    /// Failures were told before.
    pub(super) quiet: bool,
}

/// A question about one certificate.
pub(super) struct Inquiry {
    pub(super) number: u64,
    query: StatusQuery,
    manner: Manner,
    all: Vec<Candidate>,
    /// How many of them were asked.
    next: usize,
    /// The lines about it are those of who has asked first.
    channel: Channel,
    pub(super) id: Id,
    waiting: Vec<usize>,
    begun: bool,
    until: Instant,
    asked: Option<Box<Asked>>,
}

/// The responder that is being asked.
struct Asked {
    backend: Backend,
    route: Route,
    authority: alloc::string::String,
    dialled: Option<(StreamId, SocketAddr, Instant)>,
    connected: bool,
    exchange: Exchange,
    nonce: Option<[u8; OCSP_NONCE]>,
}

/// What an inquiry has come to.
struct Found {
    outcome: Outcome,
    /// What was said, and the response that says it.
    said: Option<(CertificateStatus, Vec<u8>)>,
}

impl Inquiries {
    /// When one of them has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.iter().map(|inquiry| inquiry.until).min()
    }

    /// What was said of a certificate, and still holds.
    pub(super) fn known(&self, query: &StatusQuery, included: bool, unix: u64) -> Option<Outcome> {
        self.known.find(query, included, unix)
    }

    /// The connection at `index` wants to be told of an inquiry's end.
    pub(super) fn wait(&mut self, number: u64, index: usize) {
        let mut open = self.open.iter_mut();
        if let Some(inquiry) = open.find(|inquiry| inquiry.number == number) {
            inquiry.waiting.push(index);
        }
    }

    fn stream(&self, stream: StreamId) -> Option<u64> {
        let is = |inquiry: &&Inquiry| {
            let asked = inquiry.asked.as_ref();
            asked.is_some_and(|asked| asked.dialled.is_some_and(|(id, ..)| id == stream))
        };
        self.open.iter().find(is).map(|inquiry| inquiry.number)
    }

    fn take(&mut self, number: u64) -> Option<Inquiry> {
        let mut all = self.open.iter();
        let place = all.position(|inquiry| inquiry.number == number)?;
        Some(self.open.remove(place))
    }
}

impl Server {
    /// Has responders asked about a certificate, unless that is being done already. `None`: there
    /// are too many questions.
    pub(super) fn inquire(
        &mut self,
        query: &StatusQuery,
        candidates: Vec<Candidate>,
        manner: Manner,
        (channel, id): (&Channel, Id),
        now: Instant,
    ) -> Option<u64> {
        let same = |inquiry: &&Inquiry| {
            inquiry.query.is_same(query) && inquiry.manner == manner && inquiry.all == candidates
        };
        // A nonce is for one: with it, what was asked before says nothing.
        let shared = self.inquiries.open.iter().find(same);
        if let Some(shared) = shared.filter(|_| !manner.nonce) {
            return Some(shared.number);
        }
        if self.inquiries.open.len() >= MAX_INQUIRIES + MAX_WAITING {
            return None;
        }
        self.inquiries.number += 1;
        let number = self.inquiries.number;
        self.inquiries.open.push(Inquiry {
            number,
            query: query.clone(),
            manner,
            next: 0,
            all: candidates,
            channel: channel.clone(),
            id,
            waiting: Vec::new(),
            begun: false,
            until: now + manner.timeout,
            asked: None,
        });
        Some(number)
    }

    /// Begins inquiries whose turn it is, and ends those that take too long.
    pub(super) fn advance_inquiries(&mut self, now: Instant) {
        loop {
            let open = &self.inquiries.open;
            let late = open.iter().find(|inquiry| inquiry.until <= now);
            let begun = open.iter().filter(|inquiry| inquiry.begun).count();
            let next = || open.iter().find(|inquiry| !inquiry.begun);
            let chosen = late.or_else(|| next().filter(|_| begun < MAX_INQUIRIES));
            let Some(number) = chosen.map(|inquiry| inquiry.number) else {
                return;
            };
            self.run_inquiry(number, now);
        }
    }

    /// Something came for an inquiry's stream. False: it is none's.
    pub(super) fn inquiry_ready(&mut self, stream: StreamId, now: Instant) -> bool {
        let number = self.inquiries.stream(stream);
        if let Some(number) = number {
            self.run_inquiry(number, now);
        }
        number.is_some()
    }

    /// Hands an answer to the inquiry that has asked for a responder's name. True when there is one.
    pub(super) fn inquiry_resolved(
        &mut self,
        query: QueryId,
        result: &Result<Vec<IpAddr>, ResolveError>,
        now: Instant,
    ) -> bool {
        let mut open = self.inquiries.open.iter_mut();
        let number = open.find_map(|inquiry| {
            let asked = inquiry.asked.as_mut()?;
            asked.backend.resolved(query, result, now)?;
            Some(inquiry.number)
        });
        if let Some(number) = number {
            self.run_inquiry(number, now);
        }
        number.is_some()
    }

    fn run_inquiry(&mut self, number: u64, now: Instant) {
        let Some(mut inquiry) = self.inquiries.take(number) else {
            return;
        };
        let nothing = Found {
            outcome: Outcome::Unknown,
            said: None,
        };
        if !core::mem::replace(&mut inquiry.begun, true) && inquiry.until <= now {
            // Others have taken all its time.
            self.complain(&inquiry, now, &mut |lines| lines.ocsp_timed_out());
            return self.conclude_inquiry(inquiry, nothing, now);
        }
        match self.drive_inquiry(&mut inquiry, now) {
            None => self.inquiries.open.push(inquiry),
            Some(found) => self.conclude_inquiry(inquiry, found, now),
        }
    }

    /// Asks one responder after another; `None`: one has yet to answer.
    fn drive_inquiry(&mut self, inquiry: &mut Inquiry, now: Instant) -> Option<Found> {
        loop {
            if inquiry.asked.is_none() {
                let Some(candidate) = inquiry.all.get(inquiry.next).cloned() else {
                    return Some(Found {
                        outcome: Outcome::Unknown,
                        said: None,
                    });
                };
                inquiry.next += 1;
                inquiry.asked = self.ask(inquiry, &candidate, now);
                continue;
            }
            let nonce = inquiry.asked.as_ref().and_then(|asked| asked.nonce);
            let body = match self.exchange(inquiry, now) {
                Ok(None) => return None,
                Ok(Some(body)) => body,
                Err(()) => {
                    self.stop_asking(inquiry, true);
                    continue;
                }
            };
            self.stop_asking(inquiry, false);
            let Manner { included, .. } = inquiry.manner;
            let nonce = nonce.as_ref().map(|nonce| &nonce[..]);
            let answer = inquiry
                .query
                .judge(&body, nonce, included, self.clock.now());
            self.tell(inquiry, &mut |lines| lines.ocsp_received(false));
            match answer {
                Ok(CertificateStatus {
                    state: tls::Status::Good,
                    ..
                }) => self.tell(inquiry, &mut |lines| lines.ocsp_answered(&answer)),
                _ => self.complain(inquiry, now, &mut |lines| lines.ocsp_answered(&answer)),
            }
            if let Ok(status) = answer
                && outcome(&status) != Outcome::Unknown
            {
                return Some(Found {
                    outcome: outcome(&status),
                    said: Some((status, body)),
                });
            }
        }
    }

    /// Begins with a responder. `None`: it cannot be asked.
    fn ask(
        &mut self,
        inquiry: &mut Inquiry,
        candidate: &Candidate,
        now: Instant,
    ) -> Option<Box<Asked>> {
        inquiry.until = now + inquiry.manner.timeout;
        self.tell(inquiry, &mut |lines| {
            lines.ocsp_asking(&candidate.url, candidate.configured);
        });
        let responder = match &candidate.responder {
            Ok(responder) => responder,
            Err(error) => {
                self.complain(inquiry, now, &mut |lines| lines.ocsp_failed(error));
                return None;
            }
        };
        let mut nonce = None;
        if inquiry.manner.nonce {
            match tls::ocsp_nonce() {
                Ok(drawn) => nonce = Some(drawn),
                Err(error) => {
                    self.complain(inquiry, now, &mut |lines| lines.ocsp_not_answered(&error));
                    return None;
                }
            }
        }
        let request = inquiry
            .query
            .request(nonce.as_ref().map(|nonce| &nonce[..]));
        let place = (conf::place(&responder.host), responder.port);
        let mut backend = Backend::of([place], Failover::Priority, false);
        let stack = &mut self.stack;
        backend.look_up(now, true, |name| stack.resolve(name, now), |_, _| {});
        Some(Box::new(Asked {
            backend,
            route: Route::default(),
            authority: responder.authority.clone(),
            dialled: None,
            connected: false,
            exchange: Exchange::new(responder, &request),
            nonce,
        }))
    }

    /// Dials, sends and receives what can be; the response's body once it is whole.
    fn exchange(&mut self, inquiry: &mut Inquiry, now: Instant) -> Result<Option<Vec<u8>>, ()> {
        loop {
            let is_late = now >= inquiry.until;
            if is_late {
                self.complain(inquiry, now, &mut |lines| lines.ocsp_timed_out());
                return Err(());
            }
            let Some(asked) = inquiry.asked.as_deref_mut() else {
                return Err(());
            };
            let Some((id, address, _)) = asked.dialled else {
                let addresses = self.stack.addresses();
                let Some(next) = asked.route.next(&mut asked.backend, addresses) else {
                    if asked.backend.is_worth_waiting(addresses) {
                        return Ok(None);
                    }
                    if !asked.route.is_begun() {
                        self.complain(inquiry, now, &mut |lines| lines.ocsp_not_resolved());
                    }
                    return Err(());
                };
                let dialled = self.stack.connect_from(None, next.address, now);
                let failure = match dialled {
                    Ok(stream) => {
                        asked.dialled = Some((stream, next.address, now));
                        None
                    }
                    Err(error) => Some(DialError::Refused(error)),
                };
                self.tell(inquiry, &mut |lines| lines.connecting(next.address));
                if let Some(error) = failure {
                    self.complain(inquiry, now, &mut |lines| {
                        lines.connect_failed(next.address, error);
                    });
                }
                continue;
            };
            let Some(mut stream) = self.stack.stream(id) else {
                return Err(());
            };
            let begins = match stream.status() {
                Status::Connecting => return Ok(None),
                Status::Closed(Some(error)) if !asked.connected => {
                    asked.dialled = None;
                    self.stack.release(id);
                    self.complain(inquiry, now, &mut |lines| {
                        lines.connect_failed(address, DialError::Failed(error));
                    });
                    continue;
                }
                _ => !core::mem::replace(&mut asked.connected, true),
            };
            let result = asked.exchange.poll(&mut stream);
            let authority = asked.authority.clone();
            if begins {
                self.tell(inquiry, &mut |lines| lines.ocsp_connected(&authority));
            }
            return result.map_err(|error| {
                self.complain(inquiry, now, &mut |lines| lines.ocsp_not_answered(&error));
            });
        }
    }

    /// Writes lines in the name of who has asked first.
    fn tell(&mut self, inquiry: &Inquiry, write: &mut dyn FnMut(&mut Lines<'_>)) {
        if !inquiry.manner.quiet {
            write(&mut self.journal.connection(&inquiry.channel, inquiry.id));
        }
    }

    /// Writes lines about a failure, of which there may be only so many.
    fn complain(&mut self, inquiry: &Inquiry, now: Instant, write: &mut dyn FnMut(&mut Lines<'_>)) {
        let mut lines = self.journal.connection(&inquiry.channel, inquiry.id);
        if !inquiry.manner.quiet {
            restrain(&mut self.throttle, &mut lines, Severity::Error, now);
            write(&mut lines);
        }
    }

    /// Gives back the stream to the responder.
    fn stop_asking(&mut self, inquiry: &mut Inquiry, failed: bool) {
        let dialled = inquiry.asked.take().and_then(|asked| asked.dialled);
        if let Some((id, ..)) = dialled {
            if let Some(mut stream) = self.stack.stream(id) {
                match failed {
                    true => stream.reset(),
                    false => stream.finish(),
                }
            }
            self.stack.release(id);
        }
    }

    fn conclude_inquiry(&mut self, inquiry: Inquiry, found: Found, now: Instant) {
        let unix = self.clock.now();
        if let Some((status, _)) = &found.said
            && let Some(until) = status.next_update
            && !inquiry.manner.nonce
        {
            let answer = Answer {
                query: inquiry.query.clone(),
                included: inquiry.manner.included,
                outcome: found.outcome,
                until,
            };
            self.inquiries.known.keep(answer, unix);
        }
        if inquiry.manner.staple {
            return self.stapled(&inquiry.query, found.said, now);
        }
        for index in &inquiry.waiting {
            self.tell_waiting(*index, &inquiry, found.outcome);
        }
        for index in inquiry.waiting {
            self.run(index, now);
        }
    }
}

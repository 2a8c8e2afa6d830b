//! One client's connection: request by request, each with its backend, until one side ends.
//!
//! An [`Exchange`] is shown what waits at its two ends and says what of it was taken; what is to be
//! sent it appends to two buffers. Its owner finds backends, keeps connections, and has the clock.
//!
//! ```text
//! Head ──► Routing ──► Carrying ──► Head ──► …
//!   │                     └──► Upgraded
//!   └──► Over (a page of ours was sent)
//! ```

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::body::{Body, Framing};
use crate::head::Scan;
use crate::{Client, Refusal, page, request};
use carried::{Answer, Carried, Down, Failure};

mod carried;

/// Most bytes that wait to be sent before more is taken: a record of TLS. A head may go beyond it.
const MAX_WAITING: usize = 16 * 1024;

/// What the requests of a host, and the responses to them, are held to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Most bytes of a request's body; `None`: any number.
    pub max_body: Option<u64>,
    /// A field for every response, name and value.
    pub extra: Option<(String, String)>,
}

/// One client's connection.
pub struct Exchange {
    /// Those of the host that was asked for last.
    options: Arc<Options>,
    state: State,
    /// The connection ends with the next response.
    ends: bool,
    /// There was a request.
    asked: bool,
    said: Option<Said>,
}

enum State {
    /// A request's head comes; it was looked through so far.
    Head(Scan),
    /// Its backend is being connected to.
    Routing(Box),
    Carrying(Box),
    /// Another protocol has taken over.
    Upgraded,
    /// What was said was said; the rest of the client's bytes count no more.
    Over,
}

type Box = alloc::boxed::Box<Carried>;

/// A page of ours that a client was sent, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its status.
    pub status: u16,
    /// What was not understood: of the client's where the status is below 500, else of the backend's.
    pub why: Option<Refusal>,
}

/// What waits at an end.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Nothing will come behind them.
    pub ended: bool,
    /// If so: something may be missing, as it ended by a reset.
    pub lost: bool,
}

/// What a turn has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Bytes taken of what waited at the client's end.
    pub client: usize,
    /// The same for the backend's end.
    pub backend: usize,
    /// What the owner has to do.
    pub progress: Progress,
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Come again: at once if anything was taken, else once something has changed.
    Wait,
    /// Connect to this host's backend, then [`Exchange::connected`] or [`Exchange::unreachable`].
    Connect {
        /// The host; `None`: the request names none.
        host: Option<String>,
        /// Not by a connection that was kept: such a one has just turned out to be dead.
        fresh: bool,
    },
    /// The request is answered: the backend's connection can be kept, or not.
    Release {
        /// It takes another request.
        keep: bool,
    },
    /// From now on carry bytes as they are, both ways.
    Upgrade,
    /// End both ends in order once all is sent.
    End,
    /// A message was cut off: end the client's connection such that it can tell.
    Abort,
}

impl Exchange {
    /// A connection on which nothing was said yet; these options hold until [`Exchange::enter`].
    pub fn new(options: impl Into<Arc<Options>>) -> Exchange {
        Exchange {
            options: options.into(),
            state: State::Head(Scan::default()),
            ends: false,
            asked: false,
            said: None,
        }
    }

    /// The client's connection ends with the response whose head comes next; at once, where it waits for
    /// another request than its first one.
    pub fn end_after_response(&mut self) {
        self.ends = true;
    }

    /// Whether it waits for a request, and not for the rest of one.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// How many of the bytes that the client sends next are the backend's as they are. The owner may
    /// carry any of them past the exchange, once nothing waits to be sent to the backend, and tells
    /// how many by [`carried_to_backend`](Self::carried_to_backend).
    pub fn for_backend(&self) -> u64 {
        match &self.state {
            State::Carrying(carried) => carried.asked.left(),
            _ => 0,
        }
    }

    /// See [`for_backend`](Self::for_backend).
    pub fn carried_to_backend(&mut self, count: u64) {
        if let State::Carrying(carried) = &mut self.state {
            carried.asked.skip(count);
        }
    }

    /// How many of the bytes that the backend sends next are the client's as they are; as
    /// [`for_backend`](Self::for_backend), the other way.
    pub fn for_client(&self) -> u64 {
        match &self.state {
            State::Carrying(carried) => match &carried.answer {
                Answer::Body { from, .. } => from.left(),
                _ => 0,
            },
            _ => 0,
        }
    }

    /// See [`for_client`](Self::for_client).
    pub fn carried_to_client(&mut self, count: u64) {
        if let State::Carrying(carried) = &mut self.state
            && let Answer::Body { from, .. } = &mut carried.answer
        {
            from.skip(count);
        }
    }

    /// The page that the client was sent, once.
    pub fn take_said(&mut self) -> Option<Said> {
        self.said.take()
    }

    /// Moves what can be moved.
    pub fn poll(
        &mut self,
        about: &Client<'_>,
        client: View<'_>,
        backend: Option<View<'_>>,
        to_client: &mut Vec<u8>,
        to_backend: &mut Vec<u8>,
    ) -> Turn {
        let wait = |client, progress| Turn {
            client,
            backend: 0,
            progress,
        };
        match core::mem::replace(&mut self.state, State::Over) {
            State::Head(scan) => self.head(scan, about, client, to_client),
            State::Routing(carried) => {
                self.state = State::Routing(carried);
                wait(0, Progress::Wait)
            }
            State::Carrying(carried) => {
                self.carrying(carried, client, backend, to_client, to_backend)
            }
            State::Upgraded => {
                self.state = State::Upgraded;
                wait(0, Progress::Upgrade)
            }
            State::Over => wait(client.bytes.len(), Progress::End),
        }
    }

    /// The request is for a host with these options.
    ///
    /// # Errors
    ///
    /// They forbid it: the status for [`Exchange::unreachable`].
    pub fn enter(&mut self, options: &Arc<Options>) -> Result<(), u16> {
        if !Arc::ptr_eq(&self.options, options) {
            self.options = options.clone();
        }
        let State::Routing(carried) = &self.state else {
            return Ok(());
        };
        let too_large =
            |most| matches!(carried.request.framing, Framing::Length(length) if length > most);
        match options.max_body.is_some_and(too_large) {
            true => Err(413),
            false => Ok(()),
        }
    }

    /// The backend is there. `reused`: its connection was kept from an earlier request.
    pub fn connected(&mut self, reused: bool, to_backend: &mut Vec<u8>) {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Routing(mut carried) => {
                to_backend.extend_from_slice(&carried.head);
                carried.reused = reused;
                if !(reused && carried.request.may_repeat) {
                    carried.head = Vec::new();
                }
                self.state = State::Carrying(carried);
            }
            other => self.state = other,
        }
    }

    /// There is no backend: the client gets a page with this status.
    pub fn unreachable(&mut self, status: u16, to_client: &mut Vec<u8>) {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Routing(carried) => self.say(status, carried.request.is_head, to_client),
            other => self.state = other,
        }
    }

    /// Nothing has moved for too long. What the client can still be told it is told.
    ///
    /// `waits`: bytes of the client wait, here or to be taken by the backend.
    pub fn timed_out(&mut self, waits: bool, to_client: &mut Vec<u8>) -> Progress {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Head(_) if waits => {
                self.say(408, false, to_client);
                Progress::Wait
            }
            State::Routing(carried) => {
                self.say(504, carried.request.is_head, to_client);
                Progress::Wait
            }
            State::Carrying(carried) if matches!(carried.answer, Answer::Head(_)) => {
                // The client owes the rest of its body, or the backend an answer.
                let status = match carried.asked.is_over() || waits {
                    true => 504,
                    false => 408,
                };
                self.say(status, carried.request.is_head, to_client);
                Progress::Wait
            }
            State::Carrying(_) => Progress::Abort,
            _ => Progress::End,
        }
    }

    fn say(&mut self, status: u16, is_head: bool, to_client: &mut Vec<u8>) {
        to_client.extend_from_slice(&page(status, is_head));
        self.said = Some(Said { status, why: None });
        self.state = State::Over;
    }

    /// Why the page was sent.
    fn explain(&mut self, why: Refusal) {
        if let Some(said) = &mut self.said {
            said.why = Some(why);
        }
    }

    fn head(
        &mut self,
        mut scan: Scan,
        about: &Client<'_>,
        client: View<'_>,
        to_client: &mut Vec<u8>,
    ) -> Turn {
        let turn = |client, progress| Turn {
            client,
            backend: 0,
            progress,
        };
        let mut head = Vec::new();
        let found = scan.length(client.bytes).and_then(|length| {
            let whole = length.and_then(|length| client.bytes.get(..length));
            let read = |whole| request::whole(whole, about, &mut head);
            whole.map(read).transpose()
        });
        match found {
            Ok(None) if client.ended => turn(client.bytes.len(), Progress::End),
            Ok(None) if client.bytes.is_empty() && self.ends && self.asked => {
                turn(0, Progress::End)
            }
            Ok(None) => {
                self.state = State::Head(scan);
                turn(0, Progress::Wait)
            }
            Ok(Some(request)) => {
                let (length, host) = (request.length, request.host.clone());
                self.asked = true;
                self.state = State::Routing(Box::new(Carried {
                    asked: Body::new(request.framing),
                    request,
                    head,
                    sent: 0,
                    answer: Answer::Head(Scan::default()),
                    reused: false,
                    answered: false,
                    interim: 0,
                }));
                let fresh = false;
                turn(length, Progress::Connect { host, fresh })
            }
            Err(refusal) => {
                self.say(refusal.status(), false, to_client);
                self.explain(refusal);
                turn(client.bytes.len(), Progress::Wait)
            }
        }
    }

    fn carrying(
        &mut self,
        mut carried: Box,
        client: View<'_>,
        backend: Option<View<'_>>,
        to_client: &mut Vec<u8>,
        to_backend: &mut Vec<u8>,
    ) -> Turn {
        let mut turn = Turn {
            client: 0,
            backend: 0,
            progress: Progress::Wait,
        };
        // Upwards.
        let unfinished = !carried.asked.is_over();
        if unfinished && to_backend.len() < MAX_WAITING {
            let most = self.options.max_body;
            match carried.up(client.bytes, most, to_backend) {
                Ok(taken) => turn.client = taken,
                Err(status) if matches!(carried.answer, Answer::Head(_)) => {
                    self.say(status, carried.request.is_head, to_client);
                    turn.client = client.bytes.len();
                    return turn;
                }
                Err(_) => {
                    turn.progress = Progress::Abort;
                    return turn;
                }
            }
            if client.ended && turn.client == client.bytes.len() && !carried.asked.is_over() {
                // The rest of the request will never come: nobody waits for an answer.
                turn.progress = Progress::Abort;
                return turn;
            }
        }
        // Downwards.
        let Some(backend) = backend else {
            self.state = State::Carrying(carried);
            return turn;
        };
        carried.answered |= !backend.bytes.is_empty();
        if to_client.len() < MAX_WAITING {
            let extra = self.options.extra.as_ref();
            let extra = extra.map(|(name, value)| (name.as_str(), value.as_str()));
            match carried.down(backend, self.ends, extra, to_client) {
                Ok(Down::Took(taken)) => turn.backend = taken,
                Ok(Down::Upgrade(taken)) => {
                    turn.backend = taken;
                    turn.progress = Progress::Upgrade;
                    self.state = State::Upgraded;
                    return turn;
                }
                Err(Failure::Repeat) => {
                    let (host, fresh) = (carried.request.host.clone(), true);
                    to_backend.clear();
                    turn.progress = Progress::Connect { host, fresh };
                    self.state = State::Routing(carried);
                    return turn;
                }
                Err(Failure::Page(why)) => {
                    self.say(502, carried.request.is_head, to_client);
                    if let Some(why) = why {
                        self.explain(why);
                    }
                    // Nothing may have been taken, but there is something to send.
                    turn.progress = Progress::End;
                    return turn;
                }
                Err(Failure::Cut) => {
                    turn.progress = Progress::Abort;
                    return turn;
                }
            }
        }
        if let Answer::Done { keep, client_keep } = carried.answer {
            // A backend that has answered before it has heard all takes what comes next for the rest;
            // what is left of one's request must not go to another one; and what comes unasked would
            // be taken for another request's answer.
            let is_heard = carried.asked.is_over() && to_backend.is_empty();
            let is_quiet = turn.backend == backend.bytes.len() && !backend.ended;
            let keep = keep && is_heard && is_quiet && !carried.request.is_doubtful;
            to_backend.clear();
            turn.progress = Progress::Release { keep };
            self.state = match client_keep && carried.asked.is_over() {
                true => State::Head(Scan::default()),
                false => State::Over,
            };
            return turn;
        }
        self.state = State::Carrying(carried);
        turn
    }
}

#[cfg(test)]
mod tests;

//! One connection through the tunnel, from its first byte to its last.
//!
//! A session has two ends: the *TLS end*, where records travel, and the *plain end*, where their
//! contents do. Which of them was accepted and which is dialled is the service's [`Mode`].
//!
//! ```text
//! Server:  Handshaking ──► Connecting ──► Relaying ──► ended
//! Client:  Connecting ──► Handshaking ──► Relaying ──► ended
//! ```
//!
//! A service that asks whether its peers' certificates are revoked has a `Judging` after its
//! `Handshaking`. A service with a dialect puts a `Negotiating` between any two of these. (What a
//! server's client says before TLS, and who is dialled for that, is an
//! [`Opening`](crate::opening::Opening)'s.)

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use net::{Instant, Status, StreamError};
use tls::Connection;

use crate::{
    dialect::{Destination, Stage, Unreachable},
    limits::Timeouts,
    negotiation::Negotiation,
    relay::{self, Scratch, Stream},
};

mod error;
mod exchanging;
mod negotiating;
mod relaying;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use error::{DialError, SessionError};
pub use exchanging::Exchanging;

/// Which end of a session was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// TLS is accepted and plaintext is dialled: a TLS terminator.
    Server,
    /// Plaintext is accepted and TLS is dialled: a TLS originator.
    Client,
}

/// One tunnelled connection.
///
/// Performs no I/O of its own and reads no clock. [`poll`](Self::poll) it whenever one of its
/// streams has something new and no later than [`deadline`](Self::deadline).
pub struct Session {
    connection: Connection,
    mode: Mode,
    timeouts: Timeouts,
    /// Failures end with a reset, not with FIN.
    resets: bool,
    state: State,
    /// When a byte last moved.
    active: Instant,
    inbound: Direction,
    outbound: Direction,
    /// The TLS end or the plain end failed in mid-stream; what it sent before is still passed on.
    failed: Option<SessionError>,
    /// Bytes that wait in the send buffers for their readers.
    queued: usize,
    /// Whether there are any that can still arrive.
    undelivered: bool,
    /// Plaintext bytes that came out of TLS.
    received: u64,
    /// Plaintext bytes that went into TLS.
    sent: u64,
    /// What is to be said before the relay.
    negotiation: Option<Box<Negotiation>>,
    /// The dialled end was there before TLS: what it has said cannot be had from another one.
    dialled_first: bool,
    /// Plaintext that came out of TLS during the negotiation and belongs to the plain end.
    rest: Vec<u8>,
    /// TLS failed, and one side has told the other by an alert.
    alerted: bool,
    /// Whether somebody has yet to say that the peer's certificate is good.
    unjudged: bool,
    /// What comes out of TLS is HTTP.
    exchanging: Option<Box<Exchanging>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshaking {
        until: Instant,
    },
    Judging {
        until: Instant,
    },
    Connecting {
        until: Instant,
    },
    Negotiating {
        stage: Stage,
        until: Instant,
    },
    /// Requests one by one, each with its backend.
    Exchanging,
    Relaying,
    Ended,
}

/// How far one direction has come: inbound is out of TLS, outbound into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Open,
    /// The source has ended; its end is not yet passed on.
    Ending,
    Ended,
}

/// What the owner of a session has to do next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing until one of the streams changes or the deadline passes.
    Wait,
    /// Dial the next address, then [`Session::dialling`], or [`Session::give_up`] if none is left.
    Connect {
        /// Why the address dialled before did not answer; `None` for the first.
        failed: Option<StreamError>,
    },
    /// Dial what the client has asked for, then [`Session::dialling`], or
    /// [`Session::refuse_destination`].
    ConnectTo(Destination),
    /// Find out whether the peer's certificate is revoked, then [`Session::judged`], or
    /// [`Session::refuse_peer`].
    Judge,
    /// Find the backend of this host, then [`Session::routed`], or [`Session::has_no_backend`]. The
    /// dialled end that there may be is dead, and with `fresh` so may be others that were kept.
    Route {
        /// The host of the request; `None`: it names none.
        host: Option<String>,
        /// Only by a new connection.
        fresh: bool,
    },
    /// The dialled end is not needed any more: keep it for others, or let it go.
    Release {
        /// It takes another request.
        keep: bool,
    },
    /// [`Session::poll`] at once.
    Again,
    /// What an [`Opening`](crate::opening::Opening) had to do is done.
    BeginTls,
    /// The session has ended: release its streams.
    End(Result<(), SessionError>),
}

impl Session {
    /// A session whose `connection` was made for a stream accepted at `now`.
    pub fn new(connection: Connection, mode: Mode, timeouts: Timeouts, now: Instant) -> Self {
        let state = match mode {
            Mode::Server => State::Handshaking {
                until: now + timeouts.handshake,
            },
            Mode::Client => State::Connecting {
                until: now + timeouts.connect,
            },
        };
        Self {
            connection,
            mode,
            timeouts,
            resets: true,
            state,
            active: now,
            inbound: Direction::Open,
            outbound: Direction::Open,
            failed: None,
            queued: 0,
            undelivered: false,
            received: 0,
            sent: 0,
            negotiation: None,
            dialled_first: false,
            rest: Vec::new(),
            alerted: false,
            unjudged: false,
            exchanging: None,
        }
    }

    /// Has nothing relayed, nor a backend dialled, until the peer's certificate was
    /// [judged](Step::Judge).
    pub fn with_judge(mut self) -> Self {
        self.unjudged = true;
        self
    }

    /// Has something said before the relay.
    pub fn with_negotiation(mut self, negotiation: Negotiation) -> Self {
        self.negotiation = Some(Box::new(negotiation));
        self
    }

    /// Ends with FIN instead of a reset when something fails (stunnel's `reset = no`). What was
    /// cut off then looks complete to the plain end.
    pub fn without_resets(mut self) -> Self {
        self.resets = false;
        self
    }

    /// When to [`poll`](Self::poll) even if nothing happens.
    pub fn deadline(&self) -> Instant {
        match self.state {
            State::Handshaking { until }
            | State::Judging { until }
            | State::Connecting { until }
            | State::Negotiating { until, .. } => until,
            State::Exchanging => self.exchange_deadline(),
            State::Relaying | State::Ended => self.active + self.patience(),
        }
    }

    /// The next address is being dialled, or has to be looked up first: that has `patience`,
    /// [`Timeouts::connect`] as a rule.
    pub fn dialling(&mut self, now: Instant, patience: Duration) {
        self.state = State::Connecting {
            until: now + patience,
        };
    }

    /// Whether the peer's certificate is being [judged](Step::Judge).
    pub fn is_judging(&self) -> bool {
        matches!(self.state, State::Judging { .. })
    }

    /// The TLS connection, of which the judge may want what came with the certificate.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The verdict on the peer's certificate comes by then.
    pub fn judging(&mut self, until: Instant) {
        self.state = State::Judging { until };
    }

    /// The peer's certificate is good enough: [`poll`](Self::poll) goes on.
    pub fn judged(&mut self, now: Instant) {
        if self.is_judging() {
            self.unjudged = false;
            self.state = State::Handshaking {
                until: now + self.timeouts.handshake,
            };
        }
    }

    /// The peer's certificate is not good enough: ends the session.
    pub fn refuse_peer<S: Stream>(
        &mut self,
        ends: [Option<&mut S>; 2],
        refusal: tls::Refusal,
    ) -> SessionError {
        for end in ends.into_iter().flatten() {
            self.abort(end);
        }
        self.state = State::Ended;
        SessionError::Revocation(refusal)
    }

    /// Speaks TLS by `connection` from the beginning, because another address is dialled.
    ///
    /// Only for [`Mode::Client`], and only before the address has answered.
    pub fn replace(&mut self, connection: Connection) {
        debug_assert!(self.mode == Mode::Client && matches!(self.state, State::Connecting { .. }));
        self.connection = connection;
    }

    /// The backend is dialled at this address.
    pub fn set_backend(&mut self, backend: SocketAddr) {
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.set_backend(backend);
        }
    }

    /// No address is left: ends the session, with a reset for the end that was accepted.
    pub fn give_up(&mut self, accepted: &mut impl Stream, error: DialError) -> SessionError {
        self.abort(accepted);
        self.state = State::Ended;
        SessionError::Connect(error)
    }

    /// What the client has asked for by [`Step::ConnectTo`] cannot be had: tells it so, and ends the
    /// session.
    pub fn refuse_destination<S: Stream>(
        &mut self,
        client: &mut S,
        scratch: &mut Scratch,
        why: Unreachable,
    ) -> SessionError {
        let none: Option<&mut S> = None;
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.unreachable(why);
            let connection = Some(&mut self.connection);
            negotiation.part(connection, Some(client), none, scratch, self.resets);
        }
        self.state = State::Ended;
        SessionError::Destination(why)
    }

    /// Ends a session in order whose handshake was everything that was wanted.
    pub fn part(&mut self, tls: &mut impl Stream) {
        self.connection.close_notify();
        relay::transmit(&mut self.connection, tls);
        tls.finish();
        self.state = State::Ended;
    }

    /// Moves everything that can be moved now.
    ///
    /// `tls` and `plain` are the two ends; the dialled one is `None` until the owner has dialled.
    pub fn poll<T: Stream, P: Stream>(
        &mut self,
        mut tls: Option<&mut T>,
        mut plain: Option<&mut P>,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        loop {
            let before = self.state;
            let step = match (self.state, &mut tls, &mut plain) {
                (State::Handshaking { until }, Some(tls), plain) => {
                    self.handshaking(*tls, plain.as_deref_mut(), until, scratch, now)
                }
                (State::Judging { until }, Some(tls), plain) => {
                    self.waiting_for_judge(*tls, plain.as_deref_mut(), until, now)
                }
                (State::Connecting { until }, tls, plain) => {
                    self.connecting(tls.as_deref_mut(), plain.as_deref_mut(), until, now)
                }
                (State::Negotiating { stage, until }, tls, plain) => {
                    let plain = plain.as_deref_mut();
                    self.negotiating(stage, until, tls.as_deref_mut(), plain, scratch, now)
                }
                (State::Exchanging, Some(tls), plain) => {
                    let plain = plain.as_deref_mut();
                    self.exchanging(*tls, plain, scratch, now)
                }
                (State::Relaying, Some(tls), Some(plain)) => {
                    self.relaying(*tls, *plain, scratch, now)
                }
                _ => Step::Wait,
            };
            if step != Step::Wait || self.state == before {
                return step;
            }
        }
    }

    fn handshaking<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: Option<&mut P>,
        until: Instant,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        let failed = self.drive_handshake(tls, scratch);
        if let Err(error) = failed {
            if let Some(plain) = plain {
                self.abort(plain);
            }
            return self.end(Err(error));
        }
        if !self.connection.is_handshaking() {
            self.active = now;
            if self.unjudged {
                self.state = State::Judging { until };
                return Step::Judge;
            }
            if self.negotiation.is_some() {
                self.negotiate(Stage::Secured, now);
                return Step::Wait;
            }
            return self.secured(plain.is_some(), now);
        }
        if now >= until {
            self.abort(tls);
            if let Some(plain) = plain {
                self.abort(plain);
            }
            return self.end(Err(SessionError::HandshakeTimeout));
        }
        Step::Wait
    }

    fn waiting_for_judge<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: Option<&mut P>,
        until: Instant,
        now: Instant,
    ) -> Step {
        // Session tickets and the like need not wait.
        relay::transmit(&mut self.connection, tls);
        let gone = match (tls.status(), plain.as_ref().map(|plain| plain.status())) {
            (Status::Closed(error), _) => {
                SessionError::TlsEndLost(error.unwrap_or(StreamError::Reset))
            }
            (_, Some(Status::Closed(error))) => {
                SessionError::PlainEndLost(error.unwrap_or(StreamError::Reset))
            }
            _ if now >= until => SessionError::HandshakeTimeout,
            _ => return Step::Wait,
        };
        self.abort(tls);
        if let Some(plain) = plain {
            self.abort(plain);
        }
        self.end(Err(gone))
    }

    /// TLS is established, and everything that had to be said at once is said.
    fn secured(&mut self, has_plain: bool, now: Instant) -> Step {
        if self.exchanging.is_some() {
            self.exchange(now);
            return Step::Wait;
        }
        match self.mode {
            Mode::Server => {
                self.state = State::Connecting {
                    until: now + self.timeouts.connect,
                };
                self.dialled_first = has_plain;
                match has_plain {
                    true => Step::Wait,
                    false => Step::Connect { failed: None },
                }
            }
            Mode::Client => self.relay(),
        }
    }

    fn relay(&mut self) -> Step {
        if let Some(negotiation) = self.negotiation.take() {
            self.rest = negotiation.into_rest();
        }
        self.state = State::Relaying;
        Step::Wait
    }

    /// Exchanges handshake messages; application data stays in the stream for the relay.
    fn drive_handshake<T: Stream>(
        &mut self,
        tls: &mut T,
        scratch: &mut Scratch,
    ) -> Result<(), SessionError> {
        loop {
            let sent = relay::transmit(&mut self.connection, tls);
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            match relay::open(&mut self.connection, tls, 0, scratch, |_| {}) {
                Ok(opened) if sent > 0 || opened.read > 0 => {}
                Ok(_) => break,
                Err(error) => {
                    self.send_last_words(tls, &error);
                    return Err(SessionError::Handshake(error));
                }
            }
        }
        match tls.status() {
            Status::Closed(_) => Err(SessionError::HandshakeAbandoned),
            _ if tls.peer_finished() => {
                tls.finish();
                Err(SessionError::HandshakeAbandoned)
            }
            _ => Ok(()),
        }
    }

    fn connecting<T: Stream, P: Stream>(
        &mut self,
        mut tls: Option<&mut T>,
        plain: Option<&mut P>,
        until: Instant,
        now: Instant,
    ) -> Step {
        if let Some(tls) = &mut tls
            && self.mode == Mode::Server
        {
            // Session tickets and the like need not wait for the backend.
            relay::transmit(&mut self.connection, *tls);
        }
        let (accepted, dialled) = match self.mode {
            Mode::Server => (status(&tls), status(&plain)),
            Mode::Client => (status(&plain), status(&tls)),
        };
        if let Some(Status::Closed(error)) = accepted {
            // Nobody waits for the backend any more.
            match self.mode {
                Mode::Server => plain.into_iter().for_each(|plain| self.abort(plain)),
                Mode::Client => tls.into_iter().for_each(|tls| self.abort(tls)),
            }
            let error = error.unwrap_or(StreamError::Reset);
            return self.end(Err(match self.mode {
                Mode::Server => SessionError::TlsEndLost(error),
                Mode::Client => SessionError::PlainEndLost(error),
            }));
        }
        if let (true, Some(Status::Closed(error))) = (self.dialled_first, dialled) {
            if let Some(tls) = tls {
                self.abort(tls);
            }
            let error = error.unwrap_or(StreamError::Reset);
            return self.end(Err(SessionError::PlainEndLost(error)));
        }
        if let Some(step) = self::dialled(dialled, until, now) {
            return step;
        }
        self.active = now;
        match self.mode {
            Mode::Server if self.exchanging.is_some() => self.exchange(now),
            Mode::Server if self.negotiation.is_some() => self.negotiate(Stage::Connected, now),
            Mode::Server => self.state = State::Relaying,
            Mode::Client if self.negotiation.is_some() => self.negotiate(Stage::Clear, now),
            Mode::Client => {
                self.state = State::Handshaking {
                    until: now + self.timeouts.handshake,
                };
            }
        }
        Step::Wait
    }

    /// Sends the alert that a fatal error left behind, then ends the TLS end's direction. Where there
    /// is none, and the peer has not sent one, that end fails like the other.
    fn send_last_words(&mut self, tls: &mut impl Stream, error: &tls::Error) {
        let sent = relay::transmit(&mut self.connection, tls) > 0;
        self.alerted = sent || matches!(error, tls::Error::PeerAlert { .. });
        match self.alerted {
            true => tls.finish(),
            false => self.abort(tls),
        }
    }

    /// Ends a stream because something failed.
    fn abort(&self, stream: &mut impl Stream) {
        if self.resets {
            stream.reset();
        } else {
            stream.finish();
        }
    }

    fn end(&mut self, result: Result<(), SessionError>) -> Step {
        self.state = State::Ended;
        Step::End(result)
    }
}

/// What to do about the dialled end; `None` when it has answered.
pub(crate) fn dialled(status: Option<Status>, until: Instant, now: Instant) -> Option<Step> {
    match status {
        None => Some(Step::Connect { failed: None }),
        Some(Status::Open) => None,
        Some(Status::Closed(error)) => Some(Step::Connect {
            failed: Some(error.unwrap_or(StreamError::Reset)),
        }),
        Some(Status::Connecting) if now >= until => Some(Step::Connect {
            failed: Some(StreamError::TimedOut),
        }),
        Some(Status::Connecting) => Some(Step::Wait),
    }
}

fn status<S: Stream>(stream: &Option<&mut S>) -> Option<Status> {
    stream.as_ref().map(|stream| stream.status())
}

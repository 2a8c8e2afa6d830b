//! One connection through the tunnel, from its first byte to its last.
//!
//! A session has two ends: the *TLS end*, where records travel, and the *plain end*, where their
//! contents do. Which of them was accepted and which is dialled is the service's [`Mode`].
//!
//! ```text
//! Server:  Handshaking ──► Connecting ──► Relaying ──► ended
//! Client:  Connecting ──► Handshaking ──► Relaying ──► ended
//! ```

use core::time::Duration;

use net::{Instant, Status, StreamError};
use tls::Connection;

use crate::{
    limits::Timeouts,
    relay::{self, Scratch, Stream},
};

mod error;
#[cfg(test)]
mod tests;

pub use error::{DialError, SessionError};

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshaking { until: Instant },
    Connecting { until: Instant },
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
        }
    }

    /// Ends with FIN instead of a reset when something fails (stunnel's `reset = no`). What was
    /// cut off then looks complete to the plain end.
    pub fn without_resets(mut self) -> Self {
        self.resets = false;
        self
    }

    /// Which end was accepted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The TLS connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What the handshake agreed on, once it is over.
    pub fn handshake(&self) -> Option<&tls::Handshake> {
        self.connection.handshake()
    }

    /// Plaintext bytes moved: out of TLS and into it.
    pub fn bytes(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// When to [`poll`](Self::poll) even if nothing happens.
    pub fn deadline(&self) -> Instant {
        match self.state {
            State::Handshaking { until } | State::Connecting { until } => until,
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

    /// Speaks TLS by `connection` from the beginning, because another address is dialled.
    ///
    /// Only for [`Mode::Client`], and only before the address has answered.
    pub fn replace(&mut self, connection: Connection) {
        debug_assert!(self.mode == Mode::Client && matches!(self.state, State::Connecting { .. }));
        self.connection = connection;
    }

    /// No address is left: ends the session, with a reset for the end that was accepted.
    pub fn give_up(&mut self, accepted: &mut impl Stream, error: DialError) -> SessionError {
        self.abort(accepted);
        self.state = State::Ended;
        SessionError::Connect(error)
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
                (State::Connecting { until }, tls, plain) => {
                    self.connecting(tls.as_deref_mut(), plain.as_deref_mut(), until, now)
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
            self.state = match self.mode {
                Mode::Server => State::Connecting {
                    until: now + self.timeouts.connect,
                },
                Mode::Client => State::Relaying,
            };
            return match self.mode {
                Mode::Server => Step::Connect { failed: None },
                Mode::Client => Step::Wait,
            };
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
                    self.send_last_words(tls);
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
        match dialled {
            None => Step::Connect { failed: None },
            Some(Status::Open) => {
                self.active = now;
                self.state = match self.mode {
                    Mode::Server => State::Relaying,
                    Mode::Client => State::Handshaking {
                        until: now + self.timeouts.handshake,
                    },
                };
                Step::Wait
            }
            Some(Status::Closed(error)) => Step::Connect {
                failed: Some(error.unwrap_or(StreamError::Reset)),
            },
            Some(Status::Connecting) if now >= until => Step::Connect {
                failed: Some(StreamError::TimedOut),
            },
            Some(Status::Connecting) => Step::Wait,
        }
    }

    fn relaying<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        loop {
            let mut moved = relay::transmit(&mut self.connection, tls) > 0;
            match self.open(tls, plain, scratch) {
                Ok(any) => moved |= any,
                Err(error) => {
                    self.send_last_words(tls);
                    self.abort(plain);
                    return self.end(Err(error));
                }
            }
            match self.seal(tls, plain, scratch) {
                Ok(any) => moved |= any,
                Err(error) => {
                    self.send_last_words(tls);
                    self.abort(plain);
                    return self.end(Err(SessionError::Tls(error)));
                }
            }
            if !moved {
                break;
            }
            self.active = now;
        }
        self.settle(tls, plain, now)
    }

    /// Opens what the TLS end has sent; passes its close_notify on as FIN.
    fn open<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
    ) -> Result<bool, SessionError> {
        if self.inbound == Direction::Ended {
            // "Any data received after a closure alert has been received MUST be ignored."
            // (RFC 8446 §6.1)
            tls.skip(tls.recv_len());
            return Ok(false);
        }
        let room = plain.send_room();
        let opened = relay::open(&mut self.connection, tls, room, scratch, |plaintext| {
            plain.send(plaintext);
        })
        .map_err(SessionError::Tls)?;
        self.received += opened.written as u64;
        if self.connection.peer_closed() {
            plain.finish();
            self.inbound = Direction::Ended;
            return Ok(true);
        }
        if opened.incomplete && tls.peer_finished() {
            if self.outbound == Direction::Ended && tls.recv_len() == 0 {
                // Both ways were over but for the peer's close_notify, which many leave out. (With
                // a part of a record at the end, something has been cut off for certain.)
                plain.finish();
                self.inbound = Direction::Ended;
            } else {
                self.failed.get_or_insert(SessionError::Truncated);
            }
        }
        Ok(opened.read > 0)
    }

    /// Seals what the plain end has sent; passes its FIN on as close_notify and FIN.
    fn seal<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
    ) -> Result<bool, tls::Error> {
        let mut moved = false;
        if self.outbound == Direction::Open && self.connection.pending_output() == 0 {
            let sealed = relay::seal(&mut self.connection, plain, tls, scratch)?;
            self.sent += sealed.read as u64;
            moved = sealed.any();
            if plain.recv_len() == 0 && plain.peer_finished() {
                self.connection.close_notify();
                self.outbound = Direction::Ending;
                moved = true;
            }
        }
        if self.outbound == Direction::Ending {
            moved |= relay::transmit(&mut self.connection, tls) > 0;
            if self.connection.pending_output() == 0 {
                tls.finish();
                self.outbound = Direction::Ended;
            }
        }
        Ok(moved)
    }

    /// Decides, when nothing moves any more, whether the session goes on.
    fn settle<T: Stream, P: Stream>(&mut self, tls: &mut T, plain: &mut P, now: Instant) -> Step {
        let queued = tls.send_queued() + plain.send_queued();
        if queued != self.queued {
            // A reader that takes its time is no silence.
            self.queued = queued;
            self.active = now;
        }
        if let Status::Closed(Some(error)) = tls.status() {
            self.failed.get_or_insert(SessionError::TlsEndLost(error));
        }
        if let Status::Closed(Some(error)) = plain.status() {
            self.failed.get_or_insert(SessionError::PlainEndLost(error));
        }
        self.undelivered = !self.is_drained(tls, plain);
        let both_ended = self.inbound == Direction::Ended && self.outbound == Direction::Ended;
        if both_ended && !self.undelivered && self.failed.is_none() {
            return self.end(Ok(()));
        }
        let late = now >= self.deadline();
        if let Some(error) = self.failed.clone() {
            // A loss at one end shows at the other as a reset, but only behind the bytes that
            // came before it.
            if late || !self.undelivered {
                self.abort(tls);
                self.abort(plain);
                return self.end(Err(error));
            }
            return Step::Wait;
        }
        if !late {
            return Step::Wait;
        }
        let closing = self.is_half_closed() && !self.undelivered;
        if closing && self.timeouts.close.is_zero() {
            // One end's end is to be the other's. Where our close_notify has not gone out it does
            // not now: a TLS peer can tell that there might have been more.
            tls.finish();
            plain.finish();
        } else {
            // Not FIN: whoever is still there must not take what it has read for the whole.
            self.abort(tls);
            self.abort(plain);
        }
        self.end(Err(match closing {
            true => SessionError::CloseTimeout,
            false => SessionError::Idle,
        }))
    }

    /// Sends the alert that a fatal error left behind, then ends the TLS end's direction.
    fn send_last_words(&mut self, tls: &mut impl Stream) {
        relay::transmit(&mut self.connection, tls);
        tls.finish();
    }

    /// Ends a stream because something failed.
    fn abort(&self, stream: &mut impl Stream) {
        if self.resets {
            stream.reset();
        } else {
            stream.finish();
        }
    }

    fn patience(&self) -> Duration {
        let closing = self.is_half_closed() && !self.undelivered;
        if closing || self.failed.is_some() {
            self.timeouts.close
        } else {
            self.timeouts.idle
        }
    }

    fn is_half_closed(&self) -> bool {
        self.inbound == Direction::Ended || self.outbound == Direction::Ended
    }

    /// Whether all that a failed end sent before has reached the other end, or never can.
    fn is_drained(&self, tls: &impl Stream, plain: &impl Stream) -> bool {
        let plain_done = is_gone(plain) || plain.send_queued() == 0;
        let tls_done = is_gone(tls)
            || self.failed == Some(SessionError::Truncated)
            || (tls.send_queued() == 0 && self.connection.pending_output() == 0);
        plain_done && tls_done
    }

    fn end(&mut self, result: Result<(), SessionError>) -> Step {
        self.state = State::Ended;
        Step::End(result)
    }
}

fn is_gone(stream: &impl Stream) -> bool {
    matches!(stream.status(), Status::Closed(_))
}

fn status<S: Stream>(stream: &Option<&mut S>) -> Option<Status> {
    stream.as_ref().map(|stream| stream.status())
}

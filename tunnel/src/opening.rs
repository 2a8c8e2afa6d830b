//! Server mode: what is said before a client begins TLS, with the client alone or with the backend.
//!
//! ```text
//! Talking ──► over                  the client has to say something first
//! Dialling ──► Talking ──► over     the backend's greeting is passed on
//! ```

use core::time::Duration;

use net::{Instant, Status, StreamError};

use crate::{
    dialect::Progress,
    limits::Timeouts,
    negotiation::Negotiation,
    relay::{Scratch, Stream},
    session::{DialError, SessionError, Step, dialled},
};

/// A connection on which TLS has not begun.
pub struct Opening {
    negotiation: Negotiation,
    timeouts: Timeouts,
    resets: bool,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Dialling { until: Instant },
    Talking { until: Instant },
}

impl Opening {
    /// For a client that came at `now`; when it fails, ends are reset where `resets`.
    pub fn new(negotiation: Negotiation, timeouts: Timeouts, resets: bool, now: Instant) -> Self {
        let state = match negotiation.dials_first() {
            true => State::Dialling {
                until: now + timeouts.connect,
            },
            false => State::Talking {
                until: now + timeouts.handshake,
            },
        };
        Self {
            negotiation,
            timeouts,
            resets,
            state,
        }
    }

    /// When to [`poll`](Self::poll) even if nothing happens.
    pub fn deadline(&self) -> Instant {
        match self.state {
            State::Dialling { until } | State::Talking { until } => until,
        }
    }

    /// The next address is being dialled, or has to be looked up first: that has `patience`.
    pub fn dialling(&mut self, now: Instant, patience: Duration) {
        self.state = State::Dialling {
            until: now + patience,
        };
    }

    /// No address is left: ends the connection.
    pub fn give_up(&mut self, client: &mut impl Stream, error: DialError) -> SessionError {
        match self.resets {
            true => client.reset(),
            false => client.finish(),
        }
        SessionError::Connect(error)
    }

    /// What was negotiated, once [`Step::BeginTls`] has come.
    pub fn into_negotiation(self) -> Negotiation {
        self.negotiation
    }

    /// What is negotiated.
    pub fn negotiation_mut(&mut self) -> &mut Negotiation {
        &mut self.negotiation
    }

    /// Moves everything that can be moved now.
    pub fn poll<C: Stream, B: Stream>(
        &mut self,
        client: &mut C,
        mut backend: Option<&mut B>,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        if let State::Dialling { until } = self.state {
            if let Status::Closed(error) = client.status() {
                if let Some(backend) = backend {
                    backend.reset();
                }
                let error = error.unwrap_or(StreamError::Reset);
                return Step::End(Err(SessionError::TlsEndLost(error)));
            }
            let status = backend.as_ref().map(|backend| backend.status());
            if let Some(step) = dialled(status, until, now) {
                return step;
            }
            self.state = State::Talking {
                until: now + self.timeouts.handshake,
            };
        }
        let result = self
            .negotiation
            .clear(Some(&mut *client), backend.as_deref_mut(), scratch);
        let error = match result {
            Ok(Progress::Wait) if now < self.deadline() => return Step::Wait,
            Ok(Progress::Wait) => SessionError::NegotiationTimeout,
            Ok(Progress::Next | Progress::Connect(_)) => return Step::BeginTls,
            Err(error) => error,
        };
        self.negotiation
            .part(None, Some(client), backend, scratch, self.resets);
        Step::End(Err(error))
    }
}

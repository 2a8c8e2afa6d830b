//! A session whose dialect is spoken: before TLS, inside it, or once the backend is there.

use net::Instant;

use super::{Session, SessionError, State, Step};
use crate::{
    dialect::{Progress, Stage},
    relay::{Scratch, Stream},
};

impl Session {
    pub(super) fn negotiate(&mut self, stage: Stage, now: Instant) {
        self.state = State::Negotiating {
            stage,
            until: now + self.timeouts.handshake,
        };
    }

    pub(super) fn negotiating<T: Stream, P: Stream>(
        &mut self,
        stage: Stage,
        until: Instant,
        mut tls: Option<&mut T>,
        mut plain: Option<&mut P>,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        let Some(negotiation) = &mut self.negotiation else {
            return self.relay();
        };
        let secured = match stage {
            Stage::Clear => None,
            Stage::Secured | Stage::Connected => Some(&mut self.connection),
        };
        let result = match (secured, tls.as_deref_mut()) {
            (None, tls) => negotiation.clear(tls, plain.as_deref_mut(), scratch),
            (Some(connection), Some(tls)) => {
                negotiation.secured(stage, connection, tls, plain.as_deref_mut(), scratch)
            }
            (Some(_), None) => return Step::Wait,
        };
        let error = match result {
            Ok(Progress::Wait) if now < until => return Step::Wait,
            Ok(Progress::Wait) => SessionError::NegotiationTimeout,
            Ok(over) => {
                self.active = now;
                return self.negotiated(stage, over, plain.is_some(), now);
            }
            Err(error) => error,
        };
        let connection = match stage {
            Stage::Clear => None,
            Stage::Secured | Stage::Connected => Some(&mut self.connection),
        };
        negotiation.part(connection, tls, plain, scratch, self.resets);
        self.end(Err(error))
    }

    /// A stage is over; what comes next depends on whether the plain end is there already.
    fn negotiated(&mut self, stage: Stage, how: Progress, has_plain: bool, now: Instant) -> Step {
        match (stage, self.mode) {
            (Stage::Clear, _) => {
                self.state = State::Handshaking {
                    until: now + self.timeouts.handshake,
                };
                Step::Wait
            }
            (Stage::Secured, _) => match (self.secured(has_plain, now), how) {
                (_, Progress::Connect(destination)) => Step::ConnectTo(destination),
                (step, _) => step,
            },
            (Stage::Connected, _) => self.relay(),
        }
    }
}

//! What the log says of connections.

use net::{Instant, Status};

use super::{
    Server,
    active::{Active, Stage},
};
use crate::{
    journal::{Closed, Lines, Operation, Role, Severity, Timeout},
    session::{DialError, Mode, SessionError},
    throttle::Throttle,
};

impl Server {
    /// Tells once that the handshake is over, and once that the backend has answered.
    pub(super) fn report_progress(&mut self, active: &mut Active) {
        let Stage::Session(session) = &active.stage else {
            return;
        };
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        if !active.introduced
            && let Some(handshake) = session.handshake()
        {
            active.introduced = true;
            let mut lines = self.journal.connection(&service.channel, active.id);
            if lines.writes(Severity::Info) {
                for certificate in session.connection().peer_chain().iter().rev() {
                    lines.certificate_accepted(certificate.depth, &certificate.subject);
                }
            }
            lines.line(Severity::Info, format_args!("Handshake: {handshake}"));
            lines.handshake(role(session.mode()), handshake);
        }
        if !active.connected
            && let (Some((address, _)), Some(dialled)) = (active.dialling, active.dialled)
            && let Some(stream) = self.stack.stream(dialled)
            && stream.status() != Status::Connecting
        {
            active.connected = true;
            let local = stream.local();
            if stream.status() == Status::Open {
                let mut lines = self.journal.connection(&service.channel, active.id);
                lines.connected(address, local);
            }
        }
    }

    /// Tells that an address did not answer.
    pub(super) fn report_failed_dial(&mut self, active: &Active, error: DialError, now: Instant) {
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        let Some((address, since)) = active.dialling else {
            return;
        };
        let mut lines = self.journal.connection(&service.channel, active.id);
        if !lines.writes(Severity::Error) || !admit(&mut self.throttle, &mut lines, now) {
            return;
        }
        let waited = now.saturating_duration_since(since);
        lines.connect_failed(address, error, waited);
    }

    /// Tells how a connection ended.
    pub(super) fn report_end(
        &mut self,
        active: &Active,
        result: &Result<(), SessionError>,
        now: Instant,
    ) {
        let left = self.session_count().saturating_sub(1);
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        let mut lines = self.journal.connection(&service.channel, active.id);
        let (received, sent) = match &active.stage {
            Stage::Session(session) => session.bytes(),
            Stage::Greeting { .. } => (0, 0),
        };
        let role = role(service.tls.mode());
        if let Err(error) = result
            && lines.writes(severity(error))
            && admit(&mut self.throttle, &mut lines, now)
        {
            explain(&mut lines, role, error);
            match error {
                SessionError::Connect(_) => {
                    let backend = service.backend_for(active.redirected);
                    lines.line(Severity::Info, format_args!("{error} ({backend})"));
                }
                _ => lines.line(Severity::Info, format_args!("{error}")),
            }
        }
        let how = match result {
            Ok(()) | Err(SessionError::CloseTimeout) => Closed::Closed,
            Err(_) => Closed::Reset,
        };
        lines.closed(how, sent, received);
        lines.finished(left);
    }
}

fn role(mode: Mode) -> Role {
    match mode {
        Mode::Server => Role::Server,
        Mode::Client => Role::Client,
    }
}

/// The importance of an end's explanation.
fn severity(error: &SessionError) -> Severity {
    match error {
        SessionError::Connect(_) | SessionError::Handshake(_) | SessionError::Tls(_) => {
            Severity::Error
        }
        _ => Severity::Info,
    }
}

fn explain(lines: &mut Lines<'_>, role: Role, error: &SessionError) {
    match error {
        SessionError::HandshakeTimeout => lines.timed_out(Timeout::Busy),
        SessionError::HandshakeAbandoned => lines.handshake_abandoned(role),
        SessionError::Handshake(error) => {
            if let tls::Error::Refused(refusal) = error {
                lines.certificate_refused(refusal);
            }
            lines.tls_failed(Operation::Handshake(role), error);
        }
        // Each address was told of, and that there is none left.
        SessionError::Connect(_) => {}
        SessionError::Idle => lines.timed_out(Timeout::Idle),
        SessionError::CloseTimeout => lines.timed_out(Timeout::Close),
        SessionError::Tls(error) => lines.tls_failed(Operation::Read, error),
        SessionError::Truncated => lines.tls_closed(true),
        SessionError::TlsEndLost(error) => lines.connection_lost(true, *error),
        SessionError::PlainEndLost(error) => lines.connection_lost(false, *error),
    }
}

/// Whether one more line that peers can provoke may be written.
fn admit(throttle: &mut Throttle, lines: &mut Lines<'_>, now: Instant) -> bool {
    let Some(left_out) = throttle.admit(now) else {
        return false;
    };
    if left_out > 0 {
        lines.left_out(left_out);
    }
    true
}

//! What the log says of connections.

use alloc::{boxed::Box, vec::Vec};
use core::net::IpAddr;

use net::{Instant, Status};

use super::{
    Server,
    active::{Active, Stage},
};
use crate::{
    journal::{Address, Closed, Lines, Operation, Role, Severity, Timeout},
    service::{Judgement, Service, Tls},
    session::{DialError, Mode, Session, SessionError},
    throttle::Throttle,
};

impl Server {
    /// Tells once that the handshake is over, and once that the backend has answered.
    pub(super) fn report_progress(&mut self, active: &mut Active) {
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        if !active.introduced
            && let Stage::Session(session) = &active.stage
            && !session.is_judging()
            && let Some(handshake) = session.handshake()
        {
            active.introduced = true;
            let mut lines = self.journal.connection(&service.channel, active.id);
            if lines.writes(Severity::Notice) {
                tell_peer(&mut lines, service, session, handshake);
            }
            lines.line(Severity::Debug, format_args!("Handshake: {handshake}"));
            lines.handshake(role(session.mode()), handshake);
        }
        if !active.connected
            && let (Some((address, _)), Some(dialled)) = (active.dialling, active.dialled)
            && let Some(stream) = self.stack.stream(dialled)
            && matches!(stream.status(), Status::Open | Status::Closed(None))
        {
            active.connected = true;
            let local = stream.local();
            let mut lines = self.journal.connection(&service.channel, active.id);
            let backend = service.backend_for(active.redirected).shown(address);
            let cached = active.introduced && service.tls.mode() == Mode::Server;
            match backend {
                Address::Program(_) => {}
                _ if backend.is_unix() => lines.connected(backend, Address::Unnamed, cached),
                _ => lines.connected(backend, Address::Tcp(local), cached),
            }
            tell_hello(&mut lines, service);
        }
    }

    /// Tells of a page that the client was sent instead of an answer.
    pub(super) fn report_page(&mut self, active: &mut Active, now: Instant) {
        let Stage::Session(session) = &mut active.stage else {
            return;
        };
        let Some(said) = session.take_said() else {
            return;
        };
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        let severity = match said.status {
            ..500 => Severity::Info,
            _ => Severity::Warning,
        };
        let mut lines = self.journal.connection(&service.channel, active.id);
        restrain(&mut self.throttle, &mut lines, severity, now);
        lines.line(severity, format_args!("{said}"));
        lines.restrain(false);
    }

    /// Tells once of each direction that it is over.
    pub(super) fn report_ended_directions(&mut self, active: &mut Active) {
        let Stage::Session(session) = &active.stage else {
            return;
        };
        let (inbound, outbound) = session.ended();
        let before = core::mem::replace(&mut active.ended, (inbound, outbound));
        let Some(service) = self
            .services
            .get(active.service)
            .filter(|_| before != active.ended)
        else {
            return;
        };
        let mut lines = self.journal.connection(&service.channel, active.id);
        if inbound && !before.0 {
            lines.tls_closed(false);
        }
        if outbound && !before.1 {
            lines.socket_closed();
            lines.close_notify_sent();
        }
    }

    /// Tells that an address did not answer.
    pub(super) fn report_failed_dial(&mut self, active: &Active, error: DialError, now: Instant) {
        let Some(service) = self.services.get(active.service) else {
            return;
        };
        let Some((address, _)) = active.dialling else {
            return;
        };
        let mut lines = self.journal.connection(&service.channel, active.id);
        restrain(&mut self.throttle, &mut lines, Severity::Error, now);
        let backend = service.backend_for(active.redirected);
        lines.connect_failed(backend.shown(address), error);
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
        let (received, sent) = active.bytes();
        let role = role(service.tls.mode());
        if let Err(error) = result {
            restrain(&mut self.throttle, &mut lines, severity(error), now);
            explain(&mut lines, role, error, service.judges.as_ref());
            if matches!(service.tls, Tls::KeyClient { .. }) && is_about_key(error) {
                lines.key_doubted();
            }
            match error {
                SessionError::Connect(_) => {
                    let backend = service.backend_for(active.redirected);
                    lines.line(Severity::Debug, format_args!("{error} ({backend})"));
                }
                // All has been said.
                SessionError::Destination(_)
                | SessionError::NegotiationAbandoned(_)
                | SessionError::NoHost { .. }
                | SessionError::Notice(_)
                | SessionError::Handshake(_)
                | SessionError::Tls(_) => {}
                _ => lines.line(Severity::Debug, format_args!("{error}")),
            }
            lines.restrain(false);
        }
        let alerted = match (&active.stage, result) {
            // OpenSSL has an alert for this as well; here it is a FIN alone.
            (
                _,
                Err(
                    SessionError::HandshakeAbandoned
                    | SessionError::NoHost { .. }
                    | SessionError::Notice(_),
                ),
            ) => true,
            (Stage::Session(session), _) => session.alerted(),
            (
                Stage::Header { .. }
                | Stage::Opening(_)
                | Stage::Greeting { .. }
                | Stage::Answering(_),
                _,
            ) => false,
        };
        let how = match result {
            Ok(()) | Err(SessionError::CloseTimeout) => Closed::Closed,
            Err(SessionError::Shutdown) => Closed::Reset,
            Err(_) if !service.reset => Closed::Closed,
            // The end that has an alert on its way is closed behind it.
            Err(_) => match (alerted, role) {
                (true, Role::Server) => Closed::DialledReset,
                (true, Role::Client) => Closed::AcceptedReset,
                (false, _) => Closed::Reset,
            },
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

/// What is known of a peer whose handshake is over.
fn tell_peer(
    lines: &mut Lines<'_>,
    service: &Service,
    session: &Session,
    handshake: &tls::Handshake,
) {
    let connection = session.connection();
    let role = role(session.mode());
    if role == Role::Server {
        if let Some(identity) = &handshake.psk_identity {
            lines.key_found(identity);
        }
        if handshake.resumed {
            let verdict = connection.client_verdict();
            lines.ticket_decrypted(verdict.is_none_or(tls::Verdict::is_good));
        }
    }
    let chain = connection.peer_chain();
    if chain.is_empty() {
        // OpenSSL looks when it makes a session, which in TLS 1.2 it does not by itself.
        if role == Role::Server
            && (service.asks_clients || handshake.version == tls::Version::Tls13)
        {
            lines.certificate_missing();
        }
    } else if handshake.resumed {
        // That was told when the session began.
    } else if let Some(judgement) = &service.judges {
        tell_judged(lines, connection, &chain, judgement);
    } else {
        lines.verification_disabled();
    }
}

/// The certificates that were found good, from the trusted one down to the peer's own. (The path is
/// followed by names here; what was judged was signatures.)
fn tell_judged(
    lines: &mut Lines<'_>,
    connection: &tls::Connection,
    chain: &[tls::PeerCertificate],
    judgement: &Judgement,
) {
    let Some(leaf) = chain.first() else {
        return;
    };
    if judgement.chain && lines.writes(Severity::Info) {
        let mut subjects = Vec::new();
        let mut last = leaf;
        while last.subject != last.issuer && subjects.len() < chain.len() {
            subjects.push(last.issuer.as_str());
            let next = chain.iter().find(|above| above.subject == last.issuer);
            match next {
                Some(next) => last = next,
                None => break,
            }
        }
        for (above, subject) in subjects.iter().enumerate().rev() {
            lines.certificate_accepted(above + 1, subject);
        }
    }
    let matched = connection.peer_matches(&judgement.names);
    let matched = matched
        .as_ref()
        .map(|(name, presented)| (*name, presented.as_str()));
    lines.subject_checked(matched);
    if judgement.peer {
        lines.certificate_known();
    }
    lines.certificate_accepted(0, &leaf.subject);
}

/// What is asked of the server behind the connection that has just been made.
fn tell_hello(lines: &mut Lines<'_>, service: &Service) {
    if let Tls::Client { server_name, .. } | Tls::KeyClient { server_name, .. } = &service.tls {
        let name = server_name.as_deref().unwrap_or_default();
        // An address is never sent (RFC 6066 §3).
        if !name.is_empty() && name.parse::<IpAddr>().is_err() {
            lines.sni_sent(name);
        }
        lines.certificate_wanted(service.judges.is_some());
        if let Tls::KeyClient { client, .. } = &service.tls {
            lines.key_offered(client.identity());
        }
    }
}

/// The importance of an end's explanation.
fn severity(error: &SessionError) -> Severity {
    match error {
        SessionError::HandshakeTimeout
        | SessionError::NegotiationTimeout
        | SessionError::Idle
        | SessionError::CloseTimeout
        | SessionError::Shutdown => Severity::Info,
        _ => Severity::Error,
    }
}

fn explain(lines: &mut Lines<'_>, role: Role, error: &SessionError, judgement: Option<&Judgement>) {
    match error {
        SessionError::HandshakeTimeout => lines.timed_out(Timeout::Busy),
        SessionError::HandshakeAbandoned => lines.handshake_abandoned(role),
        SessionError::NoHost { name, proof } => lines.host_unknown(name.as_deref(), *proof),
        SessionError::NegotiationTimeout => lines.timed_out(Timeout::Busy),
        SessionError::NegotiationAbandoned(_) => lines.negotiation_failed(error),
        SessionError::Negotiation(fault) => lines.negotiation_failed(fault),
        SessionError::Notice(reason) => lines.notice_refused(*reason),
        SessionError::Destination(_) => lines.negotiation_failed(error),
        SessionError::Handshake(error) => {
            if let tls::Error::Refused(refusal) = error {
                let unnamed = judgement.is_some_and(|judgement| judgement.names.is_empty());
                if refusal.reason == tls::RefusalReason::NotPinned && unnamed {
                    lines.subject_checked(None);
                }
                lines.certificate_refused(refusal);
            }
            if error.is_unknown_identity() {
                lines.key_not_found();
            }
            lines.tls_failed(Operation::Handshake(role), error);
        }
        SessionError::Revocation(refusal) => {
            lines.ocsp_refused(refusal);
            let error = tls::Error::Refused(Box::new(refusal.clone()));
            lines.tls_failed(Operation::Handshake(role), &error);
        }
        // Each address was told of, and that there is none left.
        SessionError::Connect(_) => {}
        // That the image stops was told once.
        SessionError::Shutdown => {}
        SessionError::Idle => lines.timed_out(Timeout::Idle),
        SessionError::CloseTimeout => lines.timed_out(Timeout::Close),
        SessionError::Tls(error) => lines.tls_failed(Operation::Read, error),
        SessionError::Truncated => lines.tls_closed(true),
        SessionError::MessageCut => lines.negotiation_failed(error),
        SessionError::TlsEndLost(error) => lines.connection_lost(true, *error),
        SessionError::PlainEndLost(error) => lines.connection_lost(false, *error),
    }
}

/// Whether a server has ended a handshake by an alert that it also sends for a pre-shared key that it
/// does not know or that is another: handshake_failure, illegal_parameter, missing_extension or
/// unknown_psk_identity (RFC 8446 §6.2).
fn is_about_key(error: &SessionError) -> bool {
    let SessionError::Handshake(tls::Error::PeerAlert { code, .. }) = error else {
        return false;
    };
    [40, 47, 109, 115].contains(code)
}

/// Keeps lines that peers can provoke out of the log when there were too many of them. As events
/// they are wanted all the same.
pub(super) fn restrain(
    throttle: &mut Throttle,
    lines: &mut Lines<'_>,
    severity: Severity,
    now: Instant,
) {
    let left_out = match lines.writes(severity) {
        true => throttle.admit(now),
        false => None,
    };
    match left_out {
        None => lines.restrain(true),
        Some(0) => {}
        Some(left_out) => lines.left_out(left_out),
    }
}

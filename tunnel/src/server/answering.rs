//! Connections that nobody is dialled for: they are answered here, or turned away.

use net::Instant;
use tls::ClientHello;

use super::{
    Server,
    active::{Active, Stage},
};
use crate::{
    hosting::http,
    relay::{Scratch, Stream},
    service::{Answers, Tls, wants_proof},
    session::{SessionError, Step},
};

/// Alerts of RFC 8446 §6.2, each as a record in the clear (§5.1).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// A connection that is answered in the clear.
pub(super) struct Answering {
    responder: Responder,
    /// Until when it has to be over.
    until: Instant,
}

/// Who answers.
enum Responder {
    Http(http::Responder),
}

impl Answering {
    /// For a client of a service that gives these answers.
    pub(super) fn new(answers: &Answers, until: Instant) -> Self {
        let responder = match answers {
            Answers::Http(_) => Responder::Http(http::Responder::default()),
        };
        Self { responder, until }
    }

    /// When to poll it even if nothing happens.
    pub(super) fn deadline(&self) -> Instant {
        self.until
    }

    /// Bytes that were sent to the client.
    pub(super) fn sent(&self) -> u64 {
        match &self.responder {
            Responder::Http(http) => http.sent() as u64,
        }
    }

    /// Whether the client may as well be answered by another service.
    pub(super) fn is_undecided(&self) -> bool {
        match &self.responder {
            Responder::Http(http) => http.answer().is_none(),
        }
    }

    /// Moves everything that can be moved now.
    fn poll(
        &mut self,
        stream: &mut impl Stream,
        answers: &Answers,
        scratch: &mut Scratch,
        unix_seconds: u64,
        now: Instant,
    ) -> http::Turn {
        let turn = match (&mut self.responder, answers) {
            (Responder::Http(http), Answers::Http(answers)) => {
                http.poll(stream, answers, scratch, unix_seconds)
            }
        };
        match turn {
            http::Turn::Wait if now >= self.until => {
                http::Turn::End(Err(SessionError::NegotiationTimeout))
            }
            turn => turn,
        }
    }
}

impl Server {
    /// Lets a client be answered.
    pub(super) fn poll_answering(&mut self, active: &mut Active, now: Instant) -> Step {
        let lost = Step::End(Err(SessionError::PlainEndLost(net::StreamError::Reset)));
        let Some(service) = self.services.get(active.service) else {
            return lost;
        };
        let (Stage::Answering(answering), Tls::Answered(answers)) =
            (&mut active.stage, &service.tls)
        else {
            return lost;
        };
        let Some(mut stream) = self.stack.stream(active.accepted) else {
            return lost;
        };
        let unix = self.clock.now();
        loop {
            match answering.poll(&mut stream, answers, &mut self.scratch, unix, now) {
                http::Turn::Wait => return Step::Wait,
                http::Turn::Answered => {
                    let Responder::Http(http) = &answering.responder;
                    if let Some(answer) = http.answer() {
                        let is_challenge = answer.status == http::Status::Ok;
                        let mut lines = self.journal.connection(&service.channel, active.id);
                        lines.answered(is_challenge, &answer.status, &answer.asked);
                    }
                }
                http::Turn::End(result) => {
                    if result == Err(SessionError::NegotiationTimeout) {
                        match service.reset {
                            true => stream.reset(),
                            false => stream.finish(),
                        }
                    }
                    return Step::End(result);
                }
            }
        }
    }

    /// Refuses a client whose hello names no host of ours: by an alert, if it was a hello.
    pub(super) fn turn_away(
        &mut self,
        active: &Active,
        hello: Option<&ClientHello>,
    ) -> SessionError {
        let stream = self.stack.stream(active.accepted);
        let Some(hello) = hello else {
            // To what is not TLS, an alert says nothing.
            if let Some(mut stream) = stream {
                stream.reset();
            }
            let reason = "no ClientHello came".into();
            return SessionError::Handshake(tls::Error::PeerMisbehaved { reason });
        };
        // RFC 6066 §3: "If the server understood the ClientHello extension but does not recognize
        // the server name, the server SHOULD take one of two actions: either abort the handshake by
        // sending a fatal-level unrecognized_name(112) alert or continue the handshake."
        // RFC 7301 §3.2 has the other one, for what is offered and not spoken.
        let proof = wants_proof(&hello.alpn);
        let alert = match proof {
            true => NO_APPLICATION_PROTOCOL,
            false => UNRECOGNIZED_NAME,
        };
        if let Some(mut stream) = stream {
            stream.send(&alert);
            stream.finish();
        }
        SessionError::NoHost {
            name: hello.server_name.clone(),
            proof,
        }
    }

    /// Whether nothing is wanted of a connection but its handshake.
    pub(super) fn is_proof(&self, active: &Active) -> bool {
        let service = self.services.get(active.service);
        service.is_some_and(|service| matches!(service.tls, Tls::Proof(_)))
    }

    /// Its handshake is over, and so is the connection.
    pub(super) fn end_proof(&mut self, active: &mut Active) -> Result<(), SessionError> {
        let stream = self.stack.stream(active.accepted);
        if let (Stage::Session(session), Some(mut stream)) = (&mut active.stage, stream) {
            session.part(&mut stream);
        }
        Ok(())
    }
}

//! Connections that nobody is dialled for: they are answered here, or turned away.

use alloc::{boxed::Box, string::String};
use core::{net::IpAddr, time::Duration};

use net::Instant;
use store::notice::{Notice, Outcome, Refusal};
use tls::ClientHello;

use super::{
    Server,
    active::{Active, Stage},
    noticing::Noticing,
};
use crate::{
    hosting::{http, notices},
    service::{Answers, Tls, wants_proof},
    session::{SessionError, Step},
};

/// Alerts of RFC 8446 §6.2, each as a record in the clear (§5.1).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// How long the store may take to be read before a teller is told that it takes too long. Tellers
/// wait two minutes.
const OUTCOME: Duration = Duration::from_secs(110);

/// What a teller is told then.
const TOO_LONG: &str = "it is still being read; the log will tell what comes of it";

/// A connection that is answered in the clear.
pub(super) struct Answering {
    responder: Responder,
    /// Until when it has to be over.
    until: Instant,
}

/// Who answers.
enum Responder {
    Http(http::Responder),
    /// With the notice's number, once it was taken.
    Notice(Box<notices::Responder>, Option<u64>),
}

impl Answering {
    /// For a client at this address, of a service that gives these answers.
    pub(super) fn new(
        answers: &Answers,
        until: Instant,
        noticing: &mut Noticing,
        client: IpAddr,
        now: Instant,
    ) -> Self {
        let responder = match answers {
            Answers::Http(_) => Responder::Http(http::Responder::default()),
            Answers::Notices(notices) => {
                let (nonce, barred) = noticing.begin(client, now);
                let responder = notices::Responder::new(notices, nonce, barred);
                Responder::Notice(Box::new(responder), None)
            }
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
            Responder::Notice(notice, _) => notice.sent() as u64,
        }
    }

    /// The number of the notice that was taken.
    pub(super) fn notice(&self) -> Option<u64> {
        match &self.responder {
            Responder::Http(_) => None,
            Responder::Notice(_, number) => *number,
        }
    }

    /// Answers the notice that was taken.
    pub(super) fn conclude(&mut self, outcome: &Outcome, unix_seconds: u64) {
        if let Responder::Notice(notice, _) = &mut self.responder {
            notice.conclude(outcome, unix_seconds);
        }
    }

    /// Whether the client may as well be answered by another service.
    pub(super) fn is_undecided(&self) -> bool {
        match &self.responder {
            Responder::Http(http) => http.answer().is_none(),
            Responder::Notice(..) => false,
        }
    }
}

impl Server {
    /// Lets a client be answered.
    pub(super) fn poll_answering(
        &mut self,
        index: usize,
        active: &mut Active,
        now: Instant,
    ) -> Step {
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
        let until = &mut answering.until;
        let unix = self.clock.now();
        let mut lines = self.journal.connection(&service.channel, active.id);
        let result = match (&mut answering.responder, answers) {
            (Responder::Http(http), Answers::Http(answers)) => loop {
                match http.poll(&mut stream, answers, &mut self.scratch, unix) {
                    http::Turn::Wait => break None,
                    http::Turn::Answered => {
                        if let Some(answer) = http.answer() {
                            let is_challenge = answer.status == http::Status::Ok;
                            lines.answered(is_challenge, &answer.status, &answer.asked);
                        }
                    }
                    http::Turn::End(result) => break Some(result),
                }
            },
            (Responder::Notice(notice, number), _) => loop {
                match notice.poll(&mut stream, &mut self.scratch) {
                    notices::Turn::Wait if notice.waits() && now >= *until => {
                        notice.conclude(&Outcome::Failed(TOO_LONG.into()), unix);
                        *until = now + service.timeouts.close;
                    }
                    notices::Turn::Wait => break None,
                    notices::Turn::Taken(taken) => {
                        let told = match taken {
                            Notice::Framed { time } => Some(time.abs_diff(unix)),
                            Notice::Bare => None,
                        };
                        *number = self.noticing.take(index, told.is_some());
                        match (*number, told) {
                            (None, _) => notice.refuse(Refusal::Busy),
                            (Some(_), told) => lines.noticed(told),
                        }
                        if told.is_none() {
                            // Nothing is answered.
                            notice.conclude(&Outcome::Failed(String::new()), unix);
                        }
                        *until = now + OUTCOME;
                    }
                    notices::Turn::End(result) => break Some(result),
                }
            },
            (Responder::Http(_), Answers::Notices(_)) => return lost,
        };
        match result {
            Some(result) => Step::End(result),
            None if now < *until => Step::Wait,
            None => {
                match service.reset {
                    true => stream.reset(),
                    false => stream.finish(),
                }
                Step::End(Err(SessionError::NegotiationTimeout))
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

//! The client's side of the handshake.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::crypto::{ActiveKeyExchange, SharedSecret};
use rustls::{NamedGroup, Tls13CipherSuite};

use super::common::{Agreed, Core, Shared};
use super::messages::{
    self, BINDERS, ENCRYPTED_EXTENSIONS, FINISHED, Offering, RETRY, SERVER_HELLO, ServerHello,
    Share,
};
use super::schedule::{self, Early, HASH, Transcript};
use super::{Fault, Phase, PreSharedKey, Psk};

/// What the client waits for.
pub(super) enum Stage {
    ServerHello(Box<Hello>),
    EncryptedExtensions(Box<Secrets>),
    Finished(Box<Secrets>),
}

/// A ClientHello that was sent.
pub(super) struct Hello {
    key: PreSharedKey,
    server_name: Option<String>,
    random: [u8; 32],
    session_id: [u8; 32],
    exchange: Box<dyn ActiveKeyExchange>,
    message: Vec<u8>,
    /// After a HelloRetryRequest: the suite it named, and all messages before `message`.
    retried: Option<(&'static Tls13CipherSuite, Transcript)>,
}

/// What is known after the ServerHello.
pub(super) struct Secrets {
    suite: &'static Tls13CipherSuite,
    transcript: Transcript,
    handshake: schedule::Handshake,
    agreed: Agreed,
}

/// A connection whose ClientHello waits to be sent.
pub(super) fn connect(
    shared: Arc<Shared>,
    key: PreSharedKey,
    server_name: Option<String>,
) -> Result<Psk, Fault> {
    let group = shared.groups.first().ok_or(Fault::Internal("no group"))?;
    let exchange = group.start().map_err(|_| Fault::Entropy)?;
    let mut hello = Hello {
        key,
        server_name,
        random: shared.random()?,
        session_id: shared.random()?,
        exchange,
        message: Vec::new(),
        retried: None,
    };
    hello.write(&shared, None)?;
    let mut core = Core::new(shared, true);
    core.send_first(&hello.message);
    Ok(Psk {
        phase: Phase::Client(Stage::ServerHello(Box::new(hello))),
        core,
        fragments: Vec::new(),
        peer_closed: false,
    })
}

impl Stage {
    pub(super) fn take(self, kind: u8, message: &[u8], core: &mut Core) -> Result<Phase, Fault> {
        match (self, kind) {
            (Stage::ServerHello(hello), SERVER_HELLO) => hello.answered(message, core),
            (Stage::EncryptedExtensions(mut secrets), ENCRYPTED_EXTENSIONS) => {
                let protocols = &core.shared.protocols;
                let named = secrets.agreed.server_name.is_some();
                let chosen = messages::read_encrypted_extensions(message, protocols, named)?;
                secrets.agreed.protocol = chosen.map(<[u8]>::to_vec);
                secrets.transcript.add(message);
                Ok(Phase::Client(Stage::Finished(secrets)))
            }
            (Stage::Finished(secrets), FINISHED) => secrets.finish(message, core),
            _ => Err(Fault::Unexpected),
        }
    }
}

impl Hello {
    /// Writes the message with its binder.
    fn write(&mut self, shared: &Shared, cookie: Option<&[u8]>) -> Result<(), Fault> {
        let suites: Vec<u16> = shared
            .suites
            .iter()
            .map(|suite| suite.common.suite.into())
            .collect();
        let groups: Vec<u16> = shared
            .groups
            .iter()
            .map(|group| group.name().into())
            .collect();
        let offering = Offering {
            random: &self.random,
            session_id: &self.session_id,
            suites: &suites,
            groups: &groups,
            share: (self.exchange.group().into(), self.exchange.pub_key()),
            server_name: self.server_name.as_deref(),
            protocols: &shared.protocols,
            cookie,
            identity: self.key.identity(),
        };
        self.message = offering.write();
        let bound = self.message.len().saturating_sub(BINDERS);
        // All suites have SHA-256, so any of them will do before one is chosen.
        let first = shared.suites.first().copied();
        let suite = self.retried.as_ref().map(|(suite, _)| *suite).or(first);
        let suite = suite.ok_or(Fault::Internal("no suite"))?;
        let truncated = self.message.get(..bound).unwrap_or_default();
        let transcript = match &self.retried {
            Some((_, transcript)) => transcript.with(truncated),
            None => Transcript::new(suite).with(truncated),
        };
        let binder = Early::new(suite, self.key.key()).binder(&transcript);
        let place = self.message.len().saturating_sub(HASH);
        for (to, from) in self.message.iter_mut().skip(place).zip(binder.as_ref()) {
            *to = *from;
        }
        Ok(())
    }

    /// A ServerHello, or a HelloRetryRequest.
    fn answered(mut self: Box<Self>, message: &[u8], core: &mut Core) -> Result<Phase, Fault> {
        let answer = ServerHello::read(message)?;
        if answer.session_id != self.session_id {
            return Err(Fault::Illegal("a session id that was not sent"));
        }
        let suite = core
            .shared
            .suite(answer.suite)
            .ok_or(Fault::Illegal("a cipher suite that was not offered"))?;
        if answer.random == RETRY {
            return self.retry(&answer, suite, message, core);
        }
        if self
            .retried
            .as_ref()
            .is_some_and(|(first, _)| *first != suite)
        {
            return Err(Fault::Illegal("another cipher suite than before"));
        }
        match answer.identity {
            None => return Err(Fault::NotTaken),
            Some(0) => {}
            Some(_) => return Err(Fault::Illegal("an identity that was not offered")),
        }
        let Some(Share::Key(group, share)) = answer.share else {
            // psk_ke, which was not offered.
            return Err(Fault::Missing("key_share"));
        };
        let group = NamedGroup::from(group);
        if group != self.exchange.group() {
            return Err(Fault::Illegal(
                "a key share of a group that was not asked for",
            ));
        }
        let secret: SharedSecret = self
            .exchange
            .complete_for_tls_version(share, &rustls::version::TLS13)
            .map_err(|_| Fault::KeyShare)?;
        let mut transcript = match self.retried.take() {
            Some((_, transcript)) => transcript,
            None => Transcript::new(suite),
        };
        transcript.add(&self.message);
        transcript.add(message);
        let early = Early::new(suite, self.key.key());
        let handshake = early.handshake(secret.secret_bytes(), &transcript.current());
        core.open_with(suite, handshake.server.clone());
        let agreed = Agreed {
            suite: suite.common.suite,
            group,
            server_name: self.server_name.take(),
            protocol: None,
            identity: self.key.identity().to_vec(),
        };
        Ok(Phase::Client(Stage::EncryptedExtensions(Box::new(
            Secrets {
                suite,
                transcript,
                handshake,
                agreed,
            },
        ))))
    }

    /// RFC 8446 §4.1.4.
    fn retry(
        mut self: Box<Self>,
        answer: &ServerHello<'_>,
        suite: &'static Tls13CipherSuite,
        message: &[u8],
        core: &mut Core,
    ) -> Result<Phase, Fault> {
        if self.retried.is_some() {
            return Err(Fault::Unexpected);
        }
        match answer.share {
            Some(Share::Wanted(number)) => {
                let wanted = core.shared.group(number);
                let wanted = wanted.filter(|group| group.name() != self.exchange.group());
                let wanted = wanted.ok_or(Fault::Illegal("the group that is wanted"))?;
                self.exchange = wanted.start().map_err(|_| Fault::Entropy)?;
            }
            // A cookie alone may be the reason.
            _ if answer.cookie.is_some() => {}
            _ => return Err(Fault::Illegal("a HelloRetryRequest that changes nothing")),
        }
        let mut transcript = Transcript::new(suite);
        transcript.add(&self.message);
        transcript.retry();
        transcript.add(message);
        self.retried = Some((suite, transcript));
        let shared = core.shared.clone();
        self.write(&shared, answer.cookie)?;
        core.change_cipher_spec();
        core.send_handshake(&self.message)?;
        Ok(Phase::Client(Stage::ServerHello(self)))
    }
}

impl Secrets {
    fn finish(mut self: Box<Self>, message: &[u8], core: &mut Core) -> Result<Phase, Fault> {
        let expected = self.handshake.server_finished(&self.transcript.current());
        let received = messages::body(message)?.rest();
        if received.len() != HASH {
            return Err(Fault::Decode);
        }
        if !schedule::is_equal(&expected, received) {
            return Err(Fault::Finished);
        }
        self.transcript.add(message);
        let (client, server) = self.handshake.application(&self.transcript.current());
        let finished = self.handshake.client_finished(&self.transcript.current());
        core.change_cipher_spec();
        core.seal_with(self.suite, self.handshake.client.clone());
        core.send_handshake(&messages::write_finished(finished.as_ref()))?;
        core.seal_with(self.suite, client);
        core.open_with(self.suite, server);
        core.agreed = Some(self.agreed);
        Ok(Phase::Open)
    }
}

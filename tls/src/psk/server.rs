//! The server's side of the handshake.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::Tls13CipherSuite;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::tls13::OkmBlock;

use super::common::{Agreed, Core, Shared};
use super::messages::{self, CLIENT_HELLO, ClientHello, FINISHED, RETRY, ServerHello, Share};
use super::schedule::{self, Early, HASH, Transcript};
use super::secrets::Table;
use super::{Fault, Phase, PreSharedKey, Psk};

/// Most bytes of early data that are passed over: one flight of it.
const MAX_EARLY_DATA: usize = 64 * 1024;

/// What the server waits for.
pub(super) enum Stage {
    ClientHello {
        table: Arc<Table>,
        retried: Option<Box<Retried>>,
    },
    Finished(Box<Secrets>),
}

/// What the first ClientHello came to when another was asked for.
pub(super) struct Retried {
    suite: &'static Tls13CipherSuite,
    group: &'static dyn SupportedKxGroup,
    session_id: Vec<u8>,
    random: Vec<u8>,
    /// All messages before the second ClientHello.
    transcript: Transcript,
}

/// What is known after the server's first flight.
pub(super) struct Secrets {
    suite: &'static Tls13CipherSuite,
    transcript: Transcript,
    handshake: schedule::Handshake,
    /// The client's application traffic secret.
    client: OkmBlock,
    agreed: Agreed,
}

/// A connection that waits for a ClientHello.
pub(super) fn accept(shared: Arc<Shared>, table: Arc<Table>) -> Psk {
    Psk {
        phase: Phase::Server(Stage::ClientHello {
            table,
            retried: None,
        }),
        core: Core::new(shared, false),
        fragments: Vec::new(),
        peer_closed: false,
    }
}

impl Stage {
    /// Whether nothing has come yet.
    pub(super) fn is_first(&self) -> bool {
        matches!(self, Stage::ClientHello { retried: None, .. })
    }

    pub(super) fn take(self, kind: u8, message: &[u8], core: &mut Core) -> Result<Phase, Fault> {
        match (self, kind) {
            (Stage::ClientHello { table, retried }, CLIENT_HELLO) => {
                answer(table, retried, message, core)
            }
            (Stage::Finished(secrets), FINISHED) => secrets.finish(message, core),
            _ => Err(Fault::Unexpected),
        }
    }
}

/// Answers a ClientHello.
fn answer(
    table: Arc<Table>,
    retried: Option<Box<Retried>>,
    message: &[u8],
    core: &mut Core,
) -> Result<Phase, Fault> {
    let hello = ClientHello::read(message)?;
    let shared = core.shared.clone();
    let suite = shared
        .suites
        .iter()
        .copied()
        .find(|suite| hello.offers_suite(suite.common.suite.into()))
        .ok_or(Fault::NothingInCommon(
            "no cipher suite (a pre-shared key goes with those of TLS 1.3 that have SHA-256)",
        ))?;
    let (transcript, wanted) = match retried {
        None => (Transcript::new(suite), None),
        Some(first) => {
            let same = first.suite == suite
                && first.session_id == hello.session_id
                && first.random == hello.random
                && !hello.early_data;
            if !same {
                return Err(Fault::Illegal("a second ClientHello unlike the first"));
            }
            (first.transcript, Some(first.group))
        }
    };

    // Who it is comes before anything that costs a key exchange.
    let (identity, key) = identify(&table, suite, &hello, &transcript, message)?;
    let protocol = choose_protocol(&shared, &hello)?;

    let Some((group, share)) = choose_share(&shared, &hello, wanted)? else {
        return ask_again(table, suite, &hello, transcript, message, core);
    };
    core.early_data = match hello.early_data {
        true => MAX_EARLY_DATA,
        false => 0,
    };
    let exchange = group.start_and_complete(share);
    let exchange = exchange.map_err(|error| match error {
        rustls::Error::FailedToGetRandomBytes => Fault::Entropy,
        _ => Fault::KeyShare,
    })?;
    let mut transcript = transcript;
    transcript.add(message);
    let reply = ServerHello {
        random: shared.random()?,
        session_id: hello.session_id,
        suite: suite.common.suite.into(),
        share: Some(Share::Key(exchange.group.into(), &exchange.pub_key)),
        identity: Some(identity),
        cookie: None,
    };
    send_hello(&reply, &mut transcript, core)?;

    let early = Early::new(suite, key.key());
    let handshake = early.handshake(exchange.secret.secret_bytes(), &transcript.current());
    core.open_with(suite, handshake.client.clone());
    core.seal_with(suite, handshake.server.clone());
    let mut flight = messages::write_encrypted_extensions(protocol);
    transcript.add(&flight);
    let finished = handshake.server_finished(&transcript.current());
    let finished = messages::write_finished(finished.as_ref());
    transcript.add(&finished);
    flight.extend_from_slice(&finished);
    core.send_handshake(&flight)?;
    let (client, server) = handshake.application(&transcript.current());
    core.seal_with(suite, server);
    let agreed = Agreed {
        suite: suite.common.suite,
        group: exchange.group,
        server_name: hello.server_name,
        protocol: protocol.map(<[u8]>::to_vec),
        identity: key.identity().to_vec(),
    };
    Ok(Phase::Server(Stage::Finished(Box::new(Secrets {
        suite,
        transcript,
        handshake,
        client,
        agreed,
    }))))
}

/// Sends a ServerHello or a HelloRetryRequest, and what middleboxes wait for behind it where the
/// client asks for that by a session id (RFC 8446 appendix D.4).
fn send_hello(
    reply: &ServerHello<'_>,
    transcript: &mut Transcript,
    core: &mut Core,
) -> Result<(), Fault> {
    let message = reply.write();
    transcript.add(&message);
    core.send_handshake(&message)?;
    if !reply.session_id.is_empty() {
        core.change_cipher_spec();
    }
    Ok(())
}

/// The first identity that is known, its place, and its key; its binder has then been checked.
///
/// A client that is not known costs as much time as one with a wrong key: a binder is computed and
/// compared either way.
fn identify<'t>(
    table: &'t Table,
    suite: &'static Tls13CipherSuite,
    hello: &ClientHello<'_>,
    transcript: &Transcript,
    message: &[u8],
) -> Result<(u16, &'t PreSharedKey), Fault> {
    let mut chosen = None;
    let mut stranger = None;
    for (place, offer) in (0u16..).zip(&hello.identities) {
        let (key, is_known) = table.look_up(offer.identity);
        let candidate = (place, key, offer.binder);
        if is_known {
            chosen.get_or_insert(candidate);
        } else {
            stranger.get_or_insert(candidate);
        }
    }
    let is_known = chosen.is_some();
    let (place, key, binder) = chosen.or(stranger).ok_or(Fault::NoKey)?;
    let truncated = message.get(..hello.bound).unwrap_or_default();
    let expected = Early::new(suite, key.key()).binder(&transcript.with(truncated));
    match (schedule::is_equal(&expected, binder), is_known) {
        (true, true) => Ok((place, key)),
        (_, false) => Err(Fault::UnknownIdentity),
        (false, true) => Err(Fault::WrongKey),
    }
}

/// The application protocol: ours that the client wants too (RFC 7301 §3.2).
fn choose_protocol<'s>(
    shared: &'s Shared,
    hello: &ClientHello<'_>,
) -> Result<Option<&'s [u8]>, Fault> {
    let Some(offered) = hello
        .protocols
        .as_ref()
        .filter(|_| !shared.protocols.is_empty())
    else {
        return Ok(None);
    };
    let mut ours = shared.protocols.iter().map(Vec::as_slice);
    let chosen = ours.find(|protocol| offered.contains(protocol));
    chosen.map(Some).ok_or(Fault::Protocol)
}

type Chosen<'a> = (&'static dyn SupportedKxGroup, &'a [u8]);

/// The group to use and the client's share of it; `None` when there is a group but no share of it.
fn choose_share<'a>(
    shared: &Shared,
    hello: &ClientHello<'a>,
    wanted: Option<&'static dyn SupportedKxGroup>,
) -> Result<Option<Chosen<'a>>, Fault> {
    let share_of = |group: &'static dyn SupportedKxGroup| {
        let number = u16::from(group.name());
        let found = hello.shares.iter().find(|(known, _)| *known == number);
        found.map(|(_, share)| (group, *share))
    };
    if let Some(group) = wanted {
        // "The server MUST ... the key_share extension ... containing a single KeyShareEntry from
        // the group indicated in the HelloRetryRequest" (RFC 8446 §4.1.2).
        return match (share_of(group), hello.shares.len()) {
            (Some(chosen), 1) => Ok(Some(chosen)),
            _ => Err(Fault::Illegal("a key share other than the one asked for")),
        };
    }
    // "clients MUST NOT offer any KeyShareEntry values for groups not listed in supported_groups"
    // (RFC 8446 §4.2.8).
    if hello
        .shares
        .iter()
        .any(|(group, _)| !hello.offers_group(*group))
    {
        return Err(Fault::Illegal("a key share of a group that is not offered"));
    }
    if let Some(chosen) = shared.groups.iter().find_map(|group| share_of(*group)) {
        return Ok(Some(chosen));
    }
    match common_group(shared, hello) {
        Some(_) => Ok(None),
        None => Err(Fault::NothingInCommon("no key exchange group")),
    }
}

fn common_group(shared: &Shared, hello: &ClientHello<'_>) -> Option<&'static dyn SupportedKxGroup> {
    let mut groups = shared.groups.iter().copied();
    groups.find(|group| hello.offers_group(group.name().into()))
}

/// Sends a HelloRetryRequest (RFC 8446 §4.1.4).
fn ask_again(
    table: Arc<Table>,
    suite: &'static Tls13CipherSuite,
    hello: &ClientHello<'_>,
    mut transcript: Transcript,
    message: &[u8],
    core: &mut Core,
) -> Result<Phase, Fault> {
    let group = common_group(&core.shared, hello);
    let group = group.ok_or(Fault::NothingInCommon("no key exchange group"))?;
    transcript.add(message);
    transcript.retry();
    let reply = ServerHello {
        random: RETRY,
        session_id: hello.session_id,
        suite: suite.common.suite.into(),
        share: Some(Share::Wanted(group.name().into())),
        identity: None,
        cookie: None,
    };
    send_hello(&reply, &mut transcript, core)?;
    if hello.early_data {
        core.early_data = MAX_EARLY_DATA;
    }
    Ok(Phase::Server(Stage::ClientHello {
        table,
        retried: Some(Box::new(Retried {
            suite,
            group,
            session_id: hello.session_id.to_vec(),
            random: hello.random.to_vec(),
            transcript,
        })),
    }))
}

impl Secrets {
    fn finish(self: Box<Self>, message: &[u8], core: &mut Core) -> Result<Phase, Fault> {
        let expected = self.handshake.client_finished(&self.transcript.current());
        let received = messages::body(message)?.rest();
        if received.len() != HASH {
            return Err(Fault::Decode);
        }
        if !schedule::is_equal(&expected, received) {
            return Err(Fault::Finished);
        }
        core.open_with(self.suite, self.client);
        core.agreed = Some(self.agreed);
        Ok(Phase::Open)
    }
}

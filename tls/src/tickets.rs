//! Session tickets: state that the client keeps for the server, sealed with a key that changes.
//!
//! A ticket is `key name (16) | nonce (12) | sealed state`. The state is sealed as a TLS 1.3 record
//! of the provider's own AES-256-GCM, under a key that protects nothing else.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, OutboundChunks, OutboundPlainMessage,
};
use rustls::crypto::tls13::HkdfExpander;
use rustls::{CipherSuite, ContentType, ProtocolVersion, SupportedCipherSuite, Tls13CipherSuite};
use spin::Mutex;
use zeroize::Zeroizing;

use crate::provider::fill_random;
use crate::{ConfigError, Provider, WallClock};

/// How long one key seals tickets at least, in seconds, and at most. It opens them for as long
/// again, so every ticket is good for this time, and no key lives longer than twice it: within the
/// week that RFC 8446 §4.6.1 allows. Nonces are random: far fewer than 2^32 tickets are made in the
/// time of a key.
const MIN_ROTATION: u64 = 6 * 60 * 60;
const MAX_ROTATION: u64 = MAX_LIFETIME / 2;

/// RFC 8446 §4.6.1: "Servers MUST NOT use any value greater than 604800 seconds (7 days)".
pub(crate) const MAX_LIFETIME: u64 = 7 * 24 * 60 * 60;

const NAME: usize = 16;
const NONCE: usize = 12;

/// Bytes of a TLS record header, which `encode` puts before a sealed message.
const HEADER: usize = 5;

/// What ticket keys are derived from, where they must be the same after a restart: stunnel's
/// `ticketKeySecret` and `ticketMacSecret`.
///
/// Whoever knows it can read and resume all sessions whose tickets it has seen, forward secrecy or
/// not, for as long as it is in use.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret {
    key: Zeroizing<Vec<u8>>,
    mac: Zeroizing<Vec<u8>>,
}

impl TicketSecret {
    /// Both secrets together; stunnel takes 16 or 32 bytes of each.
    #[must_use]
    pub fn new(key: &[u8], mac: &[u8]) -> TicketSecret {
        TicketSecret {
            key: Zeroizing::new(key.to_vec()),
            mac: Zeroizing::new(mac.to_vec()),
        }
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TicketSecret")
    }
}

/// Seals and opens tickets; one for all connections of a server.
pub(crate) struct Tickets {
    suite: &'static Tls13CipherSuite,
    clock: WallClock,
    /// Of sessions, in seconds.
    lifetime: u64,
    /// How long one key seals, in seconds.
    rotation: u64,
    source: Source,
    keys: Mutex<Keys>,
}

/// Where keys come from.
enum Source {
    /// Drawn, and forgotten at a restart.
    Drawn,
    /// From a secret and the time, the same on every machine that has both.
    Derived(Box<dyn HkdfExpander>),
}

struct Keys {
    current: Arc<Key>,
    previous: Option<Arc<Key>>,
}

struct Key {
    name: [u8; NAME],
    secret: Zeroizing<[u8; 32]>,
    made: u64,
}

impl Tickets {
    /// `lifetime` is in seconds. `secret` comes with all that its tickets are bound to.
    pub(crate) fn new(
        provider: Provider,
        clock: WallClock,
        lifetime: u64,
        secret: Option<(&TicketSecret, &[&[u8]])>,
    ) -> Result<Tickets, ConfigError> {
        // Whatever suites the connections are left with.
        let suites = provider.crypto().cipher_suites;
        let suite = suites.iter().find_map(|suite| match suite {
            SupportedCipherSuite::Tls13(suite)
                if suite.common.suite == CipherSuite::TLS13_AES_256_GCM_SHA384 =>
            {
                Some(*suite)
            }
            _ => None,
        });
        let suite = suite.ok_or_else(|| ConfigError::Internal {
            reason: "the provider has no AES-256-GCM".into(),
        })?;
        let source = match secret {
            None => Source::Drawn,
            Some((secret, bound)) => Source::Derived(expander(suite, secret, bound)),
        };
        let rotation = lifetime.clamp(MIN_ROTATION, MAX_ROTATION);
        let keys = source.keys(clock.now(), rotation)?;
        Ok(Tickets {
            suite,
            clock,
            lifetime,
            rotation,
            source,
            keys: Mutex::new(keys),
        })
    }

    /// How long clients may keep a ticket, in seconds.
    pub(crate) fn lifetime(&self) -> u32 {
        self.lifetime.min(self.rotation) as u32
    }

    /// The keys in force now. Without entropy the old ones stay until there is some.
    fn keys(&self) -> (Arc<Key>, Option<Arc<Key>>) {
        let now = self.clock.now();
        let mut keys = self.keys.lock();
        // A clock that was set back does not make keys live longer: they count from now.
        let age = now.checked_sub(keys.current.made);
        if age.is_none_or(|age| age >= self.rotation)
            && let Ok(fresh) = self.source.keys(now, self.rotation)
        {
            let old = core::mem::replace(&mut *keys, fresh).current;
            let still_good = age.is_some_and(|age| age < 2 * self.rotation);
            if keys.previous.is_none() && still_good {
                keys.previous = Some(old);
            }
        }
        if let Some(previous) = &keys.previous
            && now.saturating_sub(previous.made) >= 2 * self.rotation
        {
            keys.previous = None;
        }
        (keys.current.clone(), keys.previous.clone())
    }

    /// A ticket of `state`, which is in pieces.
    pub(crate) fn seal(&self, state: &[&[u8]]) -> Option<Vec<u8>> {
        let (key, _) = self.keys();
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce).ok()?;
        let sealed = self
            .suite
            .aead_alg
            .encrypter(AeadKey::from(*key.secret), Iv::from(nonce))
            .encrypt(
                OutboundPlainMessage {
                    typ: ContentType::ApplicationData,
                    version: ProtocolVersion::TLSv1_3,
                    payload: OutboundChunks::new(state),
                },
                0,
            )
            .ok()?
            .encode();
        let mut ticket = Vec::with_capacity(NAME + NONCE + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(sealed.get(HEADER..)?);
        Some(ticket)
    }

    /// The state in a ticket, if a key in force has sealed it.
    pub(crate) fn open(&self, ticket: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let (current, previous) = self.keys();
        let key = [Some(current), previous]
            .into_iter()
            .flatten()
            .find(|key| key.name == *name)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let length = self
            .suite
            .aead_alg
            .decrypter(AeadKey::from(*key.secret), Iv::from(*nonce))
            .decrypt(
                InboundOpaqueMessage::new(
                    ContentType::ApplicationData,
                    ProtocolVersion::TLSv1_2,
                    &mut sealed,
                ),
                0,
            )
            .ok()?
            .payload
            .len();
        // It was opened in place.
        sealed.truncate(length);
        Some(sealed)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// What keys are derived with (RFC 5869), from both halves of a secret and all that the tickets are
/// bound to.
fn expander(
    suite: &Tls13CipherSuite,
    secret: &TicketSecret,
    bound: &[&[u8]],
) -> Box<dyn HkdfExpander> {
    let mut material = Zeroizing::new(Vec::with_capacity(8 + secret.key.len() + secret.mac.len()));
    for part in [&secret.key, &secret.mac] {
        material.extend_from_slice(&length_of(part));
        material.extend_from_slice(part);
    }
    let lengths: Vec<[u8; 4]> = bound.iter().map(|part| length_of(part)).collect();
    let mut info: Vec<&[u8]> = Vec::from([&b"stockade session tickets"[..]]);
    for (length, part) in lengths.iter().zip(bound) {
        info.extend([&length[..], *part]);
    }
    let hkdf = suite.hkdf_provider;
    let block = hkdf
        .extract_from_secret(None, &material)
        .expand_block(&info);
    hkdf.expander_for_okm(&block)
}

/// In front of a part, so that no two lists of parts look alike; none is near 4 GiB.
fn length_of(part: &[u8]) -> [u8; 4] {
    (part.len() as u32).to_be_bytes()
}

impl Source {
    /// The keys in force at `now`; drawn ones have no predecessor.
    fn keys(&self, now: u64, rotation: u64) -> Result<Keys, ConfigError> {
        Ok(match self {
            Source::Drawn => Keys {
                current: Arc::new(Key::draw(now)?),
                previous: None,
            },
            Source::Derived(expander) => {
                let derive = |period: u64| {
                    Key::derive(expander.as_ref(), period, period * rotation).map(Arc::new)
                };
                let period = now / rotation;
                Keys {
                    current: derive(period)?,
                    previous: period.checked_sub(1).map(derive).transpose()?,
                }
            }
        })
    }
}

impl Key {
    fn draw(made: u64) -> Result<Key, ConfigError> {
        let mut key = Key::empty(made);
        fill_random(&mut key.name).map_err(|_| ConfigError::Entropy)?;
        fill_random(&mut *key.secret).map_err(|_| ConfigError::Entropy)?;
        Ok(key)
    }

    fn derive(expander: &dyn HkdfExpander, period: u64, made: u64) -> Result<Key, ConfigError> {
        let mut key = Key::empty(made);
        let period = period.to_be_bytes();
        // Both are shorter than any hash, so this cannot fail.
        let failed = |_| ConfigError::Internal {
            reason: "a ticket key could not be derived".into(),
        };
        expander
            .expand_slice(&[b"name", &period], &mut key.name)
            .map_err(failed)?;
        expander
            .expand_slice(&[b"key", &period], &mut *key.secret)
            .map_err(failed)?;
        Ok(key)
    }

    fn empty(made: u64) -> Key {
        Key {
            name: [0; NAME],
            secret: Zeroizing::new([0; 32]),
            made,
        }
    }
}

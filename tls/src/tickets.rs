//! Session tickets: state that the client keeps for the server, sealed with a key that changes.
//!
//! A ticket is `key name (16) | nonce (12) | sealed state`. The state is sealed as a TLS 1.3 record
//! of the provider's own AES-256-GCM, under a key that protects nothing else.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::GetRandomFailed;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, OutboundChunks, OutboundPlainMessage,
};
use rustls::server::ProducesTickets;
use rustls::{CipherSuite, ContentType, ProtocolVersion, SupportedCipherSuite, Tls13CipherSuite};
use spin::Mutex;
use zeroize::Zeroizing;

use crate::WallClock;
use crate::provider::fill_random;

/// How long one key seals tickets, in seconds. It opens them for as long again, so every ticket is
/// good for at least this time, and no key lives longer than twice it: 12 hours, within the week
/// that RFC 8446 §4.6.1 allows. Nonces are random: far fewer than 2^32 tickets are made in 6 hours.
const ROTATION: u32 = 6 * 60 * 60;

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
    keys: Mutex<Keys>,
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
    /// `suites` are the provider's; `None` when it has no TLS 1.3 AES-256-GCM.
    pub(crate) fn new(
        suites: &[SupportedCipherSuite],
        clock: WallClock,
    ) -> Result<Option<Tickets>, GetRandomFailed> {
        let suite = suites.iter().find_map(|suite| match suite {
            SupportedCipherSuite::Tls13(suite)
                if suite.common.suite == CipherSuite::TLS13_AES_256_GCM_SHA384 =>
            {
                Some(*suite)
            }
            _ => None,
        });
        let Some(suite) = suite else { return Ok(None) };
        let current = Arc::new(Key::new(clock.now())?);
        Ok(Some(Tickets {
            suite,
            clock,
            keys: Mutex::new(Keys {
                current,
                previous: None,
            }),
        }))
    }

    /// The keys in force now. Without entropy the old ones stay until there is some.
    fn keys(&self) -> (Arc<Key>, Option<Arc<Key>>) {
        let now = self.clock.now();
        let mut keys = self.keys.lock();
        // A clock that was set back does not make keys live longer: they count from now.
        let age = now.checked_sub(keys.current.made);
        if age.is_none_or(|age| age >= u64::from(ROTATION))
            && let Ok(fresh) = Key::new(now)
        {
            let old = core::mem::replace(&mut keys.current, Arc::new(fresh));
            let still_good = age.is_some_and(|age| age < 2 * u64::from(ROTATION));
            keys.previous = still_good.then_some(old);
        }
        if let Some(previous) = &keys.previous
            && now.saturating_sub(previous.made) >= 2 * u64::from(ROTATION)
        {
            keys.previous = None;
        }
        (keys.current.clone(), keys.previous.clone())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        ROTATION
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
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
                    payload: OutboundChunks::Single(state),
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

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let (current, previous) = self.keys();
        let key = [Some(current), previous]
            .into_iter()
            .flatten()
            .find(|key| key.name == *name)?;
        let mut sealed = sealed.to_vec();
        let opened = self
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
            .ok()?;
        Some(opened.payload.to_vec())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Key {
    fn new(made: u64) -> Result<Key, GetRandomFailed> {
        let mut key = Key {
            name: [0; NAME],
            secret: Zeroizing::new([0; 32]),
            made,
        };
        fill_random(&mut key.name)?;
        fill_random(&mut *key.secret)?;
        Ok(key)
    }
}

//! The key schedule (RFC 8446 §7.1) from an external pre-shared key.
//!
//! ```text
//!            0
//!            │
//!   PSK ─► Extract = Early Secret ─► "ext binder"
//!            │
//!   (EC)DHE ─► Extract = Handshake Secret ─► "c hs traffic", "s hs traffic"
//!            │
//!         0 ─► Extract = Master Secret ─► "c ap traffic", "s ap traffic"
//! ```

use alloc::boxed::Box;

use rustls::Tls13CipherSuite;
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::crypto::{hash, hmac};
use subtle::ConstantTimeEq;

use super::messages;

/// Bytes of a SHA-256 digest, and so of a binder and of a Finished message's body: external keys
/// are used with SHA-256 unless both sides agreed on another hash (RFC 8446 §4.2.11).
pub(super) const HASH: usize = 32;

/// The hash of all handshake messages so far (RFC 8446 §4.4.1).
pub(super) struct Transcript {
    hash: &'static dyn hash::Hash,
    context: Box<dyn hash::Context>,
}

impl Transcript {
    pub(super) fn new(suite: &'static Tls13CipherSuite) -> Transcript {
        let hash = suite.common.hash_provider;
        Transcript {
            hash,
            context: hash.start(),
        }
    }

    pub(super) fn add(&mut self, message: &[u8]) {
        self.context.update(message);
    }

    pub(super) fn current(&self) -> hash::Output {
        self.context.fork_finish()
    }

    /// The hash with one more, possibly truncated, message, which is not kept.
    pub(super) fn with(&self, message: &[u8]) -> hash::Output {
        let mut context = self.context.fork();
        context.update(message);
        context.finish()
    }

    /// Puts the hash of the first ClientHello in its place, as a HelloRetryRequest asks for.
    pub(super) fn retry(&mut self) {
        let digest = self.current();
        self.context = self.hash.start();
        self.add(&messages::message_hash(digest.as_ref()));
    }
}

/// The Early Secret, which every key comes from.
pub(super) struct Early {
    suite: &'static Tls13CipherSuite,
    secret: Box<dyn HkdfExpander>,
}

impl Early {
    pub(super) fn new(suite: &'static Tls13CipherSuite, key: &[u8]) -> Early {
        Early {
            suite,
            secret: suite.hkdf_provider.extract_from_secret(None, key),
        }
    }

    /// The binder over a ClientHello that ends before its binders (RFC 8446 §4.2.11.2).
    pub(super) fn binder(&self, transcript: &hash::Output) -> hmac::Tag {
        let empty = self.suite.common.hash_provider.hash(&[]);
        let key = expand_label(self.secret.as_ref(), b"ext binder", empty.as_ref());
        verify_data(self.suite, &key, transcript)
    }

    /// The Handshake Secret's two traffic secrets and the Master Secret behind them. `transcript`
    /// is ClientHello to ServerHello.
    pub(super) fn handshake(self, shared_secret: &[u8], transcript: &hash::Output) -> Handshake {
        let Early { suite, secret } = self;
        let hkdf = suite.hkdf_provider;
        let derived = derived(suite, secret.as_ref());
        let secret = hkdf.extract_from_secret(Some(derived.as_ref()), shared_secret);
        let client = expand_label(secret.as_ref(), b"c hs traffic", transcript.as_ref());
        let server = expand_label(secret.as_ref(), b"s hs traffic", transcript.as_ref());
        let derived = self::derived(suite, secret.as_ref());
        Handshake {
            suite,
            client,
            server,
            master: hkdf.extract_from_zero_ikm(Some(derived.as_ref())),
        }
    }
}

/// The secrets of the handshake's second half.
pub(super) struct Handshake {
    suite: &'static Tls13CipherSuite,
    pub(super) client: OkmBlock,
    pub(super) server: OkmBlock,
    master: Box<dyn HkdfExpander>,
}

impl Handshake {
    /// What the client's Finished must hold after `transcript`.
    pub(super) fn client_finished(&self, transcript: &hash::Output) -> hmac::Tag {
        verify_data(self.suite, &self.client, transcript)
    }

    /// What the server's Finished must hold after `transcript`.
    pub(super) fn server_finished(&self, transcript: &hash::Output) -> hmac::Tag {
        verify_data(self.suite, &self.server, transcript)
    }

    /// The client's and the server's application traffic secrets. `transcript` is ClientHello to
    /// the server's Finished.
    pub(super) fn application(&self, transcript: &hash::Output) -> (OkmBlock, OkmBlock) {
        let master = self.master.as_ref();
        (
            expand_label(master, b"c ap traffic", transcript.as_ref()),
            expand_label(master, b"s ap traffic", transcript.as_ref()),
        )
    }
}

/// The traffic secret after a KeyUpdate (RFC 8446 §7.2).
pub(super) fn next_secret(suite: &'static Tls13CipherSuite, secret: &OkmBlock) -> OkmBlock {
    let expander = suite.hkdf_provider.expander_for_okm(secret);
    expand_label(expander.as_ref(), b"traffic upd", &[])
}

/// Compares in constant time.
pub(super) fn is_equal(expected: &hmac::Tag, received: &[u8]) -> bool {
    expected.as_ref().ct_eq(received).into()
}

fn derived(suite: &'static Tls13CipherSuite, secret: &dyn HkdfExpander) -> OkmBlock {
    let empty = suite.common.hash_provider.hash(&[]);
    expand_label(secret, b"derived", empty.as_ref())
}

/// `HMAC(finished_key, transcript)` (RFC 8446 §4.4.4).
fn verify_data(
    suite: &'static Tls13CipherSuite,
    base: &OkmBlock,
    transcript: &hash::Output,
) -> hmac::Tag {
    let hkdf = suite.hkdf_provider;
    let key = expand_label(hkdf.expander_for_okm(base).as_ref(), b"finished", &[]);
    hkdf.hmac_sign(&key, transcript.as_ref())
}

/// HKDF-Expand-Label with the hash's length (RFC 8446 §7.1).
fn expand_label(secret: &dyn HkdfExpander, label: &[u8], context: &[u8]) -> OkmBlock {
    const PREFIX: &[u8] = b"tls13 ";
    // Both are short: labels are ours, contexts are digests.
    let byte = |length: usize| [u8::try_from(length).unwrap_or(u8::MAX)];
    let length = [[0], byte(secret.hash_len())].concat();
    secret.expand_block(&[
        &length,
        &byte(PREFIX.len() + label.len()),
        PREFIX,
        label,
        &byte(context.len()),
        context,
    ])
}

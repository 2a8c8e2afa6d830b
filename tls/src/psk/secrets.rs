//! Pre-shared keys and whom they belong to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::schedule::HASH;
use crate::ConfigError;

/// Fewest bytes of a key: what `stunnel(8)` asks for under `PSKsecrets`.
pub const MIN_KEY: usize = 16;

/// Most bytes of a key, as OpenSSL's `PSK_MAX_PSK_LEN`.
pub const MAX_KEY: usize = 512;

/// Most bytes of an identity, as OpenSSL's `PSK_MAX_IDENTITY_LEN` without the final NUL.
pub const MAX_IDENTITY: usize = 255;

/// Most keys in one table: each handshake looks at all of them.
pub const MAX_KEYS: usize = 65_536;

/// One identity and its key, which is wiped when it is dropped.
#[derive(Clone)]
pub struct PreSharedKey {
    identity: Arc<[u8]>,
    key: Arc<Zeroizing<Vec<u8>>>,
}

impl PreSharedKey {
    /// Checks both lengths: [`MIN_KEY`] to [`MAX_KEY`], 1 to [`MAX_IDENTITY`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::PreSharedKey`], which quotes neither.
    pub fn new(identity: &[u8], key: &[u8]) -> Result<PreSharedKey, ConfigError> {
        let reason = match (identity.len(), key.len()) {
            (0, _) => "the identity is empty",
            (length, _) if length > MAX_IDENTITY => "the identity is longer than 255 bytes",
            (_, length) if length < MIN_KEY => "the key is shorter than 16 bytes",
            (_, length) if length > MAX_KEY => "the key is longer than 512 bytes",
            _ => {
                return Ok(PreSharedKey {
                    identity: identity.into(),
                    key: Arc::new(Zeroizing::new(key.to_vec())),
                });
            }
        };
        Err(ConfigError::PreSharedKey { reason })
    }

    /// Whom the key belongs to.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for PreSharedKey {
    /// Shows no byte of the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PreSharedKey(\"{}\")", self.identity.escape_ascii())
    }
}

/// All keys that a server knows.
pub(super) struct Table {
    entries: Vec<Entry>,
    hash: &'static dyn rustls::crypto::hash::Hash,
    /// Stands where no identity matches.
    stranger: PreSharedKey,
}

struct Entry {
    digest: [u8; HASH],
    key: PreSharedKey,
}

impl Table {
    /// Where an identity comes twice, the first entry counts.
    pub(super) fn new(
        keys: Vec<PreSharedKey>,
        hash: &'static dyn rustls::crypto::hash::Hash,
        stranger: PreSharedKey,
    ) -> Table {
        let entry = |key: PreSharedKey| Entry {
            digest: digest(hash, key.identity()),
            key,
        };
        Table {
            entries: keys.into_iter().map(entry).collect(),
            hash,
            stranger,
        }
    }

    /// The key for an identity, or somebody else's key and `false`. Takes the same time for every
    /// identity of one length, known or not: digests of all entries are compared, each in constant
    /// time.
    pub(super) fn look_up(&self, identity: &[u8]) -> (&PreSharedKey, bool) {
        let wanted = digest(self.hash, identity);
        const NONE: u32 = u32::MAX;
        let mut index = NONE;
        for (place, entry) in (0u32..).zip(&self.entries) {
            let is_first = index.ct_eq(&NONE);
            let is_same: Choice = entry.digest.ct_eq(&wanted);
            index.conditional_assign(&place, is_same & is_first);
        }
        match self.entries.get(index as usize) {
            Some(entry) => (&entry.key, true),
            None => (&self.stranger, false),
        }
    }
}

fn digest(hash: &dyn rustls::crypto::hash::Hash, bytes: &[u8]) -> [u8; HASH] {
    let mut digest = [0; HASH];
    for (to, from) in digest.iter_mut().zip(hash.hash(bytes).as_ref()) {
        *to = *from;
    }
    digest
}

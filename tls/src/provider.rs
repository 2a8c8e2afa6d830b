//! The two cryptography providers, brought to the same behaviour.
//!
//! Both offer the same suites in the same order, the same groups with the hybrid one first, and
//! take the same keys. What one of them gets wrong is put right here and nowhere else.

mod hybrid;
mod ring;
mod rustcrypto;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

/// Whose cryptography runs a connection. Both are in every build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// *ring*: assembly for x86-64 and AArch64, the default.
    #[default]
    Ring,
    /// RustCrypto: pure Rust.
    RustCrypto,
}

impl Provider {
    /// Its name on the command line and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Provider::Ring => "ring",
            Provider::RustCrypto => "rustcrypto",
        }
    }

    /// Suites, groups, signatures and randomness, most wanted first.
    pub(crate) fn crypto(self) -> CryptoProvider {
        match self {
            Provider::Ring => ring::crypto(),
            Provider::RustCrypto => rustcrypto::crypto(),
        }
    }

    /// A key that signs, from PKCS#8, PKCS#1 or SEC1.
    pub(crate) fn signing_key(
        self,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        match self {
            Provider::Ring => rustls::crypto::ring::sign::any_supported_type(key),
            Provider::RustCrypto => rustls_rustcrypto::sign::any_supported_type(key),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Fills `bytes` from the one entropy source of image or host.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), rustls::crypto::GetRandomFailed> {
    getrandom::fill(bytes).map_err(|_| rustls::crypto::GetRandomFailed)
}

/// What a list of groups is made of, in the order that both providers offer.
fn groups(
    hybrid: &'static dyn rustls::crypto::SupportedKxGroup,
    x25519: &'static dyn rustls::crypto::SupportedKxGroup,
    p256: &'static dyn rustls::crypto::SupportedKxGroup,
    p384: &'static dyn rustls::crypto::SupportedKxGroup,
) -> Vec<&'static dyn rustls::crypto::SupportedKxGroup> {
    Vec::from([hybrid, x25519, p256, p384])
}

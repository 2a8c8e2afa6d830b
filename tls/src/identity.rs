//! A certificate chain and its private key.

mod error;
mod pem;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureScheme, crypto::WebPkiSupportedAlgorithms};

use crate::Provider;
use crate::x509::{Leaf, MAX_RSA_BITS, MIN_RSA_BITS};

pub(crate) use error::write_date;
pub use error::{IdentityError, IdentityWarning, PemText};
pub(crate) use pem::certificates_in;

/// A certificate chain and the private key of its first certificate. Clones share the key.
#[derive(Clone)]
pub struct Identity {
    provider: Provider,
    leaf: Leaf,
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads a PEM chain (leaf first) and a PEM key (PKCS#8, PKCS#1 or SEC1), and checks that the
    /// key belongs to the leaf. Both may be the same text: of `certificates` the keys are passed
    /// over, and of `key` the certificates.
    ///
    /// Keys may be RSA of 2,048 to 4,096 bits, P-256, P-384 or Ed25519. The leaf may be X.509 v1.
    ///
    /// # Errors
    ///
    /// One variant per fault; none quotes the key.
    pub fn from_pem(
        certificates: &[u8],
        key: &[u8],
        provider: Provider,
    ) -> Result<Identity, IdentityError> {
        let chain = pem::certificates(certificates)?;
        let leaf = chain
            .first()
            .ok_or(IdentityError::NoCertificate { holds_key: false })?;
        let leaf = Leaf::parse(leaf).map_err(|reason| IdentityError::Certificate { reason })?;

        let algorithms = provider.crypto().signature_verification_algorithms;
        if !leaf.key_kind_known(&algorithms) {
            return Err(IdentityError::CertificateKeyKind);
        }
        if let Some(bits) = leaf.rsa_bits()
            && !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits)
        {
            return Err(IdentityError::RsaLength { bits });
        }

        let key = pem::private_key(key)?;
        let key = provider
            .signing_key(key.der())
            .map_err(|_| IdentityError::Key)?;
        check_pair(&leaf, key.as_ref(), &algorithms)?;

        Ok(Identity {
            provider,
            leaf,
            key: Arc::new(CertifiedKey::new(chain, key)),
        })
    }

    /// The provider that the key was loaded for.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// What the operator should hear about the leaf at `unix_seconds`. It is served all the same:
    /// the clock may be wrong, and some clients do not care.
    #[must_use]
    pub fn warnings(&self, unix_seconds: u64) -> Vec<IdentityWarning> {
        let mut warnings = Vec::new();
        if unix_seconds < self.leaf.not_before {
            warnings.push(IdentityWarning::NotYetValid {
                from: self.leaf.not_before,
            });
        }
        if unix_seconds > self.leaf.not_after {
            warnings.push(IdentityWarning::Expired {
                since: self.leaf.not_after,
            });
        }
        if self.leaf.version < 3 {
            warnings.push(IdentityWarning::OldVersion {
                version: self.leaf.version,
            });
        }
        warnings
    }

    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Signs with the key and verifies with the certificate: stronger than comparing public keys, and
/// the same for every kind of key.
fn check_pair(
    leaf: &Leaf,
    key: &dyn SigningKey,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), IdentityError> {
    const MESSAGE: &[u8] = b"do this key and this certificate belong together?";
    let schemes: Vec<SignatureScheme> = algorithms
        .mapping
        .iter()
        .map(|(scheme, _)| *scheme)
        .collect();
    let signer = key.choose_scheme(&schemes).ok_or(IdentityError::Key)?;
    let signature = signer.sign(MESSAGE).map_err(|_| IdentityError::Key)?;
    leaf.verify(algorithms, signer.scheme(), MESSAGE, &signature)
        .map_err(|_| IdentityError::Mismatch)
}

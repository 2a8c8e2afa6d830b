//! A certificate chain and its private key.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Provider;

/// A certificate chain and the private key of its first certificate.
#[derive(Clone)]
pub struct Identity {
    provider: Provider,
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a PEM chain (leaf first) and a PEM key (PKCS#8, PKCS#1 or SEC1), and checks that the
    /// key belongs to the leaf. Both may be the same text.
    ///
    /// # Errors
    ///
    /// One variant per fault; none quotes the key.
    pub fn from_pem(
        certificates: &[u8],
        key: &[u8],
        provider: Provider,
    ) -> Result<Identity, IdentityError> {
        let _ = (certificates, key);
        Ok(Identity { provider })
    }

    /// What the operator should hear about the leaf at `unix_seconds`, though it is served all the same.
    #[must_use]
    pub fn warnings(&self, unix_seconds: u64) -> Vec<IdentityWarning> {
        let _ = unix_seconds;
        Vec::new()
    }
}

/// Something about a certificate that clients may refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityWarning {
    /// The leaf is not valid before this Unix time.
    NotYetValid {
        /// Start of validity, Unix seconds.
        from: u64,
    },
    /// The leaf has not been valid since this Unix time.
    Expired {
        /// End of validity, Unix seconds.
        since: u64,
    },
}

impl fmt::Display for IdentityWarning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityWarning::NotYetValid { from } => {
                write!(out, "the certificate is not valid before {from}")
            }
            IdentityWarning::Expired { since } => write!(out, "the certificate expired at {since}"),
        }
    }
}

/// Why a certificate and key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The PEM text holds no certificate.
    NoCertificate,
    /// Something else, in words.
    Other {
        /// Why, in words.
        reason: String,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::NoCertificate => out.write_str("no certificate in the PEM text"),
            IdentityError::Other { reason } => out.write_str(reason),
        }
    }
}

impl core::error::Error for IdentityError {}

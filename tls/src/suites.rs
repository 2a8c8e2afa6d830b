//! Cipher suites and key exchange groups, as users choose them.

use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup};

use crate::{ConfigError, Version, Versions};

/// A cipher suite. Both providers have all nine; none of them is without forward secrecy or
/// authenticated encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// TLS 1.3, RFC 8446 appendix B.4.
    Aes128GcmSha256,
    /// TLS 1.3, RFC 8446 appendix B.4.
    Aes256GcmSha384,
    /// TLS 1.3, RFC 8446 appendix B.4.
    Chacha20Poly1305Sha256,
    /// TLS 1.2, RFC 5289 §3.2.
    EcdheEcdsaAes128GcmSha256,
    /// TLS 1.2, RFC 5289 §3.2.
    EcdheRsaAes128GcmSha256,
    /// TLS 1.2, RFC 5289 §3.2.
    EcdheEcdsaAes256GcmSha384,
    /// TLS 1.2, RFC 5289 §3.2.
    EcdheRsaAes256GcmSha384,
    /// TLS 1.2, RFC 7905 §2.
    EcdheEcdsaChacha20Poly1305,
    /// TLS 1.2, RFC 7905 §2.
    EcdheRsaChacha20Poly1305,
}

impl Suite {
    /// All of them in the order in which they are wanted where nobody says otherwise.
    pub const ALL: [Suite; 9] = [
        Suite::Aes128GcmSha256,
        Suite::Aes256GcmSha384,
        Suite::Chacha20Poly1305Sha256,
        Suite::EcdheEcdsaAes128GcmSha256,
        Suite::EcdheRsaAes128GcmSha256,
        Suite::EcdheEcdsaAes256GcmSha384,
        Suite::EcdheRsaAes256GcmSha384,
        Suite::EcdheEcdsaChacha20Poly1305,
        Suite::EcdheRsaChacha20Poly1305,
    ];

    /// As the IANA registry spells it, and [`Handshake::suite`](crate::Handshake::suite).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Suite::Aes128GcmSha256 => "TLS_AES_128_GCM_SHA256",
            Suite::Aes256GcmSha384 => "TLS_AES_256_GCM_SHA384",
            Suite::Chacha20Poly1305Sha256 => "TLS_CHACHA20_POLY1305_SHA256",
            Suite::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Suite::EcdheRsaAes128GcmSha256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Suite::EcdheEcdsaAes256GcmSha384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Suite::EcdheRsaAes256GcmSha384 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            Suite::EcdheEcdsaChacha20Poly1305 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            Suite::EcdheRsaChacha20Poly1305 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        }
    }

    /// As OpenSSL spells it (openssl-ciphers(1)); TLS 1.3's have one name everywhere.
    #[must_use]
    pub fn openssl_name(self) -> &'static str {
        match self {
            Suite::EcdheEcdsaAes128GcmSha256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Suite::EcdheRsaAes128GcmSha256 => "ECDHE-RSA-AES128-GCM-SHA256",
            Suite::EcdheEcdsaAes256GcmSha384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Suite::EcdheRsaAes256GcmSha384 => "ECDHE-RSA-AES256-GCM-SHA384",
            Suite::EcdheEcdsaChacha20Poly1305 => "ECDHE-ECDSA-CHACHA20-POLY1305",
            Suite::EcdheRsaChacha20Poly1305 => "ECDHE-RSA-CHACHA20-POLY1305",
            other => other.name(),
        }
    }

    /// The one with this name, either spelling, letters' case aside.
    #[must_use]
    pub fn named(name: &str) -> Option<Suite> {
        let matches = |suite: &Suite| {
            suite.name().eq_ignore_ascii_case(name)
                || suite.openssl_name().eq_ignore_ascii_case(name)
        };
        Suite::ALL.into_iter().find(matches)
    }

    /// The one version that has it.
    #[must_use]
    pub fn version(self) -> Version {
        match self {
            Suite::Aes128GcmSha256 | Suite::Aes256GcmSha384 | Suite::Chacha20Poly1305Sha256 => {
                Version::Tls13
            }
            _ => Version::Tls12,
        }
    }

    /// The length of its encryption key, in bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        match self {
            Suite::Aes128GcmSha256
            | Suite::EcdheEcdsaAes128GcmSha256
            | Suite::EcdheRsaAes128GcmSha256 => 128,
            _ => 256,
        }
    }

    fn rustls(self) -> CipherSuite {
        match self {
            Suite::Aes128GcmSha256 => CipherSuite::TLS13_AES_128_GCM_SHA256,
            Suite::Aes256GcmSha384 => CipherSuite::TLS13_AES_256_GCM_SHA384,
            Suite::Chacha20Poly1305Sha256 => CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            Suite::EcdheEcdsaAes128GcmSha256 => {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            }
            Suite::EcdheRsaAes128GcmSha256 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            Suite::EcdheEcdsaAes256GcmSha384 => {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            }
            Suite::EcdheRsaAes256GcmSha384 => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            Suite::EcdheEcdsaChacha20Poly1305 => {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            }
            Suite::EcdheRsaChacha20Poly1305 => {
                CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            }
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A key exchange group (RFC 8446 §4.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// ML-KEM-768 with X25519, which quantum computers do not break; TLS 1.3 only.
    X25519MlKem768,
    /// RFC 7748.
    X25519,
    /// NIST P-256, also called prime256v1 and secp256r1.
    P256,
    /// NIST P-384, also called secp384r1.
    P384,
}

impl Group {
    /// All of them in the order in which they are wanted where nobody says otherwise.
    pub const ALL: [Group; 4] = [
        Group::X25519MlKem768,
        Group::X25519,
        Group::P256,
        Group::P384,
    ];

    /// As the IANA registry spells it, and [`Handshake::group`](crate::Handshake::group).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::X25519MlKem768 => "X25519MLKEM768",
            Group::X25519 => "X25519",
            Group::P256 => "secp256r1",
            Group::P384 => "secp384r1",
        }
    }

    fn rustls(self) -> NamedGroup {
        match self {
            Group::X25519MlKem768 => NamedGroup::X25519MLKEM768,
            Group::X25519 => NamedGroup::X25519,
            Group::P256 => NamedGroup::secp256r1,
            Group::P384 => NamedGroup::secp384r1,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Leaves a provider what was chosen, in the order chosen; an empty list changes nothing. An error
/// when none of it is of the versions allowed.
pub(crate) fn narrow(
    crypto: &mut CryptoProvider,
    suites: &[Suite],
    groups: &[Group],
    versions: Versions,
) -> Result<(), ConfigError> {
    let allowed = versions.min..=versions.max;
    if !suites.is_empty() {
        if !suites
            .iter()
            .any(|suite| allowed.contains(&suite.version()))
        {
            return Err(ConfigError::Suites);
        }
        crypto.cipher_suites = choose(&crypto.cipher_suites, suites, |there, wanted| {
            there.suite() == wanted.rustls()
        });
    }
    if !groups.is_empty() {
        let hybrid = |group: &Group| *group == Group::X25519MlKem768;
        if groups.iter().all(hybrid) && !allowed.contains(&Version::Tls13) {
            return Err(ConfigError::Groups);
        }
        crypto.kx_groups = choose(&crypto.kx_groups, groups, |there, wanted| {
            there.name() == wanted.rustls()
        });
    }
    Ok(())
}

/// Each of `wanted` that is there, once.
fn choose<T: Copy, W: PartialEq>(there: &[T], wanted: &[W], is: impl Fn(&T, &W) -> bool) -> Vec<T> {
    let mut chosen = Vec::with_capacity(wanted.len());
    for (index, one) in wanted.iter().enumerate() {
        let again = wanted.iter().take(index).any(|before| before == one);
        let found = there.iter().find(|each| is(each, one));
        chosen.extend(found.copied().filter(|_| !again));
    }
    chosen
}

//! RustCrypto, as rustls-rustcrypto wraps it, with that wrapper's defects put right.
//!
//! What 0.0.2-alpha gets wrong, and where it is mended:
//! - AES-GCM keys are used for ever (RFC 8446 §5.5): [`tls13`], [`tls12`] set limits.
//! - An all-zero X25519 secret is taken (RFC 8446 §7.4.2): [`CheckedGroup`].
//! - Compressed points are taken (RFC 8446 §4.2.8.2): [`CheckedGroup`].
//! - RSA keys of any length verify: [`Verification`].
//! - TLS 1.2 records with more than 2^14 bytes of plaintext are taken: the connection refuses them
//!   by their length before they are decrypted.
//! - `extract_keys` names the wrong algorithm: never called here.

mod suites;
mod verification;

use alloc::boxed::Box;

use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

use super::hybrid::X25519MlKem768;

static X25519: CheckedGroup = CheckedGroup(NamedGroup::X25519);
static X25519_DYN: &dyn SupportedKxGroup = &X25519;
static P256: CheckedGroup = CheckedGroup(NamedGroup::secp256r1);
static P384: CheckedGroup = CheckedGroup(NamedGroup::secp384r1);
static HYBRID: X25519MlKem768 = X25519MlKem768::new(&X25519_DYN);

pub(super) fn crypto() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: suites::all(),
        kx_groups: super::groups(&HYBRID, &X25519, &P256, &P384),
        signature_verification_algorithms: verification::ALGORITHMS,
        secure_random: &Random,
        ..rustls_rustcrypto::provider()
    }
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        super::fill_random(bytes)
    }
}

/// One of rustls-rustcrypto's groups, with the checks of shares and secrets that it leaves out.
#[derive(Debug)]
struct CheckedGroup(NamedGroup);

impl SupportedKxGroup for CheckedGroup {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let group = rustls_rustcrypto::provider()
            .kx_groups
            .into_iter()
            .find(|group| group.name() == self.0)
            .ok_or_else(|| Error::General("the provider lost a group".into()))?;
        Ok(Box::new(CheckedExchange(group.start()?)))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.0
    }
}

struct CheckedExchange(Box<dyn ActiveKeyExchange>);

impl ActiveKeyExchange for CheckedExchange {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = Error::from(PeerMisbehaved::InvalidKeyShare);
        // "For the curves secp256r1, secp384r1, and secp521r1 ... legacy_form = 4": compressed
        // points are not allowed (RFC 8446 §4.2.8.2).
        let is_point = self.group() != NamedGroup::X25519;
        if is_point && share.first() != Some(&4) {
            return Err(invalid);
        }
        let secret = self.0.complete(share)?;
        // "implementations MUST check whether the computed Diffie-Hellman shared secret is the
        // all-zero value and abort if so" (RFC 8446 §7.4.2).
        let all = secret.secret_bytes().iter().fold(0, |all, byte| all | byte);
        if all == 0 {
            return Err(invalid);
        }
        Ok(secret)
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        self.0.pub_key()
    }

    fn group(&self) -> NamedGroup {
        self.0.group()
    }
}

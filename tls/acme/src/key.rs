//! Keys on the curve P-256: an account's, and one for each certificate.

use alloc::format;
use alloc::string::String;
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How often a key is drawn before it is given up: one draw in 2^32 is no key.
const DRAWS: u8 = 64;

/// A private key. It displays nothing of itself, and is wiped when dropped.
#[derive(Clone)]
pub struct Key(SigningKey);

/// What a key of a seed is for: another purpose would have another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The account at the authority.
    Account,
}

/// There is no key to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no private key on the curve P-256 (PKCS #8, PEM)")
    }
}

impl core::error::Error for NoKey {}

impl Key {
    /// Draws a key: `fill` gives unpredictable bytes.
    ///
    /// # Errors
    ///
    /// None comes of them, which is not to be expected of unpredictable ones.
    pub fn draw(mut fill: impl FnMut(&mut [u8])) -> Result<Key, NoKey> {
        first_key(|bytes, _| {
            fill(bytes);
            Ok(())
        })
    }

    /// The key that grows from this seed (HKDF-SHA256, RFC 5869, without salt): always the same one.
    ///
    /// # Errors
    ///
    /// None comes of it, which happens for no seed that anybody has found.
    pub fn from_seed(seed: &[u8], purpose: Purpose) -> Result<Key, NoKey> {
        let label = match purpose {
            Purpose::Account => b"acme-account",
        };
        let hkdf = Hkdf::<Sha256>::new(None, seed);
        first_key(|bytes, draw| {
            hkdf.expand_multi_info(&[label, &[draw]], bytes)
                .map_err(|_| NoKey)
        })
    }

    /// Reads a key as [`to_pem`](Self::to_pem) writes it.
    ///
    /// # Errors
    ///
    /// It is none, or of another kind.
    pub fn from_pem(pem: &str) -> Result<Key, NoKey> {
        SigningKey::from_pkcs8_pem(pem).map(Key).map_err(|_| NoKey)
    }

    /// The key as PKCS #8 in PEM.
    ///
    /// # Errors
    ///
    /// None that a key could cause.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, NoKey> {
        let pem = SecretKey::from(&self.0).to_pkcs8_pem(LineEnding::LF);
        pem.map_err(|_| NoKey)
    }

    /// The public key as JSON (RFC 7517, RFC 7518 §6.2.1), its members in the order of their names.
    pub(crate) fn public_json(&self) -> Value {
        let point = self.0.verifying_key().to_encoded_point(false);
        let word = |bytes: Option<&_>| {
            let bytes: Option<&[u8]> = bytes.map(|bytes: &p256::FieldBytes| bytes.as_slice());
            Base64UrlUnpadded::encode_string(bytes.unwrap_or_default())
        };
        json!({"crv": "P-256", "kty": "EC", "x": word(point.x()), "y": word(point.y())})
    }

    /// The public key's thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let hash = Sha256::digest(format!("{}", self.public_json()));
        Base64UrlUnpadded::encode_string(&hash)
    }

    /// What proves that this account answers a challenge (RFC 8555 §8.1).
    pub fn authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.0
    }
}

/// The first draw that is a key: a number from 1 to one less than the curve's order.
fn first_key(mut draw: impl FnMut(&mut [u8], u8) -> Result<(), NoKey>) -> Result<Key, NoKey> {
    for count in 0..DRAWS {
        let mut bytes = Zeroizing::new([0; 32]);
        draw(bytes.as_mut(), count)?;
        if let Ok(key) = SigningKey::from_slice(bytes.as_ref()) {
            return Ok(Key(key));
        }
    }
    Err(NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_the_same_key_for_ever() {
        let key = |seed: &[u8]| Key::from_seed(seed, Purpose::Account).unwrap().thumbprint();
        assert_ne!(key(b"seed"), key(b"other"));
        // Computed by another program: a later release must find the same accounts.
        assert_eq!(key(b"seed"), "KRFpamnJneQFLAvYKUiDnr_1jLFKyNpp7rN0k4dls-Y");
    }

    #[test]
    fn a_key_survives_its_file() {
        let key = Key::draw(|bytes| bytes.fill(7)).unwrap();
        let pem = key.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let again = Key::from_pem(&pem).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert!(Key::from_pem("-----BEGIN PRIVATE KEY-----\n").is_err());
    }

    #[test]
    fn numbers_that_are_no_keys_are_drawn_again() {
        let mut draws = 0;
        let key = Key::draw(|bytes| {
            bytes.fill([0, 0xff, 1][draws]);
            draws += 1;
        });
        assert!(key.is_ok());
        assert_eq!(draws, 3);
        assert!(Key::draw(|bytes| bytes.fill(0)).is_err());
    }

    #[test]
    fn a_challenge_is_answered_with_the_token_and_the_thumbprint() {
        let key = Key::draw(|bytes| bytes.fill(7)).unwrap();
        let answer = key.authorization("token");
        assert_eq!(answer, format!("token.{}", key.thumbprint()));
        assert_eq!(key.thumbprint().len(), 43);
    }
}

//! Private keys, an account's and one for each certificate: on the curve P-256, or of RSA where
//! somebody's clients want that.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use p256::SecretKey;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// How often a key is drawn before it is given up: one draw in 2^32 is no key.
const DRAWS: u8 = 64;

/// Bits of RSA keys that are read; clients refuse shorter ones, and this TLS longer ones.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2_048..=4_096;

/// A private key. It displays nothing of itself, and is wiped when dropped.
#[derive(Clone)]
pub struct Key(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    P256(SigningKey),
    Rsa(Box<RsaPrivateKey>),
}

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
        f.write_str("this is no private key on the curve P-256 or of RSA with 2048 to 4096 bits (PKCS #8, PEM)")
    }
}

impl core::error::Error for NoKey {}

impl Key {
    /// Draws a key on the curve P-256: `fill` gives unpredictable bytes.
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

    /// The key on the curve P-256 that grows from this seed (HKDF-SHA256, RFC 5869, without salt): always the same one.
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
        if let Ok(key) = SigningKey::from_pkcs8_pem(pem) {
            return Ok(Key(Kind::P256(key)));
        }
        let key = RsaPrivateKey::from_pkcs8_pem(pem).map_err(|_| NoKey)?;
        match RSA_BITS.contains(&key.n().bits()) {
            true => Ok(Key(Kind::Rsa(Box::new(key)))),
            false => Err(NoKey),
        }
    }

    /// The key as PKCS #8 in PEM.
    ///
    /// # Errors
    ///
    /// None that a key could cause.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, NoKey> {
        let pem = match &self.0 {
            Kind::P256(key) => SecretKey::from(key).to_pkcs8_pem(LineEnding::LF),
            Kind::Rsa(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.map_err(|_| NoKey)
    }

    /// The public key as JSON (RFC 7517, RFC 7518 §6), its members in the order of their names.
    pub(crate) fn public_json(&self) -> Value {
        match &self.0 {
            Kind::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                let word = |bytes: Option<&_>| {
                    let bytes: Option<&[u8]> =
                        bytes.map(|bytes: &p256::FieldBytes| bytes.as_slice());
                    Base64UrlUnpadded::encode_string(bytes.unwrap_or_default())
                };
                json!({"crv": "P-256", "kty": "EC", "x": word(point.x()), "y": word(point.y())})
            }
            Kind::Rsa(key) => {
                let word =
                    |number: &rsa::BigUint| Base64UrlUnpadded::encode_string(&number.to_bytes_be());
                json!({"e": word(key.e()), "kty": "RSA", "n": word(key.n())})
            }
        }
    }

    /// What a signature of this key with SHA-256 is called in JSON (RFC 7518 §3.1).
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::P256(_) => "ES256",
            Kind::Rsa(_) => "RS256",
        }
    }

    /// A signature over this with SHA-256 as JSON has it (RFC 7518 §3.3, §3.4).
    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.0 {
            Kind::P256(key) => {
                let signature: Signature = key.sign(bytes);
                signature.to_bytes().to_vec()
            }
            Kind::Rsa(key) => signed_with_rsa(key, bytes),
        }
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
}

/// A signature with SHA-256 (RSASSA-PKCS1-v1_5, RFC 8017 §8.2); empty for a key that can't sign,
/// which no key from 2,048 bits on is.
pub(crate) fn signed_with_rsa(key: &RsaPrivateKey, bytes: &[u8]) -> Vec<u8> {
    let key = pkcs1v15::SigningKey::<Sha256>::new(key.clone());
    let signature = key.try_sign(bytes);
    signature.map_or_else(|_| Vec::new(), |signature| signature.to_vec())
}

/// The first draw that is a key: a number from 1 to one less than the curve's order.
fn first_key(mut draw: impl FnMut(&mut [u8], u8) -> Result<(), NoKey>) -> Result<Key, NoKey> {
    for count in 0..DRAWS {
        let mut bytes = Zeroizing::new([0; 32]);
        draw(bytes.as_mut(), count)?;
        if let Ok(key) = SigningKey::from_slice(bytes.as_ref()) {
            return Ok(Key(Kind::P256(key)));
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

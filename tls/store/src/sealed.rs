//! Private keys encrypted at rest: a repository's history keeps what was pushed once.
//!
//! The form is the usual one, PKCS #8's `ENCRYPTED PRIVATE KEY` (RFC 5958 §3) with PBES2 (RFC 8018
//! §6.2): PBKDF2 with HMAC-SHA256, and AES-256 in CBC mode, as `openssl pkcs8 -topk8` makes it. The
//! passphrase is the secret itself, byte for byte, so that its owner gets at a key with
//! `openssl pkey -in KEY -passin file:SECRET`.
//!
//! It hides the key and no more: whoever changes the text may get another key out of it, which then
//! is not its certificate's. Git's hashes and SSH keep it from changing unseen.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use base64ct::{Base64, Encoding};
use pbkdf2::pbkdf2_hmac;
use pkcs8::der::{Decode, Encode, pem};
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Prf};
use pkcs8::{EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Fewest bytes of a secret: 128 bits, if nobody can tell one of them from chance.
pub const LEAST_SECRET: usize = 16;

/// Rounds of PBKDF2 for what is written, OpenSSL's own count: they are for weak secrets, and this one
/// is none; each key is read at every start.
const ROUNDS: u32 = 2_048;

/// Most rounds that a file may ask for: some hundredths of a second.
const MOST_ROUNDS: u32 = 50_000;

/// Bytes of salt and of AES's key and block.
const SALT: usize = 16;
const KEY: usize = 32;
const BLOCK: usize = 16;

/// What keys are called in PEM.
const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Why a key is not encrypted, or not decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The secret has fewer bytes than [`LEAST_SECRET`].
    Short,
    /// The key is encrypted, and there is no secret.
    NoSecret,
    /// The secret is not the one that it was encrypted with.
    Wrong,
    /// It is no private key in the form that is wanted.
    NoKey,
    /// It is encrypted in a way that is not known.
    Unknown,
    /// Its passphrase is to be hashed more often than is allowed.
    Rounds(u32),
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::Short => write!(
                f,
                "what encrypts keys has at least {LEAST_SECRET} bytes: `openssl rand -base64 32` \
                 makes it"
            ),
            SealError::NoSecret => f.write_str(
                "the private key is encrypted, and what it is encrypted with is not given",
            ),
            SealError::Wrong => {
                f.write_str("the private key is encrypted with something else than what is given")
            }
            SealError::NoKey => f.write_str(
                "this is no private key as PKCS #8 in PEM: `openssl pkey -in KEY` makes one of it",
            ),
            SealError::Unknown => f.write_str(
                "the private key is encrypted otherwise than with PBES2, PBKDF2 with HMAC-SHA256 \
                 and AES-256 in CBC mode: `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf \
                 hmacWithSHA256` does it so",
            ),
            SealError::Rounds(rounds) => write!(
                f,
                "the private key's passphrase is to be hashed {rounds} times; at most \
                 {MOST_ROUNDS} are allowed (`openssl pkcs8 -topk8 -iter {ROUNDS}`)"
            ),
        }
    }
}

impl core::error::Error for SealError {}

/// Encrypts a private key, PKCS #8 in PEM, with `secret`; one that is encrypted already stays as it
/// is. `fill` gives unpredictable bytes.
///
/// # Errors
///
/// The secret is too short, or the text is no such key.
pub fn seal(
    key: &str,
    secret: &[u8],
    mut fill: impl FnMut(&mut [u8]),
) -> Result<String, SealError> {
    if secret.len() < LEAST_SECRET {
        return Err(SealError::Short);
    }
    if is_sealed(key) {
        return Ok(key.into());
    }
    let plain = section(key, PLAIN)?;
    PrivateKeyInfo::from_der(&plain).map_err(|_| SealError::NoKey)?;
    let (mut salt, mut iv) = ([0; SALT], [0; BLOCK]);
    fill(&mut salt);
    fill(&mut iv);
    let parameters = Parameters::pbkdf2_sha256_aes256cbc(ROUNDS, &salt, &iv);
    let parameters = parameters.map_err(|_| SealError::NoKey)?;

    let derived = derive(secret, &salt, ROUNDS);
    let cipher = cbc::Encryptor::<aes::Aes256Enc>::new((&*derived).into(), (&iv).into());
    let mut buffer = Zeroizing::new(plain.to_vec());
    buffer.resize(plain.len() + BLOCK, 0);
    let encrypted_data = cipher.encrypt_padded_mut::<Pkcs7>(&mut buffer, plain.len());
    let sealed = EncryptedPrivateKeyInfo {
        encryption_algorithm: parameters.into(),
        encrypted_data: encrypted_data.map_err(|_| SealError::NoKey)?,
    };
    let sealed = sealed.to_der().map_err(|_| SealError::NoKey)?;
    pem::encode_string(ENCRYPTED, LineEnding::LF, &sealed).map_err(|_| SealError::NoKey)
}

/// Decrypts a private key into PKCS #8 in PEM; one that is not encrypted stays as it is, of whatever
/// kind. It takes the time of 50,000 rounds of PBKDF2 at most.
///
/// # Errors
///
/// It is encrypted with something else, or in another way.
pub fn open(key: &str, secret: Option<&[u8]>) -> Result<Zeroizing<String>, SealError> {
    if !is_sealed(key) {
        return Ok(Zeroizing::new(key.into()));
    }
    let secret = secret.ok_or(SealError::NoSecret)?;
    let sealed = section(key, ENCRYPTED)?;
    let sealed = EncryptedPrivateKeyInfo::from_der(&sealed).map_err(|_| SealError::Unknown)?;
    let Some(Parameters {
        kdf: Kdf::Pbkdf2(kdf),
        encryption: EncryptionScheme::Aes256Cbc { iv },
    }) = sealed.encryption_algorithm.pbes2()
    else {
        return Err(SealError::Unknown);
    };
    let is_length = kdf
        .key_length
        .is_none_or(|length| usize::from(length) == KEY);
    if kdf.prf != Pbkdf2Prf::HmacWithSha256 || !is_length {
        return Err(SealError::Unknown);
    }
    if kdf.iteration_count > MOST_ROUNDS {
        return Err(SealError::Rounds(kdf.iteration_count));
    }

    let derived = derive(secret, kdf.salt, kdf.iteration_count);
    let cipher = cbc::Decryptor::<aes::Aes256Dec>::new((&*derived).into(), (*iv).into());
    let mut buffer = Zeroizing::new(sealed.encrypted_data.to_vec());
    let plain = cipher.decrypt_padded_mut::<Pkcs7>(&mut buffer);
    let plain = plain.map_err(|_| SealError::Wrong)?;
    // One wrong secret in 256 leaves padding behind that might be right.
    PrivateKeyInfo::from_der(plain).map_err(|_| SealError::Wrong)?;
    let plain = pem::encode_string(PLAIN, LineEnding::LF, plain);
    plain.map(Zeroizing::new).map_err(|_| SealError::NoKey)
}

/// Whether a private key is encrypted in this form.
pub fn is_sealed(key: &str) -> bool {
    key.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

fn derive(secret: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<[u8; KEY]> {
    let mut derived = Zeroizing::new([0; KEY]);
    pbkdf2_hmac::<Sha256>(secret, salt, rounds, &mut *derived);
    derived
}

/// The first section of this name in PEM (RFC 7468), however its lines are broken.
fn section(text: &str, name: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut marks = text.split("-----");
    let found = marks.find(|mark| mark.strip_prefix("BEGIN ") == Some(name));
    let (Some(_), Some(word), Some(end)) = (found, marks.next(), marks.next()) else {
        return Err(SealError::NoKey);
    };
    if end.strip_prefix("END ") != Some(name) {
        return Err(SealError::NoKey);
    }
    let mut bare = Zeroizing::new(String::with_capacity(word.len()));
    bare.extend(word.split_ascii_whitespace());
    let bytes = Base64::decode_vec(&bare).map_err(|_| SealError::NoKey)?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests;

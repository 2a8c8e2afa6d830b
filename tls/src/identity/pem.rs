//! Certificates and keys in PEM text (RFC 7468).

use alloc::vec::Vec;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroize;

use super::IdentityError;
use super::error::PemText;

/// A private key that is wiped from memory when it is dropped.
pub(super) struct SecretKey(PrivateKeyDer<'static>);

impl SecretKey {
    pub(super) fn der(&self) -> &PrivateKeyDer<'static> {
        &self.0
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// All certificates of a text, in its order; at least one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let mut certificates = Vec::new();
    let mut holds_key = false;
    for section in sections(text) {
        match section.map_err(|()| damaged(text, PemText::Certificates))? {
            (SectionKind::Certificate, der) => certificates.push(CertificateDer::from(der)),
            (kind, mut der) => {
                holds_key |= is_key(kind);
                der.zeroize();
            }
        }
    }
    if certificates.is_empty() {
        return Err(IdentityError::NoCertificate { holds_key });
    }
    Ok(certificates)
}

/// All certificates of a text that may also be one DER certificate; `None` for damaged PEM.
pub(crate) fn certificates_in(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    // DER begins with the tag of a SEQUENCE, which PEM text does not.
    if text.first() == Some(&0x30) {
        return Some(Vec::from([CertificateDer::from(text.to_vec())]));
    }
    certificates(text).ok()
}

/// The one private key of a text.
pub(super) fn private_key(text: &[u8]) -> Result<SecretKey, IdentityError> {
    // PKCS#8's way of saying so (RFC 5958 §3), and the older one (RFC 1421 §4.6.1.1).
    if contains(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || contains(text, b"Proc-Type: 4,ENCRYPTED")
    {
        return Err(IdentityError::EncryptedKey);
    }
    let mut keys = Vec::new();
    let mut holds_certificate = false;
    for section in sections(text) {
        let (kind, der) = section.map_err(|()| damaged(text, PemText::Key))?;
        holds_certificate |= kind == SectionKind::Certificate;
        if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            keys.push(SecretKey(key));
        }
    }
    let count = keys.len();
    match keys.pop() {
        Some(key) if count == 1 => Ok(key),
        Some(_) => Err(IdentityError::SeveralKeys { count }),
        None => Err(IdentityError::NoKey { holds_certificate }),
    }
}

fn sections(text: &[u8]) -> impl Iterator<Item = Result<(SectionKind, Vec<u8>), ()>> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text).map(|section| section.map_err(drop))
}

fn is_key(kind: SectionKind) -> bool {
    matches!(
        kind,
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
    )
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}

fn damaged(text: &[u8], which: PemText) -> IdentityError {
    IdentityError::Pem {
        text: which,
        line: damaged_line(text),
    }
}

/// The first line, from 1, that neither frames a section nor is base64 within one; the last line
/// for a section without an end. The parser says only that there is one.
fn damaged_line(text: &[u8]) -> Option<usize> {
    let mut inside = false;
    let mut number = 0;
    for line in text.split(|byte| *byte == b'\n') {
        number += 1;
        let line = line.trim_ascii();
        if line.starts_with(b"-----BEGIN ") {
            if inside || !line.ends_with(b"-----") {
                return Some(number);
            }
            inside = true;
        } else if line.starts_with(b"-----END ") {
            inside = false;
        } else if inside && !line.iter().all(is_base64) {
            return Some(number);
        }
    }
    inside.then_some(number)
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

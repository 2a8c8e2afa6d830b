//! What identifies a certificate to a responder, and the request that carries it.

use alloc::vec::Vec;

use sha1::{Digest, Sha1};
use x509_cert::der::{self, Tag};

use super::super::certificate::Certificate;
use super::super::fields::Fields;

/// The content of SHA-1's AlgorithmIdentifier: 1.3.14.3.2.26 and NULL.
const SHA_1: &[u8] = &[6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];

/// The content of an Extension's identifier: id-pkix-ocsp-nonce, 1.3.6.1.5.5.7.48.1.2.
pub(super) const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OCTET_STRING: u8 = 4;
const OBJECT_IDENTIFIER: u8 = 6;

/// CertID (RFC 6960 §4.1.1), with SHA-1: what every responder knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateId {
    name: [u8; 20],
    key: [u8; 20],
    serial: Vec<u8>,
}

impl CertificateId {
    pub(super) fn new(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> CertificateId {
        CertificateId {
            // "the hash of the issuer's distinguished name": the whole DER of it.
            name: hash(&tlv(SEQUENCE, &[certificate.issuer.der()])),
            key: hash(issuer.key.bytes),
            serial: certificate.serial.to_vec(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        tlv(
            SEQUENCE,
            &[
                &tlv(SEQUENCE, &[SHA_1]),
                &tlv(OCTET_STRING, &[&self.name]),
                &tlv(OCTET_STRING, &[&self.key]),
                &tlv(INTEGER, &[&self.serial]),
            ],
        )
    }

    /// Whether the content of a CertID is this one.
    pub(super) fn is(&self, content: &[u8]) -> bool {
        let same = || -> der::Result<bool> {
            let mut fields = Fields::new(content)?;
            let algorithm = fields.of(Tag::Sequence)?.value;
            let name = fields.of(Tag::OctetString)?.value;
            let key = fields.of(Tag::OctetString)?.value;
            let serial = fields.of(Tag::Integer)?.value;
            fields.finish()?;
            // Some leave SHA-1's NULL out.
            let bare = SHA_1.strip_suffix(&[5, 0]);
            Ok((algorithm == SHA_1 || Some(algorithm) == bare)
                && name == self.name
                && key == self.key
                && serial == self.serial)
        };
        same().unwrap_or(false)
    }
}

/// SHA-1 (FIPS 180-4), which names things here and protects nothing.
pub(super) fn hash(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

/// OCSPRequest (RFC 6960 §4.1.1) with one question.
pub(super) fn encode(id: &CertificateId, nonce: Option<&[u8]>) -> Vec<u8> {
    let one = tlv(SEQUENCE, &[&id.encode()]);
    let list = tlv(SEQUENCE, &[&one]);
    let extensions = nonce.map(|nonce| {
        // "the extnValue is the DER of an OCTET STRING" (RFC 6960 §4.4.1).
        let value = tlv(OCTET_STRING, &[&tlv(OCTET_STRING, &[nonce])]);
        let extension = tlv(SEQUENCE, &[&tlv(OBJECT_IDENTIFIER, &[NONCE]), &value]);
        /// `[2]`, constructed.
        const REQUEST_EXTENSIONS: u8 = 0xa2;
        tlv(REQUEST_EXTENSIONS, &[&tlv(SEQUENCE, &[&extension])])
    });
    let extensions = extensions.unwrap_or_default();
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&list, &extensions])])
}

/// One value in DER, of less than 64 KiB: names and serial numbers are part of certificates, which
/// are shorter.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 4);
    out.push(tag);
    match u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes() {
        [0, short @ 0..=0x7f] => out.push(short),
        [0, one] => out.extend_from_slice(&[0x81, one]),
        two => {
            out.push(0x82);
            out.extend_from_slice(&two);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

//! The certificate that proves a name over TLS (TLS-ALPN-01, RFC 8737 §3).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use p256::pkcs8::LineEnding;
use p256::pkcs8::der::pem;
use sha2::{Digest, Sha256};
use x509_cert::der::asn1::{Any, OctetString, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, DateTime, Encode, ErrorKind, Tag, TagNumber};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::time::Time;
use zeroize::Zeroizing;

use crate::request::{general_name, public_key, signature, signed_by};
use crate::{Identifier, Key};

/// `id-pe-acmeIdentifier` (RFC 8737 §6.1).
const ACME_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.31");

/// `id-at-commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Who it says it is: an issuer has a name (RFC 5280 §4.1.2.4), and nobody looks at it.
const SUBJECT: &str = "ACME challenge";

/// Seconds before and after now in which it is valid. An authority does not look at them (RFC 8737
/// §3 names no check of the dates); they bear with clocks that are off by a day.
const BEFORE: u64 = 24 * 3600;
const AFTER: u64 = 7 * 24 * 3600;

/// Bytes of a serial number (RFC 5280 §4.1.2.2: at most 20).
const SERIAL: usize = 16;

/// The self-signed certificate that proves `identifier` to an authority that asks for
/// [`Identifier::server_name`] and the protocol `acme-tls/1`; and its key: both in PEM.
///
/// `authorization` is the challenge's, `key` one that was drawn for nothing else, `unix_seconds` now.
///
/// # Errors
///
/// The time is beyond the year 9999.
pub fn proof(
    identifier: &Identifier,
    authorization: &str,
    key: &Key,
    unix_seconds: u64,
) -> Result<(String, Zeroizing<String>), der::Error> {
    let hash = Sha256::digest(authorization);
    let signed = signed_part(identifier, &hash, key, unix_seconds)?;
    let signature = signature(key, &signed)?;
    let certificate = sequence(&[signed, signed_by(key).to_der()?, signature.to_der()?])?;
    let certificate = pem::encode_string("CERTIFICATE", LineEnding::LF, &certificate);
    let certificate = certificate.map_err(|_| ErrorKind::Failed)?;
    let key = key.to_pem().map_err(|_| ErrorKind::Failed)?;
    Ok((certificate, key))
}

/// `TBSCertificate` (RFC 5280 §4.1).
fn signed_part(
    identifier: &Identifier,
    hash: &[u8],
    key: &Key,
    unix_seconds: u64,
) -> Result<Vec<u8>, der::Error> {
    let time = |seconds| {
        let moment = DateTime::from_unix_duration(Duration::from_secs(seconds))?;
        Time::from(moment).to_der()
    };
    let name = name()?;
    sequence(&[
        explicit(0, 2u8.to_der()?)?,
        serial(hash)?,
        signed_by(key).to_der()?,
        name.clone(),
        sequence(&[
            time(unix_seconds.saturating_sub(BEFORE))?,
            time(unix_seconds.saturating_add(AFTER))?,
        ])?,
        name,
        public_key(key)?.to_der()?,
        explicit(3, extensions(identifier, hash)?.to_der()?)?,
    ])
}

/// One name, and what the authority looks for. "The extension MUST be marked critical" (RFC 8737 §3).
fn extensions(identifier: &Identifier, hash: &[u8]) -> Result<Vec<Extension>, der::Error> {
    let names = SubjectAltName(vec![general_name(identifier)?]);
    let token = Extension {
        extn_id: ACME_IDENTIFIER,
        critical: true,
        extn_value: OctetString::new(OctetString::new(hash)?.to_der()?)?,
    };
    Ok(vec![
        (false, &names).to_extension(&Name::default(), &[])?,
        token,
    ])
}

/// Another one for each proof, above nought.
fn serial(hash: &[u8]) -> Result<Vec<u8>, der::Error> {
    let mut bytes: Vec<u8> = hash.iter().copied().take(SERIAL).collect();
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    Any::new(Tag::Integer, bytes)?.to_der()
}

fn name() -> Result<Vec<u8>, der::Error> {
    let name = [
        COMMON_NAME.to_der()?,
        Utf8StringRef::new(SUBJECT)?.to_der()?,
    ];
    sequence(&[Any::new(Tag::Set, sequence(&name)?)?.to_der()?])
}

fn sequence(parts: &[Vec<u8>]) -> Result<Vec<u8>, der::Error> {
    Any::new(Tag::Sequence, parts.concat())?.to_der()
}

fn explicit(number: u32, value: Vec<u8>) -> Result<Vec<u8>, der::Error> {
    let tag = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    };
    Any::new(tag, value)?.to_der()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use p256::ecdsa::Signature;
    use p256::ecdsa::signature::Verifier;
    use p256::pkcs8::DecodePrivateKey;
    use x509_cert::Certificate;
    use x509_cert::der::Decode;

    /// 2026-01-01, in the middle of the day.
    const NOW: u64 = 1_767_268_800;

    fn made(name: &str) -> (Certificate, Vec<u8>, Zeroizing<String>) {
        let key = Key::draw(|bytes| bytes.fill(7)).unwrap();
        let identifier = Identifier::parse(name).unwrap();
        let (text, key) = proof(&identifier, "token.thumbprint", &key, NOW).unwrap();
        let (label, bytes) = pem::decode_vec(text.as_bytes()).unwrap();
        assert_eq!(label, "CERTIFICATE");
        (Certificate::from_der(&bytes).unwrap(), bytes, key)
    }

    #[test]
    fn a_proof_has_one_name_and_the_hash_of_what_is_asked_for() {
        let (certificate, bytes, _) = made("www.example.org");
        // RFC 8737 §3: critical, an OCTET STRING within the OCTET STRING; the hash is sha256sum's.
        let extension = b"\x30\x31\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\
            \x04\x20";
        let hash = [
            0xeb, 0x5a, 0xc1, 0x67, 0xfe, 0x24, 0x9c, 0x76, 0xe5, 0x3b, 0x43, 0x0d, 0xa3, 0x11,
            0x6c, 0x5d, 0x9f, 0xde, 0x4c, 0x55, 0x07, 0xba, 0x6d, 0x01, 0xe8, 0x85, 0x51, 0x6e,
            0x1b, 0xd4, 0x9f, 0x92,
        ];
        let whole = [&extension[..], &hash].concat();
        assert!(bytes.windows(whole.len()).any(|some| some == whole));
        let names = b"\x30\x1a\x06\x03\x55\x1d\x11\x04\x13\x30\x11\x82\x0fwww.example.org";
        assert!(bytes.windows(names.len()).any(|some| some == names));
        let signed = certificate.tbs_certificate();
        assert_eq!(signed.extensions().map(|found| found.len()), Some(2));
        assert_eq!(signed.version(), x509_cert::certificate::Version::V3);
        assert_eq!(signed.issuer(), signed.subject());
        assert_eq!(signed.subject().to_string(), "CN=ACME challenge");
        let validity = signed.validity();
        assert_eq!(
            validity.not_before.to_unix_duration().as_secs(),
            NOW - BEFORE
        );
        assert_eq!(validity.not_after.to_unix_duration().as_secs(), NOW + AFTER);
    }

    #[test]
    fn an_address_is_proven_as_an_address() {
        for (name, expected) in [
            ("192.0.2.1", &b"\x30\x06\x87\x04\xc0\0\x02\x01"[..]),
            (
                "2001:db8::1",
                b"\x30\x12\x87\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            ),
        ] {
            let (_, bytes, _) = made(name);
            assert!(bytes.windows(expected.len()).any(|some| some == expected));
        }
    }

    #[test]
    fn a_proof_is_signed_by_the_key_that_comes_with_it() {
        let (certificate, _, key) = made("www.example.org");
        let key = p256::ecdsa::SigningKey::from_pkcs8_pem(&key).unwrap();
        let signature = Signature::from_der(certificate.signature().raw_bytes()).unwrap();
        let signed = certificate.tbs_certificate().to_der().unwrap();
        key.verifying_key().verify(&signed, &signature).unwrap();
    }

    #[test]
    fn a_clock_that_is_off_by_ages_is_an_error() {
        let key = Key::draw(|bytes| bytes.fill(7)).unwrap();
        let name = Identifier::parse("a.example").unwrap();
        assert!(proof(&name, "a", &key, 0).is_ok());
        assert!(proof(&name, "a", &key, u64::MAX).is_err());
    }
}

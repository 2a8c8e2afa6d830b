//! Requests for certificates (PKCS #10, RFC 2986).

use alloc::vec;
use alloc::vec::Vec;

use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;
use rsa::pkcs1::EncodeRsaPublicKey;
use x509_cert::der::asn1::{Any, BitString, Ia5String, OctetString, SetOfVec};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Encode, ErrorKind};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::key::{Kind, signed_with_rsa};
use crate::{Identifier, Key};

/// `id-ecPublicKey` and `secp256r1` (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// `ecdsa-with-SHA256` (RFC 5758 §3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// `rsaEncryption` and `sha256WithRSAEncryption` (RFC 4055 §1.2, §5).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// Asks for a certificate of this key for all of these; in DER. The subject is empty: names count
/// where they are alternative names alone (RFC 8555 §7.4).
///
/// # Errors
///
/// There are more names than DER has room for.
pub fn certificate_request(key: &Key, identifiers: &[Identifier]) -> Result<Vec<u8>, der::Error> {
    let names: Vec<GeneralName> = identifiers
        .iter()
        .map(general_name)
        .collect::<Result<_, _>>()?;
    let subject = Name::default();
    let names: Extension = (&SubjectAltName(names)).to_extension(&subject, &[])?;
    let mut attributes = SetOfVec::new();
    attributes.insert(ExtensionReq(vec![names]).try_into()?)?;
    let info = CertReqInfo {
        version: Version::V1,
        subject,
        public_key: public_key(key)?,
        attributes,
    };
    let signature = signature(key, &info.to_der()?)?;
    let request = CertReq {
        info,
        algorithm: signed_by(key),
        signature,
    };
    request.to_der()
}

/// The public half, as requests and certificates have it.
pub(crate) fn public_key(key: &Key) -> Result<SubjectPublicKeyInfo<Any, BitString>, der::Error> {
    let (oid, parameters, bytes) = match &key.0 {
        Kind::P256(key) => {
            let point = key.verifying_key().to_encoded_point(false);
            (EC_PUBLIC_KEY, Any::from(P_256), point.as_bytes().to_vec())
        }
        Kind::Rsa(key) => {
            let public = key.to_public_key().to_pkcs1_der();
            let public = public.map_err(|_| ErrorKind::Failed)?;
            (RSA_ENCRYPTION, Any::null(), public.into_vec())
        }
    };
    Ok(SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier {
            oid,
            parameters: Some(parameters),
        },
        subject_public_key: BitString::from_bytes(&bytes)?,
    })
}

/// What [`signature`] is called in requests and certificates.
pub(crate) fn signed_by(key: &Key) -> AlgorithmIdentifier<Any> {
    match key.0 {
        Kind::P256(_) => AlgorithmIdentifier {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        },
        Kind::Rsa(_) => AlgorithmIdentifier {
            oid: SHA256_WITH_RSA,
            parameters: Some(Any::null()),
        },
    }
}

/// A signature over this, as requests and certificates have it.
pub(crate) fn signature(key: &Key, bytes: &[u8]) -> Result<BitString, der::Error> {
    match &key.0 {
        Kind::P256(key) => {
            let signature: Signature = key.sign(bytes);
            BitString::from_bytes(signature.to_der().as_bytes())
        }
        Kind::Rsa(key) => BitString::from_bytes(&signed_with_rsa(key, bytes)),
    }
}

pub(crate) fn general_name(identifier: &Identifier) -> Result<GeneralName, der::Error> {
    Ok(match identifier {
        Identifier::Dns(name) => GeneralName::DnsName(Ia5String::new(name)?),
        Identifier::Ip(core::net::IpAddr::V4(address)) => {
            GeneralName::IpAddress(OctetString::new(address.octets())?)
        }
        Identifier::Ip(core::net::IpAddr::V6(address)) => {
            GeneralName::IpAddress(OctetString::new(address.octets())?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::Verifier;
    use x509_cert::der::Decode;

    #[test]
    fn a_request_names_everything_and_is_signed_by_its_own_key() {
        let key = Key::draw(|bytes| bytes.fill(7)).unwrap();
        let names = ["www.example.org", "example.org", "192.0.2.1", "2001:db8::1"];
        let names = names.map(|name| Identifier::parse(name).unwrap());
        let bytes = certificate_request(&key, &names).unwrap();
        let request = CertReq::from_der(&bytes).unwrap();
        assert!(request.info.subject.is_empty());
        let signature = Signature::from_der(request.signature.raw_bytes()).unwrap();
        let signed = request.info.to_der().unwrap();
        let Kind::P256(key) = &key.0 else {
            panic!("it was drawn on the curve");
        };
        key.verifying_key().verify(&signed, &signature).unwrap();
        for name in [
            &b"\x82\x0fwww.example.org"[..],
            b"\x82\x0bexample.org",
            b"\x87\x04\xc0\0\x02\x01",
            b"\x87\x10\x20\x01\x0d\xb8",
        ] {
            assert!(
                bytes.windows(name.len()).any(|some| some == name),
                "{name:?}"
            );
        }
    }
}

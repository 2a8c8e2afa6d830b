//! Requests for certificates (PKCS #10, RFC 2986).

use alloc::vec;
use alloc::vec::Vec;

use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;
use x509_cert::der::asn1::{Any, BitString, Ia5String, OctetString, SetOfVec};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::spki::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::{Identifier, Key};

/// `id-ecPublicKey` and `secp256r1` (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// `ecdsa-with-SHA256` (RFC 5758 §3.2).
pub(crate) const SIGNED_BY: AlgorithmIdentifier<Any> = AlgorithmIdentifier {
    oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
    parameters: None,
};

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
        algorithm: SIGNED_BY,
        signature,
    };
    request.to_der()
}

/// The public half, as requests and certificates have it.
pub(crate) fn public_key(key: &Key) -> Result<SubjectPublicKeyInfo<Any, BitString>, der::Error> {
    let point = key.signing().verifying_key().to_encoded_point(false);
    Ok(SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier {
            oid: EC_PUBLIC_KEY,
            parameters: Some(Any::from(P_256)),
        },
        subject_public_key: BitString::from_bytes(point.as_bytes())?,
    })
}

/// A signature over this, as requests and certificates have it.
pub(crate) fn signature(key: &Key, bytes: &[u8]) -> Result<BitString, der::Error> {
    let signature: Signature = key.signing().sign(bytes);
    BitString::from_bytes(signature.to_der().as_bytes())
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
        let public = key.signing().verifying_key();
        public.verify(&signed, &signature).unwrap();
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

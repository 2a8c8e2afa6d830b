//! What is read from a certificate here, rather than by rustls.
//!
//! rustls parses end-entity certificates with webpki, which refuses X.509 v1. Those are in use
//! (OpenSSL's `x509 -req` makes them by default), so the few fields needed to serve one, or to take
//! one unverified, are read with a parser that knows every version.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::alg_id;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{self, Decode, Reader, SliceReader};

use crate::path::Outline;

/// The shortest RSA key that is taken: *ring*'s limit, and NIST SP 800-57's for today.
pub(crate) const MIN_RSA_BITS: usize = 2048;

/// The longest RSA key that signs, in both providers.
pub(crate) const MAX_RSA_BITS: usize = 4096;

/// What is needed of an end-entity certificate.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// X.509 version: 1, 2 or 3.
    pub(crate) version: u8,
    /// Start of validity, Unix seconds.
    pub(crate) not_before: u64,
    /// End of validity, Unix seconds, included.
    pub(crate) not_after: u64,
    /// The key's AlgorithmIdentifier without its outer tag, as rustls compares them.
    algorithm: Vec<u8>,
    public_key: Vec<u8>,
}

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The scheme does not go with the certificate's kind of key.
    WrongKeyKind,
    /// The signature is not of this key over this message.
    BadSignature,
}

impl Leaf {
    /// Reads a DER certificate of any version.
    pub(crate) fn parse(certificate: &[u8]) -> Result<Leaf, String> {
        let outline = Outline::parse(certificate).map_err(|error| error.to_string())?;
        Ok(Leaf {
            version: outline.version,
            not_before: outline.not_before,
            not_after: outline.not_after,
            algorithm: outline.key.algorithm.to_vec(),
            public_key: outline.key.bytes.to_vec(),
        })
    }

    /// Whether any of `algorithms` takes the certificate's kind of key.
    pub(crate) fn key_kind_known(&self, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        algorithms
            .all
            .iter()
            .any(|algorithm| algorithm.public_key_alg_id().as_ref() == self.algorithm)
    }

    /// The length of an RSA key in bits; `None` for other kinds.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        if self.algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
            rsa_modulus_bits(&self.public_key)
        } else {
            None
        }
    }

    /// Checks a signature made with this certificate's key.
    pub(crate) fn verify(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        let mut refused = Refused::WrongKeyKind;
        for (_, candidates) in algorithms.mapping.iter().filter(|(of, _)| *of == scheme) {
            for algorithm in *candidates {
                if algorithm.public_key_alg_id().as_ref() != self.algorithm {
                    continue;
                }
                match algorithm.verify_signature(&self.public_key, message, signature) {
                    Ok(()) => return Ok(()),
                    Err(_) => refused = Refused::BadSignature,
                }
            }
        }
        Err(refused)
    }
}

/// The modulus length of an RSAPublicKey (RFC 8017 appendix A.1.1), in bits.
pub(crate) fn rsa_modulus_bits(public_key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(public_key).ok()?;
    let modulus_bits = reader
        .sequence(|sequence| {
            let modulus = UintRef::decode(sequence)?;
            let _exponent = UintRef::decode(sequence)?;
            Ok::<_, der::Error>(bits(modulus.as_bytes()))
        })
        .ok()?;
    Some(modulus_bits)
}

/// The bits of a big-endian number, without leading zeros.
fn bits(number: &[u8]) -> usize {
    match number.iter().position(|byte| *byte != 0) {
        Some(first) => {
            let top = number.get(first).copied().unwrap_or_default();
            (number.len() - first) * 8 - top.leading_zeros() as usize
        }
        None => 0,
    }
}

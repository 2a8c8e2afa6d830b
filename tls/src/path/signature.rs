//! Signatures: which algorithms and keys are good enough, and how many are checked.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SignatureVerificationAlgorithm;
use x509_cert::der::{Tag, oid::ObjectIdentifier};

use super::RefusalReason;
use super::certificate::{Key, Signed};
use super::fields::Fields;
use crate::x509::rsa_modulus_bits;

// OpenSSL's security level 2 (112 bits), Debian's default, wants the same.
pub(super) use crate::x509::MIN_RSA_BITS;

/// The longest RSA key: *ring*'s limit.
pub(super) const MAX_RSA_BITS: usize = 8192;

/// Most signatures that are checked for one path. A path of ten certificates needs nine and its
/// revocation list one; the rest is for candidates of the same name.
pub(super) const MAX_SIGNATURES: usize = 32;

/// Most comparisons of a name with a constraint for one path.
pub(super) const MAX_NAME_COMPARISONS: usize = 65_536;

/// What one validation may still spend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) signatures: usize,
    pub(super) comparisons: usize,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget {
            signatures: MAX_SIGNATURES,
            comparisons: MAX_NAME_COMPARISONS,
        }
    }

    pub(super) fn compare(&mut self, cost: usize) -> Result<(), RefusalReason> {
        spend(&mut self.comparisons, cost)
    }
}

fn spend(left: &mut usize, cost: usize) -> Result<(), RefusalReason> {
    *left = left.checked_sub(cost).ok_or(RefusalReason::TooMuchWork)?;
    Ok(())
}

/// Whether a key is of a kind and length that is taken.
pub(super) fn check_key(
    key: &Key<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), RefusalReason> {
    if key.is_rsa() {
        let bits =
            rsa_modulus_bits(key.bytes).ok_or(RefusalReason::Malformed { part: "public key" })?;
        return if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            Ok(())
        } else {
            Err(RefusalReason::KeyLength { bits })
        };
    }
    let known = algorithms
        .all
        .iter()
        .any(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
    // Compressed points, which one of the providers would take.
    let compressed = key.algorithm.starts_with(ELLIPTIC) && key.bytes.first() != Some(&4);
    if known && !compressed {
        Ok(())
    } else {
        Err(RefusalReason::UnsupportedKey)
    }
}

/// The DER of id-ecPublicKey's object identifier, 1.2.840.10045.2.1.
const ELLIPTIC: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

/// Checks one signature.
pub(super) fn verify(
    signed: &Signed<'_>,
    key: &Key<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
    budget: &mut Budget,
) -> Result<(), RefusalReason> {
    let signature_algorithm = with_parameters(signed.algorithm);
    let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
        algorithm.signature_alg_id().as_ref() == signature_algorithm
            && algorithm.public_key_alg_id().as_ref() == key.algorithm
    };
    let Some(algorithm) = algorithms.all.iter().find(fits) else {
        return Err(not_supported(signed.algorithm));
    };
    spend(&mut budget.signatures, 1)?;
    algorithm
        .verify_signature(key.bytes, signed.message, signed.signature)
        .map_err(|_| RefusalReason::BadSignature)
}

/// RSA's PKCS#1 algorithms with the NULL that some leave out: "the parameters field MUST contain
/// NULL. Implementations MUST accept the parameters being absent as well as present" (RFC 4055 §5).
fn with_parameters(algorithm: &[u8]) -> Vec<u8> {
    let mut whole = algorithm.to_vec();
    if matches!(
        algorithm,
        [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11..=13]
    ) {
        whole.extend_from_slice(&[5, 0]);
    }
    whole
}

fn not_supported(algorithm: &[u8]) -> RefusalReason {
    let id = Fields::new(algorithm)
        .and_then(|mut fields| fields.of(Tag::ObjectIdentifier))
        .map(|field| field.value)
        .unwrap_or_default();
    let weak = match id {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2] => "MD2",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4] => "MD5",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]
        | [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] => "SHA-1",
        _ => {
            return RefusalReason::UnsupportedSignature {
                algorithm: ObjectIdentifier::from_bytes(id)
                    .map_or_else(|_| String::from("?"), |id| id.to_string()),
            };
        }
    };
    RefusalReason::WeakSignature { algorithm: weak }
}

//! rustls-rustcrypto's signature verification, with RSA keys of a sensible length only.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use crate::x509;

/// One algorithm: the kind of key it takes, and the kind of signature it checks.
#[derive(Debug)]
struct Verification {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Verification {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.key == alg_id::RSA_ENCRYPTION {
            let bits = x509::rsa_modulus_bits(public_key).ok_or(InvalidSignature)?;
            if bits < x509::MIN_RSA_BITS {
                return Err(InvalidSignature);
            }
        }
        rustls_rustcrypto::provider()
            .signature_verification_algorithms
            .all
            .iter()
            .find(|base| {
                base.public_key_alg_id() == self.key && base.signature_alg_id() == self.signature
            })
            .ok_or(InvalidSignature)?
            .verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

const fn rsa(signature: AlgorithmIdentifier) -> Verification {
    Verification {
        key: alg_id::RSA_ENCRYPTION,
        signature,
    }
}

const fn ecdsa(key: AlgorithmIdentifier, signature: AlgorithmIdentifier) -> Verification {
    Verification { key, signature }
}

static P256_SHA256: Verification = ecdsa(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256);
static P256_SHA384: Verification = ecdsa(alg_id::ECDSA_P256, alg_id::ECDSA_SHA384);
static P384_SHA256: Verification = ecdsa(alg_id::ECDSA_P384, alg_id::ECDSA_SHA256);
static P384_SHA384: Verification = ecdsa(alg_id::ECDSA_P384, alg_id::ECDSA_SHA384);
static ED25519: Verification = Verification {
    key: alg_id::ED25519,
    signature: alg_id::ED25519,
};
static PKCS1_SHA256: Verification = rsa(alg_id::RSA_PKCS1_SHA256);
static PKCS1_SHA384: Verification = rsa(alg_id::RSA_PKCS1_SHA384);
static PKCS1_SHA512: Verification = rsa(alg_id::RSA_PKCS1_SHA512);
static PSS_SHA256: Verification = rsa(alg_id::RSA_PSS_SHA256);
static PSS_SHA384: Verification = rsa(alg_id::RSA_PSS_SHA384);
static PSS_SHA512: Verification = rsa(alg_id::RSA_PSS_SHA512);

pub(super) static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        &P256_SHA256,
        &P256_SHA384,
        &P384_SHA256,
        &P384_SHA384,
        &ED25519,
        &PKCS1_SHA256,
        &PKCS1_SHA384,
        &PKCS1_SHA512,
        &PSS_SHA256,
        &PSS_SHA384,
        &PSS_SHA512,
    ],
    // TLS 1.3 takes the first algorithm of each scheme only, TLS 1.2 any of them.
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[&P384_SHA384, &P256_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[&P256_SHA256, &P384_SHA256],
        ),
        (SignatureScheme::ED25519, &[&ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[&PSS_SHA512]),
        (SignatureScheme::RSA_PSS_SHA384, &[&PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&PSS_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&PKCS1_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&PKCS1_SHA256]),
    ],
};

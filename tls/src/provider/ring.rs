//! *ring*, as rustls wraps it, with the hybrid group added.

use alloc::vec::Vec;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};

use super::hybrid::X25519MlKem768;

static HYBRID: X25519MlKem768 = X25519MlKem768::new(&kx_group::X25519);

pub(super) fn crypto() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: Vec::from([
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ]),
        kx_groups: super::groups(
            &HYBRID,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ),
        ..default_provider()
    }
}

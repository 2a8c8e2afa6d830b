//! The cipher suites and key exchange groups that there are here.

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// TLS 1.3, AES-128-GCM, SHA-256 (RFC 8446 §B.4).
    Aes128GcmSha256,
    /// TLS 1.3, AES-256-GCM, SHA-384 (RFC 8446 §B.4).
    Aes256GcmSha384,
    /// TLS 1.3, ChaCha20-Poly1305, SHA-256 (RFC 8446 §B.4).
    Chacha20Poly1305Sha256,
    /// TLS 1.2, ECDHE, ECDSA, AES-128-GCM, SHA-256 (RFC 5289 §3.2).
    EcdheEcdsaAes128GcmSha256,
    /// TLS 1.2, ECDHE, ECDSA, AES-256-GCM, SHA-384 (RFC 5289 §3.2).
    EcdheEcdsaAes256GcmSha384,
    /// TLS 1.2, ECDHE, ECDSA, ChaCha20-Poly1305, SHA-256 (RFC 7905 §2).
    EcdheEcdsaChacha20Poly1305Sha256,
    /// TLS 1.2, ECDHE, RSA, AES-128-GCM, SHA-256 (RFC 5289 §3.2).
    EcdheRsaAes128GcmSha256,
    /// TLS 1.2, ECDHE, RSA, AES-256-GCM, SHA-384 (RFC 5289 §3.2).
    EcdheRsaAes256GcmSha384,
    /// TLS 1.2, ECDHE, RSA, ChaCha20-Poly1305, SHA-256 (RFC 7905 §2).
    EcdheRsaChacha20Poly1305Sha256,
}

/// A group for the key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// X25519 (RFC 7748 §5).
    X25519,
    /// NIST P-256, also prime256v1 and secp256r1.
    P256,
    /// NIST P-384, also secp384r1.
    P384,
    /// X25519 and ML-KEM-768 together.
    X25519MlKem768,
}

impl Suite {
    /// The suites of TLS 1.3, in stunnel's order.
    pub const TLS13: [Suite; 3] = [
        Suite::Aes256GcmSha384,
        Suite::Aes128GcmSha256,
        Suite::Chacha20Poly1305Sha256,
    ];

    /// Whether it is one of TLS 1.3, not of TLS 1.2.
    pub fn is_tls13(self) -> bool {
        Suite::TLS13.contains(&self)
    }

    /// The name in IANA's registry.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Aes128GcmSha256 => "TLS_AES_128_GCM_SHA256",
            Suite::Aes256GcmSha384 => "TLS_AES_256_GCM_SHA384",
            Suite::Chacha20Poly1305Sha256 => "TLS_CHACHA20_POLY1305_SHA256",
            Suite::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Suite::EcdheEcdsaAes256GcmSha384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Suite::EcdheEcdsaChacha20Poly1305Sha256 => {
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
            }
            Suite::EcdheRsaAes128GcmSha256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Suite::EcdheRsaAes256GcmSha384 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            Suite::EcdheRsaChacha20Poly1305Sha256 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        }
    }
}

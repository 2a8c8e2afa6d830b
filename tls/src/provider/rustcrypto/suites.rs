//! rustls-rustcrypto's cipher suites with the limits that it leaves out.

use alloc::vec::Vec;

use rustls::crypto::CipherSuiteCommon;
use rustls::{SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use rustls_rustcrypto as base;

/// Records that one AES-GCM key may protect. "For AES-GCM, up to 2^24.5 full-size records ... may
/// be encrypted on a given connection" (RFC 8446 §5.5); rustls rounds down for its own suites.
const AES_GCM_RECORDS: u64 = 1 << 24;

/// ChaCha20-Poly1305: "the record sequence number would wrap before the safety limit is reached"
/// (RFC 8446 §5.5).
const CHACHA20_RECORDS: u64 = u64::MAX;

static TLS13_AES_128: Tls13CipherSuite = tls13(base::TLS13_AES_128_GCM_SHA256, AES_GCM_RECORDS);
static TLS13_AES_256: Tls13CipherSuite = tls13(base::TLS13_AES_256_GCM_SHA384, AES_GCM_RECORDS);
static TLS13_CHACHA20: Tls13CipherSuite =
    tls13(base::TLS13_CHACHA20_POLY1305_SHA256, CHACHA20_RECORDS);
static ECDSA_AES_128: Tls12CipherSuite = tls12(
    base::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    AES_GCM_RECORDS,
);
static ECDSA_AES_256: Tls12CipherSuite = tls12(
    base::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    AES_GCM_RECORDS,
);
static ECDSA_CHACHA20: Tls12CipherSuite = tls12(
    base::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CHACHA20_RECORDS,
);
static RSA_AES_128: Tls12CipherSuite =
    tls12(base::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, AES_GCM_RECORDS);
static RSA_AES_256: Tls12CipherSuite =
    tls12(base::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, AES_GCM_RECORDS);
static RSA_CHACHA20: Tls12CipherSuite = tls12(
    base::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CHACHA20_RECORDS,
);

pub(super) fn all() -> Vec<SupportedCipherSuite> {
    Vec::from([
        SupportedCipherSuite::Tls13(&TLS13_AES_128),
        SupportedCipherSuite::Tls13(&TLS13_AES_256),
        SupportedCipherSuite::Tls13(&TLS13_CHACHA20),
        SupportedCipherSuite::Tls12(&ECDSA_AES_128),
        SupportedCipherSuite::Tls12(&RSA_AES_128),
        SupportedCipherSuite::Tls12(&ECDSA_AES_256),
        SupportedCipherSuite::Tls12(&RSA_AES_256),
        SupportedCipherSuite::Tls12(&ECDSA_CHACHA20),
        SupportedCipherSuite::Tls12(&RSA_CHACHA20),
    ])
}

// Evaluated while compiling only: a suite of the other version would not build.
#[allow(clippy::panic)]
const fn tls13(suite: SupportedCipherSuite, records: u64) -> Tls13CipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: records,
            },
            hkdf_provider: suite.hkdf_provider,
            aead_alg: suite.aead_alg,
            quic: None,
        },
        SupportedCipherSuite::Tls12(_) => panic!("a TLS 1.2 suite"),
    }
}

#[allow(clippy::panic)]
const fn tls12(suite: SupportedCipherSuite, records: u64) -> Tls12CipherSuite {
    match suite {
        SupportedCipherSuite::Tls12(suite) => Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: records,
            },
            prf_provider: suite.prf_provider,
            kx: suite.kx,
            sign: suite.sign,
            aead_alg: suite.aead_alg,
        },
        SupportedCipherSuite::Tls13(_) => panic!("a TLS 1.3 suite"),
    }
}

//! Certificates and keys, made anew for every run, but for one old-fashioned pair.

use std::process::Command;
use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
};

/// The name that every certificate is for.
pub const NAME: &str = "localhost";

/// A server's certificate with its key and the authority that vouches for it, all PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate chain, leaf first, without the authority.
    pub chain: String,
    /// The private key.
    pub key: String,
    /// What a client trusts.
    pub authority: String,
}

impl Identity {
    /// An ECDSA P-256 leaf with a PKCS#8 key.
    pub fn ecdsa() -> Identity {
        issue(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("ring makes P-256 keys"))
    }

    /// An Ed25519 leaf with a PKCS#8 key.
    pub fn ed25519() -> Identity {
        issue(KeyPair::generate_for(&PKCS_ED25519).expect("ring makes Ed25519 keys"))
    }

    /// An RSA-2048 leaf with a PKCS#8 key, which `openssl` makes.
    pub fn rsa() -> Identity {
        let output = Command::new("openssl")
            .args([
                "genpkey",
                "-quiet",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .output()
            .unwrap_or_else(|error| panic!("cannot start openssl: {error}"));
        let key = String::from_utf8(output.stdout).expect("PEM is ASCII");
        issue(KeyPair::from_pem(&key).unwrap_or_else(|error| panic!("openssl's key: {error}")))
    }

    /// An X.509 **version 1** leaf, CN only, as `openssl x509 -req` makes it on Debian 12.
    ///
    /// Kept as a file because newer versions of OpenSSL make version 3 instead. Valid to 2120.
    pub fn version_1() -> Identity {
        Identity {
            chain: include_str!("../fixtures/version-1.pem").into(),
            key: include_str!("../fixtures/version-1.key").into(),
            authority: include_str!("../fixtures/version-1-authority.pem").into(),
        }
    }
}

/// The one authority of this run.
fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("ring makes P-256 keys");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Stockade test authority");
        CertifiedIssuer::self_signed(params, key).expect("the parameters above are sound")
    })
}

fn issue(key: KeyPair) -> Identity {
    let authority = authority();
    let mut params = CertificateParams::new([NAME.to_owned()]).expect("a DNS name");
    params.distinguished_name.push(DnType::CommonName, NAME);
    let leaf = params
        .signed_by(&key, authority)
        .expect("the parameters above are sound");
    Identity {
        chain: leaf.pem(),
        key: key.serialize_pem(),
        authority: authority.pem(),
    }
}

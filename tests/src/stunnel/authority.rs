//! Certificates of every kind that stunnel's users have, made anew for every run.

use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// When years begin, in seconds since 1970, UTC.
const YEAR_2020: u64 = 1_577_836_800;
const YEAR_2021: u64 = 1_609_459_200;
const YEAR_2100: u64 = 4_102_444_800;
const YEAR_2120: u64 = 4_733_510_400;

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS#8.
    pub key: String,
    serial: u64,
}

impl Pair {
    /// A pair that was made elsewhere.
    pub fn new(certificate: &str, key: &str) -> Pair {
        Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            serial: 0,
        }
    }

    /// Its line in the index of openssl-ca(1), from which `openssl ocsp` answers.
    pub fn index_line(&self, revoked: bool) -> String {
        let number = format!("{:X}", self.serial);
        let serial = match number.len() % 2 {
            0 => number,
            _ => format!("0{number}"),
        };
        match revoked {
            false => format!("V\t20991231000000Z\t\t{serial}\tunknown\t/CN={serial}\n"),
            true => format!(
                "R\t20991231000000Z\t210101000000Z,keyCompromise\t{serial}\tunknown\t/CN={serial}\n"
            ),
        }
    }

    /// Certificate and key in one text, as stunnel's `cert` takes them.
    pub fn both(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

/// What a leaf is to say.
#[derive(Clone)]
pub struct Leaf {
    common_name: String,
    names: Vec<SanType>,
    /// The first and the last second in which it is valid, since 1970, UTC.
    valid: (u64, u64),
    /// An OCSP responder's address.
    responder: Option<String>,
    answers: bool,
}

impl Leaf {
    /// A certificate with this common name and no other name.
    pub fn named(common_name: &str) -> Leaf {
        Leaf {
            common_name: common_name.to_owned(),
            names: Vec::new(),
            valid: (YEAR_2020, YEAR_2120),
            responder: None,
            answers: false,
        }
    }

    /// With this DNS name, which may begin with `*.`, among its subject alternative names.
    pub fn dns(mut self, name: &str) -> Leaf {
        let name = name.try_into().expect("a DNS name is ASCII");
        self.names.push(SanType::DnsName(name));
        self
    }

    /// With this address among its subject alternative names.
    pub fn address(mut self, address: IpAddr) -> Leaf {
        self.names.push(SanType::IpAddress(address));
        self
    }

    /// With this mail address among its subject alternative names.
    pub fn email(mut self, address: &str) -> Leaf {
        let address = address.try_into().expect("a mail address is ASCII");
        self.names.push(SanType::Rfc822Name(address));
        self
    }

    /// Valid in 2020 only.
    pub fn expired(self) -> Leaf {
        self.from_to(YEAR_2020, YEAR_2021)
    }

    /// Valid from 2100 on.
    pub fn not_yet_valid(self) -> Leaf {
        self.from_to(YEAR_2100, YEAR_2120)
    }

    /// Valid from one second to another, since 1970, UTC.
    pub fn from_to(mut self, first: u64, last: u64) -> Leaf {
        self.valid = (first, last);
        self
    }

    /// With the address of an OCSP responder (RFC 5280 §4.2.2.1).
    pub fn responder(mut self, url: &str) -> Leaf {
        self.responder = Some(url.to_owned());
        self
    }

    /// Whoever has it may answer for its authority by OCSP (RFC 6960 §4.2.2.2).
    pub fn answering(mut self) -> Leaf {
        self.answers = true;
        self
    }

    fn params(&self, serial: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, self.common_name.as_str());
        params.subject_alt_names = self.names.clone();
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let time = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = time(self.valid.0);
        params.not_after = time(self.valid.1);
        if self.answers {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        }
        if let Some(url) = &self.responder {
            let extension = CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 5, 5, 7, 1, 1],
                authority_information(url),
            );
            params.custom_extensions.push(extension);
        }
        params
    }
}

impl Authority {
    /// A new authority with this common name.
    pub fn new(common_name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2120, 1, 1);
        let issuer = CertifiedIssuer::self_signed(params, key());
        Authority {
            issuer: issuer.expect("the parameters above are sound"),
        }
    }

    /// The authority's own certificate and key, PEM.
    pub fn pair(&self) -> Pair {
        Pair {
            certificate: self.certificate(),
            key: self.issuer.key().serialize_pem(),
            serial: 0,
        }
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A leaf that this authority vouches for.
    pub fn issue(&self, leaf: &Leaf) -> Pair {
        self.sign(leaf, key())
    }

    /// The same with an RSA key of 2,048 bits, which `openssl` makes.
    pub fn issue_rsa(&self, leaf: &Leaf) -> Pair {
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA"])
            .args(["-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .unwrap_or_else(|error| panic!("cannot start openssl: {error}"));
        let key = String::from_utf8(made.stdout).expect("PEM is ASCII");
        let key = KeyPair::from_pem(&key).unwrap_or_else(|error| panic!("openssl's key: {error}"));
        self.sign(leaf, key)
    }

    fn sign(&self, leaf: &Leaf, key: KeyPair) -> Pair {
        let serial = serial();
        let certificate = leaf.params(serial).signed_by(&key, &self.issuer);
        Pair {
            certificate: certificate.expect("sound parameters").pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// A revocation list (RFC 5280 §5) with these leaves, PEM.
    pub fn revoke(&self, revoked: &[&Pair]) -> String {
        let revoked = revoked.iter().map(|pair| RevokedCertParams {
            serial_number: SerialNumber::from(pair.serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 2),
            next_update: date_time_ymd(2119, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("sound parameters");
        list.pem().expect("DER has a PEM form")
    }
}

/// AuthorityInfoAccessSyntax with one responder, of a short address.
fn authority_information(url: &str) -> Vec<u8> {
    let field = |tag: u8, content: &[u8]| -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("a short address");
        assert!(length < 128, "a short address");
        [&[tag, length], content].concat()
    };
    // id-ad-ocsp, 1.3.6.1.5.5.7.48.1.
    let method = field(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
    let location = field(0x86, url.as_bytes());
    field(0x30, &field(0x30, &[method, location].concat()))
}

/// A certificate that is its own authority, as `openssl req -x509` makes it.
pub fn self_signed(leaf: &Leaf) -> Pair {
    let (key, serial) = (key(), serial());
    let mut params = leaf.params(serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.clear();
    params.extended_key_usages.clear();
    let certificate = params.self_signed(&key).expect("sound parameters");
    Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        serial,
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("ring makes P-256 keys")
}

/// Serial numbers that no other certificate of this run has.
fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

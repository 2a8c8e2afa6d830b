//! Chains of certificates, described and then made.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der::{bits, boolean, integer, oid, sequence, time, tlv};
use super::openssl;
use crate::tests::{NOW, fixture};
use crate::{PeerName, Provider, Purpose};

pub(super) const DAY: u64 = 86_400;

/// Whose key: one of the fixtures, or an Ed25519 key made from a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Named(String),
    Fixture(&'static str),
    /// A SubjectPublicKeyInfo whose private half nobody has.
    Raw(Vec<u8>),
}

impl Key {
    fn pkcs8(&self) -> PrivateKeyDer<'static> {
        match self {
            Key::Named(name) => {
                let mut seed = [7u8; 32];
                for (index, byte) in name.bytes().enumerate() {
                    seed[index % 32] = seed[index % 32].wrapping_mul(31) ^ byte;
                }
                let key = sequence(&[
                    &integer(0),
                    &sequence(&[&oid("1.3.101.112")]),
                    &tlv(4, &tlv(4, &seed)),
                ]);
                PrivatePkcs8KeyDer::from(key).into()
            }
            Key::Fixture(name) => {
                let pem = fixture(&format!("test-{name}.key"));
                PrivateKeyDer::from_pem_slice(&pem).unwrap()
            }
            Key::Raw(_) => panic!("no private key"),
        }
    }

    /// SubjectPublicKeyInfo.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Key::Named(_) => {
                let key = Provider::Ring.signing_key(&self.pkcs8()).unwrap();
                key.public_key().unwrap().to_vec()
            }
            Key::Fixture(name) => openssl::public_key(&format!("test-{name}.key")),
            Key::Raw(info) => info.clone(),
        }
    }

    pub(super) fn identifier(&self) -> Vec<u8> {
        let public = self.public();
        public[public.len() - 20..].to_vec()
    }

    /// The usual algorithm of such a key.
    fn algorithm(&self) -> Algorithm {
        match self {
            Key::Named(_) => Algorithm::Ed25519,
            Key::Fixture(name) if name.starts_with("rsa") => Algorithm::RsaSha256,
            Key::Fixture(name) if *name == "ed25519" => Algorithm::Ed25519,
            Key::Fixture("p384") => Algorithm::EcdsaSha384,
            Key::Fixture(_) | Key::Raw(_) => Algorithm::EcdsaSha256,
        }
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let scheme = match algorithm {
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            _ => {
                let Key::Fixture(name) = self else {
                    panic!("{algorithm:?} needs another key than {self:?}");
                };
                return openssl::sign(&format!("test-{name}.key"), algorithm.digest(), message);
            }
        };
        let key = Provider::Ring.signing_key(&self.pkcs8()).unwrap();
        let signer = key.choose_scheme(&[scheme]).unwrap();
        signer.sign(message).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Ed25519,
    EcdsaSha1,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    RsaMd5,
    RsaSha1,
    RsaSha224,
    RsaSha256,
    /// Without the NULL that RFC 4055 asks for.
    RsaSha256Bare,
}

impl Algorithm {
    fn digest(self) -> &'static str {
        match self {
            Algorithm::Ed25519 => "",
            Algorithm::RsaMd5 => "md5",
            Algorithm::EcdsaSha1 | Algorithm::RsaSha1 => "sha1",
            Algorithm::RsaSha224 => "sha224",
            Algorithm::EcdsaSha256 | Algorithm::RsaSha256 | Algorithm::RsaSha256Bare => "sha256",
            Algorithm::EcdsaSha384 => "sha384",
            Algorithm::EcdsaSha512 => "sha512",
        }
    }

    fn identifier(self) -> Vec<u8> {
        let null = tlv(5, &[]);
        match self {
            Algorithm::Ed25519 => sequence(&[&oid("1.3.101.112")]),
            Algorithm::EcdsaSha1 => sequence(&[&oid("1.2.840.10045.4.1")]),
            Algorithm::EcdsaSha256 => sequence(&[&oid("1.2.840.10045.4.3.2")]),
            Algorithm::EcdsaSha384 => sequence(&[&oid("1.2.840.10045.4.3.3")]),
            Algorithm::EcdsaSha512 => sequence(&[&oid("1.2.840.10045.4.3.4")]),
            Algorithm::RsaMd5 => sequence(&[&oid("1.2.840.113549.1.1.4"), &null]),
            Algorithm::RsaSha1 => sequence(&[&oid("1.2.840.113549.1.1.5"), &null]),
            Algorithm::RsaSha224 => sequence(&[&oid("1.2.840.113549.1.1.14"), &null]),
            Algorithm::RsaSha256 => sequence(&[&oid("1.2.840.113549.1.1.11"), &null]),
            Algorithm::RsaSha256Bare => sequence(&[&oid("1.2.840.113549.1.1.11")]),
        }
    }
}

/// A distinguished name: each attribute a relative one of its own, as type, string tag, bytes.
pub(super) type Dn = Vec<(&'static str, u8, Vec<u8>)>;

pub(super) const UTF8: u8 = 0x0c;
pub(super) const PRINTABLE: u8 = 0x13;
pub(super) const IA5: u8 = 0x16;
pub(super) const CN: &str = "2.5.4.3";
pub(super) const O: &str = "2.5.4.10";
pub(super) const EMAIL: &str = "1.2.840.113549.1.9.1";

pub(super) fn cn(name: &str) -> Dn {
    Vec::from([(CN, UTF8, name.as_bytes().to_vec())])
}

pub(super) fn dn(name: &Dn) -> Vec<u8> {
    let sets = name.iter().map(|(kind, tag, value)| {
        let attribute = sequence(&[&oid(kind), &tlv(*tag, value)]);
        tlv(0x31, &attribute)
    });
    tlv(0x30, &sets.collect::<Vec<_>>().concat())
}

/// An extension: identifier, criticality, content of the OCTET STRING.
#[derive(Clone, Debug)]
pub(super) struct Extension(pub(super) &'static str, pub(super) bool, pub(super) Vec<u8>);

pub(super) const BASIC: &str = "2.5.29.19";
pub(super) const KEY_USAGE: &str = "2.5.29.15";
pub(super) const EXTENDED: &str = "2.5.29.37";
pub(super) const SAN: &str = "2.5.29.17";
pub(super) const CONSTRAINTS: &str = "2.5.29.30";
pub(super) const SUBJECT_KEY: &str = "2.5.29.14";
pub(super) const AUTHORITY_KEY: &str = "2.5.29.35";
pub(super) const SERVER: &str = "1.3.6.1.5.5.7.3.1";
pub(super) const CLIENT: &str = "1.3.6.1.5.5.7.3.2";

pub(super) fn basic(authority: bool, path_length: Option<u64>) -> Extension {
    let authority = if authority { boolean(true) } else { Vec::new() };
    let length = path_length.map(integer).unwrap_or_default();
    Extension(BASIC, true, sequence(&[&authority, &length]))
}

/// `bits`: 0x80 digitalSignature, 0x20 keyEncipherment, 0x04 keyCertSign, 0x02 cRLSign.
pub(super) fn key_usage(usage: u8) -> Extension {
    let unused = usage.trailing_zeros().min(7) as u8;
    Extension(KEY_USAGE, true, tlv(3, &[unused, usage]))
}

pub(super) fn extended(purposes: &[&str]) -> Extension {
    let purposes: Vec<u8> = purposes.iter().flat_map(|purpose| oid(purpose)).collect();
    Extension(EXTENDED, false, tlv(0x30, &purposes))
}

pub(super) fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

pub(super) fn email(name: &str) -> Vec<u8> {
    tlv(0x81, name.as_bytes())
}

pub(super) fn uri(name: &str) -> Vec<u8> {
    tlv(0x86, name.as_bytes())
}

pub(super) fn ip(bytes: &[u8]) -> Vec<u8> {
    tlv(0x87, bytes)
}

pub(super) fn directory(name: &Dn) -> Vec<u8> {
    tlv(0xa4, &dn(name))
}

pub(super) fn san(names: &[Vec<u8>]) -> Extension {
    Extension(SAN, false, tlv(0x30, &names.concat()))
}

pub(super) fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Extension {
    let subtrees = |tag, bases: &[Vec<u8>]| {
        let subtrees: Vec<u8> = bases.iter().flat_map(|base| sequence(&[base])).collect();
        if bases.is_empty() {
            subtrees
        } else {
            tlv(tag, &subtrees)
        }
    };
    Extension(
        CONSTRAINTS,
        true,
        sequence(&[&subtrees(0xa0, permitted), &subtrees(0xa1, excluded)]),
    )
}

/// One certificate to be made.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) version: u8,
    pub(super) serial: u64,
    pub(super) subject: Dn,
    pub(super) key: Key,
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    /// Another UTCTime than `not_before`'s.
    pub(super) not_before_text: Option<&'static str>,
    pub(super) extensions: Vec<Extension>,
    /// Another issuer than the next in the chain.
    pub(super) issuer: Option<Dn>,
    /// Another signer than the next in the chain.
    pub(super) signer: Option<Key>,
    pub(super) algorithm: Option<Algorithm>,
    /// Another algorithm in the part that is signed.
    pub(super) inner_algorithm: Option<Algorithm>,
    /// Whether the signature is damaged.
    pub(super) damaged: bool,
}

impl Spec {
    fn new(name: &str, extensions: Vec<Extension>) -> Spec {
        Spec {
            version: 3,
            serial: 1000 + name.bytes().map(u64::from).sum::<u64>(),
            subject: cn(name),
            key: Key::Named(name.to_string()),
            not_before: NOW - 30 * DAY,
            not_after: NOW + 30 * DAY,
            not_before_text: None,
            extensions,
            issuer: None,
            signer: None,
            algorithm: None,
            inner_algorithm: None,
            damaged: false,
        }
    }

    pub(super) fn leaf(host: &str) -> Spec {
        let extensions = Vec::from([basic(false, None), san(&[dns(host)])]);
        Spec::new(host, extensions)
    }

    pub(super) fn authority(name: &str) -> Spec {
        Spec::new(name, Vec::from([basic(true, None), key_usage(0x06)]))
    }

    /// Adds an extension, or puts it in the place of the one there.
    pub(super) fn set(&mut self, extension: Extension) {
        self.remove(extension.0);
        self.extensions.push(extension);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.extensions.retain(|known| known.0 != id);
    }

    /// Subject and authority key identifiers.
    pub(super) fn set_keys(&mut self, issuer: &Key) {
        let own = tlv(4, &self.key.identifier());
        self.set(Extension(SUBJECT_KEY, false, own));
        let authority = sequence(&[&tlv(0x80, &issuer.identifier())]);
        self.set(Extension(AUTHORITY_KEY, false, authority));
    }

    pub(super) fn make(&self, issuer: &Spec) -> Vec<u8> {
        let signer = self.signer.as_ref().unwrap_or(&issuer.key);
        let algorithm = self.algorithm.unwrap_or_else(|| signer.algorithm());
        let version = match self.version {
            1 => Vec::new(),
            version => tlv(0xa0, &integer(u64::from(version) - 1)),
        };
        let not_before = match self.not_before_text {
            Some(text) => tlv(0x17, text.as_bytes()),
            None => time(self.not_before),
        };
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            tlv(0xa3, &extensions(&self.extensions))
        };
        let message = sequence(&[
            &version,
            &integer(self.serial),
            &self.inner_algorithm.unwrap_or(algorithm).identifier(),
            &dn(self.issuer.as_ref().unwrap_or(&issuer.subject)),
            &sequence(&[&not_before, &time(self.not_after)]),
            &dn(&self.subject),
            &self.key.public(),
            &extensions,
        ]);
        seal(message, signer, algorithm, self.damaged)
    }
}

fn extensions(all: &[Extension]) -> Vec<u8> {
    let all = all.iter().map(|Extension(id, critical, value)| {
        let critical = if *critical { boolean(true) } else { Vec::new() };
        sequence(&[&oid(id), &critical, &tlv(4, value)])
    });
    tlv(0x30, &all.collect::<Vec<_>>().concat())
}

fn seal(message: Vec<u8>, signer: &Key, algorithm: Algorithm, damaged: bool) -> Vec<u8> {
    let mut signature = signer.sign(algorithm, &message);
    if damaged {
        let middle = signature.len() / 2;
        signature[middle] ^= 1;
    }
    sequence(&[&message, &algorithm.identifier(), &bits(&signature)])
}

/// One revocation list to be made.
#[derive(Clone, Debug)]
pub(super) struct ListSpec {
    pub(super) issuer: Spec,
    pub(super) this_update: u64,
    pub(super) next_update: Option<u64>,
    /// Serial numbers, with entry extensions.
    pub(super) revoked: Vec<(u64, Vec<Extension>)>,
    pub(super) extensions: Vec<Extension>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) damaged: bool,
}

impl ListSpec {
    pub(super) fn of(issuer: &Spec) -> ListSpec {
        ListSpec {
            issuer: issuer.clone(),
            this_update: NOW - DAY,
            next_update: Some(NOW + DAY),
            revoked: Vec::new(),
            extensions: Vec::new(),
            algorithm: None,
            damaged: false,
        }
    }

    fn make(&self) -> Vec<u8> {
        let usual = self.issuer.key.algorithm();
        let algorithm = self.algorithm.unwrap_or(usual);
        let entries = self.revoked.iter().map(|(serial, entry)| {
            let entry = if entry.is_empty() {
                Vec::new()
            } else {
                extensions(entry)
            };
            sequence(&[&integer(*serial), &time(NOW - 2 * DAY), &entry])
        });
        let entries: Vec<_> = entries.collect();
        let message = sequence(&[
            &integer(1),
            &algorithm.identifier(),
            &dn(&self.issuer.subject),
            &time(self.this_update),
            &self.next_update.map(time).unwrap_or_default(),
            &if entries.is_empty() {
                Vec::new()
            } else {
                tlv(0x30, &entries.concat())
            },
            &if self.extensions.is_empty() {
                Vec::new()
            } else {
                tlv(0xa0, &extensions(&self.extensions))
            },
        ]);
        seal(message, &self.issuer.key, algorithm, self.damaged)
    }
}

/// A chain, leaf first, its last one self-signed and trusted, the others sent.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) certificates: Vec<Spec>,
    /// Depths that are trusted.
    pub(super) trusted: Vec<usize>,
    /// Depths that are sent, in this order.
    pub(super) sent: Vec<usize>,
    /// More to send and to trust, each with its issuer.
    pub(super) also_sent: Vec<(Spec, Spec)>,
    pub(super) also_trusted: Vec<(Spec, Spec)>,
    pub(super) lists: Vec<ListSpec>,
    pub(super) name: Option<PeerName>,
    pub(super) purpose: Purpose,
    pub(super) now: u64,
}

/// What a validation is given.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) leaf: Vec<u8>,
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) trusted: Vec<Vec<u8>>,
    pub(super) lists: Vec<Vec<u8>>,
    pub(super) name: Option<PeerName>,
    pub(super) purpose: Purpose,
    pub(super) now: u64,
}

pub(super) const HOST: &str = "www.example.org";

impl Chain {
    /// A sound chain with this many intermediates.
    pub(super) fn new(intermediates: usize) -> Chain {
        let mut certificates = Vec::from([Spec::leaf(HOST)]);
        for number in 0..intermediates {
            certificates.push(Spec::authority(&format!("Intermediate {number}")));
        }
        certificates.push(Spec::authority("Root"));
        Chain {
            trusted: Vec::from([intermediates + 1]),
            sent: (1..=intermediates).collect(),
            certificates,
            also_sent: Vec::new(),
            also_trusted: Vec::new(),
            lists: Vec::new(),
            name: None,
            purpose: Purpose::Server,
            now: NOW,
        }
    }

    /// A chain of the root alone, which is the peer's certificate.
    pub(super) fn alone() -> Chain {
        let mut chain = Chain::new(0);
        chain.certificates.remove(1);
        chain.trusted = Vec::from([0]);
        chain
    }

    pub(super) fn leaf(&mut self) -> &mut Spec {
        &mut self.certificates[0]
    }

    pub(super) fn root(&mut self) -> &mut Spec {
        self.certificates.last_mut().unwrap()
    }

    pub(super) fn case(&self) -> Case {
        let made: Vec<_> = self
            .certificates
            .iter()
            .enumerate()
            .map(|(depth, spec)| {
                let issuer = self.certificates.get(depth + 1).unwrap_or(spec);
                spec.make(issuer)
            })
            .collect();
        let pick = |depths: &[usize], also: &[(Spec, Spec)]| {
            let own = depths.iter().map(|depth| made[*depth].clone());
            own.chain(also.iter().map(|(spec, issuer)| spec.make(issuer)))
                .collect()
        };
        Case {
            leaf: made[0].clone(),
            sent: pick(&self.sent, &self.also_sent),
            trusted: pick(&self.trusted, &self.also_trusted),
            lists: self.lists.iter().map(ListSpec::make).collect(),
            name: self.name.clone(),
            purpose: self.purpose,
            now: self.now,
        }
    }
}

//! Certificates of every lifetime.

use std::{
    string::{String, ToString},
    vec::Vec,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use store::host::{Host, Pair};
use time::OffsetDateTime;

/// What a certificate says of itself, but for its key.
pub(super) fn params(names: &[String], from: u64, to: u64) -> CertificateParams {
    let moment = |unix: u64| OffsetDateTime::from_unix_timestamp(unix as i64).unwrap();
    let mut params = CertificateParams::new(names.to_vec()).unwrap();
    params.not_before = moment(from);
    params.not_after = moment(to);
    params
}

/// The certificate of an authority.
pub(super) fn authority() -> Issuer<'static, KeyPair> {
    let mut params = params(&[], 0, 4_000_000_000);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = "Simulated authority";
    params.distinguished_name.push(DnType::CommonName, name);
    Issuer::new(params, KeyPair::generate().unwrap())
}

/// A certificate of an authority, and its key.
pub(super) fn issued(names: &[&str], from: u64, to: u64) -> Pair {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let mut params = params(&names, from, to);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &authority()).unwrap();
    Pair {
        chain: std::vec![certificate.pem()],
        key: key.serialize_pem(),
    }
}

/// What stands in a certificate's place until there is one: it has ended and signed itself.
pub(super) fn placeholder(name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let params = params(&[name.to_string()], 1_000, 2_000);
    Pair {
        chain: std::vec![params.self_signed(&key).unwrap().pem()],
        key: key.serialize_pem(),
    }
}

/// A host's file.
pub(super) fn file(pair: Pair, last: u8) -> Vec<u8> {
    Host::new(pair, [10, 0, 0, last].into(), 8080).to_file()
}

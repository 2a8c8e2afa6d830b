//! What one change to a sound chain does, at every depth.

use std::format;
use std::vec::Vec;

use super::chain::*;
use super::changes::CHANGES;
use super::der::{bits, sequence};
use super::{compare, report};
use crate::identity::certificates_in;
use crate::tests::fixture;
use crate::{PeerName, Purpose};

#[test]
fn one_change_at_every_depth() {
    let mut differences = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for (name, change) in CHANGES {
        for depth in 0..4 {
            if (*name, depth) == ("trusted too", 1) {
                // Among the deviations.
                continue;
            }
            let mut chain = Chain::new(2);
            change(&mut chain, depth);
            match compare(&format!("{name} at depth {depth}"), &chain.case()) {
                Ok(Ok(())) => accepted += 1,
                Ok(Err(_)) => refused += 1,
                Err(difference) => differences.push(difference),
            }
        }
    }
    report(&differences, CHANGES.len() * 4);
    // Both verdicts are well represented: the test would notice one that is always the same.
    assert!(accepted > 100 && refused > 60, "{accepted} {refused}");
}

#[test]
fn one_change_to_a_certificate_that_is_its_own_anchor() {
    let mut differences = Vec::new();
    for (name, change) in CHANGES {
        for is_authority in [false, true] {
            let mut chain = Chain::alone();
            if is_authority {
                chain.leaf().set(basic(true, None));
            }
            change(&mut chain, 0);
            if let Err(difference) = compare(name, &chain.case()) {
                differences.push(difference);
            }
        }
    }
    report(&differences, 2 * CHANGES.len());
}

#[test]
fn clients_are_judged_as_clients() {
    let mut differences = Vec::new();
    for (name, change) in CHANGES {
        let uses = ["for ", "signs", "enciphers", "agrees", "Netscape"];
        if !uses.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        for depth in 0..3 {
            let mut chain = Chain::new(1);
            chain.purpose = Purpose::Client;
            change(&mut chain, depth);
            if let Err(difference) = compare(&format!("{name} at depth {depth}"), &chain.case()) {
                differences.push(difference);
            }
        }
    }
    report(&differences, CHANGES.len());
}

/// The two that people make by hand most often: `openssl x509 -req` without extensions, which gives
/// X.509 v1, and `openssl req -x509`, used as CAfile and as the server's certificate at once.
#[test]
fn what_openssl_makes_by_default_is_taken() {
    for (leaf, trusted) in [
        ("test-p256-v1.pem", "test-ca.pem"),
        ("test-rsa2048-v1.pem", "test-ca.pem"),
        ("test-selfsigned.pem", "test-selfsigned.pem"),
    ] {
        let der = |name| certificates_in(&fixture(name)).unwrap()[0].to_vec();
        let mut case = Chain::new(0).case();
        case.leaf = der(leaf);
        case.trusted = Vec::from([der(trusted)]);
        for name in ["localhost", "elsewhere.example"] {
            case.name = Some(PeerName::Host(name.into()));
            let verdict = compare(leaf, &case).unwrap();
            assert_eq!(verdict.is_ok(), name == "localhost", "{leaf} for {name}");
        }
    }
}

/// What is signed and what is said beside it must be one algorithm (RFC 5280 §4.1.1.2).
#[test]
fn two_algorithms_are_refused() {
    for depth in 0..3 {
        let mut chain = Chain::new(2);
        chain.certificates[depth].inner_algorithm = Some(Algorithm::RsaSha256);
        let verdict = compare("two algorithms", &chain.case()).unwrap();
        assert!(verdict.is_err(), "at depth {depth}");
    }
}

/// The bytes of a BIT STRING are not all there is to a key.
#[test]
fn an_elliptic_key_may_not_be_compressed() {
    let key = super::openssl::public_key("test-p256.key");
    let info = super::super::fields::Field::only(&key, x509_cert::der::Tag::Sequence).unwrap();
    let algorithm = info.fields().unwrap().next().unwrap();
    let point = &key[key.len() - 65..];
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    let info = sequence(&[algorithm.whole, &bits(&compressed)]);
    // In the place of the leaf's key; the chain is signed anew by hand.
    let mut chain = Chain::new(0);
    chain.leaf().key = Key::Raw(info);
    let refusal = super::verdict(&chain.case()).unwrap_err();
    assert_eq!(refusal.reason, crate::RefusalReason::UnsupportedKey);
}

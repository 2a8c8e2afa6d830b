//! Damaged certificates and lists, the same ones every time: none may panic, and none may be taken
//! unless the part that was damaged does not count.

use std::vec::Vec;

use super::chain::*;
use super::der::tlv;
use super::judge;
use crate::tests::Random;
use crate::tests::mutation::mutate;
use crate::{
    ConfigError, NameCheck, PathOptions, PathValidator, PeerName, Provider, Purpose, Trust,
};

/// A chain with every kind of extension.
fn rich() -> Chain {
    let mut chain = Chain::new(2);
    for depth in 0..4 {
        let issuer = chain.certificates[(depth + 1).min(3)].key.clone();
        chain.certificates[depth].set_keys(&issuer);
    }
    let mut subject = cn(HOST);
    subject.push((O, PRINTABLE, b"Example".to_vec()));
    subject.push((EMAIL, IA5, b"a@example.org".to_vec()));
    chain.leaf().subject = subject.clone();
    chain.leaf().set(san(&[
        dns(HOST),
        email("a@example.org"),
        uri("http://example.org/"),
        ip(&[10, 0, 0, 1]),
        directory(&subject),
    ]));
    chain.leaf().set(extended(&[SERVER, CLIENT]));
    chain.leaf().set(Extension(
        "2.16.840.1.113730.1.1",
        false,
        tlv(3, &[0, 0xc0]),
    ));
    let permitted = [
        dns("example.org"),
        email("example.org"),
        uri("example.org"),
        ip(&[10, 0, 0, 0, 255, 0, 0, 0]),
        directory(&Vec::new()),
    ];
    chain.certificates[2].set(constraints(&permitted, &[dns("evil.example.org")]));
    chain.certificates[2].set(basic(true, Some(1)));
    let mut list = ListSpec::of(&chain.certificates[1]);
    list.revoked
        .push((5, Vec::from([Extension("2.5.29.21", false, tlv(10, &[1]))])));
    list.extensions
        .push(Extension("2.5.29.20", false, tlv(2, &[1])));
    chain.lists.push(list);
    chain.name = Some(PeerName::Host(HOST.into()));
    chain
}

const COUNT: usize = 30_000;

#[test]
fn damaged_certificates_are_refused_without_a_panic() {
    let sound = rich().case();
    judge(&sound, Provider::Ring, Trust::Chain).unwrap();
    let mut random = Random(0x1234_5678);
    for number in 0..COUNT {
        let mut case = sound.clone();
        let which = random.below(4);
        match which {
            0 => mutate(&mut case.leaf, &mut random),
            1 | 2 => mutate(&mut case.sent[which - 1], &mut random),
            _ => {
                let at = random.below(3);
                let other = [&sound.leaf, &sound.sent[0], &sound.trusted[0]][at].clone();
                case.leaf = other;
                mutate(&mut case.leaf, &mut random);
            }
        }
        let same = case.leaf == sound.leaf && case.sent == sound.sent;
        // The slower provider has fewer to do.
        let provider = if number % 40 == 0 {
            Provider::RustCrypto
        } else {
            Provider::Ring
        };
        let verdict = validate(&case, provider);
        let is_root = case.leaf == sound.trusted[0];
        assert!(
            verdict.is_err() || same || is_root,
            "{number}: a damaged chain was taken"
        );
    }
}

fn validate(case: &Case, provider: Provider) -> Result<(), crate::Refusal> {
    judge(case, provider, Trust::Chain)
}

#[test]
fn damage_under_a_sound_signature_is_no_panic_either() {
    // Certificates that are signed after they were damaged reach every check.
    let sound = rich();
    let mut random = Random(0x8765_4321);
    let mut accepted = 0;
    for _ in 0..3_000 {
        let mut chain = sound.clone();
        let depth = random.below(chain.certificates.len());
        let spec = &mut chain.certificates[depth];
        if !spec.extensions.is_empty() && random.below(4) > 0 {
            let at = random.below(spec.extensions.len());
            mutate(&mut spec.extensions[at].2, &mut random);
        } else {
            mutate(&mut spec.subject[0].2, &mut random);
        }
        let case = chain.case();
        let options = PathOptions {
            trust: Trust::Chain,
            names: NameCheck::AnyOf(Vec::from([PeerName::Host(HOST.into())])),
            revocation_lists: case.lists.clone(),
        };
        match PathValidator::new(Provider::Ring, Purpose::Server, &case.trusted, options) {
            Ok(validator) => {
                let sent: Vec<&[u8]> = case.sent.iter().map(Vec::as_slice).collect();
                let verdict = validator.validate(&case.leaf, &sent, None, case.now);
                accepted += usize::from(verdict.is_ok());
            }
            Err(error) => assert!(matches!(error, ConfigError::Root { .. }), "{error}"),
        }
    }
    assert!((1..2_900).contains(&accepted), "{accepted}");
}

#[test]
fn damaged_lists_are_refused_without_a_panic() {
    let sound = rich().case();
    let mut random = Random(0xabcd_ef01);
    for number in 0..10_000 {
        let mut list = sound.lists[0].clone();
        mutate(&mut list, &mut random);
        if list == sound.lists[0] {
            continue;
        }
        let options = PathOptions {
            revocation_lists: Vec::from([list]),
            names: NameCheck::Nobody,
            ..PathOptions::default()
        };
        match PathValidator::new(Provider::Ring, Purpose::Server, &sound.trusted, options) {
            Ok(validator) => {
                let sent: Vec<&[u8]> = sound.sent.iter().map(Vec::as_slice).collect();
                let verdict = validator.validate(&sound.leaf, &sent, None, sound.now);
                assert!(verdict.is_err(), "{number}: a damaged list was taken");
            }
            Err(error) => {
                assert!(
                    matches!(error, ConfigError::RevocationList { .. }),
                    "{error}"
                );
            }
        }
    }
}

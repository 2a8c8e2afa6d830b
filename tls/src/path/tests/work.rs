//! Hostile chains: how much work they can cause.

use std::vec::Vec;

use super::chain::*;
use super::judge;
use crate::path::signature::{MAX_NAME_COMPARISONS, MAX_SIGNATURES};
use crate::tests::PROVIDERS;
use crate::{MAX_PATH, MAX_SENT, RefusalReason, Trust};

/// Layers of twins, which differ by their serial numbers only: each is a sound issuer of both below
/// it, and the top is not trusted. Without a bound that is 2^8 paths.
#[test]
fn layers_of_twins_end_soon() {
    let layers = MAX_SENT / 2;
    let layer = |number: usize| Spec::authority(&std::format!("Layer {number}"));
    let mut chain = Chain::new(0);
    chain.leaf().issuer = Some(cn("Layer 0"));
    chain.leaf().signer = Some(layer(0).key);
    for number in 0..layers {
        for twin in 0..2 {
            let mut spec = layer(number);
            spec.serial += twin;
            chain.also_sent.push((spec, layer(number + 1)));
        }
    }
    for provider in PROVIDERS {
        let refusal = judge(&chain.case(), provider, Trust::Chain).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::TooMuchWork);
    }
    // With a root that is trusted the first way up is good.
    let root = layer(layers);
    chain.also_trusted.push((root.clone(), root));
    for provider in PROVIDERS {
        judge(&chain.case(), provider, Trust::Chain).unwrap();
    }
}

/// Two authorities that have issued each other: round and round it goes.
#[test]
fn circles_end() {
    let (one, other) = (Spec::authority("One"), Spec::authority("Other"));
    let mut chain = Chain::new(0);
    chain.leaf().issuer = Some(cn("One"));
    chain.leaf().signer = Some(one.key.clone());
    for number in 0..MAX_SENT as u64 / 2 {
        let (mut first, mut second) = (one.clone(), other.clone());
        first.serial += number;
        second.serial += number;
        chain.also_sent.push((first, other.clone()));
        chain.also_sent.push((second, one.clone()));
    }
    for provider in PROVIDERS {
        let refusal = judge(&chain.case(), provider, Trust::Chain).unwrap_err();
        assert!(
            matches!(
                refusal.reason,
                RefusalReason::TooMuchWork | RefusalReason::UnknownIssuer { .. }
            ),
            "{refusal}"
        );
    }
}

#[test]
fn signatures_are_counted() {
    // A leaf whose issuer's name many trusted certificates have, none of which signed it.
    let mut chain = Chain::new(0);
    chain.trusted.clear();
    for number in 0..MAX_SIGNATURES + 1 {
        let mut spec = Spec::authority("Root");
        spec.key = Key::Named(std::format!("root {number}"));
        chain.also_trusted.push((spec.clone(), spec));
    }
    for provider in PROVIDERS {
        let refusal = judge(&chain.case(), provider, Trust::Chain).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::TooMuchWork);
        let mut fewer = chain.clone();
        fewer.also_trusted.pop();
        let refusal = judge(&fewer.case(), provider, Trust::Chain).unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::BadSignature);
    }
}

#[test]
fn comparisons_of_names_are_counted() {
    // Both certificates are as large as a handshake message lets them be.
    let names: Vec<Vec<u8>> = (0..600)
        .map(|number| dns(&std::format!("h{number}.a")))
        .collect();
    let bases: Vec<Vec<u8>> = (0..600)
        .map(|number| dns(&std::format!("b{number}")))
        .collect();
    assert!(names.len() * bases.len() > MAX_NAME_COMPARISONS);
    let mut chain = Chain::new(1);
    chain.leaf().set(san(&names));
    chain.certificates[1].set(constraints(&[], &bases));
    let refusal = judge(&chain.case(), PROVIDERS[0], Trust::Chain).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::TooMuchWork);
    // A tenth of both is no more than some public authorities have.
    chain.leaf().set(san(&names[..60]));
    chain.certificates[1].set(constraints(&[], &bases[..60]));
    judge(&chain.case(), PROVIDERS[0], Trust::Chain).unwrap();
}

#[test]
fn long_chains_are_refused_for_their_length() {
    let refusal = judge(&Chain::new(9).case(), PROVIDERS[0], Trust::Chain).unwrap_err();
    assert_eq!(
        refusal.reason,
        RefusalReason::PathTooLong { limit: MAX_PATH }
    );
}

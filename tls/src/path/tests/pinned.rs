//! Peers that are known by subject and public key, as with stunnel's `verifyPeer`.

use std::string::ToString;
use std::vec::Vec;

use super::chain::*;
use super::judge;
use crate::tests::{NOW, PROVIDERS};
use crate::{PeerName, RefusalReason, Trust};

/// A chain whose leaf alone is trusted.
fn pinned() -> Chain {
    let mut chain = Chain::new(1);
    chain.trusted = Vec::from([0]);
    chain
}

/// A leaf like the one that is trusted, with another serial number: a renewed certificate.
fn renewed(change: impl FnOnce(&mut Chain)) -> Chain {
    let mut chain = pinned();
    let old = chain.leaf().clone();
    let issuer = chain.certificates[1].clone();
    chain.trusted.clear();
    chain.also_trusted.push((old, issuer));
    chain.leaf().serial += 1;
    change(&mut chain);
    chain
}

fn check(chain: &Chain, expect: Result<(), &str>) {
    for provider in PROVIDERS {
        let verdict = judge(&chain.case(), provider, Trust::Peer);
        match (&verdict, expect) {
            (Ok(()), Ok(())) => {}
            (Err(refusal), Err(words)) if refusal.depth == 0 => {
                let text = refusal.to_string();
                assert!(text.contains(words), "{text:?} does not say {words:?}");
            }
            _ => panic!("{provider}: {verdict:?} instead of {expect:?}"),
        }
    }
}

#[test]
fn the_subject_and_the_key_count() {
    check(&pinned(), Ok(()));
    check(&renewed(|_| {}), Ok(()));
    // The subject as OpenSSL compares names.
    let capitals = |chain: &mut Chain| chain.leaf().subject = cn("WWW.EXAMPLE.ORG");
    check(&renewed(capitals), Ok(()));
    check(
        &renewed(|chain| chain.leaf().subject = cn("another")),
        Err("has a subject and key that no trusted certificate has"),
    );
    check(
        &renewed(|chain| chain.leaf().key = Key::Named("another".into())),
        Err("has a subject and key that no trusted certificate has"),
    );
}

#[test]
fn a_pinned_certificate_must_still_be_good() {
    check(
        &renewed(|chain| chain.leaf().not_after = NOW - 1),
        Err("expired on"),
    );
    check(
        &renewed(|chain| chain.leaf().not_before = NOW + 1),
        Err("not valid before"),
    );
    check(
        &renewed(|chain| chain.leaf().set(extended(&[CLIENT]))),
        Err("may not be used for a TLS server"),
    );
    check(
        &renewed(|chain| {
            chain
                .leaf()
                .set(Extension("1.2.3.4", true, Vec::from([5, 0])))
        }),
        Err("critical extension"),
    );
    check(
        &renewed(|chain| {
            chain.also_trusted[0].0.key = Key::Fixture("rsa1024");
            chain.leaf().key = Key::Fixture("rsa1024");
        }),
        Err("1024 bits"),
    );
    // Its issuer was sent, so its signature can be checked, and is.
    check(
        &renewed(|chain| chain.leaf().damaged = true),
        Err("signature"),
    );
    // Without its issuer it cannot.
    let alone = |chain: &mut Chain| {
        chain.leaf().damaged = true;
        chain.sent.clear();
    };
    check(&renewed(alone), Ok(()));
}

#[test]
fn who_issued_it_does_not_matter() {
    let bad_issuer = |chain: &mut Chain| {
        chain.certificates[1].not_after = NOW - 1;
        chain.certificates[1].set(basic(false, None));
        chain.certificates[2].damaged = true;
    };
    check(&renewed(bad_issuer), Ok(()));
}

#[test]
fn self_signed_ones_must_be_the_very_same() {
    check(&Chain::alone(), Ok(()));
    let mut renewed = Chain::alone();
    let old = renewed.leaf().clone();
    renewed.trusted.clear();
    renewed.also_trusted.push((old.clone(), old));
    renewed.leaf().serial += 1;
    check(&renewed, Err("is self-signed and not among the trusted"));
}

#[test]
fn names_and_lists_are_checked_too() {
    let named = |name: &str| {
        let name = PeerName::Host(name.into());
        renewed(|chain| chain.name = Some(name))
    };
    check(&named(HOST), Ok(()));
    check(
        &named("elsewhere.example"),
        Err("is not for \"elsewhere.example\" but for"),
    );

    let with_list = |revoked: bool, is_sent: bool| {
        renewed(|chain| {
            let mut list = ListSpec::of(&chain.certificates[1]);
            if revoked {
                list.revoked
                    .push((chain.certificates[0].serial, Vec::new()));
            }
            chain.lists.push(list);
            if !is_sent {
                chain.sent.clear();
            }
        })
    };
    check(&with_list(false, true), Ok(()));
    check(&with_list(true, true), Err("was revoked"));
    check(
        &with_list(false, false),
        Err("of which no fitting certificate"),
    );
}

#[test]
fn chain_and_peer_needs_both() {
    let both = |chain: &Chain| judge(&chain.case(), PROVIDERS[0], Trust::ChainAndPeer);
    let no_root = both(&pinned()).unwrap_err();
    assert!(
        matches!(no_root.reason, RefusalReason::UnknownIssuer { .. }),
        "{no_root}"
    );
    let no_pin = both(&Chain::new(1)).unwrap_err();
    assert_eq!(no_pin.reason, RefusalReason::NotPinned);
    let mut chain = Chain::new(1);
    chain.trusted.push(0);
    both(&chain).unwrap();
}

//! Revocation lists of every kind.

use std::vec::Vec;

use super::chain::*;
use super::changes::{Change, after_now, at, before_now};
use super::der::{integer, sequence, tlv};
use super::{compare, report};

/// Changes to the revocation list of the leaf's issuer; depth is the issuer's.
pub(super) const LISTS: &[(&str, Change)] = &[
    ("none revoked", |_, _| {}),
    ("another revoked", |chain, _| {
        chain.lists[0].revoked.push((5, Vec::new()))
    }),
    ("revoked", |chain, _| {
        let serial = chain.certificates[0].serial;
        for number in [1, serial, 70_000] {
            chain.lists[0].revoked.push((number, Vec::new()));
        }
    }),
    ("revoked with a reason", |chain, _| {
        revoke(chain, "2.5.29.21", false, &[0x0a, 1, 1])
    }),
    ("removed", |chain, _| {
        revoke(chain, "2.5.29.21", false, &[0x0a, 1, 8])
    }),
    ("a critical entry extension", |chain, _| {
        revoke(chain, "1.2.3.4", true, &[5, 0])
    }),
    ("expired", |chain, _| {
        chain.lists[0].next_update = Some(before_now(1))
    }),
    ("not yet valid", |chain, _| {
        chain.lists[0].this_update = after_now(1)
    }),
    ("without an end", |chain, _| {
        chain.lists[0].next_update = None
    }),
    ("damaged", |chain, _| chain.lists[0].damaged = true),
    ("of the root", |chain, _| {
        chain.lists[0].issuer = chain.root().clone()
    }),
    ("of a stranger", |chain, _| {
        chain.lists[0].issuer = Spec::authority("Stranger")
    }),
    ("by another key", |chain, _| {
        chain.lists[0].issuer.key = Key::Named("stranger".into());
    }),
    ("old and new", |chain, _| {
        let mut old = chain.lists[0].clone();
        old.this_update -= 9 * DAY;
        old.next_update = Some(before_now(DAY));
        chain.lists.insert(0, old);
    }),
    ("good, and revoked in a newer one", |chain, _| {
        let mut newer = chain.lists[0].clone();
        newer.this_update += 100;
        newer
            .revoked
            .push((chain.certificates[0].serial, Vec::new()));
        chain.lists.push(newer);
    }),
    ("may not sign lists", |chain, depth| {
        at(chain, depth).set(key_usage(0x04))
    }),
    ("a number", |chain, _| {
        list_extension(chain, "2.5.29.20", false, integer(7))
    }),
    ("an unknown critical extension", |chain, _| {
        list_extension(chain, "1.2.3.4", true, tlv(5, &[]));
    }),
    ("an unknown extension", |chain, _| {
        list_extension(chain, "1.2.3.4", false, tlv(5, &[]))
    }),
    ("a delta", |chain, _| {
        list_extension(chain, "2.5.29.27", true, integer(7))
    }),
    ("of user certificates", |chain, _| {
        scope(chain, &[(0x81, 0xff)])
    }),
    ("of authorities", |chain, _| scope(chain, &[(0x82, 0xff)])),
    ("of attributes", |chain, _| scope(chain, &[(0x85, 0xff)])),
    ("indirect", |chain, _| scope(chain, &[(0x84, 0xff)])),
    ("of both kinds", |chain, _| {
        scope(chain, &[(0x81, 0xff), (0x82, 0xff)])
    }),
    ("of one reason", |chain, _| {
        let value = sequence(&[&tlv(0x83, &[6, 0x40])]);
        list_extension(chain, "2.5.29.28", true, value);
    }),
    ("of users, and the leaf is an authority", |chain, _| {
        scope(chain, &[(0x81, 0xff)]);
        at(chain, 0).set(basic(true, None));
    }),
    ("of an authority that is the leaf", |chain, _| {
        scope(chain, &[(0x82, 0xff)]);
        at(chain, 0).set(basic(true, None));
    }),
    ("fitting key", |chain, depth| {
        let key = at(chain, depth).key.identifier();
        at(chain, depth).set(Extension(SUBJECT_KEY, false, tlv(4, &key)));
        let value = sequence(&[&tlv(0x80, &key)]);
        list_extension(chain, AUTHORITY_KEY, false, value);
    }),
    ("another key's identifier", |chain, depth| {
        let key = at(chain, depth).key.identifier();
        at(chain, depth).set(Extension(SUBJECT_KEY, false, tlv(4, &key)));
        let value = sequence(&[&tlv(0x80, &[1, 2, 3])]);
        list_extension(chain, AUTHORITY_KEY, false, value);
    }),
    ("intermediate revoked", |chain, _| {
        let root = chain.root().clone();
        let mut list = ListSpec::of(&root);
        list.revoked
            .push((chain.certificates[1].serial, Vec::new()));
        chain.lists.push(list);
    }),
];

fn revoke(chain: &mut Chain, id: &'static str, critical: bool, value: &[u8]) {
    let serial = chain.certificates[0].serial;
    let extension = Extension(id, critical, value.to_vec());
    chain.lists[0]
        .revoked
        .push((serial, Vec::from([extension])));
}

fn list_extension(chain: &mut Chain, id: &'static str, critical: bool, value: Vec<u8>) {
    chain.lists[0]
        .extensions
        .push(Extension(id, critical, value));
}

fn scope(chain: &mut Chain, flags: &[(u8, u8)]) {
    let flags: Vec<u8> = flags
        .iter()
        .flat_map(|(tag, value)| tlv(*tag, &[*value]))
        .collect();
    list_extension(chain, "2.5.29.28", true, tlv(0x30, &flags));
}

#[test]
fn revocation_lists_of_every_kind() {
    let mut differences = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for intermediates in [1, 2] {
        for (name, change) in LISTS {
            let mut chain = Chain::new(intermediates);
            chain.lists.push(ListSpec::of(&chain.certificates[1]));
            change(&mut chain, 1);
            match compare(name, &chain.case()) {
                Ok(Ok(())) => accepted += 1,
                Ok(Err(_)) => refused += 1,
                Err(difference) => differences.push(difference),
            }
        }
        // A leaf that is its own anchor needs a list of its own.
        for revoked in [false, true] {
            let mut chain = Chain::alone();
            chain.leaf().set(key_usage(0x86));
            let mut list = ListSpec::of(&chain.certificates[0]);
            if revoked {
                list.revoked.push((chain.leaf().serial, Vec::new()));
            }
            chain.lists.push(list);
            if let Err(difference) = compare("alone", &chain.case()) {
                differences.push(difference);
            }
        }
    }
    report(&differences, 2 * LISTS.len());
    assert!(accepted > 14 && refused > 20, "{accepted} {refused}");
}

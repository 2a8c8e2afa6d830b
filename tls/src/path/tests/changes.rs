//! Changes to a sound chain, one at a time.

use std::vec::Vec;

use super::chain::*;
use super::der::{boolean, integer, oid, sequence, tlv};
use crate::tests::NOW;

/// A change to the certificate at a depth, or to the chain around it.
pub(super) type Change = fn(&mut Chain, usize);

pub(super) fn at(chain: &mut Chain, depth: usize) -> &mut Spec {
    &mut chain.certificates[depth]
}

/// The issuer of the certificate at a depth: the root is its own.
fn above(chain: &Chain, depth: usize) -> Spec {
    let issuer = chain.certificates.get(depth + 1);
    issuer.unwrap_or(&chain.certificates[depth]).clone()
}

/// Changes that any certificate may undergo.
pub(super) const CHANGES: &[(&str, Change)] = &[
    ("nothing", |_, _| {}),
    ("expired", |chain, depth| {
        at(chain, depth).not_after = before_now(1)
    }),
    ("not yet valid", |chain, depth| {
        at(chain, depth).not_before = after_now(1)
    }),
    ("valid from this second", |chain, depth| {
        at(chain, depth).not_before = after_now(0)
    }),
    ("valid for ever", |chain, depth| {
        at(chain, depth).not_after = 253_402_300_799
    }),
    ("version 1", |chain, depth| {
        at(chain, depth).version = 1;
        at(chain, depth).extensions.clear();
    }),
    ("version 1 with extensions", |chain, depth| {
        at(chain, depth).version = 1
    }),
    ("version 2 without extensions", |chain, depth| {
        at(chain, depth).version = 2;
        at(chain, depth).extensions.clear();
    }),
    ("version 3 without extensions", |chain, depth| {
        at(chain, depth).extensions.clear()
    }),
    ("no basic constraints", |chain, depth| {
        at(chain, depth).remove(BASIC)
    }),
    ("no key usage", |chain, depth| {
        at(chain, depth).remove(KEY_USAGE)
    }),
    ("an authority", |chain, depth| {
        at(chain, depth).set(basic(true, None))
    }),
    ("no authority", |chain, depth| {
        at(chain, depth).set(basic(false, None))
    }),
    ("path length 0", |chain, depth| {
        at(chain, depth).set(basic(true, Some(0)))
    }),
    ("path length 1", |chain, depth| {
        at(chain, depth).set(basic(true, Some(1)))
    }),
    ("path length 300", |chain, depth| {
        at(chain, depth).set(basic(true, Some(300)))
    }),
    ("path length of no authority", |chain, depth| {
        at(chain, depth).set(basic(false, Some(0)))
    }),
    ("uncritical constraints", |chain, depth| {
        let Extension(id, _, value) = basic(depth > 0, None);
        at(chain, depth).set(Extension(id, false, value));
    }),
    ("false said", |chain, depth| {
        let value = sequence(&[&boolean(false)]);
        at(chain, depth).set(Extension(BASIC, true, value));
    }),
    ("signs data only", |chain, depth| {
        at(chain, depth).set(key_usage(0x80))
    }),
    ("signs certificates only", |chain, depth| {
        at(chain, depth).set(key_usage(0x04))
    }),
    ("enciphers keys only", |chain, depth| {
        at(chain, depth).set(key_usage(0x20))
    }),
    ("agrees on keys only", |chain, depth| {
        at(chain, depth).set(key_usage(0x08))
    }),
    ("signs anything", |chain, depth| {
        at(chain, depth).set(key_usage(0x86))
    }),
    ("for servers", |chain, depth| {
        at(chain, depth).set(extended(&[SERVER]))
    }),
    ("for clients", |chain, depth| {
        at(chain, depth).set(extended(&[CLIENT]))
    }),
    ("for both", |chain, depth| {
        at(chain, depth).set(extended(&[CLIENT, SERVER]))
    }),
    ("for mail", |chain, depth| {
        at(chain, depth).set(extended(&["1.3.6.1.5.5.7.3.4"]))
    }),
    ("for anything", |chain, depth| {
        at(chain, depth).set(extended(&["2.5.29.37.0"]))
    }),
    ("for anything and servers", |chain, depth| {
        at(chain, depth).set(extended(&["2.5.29.37.0", SERVER]));
    }),
    ("Netscape server", |chain, depth| {
        netscape(chain, depth, 0x40)
    }),
    ("Netscape client", |chain, depth| {
        netscape(chain, depth, 0x80)
    }),
    ("Netscape authority", |chain, depth| {
        netscape(chain, depth, 0x04)
    }),
    ("Netscape authority without constraints", |chain, depth| {
        netscape(chain, depth, 0x04);
        at(chain, depth).remove(BASIC);
        at(chain, depth).remove(KEY_USAGE);
    }),
    ("unknown critical", |chain, depth| {
        at(chain, depth).set(Extension("1.2.3.4", true, tlv(5, &[])));
    }),
    ("unknown uncritical", |chain, depth| {
        at(chain, depth).set(Extension("1.2.3.4", false, tlv(5, &[])));
    }),
    ("critical names", |chain, depth| {
        let Extension(id, _, value) = san(&[dns(HOST)]);
        at(chain, depth).set(Extension(id, true, value));
    }),
    ("critical policies", |chain, depth| {
        let policies = sequence(&[&sequence(&[&oid("1.2.3.4.5")])]);
        at(chain, depth).set(Extension("2.5.29.32", true, policies));
    }),
    ("critical distribution points", |chain, depth| {
        let name = tlv(0xa0, &tlv(0xa0, &uri("http://crl.example/")));
        let points = sequence(&[&sequence(&[&name])]);
        at(chain, depth).set(Extension("2.5.29.31", true, points));
    }),
    ("proxy", |chain, depth| {
        let info = sequence(&[&sequence(&[&oid("1.3.6.1.5.5.7.21.1")])]);
        at(chain, depth).set(Extension("1.3.6.1.5.5.7.1.14", true, info));
    }),
    ("damaged signature", |chain, depth| {
        at(chain, depth).damaged = true
    }),
    ("another signer", |chain, depth| {
        at(chain, depth).signer = Some(Key::Named("stranger".into()));
    }),
    ("another issuer", |chain, depth| {
        at(chain, depth).issuer = Some(cn("Stranger"))
    }),
    ("issuer in capitals", |chain, depth| {
        let name = above(chain, depth).subject[0].2.to_ascii_uppercase();
        at(chain, depth).issuer = Some(Vec::from([(CN, PRINTABLE, name)]));
    }),
    ("issuer in wide letters", |chain, depth| {
        let name = above(chain, depth).subject[0].2.clone();
        let wide = name.iter().flat_map(|byte| [0, *byte]).collect();
        at(chain, depth).issuer = Some(Vec::from([(CN, 0x1e, wide)]));
    }),
    ("issuer with spaces", |chain, depth| {
        let name = above(chain, depth).subject[0].2.clone();
        let name = [b"  ", name.as_slice(), b" "].concat();
        at(chain, depth).issuer = Some(Vec::from([(CN, UTF8, name)]));
    }),
    ("issuer without a space", |chain, depth| {
        let mut name = above(chain, depth).subject[0].2.clone();
        name.retain(|byte| *byte != b' ');
        at(chain, depth).issuer = Some(Vec::from([(CN, UTF8, name)]));
    }),
    ("issuer with one more attribute", |chain, depth| {
        let mut name = above(chain, depth).subject;
        name.push((O, UTF8, b"More".to_vec()));
        at(chain, depth).issuer = Some(name);
    }),
    ("key identifiers", |chain, depth| {
        let issuer = above(chain, depth).key;
        at(chain, depth).set_keys(&issuer);
    }),
    ("wrong authority key identifier", |chain, depth| {
        chain
            .certificates
            .iter_mut()
            .for_each(|spec| spec.set_keys(&spec.key.clone()));
        let stranger = Key::Named("stranger".into());
        for depth in 0..chain.certificates.len() {
            let issuer = above(chain, depth).key;
            at(chain, depth).set_keys(&issuer);
        }
        at(chain, depth).set_keys(&stranger);
    }),
    ("authority's serial number", |chain, depth| {
        serial(chain, depth, 0)
    }),
    ("wrong authority's serial number", |chain, depth| {
        serial(chain, depth, 1)
    }),
    ("not sent, not trusted", |chain, depth| {
        chain.sent.retain(|sent| *sent != depth);
        chain.trusted.retain(|trusted| *trusted != depth);
        if chain.trusted.is_empty() {
            let stranger = Spec::authority("Stranger");
            chain.also_trusted.push((stranger.clone(), stranger));
        }
    }),
    ("trusted too", |chain, depth| chain.trusted.push(depth)),
    ("trusted alone", |chain, depth| {
        chain.trusted = Vec::from([depth])
    }),
    ("trusted with all above", |chain, depth| {
        chain.trusted = (depth..chain.certificates.len()).collect();
    }),
    ("sent twice and backwards", |chain, depth| {
        chain.sent.reverse();
        chain.sent.push(depth);
    }),
    ("RSA of 2048 bits", |chain, depth| {
        at(chain, depth).key = Key::Fixture("rsa2048")
    }),
    ("RSA of 1024 bits", |chain, depth| {
        at(chain, depth).key = Key::Fixture("rsa1024")
    }),
    ("P-256", |chain, depth| {
        at(chain, depth).key = Key::Fixture("p256")
    }),
    ("P-384", |chain, depth| {
        at(chain, depth).key = Key::Fixture("p384")
    }),
    ("signed with RSA and SHA-1", |chain, depth| {
        rsa(chain, depth, Algorithm::RsaSha1)
    }),
    ("signed with RSA and MD5", |chain, depth| {
        rsa(chain, depth, Algorithm::RsaMd5)
    }),
    ("signed with RSA, no parameters", |chain, depth| {
        rsa(chain, depth, Algorithm::RsaSha256Bare);
    }),
    ("signed with ECDSA and SHA-1", |chain, depth| {
        let above = (depth + 1).min(chain.certificates.len() - 1);
        at(chain, above).key = Key::Fixture("p256");
        at(chain, depth).algorithm = Some(Algorithm::EcdsaSha1);
    }),
    ("another key kind than the algorithm's", |chain, depth| {
        at(chain, depth).signer = Some(Key::Fixture("p256"));
    }),
    ("no subject", |chain, depth| {
        let below = depth.checked_sub(1);
        at(chain, depth).subject = Vec::new();
        if let Some(below) = below {
            at(chain, below).issuer = None;
        }
    }),
    ("self-issued", |chain, depth| {
        let issuer = above(chain, depth).subject;
        at(chain, depth).subject = issuer;
        for depth in 0..chain.certificates.len() {
            let issuer = above(chain, depth).key;
            at(chain, depth).set_keys(&issuer);
        }
    }),
    ("self-issued below constraints", |chain, depth| {
        let issuer = above(chain, depth).subject;
        at(chain, depth).subject = issuer;
        for depth in 0..chain.certificates.len() {
            let issuer = above(chain, depth).key;
            at(chain, depth).set_keys(&issuer);
        }
        let names = [dns("example.org"), directory(&cn("www.example.org"))];
        chain.root().set(constraints(&[], &names));
    }),
    ("self-issued without a permitted name", |chain, depth| {
        let issuer = above(chain, depth).subject;
        at(chain, depth).subject = issuer;
        for depth in 0..chain.certificates.len() {
            let issuer = above(chain, depth).key;
            at(chain, depth).set_keys(&issuer);
        }
        // Only the leaf's issuer is not among them.
        let mut names: Vec<_> = chain
            .certificates
            .iter()
            .map(|spec| directory(&spec.subject))
            .collect();
        let issuer = above(chain, 0).subject;
        names.retain(|name| *name != directory(&issuer));
        chain.root().set(constraints(&names, &[]));
    }),
    ("duplicate subject with another key", |chain, depth| {
        let mut twin = at(chain, depth).clone();
        twin.key = Key::Named("twin".into());
        let issuer = above(chain, depth);
        let issuer = if depth + 1 == chain.certificates.len() {
            twin.clone()
        } else {
            issuer
        };
        for depth in 0..chain.certificates.len() {
            let issuer = above(chain, depth).key;
            at(chain, depth).set_keys(&issuer);
        }
        twin.set_keys(&issuer.key);
        chain.also_sent.push((twin, issuer));
    }),
    ("permits the host's domain", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("example.org")], &[]));
    }),
    ("permits with a dot", |chain, depth| {
        at(chain, depth).set(constraints(&[dns(".example.org")], &[]));
    }),
    ("permits the very host", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("WWW.example.org")], &[]));
    }),
    ("permits half a label", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("ample.org")], &[]));
    }),
    ("permits another domain", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("example.net")], &[]));
    }),
    ("permits two domains", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("example.net"), dns("org")], &[]));
    }),
    ("permits anything", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("")], &[]))
    }),
    ("excludes the domain", |chain, depth| {
        at(chain, depth).set(constraints(&[], &[dns("example.org")]));
    }),
    ("permits and excludes", |chain, depth| {
        at(chain, depth).set(constraints(&[dns("org")], &[dns("www.example.org")]));
    }),
    ("excludes a name below", |chain, depth| {
        at(chain, depth).set(constraints(&[], &[dns("more.www.example.org")]));
    }),
    ("permits an address", |chain, depth| {
        at(chain, depth).set(constraints(&[ip(&[10, 0, 0, 0, 255, 0, 0, 0])], &[]));
    }),
    ("permits the subjects", |chain, depth| {
        let names: Vec<_> = chain
            .certificates
            .iter()
            .map(|spec| directory(&spec.subject))
            .collect();
        at(chain, depth).set(constraints(&names, &[]));
    }),
    ("excludes the leaf's subject", |chain, depth| {
        let name = directory(&chain.certificates[0].subject.clone());
        at(chain, depth).set(constraints(&[], &[name]));
    }),
    ("permits a depth", |chain, depth| {
        let subtree = sequence(&[&dns("org"), &tlv(0x80, &[1])]);
        let value = sequence(&[&tlv(0xa0, &subtree)]);
        at(chain, depth).set(Extension(CONSTRAINTS, true, value));
    }),
    ("permits nothing at all", |chain, depth| {
        at(chain, depth).set(Extension(CONSTRAINTS, true, sequence(&[])));
    }),
];

pub(super) fn before_now(before: u64) -> u64 {
    NOW - before
}

pub(super) fn after_now(after: u64) -> u64 {
    NOW + after
}

fn netscape(chain: &mut Chain, depth: usize, kind: u8) {
    let value = tlv(3, &[0, kind]);
    at(chain, depth).set(Extension("2.16.840.1.113730.1.1", false, value));
}

fn serial(chain: &mut Chain, depth: usize, off: u64) {
    let issuer = above(chain, depth);
    let over = chain.certificates.get(depth + 2).unwrap_or(&issuer);
    let name = directory(&over.subject);
    let serial = integer(issuer.serial + off);
    let number = tlv(0x82, &serial[2..]);
    let value = sequence(&[&tlv(0xa1, &name), &number]);
    at(chain, depth).set(Extension(AUTHORITY_KEY, false, value));
}

fn rsa(chain: &mut Chain, depth: usize, algorithm: Algorithm) {
    let above = (depth + 1).min(chain.certificates.len() - 1);
    at(chain, above).key = Key::Fixture("rsa2048");
    at(chain, depth).algorithm = Some(algorithm);
}

//! What one change to a sound chain does, at every depth.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::chain::*;
use super::compare;
use super::der::{bits, integer, oid, sequence, tlv};
use crate::{PeerName, Purpose};

/// A change to the certificate at a depth, or to the chain around it.
pub(super) type Change = fn(&mut Chain, usize);

fn at(chain: &mut Chain, depth: usize) -> &mut Spec {
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
    ("expired", |chain, depth| at(chain, depth).not_after = chain_now(1)),
    ("not yet valid", |chain, depth| at(chain, depth).not_before = chain_later(1)),
    ("valid from this second", |chain, depth| at(chain, depth).not_before = chain_later(0)),
    ("valid for ever", |chain, depth| at(chain, depth).not_after = 253_402_300_799),
    ("version 1", |chain, depth| {
        at(chain, depth).version = 1;
        at(chain, depth).extensions.clear();
    }),
    ("version 1 with extensions", |chain, depth| at(chain, depth).version = 1),
    ("version 2 without extensions", |chain, depth| {
        at(chain, depth).version = 2;
        at(chain, depth).extensions.clear();
    }),
    ("version 3 without extensions", |chain, depth| at(chain, depth).extensions.clear()),
    ("no basic constraints", |chain, depth| at(chain, depth).remove(BASIC)),
    ("no key usage", |chain, depth| at(chain, depth).remove(KEY_USAGE)),
    ("an authority", |chain, depth| at(chain, depth).set(basic(true, None))),
    ("no authority", |chain, depth| at(chain, depth).set(basic(false, None))),
    ("path length 0", |chain, depth| at(chain, depth).set(basic(true, Some(0)))),
    ("path length 1", |chain, depth| at(chain, depth).set(basic(true, Some(1)))),
    ("path length 300", |chain, depth| at(chain, depth).set(basic(true, Some(300)))),
    ("path length of no authority", |chain, depth| at(chain, depth).set(basic(false, Some(0)))),
    ("uncritical constraints", |chain, depth| {
        let Extension(id, _, value) = basic(depth > 0, None);
        at(chain, depth).set(Extension(id, false, value));
    }),
    ("false said", |chain, depth| {
        let value = sequence(&[&super::der::boolean(false)]);
        at(chain, depth).set(Extension(BASIC, true, value));
    }),
    ("signs data only", |chain, depth| at(chain, depth).set(key_usage(0x80))),
    ("signs certificates only", |chain, depth| at(chain, depth).set(key_usage(0x04))),
    ("enciphers keys only", |chain, depth| at(chain, depth).set(key_usage(0x20))),
    ("agrees on keys only", |chain, depth| at(chain, depth).set(key_usage(0x08))),
    ("signs anything", |chain, depth| at(chain, depth).set(key_usage(0x86))),
    ("for servers", |chain, depth| at(chain, depth).set(extended(&[SERVER]))),
    ("for clients", |chain, depth| at(chain, depth).set(extended(&[CLIENT]))),
    ("for both", |chain, depth| at(chain, depth).set(extended(&[CLIENT, SERVER]))),
    ("for mail", |chain, depth| at(chain, depth).set(extended(&["1.3.6.1.5.5.7.3.4"]))),
    ("for anything", |chain, depth| at(chain, depth).set(extended(&["2.5.29.37.0"]))),
    ("for anything and servers", |chain, depth| {
        at(chain, depth).set(extended(&["2.5.29.37.0", SERVER]));
    }),
    ("Netscape server", |chain, depth| netscape(chain, depth, 0x40)),
    ("Netscape client", |chain, depth| netscape(chain, depth, 0x80)),
    ("Netscape authority", |chain, depth| netscape(chain, depth, 0x04)),
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
    ("damaged signature", |chain, depth| at(chain, depth).damaged = true),
    ("another signer", |chain, depth| {
        at(chain, depth).signer = Some(Key::Named("stranger".into()));
    }),
    ("another issuer", |chain, depth| at(chain, depth).issuer = Some(cn("Stranger"))),
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
        chain.certificates.iter_mut().for_each(|spec| spec.set_keys(&spec.key.clone()));
        let stranger = Key::Named("stranger".into());
        for depth in 0..chain.certificates.len() {
            let issuer = above(chain, depth).key;
            at(chain, depth).set_keys(&issuer);
        }
        at(chain, depth).set_keys(&stranger);
    }),
    ("authority's serial number", |chain, depth| serial(chain, depth, 0)),
    ("wrong authority's serial number", |chain, depth| serial(chain, depth, 1)),
    ("not sent, not trusted", |chain, depth| {
        chain.sent.retain(|sent| *sent != depth);
        chain.trusted.retain(|trusted| *trusted != depth);
        if chain.trusted.is_empty() {
            let stranger = Spec::authority("Stranger");
            chain.also_trusted.push((stranger.clone(), stranger));
        }
    }),
    ("trusted too", |chain, depth| chain.trusted.push(depth)),
    ("trusted alone", |chain, depth| chain.trusted = Vec::from([depth])),
    ("trusted with all above", |chain, depth| {
        chain.trusted = (depth..chain.certificates.len()).collect();
    }),
    ("sent twice and backwards", |chain, depth| {
        chain.sent.reverse();
        chain.sent.push(depth);
    }),
    ("RSA of 2048 bits", |chain, depth| at(chain, depth).key = Key::Fixture("rsa2048")),
    ("RSA of 1024 bits", |chain, depth| at(chain, depth).key = Key::Fixture("rsa1024")),
    ("P-256", |chain, depth| at(chain, depth).key = Key::Fixture("p256")),
    ("P-384", |chain, depth| at(chain, depth).key = Key::Fixture("p384")),
    ("signed with RSA and SHA-1", |chain, depth| rsa(chain, depth, Algorithm::RsaSha1)),
    ("signed with RSA and MD5", |chain, depth| rsa(chain, depth, Algorithm::RsaMd5)),
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
    ("duplicate subject with another key", |chain, depth| {
        let mut twin = at(chain, depth).clone();
        twin.key = Key::Named("twin".into());
        let issuer = above(chain, depth);
        let issuer = if depth + 1 == chain.certificates.len() { twin.clone() } else { issuer };
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
    ("permits anything", |chain, depth| at(chain, depth).set(constraints(&[dns("")], &[]))),
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

fn chain_now(before: u64) -> u64 {
    crate::tests::NOW - before
}

fn chain_later(after: u64) -> u64 {
    crate::tests::NOW + after
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

fn report(differences: &[String], count: usize) {
    assert!(
        differences.is_empty(),
        "{} of {count} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn one_change_at_every_depth() {
    let mut differences = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for (name, change) in CHANGES {
        for depth in 0..4 {
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

/// Names that a leaf has, and names that are looked for.
type Names = (&'static str, Dn, Vec<Vec<u8>>);

fn leaves() -> Vec<Names> {
    let mut mail = cn("Somebody");
    mail.push((EMAIL, IA5, b"Some.Body@Example.org".to_vec()));
    let mut two = cn("first.example.org");
    two.extend(cn("second.example.org"));
    let wide = |text: &str| text.bytes().flat_map(|byte| [0, byte]).collect();
    Vec::from([
        ("a host", cn("ignored.example"), Vec::from([dns("www.example.org")])),
        ("hosts", cn("x"), Vec::from([dns("a.example.org"), dns("www.EXAMPLE.org")])),
        ("a wildcard", cn("x"), Vec::from([dns("*.example.org")])),
        ("a wide wildcard", cn("x"), Vec::from([dns("*.org")])),
        ("a bare wildcard", cn("x"), Vec::from([dns("*")])),
        ("a wildcard within", cn("x"), Vec::from([dns("www.*.org")])),
        ("two wildcards", cn("x"), Vec::from([dns("*.*.org")])),
        ("a common name", cn("www.example.org"), Vec::new()),
        ("a common name with a wildcard", cn("*.example.org"), Vec::new()),
        ("a common name and an address", cn("www.example.org"), Vec::from([ip(&[10, 0, 0, 1])])),
        ("a common name and a mailbox", cn("www.example.org"), Vec::from([email("a@b.c")])),
        ("two common names", two, Vec::new()),
        (
            "a wide common name",
            Vec::from([(CN, 0x1e, wide("www.example.org"))]),
            Vec::new(),
        ),
        ("one label", cn("localhost"), Vec::new()),
        ("a NUL", Vec::from([(CN, UTF8, b"www.example.org\0.evil".to_vec())]), Vec::new()),
        ("an address", cn("10.0.0.1"), Vec::from([ip(&[10, 0, 0, 1])])),
        ("an address in the common name", cn("10.0.0.1"), Vec::new()),
        (
            "an address of version 6",
            cn("x"),
            Vec::from([ip(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])]),
        ),
        ("a mailbox", cn("x"), Vec::from([email("Some.Body@example.ORG")])),
        ("a mailbox in the subject", mail.clone(), Vec::new()),
        ("another mailbox beside the subject's", mail, Vec::from([email("a@b.c")])),
        ("an underscore", cn("x"), Vec::from([dns("a_b.example.org")])),
    ])
}

fn wanted() -> Vec<PeerName> {
    let host = |name: &str| PeerName::Host(name.into());
    let mailbox = |name: &str| PeerName::Email(name.into());
    Vec::from([
        host("www.example.org"),
        host("WWW.Example.ORG"),
        host("example.org"),
        host("a.www.example.org"),
        host("xn--bcher-kva.example.org"),
        host("a_b.example.org"),
        host("second.example.org"),
        host("localhost"),
        host("10.0.0.1"),
        host(".example.org"),
        host(".org"),
        mailbox("Some.Body@example.org"),
        mailbox("some.body@example.org"),
        mailbox("a@b.c"),
        PeerName::Address([10, 0, 0, 1].into()),
        PeerName::Address([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
    ])
}

#[test]
fn names_match_as_openssl_matches_them() {
    let mut differences = Vec::new();
    let mut accepted = 0;
    for (what, subject, names) in leaves() {
        for name in wanted() {
            let mut chain = Chain::new(0);
            chain.leaf().subject = subject.clone();
            chain.leaf().remove(SAN);
            if !names.is_empty() {
                chain.leaf().set(san(&names));
            }
            chain.name = Some(name.clone());
            match compare(&format!("{what} for {name:?}"), &chain.case()) {
                Ok(verdict) => accepted += usize::from(verdict.is_ok()),
                Err(difference) => differences.push(difference),
            }
        }
    }
    report(&differences, leaves().len() * wanted().len());
    assert!(accepted > 30, "{accepted}");
}

#[test]
fn constraints_of_every_kind() {
    let mut differences = Vec::new();
    let (mut accepted, mut count) = (0, 0);
    let mut subtree = cn("Somebody");
    subtree.insert(0, (O, UTF8, b"Example".to_vec()));
    let bases = [
        dns("example.org"),
        email("example.org"),
        email(".org"),
        email("Some.Body@example.org"),
        email("@example.org"),
        uri("example.org"),
        uri(".org"),
        ip(&[10, 0, 0, 0, 255, 0, 0, 0]),
        ip(&[11, 0, 0, 0, 255, 0, 0, 0]),
        ip(&[0; 32]),
        directory(&Vec::from([(O, PRINTABLE, b"EXAMPLE".to_vec())])),
        directory(&Vec::from([(O, UTF8, b"Exam".to_vec())])),
        directory(&Vec::new()),
        // registeredID 1.2.3.
        tlv(0x88, &[0x2a, 3]),
    ];
    let mut leaves = leaves();
    leaves.push(("a subject of two", subtree.clone(), Vec::new()));
    leaves.push(("a directory", cn("x"), Vec::from([directory(&subtree)])));
    leaves.push(("a URI", cn("x"), Vec::from([uri("http://www.example.org:80/path")])));
    leaves.push(("a short URI", cn("x"), Vec::from([uri("http://example.org/")])));
    leaves.push(("a registered name", cn("x"), Vec::from([tlv(0x88, &[0x2a, 3])])));
    leaves.push(("an odd address", cn("x"), Vec::from([ip(&[1, 2, 3])])));
    leaves.push(("an odd mailbox", cn("x"), Vec::from([email("nobody")])));
    for (what, subject, names) in leaves {
        for base in &bases {
            for permit in [true, false] {
                let mut chain = Chain::new(1);
                chain.leaf().subject = subject.clone();
                chain.leaf().remove(SAN);
                if !names.is_empty() {
                    chain.leaf().set(san(&names));
                }
                let one = core::slice::from_ref(base);
                let (permitted, excluded) = if permit { (one, &[][..]) } else { (&[][..], one) };
                chain.certificates[1].set(constraints(permitted, excluded));
                count += 1;
                let name = format!("{what} where {base:x?} is permitted: {permit}");
                match compare(&name, &chain.case()) {
                    Ok(verdict) => accepted += usize::from(verdict.is_ok()),
                    Err(difference) => differences.push(difference),
                }
            }
        }
    }
    report(&differences, count);
    assert!(accepted > 100 && accepted < count - 100, "{accepted}");
}

/// Changes to the revocation list of the leaf's issuer; depth is the issuer's.
pub(super) const LISTS: &[(&str, Change)] = &[
    ("none revoked", |_, _| {}),
    ("another revoked", |chain, _| chain.lists[0].revoked.push((5, Vec::new()))),
    ("revoked", |chain, _| {
        let serial = chain.certificates[0].serial;
        for number in [1, serial, 70_000] {
            chain.lists[0].revoked.push((number, Vec::new()));
        }
    }),
    ("revoked with a reason", |chain, _| revoke(chain, "2.5.29.21", false, &[0x0a, 1, 1])),
    ("removed", |chain, _| revoke(chain, "2.5.29.21", false, &[0x0a, 1, 8])),
    ("a critical entry extension", |chain, _| revoke(chain, "1.2.3.4", true, &[5, 0])),
    ("expired", |chain, _| chain.lists[0].next_update = Some(chain_now(1))),
    ("not yet valid", |chain, _| chain.lists[0].this_update = chain_later(1)),
    ("without an end", |chain, _| chain.lists[0].next_update = None),
    ("damaged", |chain, _| chain.lists[0].damaged = true),
    ("of the root", |chain, _| chain.lists[0].issuer = chain.root().clone()),
    ("of a stranger", |chain, _| chain.lists[0].issuer = Spec::authority("Stranger")),
    ("by another key", |chain, _| {
        chain.lists[0].issuer.key = Key::Named("stranger".into());
    }),
    ("old and new", |chain, _| {
        let mut old = chain.lists[0].clone();
        old.this_update -= 9 * DAY;
        old.next_update = Some(chain_now(DAY));
        chain.lists.insert(0, old);
    }),
    ("good, and revoked in a newer one", |chain, _| {
        let mut newer = chain.lists[0].clone();
        newer.this_update += 100;
        newer.revoked.push((chain.certificates[0].serial, Vec::new()));
        chain.lists.push(newer);
    }),
    ("may not sign lists", |chain, depth| at(chain, depth).set(key_usage(0x04))),
    ("a number", |chain, _| list_extension(chain, "2.5.29.20", false, integer(7))),
    ("an unknown critical extension", |chain, _| {
        list_extension(chain, "1.2.3.4", true, tlv(5, &[]));
    }),
    ("an unknown extension", |chain, _| list_extension(chain, "1.2.3.4", false, tlv(5, &[]))),
    ("a delta", |chain, _| list_extension(chain, "2.5.29.27", true, integer(7))),
    ("of user certificates", |chain, _| scope(chain, &[(0x81, 0xff)])),
    ("of authorities", |chain, _| scope(chain, &[(0x82, 0xff)])),
    ("of attributes", |chain, _| scope(chain, &[(0x85, 0xff)])),
    ("indirect", |chain, _| scope(chain, &[(0x84, 0xff)])),
    ("of both kinds", |chain, _| scope(chain, &[(0x81, 0xff), (0x82, 0xff)])),
    ("of one reason", |chain, _| {
        let value = sequence(&[&tlv(0x83, &[6, 0x40])]);
        list_extension(chain, "2.5.29.28", true, value);
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
        list.revoked.push((chain.certificates[1].serial, Vec::new()));
        chain.lists.push(list);
    }),
];

fn revoke(chain: &mut Chain, id: &'static str, critical: bool, value: &[u8]) {
    let serial = chain.certificates[0].serial;
    let extension = Extension(id, critical, value.to_vec());
    chain.lists[0].revoked.push((serial, Vec::from([extension])));
}

fn list_extension(chain: &mut Chain, id: &'static str, critical: bool, value: Vec<u8>) {
    chain.lists[0].extensions.push(Extension(id, critical, value));
}

fn scope(chain: &mut Chain, flags: &[(u8, u8)]) {
    let flags: Vec<u8> = flags.iter().flat_map(|(tag, value)| tlv(*tag, &[*value])).collect();
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

//! Names, and constraints on names, of every kind.

use std::format;
use std::vec::Vec;

use super::chain::*;
use super::der::tlv;
use super::{compare, report};
use crate::PeerName;

/// Names that a leaf has, and names that are looked for.
type Names = (&'static str, Dn, Vec<Vec<u8>>);

fn leaves() -> Vec<Names> {
    let mut mail = cn("Somebody");
    mail.push((EMAIL, IA5, b"Some.Body@Example.org".to_vec()));
    let mut two = cn("first.example.org");
    two.extend(cn("second.example.org"));
    let wide = |text: &str| text.bytes().flat_map(|byte| [0, byte]).collect();
    Vec::from([
        (
            "a host",
            cn("ignored.example"),
            Vec::from([dns("www.example.org")]),
        ),
        (
            "hosts",
            cn("x"),
            Vec::from([dns("a.example.org"), dns("www.EXAMPLE.org")]),
        ),
        ("a wildcard", cn("x"), Vec::from([dns("*.example.org")])),
        ("a wide wildcard", cn("x"), Vec::from([dns("*.org")])),
        ("a bare wildcard", cn("x"), Vec::from([dns("*")])),
        ("a wildcard within", cn("x"), Vec::from([dns("www.*.org")])),
        ("two wildcards", cn("x"), Vec::from([dns("*.*.org")])),
        ("a common name", cn("www.example.org"), Vec::new()),
        (
            "a common name with a wildcard",
            cn("*.example.org"),
            Vec::new(),
        ),
        (
            "a common name and an address",
            cn("www.example.org"),
            Vec::from([ip(&[10, 0, 0, 1])]),
        ),
        (
            "a common name and a mailbox",
            cn("www.example.org"),
            Vec::from([email("a@b.c")]),
        ),
        ("two common names", two, Vec::new()),
        (
            "a wide common name",
            Vec::from([(CN, 0x1e, wide("www.example.org"))]),
            Vec::new(),
        ),
        ("one label", cn("localhost"), Vec::new()),
        (
            "a NUL",
            Vec::from([(CN, UTF8, b"www.example.org\0.evil".to_vec())]),
            Vec::new(),
        ),
        (
            "an address",
            cn("10.0.0.1"),
            Vec::from([ip(&[10, 0, 0, 1])]),
        ),
        ("an address in the common name", cn("10.0.0.1"), Vec::new()),
        (
            "an address of version 6",
            cn("x"),
            Vec::from([ip(&[
                0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            ])]),
        ),
        (
            "a mailbox",
            cn("x"),
            Vec::from([email("Some.Body@example.ORG")]),
        ),
        ("a mailbox in the subject", mail.clone(), Vec::new()),
        (
            "another mailbox beside the subject's",
            mail,
            Vec::from([email("a@b.c")]),
        ),
        (
            "an underscore",
            cn("x"),
            Vec::from([dns("a_b.example.org")]),
        ),
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
    leaves.push((
        "a URI",
        cn("x"),
        Vec::from([uri("http://www.example.org:80/path")]),
    ));
    leaves.push((
        "a short URI",
        cn("x"),
        Vec::from([uri("http://example.org/")]),
    ));
    leaves.push((
        "a registered name",
        cn("x"),
        Vec::from([tlv(0x88, &[0x2a, 3])]),
    ));
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
                let (permitted, excluded) = if permit {
                    (one, &[][..])
                } else {
                    (&[][..], one)
                };
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

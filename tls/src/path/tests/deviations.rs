//! Where our verdict is not OpenSSL's, on purpose: the whole list, with the reasons.

use std::vec::Vec;

use super::chain::*;
use super::der::{bits, integer, oid, sequence, tlv};
use super::{openssl, verdict};
use crate::PeerName;

struct Deviation {
    what: &'static str,
    why: &'static str,
    /// OpenSSL takes it, and we do not; or the other way round.
    openssl_accepts: bool,
    make: fn() -> Chain,
}

/// How we are stricter: OpenSSL takes these.
const fn stricter(what: &'static str, why: &'static str, make: fn() -> Chain) -> Deviation {
    Deviation {
        what,
        why,
        openssl_accepts: true,
        make,
    }
}

const fn laxer(what: &'static str, why: &'static str, make: fn() -> Chain) -> Deviation {
    Deviation {
        what,
        why,
        openssl_accepts: false,
        make,
    }
}

fn with_leaf(change: impl FnOnce(&mut Spec)) -> Chain {
    let mut chain = Chain::new(1);
    change(chain.leaf());
    chain
}

fn looking_for(host: &str, mut chain: Chain) -> Chain {
    chain.name = Some(PeerName::Host(host.into()));
    chain
}

fn with_list(change: impl FnOnce(&mut Chain)) -> Chain {
    let mut chain = Chain::new(1);
    chain.lists.push(ListSpec::of(&chain.certificates[1]));
    change(&mut chain);
    chain
}

const DEVIATIONS: &[Deviation] = &[
    laxer(
        "a trusted intermediate whose issuer was sent",
        "the path is sound; OpenSSL no longer looks at what was sent once it is among the trusted",
        || {
            let mut chain = Chain::new(2);
            chain.trusted.push(1);
            chain
        },
    ),
    laxer(
        "two trusted roots of one name and no key identifiers",
        "the path by the right one is sound; OpenSSL tries only one of them",
        || {
            let mut chain = Chain::new(0);
            let mut other = chain.root().clone();
            other.key = Key::Named("another".into());
            let root = chain.root().clone();
            chain.trusted.clear();
            // OpenSSL takes the first one.
            chain.also_trusted.push((other.clone(), other));
            chain.also_trusted.push((root.clone(), root));
            chain
        },
    ),
    laxer(
        "the last second of validity",
        "RFC 5280 §4.1.2.5: the period includes notAfter; OpenSSL excludes it",
        || with_leaf(|leaf| leaf.not_after = crate::tests::NOW),
    ),
    stricter(
        "a wildcard for a part of a label",
        "RFC 6125 §6.4.3 only lets clients take it, and no authority issues it",
        || {
            looking_for(
                HOST,
                with_leaf(|leaf| leaf.set(san(&[dns("w*.example.org")]))),
            )
        },
    ),
    stricter(
        "a wildcard that may stand for an excluded host",
        "RFC 5280 §4.2.1.10: the issuer may not vouch for that host in any way",
        || {
            let mut chain = with_leaf(|leaf| leaf.set(san(&[dns("*.example.org")])));
            chain.certificates[1].set(constraints(&[], &[dns(HOST)]));
            looking_for(HOST, chain)
        },
    ),
    stricter(
        "a common name with a wildcard that constraints do not permit",
        "the same, by the common name",
        || {
            let mut chain = with_leaf(|leaf| {
                leaf.remove(SAN);
                leaf.subject = cn("*.example.org");
            });
            chain.certificates[1].set(constraints(&[dns("example.net")], &[]));
            looking_for(HOST, chain)
        },
    ),
    stricter(
        "a common name of one label that constraints do not permit",
        "the same",
        || {
            let mut chain = with_leaf(|leaf| {
                leaf.remove(SAN);
                leaf.subject = cn("localhost");
            });
            chain.certificates[1].set(constraints(&[dns("example.net")], &[]));
            looking_for("localhost", chain)
        },
    ),
    stricter(
        "a P-521 key",
        "neither provider can use it, so the handshake would fail a little later",
        || with_leaf(|leaf| leaf.key = Key::Fixture("p521")),
    ),
    stricter(
        "a signature with SHA-224",
        "neither provider knows it; nobody uses it",
        || {
            let mut chain = Chain::new(1);
            chain.certificates[1].key = Key::Fixture("rsa2048");
            chain.leaf().algorithm = Some(Algorithm::RsaSha224);
            chain
        },
    ),
    stricter(
        "a signature of ECDSA with SHA-512",
        "neither provider knows it for P-256 and P-384",
        || {
            let mut chain = Chain::new(1);
            chain.certificates[1].key = Key::Fixture("p256");
            chain.leaf().algorithm = Some(Algorithm::EcdsaSha512);
            chain
        },
    ),
    stricter(
        "critical policy constraints",
        "OpenSSL passes them over without `-policy_check`; RFC 5280 §4.2 does not allow that",
        || with_leaf(|leaf| leaf.set(Extension("2.5.29.36", true, sequence(&[&tlv(0x80, &[0])])))),
    ),
    stricter("critical inhibitAnyPolicy", "the same", || {
        with_leaf(|leaf| leaf.set(Extension("2.5.29.54", true, integer(0))))
    }),
    stricter(
        "a critical list of address blocks",
        "RFC 3779 is for routing; nobody has them in TLS",
        || {
            let mut chain = Chain::new(1);
            let prefix = sequence(&[&bits(&[10])]);
            let blocks = sequence(&[&sequence(&[&tlv(4, &[0, 1]), &prefix])]);
            for spec in &mut chain.certificates {
                spec.set(Extension("1.3.6.1.5.5.7.1.7", true, blocks.clone()));
            }
            chain
        },
    ),
    stricter(
        "Netscape's Server Gated Cryptography in place of serverAuth",
        "no authority has issued it for twenty years",
        || with_leaf(|leaf| leaf.set(extended(&["2.16.840.1.113730.4.1"]))),
    ),
    stricter(
        "a mailbox in SmtpUTF8Mailbox (RFC 8398)",
        "nobody checks TLS peers by it",
        || {
            let mailbox = tlv(0xa0, &tlv(UTF8, b"a@example.org"));
            let other = tlv(0xa0, &[oid("1.3.6.1.5.5.7.8.9"), mailbox].concat());
            let mut chain = with_leaf(|leaf| leaf.set(san(&[other])));
            chain.name = Some(PeerName::Email("a@example.org".into()));
            chain
        },
    ),
    stricter(
        "a list of one distribution point",
        "partitioned lists are not matched with the certificate's distribution points",
        || {
            let point = tlv(0xa0, &tlv(0xa0, &uri("http://crl.example/")));
            with_list(|chain| {
                let points = sequence(&[&sequence(&[&point])]);
                chain.leaf().set(Extension("2.5.29.31", false, points));
                let value = sequence(&[&point]);
                chain.lists[0]
                    .extensions
                    .push(Extension("2.5.29.28", true, value));
            })
        },
    ),
    stricter(
        "a list signed with SHA-1",
        "whoever can forge it can hide a revocation",
        || {
            with_list(|chain| {
                chain.certificates[1].key = Key::Fixture("rsa2048");
                chain.lists[0].issuer.key = Key::Fixture("rsa2048");
                chain.lists[0].algorithm = Some(Algorithm::RsaSha1);
            })
        },
    ),
    stricter(
        "eleven certificates in a path",
        "the work that a stranger can ask for is bounded",
        || Chain::new(9),
    ),
    stricter("seventeen certificates sent", "the same", || {
        let mut chain = Chain::new(1);
        chain.sent = Vec::from([1; 17]);
        chain
    }),
    stricter("65 attributes in a name", "the same, for memory", || {
        with_leaf(|leaf| leaf.subject = (0..65).flat_map(|_| cn("x")).collect())
    }),
    stricter("65 extensions", "the same", || {
        with_leaf(|leaf| {
            for _ in 0..65 {
                leaf.extensions
                    .push(Extension("1.2.3.4", false, tlv(5, &[])));
            }
        })
    }),
    stricter(
        "an extension twice",
        "RFC 5280 §4.2 forbids it, and readers disagree on which one counts",
        || {
            with_leaf(|leaf| {
                for _ in 0..2 {
                    leaf.extensions
                        .push(Extension("1.2.3.4", false, tlv(5, &[])));
                }
            })
        },
    ),
    stricter(
        "a TRUE that is not DER's",
        "X.690 §11.1: all bits of TRUE are one",
        || with_leaf(|leaf| leaf.set(Extension(BASIC, true, sequence(&[&tlv(1, &[1])])))),
    ),
    stricter(
        "a certificate that is valid from 1960",
        "the parser's times begin in 1970",
        || with_leaf(|leaf| leaf.not_before_text = Some("600101000000Z")),
    ),
];

#[test]
fn every_deviation_is_one() {
    let mut wrong = Vec::new();
    for deviation in DEVIATIONS {
        let case = (deviation.make)().case();
        let ours = verdict(&case);
        let theirs = openssl::verify(&case);
        if theirs.is_ok() != deviation.openssl_accepts || ours.is_ok() == theirs.is_ok() {
            wrong.push(std::format!(
                "{} ({}): OpenSSL says {theirs:?}, we say {ours:?}",
                deviation.what,
                deviation.why
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A chain of ten, sixteen sent, 64 attributes and 64 extensions are taken.
#[test]
fn bounds_are_where_they_are_said_to_be() {
    let mut sixteen = Chain::new(8);
    sixteen.sent.extend([1; 8]);
    assert_eq!(sixteen.sent.len(), 16);
    let wide = with_leaf(|leaf| {
        leaf.subject = (0..64).flat_map(|_| cn("x")).collect();
        let ids: Vec<&'static str> = (0..62)
            .map(|number| &*std::format!("1.2.3.{number}").leak())
            .collect();
        for id in ids {
            leaf.extensions.push(Extension(id, false, tlv(5, &[])));
        }
        assert_eq!(leaf.extensions.len(), 64);
    });
    for chain in [sixteen, wide] {
        assert_eq!(super::compare("at the bound", &chain.case()), Ok(Ok(())));
    }
}

//! What a refusal says, and of which certificate.

use std::string::ToString;

use super::chain::*;
use super::changes::CHANGES;
use super::verdict;
use crate::Purpose;

/// Makes one change to a chain with two intermediates; the refusal must be this sentence.
fn check(name: &str, depth: usize, sentence: &str) {
    let mut chain = Chain::new(2);
    let (_, change) = CHANGES.iter().find(|(known, _)| *known == name).unwrap();
    change(&mut chain, depth);
    let refusal = verdict(&chain.case()).unwrap_err();
    assert_eq!(refusal.to_string(), sentence, "{name} at depth {depth}");
}

#[test]
fn every_refusal_is_one_sentence_about_one_certificate() {
    check(
        "expired",
        1,
        "\"CN=Intermediate 0\" at depth 1 expired on 2027-01-15T07:59:59Z, \
         and it is 2027-01-15T08:00:00Z",
    );
    check(
        "not yet valid",
        3,
        "\"CN=Root\" at depth 3 is not valid before 2027-01-15T08:00:01Z, \
         and it is 2027-01-15T08:00:00Z",
    );
    check(
        "version 1",
        2,
        "\"CN=Intermediate 1\" at depth 2 has issued another certificate and is X.509 v1, \
         in which only a trusted root can be a certificate authority",
    );
    check(
        "no authority",
        1,
        "\"CN=Intermediate 0\" at depth 1 has issued another certificate \
         without being a certificate authority",
    );
    check(
        "signs data only",
        2,
        "\"CN=Intermediate 1\" at depth 2 has issued another certificate, \
         and its key usage does not allow that",
    );
    check(
        "path length 0",
        2,
        "\"CN=Intermediate 1\" at depth 2 allows 0 certificate authorities below it, \
         and there are 1",
    );
    check(
        "for clients",
        1,
        "\"CN=Intermediate 0\" at depth 1 may not be used for a TLS server",
    );
    check(
        "unknown critical",
        0,
        "\"CN=www.example.org\" at depth 0 has a critical extension that is not known here, 1.2.3.4",
    );
    check(
        "damaged signature",
        1,
        "\"CN=Intermediate 0\" at depth 1 has a signature that is not its issuer's",
    );
    check(
        "another issuer",
        1,
        "\"CN=Intermediate 0\" at depth 1 was issued by \"CN=Stranger\", \
         of which no fitting certificate is trusted or was sent",
    );
    check(
        "not sent, not trusted",
        2,
        "\"CN=Intermediate 0\" at depth 1 was issued by \"CN=Intermediate 1\", \
         of which no fitting certificate is trusted or was sent",
    );
    check(
        "RSA of 1024 bits",
        0,
        "\"CN=www.example.org\" at depth 0 has an RSA key of 1024 bits: expected 2048 to 8192",
    );
    check(
        "signed with RSA and SHA-1",
        1,
        "\"CN=Intermediate 0\" at depth 1 was signed with SHA-1, which can be forged",
    );
    check(
        "permits another domain",
        2,
        "\"CN=www.example.org\" at depth 0 is for the host \"www.example.org\", \
         for which one of its issuers may not vouch",
    );
}

#[test]
fn peers_strings_are_escaped_and_cut() {
    let mut chain = Chain::new(0);
    chain.leaf().not_after = 1;
    chain.leaf().subject = cn("evil\n\"quoted\"\u{1b}[31m");
    let refusal = verdict(&chain.case()).unwrap_err();
    assert_eq!(refusal.subject, "CN=evil\\n\\\"quoted\\\"\\u{1b}[31m");
    chain.leaf().subject = cn(&"long".repeat(1000));
    let refusal = verdict(&chain.case()).unwrap_err();
    assert!(refusal.subject.len() < 600, "{}", refusal.subject);
    // Nobody's value is another attribute.
    chain.leaf().subject = cn("one, O=other");
    let refusal = verdict(&chain.case()).unwrap_err();
    assert_eq!(refusal.subject, "CN=\"one, O=other\"");
    chain.leaf().subject.clear();
    let refusal = verdict(&chain.case()).unwrap_err();
    assert!(
        refusal
            .to_string()
            .starts_with("\"no subject\" at depth 0 expired")
    );
}

#[test]
fn clients_may_not_use_servers_certificates() {
    let mut chain = Chain::new(0);
    chain.leaf().set(extended(&[SERVER]));
    chain.purpose = Purpose::Client;
    let refusal = verdict(&chain.case()).unwrap_err();
    assert!(
        refusal
            .to_string()
            .ends_with("may not be used for a TLS client")
    );
}

/// A certificate without a readable part has no subject that could be told.
#[test]
fn malformed_parts_are_named() {
    let mut chain = Chain::new(0);
    chain.leaf().set(Extension(SAN, false, [0x30, 3].to_vec()));
    let refusal = verdict(&chain.case()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the certificate at depth 0 cannot be read (malformed subject alternative names)"
    );
}

//! Certificates that are refused: each reason, with its depth, against each server.

use stockade::{CertificateReason as Reason, Check, Error, Verification};
use stockade_tests::stunnel::authority::{self, Authority, Leaf, Pair};

use crate::scene::{Scene, Server, add, errors, fail, named};

/// One row of the table.
struct Row {
    server: Pair,
    verification: Verification,
    reason: Reason,
    depth: u8,
    words: &'static str,
}

fn rows(scene: &Scene) -> Vec<Row> {
    let bundle = scene.bundle();
    let trust = |check| Verification::new(check, &bundle);
    let host = |name: &str| trust(Check::Host(Some(name.to_owned())));
    let stranger = Authority::new("A Stranger");
    let of_stranger = stranger.issue(&named());
    let with_authority = Pair::new(
        &format!("{}{}", of_stranger.certificate, stranger.certificate()),
        &of_stranger.key,
    );
    let revoked = scene.good();
    let list = scene.authority.revoke(&[&revoked]);
    let pinned = scene.files.add("pinned.pem", scene.good().certificate);
    let row = |server: Pair, verification, reason, depth, words| Row {
        server,
        verification,
        reason,
        depth,
        words,
    };
    let issue = |leaf: Leaf| scene.authority.issue(&leaf);
    let self_signed = authority::self_signed(&named());
    vec![
        row(
            self_signed,
            trust(Check::Chain),
            Reason::SelfSigned,
            0,
            "Pre-verification error: self-signed certificate",
        ),
        row(
            issue(named().expired()),
            trust(Check::Chain),
            Reason::Expired,
            0,
            "Pre-verification error: certificate has expired",
        ),
        row(
            issue(named().not_yet_valid()),
            trust(Check::Chain),
            Reason::NotYetValid,
            0,
            "Pre-verification error: certificate is not yet valid",
        ),
        row(
            scene.good(),
            host("other.example"),
            Reason::NameMismatch,
            0,
            "Subject checks failed",
        ),
        row(
            scene.good(),
            Verification::external_host(pinned),
            Reason::NotPinned,
            0,
            "Certificate not found in local repository",
        ),
        row(
            of_stranger,
            trust(Check::Chain),
            Reason::UnknownIssuer,
            0,
            "Pre-verification error: unable to get local issuer certificate",
        ),
        row(
            with_authority,
            trust(Check::Chain),
            Reason::SelfSignedInChain,
            1,
            "Pre-verification error: self-signed certificate in certificate chain",
        ),
        row(
            revoked,
            Verification {
                crls: Some(scene.files.add("crl.pem", list).into()),
                ..trust(Check::Chain)
            },
            Reason::Revoked,
            0,
            "Pre-verification error: certificate revoked",
        ),
    ]
}

#[track_caller]
fn check_table(server: Server) {
    let scene = Scene::new();
    let pool = scene.pool();
    for row in rows(&scene) {
        let (_server, port) = scene.serve(server, &row.server);
        let proxy = add(&pool, scene.config(port, Some(row.verification)));
        fail(&proxy);
        let errors = errors(&proxy);
        let [error @ Error::CertificateVerify { reasons }] = errors.as_slice() else {
            panic!("{}: {errors:?}", row.words);
        };
        let [problem] = reasons.as_slice() else {
            panic!("{}: {reasons:?}", row.words);
        };
        assert_eq!((problem.reason, problem.depth), (row.reason, row.depth));
        assert!(problem.subject.contains("CN="), "{problem:?}");
        let words = format!("Certificate verification errors: {}", row.words);
        assert_eq!(error.to_string(), words);
        assert_eq!(self::errors(&proxy), [], "told twice");
    }
}

#[test]
fn every_reason_against_debian_s_stunnel() {
    check_table(Server::Stunnel);
}

#[test]
fn every_reason_against_openssl_s_server() {
    check_table(Server::OpenSsl);
}

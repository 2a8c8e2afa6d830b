//! Responses that `openssl ocsp` makes, for certificates that openssl makes.

use std::format;
use std::string::String;
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::Vec;

use super::openssl::{Directory, run};
use crate::tests::PROVIDERS;
use crate::{CertificateStatus, OcspError, Provider, Status, StatusQuery};

const RESPONDER: &str = "http://ocsp.example:8080/status";

/// An authority with leaves and responders, in files.
struct World {
    files: Directory,
    now: u64,
}

const CONFIGURATION: &str = "[leaf]
basicConstraints = CA:FALSE
authorityInfoAccess = caIssuers;URI:http://ca.example/,OCSP;URI:http://ocsp.example:8080/status,OCSP;URI:http://other.example/
[plain]
basicConstraints = CA:FALSE
[responder]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = OCSPSigning
[encipherer]
basicConstraints = CA:FALSE
keyUsage = critical,keyEncipherment
extendedKeyUsage = OCSPSigning
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
";

impl World {
    /// `key`: what `genpkey` is told.
    fn new(key: &[&str]) -> World {
        let files = Directory::new();
        std::fs::write(files.path("c.cnf"), CONFIGURATION).unwrap();
        let mut world = World { files, now: 0 };
        for authority in ["ca", "foreign"] {
            world.key(authority, key);
            let (key, out) = (world.file(authority, "key"), world.file(authority, "pem"));
            run(
                &[
                    "req",
                    "-x509",
                    "-new",
                    "-key",
                    &key,
                    "-out",
                    &out,
                    "-subj",
                    &format!("/CN={authority}"),
                    "-days",
                    "3650",
                ],
                &[],
            )
            .unwrap();
        }
        world.issue("good", "ca", "leaf", 0x1001, key);
        world.issue("revoked", "ca", "plain", 0x8002, key);
        world.issue("held", "ca", "plain", 0x1003, key);
        world.issue("strange", "ca", "plain", 0x1004, key);
        world.issue("delegate", "ca", "responder", 0x2001, key);
        world.issue("encipherer", "ca", "encipherer", 0x2002, key);
        world.issue("server", "ca", "server", 0x2003, key);
        world.issue("outsider", "foreign", "responder", 0x2004, key);
        let index = "V\t360101000000Z\t\t1001\tunknown\t/CN=good\n\
                     R\t360101000000Z\t250102030405Z,keyCompromise\t8002\tunknown\t/CN=revoked\n\
                     R\t360101000000Z\t250102030405Z\t1003\tunknown\t/CN=held\n";
        std::fs::write(world.files.path("index.txt"), index).unwrap();
        // After the certificates' own beginning.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        world.now = since.as_secs();
        world
    }

    fn file(&self, name: &str, suffix: &str) -> String {
        self.files.path(&format!("{name}.{suffix}"))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name, "pem")).unwrap()
    }

    fn key(&self, name: &str, key: &[&str]) {
        let out = self.file(name, "key");
        run(&[&["genpkey", "-quiet", "-out", &out], key].concat(), &[]).unwrap();
    }

    fn issue(&self, name: &str, issuer: &str, extensions: &str, serial: u32, key: &[&str]) {
        self.key(name, key);
        let request = run(
            &[
                "req",
                "-new",
                "-key",
                &self.file(name, "key"),
                "-subj",
                &format!("/CN={name}"),
            ],
            &[],
        )
        .unwrap();
        run(
            &[
                "x509",
                "-req",
                "-CA",
                &self.file(issuer, "pem"),
                "-CAkey",
                &self.file(issuer, "key"),
                "-set_serial",
                &format!("{serial}"),
                "-days",
                "3650",
                "-extfile",
                &self.files.path("c.cnf"),
                "-extensions",
                extensions,
                "-out",
                &self.file(name, "pem"),
            ],
            &request,
        )
        .unwrap();
    }

    fn query(&self, name: &str, provider: Provider) -> StatusQuery {
        let authorities = [self.read("foreign"), self.read("ca")];
        StatusQuery::of_chain(provider, &self.read(name), &authorities).unwrap()
    }

    /// What `openssl ocsp` answers to the request, signed by `signer`.
    fn answer(&self, request: &[u8], signer: &str, more: &[&str]) -> Vec<u8> {
        let (asked, answered) = (self.files.path("request"), self.files.path("response"));
        std::fs::write(&asked, request).unwrap();
        let index = self.files.path("index.txt");
        let (ca, certificate) = (self.file("ca", "pem"), self.file(signer, "pem"));
        let key = self.file(signer, "key");
        let arguments = [
            "ocsp",
            "-index",
            &index,
            "-CA",
            &ca,
            "-rsigner",
            &certificate,
            "-rkey",
            &key,
            "-reqin",
            &asked,
            "-respout",
            &answered,
        ];
        run(&[&arguments[..], more].concat(), &[]).unwrap();
        std::fs::read(&answered).unwrap()
    }

    /// Our verdict by both providers, which must agree.
    fn judge(
        &self,
        name: &str,
        response: &[u8],
        included: bool,
        now: u64,
    ) -> Result<CertificateStatus, OcspError> {
        let [ring, rustcrypto] = PROVIDERS.map(|provider| {
            self.query(name, provider)
                .judge(response, None, included, now)
        });
        assert_eq!(ring, rustcrypto, "the providers disagree");
        ring
    }

    fn check(&self, name: &str, signer: &str, expected: Result<Status, OcspError>) {
        let request = self.query(name, Provider::Ring).request(None);
        let response = self.answer(&request, signer, &["-ndays", "1"]);
        let verdict = self.judge(name, &response, true, self.now);
        assert_eq!(
            verdict.map(|status| status.state),
            expected,
            "{name} by {signer}"
        );
    }
}

const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// 2025-01-02 03:04:05.
const REVOKED: u64 = 1_735_787_045;

#[test]
fn the_issuer_answers() {
    for key in [
        &P256[..],
        &["-algorithm", "RSA"],
        &["-algorithm", "ED25519"],
    ] {
        let world = World::new(key);
        world.check("good", "ca", Ok(Status::Good));
        let revoked = |reason| Status::Revoked {
            at: REVOKED,
            reason,
        };
        world.check("revoked", "ca", Ok(revoked(Some(1))));
        world.check("held", "ca", Ok(revoked(None)));
        world.check("strange", "ca", Ok(Status::Unknown));
    }
}

#[test]
fn only_whom_the_issuer_authorises_answers_for_it() {
    let world = World::new(&P256);
    world.check("good", "delegate", Ok(Status::Good));
    for impostor in ["server", "encipherer", "outsider", "good"] {
        world.check("good", impostor, Err(OcspError::Responsible));
    }
    // The other authority, by name and by key, and one that calls itself the issuer.
    world.check("good", "foreign", Err(OcspError::Responsible));
    let request = world.query("good", Provider::Ring).request(None);
    let by_key = world.answer(&request, "foreign", &["-resp_key_id"]);
    let verdict = world.judge("good", &by_key, true, world.now);
    assert_eq!(verdict, Err(OcspError::Responsible));
    world.key("ca-impostor", &P256);
    let (key, out) = (
        world.file("ca-impostor", "key"),
        world.file("ca-impostor", "pem"),
    );
    let arguments = [
        "req", "-x509", "-new", "-key", &key, "-out", &out, "-subj", "/CN=ca",
    ];
    run(&arguments, &[]).unwrap();
    world.check("good", "ca-impostor", Err(OcspError::Signature));
}

#[test]
fn responders_are_found_by_key_and_count_only_where_they_may() {
    let world = World::new(&P256);
    let request = world.query("good", Provider::Ring).request(None);
    for signer in ["ca", "delegate"] {
        let response = world.answer(&request, signer, &["-resp_key_id", "-ndays", "1"]);
        let verdict = |included| {
            let status = world.judge("good", &response, included, world.now);
            status.map(|status| status.state)
        };
        assert_eq!(verdict(true), Ok(Status::Good), "{signer}");
        let alone = match signer {
            "ca" => Ok(Status::Good),
            _ => Err(OcspError::Responsible),
        };
        assert_eq!(verdict(false), alone, "{signer}");
        let bare = world.answer(&request, signer, &["-resp_no_certs", "-ndays", "1"]);
        let verdict = world.judge("good", &bare, true, world.now);
        assert_eq!(verdict.map(|status| status.state), alone, "{signer}");
    }
    // A responder's certificate has its time, too.
    let response = world.answer(&request, "delegate", &[]);
    let later = world.now + 3660 * 86_400;
    let verdict = world.judge("good", &response, true, later);
    assert_eq!(verdict, Err(OcspError::Responsible));
}

#[test]
fn a_nonce_comes_back_or_nothing_counts() {
    let world = World::new(&P256);
    let query = world.query("good", Provider::Ring);
    let nonce = [7; crate::OCSP_NONCE];
    let response = world.answer(&query.request(Some(&nonce)), "ca", &[]);
    let judge = |response: &[u8], nonce| query.judge(response, nonce, true, world.now);
    let state = |verdict: Result<CertificateStatus, _>| verdict.map(|status| status.state);
    assert_eq!(state(judge(&response, Some(&nonce))), Ok(Status::Good));
    assert_eq!(state(judge(&response, None)), Ok(Status::Good));
    assert_eq!(judge(&response, Some(&[8; 32])), Err(OcspError::Nonce));
    let without = world.answer(&query.request(None), "ca", &[]);
    assert_eq!(judge(&without, Some(&nonce)), Err(OcspError::Nonce));
}

#[test]
fn an_answer_has_its_time() {
    let world = World::new(&P256);
    let query = world.query("good", Provider::Ring);
    let request = query.request(None);
    let lasting = world.answer(&request, "ca", &["-ndays", "1"]);
    let at = |response: &[u8], now| query.judge(response, None, true, now);
    let status = at(&lasting, world.now).unwrap();
    let next = status.next_update.unwrap();
    assert_eq!(next - status.this_update, 86_400);
    assert!(at(&lasting, next + 60).is_ok(), "clocks differ a little");
    assert_eq!(
        at(&lasting, next + 61),
        Err(OcspError::Expired { since: next })
    );
    assert!(at(&lasting, status.this_update - 60).is_ok());
    assert_eq!(
        at(&lasting, status.this_update - 61),
        Err(OcspError::NotYetValid {
            from: status.this_update
        })
    );
    let passing = world.answer(&request, "ca", &[]);
    let status = at(&passing, world.now + 1_000_000).unwrap();
    assert_eq!(status.next_update, None);
}

#[test]
fn an_answer_about_another_certificate_is_none() {
    let world = World::new(&P256);
    let request = world.query("good", Provider::Ring).request(None);
    let response = world.answer(&request, "ca", &["-ndays", "1"]);
    for other in ["revoked", "held"] {
        let verdict = world.judge(other, &response, true, world.now);
        assert_eq!(verdict, Err(OcspError::OtherCertificate), "{other}");
    }
}

#[test]
fn responders_without_an_answer_are_understood() {
    let world = World::new(&P256);
    for status in [1, 2, 3, 5, 6, 99] {
        let response = [0x30, 3, 0x0a, 1, status];
        let verdict = world.judge("good", &response, true, world.now);
        assert_eq!(verdict, Err(OcspError::Responder { status }));
    }
    // Success without an answer, and another type of answer.
    let empty = [&[0x30, 3, 0x0a, 1, 0][..]];
    let other = [
        0x30, 15, 0x0a, 1, 0, 0xa0, 10, 0x30, 8, 6, 2, 0x2a, 3, 4, 2, 5, 0,
    ];
    for response in empty.into_iter().chain([&other[..]]) {
        let verdict = world.judge("good", response, true, world.now);
        let part = "response type";
        assert_eq!(verdict, Err(OcspError::Malformed { part }));
    }
}

#[test]
fn a_spoiled_response_never_says_anything_else() {
    let world = World::new(&P256);
    let query = world.query("good", Provider::Ring);
    let request = query.request(None);
    for signer in ["ca", "delegate"] {
        let response = world.answer(&request, signer, &["-ndays", "1"]);
        let whole = query.judge(&response, None, true, world.now).unwrap();
        for length in 0..response.len() {
            let cut = query.judge(&response[..length], None, true, world.now);
            assert!(cut.is_err(), "cut at {length}");
        }
        for index in 0..response.len() {
            for change in [1, 0x80, 0xff] {
                let mut spoiled = response.clone();
                spoiled[index] ^= change;
                if let Ok(status) = query.judge(&spoiled, None, true, world.now) {
                    assert_eq!(status, whole, "byte {index} changed by {change:#x}");
                }
            }
        }
    }
}

#[test]
fn certificates_name_their_responders() {
    let world = World::new(&P256);
    let urls = |name| world.query(name, Provider::Ring).urls().to_vec();
    assert_eq!(urls("good"), [RESPONDER, "http://other.example/"]);
    assert!(urls("revoked").is_empty());
    // Without its issuer nothing can be asked.
    let leaf = world.read("good");
    let foreign = [world.read("foreign")];
    assert!(StatusQuery::of_chain(Provider::Ring, &leaf, &foreign).is_none());
    let root = world.read("ca");
    assert!(StatusQuery::of_chain(Provider::Ring, &root, core::slice::from_ref(&root)).is_none());
    // The chain itself may have it.
    let chain = [leaf, root].concat();
    let query = StatusQuery::of_chain(Provider::Ring, &chain, &[]).unwrap();
    assert!(query.is_same(&world.query("good", Provider::Ring)));
    assert!(!query.is_same(&world.query("revoked", Provider::Ring)));
}

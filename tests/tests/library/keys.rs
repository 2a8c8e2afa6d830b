//! Keys, requests, proofs and keys at rest, as openssl(1) and the TLS providers see them.

use std::process::Command;

use ring::rand::{SecureRandom, SystemRandom};
use stockade_acme::{Identifier, Key, certificate_request, proof};
use stockade_store::sealed;
use stockade_tests::stunnel::files::Files;
use stockade_tls::{Identity, Provider};

/// Unix seconds of 2026-01-01.
const NOW: u64 = 1_767_225_600;

const SECRET: &[u8] = b"a store key of many bytes";

/// What an authority must find: `token.thumbprint`.
const AUTHORIZATION: &str = "token.thumbprint";

fn fill(bytes: &mut [u8]) {
    let filled = SystemRandom::new().fill(bytes);
    filled.expect("the system has random bytes");
}

/// A key as certificates here have it, and one of RSA that somebody has made by hand.
fn keys(files: &Files) -> [String; 2] {
    let key = Key::draw(fill).expect("bytes by chance");
    let rsa = "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    [key.to_pem().expect("PEM").to_string(), openssl(files, rsa)]
}

/// What openssl(1) says, which must succeed.
fn openssl(files: &Files, arguments: &str) -> String {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split_whitespace())
        .current_dir(files.folder());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start openssl: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {errors}");
    format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
}

fn name(text: &str) -> Identifier {
    Identifier::parse(text).expect("a name")
}

#[test]
fn openssl_takes_a_request_and_its_key() {
    let files = Files::create();
    let key = Key::draw(fill).expect("bytes by chance");
    let names = [name("a.example"), name("192.0.2.1")];
    let request = certificate_request(&key, &names).expect("a request");
    files.add("request.der", request);
    let text = openssl(
        &files,
        "req -inform DER -in request.der -verify -noout -text",
    );
    // Each release writes it in its own way.
    assert!(text.to_lowercase().contains("verify ok"), "{text}");
    assert!(
        text.contains("DNS:a.example, IP Address:192.0.2.1"),
        "{text}"
    );
    files.add("key.pem", key.to_pem().expect("PEM"));
    let checked = openssl(&files, "pkey -in key.pem -check -noout");
    assert!(checked.contains("Key is valid"), "{checked}");
}

#[test]
fn a_proof_is_as_openssl_reads_certificates() {
    let files = Files::create();
    let key = Key::draw(fill).expect("bytes by chance");
    for (identifier, written) in [
        ("www.example.org", "DNS:www.example.org"),
        ("2001:db8::1", "IP Address:2001:DB8:0:0:0:0:0:1"),
    ] {
        let made = proof(&name(identifier), AUTHORIZATION, &key, NOW);
        let (certificate, pem) = made.expect("a proof");
        files.add("proof.pem", &certificate);
        let text = openssl(&files, "x509 -in proof.pem -noout -text");
        assert!(text.contains(written), "{text}");
        assert!(text.contains("1.3.6.1.5.5.7.1.31: critical"), "{text}");
        let verified = openssl(
            &files,
            "verify -check_ss_sig -attime 1767225600 -ignore_critical -trusted proof.pem proof.pem",
        );
        assert!(verified.contains("proof.pem: OK"), "{verified}");
        for provider in [Provider::Ring, Provider::RustCrypto] {
            let identity = Identity::from_pem(certificate.as_bytes(), pem.as_bytes(), provider);
            assert!(identity.expect("a pair").warnings(NOW).is_empty());
        }
    }
}

#[test]
fn openssl_opens_what_is_sealed_and_seals_what_is_opened() {
    let files = Files::create();
    files.add("secret", SECRET);
    for plain in keys(&files) {
        files.add("plain.pem", &plain);
        let sealed = sealed::seal(&plain, SECRET, fill).expect("a key");
        files.add("sealed.pem", sealed);
        let opened = openssl(&files, "pkey -in sealed.pem -passin file:secret");
        assert!(opened == plain, "another key");
        let theirs = openssl(
            &files,
            "pkcs8 -topk8 -v2 aes-256-cbc -in plain.pem -passout file:secret",
        );
        assert!(sealed::is_sealed(&theirs));
        let opened = sealed::open(&theirs, Some(SECRET)).expect("the same secret");
        assert!(*opened == plain, "another key");
    }
}

#[test]
fn a_key_of_each_kind_that_was_sealed_serves_with_either_provider() {
    let files = Files::create();
    for plain in keys(&files) {
        files.add("plain.pem", &plain);
        let certificate = openssl(
            &files,
            "req -x509 -new -key plain.pem -subj /CN=a -days 2 -addext subjectAltName=DNS:a.example",
        );
        let sealed = sealed::seal(&plain, SECRET, fill).expect("a key");
        let key = sealed::open(&sealed, Some(SECRET)).expect("the same secret");
        for provider in [Provider::Ring, Provider::RustCrypto] {
            let made =
                |key: &str| Identity::from_pem(certificate.as_bytes(), key.as_bytes(), provider);
            made(&key).expect("the key is the certificate's");
            assert!(
                made(&sealed).is_err(),
                "a key is of no use while it is sealed"
            );
        }
    }
}

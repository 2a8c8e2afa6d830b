//! Certificates and keys that cannot be used say why.

use std::string::{String, ToString};
use std::vec::Vec;

use super::{NOW, PROVIDERS, fixture, identity};
use crate::identity::PemText;
use crate::{Identity, IdentityError, IdentityWarning};

fn text(name: &str) -> String {
    String::from_utf8(fixture(name)).unwrap()
}

fn check(certificates: &str, key: &str, expect: &IdentityError, says: &str) {
    for provider in PROVIDERS {
        let error =
            Identity::from_pem(certificates.as_bytes(), key.as_bytes(), provider).unwrap_err();
        assert_eq!(&error, expect, "{provider}");
        let message = error.to_string();
        assert!(message.contains(says), "{message:?} does not say {says:?}");
        for line in key.lines().filter(|line| line.len() == 64) {
            assert!(!message.contains(line), "the key is in the message");
        }
    }
}

#[test]
fn every_fault_has_its_error() {
    let (certificate, key) = (text("test-p256.pem"), text("test-p256.key"));
    let no_certificate = |holds_key| IdentityError::NoCertificate { holds_key };
    check("", &key, &no_certificate(false), "holds no certificate");
    check("hello", &key, &no_certificate(false), "BEGIN CERTIFICATE");
    check(&key, &certificate, &no_certificate(true), "exchanged");
    let no_key = |holds_certificate| IdentityError::NoKey { holds_certificate };
    check(&certificate, "", &no_key(false), "holds no private key");
    check(&certificate, &certificate, &no_key(true), "exchanged");
    let two = key.clone() + &text("test-p384.key");
    let several = IdentityError::SeveralKeys { count: 2 };
    check(&certificate, &two, &several, "2 private keys");
    for encrypted in [
        "test-p256-encrypted.key",
        "test-rsa2048-encrypted-pkcs1.key",
    ] {
        let key = text(encrypted);
        check(
            &certificate,
            &key,
            &IdentityError::EncryptedKey,
            "openssl pkey",
        );
    }
    for other in [
        "test-p384.key",
        "test-rsa2048.key",
        "test-ed25519.key",
        "test-ca.key",
    ] {
        let key = text(other);
        check(
            &certificate,
            &key,
            &IdentityError::Mismatch,
            "does not belong",
        );
    }
    let rsa = text("test-rsa2048.pem");
    check(
        &rsa,
        &text("test-rsa3072.key"),
        &IdentityError::Mismatch,
        "does not belong",
    );
    let short = IdentityError::RsaLength { bits: 1024 };
    check(
        &text("test-rsa1024.pem"),
        &text("test-rsa1024.key"),
        &short,
        "1024 bits",
    );
    let kind = IdentityError::CertificateKeyKind;
    check(
        &text("test-p521.pem"),
        &text("test-p521.key"),
        &kind,
        "P-256",
    );
    check(
        &certificate,
        &text("test-p521.key"),
        &IdentityError::Key,
        "P-256",
    );
}

#[test]
fn damage_is_named_by_its_line() {
    let (certificate, key) = (text("test-p256.pem"), text("test-p256.key"));
    let damaged = |text, line| IdentityError::Pem { text, line };
    let mut lines: Vec<String> = certificate.lines().map(str::to_string).collect();
    lines[3].replace_range(10..11, "!");
    let expect = damaged(PemText::Certificates, Some(4));
    check(
        &lines.join("\n"),
        &key,
        &expect,
        "certificate text is damaged in line 4",
    );

    let cut = key.lines().take(2).collect::<Vec<_>>().join("\n");
    let expect = damaged(PemText::Key, Some(2));
    check(&certificate, &cut, &expect, "key text is damaged in line 2");

    let windows = certificate.replace('\n', "\r\n");
    Identity::from_pem(windows.as_bytes(), key.as_bytes(), PROVIDERS[0]).unwrap();
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let nonsense = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    for provider in PROVIDERS {
        let error = Identity::from_pem(nonsense.as_bytes(), &fixture("test-p256.key"), provider)
            .unwrap_err();
        assert!(
            matches!(error, IdentityError::Certificate { .. }),
            "{error}"
        );
    }
}

#[test]
fn certificate_and_key_may_be_one_text_in_any_order() {
    let (certificate, key) = (text("test-p256.pem"), text("test-p256.key"));
    for both in [
        certificate.clone() + &key,
        key + &certificate + &text("test-ca.pem"),
    ] {
        for provider in PROVIDERS {
            Identity::from_pem(both.as_bytes(), both.as_bytes(), provider).unwrap();
        }
    }
}

#[test]
fn wrong_dates_and_old_versions_warn_only() {
    for provider in PROVIDERS {
        let good = identity("test-p256.pem", "test-p256.key", provider);
        assert_eq!(good.warnings(NOW), []);
        let late = good.warnings(NOW + 200 * 365 * 86_400);
        assert!(matches!(late[..], [IdentityWarning::Expired { .. }]));
        assert!(
            late[0]
                .to_string()
                .starts_with("the certificate expired on 21")
        );
        let early = good.warnings(0);
        assert!(matches!(early[..], [IdentityWarning::NotYetValid { .. }]));
        assert!(
            early[0].to_string().contains("not valid before 20"),
            "{}",
            early[0]
        );
        let old = identity("test-p256-v1.pem", "test-p256.key", provider).warnings(NOW);
        assert_eq!(old, [IdentityWarning::OldVersion { version: 1 }]);
    }
}

//! Keys that openssl(1) has encrypted, and keys that were encrypted here.

use super::*;
use alloc::format;
use alloc::string::ToString;

/// Of openssl(1), as the others that it has encrypted.
const PLAIN_KEY: &str = include_str!("plain.pem");
const SEALED: &str = include_str!("openssl.pem");
const SECRET: &[u8] = b"a store key of many bytes";

fn sealed() -> String {
    let mut next = 0;
    seal(PLAIN_KEY, SECRET, |bytes| {
        next += 1;
        bytes.fill(next);
    })
    .unwrap()
}

#[test]
fn a_key_comes_back_as_it_was() {
    let text = sealed();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert!(text.ends_with("-----END ENCRYPTED PRIVATE KEY-----\n"));
    assert_eq!(*open(&text, Some(SECRET)).unwrap(), PLAIN_KEY);
    // Encrypted once is enough.
    assert_eq!(seal(&text, SECRET, |_| panic!("no salt")).unwrap(), text);
    let other = seal(PLAIN_KEY, SECRET, |bytes| bytes.fill(9)).unwrap();
    assert_ne!(other, text);
}

#[test]
fn a_key_that_openssl_has_encrypted_is_opened() {
    assert_eq!(*open(SEALED, Some(SECRET)).unwrap(), PLAIN_KEY);
    let folded = SEALED.replace('\n', "\r\n");
    assert_eq!(
        *open(&format!("Bag Attributes\n{folded}"), Some(SECRET)).unwrap(),
        PLAIN_KEY
    );
}

#[test]
fn a_key_in_the_clear_stays_as_it_is() {
    for secret in [None, Some(SECRET)] {
        assert_eq!(*open(PLAIN_KEY, secret).unwrap(), PLAIN_KEY);
        assert_eq!(*open("", secret).unwrap(), "");
    }
}

#[test]
fn what_cannot_be_encrypted_is_refused() {
    let seal = |key, secret| seal(key, secret, |bytes| bytes.fill(1));
    assert_eq!(seal(PLAIN_KEY, &[7; 15]), Err(SealError::Short));
    assert!(seal(PLAIN_KEY, &[7; 16]).is_ok());
    let other = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";
    let empty = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    let half = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END CERTIFICATE-----\n";
    for text in ["", other, empty, half, "-----BEGIN PRIVATE KEY-----\nMAA="] {
        assert_eq!(seal(text, SECRET), Err(SealError::NoKey), "{text}");
    }
}

#[test]
fn what_cannot_be_decrypted_is_refused() {
    fn open(key: &str, secret: Option<&[u8]>) -> SealError {
        super::open(key, secret).unwrap_err()
    }
    let secret = Some(SECRET);
    assert_eq!(open(SEALED, None), SealError::NoSecret);
    // Not from 0: HMAC takes a key with zeros behind it for the key (RFC 2104 §2).
    for end in 1..=255 {
        let wrong = [SECRET, &[end]].concat();
        assert_eq!(open(SEALED, Some(&wrong)), SealError::Wrong);
    }
    for (text, expected) in [
        (include_str!("rounds.pem"), SealError::Rounds(1_000_000)),
        (include_str!("scrypt.pem"), SealError::Unknown),
        (include_str!("aes-128.pem"), SealError::Unknown),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", SealError::NoKey),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----",
            SealError::Unknown,
        ),
    ] {
        assert_eq!(open(text, secret), expected);
        assert!(!expected.to_string().contains("a store key"));
    }
}

#[test]
fn damage_comes_to_an_error_or_to_some_key() {
    let text = sealed();
    let mut errors = 0;
    for at in 0..text.len() {
        let mut damaged = text.clone().into_bytes();
        damaged[at] ^= 1;
        let damaged = String::from_utf8(damaged).unwrap();
        match open(&damaged, Some(SECRET)) {
            Ok(plain) if is_sealed(&damaged) => {
                let plain = section(&plain, PLAIN).unwrap();
                assert!(PrivateKeyInfo::from_der(&plain).is_ok());
            }
            Ok(plain) => assert_eq!(*plain, damaged),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > text.len() / 2, "{errors}");
}

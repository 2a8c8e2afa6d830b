//! What a check on the host finds.

use std::string::ToString;

use config::archive::Builder;

use super::*;

/// 2027-01-15, when certificates made now are valid.
const NOW: u64 = 1_800_000_000;

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_check_finds_what_an_image_would_end_with() {
    const LINE: &[u8] = b"--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --conf=file:c.conf";
    let (chain, key) = certificate();
    let (_, other) = certificate();
    let conf = "[a]\naccept = 443\nconnect = 80\ncert = cert.pem\nkey = key.pem\n";
    let checked = |key: &str| {
        let mut builder = Builder::new();
        for (name, text) in [("c.conf", conf), ("cert.pem", &chain), ("key.pem", key)] {
            builder.file(name, text.as_bytes()).unwrap();
        }
        check(LINE, Some(&builder.finish()), NOW)
    };
    assert_eq!(checked(&key), Ok(()));
    let errors = checked(&other).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("c.conf:5: "), "{errors:?}");
    assert!(errors[0].contains("does not belong"), "{errors:?}");
}

#[test]
fn a_check_finds_what_is_wrong_with_the_command_line() {
    let errors = check(b"--what", None, NOW).unwrap_err();
    assert!(
        errors.iter().any(|error| error.contains("--what")),
        "{errors:?}"
    );
    let errors = check(b"--cert=base64:QUJD --key=base64:QUJD", None, NOW).unwrap_err();
    assert!(
        errors.iter().any(|error| error.contains("--cert")),
        "{errors:?}"
    );
}

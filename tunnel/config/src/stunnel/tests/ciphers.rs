//! Cipher lists: what OpenSSL 3.0 makes of the same ones.

use super::*;
use crate::stunnel::ciphers::{select, select_tls13};

/// Lists, and what `openssl ciphers -v -psk -s -tls1_2 LIST` says of them, cut down to the suites
/// that there are here: E and R for ECDSA and RSA, 128 and 256 for AES-GCM, CHA for ChaCha20; psk
/// when there are suites with pre-shared keys. Nothing: there is none.
#[rustfmt::skip]
const LISTS: &[(&str, &str)] = &[
    ("HIGH:!aNULL:!SSLv2:!DH:!kDHEPSK", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("DEFAULT", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("DEFAULT:!AES256", "ECHA RCHA E128 R128 +psk"),
    ("DEFAULT:+AES256", "ECHA RCHA E128 R128 E256 R256 +psk"),
    ("DEFAULT@STRENGTH", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("ALL", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("ALL:!PSK", "E256 R256 ECHA RCHA E128 R128"),
    ("HIGH", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("HIGH:!aNULL:!MD5", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("HIGH:MEDIUM:!aNULL:!PSK", "E256 R256 ECHA RCHA E128 R128"),
    ("MEDIUM:HIGH", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("TLSv1.2", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("TLSv1.2:!PSK", "E256 R256 ECHA RCHA E128 R128"),
    ("TLSv1.2+HIGH", "E256 R256 ECHA RCHA E128 R128 +psk"),
    ("ECDHE", "E256 R256 ECHA RCHA E128 R128"),
    ("ECDH", "E256 R256 ECHA RCHA E128 R128"),
    ("EECDH", "E256 R256 ECHA RCHA E128 R128"),
    ("kECDHE", "E256 R256 ECHA RCHA E128 R128"),
    ("kEECDH", "E256 R256 ECHA RCHA E128 R128"),
    ("ECDHE+AESGCM", "E256 R256 E128 R128"),
    ("EECDH+AESGCM:EDH+AESGCM", "E256 R256 E128 R128"),
    ("ECDHE+CHACHA20:ECDHE+AESGCM", "ECHA RCHA E256 R256 E128 R128"),
    ("EECDH+ECDSA+AESGCM:EECDH+aRSA+AESGCM:!RC4", "E256 E128 R256 R128"),
    ("ECDHE+AES128:ECDHE+AES256", "E128 R128 E256 R256"),
    ("AESGCM", "E256 R256 E128 R128 +psk"),
    ("AESGCM:!PSK", "E256 R256 E128 R128"),
    ("CHACHA20", "ECHA RCHA +psk"),
    ("CHACHA20:!PSK", "ECHA RCHA"),
    ("AES128:!PSK", "E128 R128"),
    ("AES128:@STRENGTH", "E128 R128 +psk"),
    ("AES128:AES256:!PSK", "E128 R128 E256 R256"),
    ("AES128:AES256:@STRENGTH:!PSK", "E256 R256 E128 R128"),
    ("aRSA", "R256 RCHA R128 +psk"),
    ("aECDSA", "E256 ECHA E128"),
    ("ECDSA", "E256 ECHA E128"),
    ("ECDSA:aRSA:!PSK", "E256 ECHA E128 R256 RCHA R128"),
    ("kRSA:ECDHE", "E256 R256 ECHA RCHA E128 R128"),
    ("RSA:!kRSA:ECDHE", "E256 R256 ECHA RCHA E128 R128"),
    ("FIPS:!PSK", "E256 R256 E128 R128"),
    ("SUITEB128", "E128 E256"),
    ("SUITEB128ONLY", "E128"),
    ("SUITEB192", "E256"),
    ("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", "R256 R128"),
    ("ECDHE-RSA-AES128-GCM-SHA256,ECDHE-ECDSA-AES128-GCM-SHA256;CHACHA20 -PSK", "R128 E128 ECHA RCHA"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384", "E128 R128 E256 R256 ECHA RCHA"),
    ("HIGH:!PSK:+AES256", "ECHA RCHA E128 R128 E256 R256"),
    ("HIGH:!PSK:+aECDSA:+AES256", "RCHA R128 ECHA E128 R256 E256"),
    ("HIGH:-AES256:!PSK:HIGH", "ECHA RCHA E128 R128 E256 R256"),
    ("HIGH:-AES256:-CHACHA20:!PSK:CHACHA20:AES256", "E128 R128 ECHA RCHA E256 R256"),
    ("HIGH:!AES256:AES256:!PSK", "ECHA RCHA E128 R128"),
    ("HIGH:-aRSA:!PSK:aRSA:@STRENGTH", "E256 ECHA R256 RCHA E128 R128"),
    ("FOO:ECDHE+AESGCM:BAR+AES", "E256 R256 E128 R128"),
    ("ECDHE+FOO:CHACHA20:!PSK", "ECHA RCHA"),
    ("!aRSA:ECDHE", "E256 ECHA E128"),
    ("ALL:!ECDHE:!PSK:@SECLEVEL=2:AES", ""),
    ("ALL:!aNULL:!eNULL:!LOW:!EXP:RC4+RSA:+HIGH:+MEDIUM:!PSK", "E256 R256 ECHA RCHA E128 R128"),
    ("@STRENGTH:HIGH:!PSK", "E256 R256 ECHA RCHA E128 R128"),
    ("HIGH:+CHACHA20:!PSK", "E256 R256 E128 R128 ECHA RCHA"),
    ("ECDHE:!AESCCM:!AESCCM8:!ARIA:!CAMELLIA:!SHA1:!SHA256:!SHA384", "E256 R256 ECHA RCHA E128 R128"),
    ("!PSK:TLSv1.2:@SECLEVEL=2", "E256 R256 ECHA RCHA E128 R128"),
    ("COMPLEMENTOFDEFAULT:CHACHA20:!PSK", "ECHA RCHA"),
    ("ALL:COMPLEMENTOFALL:!PSK", "E256 R256 ECHA RCHA E128 R128"),
    ("PSK", "psk"),
    ("kPSK", "psk"),
    ("aPSK", "psk"),
    ("kECDHEPSK", "psk"),
    ("kDHEPSK", "psk"),
    ("kRSAPSK", "psk"),
    ("PSK+AES256", "psk"),
    ("PSK-AES256-GCM-SHA384", "psk"),
    ("ECDHE-PSK-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256", "R128 +psk"),
    ("SHA256", "psk"),
    ("SHA384", "psk"),
    ("SHA1", "psk"),
    ("AES:!ECDHE", "psk"),
    ("kDHE", ""),
    ("RC4", ""),
    ("FOO", ""),
    ("", ""),
    ("MEDIUM", ""),
    ("ALL:!ALL", ""),
    ("aNULL", ""),
    ("DHE-RSA-AES256-GCM-SHA384", ""),
    ("AES256-SHA:AES128-SHA", ""),
    ("SSLv3", "psk"),
    ("TLSv1", "psk"),
    ("HIGH:-ALL:ECDHE+AESGCM", "E256 R256 E128 R128"),
];

fn short(suite: Suite) -> &'static str {
    match suite {
        Suite::EcdheEcdsaAes128GcmSha256 => "E128",
        Suite::EcdheEcdsaAes256GcmSha384 => "E256",
        Suite::EcdheEcdsaChacha20Poly1305Sha256 => "ECHA",
        Suite::EcdheRsaAes128GcmSha256 => "R128",
        Suite::EcdheRsaAes256GcmSha384 => "R256",
        Suite::EcdheRsaChacha20Poly1305Sha256 => "RCHA",
        _ => "of TLS 1.3",
    }
}

#[test]
fn lists_mean_what_they_mean_to_openssl() {
    for (list, expected) in LISTS {
        let found = match select(list) {
            Ok(selection) => {
                let suites: Vec<_> = selection.suites.iter().map(|suite| short(*suite)).collect();
                let psk = match (selection.psk, suites.is_empty()) {
                    (true, false) => " +psk",
                    (true, true) => "psk",
                    (false, _) => "",
                };
                suites.join(" ") + psk
            }
            Err(_) => String::new(),
        };
        assert_eq!(found, *expected, "{list}");
    }
}

#[test]
fn names_that_select_nothing_are_listed() {
    let missing = |list| select(list).unwrap().missing;
    assert_eq!(missing("HIGH:!FOO:-BAR:+BAZ:@SECLEVEL=2"), [""; 0]);
    assert_eq!(
        missing("AES128-SHA:HIGH:kRSA+AES:FOO"),
        ["\"AES128-SHA\"", "\"kRSA+AES\"", "\"FOO\""]
    );
}

#[test]
fn commands_are_strength_and_levels_up_to_2() {
    for list in [
        "HIGH:@STRENGTHS",
        "@",
        "HIGH:@SECLEVEL=3",
        "@STRENGTH=:HIGH",
    ] {
        let error = select(list).unwrap_err();
        assert!(error.starts_with("invalid command: @"), "{list}: {error}");
    }
    assert!(select("DEFAULT@SECLEVEL=1").is_ok());
}

#[test]
fn the_suites_of_tls_1_3_are_named_by_iana() {
    let (suites, missing) = select_tls13(
        "TLS_CHACHA20_POLY1305_SHA256::TLS_AES_256_GCM_SHA384:X:TLS_AES_256_GCM_SHA384",
    )
    .unwrap();
    assert_eq!(
        suites,
        [Suite::Chacha20Poly1305Sha256, Suite::Aes256GcmSha384]
    );
    assert_eq!(missing, ["\"X\""]);
    assert_eq!(select_tls13("").unwrap().0, []);
    assert!(select_tls13("tls_aes_128_gcm_sha256").is_err());
    assert!(select_tls13("TLS_AES_128_CCM_SHA256").is_err());
}

#[test]
fn no_list_is_too_long() {
    let list = "ECDHE+AESGCM:-AES:+X:@STRENGTH,".repeat(500);
    assert!(select(&list).is_err());
    assert_eq!(select(&(list + "CHACHA20")).unwrap().missing, [""; 0]);
    assert_eq!(
        select(&("A:".repeat(500) + "HIGH")).unwrap().missing.len(),
        16
    );
}

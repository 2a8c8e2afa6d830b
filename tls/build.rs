//! Chooses the public roots that the image carries.
//!
//! They judge one server alone: that of an authority which issues certificates by ACME (RFC 8555).
//! All of Mozilla's would be 58 KB, most of them of authorities that offer no such thing; whoever
//! runs another one names its root with `--authority-ca`.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

/// Organisations as the subjects of their roots spell them, and whose directories are below them.
const ORGANISATIONS: [(&str, &str); 8] = [
    ("Internet Security Research Group", "Let's Encrypt"),
    (
        "Google Trust Services LLC",
        "Google; and networks that others' directories are behind",
    ),
    ("GlobalSign", "GlobalSign; by one root Google, too"),
    ("The USERTRUST Network", "Sectigo, and ZeroSSL below it"),
    ("Sectigo Limited", "Sectigo's newer roots"),
    ("SSL Corporation", "SSL.com"),
    ("DigiCert", "DigiCert, \"Inc\" and \", Inc.\""),
    ("Actalis S.p.A.", "Actalis"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let mut text = "&[\n".to_owned();
    let mut found = [0; ORGANISATIONS.len()];
    for root in webpki_roots::TLS_SERVER_ROOTS {
        let is_named = |(name, _): &(&str, &str)| contains(&root.subject, name.as_bytes());
        let Some(place) = ORGANISATIONS.iter().position(is_named) else {
            continue;
        };
        found[place] += 1;
        let constraints = match &root.name_constraints {
            Some(constraints) => format!("Some({})", literal(constraints)),
            None => "None".to_owned(),
        };
        writeln!(
            text,
            "    TrustAnchor {{\n        subject: {},\n        subject_public_key_info: {},\n        \
             name_constraints: {constraints},\n    }},",
            literal(&root.subject),
            literal(&root.subject_public_key_info),
        )
        .expect("a text takes all");
    }
    text += "]\n";
    for ((name, owner), count) in ORGANISATIONS.iter().zip(found) {
        assert!(
            count > 0,
            "webpki-roots has no root of \"{name}\" ({owner}): see whether it has been withdrawn or \
             is spelled differently now, and change the table in tls/build.rs"
        );
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(folder.join("roots.rs"), text).expect("OUT_DIR can be written to");
}

/// Whether a name (RFC 5280 §4.1.2.4, DER) has these characters in it.
fn contains(name: &[u8], value: &[u8]) -> bool {
    name.windows(value.len()).any(|part| part == value)
}

/// DER as an expression.
fn literal(der: &[u8]) -> String {
    format!("Der::from_slice(b\"{}\")", der.escape_ascii())
}

//! Certificates for hosts: those that somebody has, and those that keep a place until there is one.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use stockade_acme::Identifier;
use stockade_acme::renewal::Lifetime;
use stockade_store::host::Pair;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::Result;

/// When a placeholder was valid, before now: long ago enough for any clock.
const VALID: (Duration, Duration) = (Duration::days(10), Duration::days(5));

/// Most characters of a common name (RFC 5280, Appendix A.1, ub-common-name).
const LONGEST_COMMON_NAME: usize = 64;

/// A pair that somebody has, with what is to be said of it.
pub(super) struct Given {
    pub(super) pair: Pair,
    pub(super) lifetime: Lifetime,
    pub(super) warnings: Vec<String>,
}

/// Seconds since 1970, UTC.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A certificate for these names that has expired, which is how the image knows that it is to ask
/// for another.
pub(super) fn placeholder(names: &[Identifier]) -> Result<Pair> {
    let mut params = CertificateParams::default();
    for name in names {
        params.subject_alt_names.push(match name {
            Identifier::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Identifier::Ip(address) => SanType::IpAddress(IpAddr::clone(address)),
        });
    }
    params.distinguished_name = DistinguishedName::new();
    let first = names.first().map(ToString::to_string).unwrap_or_default();
    let common_name = match first.len() <= LONGEST_COMMON_NAME {
        true => first,
        false => "placeholder".to_owned(),
    };
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(now())?)?;
    params.not_before = now - VALID.0;
    params.not_after = now - VALID.1;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Pair {
        chain: vec![certificate.pem()],
        key: key.serialize_pem(),
    })
}

/// Reads a chain and its key out of files, and judges them as the image would.
///
/// # Errors
///
/// They can't be read, or the image would not take them.
pub(super) fn given(certificate: &Path, key: &Path) -> Result<Given> {
    let chain = read(certificate)?;
    let chain = sections(&chain, |label| label == "CERTIFICATE");
    if chain.is_empty() {
        return Err(format!(
            "{}: there is no certificate in PEM in it (-----BEGIN CERTIFICATE-----)",
            certificate.display()
        )
        .into());
    }
    let text = read(key)?;
    let keys = sections(&text, |label| label.ends_with("PRIVATE KEY"));
    let [key_text] = keys.as_slice() else {
        let count = if keys.is_empty() {
            "no"
        } else {
            "more than one"
        };
        return Err(format!(
            "{}: there is {count} private key in PEM in it",
            key.display()
        )
        .into());
    };
    if key_text.contains("ENCRYPTED") {
        return Err(format!(
            "{0}: the key is encrypted; `openssl pkey -in {0}` takes the passphrase off",
            key.display()
        )
        .into());
    }
    let pair = Pair {
        chain,
        key: key_text.clone(),
    };
    let whole = pair.chain.concat();
    let judged = stockade_tunnel::judge(whole.as_bytes(), pair.key.as_bytes(), now());
    let mut warnings = judged
        .map_err(|error| format!("{} with {}: {error}", certificate.display(), key.display()))?;
    let lifetime = Lifetime::of(&whole)
        .ok_or_else(|| format!("{}: it is no certificate", certificate.display()))?;
    if pair.chain.len() == 1 && !lifetime.is_self_issued {
        warnings.push(
            "there is one certificate and not its issuer's behind it: clients may not trust it. The whole \
             chain is often called fullchain.pem"
                .to_owned(),
        );
    }
    Ok(Given {
        pair,
        lifetime,
        warnings,
    })
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Zeroizing::new(text))
}

/// The parts of a PEM file with such labels (RFC 7468), each from its first line to its last one.
fn sections(text: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut part: Option<(String, String)> = None;
    for line in text.lines().map(str::trim_end) {
        let edge = |word: &str| Some(line.strip_prefix(word)?.strip_suffix("-----")?.to_owned());
        if let Some(label) = edge("-----BEGIN ") {
            part = Some((label, String::new()));
        }
        let Some((label, lines)) = &mut part else {
            continue;
        };
        lines.push_str(line);
        lines.push('\n');
        if edge("-----END ").as_ref() == Some(label) {
            if is_wanted(label) {
                found.push(lines.clone());
            }
            part = None;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Identifier> {
        let names = names.iter().map(|name| Identifier::parse(name).unwrap());
        names.collect()
    }

    #[test]
    fn a_placeholder_has_expired_and_is_what_the_image_reads() {
        let long = format!("{}.{}.example", "a".repeat(60), "b".repeat(60));
        for list in [
            &["www.example.org", "example.org"][..],
            &[&long],
            &["192.0.2.1"],
        ] {
            let names = names(list);
            let pair = placeholder(&names).unwrap();
            let lifetime = Lifetime::of(&pair.chain.concat()).unwrap();
            assert!(lifetime.is_self_issued);
            assert!(lifetime.not_after < now());
            assert_eq!(lifetime.names, names);
            let chain = pair.chain.concat();
            let judged = stockade_tunnel::judge(chain.as_bytes(), pair.key.as_bytes(), now());
            let [warning] = &judged.unwrap()[..] else {
                panic!("one warning");
            };
            assert!(
                warning.starts_with("the certificate expired on "),
                "{warning}"
            );
        }
    }

    #[test]
    fn parts_of_pem_are_told_apart() {
        let text = "a\n-----BEGIN A-----\r\nx\r\n-----END A-----\r\n-----BEGIN B-----\ny\n-----END B-----\n\
                    -----BEGIN A-----\nz\n-----END A-----\n-----BEGIN A-----\nno end\n";
        let found = sections(text, |label| label == "A");
        assert_eq!(
            found,
            [
                "-----BEGIN A-----\nx\n-----END A-----\n",
                "-----BEGIN A-----\nz\n-----END A-----\n"
            ]
        );
    }

    #[test]
    fn what_does_not_belong_together_is_refused_without_the_key() {
        let folder = std::env::temp_dir().join(format!("stockade-pairs-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let pairs = [(); 2].map(|()| placeholder(&names(&["a.example"])).unwrap());
        let [one, other] = &pairs;
        let certificate = file("certificate", &one.chain.concat());
        let found = given(&certificate, &file("key", &one.key)).unwrap();
        assert!(found.pair == *one);
        let both = file("both", &format!("{}{}", one.chain.concat(), one.key));
        assert!(given(&both, &both).unwrap().pair == *one);
        let refused = |certificate: &Path, key: &Path, expected: &str| {
            let error = given(certificate, key).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("BEGIN PRIVATE"), "{error}");
        };
        refused(&certificate, &file("other", &other.key), "other: ");
        refused(&certificate, &certificate, "no private key");
        refused(&file("twice", &one.key.repeat(2)), &both, "no certificate");
        refused(
            &certificate,
            &file("twice", &one.key.repeat(2)),
            "more than one",
        );
        let encrypted = one.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
        refused(&certificate, &file("encrypted", &encrypted), "openssl pkey");
        refused(&folder.join("none"), &both, "No such file");
        fs::remove_dir_all(&folder).unwrap();
    }
}

//! Hosts by name: right lines.

use core::time::Duration;

use super::*;
use crate::hosting::{AuthoritySource, HostingSource, KeyKind, PRODUCTION, STAGING, StoreSource};

const STORE: &str = "--remote=git@10.0.0.1:certificates.git#master --ssh-key=file:key.txt";

fn whole(line: &str) -> Config {
    parse(line).unwrap_or_else(|errors| panic!("{line}\n{errors}"))
}

fn hosting(line: &str) -> HostingSource {
    match whole(line).services {
        ServiceSource::Hosting(hosting) => *hosting,
        other => panic!("{line}\n{other:?}"),
    }
}

/// What a line says of the store that [`STORE`] names.
fn store(line: &str) -> StoreSource {
    let hosting = hosting(&format!("{STORE} {line}"));
    hosting.store.unwrap_or_else(|| panic!("{line}"))
}

fn authority(line: &str) -> AuthoritySource {
    let store = store(line);
    store.authority.unwrap_or_else(|| panic!("{line}"))
}

fn inline(text: &str) -> Source {
    Source::Inline(text.as_bytes().to_vec().into())
}

fn port(port: u16) -> Accept {
    Accept { host: None, port }
}

/// What [`STORE`] alone gives.
fn defaults() -> HostingSource {
    HostingSource {
        folder: None,
        default_host: None,
        http: Some(port(80)),
        store: Some(StoreSource {
            remote: "git@10.0.0.1:certificates.git#master".into(),
            ssh_key: Source::Archive("key.txt".into()),
            ssh_host_key: None,
            pass: None,
            notices: port(9418),
            legacy_reload: false,
            poll: Duration::from_secs(300),
            encryption: None,
            authority: Some(AuthoritySource {
                directory: STAGING.into(),
                roots: None,
                email: None,
                profile: None,
                binding: None,
                account_seed: None,
                key: KeyKind::P256,
            }),
        }),
    }
}

#[test]
fn a_store_and_its_key_give_the_defaults() {
    let config = whole(STORE);
    assert_eq!(config.accept, port(443));
    assert_eq!(hosting(STORE), defaults());
    // Hosts have backends of their own: no gateway is needed for them.
    assert_eq!(hosting(&format!("--ipv4=10.0.0.2/24 {STORE}")), defaults());
}

#[test]
fn every_option_is_understood() {
    let line = "--remote=ssh://git@10.0.0.1:2222/srv/c.git --ssh-key=ed25519:AAAA \
                --ssh-host-key=ssh-ed25519:BBBB --pass=foo --production=true --email=a@example.org \
                --authority-ca=file:ca.pem --profile=shortlived --eab=id:a2V5 \
                --account-seed=seed --key-type=rsa3072 --store-key=file:store.key --poll=60 \
                --legacy-reload --reload-port=9419 --http=8080 --default-host=WWW.example.org. \
                --hosts=file:hosts/ --accept=8443 --connect=10.0.0.3:80";
    let expected = HostingSource {
        folder: Some("hosts".into()),
        default_host: Some("www.example.org".into()),
        http: Some(port(8080)),
        store: Some(StoreSource {
            remote: "ssh://git@10.0.0.1:2222/srv/c.git".into(),
            ssh_key: inline("ed25519:AAAA"),
            ssh_host_key: Some(inline("ssh-ed25519:BBBB")),
            pass: Some(inline("foo")),
            notices: port(9419),
            legacy_reload: true,
            poll: Duration::from_secs(60),
            encryption: Some(Source::Archive("store.key".into())),
            authority: Some(AuthoritySource {
                directory: PRODUCTION.into(),
                roots: Some(Source::Archive("ca.pem".into())),
                email: Some("a@example.org".into()),
                profile: Some("shortlived".into()),
                binding: Some(inline("id:a2V5")),
                account_seed: Some(inline("seed")),
                key: KeyKind::Rsa(3072),
            }),
        }),
    };
    assert_eq!(hosting(line), expected);
    assert_eq!(hosting(&line.replace('=', " ")), expected);
    let backwards: Vec<_> = line.split(' ').rev().collect();
    assert_eq!(hosting(&backwards.join(" ")), expected);
    assert_eq!(whole(line).connect.port, 80);
    assert!(holds_secret(line));
    assert_eq!(
        files(line),
        [
            ("--authority-ca", "ca.pem"),
            ("--store-key", "store.key"),
            ("--hosts", "hosts/"),
        ]
    );
}

#[test]
fn contruno_s_own_spellings_work() {
    let line = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 \
                -r git@10.0.0.1:certificates.git#master --pass foo --production false \
                --ssh-seed file:key.txt --certificate-key-type p256";
    let mut expected = defaults();
    if let Some(store) = &mut expected.store {
        store.pass = Some(inline("foo"));
    }
    assert_eq!(hosting(line), expected);
    for option in ["--remote", "--ssh-key", "--key-type", "--pass"] {
        assert!(mentions(line, option), "{option}");
    }
    assert_eq!(files(line), [("--ssh-key", "key.txt")]);
}

#[test]
fn production_is_a_switch() {
    for (line, expected) in [
        ("", STAGING),
        ("--production", PRODUCTION),
        ("--production --email=a@b", PRODUCTION),
        ("--production=true", PRODUCTION),
        ("--production true --email a@b", PRODUCTION),
        ("--production=false", STAGING),
        ("--production false", STAGING),
        ("--production quiet", PRODUCTION),
        ("--authority=https://ca/", "https://ca/"),
        (
            "--authority=https://ca:14000/dir --production false",
            "https://ca:14000/dir",
        ),
    ] {
        assert_eq!(authority(line).directory, expected, "{line}");
    }
}

#[test]
fn nobody_issues_certificates_without_acme() {
    for line in ["--no-acme", "--no-acme --production=false --pass=x"] {
        assert_eq!(store(line).authority, None, "{line}");
    }
}

#[test]
fn texts_come_as_they_are_or_in_base64() {
    for (given, expected) in [
        ("foo", inline("foo")),
        ("base64:Zm9vIGJhcg==", inline("foo bar")),
        ("file:a/b", Source::Archive("a/b".into())),
    ] {
        let pass = store(&format!("--pass={given}")).pass;
        assert_eq!(pass, Some(expected.clone()), "{given}");
        let key = store(&format!("--store-key {given}")).encryption;
        assert_eq!(key, Some(expected), "{given}");
    }
    assert_eq!(
        authority("--email=mailto:a@b.c").email.as_deref(),
        Some("a@b.c")
    );
}

#[test]
fn http_goes_where_https_does() {
    let own = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --accept=10.0.0.2:443";
    let at = |port| Accept {
        host: Some(address("10.0.0.2")),
        port,
    };
    for (line, expected) in [
        ("", Some(port(80))),
        ("--http=none", None),
        ("--http none", None),
        ("--http=81", Some(port(81))),
        (own, Some(at(80))),
        (&format!("{own} --http=10.0.0.2:81"), Some(at(81))),
        (&format!("{own} --http=81"), Some(port(81))),
        // Nothing is listened on where nobody may say anything.
        ("--http=9418", Some(port(9418))),
    ] {
        assert_eq!(hosting(&format!("{STORE} {line}")).http, expected, "{line}");
    }
    assert_eq!(store(&format!("{own} --pass=x")).notices, at(9418));
}

#[test]
fn a_folder_needs_no_store() {
    let hosting = hosting("--hosts=file:hosts");
    assert_eq!(hosting.folder.as_deref(), Some("hosts"));
    assert_eq!((hosting.store, hosting.http), (None, Some(port(80))));
}

#[test]
fn debug_shows_no_secret() {
    let line = format!(
        "--remote=git@h:p --ssh-key=ed25519:Tm8ga2V5 --pass=Tm8ga2V5 --eab=id:Tm8ga2V5 \
         --account-seed=base64:{} --store-key=Tm8ga2V5",
        base64("Tm8ga2V5")
    );
    let shown = format!("{:?}", parse(&line).unwrap());
    assert!(shown.contains("git@h:p"), "{shown}");
    for secret in ["Tm8", "84, 109, 56"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

//! What the options must be.

use super::*;

fn authority() -> Authority {
    Authority {
        directory: PRODUCTION.into(),
        roots: None,
        email: Some("admin@example.org".into()),
        profile: None,
        binding: Some(("key-1".into(), Zeroizing::new("c2VjcmV0".into()))),
        account_seed: None,
        key: KeyKind::P256,
    }
}

#[test]
fn options_that_can_be_used_are_read() {
    let mut hosting = hosting();
    hosting.default_host = Some("www.example.org".into());
    let store = hosting.store.as_mut().unwrap();
    store.authority = Some(Authority {
        roots: Some(b"PEM".to_vec()),
        ..authority()
    });
    let mut keeper = Keeper::new(Settings::read(&hosting, &config()).ok().unwrap());
    assert_eq!(keeper.access().remote.host, "10.0.0.1");
    assert_eq!(keeper.roots(), Some(&b"PEM"[..]));
    assert_eq!(keeper.limits(), store::git::Limits::default());
    let sites = keeper.sites().unwrap();
    assert_eq!(sites.default_host.as_deref(), Some("www.example.org"));
    assert_eq!(sites.https.map(|accept| accept.port), Some(443));
    assert_eq!(sites.http.map(|accept| accept.port), Some(HTTP_PORT));
    assert_eq!(
        sites.notices.map(|notices| notices.accept.port),
        Some(NOTICES_PORT)
    );
}

#[test]
fn every_option_that_can_t_be_used_is_named_and_no_secret_told() {
    let mut hosting = hosting();
    let store = hosting.store.as_mut().unwrap();
    store.remote = "nowhere".into();
    store.ssh_key = Zeroizing::new("ed25519:hunter2".into());
    store.ssh_host_key = Some("ssh-rsa AAAA".into());
    store.authority = Some(Authority {
        directory: "http://example.org".into(),
        email: Some("nobody".into()),
        binding: Some(("key-1".into(), Zeroizing::new("hunter2!".into()))),
        ..authority()
    });
    let errors = Settings::read(&hosting, &config()).err().unwrap();
    let options: Vec<&str> = errors
        .iter()
        .filter_map(|error| error.split(": ").next())
        .collect();
    let expected = [
        "--remote",
        "--ssh-key",
        "--ssh-host-key",
        "--authority",
        "--eab",
        "--email",
    ];
    assert_eq!(options, expected);
    assert!(!errors.iter().any(|error| error.contains("hunter2")));
    hosting.store = None;
    let errors = Settings::read(&hosting, &config()).err().unwrap();
    assert!(errors[0].starts_with("--remote: "));
}

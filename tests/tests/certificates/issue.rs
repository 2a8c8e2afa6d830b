//! Certificates that are issued for hosts which have none.

use std::collections::BTreeSet;

use serde_json::Value;
use stockade_tests::peers::acme::{Caddy, Pebble};
use stockade_tests::stunnel::files::Files;
use stockade_tests::wait_until;

use crate::contruno;
use crate::setting::{Kind, PASS, Scene, Tunnel, WWW, stockade};

/// From an empty repository to a page; then, from nothing but the repository, at once.
fn the_story(kind: Kind) {
    let key = stockade(&["keygen"]);
    let authorized = key.lines().find(|line| line.contains("ssh-ed25519 "));
    let authorized = authorized.expect("a line for authorized_keys");
    let (_, authorized) = authorized.split_at(authorized.find("ssh-").expect("found above"));
    let scene = Scene::with_key(kind, &key, &format!("{authorized}\n"));
    let mut pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let scene = scene
        .authority(&pebble)
        .option("--email=admin@example.org --production false");
    let tunnel = scene.start();
    scene.tell_of_hosts(0);
    let files = Files::create();
    let file = |name: &str, text: &str| format!("file:{}", files.add(name, text));
    let words = [
        "--remote",
        &scene.repository.remote(),
        "--ssh-key",
        &file("key.txt", &key),
        "--ssh-host-key",
        &file(
            "host-key.txt",
            &scene.repository.host_key().replace(':', " "),
        ),
    ];
    let backend = scene.backend.address().to_string();
    let told = [
        "--pass",
        &file("pass.txt", PASS),
        "--target",
        &scene.tap.guest().to_string(),
    ];
    let host = ["add", "--hostname", WWW, "--ip", &backend];
    stockade(&[&host[..], &words, &told].concat());
    let list = stockade(&[&["list"], &words[..]].concat());
    assert!(list.contains(WWW) && list.contains(&backend), "{list}");
    let shown = scene.wait_for_host(&pebble.root, WWW);
    scene.expect_page(&pebble.root, WWW);
    // Pushed, in the form in which it came.
    let file = wait_until(stockade_tests::PATIENCE, || {
        // What was added had expired.
        let is_issued = |file: &String| contruno::issuer(file).contains("Pebble");
        scene.repository.file(WWW).filter(is_issued)
    });
    let host = contruno::Host::read(&file.expect("the certificate is pushed"));
    assert_eq!(host.backend, scene.backend.address());
    scene.repository.check();
    let subjects = scene.repository.commits();
    assert_eq!(subjects.len(), 2, "{subjects:#?}");
    no_secrets(&tunnel, &scene, &host);

    // The authority is gone, and so is all that the tunnel knew.
    drop(tunnel);
    pebble.down();
    let head = scene.repository.head();
    let tunnel = scene.start();
    let again = scene.wait_for_host(&pebble.root, WWW);
    assert_eq!(again, shown);
    scene.expect_page(&pebble.root, WWW);
    assert_eq!(scene.repository.head(), head);
    drop(tunnel);
    scene.repository.check();
}

/// No line of the log has a key or a pass in it.
fn no_secrets(tunnel: &Tunnel, scene: &Scene, host: &contruno::Host) {
    let log = tunnel.log();
    let (_, seed) = scene.ssh_key().split_once("ed25519:").expect("a seed");
    let seed = seed.split_whitespace().next().expect("a seed");
    for secret in [PASS, seed] {
        assert!(!log.contains(secret), "{log}");
    }
    for line in host.keys().iter().flat_map(|key| key.lines()) {
        assert!(!log.contains(line), "{log}");
    }
}

#[test]
fn the_story_hosted() {
    the_story(Kind::Hosted);
}

#[test]
fn the_story_booted() {
    the_story(Kind::Booted);
}

/// Each of three hosts that come in one push has a certificate and a key of its own, by one account.
#[test]
fn three_hosts_at_once() {
    let scene = Scene::new(Kind::Hosted);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let scene = scene.authority(&pebble).option("--poll=1");
    let names = ["a.example", "b.example", "c.example"];
    let files = names.map(|name| scene.placeholder(name).to_string());
    let changes: Vec<_> = names
        .iter()
        .zip(&files)
        .map(|(name, file)| (*name, Some(file.as_str())))
        .collect();
    scene.repository.change(&changes, "Three hosts");
    let _tunnel = scene.start();
    let mut keys = BTreeSet::new();
    for name in names {
        scene.wait_for_host(&pebble.root, name);
        scene.expect_page(&pebble.root, name);
        let file = pushed(&scene, name, &changes);
        keys.extend(contruno::Host::read(&file).keys());
    }
    assert_eq!(keys.len(), 3);
    assert!(pebble.log().contains("There are now 1 accounts"));
    assert!(!pebble.log().contains("There are now 2 accounts"));
    scene.repository.check();
}

/// A host's file once it is another one than was pushed.
fn pushed(scene: &Scene, name: &str, changes: &[(&str, Option<&str>)]) -> String {
    let (_, before) = changes
        .iter()
        .find(|(known, _)| *known == name)
        .expect("pushed");
    let file = wait_until(stockade_tests::PATIENCE, || {
        let file = scene.repository.file(name)?;
        (Some(file.as_str()) != *before).then_some(file)
    });
    file.unwrap_or_else(|| panic!("nothing is pushed for {name}"))
}

/// Puts a host without a certificate into the store, with these fields besides.
fn put(scene: &Scene, name: &str, fields: &[(&str, Value)]) {
    let mut file = scene.placeholder(name);
    for (field, value) in fields {
        file[field] = value.clone();
    }
    scene
        .repository
        .change(&[(name, Some(&file.to_string()))], "A host");
}

/// One certificate for all names of a host, which are all served.
#[test]
fn several_names() {
    let scene = Scene::new(Kind::Hosted);
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let scene = scene.authority(&pebble);
    let names = serde_json::json!(["example.org", "ftp.example.org"]);
    put(&scene, WWW, &[("names", names)]);
    let _tunnel = scene.start();
    let shown = scene.wait_for_host(&pebble.root, WWW);
    for name in ["example.org", "ftp.example.org"] {
        assert_eq!(scene.wait_for_host(&pebble.root, name), shown);
        scene.expect_page(&pebble.root, name);
    }
    scene.repository.check();
}

/// Where HTTP is not answered, names are proven over TLS (RFC 8737).
#[test]
fn without_http() {
    let scene = Scene::new(Kind::Hosted).option("--http=none");
    let pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let scene = scene.authority(&pebble);
    put(&scene, WWW, &[]);
    let _tunnel = scene.start();
    scene.wait_for_host(&pebble.root, WWW);
    scene.expect_page(&pebble.root, WWW);
    assert!(stockade_tests::client::tcp(scene.server(80)).is_err());
    scene.repository.check();
}

/// An authority that takes no account but those that are bound to one it knows (RFC 8555 §7.3.4).
#[test]
fn a_bound_account() {
    let scene = Scene::new(Kind::Hosted);
    let mut pebble = Pebble::new(scene.tap.guest());
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    pebble.binding = Some(("our-account".to_owned(), key.to_owned()));
    let pebble = pebble.start(scene.tap.host());
    let scene = scene
        .authority(&pebble)
        .option("--eab=file:binding.txt")
        .file("binding.txt", &format!("our-account:{key}\n"));
    put(&scene, WWW, &[]);
    let tunnel = scene.start();
    scene.wait_for_host(&pebble.root, WWW);
    assert!(!tunnel.log().contains(key));
}

/// Another authority, of another make.
#[test]
fn by_caddy() {
    let scene = Scene::new(Kind::Hosted);
    let names = vec![(WWW.to_owned(), scene.tap.guest())];
    let caddy = Caddy { names }.start(scene.tap.host());
    let scene = scene.authority(&caddy);
    put(&scene, WWW, &[]);
    let _tunnel = scene.start();
    scene.wait_for_host(&caddy.root, WWW);
    scene.expect_page(&caddy.root, WWW);
    scene.repository.check();
}

/// What a host's keys are encrypted with never is in the store, and what is in the store opens with
/// it alone; the tunnel itself serves on from it after a reboot.
#[test]
fn encrypted_keys() {
    let scene = Scene::new(Kind::Hosted)
        .option("--store-key=file:store-key.txt")
        .file("store-key.txt", "nobody guesses this\n");
    let mut pebble = Pebble::new(scene.tap.guest()).start(scene.tap.host());
    let scene = scene.authority(&pebble);
    let before = scene.placeholder(WWW).to_string();
    let changes = [(WWW, Some(before.as_str()))];
    scene.repository.change(&changes, "A host");
    let tunnel = scene.start();
    let shown = scene.wait_for_host(&pebble.root, WWW);
    let file: Value = serde_json::from_str(&pushed(&scene, WWW, &changes)).expect("JSON");
    let key = file["own_cert"][1].as_str().expect("a pair");
    assert!(
        key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "no"
    );
    assert!(contruno::opens(key, "nobody guesses this"));
    assert!(!contruno::opens(key, "somebody does"));
    drop(tunnel);
    pebble.down();
    let _tunnel = scene.start();
    assert_eq!(scene.wait_for_host(&pebble.root, WWW), shown);
}

//! What becomes of a host's file, in stores without a repository.

use std::fs;
use std::path::PathBuf;

use stockade_store::host::{Mode, Pair};
use stockade_store::snapshot::{Change, Snapshot};

use super::*;
use crate::cli::{self, Task};

const HTTP1: Protocols = Protocols {
    http2: false,
    http1: true,
};

/// What options ask for, separated by blanks.
fn wish(options: &str) -> Result<Wish> {
    let words = format!("stockade add -r /nowhere {options}");
    let words = words.split_whitespace().map(Into::into);
    match cli::parse(words)?.command {
        Task::Add(options) => Wish::new(&options, HTTP1),
        _ => panic!("another command"),
    }
}

/// A store with these hosts, each as if by these options.
fn store(hosts: &[&str]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for options in hosts {
        let (change, _) = wish(options).unwrap().apply(&snapshot).unwrap();
        snapshot = with(&snapshot, change);
    }
    snapshot
}

fn with(snapshot: &Snapshot, change: Change) -> Snapshot {
    let person = stockade_store::git::Person {
        name: "Test".into(),
        email: "test@localhost".into(),
    };
    snapshot
        .with(&[change], &person, 0, "Test")
        .unwrap()
        .snapshot
}

/// The host after these options.
fn after(snapshot: &Snapshot, options: &str) -> Host {
    let (change, _) = wish(options).unwrap().apply(snapshot).unwrap();
    Host::parse(&change.content.unwrap()).unwrap()
}

fn refused(snapshot: &Snapshot, options: &str, expected: &str) {
    let refused = wish(options).and_then(|wish| wish.apply(snapshot).map(drop));
    let error = refused.unwrap_err().to_string();
    assert!(error.contains(expected), "{options}: {error}");
}

/// Files with a certificate for names, of this one test.
struct Files(PathBuf);

impl Files {
    fn new(test: &str, names: &[&str]) -> Files {
        let folder = std::env::temp_dir().join(format!("stockade-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let names: Vec<Identifier> = names
            .iter()
            .map(|name| Identifier::parse(name).unwrap())
            .collect();
        let Pair { chain, key } = certificate::placeholder(&names).unwrap();
        fs::write(folder.join("c.pem"), chain.concat()).unwrap();
        fs::write(folder.join("k.pem"), key).unwrap();
        Files(folder)
    }

    fn options(&self) -> String {
        let folder = self.0.display();
        format!("--cert {folder}/c.pem --private-key {folder}/k.pem")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_new_host_has_a_placeholder_for_all_its_names() {
    let options =
        "--hostname WWW.Example.org. --name example.org --name www.example.org --ip 10.0.0.3:40000";
    let (change, found) = wish(options).unwrap().apply(&Snapshot::default()).unwrap();
    assert_eq!(change.name, "www.example.org");
    assert_eq!(found, Found::default());
    let host = Host::parse(&change.content.unwrap()).unwrap();
    assert_eq!(host.names, ["example.org"]);
    assert_eq!(
        (host.port, host.protocols, host.renew),
        (40_000, HTTP1, true)
    );
    let lifetime = Lifetime::of(&host.pairs[0].chain.concat()).unwrap();
    assert!(lifetime.is_self_issued && lifetime.not_after < certificate::now());
    for name in ["www.example.org", "example.org"] {
        assert!(lifetime.covers(&Identifier::parse(name).unwrap()));
    }
    refused(&Snapshot::default(), "--hostname a.example", "--ip");
    refused(
        &Snapshot::default(),
        "--hostname a --ip 10.0.0.3",
        "--hostname",
    );
}

#[test]
fn of_a_host_that_is_there_only_what_is_named_changes() {
    let store = store(&["--hostname a.example --name b.example --ip 10.0.0.3:81 --alpn h2"]);
    let before = Host::parse(store.file("a.example").unwrap()).unwrap();
    let mut expected = before.clone();
    expected.backend = "10.0.0.4".parse().unwrap();
    expected.port = 80;
    assert!(after(&store, "--hostname A.example --ip 10.0.0.4") == expected);
    let mut expected = before.clone();
    expected.protocols = Protocols::ALL;
    assert!(after(&store, "--hostname a.example --alpn http/1.1,h2") == expected);
    let mut expected = before.clone();
    expected.names = vec!["c.example".into()];
    assert!(after(&store, "--hostname a.example --name c.example") == expected);
    let mut expected = before.clone();
    expected.renew = false;
    let changed = after(&store, "--hostname a.example --no-renew");
    assert!(changed.renew || changed == expected);
    let content = Some(changed.to_file());
    let name = "a.example".to_owned();
    let store = with(&store, Change { name, content });
    assert!(after(&store, "--hostname a.example --renew") == before);
}

#[test]
fn a_certificate_takes_the_place_of_the_one_before() {
    let files = Files::new("add-given", &["a.example", "*.b.example"]);
    let given = files.options();
    let store = store(&[
        "--hostname a.example --ip 10.0.0.3",
        "--hostname c.example --ip 10.0.0.3",
    ]);
    let host = after(
        &store,
        &format!("--hostname a.example --name x.b.example {given}"),
    );
    assert_eq!(host.pairs.len(), 1);
    let text = fs::read_to_string(files.0.join("c.pem")).unwrap();
    assert_eq!(host.pairs[0].chain, [text]);
    assert!(host.renew);
    let wildcard = format!("--hostname *.b.example --ip 10.0.0.3 {given}");
    refused(&store, &wildcard, "--no-renew");
    let host = after(&store, &format!("{wildcard} --no-renew"));
    assert!(!host.renew);
    refused(
        &store,
        &format!("--hostname c.example {given}"),
        "not for c.example, but for a.example",
    );
    let other = format!("--hostname a.example --name c.b.x {given}");
    refused(&store, &other, "not for c.b.x");
    refused(
        &store,
        "--hostname d.example --ip 10.0.0.3 --no-renew",
        "--cert",
    );
}

#[test]
fn a_name_is_one_host_s_alone() {
    let store = store(&[
        "--hostname a.example --name b.example --ip 10.0.0.3",
        "--hostname c.example --ip 10.0.0.3",
    ]);
    refused(
        &store,
        "--hostname b.example --ip 10.0.0.3",
        "host a.example",
    );
    refused(
        &store,
        "--hostname a.example --name C.example",
        "host c.example",
    );
    refused(
        &store,
        "--hostname c.example --name a.example",
        "host a.example",
    );
}

#[test]
fn a_file_that_is_no_host_s_is_in_nobody_s_way_but_its_own() {
    let content = Some(b"{".to_vec());
    let name = "a.example".to_owned();
    let store = with(&store(&[]), Change { name, content });
    after(&store, "--hostname b.example --ip 10.0.0.3");
    refused(
        &store,
        "--hostname a.example --ip 10.0.0.3",
        "stockade remove",
    );
}

#[test]
fn keys_are_encrypted_where_that_is_wanted() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let options = format!("--hostname a.example --ip 10.0.0.3 --store-key {SECRET}");
    let store = store(&[&options]);
    let host = Host::parse(store.file("a.example").unwrap()).unwrap();
    assert!(sealed::is_sealed(&host.pairs[0].key));
    let key = sealed::open(&host.pairs[0].key, Some(SECRET.as_bytes())).unwrap();
    let chain = host.pairs[0].chain.concat();
    stockade_tunnel::judge(chain.as_bytes(), key.as_bytes(), 0).unwrap();
    let (_, found) = wish("--hostname b.example --ip 10.0.0.3")
        .unwrap()
        .apply(&store)
        .unwrap();
    assert!(found.is_bare);
    let (_, found) = wish("--hostname a.example --ip 10.0.0.3")
        .unwrap()
        .apply(&store)
        .unwrap();
    assert!(!found.is_bare && found.was_there);
    let short = "--hostname b.example --ip 10.0.0.3 --store-key short";
    refused(&store, short, "--store-key: ");
}

#[test]
fn how_plaintext_is_carried_is_kept_until_it_is_changed() {
    let snapshot = store(&["--hostname a.example --ip 10.0.0.3 --hsts 300 --max-body 1000"]);
    let host = after(&snapshot, "--hostname a.example --mode http");
    assert_eq!(host.mode, Some(Mode::Http));
    assert_eq!((host.hsts, host.max_body), (Some(300), Some(1000)));
    let host = after(&snapshot, "--hostname a.example --hsts none");
    assert_eq!((host.hsts, host.max_body), (None, Some(1000)));
    for (options, expected) in [
        ("--mode tcp", "\"mode\" is not \"http\", without which"),
        ("--alpn h2", "\"alpn\" is not a list with \"http/1.1\""),
    ] {
        refused(
            &snapshot,
            &format!("--hostname a.example {options}"),
            expected,
        );
    }
    for wrong in ["--mode https", "--hsts -1", "--hsts=1h", "--max-body=1M"] {
        let words = format!("stockade add -r /nowhere --hostname a.example {wrong}");
        assert!(cli::parse(words.split_whitespace().map(Into::into)).is_err());
    }
}

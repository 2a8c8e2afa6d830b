//! What is told of hosts.

use stockade_store::git::Person;
use stockade_store::host::Pair;
use stockade_store::snapshot::Change;

use super::*;
use crate::hosts::certificate;

fn store(files: Vec<(&str, Vec<u8>)>) -> Snapshot {
    let change = |(name, content): (&str, Vec<u8>)| Change {
        name: name.to_owned(),
        content: Some(content),
    };
    let changes: Vec<Change> = files.into_iter().map(change).collect();
    let person = Person {
        name: "Test".into(),
        email: "test@localhost".into(),
    };
    let draft = Snapshot::default().with(&changes, &person, 0, "Test");
    draft.unwrap().snapshot
}

fn placeholder(name: &str) -> Pair {
    certificate::placeholder(&[Identifier::parse(name).unwrap()]).unwrap()
}

fn host(pair: Pair) -> Host {
    Host::new(pair, "10.0.0.3".parse().unwrap(), 8080)
}

#[test]
fn each_host_has_a_line_and_a_problem_where_there_is_one() {
    let mut several = host(placeholder("b.example"));
    several.names = vec!["x.example".into(), "y\u{1b}[2J".into()];
    several.renew = false;
    let nothing = Pair {
        chain: vec!["nothing".into()],
        key: "none".into(),
    };
    let snapshot = store(vec![
        ("a.example", host(placeholder("a.example")).to_file()),
        ("b.example", several.to_file()),
        ("README", b"hello".to_vec()),
        ("z.example", host(nothing).to_file()),
    ]);
    let text = table(&snapshot, certificate::now());
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    let expected: [&[&str]; 5] = [
        &COLUMNS,
        &["README", "-", "problem: it is no JSON at line 1, column 1"],
        &["a.example", "10.0.0.3:8080", "placeholder: none yet"],
        &[
            "b.example",
            "10.0.0.3:8080",
            "placeholder: none yet; not renewed",
            "x.example, y\\u{1b}[2J",
        ],
        &[
            "z.example",
            "10.0.0.3:8080",
            "problem: it is no certificate",
        ],
    ];
    assert_eq!(lines, expected, "{text}");
    let found = list(&snapshot, certificate::now());
    assert_eq!(found[0]["problem"], "it is no JSON at line 1, column 1");
    assert_eq!(found[1]["host"], "a.example");
    assert_eq!(found[1]["certificate"]["standing"], "placeholder");
    assert_eq!(found[1]["alpn"], json!(["h2", "http/1.1"]));
    assert_eq!(found[2]["renew"], false);
    assert_eq!(
        found[2]["backend"],
        json!({"address": "10.0.0.3", "port": 8080})
    );
    assert_eq!(found[3]["certificate"]["standing"], "unreadable");
    assert!(!found.to_string().contains("PRIVATE"));
}

#[test]
fn an_empty_store_is_told_of() {
    assert_eq!(table(&Snapshot::default(), 0), "There is no host yet.\n");
    assert_eq!(list(&Snapshot::default(), 0), json!([]));
}

#[test]
fn a_certificate_stands_as_its_dates_say() {
    let mut lifetime = Lifetime {
        not_before: 100,
        not_after: 200,
        id: None,
        names: vec![],
        is_self_issued: false,
    };
    let standing = |lifetime: &Lifetime, now| Standing::of(Some(lifetime), now).word();
    for (now, word) in [
        (99, "not yet valid"),
        (100, "valid"),
        (200, "valid"),
        (201, "expired"),
    ] {
        assert_eq!(standing(&lifetime, now), word);
    }
    lifetime.is_self_issued = true;
    assert_eq!(standing(&lifetime, 150), "valid");
    assert_eq!(standing(&lifetime, 201), "placeholder");
    assert_eq!(date(1_800_000_000), "2027-01-15 08:00 UTC");
    assert_eq!(date(u64::MAX), "no date at all");
}

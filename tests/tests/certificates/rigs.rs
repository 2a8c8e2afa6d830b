//! That what the scenarios stand on does what it is taken for: without the tunnel.

use stockade_tests::peers::acme::{Caddy, Pebble, get};
use stockade_tests::peers::git::Repository;
use stockade_tests::peers::interloper::{Answer, Interloper};
use stockade_tests::tap::Tap;

/// OpenSSH lets in who is authorized, and git sees what was pushed.
#[test]
fn a_repository_behind_ssh() {
    let tap = Tap::create();
    let (key, authorized) = Repository::keygen();
    let (stranger, _) = Repository::keygen();
    let mut repository = Repository::start(tap.host(), &authorized);
    assert_eq!(repository.head(), None);
    repository.check();
    let first = repository.change(&[("www.example.org", Some("one"))], "One");
    let second = repository.change(
        &[("b.example", Some("two")), ("www.example.org", None)],
        "Two",
    );
    assert_eq!(repository.names(), ["b.example"]);
    assert_eq!(repository.file("b.example").as_deref(), Some("two"));
    assert_eq!(repository.file("www.example.org"), None);
    let commits = repository.commits();
    assert_eq!(commits[0].id, second);
    assert_eq!(commits[0].parents, [first]);
    assert_eq!(commits[1].subject, "One");
    repository.check();
    let seen = repository.ls_remote(&key).expect("the user may");
    assert!(seen.contains(&second), "{seen}");
    assert!(repository.ls_remote(&stranger).is_err());
    repository.down();
    assert!(repository.ls_remote(&key).is_err());
    repository.up();
    assert!(repository.ls_remote(&key).is_ok());
}

/// Pebble and Caddy show a directory to whoever trusts them, and no one else, and so does who
/// stands before them.
#[test]
fn authorities() {
    let tap = Tap::create();
    let pebble = Pebble::new(tap.guest()).start(tap.host());
    let second = Tap::create();
    let names = vec![("www.example.org".to_owned(), second.guest())];
    let caddy = Caddy { names }.start(second.host());
    for (authority, host) in [(&pebble, tap.host()), (&caddy, second.host())] {
        assert!(authority.root.contains("BEGIN CERTIFICATE"));
        let directory = get(&authority.directory, &authority.trusted).expect("it is shown");
        assert!(directory.contains("newOrder"), "{directory}");
        assert!(get(&authority.directory, &authority.root).is_none());

        let interloper = Interloper::start(host, authority);
        let directory = get(interloper.directory(), interloper.trusted()).expect("passed on");
        let newly = format!("https://{}/", interloper.address());
        assert!(directory.contains(&newly), "{directory}");
        interloper.answer(|heard| {
            assert_eq!(heard.method, "GET");
            Some(Answer::problem(429, "rateLimited", "Retry-After: 7\r\n"))
        });
        assert!(get(interloper.directory(), interloper.trusted()).is_none());
        for answer in [Answer::Garbage, Answer::End] {
            interloper.answer(move |_| Some(answer.clone()));
            assert!(get(interloper.directory(), interloper.trusted()).is_none());
        }
        interloper.pass();
        assert!(get(interloper.directory(), interloper.trusted()).is_some());
        assert_eq!(interloper.heard().len(), 5);
    }
}

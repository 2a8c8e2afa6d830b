//! `stockade keygen`, `add` and `list` before OpenSSH's server: by our own SSH, and by ssh(1).

use std::io;

use stockade_tests::PATIENCE;
use stockade_tests::launcher::place::Place;
use stockade_tests::peers::git::Repository;
use stockade_tests::process::{self, Finished};
use stockade_tests::tap::Tap;

fn call(place: &Place, words: &[&str]) -> Finished<Vec<u8>> {
    process::start(&mut place.command(words), io::empty(), Vec::new()).finish(PATIENCE)
}

/// What the program says to these words and why it fails.
fn refused(place: &Place, words: &[&str]) -> String {
    let finished = call(place, words);
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    finished.stderr
}

/// What keygen prints is a key for the server and a file for the program; nobody is trusted whose key
/// was not given, and nobody let in who has another.
#[test]
fn a_store_is_reached_by_a_key_of_ours() {
    let tap = Tap::create();
    let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
    let printed = call(&place, &["keygen"]).succeeded();
    let printed = String::from_utf8(printed.stdout).expect("text");
    let line = printed
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix("# "));
    let repository = Repository::start(tap.host(), line.expect("the line for authorized_keys"));
    let remote = repository.remote();
    let key = format!("file:{}", place.files.add("key.txt", &printed));
    let host_key = repository.host_key();
    let add = ["add", "--hostname", "a.example", "--ip", "10.0.0.3:40000"];
    let with = |words: &[&str]| -> Vec<String> {
        let words = [words, &["-r", &remote, "--ssh-key", &key]].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let owned = with(&add);
    let words: Vec<&str> = owned.iter().map(String::as_str).collect();

    let told = refused(&place, &words);
    let option = format!("--ssh-host-key='{}'", host_key.replacen(':', " ", 1));
    assert!(told.contains(&option), "{told}");
    let seed = printed.lines().next().expect("the seed");
    assert!(!told.contains(seed), "{told}");
    let another = call(&place, &["keygen"]).succeeded();
    let another = String::from_utf8(another.stdout).expect("text");
    let other_line = another
        .lines()
        .nth(1)
        .expect("two lines")
        .trim_start_matches("# ");
    let told = refused(
        &place,
        &[&words[..], &["--ssh-host-key", other_line]].concat(),
    );
    assert!(told.contains("another machine"), "{told}");
    assert_eq!(repository.head(), None);

    let trusting = [&words[..], &["--ssh-host-key", host_key]].concat();
    call(&place, &trusting).succeeded();
    repository.check();
    assert_eq!(repository.names(), ["a.example"]);
    let file = repository.file("a.example").expect("it is there");
    assert!(file.contains("\"port\":40000"), "{file}");
    // As ssh-keyscan(1) prints it.
    let scanned = format!(
        "# comment\n{} {}\n",
        tap.host(),
        host_key.replacen(':', " ", 1)
    );
    let scanned = format!("file:{}", place.files.add("scanned", scanned));
    let owned = with(&["list"]);
    let list: Vec<&str> = owned.iter().map(String::as_str).collect();
    let listed = call(&place, &[&list[..], &["--ssh-host-key", &scanned]].concat()).succeeded();
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(
        listed.contains("a.example  10.0.0.3:40000  placeholder"),
        "{listed}"
    );

    let stranger = format!("file:{}", place.files.add("stranger.txt", &another));
    let words = [
        &["list", "-r", &remote, "--ssh-key", &stranger][..],
        &["--ssh-host-key", host_key],
    ];
    let told = refused(&place, &words.concat());
    assert!(told.contains("does not let this user in"), "{told}");
    assert!(
        told.contains(other_line.trim_end_matches(" stockade")),
        "{told}"
    );
}

/// Eight by ssh(1), as anybody's git would go, while somebody else pushes too: nobody's work is lost.
#[test]
fn a_store_is_reached_by_ssh() {
    let tap = Tap::create();
    let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
    let (key, authorized) = Repository::keygen();
    let mut repository = Repository::start(tap.host(), &authorized);
    repository.change(&[("README", Some("not a host"))], "Begin");
    let (remote, ssh) = (repository.remote(), repository.ssh_command(&key));
    let start = |words: &[&str]| {
        let mut command = place.command(&[words, &["-r", &remote]].concat());
        process::start(
            command.env("GIT_SSH_COMMAND", &ssh),
            io::empty(),
            Vec::new(),
        )
    };
    let hosts: Vec<String> = (1..=8).map(|number| format!("h{number}.example")).collect();
    let running: Vec<_> = hosts
        .iter()
        .map(|host| start(&["add", "--hostname", host, "--ip", "10.0.0.3"]))
        .collect();
    for running in running {
        running.finish(PATIENCE * 2).succeeded();
    }
    start(&["remove", "--hostname", "h4.example"])
        .finish(PATIENCE)
        .succeeded();
    // Commits of those who were too late lie about, so this is not the repository's own check.
    repository.git(&["fsck", "--full", "--strict", "--no-progress"]);
    let commits = repository.commits();
    assert_eq!(commits.len(), 1 + 8 + 1);
    for (commit, before) in commits.iter().zip(&commits[1..]) {
        assert_eq!(commit.parents, [before.id.as_str()]);
    }
    let expected: Vec<&str> = ["README"]
        .into_iter()
        .chain(
            hosts
                .iter()
                .map(String::as_str)
                .filter(|host| *host != "h4.example"),
        )
        .collect();
    assert_eq!(repository.names(), expected);
    repository.down();
    let finished = start(&["list"]).finish(PATIENCE);
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.stderr.contains("what it said is above"),
        "{}",
        finished.stderr
    );
}

//! Hosts by name: a folder of them end to end, secrets that nobody sees, and what is said of words that
//! are wrong.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;
use stockade_host::Backend;
use stockade_tests::launcher::place::Place;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::process::{self, Finished};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, tools, wait_until};

use crate::scene::LOOPBACK;

/// curl's status when the other side ends the handshake by an alert (curl(1), EXIT CODES).
const REFUSED_HANDSHAKE: i32 = 35;

/// A line of a known form that is no key of anybody.
const SEED: &str = "ed25519:bm90IGEga2V5IGF0IGFsbCwgYnV0IG9mIDMyIGJ5dGU=";
const WORD: &str = "shiPaetai3ejaiGees3koi3nuoph5ohm";

/// A folder of hosts in a place, and who vouches for them.
struct Hosts {
    place: Place,
    authority: Authority,
    https: SocketAddr,
    http: SocketAddr,
}

impl Hosts {
    fn new(names: &[&str]) -> Hosts {
        let hosts = Hosts {
            place: place(),
            authority: Authority::new("hosts"),
            https: SocketAddr::new(LOOPBACK, ports::next()),
            http: SocketAddr::new(LOOPBACK, ports::next()),
        };
        let certificate = hosts.authority.certificate();
        hosts.place.files.add("ca.pem", certificate);
        names.iter().for_each(|name| hosts.add(name));
        hosts
    }

    /// Adds a host's file.
    fn add(&self, name: &str) {
        let pair = self.authority.issue(&Leaf::named(name).dns(name));
        let file = format!("hosts/{name}.pem");
        self.place.files.add(&file, pair.both());
    }

    fn start(&self, words: &[&str]) -> Program {
        let folder = self.place.files.path("hosts");
        let https = format!("{}:443", self.https);
        let http = format!("{}:80", self.http);
        let published = ["--publish", &https, "--publish", &http];
        let words = [&["--hosts", &folder], &published[..], words].concat();
        let mut launcher = self.place.run(&words);
        launcher.wait_until_serving();
        launcher
    }

    /// What curl gets of a host, or its status and words.
    fn fetch(&self, name: &str) -> Result<String, (Option<i32>, String)> {
        let authority = self.place.files.path("ca.pem");
        let mut curl = tools::curl(self.https, Path::new(&authority));
        let finished = finish(curl.arg(format!("https://{name}/")));
        match finished.status.success() {
            true => Ok(text(&finished.stdout)),
            false => Err((finished.status.code(), finished.stderr)),
        }
    }

    /// What curl gets over HTTP in the clear: the status, and where it is led.
    fn fetch_clear(&self, url: &str) -> String {
        let authority = self.place.files.path("ca.pem");
        let mut curl = tools::curl(self.http, Path::new(&authority));
        let wanted = "%{http_code} %{redirect_url}";
        let finished = finish(curl.args(["--output", "/dev/null", "--write-out", wanted, url]));
        text(&finished.stdout)
    }
}

/// Files and folders of this test's own.
fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_stockade-launched"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn finish(command: &mut std::process::Command) -> Finished<Vec<u8>> {
    process::start(command, io::empty(), Vec::new()).finish(PATIENCE)
}

#[test]
fn of_a_folder_are_served_by_name() {
    let hosts = Hosts::new(&["a.example", "b.example"]);
    let backend = Backend::start().expect("a backend");
    let connect = format!("--connect=10.0.2.2:{}", backend.port());
    let launcher = hosts.start(&["--", &connect]);
    let said = launcher.log.text();
    for line in [
        "hosts        2 hosts of this host's files: a.example, b.example",
        "clients that ask for none of them are refused",
        "http         port 80 answers authorities, and leads all others to https",
        "https://a.example/",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
    assert!(!said.contains("localhost"), "{said}");

    // The certificate is judged by the name, so each host shows its own.
    for name in ["a.example", "b.example", "A.EXAMPLE"] {
        let page = hosts
            .fetch(name)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(!page.is_empty(), "{name}");
    }
    for name in ["c.example", "x.a.example"] {
        let (status, words) = hosts.fetch(name).expect_err(name);
        assert_eq!(status, Some(REFUSED_HANDSHAKE), "{name}: {words}");
        assert!(words.contains("unrecognized name"), "{name}: {words}");
    }
    assert_eq!(
        hosts.fetch_clear("http://a.example/way?to=it"),
        "301 https://a.example/way?to=it"
    );
}

#[test]
fn of_a_folder_are_read_again() {
    let hosts = Hosts::new(&["a.example", "b.example"]);
    let backend = Backend::start().expect("a backend");
    let connect = format!("--connect=10.0.2.2:{}", backend.port());
    let launcher = hosts.start(&["--", &connect, "--default-host=a.example"]);
    // Of the default host's certificate, curl says that it is for another name.
    let (status, words) = hosts.fetch("c.example").expect_err("c.example");
    assert_ne!(status, Some(REFUSED_HANDSHAKE), "{words}");

    hosts.add("c.example");
    fs::remove_file(hosts.place.files.path("hosts/b.example.pem")).expect("our own file");
    launcher.signal(Signal::HUP);
    let taken = || hosts.fetch("c.example").ok();
    assert!(
        wait_until(PATIENCE, taken).is_some(),
        "{}",
        launcher.log.text()
    );
    assert!(hosts.fetch("a.example").is_ok());
    assert!(hosts.fetch("b.example").is_err());

    // What is wrong is told, and changes nothing.
    hosts
        .place
        .files
        .add("hosts/d.example.pem", "no certificate");
    let refused = hosts.place.control(&["reload"]);
    assert!(!refused.status.success(), "{refused:?}");
    let said = refused.stderr + &text(&refused.stdout);
    assert!(said.contains("d.example"), "{said}");
    assert!(hosts.fetch("c.example").is_ok());
}

/// Files with secrets, and the words that name them.
fn secrets(place: &Place) -> Vec<String> {
    let key = place.files.add("key.txt", format!("# a note\n{SEED}\n"));
    let word = place.files.add("word.txt", format!("{WORD}\n"));
    vec![
        "--remote=git@10.0.2.2:certificates.git#master".to_owned(),
        format!("--ssh-key=file:{key}"),
        format!("--pass=file:{word}"),
        format!("--account-seed=file:{word}"),
        format!("--store-key=file:{word}"),
    ]
}

/// Whether any of these bytes are a secret.
fn shows(bytes: &[u8]) -> bool {
    let seed = SEED.trim_start_matches("ed25519:");
    [seed, WORD].iter().any(|secret| {
        let mut windows = bytes.windows(secret.len());
        windows.any(|window| window == secret.as_bytes())
    })
}

#[test]
fn have_secrets_in_files_that_are_seen_nowhere() {
    let place = place();
    let words = secrets(&place);
    let words = words.iter().map(String::as_str);
    let ports = ports::next();
    let publish = format!("127.0.0.1:{ports}:443");
    let front = ["--publish", &publish, "--"];
    let words: Vec<&str> = front.into_iter().chain(words).collect();
    let launcher = place.run(&words);
    let qemu = launcher.qemu();
    let family = launcher.family();
    assert!(family.iter().any(|process| process.pid == qemu));
    for process in family {
        let line = processes::command_line(process.pid);
        assert!(!line.is_empty(), "{process:?}");
        assert!(!shows(&line), "a secret in {}'s command line", process.name);
        let environment = processes::environment(process.pid);
        assert!(
            !shows(&environment),
            "a secret in {}'s environment",
            process.name
        );
    }
    let said = || launcher.log.find(0, "Let's Encrypt for trial").map(drop);
    assert!(
        wait_until(PATIENCE, said).is_some(),
        "{}",
        launcher.log.text()
    );
    assert!(!shows(launcher.log.text().as_bytes()));
    for (path, _) in place.leavings() {
        let bytes = fs::read(&path).unwrap_or_default();
        assert!(!shows(&bytes), "a secret in {}", path.display());
    }
}

#[test]
fn have_secrets_among_the_words_that_qemu_never_sees() {
    let place = place();
    let publish = format!("127.0.0.1:{}:443", ports::next());
    let key = format!("--ssh-key={SEED}");
    let launcher = place.run(&[
        "--publish",
        &publish,
        "--",
        "-r",
        "git@10.0.2.2:certificates.git",
        &key,
        "--pass",
        WORD,
    ]);
    let line = processes::command_line(launcher.qemu());
    assert!(line.len() > 100, "this is no line of QEMU's");
    assert!(!shows(&line), "a secret in QEMU's command line");
    let warning = "warning: --ssh-key and --pass stand on this command line";
    let said = || launcher.log.find(0, warning).map(drop);
    assert!(
        wait_until(PATIENCE, said).is_some(),
        "{}",
        launcher.log.text()
    );
    assert!(!shows(launcher.log.text().as_bytes()));
}

#[test]
fn that_can_t_be_served_are_told_of_before_anything_starts() {
    let hosts = Hosts::new(&["a.example"]);
    let files = &hosts.place.files;
    let folder = files.path("hosts");
    let empty = files.path("empty");
    fs::create_dir(&empty).expect("our own folder");
    let none = files.path("none");
    let key = files.add("key.txt", SEED);
    let store = format!("--ssh-key=file:{key}");
    let wrong_key = format!("--ssh-key=file:{}", files.add("wrong.txt", WORD));
    let named = format!("--hosts=file:{none}");
    let remote = "--remote=git@10.0.2.2:certificates.git";
    for (words, expected) in [
        (&["--hosts", &*none][..], "none: No such file or directory"),
        (
            &["--hosts", &empty],
            "no host in it; expected files such as",
        ),
        (&["--", &named], "none: No such file or directory"),
        (
            &["--", remote],
            "--ssh-key: missing while --remote (word 1, column 1)",
        ),
        (&["--", remote, &wrong_key], "has no key of Ed25519 in it"),
        (
            &["--", remote, "--ssh-ssh", WORD],
            "make one with stockade keygen",
        ),
        (
            &["--", remote, &store, "--certificate-bits=4096"],
            "--key-type=rsa4096",
        ),
        (
            &["--", remote, &store, "--connect=80"],
            "--connect (word 3, ",
        ),
        (&["--", "--remote=git@localhost:c.git", &store], "10.0.2.2"),
        (
            &["--", "--pass", WORD],
            "--pass (word 1, column 1): needs --remote",
        ),
        (
            &["--hosts", &folder, "--cert", "c", "--key", "k"],
            "each host has its own",
        ),
        (
            &["--hosts", &folder, "--conf", "c"],
            "names its own services",
        ),
    ] {
        for command in ["run", "check"] {
            let image = stockade_tests::vm::image();
            let image = image.to_str().expect("a path in UTF-8");
            let all = [&[command, "--accel", "tcg", "--image", image], words].concat();
            let finished = finish(&mut hosts.place.command(&all));
            let said = finished.stderr + &text(&finished.stdout);
            assert!(!finished.status.success(), "{all:?}: {said}");
            assert!(said.contains(expected), "{all:?}: {said}");
            assert!(!shows(said.as_bytes()), "{all:?}: {said}");
        }
    }
}

#[test]
fn are_checked_without_a_start() {
    let hosts = Hosts::new(&["a.example"]);
    let place = &hosts.place;
    let folder = place.files.path("hosts");
    let words = secrets(place);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let with_store = [&["check", "--hosts", &folder, "--"], &words[..]].concat();
    for (words, expected) in [
        (
            &["check", "--hosts", &folder][..],
            &[
                "1 host of this host's files: a.example",
                "Configuration successful",
            ][..],
        ),
        (
            &with_store,
            &[
                "those of git@10.0.2.2:certificates.git#master, read every 300 s, and when port \
                 9418 is told to",
                "by Let's Encrypt for trial",
                "Configuration successful",
            ],
        ),
    ] {
        let finished = finish(&mut place.command(words));
        let said = text(&finished.stdout);
        assert!(
            finished.status.success(),
            "{words:?}: {said}{}",
            finished.stderr
        );
        for line in expected {
            assert!(said.contains(line), "{line:?} is not in {said}");
        }
        assert!(!shows(said.as_bytes()), "{said}");
    }
    place.files.add("hosts/b.example.pem", "no certificate");
    let finished = finish(&mut place.command(&["check", "--hosts", &folder]));
    assert!(!finished.status.success());
    let said = finished.stderr;
    assert!(
        said.contains("b.example") && said.contains("Configuration failed"),
        "{said}"
    );
    assert!(place.leavings().is_empty(), "{:?}", place.leavings());
}

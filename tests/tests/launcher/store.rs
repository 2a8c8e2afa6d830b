//! `stockade add`, `remove`, `list` and contruno's words for the first, on repositories of real git.

use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;

use serde_json::Value;
use stockade_tests::PATIENCE;
use stockade_tests::launcher::place::Place;
use stockade_tests::process::{self, Finished};

use crate::scene::LOOPBACK;

/// The status when the store is changed and the image could not be told.
const NOT_TOLD: i32 = 5;

/// A bare repository of this host.
struct Store {
    place: Place,
}

impl Store {
    fn new() -> Store {
        let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
        let store = Store { place };
        let path = store.path();
        store.git(&["init", "--quiet", "--bare", &path]);
        store
    }

    fn path(&self) -> String {
        self.place.files.path("r.git")
    }

    /// What git says to these words in the repository; it must succeed.
    fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(["--git-dir", &self.path()])
            .args(words)
            .env("HOME", self.place.files.folder())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Somebody")
            .env("GIT_AUTHOR_EMAIL", "somebody@else.example")
            .env("GIT_COMMITTER_NAME", "Somebody")
            .env("GIT_COMMITTER_EMAIL", "somebody@else.example");
        let finished = process::start(&mut command, io::empty(), Vec::new()).finish(PATIENCE);
        String::from_utf8(finished.succeeded().stdout).expect("git says UTF-8")
    }

    /// Whether every object is sound, and every commit follows one other at most. Commits of those who
    /// were too late lie about, which is no fault.
    fn check(&self) {
        self.git(&["fsck", "--full", "--strict", "--no-progress"]);
        let parents = self.git(&["log", "--format=%P", "main"]);
        let lines: Vec<&str> = parents.lines().collect();
        let (first, others) = lines.split_last().expect("a commit");
        assert_eq!(*first, "");
        assert!(others.iter().all(|line| line.len() == 40), "{parents}");
    }

    /// Commits a file, by git alone.
    fn put(&self, name: &str, content: &str) {
        let file = self.place.files.add("content", content);
        let blob = self.git(&["hash-object", "-w", &file]);
        let old = self.try_head();
        if let Some(old) = &old {
            self.git(&["read-tree", old]);
        }
        let entry = format!("100644,{},{name}", blob.trim());
        self.git(&["update-index", "--add", "--cacheinfo", &entry]);
        let tree = self.git(&["write-tree"]);
        let mut words = vec!["commit-tree", tree.trim(), "-m", "By git"];
        if let Some(old) = &old {
            words.extend(["-p", old]);
        }
        let commit = self.git(&words);
        self.git(&["update-ref", "refs/heads/main", commit.trim()]);
    }

    fn try_head(&self) -> Option<String> {
        let head = self.git(&["for-each-ref", "--format=%(objectname)", "refs/heads/main"]);
        let head = head.trim().to_owned();
        (!head.is_empty()).then_some(head)
    }

    fn names(&self) -> Vec<String> {
        let names = self.git(&["ls-tree", "--name-only", "main"]);
        names.lines().map(str::to_owned).collect()
    }

    fn file(&self, name: &str) -> String {
        self.git(&["cat-file", "blob", &format!("main:{name}")])
    }

    /// The program with these words, separated by blanks, and `-r` and the repository behind.
    fn command(&self, words: &str) -> Command {
        let path = self.path();
        let words: Vec<&str> = words.split_whitespace().chain(["-r", &path]).collect();
        self.place.command(&words)
    }

    fn call(&self, words: &str) -> Finished<Vec<u8>> {
        finish(&mut self.command(words))
    }

    /// Calls it; it must succeed.
    fn done(&self, words: &str) -> String {
        let finished = self.call(words).succeeded();
        String::from_utf8(finished.stdout).expect("it says UTF-8")
    }

    fn refused(&self, words: &str, expected: &str) {
        let head = self.try_head();
        let finished = self.call(words);
        assert_eq!(
            finished.status.code(),
            Some(1),
            "{words}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains(expected),
            "{words}: {}",
            finished.stderr
        );
        assert_eq!(self.try_head(), head);
    }
}

fn finish(command: &mut Command) -> Finished<Vec<u8>> {
    process::start(command, io::empty(), Vec::new()).finish(PATIENCE)
}

/// What openssl says to these words about a certificate.
fn openssl(words: &[&str], pem: &str) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout"]).args(words);
    let input = io::Cursor::new(pem.to_owned());
    let finished = process::start(&mut command, input, Vec::new()).finish(PATIENCE);
    let said = String::from_utf8_lossy(&finished.stdout).into_owned();
    (finished.status.success(), said)
}

/// Reads a host's file by contruno's own rules (its lib/value.ml): an object of four fields at least, of
/// which two have defaults. Gives the first certificate, the address, the port, how many protocols.
fn as_contruno(file: &str) -> (String, IpAddr, i64, usize) {
    let value: Value = serde_json::from_str(file).expect("JSON");
    let fields = value.as_object().expect("an object");
    let pair = fields["own_cert"].as_array().expect("a pair");
    let [chain, key] = pair.as_slice() else {
        panic!("{pair:?}");
    };
    let chain = chain.as_array().expect("a list of certificates");
    for certificate in chain {
        let text = certificate.as_str().expect("PEM");
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n"));
        assert!(text.ends_with("\n-----END CERTIFICATE-----\n"));
        assert_eq!(text.matches("BEGIN").count(), 1);
    }
    let key = key.as_str().expect("PEM");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let address = fields["ip"]
        .as_str()
        .expect("an address")
        .parse()
        .expect("an address");
    let port = fields
        .get("port")
        .map_or(80, |port| port.as_i64().expect("a number"));
    let alpn = fields
        .get("alpn")
        .map_or(2, |alpn| alpn.as_array().expect("a list").len());
    (
        chain[0].as_str().expect("PEM").to_owned(),
        address,
        port,
        alpn,
    )
}

/// A host comes into an empty repository, is changed, listed and removed.
#[test]
fn a_host_comes_and_goes() {
    let store = Store::new();
    assert_eq!(store.done("list"), "There is no host yet.\n");
    let said = store.done("add --hostname www.example.org --name example.org --ip 10.0.0.3:8080");
    assert!(
        said.contains("added; the branch main, which is new, is at "),
        "{said}"
    );
    store.check();
    let (certificate, address, port, alpn) = as_contruno(&store.file("www.example.org"));
    assert_eq!(
        (address.to_string().as_str(), port, alpn),
        ("10.0.0.3", 8080, 1)
    );
    assert!(!openssl(&["-checkend", "0"], &certificate).0);
    let (_, names) = openssl(&["-ext", "subjectAltName"], &certificate);
    assert!(
        names.contains("DNS:www.example.org, DNS:example.org"),
        "{names}"
    );

    store.done("add --hostname www.example.org --ip 10.0.0.4 --alpn h2,http/1.1");
    let (same, address, port, alpn) = as_contruno(&store.file("www.example.org"));
    assert_eq!(
        (address.to_string().as_str(), port, alpn),
        ("10.0.0.4", 80, 2)
    );
    assert_eq!(same, certificate);
    let head = store.try_head();
    let said = store.done("add --hostname www.example.org --ip 10.0.0.4");
    assert!(said.contains("all is so already"), "{said}");
    assert_eq!(store.try_head(), head);

    let listed = store.done("list");
    assert!(
        listed.contains("10.0.0.4:80  placeholder: none yet  example.org"),
        "{listed}"
    );
    let listed: Value = serde_json::from_str(&store.done("list --json")).expect("JSON");
    assert_eq!(listed[0]["host"], "www.example.org");
    assert_eq!(listed[0]["certificate"]["standing"], "placeholder");

    store.refused(
        "remove --hostname other.example.org",
        "has no host other.example.org",
    );
    store.done("remove --hostname www.example.org");
    assert_eq!(store.names(), [""; 0]);
    store.check();
    let subjects = store.git(&["log", "--format=%an <%ae> %s", "main"]);
    let by = "stockade <stockade@localhost>";
    let expected = ["Remove", "Change", "Add"].map(|verb| format!("{by} {verb} www.example.org\n"));
    assert_eq!(subjects, expected.concat());
}

/// Eight at once: each has its host in the end, and nobody else's is lost.
#[test]
fn nobody_is_overtaken() {
    let store = Store::new();
    store.put("README", "not a host");
    let start = |number| {
        let words = format!("add --hostname h{number}.example --ip 10.0.0.{number}");
        process::start(&mut store.command(&words), io::empty(), Vec::new())
    };
    let running: Vec<_> = (1..=8).map(start).collect();
    for running in running {
        running.finish(PATIENCE).succeeded();
    }
    store.check();
    let expected: Vec<String> = ["README".to_owned()]
        .into_iter()
        .chain((1..=8).map(|number| format!("h{number}.example")))
        .collect();
    assert_eq!(store.names(), expected);
    assert_eq!(
        store.git(&["log", "--format=%s", "main"]).lines().count(),
        9
    );
}

/// What contruno has written stays as it was where nothing of it is changed, and is changed by its
/// rules where something is.
#[test]
fn a_repository_of_contruno_s_is_kept() {
    let store = Store::new();
    store.done("add --hostname a.example --ip 10.0.0.3 --alpn h2,http/1.1");
    let one = store.file("a.example");
    let pair = one.split_once("\"own_cert\":").expect("written so").1;
    let pair = pair.strip_suffix('}').expect("written so");
    let several = format!(
        "{{\"own_cert\":[{pair},[{pair}]],\"ip\":\"10.0.0.4\",\"port\":-1,\"alpn\":[{{}}]}}"
    );
    store.put("several.example", &several);
    store.put("odd", "\u{1}");
    let blobs = |store: &Store| store.git(&["ls-tree", "main", "several.example", "odd"]);
    let before = blobs(&store);
    let listed = store.done("list");
    assert!(
        listed.contains("several.example  10.0.0.4:65535"),
        "{listed}"
    );
    assert!(
        listed.contains("odd              -               problem: it is no JSON"),
        "{listed}"
    );
    store.done("add --hostname b.example --ip 10.0.0.5");
    store.done("remove --hostname a.example");
    assert_eq!(blobs(&store), before);
    store.done("add --hostname several.example --ip 10.0.0.6:81");
    let file = store.file("several.example");
    let value: Value = serde_json::from_str(&file).expect("JSON");
    let written: Value = serde_json::from_str(&several).expect("JSON");
    assert_eq!(value["own_cert"], written["own_cert"]);
    assert_eq!(
        (value["ip"].as_str(), value["port"].as_i64()),
        (Some("10.0.0.6"), Some(81))
    );
    assert_eq!(value["alpn"].as_array().map(Vec::len), Some(1));
    store.refused("add --hostname odd --ip 10.0.0.1", "--hostname");
    store.check();
}

/// What the other side refuses is told with its reason, and nothing is changed.
#[test]
fn refusals_have_their_reasons() {
    let store = Store::new();
    store.put("a.example", "{");
    store.refused("add --hostname a.example --ip 10.0.0.1", "stockade remove");
    store.refused("add --hostname b.example", "--ip");
    let hook = store
        .place
        .files
        .add("r.git/hooks/update", "#!/bin/sh\nexit 1\n");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(hook, mode).expect("our own file");
    store.refused("add --hostname b.example --ip 10.0.0.1", "hook declined");
    let nowhere = store.place.files.path("nowhere.git");
    let finished = finish(&mut store.place.command(&["list", "-r", &nowhere]));
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.stderr.contains("what it said is above"),
        "{}",
        finished.stderr
    );
    let words = [
        "add",
        "--hostname",
        "a.example",
        "--pass",
        "x",
        "-r",
        &nowhere,
    ];
    let finished = finish(&mut store.place.command(&words));
    assert_eq!(finished.status.code(), Some(2), "{}", finished.stderr);
}

/// ssh(1), or what the environment has in its place, is called as git calls it, and may not take for
/// ever.
#[test]
fn ssh_is_the_user_s_own() {
    let store = Store::new();
    let heard = store.place.files.path("heard");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" >> \"$HEARD\"\nfor last; do :; done\nexec sh -c \"$last\"\n";
    let script = store.place.files.add("ssh.sh", script);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("our own file");
    let remote = format!("ssh://git@machine.invalid:2222{}", store.path());
    let words = [
        "add",
        "--hostname",
        "a.example",
        "--ip",
        "10.0.0.1",
        "-r",
        &remote,
    ];
    for (variable, value) in [
        ("GIT_SSH_COMMAND", format!("{script} -o 'Some Option'")),
        ("GIT_SSH", script.clone()),
    ] {
        let mut command = store.place.command(&words);
        finish(command.env("HEARD", &heard).env(variable, value)).succeeded();
    }
    let path = store.path();
    let call = |service: &str| format!("-p\n2222\ngit@machine.invalid\ngit-{service} '{path}'\n");
    let (fetch, push) = (call("upload-pack"), call("receive-pack"));
    let expected = format!("-o\nSome Option\n{fetch}-o\nSome Option\n{push}{fetch}");
    assert_eq!(fs::read_to_string(&heard).expect("it was called"), expected);
    assert_eq!(store.names(), ["a.example"]);

    let words = ["list", "-r", "machine.invalid:r.git", "--timeout", "0.5"];
    let mut command = store.place.command(&words);
    let finished = finish(command.env("GIT_SSH_COMMAND", "exec sleep 1000; :"));
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.stderr.contains("(--timeout)"),
        "{}",
        finished.stderr
    );
}

/// contruno.add's words do what they did, its README's for one.
#[test]
fn contruno_s_words_are_understood() {
    let store = Store::new();
    let path = store.path();
    let key = store.place.files.path("privkey.pem");
    let certificate = store.place.files.path("cert.pem");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "9",
        "-subj",
        "/CN=foo.bar",
    ]);
    openssl.args([
        "-addext",
        "subjectAltName=DNS:foo.bar",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    finish(&mut openssl).succeeded();
    let call = |words: &[&str]| {
        let mut command = store.place.command_called("contruno.add", words);
        finish(command.env_remove("STOCKADE_OPTIONS"))
    };
    let words = [
        "--cert",
        &certificate,
        "-h",
        "foo.bar",
        "-i",
        "10.0.0.2",
        "-p",
        &key,
        "-r",
        &path,
    ];
    call(&words).succeeded();
    let (found, address, port, alpn) = as_contruno(&store.file("foo.bar"));
    assert_eq!(
        found,
        fs::read_to_string(&certificate).expect("openssl wrote it")
    );
    assert_eq!(
        (address.to_string().as_str(), port, alpn),
        ("10.0.0.2", 80, 2)
    );
    let words = [
        "--host",
        "b.bar",
        "--ip=10.0.0.3:81",
        "--alpn",
        "http/1.1",
        "-v",
        "--remote",
        &path,
    ];
    call(&words).succeeded();
    let (_, _, port, alpn) = as_contruno(&store.file("b.bar"));
    assert_eq!((port, alpn), (81, 1));
    for (words, told) in [
        (&["-h", "c.bar", "-r", &path][..], "--ip"),
        (
            &[
                "-h", "c.bar", "-i", "10.0.0.2", "-r", &path, "--pass", "hunter2",
            ],
            "--target",
        ),
        (
            &[
                "-h",
                "c.bar",
                "-i",
                "10.0.0.2",
                "-r",
                &path,
                "-c",
                &certificate,
            ],
            "--private-key",
        ),
    ] {
        let finished = call(words);
        assert_eq!(finished.status.code(), Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(told), "{}", finished.stderr);
        assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
    }
    let words = [
        "-h",
        "c.bar",
        "-c",
        &certificate,
        "-p",
        &key,
        "-i",
        "10.0.0.2",
        "-r",
        &path,
    ];
    let finished = call(&words);
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.stderr.contains("not for c.bar, but for foo.bar"),
        "{}",
        finished.stderr
    );
    assert_eq!(store.names(), ["b.bar", "foo.bar"]);
    store.check();
}

/// Whoever takes one connection, says this and closes; gives what was heard.
fn listener(answer: &'static [u8]) -> (String, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a port of our own");
    let address = listener.local_addr().expect("it is bound");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("it is told");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let mut heard = vec![0; 256];
        let count = stream.read(&mut heard).expect("it says something");
        heard.truncate(count);
        io::Write::write_all(&mut stream, answer).expect("it listens");
        heard
    });
    (address.to_string(), thread)
}

/// The pass is never said to who does not know it, unless that is asked for; the store is changed all
/// the same.
#[test]
fn the_pass_is_not_said() {
    let store = Store::new();
    let path = store.path();
    let pass = format!("file:{}", store.place.files.add("pass", "open sesame\n"));
    for (number, answer) in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"]
        .into_iter()
        .enumerate()
    {
        let (target, heard) = listener(answer);
        let host = format!("h{number}.example");
        let words = [
            "-h", &host, "-i", "10.0.0.2", "-r", &path, "--pass", &pass, "-t", &target,
        ];
        let mut command = store.place.command_called("contruno.add", &words);
        let finished = finish(command.env_remove("STOCKADE_OPTIONS"));
        assert_eq!(
            finished.status.code(),
            Some(NOT_TOLD),
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains("The store is changed"),
            "{}",
            finished.stderr
        );
        let heard = heard.join().expect("it heard something");
        assert!(heard.starts_with(b"stockade notice 1\n"));
        assert!(!heard.windows(11).any(|part| part == b"open sesame"));
        assert!(!finished.stderr.contains("sesame"), "{}", finished.stderr);
    }
    let (target, heard) = listener(b"");
    let words = [
        "-h",
        "h2.example",
        "-i",
        "10.0.0.2",
        "-r",
        &path,
        "--pass",
        &pass,
        "-t",
        &target,
    ];
    let mut command = store.place.command_called("contruno.add", &words);
    finish(command.env("STOCKADE_OPTIONS", "--legacy")).succeeded();
    assert_eq!(heard.join().expect("it heard something"), b"open sesame");
    assert_eq!(store.names().len(), 3);
}

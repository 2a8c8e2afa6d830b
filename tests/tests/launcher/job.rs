//! The side-car of a Kubernetes job, as a user of socat(1) has it: two containers that share their
//! processes, the side-car's own script around the command line, and `pkill socat` when the work is
//! done.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::launcher::place::Place;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::{self, Debian};
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, vm, wait_until};

/// The name in the database's certificate: a common name, and no other.
const DATABASE: &str = "civicrmdbproxy";

/// The side-car's script. The folders are another place's here; all else is its user's.
const SIDECAR: &str = r#"#!/bin/bash
socat -d -d -d -D -t 50 -T 50 -lf /tmp/socat.txt UNIX-LISTEN:/SOCK/mysqld.sock,fork,user=paroisse,group=www-data,mode=0660,unlink-early  OPENSSL:${DEST_HOST}:${DEST_PORT},certificate=${CLIENT_CERT},key=${CLIENT_KEY},cafile=${CAFILE},verify=1,cipher=TLSv1.2,pf=ip4,commonname=${DEST_CN}
echo "socat client exit code : " $?
exit 0
"#;

/// The container with the work: it waits for the socket, uses it, and ends the side-car.
const MAIN: &str = r#"
tries=300
until [ -S /SOCK/mysqld.sock ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 70
    sleep 0.2
done
echo "socket: $(stat --format '%a %U %G' /SOCK/mysqld.sock)"
echo "bytes: $(curl --silent --show-error --max-time 60 --unix-socket /SOCK/mysqld.sock http://db/bytes/70000 | wc -c)"
pkill socat || exit 71
"#;

/// The pod's first process, which is neither container's, as in Kubernetes. Nothing outside of its
/// PID namespace can be found by `pkill`.
const POD: &str = r#"
[ $$ = 1 ] || exit 72
mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group || exit 73
bash "$3" &
sidecar=$!
sh "$4" &
wait $!
echo "main container: $?"
wait "$sidecar"
echo "side-car: $?"
for process in /proc/[0-9]*; do
    [ "$process" = /proc/1 ] || echo "left: $(cat "$process/comm")"
done
"#;

/// A database's TLS end, which wants a certificate, and what lies behind it.
struct Database {
    _server: Debian,
    _backend: Backend,
    port: u16,
}

impl Database {
    /// Serves, and leaves the client's files in the place.
    fn start(place: &Place) -> Database {
        let authority = Authority::new("the database's authority");
        let server = authority.issue(&Leaf::named(DATABASE));
        let client = authority.issue(&Leaf::named("db_intern_client"));
        let ca = place.files.add("db_ca.x509", authority.certificate());
        place.files.add("client.x509", &client.certificate);
        place.files.add("client.pem", &client.key);
        let cert = place.files.add("server.pem", server.both());
        let backend = Backend::start(Ipv4Addr::LOCALHOST, Mode::Commands);
        let port = ports::next();
        let conf = format!(
            "{}[database]\naccept = 127.0.0.1:{port}\nconnect = {}\ncert = {cert}\nCAfile = {ca}\n\
             verifyChain = yes\n",
            debian::GLOBALS,
            backend.address()
        );
        let conf = place.files.add("database.conf", conf);
        Database {
            _server: Debian::start(&conf),
            _backend: backend,
            port,
        }
    }

    /// The side-car's environment.
    fn variables(&self, place: &Place) -> [(&'static str, String); 6] {
        [
            ("CAFILE", place.files.path("db_ca.x509")),
            ("CLIENT_CERT", place.files.path("client.x509")),
            ("CLIENT_KEY", place.files.path("client.pem")),
            ("DEST_HOST", "localhost".to_owned()),
            ("DEST_PORT", self.port.to_string()),
            ("DEST_CN", DATABASE.to_owned()),
        ]
    }
}

/// The same command where it and its children see no process but themselves. It becomes the first one
/// there; ended with unshare(1).
fn contained(command: &Command) -> Command {
    let mut contained = Command::new("unshare");
    contained
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    settle_as(&mut contained, command);
    contained
}

/// Gives a command the environment of another one.
fn settle_as(command: &mut Command, other: &Command) {
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// `/etc/passwd` and `/etc/group` with the names that the script has. A user who can't give files away
/// is both himself.
fn names(place: &Place) -> [String; 2] {
    let map = fs::read_to_string("/proc/self/uid_map").expect("proc is mounted");
    let is_whole = map
        .split_whitespace()
        .nth(2)
        .and_then(|count| count.parse::<u32>().ok())
        .is_some_and(|count| count > 1000);
    let (user, group) = match is_whole && rustix::process::geteuid().is_root() {
        true => (1000, 33),
        false => (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        ),
    };
    [
        place.files.add(
            "passwd",
            format!("paroisse:x:{user}:{group}::/:/bin/false\n"),
        ),
        place.files.add("group", format!("www-data:x:{group}:\n")),
    ]
}

/// The script's user changes nothing but what `socat` is: his job ends, and everything with it.
#[test]
fn pkill_ends_the_side_car_and_the_job_succeeds() {
    let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
    let database = Database::start(&place);
    let folder = place.files.path("SOCK");
    fs::create_dir(&folder).expect("a new folder");
    let log = place.files.path("socat.txt");
    let here = |script: &str| {
        script
            .replace("/SOCK/", &format!("{folder}/"))
            .replace("/tmp/socat.txt", &log)
    };
    let [passwd, group] = names(&place);
    let sidecar = place.files.add("db_tls_client.sh", here(SIDECAR));
    let main = place.files.add("main.sh", here(MAIN));
    // What makes the link, and says which image it boots.
    let linked = place.command_called("socat", &[]);
    let path = std::env::var("PATH").expect("a path in UTF-8");
    let mut command = Command::new("sh");
    command.args(["-c", POD, "pod", &passwd, &group, &sidecar, &main]);
    settle_as(&mut command, &linked);
    command
        .envs(database.variables(&place))
        .env("PATH", format!("{}:{path}", place.files.folder()));
    let mut pod = Program::spawn(&contained(&command));
    let status = pod.finish();
    assert!(status.success(), "{status}");
    pod.expect_no_family();
    for line in [
        "socket: 660 paroisse www-data",
        "bytes: 70000",
        "main container: 0",
        "socat client exit code :  0",
        "side-car: 0",
    ] {
        pod.log.wait_for(line);
    }
    assert_eq!(pod.log.find(0, "left: "), None, "{}", pod.log.text());
    assert!(!Path::new(&folder).join("mysqld.sock").exists());
    let log = fs::read_to_string(&log).expect("the script asks for a log");
    assert!(!log.is_empty());
}

/// A file of `deploy/`.
fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words behind `instruction` in the container recipe, the last time that it stands there.
fn recipe(instruction: &str) -> Vec<String> {
    let recipe = deployed("container/Containerfile");
    let mut lines = recipe.lines().rev();
    let words = lines.find_map(|line| line.strip_prefix(instruction));
    let words = words.unwrap_or_else(|| panic!("the recipe has no {instruction}"));
    serde_json::from_str(words).expect("words as JSON has them")
}

/// Both Deployments say what the container says by itself.
#[test]
fn the_manifests_and_the_recipe_have_the_same_arguments() {
    let expected = recipe("CMD ");
    for name in ["deployment", "deployment-classic"] {
        let manifest = deployed(&format!("kubernetes/{name}/deployment.yaml"));
        let lines = manifest.lines().map(str::trim);
        let arguments: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("- "))
            .filter(|word| word.starts_with("--"))
            .collect();
        assert_eq!(arguments, expected, "{name}");
    }
}

/// A container as the recipe starts it, without a script: it is its first process, is asked by its
/// probe, and ends by a signal as containers do.
#[test]
fn it_may_be_the_first_process_of_its_container() {
    let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
    let database = Database::start(&place);
    let socket = place.files.path("mysqld.sock");
    let image = vm::image();
    let image = image.to_str().expect("a path in UTF-8");
    let entry = recipe("ENTRYPOINT ");
    assert_eq!(entry, ["/usr/local/bin/stockade", "proxy"]);
    let arguments: Vec<String> = recipe("CMD ")
        .iter()
        .map(|word| word.replace("/SOCK/mysqld.sock", &socket))
        .collect();
    let mut words = vec!["proxy", "--accel", "tcg", "--image", image];
    words.extend(arguments.iter().map(String::as_str));
    let mut command = place.command(&words);
    command.envs(database.variables(&place));
    let mut container = Program::spawn(&contained(&command));
    let first = wait_until(PATIENCE, || {
        let mut family = container.family().into_iter();
        family.find(|process| process.parent == container.pid())
    });
    let first = first.expect("unshare has forked").pid;
    // As Kubernetes does it: inside, where process numbers are the container's.
    let mut probe = Command::new("nsenter");
    probe.args(["--target", &first.to_string(), "--pid", "--mount", "--"]);
    let status = place.command(&["status"]);
    probe.arg(status.get_program()).args(status.get_args());
    probe.envs(
        status
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let serves = wait_until(PATIENCE, || {
        let probed = probe.output().expect("nsenter starts");
        probed.status.success().then_some(())
    });
    assert!(serves.is_some(), "{}", container.log.text());

    let fetched = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(["--unix-socket", &socket, "http://db/bytes/70000"])
        .output()
        .expect("curl starts");
    assert_eq!(fetched.stdout.len(), 70_000, "{fetched:?}");

    assert!(processes::signal(first, Signal::TERM));
    let status = container.finish();
    assert_eq!(status.code(), Some(0), "{}", container.log.text());
    container.expect_no_family();
    assert!(!Path::new(&socket).exists());
}

//! What only one of them can show, or what is not the same word for word.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;
use stockade_tests::launcher::processes;
use stockade_tests::{PATIENCE, wait_until};

use super::{Daemon, Kind, LOG, PID};
use crate::scene::{GLOBALS, Scene, begin_echo, echo, end};

/// Options whose values would need code in the image, or that are refused for what they are.
const REFUSED: [&str; 10] = [
    "CAengine",
    "CAstore",
    "config",
    "engine",
    "engineCtrl",
    "engineDefault",
    "engineId",
    "engineNum",
    "ident",
    "sessiond",
];

/// What a call prints on standard error; both have nothing to say on standard output.
fn printed(kind: Kind, scene: &Scene, word: &str) -> String {
    let finished = kind.call(scene, &[word]).succeeded();
    assert!(finished.stdout.is_empty(), "{kind:?} {word}");
    finished.stderr
}

/// What stands before `= ` in lines of two columns.
fn names(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.split_once("= "));
    rows.map(|(name, _)| name.trim().to_owned()).collect()
}

/// Scripts look for the version, and for options.
#[test]
fn scripts_find_what_they_look_for() {
    let scene = Scene::new();
    for word in ["-version", "-help", "-options", "-sockets", "-VERSION"] {
        for kind in [Kind::Debian, Kind::Ours] {
            let text = printed(kind, &scene, word);
            let is_version = |line: &str| line.starts_with("stunnel 5.");
            assert!(text.lines().any(is_version), "{kind:?} {word}: {text}");
        }
    }
    let first = printed(Kind::Ours, &scene, "-version");
    let first = first.lines().next().expect("a first line");
    assert!(
        first.starts_with("stunnel 5.") && first.contains("Stockade"),
        "{first}"
    );
}

#[test]
fn debians_options_are_listed_but_those_that_are_refused() {
    let scene = Scene::new();
    let [debian, ours] = [Kind::Debian, Kind::Ours].map(|kind| printed(kind, &scene, "-help"));
    let missing: Vec<String> = names(&debian).difference(&names(&ours)).cloned().collect();
    let surprising: Vec<&String> = missing
        .iter()
        .filter(|name| !REFUSED.contains(&name.as_str()))
        .collect();
    assert!(surprising.is_empty(), "{surprising:?}");

    let values = |text: &str| -> BTreeSet<String> {
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("options = "));
        rows.map(str::to_owned).collect()
    };
    let [debian, ours] = [Kind::Debian, Kind::Ours].map(|kind| printed(kind, &scene, "-options"));
    let missing: Vec<String> = values(&debian)
        .difference(&values(&ours))
        .cloned()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The command does what the links do.
#[test]
fn the_command_is_the_same_as_the_link() {
    let scene = Scene::new();
    let by_link = printed(Kind::Ours, &scene, "-options");
    let mut command = scene.place.command(&["stunnel", "-options"]);
    let by_command = super::finish(&mut command).succeeded();
    assert_eq!(by_command.stderr, by_link);
    let help = super::finish(&mut scene.place.command(&["stunnel", "--help"])).succeeded();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("STOCKADE_OPTIONS"), "{help}");
}

/// The process that is called returns when the image serves, and what serves is nobody's terminal's.
#[test]
fn a_daemon_leaves_its_terminal_with_its_qemu() {
    let scene = Scene::new();
    let path = |name| scene.place.files.path(name);
    let service = scene.service("tls", scene.server, scene.backend.address());
    let conf = format!(
        "syslog = no\noutput = {}\npid = {}\n{service}",
        path(LOG),
        path(PID)
    );
    let conf = scene.write(&conf);
    let called = Kind::Ours.call(&scene, &[&conf]).succeeded();
    assert_eq!((called.stderr.as_str(), called.stdout.len()), ("", 0));
    let daemon = Daemon::of(&scene);
    scene.try_echo(scene.server).expect("a served connection");
    let family = processes::of_session(daemon.0);
    let mut names: Vec<&str> = family.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["qemu-system-x86", "stunnel"]);
    let qemu = family.iter().find(|one| one.name != "stunnel");
    let qemu = qemu.expect("found above").pid;
    let mode = fs::metadata(path(LOG)).expect("a log").mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    daemon.signal(Signal::TERM);
    daemon.expect_end(&scene);
    assert!(!processes::is_alive(qemu), "QEMU runs on");
}

/// Connections are listed at the highest level, whatever `debug` says.
#[test]
fn sigusr2_lists_connections() {
    let scene = Scene::new();
    let conf = scene.write(&scene.conf("debug = 6\n"));
    let program = Kind::Ours.start(&scene, &[&conf]);
    let mut stream = begin_echo(&scene, scene.server);
    program.signal(Signal::USR2);
    program.log.wait_for("LOG0[ui]: Active connections:");
    program
        .log
        .wait_for("LOG0[ui]: Active connection 1: Service [tls], 5 byte(s) sent to TLS, ");
    program
        .log
        .wait_for("LOG0[ui]: Listed 1 active connection(s)");
    echo(&mut stream, b"as if nothing had happened").expect("an echo");
    end(stream).expect("an orderly end");
}

/// Open connections end with it, as stunnel's do.
#[test]
fn sigterm_waits_for_nobody() {
    let scene = Scene::new();
    let conf = scene.write(&scene.conf("debug = 6\n"));
    let mut program = Kind::Ours.start(&scene, &[&conf]);
    let _open = begin_echo(&scene, scene.server);
    program.signal(Signal::TERM);
    assert_eq!(program.finish().code(), Some(0), "{}", program.log.text());
    program.expect_no_family();
}

/// A new log file and a new level are in force after SIGHUP; the pid file stays what it was.
#[test]
fn sighup_takes_the_log_along() {
    let scene = Scene::new();
    let path = |name: &str| scene.place.files.path(name);
    let service = scene.service("tls", scene.server, scene.backend.address());
    let conf = |log: &str, pid: &str, level: u8| {
        let (log, pid) = (path(log), path(pid));
        format!("syslog = no\noutput = {log}\npid = {pid}\ndebug = {level}\n{service}")
    };
    let file = scene.write(&conf("first.log", PID, 5));
    Kind::Ours.call(&scene, &[&file]).succeeded();
    let daemon = Daemon::of(&scene);
    scene.write(&conf(LOG, "other.pid", 6));
    daemon.signal(Signal::HUP);
    let taken = wait_until(PATIENCE, || {
        scene.try_echo(scene.server).expect("a served connection");
        let log = fs::read_to_string(path(LOG)).unwrap_or_default();
        // A line of level 6, of a connection that came when the new level was in force.
        log.contains("TLS accepted").then_some(())
    });
    assert!(
        taken.is_some(),
        "no connection at the new level in the new log"
    );
    let first = fs::read_to_string(path("first.log")).expect("the first log");
    assert!(
        first.contains("Configuration successful") && !first.contains("LOG6["),
        "{first}"
    );
    assert!(fs::metadata(path("other.pid")).is_err(), "another pid file");
    daemon.signal(Signal::TERM);
    daemon.expect_end(&scene);
}

/// Both processes are of that user; where there is no other, the system's refusal is told.
#[test]
fn setuid_is_the_launchers_and_qemus() {
    const NOBODY: u32 = 65534;
    let scene = Scene::new();
    let conf = format!(
        "{GLOBALS}debug = 6\nsetuid = {NOBODY}\nsetgid = {NOBODY}\n{}",
        scene.service("tls", scene.server, scene.backend.address())
    );
    let conf = scene.write(&conf);
    let map = fs::read_to_string("/proc/self/uid_map").expect("proc is mounted");
    let count = map.split_whitespace().nth(2).map(str::parse::<u32>);
    if !matches!(count, Some(Ok(count)) if count > NOBODY) {
        let refused = Kind::Ours.call(&scene, &[&conf]);
        assert_eq!(refused.status.code(), Some(1));
        let told = |line: &str| line.starts_with("[!] set");
        assert!(refused.stderr.lines().any(told), "{}", refused.stderr);
        return;
    }
    let mut program = Kind::Ours.start(&scene, &[&conf]);
    scene.try_echo(scene.server).expect("a served connection");
    for process in program.family() {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid));
        let status = status.expect("it runs");
        for field in ["Uid:", "Gid:"] {
            let ids = status.lines().find_map(|line| line.strip_prefix(field));
            let ids: BTreeSet<&str> = ids.expect("a field of proc").split_whitespace().collect();
            assert_eq!(ids, BTreeSet::from(["65534"]), "{process:?}");
        }
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:"));
        assert_eq!(groups.map(str::trim), Some("65534"), "{process:?}");
    }
    let log = program.log.text();
    assert!(!log.contains("has no effect"), "{log}");
    program.signal(Signal::TERM);
    assert_eq!(program.finish().code(), Some(0), "{}", program.log.text());
}

#[test]
fn chroot_is_told_and_changes_nothing() {
    let scene = Scene::new();
    let conf = scene.write(&scene.conf("debug = 6\nchroot = /nonexistent\n"));
    let program = Kind::Ours.start(&scene, &[&conf]);
    let line = program
        .log
        .wait_for("\"chroot = /nonexistent\" has no effect");
    assert!(line.contains("LOG5[ui]: "), "{line}");
    scene.try_echo(scene.server).expect("a served connection");
}

/// Who ends it before it serves has not been served.
#[test]
fn a_daemon_that_never_serves_is_a_failure() {
    let scene = Scene::new();
    let service = scene.service("tls", scene.server, scene.backend.address());
    let conf = scene.write(&format!("syslog = no\n{service}"));
    let mut command = Kind::Ours.command(&scene, &[&conf]);
    let no_image = scene.place.files.add("image", "no image at all");
    let options = format!("--accel tcg --image {no_image}");
    let called = super::finish(command.env("STOCKADE_OPTIONS", options));
    assert_eq!(called.status.code(), Some(1), "{}", called.stderr);
    let told = |line: &str| line.starts_with("[!] ");
    assert!(called.stderr.lines().any(told), "{}", called.stderr);
}

/// Options that stunnel's command line has no place for come from the environment, and what is wrong
/// with them is told.
#[test]
fn wrong_options_in_the_environment_are_told() {
    let scene = Scene::new();
    let conf = scene.write(&scene.conf(""));
    for (options, told) in [
        ("--what", "unexpected argument '--what'"),
        (
            "--conf other",
            "--conf, --pidfile and --dry-run have no place there",
        ),
        ("--publish 8443:443", "--conf goes without --publish"),
    ] {
        let mut command = Kind::Ours.command(&scene, &[&conf]);
        command.env("STOCKADE_OPTIONS", options);
        let refused = super::finish(&mut command);
        assert_eq!(refused.status.code(), Some(1), "{options}");
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
}

//! Keys are nowhere but in memory: not in what `ps` shows, not in environments, not in new files,
//! not in the log.

use std::fs;

use rustix::process::Signal;
use stockade_tests::launcher::place::Sort;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::ports;

use crate::scene::{GLOBALS, LOOPBACK, Scene};

/// A pre-shared key, as a file of keys holds it.
const PSK: &str = "shiPaetai3ejaiGees3koi3nuoph5ohm";

#[test]
fn are_seen_nowhere() {
    let scene = Scene::new();
    let shared = std::net::SocketAddr::new(LOOPBACK, ports::next());
    let keys = scene.place.files.add("keys", format!("someone:{PSK}\n"));
    let backend = scene.backend.address();
    let conf = format!(
        "{GLOBALS}debug = 7\n{}[shared]\naccept = {shared}\nconnect = {backend}\nciphers = PSK\nPSKsecrets = {keys}\n",
        scene.service("tls", scene.server, backend),
    );
    let conf = scene.write(&conf);
    let pid_file = scene.place.files.path("run/trial.pid");
    let mut launcher = scene.launch_with(&conf, &["--pidfile", &pid_file]);
    launcher.wait_until_serving();
    let secrets = secrets(&scene);
    let look = |launcher: &Program, when: &str| {
        expect_no_secret(&scene, launcher, &secrets, &pid_file, when);
    };
    scene.try_echo(scene.server).expect("a served connection");
    look(&launcher, "while it serves");

    scene.place.control(&["reload"]).succeeded();
    look(&launcher, "after a reload");

    assert!(processes::signal(launcher.qemu(), Signal::KILL));
    scene.place.wait_for_event(0, "restarting");
    scene.try_echo(scene.server).expect("a served connection");
    look(&launcher, "after a crash");

    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success());
    let left = scene.place.leavings();
    assert!(
        left.iter().all(|(_, sort)| *sort == Sort::Empty),
        "{left:?}"
    );
}

/// Pieces of what must not be seen.
fn secrets(scene: &Scene) -> Vec<String> {
    let lines = scene.identity.key.lines();
    let body = lines.filter(|line| !line.starts_with('-'));
    let mut secrets: Vec<String> = body.map(str::to_owned).collect();
    assert!(secrets.iter().any(|line| line.len() > 40), "this is no key");
    secrets.push(PSK.to_owned());
    secrets.retain(|secret| secret.len() > 8);
    secrets
}

fn expect_no_secret(
    scene: &Scene,
    launcher: &Program,
    secrets: &[String],
    pid_file: &str,
    when: &str,
) {
    let check = |what: &str, bytes: &[u8]| {
        for secret in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a secret in {what} {when}");
        }
    };
    let family = launcher.family();
    assert!(family.len() >= 2, "{family:?} {when}");
    for process in family {
        let name = &process.name;
        let words = processes::command_line(process.pid);
        assert!(!words.is_empty(), "{process:?}");
        check(&format!("{name}'s command line"), &words);
        check(
            &format!("{name}'s environment"),
            &processes::environment(process.pid),
        );
        // A file that was removed at once is on disk all the same.
        for path in processes::descriptors(process.pid) {
            let path = path.to_string_lossy();
            let on_disk = path.starts_with('/') && !path.starts_with("/memfd:");
            assert!(
                !(on_disk && path.ends_with(" (deleted)")),
                "{name} has {path} {when}"
            );
        }
    }
    check("the log", launcher.log.text().as_bytes());
    for (path, sort) in scene.place.leavings() {
        let is_pid_file = path.to_str() == Some(pid_file);
        assert!(
            is_pid_file || sort != Sort::File,
            "{} {when}",
            path.display()
        );
        check(
            &path.display().to_string(),
            &fs::read(&path).unwrap_or_default(),
        );
    }
    assert!(fs::metadata(pid_file).is_ok(), "no pid file {when}");
}

//! The control commands, and what the service manager is told.

use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;
use stockade_tests::launcher::notify::Ear;
use stockade_tests::launcher::place::NAME;
use stockade_tests::launcher::program::Program;
use stockade_tests::{PATIENCE, wait_until};

use crate::scene::{Scene, begin_echo, echo, end};

/// The status of a command about a launcher that does not run.
const NOT_RUNNING: i32 = 3;

#[test]
fn of_a_launcher_that_does_not_run() {
    let scene = Scene::new();
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["stop"],
        &["reload"],
        &["diagnose"],
        &["diagnose", "--json"],
    ] {
        let answer = scene.place.control(words);
        let code = answer.status.code();
        if words[0] == "status" {
            assert_eq!(code, Some(NOT_RUNNING), "{words:?}: {}", answer.stderr);
        } else {
            assert!(code.is_some_and(|code| code != 0), "{words:?}: {answer:?}");
        }
        let said = answer.stderr + &String::from_utf8_lossy(&answer.stdout);
        assert!(
            said.contains(NAME),
            "{words:?} does not say which: {said:?}"
        );
    }
    assert!(
        scene.place.leavings().is_empty(),
        "{:?}",
        scene.place.leavings()
    );
}

#[test]
fn of_one_that_serves() {
    let scene = Scene::new();
    let mut launcher = scene.start(&[]);
    let mut stream = begin_echo(&scene, scene.server);

    let status = scene.place.status();
    assert_eq!(status["name"], NAME);
    assert_eq!(status["pid"], launcher.pid());
    assert_eq!(status["qemu_pid"], launcher.qemu());
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["starts"], 1);
    assert_eq!(status["image"]["sessions"], 1, "{status}");
    assert_eq!(status["image"]["accepted_total"], 1, "{status}");
    let said = control_text(&scene, &["status"]);
    for expected in ["serving", &scene.server.port().to_string()] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }

    let events = scene.place.events_since(0);
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|event| event["number"].as_u64())
        .collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    for kind in ["started", "ready", "accepted"] {
        let count = events.iter().filter(|event| event["kind"] == kind).count();
        assert_eq!(count, 1, "{kind} in {events:#?}");
    }
    let said = control_text(&scene, &["diagnose"]);
    let accepted = format!("accepted connection from {}", local(&stream));
    assert!(said.contains(&accepted), "{accepted:?} is not in {said}");
    let later = scene.place.events_since(numbers.len() as u64 - 1);
    let later: Vec<&Value> = later.iter().map(|event| &event["number"]).collect();
    assert_eq!(later.first(), Some(&&Value::from(numbers.len())));

    control_text(&scene, &["reload"]);
    assert_eq!(scene.place.status()["revision"], 2);

    echo(&mut stream, b"still there").expect("an echo");
    end(stream).expect("an orderly end");
    control_text(&scene, &["stop"]);
    // It answers once it is over; the process has a little to clear away.
    assert_eq!(launcher.finish().code(), Some(0), "{}", launcher.log.text());
    launcher.expect_no_family();
    assert!(!scene.place.socket().exists());
    assert_eq!(
        scene.place.control(&["status"]).status.code(),
        Some(NOT_RUNNING)
    );
}

fn local(stream: &stockade_tests::client::TlsStream) -> String {
    let own = stream.tcp().local_addr();
    own.expect("an open socket").to_string()
}

/// What a command says that must succeed.
fn control_text(scene: &Scene, words: &[&str]) -> String {
    let finished = scene.place.control(words).succeeded();
    String::from_utf8_lossy(&finished.stdout).into_owned()
}

/// A stop with a drain of its own does not wait for the launcher's.
#[test]
fn a_stop_with_less_time() {
    let scene = Scene::new();
    let drain = (2 * PATIENCE.as_secs()).to_string();
    let mut launcher = scene.start(&["--drain", &drain]);
    let mut stream = begin_echo(&scene, scene.server);
    control_text(&scene, &["stop", "--drain", "0"]);
    assert_eq!(launcher.finish().code(), Some(0), "{}", launcher.log.text());
    std::io::Read::read(&mut stream, &mut [0]).expect_err("nobody has ended this in order");
}

/// The second of a name says so and ends; the first one serves on.
#[test]
fn two_of_the_same_name() {
    let scene = Scene::new();
    let mut first = scene.start(&[]);
    let other = scene.conf("").replace(
        &format!(":{}\nconnect", scene.server.port()),
        &format!(":{}\nconnect", stockade_tests::stunnel::ports::next()),
    );
    let other = scene.place.files.add("other.conf", other);
    let mut second = scene.launch_with(&other, &[]);
    assert!(!second.finish().success());
    second.log.wait_for("runs already");
    second.expect_no_family();
    assert!(first.is_running());
    assert_eq!(scene.place.status()["pid"], first.pid());
    scene.try_echo(scene.server).expect("a served connection");
}

/// READY=1 when it accepts, RELOADING=1 and READY=1 again around a reload, STOPPING=1 at the end.
#[test]
fn the_service_manager_is_told() {
    let scene = Scene::new();
    let ear = Ear::at(scene.place.files.path("notify"));
    let conf = scene.write(&scene.conf(""));
    let mut launcher = notifying(&scene, &ear, &conf);
    ear.wait_for("READY=1");
    assert_eq!(scene.place.status()["phase"], "serving");
    TcpStream::connect(scene.server).expect("it accepts");
    scene.try_echo(scene.server).expect("a served connection");

    launcher.signal(Signal::HUP);
    let note = ear.wait_for("RELOADING=1");
    let moment = note
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    let moment: u64 = moment.and_then(|text| text.parse().ok()).expect("a moment");
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = u64::try_from(now.tv_sec).expect("since the system's start") * 1_000_000;
    assert!(moment <= now + 1_000_000, "{moment} is after {now}");
    ear.wait_for("READY=1");
    assert_eq!(scene.place.status()["revision"], 2);

    // Ready again, too, when the new one is refused: the old one serves.
    scene.write("colour = red\n");
    launcher.signal(Signal::HUP);
    ear.wait_for("RELOADING=1");
    ear.wait_for("READY=1");
    scene.try_echo(scene.server).expect("a served connection");

    launcher.signal(Signal::TERM);
    ear.wait_for("STOPPING=1");
    assert!(launcher.finish().success());
    let after = ear.heard();
    assert!(
        !after.iter().any(|note| note.contains("READY=1")),
        "{after:?}"
    );
}

/// What never serves is never ready.
#[test]
fn the_service_manager_is_not_told_too_early() {
    let scene = Scene::new();
    let ear = Ear::at(scene.place.files.path("notify"));
    let conf = scene.write(&scene.conf(""));
    let mut launcher = notifying(&scene, &ear, &conf);
    // Nobody has told it that it serves yet, and so it has told nobody.
    let qemu = launcher.qemu();
    stockade_tests::launcher::processes::signal(qemu, Signal::STOP);
    let answers = || scene.place.control(&["status"]).status.code() != Some(NOT_RUNNING);
    let answers = wait_until(PATIENCE, || answers().then_some(()));
    assert!(
        answers.is_some(),
        "it does not answer while its image boots"
    );
    let is_ready = ear.heard().iter().any(|note| note.contains("READY=1"));
    // Asked afterwards: had it told, it would have to serve by now.
    let status = scene.place.status();
    assert!(!is_ready || status["phase"] == "serving", "{status}");
    stockade_tests::launcher::processes::signal(qemu, Signal::CONT);
    if !is_ready {
        ear.wait_for("READY=1");
    }
    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success());

    let conf = scene.write("colour = red\n");
    let mut launcher = notifying(&scene, &ear, &conf);
    assert!(!launcher.finish().success());
    let heard = ear.heard();
    assert!(
        !heard.iter().any(|note| note.contains("READY=1")),
        "{heard:?}"
    );
}

/// A launcher whose service manager listens.
fn notifying(scene: &Scene, ear: &Ear, conf: &str) -> Program {
    use stockade_tests::launcher::place::Place;
    let words = Place::run_words(&["--conf", conf]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = scene.place.command(&words);
    Program::spawn(command.env("NOTIFY_SOCKET", ear.path()))
}

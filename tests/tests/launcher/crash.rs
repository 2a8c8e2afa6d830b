//! The end that nobody asked for: of QEMU, and of the launcher.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use stockade_tests::PATIENCE;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::client::TlsStream;
use stockade_tests::launcher::processes;
use stockade_tests::pattern::Hasher;
use stockade_tests::wait_until;

use crate::scene::{LOOPBACK, Scene, echo, end};
use crate::unix;

/// More than is carried before the end comes.
const MUCH: u64 = 4 << 30;
const MEGABYTE: usize = 1 << 20;

/// A connection in the middle of a transfer.
fn in_mid_transfer(scene: &Scene) -> TlsStream {
    let mut stream = scene.connect();
    writeln!(stream, "DOWN {MUCH}").expect("the command is taken");
    let mut some = vec![0; MEGABYTE];
    stream.read_exact(&mut some).expect("the first megabyte");
    stream
}

/// Its client sees a reset, those that come meanwhile are served, and the last words are kept.
#[test]
fn of_qemu_in_mid_transfer() {
    let scene = Scene::new();
    let mut launcher = scene.start(&[]);
    let qemu = launcher.qemu();
    assert_eq!(scene.place.status()["qemu_pid"], qemu);
    let stream = in_mid_transfer(&scene);
    assert!(processes::signal(qemu, Signal::KILL));
    let ended = stream_end(stream);
    assert_eq!(ended, ErrorKind::ConnectionReset);

    // They wait in the backlog until the next machine serves.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| scene.try_echo(scene.server).expect("a served connection"));
        }
    });
    let again = launcher.qemu();
    assert_ne!(again, qemu);
    assert!(!processes::is_alive(qemu));
    let status = scene.place.status();
    assert_eq!(status["phase"], "serving", "{status}");
    assert_eq!(
        (&status["starts"], &status["qemu_pid"]),
        (&2.into(), &again.into())
    );

    // What the console said last, and how it ended.
    let event = scene.place.wait_for_event(0, "ended");
    let text = event["text"].as_str().unwrap_or_default();
    assert!(text.contains("ready: accepting on"), "{event}");
    let words = &status["last_words"];
    let outcome = words["outcome"].as_str().unwrap_or_default();
    assert!(
        text.contains(outcome) && outcome.contains('9'),
        "{event} {words}"
    );
    let console = words["console"].as_array().map_or(0, Vec::len);
    assert!(console > 0, "{words}");
    assert!(launcher.is_running());
}

/// A configuration that comes while there is no machine is the next one's.
#[test]
fn of_qemu_and_a_reload_meanwhile() {
    let scene = Scene::new();
    let other = Backend::start(LOOPBACK, Mode::Commands);
    let launcher = scene.start(&[]);
    let [here, there] = [&scene.backend, &other].map(|backend| backend.address().to_string());
    scene.write(&scene.conf("").replace(&here, &there));
    assert!(processes::signal(launcher.qemu(), Signal::KILL));
    // Until the end is noticed, the new configuration would be taken for its cause.
    scene.place.wait_for_event(0, "ended");
    scene.place.control(&["reload"]).succeeded();
    scene.try_echo(scene.server).expect("a served connection");
    assert_eq!(
        (scene.backend.records().len(), other.records().len()),
        (0, 1)
    );
    let status = scene.place.status();
    assert_eq!(
        (&status["revision"], &status["starts"]),
        (&2.into(), &2.into()),
        "{status}"
    );
}

/// A stop needs no machine, and prevents the next one.
#[test]
fn of_qemu_and_a_stop_meanwhile() {
    let scene = Scene::new();
    let mut launcher = scene.start(&[]);
    let qemu = launcher.qemu();
    assert!(processes::signal(qemu, Signal::KILL));
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.finish().code(), Some(0), "{}", launcher.log.text());
    launcher.expect_no_family();
    assert!(!scene.place.socket().exists());
}

/// How a transfer ends that nobody ends in order.
fn stream_end(mut stream: TlsStream) -> ErrorKind {
    match stream.read_into(Hasher::default()) {
        Ok(hasher) => panic!("a clean end after {} bytes", hasher.finish().length),
        Err(error) => error.kind(),
    }
}

/// Nothing of it lives on, and the next one has its name, its sockets and its pid file.
#[test]
fn of_the_launcher_in_mid_transfer() {
    let scene = Scene::new();
    let socket = scene.place.files.path("tls.sock");
    let words = unix::words(&scene, &socket);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    launcher.wait_until_serving();
    let qemu = launcher.qemu();
    let client = UnixStream::connect(&socket).expect("it serves");
    let mut stream = unix::connect(&scene, client);
    writeln!(stream, "DOWN {MUCH}").expect("the command is taken");
    let mut some = vec![0; MEGABYTE];
    stream.read_exact(&mut some).expect("the first megabyte");
    launcher.kill();
    stream_end(stream);
    launcher.expect_no_family();
    assert!(!processes::is_alive(qemu));
    expect_another_to_serve(&scene, &socket);
}

/// Fifty times, at another moment of its first half second each: whatever it is about then.
#[test]
fn of_the_launcher_while_it_starts() {
    const TIMES: u64 = 50;
    const SPAN_MICROS: u64 = 500_000;
    let scene = Scene::new();
    let socket = scene.place.files.path("tls.sock");
    let words = unix::words(&scene, &socket);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut with_qemu = 0;
    for time in 0..TIMES {
        // 7 is coprime to 50: all moments, not in order.
        let after = Duration::from_micros((time * 7 % TIMES) * SPAN_MICROS / TIMES);
        let mut launcher = scene.place.run(&words);
        thread::sleep(after);
        with_qemu += usize::from(launcher.family().len() > 1);
        launcher.kill();
        let left = || launcher.family().is_empty().then_some(());
        assert!(
            wait_until(PATIENCE, left).is_some(),
            "killed after {after:?}, it leaves {:#?}",
            launcher.family()
        );
    }
    assert!(with_qemu > 0, "no moment was late enough");
    expect_another_to_serve(&scene, &socket);
}

/// A launcher of the same name with the same socket serves.
fn expect_another_to_serve(scene: &Scene, socket: &str) {
    let words = unix::words(scene, socket);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    launcher.wait_until_serving();
    let client = UnixStream::connect(socket).expect("it serves");
    let mut stream = unix::connect(scene, client);
    stream.write_all(b"ECHO\n").expect("the command is taken");
    echo(&mut stream, b"as if nothing had happened").expect("an echo");
    end(stream).expect("an orderly end");
    assert_eq!(scene.place.status()["pid"], launcher.pid());
    let pid_file = fs::read_to_string(scene.place.files.path("run/trial.pid"));
    assert_eq!(
        pid_file.expect("a pid file").trim(),
        launcher.pid().to_string()
    );
    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success(), "{}", launcher.log.text());
}

//! What signals make of a run.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;

use rustix::process::Signal;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::launcher::program::Program;
use stockade_tests::{PATIENCE, wait_until};

use crate::scene::{LOOPBACK, Scene, begin_echo, echo, end};
use crate::unix;

/// Waits until the launcher has begun to stop: its address refuses.
fn wait_until_it_refuses(scene: &Scene) {
    let refuses = wait_until(PATIENCE, || {
        let refused = TcpStream::connect(scene.server).err()?;
        (refused.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
    assert!(refuses.is_some(), "it goes on accepting");
}

/// That a run has ended as it should, and left nothing.
fn expect_a_clean_end(scene: &Scene, launcher: &mut Program, qemu: u32, pid_file: &str) {
    let status = launcher.finish();
    assert_eq!(status.code(), Some(0), "{}", launcher.log.text());
    assert!(
        !stockade_tests::launcher::processes::is_alive(qemu),
        "QEMU runs on"
    );
    launcher.expect_no_family();
    assert!(!Path::new(pid_file).exists(), "the pid file is there");
    assert!(
        !scene.place.socket().exists(),
        "the control socket is there"
    );
}

/// New clients are refused at once. A connection that ends by itself ends in order; one that does
/// not is reset when its time is over, and that is no clean end.
fn an_orderly_end(signal: Signal) {
    let scene = Scene::new();
    let pid_file = scene.place.files.path("stockade.pid");
    let mut launcher = scene.start(&["--drain", "4", "--pidfile", &pid_file]);
    let written = fs::read_to_string(&pid_file).expect("a pid file");
    assert_eq!(written.trim(), launcher.pid().to_string());
    let qemu = launcher.qemu();
    let mut ends = begin_echo(&scene, scene.server);
    let mut stays = begin_echo(&scene, scene.server);

    launcher.signal(signal);
    wait_until_it_refuses(&scene);
    echo(&mut ends, b"a moment more").expect("an echo while it drains");
    end(ends).expect("an orderly end");
    let error = stays
        .read(&mut [0])
        .expect_err("nobody has ended this in order");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    expect_a_clean_end(&scene, &mut launcher, qemu, &pid_file);
}

#[test]
fn sigterm_ends_it_in_order() {
    an_orderly_end(Signal::TERM);
}

#[test]
fn sigint_ends_it_in_order() {
    an_orderly_end(Signal::INT);
}

/// The drain would take longer than this test waits for anything.
#[test]
fn a_second_sigterm_ends_it_at_once() {
    let scene = Scene::new();
    let pid_file = scene.place.files.path("stockade.pid");
    let drain = (2 * PATIENCE.as_secs()).to_string();
    let mut launcher = scene.start(&["--drain", &drain, "--pidfile", &pid_file]);
    let qemu = launcher.qemu();
    let mut stream = begin_echo(&scene, scene.server);
    launcher.signal(Signal::TERM);
    wait_until_it_refuses(&scene);
    echo(&mut stream, b"still there").expect("an echo while it drains");
    launcher.signal(Signal::TERM);
    let error = stream
        .read(&mut [0])
        .expect_err("nobody has ended this in order");
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
        ),
        "{error}"
    );
    launcher.finish();
    launcher.expect_no_family();
    assert!(!stockade_tests::launcher::processes::is_alive(qemu));
    assert!(!Path::new(&pid_file).exists(), "the pid file is there");
    assert!(
        !scene.place.socket().exists(),
        "the control socket is there"
    );
}

/// Before the image serves there is nothing to wait for.
#[test]
fn a_sigterm_while_it_boots() {
    let scene = Scene::new();
    let socket = scene.place.files.path("tls.sock");
    let words = unix::words(&scene, &socket);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    launcher.qemu();
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.finish().code(), Some(0), "{}", launcher.log.text());
    launcher.expect_no_family();
    assert!(!Path::new(&socket).exists() && !scene.place.socket().exists());
}

/// SIGHUP makes it read its configuration again; nobody's connection ends.
#[test]
fn sighup_reads_the_configuration_again() {
    let scene = Scene::new();
    let mut launcher = scene.start(&[]);
    let mut old = begin_echo(&scene, scene.server);
    let other = Backend::start(LOOPBACK, Mode::Commands);
    let conf = scene.conf("").replace(
        &scene.backend.address().to_string(),
        &other.address().to_string(),
    );
    scene.write(&conf);
    launcher.signal(Signal::HUP);
    scene.place.wait_for_event(0, "reloaded");
    end(begin_echo(&scene, scene.server)).expect("an orderly end");
    assert_eq!(
        (scene.backend.records().len(), other.records().len()),
        (1, 1)
    );
    echo(&mut old, b"as if nothing had happened").expect("an echo");
    end(old).expect("an orderly end");
    assert!(launcher.is_running());
}

/// Nobody waits for the answer to a signal, so its standard error has it.
#[test]
fn sighup_says_what_is_wrong() {
    let scene = Scene::new();
    let launcher = scene.start(&[]);
    let conf = scene.conf("");
    scene.write(&format!("{conf}colour = red\n"));
    launcher.signal(Signal::HUP);
    let line = format!("stunnel.conf:{}", conf.lines().count() + 1);
    launcher.log.wait_for(&line);
    scene.try_echo(scene.server).expect("a served connection");
}

/// However many come at once: the last configuration is in force, and nothing is left waiting.
#[test]
fn many_sighups_at_once() {
    const MANY: usize = 20;
    let scene = Scene::new();
    let mut launcher = scene.start(&[]);
    let other = Backend::start(LOOPBACK, Mode::Commands);
    let mut old = begin_echo(&scene, scene.server);
    let conf = scene.conf("");
    let [here, there] = [&scene.backend, &other].map(|backend| backend.address().to_string());
    for turn in 0..MANY {
        if turn == MANY / 2 {
            scene.write(&conf.replace(&here, &there));
        }
        launcher.signal(Signal::HUP);
    }
    // One that follows another at its heels may be told to come again.
    let moved = wait_until(PATIENCE, || {
        scene.try_echo(scene.server).expect("a served connection");
        let moved = !other.records().is_empty();
        if !moved {
            launcher.signal(Signal::HUP);
        }
        moved.then_some(())
    });
    assert!(moved.is_some(), "{}", launcher.log.text());
    scene.place.control(&["reload"]).succeeded();
    echo(&mut old, b"as if nothing had happened").expect("an echo");
    end(old).expect("an orderly end");
    launcher.signal(Signal::TERM);
    assert_eq!(launcher.finish().code(), Some(0), "{}", launcher.log.text());
}

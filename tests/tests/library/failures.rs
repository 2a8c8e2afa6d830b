//! Everything else that can go wrong, at the start and later.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stockade::{Check, Config, Error, EventKind, Image, Options, Proxy, Remote, Verification};
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, wait_until};

use crate::scene::{LOOPBACK, Scene, Server, add, connect, errors, fail, open_echo, options};

/// A proxy that can't be started.
#[track_caller]
fn refused(config: Config, options: Options) -> Error {
    Proxy::start_with(config, options).expect_err("it was to be refused")
}

#[track_caller]
fn check(error: &Error, words: &str, detail: &str) {
    assert_eq!(error.to_string(), format!("Stunnel error: {words}"));
    assert!(error.detail().contains(detail), "{error:#}");
}

#[test]
fn remotes_that_can_not_be_had() {
    let scene = Scene::new();
    let silent = TcpListener::bind((LOOPBACK, ports::next())).expect("a free port");
    let silent = silent.local_addr().expect("it is bound").port();
    let nobody = ports::next();
    let pool = scene.pool();
    let fails = |remote: Remote, option: &str| {
        let mut config = scene.config(0, None);
        config.remote = remote;
        config.options = vec![option.to_owned()];
        let proxy = add(&pool, config);
        fail(&proxy);
        let errors = errors(&proxy);
        errors.into_iter().next().expect("a failure")
    };
    let plain = "delay = no";
    let error = fails(Remote::new(LOOPBACK, nobody), plain);
    check(
        &error,
        "Connection refused",
        &format!("{LOOPBACK}:{nobody}"),
    );
    let error = fails(Remote::new("nowhere.invalid", 443), plain);
    check(&error, "No host resolved", "nowhere.invalid");
    // There is no way out of the tests' namespace.
    let error = fails(Remote::new("192.0.2.1", 443), plain);
    check(&error, "No route to host", "192.0.2.1:443");
    let error = fails(Remote::new("224.0.0.1", 443), plain);
    check(&error, "Invalid argument", "224.0.0.1:443");
    let error = fails(Remote::new(LOOPBACK, silent), "TIMEOUTbusy = 1");
    let words = "Timed out waiting for stunnel condition";
    check(&error, words, "TIMEOUTbusy exceeded");
}

#[test]
fn what_answers_without_tls_fails_the_handshake() {
    let scene = Scene::new();
    let listener = TcpListener::bind((LOOPBACK, ports::next())).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let proxy = scene.start(scene.config(port, None));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("the proxy's connection");
            stream
                .write_all(b"220 plain.example ESMTP\r\n")
                .expect("room");
            let mut rest = Vec::new();
            let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
        });
        fail(&proxy);
    });
    let errors = errors(&proxy);
    let [error @ Error::HandshakeFailed(_)] = errors.as_slice() else {
        panic!("{errors:?}");
    };
    check(error, "TLS handshake failed", "SSL_connect");
}

/// At a first start, and in a machine that runs: the same errors, and nothing is left behind.
#[test]
fn sockets_that_can_not_be_had() {
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::Stunnel, &scene.good());
    let live = scene.files.path("live.sock");
    let _listener = UnixListener::bind(&live).expect("a free path");
    let file = scene.files.add("a-file", "precious");
    let missing = scene.files.path("missing/proxy.sock");
    let long = scene.files.path(&"x".repeat(120));
    let pool = scene.pool();
    let first = add(&pool, scene.config(port, None));
    let in_use = "Address already in use";
    let not_made = "stunnel failed to create unix socket";
    let sockets = [
        (&live, in_use, "another process listens there"),
        (&file, not_made, "no socket"),
        (&missing, not_made, "missing/proxy.sock"),
        (&"/proc/proxy.sock".to_owned(), not_made, "/proc/proxy.sock"),
        (&long, "Invalid argument", "107 bytes"),
    ];
    for (path, words, detail) in sockets {
        let config = Config::new(Remote::new(LOOPBACK, port), path, None);
        check(&refused(config.clone(), options()), words, detail);
        check(&pool.add(config).expect_err(words), words, detail);
    }
    let config = Config::new(Remote::new(LOOPBACK, port), first.socket_path(), None);
    let error = pool.add(config).expect_err("it is taken");
    check(&error, in_use, "another proxy's of this pool");
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    assert_eq!(pool.count(), 1);
    drop(open_echo(&first));
    assert_eq!(errors(&first), []);
}

#[test]
fn configurations_that_can_not_be() {
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::Stunnel, &scene.good());
    let pool = scene.pool();
    let first = add(&pool, scene.config(port, None));
    let broken = scene.files.add(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    );
    let missing = scene.files.path("missing.pem");
    let failed = "Configuration failed";
    for (bundle, detail) in [(&broken, "broken.pem"), (&missing, "missing.pem")] {
        let config = || scene.config(port, Some(Verification::new(Check::Chain, bundle)));
        check(&refused(config(), options()), failed, detail);
        check(&pool.add(config()).expect_err(failed), failed, detail);
    }
    let mut odd = scene.config(port, None);
    odd.options = vec!["delay".to_owned()];
    check(&refused(odd, options()), "Invalid argument", "delay");
    // They were no concern of the proxy that runs.
    drop(open_echo(&first));
    assert_eq!(errors(&first), []);
}

#[test]
fn machines_that_can_not_be_had() {
    let scene = Scene::new();
    let nobody = ports::next();
    let failed = "stunnel initialisation failed";
    let image = |image| Options {
        image: Some(image),
        ..options()
    };
    let no_image = image(Image::File("/nonexistent/image".into()));
    let no_qemu = Options {
        qemu: Some("/nonexistent/qemu".to_owned()),
        ..options()
    };
    for (options, detail) in [
        (no_image, "/nonexistent/image"),
        (no_qemu, "/nonexistent/qemu"),
        (image(Image::Bytes(b"no image".as_slice().into())), ""),
    ] {
        check(
            &refused(scene.config(nobody, None), options),
            failed,
            detail,
        );
    }
    let impatient = Options {
        start_timeout: Duration::from_millis(1),
        ..options()
    };
    let config = scene.config(nobody, None);
    let path = scene.files.path("late.sock");
    let config = Config::new(config.remote, &path, None);
    let words = "Timed out waiting for stunnel condition";
    check(&refused(config, impatient), words, "");
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_machine_that_is_killed_is_told_of_and_another_one_serves() {
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::Stunnel, &scene.good());
    let proxy = scene.start(scene.config(port, None));
    drop(open_echo(&proxy));
    assert_eq!(errors(&proxy), []);
    let pid = proxy.process_id().expect("a machine");
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(raw.expect("a process"), Signal::KILL).expect("our own child");
    let mut events = Vec::new();
    let again = wait_until(PATIENCE, || {
        events.extend(proxy.diagnose());
        let mut kinds = events.iter().map(|event| &event.kind);
        kinds
            .any(|kind| *kind == EventKind::MachineReady)
            .then_some(())
    });
    assert!(again.is_some(), "{events:?}");
    let errors: Vec<Error> = events.iter().filter_map(stockade::Event::error).collect();
    let [error @ Error::MachineFailed(_)] = errors.as_slice() else {
        panic!("{errors:?}");
    };
    check(error, "stunnel initialisation failed", "Machine 1 ended");
    drop(connect(proxy.socket_path()));
    drop(open_echo(&proxy));
    assert_ne!(proxy.process_id(), Some(pid));
}

/// What a program finds that scans the text, as xapi does.
#[test]
fn the_log_has_the_words_that_scanners_look_for() {
    let scene = Scene::new();
    let log = scene.files.path("proxy.log");
    let options = || Options {
        log: Some(log.clone().into()),
        ..options()
    };
    let mut config = scene.config(443, None);
    config.remote = Remote::new("nowhere.invalid", 443);
    let proxy = Proxy::start_with(config, options());
    let proxy = proxy.unwrap_or_else(|error| panic!("{error:#}"));
    fail(&proxy);
    let events = proxy.diagnose();
    drop(proxy);
    let missing = Some(Verification::new(Check::Chain, "/nonexistent/ca.pem"));
    refused(scene.config(443, missing), options());
    let text = fs::read_to_string(&log).expect("it was written");
    for words in [
        "Configuration successful",
        "No remote host resolved (No host resolved)",
        "[!] Configuration failed",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    let failure = events.iter().find(|event| event.error().is_some());
    let failure = failure.expect("a failure").to_string();
    assert!(
        text.lines().any(|line| line == failure),
        "{failure}\n{text}"
    );
}

//! New configurations for a launcher that serves.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, wait_until};

use crate::scene::{GLOBALS, LOOPBACK, Scene, begin_echo, echo, end, write_identity};

/// Which configuration is in force: 1 at the start, one more with each reload.
fn revision(scene: &Scene) -> u64 {
    let status = scene.place.status();
    let revision = status["revision"].as_u64();
    revision.unwrap_or_else(|| panic!("no revision in {status}"))
}

/// Ten times, while four clients come and go: no connection fails.
#[test]
fn under_load_no_connection_fails() {
    const CLIENTS: usize = 4;
    const RELOADS: u64 = 10;
    /// Connections that must have come and gone between two reloads.
    const BETWEEN: usize = 2 * CLIENTS;
    let scene = Scene::new();
    let other = Backend::start(LOOPBACK, Mode::Commands);
    let backends = [scene.backend.address(), other.address()];
    let launcher = scene.start(&[]);
    assert_eq!(revision(&scene), 1);
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = || -> Result<(), String> {
        while !stop.load(Ordering::SeqCst) {
            let number = served.load(Ordering::SeqCst);
            let result = scene.try_echo(scene.server);
            result.map_err(|error| format!("after {number} connections: {error}"))?;
            served.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let all_run = || clients.iter().all(|client| !client.is_finished());
        for reload in 1..=RELOADS {
            let seen = served.load(Ordering::SeqCst);
            let enough = || {
                let enough = served.load(Ordering::SeqCst) >= seen + BETWEEN;
                (enough || !all_run()).then_some(())
            };
            assert!(wait_until(PATIENCE, enough).is_some(), "the clients wait");
            if !all_run() {
                break;
            }
            let connect = backends[usize::try_from(reload % 2).expect("0 or 1")];
            let level = 5 + reload % 3;
            let service = scene.service("tls", scene.server, connect);
            scene.write(&format!("{GLOBALS}debug = {level}\n{service}"));
            launcher.signal(Signal::HUP);
            let in_force = || (revision(&scene) == 1 + reload).then_some(());
            assert!(
                wait_until(PATIENCE, in_force).is_some(),
                "{}",
                launcher.log.text()
            );
        }
        stop.store(true, Ordering::SeqCst);
        let results = clients.into_iter().map(|client| client.join());
        let results = results.map(|result| result.expect("clients do not panic"));
        results.filter_map(Result::err).collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
    let counts = (scene.backend.records().len(), other.records().len());
    assert_eq!(counts.0 + counts.1, served.into_inner());
    assert!(counts.0 > 0 && counts.1 > 0, "{counts:?}");
}

/// New connections go where the new configuration says; old ones live on where they were.
#[test]
fn places_come_and_go() {
    let scene = Scene::new();
    let other = Backend::start(LOOPBACK, Mode::Commands);
    let [kept, removed, added] = [(); 3].map(|()| SocketAddr::new(LOOPBACK, ports::next()));
    let here = scene.backend.address();
    let before = format!(
        "{GLOBALS}{}{}",
        scene.service("kept", kept, here),
        scene.service("removed", removed, here)
    );
    let conf = scene.write(&before);
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let mut old = [begin_echo(&scene, kept), begin_echo(&scene, removed)];
    assert_eq!(refusal(added), Some(ErrorKind::ConnectionRefused));

    scene.write(&format!(
        "{GLOBALS}{}{}",
        scene.service("kept", kept, other.address()),
        scene.service("added", added, other.address())
    ));
    scene.place.control(&["reload"]).succeeded();
    for server in [kept, added] {
        end(begin_echo(&scene, server)).expect("an orderly end");
    }
    assert_eq!(
        (scene.backend.records().len(), other.records().len()),
        (2, 2)
    );
    let refused = wait_until(PATIENCE, || refusal(removed));
    assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
    for stream in &mut old {
        echo(stream, b"as if nothing had happened").expect("an echo");
    }
    let status = scene.place.status();
    assert_eq!(status["image"]["old_sessions"], 2, "{status}");
    for stream in old {
        end(stream).expect("an orderly end");
    }
    let gone = || (scene.place.status()["image"]["old_sessions"] == 0).then_some(());
    assert!(wait_until(PATIENCE, gone).is_some());

    // And back again.
    scene.write(&before);
    scene.place.control(&["reload"]).succeeded();
    for server in [kept, removed] {
        end(begin_echo(&scene, server)).expect("an orderly end");
    }
    assert_eq!(
        (scene.backend.records().len(), other.records().len()),
        (4, 2)
    );
    let refused = wait_until(PATIENCE, || refusal(added));
    assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
}

/// Why nobody is served there, if so.
fn refusal(server: SocketAddr) -> Option<ErrorKind> {
    TcpStream::connect(server).err().map(|error| error.kind())
}

/// What the parser, the host and the image refuse: the line is named, and the old one serves on.
#[test]
fn what_is_wrong_changes_nothing() {
    let scene = Scene::new();
    let taken = std::net::TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address))
        .expect("bound above");
    let _launcher = scene.start(&[]);
    let mut old = begin_echo(&scene, scene.server);
    let good = scene.conf("");
    let lines = good.lines().count();
    let backend = scene.backend.address();
    let unknown = format!("{good}colour = red\n");
    let bad_key = good.replace(
        &scene.place.files.path("key.pem"),
        &scene.place.files.add("other.pem", Identity::ecdsa().key),
    );
    let in_use = format!("{good}{}", scene.service("more", taken.1, backend));
    for (conf, expected) in [
        (unknown, format!("stunnel.conf:{}", lines + 1)),
        (bad_key, "other.pem".to_owned()),
        (in_use, taken.1.to_string()),
    ] {
        scene.write(&conf);
        let refused = scene.place.control(&["reload"]);
        assert!(!refused.status.success(), "{conf}");
        assert!(
            refused.stderr.contains(&expected),
            "{expected:?} is not in {:?}",
            refused.stderr
        );
        assert_eq!(revision(&scene), 1);
        echo(&mut old, b"as if nothing had happened").expect("an echo");
        scene.try_echo(scene.server).expect("a served connection");
    }
    let refused = scene.place.events_since(0);
    let refused = refused
        .iter()
        .filter(|event| event["kind"] == "reload-refused");
    // What this host can't even read is told to who asked alone.
    assert!(refused.count() >= 2);

    scene.write(&format!("{GLOBALS}debug = 6\n{}", &good[GLOBALS.len()..]));
    scene.place.control(&["reload"]).succeeded();
    assert_eq!(revision(&scene), 2);
    end(old).expect("an orderly end");
}

/// Two identities of different authorities.
fn identities() -> [Identity; 2] {
    ["first", "second"].map(|name| {
        let authority = Authority::new(name);
        let pair = authority.issue(&Leaf::named("localhost").dns("localhost"));
        Identity {
            chain: pair.certificate,
            key: pair.key,
            authority: authority.certificate(),
        }
    })
}

/// Files of the same names with new contents, as certificates are renewed.
#[test]
fn renewed_certificates_are_served() {
    let mut scene = Scene::new();
    let [first, second] = identities();
    write_identity(&scene.place, &first);
    scene.identity = first.clone();
    let _launcher = scene.start(&[]);
    let old = begin_echo(&scene, scene.server);

    write_identity(&scene.place, &second);
    scene.place.control(&["reload"]).succeeded();
    let result = TlsStream::connect(scene.server, &client::verifying(&first));
    assert!(result.is_err(), "the old certificate is served on");
    scene.identity = second;
    end(begin_echo(&scene, scene.server)).expect("an orderly end");
    end(old).expect("an orderly end");
}

/// The same without a configuration file, on addresses of both families.
#[test]
fn renewed_certificates_of_the_command_line_are_served() {
    let mut scene = Scene::new();
    let [first, second] = identities();
    write_identity(&scene.place, &first);
    scene.identity = first.clone();
    let six = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), ports::next());
    let words = [
        "--cert".to_owned(),
        scene.place.files.path("cert.pem"),
        "--key".to_owned(),
        scene.place.files.path("key.pem"),
        format!("--publish={}:443", scene.server),
        format!("--publish={six}:443"),
        "--".to_owned(),
        format!("--connect=10.0.2.2:{}", scene.backend.address().port()),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = scene.place.run(&words);
    launcher.wait_until_serving();
    let old = begin_echo(&scene, six);

    write_identity(&scene.place, &second);
    scene.place.control(&["reload"]).succeeded();
    for server in [scene.server, six] {
        let result = TlsStream::connect(server, &client::verifying(&first));
        assert!(
            result.is_err(),
            "the old certificate is served on at {server}"
        );
    }
    scene.identity = second;
    for server in [scene.server, six] {
        end(begin_echo(&scene, server)).expect("an orderly end");
    }
    end(old).expect("an orderly end");
}

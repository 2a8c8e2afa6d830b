//! Backends by name: whatever this host makes of it counts.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::client::{self, TlsStream};
use stockade_tests::launcher::place::Place;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::ports;

use crate::scene::{GLOBALS, LOOPBACK, Scene, begin_echo, end};

/// Names that only a test's `/etc/hosts` knows.
const KNOWN: &str = "a-backend-of-this-test";
const ALIAS: &str = "another-name-of-it";
/// A name that cannot exist (RFC 6761 §6.4).
const UNKNOWN: &str = "nobody.invalid";

/// Starts services whose backends are these names, each at a port of its own, on a host whose
/// `/etc/hosts` says that [`KNOWN`] and [`ALIAS`] are `address`.
fn start(scene: &Scene, address: IpAddr, services: &[(&str, SocketAddr)], port: u16) -> Program {
    let sections: String = services
        .iter()
        .map(|(name, server)| scene.service_to(name, *server, &format!("{name}:{port}")))
        .map(|section| section + "delay = yes\n")
        .collect();
    let conf = scene.write(&format!("{GLOBALS}debug = 5\n{sections}"));
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n{address} {KNOWN} {ALIAS}\n");
    let words = Place::run_words(&["--conf", &conf]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut launcher = Program::spawn(&scene.place.command_with_hosts(&hosts, &words));
    launcher.wait_until_serving();
    launcher
}

fn servers<const N: usize>() -> [SocketAddr; N] {
    [(); N].map(|()| SocketAddr::new(LOOPBACK, ports::next()))
}

/// A backend at an address that this host has besides its loopback.
#[test]
fn of_an_address_of_this_host() {
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 201, 0, 1);
    let scene = Scene::new();
    let added = Command::new("ip")
        .args(["addr", "add", &format!("{OWN}/32"), "dev", "lo"])
        .output()
        .expect("ip starts");
    assert!(added.status.success(), "{added:?}");
    let backend = Backend::start(OWN, Mode::Commands);
    let [server, alias] = servers();
    let services = [(KNOWN, server), (ALIAS, alias)];
    let _launcher = start(&scene, OWN.into(), &services, backend.address().port());
    for server in [server, alias] {
        end(begin_echo(&scene, server)).expect("an orderly end");
    }
    assert_eq!(backend.records().len(), 2);
}

/// Names that are 127.0.0.1 mean this host, not the image.
#[test]
fn of_the_loopback() {
    let scene = Scene::new();
    let [server, alias, local] = servers();
    let services = [(KNOWN, server), (ALIAS, alias), ("localhost", local)];
    let port = scene.backend.address().port();
    let _launcher = start(&scene, LOOPBACK, &services, port);
    for server in [server, alias, local] {
        end(begin_echo(&scene, server)).expect("an orderly end");
    }
    assert_eq!(scene.backend.records().len(), 3);
}

/// Its clients are cut off, the log says why, and nobody else suffers.
#[test]
fn of_nobody() {
    let scene = Scene::new();
    let [unknown, local] = servers();
    let services = [(UNKNOWN, unknown), ("localhost", local)];
    let port = scene.backend.address().port();
    let launcher = start(&scene, LOOPBACK, &services, port);
    let client = client::verifying(&scene.identity);
    let answer = TlsStream::connect(unknown, &client).and_then(|mut stream| stream.read(&mut [0]));
    let error = answer.expect_err("there is nobody to end this in order");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    let line = format!("Error resolving \"{UNKNOWN}\"");
    launcher.log.wait_for(&line);
    end(begin_echo(&scene, local)).expect("an orderly end");
}

//! Bytes through the rootless network: many, on many connections, with either side ending first,
//! and from whom.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use stockade_tests::backend::{Backend, End, Mode};
use stockade_tests::client::{self, TlsStream};
use stockade_tests::pattern::{Hasher, Pattern, Sum};
use stockade_tests::stunnel::log::written;
use stockade_tests::stunnel::ports;

use crate::scene::{GLOBALS, LOOPBACK, Scene, begin_echo, end, open_together, tcp_from};

const MEGABYTE: u64 = 1 << 20;
const GIGABYTE: u64 = 1 << 30;

#[test]
fn a_gigabyte_down() {
    let scene = Scene::new();
    let _launcher = scene.start(&[]);
    let mut stream = scene.connect();
    writeln!(stream, "DOWN {GIGABYTE}").expect("the command is taken");
    let sum = stream
        .read_into(Hasher::default())
        .expect("the whole body and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(GIGABYTE, GIGABYTE));
    end(stream).expect("an orderly end");
}

#[test]
fn a_gigabyte_up() {
    let scene = Scene::new();
    let _launcher = scene.start(&[]);
    let mut stream = scene.connect();
    stream.write_all(b"UP\n").expect("the command is taken");
    let mut body = Pattern::new(GIGABYTE, GIGABYTE);
    io::copy(&mut body, &mut stream).expect("the body is taken");
    stream.finish().expect("the end is taken");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the digest and a close_notify");
    let sum = Sum::of_pattern(GIGABYTE, GIGABYTE);
    assert_eq!(answer, format!("{} {}\n", sum.length, sum.digest));
    stream.expect_fin().expect("FIN follows close_notify");
}

/// All are open before the first one ends, and no byte strays into another one.
#[test]
fn a_thousand_connections_at_once() {
    const CONNECTIONS: usize = 1000;
    let scene = Scene::new();
    let launcher = scene.start(&["--memory", "768"]);
    let scene = &scene;
    let streams = open_together(CONNECTIONS, |number| {
        let mut stream = scene.connect();
        stream.write_all(b"ECHO\n").expect("the command is taken");
        crate::scene::echo(&mut stream, &words(number)).expect("an echo");
        stream
    });
    let status = scene.place.status();
    assert_eq!(status["image"]["sessions"], CONNECTIONS, "{status}");
    for (number, mut stream) in streams {
        crate::scene::echo(&mut stream, &words(number + CONNECTIONS)).expect("an echo");
        end(stream).unwrap_or_else(|error| panic!("the end of connection {number}: {error}"));
    }
    let records = scene.backend.records();
    assert_eq!(records.len(), CONNECTIONS);
    for record in records {
        let record = scene
            .backend
            .wait_for(|it| it.peer == record.peer && it.end.is_some());
        assert_eq!(record.end, Some(End::Orderly), "{record:?}");
    }
    drop(launcher);
}

/// What one of many connections says, and no other one.
fn words(number: usize) -> Vec<u8> {
    Pattern::bytes(number as u64, 100 + number % 3000)
}

/// The client ends its direction; the backend sends 1 MB after it has seen that end.
#[test]
fn the_client_ends_first() {
    let scene = Scene::new();
    let _launcher = scene.start(&[]);
    let mut stream = scene.connect();
    let command = format!("LATE {MEGABYTE}");
    write!(stream, "{command}\nlast words").expect("the command is taken");
    stream.finish().expect("the end is taken");
    let sum = stream
        .read_into(Hasher::default())
        .expect("the body and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(MEGABYTE, MEGABYTE));
    stream.expect_fin().expect("FIN follows close_notify");
    let record = scene.backend.wait_for_end(&command);
    assert_eq!(record.end, Some(End::Orderly));
}

/// The backend ends its direction at once; the client sends 1 MB after it has seen that end.
#[test]
fn the_backend_ends_first() {
    let scene = Scene::new();
    let _launcher = scene.start(&[]);
    let mut stream = scene.connect();
    stream.write_all(b"EARLY\n").expect("the command is taken");
    assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
    let mut body = Pattern::new(MEGABYTE, MEGABYTE);
    io::copy(&mut body, &mut stream).expect("data is still taken");
    stream.finish().expect("the end is taken");
    stream.expect_fin().expect("FIN follows close_notify");
    let record = scene.backend.wait_for_end("EARLY");
    assert_eq!(record.end, Some(End::Orderly));
    assert_eq!(record.received, Some(Sum::of_pattern(MEGABYTE, MEGABYTE)));
}

/// A reset of either side is one on the other, and not an end in order.
#[test]
fn resets_are_passed_on() {
    let scene = Scene::new();
    let _launcher = scene.start(&[]);
    let mut stream = scene.connect();
    stream.write_all(b"SILENT\n").expect("the command is taken");
    scene.backend.wait_for(|record| record.command == "SILENT");
    stream.reset();
    assert_eq!(scene.backend.wait_for_end("SILENT").end, Some(End::Reset));

    let mut stream = scene.connect();
    stream
        .write_all(b"RESET 1000\n")
        .expect("the command is taken");
    let mut body = vec![0; 1000];
    stream
        .read_exact(&mut body)
        .expect("what was sent before the reset");
    stream.write_all(b"NOW\n").expect("the word is taken");
    let error = stream.read(&mut body).expect_err("no orderly end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// The log names the client's own address and port.
#[test]
fn a_client_is_known_by_its_own_address() {
    let scene = Scene::new();
    let v4 = SocketAddr::new(LOOPBACK, ports::next());
    let v6 = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), ports::next());
    let backend = scene.backend.address();
    let conf = format!(
        "{GLOBALS}debug = 5\n{}{}",
        scene.service("four", v4, backend),
        scene.service("six", v6, backend),
    );
    let conf = scene.write(&conf);
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let other = IpAddr::V4(Ipv4Addr::new(127, 1, 2, 3));
    for (service, source, server) in [
        ("four", LOOPBACK, v4),
        ("four", other, v4),
        ("six", v6.ip(), v6),
    ] {
        let tcp = tcp_from(source, server);
        let own = tcp.local_addr().expect("an open socket");
        assert_eq!(own.ip(), source);
        let client = client::verifying(&scene.identity);
        let mut stream = TlsStream::open(tcp, &client).expect("a client that begins");
        stream.complete_handshake().expect("a handshake");
        launcher.log.wait_for(&format!(
            "Service [{service}] accepted connection from {}",
            written(own)
        ));
        stream.write_all(b"ECHO\n").expect("the command is taken");
        end(stream).expect("an orderly end");
    }
}

/// The launcher carries every byte; while it stands still, they wait.
#[test]
fn a_pause_of_the_launcher_in_mid_transfer() {
    const PAUSE: Duration = Duration::from_secs(1);
    const LENGTH: u64 = 64 * MEGABYTE;
    let scene = Scene::new();
    let launcher = scene.start(&[]);
    let mut stream = scene.connect();
    writeln!(stream, "DOWN {LENGTH}").expect("the command is taken");
    let mut first = vec![0; MEGABYTE as usize];
    stream.read_exact(&mut first).expect("the first megabyte");
    launcher.signal(Signal::STOP);
    thread::sleep(PAUSE);
    launcher.signal(Signal::CONT);
    let mut hasher = Hasher::default();
    hasher.write_all(&first).expect("memory does not fail");
    let sum = stream
        .read_into(hasher)
        .expect("the rest and a close_notify");
    assert_eq!(sum.finish(), Sum::of_pattern(LENGTH, LENGTH));
    end(stream).expect("an orderly end");
}

/// A backend of IPv6 on this host's loopback.
#[test]
fn a_backend_at_the_loopback_of_ipv6() {
    let scene = Scene::new();
    let backend = Backend::start(Ipv6Addr::LOCALHOST, Mode::Commands);
    let service = scene.service("six", scene.server, backend.address());
    let conf = scene.write(&format!("{GLOBALS}{service}"));
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    end(begin_echo(&scene, scene.server)).expect("an orderly end");
    assert_eq!(backend.records().len(), 1);
}

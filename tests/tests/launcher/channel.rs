//! The management channel across a pause of the launcher: QEMU drops what nobody takes, and yet
//! every event arrives.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::stunnel::ports;
use stockade_tests::tap::Tap;
use stockade_tests::wait_until;
use stockade_tests::{PATIENCE, backend};

use crate::scene::{GLOBALS, Scene, echo, end};

/// How long the launcher stands still.
const PAUSE: Duration = Duration::from_secs(3);
/// Connections in that time, each of which is good for many events.
const CONNECTIONS: usize = 120;
const THREADS: usize = 4;
/// From one connection of a thread to its next one: the log takes a thousand lines a second.
const PACE: Duration = Duration::from_millis(120);
/// Its first microsecond, since 1970.
const YEAR_2020: u64 = 1_577_836_800_000_000;

/// On a TAP: on the rootless network the launcher carries the connections, too.
#[test]
fn a_pause_of_the_launcher_loses_no_event() {
    let scene = Scene::new();
    let tap = Tap::create();
    let backend = backend::Backend::start(tap.host(), backend::Mode::Commands);
    let server = SocketAddr::new(tap.guest().into(), ports::next());
    let service = scene.service_to("tls", server, &backend.address().to_string());
    let conf = scene.write(&format!("{GLOBALS}debug = 7\n{service}"));
    let network = format!("tap={}", tap.name());
    let own = format!("--ipv4={}/{}", tap.guest(), Tap::PREFIX);
    let gateway = format!("--ipv4-gateway={}", tap.host());
    let options = ["--net", &network, "--memory", "512", "--", &own, &gateway];
    let mut launcher = scene.launch_with(&conf, &options);
    launcher.wait_until_serving();
    let before = newest(&scene.place.status());

    launcher.signal(Signal::STOP);
    let began = Instant::now();
    let connect = || {
        let client = client::verifying(&scene.identity);
        let mut stream = TlsStream::connect(server, &client).expect("a handshake");
        let own = stream.tcp().local_addr().expect("an open socket");
        stream.write_all(b"ECHO\n").expect("the command is taken");
        echo(&mut stream, b"some words").expect("an echo");
        end(stream).expect("an orderly end");
        own
    };
    let mut clients: Vec<SocketAddr> = thread::scope(|scope| {
        let some = || {
            let paced = (0..CONNECTIONS / THREADS).map(|_| {
                let began = Instant::now();
                let own = connect();
                thread::sleep(PACE.saturating_sub(began.elapsed()));
                own
            });
            paced.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(some)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|own| own.expect("its words are above"))
            .collect()
    });
    thread::sleep(PAUSE.saturating_sub(began.elapsed()));
    launcher.signal(Signal::CONT);
    clients.push(connect());

    let told = wait_until(PATIENCE, || {
        let events = scene.place.events_since(before);
        let closed = events.iter().filter(|event| event["kind"] == "closed");
        (closed.count() >= clients.len()).then_some(events)
    });
    let events = told.unwrap_or_else(|| {
        let events = scene.place.events_since(before);
        panic!("not every end is told of: {events:#?}")
    });
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|event| event["number"].as_u64())
        .collect();
    let expected: Vec<u64> = (before + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    assert!(
        numbers.len() > 10 * CONNECTIONS,
        "only {} events",
        numbers.len()
    );
    // Dated from the first on, before there was a turn of the image's loop.
    let undated = scene.place.events_since(0).into_iter();
    let mut undated = undated.filter(|event| event["unix_us"].as_u64() < Some(YEAR_2020));
    assert_eq!(undated.next(), None);
    let kinds = ["lost", "lines-left-out"];
    let lost = events
        .iter()
        .find(|event| kinds.iter().any(|kind| event["kind"] == *kind));
    assert_eq!(lost, None);
    assert_eq!(scene.place.status()["image"]["events_lost"], 0);

    // Each client's own lines, once: what the image numbered is not all that it said.
    let mut seen: HashMap<String, usize> = HashMap::new();
    for event in events.iter().filter(|event| event["kind"] == "accepted") {
        let peer = text(event).rsplit(' ').next().unwrap_or_default();
        *seen.entry(peer.to_owned()).or_default() += 1;
    }
    let expected = clients.iter().map(|own| (own.to_string(), 1)).collect();
    assert_eq!(seen, expected);
    let closed = events
        .iter()
        .filter(|event| event["kind"] == "closed")
        .count();
    assert_eq!(closed, clients.len());
}

fn newest(status: &Value) -> u64 {
    let newest = status["newest_event"].as_u64();
    newest.unwrap_or_else(|| panic!("no newest event in {status}"))
}

fn text(event: &Value) -> &str {
    event["text"].as_str().unwrap_or_default()
}

//! Connections to backends: kept for the next request, whoever's it is, and never the cause of an
//! error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use stockade_tests::peers::proxies::Proxy;
use stockade_tests::peers::web;
use stockade_tests::stunnel::ports;

use crate::raw::Raw;
use crate::setting::{Kind, Setting, Tunnel, WWW};

struct Scene {
    setting: Setting,
    _nginx: Proxy,
    _tunnel: Tunnel,
}

impl Scene {
    /// nginx tells the number of its connection, and which of its requests this is.
    fn start(kind: Kind, lines: &str) -> Scene {
        let setting = Setting::new(kind);
        let backend = SocketAddr::new(setting.backends(), ports::next());
        let lines = format!(
            "{lines} server {{ listen {backend}; \
             location / {{ return 200 \"$connection $connection_requests\"; }} }}"
        );
        let nginx = web::nginx(&lines, backend.port());
        let setting = setting.in_front_of(backend);
        Scene {
            _tunnel: setting.start(),
            setting,
            _nginx: nginx,
        }
    }
}

/// nginx's connection, and the number of the request on it.
fn asked(raw: &mut Raw) -> (u64, u64) {
    let answer = raw.ask(format!("GET / HTTP/1.1\r\nHost: {WWW}\r\n\r\n"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let (connection, request) = text.split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    (number(connection), number(request))
}

/// Clients that come one after another, and those that take turns, share one connection.
fn clients_share_a_connection(kind: Kind) {
    let scene = Scene::start(kind, "");
    let mut first = scene.setting.raw();
    let (connection, request) = asked(&mut first);
    assert_eq!(request, 1);
    let mut expected = 1;
    for _ in 0..5 {
        let mut other = scene.setting.raw();
        for raw in [&mut other, &mut first] {
            expected += 1;
            assert_eq!(asked(raw), (connection, expected));
        }
    }
}

#[test]
fn clients_share_a_connection_of_a_process() {
    clients_share_a_connection(Kind::Hosted);
}

#[test]
fn clients_share_a_connection_of_the_image() {
    clients_share_a_connection(Kind::Booted);
}

/// A backend that ends each connection after three requests gets a new one, and no client knows.
#[test]
fn a_backend_may_end_its_connections() {
    let scene = Scene::start(Kind::Hosted, "keepalive_requests 3;");
    let mut counts = BTreeMap::new();
    for _ in 0..5 {
        let mut raw = scene.setting.raw();
        for _ in 0..10 {
            let (connection, _) = asked(&mut raw);
            *counts.entry(connection).or_insert(0) += 1;
        }
    }
    assert!(counts.values().all(|count| *count <= 3), "{counts:?}");
    assert!(counts.len() >= 50 / 3, "{counts:?}");
}

/// A backend that ends idle connections after a second may do so just when the next request comes.
#[test]
fn a_backend_may_end_idle_connections() {
    let scene = Scene::start(Kind::Hosted, "keepalive_timeout 1s;");
    thread::scope(|scope| {
        for client in 0..4 {
            let mut raw = scene.setting.raw();
            scope.spawn(move || {
                for turn in 0..8 {
                    asked(&mut raw);
                    // Around the second, a little different each time.
                    let pause = 960 + 10 * turn + 3 * client;
                    thread::sleep(Duration::from_millis(pause));
                }
            });
        }
    });
    // Long after it, what can't be asked twice finds a new one as well.
    let mut raw = scene.setting.raw();
    let (before, _) = asked(&mut raw);
    thread::sleep(Duration::from_millis(1500));
    let answer = raw.ask(format!(
        "POST / HTTP/1.1\r\nHost: {WWW}\r\nContent-Length: 2\r\n\r\nok"
    ));
    assert_eq!(answer.status, 200);
    assert_ne!(answer.text(), format!("{before} 2"));
}

//! Requests as a client writes them byte by byte, before nginx.

use std::net::SocketAddr;

use stockade_tests::peers::proxies::Proxy;
use stockade_tests::peers::web;
use stockade_tests::stunnel::ports;

use crate::raw::To;
use crate::setting::{Kind, Setting, Tunnel, WWW};

/// What nginx tells of a request.
const TOLD: &str = "$request_method $request_uri $connection_requests";

/// nginx, and the tunnel in front of it.
struct Scene {
    setting: Setting,
    _nginx: Proxy,
    _tunnel: Tunnel,
}

impl Scene {
    /// nginx serves with these lines.
    fn start(kind: Kind, lines: &str) -> Scene {
        let setting = Setting::new(kind);
        let backend = SocketAddr::new(setting.backends(), ports::next());
        let lines = format!("server {{ listen {backend}; {lines} }}");
        let nginx = web::nginx(&lines, backend.port());
        let setting = setting.in_front_of(backend);
        Scene {
            _tunnel: setting.start(),
            setting,
            _nginx: nginx,
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {WWW}\r\n\r\n")
}

/// One connection of a client takes one of nginx's.
fn requests_follow_each_other(kind: Kind) {
    let scene = Scene::start(kind, &format!("return 200 \"{TOLD}\";"));
    let mut raw = scene.setting.raw();
    for number in 1..=5 {
        let answer = raw.ask(get(&format!("/{number}")));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), format!("GET /{number} {number}"));
        assert_eq!(answer.field("connection"), None);
    }
    raw.send(format!(
        "HEAD / HTTP/1.1\r\nHost: {WWW}\r\nConnection: close\r\n\r\n"
    ));
    let answer = raw.answer(To::Head);
    assert_eq!(answer.field("content-length"), Some("8"));
    assert_eq!(answer.field("connection"), Some("close"));
    raw.expect_end();
}

#[test]
fn requests_follow_each_other_before_a_process() {
    requests_follow_each_other(Kind::Hosted);
}

#[test]
fn requests_follow_each_other_before_the_image() {
    requests_follow_each_other(Kind::Booted);
}

/// What a client sends ahead is answered in its order.
#[test]
fn requests_may_be_sent_ahead() {
    let scene = Scene::start(Kind::Hosted, &format!("return 200 \"{TOLD}\";"));
    let mut raw = scene.setting.raw();
    let requests: String = (1..=50).map(|number| get(&format!("/{number}"))).collect();
    raw.send(requests);
    for number in 1..=50 {
        let answer = raw.answer(To::Get);
        assert_eq!(answer.text(), format!("GET /{number} {number}"));
    }
}

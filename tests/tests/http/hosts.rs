//! Several hosts behind one address: requests go where their `Host` says.

use std::net::SocketAddr;

use serde_json::json;
use stockade_tests::peers::proxies::Proxy;
use stockade_tests::peers::web::{self, Clients};
use stockade_tests::stunnel::ports;

use crate::setting::{Kind, Setting, Tunnel, WWW};

const OTHER: &str = "other.example.org";
/// A host whose bytes are carried as they are.
const BYTES: &str = "bytes.example.org";

struct Scene {
    setting: Setting,
    _tunnel: Tunnel,
    _nginx: Proxy,
}

impl Scene {
    /// One nginx with a port for each host. [`OTHER`] wants HSTS.
    fn start(kind: Kind) -> Scene {
        Self::start_with(Setting::new(kind))
    }

    fn start_with(setting: Setting) -> Scene {
        let [www, other, bytes] =
            [(); 3].map(|()| SocketAddr::new(setting.backends(), ports::next()));
        let server = |address: SocketAddr, name: &str| {
            format!(
                "server {{ listen {address}; return 200 \"{name} $http_host $http_x_forwarded_host\"; }}\n"
            )
        };
        let lines = [
            server(www, "www"),
            server(other, "other"),
            server(bytes, "bytes"),
        ];
        let nginx = web::nginx(&lines.concat(), www.port());
        let setting = setting
            .host(WWW, www)
            .host_with(OTHER, other, &json!({"hsts": 31_536_000}))
            .host_with(BYTES, bytes, &json!({"mode": "tcp"}));
        Scene {
            _tunnel: setting.start(),
            setting,
            _nginx: nginx,
        }
    }
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// One connection reaches all hosts that are read as HTTP, whatever name it asked for, and none else.
fn requests_go_to_their_hosts(kind: Kind) {
    let scene = Scene::start(kind);
    let mut raw = scene.setting.raw();
    for (host, expected) in [
        (WWW, "www"),
        (OTHER, "other"),
        ("other.example.org:443", "other"),
        ("OTHER.example.ORG.", "other"),
        (WWW, "www"),
        ("www.example.org:8443", "www"),
    ] {
        let answer = raw.ask(get(host));
        assert_eq!(answer.status, 200, "{host}");
        assert_eq!(answer.text(), format!("{expected} {host} {host}"));
        let hsts = (expected == "other").then_some("max-age=31536000");
        assert_eq!(answer.field("strict-transport-security"), hsts, "{host}");
    }
    for (host, status) in [("nobody.example.org", 404), (BYTES, 421)] {
        let mut raw = scene.setting.raw();
        assert_eq!(raw.ask(get(WWW)).status, 200);
        let answer = raw.ask(get(host));
        assert_eq!(answer.status, status, "{host}");
        assert_eq!(answer.field("connection"), Some("close"));
        raw.expect_end();
    }
    let answer = scene.setting.raw_to(BYTES).ask(get("whatever.example"));
    assert_eq!(answer.text(), "bytes whatever.example ");
}

#[test]
fn requests_go_to_their_hosts_before_a_process() {
    requests_go_to_their_hosts(Kind::Hosted);
}

#[test]
fn requests_go_to_their_hosts_before_the_image() {
    requests_go_to_their_hosts(Kind::Booted);
}

/// With a default host, whoever asks for a name that nobody has is served by it.
#[test]
fn unknown_hosts_may_have_a_default() {
    let option = format!("--default-host={OTHER}");
    let scene = Scene::start_with(Setting::new(Kind::Hosted).option(&option));
    let mut raw = scene.setting.raw();
    let unknown = "nobody.example.org";
    for (host, expected) in [(unknown, "other"), (WWW, "www"), (unknown, "other")] {
        let answer = raw.ask(get(host));
        assert_eq!(answer.text(), format!("{expected} {host} {host}"));
    }
    let clients = Clients::new(
        scene.setting.server(),
        &scene.setting.authority.certificate(),
    );
    // The certificate is the default host's, which is not the one that was asked for.
    let said = clients.fetched(&["--insecure", &format!("https://{unknown}/")]);
    assert_eq!(said, format!("other {unknown} {unknown}"));
    let finished = clients.run(clients.curl().arg(format!("https://{unknown}/")));
    assert_eq!(finished.status.code(), Some(60), "{}", finished.stderr);
}

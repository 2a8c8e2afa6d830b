//! curl and h2load, as their users run them.

use std::net::SocketAddr;

use stockade_tests::peers::proxies::Proxy;
use stockade_tests::peers::web::{self, Clients};
use stockade_tests::stunnel::ports;

use crate::setting::{Kind, Setting, Tunnel, WWW};

struct Scene {
    clients: Clients,
    url: String,
    _setting: Setting,
    _nginx: Proxy,
    _tunnel: Tunnel,
}

impl Scene {
    /// nginx takes files, tells what it was sent, and tells of its connections.
    fn start(kind: Kind) -> Scene {
        Self::start_with(Setting::new(kind))
    }

    fn start_with(setting: Setting) -> Scene {
        let backend = SocketAddr::new(setting.backends(), ports::next());
        let lines = format!(
            "client_max_body_size 0; server {{ listen {backend}; root /var/tmp;\n\
             dav_methods PUT DELETE; create_full_put_path on;\n\
             location = /post {{ proxy_method GET; proxy_pass_request_body off;\n\
             proxy_set_header Content-Length \"\"; proxy_set_header X-Said $request_body;\n\
             client_body_in_single_buffer on; proxy_pass http://{backend}/said; }}\n\
             location = /said {{ return 200 $http_x_said; }}\n\
             location = /told {{ return 200 \"$request_method $connection_requests\"; }} }}"
        );
        let nginx = web::nginx(&lines, backend.port());
        let setting = setting.in_front_of(backend);
        Scene {
            _tunnel: setting.start(),
            clients: Clients::new(setting.server(), &setting.authority.certificate()),
            url: format!("https://{WWW}"),
            _setting: setting,
            _nginx: nginx,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// Every method with every framing.
fn curl_sends_and_fetches(kind: Kind) {
    let scene = Scene::start(kind);
    let clients = &scene.clients;
    let content: String = (0..60_000).map(|number| format!("{number}\n")).collect();
    let file = clients.place().add("file", &content);
    let status = ["--write-out", "%{http_code}"];
    for (path, framing, expected) in [
        ("/folder/counted", "X-Nothing: else", "201"),
        ("/folder/chunked", "Transfer-Encoding: chunked", "201"),
        ("/folder/counted", "Expect: 100-continue", "204"),
    ] {
        let url = scene.url(path);
        let words = ["--upload-file", &file, "--header", framing, &url];
        let said = clients.fetched(&[&words[..], &status].concat());
        assert_eq!(said, expected, "{path} {framing}");
        assert_eq!(clients.fetched(&[&url]), content, "{path} {framing}");
    }
    let url = scene.url("/folder/counted");
    let head = clients.fetched(&["--head", &url]);
    let length = format!("Content-Length: {}\r\n", content.len());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&length), "{head}");
    let words = ["--request", "DELETE", &url];
    assert_eq!(clients.fetched(&[&words[..], &status].concat()), "204");
    let gone = clients.fetched(&[&["--output", "/dev/null", &url][..], &status].concat());
    assert_eq!(gone, "404");

    let url = scene.url("/post");
    for framing in ["X-Nothing: else", "Transfer-Encoding: chunked"] {
        let words = ["--data", "words of a form", "--header", framing, &url];
        assert_eq!(clients.fetched(&words), "words of a form", "{framing}");
    }
    let url = scene.url("/told");
    let old = clients.fetched(&["--http1.0", &url]);
    assert!(old.starts_with("GET "), "{old}");
}

#[test]
fn curl_sends_and_fetches_before_a_process() {
    curl_sends_and_fetches(Kind::Hosted);
}

#[test]
fn curl_sends_and_fetches_before_the_image() {
    curl_sends_and_fetches(Kind::Booted);
}

/// curl's requests go by one connection, and so do ours to nginx.
#[test]
fn curl_goes_on_by_one_connection() {
    let scene = Scene::start(Kind::Hosted);
    let url = scene.url("/told");
    let format = " %{num_connects}\n";
    let words = ["--write-out", format, &url, &url, &url, &url];
    let said = scene.clients.fetched(&words);
    assert_eq!(said, "GET 1 1\nGET 2 0\nGET 3 0\nGET 4 0\n");
}

/// Many clients with many requests each, and not one of them fails.
#[test]
fn h2load_finds_no_fault() {
    let scene = Scene::start(Kind::Hosted);
    for (requests, clients) in [("3000", "50"), ("200", "200")] {
        let mut command = scene.clients.h2load();
        command.args(["--requests", requests, "--clients", clients]);
        let finished = scene.clients.run(command.arg(scene.url("/told")));
        let said = String::from_utf8_lossy(&finished.succeeded().stdout).into_owned();
        for expected in [
            format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx"),
            format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout"),
        ] {
            assert!(said.contains(&expected), "{said}");
        }
    }
}

/// A body that is too large is refused, whether its length is said before or found out.
#[test]
fn bodies_have_their_limit() {
    let scene = Scene::start_with(Setting::new(Kind::Hosted).option("--max-body=5000"));
    let (clients, url) = (&scene.clients, scene.url("/file"));
    for (length, expected) in [
        (5000, ["201", "204"]),
        (5001, ["413", "413"]),
        (200_000, ["413", "413"]),
    ] {
        let file = clients
            .place()
            .add(&format!("{length}"), "x".repeat(length));
        for (framing, expected) in ["X-Nothing: else", "Transfer-Encoding: chunked"]
            .iter()
            .zip(expected)
        {
            let words = ["--upload-file", &file, "--header", framing, &url];
            let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
            let said = clients.fetched(&[&words[..], &status].concat());
            assert_eq!(said, expected, "{length} {framing}");
        }
    }
    assert_eq!(clients.fetched(&[&url]), "x".repeat(5000));
}

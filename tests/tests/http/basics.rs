//! Requests as a client writes them byte by byte, before nginx.

use std::net::SocketAddr;

use stockade_tests::peers::proxies::Proxy;
use stockade_tests::peers::web;
use stockade_tests::stunnel::ports;

use crate::raw::To;
use crate::script::Scripted;
use crate::setting::{Kind, Setting, Tunnel, WWW};

/// What nginx tells of a request.
const TOLD: &str =
    "return 200 \"$request_method $request_uri $server_protocol $connection_requests\";";
/// The longest head that is taken, in bytes, and the most fields.
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;

/// A backend, and the tunnel in front of it.
struct Scene<B> {
    setting: Setting,
    backend: B,
    tunnel: Tunnel,
}

impl Scene<Proxy> {
    /// nginx serves with these lines.
    fn start(kind: Kind, lines: &str) -> Scene<Proxy> {
        let setting = Setting::new(kind);
        let address = SocketAddr::new(setting.backends(), ports::next());
        let lines = format!("server {{ listen {address}; {lines} }}");
        let backend = web::nginx(&lines, address.port());
        let setting = setting.in_front_of(address);
        Scene {
            tunnel: setting.start(),
            setting,
            backend,
        }
    }
}

impl Scene<Scripted> {
    /// The backend answers this to so many connections.
    fn scripted(connections: usize, end: &'static str, said: &str) -> Scene<Scripted> {
        let setting = Setting::new(Kind::Hosted);
        let backend = Scripted::start(setting.backends(), connections, end, said);
        let setting = setting.in_front_of(backend.address);
        Scene {
            tunnel: setting.start(),
            setting,
            backend,
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {WWW}\r\n\r\n")
}

/// One connection of a client takes one of nginx's.
fn requests_follow_each_other(kind: Kind) {
    let scene = Scene::start(kind, TOLD);
    let mut raw = scene.setting.raw();
    for number in 1..=5 {
        let answer = raw.ask(get(&format!("/{number}")));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), format!("GET /{number} HTTP/1.1 {number}"));
        assert_eq!(answer.field("connection"), None);
    }
    raw.send(format!(
        "HEAD / HTTP/1.1\r\nHost: {WWW}\r\nConnection: close\r\n\r\n"
    ));
    let answer = raw.answer(To::Head);
    assert_eq!(answer.field("content-length"), Some("17"));
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
    let scene = Scene::start(Kind::Hosted, TOLD);
    let mut raw = scene.setting.raw();
    let requests: String = (1..=50).map(|number| get(&format!("/{number}"))).collect();
    raw.send(requests);
    for number in 1..=50 {
        let answer = raw.answer(To::Get);
        assert_eq!(answer.text(), format!("GET /{number} HTTP/1.1 {number}"));
    }
}

/// A client of HTTP/1.0 gets no chunks and one answer a connection, unless it asks to go on; without
/// `Host` its request is for the host that it named in TLS. nginx is asked by HTTP/1.1 all the same.
#[test]
fn clients_of_http_1_0_are_served() {
    let said = format!("location /host {{ return 200 $http_host; }} location / {{ {TOLD} }}");
    let scene = Scene::start(Kind::Hosted, &said);
    let mut raw = scene.setting.raw();
    let answer = raw.ask("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(answer.text(), "GET /old HTTP/1.1 1");
    assert_eq!(answer.field("connection"), Some("close"));
    raw.expect_end();

    let mut raw = scene.setting.raw();
    for _ in 0..3 {
        let answer = raw.ask("GET /host HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(answer.text(), WWW);
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let scene = Scene::scripted(1, "\r\n\r\n", chunked);
    let mut raw = scene.setting.raw();
    let answer = raw.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(answer.field("content-length"), None);
    assert_eq!(answer.text(), "hello");
}

/// A head of `length` bytes.
fn head(length: usize) -> String {
    let mut head = format!("GET /long HTTP/1.1\r\nHost: {WWW}\r\n");
    while head.len() + 4000 < length {
        head += &format!("Cookie: {}\r\n", "c".repeat(3000));
    }
    let rest = length - head.len() - "X: \r\n\r\n".len();
    head + &format!("X: {}\r\n\r\n", "x".repeat(rest))
}

/// Up to the limit a head is carried; beyond it a client is told, however much it has sent, and the
/// connection ends.
#[test]
fn heads_have_their_limit() {
    let lines = format!("large_client_header_buffers 8 32k; {TOLD}");
    let scene = Scene::start(Kind::Hosted, &lines);
    let mut raw = scene.setting.raw();
    for length in [1000, 8192, MAX_HEAD - 1, MAX_HEAD] {
        let head = head(length);
        assert_eq!(head.len(), length);
        assert_eq!(raw.ask(head).status, 200, "{length}");
    }
    let fields = |count: usize| {
        let fields: String = (1..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: {WWW}\r\n{fields}\r\n")
    };
    assert_eq!(raw.ask(fields(MAX_FIELDS)).status, 200);
    for refused in [head(MAX_HEAD + 1), head(100_000), fields(MAX_FIELDS + 1)] {
        let mut raw = scene.setting.raw();
        let answer = raw.ask(&refused);
        assert_eq!(answer.status, 431, "{}", refused.len());
        assert_eq!(answer.field("connection"), Some("close"));
        raw.expect_end();
    }
    let why = "the head has more than 16384 bytes or 100 fields";
    let line = format!("HTTP 431 Request Header Fields Too Large: {why}");
    scene.tunnel.wait_for(&line);
}

/// A backend's head has the same limit, and it is the backend's fault.
#[test]
fn backends_heads_have_their_limit() {
    let fields = |count| format!("add_header X-Long {};", "x".repeat(4000)).repeat(count);
    let lines = format!(
        "location /three {{ {} return 200 three; }} location /five {{ {} return 200 five; }}",
        fields(3),
        fields(5)
    );
    let scene = Scene::start(Kind::Hosted, &lines);
    let mut raw = scene.setting.raw();
    let answer = raw.ask(get("/three"));
    assert_eq!((answer.status, answer.all("x-long").len()), (200, 3));
    assert_eq!(raw.ask(get("/five")).status, 502);
    raw.expect_end();
    let line = "HTTP 502 Bad Gateway: the backend's answer: the head has more than 16384 bytes";
    scene.tunnel.wait_for(line);
}

/// A client that waits for leave gets it from the backend before it sends its body; or an answer, and
/// the body is never sent.
#[test]
fn a_client_may_wait_for_leave() {
    let lines = "root /var/tmp; dav_methods PUT; location = /no { return 403; }";
    let scene = Scene::start(Kind::Hosted, lines);
    let head = |path| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: {WWW}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut raw = scene.setting.raw();
    for status in [201, 204] {
        assert_eq!(raw.ask(head("/file")).status, 100);
        assert_eq!(raw.ask("12345").status, status);
    }
    assert_eq!(raw.ask(get("/file")).text(), "12345");
    let answer = raw.ask(head("/no"));
    assert_eq!(answer.status, 403);
    assert_eq!(answer.field("connection"), Some("close"));
    raw.expect_end();
}

/// Trailers are carried both ways, but for those that say what a message is.
#[test]
fn trailers_are_carried() {
    let said = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                5\r\nhello\r\n6;note=x\r\n world\r\n0\r\nX-Sum: 11\r\nContent-Length: 3\r\n\r\n";
    let scene = Scene::scripted(1, "X-Count: 3\r\n\r\n", said);
    let mut raw = scene.setting.raw();
    let answer = raw.ask(format!(
        "POST / HTTP/1.1\r\nHost: {WWW}\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nX-Count: 3\r\n\r\n"
    ));
    assert_eq!(answer.text(), "hello world");
    let expected = [("X-Sum".to_owned(), "11".to_owned())];
    assert_eq!(answer.trailers, expected);
    let heard = scene.backend.heard();
    assert!(
        heard.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nX-Count: 3\r\n\r\n"),
        "{heard}"
    );
}

/// Interim answers reach those who know them.
#[test]
fn interim_answers_are_carried() {
    let said = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let scene = Scene::scripted(2, "\r\n\r\n", said);
    let mut raw = scene.setting.raw();
    let answer = raw.ask(get("/"));
    assert_eq!(answer.status, 103);
    assert_eq!(answer.field("link"), Some("</style.css>; rel=preload"));
    assert_eq!(raw.answer(To::Get).text(), "ok");
    let answer = scene.setting.raw().ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
}

/// Parts of a file, what has not changed, and what nginx has packed.
#[test]
fn parts_and_packed_content_are_carried() {
    let lines = "root /var/tmp; dav_methods PUT; gzip on; gzip_types text/plain;";
    let scene = Scene::start(Kind::Hosted, lines);
    let text = "some words that are said again and again; ".repeat(1000);
    let mut raw = scene.setting.raw();
    let put = format!(
        "PUT /file HTTP/1.1\r\nHost: {WWW}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    assert_eq!(raw.ask(put).status, 201);
    let with = |field: &str| format!("GET /file HTTP/1.1\r\nHost: {WWW}\r\n{field}\r\n\r\n");
    let answer = raw.ask(get("/file"));
    assert_eq!(answer.text(), text);
    let tag = answer.field("etag").expect("nginx gives one").to_owned();
    let answer = raw.ask(with("Range: bytes=10-19"));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (206, &text[10..20])
    );
    let range = format!("bytes 10-19/{}", text.len());
    assert_eq!(answer.field("content-range"), Some(range.as_str()));
    let answer = raw.ask(with("Range: bytes=0-4,100-104"));
    let kind = answer.field("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("multipart/byteranges; boundary="),
        "{kind}"
    );
    let answer = raw.ask(with(&format!("If-None-Match: {tag}")));
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    assert_eq!(answer.field("etag"), Some(tag.as_str()));
    let answer = raw.ask(with("Accept-Encoding: gzip"));
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert!(answer.body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(raw.ask(get("/file")).text(), text);
}

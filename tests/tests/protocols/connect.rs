//! HTTP CONNECT: the tunnel behind a proxy, and as a proxy.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::client::{self, TlsStream};
use stockade_tests::pattern::Pattern;
use stockade_tests::peers::proxies::Proxy;
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Subject};
use stockade_tests::stunnel::talk;
use stockade_tests::{PATIENCE, process};

use crate::setting::{Ear, Family, Setting};

const USER: &str = "somebody";
const PASSWORD: &str = "Aph8ohm4Ieph";
/// What RFC 7617 §2 makes of them.
const CREDENTIALS: &str = "c29tZWJvZHk6QXBoOG9obTRJZXBo";

/// Bytes of a body.
const BODY: u64 = 1 << 20;

/// The subject as a client of the proxy at `proxy`, for the TLS server at `server`.
fn client_of(
    setting: &Setting,
    proxy: SocketAddr,
    server: SocketAddr,
    lines: &str,
) -> (Subject, SocketAddr) {
    let port = ports::next();
    let subject = setting.start(&format!(
        "[out]\nclient = yes\naccept = {port}\nconnect = {proxy}\nprotocol = connect\n\
         protocolHost = {server}\nCAfile = {{dir}}/ca.pem\nverifyChain = yes\n\
         checkHost = localhost\n{lines}\n"
    ));
    (subject, setting.subject(Family::Ipv4, port))
}

fn credentials(password: &str) -> String {
    format!("protocolUsername = {USER}\nprotocolPassword = {password}\n")
}

/// Debian's stunnel with the setting's certificate before `backend`.
fn tls_server(setting: &Setting, files: &Files, backend: SocketAddr) -> (Debian, SocketAddr) {
    let address = SocketAddr::new(setting.host(), ports::next());
    let certificate = setting.scene.files.path("server.pem");
    let conf = format!(
        "{GLOBALS}[server]\naccept = {address}\nconnect = {backend}\ncert = {certificate}\n"
    );
    (Debian::start(&files.add("stunnel.conf", conf)), address)
}

/// Through tinyproxy, which wants a password, to a TLS server.
pub fn client_of_tinyproxy(kind: Kind) {
    let setting = Setting::new(kind);
    let (files, backend) = (Files::create(), backend(&setting));
    let (_server, server) = tls_server(&setting, &files, backend.address());
    let address = SocketAddr::new(setting.host(), ports::next());
    let proxy = Proxy::tinyproxy(address, USER, PASSWORD);
    let (subject, front) = client_of(&setting, address, server, &credentials(PASSWORD));
    talk::download(front, BODY);
    // tinyproxy ends both directions at the first FIN: the answer behind the upload's end comes only
    // because our end is told inside TLS.
    talk::upload(front, BODY);
    let mut open = talk::Open::connect(front).expect("an echo");
    for round in 0..20 {
        let word = format!("{round} ").repeat(5000);
        open.exchange(&word).expect("an echo");
    }
    let log = &proxy.daemon().log;
    log.wait_for(&format!("CONNECT {server} HTTP/1.1"));
    subject.wait_for("TLS connected");
    no_secret(kind, &subject);
}

/// tinyproxy says no to a wrong password, and to none.
pub fn client_with_a_wrong_password(kind: Kind) {
    let setting = Setting::new(kind);
    let (files, backend) = (Files::create(), backend(&setting));
    let (_server, server) = tls_server(&setting, &files, backend.address());
    let address = SocketAddr::new(setting.host(), ports::next());
    let _proxy = Proxy::tinyproxy(address, USER, "another");
    for (lines, status) in [(credentials(PASSWORD), "401"), (String::new(), "407")] {
        let (subject, front) = client_of(&setting, address, server, &lines);
        assert!(is_cut_off(front));
        let line = subject.wait_for("CONNECT request rejected");
        if kind != Kind::Debian {
            assert!(line.contains(status), "{line}");
        }
        no_secret(kind, &subject);
    }
    assert!(backend.records().is_empty());
}

fn backend(setting: &Setting) -> Backend {
    Backend::start(setting.host(), Mode::Commands)
}

/// The password is not in the log, whatever its level; stunnel's debug messages have it.
fn no_secret(kind: Kind, subject: &Subject) {
    if kind == Kind::Debian {
        return;
    }
    let log = subject.log();
    assert!(!log.contains(PASSWORD), "the password in {log}");
    assert!(!log.contains(CREDENTIALS), "the password in {log}");
}

/// Whether a conversation through this port comes to nothing.
fn is_cut_off(front: SocketAddr) -> bool {
    talk::try_down(front, 5).map_or(true, |sum| sum.length == 0)
}

/// Reads a head to its empty line.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let read = stream.read_exact(&mut byte);
        read.unwrap_or_else(|error| panic!("{error} behind {}", head.escape_ascii()));
        head.extend(byte);
    }
    String::from_utf8(head).expect("a text")
}

/// The request has what a proxy needs, and the configuration's headers.
pub fn request_of_a_client(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let server: SocketAddr = "192.0.2.7:4443".parse().expect("an address");
    let lines = credentials(PASSWORD) + "protocolHeader = X-One: 1\nprotocolHeader = X-Two: 2\n";
    let (_subject, front) = client_of(&setting, ear.address(), server, &lines);
    let _client = client::tcp(front).expect("the tunnel accepts");
    let mut proxy = ear.accept();
    let head = read_head(&mut proxy);
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("CONNECT 192.0.2.7:4443 HTTP/1.1"));
    let mut headers: Vec<String> = lines.map(str::to_lowercase).collect();
    headers.retain(|line| !line.is_empty());
    headers.sort();
    let credentials = format!("proxy-authorization: basic {CREDENTIALS}").to_lowercase();
    assert_eq!(
        headers,
        ["host: 192.0.2.7:4443", &credentials, "x-one: 1", "x-two: 2"]
    );
    // TLS does not begin before the proxy has answered; then it does, at once.
    proxy
        .write_all(b"HTTP/1.1 200 Fine\r\nVia: a proxy\r\n\r\n")
        .expect("the answer is taken");
    let mut record = [0; 3];
    proxy.read_exact(&mut record).expect("TLS begins");
    assert_eq!(record[..2], [22, 3]);
}

/// Answers of a proxy that lies, or of somebody between it and the tunnel: no TLS follows them.
pub fn client_refuses_injections(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let server: SocketAddr = "192.0.2.7:4443".parse().expect("an address");
    let (subject, front) = client_of(&setting, ear.address(), server, &credentials(PASSWORD));
    let echo = format!("HTTP/1.1 407 basic {CREDENTIALS}\r\n\r\n");
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let early = "Data arrived in the clear where TLS begins";
    let rejected = "CONNECT request rejected";
    for (answer, words) in [
        ("HTTP/1.1 200 OK\r\n\r\ninjected words", early),
        // Even what could be a server's first record.
        ("HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03\x00\x02\x02\x00", early),
        ("HTTP/1.1 200 OK\n\n\n", early),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", rejected),
        (
            "HTTP/1.1 302 Found\r\nLocation: https://192.0.2.9/\r\n\r\n",
            rejected,
        ),
        ("HTTP/2 200\r\n\r\n", rejected),
        ("HTTP/1.1 2000 OK\r\n\r\n", rejected),
        ("200 OK\r\n\r\n", rejected),
        ("\r\n\r\n", rejected),
        (&echo, rejected),
        (&long, "The line is too long"),
        (&many, "The HTTP header is too long"),
        (&endless, "The HTTP header is too long"),
    ] {
        let from = subject.lines();
        let mut client = client::tcp(front).expect("the tunnel accepts");
        let mut proxy = ear.accept();
        read_head(&mut proxy);
        // The tunnel may be gone before all is said.
        let _ = proxy.write_all(answer.as_bytes());
        subject.wait_for_after(from, words);
        let mut more = Vec::new();
        let _ = proxy.read_to_end(&mut more);
        assert_eq!(more, b"", "TLS began behind {:?}", &answer[..20]);
        assert!(
            !matches!(client.read(&mut [0]), Ok(1)),
            "{:?}",
            &answer[..20]
        );
    }
    // An answer that never ends its last line, and a proxy that hangs up.
    let from = subject.lines();
    let _client = client::tcp(front).expect("the tunnel accepts");
    let mut proxy = ear.accept();
    read_head(&mut proxy);
    proxy
        .write_all(b"HTTP/1.1 200 OK\r\n")
        .expect("it is taken");
    drop(proxy);
    subject.wait_for_after(from, "Connection reset");
    no_secret(kind, &subject);
}

/// The subject as a proxy; the backend is what the client names.
fn proxy(setting: &Setting) -> (Subject, SocketAddr) {
    let port = ports::next();
    // stunnel wants a `connect`, and does not use it.
    let unused = setting.scene.host();
    let subject = setting.start(&format!(
        "[proxy]\naccept = {port}\nconnect = {unused}:9\ncert = {{dir}}/server.pem\n\
         protocol = connect\n"
    ));
    (subject, setting.subject(Family::Ipv4, port))
}

fn curl(setting: &Setting, words: &[&str]) -> process::Finished<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", ""]);
    for option in ["--cacert", "--proxy-cacert"] {
        command.args([option, &setting.scene.files.path("ca.pem")]);
    }
    command.args(words);
    process::start(&mut command, io::empty(), Vec::new()).finish(PATIENCE)
}

fn is_body(bytes: &[u8]) -> bool {
    bytes == Pattern::bytes(BODY, BODY as usize)
}

/// curl asks in the clear for the TLS server that the tunnel then is.
pub fn server_of_curl(kind: Kind) {
    let setting = Setting::new(kind);
    let backend = backend(&setting);
    let (subject, server) = proxy(&setting);
    let url = format!("https://{}/bytes/{BODY}", backend.address());
    let finished = curl(&setting, &["--proxy", &format!("http://{server}"), &url]).succeeded();
    assert!(is_body(&finished.stdout));
    subject.wait_for("TLS accepted");
    subject.wait_for(&format!("s_connect: connected {}", backend.address()));
}

/// Debian's stunnel, as a client of the same protocol.
pub fn server_of_stunnel(kind: Kind) {
    let setting = Setting::new(kind);
    let (files, backend) = (Files::create(), backend(&setting));
    let (_subject, server) = proxy(&setting);
    let front = SocketAddr::new(setting.host(), ports::next());
    let conf = format!(
        "{GLOBALS}[out]\nclient = yes\naccept = {front}\nconnect = {server}\n\
         protocol = connect\nprotocolHost = {}\nCAfile = {}\nverifyChain = yes\n\
         checkHost = localhost\n",
        backend.address(),
        setting.scene.files.path("ca.pem")
    );
    let _peer = Debian::start(&files.add("stunnel.conf", conf));
    talk::download(front, BODY);
    talk::upload(front, BODY);
}

/// What is no request in the clear is answered with a status, and nothing is dialled.
pub fn server_refuses_in_the_clear(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let (_subject, server) = proxy(&setting);
    let target = ear.address();
    let ask = |request: &str| {
        let mut stream = client::tcp(server).expect("the tunnel accepts");
        stream.write_all(request.as_bytes()).expect("it is taken");
        // stunnel waits for more.
        if kind == Kind::Debian {
            return read_head(&mut stream);
        }
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if !answer.is_empty() => panic!("{error} behind {answer:?}"),
            _ => String::from_utf8(answer).expect("a text"),
        }
    };
    for (request, status) in [
        (
            format!("GET http://{target}/ HTTP/1.1\r\n\r\n"),
            "400 Bad Request Method",
        ),
        (
            format!("CONNECT {target}\r\n\r\n"),
            "400 Bad Request Protocol",
        ),
    ] {
        let answer = ask(&request);
        assert!(
            answer.starts_with(&format!("HTTP/1.0 {status}\r\n")),
            "{request:?}: {answer:?}"
        );
    }
    let answer = ask("CONNECT 192.0.2.1 HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 4"), "{answer:?}");
    if kind != Kind::Debian {
        let answer = ask(&format!("CONNECT {target} HTTP/2\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.0 400 "), "{answer:?}");
        // Words that come before TLS are not those of whom TLS protects.
        let answer = ask(&format!("CONNECT {target} HTTP/1.1\r\n\r\nDOWN 5\n"));
        assert_eq!(answer, "");
        let answer = ask(&format!(
            "CONNECT {target} HTTP/1.1\r\n{}\r\n",
            "X: y\r\n".repeat(1000)
        ));
        assert!(answer.starts_with("HTTP/1.0 431 "), "{answer:?}");
    }
    assert!(ear.has_heard_nothing());
}

/// curl takes the tunnel for an HTTPS proxy: its request is under TLS, and the answer is true.
pub fn server_under_tls(kind: Kind) {
    let setting = Setting::new(kind);
    let (files, backend) = (Files::create(), backend(&setting));
    let (_inner, inner) = tls_server(&setting, &files, backend.address());
    let (subject, server) = proxy(&setting);
    let proxy = format!("https://{server}");
    let v6 = SocketAddr::new(setting.scene.tap.host_v6().into(), ports::next());
    let _backend_v6 = Backend::start_at(v6, Mode::Commands);
    for url in [
        format!("http://{}/bytes/{BODY}", backend.address()),
        format!("http://{v6}/bytes/{BODY}"),
        format!("https://{inner}/bytes/{BODY}"),
    ] {
        let finished = curl(&setting, &["--proxytunnel", "--proxy", &proxy, &url]);
        assert!(is_body(&finished.succeeded().stdout), "{url}");
    }
    let mut closed = Backend::start(setting.host(), Mode::Commands);
    closed.down();
    for (target, status) in [
        (closed.address().to_string(), "502"),
        ("127.0.0.1:80".to_owned(), "403"),
        ("nobody.invalid:80".to_owned(), "404"),
    ] {
        let code = "\n%{http_connect}";
        let words = ["--proxytunnel", "--proxy", &proxy, "--write-out", code];
        let url = format!("http://{target}/");
        let finished = curl(&setting, &[&words[..], &[&url]].concat());
        let output = String::from_utf8_lossy(&finished.stdout).into_owned();
        assert!(
            output.ends_with(status),
            "{target}: {output}{}",
            finished.stderr
        );
    }
    subject.wait_for("Connection refused");
}

/// A request under TLS in many records, and one with the client's next words in the same record.
pub fn server_under_tls_in_pieces(kind: Kind) {
    let setting = Setting::new(kind);
    let backend = backend(&setting);
    let (_subject, server) = proxy(&setting);
    let request = format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", backend.address());
    let exchange = |stream: &mut TlsStream| {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an orderly end");
        let expected = [b"HTTP/1.0 200 OK\r\n\r\n", &Pattern::bytes(5, 5)[..]].concat();
        assert_eq!(answer, expected, "{}", answer.escape_ascii());
    };
    let mut stream = setting.connect(server, setting.options());
    for byte in request.bytes().chain(*b"DOWN 5\n") {
        stream.write_all(&[byte]).expect("it is taken");
    }
    exchange(&mut stream);
    let mut stream = setting.connect(server, setting.options());
    let together = request + "DOWN 5\n";
    stream.write_all(together.as_bytes()).expect("it is taken");
    exchange(&mut stream);
}

//! SOCKS (RFC 1928) inside TLS: the tunnel as server and as client.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

use crate::name_server::NameServer;
use crate::setting::{Ear, Family, Setting};

/// Bytes of a body.
const BODY: u64 = 1 << 20;

/// A name that the scene's own name server knows, where the subject asks one.
const NAME: &str = "backend.example";

/// The subject as a SOCKS server inside TLS.
struct Server {
    setting: Setting,
    subject: Subject,
    address: SocketAddr,
}

impl Server {
    fn start(setting: Setting) -> Server {
        let port = ports::next();
        let subject = setting.start(&format!(
            "[socks]\naccept = {port}\ncert = {{dir}}/server.pem\nprotocol = socks\n"
        ));
        let address = setting.subject(Family::Ipv4, port);
        Server {
            setting,
            subject,
            address,
        }
    }

    fn connect(&self) -> TlsStream {
        self.setting.connect(self.address, self.setting.options())
    }
}

/// Debian's stunnel, a plain client of `server`; gives where it listens.
fn unwrap(setting: &Setting, files: &Files, server: SocketAddr) -> (Debian, SocketAddr) {
    let front = SocketAddr::new(setting.host(), ports::next());
    let conf = format!(
        "{GLOBALS}[out]\nclient = yes\naccept = {front}\nconnect = {server}\nCAfile = {}\n\
         verifyChain = yes\ncheckHost = localhost\n",
        setting.scene.files.path("ca.pem")
    );
    (Debian::start(&files.add("stunnel.conf", conf)), front)
}

fn backend(setting: &Setting) -> Backend {
    Backend::start(setting.host(), Mode::Commands)
}

fn curl(words: &[&str]) -> process::Finished<Vec<u8>> {
    let mut command = Command::new("curl");
    command.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", ""]);
    command.args(words);
    process::start(&mut command, io::empty(), Vec::new()).finish(PATIENCE)
}

fn is_body(bytes: &[u8]) -> bool {
    bytes == Pattern::bytes(BODY, BODY as usize)
}

/// Every version that curl speaks, by way of Debian's stunnel.
pub fn server_of_curl(kind: Kind) {
    let server = Server::start(Setting::new(kind));
    // Backends go before the link that they are on.
    let (files, backend) = (Files::create(), backend(&server.setting));
    let v6 = SocketAddr::new(server.setting.scene.tap.host_v6().into(), ports::next());
    let backend_v6 = Backend::start_at(v6, Mode::Commands);
    let (_peer, front) = unwrap(&server.setting, &files, server.address);
    let front = front.to_string();
    let target = backend.address();
    for version in ["--socks4", "--socks4a", "--socks5", "--socks5-hostname"] {
        let url = format!("http://{target}/bytes/{BODY}");
        let finished = curl(&[version, &front, &url]).succeeded();
        assert!(is_body(&finished.stdout), "{version}");
    }
    for version in ["--socks5", "--socks5-hostname"] {
        let url = format!("http://{v6}/bytes/{BODY}");
        let finished = curl(&[version, &front, &url]).succeeded();
        assert!(is_body(&finished.stdout), "{version} to {v6}");
    }
    assert_eq!(backend.records().len(), 4);
    assert_eq!(backend_v6.records().len(), 2);
    let connected = format!("s_connect: connected {target}");
    server.subject.wait_for(&connected);
}

/// Names are resolved by the server.
pub fn server_resolves_names(kind: Kind) {
    let setting = Setting::new(kind);
    let host = setting.scene.host();
    let _names = NameServer::start(host, NAME, host);
    let server = Server::start(setting.option(format!("--dns={host}")));
    let (files, backend) = (Files::create(), backend(&server.setting));
    let (_peer, front) = unwrap(&server.setting, &files, server.address);
    for version in ["--socks4a", "--socks5-hostname"] {
        let url = format!("http://{NAME}:{}/bytes/{BODY}", backend.address().port());
        let finished = curl(&[version, &front.to_string(), &url]).succeeded();
        assert!(is_body(&finished.stdout), "{version}");
    }
}

/// A request to CONNECT to an address (RFC 1928 §4).
fn request(address: SocketAddr) -> Vec<u8> {
    let mut request = vec![5, 1, 0];
    match address.ip() {
        IpAddr::V4(ip) => {
            request.push(1);
            request.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            request.push(4);
            request.extend(ip.octets());
        }
    }
    request.extend(address.port().to_be_bytes());
    request
}

/// The same to a name.
fn request_by_name(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a name");
    let mut request = vec![5, 1, 0, 3, length];
    request.extend(name.bytes());
    request.extend(port.to_be_bytes());
    request
}

/// What the server says to these bytes, until it ends.
fn answer(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = server.connect();
    stream.write_all(bytes).expect("the request is taken");
    let mut answer = Vec::new();
    // Behind its last words it may end in any way.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Offers no authentication, then asks; gives the reply's code (RFC 1928 §6).
fn reply(server: &Server, request: &[u8]) -> Option<u8> {
    let answer = answer(server, &[&[5, 1, 0], request].concat());
    let rest = answer.strip_prefix(&[5, 0])?;
    assert_eq!(rest.first(), Some(&5), "{answer:?}");
    rest.get(1).copied()
}

/// What is not done for a client, and how it is told.
pub fn server_refuses(kind: Kind) {
    let server = Server::start(Setting::new(kind));
    let ear = Ear::listen(server.setting.host());
    let local = Ear::listen(Ipv4Addr::LOCALHOST.into());
    let port = local.address().port();
    let target = request(ear.address());
    let with = |at: usize, value: u8| {
        let mut changed = target.clone();
        changed[at] = value;
        changed
    };
    // BIND, UDP ASSOCIATE: command not supported.
    assert_eq!(reply(&server, &with(1, 2)), Some(7));
    assert_eq!(reply(&server, &with(1, 3)), Some(7));
    // An address of no known type; stunnel has another word for it.
    let unknown = if kind == Kind::Debian { 7 } else { 8 };
    assert_eq!(reply(&server, &with(3, 9)), Some(unknown));
    // Not allowed by the rules: the loopback of the server's host, by whatever name.
    let mut forbidden = vec![
        request(local.address()),
        request(SocketAddr::new("::1".parse().expect("an address"), port)),
        request_by_name("127.0.0.1", port),
    ];
    match kind {
        Kind::Debian => {}
        // What stands for this host's loopback there: the rootless network's gateway.
        Kind::Launched(_) => forbidden.push(request(SocketAddr::new([10, 0, 2, 2].into(), port))),
        // The tunnel's own address.
        Kind::Hosted(_) | Kind::Booted(_) => forbidden.push(request(server.address)),
    }
    for request in forbidden {
        assert_eq!(reply(&server, &request), Some(2), "{request:?}");
    }
    // No method of authentication that the server knows.
    assert_eq!(answer(&server, &[5, 1, 2]), [5, 0xff]);
    assert_eq!(answer(&server, &[5, 0]), [5, 0xff]);
    // SOCKS 4: BIND, and the loopback.
    let [high, low] = port.to_be_bytes();
    for request in [
        &[4, 2, high, low, 192, 0, 2, 1, b'x', 0][..],
        &[4, 1, high, low, 127, 0, 0, 1, b'x', 0],
    ] {
        let answer = answer(&server, request);
        assert_eq!(
            answer.get(..2),
            Some(&[0, 91][..]),
            "{request:?}: {answer:?}"
        );
    }
    // Other versions, and what is no SOCKS at all.
    for bytes in [&[6, 1, 0][..], b"GET / HTTP/1.0\r\n\r\n", &[0; 300]] {
        assert_eq!(answer(&server, bytes), b"", "{bytes:?}");
    }
    assert!(ear.has_heard_nothing());
    assert!(local.has_heard_nothing());
    let words = match kind {
        Kind::Debian => "loopback rejected",
        _ => "nobody is led there",
    };
    server.subject.wait_for(words);
}

/// The reply comes after the attempt, and says how it ended.
pub fn server_tells_the_truth(kind: Kind) {
    let server = Server::start(Setting::new(kind));
    let mut closed = backend(&server.setting);
    closed.down();
    assert_eq!(reply(&server, &request(closed.address())), Some(5));
    let [high, low] = closed.address().port().to_be_bytes();
    let IpAddr::V4(ip) = server.setting.host() else {
        unreachable!("scenes have IPv4");
    };
    let [a, b, c, d] = ip.octets();
    let answer = answer(&server, &[4, 1, high, low, a, b, c, d, 0]);
    assert_eq!(answer.get(..2), Some(&[0, 91][..]));
    // Other names of what is refused.
    for request in [
        request("[::ffff:127.0.0.1]:80".parse().expect("an address")),
        request("0.0.0.0:80".parse().expect("an address")),
        request("[::]:80".parse().expect("an address")),
        request_by_name("localhost", 80),
        request_by_name("LOCALHOST.", 80),
        request_by_name("x.localhost", 80),
    ] {
        let code = reply(&server, &request);
        assert!(matches!(code, Some(2 | 4)), "{request:?}: {code:?}");
    }
    // No port, and names that can't be.
    for request in [
        request(SocketAddr::new(ip.into(), 0)),
        request_by_name("", 80),
        request_by_name("a b", 80),
        request_by_name("nul\0byte", 80),
    ] {
        assert_ne!(reply(&server, &request), Some(0), "{request:?}");
    }
    let unknown = request_by_name("nobody.invalid", 80);
    assert_eq!(reply(&server, &unknown), Some(4));
}

/// A resumed session leads where its client asks, not where an earlier connection has led.
pub fn server_keeps_no_backend(kind: Kind) {
    let server = Server::start(Setting::new(kind));
    let backends = [(); 2].map(|()| backend(&server.setting));
    let client = client::build(server.setting.options());
    for (number, backend) in backends.iter().chain(&backends).enumerate() {
        let mut stream = TlsStream::connect(server.address, &client).expect("a handshake");
        assert_eq!(stream.handshake().resumed, number > 0);
        let mut all = vec![5, 1, 0];
        all.extend(request(backend.address()));
        all.extend(b"DOWN 5\n");
        stream.write_all(&all).expect("it is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an orderly end");
        assert!(answer.ends_with(&Pattern::bytes(5, 5)), "{answer:?}");
    }
    for backend in &backends {
        assert_eq!(backend.records().len(), 2);
    }
}

/// One byte a record, and then all at once with the client's next words behind it.
pub fn server_in_pieces(kind: Kind) {
    let server = Server::start(Setting::new(kind));
    let backend = backend(&server.setting);
    let mut all = vec![5, 1, 0];
    all.extend(request(backend.address()));
    let words = b"DOWN 5\n";
    let check = |stream: &mut TlsStream| {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an orderly end");
        assert_eq!(answer.get(..4), Some(&[5, 0, 5, 0][..]), "{answer:?}");
        assert!(answer.ends_with(&Pattern::bytes(5, 5)), "{answer:?}");
        answer
    };
    let mut stream = server.connect();
    for byte in all.iter().chain(words) {
        stream.write_all(&[*byte]).expect("it is taken");
    }
    let answer = check(&mut stream);
    // Method; reply with an address of IPv4 or IPv6 and a port; body.
    assert!(
        [2 + 10 + 5, 2 + 22 + 5].contains(&answer.len()),
        "{answer:?}"
    );
    let mut stream = server.connect();
    all.extend(words);
    stream.write_all(&all).expect("it is taken");
    check(&mut stream);
}

/// The subject asks the SOCKS server at `server`, which ends TLS, for `protocolHost`: for a backend,
/// and for this host's loopback, which the server allows nobody.
fn client_asks(setting: &Setting, server: SocketAddr) -> Backend {
    let backend = backend(setting);
    let (good, bad) = (ports::next(), ports::next());
    let section = |name: &str, port: u16, target: SocketAddr| {
        format!(
            "[{name}]\nclient = yes\naccept = {port}\nconnect = {server}\nprotocol = socks\n\
             protocolHost = {target}\nCAfile = {{dir}}/ca.pem\nverifyChain = yes\n\
             checkHost = localhost\n"
        )
    };
    let local = Ear::listen(Ipv4Addr::LOCALHOST.into());
    let sections = section("good", good, backend.address()) + &section("bad", bad, local.address());
    let subject = setting.start(&sections);
    let [good, bad] = [good, bad].map(|port| setting.subject(Family::Ipv4, port));
    talk::download(good, BODY);
    talk::upload(good, BODY);
    assert!(talk::try_down(bad, 5).map_or(true, |sum| sum.length == 0));
    subject.wait_for("SOCKS5 request failed: Connection not allowed by ruleset");
    assert!(local.has_heard_nothing());
    backend
}

/// Debian's stunnel as that server.
pub fn client_of_stunnel(kind: Kind) {
    let setting = Setting::new(kind);
    let files = Files::create();
    let server = SocketAddr::new(setting.host(), ports::next());
    let conf = format!(
        "{GLOBALS}[socks]\naccept = {server}\ncert = {}\nprotocol = socks\n",
        setting.scene.files.path("server.pem")
    );
    let peer = Debian::start(&files.add("stunnel.conf", conf));
    let backend = client_asks(&setting, server);
    let connected = format!("s_connect: connected {}", backend.address());
    peer.log().wait_for(&connected);
}

/// Dante, behind Debian's stunnel, which ends TLS for it.
pub fn client_of_dante(kind: Kind) {
    let setting = Setting::new(kind);
    let files = Files::create();
    let host = setting.host();
    let [server, proxy] = [(); 2].map(|()| SocketAddr::new(host, ports::next()));
    let dante = Proxy::dante(proxy);
    let conf = format!(
        "{GLOBALS}[server]\naccept = {server}\nconnect = {proxy}\ncert = {}\n",
        setting.scene.files.path("server.pem")
    );
    let _peer = Debian::start(&files.add("stunnel.conf", conf));
    let backend = client_asks(&setting, server);
    let target = format!("{host}.{}", backend.address().port());
    dante.daemon().log.wait_for(&target);
}

//! PROXY headers to the backend: HAProxy and nginx read them, and so do the tests' own eyes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use stockade_tests::certificates::NAME;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::peers::Place;
use stockade_tests::peers::proxies::{Asked, Proxy, Reporter, Told};
use stockade_tests::process;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Subject};
use stockade_tls::{Client, ClientOptions, Suite, Version, Versions};

use crate::header::{self, Header};
use crate::setting::{Ear, Family, Setting, WORDS, say};

/// Judges clients' certificates where there are any.
const JUDGES: &str = "CAfile = {dir}/ca.pem\nverify = 1\n";

/// A service for clients of both families in front of one backend.
struct Service {
    setting: Setting,
    subject: Subject,
    ports: [u16; 2],
}

impl Service {
    /// Serves with these lines in both sections.
    fn start(setting: Setting, backend: SocketAddr, lines: &str) -> Service {
        let ports = [ports::next(), ports::next()];
        let lines = format!("connect = {backend}\ncert = {{dir}}/server.pem\n{lines}\n");
        let [ipv4, ipv6] = ports;
        let subject = setting.start(&format!(
            "[four]\naccept = {ipv4}\n{lines}[six]\naccept = :::{ipv6}\n{lines}"
        ));
        Service {
            setting,
            subject,
            ports,
        }
    }

    /// Where clients of a family find it.
    fn address(&self, family: Family) -> SocketAddr {
        let [ipv4, ipv6] = self.ports;
        let port = match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        };
        self.setting.subject(family, port)
    }

    /// What the backend was told is true of this client of the service at `server`.
    fn check(
        &self,
        (client, local): (SocketAddr, SocketAddr),
        own: SocketAddr,
        server: SocketAddr,
    ) {
        assert_eq!(client, own);
        assert_eq!(local.port(), server.port());
        assert_eq!(local.is_ipv4(), server.is_ipv4());
        if self.setting.knows_its_address() {
            assert_eq!(local, server);
        }
    }
}

fn own_address(stream: &TlsStream) -> SocketAddr {
    stream.tcp().local_addr().expect("an open connection")
}

/// A server is told of clients of both families.
fn is_reported(kind: Kind, protocol: &str, reporter: fn(IpAddr) -> Reporter) {
    let setting = Setting::new(kind);
    let reporter = reporter(setting.host());
    let lines = format!("protocol = {protocol}");
    let service = Service::start(setting, reporter.address, &lines);
    for family in [Family::Ipv4, Family::Ipv6] {
        let server = service.address(family);
        let mut stream = service.setting.connect(server, service.setting.options());
        if reporter.asked == Asked::ByRequest {
            let request = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
            request.expect("the request is taken");
        }
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        read.unwrap_or_else(|error| panic!("{family:?}: {error}: {answer}"));
        let told = Told::read(&answer).unwrap_or_else(|| panic!("{family:?}: {answer}"));
        service.check((told.client, told.local), own_address(&stream), server);
        let authority = match protocol == "proxy2" && reporter.tells_authority {
            true => NAME,
            false => "",
        };
        assert_eq!(told.authority, authority);
    }
}

pub fn version_1_to_haproxy(kind: Kind) {
    is_reported(kind, "proxy", Reporter::haproxy);
}

pub fn version_1_to_nginx(kind: Kind) {
    is_reported(kind, "proxy", Reporter::nginx_http);
    is_reported(kind, "proxy", Reporter::nginx_stream);
}

pub fn version_2_to_haproxy(kind: Kind) {
    is_reported(kind, "proxy2", Reporter::haproxy);
}

pub fn version_2_to_nginx(kind: Kind) {
    is_reported(kind, "proxy2", Reporter::nginx_http);
    is_reported(kind, "proxy2", Reporter::nginx_stream);
}

/// Nothing but the line stands before the client's words.
pub fn version_1_in_bytes(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let service = Service::start(setting, ear.address(), "protocol = proxy");
    for family in [Family::Ipv4, Family::Ipv6] {
        let server = service.address(family);
        let mut stream = service.setting.connect(server, service.setting.options());
        let own = own_address(&stream);
        say(&mut stream);
        let heard = ear.hear();
        let (line, behind) = heard.split_at(heard.len() - WORDS.len());
        assert_eq!(behind, WORDS, "{}", heard.escape_ascii());
        let line = str::from_utf8(line).expect("a line of text");
        let words: Vec<&str> = line.split(' ').collect();
        let ["PROXY", named, client, local, client_port, local_port] = words.as_slice() else {
            panic!("{line:?}");
        };
        let local_port = local_port.strip_suffix("\r\n").expect("one line");
        let address = |host: &str, port: &str| {
            let host: IpAddr = host.parse().expect("an address");
            SocketAddr::new(host, port.parse().expect("a port"))
        };
        let told = (address(client, client_port), address(local, local_port));
        service.check(told, own, server);
        assert_eq!(
            *named,
            if family == Family::Ipv4 {
                "TCP4"
            } else {
                "TCP6"
            }
        );
    }
}

/// What a header of version 2 says of a client with these options.
fn header(service: &Service, ear: &Ear, family: Family, client: &Client) -> Header {
    let server = service.address(family);
    let mut stream = TlsStream::connect(server, client).expect("a handshake");
    let own = own_address(&stream);
    say(&mut stream);
    let header = Header::read(&ear.hear());
    assert_eq!(header.behind, WORDS);
    // Tickets come behind the handshake.
    stream.read_to_end(&mut Vec::new()).expect("an orderly end");
    service.check((header.client, header.local), own, server);
    header
}

fn only(version: Version) -> Versions {
    Versions {
        min: version,
        max: version,
    }
}

/// Name, protocol, version, suite and certificate, by type-length-value records; resumed sessions
/// have the certificate still.
pub fn version_2_records(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let lines = format!("protocol = proxy2\nalpn = h2, http/1.1\n{JUDGES}");
    let service = Service::start(setting, ear.address(), &lines);
    for (version, family, name) in [
        (Version::Tls13, Family::Ipv4, "TLSv1.3"),
        (Version::Tls12, Family::Ipv6, "TLSv1.2"),
    ] {
        let bare = client::build(ClientOptions {
            versions: only(version),
            ..service.setting.options()
        });
        let bare = header(&service, &ear, family, &bare);
        assert_eq!(header::text(&bare.records, header::AUTHORITY), Some(NAME));
        assert_eq!(header::text(&bare.records, header::ALPN), None);
        let (bits, failed, ssl) = bare.ssl();
        // "non-zero" where the client presented no certificate (§2.2.5).
        assert_eq!((bits, failed), (header::CLIENT_SSL, true));
        assert_eq!(header::text(&ssl, header::SSL_VERSION), Some(name));
        assert_eq!(header::text(&ssl, header::SSL_CN), None);

        let known = client::build(ClientOptions {
            versions: only(version),
            alpn: vec![b"http/1.1".to_vec()],
            ..service.setting.options_with_certificate()
        });
        for bits in [header::CLIENT_CERT_CONN, 0] {
            let bits = header::CLIENT_SSL | header::CLIENT_CERT_SESS | bits;
            let header = header(&service, &ear, family, &known);
            assert_eq!(
                header::text(&header.records, header::ALPN),
                Some("http/1.1")
            );
            let (told, failed, ssl) = header.ssl();
            assert_eq!((told, failed), (bits, false), "{version:?}");
            assert_eq!(header::text(&ssl, header::SSL_CN), Some("client"));
            assert!(header::text(&ssl, header::SSL_CIPHER).is_some());
        }
    }
    service.subject.wait_for("previous session reused");
}

/// The service that a client's name chooses says how its own backend is told.
pub fn of_virtual_services(kind: Kind) {
    let setting = Setting::new(kind);
    let (first, other) = (Ear::listen(setting.host()), Ear::listen(setting.host()));
    let port = ports::next();
    let _subject = setting.start(&format!(
        "[first]\naccept = {port}\nconnect = {}\ncert = {{dir}}/server.pem\n\
         protocol = proxy\n\
         [other]\nsni = first:{NAME}\nconnect = {}\ncert = {{dir}}/server.pem\n\
         protocol = proxy2\n",
        first.address(),
        other.address()
    ));
    let server = setting.subject(Family::Ipv4, port);
    let mut stream = setting.connect(server, setting.options());
    say(&mut stream);
    let header = Header::read(&other.hear());
    assert_eq!(header.client, own_address(&stream));
    assert_eq!(header.behind, WORDS);
    // openssl has another name to ask for, and reads no reply.
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-servername", "other.example"]);
    command.args(["-connect", &server.to_string()]);
    let nameless = process::start(&mut command, Cursor::new(WORDS), Vec::new());
    let heard = first.hear();
    assert!(
        heard.starts_with(b"PROXY TCP4 "),
        "{}",
        heard.escape_ascii()
    );
    drop(nameless);
}

/// HAProxy, as the end of TLS for the same clients, tells its backend nothing else.
pub fn version_2_as_of_haproxy(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let theirs = SocketAddr::new(setting.host(), ports::next());
    let _haproxy = terminator(&setting, theirs, ear.address());
    let lines = format!("protocol = proxy2\nalpn = h2,http/1.1\n{JUDGES}");
    let service = Service::start(setting, ear.address(), &lines);
    let (old, new) = (Suite::EcdheEcdsaAes128GcmSha256, Suite::Aes256GcmSha384);
    for (version, suite, has_certificate, alpn) in [
        (Version::Tls12, old, true, &["h2"][..]),
        (Version::Tls13, new, true, &["postgresql", "http/1.1"]),
        (Version::Tls13, new, false, &[]),
    ] {
        let options = match has_certificate {
            true => service.setting.options_with_certificate(),
            false => service.setting.options(),
        };
        let client = client::build(ClientOptions {
            versions: only(version),
            suites: vec![suite],
            alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
            ..options
        });
        let ours = header(&service, &ear, Family::Ipv4, &client);
        let mut stream = TlsStream::connect(theirs, &client).expect("a handshake");
        say(&mut stream);
        let theirs = Header::read(&ear.hear());
        compare(&theirs.records, &ours.records);
        let ((bits, failed, below), (their_bits, their_failed, theirs)) =
            (ours.ssl(), theirs.ssl());
        assert_eq!(bits, their_bits);
        // Without a certificate HAProxy tells that its verification succeeded.
        assert_eq!(failed, their_failed || !has_certificate);
        compare(&theirs, &below);
    }
}

/// Whatever HAProxy tells in a record, ours tells, too.
fn compare(theirs: &BTreeMap<u8, Vec<u8>>, ours: &BTreeMap<u8, Vec<u8>>) {
    for (kind, value) in theirs {
        if ![header::SSL, header::CRC32C].contains(kind) {
            assert_eq!(Some(value), ours.get(kind), "record {kind:#x}");
        }
    }
}

/// HAProxy with the scene's certificates, which tells `backend` all that it knows.
fn terminator(setting: &Setting, front: SocketAddr, backend: SocketAddr) -> Proxy {
    let place = Place::new();
    let [server, authority] = ["server.pem", "ca.pem"].map(|name| {
        let pem = std::fs::read(setting.scene.files.path(name)).expect("the scene's own file");
        place.add(name, pem)
    });
    let sections = format!(
        "listen front\n mode tcp\n bind {front} ssl crt {server} ca-file {authority} \
         verify optional alpn h2,http/1.1\n \
         server ear {backend} send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,crc32c,authority\n"
    );
    Proxy::haproxy_in(place, &sections, front.port())
}

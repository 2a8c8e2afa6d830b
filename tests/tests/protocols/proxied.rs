//! Behind proxies that announce clients by PROXY headers: HAProxy, nginx, and some that lie.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use stockade_tests::client::{self, TlsStream};
use stockade_tests::peers::proxies::Announced;
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::log::written;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Subject};

use crate::header::Header;
use crate::setting::{Ear, Family, Setting, WORDS, say};

/// Addresses for documentation (RFC 5737, RFC 3849): nobody has them.
const STRANGER: &str = "192.0.2.77:4711";
const STRANGER_OF_IPV6: &str = "[2001:db8::77]:4711";

/// A tunnel that believes this host, or others than this host, and tells its backend of clients.
struct Place {
    setting: Setting,
    subject: Subject,
    server: SocketAddr,
    ear: Ear,
}

impl Place {
    /// With these sources in `acceptProxy`; `{host}` is this host.
    fn new(kind: Kind, trusted: &str) -> Place {
        Self::of(kind, Family::Ipv4, trusted)
    }

    fn of(kind: Kind, family: Family, trusted: &str) -> Place {
        let setting = Setting::new(kind);
        let ear = Ear::listen(setting.host());
        let port = ports::next();
        let trusted = trusted
            .replace("{host}", &setting.host().to_string())
            .replace("{host_v6}", &setting.scene.tap.host_v6().to_string());
        let any = if family == Family::Ipv6 { ":::" } else { "" };
        let subject = setting.start(&format!(
            "[in]\naccept = {any}{port}\nconnect = {}\ncert = {{dir}}/server.pem\nprotocol = proxy2\n\
             acceptProxy = {trusted}\nTIMEOUTbusy = 3\n",
            ear.address()
        ));
        let server = setting.subject(family, port);
        Place {
            setting,
            subject,
            server,
            ear,
        }
    }

    fn trusting(kind: Kind) -> Place {
        Self::new(kind, "{host}")
    }

    /// A connection on which nothing has been said, and our TLS on top of it.
    fn open(&self) -> TlsStream {
        let client = client::build(self.setting.options());
        let tcp = client::tcp(self.server).expect("the tunnel accepts");
        TlsStream::open(tcp, &client).expect("a client's first words")
    }

    /// The client is told of as these addresses, in the log and to the backend.
    fn tells(&self, client: SocketAddr, local: SocketAddr, mut stream: TlsStream) {
        let line = format!("Service [in] accepted connection from {}", written(client));
        say(&mut stream);
        let header = Header::read(&self.ear.hear());
        assert_eq!((header.client, header.local), (client, local));
        assert_eq!(header.behind, WORDS);
        self.subject.wait_for(&line);
    }

    /// What is sent comes to nothing, the log says these words, and nobody hears of it.
    fn refuses(&self, bytes: &[u8], words: &str) {
        let from = self.subject.lines();
        let mut stream = client::tcp(self.server).expect("the tunnel accepts");
        stream.write_all(bytes).expect("the bytes are taken");
        let shown = bytes.escape_ascii();
        assert!(is_cut_off(&mut stream), "{shown}");
        self.subject.wait_for_after(from, words);
        assert!(self.ear.has_heard_nothing(), "{shown}");
    }
}

/// Whether the other end closes, whatever it says before; our own direction stays open.
fn is_cut_off(stream: &mut TcpStream) -> bool {
    match io::copy(stream, &mut io::sink()) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

/// Every kind of header that HAProxy and nginx write.
pub fn by_haproxy_and_nginx(kind: Kind) {
    let place = Place::trusting(kind);
    for announced in Announced::ALL {
        let front = SocketAddr::new(place.setting.host(), ports::next());
        let _proxy = announced.start(front, place.server);
        let stream = place.setting.connect(front, place.setting.options());
        let own = stream.tcp().local_addr().expect("an open connection");
        place.tells(own, front, stream);
    }
}

/// A line of version 1.
fn line(client: &str, local: &str) -> String {
    let [client, local]: [SocketAddr; 2] = [client, local].map(|text| text.parse().expect("one"));
    format!(
        "PROXY {} {} {} {} {}\r\n",
        if client.is_ipv4() { "TCP4" } else { "TCP6" },
        client.ip(),
        local.ip(),
        client.port(),
        local.port()
    )
}

/// A header comes as it comes: in one segment with the ClientHello, or byte by byte; and what it
/// tells may be of another family than the connection.
pub fn in_pieces_and_together(kind: Kind) {
    let place = Place::trusting(kind);
    for (client, local) in [
        (STRANGER, "192.0.2.1:443"),
        (STRANGER_OF_IPV6, "[2001:db8::1]:443"),
    ] {
        let header = line(client, local);
        let (client, local) = (client.parse().expect("one"), local.parse().expect("one"));
        let mut stream = place.open();
        let together = stream.complete_handshake_behind(header.as_bytes());
        together.expect("a handshake");
        place.tells(client, local, stream);

        let mut stream = place.open();
        for byte in header.bytes() {
            stream.tcp().write_all(&[byte]).expect("it is taken");
            thread::sleep(Duration::from_millis(1));
        }
        let crumbs = stream.complete_handshake_in_crumbs();
        crumbs.expect("a handshake");
        place.tells(client, local, stream);
    }
}

/// Where a proxy speaks for itself, or does not know, the connection's own addresses count.
pub fn of_nobody(kind: Kind) {
    let place = Place::trusting(kind);
    for header in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN ff02::1 ff02::2 1 2\r\n",
        // LOCAL, with an address that is to be ignored.
        b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02",
        // PROXY of AF_UNSPEC, and of AF_UNIX.
        b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0",
        &[&b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8"[..], &[b'/'; 216]].concat(),
    ] {
        let mut stream = place.open();
        let handshake = stream.complete_handshake_behind(header);
        handshake.unwrap_or_else(|error| panic!("{}: {error}", header.escape_ascii()));
        let own = stream.tcp().local_addr().expect("an open connection");
        say(&mut stream);
        let told = Header::read(&place.ear.hear());
        assert_eq!(told.client, own, "{}", header.escape_ascii());
        assert_eq!(told.local.port(), place.server.port());
        let line = format!("Service [in] accepted connection from {}", written(own));
        place.subject.wait_for(&line);
    }
}

/// What is not a header, from where one must come.
pub fn wrong_headers(kind: Kind) {
    let place = Place::trusting(kind);
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    let first_words = |text: &str| text.as_bytes().to_vec();
    let missing = "No PROXY header where one must be";
    let malformed = "Malformed PROXY header";
    for (bytes, words) in [
        // A ClientHello's first bytes, HTTP, garbage.
        (vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], missing),
        (first_words("GET / HTTP/1.0\r\n\r\n"), missing),
        (vec![0; 64], missing),
        (first_words("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), malformed),
        (first_words("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), malformed),
        (first_words("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"), malformed),
        (first_words("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), malformed),
        (first_words("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), malformed),
        (first_words(&long), "The PROXY header is too long"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02".to_vec(),
            "Unknown version or command of PROXY",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(),
            "The PROXY header is too long",
        ),
        (
            // Addresses of IPv4 that end before they are whole.
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0".to_vec(),
            malformed,
        ),
        (
            // A record that is longer than what is there.
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02\x04\0\x02x"
                .to_vec(),
            malformed,
        ),
        (
            // A checksum that is wrong.
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02\x03\0\x04abcd"
                .to_vec(),
            "checksum",
        ),
    ] {
        place.refuses(&bytes, words);
    }
    // Half a header and no more: its time is bounded.
    place.refuses(b"PROXY TCP4 192.0.2.1", "TIMEOUTbusy exceeded");
    place.refuses(
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0",
        "TIMEOUTbusy exceeded",
    );
    // And all of this did no harm to anybody else.
    let mut stream = place.open();
    let header = line(STRANGER, "192.0.2.1:443");
    let handshake = stream.complete_handshake_behind(header.as_bytes());
    handshake.expect("a handshake");
    let client = STRANGER.parse().expect("one");
    place.tells(client, "192.0.2.1:443".parse().expect("one"), stream);
}

/// Whoever isn't trusted is served as it is, and its header is no TLS. Ranges count.
pub fn by_strangers(kind: Kind) {
    let place = Place::new(kind, "192.0.2.0/24, 2001:db8::/32");
    let mut stream = place.setting.connect(place.server, place.setting.options());
    let own = stream.tcp().local_addr().expect("an open connection");
    say(&mut stream);
    assert_eq!(Header::read(&place.ear.hear()).client, own);
    let mut stream = place.open();
    let header = line(STRANGER, "192.0.2.1:443");
    let refused = stream.complete_handshake_behind(header.as_bytes());
    assert!(refused.is_err());
    // The last words are of the true client, and nothing of the header is believed.
    let own = stream.tcp().local_addr().expect("an open connection");
    let accepted = format!("Service [in] accepted connection from {}", written(own));
    place.subject.wait_for(&accepted);
    assert_eq!(place.subject.count("192.0.2.77"), 0);
    assert!(place.ear.has_heard_nothing());

    // The same source within a range that is trusted.
    let place = Place::new(kind, "192.0.2.0/24, {host}/24");
    let mut stream = place.open();
    let handshake = stream.complete_handshake_behind(header.as_bytes());
    handshake.expect("a handshake");
    let client = STRANGER.parse().expect("one");
    place.tells(client, "192.0.2.1:443".parse().expect("one"), stream);
    // And a trusted source without a header is refused.
    assert!(place.open().complete_handshake().is_err());
    place.subject.wait_for("No PROXY header where one must be");
}

/// A proxy that is reached by IPv6, in a range of it.
pub fn over_ipv6(kind: Kind) {
    let place = Place::of(kind, Family::Ipv6, "192.0.2.0/24, {host_v6}/64");
    for (client, local) in [
        (STRANGER, "192.0.2.1:443"),
        (STRANGER_OF_IPV6, "[2001:db8::1]:443"),
    ] {
        let header = line(client, local);
        let mut stream = place.open();
        let handshake = stream.complete_handshake_behind(header.as_bytes());
        handshake.expect("a handshake");
        let (client, local) = (client.parse().expect("one"), local.parse().expect("one"));
        place.tells(client, local, stream);
    }
}

/// In client mode, too: the header is for the tunnel, and the TLS server gets what follows.
pub fn before_a_client(kind: Kind) {
    let setting = Setting::new(kind);
    let files = Files::create();
    let ear = Ear::listen(setting.host());
    let server = SocketAddr::new(setting.host(), ports::next());
    let conf = format!(
        "{GLOBALS}[server]\naccept = {server}\nconnect = {}\ncert = {}\n",
        ear.address(),
        setting.scene.files.path("server.pem")
    );
    let _peer = Debian::start(&files.add("stunnel.conf", conf));
    let port = ports::next();
    let subject = setting.start(&format!(
        "[out]\nclient = yes\naccept = {port}\nconnect = {server}\nCAfile = {{dir}}/ca.pem\n\
         verifyChain = yes\ncheckHost = localhost\nacceptProxy = {}\n",
        setting.host()
    ));
    let front = setting.subject(Family::Ipv4, port);
    let mut stream = client::tcp(front).expect("the tunnel accepts");
    let all = [line(STRANGER, "192.0.2.1:443").as_bytes(), WORDS].concat();
    stream.write_all(&all).expect("it is taken");
    assert_eq!(ear.hear(), WORDS);
    subject.wait_for(&format!(
        "Service [out] accepted connection from {STRANGER}"
    ));
    let mut stream = client::tcp(front).expect("the tunnel accepts");
    stream.write_all(WORDS).expect("it is taken");
    assert!(is_cut_off(&mut stream));
    subject.wait_for("No PROXY header where one must be");
}

/// What is said before TLS comes behind the header: PostgreSQL's SSLRequest (PostgreSQL
/// documentation, "Message Formats") in the same segment.
pub fn before_a_dialect(kind: Kind) {
    const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let port = ports::next();
    let subject = setting.start(&format!(
        "[in]\naccept = {port}\nconnect = {}\ncert = {{dir}}/server.pem\nprotocol = pgsql\n\
         acceptProxy = {}\n",
        ear.address(),
        setting.host()
    ));
    let server = setting.subject(Family::Ipv4, port);
    let mut tcp = client::tcp(server).expect("the tunnel accepts");
    let both = [line(STRANGER, "192.0.2.1:443").as_bytes(), SSL_REQUEST].concat();
    tcp.write_all(&both).expect("it is taken");
    let mut answer = [0];
    tcp.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"S");
    let client = client::build(setting.options());
    let mut stream = TlsStream::open(tcp, &client).expect("a client's first words");
    stream.complete_handshake().expect("a handshake");
    say(&mut stream);
    assert_eq!(ear.hear(), WORDS);
    subject.wait_for(&format!("Service [in] accepted connection from {STRANGER}"));
}

//! Pre-shared keys: a pair of users' configurations, each side served by the subject, and what is
//! said where the keys do not fit.

use std::net::SocketAddr;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::stunnel::authority::{Leaf, self_signed};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::shake::Shake;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::stunnel::talk;

use crate::fixtures::{adapt, route};

const SERVER: &str = include_str!("../../fixtures/stunnel/psk-server.conf");
const CLIENT: &str = include_str!("../../fixtures/stunnel/psk-client.conf");

/// The folder, the identity and the key of the configurations' users.
const FOLDER: &str = "/etc/muscle";
const IDENTITY: &str = "client-host";
const KEY: &str = "shiPaetai3ejaiGees3koi3nuoph5ohm";

/// Bytes of a body, each way.
const BODY: u64 = 10 << 20;
/// Connections of one scenario, one after the other.
const IN_TURN: usize = 200;

/// The line of a file of keys.
fn line(identity: &str, key: &str) -> String {
    format!("{identity}:{key}\n")
}

fn good_line() -> String {
    line(IDENTITY, KEY)
}

/// The server's configuration, but for the addresses and the folder.
fn server_conf(files: &Files, port: u16, backend: SocketAddr) -> String {
    adapt(
        SERVER,
        &[
            ("= 3004\n", &format!("= {port}\n")),
            ("= 2323\n", &format!("= {backend}\n")),
            (FOLDER, &files.folder()),
        ],
    )
}

/// The client's, likewise.
fn client_conf(files: &Files, front: SocketAddr, server: SocketAddr) -> String {
    adapt(
        CLIENT,
        &[
            ("localhost:2323", &front.to_string()),
            ("server-host:3004", &server.to_string()),
            (FOLDER, &files.folder()),
        ],
    )
}

/// Which side of the wire the subject is; the other one is Debian's stunnel.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Server,
    Client,
}

struct Wire {
    subject: Subject,
    peer: Debian,
    /// Where the plain client connects to.
    front: SocketAddr,
    _backend: Backend,
    _peer_files: Files,
    _scene: Scene,
}

impl Wire {
    /// Lays it with these files of keys.
    fn lay(kind: Kind, side: Side, server_keys: &str, client_keys: &str) -> Wire {
        let scene = Scene::new(kind);
        let peer_files = Files::create();
        let backend = Backend::start(scene.host(), Mode::Commands);
        let (front, middle) = (ports::next(), ports::next());
        let (own_keys, peer_keys) = match side {
            Side::Server => (server_keys, client_keys),
            Side::Client => (client_keys, server_keys),
        };
        scene.files.add("stunnel.keys", own_keys);
        peer_files.add("stunnel.keys", peer_keys);
        let (front, own, peers) = match side {
            Side::Server => {
                let front = SocketAddr::new(scene.host().into(), front);
                let own = server_conf(&scene.files, middle, backend.address());
                let peers = client_conf(&peer_files, front, scene.subject(middle));
                (front, own, peers)
            }
            Side::Client => {
                let front = scene.subject(front);
                let server = SocketAddr::new(scene.host().into(), middle);
                let own = client_conf(&scene.files, front, server);
                let peers = server_conf(&peer_files, middle, backend.address());
                (front, own, peers)
            }
        };
        let peers = peer_files.add("stunnel.conf", format!("{GLOBALS}{peers}"));
        let peer = Debian::start(&peers);
        let subject = scene.start(&format!("{GLOBALS}{own}"));
        Wire {
            subject,
            peer,
            front,
            _backend: backend,
            _peer_files: peer_files,
            _scene: scene,
        }
    }

    /// Bodies both ways, and what both ends log of it.
    fn carries(&self, side: Side) {
        talk::download(self.front, BODY);
        talk::upload(self.front, BODY);
        // OpenSSL's client takes a key for a session that it resumes, its server does not.
        let (own, key, theirs) = match side {
            Side::Server => (
                "TLS accepted: ",
                "Key configured for PSK identity",
                "TLS connected: previous session reused",
            ),
            Side::Client => (
                "TLS connected: previous session reused",
                "PSK client configured for identity",
                "Key configured for PSK identity",
            ),
        };
        self.subject.wait_for(own);
        self.peer.log().wait_for(theirs);
        // The one of OpenSSL's choice, of those that a key may go with.
        let suite = self.subject.wait_for("TLSv1.3 ciphersuite: TLS_");
        assert!(suite.contains("_SHA256"), "{suite}");
        self.subject.wait_for(&format!("{key} \"{IDENTITY}\""));
        assert!(!self.subject.log().contains(KEY), "a key in the log");
    }

    /// A connection comes to nothing, and the ends say why.
    fn refuses(&self, subjects: &str, peers: &str) {
        assert!(!is_served(self.front));
        self.subject.wait_for(subjects);
        self.peer.log().wait_for(peers);
    }
}

fn is_served(front: SocketAddr) -> bool {
    talk::try_down(front, 5).is_ok_and(|sum| sum.length == 5)
}

/// The subject is the server of Debian's stunnel.
pub fn server(kind: Kind) {
    let keys = line("other-host", "0123456789abcdef0123456789abcdef") + &good_line();
    Wire::lay(kind, Side::Server, &keys, &good_line()).carries(Side::Server);
}

/// The subject is its client.
pub fn client(kind: Kind) {
    Wire::lay(kind, Side::Client, &good_line(), &good_line()).carries(Side::Client);
}

/// Both ends are the subject.
pub fn both(kind: Kind) {
    let (near, far) = (Scene::new(kind), Scene::new(kind));
    for scene in [&near, &far] {
        scene.files.add("stunnel.keys", good_line());
    }
    let backend = Backend::start(far.host(), Mode::Commands);
    let (front, wire) = (near.subject(ports::next()), far.subject(ports::next()));
    route(kind);
    let server = server_conf(&far.files, wire.port(), backend.address());
    let _far = far.start(&format!("{GLOBALS}{server}"));
    let client = client_conf(&near.files, front, wire);
    let _near = near.start(&format!("{GLOBALS}{client}"));
    talk::download(front, BODY);
    talk::upload(front, BODY);
}

/// Many connections, one after the other, on each side of the wire.
pub fn in_turn(kind: Kind) {
    for side in [Side::Server, Side::Client] {
        let wire = Wire::lay(kind, side, &good_line(), &good_line());
        for number in 0..IN_TURN {
            assert!(is_served(wire.front), "connection {number}");
        }
        wire.carries(side);
    }
}

/// Another key for the identity, and an identity that the server does not know.
pub fn keys_that_do_not_fit(kind: Kind) {
    let wrong = line(IDENTITY, "0123456789abcdef0123456789abcdef");
    let unknown = line("other-host", KEY);
    let is_debian = kind == Kind::Debian;
    for (keys, words, alert) in [
        (wrong, "the client has another key for its identity", 47),
        (unknown, "no key found for the client's identity", 40),
    ] {
        let name = match alert {
            47 => "illegal parameter",
            _ => "handshake failure",
        };
        let of_alert = format!("alert {name}");
        let (server, client) = match (is_debian, alert) {
            (false, _) => (words.to_owned(), of_alert.clone()),
            (true, 47) => ("binder does not verify".to_owned(), of_alert.clone()),
            (true, _) => ("PSK identity not found".to_owned(), of_alert.clone()),
        };
        let wire = Wire::lay(kind, Side::Server, &keys, &good_line());
        wire.refuses(&server, &of_alert);
        let wire = Wire::lay(kind, Side::Client, &keys, &good_line());
        wire.refuses(&client, "SSL_accept");
    }
}

/// Files of keys that are wrong: refused with stunnel's words.
pub fn files_of_keys(kind: Kind) {
    let good = good_line();
    let long = "x".repeat(1000);
    for (is_client, keys, words) in [
        (
            true,
            line("other-host", KEY),
            "No key found for the specified PSK identity",
        ),
        (
            false,
            good.clone() + &line("other-host", "tooShort"),
            "PSKsecrets line 2: Key shorter than 16 bytes",
        ),
        (
            false,
            good.clone() + &line("other-host", &long),
            "PSKsecrets line 2: Key longer than",
        ),
        (
            false,
            good.clone() + "\nno colon\n",
            "PSKsecrets line 3: Not in identity:key format",
        ),
    ] {
        let scene = Scene::new(kind);
        scene.files.add("stunnel.keys", &keys);
        let (here, there) = (scene.subject(ports::next()), scene.subject(ports::next()));
        let conf = match is_client {
            true => client_conf(&scene.files, here, there),
            false => server_conf(&scene.files, here.port(), there),
        };
        let said = scene.refuse(&format!("{GLOBALS}{conf}"));
        assert!(said.contains(words), "no {words:?} in {said}");
        assert!(!said.contains(KEY), "a key in {said}");
    }
}

/// `openssl s_client`'s words for a key.
fn shown(identity: &str, key: &str) -> Vec<String> {
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    ["-psk_identity", identity, "-psk", &hex]
        .map(str::to_owned)
        .to_vec()
}

fn shake(server: SocketAddr, arguments: &[String], more: &[&str]) -> Shake {
    let all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Shake::with(server, &[&all, more].concat())
}

/// Who speaks TLS 1.2 only is told what to change.
pub fn old_peers(kind: Kind) {
    let scene = Scene::new(kind);
    scene.files.add("stunnel.keys", good_line());
    let backend = Backend::start(scene.host(), Mode::Commands);
    let server = scene.subject(ports::next());
    let conf = server_conf(&scene.files, server.port(), backend.address());
    let subject = scene.start(&format!("{GLOBALS}{conf}"));
    let key = shown(IDENTITY, KEY);
    let old = shake(server, &key, &["-tls1_2", "-cipher", "PSK"]);
    assert!(!old.is_served(), "{}", old.words());
    assert!(old.words().contains("protocol version"), "{}", old.words());
    subject.wait_for(
        "the peer speaks at most TLS 1.2; pre-shared keys need TLS 1.3 on both sides (with \
         stunnel: OpenSSL 1.1.1 or newer, and no sslVersion or sslVersionMax below TLSv1.3)",
    );
    assert!(shake(server, &key, &["-tls1_3"]).is_served());
}

/// One service with a certificate and keys: the ClientHello decides.
pub fn beside_a_certificate(kind: Kind) {
    let scene = Scene::new(kind);
    scene.files.add("stunnel.keys", good_line());
    let pair = self_signed(&Leaf::named("muscle"));
    let certificate = scene.files.add("server.pem", pair.both());
    let backend = Backend::start(scene.host(), Mode::Commands);
    let server = scene.subject(ports::next());
    let conf = server_conf(&scene.files, server.port(), backend.address());
    // Of `ciphers = PSK` a certificate has no use in TLS 1.2.
    let conf = adapt(
        &conf,
        &[("ciphers = PSK\n", &format!("cert = {certificate}\n"))],
    );
    let subject = scene.start(&format!("{GLOBALS}{conf}"));
    let key = shown(IDENTITY, KEY);
    // P-384 is a group for which OpenSSL's client sends a share only when it is the first.
    // OpenSSL's server may choose a suite that a key has no use for.
    let suite = ["-ciphersuites", "TLS_AES_128_GCM_SHA256", "-groups"];
    for groups in ["X25519", "P-256", "P-384", "X448:P-256"] {
        let keyed = shake(server, &key, &[&suite[..], &[groups]].concat());
        assert!(keyed.is_served(), "{groups}: {}", keyed.words());
        assert!(keyed.is_reused(), "{groups}: {}", keyed.words());
        assert_eq!(keyed.common_name(), "", "{groups}");
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let plain = shake(server, &[], &[version]);
        assert!(plain.is_served() && !plain.is_reused(), "{}", plain.words());
        assert_eq!(plain.common_name(), "muscle", "{version}");
    }
    subject.wait_for("TLS accepted: new session negotiated");
    // Nor does a key that does not fit get the certificate.
    if kind != Kind::Debian {
        subject.wait_for("Key configured for PSK identity");
        let wrong = shown(IDENTITY, "0123456789abcdef");
        assert!(!shake(server, &wrong, &["-tls1_3"]).is_served());
    }
}

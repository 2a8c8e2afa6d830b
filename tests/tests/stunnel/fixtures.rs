//! Configurations in the shapes that users have them, each served.
//!
//! What is changed in them is what names another machine: addresses and folders.

use std::net::SocketAddr;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::shake::Shake;
use stockade_tests::stunnel::subject::{Kind, Scene};
use stockade_tests::stunnel::talk;

use crate::name_server::NameServer;

const EFS: &str = "fs-0123abcd.efs.us-east-1.amazonaws.com";

/// A fixture by its name.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/stunnel/", $name, ".conf"))
    };
}

/// The fixture with these words in the places of others, all of which must be there.
pub fn adapt(fixture: &str, changes: &[(&str, &str)]) -> String {
    let mut conf = fixture.to_owned();
    for (from, to) in changes {
        assert!(conf.contains(from), "the fixture has no {from:?}");
        conf = conf.replace(from, to);
    }
    conf
}

/// A client's fixture: bodies go through it to a real stunnel server with this section.
fn serves_as_client(scene: Scene, conf: &str, front: SocketAddr, peer: &str) {
    let backend = Backend::start(scene.host(), Mode::Commands);
    let files = Files::create();
    let peer = format!(
        "{GLOBALS}[server]\nconnect = {}\n{peer}\n",
        backend.address()
    );
    let _peer = Debian::start(&files.add("stunnel.conf", peer));
    let _subject = scene.start(conf);
    talk::download(front, 1 << 20);
    // With `TIMEOUTclose = 0` nothing follows the end of one side.
    if !conf.contains("TIMEOUTclose = 0") {
        talk::upload(front, 1 << 20);
    }
}

/// xapi's client: pinned certificate, TLS 1.2, RSA, P-384.
pub fn xapi_pinned(kind: Kind) {
    let scene = Scene::new(kind);
    let identity = Identity::rsa();
    scene.files.add("xapi-pool-ca-bundle.pem", &identity.chain);
    let server = scene
        .files
        .add("server.pem", identity.chain + &identity.key);
    let (front, wire) = (scene.subject(ports::next()), ports::next());
    let conf = adapt(
        fixture!("xapi-pinned"),
        &[
            ("127.0.0.1:8443", &front.port().to_string()),
            ("192.0.2.10:443", &format!("{}:{wire}", scene.host())),
            ("/etc/stunnel", &scene.files.folder()),
        ],
    );
    serves_as_client(
        scene,
        &conf,
        front,
        &format!("accept = {wire}\ncert = {server}"),
    );
}

/// xapi's client: named host, its authority, a folder of revocation lists.
pub fn xapi_named(kind: Kind) {
    let scene = Scene::new(kind);
    let authority = Authority::new("xapi");
    let leaf = authority.issue_rsa(&Leaf::named("host").dns("localhost"));
    scene
        .files
        .add("xapi-stunnel-ca-bundle.pem", authority.certificate());
    scene.files.add("crls/list.pem", authority.revoke(&[]));
    scene.files.rehash("crls");
    let server = scene.files.add("server.pem", leaf.both());
    let (front, wire) = (scene.subject(ports::next()), ports::next());
    let conf = adapt(
        fixture!("xapi-named"),
        &[
            ("127.0.0.1:8443", &front.port().to_string()),
            ("192.0.2.10:443", &format!("{}:{wire}", scene.host())),
            ("/etc/stunnel", &scene.files.folder()),
        ],
    );
    serves_as_client(
        scene,
        &conf,
        front,
        &format!("accept = {wire}\ncert = {server}"),
    );
}

/// AWS EFS's client: a name that is looked up late, a client certificate, short timeouts.
pub fn efs(kind: Kind) {
    let scene = Scene::new(kind);
    let host = scene.host();
    let scene = scene.option(format!("--dns={host}"));
    // Debian's stunnel asks the system's own name servers.
    let name = match kind {
        Kind::Debian => host.to_string(),
        _ => EFS.to_owned(),
    };
    let _names = NameServer::start(host, EFS, host);
    let authority = Authority::new("Amazon");
    let ca = scene.files.add("efs-utils.crt", authority.certificate());
    let server = authority.issue(&Leaf::named("efs").dns(EFS)).both();
    let server = scene.files.add("server.pem", server);
    let client = authority.issue(&Leaf::named("client"));
    scene.files.add("certificate.pem", &client.certificate);
    scene.files.add("privateKey.pem", &client.key);
    let (front, wire) = (scene.subject(ports::next()), ports::next());
    let folder = scene.files.folder();
    let conf = adapt(
        fixture!("efs"),
        &[
            ("127.0.0.1:20049", &front.port().to_string()),
            (&format!("{EFS}:2049"), &format!("{name}:{wire}")),
            ("socket = a:SO_BINDTODEVICE=lo\n", ""),
            ("/var/log/amazon/efs", &folder),
            ("/var/run/efs/fs-0123abcd.home.20049", &folder),
            ("/var/run/efs", &folder),
            ("/etc/amazon/efs", &folder),
        ],
    );
    let peer = format!("accept = {wire}\ncert = {server}\nCAfile = {ca}\nverifyChain = yes");
    serves_as_client(scene, &conf, front, &peer);
}

/// The shape of a container's template: a server with users, socket options and cipher lists.
pub fn docker(kind: Kind) {
    let scene = Scene::new(kind);
    let identity = Identity::rsa();
    scene.files.add("stunnel.pem", &identity.chain);
    scene.files.add("stunnel.key", &identity.key);
    scene.files.add("ca-certificates.crt", &identity.authority);
    let backend = Backend::start(scene.host(), Mode::Commands);
    let port = scene.subject(ports::next());
    let mut conf = adapt(
        fixture!("docker"),
        &[
            ("0.0.0.0:6380", &format!("0.0.0.0:{}", port.port())),
            ("192.0.2.20:6379", &backend.address().to_string()),
            ("/etc/stunnel", &scene.files.folder()),
            ("/etc/ssl/certs", &scene.files.folder()),
        ],
    );
    if kind == Kind::Debian {
        // Who is root in a namespace may be the only user there.
        conf = adapt(&conf, &[("setuid = stunnel4\nsetgid = stunnel4\n", "")]);
    }
    let _subject = scene.start(&conf);
    let order = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256";
    let shake = Shake::with(port, &["-tls1_2", "-cipher", order]);
    assert!(shake.is_served(), "{}", shake.words());
    assert_eq!(shake.cipher(), "ECDHE-RSA-AES128-GCM-SHA256");
    assert!(Shake::with(port, &["-tls1_3"]).is_served());
}

/// The pair of the users' drawing, each against the other: both are the subject.
pub fn off(kind: Kind) {
    let (near, far) = (Scene::new(kind), Scene::new(kind));
    let authority = Authority::new("Everybody in off");
    for scene in [&near, &far] {
        let pair = authority.issue(&Leaf::named("off").dns("localhost"));
        scene.files.add("off.crt", &pair.certificate);
        scene.files.add("off.key", &pair.key);
        scene.files.add("ca.pem", authority.certificate());
    }
    let backend = Backend::start(far.host(), Mode::Commands);
    let (front, wire) = (near.subject(ports::next()), far.subject(ports::next()));
    let server = adapt(
        fixture!("off-server"),
        &[
            ("27018", &wire.port().to_string()),
            ("192.0.2.20:27017", &backend.address().to_string()),
            ("/etc/stunnel", &far.files.folder()),
            ("/var/run/stunnel", &far.files.folder()),
            ("/var/log/stunnel", &far.files.folder()),
        ],
    );
    let client = adapt(
        fixture!("off-client"),
        &[
            ("10.1.0.101:27017", &front.to_string()),
            ("192.0.2.10:27017", &wire.to_string()),
            ("/etc/stunnel", &near.files.folder()),
            ("/var/run/stunnel", &near.files.folder()),
            ("/var/log/stunnel", &near.files.folder()),
        ],
    );
    route(kind);
    let _far = far.start(&server);
    let _near = near.start(&client);
    talk::download(front, 1 << 20);
    talk::upload(front, 1 << 20);
    assert!(!Shake::with(wire, &["-tls1_2"]).is_served());
}

/// Two tunnels reach each other through this host.
pub fn route(kind: Kind) {
    if kind != Kind::Debian {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a namespace of our own");
    }
}

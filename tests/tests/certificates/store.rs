//! Hosts that are served as the store has them, without an authority.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use stockade_store::notice::Outcome;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::stunnel::authority::Authority;
use stockade_tls::Client;

use crate::setting::{Kind, PASS, Scene, WWW, expect_page, in_the_clear, issue, shown, tcp};

/// A second host.
const OTHER: &str = "other.example";

/// A scene whose store is served as it is, and looked at only when somebody tells.
fn scene() -> Scene {
    Scene::new(Kind::Hosted).option("--no-acme --poll=86400")
}

/// Puts these hosts into the store, one a file, with certificates of this authority.
fn put(scene: &Scene, authority: &Authority, hosts: &[&str]) {
    let files: Vec<(&str, String)> = hosts
        .iter()
        .map(|name| (*name, scene.host(&issue(authority, &[name])).to_string()))
        .collect();
    let changes: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, Some(text.as_str())))
        .collect();
    scene.repository.change(&changes, "Hosts");
}

/// By its name each host has its certificate; who asks for another one, or for none, is refused.
#[test]
fn hosts_by_their_names() {
    let scene = scene();
    let authority = Authority::new("Authority of the store");
    let root = authority.certificate();
    put(&scene, &authority, &[WWW, OTHER]);
    let tunnel = scene.start();
    scene.wait_for_host(&root, WWW);
    scene.expect_page(&root, WWW);
    scene.expect_page(&root, OTHER);
    scene.expect_page(&root, &OTHER.to_uppercase());
    for name in [Some("unknown.example"), Some("example.org"), None] {
        let refused = TlsStream::connect_to(scene.server(443), &anyone(), name);
        let error = refused.err().expect("nobody has this name").to_string();
        assert!(error.contains("nrecogni"), "{name:?}: {error}");
    }
    scene.expect_page(&root, WWW);
    drop(tunnel);
    scene.repository.check();
}

/// A client that takes any certificate.
fn anyone() -> Client {
    client::trusting(&Identity::ecdsa())
}

/// Hosts of the boot archive need no store: PEM files share a backend, files as the store has them
/// name their own.
#[test]
fn hosts_of_the_boot_archive() {
    let scene = Scene::new(Kind::Hosted).without_store();
    let authority = Authority::new("Authority of the files");
    let root = authority.certificate();
    let mut other = Backend::start(scene.tap.host(), Mode::Commands);
    let mut json = scene.host(&issue(&authority, &[OTHER]));
    json["port"] = other.address().port().into();
    let connect = format!("--connect={}", scene.backend.address());
    let scene = scene
        .option("--hosts=file:hosts")
        .option(&connect)
        .file(
            &format!("hosts/{WWW}.pem"),
            &issue(&authority, &[WWW]).both(),
        )
        .file(&format!("hosts/{OTHER}"), &json.to_string());
    let _tunnel = scene.start();
    scene.expect_page(&root, WWW);
    assert_eq!(scene.backend.records().len(), 1);
    scene.expect_page(&root, OTHER);
    assert_eq!(other.records().len(), 1);
    assert!(scene.connect(&root, "unknown.example").is_err());
    let answer = in_the_clear(scene.server(80), "GET / HTTP/1.1", WWW);
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    // Before its address goes with the link.
    other.down();
}

/// A default host serves who asks for an unknown name.
#[test]
fn a_default_host() {
    let scene = scene().option(&format!("--default-host={OTHER}"));
    let authority = Authority::new("Authority of the store");
    let root = authority.certificate();
    put(&scene, &authority, &[WWW, OTHER]);
    let _tunnel = scene.start();
    let www = scene.wait_for_host(&root, WWW);
    let other = scene.wait_for_host(&root, OTHER);
    assert_ne!(www.serial, other.serial);
    for name in [Some("unknown.example"), None] {
        let stream = TlsStream::connect_to(scene.server(443), &anyone(), name);
        let mut stream = stream.unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(shown(&stream).serial, other.serial, "{name:?}");
        expect_page(&mut stream, OTHER);
    }
}

/// HTTP in the clear is told where the hosts are, and nothing else.
#[test]
fn http_in_the_clear() {
    let scene = scene();
    let authority = Authority::new("Authority of the store");
    put(&scene, &authority, &[WWW]);
    let _tunnel = scene.start();
    scene.wait_for_host(&authority.certificate(), WWW);
    let ask = |line: &str| in_the_clear(scene.server(80), line, WWW);
    let answer = ask("GET /a/b?c=%20d HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    let location = format!("\r\nlocation: https://{WWW}/a/b?c=%20d\r\n");
    assert!(answer.to_lowercase().contains(&location), "{answer}");
    let answer = ask("GET /.well-known/acme-challenge/unknown HTTP/1.1");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let answer = ask("no request at all");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(scene.backend.records().iter().all(|r| r.command.is_empty()));
}

/// A notice counts once, and for those who know the pass; its outcome says what is not served.
#[test]
fn notices() {
    let scene = scene();
    let authority = Authority::new("Authority of the store");
    let root = authority.certificate();
    put(&scene, &authority, &[WWW]);
    let tunnel = scene.start();
    scene.wait_for_host(&root, WWW);
    scene.tell_of_hosts(1);
    put(&scene, &authority, &[OTHER]);
    scene
        .repository
        .change(&[("broken.example", Some("{}"))], "No host");
    assert!(scene.connect(&root, OTHER).is_err());
    assert!(scene.tell("another pass").is_err());
    assert!(scene.connect(&root, OTHER).is_err());
    match scene.tell(PASS) {
        Ok(Outcome::Done {
            hosts, troubles, ..
        }) => {
            assert_eq!(hosts, 2);
            assert_eq!(troubles.len(), 1);
            assert_eq!(troubles[0].host, "broken.example");
            assert!(troubles[0].why.contains("own_cert"), "{troubles:?}");
        }
        other => panic!("{other:?}"),
    }
    scene.expect_page(&root, OTHER);
    // Gone from the store is gone.
    scene.repository.change(&[(OTHER, None)], "One fewer");
    scene.tell_of_hosts(1);
    assert!(scene.connect(&root, OTHER).is_err());
    let log = tunnel.log();
    assert!(!log.contains(PASS), "{log}");
}

/// What was said once, said again word for word, is refused; the bare pass counts only where it is
/// allowed.
#[test]
fn replayed_notices() {
    let scene = scene();
    let authority = Authority::new("Authority of the store");
    let root = authority.certificate();
    put(&scene, &authority, &[WWW]);
    let tunnel = scene.start();
    scene.wait_for_host(&root, WWW);
    let said = recorded(&scene);
    put(&scene, &authority, &[OTHER]);
    let mut stream = tcp(scene.notices());
    stream.write_all(&said).expect("it is taken");
    let answer = read_all(&mut stream);
    // The challenge (2 + 1 + 32 bytes), and a refusal: its length, kind 4, a reason.
    assert_eq!(answer.len(), 35 + 4, "{answer:?}");
    assert_eq!(&answer[35..38], [0, 2, 4], "{answer:?}");
    bare(&scene);
    // Whoever had taken it would have read the store by the time that it is read for somebody else.
    put(&scene, &authority, &["third.example"]);
    assert!(scene.connect(&root, OTHER).is_err());
    scene.tell_of_hosts(3);
    drop(tunnel);

    let scene = scene.option("--legacy-reload");
    let _tunnel = scene.start();
    scene.wait_for_host(&root, WWW);
    put(&scene, &authority, &["fourth.example"]);
    bare(&scene);
    scene.wait_for_host(&root, "fourth.example");
}

/// What contruno's tellers say: the pass, and the end.
fn bare(scene: &Scene) {
    let mut stream = tcp(scene.notices());
    stream.write_all(PASS.as_bytes()).expect("it is taken");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("an open socket");
    let _ = read_all(&mut stream);
}

/// What a teller says whose notice is taken.
fn recorded(scene: &Scene) -> Vec<u8> {
    use stockade_store::notice::{NONCE, Pass, Teller};
    let pass = Pass::new(PASS.as_bytes()).expect("a pass of the tests");
    let mut teller = Teller::new(pass, [7; NONCE], crate::setting::now());
    let mut stream = tcp(scene.notices());
    let mut said = Vec::new();
    loop {
        let bytes = teller.departing();
        said.extend(&bytes);
        stream.write_all(&bytes).expect("it is taken");
        let mut bytes = [0; 4096];
        let length = std::io::Read::read(&mut stream, &mut bytes).expect("an answer");
        assert_ne!(length, 0, "an outcome comes");
        if teller
            .receive(&bytes[..length])
            .expect("it is taken")
            .is_some()
        {
            return said;
        }
    }
}

/// Everything up to the end, however it ends.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = std::io::Read::read_to_end(stream, &mut all);
    all
}

/// A server whose key nobody vouches for is told, and not believed.
#[test]
fn unknown_servers() {
    let other = Scene::new(Kind::Hosted).repository.host_key().to_owned();
    for option in ["--ssh-host-key=".to_owned() + &other, String::new()] {
        let scene = scene();
        put(&scene, &Authority::new("Authority"), &[WWW]);
        let scene = match option.is_empty() {
            true => scene.without_host_key(),
            false => scene.option(&option),
        };
        let tunnel = scene.start();
        let (_, key) = scene
            .repository
            .host_key()
            .split_once(':')
            .expect("KIND:KEY");
        tunnel.wait_for(key);
        let log = tunnel.log();
        assert!(!log.contains(scene.ssh_key()), "{log}");
        assert!(
            scene
                .connect(&Authority::new("Authority").certificate(), WWW)
                .is_err()
        );
        assert!(!scene.repository.log().contains("Accepted publickey"));
    }
}

/// Without its repository the tunnel comes up, and serves as soon as there is one.
#[test]
fn unreachable_at_boot() {
    let mut scene = Scene::new(Kind::Hosted).option("--no-acme --poll=2");
    let authority = Authority::new("Authority of the store");
    put(&scene, &authority, &[WWW]);
    scene.repository.down();
    let tunnel = scene.start();
    tunnel.wait_for("refused");
    scene.repository.up();
    scene.wait_for_host(&authority.certificate(), WWW);
    // And goes on without it.
    scene.repository.down();
    let from = tunnel.lines();
    tunnel.wait_for_after(from, "refused");
    scene.expect_page(&authority.certificate(), WWW);
}

/// A change comes into force by itself; who is connected stays, and who connects has the new one.
#[test]
fn changes_while_serving() {
    let scene = Scene::new(Kind::Hosted).option("--no-acme --poll=1");
    let authority = Authority::new("Authority of the store");
    let root = authority.certificate();
    put(&scene, &authority, &[WWW]);
    let _tunnel = scene.start();
    let first = scene.wait_for_host(&root, WWW);
    let mut held = scene.connect(&root, WWW).expect("it is served");
    put(&scene, &authority, &[WWW]);
    let second = scene.wait_for_certificate(&root, WWW, |shown| shown.serial != first.serial);
    assert_ne!(first.serial, second.serial);
    thread::sleep(Duration::from_millis(100));
    expect_page(&mut held, WWW);
}

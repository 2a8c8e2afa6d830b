//! The users' own drawing: a client and a stunnel in one private network, a stunnel and a database
//! in another one, the wild web between them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;

use stockade_tests::PATIENCE;
use stockade_tests::capture::Capture;
use stockade_tests::process::{self, Finished};
use stockade_tests::segment::Segment;
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::tap::Tap;

/// The interface at either end of the wild web.
const WEB: &str = "stkweb";
/// What no stranger may read.
const VALUE: &str = "the-value-that-only-redis-and-its-client-know";
/// What is sent beside the tunnel, so that the capture is known to see plaintext.
const POSTCARD: &str = "a-postcard-that-everybody-on-the-way-reads";

/// redis-cli sets and gets a known value, redis-benchmark sends a thousand requests. On the wild
/// web a capture sees no trace of the value, behind the tunnel it does; and who has no certificate
/// does not get through.
pub fn redis(kind: Kind) {
    let (left, right) = (Segment::create(), Segment::create());
    left.link(&right, WEB, "192.0.2.1/30", "192.0.2.2/30");
    let near = place(&left, kind);
    let far = place(&right, kind);
    left.ip(&format!(
        "route add {}/{} via 192.0.2.2",
        network(&far.tap),
        Tap::PREFIX
    ));
    right.ip(&format!(
        "route add {}/{} via 192.0.2.1",
        network(&near.tap),
        Tap::PREFIX
    ));

    let authority = Authority::new("Private networks");
    for (scene, name) in [(&near, "office"), (&far, "datacenter")] {
        let pair = authority.issue(&Leaf::named(name).dns(&format!("{name}.example")));
        scene.files.add("off.pem", &pair.certificate);
        scene.files.add("off.key", &pair.key);
        scene.files.add("ca.pem", authority.certificate());
    }
    let database: SocketAddr = (far.host(), ports::next()).into();
    let (front, middle) = (near.subject(ports::next()), far.subject(ports::next()));
    let verify = |scene: &Scene, name: &str| {
        format!(
            "cert = {}\nkey = {}\nCAfile = {}\nverifyChain = yes\ncheckHost = {name}.example\n",
            scene.files.path("off.pem"),
            scene.files.path("off.key"),
            scene.files.path("ca.pem")
        )
    };
    let server = format!(
        "{GLOBALS}; the side that everybody can reach\n[redis]\nclient = no\naccept = {}\n\
         connect = {database}\n{}",
        middle.port(),
        verify(&far, "office")
    );
    let client = format!(
        "{GLOBALS}; the private side\n[redis]\nclient = yes\naccept = {}\nconnect = {middle}\n{}",
        front.port(),
        verify(&near, "datacenter")
    );
    let _far = start(&right, &far, &server);
    let _near = start(&left, &near, &client);
    let _redis = right.within(|| start_redis(database, &far));
    let web = left.within(|| Capture::start(WEB));
    let behind = right.within(|| Capture::start(far.link()));

    let say = |words: &[&str]| left.within(|| redis_cli(front, words));
    assert_eq!(say(&["SET", "known", VALUE]), "OK");
    assert_eq!(say(&["GET", "known"]), VALUE);
    let benchmark = left.within(|| {
        let mut command = Command::new("redis-benchmark");
        command.args([
            "-h",
            &front.ip().to_string(),
            "-p",
            &front.port().to_string(),
        ]);
        command.args(["-q", "-n", "500", "-c", "10", "-d", "100", "-t", "set,get"]);
        run(&mut command).succeeded()
    });
    let benchmark = String::from_utf8_lossy(&benchmark.stdout).into_owned();
    for test in ["SET: ", "GET: "] {
        assert!(benchmark.contains(test), "{benchmark}");
    }

    behind.wait_for(VALUE.as_bytes());
    assert!(behind.count(VALUE.as_bytes()) >= 2, "once set, once got");
    // What was captured before the postcard is in the capture once the postcard is.
    left.within(|| {
        let socket = UdpSocket::bind(("192.0.2.1", 0)).expect("an address of ours");
        let target = ("192.0.2.2", 9);
        socket
            .send_to(POSTCARD.as_bytes(), target)
            .expect("the link is up");
    });
    web.wait_for(POSTCARD.as_bytes());
    assert!(web.len() > 100_000, "the benchmark went another way");
    assert_eq!(
        web.count(VALUE.as_bytes()),
        0,
        "the value crossed the wild web"
    );
    assert_eq!(web.count(b"known"), 0, "the key crossed the wild web");

    // A stranger on the web has no certificate.
    let stranger = left.within(|| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-tls1_2", "-connect", &middle.to_string()]);
        run(&mut command)
    });
    assert!(!stranger.status.success());
    assert!(stranger.stderr.contains("alert"), "{}", stranger.stderr);
}

/// A place for a subject of one private network.
fn place(segment: &Segment, kind: Kind) -> Scene {
    match kind {
        Kind::Booted(_) => Scene::new(kind),
        Kind::Debian | Kind::Hosted(_) | Kind::Launched(_) => segment.within(|| Scene::new(kind)),
    }
}

/// Starts it there. A virtual machine stays outside; its cable leads into the network.
fn start(segment: &Segment, scene: &Scene, conf: &str) -> Subject {
    match scene.kind {
        Kind::Booted(_) => {
            let subject = scene.start(conf);
            segment.adopt(&scene.tap);
            subject
        }
        Kind::Debian | Kind::Hosted(_) | Kind::Launched(_) => segment.within(|| scene.start(conf)),
    }
}

fn network(tap: &Tap) -> std::net::Ipv4Addr {
    let [a, b, c, _] = tap.host().octets();
    std::net::Ipv4Addr::new(a, b, c, 0)
}

fn start_redis(address: SocketAddr, scene: &Scene) -> Daemon {
    let mut command = Command::new("redis-server");
    command.args(["--bind", &address.ip().to_string()]);
    command.args(["--port", &address.port().to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--protected-mode", "no"]);
    command.args(["--dir", &scene.files.folder()]);
    Daemon::start(&mut command, "Ready to accept connections")
}

/// What redis-cli prints, without the line's end.
fn redis_cli(server: SocketAddr, words: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args([
        "-h",
        &server.ip().to_string(),
        "-p",
        &server.port().to_string(),
    ]);
    let finished = run(command.args(words)).succeeded();
    String::from_utf8_lossy(&finished.stdout)
        .trim_end()
        .to_owned()
}

fn run(command: &mut Command) -> Finished<Vec<u8>> {
    process::start(command, io::empty(), Vec::new()).finish(PATIENCE)
}

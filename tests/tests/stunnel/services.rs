//! Several services in one place: endpoints, names, backends, redirection, logs.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::shake::Shake;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::stunnel::talk;
use stockade_tests::{PATIENCE, wait_until};

use crate::name_server::NameServer;

/// A scene with two backends and a few certificates.
struct Place {
    backends: [Backend; 2],
    scene: Scene,
}

impl Place {
    fn new(kind: Kind) -> Place {
        Self::at(Scene::new(kind))
    }

    fn at(scene: Scene) -> Place {
        let authority = Authority::new("Wire authority");
        scene.files.add("ca.pem", authority.certificate());
        for name in ["main", "wild", "client"] {
            let pair = authority.issue(&Leaf::named(name));
            scene.files.add(&format!("{name}.pem"), pair.both());
        }
        let backends = [(); 2].map(|()| Backend::start(scene.host(), Mode::Commands));
        Place { backends, scene }
    }

    /// Starts the subject with these sections; `{0}` and `{1}` are the backends.
    fn start(&self, sections: &str) -> Subject {
        let [first, second] = &self.backends;
        let sections = sections
            .replace("{dir}", &self.scene.files.folder())
            .replace("{0}", &first.address().to_string())
            .replace("{1}", &second.address().to_string());
        self.scene.start(&format!("{GLOBALS}{sections}"))
    }

    /// How many connections each backend has had.
    fn counts(&self) -> [usize; 2] {
        [0, 1].map(|number| self.backends[number].records().len())
    }

    /// Which backend the next connection reaches.
    fn reached(&self, connect: impl FnOnce()) -> usize {
        let before = self.counts();
        connect();
        let after = self.counts();
        let reached = (0..2).find(|number| after[*number] > before[*number]);
        reached.expect("one of them has been reached")
    }
}

/// Server and client side in one file, and two ports for one service.
pub fn of_both_sides(kind: Kind) {
    let place = Place::new(kind);
    let [one, two, plain] = [(); 3].map(|()| place.scene.subject(ports::next()));
    let wire = SocketAddr::new(place.scene.host().into(), ports::next());
    let _subject = place.start(&format!(
        "[in]\naccept = {}\naccept = {}\nconnect = {{0}}\ncert = {{dir}}/main.pem\n\
         [out]\nclient = yes\naccept = {}\nconnect = {wire}\n",
        one.port(),
        two.port(),
        plain.port()
    ));
    let files = Files::create();
    let peer = format!(
        "{GLOBALS}[server]\naccept = {}\nconnect = {}\ncert = {}\n",
        wire.port(),
        place.backends[1].address(),
        place.scene.files.path("main.pem")
    );
    let _peer = Debian::start(&files.add("stunnel.conf", peer));
    for port in [one, two] {
        assert_eq!(
            place.reached(|| assert!(Shake::with(port, &[]).is_served())),
            0
        );
    }
    assert_eq!(place.reached(|| talk::download(plain, 100_000)), 1);
}

/// The name that the client asks for chooses certificate, backend and verification.
pub fn virtual_by_name(kind: Kind) {
    let place = Place::new(kind);
    let port = place.scene.subject(ports::next());
    let _subject = place.start(&format!(
        "[main]\naccept = {}\nconnect = {{0}}\ncert = {{dir}}/main.pem\n\
         [wild]\nsni = main:*.wild.example\nconnect = {{1}}\ncert = {{dir}}/wild.pem\n\
         [strict]\nsni = main:strict.example\nconnect = {{1}}\ncert = {{dir}}/wild.pem\n\
         CAfile = {{dir}}/ca.pem\nverifyChain = yes\n",
        port.port()
    ));
    let check = |name: &[&str], common_name: &str, backend: usize| {
        let reached = place.reached(|| {
            let shake = Shake::with(port, name);
            assert!(shake.is_served(), "{name:?}: {}", shake.words());
            assert_eq!(shake.common_name(), common_name, "{name:?}");
        });
        assert_eq!(reached, backend, "{name:?}");
    };
    check(&[], "main", 0);
    check(&["-servername", "other.example"], "main", 0);
    check(&["-servername", "wild.example"], "main", 0);
    check(&["-servername", "a.wild.example"], "wild", 1);
    check(&["-servername", "a.b.WILD.example"], "wild", 1);
    let strict = ["-servername", "strict.example"];
    assert!(!Shake::with(port, &strict).is_served());
    let certificate = place.scene.files.path("client.pem");
    let shown = [&strict[..], &["-cert", &certificate, "-key", &certificate]].concat();
    check(&shown, "wild", 1);
}

/// The first address that answers, in the order of the file.
pub fn failover_by_priority(kind: Kind) {
    let mut place = Place::new(kind);
    let port = place.scene.subject(ports::next());
    let subject = place.start(&format!(
        "[main]\naccept = {}\nconnect = {{0}}\nconnect = {{1}}\ncert = {{dir}}/main.pem\n\
         failover = prio\n",
        port.port()
    ));
    let connect = || assert!(Shake::with(port, &[]).is_served());
    assert_eq!(place.reached(connect), 0);
    assert_eq!(place.reached(connect), 0);
    place.backends[0].down();
    let before = place.counts()[1];
    connect();
    assert_eq!(place.counts()[1], before + 1);
    subject.wait_for("Connection refused");
    place.backends[0].up();
    assert_eq!(place.reached(connect), 0);
}

/// A resumed session goes on with the backend that it had, though the turns go on.
pub fn resumed_sessions_keep_their_backend(kind: Kind) {
    let place = Place::new(kind);
    let port = place.scene.subject(ports::next());
    let _subject = place.start(&format!(
        "[main]\naccept = {}\nconnect = {{0}}\nconnect = {{1}}\ncert = {{dir}}/main.pem\n\
         failover = rr\n",
        port.port()
    ));
    let session = place.scene.files.path("session.pem");
    let by_id = ["-tls1_2", "-no_ticket"];
    let first = [&by_id[..], &["-sess_out", &session]].concat();
    let first = place.reached(|| assert!(Shake::with(port, &first).is_served()));
    for _ in 0..3 {
        let again = [&by_id[..], &["-sess_in", &session]].concat();
        let again = place.reached(|| assert!(Shake::with(port, &again).is_reused()));
        assert_eq!(again, first);
    }
}

/// Clients that fail their authentication reach another backend, and a resumed session remembers
/// how its client fared.
pub fn redirection_is_kept_with_the_session(kind: Kind) {
    let place = Place::new(kind);
    let port = place.scene.subject(ports::next());
    let subject = place.start(&format!(
        "[main]\naccept = {}\nconnect = {{0}}\ncert = {{dir}}/main.pem\nCAfile = {{dir}}/ca.pem\n\
         verifyChain = yes\nredirect = {{1}}\n",
        port.port()
    ));
    let certificate = place.scene.files.path("client.pem");
    let shown = ["-cert", &certificate, "-key", &certificate];
    for version in [&["-tls1_2", "-no_ticket"][..], &["-tls1_2"], &["-tls1_3"]] {
        for (identity, backend) in [(&[][..], 1), (&shown[..], 0)] {
            let session = place.scene.files.path("session.pem");
            let first = [version, identity, &["-sess_out", &session]].concat();
            let reached = place.reached(|| assert!(Shake::with(port, &first).is_served()));
            assert_eq!(reached, backend, "{first:?}");
            // What it shows now does not count.
            let again = [version, &["-sess_in", &session]].concat();
            let reached = place.reached(|| assert!(Shake::with(port, &again).is_reused()));
            assert_eq!(reached, backend, "{again:?}");
        }
    }
    subject.wait_for("Redirecting connection");
}

/// The lines that people and scanners wait for, in stunnel's order.
pub fn the_log_at_start(kind: Kind) {
    let place = Place::new(kind);
    let port = place.scene.subject(ports::next());
    let subject = place.start(&format!(
        "[main]\naccept = {}\nconnect = {{0}}\ncert = {{dir}}/main.pem\n",
        port.port()
    ));
    let log = subject.log();
    let place_of = |words: &str| {
        log.find(words)
            .unwrap_or_else(|| panic!("no {words:?} in {log}"))
    };
    let read = place_of("Reading configuration from file");
    let successful = place_of("Configuration successful");
    let bound = place_of("bound to");
    let accepting = place_of("Accepting new connections");
    assert!(
        read < successful && successful < bound && bound < accepting,
        "{log}"
    );
    assert!(Shake::with(port, &[]).is_served());
    for words in [
        "LOG5[0]: Service [main] accepted connection from",
        "TLS accepted: new session negotiated",
        "TLSv1.3 ciphersuite: TLS_AES_256_GCM_SHA384 (256-bit encryption)",
        "Service [main] connected remote server from",
        "Connection closed: 5 byte(s) sent to TLS, 7 byte(s) sent to socket",
    ] {
        subject.wait_for(words);
    }
}

/// With `delay` a name is looked up for each connection, without it at the start: told by where
/// connections go after the name has moved.
pub fn delayed_names(kind: Kind) {
    const NAME: &str = "moving.example";
    let scene = Scene::new(kind);
    let (host, other) = (scene.host(), second_address(&scene));
    let scene = scene.option(format!("--dns={host}"));
    let place = Place::at(scene);
    let port = ports::next();
    let here = Backend::start_at((host, port).into(), Mode::Commands);
    let there = Backend::start_at((other, port).into(), Mode::Commands);
    let server = NameServer::start(host, NAME, host);
    let [delayed, early] = [(); 2].map(|()| place.scene.subject(ports::next()));
    let _subject = place.start(&format!(
        "cert = {{dir}}/main.pem\n\
         [delayed]\naccept = {}\nconnect = {NAME}:{port}\ndelay = yes\n\
         [early]\naccept = {}\nconnect = {NAME}:{port}\n",
        delayed.port(),
        early.port()
    ));
    for service in [delayed, early] {
        assert!(Shake::with(service, &[]).is_served());
    }
    assert_eq!((here.records().len(), there.records().len()), (2, 0));
    drop(server);
    let _server = NameServer::start(host, NAME, other);
    // An answer may be used for a moment longer.
    let moved = wait_until(PATIENCE, || {
        assert!(Shake::with(delayed, &[]).is_served());
        (there.records().len() == 1).then_some(())
    });
    assert!(moved.is_some(), "the name has moved and nobody noticed");
    assert!(Shake::with(early, &[]).is_served());
    assert_eq!(there.records().len(), 1);
}

/// Another address of this host that the subject reaches through its gateway.
fn second_address(scene: &Scene) -> Ipv4Addr {
    let [.., subnet, _] = scene.host().octets();
    let address = Ipv4Addr::new(10, 200, subnet, 1);
    let device = scene.tap.name();
    let added = std::process::Command::new("ip")
        .args(["addr", "add", &format!("{address}/32"), "dev", device])
        .output()
        .expect("ip starts");
    assert!(added.status.success(), "{added:?}");
    address
}

/// The log goes to a syslog server too (RFC 5424), unless `syslog = no`.
pub fn syslog(kind: Kind) {
    for (line, goes) in [("", true), ("syslog = no\n", false)] {
        let scene = Scene::new(kind);
        let server = UdpSocket::bind((scene.host(), ports::next())).expect("a port of ours");
        let address = server.local_addr().expect("bound above");
        let place = Place::at(scene.option(format!("--syslog={address}")));
        let port = place.scene.subject(ports::next());
        let conf = format!(
            "foreground = yes\n{line}[main]\naccept = {}\nconnect = {}\ncert = {}\n",
            port.port(),
            place.backends[0].address(),
            place.scene.files.path("main.pem")
        );
        let subject = place.scene.start(&conf);
        assert!(Shake::with(port, &[]).is_served());
        subject.wait_for("Connection closed");
        if goes {
            server
                .set_read_timeout(Some(PATIENCE))
                .expect("an open socket");
            let mut datagram = [0; 2048];
            // daemon.notice (3 * 8 + 5), version 1.
            let accepted = std::iter::repeat_with(|| {
                let length = server.recv(&mut datagram).expect("a line");
                String::from_utf8_lossy(&datagram[..length]).into_owned()
            })
            .take(100)
            .find(|text| text.contains("Service [main] accepted connection from"));
            let accepted = accepted.expect("the connection's line");
            assert!(accepted.starts_with("<29>1 "), "{accepted}");
            assert!(accepted.contains(" stunnel "), "{accepted}");
        } else {
            server.set_nonblocking(true).expect("an open socket");
            assert!(server.recv(&mut [0; 2048]).is_err(), "a line came");
        }
    }
}

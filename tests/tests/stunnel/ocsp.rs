//! Peers of whom OCSP responders are asked whether they are revoked.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::pattern::Sum;
use stockade_tests::stunnel::authority::{Authority, Leaf, Pair};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::responder::{Counted, Front, Responder};
use stockade_tests::stunnel::subject::{Kind, Scene};
use stockade_tests::stunnel::talk;
use stockade_tests::{PATIENCE, wait_until};

use crate::verification::{Case, Kit, Outcome, Outcome::Refused, Outcome::Served, check};

/// What is needed to verify a chain.
const CHAIN: &str = "CAfile = {dir}/ca.pem\nverifyChain = yes\n";

/// Certificates of one authority, and who answers for it.
struct World {
    kit: Kit,
    good: Pair,
    revoked: Pair,
    unknown: Pair,
    silent: Pair,
    rude: Pair,
    absent: Pair,
    delegated: Pair,
    usurped: Pair,
    plain: Pair,
    barred: Pair,
    /// The address of who answers by the authority's own key.
    url: String,
    _files: Files,
    _responders: Vec<Responder>,
    _fronts: Vec<Counted>,
}

impl World {
    /// `host`: how those who ask call this host.
    fn new(host: &str) -> World {
        let kit = Kit::new();
        let authority = kit.authority();
        let files = Files::create();
        let at = |port: u16| format!("http://{host}:{port}/");
        let leaf = |name: &str, url: &str| authority.issue(&Leaf::named(name).responder(url));
        // Everybody has the same index, so leaves are made before their responders are: at ports
        // that lead there.
        let ports = [ports::next(), ports::next(), ports::next()];
        let [own, delegate, usurper] = ports.map(at);
        let (good, revoked) = (leaf("good", &own), leaf("revoked", &own));
        let unknown = leaf("unknown", &own);
        let (delegated, usurped) = (leaf("delegated", &delegate), leaf("usurped", &usurper));
        let mut index = String::new();
        for pair in [&good, &delegated, &usurped] {
            index += &pair.index_line(false);
        }
        let barred = authority.issue(&Leaf::named("barred"));
        index += &revoked.index_line(true);
        index += &barred.index_line(true);
        let signers = [
            authority.pair(),
            authority.issue(&Leaf::named("responder").answering()),
            authority.issue(&Leaf::named("usurper")),
        ];
        let responders = signers.iter().zip(ports);
        let responders = responders
            .map(|(signer, port)| Responder::start_at(&files, authority, signer, &index, port))
            .collect();
        let silent = Counted::start(Front::Silent);
        let rude = Counted::start(Front::Says(b"HTTP/1.0 200 OK\r\n\r\nwhat?".to_vec()));
        World {
            silent: leaf("silent", &at(silent.port())),
            rude: leaf("rude", &at(rude.port())),
            absent: leaf("absent", &at(ports::next())),
            plain: authority.issue(&Leaf::named("plain")),
            url: own,
            barred,
            good,
            revoked,
            unknown,
            delegated,
            usurped,
            kit,
            _files: files,
            _responders: responders,
            _fronts: vec![silent, rude],
        }
    }

    /// What stunnel 5.68 does, too.
    fn cases(&self) -> Vec<Case> {
        let aia = "OCSPaia = yes\n";
        let case = |name, shown: &Pair, options: &str, outcome: Outcome| {
            Case::new(name, shown, format!("{CHAIN}{options}"), outcome)
        };
        let url = format!("OCSP = {}\n", self.url);
        vec![
            case("good", &self.good, aia, Served),
            case(
                "revoked",
                &self.revoked,
                aia,
                Refused(&[
                    "OCSP: Connecting the AIA responder \"http://",
                    "OCSP: Certificate revoked: 1: keyCompromise",
                    "Rejected by OCSP at depth=0: CN=revoked",
                    "certificate verify failed",
                ]),
            ),
            case("revoked, and nobody asks", &self.revoked, "", Served),
            case(
                "unknown",
                &self.unknown,
                aia,
                Refused(&[
                    "OCSP: Unknown verification status",
                    "Rejected by OCSP at depth=0: CN=unknown",
                ]),
            ),
            case("delegated", &self.delegated, aia, Served),
            case(
                "delegated, and the responder has to be known",
                &self.delegated,
                &format!("{aia}OCSPflag = NOINTERN\n"),
                Refused(&["OCSP_basic_verify", "Rejected by OCSP at depth=0"]),
            ),
            case(
                "usurped",
                &self.usurped,
                aia,
                Refused(&["OCSP_basic_verify", "Rejected by OCSP at depth=0"]),
            ),
            case("without a responder", &self.plain, aia, Served),
            case(
                "absent",
                &self.absent,
                aia,
                Refused(&["Connection refused", "Rejected by OCSP at depth=0"]),
            ),
            case(
                "rude",
                &self.rude,
                aia,
                Refused(&["Rejected by OCSP at depth=0"]),
            ),
            case(
                "nonce",
                &self.good,
                &format!("{aia}OCSPnonce = yes\n"),
                Served,
            ),
            case("configured", &self.good, &url, Served),
            case(
                "configured, and revoked",
                &self.barred,
                &url,
                Refused(&[
                    "OCSP: Connecting the configured responder \"http://",
                    "Rejected by OCSP at depth=0: CN=barred",
                ]),
            ),
            case(
                "configured, and asked about one without a responder",
                &self.plain,
                &url,
                Refused(&["OCSP: Unknown verification status"]),
            ),
        ]
    }

    /// What has come to stunnel later.
    fn newer_cases(&self) -> Vec<Case> {
        let case = |name, shown: &Pair, options: &str, outcome: Outcome| {
            let options = format!("{CHAIN}OCSPaia = yes\nTIMEOUTocsp = 1\n{options}");
            Case::new(name, shown, options, outcome)
        };
        vec![
            case(
                "silent",
                &self.silent,
                "",
                Refused(&[
                    "OCSP: s_poll_wait: TIMEOUTocsp exceeded",
                    "OCSP: Rejected (OCSPrequire = yes)",
                    "Rejected by OCSP at depth=0: CN=silent",
                    "certificate verify failed",
                ]),
            ),
            case(
                "silent, and let pass",
                &self.silent,
                "OCSPrequire = no",
                Served,
            ),
            case(
                "absent, and let pass",
                &self.absent,
                "OCSPrequire = no",
                Served,
            ),
            case("rude, and let pass", &self.rude, "OCSPrequire = no", Served),
            case(
                "revoked, though not to know would do",
                &self.revoked,
                "OCSPrequire = no",
                Refused(&["OCSP: Certificate revoked"]),
            ),
        ]
    }
}

/// The subject dials servers.
pub fn of_servers(kind: Kind) {
    let world = World::new("localhost");
    check(kind, &world.kit, &world.cases(), true);
}

/// Clients dial the subject.
pub fn of_clients(kind: Kind) {
    let world = World::new("localhost");
    check(kind, &world.kit, &world.cases(), false);
}

/// The subject dials servers of whom nobody may know anything.
pub fn of_servers_in_doubt(kind: Kind) {
    let world = World::new("localhost");
    check(kind, &world.kit, &world.newer_cases(), true);
}

/// Clients of whom nobody may know anything dial the subject.
pub fn of_clients_in_doubt(kind: Kind) {
    let world = World::new("localhost");
    check(kind, &world.kit, &world.newer_cases(), false);
}

/// One question is enough for connections that come together, and for those that come later.
pub fn answers_are_shared(kind: Kind) {
    let scene = Scene::new(kind);
    let files = Files::create();
    let authority = Authority::new("Wire authority");
    let port = ports::next();
    let front_port = ports::next();
    let url = format!("http://localhost:{front_port}/x");
    let shown = authority.issue(&Leaf::named("good").responder(&url));
    let index = shown.index_line(false);
    let _responder = Responder::start_at(&files, &authority, &authority.pair(), &index, port);
    let pause = Duration::from_millis(500);
    let front = Counted::start_at(Front::Relays(port, pause), front_port);
    let backend = Backend::start(scene.host(), Mode::Commands);
    let (accept, middle) = (ports::next(), ports::next());
    let peer = format!(
        "{GLOBALS}[peer]\naccept = {middle}\nconnect = {}\ncert = {}\n",
        backend.address(),
        files.add("good.pem", shown.both())
    );
    let _peer = Debian::start(&files.add("stunnel.conf", peer));
    let ca = scene.files.add("ca.pem", authority.certificate());
    let host = scene.host();
    let _subject = scene.start(&format!(
        "{GLOBALS}[x]\nclient = yes\naccept = {accept}\nconnect = {host}:{middle}\n\
         CAfile = {ca}\nverifyChain = yes\nOCSPaia = yes\n"
    ));
    let server = scene.subject(accept);
    let all: Vec<_> = (0..8)
        .map(|_| thread::spawn(move || talk::try_down(server, 5)))
        .collect();
    for one in all {
        let answer = one.join().expect("it does not panic");
        assert!(
            matches!(&answer, Ok(sum) if *sum == Sum::of_pattern(5, 5)),
            "{answer:?}"
        );
    }
    talk::download(server, 5);
    assert_eq!(front.count(), 1);
}

/// A client that is revoked goes where those go who are not known, and so it does when it resumes
/// its session.
pub fn revoked_clients_are_redirected(kind: Kind) {
    let scene = Scene::new(kind);
    let files = Files::create();
    let authority = Authority::new("Wire authority");
    let port = ports::next();
    let url = format!("http://localhost:{port}/");
    let shown = authority.issue(&Leaf::named("revoked").responder(&url));
    let index = shown.index_line(true);
    let _responder = Responder::start_at(&files, &authority, &authority.pair(), &index, port);
    let known = Backend::start(scene.host(), Mode::Commands);
    let unknown = Backend::start(scene.host(), Mode::Commands);
    let (front, middle) = (ports::next(), ports::next());
    let ca = scene.files.add("ca.pem", authority.certificate());
    let own = authority.issue(&Leaf::named("own")).both();
    let own = scene.files.add("own.pem", own);
    let _subject = scene.start(&format!(
        "{GLOBALS}[x]\naccept = {middle}\nconnect = {}\nredirect = {}\ncert = {own}\n\
         CAfile = {ca}\nverifyChain = yes\nOCSPaia = yes\n",
        known.address(),
        unknown.address()
    ));
    let peer = format!(
        "{GLOBALS}[peer]\nclient = yes\naccept = {front}\nconnect = {}\ncert = {}\n",
        scene.subject(middle),
        files.add("revoked.pem", shown.both())
    );
    let _peer = Debian::start(&files.add("stunnel.conf", peer));
    for times in 1..=2 {
        talk::download((scene.host(), front).into(), 5);
        assert_eq!(unknown.records().len(), times);
    }
    assert_eq!(known.records().len(), 0);
}

/// A server's own certificate has its answer with it, which clients see.
pub fn stapled(kind: Kind) {
    let scene = Scene::new(kind);
    let files = Files::create();
    let authority = Authority::new("Wire authority");
    let (port, front_port) = (ports::next(), ports::next());
    let url = format!("http://localhost:{front_port}/");
    let shown = authority.issue(&Leaf::named("localhost").dns("localhost").responder(&url));
    let index = shown.index_line(false);
    let _responder = Responder::start_at(&files, &authority, &authority.pair(), &index, port);
    let front = Counted::start_at(Front::Relays(port, Duration::ZERO), front_port);
    let backend = Backend::start(scene.host(), Mode::Commands);
    let accept = ports::next();
    let chain = format!("{}{}", shown.both(), authority.certificate());
    let cert = scene.files.add("good.pem", chain);
    let subject = scene.start(&format!(
        "{GLOBALS}[x]\naccept = {accept}\nconnect = {}\ncert = {cert}\n",
        backend.address()
    ));
    subject.wait_for("OCSP: Stapling a response to the certificate: good");
    let ca = files.add("ca.pem", authority.certificate());
    let server = scene.subject(accept);
    for version in ["-tls1_2", "-tls1_3"] {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-status", "-connect", &server.to_string()])
            .args(["-CAfile", &ca, version]);
        let said = output(&mut command);
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("OCSP Response Status: successful"), "{said}");
        assert!(said.contains("Cert Status: good"), "{said}");
    }
    assert_eq!(front.count(), 1);
}

/// A client believes what servers staple, good or bad, and does not need to be told to.
pub fn staples_are_heeded(kind: Kind) {
    let scene = Scene::new(kind);
    let files = Files::create();
    let authority = Authority::new("Wire authority");
    let nowhere = format!("http://localhost:{}/", ports::next());
    let leaf = |name: &str| authority.issue(&Leaf::named(name).responder(&nowhere));
    let (good, revoked) = (leaf("good"), leaf("revoked"));
    let index = good.index_line(false) + &revoked.index_line(true);
    let index = files.add("index.txt", index);
    let ca = files.add("ca.pem", authority.certificate());
    let key = files.add("ca.key", authority.pair().key);
    let mut conf = GLOBALS.to_owned();
    let authorities = scene.files.add("ca.pem", authority.certificate());
    let host = scene.host();
    let mut servers = Vec::new();
    let mut fronts = Vec::new();
    for (pair, options) in [(&good, "OCSPaia = yes"), (&revoked, "")] {
        let (accept, middle) = (ports::next(), ports::next());
        let cert = files.add(&format!("{middle}.pem"), pair.both());
        let (request, response) = (files.path("request"), files.path(&middle.to_string()));
        let mut asked = Command::new("openssl");
        asked.args(["ocsp", "-issuer", &ca, "-cert", &cert, "-no_nonce"]);
        output(asked.args(["-reqout", &request]));
        let mut answered = Command::new("openssl");
        answered.args(["ocsp", "-index", &index, "-CA", &ca, "-rsigner", &ca]);
        answered.args(["-rkey", &key, "-reqin", &request, "-respout", &response]);
        output(answered.args(["-ndays", "1"]));
        let mut server = Command::new("openssl");
        server.args(["s_server", "-accept", &middle.to_string(), "-cert", &cert]);
        server.args(["-status_file", &response, "-www"]);
        let ready = "ACCEPT";
        servers.push(stockade_tests::stunnel::daemon::Daemon::start(
            &mut server,
            ready,
        ));
        conf += &format!(
            "[{middle}]\nclient = yes\naccept = {accept}\nconnect = {host}:{middle}\n\
             CAfile = {authorities}\nverifyChain = yes\n{options}\n"
        );
        fronts.push(scene.subject(accept));
    }
    let subject = scene.start(&conf);
    for front in fronts {
        // s_server has a page for whoever asks; here nothing has to be asked to be refused.
        let asked = std::net::TcpStream::connect(front);
        let mut asked = asked.unwrap_or_else(|error| panic!("{front}: {error}"));
        use std::io::Write as _;
        let _ = asked.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let seen = wait_until(PATIENCE, || {
            let said = subject.count("TLS connected") + subject.count("Rejected by OCSP");
            (said > 0).then_some(())
        });
        assert!(seen.is_some(), "{}", subject.log());
    }
    subject.wait_for("OCSP: OCSP stapling response received");
    subject.wait_for("TLS connected");
    subject.wait_for("Rejected by OCSP at depth=0: CN=revoked");
}

/// What a command says that must succeed.
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

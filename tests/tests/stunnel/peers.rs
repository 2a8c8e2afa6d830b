//! Debian's stunnel at the other end of the wire: bodies both ways, client certificates, sessions.

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::stunnel::talk;

const BODY: u64 = 10 << 20;
const TLS_1_2: &str = "TLSv1.2";
const TLS_1_3: &str = "TLSv1.3";
const REUSED: &str = "previous session reused";

/// Which side of the wire the subject is.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Server,
    Client,
}

/// A plain client, a stunnel client, a stunnel server and a backend; one of the stunnels is the
/// subject, the other one Debian's.
struct Wire {
    subject: Subject,
    peer: Debian,
    /// Where the plain client connects to.
    front: std::net::SocketAddr,
    backend: Backend,
    _peer_files: Files,
    _scene: Scene,
}

impl Wire {
    /// Lays it with these lines in both sections, and these in one of them.
    fn lay(kind: Kind, side: Side, both: &str, server: &str, client: &str) -> Wire {
        let scene = Scene::new(kind);
        let peer_files = Files::create();
        let authority = Authority::new("Wire authority");
        let certificate = authority
            .issue(&Leaf::named("server").dns("wire.example"))
            .both();
        let client_certificate = authority.issue(&Leaf::named("client")).both();
        for files in [&scene.files, &peer_files] {
            files.add("ca.pem", authority.certificate());
            files.add("server.pem", &certificate);
            files.add("client.pem", &client_certificate);
        }
        let (own, peers) = match side {
            Side::Server => (&peer_files, &scene.files),
            Side::Client => (&scene.files, &peer_files),
        };
        let backend = Backend::start(scene.host(), Mode::Commands);
        let (front, middle) = (ports::next(), ports::next());
        let (front, middle) = match side {
            Side::Server => ((scene.host(), front).into(), scene.subject(middle)),
            Side::Client => (scene.subject(front), (scene.host(), middle).into()),
        };
        let server = format!(
            "{GLOBALS}[server]\naccept = {}\nconnect = {}\ncert = {}\n{both}\n{}\n",
            middle.port(),
            backend.address(),
            peers.path("server.pem"),
            server.replace("{dir}", &peers.folder())
        );
        let client = format!(
            "{GLOBALS}[client]\nclient = yes\naccept = {}\nconnect = {middle}\nCAfile = {}\n\
             verifyChain = yes\ncheckHost = wire.example\n{both}\n{}\n",
            front.port(),
            own.path("ca.pem"),
            client.replace("{dir}", &own.folder())
        );
        let (mine, theirs) = match side {
            Side::Server => (server, client),
            Side::Client => (client, server),
        };
        let subject = scene.start(&mine);
        let peer = Debian::start(&peer_files.add("stunnel.conf", theirs));
        Wire {
            subject,
            peer,
            front,
            backend,
            _peer_files: peer_files,
            _scene: scene,
        }
    }

    /// A small body down, its connection closed in order at both ends.
    fn exchange(&self) {
        let before = self.backend.records().len();
        talk::download(self.front, 5);
        assert_eq!(self.backend.records().len(), before + 1);
    }
}

fn carries(kind: Kind, side: Side, version: &str, certificates: bool) {
    let both = format!("sslVersion = {version}");
    let (server, client) = if certificates {
        (
            "CAfile = {dir}/ca.pem\nverifyChain = yes",
            "cert = {dir}/client.pem",
        )
    } else {
        ("", "")
    };
    let wire = Wire::lay(kind, side, &both, server, client);
    talk::download(wire.front, BODY);
    talk::upload(wire.front, BODY);
    wire.subject.wait_for(&format!("{version} ciphersuite"));
    if certificates && side == Side::Server {
        wire.subject
            .wait_for("Certificate accepted at depth=0: CN=client");
    }
}

pub fn server_tls_1_2(kind: Kind) {
    carries(kind, Side::Server, TLS_1_2, false);
}

pub fn server_tls_1_3(kind: Kind) {
    carries(kind, Side::Server, TLS_1_3, false);
}

pub fn server_with_client_certificates_tls_1_2(kind: Kind) {
    carries(kind, Side::Server, TLS_1_2, true);
}

pub fn server_with_client_certificates_tls_1_3(kind: Kind) {
    carries(kind, Side::Server, TLS_1_3, true);
}

pub fn client_tls_1_2(kind: Kind) {
    carries(kind, Side::Client, TLS_1_2, false);
}

pub fn client_tls_1_3(kind: Kind) {
    carries(kind, Side::Client, TLS_1_3, false);
}

pub fn client_with_certificate_tls_1_2(kind: Kind) {
    carries(kind, Side::Client, TLS_1_2, true);
}

pub fn client_with_certificate_tls_1_3(kind: Kind) {
    carries(kind, Side::Client, TLS_1_3, true);
}

/// Two connections, one after the other: the first is a new session, the second one resumes it,
/// and both ends say so.
fn resumes(kind: Kind, side: Side, version: &str, server: &str) {
    let wire = Wire::lay(kind, side, &format!("sslVersion = {version}"), server, "");
    let (accepted, connected) = ("TLS accepted", "TLS connected");
    let (own, theirs) = match side {
        Side::Server => (accepted, connected),
        Side::Client => (connected, accepted),
    };
    wire.exchange();
    wire.subject
        .wait_for(&format!("{own}: new session negotiated"));
    wire.peer
        .log()
        .wait_for(&format!("{theirs}: new session negotiated"));
    wire.exchange();
    wire.subject.wait_for(&format!("{own}: {REUSED}"));
    wire.peer.log().wait_for(&format!("{theirs}: {REUSED}"));
}

pub fn server_resumes_by_ticket_tls_1_2(kind: Kind) {
    resumes(kind, Side::Server, TLS_1_2, "options = -NO_TICKET");
}

pub fn server_resumes_by_session_id_tls_1_2(kind: Kind) {
    resumes(kind, Side::Server, TLS_1_2, "options = NO_TICKET");
}

pub fn server_resumes_by_ticket_tls_1_3(kind: Kind) {
    resumes(kind, Side::Server, TLS_1_3, "options = -NO_TICKET");
}

pub fn client_resumes_by_ticket_tls_1_2(kind: Kind) {
    resumes(kind, Side::Client, TLS_1_2, "options = -NO_TICKET");
}

pub fn client_resumes_by_session_id_tls_1_2(kind: Kind) {
    resumes(kind, Side::Client, TLS_1_2, "options = NO_TICKET");
}

pub fn client_resumes_by_ticket_tls_1_3(kind: Kind) {
    resumes(kind, Side::Client, TLS_1_3, "options = -NO_TICKET");
}

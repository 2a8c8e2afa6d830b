//! Mail: exim and dovecot behind the tunnel and before it; curl, openssl, exim and stunnel as
//! their clients.

use std::io::{self, Read};
use std::net::SocketAddr;

use stockade_tests::peers::mail::{Mail, PASSWORD, Security, Sender, USER};
use stockade_tests::process::{self, Finished};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::{PATIENCE, client, tools};

/// The protocols of mail, in the order in which their ports are given.
const PROTOCOLS: [&str; 3] = ["smtp", "imap", "pop3"];

/// A mail server, and a scene with the certificate `server.pem` and the authority `ca.pem`.
struct Post {
    scene: Scene,
    authority: Authority,
    mail: Mail,
    /// Where the subject is reached for each protocol.
    fronts: [SocketAddr; 3],
}

impl Post {
    fn new(kind: Kind, security: Security) -> Post {
        let scene = Scene::new(kind);
        let authority = Authority::new("Authority of the post");
        let fronts = [(); 3].map(|()| scene.subject(ports::next()));
        let leaf = Leaf::named("post").dns("localhost");
        let pair = authority.issue(&leaf.address(fronts[0].ip()));
        scene.files.add("ca.pem", authority.certificate());
        scene.files.add("server.pem", pair.both());
        Post {
            mail: Mail::start(&pair, security),
            scene,
            authority,
            fronts,
        }
    }

    /// Starts the subject with a section for each protocol, each with these lines.
    fn start(&self, lines: &str) -> Subject {
        let backends = [self.mail.smtp, self.mail.imap, self.mail.pop3];
        let mut conf = GLOBALS.to_owned();
        for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
            let front = self.fronts[number].port();
            let backend = (self.scene.host(), backends[number]);
            conf += &section(protocol, front, backend.into(), lines);
        }
        self.scene
            .start(&conf.replace("{dir}", &self.scene.files.folder()))
    }

    /// In server mode.
    fn serve(&self) -> Subject {
        self.start("cert = {dir}/server.pem")
    }

    /// curl with STARTTLS or without it.
    fn curl(&self, protocol: &str, server: SocketAddr, tls: bool) -> std::process::Command {
        let ca = self.scene.files.path("ca.pem");
        let mut command = tools::curl(server, ca.as_ref());
        if tls {
            command.arg("--ssl-reqd");
        }
        let path = match protocol {
            "smtp" => "client.example",
            "imap" => "INBOX;MAILINDEX=1",
            _ => "1",
        };
        command.arg(format!("{protocol}://localhost:{}/{path}", server.port()));
        command
    }

    /// Sends a mail with these words.
    fn try_send(&self, server: SocketAddr, tls: bool, words: &str) -> Finished<Vec<u8>> {
        let mut command = self.curl("smtp", server, tls);
        let recipient = format!("{USER}@peer.example");
        command.args(["--mail-from", "sender@client.example"]);
        command.args(["--mail-rcpt", &recipient, "--upload-file", "-"]);
        let mail = io::Cursor::new(letter(words));
        process::start(&mut command, mail, Vec::new()).finish(PATIENCE)
    }

    /// Sends a mail, waits for it, and fetches it by both other protocols.
    fn exchange(&self, servers: [SocketAddr; 3], tls: bool, words: &str) {
        self.try_send(servers[0], tls, words).succeeded();
        self.mail.delivered(words);
        self.fetch(&servers[1..], tls, words);
    }

    fn fetch(&self, servers: &[SocketAddr], tls: bool, words: &str) {
        for (protocol, server) in PROTOCOLS[1..].iter().zip(servers) {
            let mut command = self.curl(protocol, *server, tls);
            command.args(["--user", &format!("{USER}:{PASSWORD}")]);
            let fetched = process::start(&mut command, io::empty(), Vec::new());
            let fetched = fetched.finish(PATIENCE).succeeded().stdout;
            let fetched = String::from_utf8_lossy(&fetched);
            assert!(fetched.contains(words), "{protocol}: {fetched:?}");
        }
    }
}

/// A section of a configuration.
fn section(protocol: &str, accept: u16, connect: SocketAddr, lines: &str) -> String {
    format!(
        "[{protocol}]\nprotocol = {protocol}\naccept = {accept}\nconnect = {connect}\n{lines}\n"
    )
}

fn letter(words: &str) -> String {
    format!("From: sender@client.example\r\nSubject: a letter\r\n\r\n{words}\r\n")
}

/// curl asks for TLS, checks the certificate, and its mail arrives and is fetched.
pub fn server_of_curl(kind: Kind) {
    let post = Post::new(kind, Security::Clear);
    let _subject = post.serve();
    post.exchange(post.fronts, true, "by curl");
}

/// A client that does not ask for TLS gets nothing through.
pub fn server_of_a_client_in_the_clear(kind: Kind) {
    let post = Post::new(kind, Security::Clear);
    let _subject = post.serve();
    let finished = post.try_send(post.fronts[0], false, "in the clear");
    assert!(!finished.status.success());
    for (protocol, front) in PROTOCOLS[1..].iter().zip(&post.fronts[1..]) {
        let mut command = post.curl(protocol, *front, false);
        command.args(["--user", &format!("{USER}:{PASSWORD}")]);
        let finished = process::start(&mut command, io::empty(), Vec::new()).finish(PATIENCE);
        assert!(!finished.status.success(), "{protocol}");
    }
    assert!(post.mail.is_empty());
}

/// `openssl s_client -starttls` speaks each protocol, and to the server behind it then.
pub fn server_of_openssl(kind: Kind) {
    let post = Post::new(kind, Security::Clear);
    let _subject = post.serve();
    let last_words = [
        (
            "EHLO me.example\r\nQUIT\r\n",
            "221 peer.example closing connection",
        ),
        ("a LOGOUT\r\n", "a OK Logout completed"),
        ("QUIT\r\n", "+OK Logging out"),
    ];
    for (number, (said, answer)) in last_words.into_iter().enumerate() {
        let ca = post.scene.files.path("ca.pem");
        let mut command = tools::s_client(post.fronts[number], ca.as_ref(), Some("localhost"));
        command.args(["-starttls", PROTOCOLS[number]]);
        let finished = process::start(&mut command, io::Cursor::new(said), Vec::new());
        let finished = finished.finish(PATIENCE).succeeded();
        let heard = String::from_utf8_lossy(&finished.stdout);
        assert!(heard.contains(answer), "{heard}");
        assert!(heard.contains("Verify return code: 0 (ok)"), "{heard}");
    }
}

/// exim sends a mail by the tunnel, and insists on TLS and on the certificate.
pub fn server_of_exim(kind: Kind) {
    let post = Post::new(kind, Security::Clear);
    let _subject = post.serve();
    let SocketAddr::V4(front) = post.fronts[0] else {
        unreachable!("scenes have IPv4");
    };
    let sender = Sender::new(&post.authority.certificate(), (*front.ip(), front.port()));
    let log = sender.send(&letter("by exim"));
    assert!(log.contains("CV=yes"), "{log}");
    post.mail.delivered("by exim");
}

/// Debian's stunnel asks for TLS in the names of clients without it.
pub fn server_of_stunnel(kind: Kind) {
    let post = Post::new(kind, Security::Clear);
    let _subject = post.serve();
    let files = Files::create();
    let ca = files.add("ca.pem", post.authority.certificate());
    let lines = format!("client = yes\nCAfile = {ca}\nverifyChain = yes\ncheckHost = localhost");
    let plain = [(); 3].map(|()| SocketAddr::from((post.scene.host(), ports::next())));
    let mut conf = GLOBALS.to_owned();
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        conf += &section(protocol, plain[number].port(), post.fronts[number], &lines);
    }
    let _peer = Debian::start(&files.add("stunnel.conf", conf));
    post.exchange(plain, false, "by stunnel");
}

/// The lines of a client's section that check the server's certificate.
const CHECKED: &str =
    "client = yes\nCAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = localhost";

/// Applications without TLS reach servers that insist on it.
pub fn client_of_servers(kind: Kind) {
    let post = Post::new(kind, Security::StartTls);
    let subject = post.start(CHECKED);
    post.exchange(post.fronts, false, "by a tunnel");
    subject.wait_for("Certificate accepted at depth=0: CN=post");
}

/// The server's certificate is not what was asked for: nothing is sent.
pub fn client_of_another_server(kind: Kind) {
    let post = Post::new(kind, Security::StartTls);
    let subject = post.start(&CHECKED.replace("= localhost", "= other.example"));
    let finished = post.try_send(post.fronts[0], false, "to another");
    assert!(!finished.status.success());
    subject.wait_for("CERT: Subject checks failed");
    assert!(post.mail.is_empty());
}

/// The tunnel makes itself known to the server, by each mechanism, so that its application need not.
pub fn client_with_credentials(kind: Kind) {
    for (security, mechanism) in [
        (Security::AuthPlain, "plain"),
        (Security::AuthLogin, "login"),
    ] {
        let credentials = |password: &str| {
            format!(
                "{CHECKED}\nprotocolAuthentication = {mechanism}\nprotocolUsername = {USER}\n\
                 protocolPassword = {password}"
            )
        };
        let post = Post::new(kind, security);
        let front = post.fronts[0];
        let backend = (post.scene.host(), post.mail.smtp).into();
        let start = |lines: &str| {
            let conf = GLOBALS.to_owned() + &section("smtp", front.port(), backend, lines);
            post.scene
                .start(&conf.replace("{dir}", &post.scene.files.folder()))
        };
        {
            let subject = start(&credentials("wrong"));
            let finished = post.try_send(front, false, "without a right");
            assert!(!finished.status.success(), "{mechanism}");
            let mut heard = String::new();
            let told = client::tcp(front).and_then(|mut tcp| tcp.read_to_string(&mut heard));
            assert!(
                told.is_ok() && heard.starts_with("421 "),
                "{told:?} {heard}"
            );
            subject.wait_for("The server did not take the credentials: 535");
            assert!(!subject.log().contains("wrong"));
        }
        assert!(post.mail.is_empty());
        let subject = start(&credentials(PASSWORD));
        post.try_send(front, false, mechanism).succeeded();
        post.mail.delivered(mechanism);
        let log = post.mail.log();
        assert!(log.contains(&format!("A={mechanism}:{USER}")), "{log}");
        assert!(!subject.log().contains(PASSWORD));
    }
}

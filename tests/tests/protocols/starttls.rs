//! Bytes that arrive in the clear where TLS begins, and servers that have no TLS: each refused, by
//! each protocol of mail, on both sides.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;

use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::peers::script::{Lines, Script};
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};

/// What comes early.
const INJECTED: &str = "INJECTED";
/// What the application says, and nobody may see.
const SECRET: &str = "SECRET";

/// A protocol of mail as it is spoken here.
struct Dialect {
    name: &'static str,
    /// The backend of a server.
    backend: Lines,
    /// What a client says up to its wish for TLS; but for the last line, each is answered by lines
    /// that end with one that begins so.
    said: &'static [(&'static str, &'static str)],
    /// A server that begins TLS, and says something more.
    injecting: Lines,
    /// A server without TLS.
    without: Lines,
    /// How an application is told that there is no TLS.
    sorry: &'static str,
}

const DIALECTS: [Dialect; 3] = [
    Dialect {
        name: "smtp",
        backend: Lines {
            greeting: "220 backend.example ESMTP\r\n",
            answers: &[("", "250 backend.example\r\n")],
        },
        said: &[("EHLO me.example\r\n", "250 "), ("STARTTLS\r\n", "220 ")],
        injecting: Lines {
            greeting: "220 server.example ESMTP\r\n",
            answers: &[
                ("EHLO", "250-server.example\r\n250 STARTTLS\r\n"),
                ("STARTTLS", "220 go ahead\r\n250 INJECTED\r\n"),
            ],
        },
        without: Lines {
            greeting: "220 server.example ESMTP\r\n",
            answers: &[("EHLO", "250 server.example\r\n"), ("", "502 what?\r\n")],
        },
        sorry: "421 ",
    },
    Dialect {
        name: "imap",
        backend: Lines {
            greeting: "* OK backend.example\r\n",
            answers: &[("", "* OK\r\n")],
        },
        said: &[("a STARTTLS\r\n", "a OK")],
        injecting: Lines {
            greeting: "* OK server.example\r\n",
            answers: &[
                ("STUNNEL STARTTLS", "stunnel OK go\r\n* OK INJECTED\r\n"),
                ("STOCKADE STARTTLS", "stockade OK go\r\n* OK INJECTED\r\n"),
            ],
        },
        without: Lines {
            greeting: "* OK server.example\r\n",
            answers: &[
                ("STUNNEL STARTTLS", "stunnel BAD what?\r\n"),
                ("STOCKADE STARTTLS", "stockade BAD what?\r\n"),
            ],
        },
        sorry: "* BYE ",
    },
    Dialect {
        name: "pop3",
        backend: Lines {
            greeting: "+OK backend.example\r\n",
            answers: &[("", "+OK\r\n")],
        },
        said: &[("STLS\r\n", "+OK")],
        injecting: Lines {
            greeting: "+OK server.example\r\n",
            answers: &[("STLS", "+OK go\r\n+OK INJECTED\r\n")],
        },
        without: Lines {
            greeting: "+OK server.example\r\n",
            answers: &[("", "-ERR what?\r\n")],
        },
        sorry: "-ERR ",
    },
];

/// Starts the subject with one section.
fn start(
    scene: &Scene,
    dialect: &Dialect,
    front: SocketAddr,
    backend: SocketAddr,
    lines: &str,
) -> Subject {
    scene.start(&format!(
        "{GLOBALS}[it]\nprotocol = {}\naccept = {}\nconnect = {backend}\n{lines}\n",
        dialect.name,
        front.port()
    ))
}

/// Reads lines until one begins so.
fn read_to(reader: &mut impl BufRead, beginning: &str) {
    loop {
        let mut line = String::new();
        let length = reader.read_line(&mut line).expect("an answer");
        assert_ne!(length, 0, "the end instead of {beginning:?}");
        if line.starts_with(beginning) {
            return;
        }
    }
}

/// A client, or who sits before it, sends a command in one segment with its wish for TLS: it has no
/// TLS then, and the command reaches nobody.
pub fn server_refuses_injections(kind: Kind) {
    for dialect in &DIALECTS {
        let scene = Scene::new(kind);
        let identity = Identity::ecdsa();
        let both = identity.chain.clone() + &identity.key;
        let certificate = scene.files.add("cert.pem", both);
        let backend = Script::start(scene.host(), dialect.backend);
        let front = scene.subject(ports::next());
        let lines = format!("cert = {certificate}");
        let subject = start(&scene, dialect, front, backend.address(), &lines);
        let (last, first) = dialect.said.split_last().expect("a wish for TLS");
        let begin = || {
            let tcp = client::tcp(front).expect("it listens");
            let mut reader = BufReader::new(tcp.try_clone().expect("an open socket"));
            let mut writer = &tcp;
            read_to(&mut reader, &dialect.backend.greeting[..3]);
            for (line, answer) in first {
                writer.write_all(line.as_bytes()).expect("an open socket");
                read_to(&mut reader, answer);
            }
            (tcp, reader)
        };

        // As it should be.
        let (mut tcp, mut reader) = begin();
        tcp.write_all(last.0.as_bytes()).expect("an open socket");
        read_to(&mut reader, last.1);
        let tls = client::verifying(&identity);
        let mut tls = TlsStream::open(tcp, &tls).expect("a TLS client");
        tls.complete_handshake().expect("TLS");
        tls.write_all(b"NOOP\r\n").expect("an open connection");
        backend.wait_for("NOOP");
        drop(tls);

        for injected in [
            format!("{INJECTED}\r\n"),
            // So little that it could be the beginning of anything.
            "I".to_owned(),
        ] {
            let (mut tcp, mut reader) = begin();
            let said = last.0.to_owned() + &injected;
            tcp.write_all(said.as_bytes()).expect("an open socket");
            let tls = client::verifying(&identity);
            let mut tls = TlsStream::open(tcp.try_clone().expect("an open socket"), &tls)
                .expect("a TLS client");
            // stunnel says its go-ahead first, if a reset does not overtake it, and fails in the
            // handshake.
            let mut line = String::new();
            let told = reader.read_line(&mut line).is_ok() && line.starts_with(last.1);
            assert!(!told || kind == Kind::Debian, "{line}");
            tls.complete_handshake().expect_err("no TLS");
        }
        let words = match kind {
            Kind::Debian => "SSL_accept: ",
            _ => "Data arrived in the clear where TLS begins",
        };
        subject.wait_for(words);
        assert!(!backend.text().contains(INJECTED), "{}", backend.text());
    }
}

/// A server, or who sits before it, sends something in one segment with its go-ahead: there is no
/// TLS then, and the application does not hear it.
pub fn client_refuses_injections(kind: Kind) {
    for dialect in &DIALECTS {
        let scene = Scene::new(kind);
        let server = Script::start(scene.host(), dialect.injecting);
        let front = scene.subject(ports::next());
        let subject = start(&scene, dialect, front, server.address(), "client = yes");
        let heard = hear(front, dialect);
        assert!(!heard.contains(INJECTED), "{heard}");
        let (words, last) = match kind {
            Kind::Debian => ("SSL_connect: ", None),
            _ => (
                "Data arrived in the clear where TLS begins",
                Some(dialect.sorry),
            ),
        };
        subject.wait_for(words);
        assert!(!server.text().contains(SECRET), "{}", server.text());
        if let Some(last) = last {
            assert!(heard.starts_with(last), "{heard}");
            let wish = dialect.said[dialect.said.len() - 1]
                .0
                .trim_start_matches("a ");
            let wish = wish.escape_default().to_string();
            assert!(server.text().ends_with(&wish), "{}", server.text());
        }
    }
}

/// A server does not welcome anybody, or someone has logged in already: there is no TLS then.
pub fn client_of_unwelcoming_servers(kind: Kind) {
    for (number, greeting) in [
        (0, "554 go away\r\n"),
        (1, "* BYE go away\r\n"),
        (1, "* PREAUTH welcome back\r\n"),
        (2, "-ERR go away\r\n"),
    ] {
        let dialect = &DIALECTS[number];
        let scene = Scene::new(kind);
        let lines = Lines {
            greeting,
            answers: &[],
        };
        let server = Script::start(scene.host(), lines);
        let front = scene.subject(ports::next());
        let subject = start(&scene, dialect, front, server.address(), "client = yes");
        let heard = hear(front, dialect);
        assert!(heard.starts_with(dialect.sorry), "{greeting:?}: {heard}");
        subject.wait_for("Unknown server welcome");
        assert_eq!(server.text(), "", "{greeting:?}");
    }
}

/// A server has no TLS: the application is told so, and no word of it, and no password, was sent
/// in the clear.
pub fn client_of_servers_without_tls(kind: Kind) {
    for dialect in &DIALECTS {
        let scene = Scene::new(kind);
        let server = Script::start(scene.host(), dialect.without);
        let front = scene.subject(ports::next());
        let lines = match dialect.name {
            "smtp" => format!(
                "client = yes\nprotocolUsername = me{SECRET}\nprotocolPassword = my{SECRET}"
            ),
            _ => "client = yes".to_owned(),
        };
        let _subject = start(&scene, dialect, front, server.address(), &lines);
        let heard = hear(front, dialect);
        if kind != Kind::Debian {
            assert!(heard.starts_with(dialect.sorry), "{heard}");
        }
        let sent = server.text();
        let wish = dialect.said[dialect.said.len() - 1].0.trim_end();
        assert!(sent.contains(wish.trim_start_matches("a ")), "{sent}");
        assert!(!sent.contains(SECRET) && !sent.contains("AUTH"), "{sent}");
    }
}

/// All that an application hears which speaks at once.
fn hear(front: SocketAddr, dialect: &Dialect) -> String {
    let said = format!("EHLO {SECRET}\r\nMAIL FROM:<{SECRET}@me.example>\r\n");
    let mut heard = Vec::new();
    let talked = client::tcp(front).and_then(|mut tcp| {
        tcp.write_all(said.as_bytes())?;
        tcp.read_to_end(&mut heard)
    });
    // The end may be a reset: what was said first counts.
    if let Err(error) = talked {
        let ended = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(ended.contains(&error.kind()), "{}: {error}", dialect.name);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

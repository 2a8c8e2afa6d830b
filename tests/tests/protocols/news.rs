//! News: nnrpd, and servers that only seem to be one.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use stockade_tests::client::tcp;
use stockade_tests::peers::Place;
use stockade_tests::stunnel::authority::{Leaf, Pair};
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::Kind;

use crate::impostor::{INJECTED, Impostor, is_end, wait_for_refusal};
use crate::setting::{Ear, Family, Setting};

/// How many groups the server has: their list is longer than any buffer on the way.
const GROUPS: usize = 20_000;

/// A news server. Ended when dropped.
struct News {
    address: SocketAddr,
    // Ends before its place goes.
    _daemon: Daemon,
    place: Place,
}

impl News {
    /// It knows STARTTLS if it has an `identity`.
    fn start(setting: &Setting, identity: Option<&Pair>) -> News {
        let place = Place::new();
        let address = SocketAddr::new(setting.host(), ports::next());
        // However busy this host is, it serves.
        let mut conf = String::from(
            "mta: \"/bin/true %s\"\norganization: Tests\nhismethod: hisv6\novmethod: tradindexed\n\
             pathhost: localhost\ndomain: localhost\npathnews: /usr/lib/news\npathetc: /etc/news\n\
             runasuser: news\nrunasgroup: news\nreaderswhenstopped: true\nnnrpdloadlimit: 0\n",
        );
        for (name, folder) in [
            ("db", "var/lib/news"),
            ("log", "var/log/news"),
            ("run", "run/news"),
            ("spool", "var/spool/news"),
            ("overview", "var/spool/news/overview"),
            ("tmp", "var/tmp/news"),
        ] {
            place.folder(folder);
            writeln!(conf, "path{name}: /{folder}").expect("a String grows");
        }
        if let Some(identity) = identity {
            let certificate = place.etc("news/cert.pem", &identity.certificate);
            let key = place.etc("news/key.pem", &identity.key);
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(place.path("etc/news/key.pem"), private).expect("our own file");
            writeln!(conf, "tlscertfile: {certificate}\ntlskeyfile: {key}")
                .expect("a String grows");
            writeln!(conf, "tlscafile: {certificate}").expect("a String grows");
        }
        place.etc("news/inn.conf", conf);
        place.etc(
            "news/readers.conf",
            "auth all {\n hosts: \"*\"\n default: \"<anyone>\"\n}\n\
             access all {\n users: \"<anyone>\"\n newsgroups: \"*\"\n access: R\n}\n",
        );
        place.etc(
            "news/storage.conf",
            "method tradspool {\n newsgroups: *\n class: 0\n}\n",
        );
        let active = (0..GROUPS).map(|number| format!("test.number.{number:05} 0 1 y\n"));
        place.add("var/lib/news/active", active.collect::<String>());
        place.add("var/lib/news/active.times", "");
        place.add("var/lib/news/newsgroups", "");
        place.add("var/lib/news/history", "");
        place.add("var/spool/news/tradspool.map", "");
        // Makes the overview's index, which the server wants to find.
        let mut command = inn(&place, "overchan");
        place.run(&mut command, Cursor::new("")).succeeded();
        let mut command = inn(&place, "nnrpd");
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        command.args(["-D", "-f", "-b", &host, "-p", &port]);
        let daemon = place.serve(&mut command, address.port());
        News {
            address,
            place,
            _daemon: daemon,
        }
    }
}

/// A program of INN's, which has its libraries beside it.
fn inn(place: &Place, program: &str) -> Command {
    let mut command = place.command(program);
    command.env("LD_LIBRARY_PATH", "/usr/lib/news");
    command
}

fn issue(setting: &Setting, name: &str) -> Pair {
    setting.authority.issue(&Leaf::named("server").dns(name))
}

/// A client that says one line at a time.
struct Reader {
    stream: BufReader<TcpStream>,
}

impl Reader {
    fn connect(server: SocketAddr) -> Reader {
        let stream = tcp(server).expect("somebody listens");
        Reader {
            stream: BufReader::new(stream),
        }
    }

    /// The next line, without its end; empty behind the last one.
    fn line(&mut self) -> String {
        let mut line = String::new();
        if let Err(error) = self.stream.read_line(&mut line) {
            assert!(is_end(&error), "{error} behind {line}");
        }
        line.trim_end().to_owned()
    }

    /// The first line of the answer.
    fn ask(&mut self, command: &str) -> String {
        let line = format!("{command}\r\n");
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .expect("an open connection");
        self.line()
    }

    /// The lines behind it (RFC 3977 §3.1.1).
    fn block(&mut self) -> Vec<String> {
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| line != "."));
        lines.take(2 * GROUPS).collect()
    }
}

/// Whoever speaks in the clear reads news from a server under TLS.
pub fn reading(kind: Kind) {
    let setting = Setting::new(kind);
    let server = News::start(&setting, Some(&issue(&setting, "localhost")));
    let front = setting.subject(Family::Ipv4, ports::next());
    let _subject = setting.start(&format!(
        "[news]\nclient = yes\nprotocol = nntp\naccept = {}\nconnect = {}\n\
         CAfile = {{dir}}/ca.pem\nverifyChain = yes\ncheckHost = localhost\n",
        front.port(),
        server.address
    ));
    let mut direct = Reader::connect(server.address);
    let mut through = Reader::connect(front);
    let greeting = direct.line();
    assert!(greeting.starts_with("201 "), "{greeting}");
    assert_eq!(through.line(), greeting);
    // What it can do in the clear alone tells on which side of TLS we are.
    for (reader, in_the_clear) in [(&mut direct, true), (&mut through, false)] {
        assert_eq!(reader.ask("CAPABILITIES"), "101 Capability list:");
        let offers = reader.block().iter().any(|line| line == "STARTTLS");
        assert_eq!(offers, in_the_clear);
    }
    let lists = [&mut direct, &mut through].map(|reader| {
        let answer = reader.ask("LIST ACTIVE");
        assert!(answer.starts_with("215 "), "{answer}");
        reader.block()
    });
    assert_eq!(lists[0].len(), GROUPS);
    assert!(lists[0] == lists[1], "the lists differ");
    assert_eq!(through.ask("QUIT"), "205 Bye!");
    assert_eq!(through.line(), "");
    // INN's own client.
    let mut command = inn(&server.place, "getlist");
    let (host, port) = (front.ip().to_string(), front.port().to_string());
    command.args(["-h", &host, "-p", &port, "active"]);
    let list = server
        .place
        .run(&mut command, Cursor::new(""))
        .succeeded()
        .stdout;
    assert!(
        String::from_utf8_lossy(&list).lines().eq(&lists[0]),
        "getlist's list differs"
    );
}

/// A server that can't, and one that is somebody else, are told of, and the application hears
/// nothing but the greeting.
pub fn refusals(kind: Kind) {
    let setting = Setting::new(kind);
    let without = News::start(&setting, None);
    let other = News::start(&setting, Some(&issue(&setting, "other.example")));
    let fronts = [(); 2].map(|()| setting.subject(Family::Ipv4, ports::next()));
    let section = |name: &str, front: SocketAddr, server: &News| {
        format!(
            "[{name}]\nclient = yes\nprotocol = nntp\naccept = {}\nconnect = {}\n\
             CAfile = {{dir}}/ca.pem\nverifyChain = yes\ncheckHost = localhost\n",
            front.port(),
            server.address
        )
    };
    let subject = setting
        .start(&(section("without", fronts[0], &without) + &section("other", fronts[1], &other)));
    for (front, words) in [
        (fronts[0], "Server does not support TLS"),
        (fronts[1], "certificate verify failed"),
    ] {
        let mut reader = Reader::connect(front);
        let greeting = reader.line();
        assert!(greeting.starts_with("201 "), "{greeting}");
        assert_eq!(reader.line(), "");
        subject.wait_for(words);
    }
}

/// Servers that put something into the clear, or never come to TLS.
pub fn impostors(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let front = setting.subject(Family::Ipv4, ports::next());
    let mut subject = setting.start(&format!(
        "[news]\nclient = yes\nprotocol = nntp\naccept = {}\nconnect = {}\nTIMEOUTbusy = 3\n",
        front.port(),
        ear.address()
    ));
    let play = |answer: &[u8]| {
        let impostor = Impostor {
            greeting: b"200 hello\r\n",
            request: b"STARTTLS\r\n",
            answer,
        };
        assert_eq!(impostor.play(&ear, front), b"200 hello\r\n");
    };
    let line = [b"200 ", INJECTED, b"\r\n"].concat();
    for behind in [INJECTED, &line, b"\r\n", b"\x15\x03\x03\0\x02\x02\x28"] {
        let from = subject.lines();
        play(&[b"382 go on\r\n", behind].concat());
        wait_for_refusal(kind, &subject, from);
    }
    let refused = [b"580 not today, ", INJECTED, b"\r\n"].concat();
    let endless = [b"382 ", &b"x".repeat(100_000)[..]].concat();
    for answer in [
        &refused[..],
        &endless,
        b"502 no\r\n",
        b"3820 no\r\n",
        b"38",
        b"",
        b"\r\n",
    ] {
        play(answer);
    }
    // What is no greeting is not passed on, and nothing is asked.
    let greeting = [b"400 ", INJECTED, b"\r\n"].concat();
    for greeting in [&greeting[..], b"", b"200", b"HTTP/1.1 200 OK\r\n\r\n"] {
        let impostor = Impostor {
            greeting,
            request: b"",
            answer: b"",
        };
        assert_eq!(impostor.play(&ear, front), b"");
    }
    // Who says nothing holds nobody up.
    for (greeting, request) in [(&b""[..], &b""[..]), (b"200 hello\r\n", b"STARTTLS\r\n")] {
        let impostor = Impostor {
            greeting,
            request,
            answer: b"",
        };
        assert_eq!(impostor.play_and_wait(&ear, front), greeting);
    }
    assert!(subject.is_running());
}

/// There is no server's side of it.
pub fn server_mode(kind: Kind) {
    let setting = Setting::new(kind);
    let words = setting.scene.refuse(&format!(
        "{GLOBALS}[news]\nprotocol = nntp\naccept = 10119\nconnect = 10120\ncert = {}\n",
        setting.scene.files.path("server.pem")
    ));
    assert!(
        words.contains("The 'nntp' protocol is not supported in the server mode"),
        "{words}"
    );
}

//! Directories: slapd and its clients, and servers that only seem to be one.

use std::fmt::Write as _;
use std::io::Cursor;
use std::net::SocketAddr;

use stockade_tests::peers::Place;
use stockade_tests::process::Finished;
use stockade_tests::stunnel::authority::{Leaf, Pair};
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::Kind;

use crate::impostor::{INJECTED, Impostor, wait_for_refusal};
use crate::setting::{Ear, Family, Setting};

/// How many people the directory has: their list is longer than any buffer on the way.
const PEOPLE: usize = 3_000;
/// Who may write, and how that is shown.
const ADMINISTRATOR: [&str; 4] = ["-D", "cn=admin,dc=example,dc=org", "-w", "a password"];
/// Where everything is.
const BASE: &str = "dc=example,dc=org";

/// StartTLS as a client asks for it (RFC 4511 §4.14.1): message 1.
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// The answer of a server that begins TLS (RFC 4511 §4.12).
const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

/// A directory server. Ended when dropped.
struct Directory {
    address: SocketAddr,
    // Ends before its place goes.
    daemon: Daemon,
    place: Place,
}

impl Directory {
    /// It knows StartTLS if it has an `identity`, and serves nobody without TLS then.
    fn start(setting: &Setting, identity: Option<&Pair>) -> Directory {
        let place = Place::new();
        place.folder("var/lib/ldap");
        let mut conf = String::from(
            "include /etc/ldap/schema/core.schema\npidfile /run/slapd.pid\nargsfile \
             /run/slapd.args\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nsizelimit unlimited\n",
        );
        if let Some(identity) = identity {
            let certificate = place.etc("ldap/cert.pem", &identity.certificate);
            let key = place.etc("ldap/key.pem", &identity.key);
            writeln!(
                conf,
                "TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}"
            )
            .expect("a String grows");
            conf.push_str("security tls=1\n");
        }
        let [_, administrator, _, password] = ADMINISTRATOR;
        writeln!(
            conf,
            "database mdb\nmaxsize 67108864\nsuffix \"{BASE}\"\nrootdn \"{administrator}\"\nrootpw \
             \"{password}\"\ndirectory /var/lib/ldap\ndbnosync"
        )
        .expect("a String grows");
        let conf = place.etc("ldap/own.conf", conf);
        let address = SocketAddr::new(setting.host(), ports::next());
        let mut command = place.command("slapd");
        command.args([
            "-h",
            &format!("ldap://{address}"),
            "-f",
            &conf,
            "-d",
            "stats",
        ]);
        let daemon = place.serve(&mut command, address.port());
        Directory {
            address,
            place,
            daemon,
        }
    }

    /// Runs one of OpenLDAP's clients, in the clear, with simple authentication.
    fn client(
        &self,
        program: &str,
        server: SocketAddr,
        arguments: &[&str],
        input: &str,
    ) -> Finished<Vec<u8>> {
        let mut command = self.place.command(program);
        command
            .args(["-x", "-H", &format!("ldap://{server}")])
            .args(arguments);
        self.place.run(&mut command, Cursor::new(input.to_owned()))
    }
}

fn issue(setting: &Setting, name: &str) -> Pair {
    setting.authority.issue(&Leaf::named("server").dns(name))
}

/// A service in client mode.
fn section(name: &str, front: SocketAddr, server: SocketAddr) -> String {
    format!(
        "[{name}]\nclient = yes\nprotocol = ldap\naccept = {}\nconnect = {server}\n\
         CAfile = {{dir}}/ca.pem\nverifyChain = yes\ncheckHost = localhost\n",
        front.port()
    )
}

/// People with names and descriptions, as LDIF.
fn people() -> String {
    let mut ldif = format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n"
    );
    for number in 0..PEOPLE {
        write!(
            ldif,
            "\ndn: cn=person {number},{BASE}\nobjectClass: person\ncn: person {number}\n\
             sn: {number}\ndescription: {}\n",
            "words ".repeat(number % 100 + 1).trim_end()
        )
        .expect("a String grows");
    }
    ldif
}

/// Clients that speak in the clear fill and read a directory that serves under TLS alone.
pub fn search(kind: Kind) {
    let setting = Setting::new(kind);
    let server = Directory::start(&setting, Some(&issue(&setting, "localhost")));
    let front = setting.subject(Family::Ipv4, ports::next());
    let _subject = setting.start(&section("directory", front, server.address));
    let refused = server.client("ldapsearch", server.address, &["-b", BASE], "");
    assert!(
        refused.stderr.contains("TLS confidentiality required"),
        "{}",
        refused.stderr
    );

    server
        .client("ldapadd", front, &ADMINISTRATOR, &people())
        .succeeded();
    server.daemon.log.wait_for("STARTTLS");
    server.daemon.log.wait_for("TLS established");
    let wrong = ["-D", ADMINISTRATOR[1], "-w", "another password"];
    let refused = server.client("ldapsearch", front, &wrong, "");
    assert!(
        refused.stderr.contains("Invalid credentials (49)"),
        "{}",
        refused.stderr
    );

    let all = ["-LLL", "-o", "ldif-wrap=no", "-b", BASE];
    let found = server
        .client("ldapsearch", front, &all, "")
        .succeeded()
        .stdout;
    let found = String::from_utf8(found).expect("LDIF is ASCII");
    assert!(
        found.trim_end() == people().trim_end(),
        "the directory differs"
    );
    let one = ["-LLL", "-b", BASE, "(sn=1234)", "dn"];
    let found = server
        .client("ldapsearch", front, &one, "")
        .succeeded()
        .stdout;
    assert_eq!(
        found.escape_ascii().to_string(),
        "dn: cn=person 1234,dc=example,dc=org\\n\\n"
    );
}

/// A server that has no TLS, and one that is somebody else, are told of, and see nothing of what
/// the application has to say.
pub fn refusals(kind: Kind) {
    let setting = Setting::new(kind);
    let without = Directory::start(&setting, None);
    let other = Directory::start(&setting, Some(&issue(&setting, "other.example")));
    let fronts = [(); 2].map(|()| setting.subject(Family::Ipv4, ports::next()));
    let sections = section("without", fronts[0], without.address)
        + &section("other", fronts[1], other.address);
    let subject = setting.start(&sections);
    for (server, front, words) in [
        (
            &without,
            fronts[0],
            "LDAP response has indicated an error (2",
        ),
        (&other, fronts[1], "certificate verify failed"),
    ] {
        let refused = server.client("ldapsearch", front, &ADMINISTRATOR, "");
        assert!(!refused.status.success());
        assert!(
            refused.stderr.contains("Can't contact LDAP server"),
            "{}",
            refused.stderr
        );
        subject.wait_for(words);
        let log = &server.daemon.log;
        log.wait_for("EXT oid=1.3.6.1.4.1.1466.20037");
        log.wait_for("closed");
        assert_eq!(
            log.count(" BIND ") + log.count(" SRCH "),
            0,
            "{}",
            log.text()
        );
    }
}

/// Servers that put something into the clear, or never come to TLS.
pub fn impostors(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let front = setting.subject(Family::Ipv4, ports::next());
    let mut subject = setting.start(&format!(
        "[directory]\nclient = yes\nprotocol = ldap\naccept = {}\nconnect = {}\nTIMEOUTbusy = 3\n",
        front.port(),
        ear.address()
    ));
    let play = |answer: &[u8]| {
        let impostor = Impostor {
            greeting: b"",
            request: REQUEST,
            answer,
        };
        assert_eq!(impostor.play(&ear, front), b"");
    };
    // A search's result behind the answer, as if it had come under TLS.
    let entry = [
        b"\x30\x25\x02\x01\x02\x64\x20\x04\x1c",
        INJECTED,
        b"\x30\x00",
    ]
    .concat();
    for behind in [&entry[..], SUCCESS, b"x"] {
        let from = subject.lines();
        play(&[SUCCESS, behind].concat());
        wait_for_refusal(kind, &subject, from);
    }
    // Refusals, notices of disconnection, other messages.
    let refused = |id: u8, operation: u8, code: u8| {
        let text = [b"\x04\x1c".as_slice(), INJECTED].concat();
        let response = [&[0x0a, 1, code, 4, 0], &text[..]].concat();
        let response = [&[operation, 0x23], &response[..]].concat();
        [&[0x30, 0x28, 2, 1, id], &response[..]].concat()
    };
    for answer in [
        refused(1, 0x78, 2),
        refused(1, 0x78, 53),
        refused(0, 0x78, 52),
        refused(2, 0x78, 0),
        refused(1, 0x61, 0),
    ] {
        play(&answer);
    }
    // Lengths that are none, or that nothing fits.
    for answer in [
        &b"\x30\x80\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x00\x00"[..],
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x01",
        b"\x30\x88\0\0\0\0\0\0\0\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x78\x7f\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x00",
        b"\x30",
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        play(answer);
    }
    // Who says nothing, or half of it, holds nobody up.
    for answer in [&SUCCESS[..0], &SUCCESS[..5]] {
        let impostor = Impostor {
            greeting: b"",
            request: REQUEST,
            answer,
        };
        assert_eq!(impostor.play_and_wait(&ear, front), b"");
    }
    assert!(subject.is_running());
}

/// There is no server's side of it.
pub fn server_mode(kind: Kind) {
    let setting = Setting::new(kind);
    let words = setting.scene.refuse(&format!(
        "{GLOBALS}[directory]\nprotocol = ldap\naccept = 10389\nconnect = 10390\ncert = {}\n",
        setting.scene.files.path("server.pem")
    ));
    assert!(
        words.contains("The 'ldap' protocol is not supported in the server mode"),
        "{words}"
    );
}

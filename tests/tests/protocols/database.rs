//! Databases: PostgreSQL's server and psql, and peers that only seem to be one of them.

mod packets;
mod server;

use std::io::{Cursor, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::Command;

use stockade_tests::client::{self, TlsStream, tcp};
use stockade_tests::process::{self, Finished};
use stockade_tests::stunnel::authority::Leaf;
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::Kind;
use stockade_tests::{PATIENCE, certificates};

use packets::{AUTHENTICATION_OK, CANCEL_REQUEST, GSS_ENCRYPTION_REQUEST, SSL_REQUEST, TERMINATE};
use server::{Data, Postgres};

use crate::impostor::{INJECTED, Impostor, contains, read_to_end, wait_for_refusal};
use crate::setting::{Ear, Family, Setting, WORDS, say};

/// A large table, and the query that makes it.
const NUMBERS: &str = "SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 20000) n";
/// The settings of clients that want no TLS.
const PLAIN: &str = "sslmode=disable gssencmode=disable";

/// The settings of clients that verify the server.
fn verifying(setting: &Setting) -> String {
    let authority = setting.scene.files.path("ca.pem");
    format!("sslmode=verify-full sslrootcert={authority}")
}

/// Large amounts go both ways, and many come at once.
fn works(postgres: &Postgres<'_>, front: SocketAddr, settings: &str, direct: &str) {
    let copy = format!("COPY ({NUMBERS}) TO STDOUT");
    let rows = |server, settings, command: &str| {
        postgres
            .psql(server, settings, &[command], Vec::new())
            .succeeded()
            .stdout
    };
    let through = rows(front, settings, &copy);
    assert!(through.len() > 6_000_000, "{} bytes", through.len());
    assert!(
        through == rows(postgres.address, direct, &copy),
        "the result differs"
    );

    let commands = ["CREATE TABLE t (n int, words text)", "COPY t FROM STDIN"];
    postgres
        .psql(front, settings, &commands, through.clone())
        .succeeded();
    let kept = rows(
        postgres.address,
        direct,
        "COPY (SELECT * FROM t ORDER BY n) TO STDOUT",
    );
    assert!(through == kept, "the table differs");
    assert_eq!(postgres.bench(front, settings), "100/100");
}

/// psql, Debian's stunnel and openssl reach a database that has no TLS of its own.
pub fn server_mode(kind: Kind) {
    let setting = Setting::new(kind);
    let data = Data::create();
    let postgres = data.serve(setting.host(), None);
    let front = setting.subject(Family::Ipv4, ports::next());
    let subject = setting.start(&format!(
        "[database]\nprotocol = pgsql\naccept = {}\nconnect = {}\ncert = {{dir}}/server.pem\n",
        front.port(),
        postgres.address
    ));
    let verified = verifying(&setting);
    let without_kerberos = format!("{verified} gssencmode=disable");
    assert_eq!(postgres.ask(front, &without_kerberos, "SELECT 6 * 7"), "42");

    // Another encryption first; only with the second of these one sees that it was asked for.
    let settings = format!("{verified} gssencmode=prefer");
    assert_eq!(postgres.ask(front, &settings, "SELECT 6 * 7"), "42");
    let settings = format!("{verified} gssencmode=require");
    let refused = postgres.psql(front, &settings, &["SELECT 6 * 7"], Vec::new());
    let words = match kind {
        // Debian's answers with an error, and psql connects anew without asking.
        Kind::Debian => "GSSAPI encryption required but was impossible",
        _ => "server doesn't support GSSAPI encryption",
    };
    assert!(refused.stderr.contains(words), "{}", refused.stderr);

    // Without any.
    let before = postgres.connections();
    let refused = postgres.psql(front, PLAIN, &["SELECT 6 * 7"], Vec::new());
    assert!(!refused.status.success());
    subject.wait_for("PostgreSQL client did not request TLS, rejecting");
    assert_eq!(postgres.connections(), before);

    let files = Files::create();
    let plain = SocketAddr::new(setting.host(), ports::next());
    let conf = format!(
        "{GLOBALS}[client]\nclient = yes\nprotocol = pgsql\naccept = {plain}\nconnect = {front}\n\
         CAfile = {}\nverifyChain = yes\ncheckHost = localhost\n",
        setting.scene.files.path("ca.pem")
    );
    let _peer = Debian::start(&files.add("stunnel.conf", conf));
    assert_eq!(postgres.ask(plain, PLAIN, "SELECT 6 * 7"), "42");

    let asked = ask_by_hand(&setting, front, &["-starttls", "postgres"]);
    assert!(is_answered(&asked), "{}", asked.stderr);
    works(&postgres, front, &without_kerberos, PLAIN);
}

/// psql, which speaks in the clear, reaches a database that serves under TLS alone.
pub fn client_mode(kind: Kind) {
    let setting = Setting::new(kind);
    let data = Data::create();
    let identity = setting
        .authority
        .issue(&Leaf::named("server").dns("localhost"));
    let postgres = data.serve(setting.host(), Some(&identity));
    let front = setting.subject(Family::Ipv4, ports::next());
    let _subject = setting.start(&section("database", front, postgres.address));
    let refused = postgres.psql(postgres.address, PLAIN, &["SELECT 6 * 7"], Vec::new());
    assert!(
        refused.stderr.contains("no encryption"),
        "{}",
        refused.stderr
    );
    let command = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(postgres.ask(front, PLAIN, command), "t|TLSv1.3");
    works(
        &postgres,
        front,
        PLAIN,
        &format!("{} gssencmode=disable", verifying(&setting)),
    );
}

/// A service in client mode.
fn section(name: &str, front: SocketAddr, server: SocketAddr) -> String {
    format!(
        "[{name}]\nclient = yes\nprotocol = pgsql\naccept = {}\nconnect = {server}\n\
         CAfile = {{dir}}/ca.pem\nverifyChain = yes\ncheckHost = localhost\n",
        front.port()
    )
}

/// A database that has no TLS, and one that is somebody else, are told of, and see nothing of what
/// the application has to say.
pub fn refusals(kind: Kind) {
    let setting = Setting::new(kind);
    let both = [Data::create(), Data::create()];
    let other = setting
        .authority
        .issue(&Leaf::named("server").dns("other.example"));
    let servers = [
        both[0].serve(setting.host(), None),
        both[1].serve(setting.host(), Some(&other)),
    ];
    let fronts = [(); 2].map(|()| setting.subject(Family::Ipv4, ports::next()));
    let sections = section("without", fronts[0], servers[0].address)
        + &section("other", fronts[1], servers[1].address);
    let subject = setting.start(&sections);
    for (postgres, front, words) in [
        (&servers[0], fronts[0], "PostgreSQL server rejected TLS"),
        (&servers[1], fronts[1], "certificate verify failed"),
    ] {
        let refused = postgres.psql(front, PLAIN, &["SELECT 6 * 7"], Vec::new());
        assert!(!refused.status.success());
        subject.wait_for(words);
        // It can be reached.
        postgres.daemon().log.wait_for("connection received: ");
        assert_eq!(postgres.users(), 0, "{}", postgres.daemon().log.text());
    }
}

/// TLS without SSLRequest (PostgreSQL documentation, "SSL Session Encryption"): only for those that
/// name the protocol.
pub fn direct(kind: Kind) {
    let setting = Setting::new(kind);
    let data = Data::create();
    let postgres = data.serve(setting.host(), None);
    let [both, alone] = [(); 2].map(|()| setting.subject(Family::Ipv4, ports::next()));
    let connect = postgres.address;
    let subject = setting.start(&format!(
        "cert = {{dir}}/server.pem\n\
         [both]\nprotocol = pgsql\naccept = {}\nconnect = {connect}\n\
         [alone]\nalpn = postgresql\naccept = {}\nconnect = {connect}\n",
        both.port(),
        alone.port()
    ));
    let by_request = ["-starttls", "postgres"];
    let named = ["-alpn", "postgresql"];
    for (front, arguments) in [
        (both, &named[..]),
        (both, &["-alpn", "postgresql", "-tls1_2"]),
        (both, &["-alpn", "h2,postgresql"]),
        (both, &by_request),
        (both, &[by_request, named].concat()),
        (alone, &named),
    ] {
        let asked = ask_by_hand(&setting, front, arguments);
        assert!(is_answered(&asked), "{arguments:?}: {}", asked.stderr);
    }
    let before = postgres.connections();
    for (front, arguments) in [
        (both, &["-alpn", "h2"][..]),
        (both, &["-alpn", "h2", "-tls1_2"]),
        (both, &["-alpn", "postgresq,postgresql1"]),
        (both, &[by_request, ["-alpn", "h2"]].concat()),
        (alone, &["-alpn", "h2"]),
    ] {
        let asked = ask_by_hand(&setting, front, arguments);
        assert!(!is_answered(&asked), "{arguments:?}");
        let words = "alert no application protocol";
        assert!(
            asked.stderr.contains(words),
            "{arguments:?}: {}",
            asked.stderr
        );
    }
    let asked = ask_by_hand(&setting, both, &[]);
    assert!(!is_answered(&asked));
    subject.wait_for("TLS without SSLRequest, and without ALPN protocol");
    assert_eq!(postgres.connections(), before);

    // psql behind a client that begins so, too.
    let client = Setting::new(crate::LAUNCHED);
    client
        .scene
        .files
        .add("ca.pem", setting.authority.certificate());
    let plain = client.subject(Family::Ipv4, ports::next());
    let _client = client.start(&format!(
        "client = yes\nCAfile = {{dir}}/ca.pem\nverifyChain = yes\ncheckHost = localhost\n\
         [both]\nalpn = postgresql\naccept = {}\nconnect = {both}\n",
        plain.port()
    ));
    works(&postgres, plain, PLAIN, PLAIN);
}

/// Clients that mix what is in the clear with what TLS protects, or ask for no TLS: none is led to
/// the database.
pub fn intruders(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let front = setting.subject(Family::Ipv4, ports::next());
    let mut subject = setting.start(&format!(
        "[database]\nprotocol = pgsql\naccept = {}\nconnect = {}\ncert = {{dir}}/server.pem\n\
         TIMEOUTbusy = 3\n",
        front.port(),
        ear.address()
    ));
    let startup = packets::startup();
    let query = packets::query("SELECT 6 * 7");
    let both = [GSS_ENCRYPTION_REQUEST, SSL_REQUEST].concat();
    let intrude = |said: &[u8]| {
        let mut intruder = tcp(front).expect("somebody listens");
        intruder.write_all(said).expect("an open connection");
        // It may have been shown the door by now.
        let _ = intruder.shutdown(Shutdown::Write);
        let heard = read_to_end(&mut intruder);
        let case = said.escape_ascii();
        assert!(!contains(&heard, AUTHENTICATION_OK), "{case}");
        assert!(ear.has_heard_nothing(), "{case}");
    };
    // CVE-2021-23214.
    for said in [
        [SSL_REQUEST, &query].concat(),
        [SSL_REQUEST, &startup, &query].concat(),
        [SSL_REQUEST, b"x"].concat(),
        [SSL_REQUEST, SSL_REQUEST].concat(),
    ] {
        let from = subject.lines();
        intrude(&said);
        wait_for_refusal(kind, &subject, from);
    }
    for said in [
        [&both[..], &query].concat(),
        [GSS_ENCRYPTION_REQUEST, &startup].concat(),
        startup.clone(),
        CANCEL_REQUEST.to_vec(),
        query.clone(),
        b"\0\0\0\x08\x04\xd2\x16\x31".to_vec(),
        b"\0\0\0\x09\x04\xd2\x16\x2f".to_vec(),
        b"\xff\xff\xff\xff\x04\xd2\x16\x2f".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x16\x03\x01".to_vec(),
        SSL_REQUEST[..7].to_vec(),
        Vec::new(),
    ] {
        intrude(&said);
    }
    // Who says nothing, or half of it, holds nobody up.
    for said in [
        &b""[..],
        &SSL_REQUEST[..4],
        GSS_ENCRYPTION_REQUEST,
        SSL_REQUEST,
    ] {
        let mut silent = tcp(front).expect("somebody listens");
        silent.write_all(said).expect("an open connection");
        read_to_end(&mut silent);
        assert!(ear.has_heard_nothing(), "{}", said.escape_ascii());
    }
    // The same port for an honest client, whose request comes in single bytes.
    let mut honest = tcp(front).expect("somebody listens");
    for byte in SSL_REQUEST {
        honest.write_all(&[*byte]).expect("an open connection");
    }
    let mut answer = [0];
    honest.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, *b"S");
    let client = client::build(setting.options());
    let mut honest = TlsStream::open(honest, &client).expect("a right name");
    honest.complete_handshake().expect("a right certificate");
    say(&mut honest);
    assert_eq!(ear.hear(), WORDS);
    assert!(subject.is_running());
}

/// TLS itself, whole and right, but begun before the go-ahead came: nobody knows who put what in
/// front of it.
pub fn too_early(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let front = setting.subject(Family::Ipv4, ports::next());
    let subject = setting.start(&format!(
        "[database]\nprotocol = pgsql\naccept = {}\nconnect = {}\ncert = {{dir}}/server.pem\n",
        front.port(),
        ear.address()
    ));
    let client = client::build(setting.options());
    let tls = client.connect(Some(certificates::NAME));
    let mut tls = tls.unwrap_or_else(|error| panic!("{error}"));
    let mut hello = vec![0; tls.pending_output()];
    tls.transmit(&mut hello);
    let mut intruder = tcp(front).expect("somebody listens");
    let said = [SSL_REQUEST, &hello].concat();
    intruder.write_all(&said).expect("an open connection");
    assert_eq!(read_to_end(&mut intruder), b"");
    subject.wait_for("Data arrived in the clear where TLS begins");
    assert!(ear.has_heard_nothing());
}

/// Servers that put something into the clear, or never come to TLS.
pub fn impostors(kind: Kind) {
    let setting = Setting::new(kind);
    let ear = Ear::listen(setting.host());
    let front = setting.subject(Family::Ipv4, ports::next());
    let mut subject = setting.start(&format!(
        "[database]\nclient = yes\nprotocol = pgsql\naccept = {}\nconnect = {}\nTIMEOUTbusy = 3\n",
        front.port(),
        ear.address()
    ));
    let error = [b"E\0\0\0\x23M".as_slice(), INJECTED, b"\0\0"].concat();
    let play = |answer: &[u8]| {
        let impostor = Impostor {
            greeting: b"",
            request: SSL_REQUEST,
            answer,
        };
        assert_eq!(impostor.play(&ear, front), b"");
    };
    // CVE-2021-23222.
    for answer in [
        [b"S", &error[..]].concat(),
        [b"S", AUTHENTICATION_OK].concat(),
        [b"S", INJECTED].concat(),
        b"SS".to_vec(),
        b"SN".to_vec(),
    ] {
        let from = subject.lines();
        play(&answer);
        wait_for_refusal(kind, &subject, from);
    }
    for answer in [
        [b"N", AUTHENTICATION_OK].concat(),
        [b"N", INJECTED].concat(),
        b"N".to_vec(),
        b"G".to_vec(),
        error.clone(),
        INJECTED.to_vec(),
        b"S".to_vec(),
        Vec::new(),
    ] {
        play(&answer);
    }
    // Who says nothing holds nobody up.
    for answer in [&b""[..], b"S"] {
        let impostor = Impostor {
            greeting: b"",
            request: SSL_REQUEST,
            answer,
        };
        assert_eq!(impostor.play_and_wait(&ear, front), b"");
    }
    assert!(subject.is_running());
}

/// `openssl s_client` with these arguments, and a query in PostgreSQL's own bytes.
fn ask_by_hand(setting: &Setting, front: SocketAddr, arguments: &[&str]) -> Finished<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-noservername",
    ]);
    command.args([
        "-verify_hostname",
        certificates::NAME,
        "-connect",
        &front.to_string(),
    ]);
    command
        .arg("-CAfile")
        .arg(setting.scene.files.path("ca.pem"));
    command.args(arguments);
    let said = [
        &packets::startup(),
        &packets::query("SELECT 6 * 7")[..],
        TERMINATE,
    ]
    .concat();
    process::start(&mut command, Cursor::new(said), Vec::new()).finish(PATIENCE)
}

/// Whether a query's result has come.
fn is_answered(asked: &Finished<Vec<u8>>) -> bool {
    // A DataRow of one column.
    let row = b"D\0\0\0\x0c\0\x01\0\0\0\x0242";
    contains(&asked.stdout, AUTHENTICATION_OK) && contains(&asked.stdout, row)
}

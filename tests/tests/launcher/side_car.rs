//! What a side-car stands between: a server that speaks TLS with mutual authentication, its own
//! certificates, and clients of a UNIX socket.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use rustix::process::Signal;
use stockade_tests::PATIENCE;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::launcher::place::Place;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::ports;
use stockade_tests::wait_until;

use crate::scene::LOOPBACK;

/// The common name of the server's certificate, which names nothing else.
pub const NAME: &str = "civicrmdbproxy";

/// A place with a backend, and the certificates of both sides.
pub struct SideCar {
    pub place: Place,
    pub backend: Backend,
    /// Where the server speaks TLS, once it is started.
    pub remote: SocketAddr,
}

impl SideCar {
    /// Makes certificates as users make them: an authority, and leaves of X.509 version 1 with a common
    /// name alone (`openssl x509 -req`). No server is started yet.
    pub fn new() -> SideCar {
        let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
        let car = SideCar {
            place,
            backend: Backend::start(LOOPBACK, Mode::Commands),
            remote: SocketAddr::new(LOOPBACK, ports::next()),
        };
        car.authority("ca", "Test CA");
        car.leaf("server", NAME, "ca");
        car.leaf("client", "civicrm", "ca");
        car
    }

    /// The path of a file of this place.
    pub fn path(&self, name: &str) -> String {
        self.place.files.path(name)
    }

    /// Makes an authority: `NAME.pem`, `NAME.key`.
    pub fn authority(&self, name: &str, common_name: &str) {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let subject = format!("/CN={common_name}");
        self.openssl(&[
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ],
            &[
                "-days",
                "30",
                "-subj",
                &subject,
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
        ]);
    }

    /// Makes a leaf: `NAME.pem`, `NAME.key`.
    pub fn leaf(&self, name: &str, common_name: &str, authority: &str) {
        let [certificate, key, request] =
            ["pem", "key", "csr"].map(|kind| format!("{name}.{kind}"));
        let subject = format!("/CN={common_name}");
        self.openssl(&[
            &[
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ],
            &["-subj", &subject, "-keyout", &key, "-out", &request],
        ]);
        let [issuer, issuers] = ["pem", "key"].map(|kind| format!("{authority}.{kind}"));
        self.openssl(&[
            &[
                "x509", "-req", "-in", &request, "-CA", &issuer, "-CAkey", &issuers,
            ],
            &["-set_serial", "7", "-days", "30", "-out", &certificate],
        ]);
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(&key), private).expect("our own file");
    }

    fn openssl(&self, words: &[&[&str]]) {
        let mut command = Command::new("openssl");
        let made = command
            .args(words.concat())
            .current_dir(self.place.files.folder())
            .output();
        let made = made.unwrap_or_else(|error| panic!("cannot start openssl: {error}"));
        let words = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{command:?}: {words}");
    }

    /// Starts Debian's stunnel as the server: it takes clients with a certificate of the authority.
    pub fn serve(&self) -> Debian {
        let [certificate, key, authority] =
            ["server.pem", "server.key", "ca.pem"].map(|name| self.path(name));
        let (accept, connect) = (self.remote, self.backend.address());
        let conf = format!(
            "{GLOBALS}[db]\naccept = {accept}\nconnect = {connect}\ncert = {certificate}\nkey = {key}\n\
             CAfile = {authority}\nverifyChain = yes\n"
        );
        Debian::start(&self.place.files.add("server.conf", conf))
    }

    /// Starts OpenSSL's server instead, which answers each line reversed.
    pub fn serve_reversed(&self, words: &[&str]) -> Daemon {
        let mut command = Command::new("openssl");
        command.current_dir(self.place.files.folder());
        command.args(["s_server", "-accept", &self.remote.to_string(), "-rev"]);
        command
            .args(["-cert", "server.pem", "-key", "server.key"])
            .args(words);
        Daemon::start(&mut command, "ACCEPT")
    }

    /// The proxy's socket.
    pub fn socket(&self) -> String {
        self.path("mysqld.sock")
    }

    /// The options of a proxy, mutual TLS and all. `words` take the place of those that are there
    /// already, or stand behind.
    pub fn options(&self, words: &[&str]) -> Vec<String> {
        let [certificate, key, authority] =
            ["client.pem", "client.key", "ca.pem"].map(|name| self.path(name));
        let (listen, connect) = (format!("unix:{}", self.socket()), self.remote.to_string());
        let own = [
            "--listen",
            &listen,
            "--connect",
            &connect,
            "--cert",
            &certificate,
            "--key",
            &key,
            "--cafile",
            &authority,
            "--commonname",
            NAME,
        ];
        let mut all = own.map(str::to_owned).to_vec();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match all.iter().position(|known| known == word) {
                Some(at) => all[at + 1] = (*words.next().expect("a value")).to_owned(),
                None => all.push((*word).to_owned()),
            }
        }
        all
    }

    /// The same words for a proxy of this place's image, emulated.
    pub fn command(&self, words: &[String]) -> Command {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = Place::run_words(&[]);
        let image = run.last().expect("the image is the last");
        let own = ["proxy", "--accel", "tcg", "--image", image];
        self.place.command(&[&own, words.as_slice()].concat())
    }

    /// Starts a proxy with its usual options and these, and waits for its socket.
    pub fn start(&self, words: &[&str]) -> Program {
        self.start_with(&self.options(words))
    }

    /// The same with these options alone.
    pub fn start_with(&self, options: &[String]) -> Program {
        let program = Program::spawn(&self.command(options));
        program.log.wait_for("listening on ");
        program
    }

    /// What a client that says this hears before its connection ends.
    pub fn ask(&self, words: &[u8]) -> io::Result<Vec<u8>> {
        let mut client = connect(&self.socket());
        client.write_all(words)?;
        client.shutdown(Shutdown::Write)?;
        let mut heard = Vec::new();
        client.read_to_end(&mut heard)?;
        Ok(heard)
    }

    /// A connection over which an echo has come.
    pub fn begin_echo(&self) -> UnixStream {
        let mut client = connect(&self.socket());
        client.write_all(b"ECHO\n").expect("the command is taken");
        echo(&mut client, b"hello");
        client
    }

    /// Sees that a whole connection is carried.
    pub fn expect_echo(&self) {
        assert_eq!(
            self.ask(b"ECHO\nover TLS").expect("an orderly end"),
            b"over TLS"
        );
    }

    /// Sees that a client's connection ends without a byte.
    pub fn expect_nothing(&self) {
        match self.ask(b"ECHO\nover TLS") {
            Ok(heard) => assert_eq!(heard, b""),
            // Its words came when nobody was there to read them.
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                ),
                "{error}"
            ),
        }
    }
}

/// Says `words` to an echoing backend and hears them again.
pub fn echo(client: &mut UnixStream, words: &[u8]) {
    client.write_all(words).expect("an open connection");
    let mut heard = vec![0; words.len()];
    client.read_exact(&mut heard).expect("an echo");
    assert_eq!(heard, words);
}

/// A client of the socket at this path.
pub fn connect(socket: &str) -> UnixStream {
    let client = wait_until(PATIENCE, || UnixStream::connect(socket).ok());
    let client = client.unwrap_or_else(|| panic!("nobody listens at {socket}"));
    let limited = client
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| client.set_write_timeout(Some(PATIENCE)));
    limited.expect("a socket option of an open socket");
    client
}

/// Ends a program by this signal; gives its status.
pub fn end(program: &mut Program, signal: Signal) -> Option<i32> {
    program.signal(signal);
    program.finish().code()
}

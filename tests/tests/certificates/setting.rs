//! What the scenarios have in common: a link of their own with a repository on it, a backend, and
//! the tunnel.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use stockade_config::archive::Builder;
use stockade_host::Network;
use stockade_store::notice::{NONCE, Outcome, Pass, TellError, Teller};
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::client::{self, TlsStream};
use stockade_tests::hosted::{self, MEMORY_MIB};
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::peers::acme::Authorities;
use stockade_tests::peers::git::Repository;
use stockade_tests::stunnel::authority::{Authority, Leaf, Pair, self_signed};
use stockade_tests::tap::Tap;
use stockade_tests::vm::{self, Machine};
use stockade_tests::{PATIENCE, process, wait_until};
use stockade_tls::{Client, ClientOptions, PeerCertificate, WallClock};

/// The host that most scenarios have.
pub const WWW: &str = "www.example.org";
/// What those know who may tell of changes.
pub const PASS: &str = "a pass drawn at random";
/// Where they tell.
const NOTICES: u16 = 9418;

/// How the tunnel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As a process.
    Hosted,
    /// As the image, in QEMU.
    Booted,
}

/// A place for one scenario.
pub struct Scene {
    kind: Kind,
    ssh_key: String,
    options: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    has_store: bool,
    knows_host_key: bool,
    clock_ahead: i64,
    pub repository: Repository,
    pub backend: Backend,
    pub tap: Tap,
}

/// The tunnel, once it is started. Ended when dropped.
pub enum Tunnel {
    Hosted(hosted::guest::Guest),
    Booted(vm::Guest),
}

impl Scene {
    /// An empty repository that the tunnel may log in to, and a backend.
    pub fn new(kind: Kind) -> Scene {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).expect("entropy");
        let key = format!("ed25519:{}", Base64::encode_string(&seed));
        Scene::with_key(kind, &key, &authorized(&seed))
    }

    /// The same for a tunnel with this key, as `--ssh-key` takes it, and the line for
    /// `authorized_keys` that belongs to it.
    pub fn with_key(kind: Kind, ssh_key: &str, authorized: &str) -> Scene {
        let tap = Tap::create();
        Scene {
            kind,
            ssh_key: ssh_key.to_owned(),
            options: Vec::new(),
            files: Vec::new(),
            has_store: true,
            knows_host_key: true,
            clock_ahead: 0,
            repository: Repository::start(tap.host(), authorized),
            backend: Backend::start(tap.host(), Mode::Commands),
            tap,
        }
    }

    /// With one more option.
    pub fn option(mut self, option: &str) -> Scene {
        self.options.push(option.to_owned());
        self
    }

    /// With this authority.
    pub fn authority(self, authority: &Authorities) -> Scene {
        self.directory(&authority.directory, &authority.trusted)
    }

    /// With the authority whose directory is here and trusted by this.
    pub fn directory(mut self, directory: &str, trusted: &str) -> Scene {
        self.files
            .push(("authority.pem".to_owned(), trusted.as_bytes().to_vec()));
        self.option(&format!("--authority={directory}"))
            .option("--authority-ca=file:authority.pem")
    }

    /// Without a word on the repository.
    pub fn without_store(mut self) -> Scene {
        self.has_store = false;
        self
    }

    /// With a clock that is ahead by this many seconds, or behind.
    pub fn clock_ahead(mut self, seconds: i64) -> Scene {
        self.clock_ahead = seconds;
        self
    }

    /// Without a word on whom the repository's server is known by.
    pub fn without_host_key(mut self) -> Scene {
        self.knows_host_key = false;
        self
    }

    /// With a file of the boot archive.
    pub fn file(mut self, name: &str, content: &str) -> Scene {
        self.files
            .push((name.to_owned(), content.as_bytes().to_vec()));
        self
    }

    /// The key that the tunnel logs in with, as `--ssh-key` takes it.
    pub fn ssh_key(&self) -> &str {
        &self.ssh_key
    }

    /// The tunnel's command line.
    fn line(&self) -> String {
        // The backends of these scenarios speak a protocol of the tests' own.
        let mut line = format!(
            "--ipv4={}/{} --ipv4-gateway={} --mode=tcp --log=debug",
            self.tap.guest(),
            Tap::PREFIX,
            self.tap.host(),
        );
        if self.has_store {
            let remote = self.repository.remote();
            line += &format!(" --remote={remote} --ssh-key=file:key.txt --pass=file:pass.txt");
        }
        let is_given = |option: &String| option.starts_with("--ssh-host-key");
        if self.has_store && self.knows_host_key && !self.options.iter().any(is_given) {
            line += &format!(" --ssh-host-key={}", self.repository.host_key());
        }
        for option in &self.options {
            line = line + " " + option;
        }
        line
    }

    /// Starts the tunnel and waits until it has begun.
    pub fn start(&self) -> Tunnel {
        let key = &self.ssh_key;
        let mut files: Vec<(&str, &[u8])> =
            vec![("key.txt", key.as_bytes()), ("pass.txt", PASS.as_bytes())];
        files.extend(
            self.files
                .iter()
                .map(|(name, bytes)| (name.as_str(), &bytes[..])),
        );
        match self.kind {
            Kind::Hosted => {
                let mut builder = Builder::default();
                for (name, bytes) in files {
                    builder.file(name, bytes).expect("names that differ");
                }
                let archive = MemoryFile::new(builder.finish());
                let options = hosted::Options {
                    tap: self.tap.name().to_owned(),
                    memory_mib: MEMORY_MIB,
                    offload: true,
                    clock_ahead: self.clock_ahead,
                };
                let program = env!("CARGO_BIN_EXE_stockade-hosted");
                let path = archive.path();
                let line = self.line();
                let guest = hosted::guest::Guest::start_with(program, &options, Some(&path), &line);
                guest.wait_until_ready();
                Tunnel::Hosted(guest)
            }
            Kind::Booted => {
                let network = Network::Tap {
                    name: self.tap.name().to_owned(),
                };
                let mut qemu = Machine::Microvm.qemu().network(network);
                for (name, bytes) in files {
                    qemu = qemu.file(name, bytes);
                }
                let guest = vm::Guest::start(&qemu.kernel_line(self.line()));
                guest.wait_until_ready();
                Tunnel::Booted(guest)
            }
        }
    }

    /// Where the tunnel is.
    pub fn server(&self, port: u16) -> SocketAddr {
        (self.tap.guest(), port).into()
    }

    /// A host's file as `stockade add` and contruno.add write it for a certificate yet to be issued:
    /// with one that has expired.
    pub fn placeholder(&self, name: &str) -> Value {
        let pair = self_signed(&Leaf::named(name).dns(name).expired());
        self.host(&pair)
    }

    /// A host's file with this certificate and the scene's backend.
    pub fn host(&self, pair: &Pair) -> Value {
        let backend = self.backend.address();
        json!({
            "own_cert": [[pair.certificate], pair.key],
            "ip": backend.ip().to_string(),
            "port": backend.port(),
        })
    }

    /// A connection to this host of a client that trusts `root` alone.
    ///
    /// # Errors
    /// There is none, or its certificate is not right.
    pub fn connect(&self, root: &str, name: &str) -> io::Result<TlsStream> {
        TlsStream::connect_to(self.server(443), &trusting(root), Some(name))
    }

    /// Waits until a client that trusts `root` alone is served this host; gives what it was shown.
    pub fn wait_for_host(&self, root: &str, name: &str) -> PeerCertificate {
        self.wait_for_certificate(root, name, |_| true)
    }

    /// The same, until what it is shown is as it is wanted.
    pub fn wait_for_certificate(
        &self,
        root: &str,
        name: &str,
        wanted: impl Fn(&PeerCertificate) -> bool,
    ) -> PeerCertificate {
        let mut last = None;
        let shown = wait_until(PATIENCE, || {
            // Not more often than a few times a second.
            std::thread::sleep(std::time::Duration::from_millis(150));
            match self.connect(root, name) {
                Ok(mut stream) => {
                    let shown = shown(&stream);
                    let _ = stream.finish();
                    wanted(&shown).then_some(shown)
                }
                Err(error) => {
                    last = Some(error);
                    None
                }
            }
        });
        shown.unwrap_or_else(|| panic!("{name} is not served as it should be; last: {last:?}"))
    }

    /// Asserts that a page comes from the backend through this host.
    pub fn expect_page(&self, root: &str, name: &str) {
        let mut stream = self
            .connect(root, name)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        expect_page(&mut stream, name);
    }

    /// Tells the tunnel that the store has changed; gives what came of it.
    ///
    /// # Errors
    /// It refuses.
    pub fn tell(&self, pass: &str) -> Result<Outcome, TellError> {
        let mut stream = tcp(self.server(NOTICES));
        let pass = Pass::new(pass.as_bytes()).expect("a pass of the tests");
        let mut nonce = [0; NONCE];
        SystemRandom::new().fill(&mut nonce).expect("entropy");
        let mut teller = Teller::new(pass, nonce, now());
        let mut bytes = [0; 4096];
        loop {
            stream.write_all(&teller.departing()).expect("it is taken");
            let length = stream.read(&mut bytes).expect("an answer in time");
            if length == 0 {
                teller.receive_end()?;
            }
            if let Some(told) = teller.receive(&bytes[..length])? {
                return Ok(told.outcome);
            }
        }
    }

    /// Tells it, and asserts that so many hosts are served.
    pub fn tell_of_hosts(&self, count: u32) {
        match self.tell(PASS) {
            Ok(Outcome::Done { hosts, .. }) => assert_eq!(hosts, count),
            other => panic!("{other:?}"),
        }
    }

    /// Where contruno's tellers write to.
    pub fn notices(&self) -> SocketAddr {
        self.server(NOTICES)
    }
}

impl Tunnel {
    /// Everything logged so far.
    pub fn log(&self) -> String {
        match self {
            Tunnel::Hosted(guest) => guest.log(),
            Tunnel::Booted(guest) => guest.log(),
        }
    }

    /// Waits for a line of the log that holds `needle`.
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_after(0, needle)
    }

    /// The same among the lines from number `from` on.
    pub fn wait_for_after(&self, from: usize, needle: &str) -> String {
        match self {
            Tunnel::Hosted(guest) => guest.wait_for_after(from, needle),
            Tunnel::Booted(guest) => guest.wait_for_after(from, needle),
        }
    }

    /// How many lines the log has.
    pub fn lines(&self) -> usize {
        match self {
            Tunnel::Hosted(guest) => guest.lines(),
            Tunnel::Booted(guest) => guest.lines(),
        }
    }
}

/// The line of `authorized_keys` for the key that grows from this seed (RFC 8709 §4), made by other
/// code than the product's.
fn authorized(seed: &[u8; 32]) -> String {
    const KIND: &[u8] = b"ssh-ed25519";
    let key = Ed25519KeyPair::from_seed_unchecked(seed).expect("any seed is one");
    let mut blob = Vec::new();
    for part in [KIND, key.public_key().as_ref()] {
        blob.extend((part.len() as u32).to_be_bytes());
        blob.extend(part);
    }
    format!("ssh-ed25519 {} stockade\n", Base64::encode_string(&blob))
}

/// A client that trusts `root` alone.
fn trusting(root: &str) -> Client {
    let clock = WallClock::new(now());
    client::build(ClientOptions::new(vec![root.as_bytes().to_vec()], clock))
}

/// What the server has shown.
pub fn shown(stream: &TlsStream) -> PeerCertificate {
    stream.peer().expect("every server shows a certificate")
}

/// Asserts that a page comes through this connection; the connection is over then.
pub fn expect_page(stream: &mut TlsStream, name: &str) {
    let request = format!("GET /bytes/5000 HTTP/1.1\r\nHost: {name}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    stream.finish().expect("a connection that lives");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("an answer to its end");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = answer.len() - end.expect("a header section") - 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(body, 5000);
}

/// What the program `stockade` prints with these words; panics when it fails.
pub fn stockade(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-launched"));
    command.args(words);
    let finished = process::start(&mut command, &[][..], Vec::new()).finish(PATIENCE);
    String::from_utf8_lossy(&finished.succeeded().stdout).into_owned()
}

/// What an HTTP server in the clear answers to this request line for this host, whole.
pub fn in_the_clear(server: SocketAddr, line: &str, host: &str) -> String {
    let mut stream = tcp(server);
    let request = format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A TCP connection; panics where there is none.
pub fn tcp(server: SocketAddr) -> TcpStream {
    client::tcp(server).unwrap_or_else(|error| panic!("{server}: {error}"))
}

/// Seconds since 1970, UTC.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs())
}

/// A certificate for these names that `authority` vouches for.
pub fn issue(authority: &Authority, names: &[&str]) -> Pair {
    let leaf = Leaf::named(names[0]);
    authority.issue(&names.iter().fold(leaf, |leaf, name| leaf.dns(name)))
}

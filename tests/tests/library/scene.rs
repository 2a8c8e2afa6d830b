//! Servers that speak TLS, and clients that do not.

use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use stockade::{
    Accel, Config, Error, Event, Image, Options, Proxy, ProxyPool, Remote, Verification,
};
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::stunnel::authority::{Authority, Leaf, Pair};
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, namespace, vm, wait_until};

/// This host, as the proxies know it.
pub const LOOPBACK: &str = "127.0.0.1";

/// Whose TLS is behind a proxy.
#[derive(Clone, Copy, Debug)]
pub enum Server {
    /// Debian's stunnel, with an echoing backend.
    Stunnel,
    /// `openssl s_server`, which answers HTTP requests.
    OpenSsl,
}

/// An authority, files, and a backend.
pub struct Scene {
    pub files: Files,
    pub authority: Authority,
    backend: Backend,
}

impl Scene {
    pub fn new() -> Scene {
        namespace::require();
        let files = Files::create();
        let authority = Authority::new("The Authority");
        files.add("ca.pem", authority.certificate());
        let loopback: IpAddr = LOOPBACK.parse().expect("an address");
        Scene {
            files,
            authority,
            backend: Backend::start(loopback, Mode::Commands),
        }
    }

    /// The authority's certificate.
    pub fn bundle(&self) -> String {
        self.files.path("ca.pem")
    }

    /// A certificate for `server.example` that nothing is wrong with.
    pub fn good(&self) -> Pair {
        self.authority.issue(&named())
    }

    /// A server with this certificate, and its port.
    pub fn serve(&self, server: Server, pair: &Pair) -> (Daemon, u16) {
        let port = ports::next();
        let pem = self.files.add(&format!("server-{port}.pem"), pair.both());
        let daemon = match server {
            Server::Stunnel => {
                let text = format!(
                    "foreground = yes\nsyslog = no\ndebug = 7\npid =\n[tls]\n\
                     accept = {LOOPBACK}:{port}\nconnect = {}\ncert = {pem}\n",
                    self.backend.address()
                );
                let conf = self.files.add(&format!("server-{port}.conf"), text);
                let mut command = Command::new("stunnel");
                Daemon::start(command.arg(conf), "Accepting new connections")
            }
            Server::OpenSsl => {
                let mut command = Command::new("openssl");
                command.args(["s_server", "-4", "-www", "-accept", &port.to_string()]);
                // All of them are sent, the authority's too where there is one.
                command.args(["-cert", &pem, "-key", &pem, "-cert_chain", &pem]);
                Daemon::start(&mut command, "ACCEPT")
            }
        };
        (daemon, port)
    }

    /// A proxy's configuration, with its socket among the scene's files.
    pub fn config(&self, port: u16, verification: Option<Verification>) -> Config {
        let path = self.files.path(&format!("proxy-{}.sock", ports::next()));
        Config::new(Remote::new(LOOPBACK, port), path, verification)
    }

    /// A pool without a proxy.
    pub fn pool(&self) -> ProxyPool {
        let pool = ProxyPool::new(options());
        pool.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// A proxy with a machine of its own.
    pub fn start(&self, config: Config) -> Proxy {
        let proxy = Proxy::start_with(config, options());
        proxy.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

/// What good certificates say.
pub fn named() -> Leaf {
    Leaf::named("server.example").dns("server.example")
}

/// The image under test, emulated.
pub fn options() -> Options {
    Options {
        image: Some(Image::File(vm::image())),
        accel: Accel::Tcg,
        ..Options::default()
    }
}

/// Adds a proxy that has to work.
pub fn add(pool: &ProxyPool, config: Config) -> Proxy {
    let proxy = pool.add(config);
    proxy.unwrap_or_else(|error| panic!("{error:#}"))
}

/// A client of a proxy.
pub fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("the proxy listens");
    let limited = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    limited.expect("a socket option of an open socket");
    stream
}

/// A client that waits until it is cut off.
pub fn fail(proxy: &Proxy) {
    let mut stream = connect(proxy.socket_path());
    // That the connection has been cut off already is no matter.
    let _ = stream.write_all(b"words");
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection is not cut off: {error}"),
    }
    assert_eq!(heard, b"", "nobody was to answer");
}

/// A client whose words come back.
pub fn open_echo(proxy: &Proxy) -> UnixStream {
    let mut stream = connect(proxy.socket_path());
    stream.write_all(b"ECHO\n").expect("the command is taken");
    echo(&mut stream, b"hello");
    stream
}

/// Says `words` and hears them again.
pub fn echo(stream: &mut UnixStream, words: &[u8]) {
    stream.write_all(words).expect("the words are taken");
    let mut heard = vec![0; words.len()];
    stream.read_exact(&mut heard).expect("an echo");
    assert_eq!(heard, words);
}

/// The failures that the proxy has to tell of.
pub fn errors(proxy: &Proxy) -> Vec<Error> {
    proxy.diagnose().iter().filter_map(Event::error).collect()
}

/// Whether this process has gone.
pub fn has_gone(pid: u32) -> bool {
    let state = |stat: String| stat.rsplit(") ").next().map(|rest| rest.starts_with('Z'));
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        stat.and_then(state).unwrap_or(true).then_some(())
    };
    wait_until(PATIENCE, gone).is_some()
}

//! A launcher with what is around it: a place, a backend, certificates, clients.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use rustix::net::{AddressFamily, SocketType};
use stockade_tests::PATIENCE;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::launcher::place::Place;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::log::written;
use stockade_tests::stunnel::ports;

/// What every configuration begins with: nothing is logged elsewhere.
pub const GLOBALS: &str = "foreground = yes\nsyslog = no\npid =\n";

/// This host, as its clients and backends know it.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A place with one service's surroundings.
pub struct Scene {
    pub place: Place,
    pub backend: Backend,
    pub identity: Identity,
    /// Where the service accepts TLS, unless a test says otherwise.
    pub server: SocketAddr,
}

impl Scene {
    pub fn new() -> Scene {
        let place = Place::new(env!("CARGO_BIN_EXE_stockade-launched"));
        let identity = Identity::ecdsa();
        write_identity(&place, &identity);
        Scene {
            place,
            backend: Backend::start(LOOPBACK, Mode::Commands),
            identity,
            server: SocketAddr::new(LOOPBACK, ports::next()),
        }
    }

    /// The configuration of one service `[tls]` with these lines among the global options.
    pub fn conf(&self, global: &str) -> String {
        let service = self.service("tls", self.server, self.backend.address());
        format!("{GLOBALS}{global}{service}")
    }

    /// A section that accepts TLS.
    pub fn service(&self, name: &str, accept: SocketAddr, connect: SocketAddr) -> String {
        self.service_to(name, accept, &written(connect))
    }

    /// The same with a backend as stunnel's users write it.
    pub fn service_to(&self, name: &str, accept: SocketAddr, connect: &str) -> String {
        format!(
            "[{name}]\naccept = {}\nconnect = {connect}\ncert = {}\nkey = {}\n",
            written(accept),
            self.place.files.path("cert.pem"),
            self.place.files.path("key.pem"),
        )
    }

    /// Writes the configuration; gives its path.
    pub fn write(&self, conf: &str) -> String {
        self.place.files.add("stunnel.conf", conf)
    }

    /// Starts a launcher with one service, and does not wait.
    pub fn launch(&self, options: &[&str]) -> Program {
        let conf = self.write(&self.conf(""));
        self.launch_with(&conf, options)
    }

    /// Starts a launcher with the configuration at this path, and does not wait.
    pub fn launch_with(&self, conf: &str, options: &[&str]) -> Program {
        self.place.run(&[&["--conf", conf], options].concat())
    }

    /// Starts a launcher with one service, and waits until it serves.
    pub fn start(&self, options: &[&str]) -> Program {
        let mut program = self.launch(options);
        program.wait_until_serving();
        program
    }

    /// A verified TLS connection to the service. While nothing serves it waits in the backlog.
    pub fn connect(&self) -> TlsStream {
        self.connect_to(self.server)
    }

    /// The same to another address.
    pub fn connect_to(&self, server: SocketAddr) -> TlsStream {
        let client = client::verifying(&self.identity);
        TlsStream::connect(server, &client)
            .unwrap_or_else(|error| panic!("connecting to {server}: {error}"))
    }

    /// Whether a whole connection is served: opened, echoed on, ended in order from both sides.
    pub fn try_echo(&self, server: SocketAddr) -> io::Result<()> {
        let client = client::verifying(&self.identity);
        let mut stream = TlsStream::connect(server, &client)?;
        stream.write_all(b"ECHO\n")?;
        echo(&mut stream, b"some words")?;
        end(stream)
    }
}

/// Writes the certificate and the key that services name.
pub fn write_identity(place: &Place, identity: &Identity) {
    place.files.add("cert.pem", &identity.chain);
    let key = place.files.add("key.pem", &identity.key);
    fs::set_permissions(key, Permissions::from_mode(0o600)).expect("our own file");
}

/// Says `words` to an echoing backend and hears them again.
pub fn echo(stream: &mut TlsStream, words: &[u8]) -> io::Result<()> {
    stream.write_all(words)?;
    let mut heard = vec![0; words.len()];
    stream.read_exact(&mut heard)?;
    if heard == words {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{words:?} came back as {heard:?}"
    )))
}

/// A connection to an echoing backend that has said and heard something.
pub fn begin_echo(scene: &Scene, server: SocketAddr) -> TlsStream {
    let mut stream = scene.connect_to(server);
    stream.write_all(b"ECHO\n").expect("the command is taken");
    echo(&mut stream, b"hello").expect("an echo");
    stream
}

/// Ends a connection in order and sees that the other side does the same.
pub fn end(mut stream: TlsStream) -> io::Result<()> {
    stream.finish()?;
    if stream.read(&mut [0])? != 0 {
        return Err(io::Error::other("bytes that nobody has sent"));
    }
    stream.expect_fin()
}

/// A TCP connection from this address of our own, of any free port.
pub fn tcp_from(source: IpAddr, server: SocketAddr) -> TcpStream {
    let family = match source {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let socket: OwnedFd = rustix::net::socket(family, SocketType::STREAM, None)
        .unwrap_or_else(|error| panic!("a socket: {error}"));
    rustix::net::bind(&socket, &SocketAddr::new(source, 0))
        .unwrap_or_else(|error| panic!("binding to {source}: {error}"));
    rustix::net::connect(&socket, &server)
        .unwrap_or_else(|error| panic!("connecting to {server}: {error}"));
    let stream = TcpStream::from(socket);
    let limited = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    limited.expect("a socket option of an open socket");
    stream
}

/// Opens so many connections from a few threads, and gives each with its number.
pub fn open_together<S: Send>(
    connections: usize,
    open: impl Fn(usize) -> S + Sync,
) -> Vec<(usize, S)> {
    const THREADS: usize = 4;
    let open = &open;
    let share = move |thread: usize| {
        let own = (0..connections).filter(move |number| number % THREADS == thread);
        own.map(|number| (number, open(number))).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || share(thread)))
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|streams| streams.expect("its words are above"))
            .collect()
    })
}

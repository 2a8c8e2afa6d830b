//! A hosted tunnel in HTTP mode between a client of our own and a backend that the test plays.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use stockade_host::Network;
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::hosted::{MEMORY_MIB, Options, guest};
use stockade_tests::messages::{Body, Head, Length, Wire};
use stockade_tests::tap::Tap;
use stockade_tests::vm::{self, Machine};
use stockade_tests::{PATIENCE, namespace, wait_until};

/// How long nobody says anything where nothing is expected.
const QUIET: Duration = Duration::from_millis(300);

/// What the tunnel runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process that says it has so much memory, in MiB.
    Hosted(usize),
    /// The image on the smallest machine with so much memory, in MiB.
    Booted(u32),
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::Hosted(MEMORY_MIB)
    }
}

/// One that runs.
pub enum Guest {
    Hosted(guest::Guest),
    Booted(vm::Guest),
}

impl Guest {
    fn start(kind: Kind, tap: &Tap, line: &str) -> Guest {
        match kind {
            Kind::Hosted(memory_mib) => {
                let options = Options {
                    tap: tap.name().to_owned(),
                    memory_mib,
                    offload: true,
                    clock_ahead: 0,
                };
                let program = env!("CARGO_BIN_EXE_stockade-hosted");
                let guest = guest::Guest::start(program, &options, line);
                guest.wait_until_ready();
                Guest::Hosted(guest)
            }
            Kind::Booted(memory_mib) => {
                let name = tap.name().to_owned();
                let qemu = Machine::Microvm.qemu().memory_mib(memory_mib);
                let qemu = qemu.network(Network::Tap { name }).kernel_line(line);
                let guest = vm::Guest::start(&qemu);
                guest.wait_until_ready();
                Guest::Booted(guest)
            }
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Guest::Hosted(guest) => guest.is_running(),
            Guest::Booted(guest) => guest.is_running(),
        }
    }

    fn log(&self) -> String {
        match self {
            Guest::Hosted(guest) => guest.log(),
            Guest::Booted(guest) => guest.log(),
        }
    }

    /// The most memory that it has ever had, in bytes; a machine's is what it was given.
    pub fn peak_memory(&self) -> u64 {
        match self {
            Guest::Hosted(guest) => guest.peak_memory(),
            Guest::Booted(_) => 0,
        }
    }
}

/// A tunnel that serves. Its fields are dropped in this order: the tunnel before its link.
pub struct Tunnel {
    pub guest: Guest,
    _tap: Tap,
    /// Where it accepts TLS.
    pub server: SocketAddr,
    identity: Identity,
}

impl Tunnel {
    /// In front of this backend.
    pub fn start(tap: Tap, backend: SocketAddr, kind: Kind) -> Tunnel {
        namespace::require();
        let identity = Identity::ecdsa();
        let base64 = |text: &str| Base64::encode_string(text.as_bytes());
        let line = format!(
            "--ipv4={}/{} --mode=http --connect={backend} --cert=base64:{} --key=base64:{} \
             --log=debug",
            tap.guest(),
            Tap::PREFIX,
            base64(&identity.chain),
            base64(&identity.key)
        );
        Tunnel {
            guest: Guest::start(kind, &tap, &line),
            server: SocketAddr::new(tap.guest().into(), 443),
            _tap: tap,
            identity,
        }
    }

    /// A client after its handshake.
    pub fn connect(&self) -> Wire<TlsStream> {
        let client = client::verifying(&self.identity);
        let stream = TlsStream::connect(self.server, &client);
        Wire::new(stream.unwrap_or_else(|error| panic!("connecting to the tunnel: {error}")))
    }

    /// The same that has sent this.
    pub fn client(&self, text: &str) -> Wire<TlsStream> {
        let mut client = self.connect();
        say(client.stream(), text);
        client
    }
}

impl Drop for Tunnel {
    /// No scenario may cost the tunnel its life, whatever else it asks.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let log = self.guest.log();
            assert!(self.guest.is_running(), "the tunnel has ended: {log}");
        }
    }
}

/// A tunnel whose backend is the test itself.
pub struct Rig {
    pub tunnel: Tunnel,
    listener: TcpListener,
}

impl Rig {
    pub fn new() -> Rig {
        Self::of(Kind::default())
    }

    pub fn of(kind: Kind) -> Rig {
        namespace::require();
        let tap = Tap::create();
        let listener = TcpListener::bind((tap.host(), 0)).unwrap_or_else(|error| panic!("{error}"));
        listener.set_nonblocking(true).expect("an open socket");
        let backend = listener.local_addr().expect("bound above");
        let tunnel = Tunnel::start(tap, backend, kind);
        Rig { tunnel, listener }
    }

    /// Nobody listens at the backend's address any more.
    pub fn without_listener(self) -> Tunnel {
        drop(self.listener);
        self.tunnel
    }

    /// A client that has sent this.
    pub fn client(&self, text: &str) -> Wire<TlsStream> {
        self.tunnel.client(text)
    }

    /// The next connection to the backend.
    pub fn accept(&self) -> Backend {
        let stream = wait_until(PATIENCE, || self.listener.accept().ok());
        let (stream, _) = stream.unwrap_or_else(|| panic!("nobody connects to the backend"));
        stream.set_nonblocking(false).expect("an open socket");
        stream.set_nodelay(true).expect("an open socket");
        for patience in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            patience(&stream, Some(PATIENCE)).expect("an open socket");
        }
        Backend(Wire::new(stream))
    }

    /// Whether nobody connects to the backend now.
    pub fn is_left_alone(&self) -> bool {
        std::thread::sleep(QUIET);
        self.listener.accept().is_err()
    }
}

/// One connection to the backend.
pub struct Backend(Wire<TcpStream>);

impl Deref for Backend {
    type Target = Wire<TcpStream>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Backend {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Backend {
    /// The next request's head, which has this method and target in front.
    pub fn hear(&mut self, line: &str) -> Head {
        let head = self.expect_head();
        let head = head.unwrap_or_else(|error| panic!("instead of {line}: {error}"));
        assert!(head.first.starts_with(line), "instead of {line}: {head:?}");
        head
    }

    /// The same with its body.
    pub fn hear_all(&mut self, line: &str) -> (Head, Body) {
        let head = self.hear(line);
        let length = head.length().expect("a length that can be told");
        let body = self.body(length.unwrap_or(Length::Bytes(0)));
        let body = body.unwrap_or_else(|error| panic!("the body of {line}: {error}"));
        (head, body)
    }

    pub fn say(&mut self, text: &str) {
        say(self.stream(), text);
    }

    /// Ends it in order.
    pub fn end(self) {}

    /// Ends it by a reset.
    pub fn reset(mut self) {
        client::reset_on_close(self.stream());
    }

    /// Waits until the tunnel has ended it, whatever comes before.
    pub fn expect_end(&mut self) {
        let mut rest = io::sink();
        match self.body_into(Length::UntilEnd, &mut rest) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("the tunnel does not end it: {error}")
            }
            _ => {}
        }
    }

    /// Whether nothing comes now, and the connection stays.
    pub fn is_quiet(&mut self) -> bool {
        let stream = self.stream();
        stream
            .set_read_timeout(Some(QUIET))
            .expect("an open socket");
        let outcome = stream.peek(&mut [0]);
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("an open socket");
        outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

pub fn say(stream: &mut impl Write, text: &str) {
    stream.write_all(text.as_bytes()).expect("it is taken");
}

/// The next answer to a `GET` has this status and this body.
#[track_caller]
pub fn expect(client: &mut Wire<TlsStream>, status: u16, body: &str) -> Head {
    let answer = client.answer("GET");
    let (head, got) = answer.unwrap_or_else(|error| panic!("instead of {status}: {error}"));
    assert_eq!(head.status(), status, "{head:?}");
    assert_eq!(String::from_utf8_lossy(&got.bytes), body, "{head:?}");
    head
}

/// The next answer is a page of the tunnel's own, and the connection ends behind it, in order.
#[track_caller]
pub fn expect_page(client: &mut Wire<TlsStream>, status: u16) {
    let answer = client.answer("GET");
    let (head, body) = answer.unwrap_or_else(|error| panic!("instead of {status}: {error}"));
    assert_eq!(head.status(), status, "{head:?}");
    let text = String::from_utf8_lossy(&body.bytes).into_owned();
    assert!(text.contains(&format!("<title>{status} ")), "{text}");
    expect_end(client);
}

/// The connection ends in order.
#[track_caller]
pub fn expect_end(client: &mut Wire<TlsStream>) {
    match client.head() {
        Ok(None) => {}
        other => panic!("instead of an orderly end: {other:?}"),
    }
}

/// What is on its way to the client is cut off: neither does the message end, nor TLS in order.
#[track_caller]
pub fn expect_cut(client: &mut Wire<TlsStream>) {
    let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    match client.answer("GET") {
        Err(error) if kinds.contains(&error.kind()) => {}
        other => panic!("instead of a message that is cut off: {other:?}"),
    }
}

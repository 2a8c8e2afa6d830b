//! What a stage can be asked.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::stunnel::hello::{Catcher, Hello};
use stockade_tests::stunnel::shake::Shake;
use stockade_tests::{PATIENCE, wait_until};

use super::stage::Stage;

/// A handshake with the tested service.
pub fn shake(stage: &Stage, arguments: &[&str]) -> Shake {
    Shake::with(stage.port, arguments)
}

/// Whether a client with these arguments gets the backend's bytes.
pub fn served_with(stage: &Stage, arguments: &[&str]) -> String {
    yes(shake(stage, arguments).is_served(), "served", "not served")
}

/// The same for a client that shows the certificate in this file.
pub fn served_to(stage: &Stage, certificate: &str) -> String {
    let path = stage.file(certificate);
    served_with(stage, &["-cert", &path, "-key", &path])
}

/// Whether a plain client gets the backend's bytes.
pub fn served(stage: &Stage) -> String {
    served_with(stage, &[])
}

/// What the tested service, a client, says to whom it dials.
pub fn hello(stage: &Stage) -> Hello {
    Catcher::listen(stage.peer).catch(stage.port)
}

/// Whether a session that began with `first` goes on with `then`.
pub fn resumes(stage: &Stage, arguments: &[&str], between: impl FnOnce()) -> String {
    let session = stage.file("session.pem");
    let first = [arguments, &["-sess_out", &session]].concat();
    assert!(shake(stage, &first).is_served());
    between();
    let then = [arguments, &["-sess_in", &session]].concat();
    yes(shake(stage, &then).is_reused(), "reused", "new")
}

/// A session of TLS 1.2 that only the server's cache holds.
pub const BY_ID: &[&str] = &["-tls1_2", "-no_ticket"];

/// As much time again as a descheduled subject may need to notice what is due.
pub const GRACE: Duration = Duration::from_millis(500);

/// Which of two connections ends: the tested one was opened before two of the control service,
/// one after the other, have ended.
pub fn outlives(stage: &Stage, open: fn(SocketAddr) -> TcpStream) -> String {
    let tested = open(stage.port);
    for _ in 0..2 {
        let control = open(stage.other);
        control.set_read_timeout(Some(PATIENCE)).expect("open");
        assert_ne!(end(&control), "open", "the control service waits for ever");
    }
    tested
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("open");
    yes(end(&tested) == "open", "open", "ended")
}

/// Reads to the end: `closed`, `reset`, or `open` when none comes.
pub fn end(mut stream: &TcpStream) -> &'static str {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return "closed",
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return "reset",
            Err(_) => return "open",
        }
    }
}

/// A client that connects and says nothing.
pub fn silent(server: SocketAddr) -> TcpStream {
    client::tcp(server).expect("it accepts")
}

/// A TLS client of our own that trusts anybody.
pub fn tls(server: SocketAddr) -> TlsStream {
    let client = client::trusting(&Identity::ecdsa());
    TlsStream::connect(server, &client).unwrap_or_else(|error| panic!("{server}: {error}"))
}

/// A connection on which an echo has come back and nothing follows.
pub fn idle(server: SocketAddr) -> TcpStream {
    let mut stream = tls(server);
    stream.write_all(b"ECHO\nword").expect("taken");
    stream.read_exact(&mut [0; 4]).expect("the echo");
    stream.tcp().try_clone().expect("descriptors to spare")
}

/// The same for connections whose backends have ended their side: which of them end the other.
pub fn outlives_half_closed(stage: &Stage) -> String {
    let open = |server| {
        let mut stream = tls(server);
        stream.write_all(b"EARLY\n").expect("taken");
        assert_eq!(stream.read(&mut [0]).expect("a close_notify"), 0);
        stream
    };
    let _tested = open(stage.port);
    let ended = |number: usize| {
        let records = stage.backend.records();
        records
            .get(number)
            .is_some_and(|record| record.end.is_some())
    };
    for number in [1, 2] {
        let _control = open(stage.other);
        let ends = wait_until(PATIENCE, || ended(number).then_some(()));
        assert!(ends.is_some(), "the control service waits for ever");
    }
    thread::sleep(GRACE);
    yes(ended(0), "ended", "open")
}

/// A port that answers nothing: its queue of connections is full (listen(2)).
pub struct Stuck {
    _listener: rustix::fd::OwnedFd,
    _fillers: Vec<TcpStream>,
}

impl Stuck {
    pub fn listen(address: SocketAddr) -> Stuck {
        let listener = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            // No child may keep it open.
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a socket");
        bind(&listener, &address).unwrap_or_else(|error| panic!("{address}: {error}"));
        listen(&listener, 0).expect("a bound socket");
        let mut fillers = Vec::new();
        // Linux completes one connection more than the queue is long, and drops later SYNs.
        while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            fillers.push(filler);
            assert!(fillers.len() < 10, "the queue does not fill");
        }
        Stuck {
            _listener: listener,
            _fillers: fillers,
        }
    }
}

/// One of two words.
pub fn yes(condition: bool, then: &str, otherwise: &str) -> String {
    let word = if condition { then } else { otherwise };
    word.to_owned()
}

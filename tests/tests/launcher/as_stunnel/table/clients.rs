//! What clients do, and what they see.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use stockade_tests::PATIENCE;
use stockade_tests::client::{self, TlsStream, tcp};
use stockade_tests::process;

use super::{Ground, Step};

/// Does a client's step; tells what the client saw. None: the step is no client's.
pub fn act(ground: &Ground, step: Step, to: &dyn Fn(char) -> SocketAddr) -> Option<String> {
    Some(match step {
        Step::Plain(letter) => talk(to(letter), b"DOWN 5\n"),
        Step::Says(letter, words) => talk(to(letter), words.as_bytes()),
        Step::Silent(letter) => talk(to(letter), b""),
        Step::Leaves(letter) => {
            let stream = tcp(to(letter)).expect("somebody listens");
            stream
                .shutdown(Shutdown::Write)
                .expect("an open connection");
            String::from("left")
        }
        Step::Echo(letter) => open(ground, to(letter)).close(),
        Step::EchoThenReset(letter) => {
            open(ground, to(letter)).stream.reset();
            String::from("reset")
        }
        Step::EchoThenFin(letter) => {
            let mut open = open(ground, to(letter));
            open.stream
                .tcp()
                .shutdown(Shutdown::Write)
                .expect("an open connection");
            end_of(&open.stream.read(&mut [0]))
        }
        Step::BackendResets(letter) => {
            let mut stream = connect(ground, to(letter));
            stream
                .write_all(b"RESET 5\n")
                .expect("the command is taken");
            stream
                .read_exact(&mut [0; 5])
                .expect("what comes before the reset");
            stream.write_all(b"NOW\n").expect("an open connection");
            end_of(&stream.read(&mut [0]))
        }
        Step::Openssl(letter, words) => openssl(ground, to(letter), words),
        _ => return None,
    })
}

/// An open TLS connection with an echoing backend.
pub struct Open {
    pub stream: TlsStream,
}

fn connect(ground: &Ground, server: SocketAddr) -> TlsStream {
    let client = client::trusting(&ground.scene.identity);
    TlsStream::connect(server, &client).unwrap_or_else(|error| panic!("{server}: {error}"))
}

pub fn open(ground: &Ground, server: SocketAddr) -> Open {
    let mut stream = connect(ground, server);
    stream.write_all(b"ECHO\n").expect("the command is taken");
    crate::scene::echo(&mut stream, b"hello").expect("an echo");
    Open { stream }
}

impl Open {
    /// Ends it in order.
    pub fn close(self) -> String {
        match crate::scene::end(self.stream) {
            Ok(()) => String::from("an echo, then an orderly end"),
            Err(error) => format!("an echo, then {:?}", error.kind()),
        }
    }
}

fn end_of(read: &io::Result<usize>) -> String {
    match read {
        Ok(0) => String::from("close_notify"),
        Ok(_) => String::from("bytes"),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => String::from("FIN"),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => String::from("RST"),
        Err(error) => error.to_string(),
    }
}

/// What comes back on a plain connection that sends these bytes, and how it ends.
fn talk(server: SocketAddr, words: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut talk = || {
        let mut stream: TcpStream = tcp(server)?;
        stream.write_all(words)?;
        stream.read_to_end(&mut bytes)
    };
    let end = match talk() {
        Ok(_) => String::from("FIN"),
        // It may be as early as in connect(2), or in a write.
        Err(error) => match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => String::from("RST"),
            _ => error.to_string(),
        },
    };
    format!("{bytes:02x?}, then {end}")
}

/// What `openssl s_client` gets, and which alert.
fn openssl(ground: &Ground, server: SocketAddr, words: &str) -> String {
    let words = ground.fill(words, &[]);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", &server.to_string()]);
    command.args(words.split_whitespace());
    let running = process::start(&mut command, &b"DOWN 5\n"[..], Vec::new());
    let finished = running.finish(PATIENCE);
    let mut saw = format!("{:02x?}", finished.stdout);
    for line in finished.stderr.lines() {
        if let Some((_, alert)) = line.split_once("SSL alert number ") {
            saw += &format!(", alert {alert}");
        } else if line.contains("unexpected eof") {
            saw += ", FIN";
        } else if line.contains("errno=104") {
            saw += ", RST";
        }
    }
    saw
}

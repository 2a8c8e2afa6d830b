//! Servers of client mode that break their protocol, say no, or put words into the clear: none of
//! it may reach the application, and none of its words may leave in the clear.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use stockade_tests::client::tcp;
use stockade_tests::stunnel::subject::{Kind, Subject};

use crate::setting::Ear;

/// What the application says at once, as some do: for the server, inside TLS.
pub const SECRET: &[u8] = b"the application's secret words";

/// What servers put where it does not belong.
pub const INJECTED: &[u8] = b"words of somebody in between";

/// A server's part, up to where TLS should begin.
pub struct Impostor<'a> {
    /// What it says as soon as somebody connects.
    pub greeting: &'a [u8],
    /// What it must be asked then.
    pub request: &'a [u8],
    /// What it says to that; nothing more comes from it behind this.
    pub answer: &'a [u8],
}

impl Impostor<'_> {
    /// Plays the part for one application that connects to `front`; gives what the application has
    /// heard at its end. Panics where words have gone the wrong way.
    pub fn play(&self, ear: &Ear, front: SocketAddr) -> Vec<u8> {
        self.converse(ear, front, true)
    }

    /// The same, but the connection stays open, though silent.
    pub fn play_and_wait(&self, ear: &Ear, front: SocketAddr) -> Vec<u8> {
        self.converse(ear, front, false)
    }

    fn converse(&self, ear: &Ear, front: SocketAddr, ends: bool) -> Vec<u8> {
        let case = self.answer.escape_ascii();
        let mut application = tcp(front).expect("somebody listens");
        application.write_all(SECRET).expect("an open connection");
        let mut server = ear.accept();
        server.write_all(self.greeting).expect("an open connection");
        let mut request = vec![0; self.request.len()];
        let asked = server.read_exact(&mut request);
        asked.unwrap_or_else(|error| panic!("{case}: {error} instead of a request"));
        assert_eq!(
            request.escape_ascii().to_string(),
            self.request.escape_ascii().to_string()
        );
        server.write_all(self.answer).expect("an open connection");
        if ends {
            // It may be gone by now.
            let _ = server.shutdown(Shutdown::Write);
        }
        let behind = read_to_end(&mut server);
        assert!(
            !contains(&behind, SECRET),
            "{case}: left in the clear: {}",
            behind.escape_ascii()
        );
        let heard = read_to_end(&mut application);
        assert!(
            !contains(&heard, INJECTED),
            "{case}: arrived: {}",
            heard.escape_ascii()
        );
        heard
    }
}

/// Waits until a subject of ours has said why, in the lines from number `from` on: what has come was
/// not even looked at. Debian's takes it for TLS, and finds that it is none.
pub fn wait_for_refusal(kind: Kind, subject: &Subject, from: usize) {
    if kind != Kind::Debian {
        subject.wait_for_after(from, "Data arrived in the clear where TLS begins");
    }
}

/// All that comes until the end of the connection, whichever kind of end it is.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => heard,
        Err(error) if is_end(&error) => heard,
        Err(error) => panic!("{error} behind {}", heard.escape_ascii()),
    }
}

/// Whether the connection has ended, though not in order.
pub fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// Whether `needle` is somewhere in `bytes`.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

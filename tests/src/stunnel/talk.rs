//! Conversations with the tests' backend through one tunnel, two tunnels or none.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::client::tcp;
use crate::pattern::{Hasher, Pattern, Sum};

/// What the backend answers to `DOWN 5`, through whatever lies between.
pub fn try_down(server: SocketAddr, length: u64) -> io::Result<Sum> {
    let mut stream = tcp(server)?;
    writeln!(stream, "DOWN {length}")?;
    let mut hasher = Hasher::default();
    io::copy(&mut stream, &mut hasher)?;
    Ok(hasher.finish())
}

/// One body from the backend to us; panics unless every byte of it comes.
pub fn download(server: SocketAddr, length: u64) {
    let sum = try_down(server, length).expect("the whole body");
    assert_eq!(sum, Sum::of_pattern(length, length));
}

/// One body from us to the backend, which answers with its digest.
pub fn upload(server: SocketAddr, length: u64) {
    let mut stream = tcp(server).expect("somebody listens");
    stream.write_all(b"UP\n").expect("the command is taken");
    io::copy(&mut Pattern::new(length, length), &mut stream).expect("the body is taken");
    stream
        .shutdown(Shutdown::Write)
        .expect("an open connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the digest");
    let sum = Sum::of_pattern(length, length);
    assert_eq!(answer, format!("{} {}\n", sum.length, sum.digest));
}

/// A connection that stays open: an echo has come back on it, so the whole way stands.
pub struct Open {
    stream: TcpStream,
}

impl Open {
    /// Connects and holds a first exchange.
    pub fn connect(server: SocketAddr) -> io::Result<Open> {
        let mut stream = tcp(server)?;
        stream.write_all(b"ECHO\n")?;
        let mut open = Open { stream };
        open.exchange("first")?;
        Ok(open)
    }

    /// Sends a word and reads it back.
    pub fn exchange(&mut self, word: &str) -> io::Result<()> {
        self.stream.write_all(word.as_bytes())?;
        let mut back = vec![0; word.len()];
        self.stream.read_exact(&mut back)?;
        if back != word.as_bytes() {
            return Err(io::Error::other("the echo differs"));
        }
        Ok(())
    }

    /// Ends our side and waits for the other's end.
    pub fn finish(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        match self.stream.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(io::Error::other("bytes after the end")),
        }
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        &self.stream
    }
}

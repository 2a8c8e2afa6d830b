//! A small HTTP/1.1 server to forward to, for trying the image out.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::Error;

/// Most connections at once; one more is answered with 503.
const MAX_CONNECTIONS: usize = 64;

/// Longest request head that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How long one connection may take in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end of the server may take to be noticed.
const STOP_DELAY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Most bytes of a request's body that are read, and thrown away, after the answer.
const MAX_BODY: usize = 1024 * 1024 * 1024;

/// An HTTP server on 127.0.0.1 that answers every request with a short text. Dropping it
/// closes its port.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Backend {
    /// Starts to listen on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn start() -> Result<Backend, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Backend)?;
        // A client may go between the poll and the accept, which must not block then.
        listener.set_nonblocking(true).map_err(Error::Backend)?;
        let address = listener.local_addr().map_err(Error::Backend)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let acceptor = thread::spawn({
            let stopped = Arc::clone(&stopped);
            move || accept(&listener, &stopped)
        });
        Ok(Backend {
            address,
            stopped,
            acceptor: Some(acceptor),
        })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, stopped: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    while !stopped.load(Ordering::SeqCst) {
        // Not a blocking accept: a connection of our own to end it may not get through.
        let mut waiting = [PollFd::new(listener, PollFlags::IN)];
        if !matches!(poll(&mut waiting, Some(&STOP_DELAY)), Ok(1..)) {
            continue;
        }
        let Ok((connection, _)) = listener.accept() else {
            // Out of descriptors, most likely: give them time to come back.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::SeqCst);
            let _ = respond(
                connection,
                "503 Service Unavailable",
                "Too many connections.\n",
            );
            continue;
        }
        let open = Arc::clone(&open);
        thread::spawn(move || {
            // A client that goes away is no concern of the server's.
            let _ = serve(connection);
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Answers one request and closes.
fn serve(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nonblocking(false)?;
    let deadline = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !ends_with_blank_line(&head) {
        let length = read(&mut connection, &mut buffer, deadline)?;
        if length == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..length]);
        if head.len() > MAX_HEAD {
            return respond(
                connection,
                "431 Request Header Fields Too Large",
                "Request head too long.\n",
            );
        }
    }
    let head = String::from_utf8_lossy(&head);
    let request = head.lines().next().unwrap_or_default();
    let mut words = request.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return respond(connection, "400 Bad Request", "No HTTP request.\n");
    };
    if !version.starts_with("HTTP/1.") {
        return respond(
            connection,
            "505 HTTP Version Not Supported",
            "HTTP/1.1 only.\n",
        );
    }
    let body = format!(
        "Hello from the backend behind Stockade.\n{} {} came to it in plain text; TLS ended in the image.\n",
        method.escape_debug(),
        target.escape_debug()
    );
    if method == "HEAD" {
        let head = head_of("200 OK", body.len());
        return finish(connection, head.as_bytes(), deadline);
    }
    let text = head_of("200 OK", body.len()) + &body;
    finish(connection, text.as_bytes(), deadline)
}

fn respond(connection: TcpStream, status: &str, body: &str) -> io::Result<()> {
    let text = head_of(status, body.len()) + body;
    finish(
        connection,
        text.as_bytes(),
        Instant::now() + Duration::from_secs(1),
    )
}

fn head_of(status: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

/// Sends the answer, then reads what the client still sends: closing with unread data would
/// reset the connection and could take the answer with it (RFC 9112 §9.6).
fn finish(mut connection: TcpStream, text: &[u8], deadline: Instant) -> io::Result<()> {
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(text)?;
    connection.shutdown(Shutdown::Write)?;
    let mut buffer = [0; 16 * 1024];
    let mut taken = 0;
    while taken < MAX_BODY {
        match read(&mut connection, &mut buffer, deadline)? {
            0 => break,
            length => taken += length,
        }
    }
    Ok(())
}

fn read(connection: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    connection.set_read_timeout(Some(left))?;
    connection.read(buffer)
}

fn ends_with_blank_line(head: &[u8]) -> bool {
    head.windows(4).any(|bytes| bytes == b"\r\n\r\n")
        || head.windows(2).any(|bytes| bytes == b"\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(request: &[u8]) -> String {
        let backend = Backend::start().unwrap();
        let mut client = TcpStream::connect(backend.address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client.write_all(request).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_request_is_answered() {
        let answer = exchange(b"GET /some/path HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("GET /some/path came to it"), "{answer}");
    }

    #[test]
    fn a_head_request_gets_no_body() {
        let answer = exchange(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn an_unread_body_does_not_cost_the_answer() {
        let mut request = b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n".to_vec();
        request.resize(request.len() + 100_000, b'x');
        assert!(exchange(&request).contains("POST / came to it"));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(exchange(b"\x16\x03\x01\r\n\r\n").starts_with("HTTP/1.1 400 "));
        assert!(exchange(b"GET / SPDY/3\r\n\r\n").starts_with("HTTP/1.1 505 "));
        assert!(exchange(&vec![b'a'; MAX_HEAD + 1]).starts_with("HTTP/1.1 431 "));
    }

    #[test]
    fn a_dropped_backend_frees_its_port() {
        let backend = Backend::start().unwrap();
        let address = backend.address;
        drop(backend);
        assert!(TcpListener::bind(address).is_ok());
    }
}

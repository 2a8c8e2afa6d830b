//! HTTP/1.1 as it is measured: both ends of it, for messages of known shapes alone.
//!
//! The fields are those that a browser and a small web server send, so that a proxy has as much to
//! read and to write as it mostly has.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use super::client::Stream;
use crate::certificates::NAME;

/// Most bytes of a head.
const MAX_HEAD: usize = 16 * 1024;
/// Bytes that the server reads or writes at once.
const CHUNK: usize = 256 * 1024;
/// The end of a head.
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A body of so many bytes.
    Get(u64),
    /// Takes a body of so many bytes; answered without one.
    Put(u64),
}

impl Request {
    /// Its head.
    pub fn head(self) -> Vec<u8> {
        let (method, path, length) = match self {
            Request::Get(length) => ("GET", format!("/{length}"), String::new()),
            Request::Put(length) => (
                "PUT",
                "/0".to_owned(),
                format!("Content-Length: {length}\r\n"),
            ),
        };
        format!(
            "{method} {path} HTTP/1.1\r\n\
             Host: {NAME}\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
             Accept-Language: en-US,en;q=0.5\r\n\
             Accept-Encoding: gzip, deflate, br\r\n\
             {length}Connection: keep-alive\r\n\
             Cookie: session=0123456789abcdef0123456789abcdef; theme=light\r\n\r\n"
        )
        .into_bytes()
    }

    /// Reads the head of what [`head`](Self::head) wrote.
    fn read(head: &str) -> Option<Request> {
        let mut words = head.split(' ');
        let method = words.next()?;
        let length = words.next()?.strip_prefix('/')?.parse().ok()?;
        match method {
            "GET" => Some(Request::Get(length)),
            "PUT" => content_length(head).map(Request::Put),
            _ => None,
        }
    }

    /// Bytes of the answer's body.
    fn answered(self) -> u64 {
        match self {
            Request::Get(length) => length,
            Request::Put(_) => 0,
        }
    }
}

/// Waits for the answer to `request` and looks at nothing of it but its status and length.
///
/// # Errors
///
/// It is not the answer that [`serve`] gives.
pub fn receive(stream: &mut Stream, request: Request) -> io::Result<()> {
    let mut head = Vec::new();
    let mut body = 0;
    let mut whole = false;
    while !whole || body < request.answered() {
        let open = stream.receive(&mut |data| match whole {
            true => body += data.len() as u64,
            false => {
                head.extend_from_slice(data);
                if let Some(end) = end_of_head(&head) {
                    whole = true;
                    body = (head.len() - end) as u64;
                    head.truncate(end);
                }
            }
        })?;
        if !open || !whole && head.len() > MAX_HEAD {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let expected = request.answered();
    if !head.starts_with("HTTP/1.1 200 ")
        || content_length(&head) != Some(expected)
        || body != expected
    {
        let line = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!(
            "not the answer: {line:?}, {body} bytes of {expected}"
        )));
    }
    Ok(())
}

/// Whether a connection's first bytes are a request's.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET /") || bytes.starts_with(b"PUT /")
}

/// Answers requests until the client ends the connection; `first` was read already.
pub fn serve(connection: &mut TcpStream, first: &[u8]) -> io::Result<()> {
    let mut waiting = first.to_vec();
    let mut buffer = vec![0x5a; CHUNK];
    loop {
        let end = loop {
            if let Some(end) = end_of_head(&waiting) {
                break end;
            }
            let mut piece = [0; 4096];
            match connection.read(&mut piece)? {
                0 => return Ok(()),
                length => waiting.extend_from_slice(&piece[..length]),
            }
            if waiting.len() > MAX_HEAD {
                return Err(ErrorKind::InvalidData.into());
            }
        };
        let head = std::str::from_utf8(&waiting[..end]).map_err(io::Error::other)?;
        let request = Request::read(head).ok_or(ErrorKind::InvalidData)?;
        waiting.drain(..end);
        if let Request::Put(length) = request {
            let mut left = length;
            let here = left.min(waiting.len() as u64);
            waiting.drain(..here as usize);
            left -= here;
            while left > 0 {
                let most = left.min(CHUNK as u64) as usize;
                match connection.read(&mut buffer[..most])? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    length => left -= length as u64,
                }
            }
        }
        answer(connection, request.answered(), &mut buffer)?;
    }
}

fn answer(connection: &mut TcpStream, length: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n\
         Server: bench\r\n\
         Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Length: {length}\r\n\
         Cache-Control: no-cache\r\n\
         Vary: Accept-Encoding\r\n\r\n"
    );
    // Head and body in one write, as long as they fit.
    let mut left = length;
    buffer.truncate(0);
    buffer.extend_from_slice(head.as_bytes());
    loop {
        let most = left.min((CHUNK - buffer.len()) as u64) as usize;
        buffer.resize(buffer.len() + most, 0x5a);
        connection.write_all(buffer)?;
        left -= most as u64;
        if left == 0 {
            buffer.resize(CHUNK, 0x5a);
            return Ok(());
        }
        buffer.truncate(0);
    }
}

/// Bytes of the head that these begin with.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let place = bytes
        .windows(EMPTY_LINE.len())
        .position(|window| window == EMPTY_LINE)?;
    Some(place + EMPTY_LINE.len())
}

fn content_length(head: &str) -> Option<u64> {
    let mut lines = head.lines();
    lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::backend;

    #[test]
    fn requests_are_read_as_they_were_written() {
        for request in [Request::Get(1024), Request::Put(0), Request::Put(7)] {
            let head = request.head();
            assert!(begins(&head));
            assert_eq!(end_of_head(&head), Some(head.len()));
            let head = String::from_utf8(head).unwrap();
            assert_eq!(Request::read(&head), Some(request));
        }
        assert_eq!(Request::read("PUT /0 HTTP/1.1\r\n\r\n"), None);
        assert!(!begins(&backend::Order::Give(1).bytes()));
    }

    #[test]
    fn one_connection_is_answered_again_and_again() {
        let address = backend::start([127, 0, 0, 1]).unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        for (request, body) in [
            (Request::Get(300_000), &b""[..]),
            (Request::Put(5), b"hello"),
            (Request::Get(0), b""),
        ] {
            connection.write_all(&request.head()).unwrap();
            connection.write_all(body).unwrap();
            let mut head = Vec::new();
            while end_of_head(&head).is_none() {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let length = content_length(&String::from_utf8(head).unwrap()).unwrap();
            assert_eq!(length, request.answered());
            let mut body = vec![0; length as usize];
            connection.read_exact(&mut body).unwrap();
        }
    }
}

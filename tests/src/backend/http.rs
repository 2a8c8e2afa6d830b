//! The little HTTP/1.1 (RFC 9112) that `curl` needs.

use std::io::{self, ErrorKind, Read, Write};

use super::{Conversation, End, number};
use crate::pattern::Hasher;

impl Conversation<'_> {
    /// Serves requests until the client ends its side.
    pub(super) fn http(&mut self, first: &str) -> io::Result<End> {
        let mut request = first.to_owned();
        while !request.is_empty() {
            let body = self.body_length()?;
            match request.split(' ').collect::<Vec<_>>().as_slice() {
                ["GET", path, "HTTP/1.1"] if path.starts_with("/bytes/") => {
                    let length = number(&path["/bytes/".len()..])?;
                    self.head("200 OK", length)?;
                    self.send_pattern(length)?;
                }
                ["POST", _, "HTTP/1.1"] => {
                    let mut hasher = Hasher::default();
                    let read = io::copy(&mut self.input.by_ref().take(body), &mut hasher)?;
                    if read < body {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    let sum = hasher.finish();
                    let answer = format!("{} {}\n", sum.length, sum.digest);
                    self.head("200 OK", answer.len() as u64)?;
                    self.output.write_all(answer.as_bytes())?;
                }
                _ => self.head("404 Not Found", 0)?,
            }
            request = self.line()?;
        }
        self.finish()?;
        Ok(End::Orderly)
    }

    /// Reads the header section; the body's length as `Content-Length` gives it.
    fn body_length(&mut self) -> io::Result<u64> {
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(length);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = number(value.trim())?;
            }
        }
    }

    fn head(&mut self, status: &str, length: u64) -> io::Result<()> {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        self.output.write_all(head.as_bytes())
    }
}

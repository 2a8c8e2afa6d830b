//! A client that sends requests byte by byte as the test writes them, and reads answers strictly.

use std::io::{self, Read, Write};

use stockade_tests::client::TlsStream;

/// A connection. What came beyond one answer waits for the next.
pub struct Raw {
    pub stream: TlsStream,
    waiting: Vec<u8>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the first line says.
    pub status: u16,
    /// Fields in the order in which they came, their names as they came.
    pub fields: Vec<(String, String)>,
    /// The content, without its framing.
    pub body: Vec<u8>,
    /// Fields behind a body in chunks.
    pub trailers: Vec<(String, String)>,
}

/// How a test reads what an answer says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// A request that is answered with a body.
    Get,
    /// `HEAD`: whatever the answer says, there is no body.
    Head,
}

impl Raw {
    pub fn new(stream: TlsStream) -> Raw {
        Raw {
            stream,
            waiting: Vec::new(),
        }
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.unwrap_or_else(|error| panic!("the tunnel takes no more: {error}"));
    }

    /// Sends these bytes; gives the answer.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes);
        self.answer(To::Get)
    }

    /// The next answer, be it an interim one (1xx).
    pub fn answer(&mut self, to: To) -> Answer {
        let answer = self.try_answer(to);
        answer.unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// The same.
    ///
    /// # Errors
    /// The connection ended before, was reset, or what came is no HTTP.
    pub fn try_answer(&mut self, to: To) -> io::Result<Answer> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| {
            let (code, _) = rest.split_once(' ')?;
            code.parse().ok()
        });
        let status: u16 = status.ok_or_else(|| odd(&first))?;
        let mut answer = Answer {
            status,
            fields: self.fields()?,
            body: Vec::new(),
            trailers: Vec::new(),
        };
        if to == To::Head || status < 200 || [204, 304].contains(&status) {
            return Ok(answer);
        }
        let (length, coding) = (
            answer.all("content-length"),
            answer.all("transfer-encoding"),
        );
        match (length.as_slice(), coding.as_slice()) {
            ([length], []) => {
                let length = length.parse().map_err(|_| odd(length))?;
                answer.body = self.exactly(length)?;
            }
            ([], ["chunked"]) => loop {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16).map_err(|_| odd(&line))?;
                if length == 0 {
                    answer.trailers = self.fields()?;
                    break;
                }
                answer.body.extend(self.exactly(length)?);
                let end = self.exactly(2)?;
                if end != b"\r\n" {
                    return Err(odd(&end.escape_ascii().to_string()));
                }
            },
            ([], []) => {
                self.stream.read_to_end(&mut self.waiting)?;
                answer.body = std::mem::take(&mut self.waiting);
            }
            other => return Err(odd(&format!("{other:?}"))),
        }
        Ok(answer)
    }

    /// Waits for the orderly end of the connection: close_notify, and nothing before it.
    pub fn expect_end(&mut self) {
        let rest = self.rest();
        let rest = rest.unwrap_or_else(|error| panic!("no orderly end: {error}"));
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }

    /// All that comes up to an orderly end.
    ///
    /// # Errors
    /// The end is not orderly.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.stream.read_to_end(&mut self.waiting)?;
        Ok(std::mem::take(&mut self.waiting))
    }

    /// Exactly so many bytes of what comes next.
    ///
    /// # Errors
    /// The connection ended before.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.waiting.len() < length {
            self.more()?;
        }
        let rest = self.waiting.split_off(length);
        Ok(std::mem::replace(&mut self.waiting, rest))
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(": ").ok_or_else(|| odd(&line))?;
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// A line without its CR and LF, which must both be there.
    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let line = self.exactly(end + 1)?;
                let line = String::from_utf8_lossy(&line).into_owned();
                let text = line.strip_suffix("\r\n").filter(|it| !it.contains('\r'));
                return text.map(str::to_owned).ok_or_else(|| odd(&line));
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; 32 * 1024];
        match self.stream.read(&mut bytes)? {
            0 => {
                let seen = self.waiting.escape_ascii();
                let text = format!("the connection ended behind \"{seen}\"");
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
            }
            length => {
                self.waiting.extend_from_slice(&bytes[..length]);
                Ok(())
            }
        }
    }
}

impl Answer {
    /// The values of the fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter();
        let named = fields.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the one field of this name; `None` where there is none. Panics where there are
    /// more.
    pub fn field(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [] => None,
            [value] => Some(value),
            more => panic!("{name}: {more:?}"),
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn odd(what: &str) -> io::Error {
    io::Error::other(format!("this is no HTTP: {what:?}"))
}

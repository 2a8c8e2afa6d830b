//! HTTP/1.1 messages as a plain reader sees them (RFC 9112), for backends and clients of tests.
//!
//! This reader has nothing in common with the tunnel's: where both see other borders between
//! messages, a test fails.

pub mod generator;
pub mod recorder;

use std::io::{self, ErrorKind, Read};

/// Longest line that is read, in bytes.
const LINE_LIMIT: usize = 64 << 10;

/// A first line and its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The first line.
    pub first: String,
    /// Names as they came, values without blanks around them; bytes beyond ASCII as Latin-1.
    pub fields: Vec<(String, String)>,
}

/// What follows a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The content.
    pub bytes: Vec<u8>,
    /// The fields behind the last chunk.
    pub trailers: Vec<(String, String)>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many bytes.
    Bytes(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends.
    UntilEnd,
}

impl Head {
    /// The word of the first line with this number.
    pub fn word(&self, number: usize) -> &str {
        self.first.split(' ').nth(number).unwrap_or_default()
    }

    /// A response's status; 0 where it has none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// The values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self
            .fields
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The value of a field that is there once at most.
    ///
    /// # Errors
    /// It is there more than once.
    pub fn value<'a>(&'a self, name: &'a str) -> io::Result<Option<&'a str>> {
        let mut all = self.values(name);
        match (all.next(), all.next()) {
            (value, None) => Ok(value),
            _ => Err(wrong(format!("{name} is repeated in {self:?}"))),
        }
    }

    /// How long the body is that the fields tell of; `None`: they tell of none.
    ///
    /// # Errors
    /// They contradict each other, or are no such fields.
    pub fn length(&self) -> io::Result<Option<Length>> {
        let length = self.value("Content-Length")?;
        let encoding = self.value("Transfer-Encoding")?;
        match (length, encoding) {
            (None, None) => Ok(None),
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                let length = length.parse().map_err(|_| wrong(format!("{self:?}")))?;
                Ok(Some(Length::Bytes(length)))
            }
            (None, Some(encoding)) if encoding.eq_ignore_ascii_case("chunked") => {
                Ok(Some(Length::Chunked))
            }
            _ => Err(wrong(format!("no length can be told from {self:?}"))),
        }
    }

    /// How long the body of this response to a request of this method is.
    ///
    /// # Errors
    /// As for [`length`](Self::length).
    pub fn answer_length(&self, method: &str) -> io::Result<Length> {
        let status = self.status();
        if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            return Ok(Length::Bytes(0));
        }
        Ok(self.length()?.unwrap_or(Length::UntilEnd))
    }
}

/// A stream from which messages are read.
pub struct Wire<S> {
    stream: S,
    waiting: Vec<u8>,
}

impl<S: Read> Wire<S> {
    /// A stream of which nothing was read yet.
    pub fn new(stream: S) -> Wire<S> {
        Wire {
            stream,
            waiting: Vec::new(),
        }
    }

    /// The stream, for writing to it.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Bytes that have been read and belong to nothing yet.
    pub fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// The next head; `None`: the stream has ended in order before it.
    ///
    /// # Errors
    /// The stream's own; it ends within the head; what comes is none.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        if self.waiting.is_empty() && self.more()? == 0 {
            return Ok(None);
        }
        let first = self.line()?;
        let fields = self.fields()?;
        Ok(Some(Head { first, fields }))
    }

    /// A head that has to come.
    ///
    /// # Errors
    /// As for [`head`](Self::head), or the stream has ended.
    pub fn expect_head(&mut self) -> io::Result<Head> {
        self.head()?.ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// The response to a request of this method, those before it (1xx) left out.
    ///
    /// # Errors
    /// The stream's own, and whatever makes it none.
    pub fn answer(&mut self, method: &str) -> io::Result<(Head, Body)> {
        loop {
            let head = self.expect_head()?;
            if (100..200).contains(&head.status()) && head.status() != 101 {
                continue;
            }
            let length = head.answer_length(method)?;
            let body = self.body(length)?;
            return Ok((head, body));
        }
    }

    /// A whole body.
    ///
    /// # Errors
    /// The stream's own; it ends before the body; the chunks are none.
    pub fn body(&mut self, length: Length) -> io::Result<Body> {
        let mut bytes = Vec::new();
        let trailers = self.body_into(length, &mut bytes)?;
        Ok(Body { bytes, trailers })
    }

    /// The same, its content given to `out` as it comes. Returns the trailer fields.
    ///
    /// # Errors
    /// The stream's own; it ends before the body; the chunks are none.
    pub fn body_into(
        &mut self,
        length: Length,
        out: &mut impl io::Write,
    ) -> io::Result<Vec<(String, String)>> {
        match length {
            Length::Bytes(length) => self.copy(length, out)?,
            Length::UntilEnd => loop {
                out.write_all(&self.waiting)?;
                self.waiting.clear();
                if self.more()? == 0 {
                    break;
                }
            },
            Length::Chunked => {
                loop {
                    let line = self.line()?;
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let length = u64::from_str_radix(digits, 16);
                    let length = length.map_err(|_| wrong(format!("chunk {line:?}")))?;
                    if length == 0 {
                        break;
                    }
                    self.copy(length, out)?;
                    if !self.line()?.is_empty() {
                        return Err(wrong(format!("bytes behind a chunk of {length}")));
                    }
                }
                return self.fields();
            }
        }
        Ok(Vec::new())
    }

    /// A line, which ends with CR and LF.
    fn line(&mut self) -> io::Result<String> {
        let mut searched = 0;
        loop {
            let rest = &self.waiting[searched..];
            if let Some(place) = rest.iter().position(|byte| *byte == b'\n') {
                let end = searched + place;
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                let line = line.strip_suffix(b"\r\n");
                let line = line.filter(|line| !line.contains(&b'\r'));
                let line = line.ok_or_else(|| wrong("a line without CR LF".into()))?;
                // As Latin-1: every byte is some character.
                return Ok(line.iter().map(|byte| char::from(*byte)).collect());
            }
            searched = self.waiting.len();
            if searched > LINE_LIMIT {
                return Err(wrong("an endless line".into()));
            }
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| wrong(format!("the field {line:?}")))?;
            let value = value.trim_matches([' ', '\t']);
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    fn copy(&mut self, length: u64, out: &mut impl io::Write) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.waiting.is_empty() && self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let count = self.waiting.len().min(most);
            out.write_all(&self.waiting[..count])?;
            self.waiting.drain(..count);
            left -= count as u64;
        }
        Ok(())
    }

    /// Reads once; how many bytes came.
    fn more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(length) => {
                    self.waiting.extend_from_slice(&chunk[..length]);
                    return Ok(length);
                }
            }
        }
    }
}

fn wrong(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_one_behind_the_other() {
        let text = b"POST /a HTTP/1.1\r\nA:  b \r\nContent-Length: 3\r\n\r\nabc\
            PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n";
        let mut wire = Wire::new(&text[..]);
        let first = wire.expect_head().unwrap();
        assert_eq!((first.word(0), first.word(1)), ("POST", "/a"));
        assert_eq!(first.value("a").unwrap(), Some("b"));
        let length = first.length().unwrap().unwrap();
        assert_eq!(wire.body(length).unwrap().bytes, b"abc");
        let second = wire.expect_head().unwrap();
        let body = wire.body(second.length().unwrap().unwrap()).unwrap();
        assert_eq!(body.bytes, b"de");
        assert_eq!(body.trailers, [("T".to_owned(), "u".to_owned())]);
        assert_eq!(wire.head().unwrap(), None);
    }

    #[test]
    fn what_is_cut_off_or_contradicts_itself_is_an_error() {
        let cut = |text: &'static str| {
            let mut wire = Wire::new(text.as_bytes());
            let answer = wire.answer("GET");
            answer.map(|_| ()).map_err(|error| error.kind())
        };
        let end = Err(ErrorKind::UnexpectedEof);
        let wrong = Err(ErrorKind::InvalidData);
        assert_eq!(cut("HTTP/1.1 200 OK\r\n"), end);
        assert_eq!(cut("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), end);
        assert_eq!(
            cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
            end
        );
        assert_eq!(cut("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"), wrong);
        assert_eq!(
            cut(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            wrong
        );
        assert_eq!(cut("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Ok(()));
        assert_eq!(cut("HTTP/1.1 103 X\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), Ok(()));
    }
}

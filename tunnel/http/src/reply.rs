//! What other people's servers answer to requests of our own.
//!
//! Unlike what is carried between a client and a backend, nobody else reads these bytes: where it is
//! clear what is meant, as with lines that end with LF alone, it is taken.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::body::{Body, BodyError, Framing, Piece};

/// Most fields of a reply.
const MAX_FIELDS: usize = 96;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Names and values, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// Its content, out of its chunks.
    pub content: Vec<u8>,
}

/// How much of a reply is taken.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes of its head, together with those of interim ones before it.
    pub head: usize,
    /// Most bytes of its content.
    pub content: usize,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// It is no HTTP, or can be read in more than one way.
    Malformed,
    /// Its content is encoded: nobody asked for that.
    Encoded,
    /// It is longer than it may be.
    TooLong,
    /// The connection ended before it did.
    Cut,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplyError::Malformed => "the reply is no HTTP",
            ReplyError::Encoded => "the reply's content is encoded",
            ReplyError::TooLong => "the reply is too long",
            ReplyError::Cut => "the connection ended before the reply did",
        })
    }
}

impl core::error::Error for ReplyError {}

impl From<BodyError> for ReplyError {
    fn from(error: BodyError) -> ReplyError {
        match error {
            BodyError::Chunk | BodyError::Trailers => ReplyError::Malformed,
            BodyError::TooLong => ReplyError::TooLong,
            BodyError::Cut => ReplyError::Cut,
        }
    }
}

/// Reads one reply, whatever pieces it comes in.
pub struct ReplyReader {
    /// It has no content, whatever its head says.
    is_to_head: bool,
    bounds: Bounds,
    received: Vec<u8>,
    /// Bytes of heads so far.
    heads: usize,
    head: Option<Head>,
    body: Body,
    content: Vec<u8>,
}

struct Head {
    status: u16,
    fields: Vec<(String, String)>,
    is_encoded: bool,
}

impl ReplyReader {
    /// For the reply to one request; `is_to_head`: its method was `HEAD`.
    pub fn new(is_to_head: bool, bounds: Bounds) -> ReplyReader {
        ReplyReader {
            is_to_head,
            bounds,
            received: Vec::new(),
            heads: 0,
            head: None,
            body: Body::new(Framing::None),
            content: Vec::new(),
        }
    }

    /// Takes in what has come.
    pub fn take(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The reply's status, once its head is there.
    pub fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.status)
    }

    /// The reply, once it is known to be whole.
    ///
    /// # Errors
    ///
    /// It will never be.
    pub fn reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        let mut taken = 0;
        let is_whole = self.advance(&mut taken);
        self.received.drain(..taken.min(self.received.len()));
        Ok(if is_whole? { self.whole() } else { None })
    }

    /// The reply that the connection's end completes.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn end(&mut self) -> Result<Reply, ReplyError> {
        if let Some(reply) = self.reply()? {
            return Ok(reply);
        }
        self.body.ended()?;
        self.whole().ok_or(ReplyError::Cut)
    }

    fn whole(&mut self) -> Option<Reply> {
        let head = self.head.take()?;
        Some(Reply {
            status: head.status,
            fields: head.fields,
            content: core::mem::take(&mut self.content),
        })
    }

    /// Reads on from `at`. True: that was all of it.
    fn advance(&mut self, at: &mut usize) -> Result<bool, ReplyError> {
        while self.head.is_none() {
            let waiting = self.received.get(*at..).unwrap_or_default();
            let found = head(waiting, self.is_to_head)?;
            let length = found.as_ref().map_or(waiting.len(), |found| found.0);
            if self.heads.saturating_add(length) > self.bounds.head {
                return Err(ReplyError::TooLong);
            }
            let Some((_, head, framing)) = found else {
                return Ok(false);
            };
            self.heads += length;
            *at += length;
            // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received
            // prior to a final response". Nobody asked for another protocol (101).
            match head.status {
                101 => return Err(ReplyError::Malformed),
                100..=199 => {}
                _ => (self.head, self.body) = (Some(head), Body::new(framing)),
            }
        }
        if self.head.as_ref().is_some_and(|head| head.is_encoded) {
            return Err(ReplyError::Encoded);
        }
        loop {
            let room = self.bounds.content.saturating_sub(self.content.len());
            if self.body.due() > u64::try_from(room).unwrap_or(u64::MAX) {
                return Err(ReplyError::TooLong);
            }
            let waiting = self.received.get(*at..).unwrap_or_default();
            let piece = self.body.next(waiting)?;
            let count = match piece {
                Piece::More => return Ok(false),
                Piece::End => return Ok(true),
                Piece::Framing(count) | Piece::Trailers(count) => count,
                Piece::Content(count) if count > room => return Err(ReplyError::TooLong),
                Piece::Content(count) => {
                    let content = waiting.get(..count).unwrap_or_default();
                    self.content.extend_from_slice(content);
                    count
                }
            };
            self.body.took(waiting, piece, count);
            *at += count;
        }
    }
}

/// A head, its length, and how what is behind it ends.
fn head(bytes: &[u8], is_to_head: bool) -> Result<Option<(usize, Head, Framing)>, ReplyError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ReplyError::TooLong),
        Err(_) => return Err(ReplyError::Malformed),
    };
    let status = response.code.filter(|code| (100..600).contains(code));
    let mut head = Head {
        status: status.ok_or(ReplyError::Malformed)?,
        fields: Vec::new(),
        is_encoded: false,
    };
    let (mut said, mut is_chunked) = (None, false);
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("Transfer-Encoding") {
            let value = field.value.trim_ascii();
            if is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(ReplyError::Malformed);
            }
            is_chunked = true;
        }
        head.is_encoded |= is("Content-Encoding") && !field.value.eq_ignore_ascii_case(b"identity");
        if is("Content-Length") {
            let value = crate::field::number(field.value).map_err(|_| ReplyError::Malformed)?;
            // RFC 9110 §8.6: several may only say the same.
            if said.is_some_and(|said| said != value) {
                return Err(ReplyError::Malformed);
            }
            said = Some(value);
        }
        let value = String::from_utf8_lossy(field.value).into_owned();
        head.fields.push((String::from(field.name), value));
    }
    let framing = match (is_chunked, said) {
        // RFC 9112 §6.3, rule 1: these have no content.
        _ if is_to_head || matches!(head.status, 100..=199 | 204 | 304) => Framing::None,
        // Rule 3: with both, somebody may try to smuggle.
        (true, Some(_)) => return Err(ReplyError::Malformed),
        (true, None) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    };
    Ok(Some((length, head, framing)))
}

#[cfg(test)]
mod tests;

//! A response to HTTP/1.1 as it comes in (RFC 9112).

use alloc::{string::String, vec::Vec};

use acme::Response;

use crate::keeper::HttpError;

/// Most bytes of a response's status line and header fields.
const MAX_HEAD: usize = 16 * 1024;

/// Most header fields.
const MAX_FIELDS: usize = 96;

/// Most bytes of a response's content: chains of certificates have some thousand.
pub(super) const MAX_CONTENT: usize = 64 * 1024;

/// Most bytes of a response as it comes: chunks have their sizes with them.
pub(super) const MAX_RESPONSE: usize = MAX_HEAD + 2 * MAX_CONTENT;

/// Most bytes of a line that says a chunk's size, and of all fields behind the last chunk.
const MAX_LINE: usize = 1024;

/// Reads a response, whatever pieces it comes in.
pub(super) struct Reader {
    /// What was asked for has no content.
    head_only: bool,
    received: Vec<u8>,
    head: Option<Head>,
    /// What has been taken out of chunks so far, and where the next one begins.
    content: Vec<u8>,
    next: usize,
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    framing: Framing,
}

/// How content ends (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// With the connection.
    Close,
}

impl Reader {
    pub(super) fn new(head_only: bool) -> Self {
        Self {
            head_only,
            received: Vec::new(),
            head: None,
            content: Vec::new(),
            next: 0,
        }
    }

    /// How many bytes may come at once: one record's, so that a response that is too long is seen to
    /// be before it takes more memory.
    pub(super) fn room(&self) -> usize {
        tls::MAX_PLAINTEXT
    }

    /// Takes in what has come.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The response, once it is known to be whole.
    pub(super) fn response(&mut self) -> Result<Option<Response>, HttpError> {
        let Some(framing) = self.framing()? else {
            return Ok(None);
        };
        let is_whole = match framing {
            Framing::Chunked => self.unpack()?,
            Framing::Length(length) if length > MAX_CONTENT => return Err(HttpError::TooLong),
            Framing::Length(length) => {
                let content = self.received.get(self.next..).unwrap_or_default();
                match content.get(..length) {
                    Some(content) => {
                        self.content = content.to_vec();
                        true
                    }
                    None => false,
                }
            }
            Framing::Close if self.received.len() - self.next > MAX_CONTENT => {
                return Err(HttpError::TooLong);
            }
            Framing::Close => false,
        };
        Ok(if is_whole { self.whole() } else { None })
    }

    /// The response that the connection's end completes.
    pub(super) fn end(&mut self) -> Result<Response, HttpError> {
        if let Some(response) = self.response()? {
            return Ok(response);
        }
        if self.framing()? != Some(Framing::Close) {
            return Err(HttpError::Cut);
        }
        self.content = self.received.split_off(self.next);
        self.whole().ok_or(HttpError::Cut)
    }

    fn whole(&mut self) -> Option<Response> {
        let head = self.head.take()?;
        Some(Response {
            status: head.status,
            headers: head.headers,
            body: core::mem::take(&mut self.content),
        })
    }

    /// How the content ends, once the head is there.
    fn framing(&mut self) -> Result<Option<Framing>, HttpError> {
        while self.head.is_none() {
            let waiting = self.received.get(self.next..).unwrap_or_default();
            let Some((length, head)) = head(waiting, self.head_only)? else {
                return match waiting.len() > MAX_HEAD {
                    true => Err(HttpError::TooLong),
                    false => Ok(None),
                };
            };
            self.next += length;
            if self.next > MAX_HEAD {
                return Err(HttpError::TooLong);
            }
            // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received
            // prior to a final response". Nobody asked for another protocol (101).
            match head.status {
                101 => return Err(HttpError::Malformed),
                100..=199 => {}
                _ => self.head = Some(head),
            }
        }
        Ok(self.head.as_ref().map(|head| head.framing))
    }

    /// Takes content out of the chunks that are there (RFC 9112 §7.1). True: that was the last.
    fn unpack(&mut self) -> Result<bool, HttpError> {
        loop {
            let waiting = self.received.get(self.next..).unwrap_or_default();
            let (start, size) = match httparse::parse_chunk_size(waiting) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) if waiting.len() > MAX_LINE => {
                    return Err(HttpError::TooLong);
                }
                Ok(httparse::Status::Partial) => return Ok(false),
                Err(_) => return Err(HttpError::Malformed),
            };
            let behind = waiting.get(start..).unwrap_or_default();
            if size == 0 {
                return trailer(behind);
            }
            let size = usize::try_from(size).map_err(|_| HttpError::TooLong)?;
            if start > MAX_LINE || size > MAX_CONTENT.saturating_sub(self.content.len()) {
                return Err(HttpError::TooLong);
            }
            let (Some(chunk), Some(end)) = (behind.get(..size), behind.get(size..size + 2)) else {
                return Ok(false);
            };
            if end != b"\r\n" {
                return Err(HttpError::Malformed);
            }
            self.content.extend_from_slice(chunk);
            let taken = self.next + start + size + 2;
            self.received.drain(..taken);
            self.next = 0;
        }
    }
}

/// Whether the fields behind the last chunk have ended; nobody looks at them.
fn trailer(bytes: &[u8]) -> Result<bool, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(_)) => Ok(true),
        Ok(httparse::Status::Partial) if bytes.len() > MAX_LINE => Err(HttpError::TooLong),
        Ok(httparse::Status::Partial) => Ok(false),
        Err(httparse::Error::TooManyHeaders) => Err(HttpError::TooLong),
        Err(_) => Err(HttpError::Malformed),
    }
}

/// A head and its length.
fn head(bytes: &[u8], head_only: bool) -> Result<Option<(usize, Head)>, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpError::TooLong),
        Err(_) => return Err(HttpError::Malformed),
    };
    let status = response.code.unwrap_or_default();
    let mut headers = Vec::new();
    let (mut length_said, mut chunked) = (None, false);
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("Transfer-Encoding") {
            if chunked || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(HttpError::Malformed);
            }
            chunked = true;
        }
        if is("Content-Encoding") && !field.value.eq_ignore_ascii_case(b"identity") {
            return Err(HttpError::Malformed);
        }
        if is("Content-Length") {
            let text = core::str::from_utf8(field.value).ok();
            let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let value: usize = digits
                .and_then(|text| text.parse().ok())
                .ok_or(HttpError::Malformed)?;
            // RFC 9110 §8.6: several may only say the same.
            if length_said.is_some_and(|said| said != value) {
                return Err(HttpError::Malformed);
            }
            length_said = Some(value);
        }
        let value = String::from_utf8_lossy(field.value).into_owned();
        headers.push((String::from(field.name), value));
    }
    let framing = match (chunked, length_said) {
        // RFC 9112 §6.3, rule 1: these have no content.
        _ if head_only || matches!(status, 100..=199 | 204 | 304) => Framing::Length(0),
        // Rule 3: with both, somebody may try to smuggle.
        (true, Some(_)) => return Err(HttpError::Malformed),
        (true, None) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Close,
    };
    let head = Head {
        status,
        headers,
        framing,
    };
    Ok(Some((length, head)))
}

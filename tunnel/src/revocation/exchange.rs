//! One question over HTTP (RFC 6960 appendix A): a POST, and the answer's body.
//!
//! HTTP/1.0, as OpenSSL speaks it: the responder ends the connection, and nothing is chunked.

use alloc::{format, vec::Vec};
use core::fmt;

use config::stunnel::Responder;
use tls::MAX_OCSP_RESPONSE;

use crate::relay::Stream;

/// Most bytes of a response's status line and header fields.
const MAX_HEAD: usize = 8 * 1024;

/// Most header fields.
const MAX_FIELDS: usize = 64;

/// A request on its way out, and a response on its way in.
pub struct Exchange {
    request: Vec<u8>,
    /// Bytes of it that are in the stream.
    sent: usize,
    received: Vec<u8>,
    /// Where the body begins, and how long it is, if that was said.
    body: Option<(usize, Option<usize>)>,
}

/// Why an exchange came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// It is no HTTP.
    Malformed,
    /// HTTP's status is not 200.
    Status(u16),
    /// The body is in a form that HTTP/1.0 does not have.
    Encoded,
    /// It is longer than any honest one.
    TooLong,
    /// The connection ended before the response did.
    Cut,
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the responder does not speak HTTP"),
            Self::Status(code) => write!(f, "the responder's HTTP status is {code}"),
            Self::Encoded => f.write_str("the responder's body is encoded"),
            Self::TooLong => f.write_str("the response is too long"),
            Self::Cut => f.write_str("the connection ended before the response did"),
        }
    }
}

impl Exchange {
    /// A question for a responder: `request` is the DER of an OCSPRequest.
    pub fn new(responder: &Responder, request: &[u8]) -> Self {
        let head = format!(
            "POST {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: stunnel\r\n\
             Content-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
            responder.path,
            responder.authority,
            request.len()
        );
        Self {
            request: [head.as_bytes(), request].concat(),
            sent: 0,
            received: Vec::new(),
            body: None,
        }
    }

    /// Moves what can be moved now; the response's body once it is whole.
    ///
    /// # Errors
    /// It will never be.
    pub fn poll<S: Stream>(&mut self, stream: &mut S) -> Result<Option<Vec<u8>>, ExchangeError> {
        let rest = self.request.get(self.sent..).unwrap_or_default();
        if !rest.is_empty() {
            self.sent += stream.send(rest);
        }
        while stream.recv_len() > 0 {
            let room = (MAX_HEAD + MAX_OCSP_RESPONSE + 1).saturating_sub(self.received.len());
            let received = &mut self.received;
            let taken = stream.with_recv(|bytes| {
                let bytes = bytes.get(..bytes.len().min(room)).unwrap_or_default();
                received.extend_from_slice(bytes);
                (bytes.len(), bytes.len())
            });
            if let Some(body) = self.progress()? {
                return Ok(Some(body));
            }
            if taken == 0 {
                return Err(ExchangeError::TooLong);
            }
        }
        let is_over = stream.peer_finished() || matches!(stream.status(), net::Status::Closed(_));
        match is_over {
            true => self.finish().map(Some),
            false => Ok(None),
        }
    }

    /// The body, if it is known to be whole.
    fn progress(&mut self) -> Result<Option<Vec<u8>>, ExchangeError> {
        if self.body.is_none() {
            self.body = head(&self.received)?;
        }
        let Some((start, length)) = self.body else {
            return match self.received.len() > MAX_HEAD {
                true => Err(ExchangeError::TooLong),
                false => Ok(None),
            };
        };
        let body = self.received.get(start..).unwrap_or_default();
        if length.unwrap_or(body.len()) > MAX_OCSP_RESPONSE {
            return Err(ExchangeError::TooLong);
        }
        let whole = length.and_then(|length| body.get(..length));
        Ok(whole.map(<[u8]>::to_vec))
    }

    /// The body that the connection's end completes.
    fn finish(&self) -> Result<Vec<u8>, ExchangeError> {
        match self.body {
            Some((start, None)) => Ok(self.received.get(start..).unwrap_or_default().to_vec()),
            _ => Err(ExchangeError::Cut),
        }
    }
}

/// Where the body begins, and how long it is.
fn head(bytes: &[u8]) -> Result<Option<(usize, Option<usize>)>, ExchangeError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let start = match response.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ExchangeError::TooLong),
        Err(_) => return Err(ExchangeError::Malformed),
    };
    if start > MAX_HEAD {
        return Err(ExchangeError::TooLong);
    }
    match response.code {
        Some(200) => {}
        code => return Err(ExchangeError::Status(code.unwrap_or_default())),
    }
    let mut length = None;
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("Transfer-Encoding") || is("Content-Encoding") && field.value != b"identity" {
            return Err(ExchangeError::Encoded);
        }
        if is("Content-Length") {
            let text = core::str::from_utf8(field.value).ok();
            let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let value: usize = digits
                .and_then(|text| text.parse().ok())
                .ok_or(ExchangeError::Malformed)?;
            // RFC 9110 §8.6: several may only say the same.
            if length.is_some_and(|length| length != value) {
                return Err(ExchangeError::Malformed);
            }
            length = Some(value);
        }
    }
    Ok(Some((start, length)))
}

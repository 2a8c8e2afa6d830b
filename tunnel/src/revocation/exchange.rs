//! One question over HTTP (RFC 6960 appendix A): a POST, and the answer's body.
//!
//! HTTP/1.0, as OpenSSL speaks it: the responder ends the connection, and nothing should be chunked.

use alloc::{format, vec::Vec};
use core::fmt;

use config::stunnel::Responder;
use http::{Bounds, Reply, ReplyError, ReplyReader};
use tls::MAX_OCSP_RESPONSE;

use crate::relay::Stream;

/// Most bytes of a response.
const BOUNDS: Bounds = Bounds {
    head: 8 * 1024,
    content: MAX_OCSP_RESPONSE,
};

/// Bytes that are taken at once.
const MAX_PIECE: usize = 16 * 1024;

/// A request on its way out, and a response on its way in.
pub struct Exchange {
    request: Vec<u8>,
    /// Bytes of it that are in the stream.
    sent: usize,
    reader: ReplyReader,
}

/// Why an exchange came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// It is no HTTP.
    Malformed,
    /// HTTP's status is not 200.
    Status(u16),
    /// The body is in a form that nobody asked for.
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
            reader: ReplyReader::new(false, BOUNDS),
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
            let reader = &mut self.reader;
            stream.with_recv(|bytes| {
                // What is too long is seen to be before it takes more memory.
                let bytes = bytes.get(..bytes.len().min(MAX_PIECE)).unwrap_or_default();
                reader.take(bytes);
                (bytes.len(), ())
            });
            let reply = self.reader.reply();
            if let Some(reply) = self.judged(reply)? {
                return Ok(Some(reply.content));
            }
        }
        let is_over = stream.peer_finished() || matches!(stream.status(), net::Status::Closed(_));
        if !is_over {
            return Ok(None);
        }
        let reply = self.reader.end().map(Some);
        Ok(self.judged(reply)?.map(|reply| reply.content))
    }

    /// A reply, if it is one that says what was asked for.
    fn judged(
        &self,
        reply: Result<Option<Reply>, ReplyError>,
    ) -> Result<Option<Reply>, ExchangeError> {
        let status = match &reply {
            Ok(Some(reply)) => Some(reply.status),
            _ => self.reader.status(),
        };
        match status {
            Some(200) | None => {}
            Some(code) => return Err(ExchangeError::Status(code)),
        }
        reply.map_err(|error| match error {
            ReplyError::Encoded => ExchangeError::Encoded,
            ReplyError::TooLong => ExchangeError::TooLong,
            ReplyError::Cut => ExchangeError::Cut,
            _ => ExchangeError::Malformed,
        })
    }
}

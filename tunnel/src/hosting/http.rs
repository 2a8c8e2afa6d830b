//! HTTP in the clear (RFC 9112): authorities' challenges are answered, and everybody else is sent
//! to https.
//!
//! One request a connection: the answer is written, and the connection ends in order. What comes
//! behind the request's head is not looked at.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{self, Write};

use super::Token;
use crate::journal::Date;

mod responder;
#[cfg(test)]
mod tests;

pub use responder::{Responder, Turn};

/// Most bytes of a request line and header fields.
pub const MAX_HEAD: usize = 8 * 1024;

/// Most header fields; browsers send twenty.
const MAX_FIELDS: usize = 100;

/// Most bytes of a request's target that the log gets.
const MAX_SHOWN: usize = 200;

/// Below this path are the answers to challenges (RFC 8555 §8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The port that `https://` means (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// What is answered to whom.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Answers to challenges.
    pub tokens: Vec<Token>,
    /// Where https is.
    pub https_port: u16,
}

/// An answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub status: Status,
    /// What was asked for, shortened: a stranger's text.
    pub asked: String,
    /// All of it, as it is sent.
    pub bytes: Vec<u8>,
}

/// What an answer says (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Here it is: the answer to a challenge.
    Ok,
    /// It is elsewhere; whoever comes there comes with GET.
    MovedPermanently,
    /// It is elsewhere, to be asked for by the same method.
    PermanentRedirect,
    /// The request is malformed, or names no host.
    BadRequest,
    /// There is no such challenge.
    NotFound,
    /// A challenge is to be read.
    MethodNotAllowed,
    /// The request is longer than any that is sent honestly (RFC 6585 §5).
    FieldsTooLarge,
}

impl Status {
    /// Its number.
    pub fn code(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::MovedPermanently => 301,
            Self::PermanentRedirect => 308,
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::FieldsTooLarge => 431,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::MovedPermanently => "Moved Permanently",
            Self::PermanentRedirect => "Permanent Redirect",
            Self::BadRequest => "Bad Request",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::FieldsTooLarge => "Request Header Fields Too Large",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.reason())
    }
}

/// What is wrong with a request.
struct Refused(Status);

/// What a request is about.
struct Asked<'a> {
    /// The host, and nothing else of the authority; nobody says it in an old client's request.
    host: Option<&'a str>,
    /// From its first slash on; may be empty.
    path: &'a str,
}

impl Answers {
    /// The answer to the request that `received` begins with, at `unix_seconds`; `None`: more of it
    /// has to come. Of more than [`MAX_HEAD`] bytes the rest is not looked at.
    pub fn answer(&self, received: &[u8], unix_seconds: u64) -> Option<Answer> {
        let is_full = received.len() >= MAX_HEAD;
        let head = received.get(..MAX_HEAD).unwrap_or(received);
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let refused = match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => None,
            Ok(httparse::Status::Partial) if !is_full => return None,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                Some(Status::FieldsTooLarge)
            }
            Err(_) => Some(Status::BadRequest),
        };
        let method = request.method.unwrap_or_default();
        let path = request.path.unwrap_or_default();
        let reply = match refused {
            Some(status) => Err(Refused(status)),
            None => self.reply(method, path, &request),
        };
        let is_head = method == "HEAD";
        let (status, bytes) = match reply {
            Ok(Reply::Authorization(text)) => {
                let field = "Content-Type: application/octet-stream\r\n";
                (
                    Status::Ok,
                    whole(Status::Ok, field, text, is_head, unix_seconds),
                )
            }
            Ok(Reply::Moved(location)) => {
                let status = match method {
                    "GET" | "HEAD" => Status::MovedPermanently,
                    _ => Status::PermanentRedirect,
                };
                let field = format!("Location: {location}\r\n");
                (status, whole(status, &field, "", is_head, unix_seconds))
            }
            Err(Refused(status)) => {
                let fields = match status {
                    Status::MethodNotAllowed => "Allow: GET, HEAD\r\nContent-Type: text/plain\r\n",
                    _ => "Content-Type: text/plain\r\n",
                };
                let text = format!("{}\n", status.reason());
                (status, whole(status, fields, &text, is_head, unix_seconds))
            }
        };
        let shown: String = path.chars().take(MAX_SHOWN).collect();
        Some(Answer {
            status,
            asked: shown,
            bytes,
        })
    }

    fn reply(
        &self,
        method: &str,
        target: &str,
        request: &httparse::Request<'_, '_>,
    ) -> Result<Reply<'_>, Refused> {
        let asked = asked(target, request)?;
        let (path, _) = asked.path.split_once('?').unwrap_or((asked.path, ""));
        if let Some(token) = path.strip_prefix(CHALLENGES) {
            if !matches!(method, "GET" | "HEAD") {
                return Err(Refused(Status::MethodNotAllowed));
            }
            let known = self.tokens.iter().find(|known| known.token == token);
            let known = known.ok_or(Refused(Status::NotFound))?;
            return Ok(Reply::Authorization(&known.authorization));
        }
        let host = asked.host.ok_or(Refused(Status::BadRequest))?;
        let mut location = format!("https://{host}");
        if self.https_port != HTTPS {
            // Writing to a text never fails.
            let _ = write!(location, ":{}", self.https_port);
        }
        if !asked.path.starts_with('/') {
            location.push('/');
        }
        asked
            .path
            .bytes()
            .for_each(|byte| escape(byte, &mut location));
        Ok(Reply::Moved(location))
    }
}

/// What is said to a good request.
enum Reply<'a> {
    Authorization(&'a str),
    Moved(String),
}

/// An answer's bytes; `fields` are whole lines.
fn whole(status: Status, fields: &str, body: &str, is_head: bool, unix_seconds: u64) -> Vec<u8> {
    let date = Date::from_unix(unix_seconds).http().to_string();
    let length = body.len();
    let body = if is_head { "" } else { body };
    format!(
        "HTTP/1.1 {status}\r\nDate: {date}\r\n{fields}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The host and the path that a request is about.
fn asked<'a>(
    target: &'a str,
    request: &'a httparse::Request<'_, '_>,
) -> Result<Asked<'a>, Refused> {
    let bad = Refused(Status::BadRequest);
    let fields = request.headers.iter();
    let mut hosts = fields.filter(|field| field.name.eq_ignore_ascii_case("Host"));
    let (named, another) = (hosts.next(), hosts.next());
    // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
    // that lacks a Host header field and to any request message that contains more than one Host
    // header field line or a Host header field with an invalid field value." (RFC 9112 §3.2)
    if another.is_some() || (named.is_none() && request.version == Some(1)) {
        return Err(bad);
    }
    let named = match named {
        None => None,
        Some(field) => Some(
            core::str::from_utf8(field.value)
                .ok()
                .and_then(http::host)
                .ok_or(bad)?,
        ),
    };
    let bad = Refused(Status::BadRequest);
    if target.contains('#') {
        return Err(bad);
    }
    if target.starts_with('/') {
        return Ok(Asked {
            host: named,
            path: target,
        });
    }
    // "When an origin server receives a request with an absolute-form of request-target, the origin
    // server MUST ignore the received Host header field (if any) and instead use the host
    // information of the request-target." (RFC 9112 §3.2.2)
    let (scheme, rest) = target
        .split_once("://")
        .ok_or(Refused(Status::BadRequest))?;
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(bad);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(bad)?;
    let named = http::host(authority).ok_or(Refused(Status::BadRequest))?;
    Ok(Asked {
        host: Some(named),
        path,
    })
}

/// Adds a byte of a request's target to a URI: as it is where it may stand there (RFC 3986 §2), else
/// by its number (§2.1).
fn escape(byte: u8, uri: &mut String) {
    let stands = byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    match stands {
        true => uri.push(char::from(byte)),
        false => {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
}

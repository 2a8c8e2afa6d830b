//! HTTP CONNECT (RFC 9110 §9.3.6).
//!
//! Client mode: the backend is a proxy, asked in the clear for the TLS server that is behind it.
//!
//! Server mode: a proxy that ends TLS itself, so that the client's TLS partner is this server, and
//! the backend that it names gets plaintext. As in stunnel, the request comes in the clear, and the
//! backend is dialled once the client is known by TLS; a client whose first words are TLS's sends the
//! request under TLS, as to any HTTPS proxy.

use alloc::{boxed::Box, vec::Vec};

use base64ct::{Base64, Encoding};
use config::Zeroizing;
use net::StreamError;

use super::{
    About, Destination, Dialect, End, Ends, Fault, Host, Progress, Setup, Stage, Unreachable,
    WINDOW, Wire,
};
use crate::session::DialError;

#[cfg(test)]
mod tests;

/// Most bytes of a line; RFC 9112 §3 recommends at least 8,000.
const MAX_LINE: usize = WINDOW - 1;

/// Most lines of a request, or of all responses to one.
const MAX_LINES: usize = 100;

/// Most bytes of them.
const MAX_BYTES: usize = 32 * 1024;

/// A TLS record of type handshake (RFC 8446 §5.1); no method begins so.
const HANDSHAKE: u8 = 0x16;

/// A client of a proxy.
pub(super) fn client(setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client {
        request: request(setup),
        head: Head::default(),
        state: Answer::Unasked,
    })
}

/// A proxy.
pub(super) fn server(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Server {
        head: Head::default(),
        destination: None,
        in_tls: false,
    })
}

/// The request as it is sent; without a host, none.
fn request(setup: &Setup) -> Option<Zeroizing<Vec<u8>>> {
    let host = setup.host.as_ref()?.as_bytes();
    let mut request = Zeroizing::new(Vec::with_capacity(512));
    for piece in [b"CONNECT ", host, b" HTTP/1.1\r\nHost: ", host, b"\r\n"] {
        request.extend_from_slice(piece);
    }
    if let (Some(username), Some(password)) = (&setup.username, &setup.password) {
        // RFC 7617 §2.
        let mut pair = Zeroizing::new(Vec::with_capacity(username.len() + 1 + password.len()));
        pair.extend_from_slice(username.as_bytes());
        pair.push(b':');
        pair.extend_from_slice(password.as_bytes());
        request.extend_from_slice(b"Proxy-Authorization: Basic ");
        let encoded = Zeroizing::new(Base64::encode_string(&pair));
        request.extend_from_slice(encoded.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    for header in &setup.headers {
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    Some(request)
}

/// How much of a message has passed.
#[derive(Default)]
struct Head {
    lines: usize,
    bytes: usize,
}

impl Head {
    /// Takes the next line.
    fn line<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Option<&'a [u8]>, Fault> {
        let Some(line) = wire.line(MAX_LINE)? else {
            return Ok(None);
        };
        self.lines += 1;
        self.bytes += line.len();
        if self.lines > MAX_LINES || self.bytes > MAX_BYTES {
            return Err(Fault::new(wire.end(), "The HTTP header is too long"));
        }
        Ok(Some(line))
    }
}

struct Client {
    request: Option<Zeroizing<Vec<u8>>>,
    head: Head,
    state: Answer,
}

/// How much of the answer is there.
enum Answer {
    Unasked,
    /// The status line comes next.
    Status,
    /// Headers of an answer come; of one that is to be followed by another, or not.
    Headers {
        last: bool,
    },
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != Stage::Clear {
            return Ok(Progress::Next);
        }
        let proxy = &mut ends.backend;
        if let Answer::Unasked = self.state {
            let Some(request) = self.request.take() else {
                return Err(Fault::new(End::Backend, "protocolHost not specified"));
            };
            proxy.send(&request);
            self.state = Answer::Status;
        }
        while let Some(line) = self.head.line(proxy)? {
            match self.state {
                Answer::Headers { last: true } if line.is_empty() => {
                    proxy.refuse_early()?;
                    return Ok(Progress::Next);
                }
                Answer::Headers { last: false } if line.is_empty() => self.state = Answer::Status,
                Answer::Headers { .. } => {}
                Answer::Unasked | Answer::Status => {
                    let last = match status(line) {
                        Some(200..=299) => true,
                        // "A client MUST be able to parse one or more 1xx responses received
                        // prior to a final response" (RFC 9110 §15.2); 101 is none of these.
                        Some(100 | 102..=199) => false,
                        _ => {
                            // No more of it: the rest may repeat what the request said.
                            let shown = line.get(..STATUS_LENGTH).unwrap_or(line);
                            let text = "CONNECT request rejected";
                            return Err(Fault::with(End::Backend, text, shown));
                        }
                    };
                    self.state = Answer::Headers { last };
                }
            }
        }
        proxy.more()
    }
}

/// `HTTP/1.1 200`.
const STATUS_LENGTH: usize = 12;

/// The code of a status line (RFC 9112 §4).
fn status(line: &[u8]) -> Option<u16> {
    let (code, rest) = line.strip_prefix(b"HTTP/1.")?.split_at_checked(5)?;
    let &[b'0' | b'1', b' ', a, b, c] = code else {
        return None;
    };
    if !matches!(rest.first(), None | Some(b' ')) {
        return None;
    }
    [a, b, c].iter().try_fold(0, |code, digit| {
        digit
            .is_ascii_digit()
            .then(|| code * 10 + u16::from(digit - b'0'))
    })
}

struct Server {
    head: Head,
    destination: Option<Destination>,
    /// The request comes under TLS.
    in_tls: bool,
}

impl Dialect for Server {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        let client = &mut ends.client;
        match stage {
            Stage::Clear if self.head.lines == 0 && client.rest().first() == Some(&HANDSHAKE) => {
                self.in_tls = true;
                Ok(Progress::Next)
            }
            Stage::Clear => {
                if !self.read(client)? {
                    return client.more();
                }
                client.refuse_early()?;
                answer(client, b"200 OK");
                Ok(Progress::Next)
            }
            Stage::Secured => {
                if self.in_tls && !self.read(client)? {
                    return client.more();
                }
                match self.destination.take() {
                    Some(destination) => Ok(Progress::Connect(destination)),
                    None => Err(Fault::new(End::Client, "No CONNECT request")),
                }
            }
            Stage::Connected => {
                if self.in_tls {
                    answer(client, b"200 OK");
                }
                Ok(Progress::Next)
            }
        }
    }

    fn unreachable(&mut self, client: &mut Wire<'_>, why: Unreachable) {
        // A client that asked in the clear has its answer; under TLS it talks to the backend.
        if self.in_tls {
            answer(client, reason(why));
        }
    }
}

impl Server {
    /// Reads the request. True once it is there as a whole.
    fn read(&mut self, client: &mut Wire<'_>) -> Result<bool, Fault> {
        let read = self.read_lines(client);
        if read.is_err() && self.destination.is_some() {
            answer(client, b"431 Request Header Fields Too Large");
        }
        read
    }

    fn read_lines(&mut self, client: &mut Wire<'_>) -> Result<bool, Fault> {
        while let Some(line) = self.head.line(client)? {
            if self.destination.is_none() {
                match destination(line) {
                    Ok(destination) => self.destination = Some(destination),
                    Err(reason) => {
                        answer(client, reason);
                        let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
                        return Err(Fault::with(End::Client, "CONNECT request rejected", method));
                    }
                }
            } else if line.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where a request line leads (RFC 9112 §3.2.3); else the status that refuses it.
fn destination(line: &[u8]) -> Result<Destination, &'static [u8]> {
    let (method, rest) = line.split_at_checked(8).unwrap_or_default();
    if !method.eq_ignore_ascii_case(b"CONNECT ") {
        return Err(b"400 Bad Request Method");
    }
    let mut words = rest.split(|byte| *byte == b' ');
    let target = words.next().unwrap_or_default();
    let version = words.next().unwrap_or_default();
    if !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") || words.next().is_some() {
        return Err(b"400 Bad Request Protocol");
    }
    // "A server MUST reject a CONNECT request that targets an empty or invalid port number,
    // typically by responding with a 400 (Bad Request) status code" (RFC 9110 §9.3.6).
    authority(target).ok_or(b"400 Bad Request")
}

/// `HOST:PORT`, an IPv6 address in brackets (RFC 3986 §3.2.2).
fn authority(target: &[u8]) -> Option<Destination> {
    let target = core::str::from_utf8(target).ok()?;
    let (host, port) = target.rsplit_once(':')?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = match address {
        Some(address) => Host::Address(core::net::IpAddr::V6(address.parse().ok()?)),
        None => config::command_line::host(host)?,
    };
    Some(Destination { host, port })
}

/// What a client is told about a backend that is not reached.
fn reason(why: Unreachable) -> &'static [u8] {
    match why {
        Unreachable::NotResolved | Unreachable::Failed(DialError::NoAddress) => b"404 Not Found",
        Unreachable::Forbidden => b"403 Forbidden",
        Unreachable::Failed(DialError::Failed(StreamError::TimedOut)) => b"504 Gateway Timeout",
        Unreachable::Failed(_) => b"502 Bad Gateway",
    }
}

fn answer(client: &mut Wire<'_>, status: &[u8]) {
    client.send_line(&[b"HTTP/1.0 ", status]);
    client.send(b"\r\n");
}

//! One request over TLS, and its response (RFC 9110, RFC 9112).

use alloc::{format, string::ToString, vec::Vec};

use config::url::Url;
use http::{Bounds, ReplyError, ReplyReader};
use tls::Connection;

use super::{Answered, is_over};
use crate::{
    keeper::{Fault, HttpError, Request},
    relay::{self, Scratch, Stream},
};

/// Most bytes of a reply: chains of certificates have some thousand.
const BOUNDS: Bounds = Bounds {
    head: 16 * 1024,
    content: 64 * 1024,
};

/// A request on its way out, and a response on its way in.
pub(super) struct Https {
    connection: Connection,
    request: Vec<u8>,
    /// Bytes of it that are in the stream.
    sent: usize,
    reader: ReplyReader,
}

impl Https {
    pub(super) fn new(
        request: &Request,
        url: &Url,
        client: &tls::Client,
    ) -> Result<Self, Fault<HttpError>> {
        let name = match &url.host {
            config::Host::Address(address) => address.to_string(),
            config::Host::Name(name) => name.clone(),
        };
        let connection = client.connect(Some(&name));
        let connection = connection.map_err(|error| Fault::Tls(error.to_string()))?;
        // RFC 8555 §6.1: clients MUST send a User-Agent header field with the program's name and
        // version, and SHOULD send Accept-Language.
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: stockade/{}\r\nAccept-Language: en\r\n\
             Connection: close\r\n",
            request.method,
            url.path,
            url.authority,
            config::VERSION
        );
        if request.method == "POST" {
            head += &format!(
                "Content-Type: application/jose+json\r\nContent-Length: {}\r\n",
                request.body.len()
            );
        }
        head += "\r\n";
        Ok(Self {
            connection,
            request: [head.as_bytes(), &request.body].concat(),
            sent: 0,
            reader: ReplyReader::new(request.method == "HEAD", BOUNDS),
        })
    }

    pub(super) fn poll<S: Stream>(
        &mut self,
        stream: &mut S,
        scratch: &mut Scratch,
    ) -> Option<Answered> {
        let result = self.advance(stream, scratch);
        match &result {
            Ok(None) => return None,
            Ok(Some(_)) => self.connection.close_notify(),
            Err(_) => {}
        }
        // Our close_notify, or the alert that says what was wrong.
        let last = relay::transmit(&mut self.connection, stream);
        match &result {
            Err(_) if last == 0 => stream.reset(),
            _ => stream.finish(),
        }
        result.transpose()
    }

    fn advance<S: Stream>(
        &mut self,
        stream: &mut S,
        scratch: &mut Scratch,
    ) -> Result<Option<acme::Response>, Fault<HttpError>> {
        let broken = |error: tls::Error| Fault::Tls(error.to_string());
        loop {
            let mut moved = relay::transmit(&mut self.connection, stream) > 0;
            if self.connection.may_send() && self.sent < self.request.len() {
                moved |= self.send(stream, scratch).map_err(broken)?;
            }
            let reader = &mut self.reader;
            let sink = |bytes: &[u8]| reader.take(bytes);
            // One record at a time, so that a reply that is too long is seen to be before it takes
            // more memory.
            let opened = relay::open(
                &mut self.connection,
                stream,
                tls::MAX_PLAINTEXT,
                scratch,
                sink,
            );
            let opened = opened.map_err(broken)?;
            let reply = match self.connection.peer_closed() {
                true => self.reader.end().map(Some),
                false => self.reader.reply(),
            };
            if let Some(reply) = reply.map_err(fault)? {
                return Ok(Some(acme::Response {
                    status: reply.status,
                    headers: reply.fields,
                    body: reply.content,
                }));
            }
            if !moved && opened.read == 0 {
                break;
            }
        }
        // RFC 9112 §9.8: without the closure alert, what came may have been cut off.
        match is_over(stream) || (stream.peer_finished() && stream.recv_len() > 0) {
            true if self.connection.is_handshaking() => {
                Err(Fault::Tls("the connection ended in the handshake".into()))
            }
            true => Err(Fault::Conversation(HttpError::Cut)),
            false => Ok(None),
        }
    }

    /// Seals what is left of the request, as far as there is room. Whether anything was.
    fn send<S: Stream>(
        &mut self,
        stream: &mut S,
        scratch: &mut Scratch,
    ) -> Result<bool, tls::Error> {
        let rest = self.request.get(self.sent..).unwrap_or_default();
        // Sealed aside: the stream's free space may lie in two pieces.
        let output = scratch.first(stream.send_room());
        let sealed = self.connection.send(rest, output)?;
        stream.send(output.get(..sealed.written).unwrap_or_default());
        self.sent += sealed.read;
        Ok(sealed.written > 0)
    }
}

fn fault(error: ReplyError) -> Fault<HttpError> {
    Fault::Conversation(match error {
        ReplyError::TooLong => HttpError::TooLong,
        ReplyError::Cut => HttpError::Cut,
        _ => HttpError::Malformed,
    })
}

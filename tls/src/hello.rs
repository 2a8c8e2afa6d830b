//! A look at a ClientHello before anybody answers it (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).
//!
//! Which service a connection belongs to is in the first message alone, so that is read here without
//! being consumed; whichever [`Server`](crate::Server) is then chosen judges the same bytes anew.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::MAX_PLAINTEXT;

/// Most bytes, record headers included, that a ClientHello may take. Browsers' take two thousand.
pub const MAX_CLIENT_HELLO: usize = 64 * 1024;

/// Most application protocols that are kept; clients offer a handful.
const MAX_PROTOCOLS: usize = 32;

/// Most bytes of a host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extension numbers of RFC 8446 §4.2.
const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// What the front of a connection's bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    /// The beginning of something that may become a ClientHello: look again when there is more.
    Incomplete,
    /// A whole ClientHello.
    Hello(ClientHello),
    /// Nothing that will become one. Any server's connection refuses these bytes with the right
    /// alert, so they may be handed to one all the same.
    NotTls {
        /// What it is instead, in words that follow `the peer sent`.
        reason: &'static str,
    },
}

/// What a client offers. Nothing of it is proven yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHello {
    /// The host that the client asks for (RFC 6066 §3), in lower case and without a final dot; an
    /// IP address where the client sends one against the rules, as stunnel does.
    pub server_name: Option<String>,
    /// Whether TLS 1.3 is offered.
    pub offers_tls13: bool,
    /// The newest version offered, as on the wire: (3, 4) is TLS 1.3, (3, 3) is TLS 1.2.
    pub max_version: (u8, u8),
    /// Whether there is a pre_shared_key extension (RFC 8446 §4.2.11): resumption by ticket, or an
    /// external key.
    pub psk_offered: bool,
    /// Whether one of the keys offered looks like an external one: its ticket age is 0
    /// (RFC 8446 §4.2.11: "For identities established externally, an obfuscated_ticket_age of 0
    /// SHOULD be used").
    pub external_psk: bool,
    /// Whether TLS 1.2 suites with pre-shared keys are offered (RFC 4279, RFC 5487, RFC 8442).
    pub psk_suites: bool,
    /// Whether keys are offered in a way that leaves no room for a certificate: TLS 1.3 without
    /// signature algorithms, or TLS 1.2 with suites for pre-shared keys alone.
    pub psk_only: bool,
    /// Application protocols offered, most wanted first (RFC 7301); the first 32.
    pub alpn: Vec<Vec<u8>>,
}

/// Looks for a ClientHello at the front of `bytes`, over as many records as it takes. Consumes
/// nothing; takes memory for the message when it spans records.
#[must_use]
pub fn peek_client_hello(bytes: &[u8]) -> Peek {
    match message(bytes) {
        Ok(Some(message)) => match ClientHello::parse(&message) {
            Some(hello) => Peek::Hello(hello),
            None => Peek::NotTls {
                reason: "a malformed ClientHello",
            },
        },
        Ok(None) => Peek::Incomplete,
        Err(reason) => Peek::NotTls { reason },
    }
}

/// The body of the ClientHello, once it is whole.
fn message(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, &'static str> {
    let mut records = Records { rest: bytes };
    let mut start = [0; MESSAGE_HEADER];
    // Headers first, so that an unfinished message costs no memory and little time, however often
    // it is looked at. The message's header may itself be spread over records.
    let (mut have, mut wanted) = (0, MESSAGE_HEADER);
    while have < wanted {
        let Some(fragment) = records.next()? else {
            return Ok(None);
        };
        for (to, from) in start.iter_mut().skip(have).zip(fragment) {
            *to = *from;
        }
        let whole = have == 0;
        have += fragment.len();
        let [kind, high, middle, low] = start;
        if kind != CLIENT_HELLO {
            return Err("another handshake message instead of a ClientHello");
        }
        if have < MESSAGE_HEADER {
            continue;
        }
        wanted = MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
        if wanted > MAX_CLIENT_HELLO || bytes.len() - records.rest.len() > MAX_CLIENT_HELLO {
            return Err("a ClientHello that is too long");
        }
        if whole && have >= wanted {
            let body = fragment.get(MESSAGE_HEADER..wanted).unwrap_or_default();
            return Ok(Some(Cow::Borrowed(body)));
        }
    }
    let mut whole = Vec::with_capacity(wanted);
    let mut records = Records { rest: bytes };
    while whole.len() < wanted
        && let Some(fragment) = records.next()?
    {
        let missing = wanted - whole.len();
        whole.extend_from_slice(fragment.get(..missing).unwrap_or(fragment));
    }
    whole.drain(..MESSAGE_HEADER.min(whole.len()));
    Ok(Some(Cow::Owned(whole)))
}

/// Whole handshake records, from the front.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The next one's content; `None` when it is incomplete. What cannot be a record is an error as
    /// soon as that shows.
    fn next(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        match self.rest.first() {
            None => return Ok(None),
            Some(&HANDSHAKE) => {}
            Some(&ALERT) => return Err("an alert instead of a ClientHello"),
            Some(byte) if byte.is_ascii_uppercase() => return Err("text instead of TLS"),
            Some(byte) if byte & 0x80 != 0 => match self.rest.get(2) {
                None => return Ok(None),
                Some(&CLIENT_HELLO) => return Err("a ClientHello of SSL 2.0"),
                Some(_) => return Err("something that is not TLS"),
            },
            Some(_) => return Err("something that is not TLS"),
        }
        if self.rest.get(1).is_some_and(|major| *major != 3) {
            return Err("something that is not TLS");
        }
        let Some(([_, _, _, high, low], rest)) = self.rest.split_first_chunk::<RECORD_HEADER>()
        else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // "Implementations MUST NOT send zero-length fragments of Handshake types"
        // (RFC 8446 §5.1).
        if length == 0 {
            return Err("an empty record");
        }
        if length > MAX_PLAINTEXT {
            return Err("a record that is too long");
        }
        let Some((fragment, rest)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        self.rest = rest;
        Ok(Some(fragment))
    }
}

impl ClientHello {
    /// Reads a message's body; `None` when it is malformed.
    fn parse(body: &[u8]) -> Option<ClientHello> {
        const RANDOM: usize = 32;
        let mut reader = Reader(body);
        let legacy_version = reader.number()?;
        reader.take(RANDOM)?;
        reader.short()?;
        let suites = reader.long()?;
        reader.short()?;
        let mut hello = ClientHello {
            max_version: legacy_version.to_be_bytes().into(),
            ..ClientHello::default()
        };
        let mut signature_algorithms = false;
        if !reader.0.is_empty() {
            let mut extensions = Reader(reader.long()?);
            while !extensions.0.is_empty() {
                let kind = extensions.number()?;
                let mut content = Reader(extensions.long()?);
                match kind {
                    SERVER_NAME => hello.server_name = server_name(&mut content)?,
                    SUPPORTED_VERSIONS => {
                        if let Some(newest) = newest_version(content.short()?) {
                            hello.max_version = newest.to_be_bytes().into();
                        }
                    }
                    ALPN => hello.alpn = protocols(content.long()?)?,
                    PRE_SHARED_KEY => {
                        hello.psk_offered = true;
                        hello.external_psk = any_external(content.long()?)?;
                    }
                    SIGNATURE_ALGORITHMS => signature_algorithms = true,
                    _ => {}
                }
            }
        }
        hello.offers_tls13 = hello.max_version >= (3, 4);
        let (pairs, odd) = suites.as_chunks::<2>();
        if pairs.is_empty() || !odd.is_empty() || !reader.0.is_empty() {
            return None;
        }
        let mut others = false;
        for suite in pairs.iter().map(|pair| u16::from_be_bytes(*pair)) {
            match kind_of(suite) {
                Kind::Psk => hello.psk_suites = true,
                Kind::Other => others = true,
                Kind::Tls13 | Kind::Signal => {}
            }
        }
        hello.psk_only = if hello.offers_tls13 {
            hello.psk_offered && !signature_algorithms
        } else {
            hello.psk_suites && !others
        };
        Some(hello)
    }
}

/// What a suite says about who is authenticated how.
enum Kind {
    Tls13,
    Psk,
    /// No suite but a message, or a number that is sent to keep servers tolerant (RFC 8701).
    Signal,
    Other,
}

fn kind_of(suite: u16) -> Kind {
    match suite {
        // TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_FALLBACK_SCSV.
        0x00ff | 0x5600 => Kind::Signal,
        grease if grease & 0x0f0f == 0x0a0a => Kind::Signal,
        0x1301..=0x1305 => Kind::Tls13,
        // All that the IANA registry names with PSK: RFC 4785, 4279, 5487, 5489, 6209, 6367, 6655,
        // 7905, 8442.
        0x002c..=0x002e
        | 0x008a..=0x0095
        | 0x00a8..=0x00b9
        | 0xc033..=0xc03b
        | 0xc064..=0xc071
        | 0xc08e..=0xc09b
        | 0xc0a4..=0xc0ab
        | 0xccab..=0xccae
        | 0xd001..=0xd005 => Kind::Psk,
        _ => Kind::Other,
    }
}

/// RFC 6066 §3: a list of names, of which only host names were ever defined.
fn server_name(content: &mut Reader<'_>) -> Option<Option<String>> {
    const HOST_NAME: u8 = 0;
    let mut names = Reader(content.long()?);
    while !names.0.is_empty() {
        let kind = names.byte()?;
        let name = names.long()?;
        if kind != HOST_NAME {
            continue;
        }
        let name = name.strip_suffix(b".").unwrap_or(name);
        let sound = (1..=MAX_NAME).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
        // A name that no host can have selects nothing; rustls refuses it.
        return Some(
            core::str::from_utf8(name)
                .ok()
                .filter(|_| sound)
                .map(str::to_ascii_lowercase),
        );
    }
    Some(None)
}

/// RFC 8446 §4.2.1; versions that are made up to keep servers tolerant (RFC 8701) do not count.
fn newest_version(versions: &[u8]) -> Option<u16> {
    let (versions, _) = versions.as_chunks::<2>();
    versions
        .iter()
        .map(|version| u16::from_be_bytes(*version))
        .filter(|version| (0x0300..=0x0304).contains(version))
        .max()
}

/// RFC 7301 §3.1.
fn protocols(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = Reader(list);
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.short()?;
        if protocols.len() < MAX_PROTOCOLS {
            protocols.push(protocol.to_vec());
        }
    }
    Some(protocols)
}

/// RFC 8446 §4.2.11: identities, each with the age of its ticket.
fn any_external(identities: &[u8]) -> Option<bool> {
    let mut identities = Reader(identities);
    let mut external = false;
    while !identities.0.is_empty() {
        identities.long()?;
        external |= identities.take(4)? == [0; 4];
    }
    Some(external)
}

/// Takes fields from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A vector with a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// A vector with a length of two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}

//! The handshake messages of a TLS 1.3 handshake with a pre-shared key (RFC 8446 §4).

use alloc::string::String;
use alloc::vec::Vec;

use super::Fault;
use super::schedule::HASH;
use super::wire::{Reader, Writer, message};

/// Handshake message types (RFC 8446 §4).
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const NEW_SESSION_TICKET: u8 = 4;
pub(super) const ENCRYPTED_EXTENSIONS: u8 = 8;
pub(super) const FINISHED: u8 = 20;
pub(super) const KEY_UPDATE: u8 = 24;
const MESSAGE_HASH: u8 = 254;

/// Extension numbers (RFC 8446 §4.2).
pub(super) mod extension {
    pub(in super::super) const SERVER_NAME: u16 = 0;
    pub(in super::super) const SUPPORTED_GROUPS: u16 = 10;
    pub(in super::super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(in super::super) const ALPN: u16 = 16;
    pub(in super::super) const PRE_SHARED_KEY: u16 = 41;
    pub(in super::super) const EARLY_DATA: u16 = 42;
    pub(in super::super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(in super::super) const COOKIE: u16 = 44;
    pub(in super::super) const PSK_KEY_EXCHANGE_MODES: u16 = 45;
    pub(in super::super) const KEY_SHARE: u16 = 51;
}

/// `legacy_version`: TLS 1.2.
const LEGACY_VERSION: u16 = 0x0303;
const TLS13: u16 = 0x0304;

/// psk_dhe_ke (RFC 8446 §4.2.9).
const PSK_DHE_KE: u8 = 1;

/// Signature schemes (RFC 8446 §4.2.3) that a client names although it takes no certificate: without
/// them OpenSSL's server answers an identity that it does not know with missing_extension, which
/// helps nobody to find out why.
const SIGNATURE_SCHEMES: [u16; 7] = [0x0403, 0x0804, 0x0807, 0x0503, 0x0805, 0x0806, 0x0401];

/// Most identities of a ClientHello that are looked at; clients send one, and tickets besides.
const MAX_IDENTITIES: usize = 8;

/// Most extensions in a message; browsers send two dozen.
const MAX_EXTENSIONS: usize = 64;

/// Most bytes of a host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 255;

/// `random` of a ServerHello that is a HelloRetryRequest: SHA-256 of "HelloRetryRequest"
/// (RFC 8446 §4.1.3).
pub(super) const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A ClientHello that offers pre-shared keys with (EC)DHE.
pub(super) struct ClientHello<'a> {
    pub(super) random: &'a [u8],
    pub(super) session_id: &'a [u8],
    suites: Reader<'a>,
    pub(super) server_name: Option<String>,
    /// Application protocols; `None` without the extension.
    pub(super) protocols: Option<Vec<&'a [u8]>>,
    groups: Reader<'a>,
    pub(super) shares: Vec<(u16, &'a [u8])>,
    pub(super) identities: Vec<Offer<'a>>,
    /// Bytes of the message before its binders: what they are computed over.
    pub(super) bound: usize,
    pub(super) early_data: bool,
}

/// One identity that a client offers, and its binder.
pub(super) struct Offer<'a> {
    pub(super) identity: &'a [u8],
    pub(super) binder: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads a whole message, type and length included.
    pub(super) fn read(message: &'a [u8]) -> Result<ClientHello<'a>, Fault> {
        let mut body = body(message)?;
        if body.u16()? < 0x0301 {
            return Err(Fault::Version);
        }
        let random = body.take(32)?;
        let session_id = body.vector8()?.rest();
        if session_id.len() > 32 {
            return Err(Fault::Decode);
        }
        let suites = even(body.vector16()?)?;
        let compression = body.vector8()?.rest();
        if body.is_empty() {
            // Before TLS 1.2 there were no extensions.
            return Err(Fault::Version);
        }
        let mut extensions = body.vector16()?;
        body.end()?;

        let mut found = Found::default();
        let mut seen = Vec::new();
        while !extensions.is_empty() {
            if found.keys.is_some() {
                // "The 'pre_shared_key' extension MUST be the last" (RFC 8446 §4.2.11).
                return Err(Fault::Illegal("an extension behind pre_shared_key"));
            }
            let number = extensions.u16()?;
            let content = extensions.vector16()?;
            note(&mut seen, number)?;
            found.take(number, content)?;
        }
        if !found.tls13 {
            return Err(Fault::Version);
        }
        if compression != [0] {
            return Err(Fault::Illegal("compression"));
        }
        let Some((identities, binders_length)) = found.keys else {
            return Err(Fault::NoKey);
        };
        let Some(modes) = found.modes else {
            return Err(Fault::Missing("psk_key_exchange_modes"));
        };
        if !modes.contains(&PSK_DHE_KE) {
            return Err(Fault::NothingInCommon(
                "the client wants its pre-shared key without (EC)DHE, which gives no forward secrecy",
            ));
        }
        let groups = found.groups.ok_or(Fault::Missing("supported_groups"))?;
        let shares = found.shares.ok_or(Fault::Missing("key_share"))?;
        Ok(ClientHello {
            random,
            session_id,
            suites,
            server_name: found.server_name,
            protocols: found.protocols,
            groups,
            shares,
            identities,
            bound: message.len().saturating_sub(binders_length),
            early_data: found.early_data,
        })
    }

    pub(super) fn offers_suite(&self, suite: u16) -> bool {
        contains(self.suites, suite)
    }

    pub(super) fn offers_group(&self, group: u16) -> bool {
        contains(self.groups, group)
    }
}

/// What the extensions of a ClientHello hold.
#[derive(Default)]
struct Found<'a> {
    tls13: bool,
    server_name: Option<String>,
    protocols: Option<Vec<&'a [u8]>>,
    groups: Option<Reader<'a>>,
    shares: Option<Vec<(u16, &'a [u8])>>,
    modes: Option<&'a [u8]>,
    keys: Option<(Vec<Offer<'a>>, usize)>,
    early_data: bool,
}

impl<'a> Found<'a> {
    fn take(&mut self, number: u16, mut content: Reader<'a>) -> Result<(), Fault> {
        match number {
            extension::SUPPORTED_VERSIONS => {
                self.tls13 = contains(even(content.vector8()?)?, TLS13);
            }
            extension::SERVER_NAME => {
                self.server_name = server_name(&mut content)?;
            }
            extension::ALPN => self.protocols = Some(protocols(&mut content)?),
            extension::SUPPORTED_GROUPS => self.groups = Some(even(content.vector16()?)?),
            extension::KEY_SHARE => self.shares = Some(shares(&mut content)?),
            extension::PSK_KEY_EXCHANGE_MODES => self.modes = Some(content.vector8()?.rest()),
            extension::PRE_SHARED_KEY => self.keys = Some(keys(&mut content)?),
            extension::EARLY_DATA => self.early_data = true,
            // GREASE (RFC 8701) and everything else.
            _ => return Ok(()),
        }
        content.end()
    }
}

/// RFC 6066 §3. A name that cannot be one is passed over, as what is sent for an IP address is.
fn server_name(content: &mut Reader<'_>) -> Result<Option<String>, Fault> {
    let mut list = content.vector16()?;
    let mut found = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16()?.rest();
        if kind == 0 && found.is_none() && (1..=MAX_HOST).contains(&name.len()) {
            let name = core::str::from_utf8(name).ok();
            found = name.map(str::to_ascii_lowercase);
        }
    }
    Ok(found)
}

fn protocols<'a>(content: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, Fault> {
    let mut list = content.vector16()?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let protocol = list.vector8()?.rest();
        if protocol.is_empty() {
            return Err(Fault::Decode);
        }
        if protocols.len() < MAX_EXTENSIONS {
            protocols.push(protocol);
        }
    }
    Ok(protocols)
}

fn shares<'a>(content: &mut Reader<'a>) -> Result<Vec<(u16, &'a [u8])>, Fault> {
    let mut list = content.vector16()?;
    let mut shares: Vec<(u16, &[u8])> = Vec::new();
    while !list.is_empty() {
        let group = list.u16()?;
        let share = list.vector16()?.rest();
        if share.is_empty() || shares.len() >= MAX_EXTENSIONS {
            return Err(Fault::Decode);
        }
        // "Clients MUST NOT offer multiple KeyShareEntry values for the same group" (§4.2.8).
        if shares.iter().any(|(known, _)| *known == group) {
            return Err(Fault::Illegal("a second key share of one group"));
        }
        shares.push((group, share));
    }
    Ok(shares)
}

/// The identities with their binders, and the bytes that the list of binders takes.
fn keys<'a>(content: &mut Reader<'a>) -> Result<(Vec<Offer<'a>>, usize), Fault> {
    let mut identities = content.vector16()?;
    let length = content.len();
    let mut binders = content.vector16()?;
    if identities.is_empty() {
        return Err(Fault::Decode);
    }
    let mut offers = Vec::new();
    while !identities.is_empty() {
        let identity = identities.vector16()?.rest();
        // The age is of tickets alone.
        identities.u32()?;
        if binders.is_empty() {
            return Err(Fault::Illegal("an identity without a binder"));
        }
        let binder = binders.vector8()?.rest();
        if identity.is_empty() || binder.len() < HASH {
            return Err(Fault::Decode);
        }
        if offers.len() < MAX_IDENTITIES {
            offers.push(Offer { identity, binder });
        }
    }
    if !binders.is_empty() {
        return Err(Fault::Illegal("a binder without an identity"));
    }
    Ok((offers, length))
}

/// What a client puts into its ClientHello.
pub(super) struct Offering<'a> {
    pub(super) random: &'a [u8; 32],
    pub(super) session_id: &'a [u8; 32],
    pub(super) suites: &'a [u16],
    pub(super) groups: &'a [u16],
    pub(super) share: (u16, &'a [u8]),
    pub(super) server_name: Option<&'a str>,
    pub(super) protocols: &'a [Vec<u8>],
    pub(super) cookie: Option<&'a [u8]>,
    pub(super) identity: &'a [u8],
}

impl Offering<'_> {
    /// The message up to its binders' end, with zeroes for the one binder: its last [`HASH`] bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        message(CLIENT_HELLO, |hello| {
            hello.u16(LEGACY_VERSION);
            hello.bytes(self.random);
            hello.vector8(|id| id.bytes(self.session_id));
            hello.vector16(|suites| self.suites.iter().for_each(|suite| suites.u16(*suite)));
            hello.vector8(|compression| compression.u8(0));
            hello.vector16(|extensions| self.write_extensions(extensions));
        })
    }

    fn write_extensions(&self, extensions: &mut Writer) {
        if let Some(name) = self.server_name {
            extensions.extension(extension::SERVER_NAME, |content| {
                content.vector16(|list| {
                    list.u8(0);
                    list.vector16(|host| host.bytes(name.as_bytes()));
                });
            });
        }
        extensions.extension(extension::SUPPORTED_GROUPS, |content| {
            content.vector16(|list| self.groups.iter().for_each(|group| list.u16(*group)));
        });
        extensions.extension(extension::SIGNATURE_ALGORITHMS, |content| {
            content.vector16(|list| SIGNATURE_SCHEMES.iter().for_each(|one| list.u16(*one)));
        });
        if !self.protocols.is_empty() {
            extensions.extension(extension::ALPN, |content| {
                write_protocols(content, self.protocols)
            });
        }
        extensions.extension(extension::SUPPORTED_VERSIONS, |content| {
            content.vector8(|list| list.u16(TLS13));
        });
        if let Some(cookie) = self.cookie {
            extensions.extension(extension::COOKIE, |content| {
                content.vector16(|value| value.bytes(cookie));
            });
        }
        extensions.extension(extension::PSK_KEY_EXCHANGE_MODES, |content| {
            content.vector8(|modes| modes.u8(PSK_DHE_KE));
        });
        extensions.extension(extension::KEY_SHARE, |content| {
            content.vector16(|list| write_share(list, self.share));
        });
        extensions.extension(extension::PRE_SHARED_KEY, |content| {
            content.vector16(|identities| {
                identities.vector16(|identity| identity.bytes(self.identity));
                // "For identities established externally, an obfuscated_ticket_age of 0 SHOULD be
                // used" (RFC 8446 §4.2.11).
                identities.bytes(&[0; 4]);
            });
            content.vector16(|binders| binders.vector8(|binder| binder.bytes(&[0; HASH])));
        });
    }
}

/// Bytes at the end of what [`Offering::write`] gives that its binder is not computed over.
pub(super) const BINDERS: usize = 2 + 1 + HASH;

fn write_protocols(content: &mut Writer, protocols: &[Vec<u8>]) {
    content.vector16(|list| {
        for protocol in protocols {
            list.vector8(|name| name.bytes(protocol));
        }
    });
}

fn write_share(list: &mut Writer, (group, share): (u16, &[u8])) {
    list.u16(group);
    list.vector16(|key| key.bytes(share));
}

/// What a server answers a ClientHello with.
pub(super) struct ServerHello<'a> {
    pub(super) random: [u8; 32],
    pub(super) session_id: &'a [u8],
    pub(super) suite: u16,
    pub(super) share: Option<Share<'a>>,
    /// Index of the identity that was chosen.
    pub(super) identity: Option<u16>,
    pub(super) cookie: Option<&'a [u8]>,
}

/// The key_share extension of a ServerHello, and of a HelloRetryRequest.
#[derive(Clone, Copy)]
pub(super) enum Share<'a> {
    /// The server's own share.
    Key(u16, &'a [u8]),
    /// The group of which the server wants a share.
    Wanted(u16),
}

impl<'a> ServerHello<'a> {
    /// Reads a whole message, type and length included.
    pub(super) fn read(message: &'a [u8]) -> Result<ServerHello<'a>, Fault> {
        let mut body = body(message)?;
        if body.u16()? != LEGACY_VERSION {
            return Err(Fault::Version);
        }
        let random = body.array()?;
        let is_retry = random == RETRY;
        let session_id = body.vector8()?.rest();
        let suite = body.u16()?;
        let compression = body.u8()?;
        if body.is_empty() {
            return Err(Fault::Version);
        }
        let mut extensions = body.vector16()?;
        body.end()?;
        let mut hello = ServerHello {
            random,
            session_id,
            suite,
            share: None,
            identity: None,
            cookie: None,
        };
        let mut tls13 = false;
        let mut others = false;
        let mut seen = Vec::new();
        while !extensions.is_empty() {
            let number = extensions.u16()?;
            let mut content = extensions.vector16()?;
            note(&mut seen, number)?;
            match number {
                extension::SUPPORTED_VERSIONS => tls13 = content.u16()? == TLS13,
                extension::KEY_SHARE if is_retry => {
                    hello.share = Some(Share::Wanted(content.u16()?));
                }
                extension::KEY_SHARE => {
                    let group = content.u16()?;
                    hello.share = Some(Share::Key(group, content.vector16()?.rest()));
                }
                extension::PRE_SHARED_KEY if !is_retry => hello.identity = Some(content.u16()?),
                extension::COOKIE if is_retry => hello.cookie = Some(content.vector16()?.rest()),
                _ => {
                    others = true;
                    continue;
                }
            }
            content.end()?;
        }
        // A TLS 1.2 server answers with other extensions, so its version is looked at first.
        if !tls13 {
            return Err(Fault::Version);
        }
        if others {
            return Err(Fault::Unsolicited);
        }
        if compression != 0 {
            return Err(Fault::Illegal("compression"));
        }
        Ok(hello)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        message(SERVER_HELLO, |hello| {
            hello.u16(LEGACY_VERSION);
            hello.bytes(&self.random);
            hello.vector8(|id| id.bytes(self.session_id));
            hello.u16(self.suite);
            hello.u8(0);
            hello.vector16(|extensions| {
                extensions.extension(extension::SUPPORTED_VERSIONS, |content| content.u16(TLS13));
                if let Some(share) = self.share {
                    extensions.extension(extension::KEY_SHARE, |content| match share {
                        Share::Key(group, key) => write_share(content, (group, key)),
                        Share::Wanted(group) => content.u16(group),
                    });
                }
                if let Some(index) = self.identity {
                    extensions.extension(extension::PRE_SHARED_KEY, |content| content.u16(index));
                }
            });
        })
    }
}

/// Writes EncryptedExtensions.
pub(super) fn write_encrypted_extensions(protocol: Option<&[u8]>) -> Vec<u8> {
    message(ENCRYPTED_EXTENSIONS, |body| {
        body.vector16(|extensions| {
            if let Some(protocol) = protocol {
                extensions.extension(extension::ALPN, |content| {
                    content.vector16(|list| list.vector8(|name| name.bytes(protocol)));
                });
            }
        });
    })
}

/// Reads EncryptedExtensions that answer what [`Offering`] asks for; gives the protocol chosen.
pub(super) fn read_encrypted_extensions<'a>(
    message: &'a [u8],
    offered: &[Vec<u8>],
    named: bool,
) -> Result<Option<&'a [u8]>, Fault> {
    let mut body = body(message)?;
    let mut extensions = body.vector16()?;
    body.end()?;
    let mut chosen = None;
    let mut seen = Vec::new();
    while !extensions.is_empty() {
        let number = extensions.u16()?;
        let mut content = extensions.vector16()?;
        note(&mut seen, number)?;
        match number {
            extension::SERVER_NAME if named => content.end()?,
            // What the server prefers, for later; nothing here goes by it.
            extension::SUPPORTED_GROUPS => {}
            extension::ALPN if !offered.is_empty() => {
                let [protocol] = protocols(&mut content)?[..] else {
                    return Err(Fault::Decode);
                };
                content.end()?;
                if !offered.iter().any(|name| name == protocol) {
                    return Err(Fault::Illegal("a protocol that was not offered"));
                }
                chosen = Some(protocol);
            }
            _ => return Err(Fault::Unsolicited),
        }
    }
    Ok(chosen)
}

pub(super) fn write_finished(verify_data: &[u8]) -> Vec<u8> {
    message(FINISHED, |body| body.bytes(verify_data))
}

pub(super) fn write_key_update(asks_for_one: bool) -> Vec<u8> {
    message(KEY_UPDATE, |body| body.u8(asks_for_one.into()))
}

/// Whether the peer asks for a KeyUpdate in return (RFC 8446 §4.6.3).
pub(super) fn read_key_update(message: &[u8]) -> Result<bool, Fault> {
    match body(message)?.rest() {
        [0] => Ok(false),
        [1] => Ok(true),
        [_] => Err(Fault::Illegal("a KeyUpdate's request")),
        _ => Err(Fault::Decode),
    }
}

/// The message that stands for the first ClientHello after a HelloRetryRequest
/// (RFC 8446 §4.4.1).
pub(super) fn message_hash(digest: &[u8]) -> Vec<u8> {
    message(MESSAGE_HASH, |body| body.bytes(digest))
}

/// What follows a message's type and length.
pub(super) fn body(message: &[u8]) -> Result<Reader<'_>, Fault> {
    let mut reader = Reader::new(message);
    reader.take(4)?;
    Ok(reader)
}

/// "There MUST NOT be more than one extension of the same type" (RFC 8446 §4.2).
fn note(seen: &mut Vec<u16>, number: u16) -> Result<(), Fault> {
    if seen.contains(&number) {
        return Err(Fault::Illegal("an extension that comes twice"));
    }
    if seen.len() >= MAX_EXTENSIONS {
        return Err(Fault::Decode);
    }
    seen.push(number);
    Ok(())
}

fn even(list: Reader<'_>) -> Result<Reader<'_>, Fault> {
    match list.len().is_multiple_of(2) && !list.is_empty() {
        true => Ok(list),
        false => Err(Fault::Decode),
    }
}

fn contains(mut list: Reader<'_>, wanted: u16) -> bool {
    while let Ok(value) = list.u16() {
        if value == wanted {
            return true;
        }
    }
    false
}

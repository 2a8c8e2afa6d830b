//! A client's head: judged, and written for the backend (RFC 9112 §3, RFC 9110 §7.6).

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::net::IpAddr;

use httparse::Header;

use crate::body::Framing;
use crate::field::{self, Hop, list, trimmed, values, write};
use crate::head::{self, Scan};
use crate::{Fault, MAX_FIELDS, Refusal, host};

/// Bytes that a head mostly grows by: what is told of the client.
const ADDED: usize = 256;

/// What is known of a client besides what it says.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address.
    pub address: IpAddr,
    /// The name that it asked for in TLS: where a request of HTTP/1.0 names no host, it is for this
    /// one.
    pub server_name: Option<&'a str>,
}

/// A request, as it is written for the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of its head.
    pub length: usize,
    /// The host that it is for, in lower case, without a port or a final dot; `None`: it says none,
    /// and neither did TLS.
    pub host: Option<String>,
    /// Its body, on both sides.
    pub framing: Framing,
    /// The answer has no body, whatever its head says (`HEAD`).
    pub is_head: bool,
    /// The client speaks HTTP/1.0: it knows no chunks and no interim answers.
    pub is_old: bool,
    /// The client would send another request on this connection.
    pub keep_alive: bool,
    /// The client waits for an interim answer before it sends the body.
    pub expects_continue: bool,
    /// The backend may answer with another protocol (RFC 9110 §7.8).
    pub may_upgrade: bool,
    /// It has a body where most have none: a backend that does not look for it takes it for the next
    /// request, so nobody else's may come behind it.
    pub is_doubtful: bool,
    /// The method is safe to send again when a kept connection turns out to be dead (RFC 9110
    /// §9.2.2), and there is no body.
    pub may_repeat: bool,
}

/// Reads the request that `bytes` begin with, and appends its head to `out` as the backend is to
/// get it. `None`: it has not come whole.
///
/// # Errors
///
/// It is not carried; nothing was appended.
pub fn request(
    bytes: &[u8],
    client: &Client<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Request>, Refusal> {
    match Scan::default().length(bytes)? {
        None => Ok(None),
        Some(length) => whole(bytes.get(..length).unwrap_or_default(), client, out).map(Some),
    }
}

/// The same of a head that has come whole, and of nothing behind it.
pub(crate) fn whole(
    head: &[u8],
    client: &Client<'_>,
    out: &mut Vec<u8>,
) -> Result<Request, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    head::judged(parsed.parse_with_uninit_headers(head, &mut fields), head)?;
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Fault::Syntax.into());
    };
    let fields = &*parsed.headers;
    let is_old = version == 0;
    if matches!(method, "CONNECT" | "TRACE") {
        return Err(Refusal::Method);
    }
    // Some read "get" as "GET", others do not.
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    if !method.bytes().all(is_letter) {
        return Err(Fault::Syntax.into());
    }
    let framing = field::framing(fields)?;
    if is_old && framing == Some(Framing::Chunked) {
        return Err(Fault::TransferEncoding.into());
    }
    let framing = framing.unwrap_or(Framing::None);
    let hop = Hop::of(fields)?;
    let (authority, target) = target_of(method, target)?;
    let named = host_of(fields, is_old)?;
    if let (Some(authority), Some((named, _))) = (authority, &named)
        && !authority.eq_ignore_ascii_case(named)
    {
        return Err(Fault::HostMismatch.into());
    }
    let (said, host) = match (named, authority) {
        (Some((named, host)), _) => (Some(named), Some(host)),
        (None, Some(text)) => (authority, Some(host::host(text).ok_or(Fault::Host)?)),
        (None, None) => (None, client.server_name.and_then(host::host)),
    };
    let host = host.map(str::to_ascii_lowercase);
    let has_body = !matches!(framing, Framing::None | Framing::Length(0));
    let expects_continue = expectation(fields)? && !is_old && has_body;
    let upgrade = (hop.upgrade && !is_old && framing == Framing::None)
        .then(|| upgrade(fields))
        .flatten();

    out.reserve(head.len() + ADDED);
    write_line(out, &[method.as_bytes(), target.as_bytes(), b"HTTP/1.1"]);
    let said = said.or(host.as_deref());
    // "If the authority component is missing or undefined for the target URI, then a client MUST send
    // a Host header field with an empty field value." (RFC 9112 §3.2)
    write(out, "Host", said.unwrap_or_default().as_bytes());
    for field in fields {
        let is_ours = ["host", "content-length", "expect"];
        let is_ours = is_ours
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name));
        if !is_ours && !is_forwarding(field.name) && !hop.ends(field.name) && is_plain(field.name) {
            write(out, field.name, field.value);
        }
    }
    if expects_continue {
        write(out, "Expect", b"100-continue");
    }
    match framing {
        Framing::Length(length) => field::write_length(out, length),
        Framing::Chunked => write(out, "Transfer-Encoding", b"chunked"),
        Framing::None | Framing::UntilClose => {}
    }
    if let Some(protocols) = upgrade {
        write(out, "Connection", b"upgrade");
        write(out, "Upgrade", protocols);
    }
    forwarded(out, client.address, said);
    out.extend_from_slice(b"\r\n");
    Ok(Request {
        length: head.len(),
        host,
        framing,
        is_head: method == "HEAD",
        is_old,
        keep_alive: match is_old {
            true => hop.keep_alive && !hop.close,
            false => !hop.close,
        },
        expects_continue,
        may_upgrade: upgrade.is_some(),
        is_doubtful: has_body && matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE"),
        may_repeat: framing == Framing::None
            && upgrade.is_none()
            && matches!(method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"),
    })
}

/// What a target says: the authority of an absolute one, and what the backend is asked for.
fn target_of<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, &'a str), Fault> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
        return Err(Fault::Target);
    }
    if target.starts_with('/') {
        return Ok((None, target));
    }
    if target == "*" {
        return match method {
            "OPTIONS" => Ok((None, target)),
            _ => Err(Fault::Target),
        };
    }
    let scheme = ["https://", "http://"].iter().find(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let rest = scheme.and_then(|scheme| target.get(scheme.len()..));
    let rest = rest.ok_or(Fault::Target)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(Fault::Target)?;
    // "http://a?b" stands for "/?b", which nobody sends.
    let path = match path {
        "" if method == "OPTIONS" => "*",
        "" => "/",
        path if path.starts_with('/') => path,
        _ => return Err(Fault::Target),
    };
    match host::host(authority) {
        Some(_) => Ok((Some(authority), path)),
        None => Err(Fault::Target),
    }
}

/// The value of `Host`, and the host in it.
fn host_of<'a>(
    fields: &'a [Header<'a>],
    is_old: bool,
) -> Result<Option<(&'a str, &'a str)>, Fault> {
    let mut all = values(fields, "host");
    let first = all.next();
    if all.next().is_some() || first.is_none() && !is_old {
        return Err(Fault::Host);
    }
    let Some(value) = first else {
        return Ok(None);
    };
    let text = core::str::from_utf8(trimmed(value)).map_err(|_| Fault::Host)?;
    let host = host::host(text).ok_or(Fault::Host)?;
    Ok(Some((text, host)))
}

/// Whether the client waits before it sends its body.
fn expectation(fields: &[Header<'_>]) -> Result<bool, Refusal> {
    let mut expects = false;
    for value in values(fields, "expect") {
        for expected in list(value).filter(|expected| !expected.is_empty()) {
            if !expected.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
            expects = true;
        }
    }
    Ok(expects)
}

/// The protocols that a client would change to. HTTP/2 in the clear is not among them: behind it
/// nobody would see the requests any more.
fn upgrade<'a>(fields: &'a [Header<'a>]) -> Option<&'a [u8]> {
    let mut all = values(fields, "upgrade");
    let value = trimmed(all.next()?);
    let is_fine = |protocol: &[u8]| {
        let name = protocol
            .split(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        !name.is_empty()
            && protocol
                .iter()
                .all(|byte| field::is_token(*byte) || *byte == b'/')
            && !name.eq_ignore_ascii_case(b"h2c")
            && !name.eq_ignore_ascii_case(b"HTTP")
            && !name.eq_ignore_ascii_case(b"TLS")
    };
    (all.next().is_none() && list(value).all(is_fine)).then_some(value)
}

/// Whether a field tells of the client what only we may tell; and `Proxy`, which programs behind a
/// gateway interface find in `HTTP_PROXY`.
pub(crate) fn is_forwarding(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "client-ip",
        "forwarded",
        "forwarded-for",
        "proxy",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded",
        "x-real-ip",
    ];
    let start = name.get(..12).unwrap_or_default();
    start.eq_ignore_ascii_case("x-forwarded-")
        || NAMES.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether gateways behind us can't take it for another field: many read `_`, some read every other
/// character, as `-`.
pub(crate) fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What we tell of the client (RFC 7239, and what came before it).
fn forwarded(out: &mut Vec<u8>, address: IpAddr, host: Option<&str>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    write_address(out, address);
    out.extend_from_slice(b"\r\nX-Forwarded-Proto: https\r\n");
    if let Some(host) = host {
        write(out, "X-Forwarded-Host", host.as_bytes());
    }
    out.extend_from_slice(b"Forwarded: for=");
    match address {
        IpAddr::V4(_) => write_address(out, address),
        IpAddr::V6(_) => {
            out.extend_from_slice(b"\"[");
            write_address(out, address);
            out.extend_from_slice(b"]\"");
        }
    }
    out.extend_from_slice(b";proto=https");
    if let Some(host) = host {
        let quote: &[u8] = match host.bytes().all(field::is_token) {
            true => b"",
            false => b"\"",
        };
        for piece in [b";host=", quote, host.as_bytes(), quote] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        // By hand: each request has it twice.
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                field::write_number(out, u64::from(octet), 10);
            }
        }
        IpAddr::V6(address) => out.extend_from_slice(alloc::format!("{address}").as_bytes()),
    }
}

/// Writes a first line.
fn write_line(out: &mut Vec<u8>, words: &[&[u8]]) {
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;

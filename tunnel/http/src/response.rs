//! A backend's head: judged, and written for the client (RFC 9112 §4, §6.3).

use alloc::vec::Vec;
use core::mem::MaybeUninit;

use crate::body::Framing;
use crate::field::{self, Hop, write};
use crate::head::{self, Scan};
use crate::{Fault, MAX_FIELDS, Refusal, Request};

/// Bytes that a head mostly grows by.
const ADDED: usize = 64;

/// A response, as it is written for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Bytes of its head.
    pub length: usize,
    /// Its status.
    pub status: u16,
    /// Another response follows (1xx but 101).
    pub is_interim: bool,
    /// From here on it is another protocol (101): what comes is carried as it is, both ways.
    pub is_upgrade: bool,
    /// Its body, as the backend sends it.
    pub framing: Framing,
    /// Its body, as the client gets it.
    pub to_client: Framing,
    /// The backend takes another request on this connection.
    pub keep_alive: bool,
    /// The client may send another request on its connection.
    pub client_keep_alive: bool,
}

/// Reads the response to `request` that `bytes` begin with, and appends its head to `out` as the
/// client is to get it: nothing, for an interim one that the client does not know. `None`: it has not
/// come whole.
///
/// `closes`: the client's connection ends with this response whatever it says. `extra`: a field more,
/// name and value.
///
/// # Errors
///
/// It is not carried, and the backend is at fault; nothing was appended.
pub fn response(
    bytes: &[u8],
    request: &Request,
    closes: bool,
    extra: Option<(&str, &str)>,
    out: &mut Vec<u8>,
) -> Result<Option<Response>, Refusal> {
    match Scan::default().length(bytes)? {
        None => Ok(None),
        Some(length) => {
            let head = bytes.get(..length).unwrap_or_default();
            whole(head, request, closes, extra, out).map(Some)
        }
    }
}

/// The same of a head that has come whole, and of nothing behind it.
pub(crate) fn whole(
    head: &[u8],
    request: &Request,
    closes: bool,
    extra: Option<(&str, &str)>,
    out: &mut Vec<u8>,
) -> Result<Response, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let judge = httparse::ParserConfig::default();
    let result = judge.parse_response_with_uninit_headers(&mut parsed, head, &mut fields);
    head::judged(result, head)?;
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Fault::Syntax.into());
    };
    if !(100..=599).contains(&status) {
        return Err(Fault::Syntax.into());
    }
    let reason = parsed.reason.unwrap_or_default();
    let fields = &*parsed.headers;
    let is_old = version == 0;
    let said = field::framing(fields)?;
    if is_old && said == Some(Framing::Chunked) {
        return Err(Fault::TransferEncoding.into());
    }
    let hop = Hop::of(fields)?;
    let is_upgrade = status == 101;
    // RFC 9110 §15.2.2: such an answer names what it changes to.
    let names_one = field::values(fields, "upgrade").count() == 1;
    if is_upgrade && !(request.may_upgrade && hop.upgrade && names_one) {
        return Err(Fault::Syntax.into());
    }
    // "A server MUST NOT send" either of them there (RFC 9110 §8.6, RFC 9112 §6.1): who does may send
    // a body, too.
    let is_odd =
        (status < 200 || status == 204) && !matches!(said, None | Some(Framing::Length(0)));
    if is_odd && status < 200 {
        return Err(Fault::Length.into());
    }
    let is_interim = (100..200).contains(&status) && !is_upgrade;
    let has_none = request.is_head || status < 200 || matches!(status, 204 | 304);
    let framing = match has_none {
        true => Framing::None,
        false => said.unwrap_or(Framing::UntilClose),
    };
    let to_client = match framing {
        Framing::Chunked | Framing::UntilClose if request.is_old => Framing::UntilClose,
        Framing::UntilClose => Framing::Chunked,
        framing => framing,
    };
    let backend = match is_old {
        true => hop.keep_alive && !hop.close,
        false => !hop.close,
    };
    let client_keep_alive =
        request.keep_alive && !closes && to_client != Framing::UntilClose || is_interim;
    let response = Response {
        length: head.len(),
        status,
        is_interim,
        is_upgrade,
        framing,
        to_client,
        keep_alive: backend && framing != Framing::UntilClose && !is_upgrade && !is_odd,
        client_keep_alive,
    };
    if is_interim && request.is_old {
        return Ok(response);
    }
    out.reserve(head.len() + ADDED);
    out.extend_from_slice(b"HTTP/1.1 ");
    field::write_number(out, status.into(), 10);
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    let extra = extra.filter(|_| status >= 200);
    for field in fields {
        let is_length = field.name.eq_ignore_ascii_case("content-length");
        let is_extra = extra.is_some_and(|(name, _)| field.name.eq_ignore_ascii_case(name));
        let is_upgrade = is_upgrade && field.name.eq_ignore_ascii_case("upgrade");
        if is_upgrade || !is_length && !is_extra && !hop.ends(field.name) {
            write(out, field.name, field.value);
        }
    }
    let length = match (said, to_client) {
        (Some(Framing::Length(length)), Framing::Length(_)) => Some(length),
        // What a body would have had (RFC 9110 §8.6).
        (Some(Framing::Length(length)), _) if request.is_head || status == 304 => Some(length),
        _ => None,
    };
    if let Some(length) = length {
        field::write_length(out, length);
    }
    if to_client == Framing::Chunked {
        write(out, "Transfer-Encoding", b"chunked");
    }
    if let Some((name, value)) = extra {
        write(out, name, value.as_bytes());
    }
    match (is_upgrade, client_keep_alive) {
        (true, _) => write(out, "Connection", b"upgrade"),
        (false, false) => write(out, "Connection", b"close"),
        (false, true) if request.is_old => write(out, "Connection", b"keep-alive"),
        (false, true) => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok(response)
}

#[cfg(test)]
mod tests;

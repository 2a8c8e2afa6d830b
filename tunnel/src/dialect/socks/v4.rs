//! Requests and answers of SOCKS 4, and of 4a, where the proxy looks the name up (Ying-Da Lee,
//! "SOCKS: A protocol for TCP proxy across firewalls", and "SOCKS 4A: A Simple Extension").

use core::net::Ipv4Addr;

use super::named;
use crate::dialect::{Destination, End, Fault, Host, Wire};

/// Version, command, port and address.
const FIXED: usize = 8;

/// Longest user's name, which nobody looks at, and longest host's name.
const MAX_TEXT: usize = 255;

const CONNECT: u8 = 1;

/// "request granted" and "request rejected or failed".
const GRANTED: u8 = 90;
const REJECTED: u8 = 91;

/// Takes a request, once it is there as a whole: where it leads, and what the answer repeats.
pub(super) fn request(client: &mut Wire<'_>) -> Result<Option<(Destination, [u8; 6])>, Fault> {
    let rest = client.rest();
    let Some((&[_, command, repeated @ ..], behind)) = rest.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let [high, low, address @ ..] = repeated;
    let Some(user) = text(client, behind)? else {
        return Ok(None);
    };
    let mut length = FIXED + user.len() + 1;
    // "the destination host name [...] the first three bytes of DSTIP to NULL and the last byte to a
    // non-zero value"
    let name = match address {
        [0, 0, 0, last] if last != 0 => {
            let behind = rest.get(length..).unwrap_or_default();
            let Some(name) = text(client, behind)? else {
                return Ok(None);
            };
            length += name.len() + 1;
            Some(name)
        }
        _ => None,
    };
    client.take(length);
    let port = u16::from_be_bytes([high, low]);
    let fault = if command != CONNECT {
        Fault::with(
            End::Client,
            "Unsupported SOCKS4/SOCKS4a command",
            &[command],
        )
    } else if port == 0 {
        Fault::new(End::Client, "No port in the SOCKS4 request")
    } else {
        let host = match name {
            None => Some(Host::Address(Ipv4Addr::from(address).into())),
            Some(name) => named(name),
        };
        match host {
            Some(host) => return Ok(Some((Destination { host, port }, repeated))),
            None => Fault::with(
                End::Client,
                "SOCKS4a failed to resolve",
                name.unwrap_or_default(),
            ),
        }
    };
    answer(client, false, repeated);
    Err(fault)
}

/// What comes before the next zero byte.
fn text<'a>(client: &Wire<'_>, rest: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
    let seen = rest.get(..MAX_TEXT + 1).unwrap_or(rest);
    match seen.iter().position(|byte| *byte == 0) {
        Some(end) => Ok(seen.get(..end)),
        None if seen.len() <= MAX_TEXT => Ok(None),
        None => Err(Fault::new(client.end(), "The SOCKS4 request is too long")),
    }
}

pub(super) fn answer(client: &mut Wire<'_>, granted: bool, repeated: [u8; 6]) {
    let code = match granted {
        true => GRANTED,
        false => REJECTED,
    };
    client.send(&[0, code]);
    client.send(&repeated);
}

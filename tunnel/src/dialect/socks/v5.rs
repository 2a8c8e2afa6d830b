//! Requests and answers of SOCKS 5 (RFC 1928), as the proxy reads and writes them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net::{ConnectError, StreamError};

use super::named;
use crate::dialect::{Destination, End, Fault, Host, Unreachable, Wire};
use crate::session::DialError;

pub(super) const VERSION: u8 = 5;

/// Methods (§3).
pub(super) const NO_AUTHENTICATION: u8 = 0;
pub(super) const NO_METHOD: u8 = 0xff;

pub(super) const CONNECT: u8 = 1;

/// Types of addresses (§5).
pub(super) const IPV4: u8 = 1;
pub(super) const NAME: u8 = 3;
pub(super) const IPV6: u8 = 4;

/// Answers (§6).
const SUCCEEDED: u8 = 0;
const GENERAL_FAILURE: u8 = 1;
const NOT_ALLOWED: u8 = 2;
const NETWORK_UNREACHABLE: u8 = 3;
const HOST_UNREACHABLE: u8 = 4;
const REFUSED: u8 = 5;
const COMMAND_NOT_SUPPORTED: u8 = 7;
const ADDRESS_TYPE_NOT_SUPPORTED: u8 = 8;

/// Takes the methods that a client knows and answers them (§3), once they are there as a whole.
pub(super) fn methods(client: &mut Wire<'_>) -> Result<bool, Fault> {
    let Some(count) = client.rest().get(1).copied() else {
        return Ok(false);
    };
    let Some(methods) = client
        .take(2 + usize::from(count))
        .and_then(|all| all.get(2..))
    else {
        return Ok(false);
    };
    if methods.contains(&NO_AUTHENTICATION) {
        client.send(&[VERSION, NO_AUTHENTICATION]);
        return Ok(true);
    }
    client.send(&[VERSION, NO_METHOD]);
    Err(Fault::new(
        End::Client,
        "No supported SOCKS5 authentication method received",
    ))
}

/// Takes a request (§4), once it is there as a whole. One that is wrong is answered as soon as that
/// shows.
pub(super) fn request(client: &mut Wire<'_>) -> Result<Option<Destination>, Fault> {
    let Some((&[version, command, reserved, kind], behind)) = client.rest().split_first_chunk()
    else {
        return Ok(None);
    };
    let mut refuse = |code: u8, text: &'static str, said: &[u8]| {
        answer_with(client, code, None);
        Fault::with(End::Client, text, said)
    };
    if version != VERSION {
        let text = "Invalid SOCKS5 message version";
        return Err(refuse(GENERAL_FAILURE, text, &[version]));
    }
    if command != CONNECT {
        let text = "Unsupported SOCKS5 command";
        return Err(refuse(COMMAND_NOT_SUPPORTED, text, &[command]));
    }
    // "Fields marked RESERVED (RSV) must be set to X'00'."
    if reserved != 0 {
        return Err(refuse(
            GENERAL_FAILURE,
            "Malformed SOCKS5 request",
            &[reserved],
        ));
    }
    let Some(length) = address_length(kind, behind) else {
        let text = "Unsupported SOCKS5 address type";
        return Err(refuse(ADDRESS_TYPE_NOT_SUPPORTED, text, &[kind]));
    };
    let Some((address, &[high, low])) = behind
        .get(..length + 2)
        .and_then(|address| address.split_last_chunk())
    else {
        return Ok(None);
    };
    let host = match kind {
        IPV4 => <[u8; 4]>::try_from(address)
            .ok()
            .map(|address| Host::Address(address.into())),
        IPV6 => <[u8; 16]>::try_from(address)
            .ok()
            .map(|address| Host::Address(address.into())),
        _ => named(address.get(1..).unwrap_or_default()),
    };
    let port = u16::from_be_bytes([high, low]);
    let Some(host) = host else {
        let name = address.get(1..).unwrap_or_default();
        return Err(refuse(HOST_UNREACHABLE, "SOCKS5 failed to resolve", name));
    };
    if port == 0 {
        return Err(refuse(
            GENERAL_FAILURE,
            "No port in the SOCKS5 request",
            &[high],
        ));
    }
    client.take(4 + length + 2);
    Ok(Some(Destination { host, port }))
}

/// How many bytes an address of this type takes: the least where its first one is not there yet.
/// `None` for other types.
pub(super) fn address_length(kind: u8, address: &[u8]) -> Option<usize> {
    match kind {
        IPV4 => Some(4),
        IPV6 => Some(16),
        NAME => Some(1 + address.first().map_or(0, |length| usize::from(*length))),
        _ => None,
    }
}

/// Says how the dialling went.
pub(super) fn answer(client: &mut Wire<'_>, why: Option<Unreachable>, destination: &Destination) {
    let code = match why {
        None => SUCCEEDED,
        Some(Unreachable::Forbidden) => NOT_ALLOWED,
        Some(Unreachable::NotResolved) => HOST_UNREACHABLE,
        Some(Unreachable::Failed(error)) => match error {
            DialError::Failed(StreamError::Refused | StreamError::Reset) => REFUSED,
            DialError::Failed(StreamError::TimedOut | StreamError::Unreachable)
            | DialError::NoAddress => HOST_UNREACHABLE,
            DialError::Refused(ConnectError::NoRoute) => NETWORK_UNREACHABLE,
            _ => GENERAL_FAILURE,
        },
    };
    answer_with(client, code, Some(destination));
}

/// An answer that repeats the address that was asked for; a name is none.
fn answer_with(client: &mut Wire<'_>, code: u8, destination: Option<&Destination>) {
    let (address, port) = match destination {
        Some(Destination {
            host: Host::Address(address),
            port,
        }) => (*address, *port),
        _ => (Ipv4Addr::UNSPECIFIED.into(), 0),
    };
    client.send(&[VERSION, code, 0]);
    send_address(client, address, port);
}

/// Type, address and port.
pub(super) fn send_address(wire: &mut Wire<'_>, address: IpAddr, port: u16) {
    match address {
        IpAddr::V4(address) => {
            wire.send(&[IPV4]);
            wire.send(&address.octets());
        }
        IpAddr::V6(address) => {
            wire.send(&[IPV6]);
            wire.send(&Ipv6Addr::octets(&address));
        }
    }
    wire.send(&port.to_be_bytes());
}

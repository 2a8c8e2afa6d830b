//! A PROXY header that a proxy in front sends ahead of everything else, of either version.
//!
//! Only from sources that are trusted: whoever may send one may be anybody.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use super::v2;
use crate::dialect::{Fault, WINDOW, Wire};

#[cfg(test)]
mod tests;

/// What each header of version 1 begins with.
const PREFIX: &[u8] = b"PROXY ";

/// "So a 108-byte buffer is always enough to store all the line and a trailing zero" (§2.1).
const MAX_LINE: usize = 107;

/// Most bytes of a header of version 2: it has to be there as a whole. Clients' certificates fit.
const MAX_HEADER: usize = WINDOW;

/// Most bytes of a header that a log shows.
const SHOWN: usize = 64;

const MALFORMED: &str = "Malformed PROXY header";

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The client's address, and the one that it connected to. `None` where the proxy speaks for
    /// itself, does not know, or tells of something else than TCP over IPv4 or IPv6: "the receiver
    /// [...] must use the real connection endpoints" (§2.2).
    pub source: Option<(SocketAddr, SocketAddr)>,
}

/// Takes a header from the front of what waits, once it is there as a whole; what follows it is
/// left. `None` until then.
///
/// # Errors
/// No header begins there, or a wrong one does.
pub fn read(wire: &mut Wire<'_>) -> Result<Option<Told>, Fault> {
    let rest = wire.rest();
    let begins = |with: &[u8]| rest.iter().zip(with).all(|(one, other)| one == other);
    let told = if begins(PREFIX) {
        text(wire, rest)?
    } else if begins(&v2::SIGNATURE) {
        binary(wire, rest)?
    } else {
        return Err(fault(wire, "No PROXY header where one must be", rest));
    };
    let Some((told, length)) = told else {
        return Ok(None);
    };
    wire.take(length);
    Ok(Some(told))
}

/// Version 1 (§2.1): a line of text; and its length.
fn text(wire: &Wire<'_>, rest: &[u8]) -> Result<Option<(Told, usize)>, Fault> {
    let seen = rest.get(..MAX_LINE).unwrap_or(rest);
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return match rest.len() < MAX_LINE {
            true => Ok(None),
            false => Err(fault(wire, "The PROXY header is too long", rest)),
        };
    };
    let line = seen.get(..end).unwrap_or_default();
    match line.strip_suffix(b"\r").and_then(fields) {
        Some(told) => Ok(Some((told, end + 1))),
        None => Err(fault(wire, MALFORMED, line)),
    }
}

/// "exactly one space" between fields, addresses "in canonical form", ports "in the range
/// [0..65535]" without leading zeros.
fn fields(line: &[u8]) -> Option<Told> {
    let line = line.strip_prefix(PREFIX)?;
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        // "the receiver must ignore anything presented before the CRLF".
        return Some(Told { source: None });
    }
    let mut fields = core::str::from_utf8(line).ok()?.split(' ');
    let family = fields.next()?;
    let source = fields.next()?;
    let destination = fields.next()?;
    let ports = [fields.next()?, fields.next()?];
    if fields.next().is_some() {
        return None;
    }
    let [source_port, destination_port] = ports.map(port);
    let (source, destination) = match family {
        "TCP4" => (
            Ipv4Addr::from_str(source).ok()?.into(),
            Ipv4Addr::from_str(destination).ok()?.into(),
        ),
        "TCP6" => (
            Ipv6Addr::from_str(source).ok()?.into(),
            Ipv6Addr::from_str(destination).ok()?.into(),
        ),
        _ => return None,
    };
    Some(Told {
        source: Some((
            SocketAddr::new(source, source_port?),
            SocketAddr::new(destination, destination_port?),
        )),
    })
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| digits && !padded)
}

/// Version 2 (§2.2): sixteen bytes, and as many more as they say; and how many that are in all.
fn binary(wire: &Wire<'_>, rest: &[u8]) -> Result<Option<(Told, usize)>, Fault> {
    let Some((fixed, _)) = rest.split_first_chunk::<{ v2::FIXED }>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    let length = v2::FIXED + usize::from(u16::from_be_bytes([high, low]));
    // "Receivers must drop connections presenting unexpected values here."
    if !matches!(command, v2::LOCAL | v2::PROXY) {
        return Err(fault(wire, "Unknown version or command of PROXY", fixed));
    }
    if length > MAX_HEADER {
        return Err(fault(wire, "The PROXY header is too long", fixed));
    }
    let Some(header) = rest.get(..length) else {
        return Ok(None);
    };
    if command == v2::LOCAL {
        // "discard the protocol block including the family which is ignored"
        return Ok(Some((Told { source: None }, length)));
    }
    let addresses = match (family >> 4, family & 0xf) {
        (_, 3..) | (4.., _) => {
            return Err(fault(wire, "Unknown address family of PROXY", fixed));
        }
        (0, _) => 0,
        (1, _) => 2 * (4 + 2),
        (2, _) => 2 * (16 + 2),
        (_, _) => 2 * 108,
    };
    let parts = header
        .get(v2::FIXED..)
        .and_then(|rest| rest.split_at_checked(addresses));
    let Some((addresses, records)) = parts else {
        return Err(fault(wire, MALFORMED, fixed));
    };
    match checksum(header, records) {
        Some(true) => {}
        Some(false) => return Err(fault(wire, "The PROXY header's checksum is wrong", fixed)),
        None => return Err(fault(wire, MALFORMED, fixed)),
    }
    let source = match family {
        v2::TCP_OVER_IPV4 | v2::TCP_OVER_IPV6 => endpoints(addresses),
        _ => None,
    };
    Ok(Some((Told { source }, length)))
}

/// Both addresses, and then both ports.
fn endpoints(block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (hosts, &[a, b, c, d]) = block.split_last_chunk::<4>()?;
    let (source, destination) = hosts.split_at_checked(hosts.len() / 2)?;
    Some((
        SocketAddr::new(address(source)?, u16::from_be_bytes([a, b])),
        SocketAddr::new(address(destination)?, u16::from_be_bytes([c, d])),
    ))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(bytes) {
        Ok(bytes) => Some(bytes.into()),
        Err(_) => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
    }
}

/// Goes over the type-length-value records that a header ends with. `None` if they do not fill it
/// exactly; otherwise whether its checksum is right, which may be left out (§2.2.3).
fn checksum(header: &[u8], records: &[u8]) -> Option<bool> {
    let mut rest = records;
    let mut told = None;
    while !rest.is_empty() {
        let (&[kind, high, low], behind) = rest.split_first_chunk::<3>()?;
        let (value, behind) =
            behind.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        if kind == v2::TYPE_CRC32C {
            let sum = u32::from_be_bytes(value.try_into().ok()?);
            // One alone, so that the work is one pass.
            if told.replace((sum, behind.len())).is_some() {
                return None;
            }
        }
        rest = behind;
    }
    let Some((sum, behind)) = told else {
        return Some(true);
    };
    // "replace the 32 bits of the checksum field [...] with all '0's"
    let front = header.get(..header.len().checked_sub(behind + 4)?)?;
    let back = header.get(header.len() - behind..)?;
    let found = [front, &[0; 4], back].into_iter().fold(!0, v2::crc32c);
    Some(!found == sum)
}

fn fault(wire: &Wire<'_>, text: &'static str, said: &[u8]) -> Fault {
    Fault::with(wire.end(), text, said.get(..SHOWN).unwrap_or(said))
}

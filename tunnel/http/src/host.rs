//! Hosts as requests name them.

use core::net::Ipv6Addr;

/// Most bytes of a host's name with its port: a name has 253 (RFC 1035 §2.3.4).
const MAX_AUTHORITY: usize = 300;

/// The host of `HOST[:PORT]` without the port and without the dot that a name may end with, if it is
/// one that a URI can have: a name, an IPv4 address, or an IPv6 address in brackets (RFC 3986 §3.2).
pub fn host(authority: &str) -> Option<&str> {
    if authority.len() > MAX_AUTHORITY {
        return None;
    }
    let end = match authority.find(']') {
        Some(end) => end + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(end)?;
    if !port.is_empty() {
        // RFC 3986 §3.2.3: a port may be empty.
        let digits = port.strip_prefix(':')?;
        let is_port = digits.is_empty() || digits.parse::<u16>().is_ok();
        if !is_port || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']')?;
        return address.parse::<Ipv6Addr>().ok().map(|_| host);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_letter);
    name.split('.').all(is_label).then_some(name)
}

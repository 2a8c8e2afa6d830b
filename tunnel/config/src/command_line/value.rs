//! The forms of values: addresses, prefixes, hosts, ports, PEM texts.

use alloc::string::{String, ToString};
use alloc::vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::options::{self, OptionSpec};
use super::{Base64Fault, Found, Problem};
use crate::archive;
use crate::types::{Crypto, Host, Source};

/// Longest host name in bytes (RFC 1035 §2.3.4, less length and root bytes).
const MAX_HOST: usize = 253;
/// Longest label of a host name in bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

pub(super) fn malformed(option: &'static OptionSpec, text: &str) -> Problem {
    Problem::Malformed {
        expected: option,
        found: Found::new(text),
    }
}

/// `ADDRESS` of one family.
pub(super) fn address<A: FromStr>(option: &'static OptionSpec, text: &str) -> Result<A, Problem> {
    text.parse().map_err(|_| malformed(option, text))
}

/// `ADDRESS/PREFIX` of one family, whose addresses have `bits` bits.
pub(super) fn network<A: FromStr>(
    option: &'static OptionSpec,
    text: &str,
    bits: u8,
) -> Result<(A, u8), Problem> {
    let (address, prefix) = text
        .split_once('/')
        .ok_or_else(|| malformed(option, text))?;
    let address = address.parse().map_err(|_| malformed(option, text))?;
    let prefix = number(prefix)
        .filter(|length: &u16| (1..=u16::from(bits)).contains(length))
        .and_then(|length| u8::try_from(length).ok())
        .ok_or_else(|| Problem::Prefix {
            longest: bits,
            found: Found::new(prefix),
        })?;
    Ok((address, prefix))
}

/// `[HOST:]PORT`.
pub(super) fn host_and_port(
    option: &'static OptionSpec,
    text: &str,
) -> Result<(Option<Host>, u16), Problem> {
    let in_ipv6 = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest
            .split_once("]:")
            .ok_or_else(|| malformed(option, text))?;
        let address: Ipv6Addr = address.parse().map_err(|_| malformed(option, text))?;
        return Ok((Some(Host::Address(address.into())), port_number(port)?));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') && text.bytes().all(in_ipv6) => {
            Err(Problem::Brackets {
                found: Found::new(text),
            })
        }
        Some((name, port)) => {
            let host = host(name).ok_or_else(|| malformed(option, text))?;
            Ok((Some(host), port_number(port)?))
        }
        // A word without a digit in front is a host whose port is missing, not a bad port.
        None if text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('.') => {
            Ok((None, port_number(text)?))
        }
        None => Err(malformed(option, text)),
    }
}

/// `ADDRESS` or `ADDRESS:PORT`, an IPv6 address with a port in brackets.
pub(super) fn server(
    option: &'static OptionSpec,
    text: &str,
    port: u16,
) -> Result<SocketAddr, Problem> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bare.and_then(|text| text.parse::<Ipv6Addr>().ok()) {
        return Ok(SocketAddr::new(address.into(), port));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    match host_and_port(option, text)? {
        (Some(Host::Address(address)), port) => Ok(SocketAddr::new(address, port)),
        _ => Err(malformed(option, text)),
    }
}

pub(super) fn port_number(text: &str) -> Result<u16, Problem> {
    number(text)
        .filter(|port| *port != 0)
        .ok_or_else(|| Problem::Port {
            found: Found::new(text),
        })
}

/// Decimal digits alone; the standard parser takes a plus sign, too.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// An IPv4 address or a name.
///
/// RFC 1123 §2.1: labels of letters, digits and inner hyphens; the last one is never all
/// digits, so that no address with a slip is taken for a name. Underscores are let through,
/// as container networks use them.
pub(super) fn host(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<core::net::Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    (name.len() <= MAX_HOST
        && name.split('.').all(label)
        && !name.rsplit('.').next().is_some_and(numeric))
    .then(|| Host::Name(name.to_ascii_lowercase()))
}

/// Whether a host is the machine's own loopback.
pub(super) fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => address.to_canonical().is_loopback(),
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// `error|warn|info|debug|trace`; `off` is none, as errors must be heard.
pub(super) fn level(text: &str) -> Result<log::LevelFilter, Problem> {
    match text {
        "error" => Ok(log::LevelFilter::Error),
        "warn" => Ok(log::LevelFilter::Warn),
        "info" => Ok(log::LevelFilter::Info),
        "debug" => Ok(log::LevelFilter::Debug),
        "trace" => Ok(log::LevelFilter::Trace),
        _ => Err(malformed(&options::LOG, text)),
    }
}

/// `ring|rustcrypto`.
pub(super) fn crypto(text: &str) -> Result<Crypto, Problem> {
    [Crypto::Ring, Crypto::RustCrypto]
        .into_iter()
        .find(|crypto| crypto.to_string() == text)
        .ok_or_else(|| malformed(&options::CRYPTO, text))
}

/// `file:NAME` or `base64:TEXT`, where the decoded text holds a PEM section whose first line
/// ends with `label` (RFC 7468 §2), if one is asked for.
pub(super) fn source(
    option: &'static OptionSpec,
    text: &str,
    label: Option<&'static str>,
) -> Result<Source, Problem> {
    if let Some(name) = text.strip_prefix("file:") {
        return file(name);
    }
    let Some(base64) = text.strip_prefix("base64:") else {
        return Err(Problem::Malformed {
            expected: option,
            found: Found::Hidden(text.len()),
        });
    };
    let bytes = decode(base64).map_err(|fault| Problem::Base64 { fault })?;
    let Some(label) = label else {
        return Ok(Source::Inline(bytes));
    };
    let is_section = |line: &[u8]| {
        line.trim_ascii_start().starts_with(b"-----BEGIN ")
            && line.trim_ascii_end().ends_with(label.as_bytes())
    };
    if !bytes.split(|byte| *byte == b'\n').any(is_section) {
        return Err(Problem::NotPem { label });
    }
    Ok(Source::Inline(bytes))
}

fn file(name: &str) -> Result<Source, Problem> {
    match archive::check_name(name) {
        Ok(()) => Ok(Source::Archive(String::from(name))),
        Err(error) => Err(Problem::FileName { error }),
    }
}

/// `file:NAME`, `base64:TEXT`, or the text as it is.
pub(super) fn secret(option: &'static OptionSpec, text: &str) -> Result<Source, Problem> {
    if let Some(name) = text.strip_prefix("file:") {
        return file(name);
    }
    let bytes = match text.strip_prefix("base64:") {
        Some(base64) => decode(base64).map_err(|fault| Problem::Base64 { fault })?,
        None => Zeroizing::new(text.as_bytes().to_vec()),
    };
    match bytes.is_empty() {
        true => Err(Problem::Malformed {
            expected: option,
            found: Found::Hidden(0),
        }),
        false => Ok(Source::Inline(bytes)),
    }
}

/// `file:DIR`, a folder of the boot archive; the slash at its end may be there.
pub(super) fn folder(text: &str) -> Result<String, Problem> {
    let name = text
        .strip_prefix("file:")
        .ok_or_else(|| malformed(&options::HOSTS, text))?;
    let name = name.strip_suffix('/').unwrap_or(name);
    match archive::check_name(name) {
        Ok(()) => Ok(String::from(name)),
        Err(error) => Err(Problem::FileName { error }),
    }
}

/// Decodes standard base64 (RFC 4648 §4), padded or not.
///
/// Of the text's characters only those that can be no key's are looked at one by one; the
/// decoding itself takes the same time for every key.
fn decode(text: &str) -> Result<Zeroizing<alloc::vec::Vec<u8>>, Base64Fault> {
    let symbols = text.trim_end_matches('=');
    let is_symbol = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if let Some(offset) = symbols.bytes().position(|byte| !is_symbol(byte)) {
        return Err(match symbols.as_bytes().get(offset) {
            Some(b'=') => Base64Fault::Padding { offset },
            _ => Base64Fault::Character { offset },
        });
    }
    if symbols.is_empty() {
        return Err(Base64Fault::Empty);
    }
    let end = Base64Fault::End {
        offset: symbols.len(),
    };
    let padding = text.len() - symbols.len();
    match (symbols.len() % 4, padding) {
        (1, _) => return Err(end),
        (_, 0) | (2, 2) | (3, 1) => {}
        _ => {
            return Err(Base64Fault::Padding {
                offset: symbols.len(),
            });
        }
    }
    let mut bytes = Zeroizing::new(vec![0; symbols.len() / 4 * 3 + 2]);
    let length = Base64Unpadded::decode(symbols, &mut bytes)
        .map_err(|_| end)?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_rfc_4648_s() {
        // The vectors of RFC 4648 §10, and a text with both special characters.
        for (text, bytes) in [
            ("Zg==", &b"f"[..]),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg==", b"foob"),
            ("Zm9vYmE=", b"fooba"),
            ("Zm9vYmFy", b"foobar"),
            ("++//", b"\xfb\xef\xff"),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(&bytes.to_vec()), "{text}");
            let unpadded = text.trim_end_matches('=');
            assert_eq!(
                decode(unpadded).as_deref(),
                Ok(&bytes.to_vec()),
                "{unpadded}"
            );
        }
    }

    #[test]
    fn damaged_base64_is_located() {
        for (text, fault) in [
            ("", Base64Fault::Empty),
            ("==", Base64Fault::Empty),
            ("Zm9v!mFy", Base64Fault::Character { offset: 4 }),
            ("-m9v", Base64Fault::Character { offset: 0 }),
            ("Zm9vYm_y", Base64Fault::Character { offset: 6 }),
            ("Zm9vé", Base64Fault::Character { offset: 4 }),
            ("Zg==Zg==", Base64Fault::Padding { offset: 2 }),
            ("Zg=", Base64Fault::Padding { offset: 2 }),
            ("Zm8==", Base64Fault::Padding { offset: 3 }),
            ("Zm9v=", Base64Fault::Padding { offset: 4 }),
            ("Zm9vY", Base64Fault::End { offset: 5 }),
            ("Zm9vY===", Base64Fault::End { offset: 5 }),
            // Bits that no byte takes must be zero (RFC 4648 §3.5).
            ("Zh==", Base64Fault::End { offset: 2 }),
        ] {
            assert_eq!(decode(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn names_follow_rfc_1123() {
        let label = "l".repeat(63);
        let long = [
            "l".repeat(63),
            "m".repeat(63),
            "n".repeat(63),
            "o".repeat(61),
        ]
        .join(".");
        for (text, expected) in [
            ("backend", Some("backend")),
            ("Web.Example.ORG", Some("web.example.org")),
            ("example.org.", Some("example.org")),
            ("3com.com", Some("3com.com")),
            ("my_service", Some("my_service")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            (&label, Some(&*label)),
            (&long, Some(&*long)),
            ("", None),
            (".", None),
            ("a..b", None),
            (".a", None),
            ("-a", None),
            ("a-", None),
            ("a.b-.c", None),
            ("10.0.0.256", None),
            ("10.0.0", None),
            ("1", None),
            ("bücher.example", None),
            ("a/b", None),
            (&"l".repeat(64), None),
            (&[&long, "x"].join("."), None),
        ] {
            assert_eq!(
                host(text),
                expected.map(|name| Host::Name(name.into())),
                "{text}"
            );
        }
        assert_eq!(
            host("10.0.0.1"),
            Some(Host::Address(IpAddr::from([10, 0, 0, 1])))
        );
    }
}

//! What a certificate is for: names and addresses (RFC 8555 §7.1.4, RFC 8738).

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use serde_json::{Value, json};

/// Longest name, bytes (RFC 1035 §2.3.4, without the root's dot).
const MAX_NAME: usize = 253;

/// Longest label of a name, bytes.
const MAX_LABEL: usize = 63;

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// A name in lower case, in ASCII (RFC 5890 §2.3.2.1), perhaps with `*.` before it.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// Text that is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoIdentifier;

impl fmt::Display for NoIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this is no name that a certificate can have: expected one like www.example.org (names \
             in other scripts in their xn-- form) or an address",
        )
    }
}

impl core::error::Error for NoIdentifier {}

impl Identifier {
    /// Reads a name or an address.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn parse(text: &str) -> Result<Identifier, NoIdentifier> {
        if let Ok(address) = text.parse() {
            return Ok(Identifier::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let bare = name.strip_prefix("*.").unwrap_or(&name);
        let is_name = bare.split('.').all(is_label) && bare.contains('.');
        // The last label of a name is no number: it would be taken for an address (RFC 3696 §2).
        let last = bare.rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        match is_name && !is_number && name.len() <= MAX_NAME {
            true => Ok(Identifier::Dns(name)),
            false => Err(NoIdentifier),
        }
    }

    /// Whether it stands for every name of one more label. An authority gives such certificates for
    /// proof in the DNS alone.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Identifier::Dns(name) if name.starts_with("*."))
    }

    /// What an authority asks for it by in TLS: an address has its name for reverse look-ups
    /// (RFC 8738 §6), as names alone can be asked for.
    pub fn server_name(&self) -> String {
        match self {
            Identifier::Dns(name) => name.clone(),
            Identifier::Ip(IpAddr::V4(address)) => {
                let [a, b, c, d] = address.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            Identifier::Ip(IpAddr::V6(address)) => {
                let octets = address.octets();
                let digits = octets.iter().rev().map(|octet| {
                    let (high, low) = (octet >> 4, octet & 0xf);
                    format!("{low:x}.{high:x}.")
                });
                digits.chain(["ip6.arpa".into()]).collect()
            }
        }
    }

    /// It as an order has it.
    pub fn to_json(&self) -> Value {
        match self {
            Identifier::Dns(name) => json!({"type": "dns", "value": name}),
            Identifier::Ip(address) => json!({"type": "ip", "value": address}),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Dns(name) => f.write_str(name),
            Identifier::Ip(address) => address.fmt(f),
        }
    }
}

/// Letters, digits and hyphens, none of these at an end (RFC 1123 §2.1).
fn is_label(label: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && label.len() <= MAX_LABEL
        && label.bytes().all(is_of_label)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (text, expected) in [
            ("WWW.Example.org.", "www.example.org"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("*.example.org", "*.example.org"),
            ("2001:DB8::1", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            let found = Identifier::parse(text).unwrap();
            assert_eq!(found.to_string(), expected);
            assert_eq!(found.is_wildcard(), expected.starts_with('*'));
        }
        let address = Identifier::parse("192.0.2.1").unwrap();
        assert_eq!(
            address.to_json().to_string(),
            r#"{"type":"ip","value":"192.0.2.1"}"#
        );
    }

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        for (text, expected) in [
            ("www.example.org", "www.example.org"),
            ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
            // RFC 3596 §2.5.
            (
                "4321:0:1:2:3:4:567:89ab",
                "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
            ),
        ] {
            let identifier = Identifier::parse(text).unwrap();
            assert_eq!(identifier.server_name(), expected);
            // It is asked for like any other name.
            assert!(Identifier::parse(expected).is_ok());
        }
    }

    #[test]
    fn what_no_certificate_can_have_is_refused() {
        let long = "a.".repeat(126) + "ab";
        for text in [
            "",
            "localhost",
            "a..b",
            ".example.org",
            "-a.example",
            "a-.example",
            "a b.example",
            "bücher.example",
            "a.*.example",
            "**.example",
            "192.0.2.256",
            "1.2.3",
            "a_b.example",
            &long,
        ] {
            assert_eq!(Identifier::parse(text), Err(NoIdentifier), "{text}");
        }
    }
}

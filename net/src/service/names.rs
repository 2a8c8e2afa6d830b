//! Host names as users write them.

use core::net::IpAddr;

use crate::ResolveError;

/// A name that is worth a query, or an address that needs none.
#[derive(Debug, PartialEq)]
pub(crate) enum Name<'a> {
    Host(&'a str),
    Literal(IpAddr),
}

/// Checks a host name (RFC 1123 §2.1, with the underscore that service names have).
pub(crate) fn parse(text: &str) -> Result<Name<'_>, ResolveError> {
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Ok(address) = bracketed.unwrap_or(text).parse::<IpAddr>() {
        return match (bracketed, address) {
            (Some(_), IpAddr::V4(_)) => Err(ResolveError::InvalidName),
            _ => Ok(Name::Literal(address)),
        };
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // RFC 1035 §2.3.4: names of 255 octets on the wire, which is 253 characters; labels of 63.
    if name.is_empty() || name.len() > 253 || !name.split('.').all(is_label) {
        return Err(ResolveError::InvalidName);
    }
    // RFC 6761 §6.3: names under localhost never reach a DNS server.
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.eq_ignore_ascii_case("localhost") {
        return Err(ResolveError::Localhost);
    }
    // RFC 3696 §2: a top-level domain of digits alone is a mistyped address.
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ResolveError::InvalidName);
    }
    Ok(Name::Host(name))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, expect: Result<Name<'_>, ResolveError>| {
            assert_eq!(parse(text), expect, "{text:?}");
        };
        let invalid = || Err(ResolveError::InvalidName);
        check("example.org", Ok(Name::Host("example.org")));
        check("example.org.", Ok(Name::Host("example.org")));
        check("a_b-c.x1", Ok(Name::Host("a_b-c.x1")));
        check("10.0.0.1", Ok(Name::Literal([10, 0, 0, 1].into())));
        check("::1", Ok(Name::Literal("::1".parse().unwrap())));
        check("[::1]", Ok(Name::Literal("::1".parse().unwrap())));
        check("localhost", Err(ResolveError::Localhost));
        check("www.LocalHost.", Err(ResolveError::Localhost));
        check("localhost.example", Ok(Name::Host("localhost.example")));
        for bad in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "a b",
            "ä.de",
            "1.2.3",
            "300.1.1.1",
            "[10.0.0.1]",
            "[::1",
        ] {
            check(bad, invalid());
        }
        check(&"a".repeat(64), invalid());
        check(&"a".repeat(63), Ok(Name::Host(&"a".repeat(63))));
        let long = [
            "a".repeat(63),
            "a".repeat(63),
            "a".repeat(63),
            "a".repeat(63),
        ]
        .join(".");
        check(&long, invalid());
    }
}

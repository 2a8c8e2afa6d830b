//! Addresses of the schemes `http` and `https` (RFC 9110 §4.2), as far as one who asks there needs them.

use alloc::string::String;

use crate::command_line;
use crate::types::Host;

/// How what is behind an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    fn prefix(self) -> &'static str {
        match self {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
        }
    }

    /// Where it is spoken unless the address says otherwise.
    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// Whether an address begins as one of this scheme.
    pub fn begins(self, url: &str) -> bool {
        let prefix = self.prefix();
        let start = url.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

/// An address: `http://HOST[:PORT][/PATH]`, or `https:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What is asked for, with its query: `/` at least.
    pub path: String,
    /// The host and the port as they were written.
    pub authority: String,
}

impl Url {
    /// Reads an address of this scheme (RFC 3986 §3). `None`: it is none.
    pub fn parse(url: &str, scheme: Scheme) -> Option<Url> {
        if !scheme.begins(url) || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let rest = url.get(scheme.prefix().len()..).unwrap_or_default();
        // What follows `#` is not sent (RFC 9110 §4.2.5).
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = match path.starts_with('/') {
            true => path.into(),
            false => alloc::format!("/{path}"),
        };
        let (host, port) = split(authority)?;
        let port = match port {
            None | Some("") => scheme.port(),
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0)?
            }
            Some(_) => return None,
        };
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match address.unwrap_or(host).parse() {
            Ok(address) => Host::Address(address),
            Err(_) => command_line::host(host)?,
        };
        Some(Url {
            host,
            port,
            path,
            authority: authority.into(),
        })
    }
}

/// A host, in brackets or without a colon, and the port after it.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, u16, &str)>) {
        let read = Url::parse(url, Scheme::Https);
        let read = read.map(|read| (alloc::format!("{}", read.host), read.port, read.path));
        let expected = expected.map(|(host, port, path)| (host.into(), port, path.into()));
        assert_eq!(read, expected, "{url}");
    }

    #[test]
    fn an_https_address_is_read_with_its_own_port() {
        check("https://a.example", Some(("a.example", 443, "/")));
        check("HTTPS://a.example/x?y", Some(("a.example", 443, "/x?y")));
        check(
            "https://10.0.0.1:14000/dir",
            Some(("10.0.0.1", 14000, "/dir")),
        );
        check("https://[::1]:14000/dir", Some(("::1", 14000, "/dir")));
        check("http://a.example/", None);
        check("https://", None);
        check("https://a.example:+1/", None);
        check("https://a.example/ HTTP/1.0", None);
    }
}

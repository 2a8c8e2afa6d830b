//! Names for which another service takes over.

use alloc::{string::String, vec::Vec};

/// The one protocol that an authority offers when it has a name proven by TLS (RFC 8737 §4).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// A server name (RFC 6066 §3), or protocols (RFC 7301), for which another service takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualHost {
    names: Names,
    /// The protocols of which a client must offer one; empty: it may offer what it likes.
    alpn: Vec<Vec<u8>>,
    /// The service, by its place in the list.
    pub service: usize,
}

/// Names, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    /// As stunnel matches: a name, or `*` and the end of names, dots and all.
    Pattern(String),
    /// A host, or `*.` and what follows one label.
    Host(String),
    /// Whatever clients ask for, even nothing.
    Any,
}

impl VirtualHost {
    /// As stunnel matches: `*` stands for any beginning, the rest for itself, and case does not
    /// count.
    pub fn new(pattern: &str, service: usize) -> Self {
        Self::of(Names::Pattern(pattern.to_ascii_lowercase()), service)
    }

    /// As certificates match: `*` stands for one label, the leftmost (RFC 6125 §6.4.3), and case
    /// does not count. Not for authorities that have a name proven, unless
    /// [`for_protocols`](Self::for_protocols) says so.
    pub fn of_host(name: &str, service: usize) -> Self {
        Self::of(Names::Host(name.to_ascii_lowercase()), service)
    }

    /// For all clients for whom nothing else is, but for authorities that have a name proven.
    pub fn of_others(service: usize) -> Self {
        Self::of(Names::Any, service)
    }

    fn of(names: Names, service: usize) -> Self {
        Self {
            names,
            alpn: Vec::new(),
            service,
        }
    }

    /// The same for clients alone that offer one of `protocols`; any of them, if there is none. Of a
    /// host, for clients that offer these and no others.
    pub fn for_protocols(self, protocols: &[Vec<u8>]) -> Self {
        Self {
            alpn: protocols.to_vec(),
            ..self
        }
    }

    /// Whether it is for a client that asks for `name` and offers these protocols. One that asks
    /// for no name is the listening service's, unless its protocol alone decides.
    pub fn takes(&self, name: Option<&str>, offered: &[Vec<u8>]) -> bool {
        let agree = || self.alpn.iter().any(|known| offered.contains(known));
        match (&self.names, name) {
            (Names::Pattern(_), Some(name)) => {
                self.is_for(name) && (self.alpn.is_empty() || agree())
            }
            (Names::Pattern(pattern), None) => pattern == "*" && agree(),
            (Names::Host(_), Some(name)) if !self.alpn.is_empty() => {
                offered == self.alpn && self.is_for(name)
            }
            (Names::Host(_), Some(name)) => !wants_proof(offered) && self.is_for(name),
            (Names::Host(_), None) => false,
            (Names::Any, _) => !wants_proof(offered),
        }
    }

    /// Whether it is for `name`.
    pub fn is_for(&self, name: &str) -> bool {
        match &self.names {
            Names::Pattern(pattern) => matches(pattern, name),
            Names::Host(host) => match host.strip_prefix("*.") {
                Some(rest) => name.split_once('.').is_some_and(|(label, end)| {
                    !label.is_empty() && end.eq_ignore_ascii_case(rest)
                }),
                None => name.eq_ignore_ascii_case(host),
            },
            Names::Any => true,
        }
    }
}

/// Whether a client is an authority that has a name proven: it offers one protocol, which nobody else
/// does (RFC 8737 §3).
pub(crate) fn wants_proof(offered: &[Vec<u8>]) -> bool {
    offered == [ACME_TLS]
}

fn matches(pattern: &str, name: &str) -> bool {
    let (name, pattern) = (name.as_bytes(), pattern.as_bytes());
    match pattern.strip_prefix(b"*") {
        Some(end) => name
            .len()
            .checked_sub(end.len())
            .and_then(|start| name.get(start..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end)),
        None => name.eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        let host = VirtualHost::new(pattern, 0);
        assert_eq!(host.is_for(name), expected, "{pattern} {name}");
    }

    fn names(names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_name_is_matched_whole_and_without_regard_to_case() {
        check("example.org", "example.org", true);
        check("Example.ORG", "eXample.org", true);
        check("example.org", "www.example.org", false);
        check("example.org", "example.or", false);
        check("example.org", "", false);
    }

    #[test]
    fn an_asterisk_stands_for_any_beginning_across_labels() {
        check("*.wild.org", "x.wild.org", true);
        check("*.wild.org", "x.y.WILD.org", true);
        check("*.wild.org", "wild.org", false);
        check("*wild.org", "wild.org", true);
        check("*wild.org", "notwild.org", true);
        check("*", "", true);
        check("*.wild.org", "", false);
    }

    #[test]
    fn a_host_s_asterisk_stands_for_one_label() {
        let check = |host: &str, name: &str, expected: bool| {
            let is_for = VirtualHost::of_host(host, 0).is_for(name);
            assert_eq!(is_for, expected, "{host} {name}");
        };
        check("*.wild.org", "x.wild.org", true);
        check("*.Wild.org", "X.wild.ORG", true);
        check("*.wild.org", "x.y.wild.org", false);
        check("*.wild.org", "wild.org", false);
        check("*.wild.org", ".wild.org", false);
        check("*.wild.org", "x.notwild.org", false);
        check("*.wild.org", "", false);
        // An asterisk elsewhere is no wildcard (RFC 6125 §6.4.3).
        check("w*.wild.org", "www.wild.org", false);
        check("*wild.org", "xwild.org", false);
        check("*", "org", false);
        check("example.org", "EXAMPLE.org", true);
        check("10.0.0.1", "10.0.0.1", true);
    }

    #[test]
    fn protocols_choose_among_the_services_of_a_name() {
        let host = VirtualHost::new("*.org", 0).for_protocols(&names(&["h2", "imap"]));
        assert!(host.takes(Some("a.org"), &names(&["http/1.1", "imap"])));
        assert!(!host.takes(Some("a.org"), &names(&["http/1.1"])));
        assert!(!host.takes(Some("a.org"), &[]));
        assert!(!host.takes(Some("a.net"), &names(&["h2"])));
        assert!(!host.takes(None, &names(&["h2"])));
        let any = VirtualHost::new("*.org", 0);
        assert!(any.takes(Some("a.org"), &[]) && any.takes(Some("a.org"), &names(&["h2"])));
    }

    #[test]
    fn clients_without_a_name_are_chosen_by_their_protocols_alone() {
        let host = VirtualHost::new("*", 0).for_protocols(&[b"h2".to_vec()]);
        assert!(host.takes(None, &[b"h2".to_vec()]) && host.takes(Some("x"), &[b"h2".to_vec()]));
        assert!(!host.takes(None, &[]));
        assert!(!VirtualHost::new("*", 0).takes(None, &[b"h2".to_vec()]));
    }

    #[test]
    fn authorities_that_have_a_name_proven_are_nobody_else_s() {
        let (acme, both) = (names(&["acme-tls/1"]), names(&["acme-tls/1", "h2"]));
        let proof = VirtualHost::of_host("a.org", 0).for_protocols(&acme);
        let host = VirtualHost::of_host("a.org", 1);
        let others = VirtualHost::of_others(2);
        let taken = |name, offered: &[Vec<u8>]| {
            [&proof, &host, &others].map(|host| host.takes(name, offered))
        };
        assert_eq!(taken(Some("A.org"), &acme), [true, false, false]);
        assert_eq!(taken(Some("b.org"), &acme), [false; 3]);
        assert_eq!(taken(None, &acme), [false; 3]);
        assert_eq!(taken(Some("a.org"), &both), [false, true, true]);
        assert_eq!(taken(Some("a.org"), &[]), [false, true, true]);
        assert_eq!(taken(Some("b.org"), &[]), [false, false, true]);
        assert_eq!(taken(None, &names(&["h2"])), [false, false, true]);
    }
}

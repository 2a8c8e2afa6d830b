//! Whether a certificate is for an expected peer (RFC 6125 §6, as OpenSSL's `X509_check_host`,
//! `X509_check_email` and `X509_check_ip` do it).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::certificate::Certificate;
use super::general::GeneralName;
use super::name::{COMMON_NAME, EMAIL_ADDRESS};

/// Most names of a certificate that a refusal lists.
const SHOWN: usize = 4;

/// Whom a certificate may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A host: matches a dNSName, or the subject's common names when there is no dNSName (RFC 6125
    /// §6.4.4). In them, `*.` stands for one label in front of at least two others. A host that
    /// begins with a dot matches every name below it.
    Host(String),
    /// A mailbox: matches an rfc822Name, or the subject's emailAddress when there is no rfc822Name.
    Email(String),
    /// An address: matches an iPAddress.
    Address(IpAddr),
}

impl fmt::Display for PeerName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Host(name) | PeerName::Email(name) => out.write_str(name),
            PeerName::Address(address) => address.fmt(out),
        }
    }
}

impl PeerName {
    /// Whether it can be a name at all: not empty, and no NUL in it.
    pub(super) fn is_possible(&self) -> bool {
        match self {
            PeerName::Host(name) | PeerName::Email(name) => {
                !name.is_empty() && !name.contains('\0')
            }
            PeerName::Address(_) => true,
        }
    }

    /// The host name in `certificate` by which it is for this peer.
    pub(super) fn host_of(&self, certificate: &Certificate<'_>) -> Option<String> {
        let PeerName::Host(host) = self else {
            return None;
        };
        if has_dns_name(certificate) {
            let name = dns_names(certificate).find(|name| is_host(name, host))?;
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        let names = certificate.subject.texts(COMMON_NAME);
        let name = names.iter().find(|name| is_host(name.as_bytes(), host))?;
        Some(name.to_string())
    }

    /// Whether `certificate` is for this peer.
    pub(super) fn is_of(&self, certificate: &Certificate<'_>) -> bool {
        match self {
            PeerName::Host(host) => {
                if has_dns_name(certificate) {
                    return dns_names(certificate).any(|name| is_host(name, host));
                }
                let names = certificate.subject.texts(COMMON_NAME);
                names.iter().any(|name| is_host(name.as_bytes(), host))
            }
            PeerName::Email(mailbox) => {
                if mailboxes(certificate).next().is_some() {
                    return mailboxes(certificate).any(|name| is_mailbox(name, mailbox));
                }
                let names = certificate.subject.texts(EMAIL_ADDRESS);
                names
                    .iter()
                    .any(|name| is_mailbox(name.as_bytes(), mailbox))
            }
            PeerName::Address(address) => {
                alternative_names(certificate).any(|name| match (name, address) {
                    (GeneralName::Address(bytes), IpAddr::V4(address)) => bytes == address.octets(),
                    (GeneralName::Address(bytes), IpAddr::V6(address)) => bytes == address.octets(),
                    _ => false,
                })
            }
        }
    }
}

fn alternative_names<'a>(certificate: &Certificate<'a>) -> impl Iterator<Item = GeneralName<'a>> {
    let names = certificate.extensions.subject_alternative_names.as_ref();
    names.map(|names| names.iter()).into_iter().flatten()
}

pub(super) fn has_dns_name(certificate: &Certificate<'_>) -> bool {
    dns_names(certificate).next().is_some()
}

fn dns_names<'a>(certificate: &Certificate<'a>) -> impl Iterator<Item = &'a [u8]> {
    alternative_names(certificate).filter_map(|name| match name {
        GeneralName::Dns(name) => Some(name),
        _ => None,
    })
}

fn mailboxes<'a>(certificate: &Certificate<'a>) -> impl Iterator<Item = &'a [u8]> {
    alternative_names(certificate).filter_map(|name| match name {
        GeneralName::Email(name) => Some(name),
        _ => None,
    })
}

/// The first names that a certificate is for, as far as they are of `expected`'s kinds.
pub(super) fn presented(certificate: &Certificate<'_>, expected: &[PeerName]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
    let mut names = Vec::new();
    if expected
        .iter()
        .any(|name| matches!(name, PeerName::Host(_)))
    {
        names.extend(dns_names(certificate).take(SHOWN).map(text));
        if names.is_empty() {
            let hosts = certificate.subject.texts(COMMON_NAME);
            names.extend(hosts.iter().map(ToString::to_string));
        }
    }
    if expected
        .iter()
        .any(|name| matches!(name, PeerName::Email(_)))
    {
        let mut emails = mailboxes(certificate).peekable();
        if emails.peek().is_none() {
            let emails = certificate.subject.texts(EMAIL_ADDRESS);
            names.extend(emails.iter().map(ToString::to_string));
        }
        names.extend(emails.take(SHOWN).map(text));
    }
    if expected
        .iter()
        .any(|name| matches!(name, PeerName::Address(_)))
    {
        let addresses = alternative_names(certificate).filter_map(address);
        names.extend(addresses.take(SHOWN).map(|address| address.to_string()));
    }
    names.truncate(SHOWN);
    names
}

fn address(name: GeneralName<'_>) -> Option<IpAddr> {
    let GeneralName::Address(bytes) = name else {
        return None;
    };
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    v4.or(v6).ok()
}

/// Whether a presented name, possibly with a wildcard, is that of `host`.
fn is_host(presented: &[u8], host: &str) -> bool {
    let host = host.as_bytes();
    if host.len() > 1 && host.starts_with(b".") {
        return presented.len() > host.len() && ends_with(presented, host);
    }
    if presented.eq_ignore_ascii_case(host) {
        return true;
    }
    // "the client SHOULD NOT attempt to match a presented identifier in which the wildcard
    // character comprises a label other than the left-most label" (RFC 6125 §6.4.3).
    let Some(parent) = presented.strip_prefix(b"*").filter(|rest| is_domain(rest)) else {
        return false;
    };
    let label = host.len().checked_sub(parent.len());
    let Some((label, rest)) = label.and_then(|length| host.split_at_checked(length)) else {
        return false;
    };
    !label.is_empty()
        && label
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && rest.eq_ignore_ascii_case(parent)
}

/// A dot, and at least two labels of letters, digits and inner hyphens.
fn is_domain(name: &[u8]) -> bool {
    let Some(name) = name.strip_prefix(b".") else {
        return false;
    };
    let mut labels = 0;
    let sound = name.split(|byte| *byte == b'.').all(|label| {
        labels += 1;
        !label.is_empty()
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
            && label
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    });
    sound && labels >= 2
}

pub(super) fn ends_with(text: &[u8], end: &[u8]) -> bool {
    let start = text.len().checked_sub(end.len());
    let tail = start.and_then(|start| text.get(start..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// The host's case makes no difference, the mailbox's does (RFC 5280 §7.5).
fn is_mailbox(presented: &[u8], mailbox: &str) -> bool {
    let (Some((local, host)), Some((wanted_local, wanted_host))) =
        (split_mailbox(presented), split_mailbox(mailbox.as_bytes()))
    else {
        return presented == mailbox.as_bytes();
    };
    local == wanted_local && host.eq_ignore_ascii_case(wanted_host)
}

/// The parts before and after the last `@`.
pub(super) fn split_mailbox(mailbox: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = mailbox.iter().rposition(|byte| *byte == b'@')?;
    let (local, host) = mailbox.split_at_checked(at)?;
    Some((local, host.strip_prefix(b"@")?))
}

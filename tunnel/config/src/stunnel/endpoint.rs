//! `[HOST:]PORT` and UNIX paths.

use alloc::format;
use alloc::string::String;

use super::lines::{shown, trim};
use super::types::{Accept, Connect};
use super::values::number;
use crate::command_line;
use crate::types::Host;

/// TCP services by name, as in /etc/services: those that tunnels are set up for.
const SERVICES: [(&str, u16); 60] = [
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("finger", 79),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("pop-3", 110),
    ("auth", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("imap", 143),
    ("irc", 194),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("ssmtp", 465),
    ("smtps", 465),
    ("urd", 465),
    ("printer", 515),
    ("nntps", 563),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("domain-s", 853),
    ("rsync", 873),
    ("ftps-data", 989),
    ("ftps", 990),
    ("telnets", 992),
    ("imaps", 993),
    ("ircs", 994),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("mqtt", 1883),
    ("nfs", 2049),
    ("git", 9418),
    ("mysql", 3306),
    ("svn", 3690),
    ("epmd", 4369),
    ("postgresql", 5432),
    ("postgres", 5432),
    ("amqp", 5672),
    ("amqps", 5671),
    ("redis", 6379),
    ("ircs-u", 6697),
    ("http-alt", 8080),
    ("secure-mqtt", 8883),
    ("syslog-tls", 6514),
];

/// Longest path of a UNIX socket, bytes: `sun_path` of unix(7) without the byte that ends it.
const MAX_PATH: usize = 107;

/// A value of `accept`.
pub(super) fn accept(text: &str) -> Result<Accept, String> {
    let fault = |reason: String| format!("Cannot resolve accept target: {reason}");
    if text.starts_with('/') {
        return path(text).map(Accept::Unix).map_err(fault);
    }
    let (host, port) = host_and_port(text).map_err(fault)?;
    Ok(Accept::Tcp {
        host,
        port,
        text: text.into(),
    })
}

/// A value of `connect` or `redirect`.
pub(super) fn connect(option: &str, text: &str) -> Result<Connect, String> {
    let fault = |reason: String| format!("Cannot resolve {option} target: {reason}");
    if text.starts_with('/') {
        return path(text).map(Connect::Unix).map_err(fault);
    }
    let (host, port) = host_and_port(text).map_err(fault)?;
    if port == 0 {
        return Err(fault("nothing listens on port 0".into()));
    }
    Ok(Connect::Tcp {
        host: host.unwrap_or_else(|| Host::Name("localhost".into())),
        port,
        text: text.into(),
    })
}

/// A path of a UNIX socket.
fn path(text: &str) -> Result<String, String> {
    if text.len() > MAX_PATH {
        return Err(format!(
            "Unix socket path is too long: it has {} bytes of at most {MAX_PATH}",
            text.len()
        ));
    }
    Ok(text.into())
}

/// Splits at the last colon, so that IPv6 addresses need no brackets; with them is fine, too.
fn host_and_port(text: &str) -> Result<(Option<Host>, u16), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (Some(host), port),
        None => (None, text),
    };
    let port = port_number(trim(port))?;
    let Some(name) = host else {
        return Ok((None, port));
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let host = match bare.parse() {
        Ok(address) => Some(Host::Address(address)),
        Err(_) => command_line::host(name),
    };
    host.map(|host| (Some(host), port))
        .ok_or_else(|| format!("Error resolving \"{}\": no host has this name", shown(name)))
}

fn port_number(text: &str) -> Result<u16, String> {
    if let Some(port) = number(text) {
        return u16::try_from(port).map_err(|_| format!("port {text} is higher than 65535"));
    }
    SERVICES
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name))
        .map(|(_, port)| *port)
        .ok_or_else(|| format!("Unknown TCP service \"{}\"", shown(text)))
}

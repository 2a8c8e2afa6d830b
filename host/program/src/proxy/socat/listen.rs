//! UNIX-LISTEN and TCP-LISTEN (socat(1), "ADDRESS TYPES").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use stockade::{Families, Listen, UnixSocket};

use super::address::{Address, Choice};
use super::{connect, group, port, user, values};
use crate::cli;

/// Permissions of a socket, before the umask.
const EVERYTHING: u32 = 0o777;

/// What is listened on, and how.
pub(super) struct Source {
    pub(super) listen: Listen,
    /// Whether more than one connection is served.
    pub(super) forks: bool,
    /// Options that change nothing here.
    pub(super) without_effect: Vec<String>,
}

/// A kind of listening address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unix,
    Tcp(Families),
}

fn kind(address: &Address) -> Option<Kind> {
    Some(match address.keyword.as_str() {
        "UNIX-LISTEN" | "UNIX-L" => Kind::Unix,
        "TCP-LISTEN" | "TCP-L" => Kind::Tcp(Families::Both),
        "TCP4-LISTEN" | "TCP4-L" => Kind::Tcp(Families::Ipv4),
        "TCP6-LISTEN" | "TCP6-L" => Kind::Tcp(Families::Ipv6),
        _ => return None,
    })
}

/// Whether it is such an address.
pub(super) fn is_meant(address: &Address) -> bool {
    kind(address).is_some()
}

/// What it means.
pub(super) fn read(address: &Address, prefers_ipv6: bool) -> Result<Source, String> {
    let (forks, without_effect) = (false, Vec::new());
    match kind(address) {
        Some(Kind::Tcp(families)) => {
            let mut families = families;
            let mut bind = None;
            let port = port(address.one()?)?;
            let mut common = Common {
                forks,
                without_effect,
            };
            for option in &address.options {
                match option.name.as_str() {
                    "bind" => bind = Some(values::text(option)?),
                    "pf" | "protocol-family" => families = connect::families(option)?,
                    "reuseaddr" | "so-reuseaddr" => common.nothing(option),
                    "keepalive" | "so-keepalive" | "nodelay" | "tcp-nodelay" => {
                        values::flag(option)?;
                        common.nothing(option);
                    }
                    _ => common.take(address, option)?,
                }
            }
            let any: IpAddr = match families {
                Families::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
                Families::Both if prefers_ipv6 => Ipv6Addr::UNSPECIFIED.into(),
                _ => Ipv4Addr::UNSPECIFIED.into(),
            };
            let at = bind.map_or(Ok(any), |text| bound(&text, families))?;
            Ok(common.source(cli::tcp(at, port)))
        }
        _ => {
            let mut common = Common {
                forks,
                without_effect,
            };
            let path = address.one()?;
            if path.is_empty() {
                return Err(format!("{}: the socket's path is missing", address.keyword));
            }
            let mut socket = UnixSocket::at(PathBuf::from(path));
            for option in &address.options {
                match option.name.as_str() {
                    "mode" | "perm" | "perm-early" | "perm-late" => {
                        socket.mode = Some(values::mode(option)?);
                    }
                    "umask" => socket.mode = Some(EVERYTHING & !values::mode(option)?),
                    "user" | "uid" | "owner" | "user-early" | "uid-e" | "user-late" | "uid-l" => {
                        socket.user = Some(user(values::value(option)?)?);
                    }
                    "group" | "gid" | "group-early" | "gid-e" | "group-late" | "gid-l" => {
                        socket.group = Some(group(values::value(option)?)?);
                    }
                    // A stale socket is removed in any case, and nothing else in none.
                    "unlink-early" | "new" | "unlink" | "remove" | "delete" => {
                        values::flag(option)?;
                    }
                    "unlink-close" if values::flag(option)? => {}
                    "unlink-close" => {
                        return Err(
                            "option \"unlink-close=0\": the socket's file is always removed \
                                    at the end; leave the option out"
                                .to_owned(),
                        );
                    }
                    _ => common.take(address, option)?,
                }
            }
            Ok(common.source(Listen::Unix(socket)))
        }
    }
}

/// What every listening address can have.
struct Common {
    forks: bool,
    without_effect: Vec<String>,
}

impl Common {
    fn take(&mut self, address: &Address, option: &Choice) -> Result<(), String> {
        match option.name.as_str() {
            "fork" => self.forks = values::flag(option)?,
            "backlog" | "cloexec" => self.nothing(option),
            "max-children" => {
                return Err(refuse(
                    address,
                    option,
                    "the image takes as many as its memory is good for (--memory)",
                ));
            }
            "range" | "tcpwrap" | "tcpwrappers" | "lowport" => {
                return Err(refuse(
                    address,
                    option,
                    "use a firewall, or bind= with an address that few can reach",
                ));
            }
            "su" | "substuser" | "substuser-early" | "substuser-delayed" | "su-d" | "setuid"
            | "setuid-early" | "setgid" | "setgid-early" | "chroot" | "chroot-early" => {
                return Err(refuse(address, option, "start it as that user"));
            }
            "accept-timeout" => {
                return Err(refuse(
                    address,
                    option,
                    "it waits for clients until it is stopped",
                ));
            }
            _ => return Err(unknown(address, option)),
        }
        Ok(())
    }

    /// An option that changes nothing here.
    fn nothing(&mut self, option: &Choice) {
        let value = option.value.as_ref();
        let value = value.map_or(String::new(), |value| format!("={value}"));
        self.without_effect
            .push(format!("option {}{value}", option.name));
    }

    fn source(self, listen: Listen) -> Source {
        Source {
            listen,
            forks: self.forks,
            without_effect: self.without_effect,
        }
    }
}

/// An address of this host to listen on.
fn bound(text: &str, families: Families) -> Result<IpAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = match (bare, families) {
        ("localhost", Families::Ipv6) => Ipv6Addr::LOCALHOST.into(),
        ("localhost", _) => Ipv4Addr::LOCALHOST.into(),
        (text, _) => text
            .parse()
            .map_err(|_| format!("option \"bind={text}\": name an address, such as 127.0.0.1"))?,
    };
    match families.has(address.is_ipv6()) {
        true => Ok(address),
        false => Err(format!(
            "option \"bind={text}\": it is of another address family"
        )),
    }
}

/// An option that is known, and not supported.
pub(super) fn refuse(address: &Address, option: &Choice, advice: &str) -> String {
    let (keyword, name) = (&address.keyword, &option.name);
    format!("option \"{name}\" of {keyword} is not supported: {advice}")
}

/// Any other.
pub(super) fn unknown(address: &Address, option: &Choice) -> String {
    let (keyword, name) = (&address.keyword, &option.name);
    format!(
        "unknown option \"{name}\", or none that is supported with {keyword}; `socat -h` lists those, leave \
         it out otherwise"
    )
}

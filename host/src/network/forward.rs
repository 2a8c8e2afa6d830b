//! What is listened on, and where it leads: `[ADDRESS:]PORT:GUESTPORT` or
//! `unix:PATH[,OPTION…]:GUESTPORT`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use nix::unistd::{Group, User};

use crate::ParseError;

/// What a forward's text may be.
const EXPECTED: &str = "[ADDRESS:]PORT:GUESTPORT with ports from 1 to 65535, such as 8443:443, \
                        127.0.0.1:8443:443 or [::1]:8443:443, nor \
                        unix:PATH[,mode=MODE][,user=USER][,group=GROUP]:GUESTPORT, such as \
                        unix:/run/db.sock,mode=0660,group=www-data:3306";

/// What else can be wrong with a UNIX socket's options.
const KNOWN_MODE: &str = "a socket with a mode from 0 to 0777, such as mode=0660";
const KNOWN_USER: &str = "a socket whose user this host knows, by name or number";
const KNOWN_GROUP: &str = "a socket whose group this host knows, by name or number";

/// Permission bits of a file.
const PERMISSIONS: u32 = 0o777;

/// Something of this host that leads to a port of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forward {
    /// What is listened on.
    pub listen: Listen,
    /// The port of the guest.
    pub guest_port: u16,
}

/// Something to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// A TCP port of this host. Port 0 stands for any that is free. An IPv6 address takes IPv6
    /// clients alone (`IPV6_V6ONLY`, ipv6(7)), so that both families can have the same port.
    Tcp(SocketAddr),
    /// A UNIX stream socket.
    Unix(UnixSocket),
}

/// A UNIX stream socket with a name in the file system (unix(7)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixSocket {
    /// The file.
    pub path: PathBuf,
    /// Its permissions; `None`: what the umask leaves of 0777.
    pub mode: Option<u32>,
    /// The user that is to own it, by number.
    pub user: Option<u32>,
    /// The group that is to own it, by number.
    pub group: Option<u32>,
}

/// A forward that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where; the port is the real one.
    pub listen: Listen,
    /// The port of the guest.
    pub guest_port: u16,
}

impl Forward {
    /// A port of 127.0.0.1.
    pub const fn local(port: u16, guest_port: u16) -> Forward {
        Forward {
            listen: Listen::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
            guest_port,
        }
    }
}

impl Listen {
    /// The address and port, unless it is a UNIX socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) => None,
        }
    }
}

impl UnixSocket {
    /// A socket at `path` with the permissions and the owner that this process gives it.
    pub fn at(path: impl Into<PathBuf>) -> UnixSocket {
        UnixSocket {
            path: path.into(),
            mode: None,
            user: None,
            group: None,
        }
    }
}

impl FromStr for Forward {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Forward, ParseError> {
        let error = || ParseError::new(text, EXPECTED);
        let (rest, guest_port) = text.rsplit_once(':').ok_or_else(error)?;
        let guest_port = port(guest_port).ok_or_else(error)?;
        let listen = match rest.strip_prefix("unix:") {
            Some(socket) => Listen::Unix(
                unix_socket(socket)
                    .map_err(|expected| ParseError::new(text, expected.unwrap_or(EXPECTED)))?,
            ),
            None => Listen::Tcp(tcp(rest).ok_or_else(error)?),
        };
        Ok(Forward { listen, guest_port })
    }
}

fn tcp(text: &str) -> Option<SocketAddr> {
    let (address, number) = match text.rsplit_once(':') {
        Some((address, number)) => (address, number),
        None => return Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port(text)?)),
    };
    let address = match address.strip_prefix('[') {
        Some(rest) => IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?),
        None => IpAddr::V4(address.parse().ok()?),
    };
    Some(SocketAddr::new(address, port(number)?))
}

/// The error is what was expected, where it is not the whole form.
fn unix_socket(text: &str) -> Result<UnixSocket, Option<&'static str>> {
    let mut words = text.split(',');
    let path = words.next().filter(|path| !path.is_empty()).ok_or(None)?;
    let mut socket = UnixSocket::at(path);
    for word in words {
        let (option, value) = word.split_once('=').ok_or(None)?;
        match option {
            "mode" => {
                let mode = u32::from_str_radix(value, 8).ok();
                let mode = mode.filter(|mode| *mode <= PERMISSIONS);
                socket.mode = Some(mode.ok_or(Some(KNOWN_MODE))?);
            }
            "user" => socket.user = Some(user(value).ok_or(Some(KNOWN_USER))?),
            "group" => socket.group = Some(group(value).ok_or(Some(KNOWN_GROUP))?),
            _ => return Err(None),
        }
    }
    Ok(socket)
}

/// A user's number: given as it is, or by name.
pub fn user(text: &str) -> Option<u32> {
    let named = || User::from_name(text).ok().flatten();
    text.parse()
        .ok()
        .or_else(|| named().map(|user| user.uid.as_raw()))
}

/// A group's number: given as it is, or by name.
pub fn group(text: &str) -> Option<u32> {
    let named = || Group::from_name(text).ok().flatten();
    text.parse()
        .ok()
        .or_else(|| named().map(|group| group.gid.as_raw()))
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.listen)?;
        if let Listen::Unix(UnixSocket {
            mode, user, group, ..
        }) = &self.listen
        {
            if let Some(mode) = mode {
                write!(f, ",mode={mode:04o}")?;
            }
            if let Some(user) = user {
                write!(f, ",user={user}")?;
            }
            if let Some(group) = group {
                write!(f, ",group={group}")?;
            }
        }
        write!(f, ":{}", self.guest_port)
    }
}

impl fmt::Display for Listen {
    /// `127.0.0.1:8443`, `[::1]:8443` or `unix:/run/db.sock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => write!(f, "{address}"),
            Listen::Unix(socket) => write!(f, "unix:{}", socket.path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        let forward: Forward = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(forward.to_string(), shown);
        assert_eq!(shown.parse(), Ok(forward));
    }

    #[test]
    fn ports_are_local_unless_an_address_is_given() {
        assert_eq!("8443:443".parse(), Ok(Forward::local(8443, 443)));
        check("8443:443", "127.0.0.1:8443:443");
        check("0.0.0.0:80:8080", "0.0.0.0:80:8080");
        check("[::1]:8443:443", "[::1]:8443:443");
        check("[::]:8443:443", "[::]:8443:443");
    }

    #[test]
    fn unix_sockets_have_options() {
        check("unix:/run/db.sock:3306", "unix:/run/db.sock:3306");
        check(
            "unix:/run/db.sock,group=0,mode=660,user=0:3306",
            "unix:/run/db.sock,mode=0660,user=0,group=0:3306",
        );
        check("unix:a:b:3306", "unix:a:b:3306");
        check("unix:/s,user=root:1", "unix:/s,user=0:1");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "443",
            ":443",
            "8443:",
            "0:443",
            "8443:0",
            "65536:443",
            "+1:443",
            "a:b",
            "1:2:3",
            "localhost:1:2",
            "127.0.0.1:1",
            "::1:8443:443",
            "[::1:8443:443",
            "[127.0.0.1]:8443:443",
            "1 :2",
            "unix::1",
            "unix:/s",
            "unix:/s:0",
            "unix:/s,mode=0999:1",
            "unix:/s,mode=7777:1",
            "unix:/s,colour=red:1",
            "unix:/s,mode:1",
            "unix:/s,user=no such user:1",
        ] {
            assert!(text.parse::<Forward>().is_err(), "{text:?}");
        }
        let error = "unix:/s,mode=a:1".parse::<Forward>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"unix:/s,mode=a:1\" is not a socket with a mode from 0 to 0777, such as mode=0660"
        );
    }
}

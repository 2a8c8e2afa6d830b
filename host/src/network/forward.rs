//! What is listened on, and where it leads: `[ADDRESS:]PORT:GUESTPORT` or
//! `unix:PATH[,OPTION…]:GUESTPORT`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::ParseError;

/// What a forward's text may be.
const EXPECTED: &str = "[ADDRESS:]PORT:GUESTPORT with ports from 1 to 65535, such as 8443:443, \
                        127.0.0.1:8443:443 or [::1]:8443:443, nor \
                        unix:PATH[,mode=MODE][,user=USER][,group=GROUP]:GUESTPORT, such as \
                        unix:/run/db.sock,mode=0660,group=www-data:3306";

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
                socket.mode = Some(mode.ok_or(Some("a mode from 0 to 0777, such as 0660"))?);
            }
            "user" => socket.user = Some(value.parse().map_err(|_| None)?),
            "group" => socket.group = Some(value.parse().map_err(|_| None)?),
            _ => return Err(None),
        }
    }
    Ok(socket)
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

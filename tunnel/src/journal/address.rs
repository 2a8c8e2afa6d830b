//! Ends of connections, as stunnel writes them.

use core::{fmt, net::SocketAddr};

use config::stunnel::HOST_SOCKETS;

/// An end of a connection, or where connections are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// A UNIX socket of the host, by its path.
    Unix(&'a str),
    /// A program of the host, by its path.
    Program(&'a str),
    /// The end of a UNIX socket that has no path, as clients have it.
    Unnamed,
    /// A port that the host chooses.
    AnyPort,
}

impl Address<'_> {
    /// A client's end. On the launcher's network (`published`), clients of the host's UNIX sockets
    /// have an address of their own.
    pub fn of_client(client: SocketAddr, published: bool) -> Self {
        match published && client.ip() == HOST_SOCKETS {
            true => Self::Unnamed,
            false => Self::Tcp(client),
        }
    }

    /// Whether it is one of the host's UNIX sockets.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Unnamed)
    }

    /// Whether it is one of the host's programs, of which the launcher tells.
    pub fn is_program(&self) -> bool {
        matches!(self, Self::Program(_))
    }
}

impl From<SocketAddr> for Address<'_> {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // getnameinfo(3)'s two texts: addresses of IPv6 have no brackets.
            Self::Tcp(address) => write!(f, "{}:{}", address.ip(), address.port()),
            // getnameinfo(3) gives UNIX sockets this host.
            Self::Unix(path) => write!(f, "localhost:{path}"),
            Self::Program(path) => write!(f, "program {path}"),
            Self::Unnamed => f.write_str("unnamed socket"),
            Self::AnyPort => f.write_str("any free port of the host"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_client_of_a_unix_socket_has_no_name() {
        let client = SocketAddr::new(HOST_SOCKETS.into(), 40_000);
        let shown = |published| Address::of_client(client, published).to_string();
        assert_eq!(shown(true), "unnamed socket");
        // On a network of its own that is anybody's address.
        assert_eq!(shown(false), "10.0.2.4:40000");
    }
}

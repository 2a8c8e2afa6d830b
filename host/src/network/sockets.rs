//! UNIX sockets of this host that the guest may connect to.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::Error;

/// How long a socket that was taken back is still led to: a session keeps the configuration that it
/// began with, and has this long at most from its client's first byte to its backend (stunnel's
/// `TIMEOUTbusy` and `TIMEOUTconnect` together, twice).
const GRACE: Duration = Duration::from_secs(620);

/// A UNIX stream socket of this host, and what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostSocket {
    /// The port of [`HOST_SOCKETS`](super::HOST_SOCKETS).
    pub port: u16,
    /// The socket's file.
    pub path: PathBuf,
}

/// What the guest is offered.
#[derive(Default)]
pub(super) struct HostSockets {
    by_port: HashMap<u16, Offer>,
}

struct Offer {
    path: PathBuf,
    /// When it was taken back.
    since: Option<Instant>,
}

impl HostSockets {
    /// See [`Network::offer`](super::Network::offer).
    pub(super) fn offer(&mut self, sockets: &[HostSocket]) -> Result<(), Error> {
        let now = Instant::now();
        self.by_port.retain(|_, offer| !offer.is_over(now));
        for socket in sockets {
            let known = self.by_port.get(&socket.port);
            if let Some(other) = known.filter(|known| known.path != socket.path) {
                return Err(Error::SocketPort {
                    path: socket.path.clone(),
                    other: other.path.clone(),
                });
            }
        }
        for HostSocket { port, path } in sockets {
            let (path, since) = (path.clone(), None);
            self.by_port.insert(*port, Offer { path, since });
        }
        Ok(())
    }

    /// See [`Network::take_back`](super::Network::take_back).
    pub(super) fn take_back(&mut self, keep: &[HostSocket]) {
        let now = Instant::now();
        for (port, offer) in &mut self.by_port {
            let is_kept = keep.iter().any(|socket| socket.port == *port);
            offer.since = match is_kept {
                true => None,
                false => offer.since.or(Some(now)),
            };
        }
    }

    /// The path that a port stands for.
    pub(super) fn path(&self, port: u16) -> Option<&PathBuf> {
        let now = Instant::now();
        let offer = self.by_port.get(&port);
        offer
            .filter(|offer| !offer.is_over(now))
            .map(|offer| &offer.path)
    }
}

impl Offer {
    fn is_over(&self, now: Instant) -> bool {
        let since = self.since;
        since.is_some_and(|since| now.saturating_duration_since(since) >= GRACE)
    }
}

/// Connects to a UNIX socket. That never takes time: where its backlog is full, it fails (`EAGAIN`,
/// connect(2)), and the guest asks again.
pub(super) fn begin(path: &PathBuf) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(port: u16, path: &str) -> HostSocket {
        HostSocket {
            port,
            path: path.into(),
        }
    }

    fn path(sockets: &HostSockets, port: u16) -> Option<&str> {
        sockets.path(port).and_then(|path| path.to_str())
    }

    #[test]
    fn a_port_stands_for_one_path_as_long_as_anybody_may_mean_it() {
        let mut sockets = HostSockets::default();
        sockets.offer(&[socket(1, "/a"), socket(2, "/b")]).unwrap();
        sockets.take_back(&[socket(2, "/b")]);
        // A session that began before may still go there.
        assert_eq!(path(&sockets, 1), Some("/a"));
        let error = sockets.offer(&[socket(3, "/c"), socket(1, "/x")]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/x") && error.contains("/a"), "{error}");
        assert_eq!(path(&sockets, 3), None);

        let long_ago = Instant::now().checked_sub(GRACE);
        sockets.by_port.get_mut(&1).unwrap().since = long_ago;
        assert!(long_ago.is_none() || path(&sockets, 1).is_none());
        sockets.take_back(&[socket(2, "/b")]);
        assert_eq!(path(&sockets, 2), Some("/b"));
    }

    #[test]
    fn what_is_offered_again_is_no_longer_taken_back() {
        let mut sockets = HostSockets::default();
        sockets.offer(&[socket(1, "/a")]).unwrap();
        sockets.take_back(&[]);
        assert!(sockets.by_port[&1].since.is_some());
        sockets.offer(&[socket(1, "/a")]).unwrap();
        assert!(sockets.by_port[&1].since.is_none());
    }
}

//! UNIX sockets of this host that the guest may connect to.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::programs::{HostProgram, Role};
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
    end: End,
    /// When it was taken back.
    since: Option<Instant>,
}

/// What a port stands for.
#[derive(Clone)]
pub(super) enum End {
    Socket(PathBuf),
    Program(Arc<HostProgram>),
}

impl End {
    fn path(&self) -> PathBuf {
        match self {
            End::Socket(path) => path.clone(),
            End::Program(program) => PathBuf::from(&program.program.path),
        }
    }

    /// Whether clients come to the same.
    fn is_same(&self, other: &End) -> bool {
        match (self, other) {
            (End::Socket(path), End::Socket(other)) => path == other,
            (End::Program(program), End::Program(other)) => program.program == other.program,
            _ => false,
        }
    }
}

impl HostSockets {
    /// See [`Network::offer`](super::Network::offer).
    pub(super) fn offer(
        &mut self,
        sockets: &[HostSocket],
        programs: &[HostProgram],
    ) -> Result<(), Error> {
        let sockets = sockets
            .iter()
            .map(|socket| (socket.port, End::Socket(socket.path.clone())));
        let programs = programs.iter().filter(|one| one.role == Role::Offered);
        let programs = programs.map(|one| (one.port, End::Program(Arc::new(one.clone()))));
        let ends: Vec<(u16, End)> = sockets.chain(programs).collect();
        let now = Instant::now();
        self.by_port.retain(|_, offer| !offer.is_over(now));
        for (port, end) in &ends {
            let known = self.by_port.get(port);
            if let Some(other) = known.filter(|known| !known.end.is_same(end)) {
                return Err(Error::SocketPort {
                    path: end.path(),
                    other: other.end.path(),
                });
            }
        }
        for (port, end) in ends {
            self.by_port.insert(port, Offer { end, since: None });
        }
        Ok(())
    }

    /// See [`Network::take_back`](super::Network::take_back).
    pub(super) fn take_back(&mut self, keep: &[HostSocket], programs: &[HostProgram]) {
        let programs = programs.iter().filter(|one| one.role == Role::Offered);
        let ports: Vec<u16> = keep
            .iter()
            .map(|socket| socket.port)
            .chain(programs.map(|program| program.port))
            .collect();
        let now = Instant::now();
        for (port, offer) in &mut self.by_port {
            let is_kept = ports.contains(port);
            offer.since = match is_kept {
                true => None,
                false => offer.since.or(Some(now)),
            };
        }
    }

    /// What a port stands for.
    pub(super) fn end(&self, port: u16) -> Option<&End> {
        let now = Instant::now();
        let offer = self.by_port.get(&port);
        offer
            .filter(|offer| !offer.is_over(now))
            .map(|offer| &offer.end)
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
        match sockets.end(port) {
            Some(End::Socket(path)) => path.to_str(),
            _ => None,
        }
    }

    #[test]
    fn a_port_stands_for_one_path_as_long_as_anybody_may_mean_it() {
        let mut sockets = HostSockets::default();
        sockets
            .offer(&[socket(1, "/a"), socket(2, "/b")], &[])
            .unwrap();
        sockets.take_back(&[socket(2, "/b")], &[]);
        // A session that began before may still go there.
        assert_eq!(path(&sockets, 1), Some("/a"));
        let error = sockets.offer(&[socket(3, "/c"), socket(1, "/x")], &[]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/x") && error.contains("/a"), "{error}");
        assert_eq!(path(&sockets, 3), None);

        let long_ago = Instant::now().checked_sub(GRACE);
        sockets.by_port.get_mut(&1).unwrap().since = long_ago;
        assert!(long_ago.is_none() || path(&sockets, 1).is_none());
        sockets.take_back(&[socket(2, "/b")], &[]);
        assert_eq!(path(&sockets, 2), Some("/b"));
    }

    #[test]
    fn what_is_offered_again_is_no_longer_taken_back() {
        let mut sockets = HostSockets::default();
        sockets.offer(&[socket(1, "/a")], &[]).unwrap();
        sockets.take_back(&[], &[]);
        assert!(sockets.by_port[&1].since.is_some());
        sockets.offer(&[socket(1, "/a")], &[]).unwrap();
        assert!(sockets.by_port[&1].since.is_none());
    }
}

//! Ports that stand, on the launcher's network, for what only the host has: its UNIX sockets, and
//! any free port of its own.
//!
//! Host and image read the same file and must come to the same ports, and a reload must not give
//! one service's port to another's clients: so a port follows from what it stands for, not from its
//! place in the file.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::RangeInclusive;

use super::types::{Accept, Configuration, Connect};

/// The UNIX sockets of the host, seen from the image: a port for each path that `connect` or
/// `redirect` names. Those that come through one of the host's UNIX sockets come from here.
pub const HOST_SOCKETS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 4);

/// Where the image accepts what comes through them: the dynamic ports (RFC 6335 §6).
const ACCEPTED: RangeInclusive<u16> = 49_152..=65_535;

/// Where [`HOST_SOCKETS`] is dialled.
const DIALLED: RangeInclusive<u16> = 1..=65_535;

/// The ports of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPorts<'a> {
    accepted: Vec<Accepted<'a>>,
    dialled: Vec<(u16, &'a str)>,
}

/// A port of the image for one `accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Accepted<'a> {
    /// The service and its `accept`, by their places.
    place: (usize, usize),
    /// The path, if it is a UNIX socket.
    path: Option<&'a str>,
    port: u16,
}

impl<'a> HostPorts<'a> {
    /// The ports for this configuration.
    pub fn of(configuration: &'a Configuration) -> HostPorts<'a> {
        let mut ports = HostPorts::default();
        let services = || configuration.services.iter().enumerate();
        let accepts = || {
            services().flat_map(|(index, service)| {
                let accepts = service.accept.iter().enumerate();
                accepts.map(move |(nth, accept)| ((index, nth), &*service.name, accept))
            })
        };
        let mut taken: Vec<u16> = accepts()
            .filter_map(|(_, _, accept)| match accept {
                Accept::Tcp { port, .. } => Some(*port),
                Accept::Unix(_) => None,
            })
            .collect();
        for (place, service, accept) in accepts() {
            let (path, words) = match accept {
                Accept::Unix(path) => (Some(&**path), ["", path]),
                Accept::Tcp { port: 0, text, .. } => (None, [service, text]),
                Accept::Tcp { .. } => continue,
            };
            let known = ports.accepted.iter().find(|one| one.path == path);
            let known = known.filter(|_| path.is_some()).map(|one| one.port);
            let port = known.or_else(|| find(words, ACCEPTED, &taken));
            if let Some(port) = port {
                taken.push(port);
                ports.accepted.push(Accepted { place, path, port });
            }
        }
        let mut taken = Vec::new();
        for (_, service) in services() {
            for connect in service.connect.iter().chain(&service.redirect) {
                if let Connect::Unix(path) = connect
                    && ports.dialled(path).is_none()
                    && let Some(port) = find(["", path], DIALLED, &taken)
                {
                    taken.push(port);
                    ports.dialled.push((port, path));
                }
            }
        }
        ports
    }

    /// The image's port for an `accept` that is a UNIX socket or any free port, by the places of
    /// the service and of the `accept` in it; `None` for all others, and where there are too many.
    pub fn accepted(&self, service: usize, accept: usize) -> Option<u16> {
        let mut accepted = self.accepted.iter();
        let found = accepted.find(|one| one.place == (service, accept));
        found.map(|one| one.port)
    }

    /// The port of [`HOST_SOCKETS`] that stands for this path; `None` where there are too many.
    pub fn dialled(&self, path: &str) -> Option<u16> {
        let mut dialled = self.dialled.iter();
        let found = dialled.find(|(_, known)| *known == path);
        found.map(|(port, _)| *port)
    }

    /// Each path that is dialled, with its port.
    pub fn sockets(&self) -> impl Iterator<Item = (u16, &'a str)> {
        self.dialled.iter().copied()
    }
}

/// The first free port of a range from where `words` point to.
fn find(words: [&str; 2], range: RangeInclusive<u16>, taken: &[u16]) -> Option<u16> {
    let (first, last) = range.into_inner();
    let count = u32::from(last - first) + 1;
    let start = hash(words) % count;
    let candidates = (0..count).map(|step| (start + step) % count);
    let mut candidates = candidates.filter_map(|offset| u16::try_from(offset).ok());
    let port = candidates.find(|offset| !taken.contains(&(first + offset)));
    port.map(|offset| first + offset)
}

/// FNV-1a, 32 bits (draft-eastlake-fnv): spreads paths that differ little. Nobody else chooses them.
fn hash(words: [&str; 2]) -> u32 {
    let [first, second] = words.map(str::as_bytes);
    let bytes = first.iter().chain(&[0]).chain(second);
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

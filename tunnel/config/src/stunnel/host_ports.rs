//! Ports that stand, on the launcher's network, for what only the host has: its UNIX sockets, and
//! any free port of its own.
//!
//! Host and image read the same file and must come to the same ports, and a reload must not give
//! one service's port to another's clients: so a port follows from what it stands for, not from its
//! place in the file.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::RangeInclusive;

use super::program::Program;
use super::types::{Accept, Configuration, Connect};

/// The UNIX sockets and programs of the host, seen from the image: a port for each path that `connect`
/// or `redirect` names, and for each program of `exec`. Those that come through one of the host's UNIX
/// sockets come from here.
pub const HOST_SOCKETS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 4);

/// Where the image accepts what comes through them: the dynamic ports (RFC 6335 §6).
const ACCEPTED: RangeInclusive<u16> = 49_152..=65_535;

/// Where [`HOST_SOCKETS`] is dialled.
const DIALLED: RangeInclusive<u16> = 1..=65_535;

/// Most ports of a kind: far more than anybody has, and found in no time.
const MOST: usize = 4096;

/// The ports of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPorts<'a> {
    accepted: Vec<Accepted<'a>>,
    dialled: Vec<(u16, &'a str)>,
    programs: Vec<(u16, &'a Program)>,
    /// Of the image, by the place of the service whose program is its client.
    started: Vec<(u16, usize)>,
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
        let mut taken = Taken::default();
        for (_, _, accept) in accepts() {
            if let Accept::Tcp { port, .. } = accept {
                taken.add(*port);
            }
        }
        for (place, service, accept) in accepts() {
            let (path, words) = match accept {
                Accept::Unix(path) => (Some(&**path), ["", path]),
                Accept::Tcp { port: 0, text, .. } => (None, [service, text]),
                Accept::Inherited => (None, [service, "inetd"]),
                Accept::Tcp { .. } => continue,
            };
            let known = ports.accepted.iter().find(|one| one.path == path);
            let known = known.filter(|_| path.is_some()).map(|one| one.port);
            let port = known.or_else(|| taken.find(words, ACCEPTED));
            if let Some(port) = port {
                ports.accepted.push(Accepted { place, path, port });
            }
        }
        for (index, service) in services() {
            if service.program_ahead().is_some()
                && let Some(port) = taken.find([&service.name, "exec"], ACCEPTED)
            {
                ports.started.push((port, index));
            }
        }
        let mut taken = Taken::default();
        for (_, service) in services() {
            if let Some(program) = service.program_behind()
                && ports.program(program).is_none()
            {
                let key: String = program.key();
                if let Some(port) = taken.find(["exec", &key], DIALLED) {
                    ports.programs.push((port, program));
                }
            }
            for connect in service.connect.iter().chain(&service.redirect) {
                if let Connect::Unix(path) = connect
                    && ports.dialled(path).is_none()
                    && let Some(port) = taken.find(["", path], DIALLED)
                {
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

    /// The port of [`HOST_SOCKETS`] that stands for this program; `None` where there are too many.
    pub fn program(&self, program: &Program) -> Option<u16> {
        let mut programs = self.programs.iter();
        let found = programs.find(|(_, known)| *known == program);
        found.map(|(port, _)| *port)
    }

    /// The image's port for the program that is a service's client, by the service's place; `None`
    /// where there is none, or there are too many.
    pub fn started(&self, service: usize) -> Option<u16> {
        let mut started = self.started.iter();
        let found = started.find(|(_, place)| *place == service);
        found.map(|(port, _)| *port)
    }

    /// Each path that is dialled, with its port.
    pub fn sockets(&self) -> impl Iterator<Item = (u16, &'a str)> {
        self.dialled.iter().copied()
    }
}

/// Ports that are no longer free.
#[derive(Default)]
struct Taken {
    /// A bit for each port, once one is taken.
    bits: Vec<u64>,
    /// How many were found.
    found: usize,
}

impl Taken {
    /// Takes a port; false if it is taken.
    fn add(&mut self, port: u16) -> bool {
        let (word, bit) = (usize::from(port / 64), 1 << (port % 64));
        self.bits.resize(1024, 0);
        match self.bits.get_mut(word) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    /// Takes the first free port of a range from where `words` point to.
    fn find(&mut self, words: [&str; 2], range: RangeInclusive<u16>) -> Option<u16> {
        if self.found >= MOST {
            return None;
        }
        let (first, last) = range.into_inner();
        let count = u32::from(last - first) + 1;
        let start = hash(words) % count;
        let mut offsets = (0..count).filter_map(|step| u16::try_from((start + step) % count).ok());
        let offset = offsets.find(|offset| self.add(first + offset))?;
        self.found += 1;
        Some(first + offset)
    }
}

/// FNV-1a, 32 bits (draft-eastlake-fnv): spreads paths that differ little. Nobody else chooses them.
fn hash(words: [&str; 2]) -> u32 {
    let [first, second] = words.map(str::as_bytes);
    let bytes = first.iter().chain(&[0]).chain(second);
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

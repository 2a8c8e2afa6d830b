//! The rootless network: a guest's link ends in this process, and its connections go on as
//! sockets of this host.
//!
//! ```text
//! client ──► listener ──┐                          ┌──► socket to 127.0.0.1, ::1 or elsewhere
//!                       ├─ net::Stack ◄─ frames ─► QEMU ─ guest
//! getaddrinfo ◄─ DNS ───┘   (Role::Gateway)
//! ```
//!
//! One thread waits with epoll(7) for everything: the guest's frames, listeners, the sockets of
//! each connection, commands. A client of a published TCP port appears in the guest with its own
//! address and port, one of a UNIX socket with [`HOST_SOCKETS`]. The guest reaches this host's
//! loopback at [`GATEWAY_IPV4`] and [`GATEWAY_IPV6`], those of this host's UNIX sockets and programs
//! that it is offered at [`HOST_SOCKETS`], a port each, and any other address as this host would.
//!
//! The link is a socketpair(2) that speaks QEMU's `-netdev stream`: each frame has its length in
//! front, 4 bytes, most significant first. Nothing needs a privilege, and nothing is on disk but
//! the UNIX sockets that were asked for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

pub use stockade_config::stunnel::HOST_SOCKETS;

use crate::Error;

mod clients;
mod datagrams;
mod engine;
mod forward;
mod guest;
mod led;
mod link;
mod listener;
mod poller;
mod programs;
mod relay;
mod resolver;
mod route;
mod sockets;
mod table;
mod wake;

pub use forward::{Bound, Forward, Listen, UnixSocket, group, user};
pub(crate) use listener::try_listen;
pub use programs::{HostProgram, OnProgram, Role};
pub use sockets::HostSocket;

/// The guest's IPv4 address.
pub const GUEST_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// This host, seen from the guest: its loopback, 127.0.0.1.
pub const GATEWAY_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server of the guest, which knows what this host knows (getaddrinfo(3)).
pub const RESOLVER_IPV4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// Length of the guest's IPv4 prefix.
pub const PREFIX_V4: u8 = 24;

/// The guest's IPv6 address: unique local (RFC 4193).
pub const GUEST_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5374, 0x6f63, 0x6b61, 0, 0, 0, 0x15);
/// This host, seen from the guest: its loopback, `::1`, or 127.0.0.1 where `::1` refuses.
pub const GATEWAY_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5374, 0x6f63, 0x6b61, 0, 0, 0, 2);
/// The name server of the guest.
pub const RESOLVER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5374, 0x6f63, 0x6b61, 0, 0, 0, 3);
/// Length of the guest's IPv6 prefix.
pub const PREFIX_V6: u8 = 64;

/// The guest's Ethernet address: locally administered, of QEMU's range.
pub const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x53, 0x74, 0x02];

/// The gateway's Ethernet address.
const GATEWAY_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x53, 0x74, 0x01];

/// Largest IP packet on the link, bytes: what `host_mtu` of QEMU's card says. Frames this large
/// make up for the segmentation offload that `-netdev stream` does not have.
pub const MTU: usize = 65_000;

/// Which addresses names have for the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// All that this host knows.
    #[default]
    Both,
    /// Those of IPv4 alone.
    Ipv4,
    /// Those of IPv6 alone.
    Ipv6,
}

impl Families {
    /// Whether addresses of IPv6, or else of IPv4, are among them.
    pub const fn has(self, ipv6: bool) -> bool {
        match self {
            Families::Both => true,
            Families::Ipv4 => !ipv6,
            Families::Ipv6 => ipv6,
        }
    }
}

/// The image's words for this network.
pub fn options() -> String {
    format!(
        "--ipv4={GUEST_IPV4}/{PREFIX_V4} --ipv4-gateway={GATEWAY_IPV4} \
         --ipv6={GUEST_IPV6}/{PREFIX_V6} --ipv6-gateway={GATEWAY_IPV6} \
         --dns={RESOLVER_IPV4} --published"
    )
}

/// A line of the image with this host's loopback as this host knows it, and not as the guest does.
pub fn by_host(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        for (gateway, loopback) in [
            (format!("{GATEWAY_IPV4}:"), "127.0.0.1:"),
            (format!("{GATEWAY_IPV6}:"), "::1:"),
            (format!("[{GATEWAY_IPV6}]:"), "[::1]:"),
        ] {
            if let Some(port) = word.strip_prefix(&gateway) {
                return format!("{loopback}{port}");
            }
        }
        word.to_owned()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What has come and gone, since the network was started unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames from the guest.
    pub frames_in: u64,
    /// Bytes of those frames.
    pub bytes_in: u64,
    /// Frames to the guest.
    pub frames_out: u64,
    /// Bytes of those frames.
    pub bytes_out: u64,
    /// Connections that are open now, both directions.
    pub open: u64,
    /// Clients that were taken from a listener.
    pub accepted: u64,
    /// Connections that the guest made and that were answered.
    pub connected: u64,
    /// Connections of the guest that were not: refused, unreachable, timed out, or too many.
    pub refused: u64,
    /// Connections of either direction that ended with a reset.
    pub reset: u64,
    /// Names the guest asked for.
    pub names: u64,
}

/// A network of one guest. Dropping it closes everything and removes its socket files.
pub struct Network {
    engine: engine::Handle,
}

impl Network {
    /// Starts the network, with nothing to listen on and no guest.
    ///
    /// # Errors
    ///
    /// The system gives no thread or no descriptor.
    pub fn start() -> Result<Network, Error> {
        let engine = engine::start().map_err(Error::NetworkStart)?;
        Ok(Network { engine })
    }

    /// Listens for `forwards`: binds what is new, keeps what is there already, together with the
    /// clients that wait in its backlog. A listener that is there and now leads to another port of
    /// the guest is kept too, and leads there from now on. Nothing is closed: see
    /// [`retire`](Self::retire).
    ///
    /// Returns where each of them listens, with the real port where port 0 was asked for.
    ///
    /// # Errors
    ///
    /// One of them can't be had; then nothing has changed.
    pub fn bind(&self, forwards: &[Forward]) -> Result<Vec<Bound>, Error> {
        self.engine.bind(forwards.to_vec())
    }

    /// As [`bind`](Self::bind), while a machine serves: clients of what is new, or leads elsewhere
    /// from now on, wait until [`retire`](Self::retire) says that the machine is ready for them.
    ///
    /// # Errors
    ///
    /// One of them can't be had; then nothing has changed.
    pub fn prepare(&self, forwards: &[Forward]) -> Result<Vec<Bound>, Error> {
        self.engine.prepare(forwards.to_vec())
    }

    /// Offers UNIX sockets and programs of this host to the guest, beside those that are offered.
    ///
    /// # Errors
    ///
    /// A port stands for another socket; then nothing has changed.
    pub fn offer(&self, sockets: &[HostSocket], programs: &[HostProgram]) -> Result<(), Error> {
        self.engine.offer(sockets.to_vec(), programs.to_vec())
    }

    /// Takes back every socket and program that these do not name. Connections live on, and those that
    /// are being made may still be for a while.
    pub fn take_back(&self, keep: &[HostSocket], programs: &[HostProgram]) {
        self.engine.take_back(keep.to_vec(), programs.to_vec());
    }

    /// From now on, these of the programs that are clients themselves ([`Role::Started`]) run, as soon
    /// as a machine serves. What runs already goes on; what is not among them is not started again.
    pub fn run_programs(&self, programs: &[HostProgram]) {
        self.engine.run_programs(programs.to_vec());
    }

    /// Tells `on_program` what becomes of programs, on threads of their own.
    pub fn on_program(&self, on_program: OnProgram) {
        self.engine.hear(on_program);
    }

    /// Leads a connected socket, which somebody else has accepted, to a port of the guest as soon as a
    /// machine serves, as though it had come to a listener. `on_end` is told when it is over.
    pub fn adopt(&self, socket: OwnedFd, guest_port: u16, on_end: Box<dyn FnOnce() + Send>) {
        let address = rustix::net::getpeername(&socket).ok().flatten();
        let address = address.and_then(|address| address.try_into().ok());
        // A socket that can't be set so is none, and ends at once.
        let _ = rustix::io::ioctl_fionbio(&socket, true);
        let client = led::Adopted::new(socket, address, guest_port, on_end);
        self.engine.adopt(client);
    }

    /// Closes every listener that `keep` does not name. Connections live on.
    pub fn retire(&self, keep: &[Forward]) {
        self.engine.retire(keep.to_vec());
    }

    /// Makes a fresh link for a machine and returns the end that QEMU is to have. Connections over
    /// the previous link are reset. Clients are taken from the backlogs once
    /// [`accepting`](Self::accepting) says so.
    ///
    /// # Errors
    ///
    /// The system gives no sockets.
    pub fn plug(&self) -> Result<OwnedFd, Error> {
        self.engine.plug().map_err(Error::NetworkStart)
    }

    /// Whether clients are taken from the listeners' backlogs. From the beginning they are not:
    /// they wait until a machine serves.
    pub fn accepting(&self, yes: bool) {
        self.engine.accepting(yes);
    }

    /// Lets names have these addresses, from the next question on.
    pub fn families(&self, families: Families) {
        self.engine.families(families);
    }

    /// Closes every listener once a client was taken from one of them: nobody comes after it.
    pub fn take_one(&self) {
        self.engine.take_one();
    }

    /// What has come and gone so far.
    pub fn counters(&self) -> Counters {
        self.engine.counters()
    }
}

/// The thread has ended, which only a defect of its own makes it do.
fn gone() -> io::Error {
    io::Error::other("the network's thread has ended")
}

#[cfg(test)]
mod tests;

//! The stack: one card, its addresses, its connections.

use core::net::{IpAddr, SocketAddr};

use smoltcp::phy::Device;

use crate::{
    Addresses, Config, ConfigError, ConnectError, Event, Instant, ListenError, ListenerId, QueryId,
    ResolveError, Stream, StreamId,
};

/// A TCP/IP stack over one Ethernet card.
pub struct Stack {
    addresses: Addresses,
}

impl Stack {
    /// A stack for `device`. Static addresses are in force at once; DHCP begins with the first
    /// [`poll`](Self::poll).
    pub fn new<D: Device + ?Sized>(
        _config: Config,
        _device: &mut D,
        _now: Instant,
    ) -> Result<Stack, ConfigError> {
        Ok(Stack {
            addresses: Addresses::default(),
        })
    }
    /// Takes in up to a named burst of frames, runs the timers that are due and sends what is
    /// ready. True when more frames may be waiting: call again soon.
    pub fn poll<D: Device + ?Sized>(&mut self, _device: &mut D, _now: Instant) -> bool {
        false
    }
    /// Sends what sessions have just written, touching only the streams they touched.
    pub fn flush<D: Device + ?Sized>(&mut self, _device: &mut D, _now: Instant) {}
    /// When [`poll`](Self::poll) must be called next even if no frame arrives.
    pub fn poll_at(&self) -> Option<Instant> {
        None
    }
    /// The next thing that happened; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    /// The addresses in force.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
    /// Accepts connections to `port`, at one local address or at all of them.
    pub fn listen(
        &mut self,
        _local: Option<IpAddr>,
        _port: u16,
    ) -> Result<ListenerId, ListenError> {
        Ok(ListenerId(0))
    }
    /// How many more connections listeners may take. A SYN beyond it is answered with RST; one
    /// beyond [`Limits::half_open`](crate::Limits::half_open) is dropped silently. Each accepted
    /// SYN takes one; it comes back when that stream's socket memory is freed.
    pub fn set_admission(&mut self, _connections: usize) {}
    /// How many more connections listeners may take now.
    pub fn admission(&self) -> usize {
        0
    }
    /// Begins a connection; [`Event::Ready`] follows when it is established or has failed.
    pub fn connect(
        &mut self,
        _remote: SocketAddr,
        _now: Instant,
    ) -> Result<StreamId, ConnectError> {
        Err(ConnectError::NoRoute)
    }
    /// The stream of that name, unless it has been released.
    pub fn stream(&mut self, _id: StreamId) -> Option<Stream<'_>> {
        None
    }
    /// Two streams at once, to carry bytes from one to the other. `None` when either is gone or
    /// both are the same.
    pub fn stream_pair(&mut self, _a: StreamId, _b: StreamId) -> Option<(Stream<'_>, Stream<'_>)> {
        None
    }
    /// Gives the handle up. Queued data and FIN are still delivered in the background for a
    /// bounded time, then the connection is reset.
    pub fn release(&mut self, _id: StreamId) {}
    /// Asks for the addresses of `name`; [`Event::Resolved`] follows, at once for literal
    /// addresses.
    pub fn resolve(&mut self, _name: &str, _now: Instant) -> Result<QueryId, ResolveError> {
        Err(ResolveError::NoServer)
    }
}

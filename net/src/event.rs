//! What the stack tells its owner.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::{ResolveError, StreamError};

/// Names a stream. A stale id (its stream released) names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Names a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(crate) u32);

/// Names a DNS query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub(crate) u64);

/// Something changed; take them with [`Stack::poll_event`](crate::Stack::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An address is in force (at once for static ones, by lease for DHCP), or has changed.
    Configured,
    /// The DHCP lease is lost; streams bound to its address end as unreachable.
    Deconfigured,
    /// A client's handshake is complete.
    Accepted {
        /// The listener that took it.
        listener: ListenerId,
        /// The new stream, now the caller's to release.
        stream: StreamId,
    },
    /// Anything changed at this stream: data, room to send, FIN, RST, established, failed.
    /// There is at most one of these pending per stream.
    Ready(StreamId),
    /// A DNS query is answered.
    Resolved {
        /// The query.
        query: QueryId,
        /// Addresses, IPv4 first as far as there are any, or why there are none.
        result: Result<Vec<IpAddr>, ResolveError>,
    },
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Our SYN is not answered yet.
    Connecting,
    /// At least one direction can still carry bytes.
    Open,
    /// Over: `None` when both directions ended in order.
    Closed(Option<StreamError>),
}

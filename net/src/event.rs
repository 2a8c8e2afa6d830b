//! What the stack tells its owner.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

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

/// Names a connection that the guest wants to begin ([`Role::Gateway`](crate::Role::Gateway)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

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
    /// The guest wants a connection, and waits until [`Stack::admit`](crate::Stack::admit) or
    /// [`Stack::refuse`](crate::Stack::refuse) answers it. In
    /// [`Role::Gateway`](crate::Role::Gateway) alone.
    Requested {
        /// What to answer.
        request: RequestId,
        /// The guest's end.
        from: SocketAddr,
        /// What it wants to reach: any unicast address but loopback ones.
        to: SocketAddr,
    },
    /// The guest has given a request up, or it has waited for too long; it cannot be answered any
    /// more.
    Withdrawn(RequestId),
}

/// The events that wait, in a form in which the frequent ones are short.
#[derive(Default)]
pub(crate) struct Events(VecDeque<Told>);

pub(crate) enum Told {
    Ready(StreamId),
    Accepted(ListenerId, StreamId),
    /// Any other.
    Rare(Box<Event>),
}

impl Events {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.0.push_back(Told::Rare(Box::new(event)));
    }

    pub(crate) fn push_ready(&mut self, stream: StreamId) {
        self.0.push_back(Told::Ready(stream));
    }

    pub(crate) fn push_accepted(&mut self, listener: ListenerId, stream: StreamId) {
        self.0.push_back(Told::Accepted(listener, stream));
    }

    pub(crate) fn pop(&mut self) -> Option<Told> {
        self.0.pop_front()
    }

    /// Drops what tells of addresses that are not in force any more.
    pub(crate) fn forget_addresses(&mut self) {
        self.0.retain(|told| match told {
            Told::Rare(event) => !matches!(**event, Event::Configured | Event::Deconfigured),
            _ => true,
        });
    }
}

/// How a guest's request is answered that leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// RST: nobody listens there.
    Reset,
    /// An ICMP error: there is no such host (RFC 792 code 1, RFC 4443 §3.1 code 3).
    HostUnreachable,
    /// An ICMP error: there is no way to that network (code 0 in both).
    NetworkUnreachable,
    /// An ICMP error: going there is not allowed (RFC 1812 §5.2.7.1 code 13, RFC 4443 §3.1 code 1).
    Prohibited,
    /// Not at all, as by a host that is down. Should the guest ask again, it is a new request.
    Silent,
}

/// A UDP datagram of the guest (RFC 768).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The guest's end.
    pub from: SocketAddr,
    /// Where it is to go.
    pub to: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
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

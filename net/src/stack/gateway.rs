//! What [`Role::Gateway`](crate::Role::Gateway) adds: a guest's requests, connections into it, and
//! datagrams, each with any address.

use core::net::SocketAddr;

use super::Stack;
use crate::{
    AdmitError, ConnectError, Datagram, DatagramError, Instant, Refusal, RequestId, StreamId,
};

impl Stack {
    /// Answers the guest's SYN: the stream is [`Connecting`](crate::Status::Connecting) until the
    /// handshake is complete, and then [`Event::Ready`](crate::Event::Ready). The SYN-ACK leaves
    /// with the next [`flush`](Self::flush) or [`poll`](Self::poll).
    pub fn admit(&mut self, request: RequestId) -> Result<StreamId, AdmitError> {
        let _ = request;
        Err(AdmitError::NoSuchRequest)
    }

    /// Answers the guest's SYN with an error, or with nothing. A request that does not wait any
    /// more needs no answer.
    pub fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        let _ = (request, refusal);
    }

    /// Begins a connection into the guest that comes from `from`, whatever that address is: a
    /// client's own one, also a loopback one. [`Event::Ready`](crate::Event::Ready) follows when it
    /// is established or has failed.
    ///
    /// A connection between the same two ends that has ended lately, on both sides, is no obstacle.
    pub fn connect_as(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> Result<StreamId, ConnectError> {
        let _ = (from, to, now);
        Err(ConnectError::NotOurAddress)
    }

    /// The next datagram that the guest has sent, to any unicast address; take them after each
    /// [`poll`](Self::poll), until there are none. Beyond a named bound the newest are dropped.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        None
    }

    /// Sends the guest a UDP datagram that comes from `from`, whatever that address is. It leaves
    /// with the next [`flush`](Self::flush) or [`poll`](Self::poll).
    pub fn send_datagram_as(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> Result<(), DatagramError> {
        let _ = (from, to, payload);
        Err(DatagramError::NoRoute)
    }
}

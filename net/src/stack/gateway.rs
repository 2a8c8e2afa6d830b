//! What [`Role::Gateway`](crate::Role::Gateway) adds: a guest's requests, connections into it, and
//! datagrams, each with any address.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smoltcp::phy::{Device, PacketMeta, TxToken};

use super::{Stack, plain};
use crate::classify::{Class, Segment, classify};
use crate::device::Kept;
use crate::flow::Flow;
use crate::gateway::{self, Gateway};
use crate::shard::{Received, nobody};
use crate::{
    AdmitError, ConnectError, Datagram, DatagramError, Instant, Refusal, RequestId, StreamId,
};

/// When to try again after the card had no room for a frame.
const TRANSMIT_RETRY: Duration = Duration::from_millis(1);

impl Stack {
    /// Answers the guest's SYN: the stream is [`Connecting`](crate::Status::Connecting) until the
    /// handshake is complete, and then [`Event::Ready`](crate::Event::Ready). The SYN-ACK leaves
    /// with the next [`flush`](Self::flush) or [`poll`](Self::poll).
    pub fn admit(&mut self, request: RequestId) -> Result<StreamId, AdmitError> {
        let (now, link) = (self.now, self.link);
        let gateway = self.gateway.as_mut().ok_or(AdmitError::NoSuchRequest)?;
        let requests = &mut gateway.state().requests;
        if requests.frame(request).is_none() {
            return Err(AdmitError::NoSuchRequest);
        }
        if self.shard.in_use() >= self.shard.limits.streams {
            return Err(AdmitError::TooManyStreams);
        }
        let frame = requests.take(request).ok_or(AdmitError::NoSuchRequest)?;
        let seed = self.numbers.next_u64();
        match classify(&frame, &link) {
            Class::Tcp(segment) if self.shard.find(&segment.flow).is_none() => self
                .shard
                .admit(&segment, &frame, seed, now)
                .ok_or(AdmitError::NoSuchRequest),
            _ => Err(AdmitError::NoSuchRequest),
        }
    }

    /// Answers the guest's SYN with an error, or with nothing. A request that does not wait any
    /// more needs no answer.
    pub fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        let now = self.now;
        let Some(gateway) = self.gateway.as_mut().map(|gate| gate.state()) else {
            return;
        };
        let Some(frame) = gateway.requests.take(request) else {
            return;
        };
        let answer = match refusal {
            Refusal::Reset => {
                let mut answer = None;
                let received = Received {
                    bytes: &frame,
                    meta: PacketMeta::default(),
                    token: Kept(&mut answer),
                };
                self.shard.feed(received, &mut nobody(), now);
                answer
            }
            Refusal::HostUnreachable | Refusal::NetworkUnreachable | Refusal::Prohibited => {
                gateway.unreachable(&frame, refusal)
            }
            Refusal::Silent => None,
        };
        if let Some(answer) = answer {
            gateway.outbox.push(answer);
        }
    }

    /// Begins a connection into the guest that comes from `from`, whatever that address is: a
    /// client's own one, also a loopback one. [`Event::Ready`](crate::Event::Ready) follows when it
    /// is established or has failed.
    ///
    /// A connection between the same two ends whose end is some time back is no obstacle: TIME-WAIT
    /// keeps old segments of it apart (RFC 9293 §3.6.1), and this link has no place for any.
    pub fn connect_as(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) -> Result<StreamId, ConnectError> {
        self.now = now.max(self.now);
        let gateway = self.gateway.as_mut().ok_or(ConnectError::NotOurAddress)?;
        let gateway = gateway.state();
        let flow = Flow {
            local: plain(from),
            remote: plain(to),
        };
        if to.port() == 0 || !gateway.is_source(flow.local, flow.remote) {
            return Err(ConnectError::Unaddressable);
        }
        if !gateway.is_guest(to.ip()) {
            return Err(ConnectError::NoRoute);
        }
        if gateway.requests.contains(&flow) || self.shard.find(&flow).is_some() {
            return Err(ConnectError::InUse);
        }
        if self.shard.in_use() >= self.shard.limits.streams {
            return Err(ConnectError::TooManyStreams);
        }
        self.shard.time_wait.forget(&flow);
        let seed = self.numbers.next_u64();
        self.shard
            .open(flow, seed, self.now)
            .ok_or(ConnectError::Unaddressable)
    }

    /// The next datagram that the guest has sent, to any unicast address; take them after each
    /// [`poll`](Self::poll), until there are none. Beyond a named bound the newest are dropped.
    pub fn take_datagram(&mut self) -> Option<Datagram> {
        self.gateway.as_mut()?.state().datagrams.take()
    }

    /// Sends the guest a UDP datagram that comes from `from`, whatever that address is. It leaves
    /// with the next [`flush`](Self::flush) or [`poll`](Self::poll).
    pub fn send_datagram_as(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> Result<(), DatagramError> {
        let mtu = self.shard.caps.max_transmission_unit;
        let gateway = self.gateway.as_mut().ok_or(DatagramError::NoRoute)?;
        gateway.state().send_datagram(from, to, payload, mtu)
    }

    /// Whether this is the launcher's end of a link.
    pub(super) fn is_gateway(&self) -> bool {
        gateway::IS_BUILT && self.gateway.is_some()
    }

    /// Whether an address can be connected to: from a gateway, only the guest's.
    pub(super) fn is_reached(&mut self, remote: IpAddr) -> bool {
        let is_guest = |gateway: &mut Gateway| gateway.is_guest(remote);
        match &mut self.gateway {
            Some(gateway) if gateway::IS_BUILT => is_guest(gateway.state()),
            _ => true,
        }
    }

    /// Whether a connection to `remote` may come from `local`.
    pub(super) fn may_come_from(&mut self, local: IpAddr, remote: SocketAddr) -> bool {
        let any = SocketAddr::new(local, 1);
        match &mut self.gateway {
            Some(gateway) if gateway::IS_BUILT => gateway.state().is_source(any, remote),
            _ => self.is_own(local) && local.is_ipv4() == remote.is_ipv4(),
        }
    }

    /// Holds the guest's SYN. True when there is nothing else to do with the segment.
    pub(super) fn hold(&mut self, segment: &Segment, frame: &[u8]) -> bool {
        let events = &mut self.shard.events;
        match &mut self.gateway {
            Some(gateway) if gateway::IS_BUILT => gateway.hold(segment, frame, events, self.now),
            _ => false,
        }
    }

    /// Does what is due at a gateway, and sends what it has made.
    #[cold]
    pub(super) fn run_gateway<D: Device + ?Sized>(&mut self, device: &mut D) {
        let Some(gateway) = &mut self.gateway else {
            return;
        };
        gateway.run(&mut self.shard, self.now);
        let outbox = &mut gateway.state().outbox;
        while !outbox.is_empty() {
            let Some(token) = device.transmit(self.now.into()) else {
                return;
            };
            if let Some(frame) = outbox.pop() {
                token.consume(frame.len(), |buffer| buffer.copy_from_slice(&frame));
            }
        }
    }

    /// When a gateway has something to do, as a gateway or as any stack.
    #[cold]
    pub(super) fn gateway_due(&self) -> Option<Instant> {
        let gateway = self.gateway.as_ref()?;
        let own = match gateway.has_frames() {
            true => Some(self.now + TRANSMIT_RETRY),
            false => gateway.due(),
        };
        let others = self.shard.due().into_iter().chain(self.service.due());
        own.into_iter().chain(others).min()
    }
}

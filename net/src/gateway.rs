//! The launcher's end of a guest's link ([`Role::Gateway`](crate::Role::Gateway)).
//!
//! A guest's frames are judged here before anything else sees them. What is not from the guest, with
//! its own addresses, ends here; ARP, neighbour solicitations, DHCP and UDP are dealt with here; TCP
//! segments and what is addressed to the gateway itself go on to where a host's frames go. A SYN
//! for which there is no connection is held until the owner has decided.
//!
//! No neighbour is ever asked for: smoltcp is told of the guest with frames made here, before it has
//! to know. It could not ask anyway, as the source of what it sends may be any address, and a host
//! does not answer ARP requests from outside its network.

mod datagrams;
mod dhcp;
mod frames;
mod neighbors;
mod requests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use smoltcp::phy::{ChecksumCapabilities, PacketMeta};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet,
};

use crate::classify::{Segment, flag, is_host};
use crate::device::Kept;
use crate::event::Events;
use crate::flow::FlowHasher;
use crate::shard::{Received, Shard, nobody};
use crate::stack::addressing::{is_edge, link_local, reaches};
use crate::{Addresses, Config, ConfigError, Event, Instant, Role};

use datagrams::Datagrams;
use frames::Outbox;
use requests::Requests;

/// How often smoltcp is told of the guest, if it is to send anything: it forgets neighbours after
/// 60 s.
const INTRODUCTION_INTERVAL: Duration = Duration::from_secs(20);

/// What to do with a frame of the guest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is dealt with, or dropped.
    Done,
    /// It goes the way of all frames.
    Pass,
}

/// What a stack asks of its gateway while frames come and go.
///
/// The stack has it as a trait object, so that the code below is in no program that makes no gateway.
pub(crate) trait Gate {
    /// Judges a frame.
    fn take_in(&mut self, frame: &[u8]) -> Verdict;

    /// A segment for which there is neither connection nor listener. True when it is dealt with.
    fn hold(&mut self, segment: &Segment, frame: &[u8], events: &mut Events, now: Instant) -> bool;

    /// Does what is due.
    fn run(&mut self, shard: &mut Shard, now: Instant);

    /// The state behind it.
    fn state(&mut self) -> &mut Gateway;

    /// When [`run`](Self::run) must be called next.
    fn due(&self) -> Option<Instant>;

    /// Whether frames wait to be sent.
    fn has_frames(&self) -> bool;
}

/// Who is at the other end.
struct Guest {
    mac: [u8; 6],
    ipv4: Ipv4Addr,
    ipv6: Option<Ipv6Addr>,
    /// What a host makes of its Ethernet address.
    link_local: Ipv6Addr,
}

/// The state of a gateway.
pub(crate) struct Gateway {
    mac: [u8; 6],
    guest: Guest,
    ipv4: Option<(Ipv4Addr, u8)>,
    ipv6: Option<(Ipv6Addr, u8)>,
    /// What the guest is told by DHCP.
    dns: Vec<Ipv4Addr>,
    checksum: ChecksumCapabilities,
    pub(crate) requests: Requests,
    pub(crate) datagrams: Datagrams,
    pub(crate) outbox: Outbox,
    /// When smoltcp was last told of the guest.
    introduced: Option<Instant>,
}

/// Whether this build can be a gateway. The image is what gateways are made for, and carries none of
/// what follows.
pub(crate) const IS_BUILT: bool = cfg!(not(stockade_image));

/// The gateway that a configuration asks for.
pub(crate) fn of(
    config: &Config,
    addresses: &Addresses,
    checksum: &ChecksumCapabilities,
    hasher: &FlowHasher,
) -> Result<Option<Box<dyn Gate>>, ConfigError> {
    let Role::Gateway {
        guest_mac,
        guest_ipv4,
        guest_ipv6,
    } = config.role
    else {
        return Ok(None);
    };
    if !IS_BUILT {
        return Err(ConfigError::GatewayNotBuilt);
    }
    if guest_mac[0] & 1 != 0 || guest_mac == [0; 6] || guest_mac == config.mac {
        return Err(ConfigError::GuestMacUnusable);
    }
    let (ipv4, ipv6) = (addresses.ipv4, addresses.ipv6);
    if ipv4.is_none() && (ipv6.is_none() || guest_ipv6.is_none()) {
        return Err(ConfigError::GatewayWithoutAddress);
    }
    let networks = [
        ipv4.map(|(own, prefix)| (IpAddr::from(own), prefix, Some(guest_ipv4.into()))),
        ipv6.map(|(own, prefix)| (IpAddr::from(own), prefix, guest_ipv6.map(IpAddr::from))),
    ];
    for (own, prefix, guest) in networks.into_iter().flatten() {
        if let Some(guest) = guest
            && !reaches(own, prefix, guest)
        {
            return Err(ConfigError::GuestNotOnLink(guest));
        }
    }
    let is_v4 = |server: &IpAddr| match server {
        IpAddr::V4(server) => Some(*server),
        IpAddr::V6(_) => None,
    };
    Ok(Some(Box::new(Gateway {
        mac: config.mac,
        guest: Guest {
            mac: guest_mac,
            ipv4: guest_ipv4,
            ipv6: guest_ipv6.filter(|_| ipv6.is_some()),
            link_local: link_local(guest_mac),
        },
        ipv4,
        ipv6,
        dns: config.dns.iter().filter_map(is_v4).collect(),
        checksum: checksum.clone(),
        requests: Requests::new(hasher.clone()),
        datagrams: Datagrams::default(),
        outbox: Outbox::default(),
        introduced: None,
    })))
}

impl Gate for Gateway {
    fn take_in(&mut self, frame: &[u8]) -> Verdict {
        self.judge(frame).unwrap_or(Verdict::Done)
    }

    fn hold(&mut self, segment: &Segment, frame: &[u8], events: &mut Events, now: Instant) -> bool {
        if segment.has(flag::RST) {
            return match self.requests.withdraw(&segment.flow) {
                Some(request) => {
                    events.push(Event::Withdrawn(request));
                    true
                }
                None => false,
            };
        }
        let to = segment.flow.local;
        if !segment.opens() || to.ip().is_loopback() {
            return false;
        }
        if self.is_destination(to.ip())
            && frames::is_sound(frame, &self.checksum)
            && let Some(request) = self.requests.hold(segment, frame, now)
        {
            events.push(Event::Requested {
                request,
                from: segment.flow.remote,
                to,
            });
        }
        true
    }

    fn run(&mut self, shard: &mut Shard, now: Instant) {
        let is_old = |at: Instant| at + INTRODUCTION_INTERVAL <= now;
        if self.introduced.is_none_or(is_old) {
            self.introduced = Some(now);
            for frame in self.introductions() {
                let mut answer = None;
                let received = Received {
                    bytes: &frame,
                    meta: PacketMeta::default(),
                    token: Kept(&mut answer),
                };
                shard.feed(received, &mut nobody(), now);
            }
        }
        while let Some(request) = self.requests.expire(now) {
            shard.events.push(Event::Withdrawn(request));
        }
    }

    fn state(&mut self) -> &mut Gateway {
        self
    }

    fn due(&self) -> Option<Instant> {
        self.requests.due()
    }

    fn has_frames(&self) -> bool {
        !self.outbox.is_empty()
    }
}

impl Gateway {
    /// Whether a connection or datagram into the guest goes to it.
    pub(crate) fn is_guest(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.is_some() && address == self.guest.ipv4,
            IpAddr::V6(address) => self.guest.ipv6 == Some(address),
        }
    }

    /// Whether what goes into the guest may come from this end.
    pub(crate) fn is_source(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let ip = from.ip();
        from.port() != 0
            && from.is_ipv4() == to.is_ipv4()
            && (is_host(ip) || ip.is_loopback())
            && ip != to.ip()
    }

    /// Whether the guest may want to reach this address: one host's, and not its own.
    fn is_destination(&self, address: IpAddr) -> bool {
        let is_edge = match (address, self.ipv4) {
            (IpAddr::V4(address), Some((own, prefix))) => {
                let network = smoltcp::wire::Ipv4Cidr::new(own, prefix);
                network.contains_addr(&address) && is_edge(address.into(), prefix)
            }
            _ => false,
        };
        is_host(address) && !is_edge && !self.is_guest(address)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.is_some_and(|(own, _)| own == address),
            IpAddr::V6(address) => self
                .ipv6
                .is_some_and(|(own, _)| own == address || link_local(self.mac) == address),
        }
    }

    fn judge(&mut self, frame: &[u8]) -> Option<Verdict> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let destination = ethernet.dst_addr();
        let for_us = destination == EthernetAddress(self.mac) || destination.is_multicast();
        if !for_us && !destination.is_broadcast() || ethernet.src_addr().0 != self.guest.mac {
            return None;
        }
        match ethernet.ethertype() {
            EthernetProtocol::Ipv4 if self.ipv4.is_some() => self.judge_v4(ethernet.payload()),
            EthernetProtocol::Ipv6 if self.ipv6.is_some() => self.judge_v6(ethernet.payload()),
            EthernetProtocol::Arp => {
                self.arp(ethernet.payload());
                None
            }
            _ => None,
        }
    }

    fn judge_v4(&mut self, packet: &[u8]) -> Option<Verdict> {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        // Least header: five words (RFC 791 §3.1). Fragments are not put together.
        if packet.version() != 4
            || packet.header_len() < 20
            || packet.more_frags()
            || packet.frag_offset() != 0
        {
            return None;
        }
        let is_guests = packet.src_addr() == self.guest.ipv4;
        match packet.next_header() {
            IpProtocol::Udp if is_guests || packet.src_addr().is_unspecified() => {
                if !self.checksum.ipv4.rx() || packet.verify_checksum() {
                    let ends = (packet.src_addr().into(), packet.dst_addr().into());
                    self.udp(ends, packet.payload());
                }
                None
            }
            IpProtocol::Tcp if is_guests => Some(Verdict::Pass),
            _ if is_guests && self.is_own(packet.dst_addr().into()) => Some(Verdict::Pass),
            _ => None,
        }
    }

    fn judge_v6(&mut self, packet: &[u8]) -> Option<Verdict> {
        let packet = Ipv6Packet::new_checked(packet).ok()?;
        if packet.version() != 6 {
            return None;
        }
        let source = packet.src_addr();
        let is_guests = self.guest.ipv6 == Some(source);
        match packet.next_header() {
            IpProtocol::Udp if is_guests => {
                let ends = (source.into(), packet.dst_addr().into());
                self.udp(ends, packet.payload());
                None
            }
            IpProtocol::Tcp if is_guests => Some(Verdict::Pass),
            IpProtocol::Icmpv6 if is_guests || source == self.guest.link_local => {
                match packet.payload().first()? {
                    // Neighbour solicitation and advertisement (RFC 4861 §4.3, §4.4).
                    135 => {
                        self.neighbor_solicitation(&packet);
                        None
                    }
                    136 => None,
                    _ if self.is_own(packet.dst_addr().into()) => Some(Verdict::Pass),
                    _ => None,
                }
            }
            _ if is_guests && self.is_own(packet.dst_addr().into()) => Some(Verdict::Pass),
            _ => None,
        }
    }
}

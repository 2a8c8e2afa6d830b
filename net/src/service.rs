//! The host's own conversations: DHCP, DNS, and datagrams that nobody answers.

mod datagrams;
mod names;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::socket::{dhcpv4, dns};
use smoltcp::wire::{DnsQueryType, IpAddress};

use crate::device::{Egress, Watch};
use crate::event::Events;
use crate::{Event, Instant, QueryId, ResolveError};

pub(crate) use datagrams::{HEADERS, MAX_DATAGRAM};
pub(crate) use names::{Name, parse};

/// DNS queries open at once.
const MAX_QUERIES: usize = 32;

/// DNS servers that can be asked; smoltcp is built with as many.
pub(crate) const MAX_DNS_SERVERS: usize = 4;

/// How long a name may take in all: a dead first server costs 10 s, the second then has as long.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an answer in one address family waits for the other one, after RFC 8305 §3's
/// resolution delay but with room for a slow server.
const OTHER_FAMILY_WAIT: Duration = Duration::from_millis(300);

/// The shortest time after which something that could not be sent is tried again.
const SHORTEST_TIMER: Duration = Duration::from_millis(1);

/// Frames the services may send per call.
const FRAMES_PER_CALL: usize = 16;

/// Between DHCPDISCOVER messages: RFC 2131 §4.1 begins at 4 s for large networks; this host boots
/// in milliseconds and is usually asked for at once.
const DISCOVER_INTERVAL: Duration = Duration::from_secs(2);

/// What a DHCP server gave us.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) router: Option<Ipv4Addr>,
    pub(crate) dns: Vec<IpAddr>,
}

struct Query {
    id: QueryId,
    /// A and AAAA, while they are open.
    open: [Option<dns::QueryHandle>; 2],
    addresses: Vec<IpAddr>,
    error: ResolveError,
    until: Instant,
}

pub(crate) struct Service {
    sockets: SocketSet<'static>,
    dhcp: Option<SocketHandle>,
    dns: SocketHandle,
    /// Made with the first datagram.
    datagrams: Option<SocketHandle>,
    queries: Vec<Query>,
    next_query: u64,
    due: Option<Instant>,
}

impl Service {
    pub(crate) fn new(dhcp: bool) -> Service {
        let mut sockets = SocketSet::new(Vec::new());
        let dns = sockets.add(dns::Socket::new(&[], Vec::new()));
        let dhcp = dhcp.then(|| {
            let mut socket = dhcpv4::Socket::new();
            let mut retry = dhcpv4::RetryConfig::default();
            retry.discover_timeout = DISCOVER_INTERVAL.into();
            retry.initial_request_timeout = DISCOVER_INTERVAL.into();
            socket.set_retry_config(retry);
            // The first thing it says is that it has no lease; we know.
            let _ = socket.poll();
            sockets.add(socket)
        });
        Service {
            sockets,
            dhcp,
            dns,
            datagrams: None,
            queries: Vec::new(),
            next_query: 0,
            due: Some(Instant::ZERO),
        }
    }

    /// The set that frames for no connection go to.
    pub(crate) fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    pub(crate) fn set_servers(&mut self, servers: &[IpAddr]) {
        let servers: Vec<IpAddress> = servers.iter().map(|server| (*server).into()).collect();
        self.sockets
            .get_mut::<dns::Socket<'_>>(self.dns)
            .update_servers(&servers);
    }

    /// What the DHCP client has to tell: a lease, or (inside) that there is none any more.
    pub(crate) fn lease(&mut self) -> Option<Option<Lease>> {
        let socket = self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp?);
        Some(match socket.poll()? {
            dhcpv4::Event::Deconfigured => None,
            dhcpv4::Event::Configured(config) => Some(Lease {
                address: config.address.address(),
                prefix: config.address.prefix_len(),
                router: config.router,
                dns: config
                    .dns_servers
                    .iter()
                    .map(|server| IpAddr::V4(*server))
                    .collect(),
            }),
        })
    }

    pub(crate) fn next_id(&mut self) -> QueryId {
        self.next_query += 1;
        QueryId(self.next_query)
    }

    /// Asks for the addresses of a valid name, in the families that the host has.
    pub(crate) fn ask(
        &mut self,
        iface: &mut Interface,
        name: &str,
        families: [bool; 2],
        now: Instant,
    ) -> Result<QueryId, ResolveError> {
        if self.queries.len() >= MAX_QUERIES {
            return Err(ResolveError::TooManyQueries);
        }
        let socket = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        let mut open = [None; 2];
        let kinds = [DnsQueryType::A, DnsQueryType::Aaaa];
        for ((slot, kind), wanted) in open.iter_mut().zip(kinds).zip(families) {
            if wanted {
                let query = socket.start_query(iface.context(), name, kind);
                *slot = Some(query.map_err(|_| ResolveError::InvalidName)?);
            }
        }
        let id = self.next_id();
        self.queries.push(Query {
            id,
            open,
            addresses: Vec::new(),
            error: ResolveError::NotFound,
            until: now + RESOLVE_TIMEOUT,
        });
        self.due = Some(now);
        Ok(id)
    }

    /// Takes the answers in after a frame has arrived.
    pub(crate) fn after_ingress(&mut self, now: Instant, events: &mut Events) {
        // A query that fails because of a frame was answered; one that fails while it is sent has
        // run out of servers.
        self.collect(now, ResolveError::NotFound, events);
        self.due = Some(now);
    }

    /// Sends what is due. True when something was.
    pub(crate) fn run<D: Device + ?Sized>(
        &mut self,
        iface: &mut Interface,
        caps: &DeviceCapabilities,
        device: &mut D,
        now: Instant,
        events: &mut Events,
    ) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        let mut egress = Egress {
            device,
            caps,
            watch: Watch::default(),
        };
        let more = (0..FRAMES_PER_CALL).all(|_| {
            let result = iface.poll_egress(now.into(), &mut egress, &mut self.sockets);
            result == PollResult::SocketStateChanged
        });
        self.collect(now, ResolveError::TimedOut, events);
        if more {
            self.due = Some(now);
            return true;
        }
        let asked = iface.poll_at(now.into(), &self.sockets).map(Instant::from);
        // What smoltcp calls due now it could not send: the card is full, or it only thinks so.
        let asked = asked.map(|at| at.max(now + SHORTEST_TIMER));
        let queries = self.queries.iter().map(|query| query.until).min();
        self.due = asked.into_iter().chain(queries).min();
        true
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn collect(&mut self, now: Instant, failure: ResolveError, events: &mut Events) {
        let socket = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        self.queries.retain_mut(|query| {
            for slot in &mut query.open {
                let Some(handle) = *slot else { continue };
                match socket.get_query_result(handle) {
                    Err(dns::GetQueryResultError::Pending) => continue,
                    Err(dns::GetQueryResultError::Failed) => query.error = failure,
                    Ok(addresses) => {
                        query
                            .addresses
                            .extend(addresses.iter().map(|address| IpAddr::from(*address)));
                        query.until = query.until.min(now + OTHER_FAMILY_WAIT);
                    }
                }
                *slot = None;
            }
            let overdue = query.until <= now;
            if query.open.iter().any(Option::is_some) && !overdue {
                return true;
            }
            for handle in query.open.iter_mut().filter_map(Option::take) {
                socket.cancel_query(handle);
                query.error = ResolveError::TimedOut;
            }
            let addresses = core::mem::take(&mut query.addresses).into_iter();
            let (mut addresses, others): (Vec<IpAddr>, Vec<IpAddr>) =
                addresses.partition(IpAddr::is_ipv4);
            addresses.extend(others);
            let result = match addresses.is_empty() {
                true => Err(query.error),
                false => Ok(addresses),
            };
            let query = query.id;
            events.push(Event::Resolved { query, result });
            false
        });
    }
}

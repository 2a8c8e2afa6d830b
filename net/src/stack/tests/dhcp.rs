//! A lease: taken, renewed, refused, lost.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use smoltcp::wire::*;

use super::frames::*;
use super::hostile;
use super::world::*;
use crate::*;

const SERVER: Ipv4Addr = V4[A];
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 9, 4, 4);
const LEASE: u32 = 600;

/// A DHCP server that answers every message of host B in the same way.
struct Server {
    address: Ipv4Addr,
    mask: Ipv4Addr,
    router: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    answers: bool,
    refuses: bool,
    source: Ipv4Addr,
}

impl Server {
    fn new() -> Server {
        Server {
            address: LEASED,
            mask: Ipv4Addr::new(255, 255, 0, 0),
            router: Some(SERVER),
            dns: vec![Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(10, 9, 0, 53)],
            answers: true,
            refuses: false,
            source: SERVER,
        }
    }

    fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let (.., IpProtocol::Udp, payload) = ip_of(frame)? else {
            return None;
        };
        self.reply(&payload[8..])
    }

    /// The frame that answers a DHCP message.
    fn reply(&self, message: &[u8]) -> Option<Vec<u8>> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        let message_type = match request.message_type {
            _ if !self.answers => return None,
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if self.refuses => DhcpMessageType::Nak,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            _ => return None,
        };
        let servers = self.dns.iter().copied().collect();
        let reply = DhcpRepr {
            message_type,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: request.client_hardware_address,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: self.address,
            server_ip: SERVER,
            router: self.router,
            subnet_mask: Some(self.mask),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(SERVER),
            parameter_request_list: None,
            dns_servers: Some(servers),
            max_size: None,
            lease_duration: Some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut bytes = vec![0; reply.buffer_len()];
        reply
            .emit(&mut DhcpPacket::new_unchecked(&mut bytes[..]))
            .ok()?;
        let from = SocketAddr::from((self.source, 67));
        let to = SocketAddr::from((Ipv4Addr::BROADCAST, 68));
        let mut frame = udp(from, to, &bytes);
        frame[..6].copy_from_slice(&[0xff; 6]);
        Some(frame)
    }
}

fn host() -> Host {
    let config = Config {
        ipv4: Ipv4Config::Dhcp,
        ipv6: None,
        ..config(B)
    };
    Host::new(config, Card::new())
}

/// Lets the host and the server talk for `time`, and answers ARP.
fn talk(host: &mut Host, server: &Server, now: &mut Instant, time: Duration) {
    let end = *now + time;
    for _ in 0..100_000 {
        host.step(*now);
        for frame in core::mem::take(&mut host.card.tx) {
            let arp_request = frame[12..14] == [8, 6] && frame[21] == 1;
            let answer = match arp_request && frame[38..42] == SERVER.octets() {
                true => {
                    let asks = Ipv4Addr::new(frame[28], frame[29], frame[30], frame[31]);
                    Some(arp(ArpOperation::Reply, SERVER, asks))
                }
                false => server.answer(&frame),
            };
            host.card.rx.extend(answer);
        }
        if !host.card.rx.is_empty() {
            continue;
        }
        let next = host.stack.poll_at().unwrap_or(end);
        if next > end {
            *now = end;
            return;
        }
        *now = next.max(*now);
    }
    panic!("spinning at {now:?}");
}

fn configured() -> (Host, Server, Instant) {
    let (mut host, server, mut now) = (host(), Server::new(), Instant::ZERO);
    assert_eq!(host.stack.addresses(), &Addresses::default());
    talk(&mut host, &server, &mut now, Duration::from_millis(10));
    (host, server, now)
}

#[test]
fn a_lease_is_taken_at_once() {
    let (host, ..) = configured();
    assert_eq!(host.events, [Event::Configured]);
    let expect = Addresses {
        ipv4: Some((LEASED, 16)),
        ipv4_gateway: Some(SERVER),
        dns: vec![[9, 9, 9, 9].into(), [10, 9, 0, 53].into()],
        ..Addresses::default()
    };
    assert_eq!(host.stack.addresses(), &expect);
}

#[test]
fn configured_dns_servers_come_first_and_the_gateway_last() {
    let mut config = config(B);
    config.dns = vec![[1, 1, 1, 1].into()];
    config.ipv4 = Ipv4Config::Dhcp;
    let mut host = Host::new(config, Card::new());
    let mut now = Instant::ZERO;
    talk(
        &mut host,
        &Server::new(),
        &mut now,
        Duration::from_millis(10),
    );
    assert_eq!(host.stack.addresses().dns, [Ipv4Addr::new(1, 1, 1, 1)]);

    let mut server = Server::new();
    server.dns.clear();
    let (mut host, mut now) = (self::host(), Instant::ZERO);
    talk(&mut host, &server, &mut now, Duration::from_millis(10));
    assert_eq!(host.stack.addresses().dns, [SERVER]);
}

#[test]
fn connections_survive_a_renewal() {
    let (mut host, server, mut now) = configured();
    let remote = SocketAddr::from((SERVER, 80));
    host.events.clear();
    let id = host.stack.connect(remote, now).unwrap();
    talk(&mut host, &server, &mut now, Duration::from_millis(1));
    // Half the lease later it is renewed, many times over; the attempt ends by its own time-out,
    // not because the address went away.
    talk(
        &mut host,
        &server,
        &mut now,
        Duration::from_secs(3 * u64::from(LEASE)),
    );
    assert_eq!(host.stack.addresses().ipv4, Some((LEASED, 16)));
    let timed_out = Status::Closed(Some(StreamError::TimedOut));
    assert_eq!(host.status(id), Some(timed_out));
    assert_eq!(host.events, [Event::Ready(id)]);
}

#[test]
fn a_lost_lease_ends_its_connections() {
    let (mut host, mut server, mut now) = configured();
    host.events.clear();
    host.stack.listen(None, 443).unwrap();
    server.answers = false;
    talk(&mut host, &server, &mut now, Duration::from_secs(590));
    assert_eq!(host.events, []);
    let remote = SocketAddr::from((SERVER, 80));
    let id = host.stack.connect(remote, now).unwrap();
    talk(&mut host, &server, &mut now, Duration::from_secs(20));
    assert_eq!(host.events, [Event::Deconfigured, Event::Ready(id)]);
    assert_eq!(host.stack.addresses(), &Addresses::default());
    let unreachable = Status::Closed(Some(StreamError::Unreachable));
    assert_eq!(host.status(id), Some(unreachable));
    assert_eq!(host.stack.connect(remote, now), Err(ConnectError::NoRoute));
    host.stack.release(id);
    // And back, with another address.
    server.answers = true;
    server.address = Ipv4Addr::new(10, 9, 7, 7);
    host.events.clear();
    talk(&mut host, &server, &mut now, Duration::from_secs(10));
    assert_eq!(host.events, [Event::Configured]);
    assert_eq!(host.stack.addresses().ipv4, Some((server.address, 16)));
}

#[test]
fn a_refused_request_starts_over() {
    let (mut host, mut server, mut now) = (host(), Server::new(), Instant::ZERO);
    server.refuses = true;
    // The server refuses a few times: each costs one exchange.
    for _ in 0..20 {
        host.step(now);
        for frame in core::mem::take(&mut host.card.tx) {
            host.card.rx.extend(server.answer(&frame));
        }
    }
    assert_eq!(host.stack.addresses(), &Addresses::default());
    server.refuses = false;
    talk(&mut host, &server, &mut now, Duration::from_secs(5));
    assert_eq!(host.events, [Event::Configured]);
}

#[test]
fn rubbish_from_the_server_is_not_used() {
    let mut server = Server::new();
    server.router = Some(Ipv4Addr::new(192, 0, 2, 1));
    server.dns = vec![Ipv4Addr::LOCALHOST, Ipv4Addr::new(9, 9, 9, 9)];
    let (mut host, mut now) = (host(), Instant::ZERO);
    talk(&mut host, &server, &mut now, Duration::from_millis(10));
    assert_eq!(host.stack.addresses().ipv4_gateway, None);
    assert_eq!(host.stack.addresses().dns, [Ipv4Addr::new(9, 9, 9, 9)]);

    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 9, 255, 255)] {
        server.address = address;
        let (mut host, mut now) = (self::host(), Instant::ZERO);
        talk(&mut host, &server, &mut now, Duration::from_secs(5));
        assert_eq!(host.stack.addresses(), &Addresses::default());
        assert_eq!(host.events, []);
    }
    // From no address at all: a renewal would have nowhere to go.
    server = Server::new();
    server.source = Ipv4Addr::UNSPECIFIED;
    let (mut host, mut now) = (self::host(), Instant::ZERO);
    talk(&mut host, &server, &mut now, Duration::from_secs(2000));
    assert_eq!(host.stack.addresses(), &Addresses::default());
}

#[test]
fn a_lease_without_a_usable_mask_is_refused() {
    for mask in [[0, 0, 0, 0], [255, 0, 255, 0], [0, 0, 0, 255]] {
        let mut server = Server::new();
        server.mask = mask.into();
        let (mut host, mut now) = (self::host(), Instant::ZERO);
        talk(&mut host, &server, &mut now, Duration::from_secs(5));
        assert_eq!(host.stack.addresses(), &Addresses::default(), "{mask:?}");
        assert_eq!(host.events, [], "{mask:?}");
        // Once the server is put right, its lease is taken, at a renewal at the latest.
        server.mask = Ipv4Addr::new(255, 255, 255, 0);
        let lease = Duration::from_secs(LEASE.into());
        talk(&mut host, &server, &mut now, lease);
        assert_eq!(host.stack.addresses().ipv4, Some((LEASED, 24)), "{mask:?}");
        assert_eq!(host.events, [Event::Configured], "{mask:?}");
    }
}

#[test]
fn a_renewal_without_a_usable_mask_ends_the_lease() {
    let (mut host, mut server, mut now) = configured();
    host.events.clear();
    server.mask = Ipv4Addr::UNSPECIFIED;
    talk(&mut host, &server, &mut now, Duration::from_secs(500));
    assert_eq!(host.events, [Event::Deconfigured]);
    assert_eq!(host.stack.addresses(), &Addresses::default());
}

#[test]
fn a_link_of_one_host_is_a_usable_mask() {
    let mut server = Server::new();
    server.mask = Ipv4Addr::BROADCAST;
    let (mut host, mut now) = (self::host(), Instant::ZERO);
    talk(&mut host, &server, &mut now, Duration::from_millis(10));
    assert_eq!(host.stack.addresses().ipv4, Some((LEASED, 32)));
}

#[test]
fn static_configuration_is_checked() {
    let check = |change: fn(&mut Config), expect: ConfigError| {
        let mut config = config(B);
        change(&mut config);
        let result = Stack::new(config, &mut Card::new(), Instant::ZERO);
        assert_eq!(result.err(), Some(expect));
    };
    fn v4(address: [u8; 4], prefix: u8, gateway: Option<[u8; 4]>) -> Ipv4Config {
        Ipv4Config::Static {
            address: address.into(),
            prefix,
            gateway: gateway.map(Ipv4Addr::from),
        }
    }
    let ip = |text: &str| text.parse().unwrap();
    check(|c| c.mac = [3, 0, 0, 0, 0, 1], ConfigError::MacNotUnicast);
    check(|c| c.mac = [0; 6], ConfigError::MacNotUnicast);
    check(|c| c.limits.streams = 0, ConfigError::LimitOutOfRange);
    check(
        |c| c.limits.recv_buffer = 1 << 31,
        ConfigError::LimitOutOfRange,
    );
    check(
        |c| c.ipv4 = v4([10, 0, 0, 1], 33, None),
        ConfigError::PrefixTooLong(ip("10.0.0.1"), 33),
    );
    check(
        |c| c.ipv4 = v4([127, 0, 0, 1], 8, None),
        ConfigError::AddressNotUnicast(ip("127.0.0.1")),
    );
    check(
        |c| c.ipv4 = v4([10, 0, 0, 255], 24, None),
        ConfigError::AddressNotUnicast(ip("10.0.0.255")),
    );
    for gateway in [[10, 0, 1, 1], [10, 0, 0, 1], [10, 0, 0, 255]] {
        let mut config = config(B);
        config.ipv4 = v4([10, 0, 0, 1], 24, Some(gateway));
        let result = Stack::new(config, &mut Card::new(), Instant::ZERO);
        assert_eq!(
            result.err(),
            Some(ConfigError::GatewayNotOnLink(gateway.into()))
        );
    }
    check(
        |c| c.ipv6.as_mut().unwrap().gateway = Some("2001:db8::1".parse().unwrap()),
        ConfigError::GatewayNotOnLink(ip("2001:db8::1")),
    );
    check(
        |c| c.dns = vec![[224, 0, 0, 1].into()],
        ConfigError::DnsNotUnicast(ip("224.0.0.1")),
    );
    check(
        |c| c.dns = vec![[1, 1, 1, 1].into(); 5],
        ConfigError::TooManyDnsServers { most: 4 },
    );
    let mut card = Card::new();
    card.caps.max_transmission_unit = 100;
    let result = Stack::new(config(B), &mut card, Instant::ZERO);
    assert_eq!(result.err(), Some(ConfigError::DeviceUnsuitable));
    // These are fine: a link of two, a link-local router, a single gateway for both.
    let mut config = config(B);
    config.ipv4 = v4([10, 0, 0, 0], 31, Some([10, 0, 0, 1]));
    config.ipv6.as_mut().unwrap().gateway = Some("fe80::1".parse().unwrap());
    let stack = Stack::new(config, &mut Card::new(), Instant::ZERO).unwrap();
    let dns = &stack.addresses().dns;
    assert_eq!(*dns, [ip("10.0.0.1"), ip("fe80::1")]);
}

#[test]
fn mutated_replies_never_panic() {
    let mut dice = Dice(4242);
    let mut leases = 0;
    for _ in 0..3000 {
        let mut config = config(B);
        config.ipv4 = Ipv4Config::Dhcp;
        let mut host = Host::new(config, hostile::trusting());
        let server = Server::new();
        let mut now = Instant::ZERO;
        for _ in 0..6 {
            host.step(now);
            for frame in core::mem::take(&mut host.card.tx) {
                if let Some(mut reply) = server.reply(&frame[14 + 20 + 8..]) {
                    // Past the identifiers that the client checks: addresses, options, their
                    // lengths.
                    let (kept, changed) = reply.split_at(14 + 20 + 8 + 16);
                    let (kept, mut changed) = (kept.to_vec(), changed.to_vec());
                    for _ in 0..dice.below(4) {
                        let at = dice.below(changed.len() as u64) as usize;
                        changed[at] = dice.next() as u8;
                    }
                    reply = [kept, changed].concat();
                    host.card.rx.push_back(reply);
                }
            }
            now = now + Duration::from_secs(dice.below(400));
        }
        leases += usize::from(host.stack.addresses().ipv4.is_some());
    }
    assert!(leases > 300, "only {leases} leases");
}

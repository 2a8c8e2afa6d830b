//! What a gateway answers by itself, and what it does not: ARP, neighbour discovery, echo, DHCP, UDP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use smoltcp::wire::*;

use super::super::frames::{arp, ip_of, tcp, tcp_of, try_tcp_of, udp};
use super::*;

fn host() -> Host {
    let mut host = Host::new(gateway(), card(1514));
    host.step(Instant::ZERO);
    assert!(host.card.tx.is_empty(), "it says nothing by itself");
    host
}

fn guest_at(port: u16) -> SocketAddr {
    SocketAddr::new(V4[GUEST].into(), port)
}

#[test]
fn every_address_but_the_guests_is_at_the_gateway() {
    let mut host = host();
    let mut ask = |from: Ipv4Addr, to: Ipv4Addr| {
        let answer = host.answer(&arp(ArpOperation::Request, from, to), Instant::ZERO);
        let frame = answer.first()?;
        let packet = ArpPacket::new_checked(&frame[14..]).unwrap();
        assert_eq!(packet.operation(), ArpOperation::Reply);
        assert_eq!(packet.source_hardware_addr(), MACS[GATEWAY]);
        assert_eq!(packet.target_hardware_addr(), MACS[GUEST]);
        assert_eq!(packet.source_protocol_addr(), to.octets());
        Some(())
    };
    for to in [
        V4[GATEWAY],
        Ipv4Addr::new(10, 9, 0, 3),
        Ipv4Addr::new(192, 0, 2, 1),
    ] {
        assert_eq!(ask(V4[GUEST], to), Some(()), "{to}");
    }
    for to in [
        V4[GUEST],
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::UNSPECIFIED,
    ] {
        assert_eq!(ask(V4[GUEST], to), None, "{to}");
    }
    // Nobody else is on the link; a probe for duplicates is not answered either (RFC 5227 §2.1).
    assert_eq!(ask(Ipv4Addr::new(10, 9, 0, 7), V4[GATEWAY]), None);
    assert_eq!(ask(Ipv4Addr::UNSPECIFIED, V4[GUEST]), None);
}

#[test]
fn what_is_not_from_the_guest_is_dropped() {
    let mut host = host();
    let to = SocketAddr::new(V4[GATEWAY].into(), 80);
    let syn = tcp(guest_at(5), to, TcpControl::Syn, 0, None, b"");
    let mut stranger = syn.clone();
    stranger[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    assert!(host.answer(&stranger, Instant::ZERO).is_empty());
    let spoofed = tcp(address("10.9.0.9:5"), to, TcpControl::Syn, 0, None, b"");
    assert!(host.answer(&spoofed, Instant::ZERO).is_empty());
    let six = SocketAddr::new(V6[GATEWAY].into(), 80);
    let spoofed = tcp(address("[fd00::9]:5"), six, TcpControl::Syn, 0, None, b"");
    assert!(host.answer(&spoofed, Instant::ZERO).is_empty());
    assert_eq!(host.events, [Event::Configured]);
    host.answer(&syn, Instant::ZERO);
    assert_eq!(host.events.len(), 2);
}

#[test]
fn what_is_no_request() {
    let mut host = host();
    // Loopback is not reached by its own name, nor are many hosts at once.
    let reset = host.answer(
        &tcp(
            guest_at(5),
            address("127.0.0.1:80"),
            TcpControl::Syn,
            0,
            None,
            b"",
        ),
        Instant::ZERO,
    );
    assert_eq!(tcp_of(&reset[0]).control, TcpControl::Rst);
    for to in [
        "224.0.0.1:80",
        "255.255.255.255:80",
        "10.9.255.255:80",
        "10.9.0.0:80",
        "0.0.0.0:80",
    ] {
        let syn = tcp(guest_at(5), address(to), TcpControl::Syn, 0, None, b"");
        assert!(host.answer(&syn, Instant::ZERO).is_empty(), "{to}");
    }
    let to = address("192.0.2.1:80");
    // With payload; with a wrong checksum; to port 0.
    let with_data = tcp(guest_at(5), to, TcpControl::Syn, 0, None, b"early");
    assert!(host.answer(&with_data, Instant::ZERO).is_empty());
    let mut broken = tcp(guest_at(5), to, TcpControl::Syn, 0, None, b"");
    broken[50] ^= 1;
    assert!(host.answer(&broken, Instant::ZERO).is_empty());
    let nowhere = address("192.0.2.1:0");
    let syn = tcp(guest_at(5), nowhere, TcpControl::Syn, 0, None, b"");
    assert!(host.answer(&syn, Instant::ZERO).is_empty());
    // A segment of no connection.
    let ack = tcp(guest_at(5), to, TcpControl::None, 9, Some(7), b"x");
    let reset = host.answer(&ack, Instant::ZERO);
    assert_eq!(tcp_of(&reset[0]).control, TcpControl::Rst);
    assert_eq!(host.events, [Event::Configured]);
}

#[test]
fn requests_are_bounded_and_can_be_reset() {
    let mut host = host();
    let to = address("192.0.2.1:80");
    for port in 1..=3000 {
        let syn = tcp(guest_at(port), to, TcpControl::Syn, 7, None, b"");
        host.answer(&syn, Instant::ZERO);
    }
    let requests = |host: &Host| {
        let is_request = |e: &&Event| matches!(e, Event::Requested { .. });
        host.events.iter().filter(is_request).count()
    };
    assert_eq!(requests(&host), 1024);
    let Some(Event::Requested { request, from, .. }) = host.events.get(1).cloned() else {
        panic!("{:?}", host.events);
    };
    let rst = tcp(from, to, TcpControl::Rst, 8, None, b"");
    assert!(host.answer(&rst, Instant::ZERO).is_empty());
    assert_eq!(host.events.last(), Some(&Event::Withdrawn(request)));
    // There is room for one more now; its name is a new one.
    let syn = tcp(from, to, TcpControl::Syn, 7, None, b"");
    host.answer(&syn, Instant::ZERO);
    assert_eq!(requests(&host), 1025);
    let again = host.events.last().cloned();
    assert!(matches!(again, Some(Event::Requested { request: name, .. }) if name != request));
    // All of them end.
    host.events.clear();
    assert!(host.stack.poll_at().is_some());
    host.step(Instant::ZERO + Duration::from_secs(61));
    assert_eq!(host.events.len(), 1024);
    assert_eq!(host.stack.poll_at(), None);
}

#[test]
fn a_new_syn_for_a_held_request_is_the_one_that_is_answered() {
    let mut host = host();
    let to = address("192.0.2.1:80");
    for sequence in [7, 70] {
        let syn = tcp(guest_at(5), to, TcpControl::Syn, sequence, None, b"");
        host.answer(&syn, Instant::ZERO);
    }
    assert_eq!(host.events.len(), 2);
    let Event::Requested { request, .. } = host.events[1] else {
        panic!("{:?}", host.events);
    };
    host.stack.admit(request).unwrap();
    host.step(Instant::ZERO);
    let answer = host
        .card
        .tx
        .iter()
        .find_map(|frame| try_tcp_of(frame))
        .unwrap();
    assert_eq!(answer.control, TcpControl::Syn);
    assert_eq!(answer.ack_number, Some(TcpSeqNumber(71)));
}

#[test]
fn echo_is_answered_for_the_gateway_alone() {
    for (to, answered) in [("10.9.0.2", true), ("192.0.2.1", false)] {
        let mut host = host();
        let to: IpAddr = to.parse().unwrap();
        let ping = echo(V4[GUEST].into(), to);
        let answer = host.answer(&ping, Instant::ZERO);
        assert_eq!(answer.len(), usize::from(answered), "{to}");
        if answered {
            let (from, ..) = ip_of(&answer[0]).unwrap();
            assert_eq!(IpAddr::from(from), to);
        }
    }
}

/// A frame with an ICMP echo request.
fn echo(from: IpAddr, to: IpAddr) -> Vec<u8> {
    // A datagram made over: same length, other protocol.
    let mut frame = udp(SocketAddr::new(from, 1), SocketAddr::new(to, 2), &[0; 4]);
    let message = Icmpv4Repr::EchoRequest {
        ident: 1,
        seq_no: 2,
        data: b"ping",
    };
    frame[23] = 1;
    message.emit(
        &mut Icmpv4Packet::new_unchecked(&mut frame[34..]),
        &Default::default(),
    );
    Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
    frame
}

#[test]
fn datagrams_go_both_ways_with_any_address() {
    for (near, far) in [
        ("10.9.0.1:9000", "192.0.2.1:53"),
        ("10.9.0.1:9000", "10.9.0.3:53"),
        ("[fd00::1]:9000", "[2001:db8::1]:53"),
    ] {
        let mut host = host();
        let (near, far) = (address(near), address(far));
        assert!(
            host.answer(&udp(near, far, b"question"), Instant::ZERO)
                .is_empty()
        );
        let datagram = host.stack.take_datagram().unwrap();
        assert_eq!((datagram.from, datagram.to), (near, far));
        assert_eq!(datagram.payload, b"question");
        assert_eq!(host.stack.take_datagram(), None);
        host.stack.send_datagram_as(far, near, b"answer").unwrap();
        host.stack.flush(&mut host.card, Instant::ZERO);
        let frame = host.card.tx.pop().unwrap();
        assert_eq!(frame[..12], [MACS[GUEST], MACS[GATEWAY]].concat());
        let (source, destination, protocol, payload) = ip_of(&frame).unwrap();
        let packet = UdpPacket::new_checked(payload).unwrap();
        assert!(packet.verify_checksum(&source, &destination));
        assert_eq!(protocol, IpProtocol::Udp);
        let from = SocketAddr::new(source.into(), packet.src_port());
        let to = SocketAddr::new(destination.into(), packet.dst_port());
        assert_eq!((from, to, packet.payload()), (far, near, &b"answer"[..]));
    }
}

#[test]
fn datagrams_are_bounded() {
    let mut host = Host::new(gateway(), card(JUMBO));
    let (near, far) = (guest_at(9000), address("192.0.2.1:53"));
    for length in [1, 60_000] {
        for _ in 0..2000 {
            host.answer(&udp(near, far, &vec![0; length]), Instant::ZERO);
        }
        let mut bytes = 0;
        let mut count = 0;
        while let Some(datagram) = host.stack.take_datagram() {
            bytes += datagram.payload.len();
            count += 1;
        }
        assert!(count <= 256 && bytes <= 1 << 20, "{count}, {bytes}");
        assert!(count >= 16);
    }
    let send =
        |host: &mut Host, from, to, length| host.stack.send_datagram_as(from, to, &vec![0; length]);
    let most = 65_000 - 28;
    assert_eq!(
        send(&mut host, far, near, most + 1),
        Err(DatagramError::TooLong { most })
    );
    let mut sent = 0;
    while send(&mut host, far, near, most).is_ok() {
        sent += 1;
        assert!(sent < 100);
    }
    assert_eq!(send(&mut host, far, near, most), Err(DatagramError::Full));
    host.stack.flush(&mut host.card, Instant::ZERO);
    assert_eq!(send(&mut host, far, near, most), Ok(()));
    for (from, to, expect) in [
        ("0.0.0.0:1", "10.9.0.1:1", DatagramError::Unaddressable),
        ("192.0.2.1:1", "10.9.0.1:0", DatagramError::Unaddressable),
        ("[::1]:1", "10.9.0.1:1", DatagramError::Unaddressable),
        ("192.0.2.1:1", "10.9.0.9:1", DatagramError::NoRoute),
    ] {
        assert_eq!(send(&mut host, address(from), address(to), 1), Err(expect));
    }
    // What is no datagram to one host.
    for to in [
        "224.0.0.1:1",
        "255.255.255.255:1",
        "127.0.0.1:1",
        "10.9.255.255:1",
        "10.9.0.3:0",
    ] {
        host.answer(&udp(near, address(to), b"x"), Instant::ZERO);
        assert_eq!(host.stack.take_datagram(), None, "{to}");
    }
    host.answer(&udp(address("10.9.0.8:1"), far, b"x"), Instant::ZERO);
    assert_eq!(host.stack.take_datagram(), None);
}

#[test]
fn a_guest_gets_its_address_by_dhcp() {
    let guest = Config {
        ipv4: Ipv4Config::Dhcp,
        ipv6: None,
        ..guest()
    };
    let mut world = World::of([
        Host::new(guest, card(1514)),
        Host::new(gateway(), card(1514)),
    ]);
    world.run(Duration::from_secs(10), |world| {
        settle(world);
        world.hosts[GUEST].events.contains(&Event::Configured)
    });
    let expect = Addresses {
        ipv4: Some((V4[GUEST], 16)),
        ipv4_gateway: Some(V4[GATEWAY]),
        dns: vec![V4[GATEWAY].into()],
        ..Addresses::default()
    };
    assert_eq!(world.hosts[GUEST].stack.addresses(), &expect);
    // It is renewed for as long as it is asked for.
    world.pass(Duration::from_secs(10 * 86_400));
    let lost = Event::Deconfigured;
    assert!(!world.hosts[GUEST].events.contains(&lost));
    left(&mut world, address("192.0.2.1:80"));
}

/// The gateway's answer to a DHCP message of the guest.
fn ask(
    host: &mut Host,
    kind: DhcpMessageType,
    change: impl FnOnce(&mut DhcpRepr<'_>),
) -> Option<Lease> {
    let mut request = DhcpRepr {
        message_type: kind,
        transaction_id: 77,
        secs: 0,
        client_hardware_address: EthernetAddress(MACS[GUEST]),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    change(&mut request);
    let mut message = vec![0; request.buffer_len()];
    request
        .emit(&mut DhcpPacket::new_unchecked(&mut message[..]))
        .unwrap();
    let mut frame = udp(
        address("0.0.0.0:68"),
        address("255.255.255.255:67"),
        &message,
    );
    frame[..6].fill(0xff);
    let answer = host.answer(&frame, Instant::ZERO);
    let (from, to, _, payload) = ip_of(answer.first()?).unwrap();
    assert_eq!(IpAddr::from(from), IpAddr::from(V4[GATEWAY]));
    let udp = UdpPacket::new_checked(payload).unwrap();
    assert_eq!((udp.src_port(), udp.dst_port()), (67, 68));
    let packet = DhcpPacket::new_checked(udp.payload()).unwrap();
    let answer = DhcpRepr::parse(&packet).unwrap();
    assert_eq!(answer.transaction_id, 77);
    assert_eq!(answer.server_identifier, Some(V4[GATEWAY]));
    Some(Lease {
        kind: answer.message_type,
        to: to.into(),
        address: answer.your_ip,
        router: answer.router,
        time: answer.lease_duration,
    })
}

#[derive(Debug, PartialEq)]
struct Lease {
    kind: DhcpMessageType,
    to: IpAddr,
    address: Ipv4Addr,
    router: Option<Ipv4Addr>,
    time: Option<u32>,
}

#[test]
fn dhcp_answers_by_the_book() {
    use DhcpMessageType::{Ack, Decline, Discover, Inform, Nak, Offer, Release, Request};
    let host = &mut host();
    let given = |kind, to| Lease {
        kind,
        to,
        address: V4[GUEST],
        router: Some(V4[GATEWAY]),
        time: Some(86_400),
    };
    let guest = IpAddr::from(V4[GUEST]);
    let all = IpAddr::from(Ipv4Addr::BROADCAST);
    assert_eq!(ask(host, Discover, |_| ()), Some(given(Offer, guest)));
    assert_eq!(
        ask(host, Discover, |r| r.broadcast = true),
        Some(given(Offer, all))
    );
    let selected = |r: &mut DhcpRepr<'_>| {
        r.requested_ip = Some(V4[GUEST]);
        r.server_identifier = Some(V4[GATEWAY]);
    };
    assert_eq!(ask(host, Request, selected), Some(given(Ack, guest)));
    assert_eq!(
        ask(host, Request, |r| r.client_ip = V4[GUEST]),
        Some(given(Ack, guest))
    );
    let refused = Lease {
        kind: Nak,
        to: all,
        address: Ipv4Addr::UNSPECIFIED,
        router: None,
        time: None,
    };
    let other = Ipv4Addr::new(10, 9, 0, 77);
    assert_eq!(
        ask(host, Request, |r| r.requested_ip = Some(other)),
        Some(refused)
    );
    let informed = Lease {
        address: Ipv4Addr::UNSPECIFIED,
        time: None,
        ..given(Ack, guest)
    };
    assert_eq!(
        ask(host, Inform, |r| r.client_ip = V4[GUEST]),
        Some(informed)
    );
    // Another server's, another client's, and what needs no answer.
    assert_eq!(
        ask(host, Request, |r| r.server_identifier = Some(other)),
        None
    );
    let stranger = EthernetAddress([2, 0, 0, 0, 0, 9]);
    assert_eq!(
        ask(host, Discover, |r| r.client_hardware_address = stranger),
        None
    );
    assert_eq!(ask(host, Release, |_| ()), None);
    assert_eq!(ask(host, Decline, |_| ()), None);
}

#[test]
fn a_gateway_has_no_resolver() {
    let mut host = host();
    let result = host.stack.resolve("example.org", Instant::ZERO);
    assert_eq!(result, Err(ResolveError::NoServer));
}

#[test]
fn configurations_that_are_none() {
    let check = |change: fn(&mut Config), expect| {
        let mut config = gateway();
        change(&mut config);
        let result = Stack::new(config, &mut card(1514), Instant::ZERO);
        assert_eq!(result.err(), Some(expect));
    };
    fn role(mac: [u8; 6], ipv4: Ipv4Addr, ipv6: Option<std::net::Ipv6Addr>) -> Role {
        Role::Gateway {
            guest_mac: mac,
            guest_ipv4: ipv4,
            guest_ipv6: ipv6,
        }
    }
    check(
        |c| c.role = role(MACS[GATEWAY], V4[GUEST], None),
        ConfigError::GuestMacUnusable,
    );
    check(
        |c| c.role = role([0xff; 6], V4[GUEST], None),
        ConfigError::GuestMacUnusable,
    );
    check(
        |c| c.role = role(MACS[GUEST], V4[GATEWAY], None),
        ConfigError::GuestNotOnLink(V4[GATEWAY].into()),
    );
    let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
    check(
        |c| c.role = role(MACS[GUEST], Ipv4Addr::new(192, 0, 2, 1), None),
        ConfigError::GuestNotOnLink(elsewhere.into()),
    );
    check(
        |c| c.role = role(MACS[GUEST], V4[GUEST], Some(V6[GATEWAY])),
        ConfigError::GuestNotOnLink(V6[GATEWAY].into()),
    );
    check(
        |c| (c.ipv4, c.ipv6) = (Ipv4Config::Dhcp, None),
        ConfigError::GatewayWithoutAddress,
    );
}

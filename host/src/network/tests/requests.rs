//! What the guest wants from this host: connections, names, datagrams.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, UdpSocket};
use std::thread;

use guest::Call;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use stockade_net::{ResolveError, StreamError};

use super::*;

fn call(to: SocketAddr, send: &[u8]) -> Call {
    Call {
        to,
        send: send.to_vec(),
        ends: true,
        resets: false,
    }
}

#[test]
fn the_gateway_leads_to_this_host_s_loopback() {
    let setup = Setup::new();
    let (listener, to) = server();
    let serving = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let asked = read_all(&client);
        client.write_all(b"answer").unwrap();
        asked
    });
    let outcome = setup.guest.call(call(to, b"question"));
    assert_eq!(outcome.received, b"answer");
    assert_eq!(outcome.error, None);
    assert_eq!(serving.join().unwrap(), b"question");
    eventually(|| setup.network.counters().connected == 1);
}

#[test]
fn the_gateway_s_ipv6_address_leads_to_either_loopback() {
    let setup = Setup::new();
    for address in [IpAddr::V6(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()] {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client.write_all(address.to_string().as_bytes()).unwrap();
        });
        let to = SocketAddr::new(GATEWAY_IPV6.into(), port);
        let outcome = setup.guest.call(call(to, b""));
        assert_eq!(outcome.received, address.to_string().as_bytes());
        serving.join().unwrap();
    }
}

/// One that is to know IPv6 alone does not get there by IPv4.
#[test]
fn of_one_family_alone_it_leads_to_one_loopback() {
    let setup = Setup::new();
    setup.network.families(Families::Ipv6);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let outcome = setup
        .guest
        .call(call(SocketAddr::new(GATEWAY_IPV6.into(), port), b""));
    assert_eq!(outcome.error, Some(StreamError::Refused));
}

#[test]
fn the_server_may_end_first_and_still_read() {
    let setup = Setup::new();
    let (listener, to) = server();
    let serving = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        read_all(client)
    });
    // It ends only after the server's end has come.
    let outcome = setup.guest.call(Call {
        ends: false,
        ..call(to, b"late")
    });
    assert_eq!((outcome.received, outcome.error), (b"hello".to_vec(), None));
    assert_eq!(serving.join().unwrap(), b"late");
}

#[test]
fn a_refused_connection_is_refused_in_the_guest() {
    let setup = Setup::new();
    // Sockets that have their port, so that nobody else gets it, and don't listen.
    let hold = |address: SocketAddr| {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket(family, SocketType::STREAM, None).unwrap();
        bind(&socket, &address).unwrap();
        let port = SocketAddr::try_from(getsockname(&socket).unwrap())
            .unwrap()
            .port();
        (socket, port)
    };
    let (_first, port) = hold(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
    let (_second, _) = hold(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
    for to in [GATEWAY_IPV4.into(), GATEWAY_IPV6.into()] {
        let to = SocketAddr::new(to, port);
        let outcome = setup.guest.call(call(to, b""));
        assert_eq!(outcome.error, Some(StreamError::Refused), "{to}");
    }
    eventually(|| setup.network.counters().refused == 2);
}

#[test]
fn addresses_that_lead_nowhere_are_unreachable() {
    let setup = Setup::new();
    for to in [
        "10.0.2.77:80",
        "240.0.0.1:80",
        "[fd00:5374:6f63:6b61::77]:80",
    ] {
        let outcome = setup.guest.begin(call(to.parse().unwrap(), b""));
        let outcome = outcome.recv_timeout(PATIENCE).unwrap();
        assert_eq!(outcome.error, Some(StreamError::Unreachable), "{to}");
    }
}

#[test]
fn a_reset_of_the_server_reaches_the_guest() {
    let setup = Setup::new();
    let (listener, to) = server();
    let waiting = setup.guest.begin(Call {
        ends: false,
        ..call(to, b"x")
    });
    let (mut server, _) = listener.accept().unwrap();
    server.read_exact(&mut [0; 1]).unwrap();
    rustix::net::sockopt::set_socket_linger(&server, Some(Duration::ZERO)).unwrap();
    drop(server);
    let outcome = waiting.recv_timeout(PATIENCE).unwrap();
    assert_eq!(outcome.error, Some(StreamError::Reset));
}

#[test]
fn a_reset_of_the_guest_reaches_the_server() {
    let setup = Setup::new();
    let (listener, to) = server();
    let waiting = setup.guest.begin(Call {
        resets: true,
        ends: false,
        ..call(to, b"x")
    });
    let (mut server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    server.read_exact(&mut [0; 1]).unwrap();
    server.write_all(b"y").unwrap();
    let error = server.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let outcome = waiting.recv_timeout(PATIENCE).unwrap();
    assert_eq!(outcome.error, Some(StreamError::Reset));
}

#[test]
fn a_thousand_connections_of_the_guest_at_once() {
    let setup = Setup::new();
    let (listener, to) = server();
    let calls: Vec<_> = (0..1_000_u32)
        .map(|number| setup.guest.begin(call(to, &number.to_be_bytes())))
        .collect();
    // All are there before the first is answered.
    let servers: Vec<TcpStream> = (0..calls.len())
        .map(|_| listener.accept().unwrap().0)
        .collect();
    for mut server in servers {
        let asked = read_all(&server);
        server.write_all(&asked).unwrap();
    }
    for (number, call) in calls.into_iter().enumerate() {
        let outcome = call.recv_timeout(PATIENCE).unwrap();
        assert_eq!(outcome.received, (number as u32).to_be_bytes());
        assert_eq!(outcome.error, None);
    }
    eventually(|| setup.network.counters().open == 0);
}

#[test]
fn names_of_this_host_s_own_file_are_the_guest_s_names() {
    let setup = Setup::new();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap();
    let mut asked = 0;
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        // What means the loopback everywhere is not asked for, and has a test of its own.
        for name in words.filter(|name| !name.contains("localhost")) {
            let found = setup.guest.resolve(name).unwrap();
            let of_family = |found: &&IpAddr| found.is_ipv4() == address.is_ipv4();
            assert!(
                found.iter().filter(of_family).count() > 0,
                "{name}: {found:?}"
            );
            asked += 1;
        }
    }
    eventually(|| setup.network.counters().names == 2 * asked);
}

#[test]
fn an_unknown_name_has_no_address() {
    let setup = Setup::new();
    // RFC 6761 §6.4: no source knows this one. Without name servers that can't be told, either.
    let error = setup.guest.resolve("nobody.invalid").unwrap_err();
    let expected = [ResolveError::NotFound, ResolveError::TimedOut];
    assert!(expected.contains(&error), "{error:?}");
}

#[test]
fn datagrams_reach_this_host() {
    let setup = Setup::new();
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = server.local_addr().unwrap().port();
    let mut buffer = [0; 64];
    let mut from = Vec::new();
    for text in ["one", "two"] {
        let to = SocketAddr::new(GATEWAY_IPV4.into(), port);
        setup.guest.datagram(to, text.as_bytes());
        let (count, peer) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], text.as_bytes());
        from.push(peer);
    }
    // Both come from one place, to which answers can go.
    assert_eq!(from[0], from[1]);
}

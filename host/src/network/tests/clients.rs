//! Clients of this host that are led into the guest.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown};

use stockade_net::StreamError;

use super::*;

#[test]
fn a_client_appears_with_its_own_address_and_port() {
    let setup = Setup::new();
    setup.guest.listen(443, Service::Who);
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for address in setup.bind(&[forward(v4, 443), forward(v6, 443)]) {
        let client = client(address);
        let own = client.local_addr().unwrap().to_string();
        assert_eq!(String::from_utf8(read_all(client)).unwrap(), own);
    }
}

#[test]
fn clients_of_two_ports_that_lead_to_one_do_not_meet() {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

    let setup = Setup::new();
    setup.guest.listen(443, Service::Who);
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let places = setup.bind(&[forward(v4, 443), forward(v4, 443)]);
    assert_ne!(places[0], places[1]);
    // One port of the client's to both: the guest can't tell them apart by their ends.
    let open = |own: SocketAddr, to: SocketAddr| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &own).unwrap();
        connect(&socket, &to).unwrap();
        TcpStream::from(socket)
    };
    let first = open(SocketAddr::new(v4, 0), places[0]);
    let own = first.local_addr().unwrap();
    let second = open(own, places[1]);
    assert_eq!(String::from_utf8(read_all(first)).unwrap(), own.to_string());
    let seen: SocketAddr = String::from_utf8(read_all(second))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(seen.ip(), own.ip());
}

#[test]
fn the_client_may_end_first_and_still_read() {
    let setup = Setup::new();
    let address = setup.publish(7, Service::Echo);
    let mut client = client(address);
    client.write_all(b"all there is").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), b"all there is");
    eventually(|| setup.guest.ended(7) == [(12, None)]);
    eventually(|| setup.network.counters().open == 0);
    assert_eq!(setup.network.counters().reset, 0);
}

#[test]
fn the_guest_may_end_first_and_still_read() {
    let setup = Setup::new();
    let address = setup.publish(8, Service::EndFirst);
    let mut client = client(address);
    assert_eq!(read_all(&client), b"");
    client.write_all(b"said after the end").unwrap();
    drop(client);
    eventually(|| setup.guest.ended(8) == [(18, None)]);
}

#[test]
fn a_reset_of_the_guest_reaches_the_client() {
    let setup = Setup::new();
    let address = setup.publish(9, Service::Reset);
    let mut client = client(address);
    client.write_all(b"x").unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    eventually(|| setup.network.counters().reset == 1);
}

#[test]
fn a_reset_of_the_client_reaches_the_guest_also_while_it_does_not_read() {
    let setup = Setup::new();
    for (port, service) in [(7, Service::Echo), (10, Service::Deaf)] {
        let address = setup.publish(port, service);
        let mut client = client(address);
        client.write_all(b"!").unwrap();
        // The guest has it.
        client.read_exact(&mut [0; 1]).unwrap();
        client.set_nonblocking(true).unwrap();
        // Far more than fits anywhere: it is never all taken while nothing is read.
        let mut written = 0;
        eventually(|| {
            let before = written;
            while let Ok(count) = client.write(&[1; 1 << 16]) {
                written += count;
            }
            written > 0 && written == before
        });
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        eventually(|| {
            let ended = setup.guest.ended(port);
            eprintln!(
                "{service:?} {written} {ended:?} {:?}",
                setup.network.counters()
            );
            ended.len() == 1 && ended[0].1 == Some(StreamError::Reset)
        });
    }
}

#[test]
fn a_port_where_the_guest_does_not_listen_resets() {
    let setup = Setup::new();
    let address = setup.bind(&[forward(Ipv4Addr::LOCALHOST.into(), 1)])[0];
    let error = client(address).read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_thousand_clients_at_once() {
    let setup = Setup::new();
    let address = setup.publish(7, Service::Echo);
    let mut clients: Vec<TcpStream> = (0..1_000).map(|_| client(address)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&(number as u32).to_be_bytes()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_be_bytes(answer), number as u32);
    }
    eventually(|| setup.network.counters().open == 1_000);
    drop(clients);
    eventually(|| setup.network.counters().open == 0);
    let counters = setup.network.counters();
    assert_eq!((counters.accepted, counters.refused), (1_000, 0));
}

#[test]
fn clients_wait_until_a_machine_serves() {
    let network = Network::start().unwrap();
    let bound = network
        .bind(&[forward(Ipv4Addr::LOCALHOST.into(), 7)])
        .unwrap();
    let mut early = client(bound[0].listen.address().unwrap());
    early.write_all(b"early").unwrap();
    early.shutdown(Shutdown::Write).unwrap();
    let guest = Guest::start(network.plug().unwrap());
    guest.listen(7, Service::Echo);
    assert_eq!(network.counters().accepted, 0);
    network.accepting(true);
    assert_eq!(read_all(&early), b"early");
}

#[test]
fn after_a_machine_s_end_its_clients_are_reset_and_the_next_one_serves() {
    let Setup { network, guest } = Setup::new();
    let bound = network
        .bind(&[forward(Ipv4Addr::LOCALHOST.into(), 7)])
        .unwrap();
    let address = bound[0].listen.address().unwrap();
    let connected = |guest: &Guest| {
        guest.listen(7, Service::Echo);
        let mut client = client(address);
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0; 1]).unwrap();
        client
    };
    let is_reset = |mut client: TcpStream| {
        let error = client.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    };

    let first = connected(&guest);
    drop(guest);
    is_reset(first);
    let guest = Guest::start(network.plug().unwrap());
    let second = connected(&guest);
    // Another machine takes its place while it still runs.
    let other = Guest::start(network.plug().unwrap());
    is_reset(second);
    connected(&other);
}

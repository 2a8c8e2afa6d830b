//! What is said around TLS: PROXY headers, dialects before TLS, and backends that clients name.

use super::*;
use crate::dialect::{Authentication, Protocol, Setup};

pub(super) fn setup(protocol: Protocol) -> Setup {
    Setup {
        protocol,
        host: None,
        username: None,
        password: None,
        authentication: Authentication::Plain,
        headers: Vec::new(),
    }
}

fn with_dialect(protocol: Protocol) -> Service {
    let mut service = service("tls", &[443], &[80]);
    service.dialect = Some(setup(protocol));
    service
}

fn network_of(text: &str) -> config::stunnel::Network {
    let (address, prefix) = text.split_once('/').unwrap();
    config::stunnel::Network {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

/// A service that passes its clients' addresses on, and believes the proxies of this network.
fn behind_proxies(trusted: &str) -> World {
    let mut service = with_dialect(Protocol::Proxy);
    service.trusted_proxies = vec![network_of(trusted)];
    let mut world = world_of(10, vec![service]).with_backend();
    world.run(5);
    world
}

/// Sends a customer's words in the clear, and then begins TLS on the same connection.
fn begin_tls(world: &mut World, customer: usize, to_send: &[u8]) {
    let connection = world.client.connect(Some("localhost")).unwrap();
    let party = &mut world.customers[customer];
    party.connection = Some(connection);
    party.to_send = to_send.to_vec();
    party.received.clear();
}

fn received(world: &World, backend: usize) -> String {
    String::from_utf8_lossy(&world.backends[backend].received).into_owned()
}

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.9 4000 443\r\n";

#[test]
fn a_client_s_own_address_is_passed_on_where_no_proxy_is_before_us() {
    let mut world = behind_proxies("192.0.2.0/24");
    world.connect(b"hello");
    world.run(60);
    let said = received(&world, 0);
    let header = "PROXY TCP4 10.9.0.1 10.9.0.2 ";
    assert!(said.starts_with(header), "{said}");
    assert!(said.ends_with(" 443\r\nhello"), "{said}");
}

#[test]
fn the_address_that_a_trusted_proxy_tells_is_passed_on() {
    let mut world = behind_proxies("10.9.0.0/24");
    let customer = world.connect_with(443, None, HEADER);
    world.run(20);
    begin_tls(&mut world, customer, b"hello");
    world.run(60);
    let expected = String::from_utf8_lossy(HEADER).into_owned() + "hello";
    assert_eq!(received(&world, 0), expected);
}

#[test]
fn a_trusted_proxy_that_tells_nothing_is_refused() {
    let mut world = behind_proxies("10.9.0.1/32");
    world.connect(b"hello");
    world.run(60);
    assert_eq!(
        world.status(0),
        Status::Closed(Some(net::StreamError::Reset))
    );
    assert!(world.dialled().is_empty());
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn a_trusted_proxy_that_stops_within_its_header_is_not_waited_for() {
    let mut service = with_dialect(Protocol::Proxy);
    service.trusted_proxies = vec![network_of("0.0.0.0/0")];
    service.timeouts.handshake = Duration::from_millis(50);
    let mut world = world_of(10, vec![service]).with_backend();
    world.run(5);
    let stopped = world.connect_with(443, None, &HEADER[..20]);
    world.run(40);
    assert_eq!(world.status(stopped), Status::Open);
    world.run(40);
    assert_eq!(
        world.status(stopped),
        Status::Closed(Some(net::StreamError::Reset))
    );
}

#[test]
fn a_stranger_s_header_is_no_tls() {
    let mut world = behind_proxies("192.0.2.0/24");
    let stranger = world.connect_with(443, None, HEADER);
    world.run(60);
    assert!(world.dialled().is_empty());
    assert_eq!(world.server.usage().sessions, 0);
    // What speaks another protocol gets no alert.
    assert_eq!(world.customers[stranger].received, b"");
    assert_eq!(
        world.status(stranger),
        Status::Closed(Some(net::StreamError::Reset))
    );
}

#[test]
fn a_backend_that_greets_is_dialled_before_tls_and_kept() {
    let mut world = world_of(10, vec![with_dialect(Protocol::Smtp)]).with_backend();
    world.run(5);
    let customer = world.connect_with(443, None, b"");
    world.run(20);
    assert_eq!(world.dialled(), [80]);
    world.backends[0].echoes = false;
    world.backends[0].to_send = b"220 mail.example ESMTP\r\n".to_vec();
    world.run(20);
    let greeting = String::from_utf8_lossy(&world.customers[customer].received).into_owned();
    assert!(greeting.starts_with("220 mail.example"), "{greeting}");
    world.customers[customer].to_send = b"EHLO there\r\n".to_vec();
    world.run(20);
    world.customers[customer].to_send = b"STARTTLS\r\n".to_vec();
    world.run(20);
    let answers = String::from_utf8_lossy(&world.customers[customer].received).into_owned();
    assert!(answers.contains("\r\n220 "), "{answers}");
    begin_tls(&mut world, customer, b"EHLO again\r\n");
    world.run(60);
    assert_eq!(world.dialled(), [80], "it is still the same one");
    assert!(received(&world, 0).ends_with("EHLO again\r\n"));
}

#[test]
fn a_backend_that_is_down_ends_a_client_that_has_not_begun_tls() {
    let mut world = world_of(10, vec![with_dialect(Protocol::Pop3)]);
    world.run(5);
    let customer = world.connect_with(443, None, b"");
    world.run(100);
    assert_eq!(
        world.status(customer),
        Status::Closed(Some(net::StreamError::Reset))
    );
    assert_eq!(world.server.usage().sessions, 0);
}
/// A world whose clients name their backends; those at port 80 echo.
fn socks() -> World {
    let mut service = with_dialect(Protocol::Socks);
    service.backend = Backend::of([], Failover::Priority, false);
    let mut world = world_named(service).with_backend();
    world.names.as_mut().unwrap().answers = true;
    world.run(5);
    world
}

/// A request by SOCKS4 for this address and port 80, and what is to be sent behind it.
fn request(address: [u8; 4], name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut request = vec![4, 1, 0, 80];
    request.extend(address);
    request.push(0);
    if !name.is_empty() {
        request.extend(name);
        request.push(0);
    }
    request.extend(data);
    request
}

const GRANTED: u8 = 90;
const REJECTED: u8 = 91;

#[test]
fn a_client_is_led_to_the_address_that_it_asks_for() {
    let mut world = socks();
    world.connect(&request([10, 9, 0, 1], b"", b"hello"));
    world.run(80);
    let answer = &world.customers[0].received;
    assert_eq!(answer.get(1), Some(&GRANTED), "{answer:?}");
    assert_eq!(answer.get(8..), Some(&b"hello"[..]));
    assert_eq!(world.dialled(), [80]);
}

#[test]
fn a_client_is_led_to_the_name_that_it_asks_for() {
    let mut world = socks();
    world.connect(&request([0, 0, 0, 1], b"db.example", b"hello"));
    world.run(120);
    let answer = &world.customers[0].received;
    assert_eq!(answer.get(1), Some(&GRANTED), "{answer:?}");
    assert_eq!(answer.get(8..), Some(&b"hello"[..]));
    assert_eq!(world.names.as_ref().unwrap().asked, 1);
}

#[test]
fn a_client_hears_where_it_cannot_be_led() {
    let unused = [10, 9, 0, 2];
    for (address, name) in [
        ([127, 0, 0, 1], &b""[..]),
        (unused, b""),
        ([0, 0, 0, 1], b"localhost"),
    ] {
        let mut world = socks();
        world.connect(&request(address, name, b""));
        world.run(80);
        let customer = &world.customers[0];
        assert_eq!(customer.received.get(1), Some(&REJECTED), "{address:?}");
        assert!(customer.connection.as_ref().unwrap().peer_closed());
        assert!(world.dialled().is_empty());
        assert_eq!(world.server.usage().sessions, 0);
    }
}

#[test]
fn a_name_that_nobody_knows_in_time_is_told_to_the_client() {
    let mut world = socks();
    world.names.as_mut().unwrap().answers = false;
    world.connect(&request([0, 0, 0, 1], b"db.example", b""));
    world.run(11_000);
    assert_eq!(world.customers[0].received.get(1), Some(&REJECTED));
    assert_eq!(world.server.usage().sessions, 0);
}

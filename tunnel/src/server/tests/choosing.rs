//! Which service, and which of its backends, a connection comes to.

use super::*;
use crate::service::VirtualHost;

/// Connects `count` customers one after the other; all are echoed.
fn serve(world: &mut World, port: u16, client: &Client, count: usize) -> Vec<bool> {
    let mut resumed = Vec::new();
    for _ in 0..count {
        let connection = client.connect(Some("localhost")).unwrap();
        let customer = world.connect_with(port, Some(connection), b"hello");
        world.run(60);
        assert_eq!(world.customers[customer].received, b"hello");
        let connection = world.customers[customer].connection.as_ref().unwrap();
        resumed.push(connection.handshake().unwrap().resumed);
    }
    resumed
}

fn fresh() -> Client {
    let options = ClientOptions {
        resumption: false,
        ..client_options()
    };
    Client::new(options).unwrap()
}

#[test]
fn each_port_of_each_service_leads_to_its_own_backend() {
    let services = vec![
        service("one", &[443, 444], &[80]),
        service("two", &[445], &[81]),
    ];
    let mut world = world_of(10, services).with_backends(&[80, 81]);
    world.run(5);
    for port in [443, 444, 445] {
        serve(&mut world, port, &fresh(), 1);
    }
    assert_eq!(world.dialled(), [80, 80, 81]);
}

#[test]
fn priority_tries_the_next_backend_when_one_is_down() {
    let services = vec![service("tls", &[443], &[80, 81, 82])];
    let mut world = world_of(10, services).with_backends(&[81, 82]);
    world.run(5);
    serve(&mut world, 443, &fresh(), 2);
    assert_eq!(world.dialled(), [81, 81]);
}

#[test]
fn round_robin_takes_each_backend_in_turn() {
    let mut service = service("tls", &[443], &[]);
    service.backend = backend(&[80, 81, 82], Failover::RoundRobin);
    let mut world = world_of(10, vec![service]).with_backends(&[80, 81, 82]);
    world.run(5);
    serve(&mut world, 443, &fresh(), 6);
    let dialled = world.dialled();
    assert_eq!(dialled[..3], dialled[3..]);
    let mut all = dialled[..3].to_vec();
    all.sort_unstable();
    assert_eq!(all, [80, 81, 82]);
}

#[test]
fn when_no_backend_is_up_all_are_tried_and_the_client_is_reset() {
    let services = vec![service("tls", &[443], &[80, 81])];
    let mut world = world_of(10, services);
    world.run(5);
    world.connect(b"hello");
    world.run(100);
    let reset = Status::Closed(Some(net::StreamError::Reset));
    assert_eq!(world.status(0), reset);
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn a_resumed_session_comes_to_the_backend_that_it_had() {
    for tickets in [true, false] {
        let mut service = service("tls", &[443], &[]);
        service.backend = backend(&[80, 81, 82], Failover::RoundRobin);
        service.tls = Tls::Server(
            tls::Server::new(ServerOptions {
                tickets,
                ..server_options("tls")
            })
            .unwrap(),
        );
        let mut world = world_of(20, vec![service]).with_backends(&[80, 81, 82]);
        world.run(5);
        let loyal = Client::new(client_options()).unwrap();
        assert_eq!(serve(&mut world, 443, &loyal, 1), [false]);
        serve(&mut world, 443, &fresh(), 1);
        assert_eq!(serve(&mut world, 443, &loyal, 4), [true; 4]);
        let dialled = world.dialled();
        assert_ne!(dialled[0], dialled[1], "the other client's turn");
        assert!(
            dialled[2..].iter().all(|port| *port == dialled[0]),
            "{dialled:?}"
        );
    }
}

#[test]
fn a_resumed_session_whose_backend_is_gone_comes_to_another() {
    let mut service = service("tls", &[443], &[]);
    service.backend = backend(&[80, 81], Failover::Priority);
    let mut world = world_of(20, vec![service]).with_backends(&[81]);
    world.run(5);
    let loyal = Client::new(client_options()).unwrap();
    // The session is kept with 80, which was to be first.
    assert_eq!(serve(&mut world, 443, &loyal, 2), [false, true]);
    assert_eq!(world.dialled(), [81, 81]);
}

/// A service on 443, and one each for `blue.example` and everything below `green.example`.
fn virtual_services() -> Vec<Service> {
    let mut primary = service("primary", &[443], &[80]);
    primary.virtual_hosts = vec![
        VirtualHost::new("blue.example", 1),
        VirtualHost::new("*.green.example", 2),
    ];
    vec![
        primary,
        service("blue.example", &[], &[81]),
        service("green.example", &[], &[82]),
    ]
}

#[test]
fn the_name_in_the_hello_chooses_backend_and_certificate() {
    let mut world = world_of(10, virtual_services()).with_backends(&[80, 81, 82]);
    world.run(5);
    let expected = [
        (Some("blue.example"), 81),
        (Some("BLUE.example"), 81),
        (Some("a.b.Green.example"), 82),
        (Some("green.example"), 80),
        (Some("red.example"), 80),
        (None, 80),
    ];
    let client = fresh();
    for (name, port) in expected {
        let connection = client.connect(name).unwrap();
        let customer = world.connect_with(443, Some(connection), b"hello");
        world.run(60);
        assert_eq!(world.customers[customer].received, b"hello", "{name:?}");
        assert_eq!(world.dialled().last(), Some(&port), "{name:?}");
        // The certificates are all made with one subject: what tells them apart is who made them.
        let connection = world.customers[customer].connection.as_ref().unwrap();
        assert!(connection.peer().is_some());
    }
}

#[test]
fn a_hello_byte_by_byte_chooses_too() {
    let mut world = world_of(10, virtual_services()).with_backends(&[80, 81, 82]);
    world.run(5);
    let customer = world.connect_with(443, None, b"");
    world.run(10);
    let mut connection = fresh().connect(Some("blue.example")).unwrap();
    let mut hello = vec![0; connection.pending_output()];
    connection.transmit(&mut hello);
    let last = hello.pop().unwrap();
    for byte in hello {
        world.customers[customer].to_send.push(byte);
        world.run(2);
    }
    // From here on somebody is there who understands the answer.
    world.customers[customer].connection = Some(connection);
    let stream = world.customers[customer].stream;
    world.host.stream(stream).unwrap().send(&[last]);
    world.customers[customer].to_send = b"hello".to_vec();
    world.run(60);
    assert_eq!(world.customers[customer].received, b"hello");
    assert_eq!(world.dialled(), [81]);
}

#[test]
fn what_is_no_hello_is_reset_and_reaches_no_backend() {
    let mut world = world_of(10, virtual_services()).with_backends(&[80, 81, 82]);
    world.run(5);
    let customer = world.connect_with(443, None, b"GET / HTTP/1.1\r\nHost: blue.example\r\n\r\n");
    world.run(60);
    assert_eq!(world.customers[customer].received, b"");
    assert_eq!(
        world.status(customer),
        net::Status::Closed(Some(net::StreamError::Reset))
    );
    assert!(world.dialled().is_empty());
}

#[test]
fn a_client_service_keeps_sessions_for_each_backend() {
    let mut service = service("client", &[23], &[]);
    service.tls = Tls::Client {
        client: Client::new(client_options()).unwrap(),
        server_name: Some("localhost".into()),
    };
    service.backend = backend(&[80, 81], Failover::RoundRobin);
    let mut world = world_of(10, vec![service]).with_backends(&[80, 81]);
    world.backend_tls = Some(tls::Server::new(server_options("localhost")).unwrap());
    world.run(5);
    for _ in 0..4 {
        let customer = world.connect_with(23, None, b"hello");
        world.run(60);
        assert_eq!(world.customers[customer].received, b"hello");
    }
    let resumed = |party: &Party| {
        let connection = party.connection.as_ref().unwrap();
        connection.handshake().unwrap().resumed
    };
    let resumed: Vec<bool> = world.backends.iter().map(resumed).collect();
    assert_eq!(resumed, [false, false, true, true]);
}

#[test]
fn a_client_service_tries_the_next_backend() {
    let mut service = service("client", &[23], &[80, 81]);
    service.tls = Tls::Client {
        client: Client::new(client_options()).unwrap(),
        server_name: None,
    };
    let mut world = world_of(10, vec![service]).with_backends(&[81]);
    world.backend_tls = Some(tls::Server::new(server_options("localhost")).unwrap());
    world.run(5);
    let customer = world.connect_with(23, None, b"hello");
    world.run(100);
    assert_eq!(world.customers[customer].received, b"hello");
    assert_eq!(world.dialled(), [81]);
}

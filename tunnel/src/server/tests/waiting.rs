//! Times that run out, zero included.

use super::*;

fn with_timeouts(change: impl FnOnce(&mut crate::limits::Timeouts)) -> World {
    let mut service = service("tls", &[443], &[80]);
    change(&mut service.timeouts);
    let mut world = world_of(10, vec![service]).with_backend();
    world.run(5);
    world
}

const RESET: Status = Status::Closed(Some(net::StreamError::Reset));

#[test]
fn a_client_that_says_nothing_is_reset_when_its_time_is_over() {
    let mut world = with_timeouts(|timeouts| timeouts.handshake = Duration::from_millis(50));
    let silent = world.connect_with(443, None, b"");
    world.run(40);
    assert_eq!(world.status(silent), Status::Open);
    world.run(40);
    assert_eq!(world.status(silent), RESET);
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn a_client_that_stops_within_its_hello_is_reset_when_its_time_is_over() {
    let mut world = with_timeouts(|timeouts| timeouts.handshake = Duration::from_millis(50));
    // The header of a handshake record of 512 bytes (RFC 8446 §5.1), and a ClientHello's beginning.
    let stopped = world.connect_with(443, None, &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
    world.run(40);
    assert_eq!(world.status(stopped), Status::Open);
    world.run(40);
    assert_eq!(world.status(stopped), RESET);
}

#[test]
fn no_time_for_the_handshake_resets_at_once() {
    let mut world = with_timeouts(|timeouts| timeouts.handshake = Duration::ZERO);
    world.connect(b"hello");
    world.run(20);
    assert_eq!(world.status(0), RESET);
    assert!(world.dialled().is_empty());
}

#[test]
fn no_time_to_connect_fails_at_once_except_to_the_host_itself() {
    let mut world = with_timeouts(|timeouts| timeouts.connect = Duration::ZERO);
    world.connect(b"hello");
    world.run(60);
    assert_eq!(world.status(0), RESET);

    let mut service = service("tls", &[443], &[]);
    service.timeouts.connect = Duration::ZERO;
    service.backend = Backend::of([(Place::Loopback(None), 80)], Failover::Priority, false);
    let mut world = world_of(10, vec![service]).with_backend();
    world.run(5);
    world.connect(b"hello");
    world.run(60);
    assert_eq!(world.customers[0].received, b"hello");
}

#[test]
fn no_idle_time_resets_as_soon_as_nothing_moves() {
    let mut world = with_timeouts(|timeouts| timeouts.idle = Duration::ZERO);
    world.connect(b"");
    world.run(60);
    assert_eq!(world.status(0), RESET);
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn no_time_to_close_ends_both_ends_in_order_after_what_was_sent() {
    let mut world = with_timeouts(|timeouts| timeouts.close = Duration::ZERO);
    world.connect(b"hello");
    world.run(60);
    assert_eq!(world.customers[0].received, b"hello");
    let backend = world.backends[0].stream;
    world.backends[0].to_send = b"last words".to_vec();
    world.backends[0].echoes = false;
    world.run(1);
    world.host.stream(backend).unwrap().finish();
    world.run(60);
    let customer = &world.customers[0];
    assert_eq!(customer.received, b"hellolast words");
    assert!(customer.connection.as_ref().unwrap().peer_closed());
    // The client has not ended its direction, and still nobody is reset.
    let end = world.host.stream(backend).unwrap();
    assert!(end.recv_finished(), "{:?}", end.status());
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn without_resets_a_backend_that_is_down_ends_the_client_with_fin() {
    let mut service = service("tls", &[443], &[80]);
    service.reset = false;
    let mut world = world_of(10, vec![service]);
    world.run(5);
    world.connect(b"");
    world.run(100);
    let id = world.customers[0].stream;
    let stream = world.host.stream(id).unwrap();
    assert!(stream.recv_finished(), "{:?}", stream.status());
}

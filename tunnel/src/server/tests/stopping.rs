//! The way to an orderly end.

use channel::{ToGuest, ToHost};
use config::exit::ExitStatus;

use super::{launcher::*, *};

const RESET: Status = Status::Closed(Some(net::StreamError::Reset));

fn serving() -> World {
    let pair = Pair::new();
    let conf = section("one", "accept = 443\nconnect = 80\n");
    let mut world = started(&pair, &conf).with_backend();
    world.run(50);
    world
}

/// Lets time pass until the end, which comes within so many milliseconds.
#[track_caller]
fn ends_within(world: &mut World, milliseconds: usize) {
    for _ in 0..milliseconds {
        if let Some(status) = world.server.ended() {
            return assert_eq!(status, ExitStatus::CleanShutdown);
        }
        world.run(1);
    }
    panic!(
        "it goes on after {milliseconds} ms: {:?}",
        world.server.usage()
    );
}

/// The launcher was told, and last of all.
fn is_told(world: &mut World) {
    let status = ExitStatus::CleanShutdown.value();
    let heard = &world.launcher().heard;
    assert_eq!(heard.last(), Some(&ToHost::Stopping { status }));
    let last = world.launcher().events().last().unwrap();
    assert_eq!(last.text, "Terminated");
}

#[test]
fn an_idle_image_ends_at_once() {
    let mut world = serving();
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    ends_within(&mut world, 50);
    is_told(&mut world);
}

#[test]
fn sessions_may_end_by_themselves_and_nobody_else_gets_in() {
    let mut world = serving();
    let customer = world.is_served(443);
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    world.run(20);
    world.connect(b"hello");
    world.run(1000);
    let refused = Status::Closed(Some(net::StreamError::Refused));
    assert_eq!(world.status(1), refused);
    world.customers[customer].to_send = b" and more".to_vec();
    world.run(60);
    assert_eq!(world.customers[customer].received, b"hello and more");
    assert_eq!(world.server.ended(), None);
    world.leave(customer);
    ends_within(&mut world, 200);
    is_told(&mut world);
    let connection = world.customers[customer].connection.as_ref().unwrap();
    assert!(connection.peer_closed(), "it ended in order");
}

#[test]
fn sessions_that_stay_are_reset_at_both_ends_when_their_time_is_over() {
    let mut world = serving();
    for _ in 0..3 {
        world.is_served(443);
    }
    // And one that has not even said whom it wants.
    let silent = world.connect_with(443, None, b"");
    world.run(10);
    world.order(&ToGuest::Stop { drain_ms: 500 });
    world.run(480);
    assert_eq!(world.server.usage().sessions, 4);
    ends_within(&mut world, 200);
    is_told(&mut world);
    for customer in 0..3 {
        assert_eq!(world.status(customer), RESET);
        let connection = world.customers[customer].connection.as_ref().unwrap();
        assert!(!connection.peer_closed());
    }
    assert_eq!(world.status(silent), RESET);
    for index in 0..3 {
        let id = world.backends[index].stream;
        assert_eq!(world.host.stream(id).unwrap().status(), RESET);
    }
    assert_eq!(world.server.usage().sessions, 0);
    assert_eq!(world.server.usage().sockets, 0);
}

#[test]
fn who_asks_again_has_less_patience() {
    let mut world = serving();
    world.is_served(443);
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    world.run(50);
    world.order(&ToGuest::Stop { drain_ms: 90_000 });
    world.run(50);
    world.order(&ToGuest::Stop { drain_ms: 0 });
    ends_within(&mut world, 200);
    assert_eq!(world.status(0), RESET);
}

#[test]
fn a_client_in_its_tcp_handshake_is_still_served() {
    let mut world = serving();
    world.is_served(443);
    world.leave(0);
    world.run(100);
    let connection = world.client.connect(Some("localhost")).unwrap();
    let late = world.connect_with(443, Some(connection), b"hello");
    let now = world.machine.now;
    while world.host.poll(&mut world.host_nic, now) {}
    world.host.flush(&mut world.host_nic, now);
    while world.server.poll(&mut world.machine).is_none() {}
    assert_eq!(world.server.usage().half_open, 1);
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    world.run(60);
    assert_eq!(world.customers[late].received, b"hello");
    world.leave(late);
    ends_within(&mut world, 200);
}

#[test]
fn a_stranger_that_never_ends_its_tcp_handshake_delays_the_end_by_a_moment_only() {
    let mut world = serving();
    let remote = SocketAddr::new("10.9.0.2".parse().unwrap(), 443);
    let stranger = world.host.connect(remote, world.machine.now).unwrap();
    let now = world.machine.now;
    while world.host.poll(&mut world.host_nic, now) {}
    world.host.flush(&mut world.host_nic, now);
    while world.server.poll(&mut world.machine).is_none() {}
    // What the server answers gets lost.
    world.host_nic.incoming.borrow_mut().clear();
    world.host.release(stranger);
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    ends_within(&mut world, 2000);
}

#[test]
fn no_configuration_is_taken_any_more() {
    let pair = Pair::new();
    let mut world = serving();
    world.is_served(443);
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    let conf = section("one", "accept = 443\nconnect = 80\n");
    let errors = world.reload(1, &pair.archive(&conf)).unwrap_err();
    assert_eq!(errors, ["the image is about to stop"]);
    world.connect(b"hello");
    world.run(20);
    let refused = Status::Closed(Some(net::StreamError::Refused));
    assert_eq!(world.status(1), refused);
}

#[test]
fn a_launcher_that_does_not_listen_is_not_waited_for_long() {
    let mut world = serving();
    world.order(&ToGuest::Stop { drain_ms: 0 });
    let now = world.machine.now;
    let pipes = world.machine.channel.as_mut().unwrap();
    world.launcher.as_mut().unwrap().attend(pipes, now);
    world.launcher().paused = true;
    world.run(900);
    assert_eq!(world.server.ended(), None);
    ends_within(&mut world, 700);
}

#[test]
fn a_listener_that_cannot_be_opened_ends_the_image_and_the_launcher_hears_of_it() {
    let pair = Pair::new();
    let conf = section("one", "accept = 10.9.0.2:443\nconnect = 80\n");
    let mut world = started(&pair, &conf);
    // As when DHCP gives another address than the configuration counts on.
    world.server.stack.listen(None, 443).unwrap();
    for _ in 0..100 {
        world.run(1);
    }
    assert_eq!(world.server.ended(), Some(ExitStatus::Configuration));
    let texts = world.launcher().events();
    let texts: Vec<_> = texts.map(|event| event.text.clone()).collect();
    let told = "Binding service [one] to 10.9.0.2:443: Address already in use (98)";
    assert!(texts.iter().any(|text| text == told), "{texts:?}");
    let status = ExitStatus::Configuration.value();
    let heard = &world.launcher().heard;
    assert_eq!(heard.last(), Some(&ToHost::Stopping { status }));
}

//! What owners may set on a stream, and where connections come from.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::world::*;
use crate::connection::{LINGER, USER_TIMEOUT};
use crate::*;

const SOON: Duration = Duration::from_secs(5);
const RESET: Status = Status::Closed(Some(StreamError::Reset));
const TIMED_OUT: Status = Status::Closed(Some(StreamError::TimedOut));

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// B does not hear A any more.
fn cut(world: &mut World) {
    world.filter = Some(std::boxed::Box::new(|_, _| false));
}

/// How many frames A sends in a time.
fn frames_from_a(world: &mut World, time: Duration) -> usize {
    let count = std::rc::Rc::new(core::cell::Cell::new(0));
    let counter = count.clone();
    world.filter = Some(std::boxed::Box::new(move |from, _| {
        counter.set(counter.get() + usize::from(from == A));
        true
    }));
    world.pass(time);
    world.filter = None;
    count.get()
}

/// Writes two small pieces, one after the other, and gives what has arrived before the first one
/// is acknowledged.
fn first_arrival(nodelay: bool) -> usize {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_nodelay(nodelay);
    world.latency = Duration::from_millis(20);
    for _ in 0..2 {
        world.stream(A, a).send(b"piece");
        let World { hosts, now, .. } = &mut world;
        let Host { stack, card, .. } = &mut hosts[A];
        stack.flush(card, *now);
    }
    let end = world.now + Duration::from_millis(30);
    world.run(SOON, |world| {
        world.now >= end || {
            let arrived = world.stream(B, b).recv_len();
            arrived == 10
        }
    });
    world.stream(B, b).recv_len()
}

#[test]
fn nagle_s_algorithm_waits_for_an_acknowledgment() {
    assert_eq!(first_arrival(true), 10);
    assert_eq!(first_arrival(false), 5);
}

#[test]
fn without_nodelay_everything_arrives_all_the_same() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_nodelay(false);
    for _ in 0..10 {
        assert_eq!(world.stream(A, a).send(b"piece"), 5);
        world.pass(Duration::from_millis(1));
    }
    world.run(SOON, |world| world.stream(B, b).recv_len() == 50);
}

#[test]
fn keep_alive_asks_as_often_as_told_and_then_gives_up() {
    let mut world = World::new();
    let (a, _) = world.connected(V4[B].into());
    world.stream(A, a).set_keep_alive(Some(KeepAlive {
        idle: secs(10),
        interval: secs(5),
        count: 3,
    }));
    world.pass(secs(100));
    assert_eq!(world.status(A, a), Status::Open);
    cut(&mut world);
    // The last answer is less than 10 s old, and three questions of 5 s follow.
    world.pass(secs(14));
    assert_eq!(world.status(A, a), Status::Open);
    world.pass(secs(12));
    assert_eq!(world.status(A, a), TIMED_OUT);
}

#[test]
fn keep_alive_may_be_rarer_than_the_user_time_out() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    for (host, id) in [(A, a), (B, b)] {
        world.stream(host, id).set_keep_alive(Some(KeepAlive {
            idle: secs(7200),
            interval: secs(75),
            count: 9,
        }));
    }
    // What was under way has arrived; the clock jumps to what happens next.
    assert_eq!(frames_from_a(&mut world, secs(7000)), 0);
    assert!(frames_from_a(&mut world, secs(400)) > 0);
    assert_eq!(world.status(A, a), Status::Open);
    assert_eq!(world.status(B, b), Status::Open);
}

#[test]
fn without_keep_alive_an_idle_connection_lives_in_silence() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_keep_alive(None);
    world.stream(B, b).set_keep_alive(None);
    assert_eq!(frames_from_a(&mut world, secs(100_000)), 0);
    assert_eq!(world.status(A, a), Status::Open);
    world.stream(A, a).send(b"still here");
    world.run(SOON, |world| world.stream(B, b).recv_len() == 10);
    // And data that nobody acknowledges ends it as ever.
    world.pass(secs(100_000));
    cut(&mut world);
    world.stream(A, a).send(b"hello?");
    world.pass(USER_TIMEOUT - secs(5));
    assert_eq!(world.status(A, a), Status::Open);
    world.pass(secs(10));
    assert_eq!(world.status(A, a), TIMED_OUT);
}

#[test]
fn a_fin_after_a_long_silence_has_as_long_as_any_other() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_keep_alive(None);
    world.stream(B, b).set_keep_alive(None);
    world.pass(secs(100_000));
    world.stream(A, a).finish();
    world.run(SOON, |world| world.stream(B, b).recv_finished());
    assert_eq!(world.status(A, a), Status::Open);
    world.pass(secs(100_000));
    world.stream(B, b).finish();
    world.run(SOON, |world| {
        world.status(A, a) == Status::Closed(None) && world.status(B, b) == Status::Closed(None)
    });
}

#[test]
fn a_fin_that_nobody_acknowledges_is_given_up() {
    let mut world = World::new();
    let (a, _) = world.connected(V4[B].into());
    world.stream(A, a).set_keep_alive(None);
    world.pass(secs(1000));
    cut(&mut world);
    world.stream(A, a).finish();
    world.pass(USER_TIMEOUT - secs(5));
    assert_eq!(world.status(A, a), Status::Open);
    world.pass(secs(10));
    assert_eq!(world.status(A, a), TIMED_OUT);
}

#[test]
fn no_linger_resets_at_release() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_linger(Duration::ZERO);
    world.stream(A, a).send(b"never delivered");
    world.hosts[A].stack.release(a);
    world.run(SOON, |world| world.status(B, b) == RESET);
    world.run(SOON, |world| world.hosts[A].stack.sockets() == 0);
}

#[test]
fn no_linger_resets_nothing_that_has_ended() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_linger(Duration::ZERO);
    world.stream(A, a).send(b"all of it");
    world.stream(A, a).finish();
    world.run(SOON, |world| world.stream(B, b).peer_finished());
    world.stream(B, b).finish();
    let ended = Status::Closed(None);
    world.run(SOON, |world| world.status(A, a) == ended);
    world.hosts[A].stack.release(a);
    world.pass(secs(1));
    assert_eq!(world.read(B, b), b"all of it");
    assert_eq!(world.status(B, b), ended);
}

#[test]
fn linger_bounds_the_time_to_deliver() {
    let mut world = World::new();
    let (a, b) = world.connected(V4[B].into());
    world.stream(A, a).set_linger(secs(4));
    world.hosts[A].stack.release(a);
    world.pass(secs(3));
    assert_eq!(world.hosts[A].stack.sockets(), 1);
    world.pass(secs(2));
    assert_eq!(world.hosts[A].stack.sockets(), 0);
    assert_eq!(world.status(B, b), RESET);
    // Nobody waits longer than the longest time.
    let (a, _) = world.connected(V4[B].into());
    world.stream(A, a).set_linger(secs(3600));
    world.hosts[A].stack.release(a);
    world.pass(LINGER + secs(1));
    assert_eq!(world.hosts[A].stack.sockets(), 0);
}

#[test]
fn connections_come_from_the_address_that_is_asked_for() {
    let mut world = World::new();
    world.hosts[B].stack.listen(None, 443).unwrap();
    let remote = SocketAddr::new(V6[B].into(), 443);
    let mut connect = |local: IpAddr| {
        let now = world.now;
        let stack = &mut world.hosts[A].stack;
        stack.connect_from(Some(local), remote, now).map(|id| {
            let stream = stack.stream(id).unwrap();
            stream.local().ip()
        })
    };
    let link_local: IpAddr = "fe80::ff:fe00:1".parse().unwrap();
    assert_eq!(connect(V6[A].into()), Ok(V6[A].into()));
    assert_eq!(connect(link_local), Ok(link_local));
    for other in [V6[B].into(), V4[A].into(), V4[B].into()] {
        assert_eq!(connect(other), Err(ConnectError::NotOurAddress));
    }
}

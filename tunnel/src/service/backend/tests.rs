//! Which address comes when.

use alloc::vec;
use std::net::Ipv4Addr;

use super::*;

fn addresses() -> Addresses {
    Addresses {
        ipv4: Some((Ipv4Addr::new(10, 0, 0, 2), 24)),
        ipv4_gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
        ..Addresses::default()
    }
}

fn place(last: u8) -> (Place, u16) {
    (Place::Address(Ipv4Addr::new(10, 0, 0, last).into()), 80)
}

fn three(failover: Failover) -> Backend {
    Backend::of([place(11), place(12), place(13)], failover, false)
}

/// The last parts of the addresses that one connection tries, in order.
fn order(backend: &mut Backend, route: &mut Route) -> Vec<u8> {
    let addresses = addresses();
    core::iter::from_fn(|| route.next(backend, &addresses))
        .map(|candidate| match candidate.address.ip() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        })
        .collect()
}

#[test]
fn priority_begins_with_the_first_each_time() {
    let mut backend = three(Failover::Priority);
    backend.shuffle(5);
    for _ in 0..3 {
        let tried = order(&mut backend, &mut Route::default());
        assert_eq!(tried, [11, 12, 13]);
    }
}

#[test]
fn round_robin_begins_anywhere_and_one_further_each_time() {
    let mut backend = three(Failover::RoundRobin);
    backend.shuffle(4);
    let mut tried = || order(&mut backend, &mut Route::default());
    assert_eq!(tried(), [12, 13, 11]);
    assert_eq!(tried(), [13, 11, 12]);
    assert_eq!(tried(), [11, 12, 13]);
    assert_eq!(tried(), [12, 13, 11]);
}

#[test]
fn looking_ahead_takes_one_turn_and_is_what_comes() {
    let mut backend = three(Failover::RoundRobin);
    let addresses = addresses();
    let mut route = Route::default();
    for _ in 0..2 {
        let peeked = route.peek(&mut backend, &addresses);
        assert_eq!(peeked.map(|candidate| candidate.address.port()), Some(80));
    }
    assert_eq!(order(&mut backend, &mut route), [11, 12, 13]);
    assert_eq!(order(&mut backend, &mut Route::default()), [12, 13, 11]);
}

#[test]
fn a_kept_backend_comes_first_and_only_once() {
    let mut backend = three(Failover::Priority);
    let mut route = Route::default();
    route.prefer("10.0.0.13:80".parse().unwrap());
    assert_eq!(order(&mut backend, &mut route), [13, 11, 12]);
}

#[test]
fn a_kept_backend_that_is_gone_is_forgotten() {
    let mut backend = three(Failover::Priority);
    let mut route = Route::default();
    route.prefer("10.0.0.99:80".parse().unwrap());
    assert_eq!(order(&mut backend, &mut route), [11, 12, 13]);
}

#[test]
fn loopback_is_the_gateway_of_its_kind_or_the_other() {
    let mut backend = Backend::of(
        [
            (Place::Loopback(Some("127.0.0.1".parse().unwrap())), 1),
            (Place::Loopback(Some("::1".parse().unwrap())), 2),
            (Place::Loopback(None), 3),
        ],
        Failover::Priority,
        false,
    );
    let mut addresses = addresses();
    let all = |backend: &Backend, addresses: &Addresses| -> Vec<String> {
        let candidates = backend.candidates(addresses);
        candidates
            .map(|candidate| {
                assert!(candidate.loopback);
                std::format!("{}", candidate.address)
            })
            .collect()
    };
    assert_eq!(
        all(&backend, &addresses),
        ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]
    );
    addresses.ipv6_gateway = Some("fd00::1".parse().unwrap());
    assert_eq!(
        all(&backend, &addresses),
        ["10.0.0.1:1", "[fd00::1]:2", "10.0.0.1:3", "[fd00::1]:3"]
    );
    addresses.ipv4_gateway = None;
    addresses.ipv6_gateway = None;
    assert_eq!(Route::default().next(&mut backend, &addresses), None);
}

/// A stack that hands out queries.
fn query(stack: &mut Vec<String>, name: &str) -> Result<QueryId, ResolveError> {
    stack.push(name.into());
    Err(ResolveError::NoServer)
}

#[test]
fn a_name_is_asked_for_again_only_after_a_while() {
    let mut backend = Backend::of(
        [(Place::Name("db.example".into()), 1), place(12)],
        Failover::Priority,
        false,
    );
    let mut asked = vec![];
    let mut failed = 0;
    let mut look_up = |backend: &mut Backend, now| {
        backend.look_up(
            now,
            false,
            |name| query(&mut asked, name),
            |_, _| failed += 1,
        );
        (asked.len(), failed)
    };
    assert_eq!(look_up(&mut backend, Instant::ZERO), (1, 1));
    assert_eq!(look_up(&mut backend, Instant::ZERO), (1, 1));
    assert_eq!(backend.retry_at(), Some(Instant::ZERO + RETRY));
    let later = Instant::ZERO + RETRY;
    assert_eq!(look_up(&mut backend, later), (2, 2));
    // The other place serves meanwhile.
    assert_eq!(order(&mut backend, &mut Route::default()), [12]);
    assert!(!backend.is_worth_waiting(&addresses()));
}

#[test]
fn with_delay_names_are_asked_for_by_connections_alone_and_order_is_priority() {
    let mut backend = Backend::of(
        [(Place::Name("db.example".into()), 1), place(12), place(13)],
        Failover::RoundRobin,
        true,
    );
    backend.shuffle(1);
    let mut asked = vec![];
    backend.look_up(
        Instant::ZERO,
        false,
        |name| query(&mut asked, name),
        |_, _| {},
    );
    assert!(asked.is_empty());
    assert_eq!(backend.retry_at(), None);
    backend.look_up(
        Instant::ZERO,
        true,
        |name| query(&mut asked, name),
        |_, _| {},
    );
    assert_eq!(asked, ["db.example"]);
    assert_eq!(order(&mut backend, &mut Route::default()), [12, 13]);
}

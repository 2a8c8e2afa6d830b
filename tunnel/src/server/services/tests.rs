//! Generations of services come and go.

use alloc::{string::ToString, vec};

use super::*;
use crate::{
    journal::{Channel, LogId, Severity},
    service::{
        Backend, Tls, VirtualHost,
        backend::{Failover, Place as Target},
    },
};

/// A client's service: the one that needs least to be made.
fn service(name: &str) -> Service {
    let options = tls::ClientOptions {
        verify: tls::VerifyMode::None,
        ..tls::ClientOptions::new(Vec::new(), tls::WallClock::new(1_800_000_000))
    };
    Service::new(
        Channel::new(name, Severity::Debug, LogId::Sequential),
        Vec::new(),
        Tls::Client {
            client: tls::Client::new(options).unwrap(),
            server_name: None,
        },
        Backend::of([(Target::Gateway, 80)], Failover::Priority, false),
    )
}

/// A primary and its virtual service.
fn pair() -> Vec<Service> {
    let mut primary = service("primary");
    primary.virtual_hosts = vec![VirtualHost::new("blue.example", 1)];
    vec![primary, service("blue")]
}

fn names(services: &Services) -> Vec<&str> {
    let places = services.places.iter().flatten();
    places.map(|place| place.service.channel.name()).collect()
}

fn replace(services: &mut Services, next: Vec<Service>, memory: usize) {
    for index in services.install(next, memory) {
        services.release(index);
    }
}

#[test]
fn a_generation_that_nobody_uses_goes_at_once() {
    let mut services = Services::new(pair());
    assert_eq!(services.current(), [0, 1]);
    replace(&mut services, vec![service("next")], 7);
    assert_eq!(names(&services), ["next"]);
    assert_eq!(services.memory(), 7);
    // Its places are used again.
    replace(&mut services, pair(), 8);
    replace(&mut services, pair(), 9);
    assert_eq!(services.count(), 2);
    assert!(services.places() <= 5);
    assert_eq!(services.memory(), 9);
}

#[test]
fn a_service_stays_until_its_last_session_has_ended() {
    let mut services = Services::new(vec![service("one"), service("two")]);
    services.set_memory(100);
    services.enter(0);
    services.enter(0);
    replace(&mut services, vec![service("one")], 10);
    assert_eq!(names(&services), ["one", "one"]);
    assert!(services.is_retired(0) && !services.is_retired(2));
    assert_eq!(services.memory(), 110);
    assert_eq!(services.old_sessions(), 2);
    assert!(!services.leave(0));
    assert!(services.leave(0));
    assert_eq!(services.memory(), 10);
    let activity = services.activity(2).unwrap();
    assert_eq!((activity.sessions, activity.accepted), (0, 2));
}

#[test]
fn a_primary_keeps_its_virtual_services_and_they_don_t_keep_it() {
    let mut services = Services::new(pair());
    services.enter(0);
    services.enter(1);
    replace(&mut services, pair(), 0);
    let hosts = &services.get(2).unwrap().virtual_hosts;
    assert_eq!(hosts[0].service, 3);
    assert_eq!(services.count(), 4);
    services.leave(1);
    assert_eq!(
        services.count(),
        4,
        "the primary may still hand clients over"
    );
    services.leave(0);
    assert_eq!(names(&services), ["primary", "blue"]);
    services.enter(2);
    services.hand_over(2, 3);
    replace(&mut services, vec![service("else")], 0);
    let mut left: Vec<_> = names(&services);
    left.sort_unstable();
    assert_eq!(left, ["blue", "else"]);
}

#[test]
fn what_earlier_services_need_is_counted_as_long_as_they_are_there() {
    let mut lean = service("lean");
    lean.tls = Tls::Server(server());
    let mut services = Services::new(vec![service("client")]);
    let alone = services.needs(None);
    assert!(alone.peer_certificates);
    services.enter(0);
    let next = [lean];
    let both = services.needs(Some(&next));
    assert!(both.peer_certificates);
    assert!(both.kept_sessions >= next[0].kept_sessions);
    replace(&mut services, next.into(), 0);
    assert_eq!(services.needs(None), both);
    services.leave(0);
    assert!(!services.needs(None).peer_certificates);
}

fn server() -> tls::Server {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let identity =
        tls::Identity::from_pem(chain.as_bytes(), key.as_bytes(), tls::Provider::Ring).unwrap();
    let clock = tls::WallClock::new(1_800_000_000);
    tls::Server::new(tls::ServerOptions::new(identity, clock)).unwrap()
}

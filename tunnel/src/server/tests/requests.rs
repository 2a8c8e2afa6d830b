//! Requests: each to the backend of its host, by connections that are kept.

use super::*;
use crate::service::VirtualHost;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Services on 443 whose clients speak HTTP: `a.example` on 81, `b.example` on 82; and `c.example`,
/// whose bytes are carried as they are, on 83.
fn services() -> Vec<Service> {
    let host = |name: &str, port: u16| Service {
        requests: Some(http::Options::default().into()),
        ..service(name, &[], &[port])
    };
    let names = ["a.example", "b.example", "c.example"];
    let front = Service {
        virtual_hosts: (1..)
            .zip(names)
            .map(|(index, name)| VirtualHost::of_host(name, index))
            .collect(),
        ..service("https", &[443], &[80])
    };
    Vec::from([
        front,
        host("a.example", 81),
        host("b.example", 82),
        service("c.example", &[], &[83]),
    ])
}

fn world() -> World {
    let mut world = world_of(20, services()).with_backends(&[81, 82, 83]);
    world.mute = true;
    world.run(5);
    world
}

fn get(host: &str) -> String {
    std::format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

impl World {
    /// A customer who asks for `a.example` in TLS and says this.
    fn request(&mut self, text: &str) -> usize {
        let connection = self.client.connect(Some("a.example")).unwrap();
        let customer = self.connect_with(443, Some(connection), text.as_bytes());
        self.run(60);
        customer
    }

    fn say_more(&mut self, customer: usize, text: &str) {
        self.customers[customer].to_send.extend(text.bytes());
        self.run(40);
    }

    /// Whether nothing more will come for a customer.
    fn is_let_go(&mut self, customer: usize) -> bool {
        let stream = self.customers[customer].stream;
        self.host.stream(stream).unwrap().recv_finished()
    }

    fn answer(&mut self, backend: usize, text: &str) {
        self.backends[backend].to_send.extend(text.bytes());
        self.run(40);
    }

    fn read(&self, customer: usize) -> String {
        String::from_utf8(self.customers[customer].received.clone()).unwrap()
    }

    fn heard(&self, backend: usize) -> String {
        String::from_utf8(self.backends[backend].received.clone()).unwrap()
    }
}

#[test]
fn requests_go_to_their_hosts_and_backends_are_kept() {
    let mut world = world();
    let customer = world.request(&get("a.example"));
    assert!(world.heard(0).contains("\r\nX-Forwarded-For: 10.9.0.1\r\n"));
    assert!(world.heard(0).contains("\r\nX-Forwarded-Proto: https\r\n"));
    world.answer(0, OK);
    assert_eq!(world.read(customer), OK);
    world.say_more(customer, &get("B.example:443"));
    world.answer(1, OK);
    world.say_more(customer, &get("a.example"));
    world.answer(0, OK);
    assert_eq!(world.read(customer), OK.repeat(3));
    assert_eq!(world.dialled(), [81, 82]);
    assert_eq!(world.server.kept.len(), 2);
    // Another client's request goes by the same connection.
    let other = world.request(&get("a.example"));
    world.answer(0, OK);
    assert_eq!(world.read(other), OK);
    assert_eq!(world.dialled(), [81, 82]);
}

#[test]
fn hosts_that_are_not_for_requests_are_told_apart() {
    let mut world = world();
    for (host, status) in [("x.example", "404"), ("c.example", "421")] {
        let customer = world.request(&get(host));
        let text = world.read(customer);
        assert!(
            text.starts_with(&std::format!("HTTP/1.1 {status} ")),
            "{text}"
        );
        assert!(world.is_let_go(customer));
    }
    assert!(world.dialled().is_empty());
}

#[test]
fn a_backend_that_is_down_is_a_page_and_the_next_request_is_served() {
    let mut world = world_of(20, services()).with_backends(&[82]);
    world.mute = true;
    world.run(5);
    let customer = world.request(&get("a.example"));
    world.run(300);
    let text = world.read(customer);
    assert!(text.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{text}");
    let other = world.request(&get("b.example"));
    world.answer(0, OK);
    assert_eq!(world.read(other), OK);
}

#[test]
fn a_kept_connection_that_the_backend_ends_is_forgotten() {
    let mut world = world();
    let customer = world.request(&get("a.example"));
    world.answer(0, OK);
    assert_eq!(world.server.kept.len(), 1);
    let stream = world.backends[0].stream;
    world.host.stream(stream).unwrap().finish();
    world.run(40);
    assert_eq!(world.server.kept.len(), 0);
    world.say_more(customer, &get("a.example"));
    world.answer(1, OK);
    assert_eq!(world.read(customer), OK.repeat(2));
}

#[test]
fn kept_connections_end_when_nobody_needs_them() {
    let mut world = world();
    world.request(&get("a.example"));
    world.answer(0, OK);
    assert_eq!(world.server.kept.len(), 1);
    world.run(21_000);
    assert_eq!(world.server.kept.len(), 0);
    let stream = world.backends[0].stream;
    assert!(world.host.stream(stream).unwrap().recv_finished());
}

#[test]
fn a_client_that_asks_nothing_more_is_let_go() {
    let mut world = world();
    let customer = world.request(&get("a.example"));
    world.answer(0, OK);
    world.run(74_000);
    assert_eq!(world.server.usage().sessions, 1);
    world.run(2_000);
    assert_eq!(world.server.usage().sessions, 0);
    assert!(world.is_let_go(customer));
}

#[test]
fn a_silent_backend_is_a_page_and_a_slow_head_too() {
    let mut world = world();
    let customer = world.request(&get("a.example"));
    let slow = world.request("GET / HTTP/1.1\r\nHo");
    world.run(61_000);
    let (silent, slow) = (world.read(customer), world.read(slow));
    assert!(silent.starts_with("HTTP/1.1 504 "), "{silent}");
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
}

#[test]
fn a_body_that_stops_is_the_fault_of_whom_it_stops_at() {
    // The client stops.
    let mut world = world();
    let customer =
        world.request("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nhalf");
    assert!(world.heard(0).ends_with("half"));
    world.run(61_000);
    let text = world.read(customer);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    let stream = world.backends[0].stream;
    assert!(world.host.stream(stream).unwrap().recv_finished());
    assert_eq!(world.server.kept.len(), 0);
    // The backend does, within its answer: too late for a page.
    let customer = world.request(&get("a.example"));
    world.answer(1, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    world.run(61_000);
    assert!(world.read(customer).ends_with("\r\n\r\nhalf"));
    let reset = Status::Closed(Some(net::StreamError::Reset));
    assert_eq!(world.status(customer), reset);
    assert_eq!(world.server.kept.len(), 0);
}

#[test]
fn a_head_that_comes_byte_by_byte_has_a_limit() {
    let mut world = world();
    let customer = world.request("GET / HTTP/1.1\r\nX-Slow: ");
    for _ in 0..5 {
        world.run(10_000);
        world.say_more(customer, "a");
    }
    assert_eq!(world.read(customer), "");
    world.run(11_000);
    let text = world.read(customer);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    // The next head of a connection has all of its time again.
    let customer = world.request("GET / HTTP/1.1\r\nX-Slow: ");
    world.run(50_000);
    world.say_more(customer, "a\r\nHost: a.example\r\n\r\nGET / ");
    world.answer(0, OK);
    world.run(50_000);
    world.say_more(customer, "HTTP/1.1\r\nHost: a.example\r\n\r\n");
    world.answer(1, OK);
    assert_eq!(world.read(customer), OK.repeat(2));
}

#[test]
fn an_answer_that_is_cut_off_resets_the_client() {
    let mut world = world();
    let customer = world.request(&get("a.example"));
    world.answer(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    let stream = world.backends[0].stream;
    world.host.stream(stream).unwrap().finish();
    world.run(40);
    assert!(world.read(customer).ends_with("half"));
    let reset = Status::Closed(Some(net::StreamError::Reset));
    assert_eq!(world.status(customer), reset);
}

#[test]
fn large_bodies_go_both_ways_whole() {
    let mut world = world();
    let body: String = (0..200_000)
        .map(|index| char::from(b'a' + (index % 23) as u8))
        .collect();
    let head = std::format!(
        "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let customer = world.request(&(head + &body));
    world.run(400);
    assert!(world.heard(0).ends_with(&body));
    let head = std::format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    world.answer(0, &(head.clone() + &body));
    world.run(400);
    assert!(world.read(customer) == head + &body);
}

#[test]
fn another_protocol_takes_the_connection_over() {
    let mut world = world();
    let customer = world.request(
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    world.answer(
        0,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst",
    );
    world.say_more(customer, "GET is no request here");
    assert!(world.read(customer).ends_with("\r\n\r\nfirst"));
    assert!(world.heard(0).ends_with("GET is no request here"));
    world.answer(0, "second");
    assert!(world.read(customer).ends_with("firstsecond"));
}

#[test]
fn a_client_that_goes_on_asking_learns_of_new_services() {
    let mut world = world();
    let customer = world.request(&get("a.example"));
    world.answer(0, OK);
    let now = world.machine.now;
    let mut next = services();
    next.get_mut(1).unwrap().backend = backend(&[82], Failover::Priority);
    world.server.replace(next, 0, now).unwrap();
    // It is served by what it began with once more, and told to come anew.
    world.say_more(customer, &get("a.example"));
    assert_eq!(world.dialled(), [81, 81]);
    world.answer(1, OK);
    let text = world.read(customer);
    assert!(text.ends_with("Connection: close\r\n\r\nok"), "{text}");
    world.run(100);
    assert_eq!(world.server.usage().sessions, 0);
    let other = world.request(&get("a.example"));
    assert_eq!(world.dialled(), [81, 81, 82]);
    world.answer(2, OK);
    assert_eq!(world.read(other), OK);
    assert_eq!(world.server.services.count(), 4);
}

#[test]
fn sessions_lend_the_memory_of_backends_that_they_do_not_need() {
    let mut world = world();
    let customers: Vec<usize> = (0..20).map(|_| world.request(&get("a.example"))).collect();
    for backend in 0..20 {
        world.answer(backend, OK);
    }
    assert!(customers.iter().all(|it| world.read(*it) == OK));
    assert_eq!(world.server.kept.len(), 20);
    for customer in &customers {
        world.say_more(*customer, &get("a.example"));
    }
    assert_eq!(world.dialled().len(), 20, "nobody is dialled again");
    assert_eq!(world.server.kept.len(), 0);
    for backend in 0..20 {
        world.answer(backend, OK);
    }
    for customer in customers {
        let stream = world.customers[customer].stream;
        world.host.stream(stream).unwrap().finish();
    }
    world.run(100);
    assert_eq!(world.server.kept.len(), 16);
}

//! Hosts by name out of the boot archive, from the start of the machine on.

use channel::{Kind, ToGuest, ToHost};

use super::{launcher::*, *};

const LINE: &[u8] = b"--ipv4=10.9.0.2/24 --ipv4-gateway=10.9.0.1 --accept=443 --connect=80 \
                      --hosts=file:hosts --http=8080 --log=debug";

fn both(name: &str) -> String {
    let (chain, key) = certificate(name);
    chain + &key
}

fn json(name: &str, backend: u16) -> String {
    let (certificate, key) = certificate(name);
    let pair = store::host::Pair {
        chain: vec![certificate],
        key,
    };
    let host = store::host::Host::new(pair, "10.9.0.1".parse().unwrap(), backend);
    String::from_utf8(host.to_file()).unwrap()
}

impl World {
    fn fetch(&mut self, name: Option<&str>, text: &[u8]) -> usize {
        let options = ClientOptions {
            resumption: false,
            ..client_options()
        };
        let connection = Client::new(options).unwrap().connect(name).unwrap();
        let customer = self.connect_with(443, Some(connection), text);
        self.run(60);
        customer
    }

    fn serial(&self, customer: usize) -> String {
        let connection = self.customers[customer].connection.as_ref().unwrap();
        connection.peer().unwrap().serial
    }

    fn texts(&mut self, kind: Kind) -> Vec<String> {
        let events = self.launcher().events();
        let events = events.filter(|event| event.kind == kind);
        events.map(|event| event.text.clone()).collect()
    }
}

#[test]
fn pem_and_json_hosts_are_served_and_told_of() {
    let (one, two) = (both("one.example"), json("two.example", 81));
    let files = [
        ("hosts/one.example.pem", &*one),
        ("hosts/two.example.json", &two),
    ];
    let mut world = started_with(LINE, &archive(&files)).with_backends(&[80, 81]);
    world.run(50);
    let bytes = world.fetch(Some("one.example"), b"hello");
    assert_eq!(world.customers[bytes].received, b"hello");
    // What its own words come to, which are no answer, is a page.
    let request = b"GET / HTTP/1.1\r\nHost: two.example\r\n\r\n";
    let requests = world.fetch(Some("two.example"), request);
    let page = b"HTTP/1.1 502 Bad Gateway\r\n";
    assert!(world.customers[requests].received.starts_with(page));
    assert_eq!(world.dialled(), [80, 81]);
    let ready = world
        .launcher()
        .heard
        .iter()
        .find_map(|message| match message {
            ToHost::Ready { listening, .. } => Some(listening.clone()),
            _ => None,
        });
    let told: Vec<String> = ready
        .unwrap()
        .iter()
        .map(|it| std::format!("{} {} {}", it.service, it.address, it.backend))
        .collect();
    let expected = [
        "https 10.9.0.2:443 the hosts that clients ask for",
        "http 10.9.0.2:8080 nowhere: it is answered here",
    ];
    assert_eq!(told, expected);
    let status = world.ask(1);
    let services = status.services.iter();
    let services: Vec<_> = services
        .map(|it| (it.name.as_str(), it.accepted_total, it.backends.join(",")))
        .collect();
    let expected = [
        ("https", 0, ""),
        ("one.example", 1, "gateway:80"),
        ("two.example", 1, "10.9.0.1:81"),
        ("http", 0, ""),
    ];
    assert_eq!(services, expected.map(|(a, b, c)| (a, b, c.to_string())));
}

#[test]
fn the_log_tells_who_was_turned_away_and_what_was_answered() {
    let one = both("one.example");
    let mut world = started_with(LINE, &archive(&[("hosts/one.example.pem", &one)]));
    world.run(50);
    world.fetch(Some("two.example"), b"hello");
    world.fetch(None, b"hello");
    let failed = world.texts(Kind::HandshakeFailed);
    assert_eq!(
        failed,
        [
            "SNI: no host is served by the name two.example",
            "SNI: no servername received"
        ]
    );
    world.connect_with(8080, None, b"GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n");
    world.run(50);
    let lines = world.texts(Kind::Line);
    let answered = "HTTP: 301 Moved Permanently: /a".to_string();
    assert!(lines.contains(&answered), "{lines:?}");
    let closed = world.texts(Kind::Closed);
    let last = closed.last().unwrap();
    assert!(
        last.starts_with("Connection closed: 0 byte(s) sent to TLS, 1"),
        "{last}"
    );
}

#[test]
fn a_reload_shows_renewed_files_and_keeps_what_lives() {
    let (first, second, other) = (
        both("one.example"),
        both("one.example"),
        both("two.example"),
    );
    let files = |one: &str| {
        archive(&[
            ("hosts/one.example.pem", one),
            ("hosts/two.example.pem", &other),
        ])
    };
    let mut world = started_with(LINE, &files(&first)).with_backend();
    world.run(50);
    let living = world.fetch(Some("one.example"), b"hello");
    let before = world.serial(living);
    assert_eq!(world.reload(1, &files(&second)), Ok(()));
    let new = world.fetch(Some("one.example"), b"hello");
    assert_ne!(world.serial(new), before);
    world.customers[living].to_send = b" and on".to_vec();
    world.run(60);
    assert_eq!(world.customers[living].received, b"hello and on");
    // What can't be served changes nothing.
    let (chain, _) = certificate("one.example");
    let errors = world.reload(2, &files(&chain)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("one.example: "), "{errors:?}");
    let same = world.fetch(Some("one.example"), b"hello");
    assert_eq!(world.serial(same), world.serial(new));
}

#[test]
fn five_hundred_hosts_fit_a_status() {
    let one = both("host.example");
    let names: Vec<String> = (0..500)
        .map(|n| std::format!("hosts/host-number-{n}.example.org.pem"))
        .collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &*one)).collect();
    let mut world = started_with(LINE, &archive(&files)).with_backend();
    world.run(50);
    let customer = world.fetch(Some("host-number-499.example.org"), b"hello");
    assert_eq!(world.customers[customer].received, b"hello");
    let status = world.ask(1);
    assert_eq!(status.services.len(), 502);
    // There is room for connections besides, in a machine with 64 MiB.
    assert!(status.admission > 100, "{}", status.admission);
}

#[test]
fn a_stop_waits_for_requests_and_for_no_further_ones() {
    let two = json("two.example", 81);
    let files = [("hosts/two.example.json", &*two)];
    let mut world = started_with(LINE, &archive(&files)).with_backends(&[81]);
    world.mute = true;
    world.run(50);
    let request = b"GET / HTTP/1.1\r\nHost: two.example\r\n\r\n";
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    let idle = world.fetch(Some("two.example"), request);
    world.backends[0].to_send.extend(answer);
    world.run(40);
    assert_eq!(world.customers[idle].received, answer);
    // Two backends' connections: one that is kept, and one that is in use.
    let kept = world.fetch(Some("two.example"), request);
    let busy = world.fetch(Some("two.example"), request);
    world.backends[0].to_send.extend(answer);
    world.run(40);
    assert_eq!(world.customers[kept].received, answer);
    assert_eq!(world.dialled(), [81, 81]);
    world.order(&ToGuest::Stop { drain_ms: 60_000 });
    world.run(60);
    for customer in [idle, kept] {
        let connection = world.customers[customer].connection.as_ref().unwrap();
        assert!(connection.peer_closed(), "it ended in order");
    }
    assert_eq!(world.server.ended(), None);
    world.backends[1].to_send.extend(answer);
    world.run(200);
    let last = &b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"[..];
    assert_eq!(world.customers[busy].received, last);
    for customer in [idle, kept, busy] {
        world.leave(customer);
    }
    for backend in &world.backends {
        let mut stream = world.host.stream(backend.stream).unwrap();
        assert!(stream.peer_finished());
        stream.finish();
    }
    world.run(200);
    let clean = config::exit::ExitStatus::CleanShutdown;
    assert_eq!(world.server.ended(), Some(clean));
}

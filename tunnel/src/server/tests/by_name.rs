//! Hosts that are served by name, what is answered in the clear, and states that follow each other.

use alloc::sync::Arc;

use config::{Accept, Connect, Zeroizing};

use super::*;
use crate::{
    hosting::{self, Kept, Proof, Site, Sites, Token},
    service::conf::{Ground, OwnAddress},
};

/// Fatal alerts of RFC 8446 §6.2 in a record of the clear.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

pub(super) fn ground() -> Ground {
    Ground {
        provider: tls::Provider::Ring,
        clock: clock(),
        level: Severity::Debug,
        published: false,
        ipv4: OwnAddress::Unknown,
        ipv6: OwnAddress::None,
    }
}

/// A certificate whose subject is `name`, and the key.
fn named(name: &str) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let common = rcgen::DnType::CommonName;
    params.distinguished_name.push(common, name);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn site(name: &str, backend: u16) -> Site {
    let (chain, key) = named(name);
    Site {
        names: vec![name.into()],
        chain: chain.into(),
        key: Arc::new(Zeroizing::new(key)),
        backend: Connect {
            host: None,
            port: backend,
        },
        alpn: Vec::new(),
        requests: None,
    }
}

fn proof(name: &str) -> Proof {
    let (certificate, key) = named(&std::format!("proof of {name}").replace(' ', "-"));
    Proof {
        name: name.into(),
        certificate: certificate.into(),
        key: Arc::new(Zeroizing::new(key)),
    }
}

fn accept(port: u16) -> Accept {
    Accept { host: None, port }
}

/// Three hosts with backends on 81 to 83, and HTTP.
fn sites() -> Sites {
    let hosts = [("a.example", 81), ("b.example", 82), ("*.c.example", 83)];
    Sites {
        hosts: hosts.map(|(name, port)| site(name, port)).to_vec(),
        https: Some(accept(443)),
        http: Some(accept(80)),
        ..Sites::default()
    }
}

/// A world that serves by name, and what its services keep.
fn by_name(sites: &Sites) -> (World, Kept) {
    let mut kept = Kept::default();
    let (services, left_out) = hosting::services(sites, &mut kept, &ground());
    assert_eq!(left_out, []);
    let mut world = world_of(200, services).with_backends(&[81, 82, 83]);
    world.client = client(&[]);
    world.run(5);
    (world, kept)
}

fn client(alpn: &[&str]) -> Client {
    let options = ClientOptions {
        resumption: false,
        alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ..client_options()
    };
    Client::new(options).unwrap()
}

impl World {
    /// Puts another state in force.
    fn install(&mut self, sites: &Sites, kept: &mut Kept) {
        let (services, left_out) = hosting::services(sites, kept, &ground());
        assert_eq!(left_out, []);
        let (now, memory) = (self.machine.now, hosting::memory(sites));
        self.server.replace(services, memory, now).unwrap();
    }

    fn ask_for(&mut self, client: &Client, name: Option<&str>) -> usize {
        let connection = client.connect(name).unwrap();
        let customer = self.connect_with(443, Some(connection), b"hello");
        self.run(60);
        customer
    }

    fn handshake(&self, customer: usize) -> &tls::Handshake {
        let connection = self.customers[customer].connection.as_ref().unwrap();
        connection.handshake().unwrap()
    }

    /// The subject of the certificate that a customer was shown.
    fn shown(&self, customer: usize) -> String {
        let connection = self.customers[customer].connection.as_ref().unwrap();
        let peer = connection.peer().unwrap();
        std::format!("{} {}", peer.subject, peer.serial)
    }

    /// Connects in the clear, says something, and waits; what came, and how it stands.
    fn say(&mut self, port: u16, text: &[u8]) -> (String, Status) {
        let customer = self.connect_with(port, None, text);
        self.run(60);
        let received = self.customers[customer].received.clone();
        (String::from_utf8(received).unwrap(), self.status(customer))
    }
}

/// A client's hello in bytes.
fn hello(client: &Client, name: Option<&str>) -> Vec<u8> {
    let mut connection = client.connect(name).unwrap();
    let mut hello = vec![0; connection.pending_output()];
    connection.transmit(&mut hello);
    hello
}

#[test]
fn the_name_in_the_hello_picks_certificate_and_backend() {
    let (mut world, _) = by_name(&sites());
    let anybody = client(&[]);
    for (name, subject, backend) in [
        ("a.example", "CN=a.example ", 81),
        ("B.Example", "CN=b.example ", 82),
        ("x.c.example", "CN=*.c.example ", 83),
    ] {
        let customer = world.ask_for(&anybody, Some(name));
        assert_eq!(world.customers[customer].received, b"hello", "{name}");
        assert!(world.shown(customer).starts_with(subject), "{name}");
        assert_eq!(world.dialled().last(), Some(&backend), "{name}");
    }
}

#[test]
fn who_asks_for_no_known_name_is_refused_by_an_alert_and_an_orderly_end() {
    let (mut world, _) = by_name(&sites());
    let anybody = client(&[]);
    let names = [
        Some("d.example"),
        Some("x.y.c.example"),
        Some("c.example"),
        None,
    ];
    for name in names {
        let customer = world.connect_with(443, None, &hello(&anybody, name));
        world.run(60);
        assert_eq!(world.customers[customer].received, UNRECOGNIZED_NAME);
        assert_eq!(world.status(customer), Status::Open, "{name:?}");
        let id = world.customers[customer].stream;
        assert!(world.host.stream(id).unwrap().recv_finished(), "{name:?}");
    }
    assert!(world.dialled().is_empty());
    assert_eq!(world.server.usage().sessions, 0);
    let customer = world.ask_for(&anybody, Some("d.example"));
    let failure = world.customers[customer].failure.clone();
    assert!(
        matches!(failure, Some(tls::Error::PeerAlert { code: 112, .. })),
        "{failure:?}"
    );
}

#[test]
fn what_is_no_tls_is_reset_and_a_slow_hello_is_waited_for() {
    let (mut world, _) = by_name(&sites());
    let (received, status) = world.say(443, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(received, "");
    assert_eq!(status, Status::Closed(Some(net::StreamError::Reset)));
    let whole = hello(&client(&[]), Some("nope.example"));
    let customer = world.connect_with(443, None, &whole[..20]);
    world.run(60);
    assert_eq!(world.status(customer), Status::Open);
    world.customers[customer].to_send = whole[20..].to_vec();
    world.run(60);
    assert_eq!(world.customers[customer].received, UNRECOGNIZED_NAME);
}

#[test]
fn the_default_host_serves_all_others_and_an_address_is_a_name_too() {
    let mut all = sites();
    all.default_host = Some("b.example".into());
    let (mut world, mut kept) = by_name(&all);
    let anybody = client(&[]);
    for name in [Some("d.example"), None] {
        let customer = world.ask_for(&anybody, name);
        assert!(world.shown(customer).starts_with("CN=b.example "));
        assert_eq!(world.customers[customer].received, b"hello");
    }
    // Who goes to an address can't ask for it (RFC 6066 §3).
    all.hosts.push(site("10.9.0.2", 81));
    world.install(&all, &mut kept);
    let customer = world.ask_for(&anybody, None);
    assert!(world.shown(customer).starts_with("CN=10.9.0.2 "));
}

#[test]
fn a_name_may_end_with_a_dot() {
    let (mut world, _) = by_name(&sites());
    let mut whole = hello(&client(&[]), Some("a.exampleX"));
    let place = whole.windows(10).position(|bytes| bytes == b"a.exampleX");
    whole[place.unwrap() + 9] = b'.';
    let customer = world.connect_with(443, None, &whole);
    world.run(60);
    // It goes on: a ServerHello (RFC 8446 §4), and no alert.
    assert_eq!(world.customers[customer].received[..1], [22]);
}

#[test]
fn protocols_are_those_that_the_backend_speaks() {
    let mut all = sites();
    all.hosts[1].alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (mut world, _) = by_name(&all);
    let agreed = |world: &mut World, name, offered: &[&str]| {
        let customer = world.ask_for(&client(offered), Some(name));
        assert_eq!(world.customers[customer].received, b"hello");
        world.handshake(customer).alpn.clone()
    };
    let both = ["http/1.1", "h2"];
    assert_eq!(agreed(&mut world, "a.example", &both), None);
    assert_eq!(agreed(&mut world, "b.example", &both), Some(b"h2".to_vec()));
    assert_eq!(agreed(&mut world, "b.example", &[]), None);
    let customer = world.ask_for(&client(&["imap"]), Some("b.example"));
    let failure = world.customers[customer].failure.clone();
    assert!(
        matches!(failure, Some(tls::Error::PeerAlert { code: 120, .. })),
        "{failure:?}"
    );
}

#[test]
fn a_proof_is_for_authorities_alone_and_ends_with_the_handshake() {
    let mut all = sites();
    all.proofs = vec![proof("a.example"), proof("new.example")];
    let (mut world, mut kept) = by_name(&all);
    let authority = client(&["acme-tls/1"]);
    for name in ["a.example", "new.example"] {
        let customer = world.ask_for(&authority, Some(name));
        let subject = std::format!("CN=proof-of-{name} ");
        assert!(world.shown(customer).starts_with(&subject));
        assert_eq!(
            world.handshake(customer).alpn.as_deref(),
            Some(&b"acme-tls/1"[..])
        );
        let connection = world.customers[customer].connection.as_ref().unwrap();
        assert!(connection.peer_closed());
        assert_eq!(world.customers[customer].received, b"");
        let id = world.customers[customer].stream;
        assert!(world.host.stream(id).unwrap().recv_finished());
    }
    assert!(world.dialled().is_empty());
    // All others go where they always go.
    for offered in [&["acme-tls/1", "h2"][..], &[]] {
        let customer = world.ask_for(&client(offered), Some("a.example"));
        assert!(world.shown(customer).starts_with("CN=a.example "));
    }
    // Where there is nothing to prove, nobody says otherwise.
    all.proofs.clear();
    world.install(&all, &mut kept);
    let customer = world.connect_with(443, None, &hello(&authority, Some("a.example")));
    world.run(60);
    assert_eq!(world.customers[customer].received, NO_APPLICATION_PROTOCOL);
}

#[test]
fn a_new_certificate_is_for_new_handshakes_and_old_sessions_live_on() {
    let mut all = sites();
    let (mut world, mut kept) = by_name(&all);
    let anybody = client(&[]);
    let living = world.ask_for(&anybody, Some("a.example"));
    let before = world.shown(living);
    // This one has said half of its hello, that one has only come.
    let silent = world.connect_with(443, None, b"");
    let partial = world.connect_with(443, None, b"");
    let mut hellos = Vec::new();
    for _ in 0..2 {
        let mut connection = anybody.connect(Some("a.example")).unwrap();
        let mut hello = vec![0; connection.pending_output()];
        connection.transmit(&mut hello);
        hellos.push((connection, hello));
    }
    world.customers[partial].to_send = hellos[1].1[..100].to_vec();
    // And this one is in the midst of its handshake: the first flight is on its way.
    let connection = anybody.connect(Some("a.example")).unwrap();
    let midway = world.connect_with(443, Some(connection), b"hello");
    world.run(3);
    assert!(world.customers[midway].received.is_empty());
    all.hosts[0] = site("a.example", 82);
    world.install(&all, &mut kept);
    for ((customer, said), (connection, hello)) in
        [(silent, 0), (partial, 100)].into_iter().zip(hellos)
    {
        let stream = world.customers[customer].stream;
        world.host.stream(stream).unwrap().send(&hello[said..]);
        world.customers[customer].connection = Some(connection);
        world.customers[customer].to_send = b"hello".to_vec();
    }
    world.run(60);
    let new = world.ask_for(&anybody, Some("a.example"));
    for customer in [silent, partial, midway, new] {
        assert_eq!(world.customers[customer].received, b"hello", "{customer}");
    }
    let after = world.shown(new);
    assert_ne!(before, after);
    assert_eq!(world.shown(silent), after);
    assert_eq!(world.shown(partial), after);
    world.customers[living].to_send = b" and on".to_vec();
    world.run(60);
    assert_eq!(world.customers[living].received, b"hello and on");
    assert_eq!(world.dialled().last(), Some(&82));
}

#[test]
fn a_hundred_states_fail_no_handshake() {
    let mut all = sites();
    let (mut world, mut kept) = by_name(&all);
    let anybody = client(&[]);
    for round in 0..100 {
        for name in ["a.example", "b.example"] {
            let connection = anybody.connect(Some(name)).unwrap();
            world.connect_with(443, Some(connection), b"hello");
        }
        world.run(round % 4);
        match round % 3 {
            0 => all.hosts[0] = site("a.example", 81),
            1 => all.proofs.push(proof("a.example")),
            _ => all.tokens.push(Token {
                token: std::format!("t{round}"),
                authorization: "x".into(),
            }),
        }
        world.install(&all, &mut kept);
        world.run(3);
    }
    world.run(100);
    for (number, customer) in world.customers.iter().enumerate() {
        assert_eq!(
            customer.received, b"hello",
            "{number}: {:?}",
            customer.failure
        );
    }
    for customer in 0..world.customers.len() {
        world.leave(customer);
    }
    world.run(16_000);
    // A front, three hosts, proofs, HTTP: nothing of the earlier ones.
    assert_eq!(world.server.services.count(), 5 + all.proofs.len());
}

#[test]
fn tickets_go_on_working_when_another_host_changes() {
    let mut all = sites();
    let (mut world, mut kept) = by_name(&all);
    let loyal = Client::new(client_options()).unwrap();
    let resumes = |world: &mut World| {
        let customer = world.ask_for(&loyal, Some("b.example"));
        assert_eq!(world.customers[customer].received, b"hello");
        world.handshake(customer).resumed
    };
    assert!(!resumes(&mut world));
    assert!(resumes(&mut world));
    all.hosts[0] = site("a.example", 81);
    all.proofs.push(proof("b.example"));
    world.install(&all, &mut kept);
    assert!(resumes(&mut world));
    all.hosts[1] = site("b.example", 82);
    world.install(&all, &mut kept);
    // The new certificate is to be seen at once.
    assert!(!resumes(&mut world));
    // What is kept with one host is nothing to another.
    assert!(resumes(&mut world));
}

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: a.example:80\r\n\r\n";

fn challenge(token: &str) -> Vec<u8> {
    let path = "/.well-known/acme-challenge";
    std::format!("GET {path}/{token} HTTP/1.1\r\nHost: a.example\r\n\r\n").into_bytes()
}

fn token(name: &str) -> Token {
    Token {
        token: name.into(),
        authorization: std::format!("{name}.thumbprint"),
    }
}

#[test]
fn http_is_answered_and_ends_in_order() {
    let mut all = sites();
    all.tokens.push(token("one"));
    let (mut world, _) = by_name(&all);
    let mut pipelined = GET.to_vec();
    pipelined.extend_from_slice(&[b'x'; 30_000]);
    for (request, status) in [
        (GET.to_vec(), "HTTP/1.1 301 "),
        (challenge("one"), "HTTP/1.1 200 "),
        (challenge("two"), "HTTP/1.1 404 "),
        (b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), "HTTP/1.1 400 "),
        (pipelined, "HTTP/1.1 301 "),
        (vec![b'A'; 40_000], "HTTP/1.1 431 "),
    ] {
        let customer = world.connect_with(80, None, &request);
        world.run(100);
        let received = String::from_utf8(world.customers[customer].received.clone()).unwrap();
        assert!(received.starts_with(status), "{received}");
        assert_eq!(
            world.customers[customer].to_send, b"",
            "all of it was taken"
        );
        let id = world.customers[customer].stream;
        let mut stream = world.host.stream(id).unwrap();
        assert!(stream.recv_finished(), "{status}");
        assert_eq!(stream.status(), Status::Open, "{status}");
        stream.finish();
    }
    world.run(100);
    let usage = world.server.usage();
    assert_eq!((usage.sessions, usage.streams), (0, 0));
    assert!(world.dialled().is_empty());
}

#[test]
fn who_says_nothing_over_http_is_reset_after_the_time_for_a_handshake() {
    let (mut world, _) = by_name(&sites());
    let silent = world.connect_with(80, None, b"");
    let slow = world.connect_with(80, None, &GET[..9]);
    world.run(29_000);
    assert_eq!(world.status(silent), Status::Open);
    world.run(1100);
    let reset = Status::Closed(Some(net::StreamError::Reset));
    assert_eq!([world.status(silent), world.status(slow)], [reset; 2]);
    // Who leaves by himself leaves nothing behind either.
    let gone = world.connect_with(80, None, &GET[..9]);
    let quiet = world.connect_with(80, None, b"");
    world.run(10);
    let stream = world.customers[gone].stream;
    world.host.stream(stream).unwrap().reset();
    let stream = world.customers[quiet].stream;
    world.host.stream(stream).unwrap().finish();
    world.run(20);
    assert_eq!(world.server.usage().sessions, 0);
    assert_eq!(world.status(quiet), Status::Closed(None));
}

#[test]
fn tokens_come_and_go_while_others_are_served() {
    let mut all = sites();
    let (mut world, mut kept) = by_name(&all);
    let living = world.ask_for(&client(&[]), Some("a.example"));
    // It asks only once the token is there.
    let early = world.connect_with(80, None, &challenge("one")[..20]);
    world.run(10);
    all.tokens.push(token("one"));
    world.install(&all, &mut kept);
    world.customers[early].to_send = challenge("one")[20..].to_vec();
    world.run(20);
    let received = world.customers[early].received.clone();
    assert!(received.ends_with(b"\r\n\r\none.thumbprint"));
    assert!(
        world
            .say(80, &challenge("one"))
            .0
            .ends_with("one.thumbprint")
    );
    all.tokens.clear();
    world.install(&all, &mut kept);
    assert!(
        world
            .say(80, &challenge("one"))
            .0
            .starts_with("HTTP/1.1 404 ")
    );
    world.customers[living].to_send = b" and on".to_vec();
    world.run(60);
    assert_eq!(world.customers[living].received, b"hello and on");
}

#[test]
fn a_silent_client_of_http_is_no_client_of_tls_when_the_ports_change() {
    let mut all = sites();
    let (mut world, mut kept) = by_name(&all);
    let early = world.connect_with(80, None, b"");
    let greeting = world.connect_with(443, None, b"");
    world.run(10);
    (all.https, all.http) = (Some(accept(80)), Some(accept(443)));
    world.install(&all, &mut kept);
    world.customers[early].to_send = GET.to_vec();
    let whole = hello(&client(&[]), Some("nope.example"));
    world.customers[greeting].to_send = whole;
    world.run(20);
    assert!(
        world.customers[early]
            .received
            .starts_with(b"HTTP/1.1 301 ")
    );
    assert_eq!(world.customers[greeting].received, UNRECOGNIZED_NAME);
    let (text, _) = world.say(443, GET);
    assert!(
        text.contains("Location: https://a.example:80/x\r\n"),
        "{text}"
    );
}

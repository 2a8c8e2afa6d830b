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

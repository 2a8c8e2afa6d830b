//! The whole product on a virtual wire: a server machine at one end, and at the other a host
//! that is client, gateway and backend at once.

use alloc::{
    collections::VecDeque,
    rc::Rc,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{cell::RefCell, net::SocketAddr, time::Duration};

use net::{Ipv4Config, Limits, Status, phy};
use tls::{Client, ClientOptions, Identity, ServerOptions, VerifyMode};

use super::*;
use crate::{
    journal::{Channel, LogId},
    relay,
    service::{
        Backend, Listen, Tls,
        backend::{Failover, Place},
    },
};

mod archived_hosts;
mod around;
mod authentication;
mod by_name;
mod choosing;
mod launcher;
mod names;
mod notices;
mod orders;
mod reload;
mod requests;
mod stopping;
mod waiting;

use launcher::{Launcher, Pipes};
use names::{NameServer, world_named};

type Frames = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// A card on a wire without loss.
struct Wire {
    incoming: Frames,
    outgoing: Frames,
}

struct Incoming(Vec<u8>);
struct Outgoing(Frames);

impl phy::RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl phy::TxToken for Outgoing {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.borrow_mut().push_back(frame);
        result
    }
}

impl phy::Device for Wire {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing;
    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Incoming, Outgoing)> {
        let frame = self.incoming.borrow_mut().pop_front()?;
        Some((Incoming(frame), Outgoing(self.outgoing.clone())))
    }
    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Outgoing> {
        Some(Outgoing(self.outgoing.clone()))
    }
    fn capabilities(&self) -> phy::DeviceCapabilities {
        let mut capabilities = phy::DeviceCapabilities::default();
        capabilities.medium = phy::Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

fn wire() -> (Wire, Wire) {
    let (one, other) = (Frames::default(), Frames::default());
    let near = Wire {
        incoming: one.clone(),
        outgoing: other.clone(),
    };
    let far = Wire {
        incoming: other,
        outgoing: one,
    };
    (near, far)
}

/// The machine under the server: a wire and a virtual clock.
struct TestMachine {
    nic: Wire,
    now: Instant,
    heap: usize,
    /// Bytes to and from a launcher; a machine without one has no channel.
    channel: Option<Pipes>,
}

impl Machine for TestMachine {
    type Nic = Wire;
    fn nic(&mut self) -> &mut Wire {
        &mut self.nic
    }
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 2]
    }
    fn now(&self) -> Instant {
        self.now
    }
    fn wall_clock(&self) -> u64 {
        1_800_000_000
    }
    fn fill_entropy(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
    fn heap_free(&self) -> usize {
        self.heap
    }
    fn flush(&mut self) {}
    fn idle_until(&mut self, _deadline: Option<Instant>) {
        self.now = self.now + Duration::from_millis(1);
    }
    fn has_channel(&self) -> bool {
        self.channel.is_some()
    }
    fn channel_receive(&mut self, bytes: &mut [u8]) -> usize {
        self.channel.as_mut().map_or(0, |pipes| pipes.take(bytes))
    }
    fn channel_send(&mut self, bytes: &[u8]) -> usize {
        self.channel.as_mut().map_or(0, |pipes| pipes.put(bytes))
    }
}

fn network(last: u8, gateway: Option<u8>) -> net::Config {
    let address = |last| core::net::Ipv4Addr::new(10, 9, 0, last);
    net::Config {
        mac: [2, 0, 0, 0, 0, last],
        ipv4: Ipv4Config::Static {
            address: address(last),
            prefix: 24,
            gateway: gateway.map(address),
        },
        ipv6: None,
        dns: Vec::new(),
        seed: [last; 32],
        limits: Limits {
            streams: 500,
            half_open: 200,
            recv_buffer: 32 * 1024,
            send_buffer: 32 * 1024,
        },
        role: net::Role::Host,
    }
}

/// One end of a connection at the host: a client, or a backend, which echoes.
struct Party {
    stream: StreamId,
    /// The port that was connected to.
    port: u16,
    /// Of those that speak TLS.
    connection: Option<tls::Connection>,
    to_send: Vec<u8>,
    received: Vec<u8>,
    echoes: bool,
    failure: Option<tls::Error>,
}

struct World {
    machine: TestMachine,
    server: Server,
    host: Stack,
    host_nic: Wire,
    client: Client,
    customers: Vec<Party>,
    backends: Vec<Party>,
    /// With it, backends speak TLS.
    backend_tls: Option<tls::Server>,
    /// Backends say only what they are told to.
    mute: bool,
    /// Takes its frames before the host's stack does.
    names: Option<NameServer>,
    /// At the other end of the management channel.
    launcher: Option<Launcher>,
    scratch: Scratch,
}

fn clock() -> WallClock {
    WallClock::new(1_800_000_000)
}

/// A certificate for `name`, signed by its own key, and the key.
fn certificate(name: &str) -> (String, String) {
    let certified = rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
    (certified.cert.pem(), certified.signing_key.serialize_pem())
}

fn identity(name: &str) -> Identity {
    let (chain, key) = certificate(name);
    Identity::from_pem(chain.as_bytes(), key.as_bytes(), tls::Provider::Ring).unwrap()
}

fn server_options(name: &str) -> ServerOptions {
    ServerOptions::new(identity(name), clock())
}

fn client_options() -> ClientOptions {
    ClientOptions {
        verify: VerifyMode::None,
        ..ClientOptions::new(Vec::new(), clock())
    }
}

fn channel(name: &str) -> Channel {
    Channel::new(name, Severity::Debug, LogId::Sequential)
}

/// A TLS server on `ports`, in front of these ports of the host.
fn service(name: &str, ports: &[u16], backends: &[u16]) -> Service {
    let listeners = ports.iter().map(|port| Listen {
        local: None,
        port: *port,
    });
    Service::new(
        channel(name),
        listeners.collect(),
        Tls::Server(tls::Server::new(server_options(name)).unwrap()),
        backend(backends, Failover::Priority),
    )
}

fn backend(ports: &[u16], failover: Failover) -> Backend {
    let places = ports.iter().map(|port| (Place::Gateway, *port));
    Backend::of(places, failover, false)
}

fn world(sessions: usize) -> World {
    world_of(sessions, vec![service("tls", &[443], &[80])])
}

fn world_of(sessions: usize, services: Vec<Service>) -> World {
    let (near, far) = wire();
    let mut machine = TestMachine {
        nic: near,
        now: Instant::ZERO,
        heap: 64 << 20,
        channel: None,
    };
    let now = machine.now;
    let stack = Stack::new(network(2, Some(1)), &mut machine.nic, now).unwrap();
    let memory = Memory {
        sessions,
        stream_buffer: 32 * 1024,
    };
    let server = Server::new(stack, services, memory, clock(), now);
    world_with(machine, server, far)
}

/// A server's world, of which `host_nic` is the other end of the wire.
fn world_with(machine: TestMachine, server: Server, mut host_nic: Wire) -> World {
    let now = machine.now;
    let mut host = Stack::new(network(1, None), &mut host_nic, now).unwrap();
    host.set_admission(500);
    World {
        machine,
        server,
        host,
        host_nic,
        client: Client::new(client_options()).unwrap(),
        customers: Vec::new(),
        backends: Vec::new(),
        backend_tls: None,
        mute: false,
        names: None,
        launcher: None,
        scratch: Scratch::new(),
    }
}

impl World {
    fn with_backend(self) -> Self {
        self.with_backends(&[80])
    }

    fn with_backends(mut self, ports: &[u16]) -> Self {
        for port in ports {
            self.host.listen(None, *port).unwrap();
        }
        self
    }

    fn connect(&mut self, to_send: &[u8]) {
        let connection = self.client.connect(Some("localhost")).unwrap();
        self.connect_with(443, Some(connection), to_send);
    }

    /// Connects by TLS, or without; returns the customer's number.
    fn connect_with(
        &mut self,
        port: u16,
        connection: Option<tls::Connection>,
        to_send: &[u8],
    ) -> usize {
        let remote = SocketAddr::new("10.9.0.2".parse().unwrap(), port);
        let stream = self.host.connect(remote, self.machine.now).unwrap();
        self.customers.push(Party {
            stream,
            port,
            connection,
            to_send: to_send.into(),
            received: Vec::new(),
            echoes: false,
            failure: None,
        });
        self.customers.len() - 1
    }

    fn status(&mut self, customer: usize) -> Status {
        let id = self.customers[customer].stream;
        self.host.stream(id).unwrap().status()
    }

    /// The ports that the server has dialled, in order.
    fn dialled(&self) -> Vec<u16> {
        self.backends.iter().map(|party| party.port).collect()
    }

    /// Lets `steps` milliseconds pass. Backends echo; customers send and read.
    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.machine.now = self.machine.now + Duration::from_millis(1);
            let now = self.machine.now;
            while self.server.poll(&mut self.machine).is_none() {}
            if let Some(names) = &mut self.names {
                names.serve(&self.host_nic);
            }
            if let (Some(launcher), Some(pipes)) = (&mut self.launcher, &mut self.machine.channel) {
                launcher.attend(pipes, now);
            }
            while self.host.poll(&mut self.host_nic, now) {}
            while let Some(event) = self.host.poll_event() {
                if let Event::Accepted { stream, .. } = event {
                    let port = self.host.stream(stream).unwrap().local().port();
                    let tls = self.backend_tls.as_ref();
                    self.backends.push(Party {
                        stream,
                        port,
                        connection: tls.map(|tls| tls.accept().unwrap()),
                        to_send: Vec::new(),
                        received: Vec::new(),
                        echoes: !self.mute,
                        failure: None,
                    });
                }
            }
            for party in self.customers.iter_mut().chain(&mut self.backends) {
                if let Some(mut stream) = self.host.stream(party.stream) {
                    party.act(&mut stream, &mut self.scratch);
                }
            }
            self.host.flush(&mut self.host_nic, now);
        }
    }
}

impl Party {
    fn act(&mut self, stream: &mut net::Stream<'_>, scratch: &mut Scratch) {
        let received = self.received.len();
        match &mut self.connection {
            None => stream.with_recv(|bytes| {
                self.received.extend_from_slice(bytes);
                (bytes.len(), ())
            }),
            Some(connection) => {
                relay::transmit(connection, stream);
                let opened = relay::open(connection, stream, usize::MAX, scratch, |bytes| {
                    self.received.extend_from_slice(bytes);
                });
                self.failure = self.failure.take().or(opened.err());
                relay::transmit(connection, stream);
            }
        }
        if self.echoes {
            self.to_send.extend_from_slice(&self.received[received..]);
        }
        let sent = match &mut self.connection {
            None => stream.send(&self.to_send),
            Some(connection) if connection.may_send() && !self.to_send.is_empty() => stream
                .with_send(|output| {
                    let sealed = connection.send(&self.to_send, output).unwrap();
                    (sealed.written, sealed.read)
                }),
            Some(_) => 0,
        };
        self.to_send.drain(..sent);
        if self.echoes && self.to_send.is_empty() && stream.recv_finished() {
            stream.finish();
        }
    }
}

#[test]
fn a_hundred_clients_at_once_are_echoed() {
    let mut world = world(100).with_backend();
    world.run(5);
    let message = |index: usize| vec![index as u8; 1 + 977 * index];
    for index in 0..100 {
        world.connect(&message(index));
    }
    world.run(400);
    for index in 0..100 {
        assert!(
            world.customers[index].received == message(index),
            "client {index}"
        );
    }
    assert_eq!(world.backends.len(), 100);
}

#[test]
fn one_connection_more_than_the_memory_holds_is_refused_and_room_comes_back() {
    let mut world = world(3).with_backend();
    world.run(5);
    for _ in 0..3 {
        world.connect(b"hello");
    }
    world.run(200);
    world.connect(b"hello");
    world.run(200);
    let served = |world: &World| {
        let served = world
            .customers
            .iter()
            .filter(|customer| customer.received == b"hello");
        served.count()
    };
    assert_eq!(served(&world), 3);
    let refused = world
        .customers
        .iter()
        .find(|customer| customer.received.is_empty())
        .unwrap();
    assert_eq!(
        world.host.stream(refused.stream).unwrap().status(),
        Status::Closed(Some(net::StreamError::Refused))
    );
    for index in 0..4 {
        let id = world.customers[index].stream;
        world.host.stream(id).unwrap().reset();
    }
    world.run(200);
    world.connect(b"hello");
    world.run(200);
    assert_eq!(served(&world), 4);
    assert!(
        world.server.owners.len() <= 2,
        "ended sessions are forgotten"
    );
}

#[test]
fn a_backend_that_is_down_resets_the_client_and_serves_the_next_once_it_is_up() {
    let mut world = world(10);
    world.run(5);
    world.connect(b"hello");
    world.run(300);
    let id = world.customers[0].stream;
    assert_eq!(
        world.host.stream(id).unwrap().status(),
        Status::Closed(Some(net::StreamError::Reset))
    );
    let mut world = world.with_backend();
    world.customers.clear();
    world.connect(b"hello");
    world.run(300);
    assert_eq!(world.customers[0].received, b"hello");
}

#[test]
fn an_idle_server_asks_for_no_early_wake_up() {
    let mut world = world(10).with_backend();
    world.run(20);
    let wake = world.server.poll(&mut world.machine).unwrap();
    let soon = world.machine.now + Duration::from_secs(1);
    assert!(wake.is_none_or(|wake| wake >= soon), "{wake:?}");
}

//! The whole product on a virtual wire: a server machine at one end, and at the other a host
//! that is client, gateway and backend at once.

use alloc::{collections::VecDeque, rc::Rc, vec, vec::Vec};
use core::{cell::RefCell, net::SocketAddr, time::Duration};

use net::{Ipv4Config, Limits, Status, phy};
use tls::{Client, ClientOptions, Identity, ServerOptions, VerifyMode};

use super::*;
use crate::{
    journal::{Channel, LogId},
    relay,
    service::{Backend, Listen, Tls},
};

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
        64 << 20
    }
    fn flush(&mut self) {}
    fn idle_until(&mut self, _deadline: Option<Instant>) {}
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
    }
}

/// One client and, once the server has dialled, its backend stream.
struct Customer {
    stream: StreamId,
    connection: tls::Connection,
    to_send: Vec<u8>,
    received: Vec<u8>,
}

struct World {
    machine: TestMachine,
    server: Server,
    host: Stack,
    host_nic: Wire,
    client: Client,
    customers: Vec<Customer>,
    backends: Vec<(StreamId, Vec<u8>)>,
    /// The host's streams as its stack has ended them.
    scratch: Scratch,
}

fn world(sessions: usize) -> World {
    let (near, far) = wire();
    let mut machine = TestMachine {
        nic: near,
        now: Instant::ZERO,
    };
    let mut host_nic = far;
    let clock = WallClock::new(1_800_000_000);
    let certified = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let identity = Identity::from_pem(
        certified.cert.pem().as_bytes(),
        certified.signing_key.serialize_pem().as_bytes(),
        tls::Provider::Ring,
    )
    .unwrap();
    let service = Service::new(
        Channel::new("tls", Severity::Debug, LogId::Sequential),
        vec![Listen {
            local: None,
            port: 443,
        }],
        Tls::Server(tls::Server::new(ServerOptions::new(identity, clock.clone())).unwrap()),
        Backend::new(&config::Connect {
            host: None,
            port: 80,
        }),
    );
    let now = machine.now;
    let stack = Stack::new(network(2, Some(1)), &mut machine.nic, now).unwrap();
    let memory = Memory {
        sessions,
        stream_buffer: 32 * 1024,
    };
    let server = Server::new(stack, vec![service], memory, clock.clone(), now);
    let mut host = Stack::new(network(1, None), &mut host_nic, now).unwrap();
    host.set_admission(500);
    let client = Client::new(ClientOptions {
        verify: VerifyMode::None,
        ..ClientOptions::new(Vec::new(), clock)
    })
    .unwrap();
    World {
        machine,
        server,
        host,
        host_nic,
        client,
        customers: Vec::new(),
        backends: Vec::new(),
        scratch: Scratch::new(),
    }
}

impl World {
    fn with_backend(mut self) -> Self {
        self.host.listen(None, 80).unwrap();
        self
    }

    fn connect(&mut self, to_send: &[u8]) {
        let remote: SocketAddr = "10.9.0.2:443".parse().unwrap();
        let stream = self.host.connect(remote, self.machine.now).unwrap();
        self.customers.push(Customer {
            stream,
            connection: self.client.connect(Some("localhost")).unwrap(),
            to_send: to_send.into(),
            received: Vec::new(),
        });
    }

    /// Lets `steps` milliseconds pass. Backends echo; customers send and read.
    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.machine.now = self.machine.now + Duration::from_millis(1);
            let now = self.machine.now;
            while self.server.poll(&mut self.machine).is_none() {}
            while self.host.poll(&mut self.host_nic, now) {}
            while let Some(event) = self.host.poll_event() {
                if let Event::Accepted { stream, .. } = event {
                    self.backends.push((stream, Vec::new()));
                }
            }
            for (stream, unsent) in &mut self.backends {
                let Some(mut stream) = self.host.stream(*stream) else {
                    continue;
                };
                stream.with_recv(|bytes| {
                    unsent.extend_from_slice(bytes);
                    (bytes.len(), ())
                });
                let sent = stream.send(unsent);
                unsent.drain(..sent);
                if unsent.is_empty() && stream.recv_finished() {
                    stream.finish();
                }
            }
            for customer in &mut self.customers {
                let Some(mut stream) = self.host.stream(customer.stream) else {
                    continue;
                };
                let Customer {
                    connection,
                    to_send,
                    received,
                    ..
                } = customer;
                relay::transmit(connection, &mut stream);
                let opened = relay::open(
                    connection,
                    &mut stream,
                    usize::MAX,
                    &mut self.scratch,
                    |bytes| {
                        received.extend_from_slice(bytes);
                    },
                );
                opened.unwrap();
                relay::transmit(connection, &mut stream);
                if connection.may_send() && !to_send.is_empty() {
                    let read = stream.with_send(|output| {
                        let sealed = connection.send(to_send, output).unwrap();
                        (sealed.written, sealed.read)
                    });
                    to_send.drain(..read);
                }
            }
            self.host.flush(&mut self.host_nic, now);
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

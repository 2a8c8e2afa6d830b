//! Backends that are known by name: a name server at the host answers, or does not.

use super::*;

/// What the name server says, and how often it was asked.
#[derive(Default)]
pub(super) struct NameServer {
    pub(super) answers: bool,
    pub(super) asked: usize,
}

impl NameServer {
    /// Takes queries off the wire and answers those for addresses of IPv4 with 10.9.0.1
    /// (RFC 1035 §4).
    pub(super) fn serve(&mut self, wire: &Wire) {
        let frames: Vec<Vec<u8>> = wire.incoming.borrow_mut().drain(..).collect();
        for frame in frames {
            let Some(question) = query(&frame) else {
                wire.incoming.borrow_mut().push_back(frame);
                continue;
            };
            self.asked += 1;
            if self.answers {
                let reply = answer(&frame, question);
                wire.outgoing.borrow_mut().push_back(reply);
            }
        }
    }
}

/// Offsets in an Ethernet frame with IPv4 and UDP.
const IP: usize = 14;
const UDP: usize = IP + 20;
const DNS: usize = UDP + 8;

/// The DNS message in a frame, if it is an A query.
fn query(frame: &[u8]) -> Option<&[u8]> {
    let is_dns = frame.get(12..14)? == [8, 0]
        && frame.get(IP + 9)? == &17
        && frame.get(UDP + 2..UDP + 4)? == [0, 53];
    is_dns.then(|| &frame[DNS..])
}

fn answer(frame: &[u8], question: &[u8]) -> Vec<u8> {
    let mut dns = question.to_vec();
    // A response, recursion available, one answer.
    dns[2] |= 0x80;
    dns[3] |= 0x80;
    dns[7] = 1;
    dns.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 0, 1]);
    let mut reply = Vec::new();
    reply.extend(&frame[6..12]);
    reply.extend(&frame[0..6]);
    reply.extend([8, 0]);
    let total = u16::try_from(20 + 8 + dns.len()).unwrap();
    let mut ip = [0; 20];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    (ip[8], ip[9]) = (64, 17);
    ip[12..16].copy_from_slice(&frame[IP + 16..IP + 20]);
    ip[16..20].copy_from_slice(&frame[IP + 12..IP + 16]);
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    reply.extend(ip);
    reply.extend(&frame[UDP + 2..UDP + 4]);
    reply.extend(&frame[UDP..UDP + 2]);
    reply.extend((total - 20).to_be_bytes());
    // No checksum (RFC 768).
    reply.extend([0, 0]);
    reply.extend(dns);
    reply
}

fn named(delay: bool) -> World {
    let mut service = service("tls", &[443], &[]);
    let place = (Place::Name("db.example".into()), 80);
    service.backend = Backend::of([place], Failover::Priority, delay);
    world_named(service).with_backend()
}

pub(super) fn world_named(service: Service) -> World {
    let mut world = world_of(10, Vec::new());
    let network = net::Config {
        dns: vec!["10.9.0.1".parse().unwrap()],
        ..network(2, Some(1))
    };
    let now = world.machine.now;
    let stack = Stack::new(network, &mut world.machine.nic, now).unwrap();
    let memory = Memory {
        sessions: 10,
        stream_buffer: 32 * 1024,
    };
    world.server = Server::new(stack, vec![service], memory, clock(), now);
    world.names = Some(NameServer::default());
    world
}

fn asked(world: &World) -> usize {
    world.names.as_ref().unwrap().asked
}

fn answer_from_now_on(world: &mut World) {
    world.names.as_mut().unwrap().answers = true;
}

#[test]
fn a_name_is_looked_up_at_the_start() {
    let mut world = named(false);
    answer_from_now_on(&mut world);
    world.run(20);
    assert_eq!(asked(&world), 1);
    world.connect(b"hello");
    world.run(60);
    assert_eq!(world.customers[0].received, b"hello");
    assert_eq!(asked(&world), 1);
}

#[test]
fn a_service_accepts_before_its_name_is_known_and_connections_wait_for_it() {
    let mut world = named(false);
    world.run(20);
    assert!(asked(&world) > 0);
    world.connect(b"hello");
    world.run(100);
    assert_eq!(world.status(0), Status::Open);
    assert!(world.customers[0].received.is_empty());
    answer_from_now_on(&mut world);
    // Queries are sent again after a while.
    world.run(5000);
    assert_eq!(world.customers[0].received, b"hello");
}

#[test]
fn a_connection_that_waits_for_a_name_is_given_up_after_the_connect_time() {
    let mut world = named(false);
    world.run(20);
    world.connect(b"hello");
    world.run(12_000);
    let reset = Status::Closed(Some(net::StreamError::Reset));
    assert_eq!(world.status(0), reset);
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn with_delay_names_are_looked_up_for_connections_alone() {
    let mut world = named(true);
    answer_from_now_on(&mut world);
    world.run(20);
    assert_eq!(asked(&world), 0);
    for connection in 1..=3 {
        world.connect(b"hello");
        world.run(60);
        assert_eq!(world.customers[connection - 1].received, b"hello");
        assert_eq!(asked(&world), connection);
        // What was found is used no longer than this.
        world.run(1000);
    }
}

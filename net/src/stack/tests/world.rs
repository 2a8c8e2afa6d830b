//! The link between two stacks: a virtual clock, latency, seeded loss and reordering.

use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

use crate::*;

pub const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
pub const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 2)];
pub const V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
];
pub const A: usize = 0;
pub const B: usize = 1;

/// xorshift64*: enough for a test's dice.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// A card in memory.
pub struct Card {
    pub caps: DeviceCapabilities,
    pub rx: VecDeque<Vec<u8>>,
    pub tx: Vec<Vec<u8>>,
    /// Frames that can be sent before the card has no token any more.
    pub room: usize,
    /// Frames are received even then; what answers them at once is lost.
    pub hears_when_full: bool,
}

impl Card {
    pub fn new() -> Card {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        Card {
            caps,
            rx: VecDeque::new(),
            tx: Vec::new(),
            room: usize::MAX,
            hears_when_full: false,
        }
    }
}

pub struct Rx(Vec<u8>);
pub struct Tx<'a>(&'a mut Vec<Vec<u8>>, &'a mut usize);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        if *self.1 > 0 {
            self.0.push(frame);
            *self.1 -= 1;
        }
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        if self.room == 0 && !self.hears_when_full {
            return None;
        }
        let frame = self.rx.pop_front()?;
        Some((Rx(frame), Tx(&mut self.tx, &mut self.room)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        (self.room > 0).then_some(Tx(&mut self.tx, &mut self.room))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.caps.clone()
    }
}

pub struct Host {
    pub stack: Stack,
    pub card: Card,
    pub events: Vec<Event>,
}

impl Host {
    pub fn new(config: Config, mut card: Card) -> Host {
        let stack = Stack::new(config, &mut card, Instant::ZERO).unwrap();
        Host {
            stack,
            card,
            events: Vec::new(),
        }
    }

    /// Hands a frame in and gives what is sent because of it.
    pub fn answer(&mut self, frame: &[u8], now: Instant) -> Vec<Vec<u8>> {
        self.card.tx.clear();
        self.card.rx.push_back(frame.to_vec());
        self.step(now);
        core::mem::take(&mut self.card.tx)
    }

    pub fn step(&mut self, now: Instant) {
        while self.stack.poll(&mut self.card, now) {}
        while let Some(event) = self.stack.poll_event() {
            self.events.push(event);
        }
        self.stack.flush(&mut self.card, now);
    }

    pub fn accepted(&mut self) -> Option<StreamId> {
        let at = |e: &Event| matches!(e, Event::Accepted { .. });
        let at = self.events.iter().position(at)?;
        match self.events.remove(at) {
            Event::Accepted { stream, .. } => Some(stream),
            _ => None,
        }
    }

    pub fn status(&mut self, id: StreamId) -> Option<Status> {
        self.stack.stream(id).map(|stream| stream.status())
    }
}

pub fn limits() -> Limits {
    Limits {
        streams: 2000,
        half_open: 64,
        recv_buffer: 16 * 1024,
        send_buffer: 16 * 1024,
    }
}

pub fn config(host: usize) -> Config {
    Config {
        mac: MACS[host],
        ipv4: Ipv4Config::Static {
            address: V4[host],
            prefix: 16,
            gateway: None,
        },
        ipv6: Some(Ipv6Config {
            address: V6[host],
            prefix: 64,
            gateway: None,
        }),
        dns: Vec::new(),
        seed: [host as u8 + 1; 32],
        limits: limits(),
        role: Role::Host,
    }
}

/// What happens to a frame on the wire.
pub type Filter = Box<dyn FnMut(usize, &[u8]) -> bool>;

pub struct World {
    pub hosts: [Host; 2],
    pub now: Instant,
    pub dice: Dice,
    /// One way.
    pub latency: Duration,
    /// In 1,000.
    pub loss: u64,
    pub reorder: u64,
    /// False loses a frame that the host of that number sends.
    pub filter: Option<Filter>,
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
}

impl World {
    pub fn new() -> World {
        World::of([
            Host::new(config(A), Card::new()),
            Host::new(config(B), Card::new()),
        ])
    }

    pub fn of(hosts: [Host; 2]) -> World {
        World {
            hosts,
            now: Instant::ZERO,
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            latency: Duration::from_micros(50),
            loss: 0,
            reorder: 0,
            filter: None,
            wire: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Lets both hosts do what they can at this instant, then goes to the next one at which
    /// something happens. False when nothing ever will.
    pub fn step(&mut self) -> bool {
        for number in 0..2 {
            let host = &mut self.hosts[number];
            host.step(self.now);
            for frame in core::mem::take(&mut host.card.tx) {
                let kept = self.filter.as_mut().is_none_or(|keep| keep(number, &frame));
                if !kept || self.dice.below(1000) < self.loss {
                    continue;
                }
                let late = self.dice.below(1000) < self.reorder;
                let at = self.now + self.latency * if late { 4 } else { 1 };
                self.sent += 1;
                self.wire.insert((at, self.sent), (1 - number, frame));
            }
        }
        let arrival = self.wire.keys().next().map(|key| key.0);
        let timers = self.hosts.iter().filter_map(|host| host.stack.poll_at());
        // A full card keeps frames back until it has room, and then interrupts.
        let kept = self.hosts.iter().any(|host| !host.card.rx.is_empty());
        let kept = kept.then(|| self.now + Duration::from_millis(1));
        let Some(next) = arrival.into_iter().chain(timers).chain(kept).min() else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self.wire.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, frame) = entry.remove();
            self.hosts[to].card.rx.push_back(frame);
        }
        true
    }

    /// Steps until `done`; fails the test when that takes longer than `limit` of virtual time.
    #[track_caller]
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut World) -> bool) {
        let end = self.now + limit;
        let mut steps = 0;
        while !done(self) {
            let more = self.step();
            assert!(more || done(self), "nothing more will happen");
            assert!(self.now <= end, "not done within {limit:?}");
            steps += 1;
            assert!(steps < 5_000_000, "spinning at {:?}", self.now);
        }
    }

    /// Steps until `time` has passed.
    #[track_caller]
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0;
        while self.now < end && self.step() {
            steps += 1;
            assert!(steps < 5_000_000, "spinning at {:?}", self.now);
        }
        self.now = self.now.max(end);
    }

    /// A connection from A to B's port 443, and both its ends.
    #[track_caller]
    pub fn connected(&mut self, to: IpAddr) -> (StreamId, StreamId) {
        // A second listener on the port is refused, which is fine.
        let _ = self.hosts[B].stack.listen(None, 443);
        let remote = SocketAddr::new(to, 443);
        let a = self.hosts[A].stack.connect(remote, self.now).unwrap();
        let mut b = None;
        self.run(Duration::from_secs(40), |world| {
            b = b.or_else(|| world.hosts[B].accepted());
            b.is_some() && world.hosts[A].status(a) == Some(Status::Open)
        });
        (a, b.unwrap())
    }

    #[track_caller]
    pub fn stream(&mut self, host: usize, id: StreamId) -> Stream<'_> {
        self.hosts[host].stack.stream(id).unwrap()
    }

    #[track_caller]
    pub fn status(&mut self, host: usize, id: StreamId) -> Status {
        self.hosts[host].status(id).unwrap()
    }

    /// Everything that has arrived.
    pub fn read(&mut self, host: usize, id: StreamId) -> Vec<u8> {
        let mut stream = self.stream(host, id);
        let mut data = vec![0; stream.recv_len()];
        assert_eq!(stream.peek(&mut data), data.len());
        stream.skip(data.len());
        data
    }
}

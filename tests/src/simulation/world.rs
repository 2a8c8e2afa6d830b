//! One run: a server, a host, the link between them, and the virtual clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use stockade_config::{Connect, Host as BackendHost};
use stockade_net::{Config, Instant, Ipv4Config, Ipv6Config, Limits, Stack};
use stockade_tls::{Provider, ServerOptions, WallClock};
use stockade_tunnel::limits::{Memory, Timeouts};
use stockade_tunnel::server::{Server, Usage};
use stockade_tunnel::service::{Backend, Service, Tls};

use super::card::{Card, CardOptions};
use super::host::Host;
use super::journal;
use super::link::Direction;
use super::machine::SimulatedMachine;
use super::profile::Profile;
use super::random::Random;
use super::trace::Trace;
use super::verdict::{self, Report};
use crate::certificates::Identity;

/// When every run begins: 2027-01-15, seconds since 1970.
pub const WALL_CLOCK: u64 = 1_800_000_000;

/// How long a connection may last, however slow its parties: more than all their pauses and all
/// time limits of the tunnel together.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);

/// How long after the last connection's end everything that it held must be free: the stack's
/// LINGER and user time-out, and some room.
const RELEASE: Duration = Duration::from_secs(300);

/// How long after that the server's last superfluous timer may come: the tunnel's timer horizon.
const QUIET: Duration = Duration::from_secs(120);

/// Turns of the loop in which time may stand still. Each takes in frames or sends some.
const SPINS: u32 = 10_000;

/// Where the server accepts, and where the backend does.
const SERVER_PORT: u16 = 443;
const BACKEND_PORT: u16 = 80;

/// One run.
pub struct World {
    profile: Profile,
    now: Instant,
    machine: SimulatedMachine,
    server: Server,
    /// When the server wants to be polled; `None`: only when a frame comes.
    server_wake: Option<Instant>,
    capacity: usize,
    host: Host,
    /// Towards the server, towards the host.
    link: [Direction; 2],
    trace: Trace,
    /// When clients begin, in order.
    starts: Vec<Instant>,
    started: usize,
    /// When the backend begins to listen, if it does not yet.
    backend_up: Option<Instant>,
    polls: u64,
}

impl World {
    /// The run that `seed` names. With `only`, no other client than that one begins.
    pub fn new(profile: &Profile, seed: u64, only: Option<u32>, print: bool) -> World {
        let mut random = Random::fork(seed, "world", 0);
        let trace = Trace::new(print);
        let [to_server, to_host] = (profile.link)(&mut random);
        let direction = |name, conditions, number| {
            let luck = Random::fork(seed, "link", number);
            Direction::new(name, conditions, luck, trace.clone())
        };
        let to_server = direction("to server", to_server, 0);
        let to_host = direction("to host", to_host, 1);

        let ipv6 = random.happens(1, 5);
        let frames: &[usize] = match ipv6 {
            true => &[1294, 1514, 9014],
            false => &[590, 1514, 1514, 9014],
        };
        let frame = random.pick(frames);
        let card = |offload| CardOptions { frame, offload };
        let server_card = card(random.happens(1, 2));
        let host_card = card(random.happens(1, 2));
        let memory = Memory {
            sessions: random.within(100..=500),
            stream_buffer: random.pick(&[20 * 1024, 64 * 1024]),
        };
        let host_buffers = [random.pick(&HOST_BUFFERS), random.pick(&HOST_BUFFERS)];
        let now = Instant::from_micros(1_000_000 + random.below(1_000_000));
        let clock = WallClock::new(WALL_CLOCK);

        let nic = Card::new(server_card, to_host.clone(), to_server.clone());
        let mut machine = SimulatedMachine::new(nic, now);
        let limits = Limits {
            streams: 2 * memory.sessions,
            half_open: memory.sessions,
            recv_buffer: memory.stream_buffer,
            send_buffer: memory.stream_buffer,
        };
        let network = network(SERVER, ipv6, random.next(), limits);
        let stack = Stack::new(network, machine.card(), now).expect("a sound configuration");
        let service = service(backend_address(ipv6), &clock);
        let server = Server::new(stack, vec![service], memory, clock.clone(), now);

        let mut card = Card::new(host_card, to_server.clone(), to_host.clone());
        let limits = Limits {
            streams: 100_000,
            half_open: 100_000,
            recv_buffer: host_buffers[0],
            send_buffer: host_buffers[1],
        };
        let network = network_of_host(ipv6, random.next(), limits);
        let stack = Stack::new(network, &mut card, now).expect("a sound configuration");
        let server_address = SocketAddr::new(address(SERVER, ipv6), SERVER_PORT);
        let authority = &identity().authority;
        let host = Host::new(
            stack,
            card,
            server_address,
            authority,
            &clock,
            seed,
            profile.mix,
        );
        // The backend is not always there in time.
        let backend_up = match random.below(8) {
            0 => now + random.time(profile.spread / 4),
            _ => now,
        };
        let mut starts: Vec<Instant> = (0..profile.clients)
            .map(|_| now + random.time(profile.spread))
            .collect();
        starts.sort();
        let mut world = World {
            profile: *profile,
            now,
            machine,
            server,
            server_wake: Some(now),
            capacity: memory.sessions,
            host,
            link: [to_server, to_host],
            trace,
            starts,
            started: 0,
            backend_up: Some(backend_up),
            polls: 0,
        };
        if let Some(only) = only {
            world.started = only as usize;
            world.starts.truncate(only as usize + 1);
        }
        world
    }

    /// Runs until all is over, checks everything, and says what happened.
    ///
    /// Panics with what is wrong.
    pub fn run(mut self) -> Report {
        while self.started < self.starts.len() || self.host.open() > 0 {
            self.turn();
            if let Some(party) = self.host.overdue(LONGEST_LIFE, self.now) {
                panic!(
                    "party {} is stuck since {}: {:?}, bytes written and read {:?}, peer {:?}; server: {:?}",
                    party.number,
                    super::trace::stamp(party.began()),
                    party.plan,
                    party.counts(),
                    party.peer(),
                    self.server.usage(),
                );
            }
        }
        let ended = self.now;
        self.everything_is_released();
        self.the_server_is_quiet();
        let wrong = verdict::check(self.host.parties(), &self.profile, self.backend_was_late());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let counters = self.link.each_ref().map(Direction::counters);
        Report::new(
            self.host.parties(),
            counters,
            ended,
            self.polls,
            self.trace.digest(),
        )
    }

    fn backend_was_late(&self) -> bool {
        self.backend_up.is_some_and(|up| up > self.starts[0])
    }

    /// One turn: everybody who has something to do does it, then time goes on.
    fn turn(&mut self) {
        let now = self.now;
        journal::set_time(now);
        if let Some(up) = self.backend_up
            && up <= now
        {
            self.backend_up = None;
            self.host.listen(BACKEND_PORT);
        }
        while let Some(start) = self.starts.get(self.started)
            && *start <= now
        {
            let number = u32::try_from(self.started).expect("few");
            self.started += 1;
            self.host.connect(number, now);
        }
        let [to_server, to_host] = &self.link;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(to_server.next_arrival()) || is_due(self.server_wake) {
            self.server_wake = self.serve();
        }
        let [_, to_host_again] = &self.link;
        if is_due(to_host.next_arrival())
            || is_due(to_host_again.next_arrival())
            || is_due(self.host.poll_at())
        {
            self.host.poll(now);
        }
        if let Some(next) = self.next_event() {
            self.now = self.machine.advance(next);
        }
    }

    fn serve(&mut self) -> Option<Instant> {
        loop {
            self.polls += 1;
            self.machine.count_poll();
            if let Some(wake) = self.server.poll(&mut self.machine) {
                return wake;
            }
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let [to_server, to_host] = &self.link;
        [
            to_server.next_arrival(),
            to_host.next_arrival(),
            self.server_wake,
            self.host.poll_at(),
            self.backend_up,
            self.starts.get(self.started).copied(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

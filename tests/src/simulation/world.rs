//! One run: a server, a host, the link between them, and the virtual clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use stockade_config::{Connect, Host as BackendHost};
use stockade_net::{Config, Instant, Ipv4Config, Ipv6Config, Limits, Role, Stack};
use stockade_tls::{Provider, ServerOptions, WallClock};
use stockade_tunnel::Machine;
use stockade_tunnel::journal::{Channel, LogId, Severity};
use stockade_tunnel::limits::Memory;
use stockade_tunnel::server::{Server, Usage};
use stockade_tunnel::service::{Backend, Listen, Service, Tls};

use super::card::{Card, CardOptions};
use super::host::Host;
use super::journal;
use super::link::Direction;
use super::machine::SimulatedMachine;
use super::profile::Profile;
use super::random::Random;
use super::trace::{Trace, stamp};
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

/// The tunnel's TIMEOUTidle: shorter than its default, so that runs end sooner.
const IDLE: Duration = Duration::from_secs(200);

/// Where the server accepts, and where the backend does.
const SERVER_PORT: u16 = 443;
const BACKEND_PORT: u16 = 80;

/// The two ends' addresses: the last byte.
const SERVER: u8 = 2;
const HOST: u8 = 1;

/// Sizes of the host's stream buffers, in bytes.
const HOST_BUFFERS: [usize; 5] = [2_000, 9_000, 65_535, 65_536, 262_144];

/// One run.
pub struct World {
    profile: Profile,
    now: Instant,
    /// Turns since time last went on.
    spins: u32,
    machine: SimulatedMachine,
    server: Server,
    /// When the server wants to be polled; `None`: only when a frame comes.
    server_wake: Option<Instant>,
    polls: u64,
    /// What is in use when nothing is.
    unused: Usage,
    host: Host,
    /// Towards the server.
    inward: Direction,
    /// Towards the host.
    outward: Direction,
    trace: Trace,
    /// When clients begin, in order.
    starts: Vec<Instant>,
    started: usize,
    /// When the backend begins to listen, until it does.
    backend_up: Option<Instant>,
    backend_is_late: bool,
}

impl World {
    /// The run that `seed` names. With `only`, no other client than that one begins; with `print`,
    /// every frame is printed.
    pub fn new(profile: &Profile, seed: u64, only: Option<u32>, print: bool) -> World {
        let mut random = Random::fork(seed, "world", 0);
        let trace = Trace::new(print);
        let [inward, outward] = (profile.link)(&mut random);
        let luck = |number| Random::fork(seed, "link", number);
        let inward = Direction::new("to server", inward, luck(0), trace.clone());
        let outward = Direction::new("to host", outward, luck(1), trace.clone());

        let ipv6 = random.happens(1, 5);
        let frame = match ipv6 {
            true => random.pick(&[1294, 1514, 9014]),
            false => random.pick(&[590, 1514, 1514, 9014]),
        };
        let mut card = |from: &Direction, to: &Direction| {
            let offload = random.happens(1, 2);
            Card::new(CardOptions { frame, offload }, to.clone(), from.clone())
        };
        let nic = card(&inward, &outward);
        let mut host_card = card(&outward, &inward);
        let memory = Memory {
            sessions: match profile.crowded {
                true => random.within(100..=500),
                false => profile.clients as usize + random.within(1..=100),
            },
            stream_buffer: random.pick(&[20 * 1024, 65_535]),
        };
        let now = Instant::from_micros(1_000_000 + random.below(1_000_000));
        let clock = WallClock::new(WALL_CLOCK);

        let mut machine = SimulatedMachine::new(nic, now);
        let limits = Limits {
            streams: 2 * memory.sessions,
            half_open: memory.sessions,
            recv_buffer: memory.stream_buffer,
            send_buffer: memory.stream_buffer,
        };
        let config = network(SERVER, ipv6, random.next(), limits);
        let stack = Stack::new(config, machine.nic(), now).expect("a sound configuration");
        let service = service(address(HOST, ipv6), &clock);
        let server = Server::new(stack, vec![service], memory, clock.clone(), now);

        let limits = Limits {
            streams: 100_000,
            half_open: 100_000,
            recv_buffer: random.pick(&HOST_BUFFERS),
            send_buffer: random.pick(&HOST_BUFFERS),
        };
        let config = network(HOST, ipv6, random.next(), limits);
        let stack = Stack::new(config, &mut host_card, now).expect("a sound configuration");
        let server_address = SocketAddr::new(address(SERVER, ipv6), SERVER_PORT);
        let authority = &identity().authority;
        let host = Host::new(
            stack,
            host_card,
            server_address,
            authority,
            &clock,
            seed,
            profile.mix,
        );

        // The backend is not always there in time.
        let backend_is_late = random.happens(1, 8);
        let backend_up = match backend_is_late {
            true => now + random.time(profile.spread / 4),
            false => now,
        };
        let mut starts: Vec<Instant> = (0..profile.clients)
            .map(|_| now + random.time(profile.spread))
            .collect();
        starts.sort();
        let mut started = 0;
        if let Some(only) = only {
            started = only as usize;
            starts.truncate(started + 1);
        }
        World {
            profile: *profile,
            now,
            spins: 0,
            machine,
            unused: server.usage(),
            server,
            server_wake: Some(now),
            polls: 0,
            host,
            inward,
            outward,
            trace,
            starts,
            started,
            backend_up: Some(backend_up),
            backend_is_late,
        }
    }

    /// Runs until all is over, checks everything, and says what happened.
    ///
    /// Panics with what is wrong.
    pub fn run(mut self) -> Report {
        while self.started < self.starts.len() || self.host.open() > 0 {
            self.turn();
            self.nobody_is_stuck();
        }
        let ended = self.now;
        self.everything_is_released();
        self.the_server_is_quiet();
        let parties = self.host.parties();
        let wrong = verdict::check(parties, &self.profile, self.backend_is_late);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let link = [self.inward.counters(), self.outward.counters()];
        Report::new(parties, link, ended, self.polls, self.trace.digest())
    }

    /// One turn: everybody who has something to do does it, then time goes on.
    ///
    /// Server and host are polled only when a frame has come or the time is up that they asked
    /// for, as on a machine that sleeps in between: a wake-up that they forget to ask for shows.
    fn turn(&mut self) {
        let now = self.now;
        journal::set_time(now);
        self.machine.set_time(now);
        if self.backend_up.is_some_and(|up| up <= now) {
            self.backend_up = None;
            self.host.listen(BACKEND_PORT);
        }
        while self
            .starts
            .get(self.started)
            .is_some_and(|start| *start <= now)
        {
            let number = u32::try_from(self.started).expect("few");
            self.started += 1;
            self.host.connect(number, now);
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.inward.next_arrival()) || is_due(self.server_wake) {
            self.serve();
        }
        if is_due(self.outward.next_arrival()) || is_due(self.host.poll_at()) {
            self.host.poll(now);
        }
        match self.next_event() {
            Some(next) if next > now => {
                self.now = next;
                self.spins = 0;
            }
            _ => self.spins += 1,
        }
        assert!(
            self.spins < SPINS,
            "time stands still: server {:?}, host {:?}, link {:?} and {:?}",
            self.server_wake,
            self.host.poll_at(),
            self.inward.next_arrival(),
            self.outward.next_arrival()
        );
    }

    fn serve(&mut self) {
        loop {
            self.polls += 1;
            if let Some(wake) = self.server.poll(&mut self.machine) {
                self.server_wake = wake;
                return;
            }
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let events = [
            self.inward.next_arrival(),
            self.outward.next_arrival(),
            self.server_wake,
            self.host.poll_at(),
            self.backend_up,
            self.starts.get(self.started).copied(),
        ];
        events.into_iter().flatten().min()
    }

    fn nobody_is_stuck(&self) {
        if self.spins == 0
            && let Some(party) = self.host.overdue(LONGEST_LIFE, self.now)
        {
            panic!(
                "party {} is stuck since {}: {:?}, bytes written and read {:?}, peer {:?}; {:?}",
                party.number,
                stamp(party.began()),
                party.plan,
                party.counts(),
                party.peer(),
                self.server.usage(),
            );
        }
    }

    /// All that sessions and streams held comes back, at both ends.
    fn everything_is_released(&mut self) {
        let end = self.now + RELEASE;
        while self.server.usage() != self.unused || self.host.sockets() > 0 {
            assert!(
                self.now < end && self.next_event().is_some(),
                "still in use: {:?}, {} sockets at the host; unused is {:?}",
                self.server.usage(),
                self.host.sockets(),
                self.unused
            );
            self.turn();
        }
    }

    /// With nothing to do, the server asks for no wake-up any more.
    fn the_server_is_quiet(&mut self) {
        let end = self.now + QUIET;
        while self.next_event().is_some_and(|next| next <= end) {
            self.turn();
        }
        assert_eq!(self.server_wake, None, "the idle server wants to be woken");
    }
}

/// The server's identity. Its signatures are Ed25519's, which are all of one length, and its serial
/// number is fixed: two runs of one seed then send frames of the same lengths.
fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(Identity::ed25519)
}

fn service(backend: IpAddr, clock: &WallClock) -> Service {
    let identity = identity();
    let (chain, key) = (identity.chain.as_bytes(), identity.key.as_bytes());
    let identity =
        stockade_tls::Identity::from_pem(chain, key, Provider::Ring).expect("a sound certificate");
    let options = ServerOptions::new(identity, clock.clone());
    let mut service = Service::new(
        Channel::new("tls", Severity::Debug, LogId::Sequential),
        vec![Listen {
            local: None,
            port: SERVER_PORT,
        }],
        Tls::Server(stockade_tls::Server::new(options).expect("sound options")),
        Backend::new(&Connect {
            host: Some(BackendHost::Address(backend)),
            port: BACKEND_PORT,
        }),
    );
    service.timeouts.idle = IDLE;
    service
}

fn network(last: u8, ipv6: bool, seed: u64, limits: Limits) -> Config {
    let key = Random::new(seed).bytes(32);
    Config {
        mac: [2, 0, 0, 0, 0, last],
        ipv4: match address(last, ipv6) {
            IpAddr::V4(address) => Ipv4Config::Static {
                address,
                prefix: 24,
                gateway: None,
            },
            IpAddr::V6(_) => Ipv4Config::Disabled,
        },
        ipv6: match address(last, ipv6) {
            IpAddr::V6(address) => Some(Ipv6Config {
                address,
                prefix: 64,
                gateway: None,
            }),
            IpAddr::V4(_) => None,
        },
        dns: Vec::new(),
        seed: key.try_into().expect("as many as asked for"),
        limits,
        role: Role::Host,
    }
}

fn address(last: u8, ipv6: bool) -> IpAddr {
    match ipv6 {
        true => Ipv6Addr::new(0xfd00, 0x5743, 0, 0, 0, 0, 0, last.into()).into(),
        false => Ipv4Addr::new(10, 9, 0, last).into(),
    }
}

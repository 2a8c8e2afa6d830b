//! The network's thread, and how others talk to it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stockade_net::{RequestId, StreamId};

use super::clients::Listeners;
use super::datagrams::Datagrams;
use super::guest::Guest;
use super::led::{Adopted, Led};
use super::poller::{Interest, Poller, Token};
use super::programs::{HostProgram, OnProgram};
use super::relay::{Relay, Stage, Verdict};
use super::resolver::Resolver;
use super::sockets::HostSockets;
use super::table::{Key, Table};
use super::{Bound, Counters, Families, Forward, HostSocket, gone, wake};
use crate::Error;

/// Open files that this process is to have, if its hard limit allows: two for each connection would
/// do, and nothing else here needs many.
const FILES: u64 = 65_536;

/// Rounds of frames before connections get their turn.
const ROUNDS: usize = 8;

/// How long nobody is accepted after descriptors ran out.
pub(super) const SHORTAGE: Duration = Duration::from_millis(100);

enum Command {
    /// The second is whether new clients wait.
    Bind(Vec<Forward>, bool, Sender<Result<Vec<Bound>, Error>>),
    Offer(Vec<HostSocket>, Vec<HostProgram>, Sender<Result<(), Error>>),
    TakeBack(Vec<HostSocket>, Vec<HostProgram>, Sender<()>),
    RunPrograms(Vec<HostProgram>),
    Hear(OnProgram),
    Adopt(Adopted),
    Retire(Vec<Forward>, Sender<()>),
    Plug(Sender<io::Result<OwnedFd>>),
    Accepting(bool),
    Families(Families),
    TakeOne,
    Stop,
}

/// The other threads' end.
pub(super) struct Handle {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    counters: Arc<Mutex<Counters>>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn start() -> io::Result<Handle> {
    raise_file_limit();
    let (commands, queue) = channel();
    let wake = Arc::new(wake::new()?);
    let counters = Arc::new(Mutex::new(Counters::default()));
    let poller = Poller::new()?;
    poller.add(&wake, Token::Wake, Interest::Readable)?;
    let (signal, shared) = (Arc::clone(&wake), Arc::clone(&counters));
    let thread = thread::Builder::new()
        .name("network".to_owned())
        .spawn(move || {
            // epoll_wait fails for no reason that is not a defect here; the handle tells.
            let _ = Engine::new(queue, poller, signal, shared).run();
        })?;
    Ok(Handle {
        commands,
        wake,
        counters,
        thread: Some(thread),
    })
}

/// Raises the soft limit of open files: shells give 1,024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        // If it can't be, fewer connections are served at once.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            },
        );
    }
}

impl Handle {
    pub(super) fn bind(&self, forwards: Vec<Forward>) -> Result<Vec<Bound>, Error> {
        self.ask(|reply| Command::Bind(forwards, false, reply))
            .unwrap_or_else(|| Err(Error::NetworkStart(gone())))
    }

    pub(super) fn prepare(&self, forwards: Vec<Forward>) -> Result<Vec<Bound>, Error> {
        self.ask(|reply| Command::Bind(forwards, true, reply))
            .unwrap_or_else(|| Err(Error::NetworkStart(gone())))
    }

    pub(super) fn offer(
        &self,
        sockets: Vec<HostSocket>,
        programs: Vec<HostProgram>,
    ) -> Result<(), Error> {
        self.ask(|reply| Command::Offer(sockets, programs, reply))
            .unwrap_or_else(|| Err(Error::NetworkStart(gone())))
    }

    pub(super) fn take_back(&self, keep: Vec<HostSocket>, programs: Vec<HostProgram>) {
        // Without its thread nothing is led anywhere any more.
        let _ = self.ask(|reply| Command::TakeBack(keep, programs, reply));
    }

    pub(super) fn run_programs(&self, programs: Vec<HostProgram>) {
        self.tell(Command::RunPrograms(programs));
    }

    pub(super) fn hear(&self, on_program: OnProgram) {
        self.tell(Command::Hear(on_program));
    }

    pub(super) fn adopt(&self, client: Adopted) {
        self.tell(Command::Adopt(client));
    }

    pub(super) fn retire(&self, keep: Vec<Forward>) {
        // Without its thread nothing listens any more.
        let _ = self.ask(|reply| Command::Retire(keep, reply));
    }

    pub(super) fn plug(&self) -> io::Result<OwnedFd> {
        self.ask(Command::Plug).unwrap_or_else(|| Err(gone()))
    }

    pub(super) fn accepting(&self, yes: bool) {
        self.tell(Command::Accepting(yes));
    }

    pub(super) fn families(&self, families: Families) {
        self.tell(Command::Families(families));
    }

    pub(super) fn take_one(&self) {
        self.tell(Command::TakeOne);
    }

    pub(super) fn counters(&self) -> Counters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = channel();
        self.tell(command(reply));
        answer.recv().ok()
    }

    fn tell(&self, command: Command) {
        // Without its thread there is nobody to tell; who waits for an answer learns it.
        let _ = self.commands.send(command);
        wake::signal(&self.wake);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has printed why.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
pub(super) struct Engine {
    queue: Receiver<Command>,
    wake: Arc<OwnedFd>,
    pub(super) poller: Poller,
    /// The machine, while there is one.
    pub(super) guest: Option<Guest>,
    /// How many machines there were.
    plugs: u64,
    pub(super) listeners: Listeners,
    /// UNIX sockets that the guest may connect to.
    pub(super) sockets: HostSockets,
    pub(super) led: Led,
    pub(super) relays: Table<Relay>,
    pub(super) by_stream: HashMap<StreamId, Key>,
    pub(super) by_request: HashMap<RequestId, Key>,
    /// Connections with something to do.
    due: Vec<Key>,
    pub(super) datagrams: Datagrams,
    pub(super) resolver: Resolver,
    pub(super) counters: Counters,
    shared: Arc<Mutex<Counters>>,
    stopped: bool,
}

impl Engine {
    fn new(
        queue: Receiver<Command>,
        poller: Poller,
        wake: Arc<OwnedFd>,
        shared: Arc<Mutex<Counters>>,
    ) -> Engine {
        Engine {
            queue,
            poller,
            guest: None,
            plugs: 0,
            listeners: Listeners::new(),
            sockets: HostSockets::default(),
            led: Led::new(),
            relays: Table::new(),
            by_stream: HashMap::new(),
            by_request: HashMap::new(),
            due: Vec::new(),
            datagrams: Datagrams::new(),
            resolver: Resolver::new(Arc::clone(&wake)),
            wake,
            counters: Counters::default(),
            shared,
            stopped: false,
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        let mut timeout = Some(Duration::ZERO);
        while !self.stopped {
            self.poller.wait(timeout, &mut events)?;
            for (token, flags) in events.drain(..) {
                self.note(token, flags);
            }
            timeout = self.turn();
        }
        Ok(())
    }

    /// Takes in what epoll says.
    fn note(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Wake => {
                wake::clear(&self.wake);
                while let Ok(command) = self.queue.try_recv() {
                    self.command(command);
                }
                self.pass_names_on();
            }
            Token::Link(number) => {
                if let Some(guest) = self.guest.as_mut().filter(|guest| guest.is(number)) {
                    let both = EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP;
                    let readable = flags.intersects(EventFlags::IN | both);
                    guest
                        .link
                        .note(readable, flags.intersects(EventFlags::OUT | both));
                }
            }
            Token::Listener(key) => self.listeners.note(key),
            Token::Relay(key) => {
                if let Some(relay) = self.relays.get_mut(key) {
                    relay.note(flags);
                    self.make_due(key);
                }
            }
            Token::Datagrams(key) => self.pass_datagrams_on(key),
        }
    }

    /// Does all there is to do. Returns how long nothing more will be, unless something happens.
    fn turn(&mut self) -> Option<Duration> {
        for _ in 0..ROUNDS {
            if !self.take_frames_in() {
                break;
            }
        }
        self.accept();
        self.lead();
        for key in std::mem::take(&mut self.due) {
            self.serve(key);
        }
        self.send_frames();
        let now = Instant::now();
        let expiry = self.datagrams.expire(now);
        self.publish_counters();
        if self.stopped || !self.due.is_empty() {
            return Some(Duration::ZERO);
        }
        let timers = [
            self.next_frames(),
            expiry.map(|at| at.saturating_duration_since(now)),
            self.next_accept(now),
            self.next_lead(now),
        ];
        timers.into_iter().flatten().min()
    }

    fn command(&mut self, command: Command) {
        // Who does not wait for the answer any more does not want it.
        match command {
            Command::Bind(forwards, waits, reply) => {
                let bound = self.listeners.bind(&forwards, waits, &self.poller);
                let _ = reply.send(bound);
            }
            Command::Offer(sockets, programs, reply) => {
                let _ = reply.send(self.sockets.offer(&sockets, &programs));
            }
            Command::RunPrograms(programs) => self.led.run(&programs),
            Command::Hear(on_program) => self.led.tell = on_program,
            Command::Adopt(client) => self.led.adopt(client),
            Command::TakeBack(keep, programs, reply) => {
                self.sockets.take_back(&keep, &programs);
                let _ = reply.send(());
            }
            Command::Retire(keep, reply) => {
                self.listeners.retire(&keep);
                let _ = reply.send(());
            }
            Command::Plug(reply) => {
                let _ = reply.send(self.plug());
            }
            Command::Accepting(yes) => self.listeners.accepting = yes,
            Command::Families(families) => self.resolver.families = families,
            Command::TakeOne => self.listeners.takes_one = true,
            Command::Stop => self.stopped = true,
        }
    }

    fn plug(&mut self) -> io::Result<OwnedFd> {
        self.plugs += 1;
        let (guest, theirs) = Guest::new(self.plugs)?;
        self.poller
            .add(&guest.link, guest.token(), Interest::Changes)?;
        self.unplug();
        self.guest = Some(guest);
        Ok(theirs)
    }

    /// The machine is gone: nothing that led to it is left.
    pub(super) fn unplug(&mut self) {
        for mut relay in self.relays.extract(|_| true) {
            relay.reset_peer();
            self.counters.reset += 1;
        }
        self.by_stream.clear();
        self.by_request.clear();
        self.due.clear();
        self.datagrams.clear();
        self.led.unplugged();
        self.guest = None;
    }

    pub(super) fn make_due(&mut self, key: Key) {
        if let Some(relay) = self.relays.get_mut(key)
            && !relay.queued
        {
            relay.queued = true;
            self.due.push(key);
        }
    }

    /// One connection's turn.
    fn serve(&mut self, key: Key) {
        let Some(relay) = self.relays.get_mut(key) else {
            return;
        };
        relay.queued = false;
        let id = match &relay.stage {
            Stage::Joined(id) => *id,
            Stage::Dialling { .. } => return self.dialled(key),
            Stage::Introducing(id, program) => {
                let (id, program) = (*id, Arc::clone(program));
                return self.introduced(key, id, &program);
            }
        };
        let Some(guest) = &mut self.guest else {
            return;
        };
        let verdict = match guest.stack.stream(id) {
            Some(mut stream) => relay.pump(&mut stream),
            None => Verdict::Over,
        };
        match verdict {
            Verdict::Waits => return,
            Verdict::Over => {}
            Verdict::Reset => {
                relay.reset_peer();
                self.counters.reset += 1;
            }
        }
        self.drop_relay(key, id, false);
    }

    /// A connection is over.
    pub(super) fn drop_relay(&mut self, key: Key, id: StreamId, resets: bool) {
        if let Some(guest) = &mut self.guest {
            if resets && let Some(mut stream) = guest.stack.stream(id) {
                stream.reset();
            }
            guest.stack.release(id);
        }
        self.by_stream.remove(&id);
        self.relays.remove(key);
        self.led.ended(key);
        self.listeners.relieved();
    }

    fn publish_counters(&mut self) {
        self.counters.open = self.relays.len() as u64;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        *shared = self.counters;
        if let Some(guest) = &self.guest {
            guest.count(&mut shared);
        }
    }
}

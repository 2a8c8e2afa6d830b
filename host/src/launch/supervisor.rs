//! What the launcher's thread and everybody else share: how things stand, and orders.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use stockade_channel::Listening;

use super::ending::in_short;
use super::events::{Ring, cut};
use super::notify::Notify;
use super::options::{OnLine, Setup, Source};
use super::plan::Plan;
use super::run::Run;
use super::{End, Events, LastWords, Options, Phase, Ready, Reloaded, Status};
use crate::network::{Bound, Network};
use crate::{Accel, Error};

/// Most lines of the console that wait for the launcher's thread; it takes them at once, so this
/// is for a thread that is kept from running.
const MAX_LINES: usize = 2000;

/// Longest line of the console that is looked at and kept, bytes.
pub(super) const MAX_LINE: usize = 4096;

/// What a reload ends with.
pub(super) type Reply = Sender<Result<Reloaded, Error>>;

/// What the launcher's thread is told.
pub(super) enum Order {
    /// What the source has read, or every line of what is wrong with it.
    Reload(Result<Setup, Vec<String>>, Reply),
    Status(Sender<stockade_channel::Status>),
    Stop(Duration),
    EndNow,
    /// QEMU of the machine with this number has ended.
    Ended(u32),
}

pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// An eventfd(2), which the launcher's thread waits for.
    wake: OwnedFd,
    /// Locked for as long as a reload lasts, so that there is one at a time.
    source: Mutex<Box<dyn Source>>,
    on_line: Mutex<OnLine>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(super) network: Option<Network>,
    pub(super) notify: Notify,
    started: Instant,
    accel: Accel,
}

/// How things stand, for everybody to read. The launcher's thread alone changes it.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) end: Option<End>,
    pub(super) qemu_pid: Option<u32>,
    pub(super) serving_since: Option<Instant>,
    pub(super) ready_after: Duration,
    pub(super) ever_ready: bool,
    pub(super) starts: u32,
    pub(super) revision: u32,
    pub(super) bound: Vec<Bound>,
    pub(super) services: Vec<Listening>,
    pub(super) last_words: Option<LastWords>,
    pub(super) has_channel: bool,
    pub(super) events: Ring,
    /// Orders that nobody has looked at.
    pub(super) orders: VecDeque<Order>,
    /// Lines of the console that nobody has looked at.
    pub(super) lines: VecDeque<String>,
    /// How many more lines there were.
    pub(super) lines_lost: u64,
    /// What has become of programs, with severities, that nobody has looked at.
    pub(super) programs: VecDeque<(u8, String)>,
}

/// Starts everything, the first machine included.
pub(super) fn start(options: Options) -> Result<Arc<Shared>, Error> {
    let started = Instant::now();
    let Options {
        mut source,
        notify,
        on_bound,
        on_line,
        on_event,
        ..
    } = options;
    let setup = source.read().map_err(Error::Refused)?;
    let plan = Plan::new(&options.machinery)?;
    let network = plan.network()?;
    let bound = match &network {
        Some(network) => {
            network.families(setup.families);
            if options.takes_one {
                network.take_one();
            }
            network.offer(&setup.sockets, &setup.programs)?;
            network.run_programs(&setup.programs);
            network.bind(&setup.forwards)?
        }
        None => Vec::new(),
    };
    on_bound()?;
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|error| Error::Launch(format!("no descriptor for the launcher: {error}")))?;
    let state = State {
        phase: Phase::Starting,
        end: None,
        qemu_pid: None,
        serving_since: None,
        ready_after: Duration::ZERO,
        ever_ready: false,
        starts: 0,
        revision: 1,
        bound,
        services: Vec::new(),
        last_words: None,
        has_channel: false,
        events: Ring::new(options.event_bytes),
        orders: VecDeque::new(),
        lines: VecDeque::new(),
        lines_lost: 0,
        programs: VecDeque::new(),
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        changed: Condvar::new(),
        wake,
        source: Mutex::new(source),
        on_line: Mutex::new(on_line),
        thread: Mutex::new(None),
        network,
        notify,
        started,
        accel: plan.accel(),
    });
    if let Some(network) = &shared.network {
        let told = Arc::downgrade(&shared);
        network.on_program(Arc::new(move |severity, line| {
            if let Some(shared) = told.upgrade() {
                shared.program(severity, line);
            }
        }));
    }
    let mut run = Run::new(Arc::clone(&shared), plan, setup, on_event, options.pauses);
    run.first()?;
    let thread = thread::Builder::new()
        .name("launcher".to_owned())
        .spawn(move || run.run())
        .map_err(|error| Error::Launch(format!("no thread for the launcher: {error}")))?;
    *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(shared)
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how things stand, and tells those that wait for it.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    pub(super) const fn wake(&self) -> &OwnedFd {
        &self.wake
    }

    /// Tells the launcher's thread; false when it has ended.
    pub(super) fn order(&self, order: Order) -> bool {
        {
            let mut state = self.lock();
            if state.end.is_some() {
                return false;
            }
            state.orders.push_back(order);
        }
        self.rouse();
        true
    }

    fn rouse(&self) {
        // Fails only when the counter is full, and then the thread wakes all the same.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// A line of the console, on the thread that reads it.
    pub(super) fn line(&self, text: &str) {
        {
            let mut on_line = self.on_line.lock().unwrap_or_else(PoisonError::into_inner);
            on_line(text);
        }
        {
            let mut state = self.lock();
            if state.lines.len() < MAX_LINES {
                let mut line = text.to_owned();
                cut(&mut line, MAX_LINE);
                state.lines.push_back(line);
            } else {
                state.lines_lost += 1;
            }
        }
        self.rouse();
    }

    /// What has become of a program, on the thread that waits for it.
    fn program(&self, severity: u8, line: &str) {
        {
            let mut state = self.lock();
            if state.programs.len() < MAX_LINES {
                state.programs.push_back((severity, line.to_owned()));
            }
        }
        self.rouse();
    }

    pub(super) fn wait_ready(&self, timeout: Duration) -> Result<Ready, Error> {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            match (&state.end, state.phase) {
                (Some(End::Failed { reason, last_words }), _) => {
                    let words = last_words.as_ref().map(in_short);
                    return Err(Error::Launch(words.unwrap_or_else(|| reason.clone())));
                }
                (Some(End::Stopped | End::Killed), _) | (None, Phase::Stopping) => {
                    return Err(Error::Stopped);
                }
                (None, Phase::Serving) => {
                    return Ok(Ready {
                        after: state.ready_after,
                        bound: state.bound.clone(),
                        services: state.services.clone(),
                        revision: state.revision,
                    });
                }
                (None, _) => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::TimedOut {
                    what: "the image's \"ready\"".to_owned(),
                    after: timeout,
                    messages: String::new(),
                });
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn status(&self, timeout: Duration) -> Status {
        let asks = {
            let state = self.lock();
            state.has_channel && matches!(state.phase, Phase::Serving | Phase::Stopping)
        };
        let image = asks.then(|| {
            let (reply, answer) = channel();
            self.order(Order::Status(reply));
            answer.recv_timeout(timeout).ok()
        });
        let network = self.network.as_ref().map(Network::counters);
        let state = self.lock();
        Status {
            phase: state.phase,
            pid: std::process::id(),
            qemu_pid: state.qemu_pid,
            accel: self.accel,
            uptime: self.started.elapsed(),
            serving: state.serving_since.map(|since| since.elapsed()),
            starts: state.starts,
            revision: state.revision,
            bound: state.bound.clone(),
            services: state.services.clone(),
            last_words: state.last_words.clone(),
            newest_event: state.events.newest(),
            image: image.flatten(),
            network,
            has_channel: state.has_channel,
        }
    }

    pub(super) fn reload(&self) -> Result<Reloaded, Error> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        // A service that has never been ready must not say that it is.
        let tells = self.lock().ever_ready;
        if tells {
            self.notify.reloading();
        }
        let (reply, answer) = channel();
        self.order(Order::Reload(source.read(), reply));
        let result = answer.recv().unwrap_or(Err(Error::Stopped));
        let goes_on = !matches!(self.lock().phase, Phase::Stopping | Phase::Ended);
        if tells && goes_on {
            self.notify.ready(match &result {
                Ok(_) => "Serving by the new configuration",
                Err(_) => "Serving by the old configuration; the new one was refused",
            });
        }
        result
    }

    pub(super) fn stop(&self, drain: Duration) -> End {
        self.order(Order::Stop(drain));
        let mut state = self.lock();
        loop {
            if let Some(end) = &state.end {
                return end.clone();
            }
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn wait(&self, timeout: Duration) -> Option<End> {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.end.is_some() || left.is_zero() {
                return state.end.clone();
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn events_since(&self, number: u64, most: usize) -> Events {
        self.lock().events.since(number, most)
    }

    pub(super) fn end_now(&self) {
        self.order(Order::EndNow);
        let thread = {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            thread.take()
        };
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // If it panicked, in a caller's function most likely, it has printed why.
            let _ = thread.join();
        }
    }
}

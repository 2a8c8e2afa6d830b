//! The launcher's thread: one machine at a time, and what becomes of it.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use stockade_channel::OneLine;
use stockade_config::exit::Outcome;

use super::ending::severity_of;
use super::events::{ERROR, Kind, NOTICE, Record, WARNING};
use super::machine::{Machine, Talk};
use super::options::{OnEvent, Pauses, Setup};
use super::pause::Pause;
use super::plan::Plan;
use super::reload::{Reload, refused};
use super::supervisor::{Order, Shared};
use super::{End, Phase};
use crate::{Channel, Error, READY};

/// Beyond the time that connections have to end by themselves, the image has this long to shut
/// down; then it is ended by force.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What the launcher's thread works with.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) plan: Plan,
    /// The configuration that counts: the one the image has taken last.
    pub(super) setup: Setup,
    pub(super) machine: Option<Machine>,
    pub(super) stage: Stage,
    pub(super) reload: Option<Reload>,
    pub(super) pause: Pause,
    on_event: OnEvent,
    /// QEMU's end of a link for the next machine.
    pub(super) plugged: Option<OwnedFd>,
    /// How the machine before ended, while none has served yet.
    pub(super) ended_before: Option<Outcome>,
}

/// What a launcher is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A machine boots.
    Starting,
    /// A machine boots with a configuration that waits to be taken.
    Trying,
    /// The image serves, since then.
    Serving(Instant),
    /// There is no machine until then.
    Pausing(Instant),
    /// The image shuts down; by then it must have.
    Stopping(Instant),
    /// All is over.
    Over,
}

impl Stage {
    const fn phase(self) -> Phase {
        match self {
            Stage::Starting | Stage::Trying => Phase::Starting,
            Stage::Serving(_) => Phase::Serving,
            Stage::Pausing(_) => Phase::Restarting,
            Stage::Stopping(_) => Phase::Stopping,
            Stage::Over => Phase::Ended,
        }
    }
}

impl Run {
    pub(super) fn new(
        shared: Arc<Shared>,
        plan: Plan,
        setup: Setup,
        on_event: OnEvent,
        pauses: Pauses,
    ) -> Run {
        Run {
            shared,
            plan,
            setup,
            machine: None,
            stage: Stage::Starting,
            reload: None,
            pause: Pause::new(pauses),
            on_event,
            plugged: None,
            ended_before: None,
        }
    }

    /// Starts the first machine; it is an error if that fails.
    pub(super) fn first(&mut self) -> Result<(), Error> {
        let setup = self.setup.clone();
        self.start(&setup)
    }

    /// Watches until all is over.
    pub(super) fn run(mut self) {
        let mut more = false;
        while self.stage != Stage::Over {
            self.wait(more);
            more = self.listen();
            for order in self.orders() {
                self.obey(order);
            }
            self.read_console();
            self.hear_programs();
            self.look_at_the_clock();
        }
    }

    fn set(&mut self, stage: Stage) {
        self.stage = stage;
        self.shared.change(|state| {
            state.phase = stage.phase();
            state.serving_since = match stage {
                Stage::Serving(since) => Some(since),
                _ => None,
            };
        });
    }

    /// Waits for an order, a line, a frame of the channel or a deadline.
    fn wait(&self, more: bool) {
        let until = if more {
            Some(Instant::now())
        } else {
            self.deadline()
        };
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or(Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            })
        });
        let wake = self.shared.wake();
        let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
        let channel = self.machine.as_ref().and_then(Machine::open_channel);
        if let Some(channel) = channel {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, channel.is_blocked());
            fds.push(PollFd::from_borrowed_fd(channel.fd(), flags));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // No memory for the list of two: try again, and not at once.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
        // Nothing to read is no error here.
        let _ = rustix::io::read(wake.as_fd(), &mut [0; 8]);
    }

    fn deadline(&self) -> Option<Instant> {
        let stage = match self.stage {
            Stage::Pausing(until) | Stage::Stopping(until) => Some(until),
            Stage::Starting | Stage::Trying | Stage::Serving(_) | Stage::Over => None,
        };
        let channel = self.machine.as_ref().and_then(Machine::open_channel);
        let channel = channel.and_then(Channel::poll_at);
        let talk = self.machine.as_ref().and_then(Machine::decides_at);
        let reload = self.reload.as_ref().and_then(Reload::impatient_at);
        [stage, channel, talk, reload].into_iter().flatten().min()
    }

    fn orders(&self) -> VecDeque<Order> {
        mem::take(&mut self.shared.lock().orders)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Reload(setup, reply) => self.begin_reload(setup, reply),
            Order::Status(reply) => {
                if let Some(machine) = &mut self.machine {
                    machine.ask_status(reply);
                    self.listen();
                }
            }
            Order::Stop(drain) => self.stop(drain),
            Order::EndNow => self.end_by_force(),
            Order::Ended(number) => {
                if self.machine.as_ref().is_some_and(|it| it.number == number) {
                    self.machine_ended();
                }
            }
        }
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        match self.stage {
            Stage::Pausing(until) if now >= until => self.start_next(),
            Stage::Stopping(until) if now >= until => self.end_by_force(),
            _ => {}
        }
        if let Some(reload) = &mut self.reload {
            reload.lose_patience(now);
        }
        let decides = self.machine.as_ref().and_then(Machine::decides_at);
        if decides.is_some_and(|at| now >= at) {
            self.take_the_console();
        }
    }

    /// Starts a machine for this.
    pub(super) fn start(&mut self, setup: &Setup) -> Result<(), Error> {
        let plugged = match (&self.shared.network, self.plugged.take()) {
            (Some(network), None) => Some(network.plug()?),
            (_, plugged) => plugged,
        };
        let number = self.shared.change(|state| {
            state.starts += 1;
            state.starts
        });
        let machine = Machine::start(&self.plan, &self.shared, setup, plugged, number)?;
        let pid = machine.pid();
        let has_channel = machine.open_channel().is_some();
        self.machine = Some(machine);
        self.shared.change(|state| {
            state.qemu_pid = Some(pid);
            state.has_channel = has_channel;
            state.services.clear();
        });
        self.event(
            NOTICE,
            Kind::Started,
            format!("Machine {number} started: QEMU is process {pid}"),
        );
        Ok(())
    }

    /// Starts the machine that takes another one's place.
    pub(super) fn start_next(&mut self) {
        self.set(Stage::Starting);
        let setup = self.setup.clone();
        if let Err(error) = self.start(&setup) {
            // What was there a while ago may be there again soon: memory, or QEMU in an upgrade.
            let pause = self.pause.after(None);
            self.event(
                ERROR,
                Kind::Ended,
                format!("The machine can't be started: {error}"),
            );
            self.pause_for(pause);
        }
    }

    pub(super) fn pause_for(&mut self, pause: Duration) {
        let text = format!("The next machine starts in {} ms", pause.as_millis());
        self.shared.notify.status(&text);
        self.event(NOTICE, Kind::Restarting, text);
        self.set(Stage::Pausing(Instant::now() + pause));
    }

    /// The image serves.
    pub(super) fn serves(&mut self) {
        let Some(machine) = &self.machine else {
            return;
        };
        let after = machine.age();
        let was_trying = self.stage == Stage::Trying;
        if !matches!(self.stage, Stage::Starting | Stage::Trying) {
            return;
        }
        self.ended_before = None;
        if was_trying {
            self.taken();
        }
        let first = self.shared.change(|state| {
            state.ready_after = after;
            !mem::replace(&mut state.ever_ready, true)
        });
        if let Some(network) = &self.shared.network {
            network.accepting(true);
        }
        let text = format!("Serving, {} ms after QEMU's start", after.as_millis());
        self.event(NOTICE, Kind::Ready, text.clone());
        self.set(Stage::Serving(Instant::now()));
        // Who is told may ask at once how things stand.
        if first {
            self.shared.notify.ready(&text);
        } else {
            self.shared.notify.status(&text);
        }
        self.send_reload();
    }

    /// Lines of the console: whether the image serves and, for one without a channel, its log.
    pub(super) fn read_console(&mut self) {
        let (lines, lost) = self.shared.change(|state| {
            (
                mem::take(&mut state.lines),
                mem::take(&mut state.lines_lost),
            )
        });
        for line in lines {
            let ready = line.contains(READY);
            let Some(machine) = &mut self.machine else {
                continue;
            };
            if let Some(line) = machine.hear(OneLine(&line).to_string()) {
                self.console_event(line);
            }
            if ready {
                self.heard_ready();
            }
        }
        let by_console = self
            .machine
            .as_ref()
            .is_some_and(|it| it.talk == Talk::Console);
        if lost > 0 && by_console {
            self.event(
                WARNING,
                Kind::Lost(lost),
                format!("{lost} lines of the console were lost"),
            );
        }
    }

    /// What has become of programs of this host.
    fn hear_programs(&mut self) {
        for (severity, line) in self.shared.change(|state| mem::take(&mut state.programs)) {
            self.event(severity, Kind::Program, line);
        }
    }

    fn heard_ready(&mut self) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        match machine.talk {
            Talk::Channel => {}
            Talk::Console => self.serves(),
            Talk::Unknown => machine.decide_soon(),
        }
    }

    /// The image does not speak the channel: its console is what there is.
    pub(super) fn take_the_console(&mut self) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        let lines = machine.take_the_console();
        self.shared.change(|state| state.has_channel = false);
        for line in lines {
            self.console_event(line);
        }
        self.serves();
    }

    fn console_event(&mut self, line: String) {
        let severity = severity_of(&line);
        self.event(severity, Kind::Image(stockade_channel::Kind::Line), line);
    }

    /// Ends the machine in order.
    fn stop(&mut self, drain: Duration) {
        if self.stage == Stage::Over {
            return;
        }
        let until = Instant::now() + drain + SHUTDOWN;
        let until = match self.stage {
            Stage::Stopping(before) => before.min(until),
            _ => {
                self.shared.notify.stopping("Stopping");
                let text = format!("Stopping; connections have {} ms to end", drain.as_millis());
                self.event(NOTICE, Kind::Stopping, text);
                until
            }
        };
        self.refuse_reload(Error::Stopped);
        if let Some(network) = &self.shared.network {
            network.retire(&[]);
            network.run_programs(&[]);
        }
        let serves = matches!(self.stage, Stage::Serving(_) | Stage::Stopping(_));
        let told = self
            .machine
            .as_mut()
            .filter(|_| serves)
            .is_some_and(|it| it.stop(drain));
        if told {
            self.set(Stage::Stopping(until));
            self.listen();
        } else {
            self.end_by_force();
        }
    }

    fn end_by_force(&mut self) {
        if let Some(machine) = self.machine.take() {
            machine.end();
        }
        self.over(End::Killed);
    }

    pub(super) fn over(&mut self, end: End) {
        self.refuse_reload(refused(format!("the launcher has ended: {end}")));
        if let Some(network) = &self.shared.network {
            network.accepting(false);
            network.retire(&[]);
        }
        self.stage = Stage::Over;
        self.shared.change(|state| {
            state.phase = Phase::Ended;
            state.qemu_pid = None;
            state.serving_since = None;
            state.end.get_or_insert(end);
            state.orders.clear();
        });
    }

    /// Notes what has happened.
    pub(super) fn event(&mut self, severity: u8, kind: Kind, text: String) {
        self.record(Record {
            number: 0,
            time: SystemTime::now(),
            machine: 0,
            severity,
            kind,
            service: String::new(),
            connection: String::new(),
            text,
            beyond_log: false,
            problems: Vec::new(),
        });
    }

    pub(super) fn record(&mut self, record: Record) {
        let record = self.shared.change(|state| {
            let machine = state.starts;
            state.events.push(Record { machine, ..record }).clone()
        });
        (self.on_event)(&record);
    }
}

impl Drop for Run {
    /// Whatever ends the thread, a panic of a caller's function too, nobody waits for ever.
    fn drop(&mut self) {
        if self.stage != Stage::Over {
            drop(self.machine.take());
            self.over(End::Failed {
                reason: "the launcher's thread has ended by a defect; its message says where"
                    .to_owned(),
                last_words: None,
            });
        }
    }
}

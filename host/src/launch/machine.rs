//! One machine of a launcher: QEMU, its console, and the management channel into it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use stockade_channel::{BadMessage, OneLine, SendError, Status, ToGuest, ToHost};
use stockade_config::exit::Outcome;

use super::LastWords;
use super::events::cut;
use super::options::Setup;
use super::plan::Plan;
use super::supervisor::{MAX_LINE, Order, Shared};
use crate::vm::{Vm, Watch};
use crate::{Channel, Error, Line};

/// Lines of the console, and messages of QEMU, that are kept as last words.
const LAST_LINES: usize = 50;

/// How long after its console has said so an image may still greet by the channel.
const GREETING: Duration = Duration::from_millis(250);

/// Lines of the console that are held until it is known whether the channel tells them.
const MOST_HELD: usize = 1000;

/// Questions for the image's status that may wait for their answers.
const MOST_QUESTIONS: usize = 32;

/// How long the rest of an ended machine's console may take to be read and shown.
const CONSOLE: Duration = Duration::from_secs(2);

/// By what a machine is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// It has not greeted yet.
    Unknown,
    /// It has greeted.
    Channel,
    /// It serves and has not greeted: its console is what there is.
    Console,
}

pub(super) struct Machine {
    pub(super) number: u32,
    pub(super) talk: Talk,
    /// The number of the last event that it told, or said to be lost.
    pub(super) newest_event: u64,
    /// Most bytes of a configuration that it takes.
    pub(super) archive_most: usize,
    vm: Vm,
    channel: Option<Channel>,
    started: Instant,
    held: VecDeque<String>,
    decides_at: Option<Instant>,
    questions: VecDeque<(u32, Sender<Status>)>,
    next_question: u32,
}

impl Machine {
    pub(super) fn start(
        plan: &Plan,
        shared: &Arc<Shared>,
        setup: &Setup,
        plugged: Option<OwnedFd>,
        number: u32,
    ) -> Result<Machine, Error> {
        let pair = plan.channel.then(Channel::pair).transpose();
        let (channel, qemus) = pair.map_err(Error::Memory)?.unzip();
        let qemu = plan.machine(setup, plugged, qemus);
        let (reader, keeper) = (Arc::clone(shared), Arc::clone(shared));
        let started = Instant::now();
        let vm = qemu.spawn_watched(Watch {
            on_line: Box::new(move |line| reader.line(line)),
            on_end: Box::new(move || {
                keeper.order(Order::Ended(number));
            }),
            keep: LAST_LINES,
        })?;
        Ok(Machine {
            number,
            talk: if channel.is_some() {
                Talk::Unknown
            } else {
                Talk::Console
            },
            newest_event: 0,
            archive_most: usize::MAX,
            vm,
            channel,
            started,
            held: VecDeque::new(),
            decides_at: None,
            questions: VecDeque::new(),
            next_question: 0,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.vm.pid()
    }

    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The channel, as long as something can come of it.
    pub(super) fn open_channel(&self) -> Option<&Channel> {
        self.channel.as_ref().filter(|channel| !channel.is_closed())
    }

    /// Takes in what the channel has brought, and sends what is due. True when there is more.
    pub(super) fn listen(&mut self, messages: &mut Vec<Result<ToHost, BadMessage>>) -> bool {
        let channel = self.channel.as_mut();
        channel.is_some_and(|channel| channel.pump(messages))
    }

    pub(super) fn send(&mut self, message: &ToGuest) -> Result<(), SendError> {
        match &mut self.channel {
            Some(channel) => channel.send(message),
            None => Err(SendError::Full),
        }
    }

    /// A line of the console; given back when it is to be an event.
    pub(super) fn hear(&mut self, line: String) -> Option<String> {
        match self.talk {
            Talk::Channel => None,
            Talk::Console => Some(line),
            Talk::Unknown => {
                if self.held.len() < MOST_HELD {
                    self.held.push_back(line);
                }
                None
            }
        }
    }

    /// The image has greeted: from now on the channel tells everything.
    pub(super) fn greeted(&mut self) {
        self.talk = Talk::Channel;
        self.held.clear();
        self.decides_at = None;
    }

    /// The console says that the image serves. If it greets at all, it does so in a moment.
    pub(super) fn decide_soon(&mut self) {
        self.decides_at.get_or_insert(Instant::now() + GREETING);
    }

    /// When to take the console instead of the channel.
    pub(super) const fn decides_at(&self) -> Option<Instant> {
        self.decides_at
    }

    /// Takes the console instead of the channel; returns the lines that were held.
    pub(super) fn take_the_console(&mut self) -> VecDeque<String> {
        self.talk = Talk::Console;
        self.decides_at = None;
        std::mem::take(&mut self.held)
    }

    /// Asks the image how it stands; the answer goes to `reply`.
    pub(super) fn ask_status(&mut self, reply: Sender<Status>) {
        self.next_question = self.next_question.wrapping_add(1);
        let request = self.next_question;
        if self.talk == Talk::Channel && self.send(&ToGuest::Status { request }).is_ok() {
            if self.questions.len() >= MOST_QUESTIONS {
                self.questions.pop_front();
            }
            self.questions.push_back((request, reply));
        }
    }

    /// The image's answer to a question.
    pub(super) fn answered(&mut self, request: u32, status: &Status) {
        let known = self
            .questions
            .iter()
            .position(|(number, _)| *number == request);
        if let Some((_, reply)) = known.and_then(|place| self.questions.remove(place)) {
            // Who asked may have lost patience.
            let _ = reply.send(status.clone());
        }
    }

    /// Tells the image to shut down; false when it can't be told.
    pub(super) fn stop(&mut self, drain: Duration) -> bool {
        let drain_ms = u32::try_from(drain.as_millis()).unwrap_or(u32::MAX);
        self.talk == Talk::Channel && self.send(&ToGuest::Stop { drain_ms }).is_ok()
    }

    /// Ends it, if it has not ended, and reads its console to the end.
    pub(super) fn end(mut self) -> LastWords {
        let ended = self.vm.try_wait();
        self.vm.kill_within(CONSOLE);
        let outcome = ended.or_else(|| self.vm.try_wait());
        let lines = self.vm.console().into_iter();
        let bounded = |line: String| {
            let mut line = OneLine(&line).to_string();
            cut(&mut line, MAX_LINE);
            line
        };
        LastWords {
            at: SystemTime::now(),
            outcome: outcome.unwrap_or(Outcome::Unknown(i32::MIN)),
            console: lines.map(|Line { text, .. }| bounded(text)).collect(),
            messages: self.vm.messages().into_iter().map(bounded).collect(),
        }
    }
}

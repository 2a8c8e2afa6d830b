//! A new configuration on its way into the image, and everything else that the image says.

use std::time::{Duration, Instant, UNIX_EPOCH};

use stockade_channel::{BadMessage, Event, OLDEST_PROTOCOL, PROTOCOL, ToGuest, ToHost};

use super::Reloaded;
use super::events::{ERROR, Kind, NOTICE, Record, WARNING};
use super::machine::Talk;
use super::options::Setup;
use super::run::{Run, Stage};
use super::supervisor::Reply;
use crate::Error;
use crate::network::Bound;

/// How long an image may take to boot and to judge a configuration, under QEMU's translator too,
/// before who asked is told so.
const PATIENCE: Duration = Duration::from_secs(60);

/// A new configuration on its way.
pub(super) struct Reload {
    setup: Setup,
    bound: Vec<Bound>,
    revision: u32,
    /// `None` once who asked has been told that it takes too long.
    reply: Option<Reply>,
    asked: Instant,
    /// Whether the image has it; it has not while it boots.
    sent: bool,
}

impl Reload {
    pub(super) const fn is_sent(&self) -> bool {
        self.sent
    }

    /// When who asked is told that it takes too long.
    pub(super) fn impatient_at(&self) -> Option<Instant> {
        self.reply.as_ref().map(|_| self.asked + PATIENCE)
    }

    pub(super) fn lose_patience(&mut self, now: Instant) {
        if self.impatient_at().is_some_and(|at| now >= at)
            && let Some(reply) = self.reply.take()
        {
            let why = if self.sent {
                "the image has not answered"
            } else {
                "no image has served"
            };
            let seconds = PATIENCE.as_secs();
            let what = format!("{why} within {seconds} s and may still do so: its answer");
            let _ = reply.send(Err(Error::TimedOut {
                what,
                after: PATIENCE,
                messages: String::new(),
            }));
        }
    }
}

impl Run {
    /// Binds the new listeners, and sends the configuration as soon as an image serves.
    pub(super) fn begin_reload(&mut self, setup: Result<Setup, Vec<String>>, reply: Reply) {
        if matches!(self.stage, Stage::Stopping(_) | Stage::Over) {
            let _ = reply.send(Err(Error::Stopped));
            return;
        }
        let setup = match setup {
            Ok(setup) => setup,
            Err(lines) => {
                let error = Error::Refused(lines);
                self.tell_refusal(&error);
                let _ = reply.send(Err(error));
                return;
            }
        };
        match &self.reload {
            Some(earlier) if earlier.is_sent() || self.stage == Stage::Trying => {
                let text = "the image has yet to take an earlier configuration; try again later";
                let _ = reply.send(Err(Error::Refused(vec![text.to_owned()])));
                return;
            }
            Some(_) => self.refuse_reload(refused("a newer one takes its place")),
            None => {}
        }
        let bound = match &self.shared.network {
            Some(network) => network.prepare(&setup.forwards).and_then(|bound| {
                let offered = network.offer(&setup.sockets, &setup.programs);
                offered.map(|()| bound)
            }),
            None => Ok(Vec::new()),
        };
        let (bound, refused) = match bound {
            Ok(bound) => (bound, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        self.reload = Some(Reload {
            setup,
            bound,
            revision: self.shared.lock().revision + 1,
            reply: Some(reply),
            asked: Instant::now(),
            sent: false,
        });
        if let Some(error) = refused {
            return self.refuse_reload(error);
        }
        match self.stage {
            Stage::Serving(_) => self.send_reload(),
            Stage::Pausing(_) => self.try_reload(),
            _ => {}
        }
    }

    /// Sends the configuration that waits, if any, to the image that serves.
    pub(super) fn send_reload(&mut self) {
        let (Some(reload), Some(machine)) = (&mut self.reload, &mut self.machine) else {
            return;
        };
        let problem = if machine.talk == Talk::Channel {
            match self.plan.archive(&self.setup, &reload.setup) {
                Ok(archive) if archive.len() > machine.archive_most => Some(format!(
                    "the configuration has {} bytes with its files, of which the image has room \
                     for {}: stop, give the machine more memory, and start anew",
                    archive.len(),
                    machine.archive_most
                )),
                Ok(archive) => {
                    let revision = reload.revision;
                    let sent = machine.send(&ToGuest::Configure { revision, archive });
                    sent.err()
                        .map(|error| format!("the image can't be told: {error}"))
                }
                Err(line) => Some(line),
            }
        } else {
            Some(
                "the image has no management channel, so it can't be told: stop and start anew"
                    .to_owned(),
            )
        };
        reload.sent = true;
        match problem {
            Some(line) => self.refuse_reload(refused(line)),
            None => {
                self.listen();
            }
        }
    }

    /// Starts a machine with the configuration that waits, now that none runs.
    pub(super) fn try_reload(&mut self) {
        let Some(setup) = self.reload.as_ref().map(|reload| reload.setup.clone()) else {
            return;
        };
        self.stage = Stage::Trying;
        if let Err(error) = self.start(&setup) {
            self.refuse_reload(refused(format!("the machine can't be started: {error}")));
            self.start_next();
        }
    }

    /// The configuration that waited is in force.
    pub(super) fn taken(&mut self) {
        let Some(reload) = self.reload.take() else {
            return;
        };
        if let Some(network) = &self.shared.network {
            network.families(reload.setup.families);
            network.retire(&reload.setup.forwards);
            network.take_back(&reload.setup.sockets, &reload.setup.programs);
            network.run_programs(&reload.setup.programs);
        }
        self.setup = reload.setup;
        let revision = reload.revision;
        self.shared.change(|state| {
            state.revision = revision;
            state.bound = reload.bound.clone();
        });
        let text = format!("Configuration {revision} is in force");
        self.event(NOTICE, Kind::Reloaded, text);
        if let Some(reply) = reload.reply {
            let bound = reload.bound;
            let _ = reply.send(Ok(Reloaded { revision, bound }));
        }
    }

    /// The configuration that waited, if any, will not be in force.
    pub(super) fn refuse_reload(&mut self, error: Error) {
        let Some(reload) = self.reload.take() else {
            return;
        };
        if let Some(network) = &self.shared.network {
            network.retire(&self.setup.forwards);
            network.take_back(&self.setup.sockets, &self.setup.programs);
        }
        self.tell_refusal(&error);
        if let Some(reply) = reload.reply {
            let _ = reply.send(Err(error));
        }
    }

    fn tell_refusal(&mut self, error: &Error) {
        let text = format!("The new configuration is refused: {error}");
        self.event(ERROR, Kind::ReloadRefused, text);
    }

    /// Hears the image out. True when there is more.
    pub(super) fn listen(&mut self) -> bool {
        let mut messages = Vec::new();
        let machine = self.machine.as_mut();
        let more = machine.is_some_and(|machine| machine.listen(&mut messages));
        for message in messages {
            match message {
                Ok(message) => self.hear(message),
                Err(bad) => self.bad_message(bad),
            }
        }
        more
    }

    fn bad_message(&mut self, bad: BadMessage) {
        let text = format!("The image sent what can't be understood: {bad}");
        self.event(WARNING, Kind::Image(stockade_channel::Kind::Line), text);
    }

    fn hear(&mut self, message: ToHost) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        match message {
            ToHost::Hello {
                protocol,
                version,
                archive_most,
            } => {
                if (OLDEST_PROTOCOL..=PROTOCOL).contains(&protocol) {
                    machine.archive_most = usize::try_from(archive_most).unwrap_or(usize::MAX);
                    return machine.greeted();
                }
                let text = format!(
                    "The image {version} speaks protocol {protocol} of the management channel, \
                     this launcher {PROTOCOL}: it can't be told anything"
                );
                self.event(WARNING, Kind::Image(stockade_channel::Kind::Line), text);
            }
            _ if machine.talk != Talk::Channel => {}
            ToHost::Ready { listening, .. } => {
                self.shared.change(|state| state.services = listening);
                self.serves();
            }
            ToHost::Event(event) => self.image_event(event),
            ToHost::Lost { events } => {
                machine.newest_event = machine.newest_event.saturating_add(events);
                self.lost(events);
            }
            ToHost::Configured { revision, result } => {
                let awaited = self.reload.as_ref();
                if awaited.is_none_or(|reload| !reload.is_sent() || reload.revision != revision) {
                    return;
                }
                match result {
                    Ok(()) => self.taken(),
                    Err(lines) => self.refuse_reload(Error::Refused(lines)),
                }
            }
            ToHost::Status { request, status } => machine.answered(request, &status),
            // What counts is how QEMU ends.
            ToHost::Stopping { .. } => {}
        }
    }

    fn image_event(&mut self, event: Event) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        if event.number <= machine.newest_event {
            return;
        }
        let missing = event.number - machine.newest_event - 1;
        machine.newest_event = event.number;
        if missing > 0 {
            self.lost(missing);
        }
        let time = UNIX_EPOCH.checked_add(Duration::from_micros(event.unix_micros));
        self.record(Record {
            number: 0,
            time: time.unwrap_or(UNIX_EPOCH),
            machine: 0,
            severity: event.severity.min(7),
            kind: Kind::Image(event.kind),
            service: event.service,
            connection: event.connection,
            text: event.text,
            beyond_log: event.beyond_log,
            problems: event.problems,
        });
    }

    fn lost(&mut self, events: u64) {
        let text = format!("{events} events are missing here: more came than could be kept");
        self.event(WARNING, Kind::Lost(events), text);
    }
}

/// That a configuration is refused, for this reason.
pub(super) fn refused(line: impl Into<String>) -> Error {
    Error::Refused(vec![line.into()])
}

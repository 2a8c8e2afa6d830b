//! The image's end of its management channel: orders come in, events and answers go out.
//!
//! What the orders do is the server's affair (`server::orders`). Here they are taken off the
//! machine's channel and answers are put on it, as far as it takes them.

use alloc::{collections::VecDeque, string::String, vec, vec::Vec};
use core::time::Duration;

use channel::{BadMessage, Bounds, Endpoint, PROTOCOL, ToGuest, ToHost};
use config::{Zeroizing, exit::ExitStatus};
use net::Instant;

use crate::{
    Machine,
    journal::{Entry, Events, Journal, Severity},
    limits::ChannelMemory,
    setup::Standing,
};

/// Answers that wait for room in the endpoint at most. A launcher that asks without taking
/// answers gets no more.
const MAX_ANSWERS: usize = 32;

/// Bytes in the endpoint up to which events are added to them: answers always find room beside.
const EVENTS_QUEUED: usize = 32 * 1024;

/// Bytes of error lines in one answer; the log has them all.
const MAX_ERRORS: usize = 32 * 1024;

/// Bytes that one turn takes in: the network has to get its turn too.
const BYTES_PER_TURN: usize = 64 * 1024;

/// Bytes that are taken from the machine at once.
const PIECE: usize = 2048;

/// How long the last messages may take until the launcher has acknowledged them.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// Turns that [`Management::part`] takes at most, whatever the clock says.
const FAREWELL_TURNS: usize = 10_000;

/// The management channel, and what is known of whoever is at its other end.
pub(crate) struct Management {
    endpoint: Endpoint<ToHost, ToGuest>,
    answers: VecDeque<ToHost>,
    /// What has just come in.
    piece: Vec<u8>,
    memory: ChannelMemory,
    /// What the machine was started with; each archive brings its second half.
    pub(crate) command_line: Zeroizing<Vec<u8>>,
    /// What no archive can change; known once the command line is read.
    pub(crate) standing: Option<Standing>,
    /// The launcher's number for the configuration in force.
    pub(crate) revision: u32,
    /// The last one whose services were announced as accepting.
    pub(crate) announced: Option<u32>,
    /// Bytes of heap that were free at the start.
    pub(crate) heap_size: usize,
    pub(crate) stage: Stage,
}

/// How far the image is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It serves.
    Serving,
    /// Sessions may end by themselves.
    Draining { since: Instant, until: Instant },
    /// They were reset; the frames that say so leave.
    Clearing { until: Instant },
    /// The last messages leave.
    Parting {
        until: Instant,
        status: ExitStatus,
        told: bool,
    },
    /// It is over.
    Ended(ExitStatus),
}

impl Management {
    /// The channel of a machine that was started with `command_line`, with `heap` free bytes.
    pub(crate) fn new(memory: ChannelMemory, command_line: &[u8], heap: usize) -> Self {
        let bounds = Bounds {
            message: memory.archive.saturating_add(64),
            queue: ChannelMemory::QUEUE,
        };
        let mut management = Self {
            endpoint: Endpoint::new(bounds),
            answers: VecDeque::new(),
            piece: vec![0; PIECE],
            memory,
            command_line: Zeroizing::new(command_line.to_vec()),
            standing: None,
            revision: 0,
            announced: None,
            heap_size: heap,
            stage: Stage::Serving,
        };
        management.answer(ToHost::Hello {
            protocol: PROTOCOL,
            version: config::VERSION.into(),
            archive_most: u32::try_from(memory.archive).unwrap_or(u32::MAX),
        });
        management
    }

    /// What the channel may take of the heap.
    pub(crate) fn memory(&self) -> &ChannelMemory {
        &self.memory
    }

    /// A queue for the journal's events.
    pub(crate) fn events(&self) -> Events {
        Events::new(self.memory.events)
    }

    /// The next order. `budget` is how many bytes this turn may still take in; with none left,
    /// there may be more.
    pub(crate) fn order<M: Machine>(
        &mut self,
        machine: &mut M,
        budget: &mut usize,
        now: Instant,
    ) -> Option<Result<ToGuest, BadMessage>> {
        loop {
            if let Some(order) = self.endpoint.poll_message() {
                return Some(order);
            }
            if *budget == 0 {
                return None;
            }
            let length = machine.channel_receive(&mut self.piece);
            if length == 0 {
                return None;
            }
            *budget = budget.saturating_sub(length);
            let received = self.piece.get(..length).unwrap_or_default();
            self.endpoint.receive(received, now.as_micros());
        }
    }

    /// What a turn may take in.
    pub(crate) const fn budget() -> usize {
        BYTES_PER_TURN
    }

    /// Queues an answer, unless too many wait.
    pub(crate) fn answer(&mut self, answer: ToHost) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(answer);
        }
    }

    /// Says what became of a configuration.
    pub(crate) fn configured(&mut self, revision: u32, result: Result<(), Vec<String>>) {
        let result = result.map_err(shortened);
        self.answer(ToHost::Configured { revision, result });
    }

    /// Sends what there is to send, and says when to do so again.
    pub(crate) fn report<M: Machine>(
        &mut self,
        machine: &mut M,
        journal: &mut Journal,
        now: Instant,
    ) -> Option<Instant> {
        self.queue(journal);
        if let Stage::Parting {
            told: told @ false,
            status,
            ..
        } = &mut self.stage
            && self.answers.is_empty()
            && journal.events().is_none_or(|events| events.is_empty())
        {
            *told = true;
            let status = status.value();
            self.answer(ToHost::Stopping { status });
            self.queue(journal);
        }
        let micros = now.as_micros();
        loop {
            let due = self.endpoint.output(micros);
            if due.is_empty() {
                break;
            }
            let taken = machine.channel_send(due);
            if taken == 0 {
                break;
            }
            self.endpoint.consume(taken);
        }
        let settled = self.endpoint.is_settled() && self.answers.is_empty();
        if let Stage::Parting {
            until,
            status,
            told,
        } = self.stage
            && ((told && settled && !journal.is_sending()) || now >= until)
        {
            self.stage = Stage::Ended(status);
        }
        let endpoint = self.endpoint.poll_at().map(Instant::from_micros);
        let stage = match self.stage {
            Stage::Serving | Stage::Ended(_) => None,
            Stage::Draining { since, until } => {
                let patient = since + crate::server::HALF_OPEN_GRACE;
                Some(if patient > now {
                    patient.min(until)
                } else {
                    until
                })
            }
            Stage::Clearing { until } | Stage::Parting { until, .. } => Some(until),
        };
        endpoint.into_iter().chain(stage).min()
    }

    /// Gives the endpoint what it has room for: answers first, then events.
    fn queue(&mut self, journal: &mut Journal) {
        while let Some(answer) = self.answers.front() {
            match self.endpoint.send(answer) {
                Ok(()) => {
                    self.answers.pop_front();
                }
                Err(channel::SendError::Full) => return,
                Err(channel::SendError::TooLong { .. }) => {
                    let answer = self.answers.pop_front();
                    if let Some(shorter) = answer.and_then(without_lists) {
                        self.answers.push_front(shorter);
                    }
                }
            }
        }
        let Some(events) = journal.events() else {
            return;
        };
        while self.endpoint.queued() < EVENTS_QUEUED
            && let Some(event) = events.front()
            && self.endpoint.send(event).is_ok()
        {
            events.pop();
        }
    }

    /// Tells the launcher why the image ends before it has begun to serve, and waits until that
    /// has arrived, for a while.
    pub(crate) fn part<M: Machine>(
        mut self,
        machine: &mut M,
        errors: Vec<String>,
        status: ExitStatus,
    ) {
        let start = machine.now();
        let until = start + FAREWELL;
        self.stage = Stage::Parting {
            until,
            status,
            told: false,
        };
        let clock = tls::WallClock::new(machine.wall_clock());
        let mut journal = Journal::new(clock, Severity::Error);
        journal.keep_events(self.events(), start);
        if let Some(events) = journal.events() {
            for error in errors {
                let kind = channel::Kind::ConfigurationFailed;
                // The console has them.
                events.push(&Entry::of_tunnel(kind, Severity::Error), &error);
            }
        }
        for _ in 0..FAREWELL_TURNS {
            let now = machine.now();
            // Orders come too late; what counts is what they acknowledge.
            let mut budget = Self::budget();
            while self.order(machine, &mut budget, now).is_some() {}
            let wake = self.report(machine, &mut journal, now);
            machine.flush();
            if let Stage::Ended(_) = self.stage {
                return;
            }
            machine.idle_until(Some(wake.unwrap_or(until).min(until)));
        }
    }
}

/// As many of the lines as an answer may have.
fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let count = lines.iter().take_while(|line| {
        bytes += line.len() + 16;
        bytes <= MAX_ERRORS
    });
    let count = count.count();
    let more = lines.len() - count;
    if more > 0 {
        lines.truncate(count);
        lines.push(alloc::format!("and {more} more"));
    }
    lines
}

/// A shorter answer in place of one that is too long for the channel, if it can be had.
fn without_lists(answer: ToHost) -> Option<ToHost> {
    match answer {
        ToHost::Status {
            request,
            mut status,
        } if !(status.services.is_empty()
            && status.connections.is_empty()
            && status.hosts.is_empty()) =>
        {
            // Connections are the longer list as a rule, and the one that is missed least.
            if !status.connections.is_empty() {
                status.connections = Vec::new();
            } else if !status.services.is_empty() {
                status.services = Vec::new();
            } else {
                status.hosts = Vec::new();
            }
            Some(ToHost::Status { request, status })
        }
        ToHost::Ready {
            revision,
            listening,
            boot_ms,
        } if !listening.is_empty() => Some(ToHost::Ready {
            revision,
            listening: Vec::new(),
            boot_ms,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

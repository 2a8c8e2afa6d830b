//! A machine's end that nobody asked for, and what follows from it.

use stockade_config::exit::{ExitStatus, Outcome};

use super::events::{ERROR, Kind, NOTICE};
use super::reload::Reload;
use super::run::{Run, Stage};
use super::{End, LastWords};
use crate::Error;

/// Lines of the console that a final failure shows, when none of them is an error.
const SHOWN: usize = 12;

impl Run {
    /// QEMU has ended: by itself, as it was asked to, or killed by somebody.
    pub(super) fn machine_ended(&mut self) {
        // What the image said last is in the socket still.
        while self.listen() {}
        let Some(machine) = self.machine.take() else {
            return;
        };
        let number = machine.number;
        let words = machine.end();
        self.read_console();
        let served = match self.stage {
            Stage::Serving(since) => Some(since.elapsed()),
            _ => None,
        };
        self.shared.change(|state| {
            state.qemu_pid = None;
            state.services.clear();
        });
        if let Stage::Stopping(_) = self.stage {
            let in_order = words.outcome.is_success();
            return self.over(if in_order { End::Stopped } else { End::Killed });
        }
        if let Some(network) = &self.shared.network {
            network.accepting(false);
            // A new link now: clients learn at once that their connections are gone.
            self.plugged = network.plug().ok();
        }
        if self.plan.do_without(&words) {
            return self.start_next();
        }
        self.shared
            .change(|state| state.last_words = Some(words.clone()));
        self.event(
            ERROR,
            Kind::Ended,
            format!("Machine {number} ended: {}", in_full(&words)),
        );
        if self.stage == Stage::Trying {
            self.refuse_reload(Error::Refused(blame(&words)));
            if words.outcome == Outcome::Image(ExitStatus::Configuration) {
                return self.start_next();
            }
        } else if let Some(reason) = self.cannot_go_on(&words) {
            self.shared.notify.status(&reason);
            return self.over(End::Failed {
                reason,
                last_words: Some(words),
            });
        }
        if self.reload.as_ref().is_some_and(Reload::is_sent) {
            let mut lines = vec![
                "the machine ended while it took the new configuration; the next one has the old"
                    .to_owned(),
            ];
            lines.extend(blame(&words));
            self.refuse_reload(Error::Refused(lines));
        }
        if self.reload.is_some() {
            return self.try_reload();
        }
        let pause = self.pause.after(served);
        self.pause_for(pause);
    }

    /// Why no other machine would do better.
    fn cannot_go_on(&mut self, words: &LastWords) -> Option<String> {
        let ever_ready = self.shared.lock().ever_ready;
        let before = self.ended_before.replace(words.outcome);
        let hopeless = match words.outcome {
            Outcome::Image(
                ExitStatus::Configuration | ExitStatus::NoDevice | ExitStatus::NoEntropy,
            ) => true,
            outcome => !ever_ready && before == Some(outcome),
        };
        hopeless.then(|| words.outcome.to_string())
    }
}

/// A machine's end as sentences, with all of its last words.
fn in_full(words: &LastWords) -> String {
    let console = words.console.iter().map(|line| ("console", line));
    let messages = words.messages.iter().map(|line| ("qemu", line));
    with_lines(words, console.chain(messages))
}

/// A machine's end as sentences, with the lines that tell why: errors, else the last ones.
pub(super) fn in_short(words: &LastWords) -> String {
    let is_error = |line: &&String| severity_of(line) <= ERROR;
    let mut console: Vec<&String> = words.console.iter().filter(is_error).collect();
    if console.is_empty() {
        let skipped = words.console.len().saturating_sub(SHOWN);
        console.extend(words.console.iter().skip(skipped));
    }
    let console = console.into_iter().map(|line| ("console", line));
    let messages = words.messages.iter().map(|line| ("qemu", line));
    with_lines(words, console.chain(messages))
}

fn with_lines<'a>(
    words: &LastWords,
    lines: impl Iterator<Item = (&'static str, &'a String)>,
) -> String {
    let lines: String = lines
        .map(|(whose, line)| format!("\n  {whose}: {line}"))
        .collect();
    format!("{}{lines}", words.outcome)
}

/// Why a machine did not take a configuration: the lines of its console that tell of errors.
fn blame(words: &LastWords) -> Vec<String> {
    let errors = words
        .console
        .iter()
        .filter(|line| severity_of(line) <= ERROR);
    let mut lines: Vec<String> = errors.cloned().collect();
    if lines.is_empty() {
        lines.push(words.outcome.to_string());
    }
    lines
}

/// The severity in a line of the log: `2026.11.22 07:00:00 LOG5[ui]: …`.
pub(super) fn severity_of(line: &str) -> u8 {
    let digit = line
        .split(" LOG")
        .nth(1)
        .and_then(|rest| rest.chars().next());
    let digit = digit.and_then(|digit| digit.to_digit(8));
    digit.map_or(NOTICE, |digit| u8::try_from(digit).unwrap_or(NOTICE))
}

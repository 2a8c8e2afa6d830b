//! A running machine.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use stockade_config::exit::Outcome;

use crate::error::Error;
use crate::process;

/// What the image writes on its console once it serves; the addresses follow.
pub const READY: &str = "ready: accepting on ";

/// Longest line that is kept whole, in bytes; a longer one is kept as several.
const MAX_LINE: u64 = 64 * 1024;

/// Most lines that are kept, unless told otherwise: the newest.
const MAX_LINES: usize = 100_000;

/// Lines of console and messages that an error shows.
const SHOWN: usize = 12;

/// One line of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Time from the start of QEMU to the end of this line.
    pub at: Duration,
    /// The line without its end.
    pub text: String,
}

/// A running machine. Dropping it ends it.
pub struct Vm {
    child: Mutex<Child>,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// Who is told of a machine, each on a thread of its own.
pub(crate) struct Watch {
    /// Sees every line of the console.
    pub(crate) on_line: Box<dyn FnMut(&str) + Send>,
    /// Is called when the machine has ended.
    pub(crate) on_end: Box<dyn FnOnce() + Send>,
    /// Most lines that are kept.
    pub(crate) keep: usize,
}

impl Watch {
    /// Only the console is looked at.
    pub(crate) fn lines(on_line: impl FnMut(&str) + Send + 'static) -> Watch {
        Watch {
            on_line: Box::new(on_line),
            on_end: Box::new(|| {}),
            keep: MAX_LINES,
        }
    }
}

struct Output {
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    console: Kept<Line>,
    messages: Kept<String>,
    console_closed: bool,
    ended: bool,
}

/// The newest of what came, counted from the first.
struct Kept<T> {
    lines: VecDeque<T>,
    /// How many came before the first that is kept.
    gone: usize,
    most: usize,
}

impl Vm {
    pub(crate) fn start(
        command: Command,
        inherit: Vec<OwnedFd>,
        watch: Watch,
    ) -> Result<Vm, Error> {
        let Watch {
            mut on_line,
            on_end,
            keep,
        } = watch;
        let program = command.get_program().to_string_lossy().into_owned();
        let output = Arc::new(Output {
            started: Instant::now(),
            state: Mutex::new(State {
                console: Kept::new(keep),
                messages: Kept::new(keep),
                console_closed: false,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let told = Arc::clone(&output);
        let end = move || {
            told.change(|state| state.ended = true);
            on_end();
        };
        let mut child = process::spawn(command, inherit, end)
            .map_err(|source| Error::Start { program, source })?;
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            let output = Arc::clone(&output);
            readers.push(thread::spawn(move || {
                read_lines(pipe, |text| {
                    on_line(&text);
                    let at = output.started.elapsed();
                    output.change(|state| state.console.push(Line { at, text }));
                });
                output.change(|state| state.console_closed = true);
            }));
        }
        if let Some(pipe) = child.stderr.take() {
            let output = Arc::clone(&output);
            readers.push(thread::spawn(move || {
                read_lines(pipe, |text| {
                    output.change(|state| state.messages.push(text))
                });
            }));
        }
        Ok(Vm {
            child: Mutex::new(child),
            output,
            readers,
        })
    }

    /// The process id of QEMU.
    pub fn pid(&self) -> u32 {
        self.lock_child().id()
    }

    /// Everything the console has shown so far, its newest 100,000 lines if there are more.
    pub fn console(&self) -> Vec<Line> {
        self.console_since(0)
    }

    /// The console's lines from the one with this number on, counted from 0.
    pub fn console_since(&self, from: usize) -> Vec<Line> {
        self.output.lock().console.since(from).cloned().collect()
    }

    /// How many lines the console has shown.
    pub fn console_len(&self) -> usize {
        self.output.lock().console.count()
    }

    /// What QEMU itself wrote to its standard error so far.
    pub fn messages(&self) -> Vec<String> {
        self.output.lock().messages.since(0).cloned().collect()
    }

    /// Waits until the image serves, and returns its [`READY`] line.
    ///
    /// # Errors
    ///
    /// The machine ended first, or `timeout` has passed; both show the last of its console.
    pub fn wait_ready(&self, timeout: Duration) -> Result<Line, Error> {
        self.wait_line(0, timeout, |text| text.contains(READY))
            .map_err(|error| match error {
                Error::TimedOut {
                    after, messages, ..
                } => Error::TimedOut {
                    what: "the image's \"ready\"".to_owned(),
                    after,
                    messages,
                },
                other => other,
            })
    }

    /// Waits for a line that `wanted` accepts, among those from number `from` on.
    ///
    /// # Errors
    ///
    /// The machine ended without such a line, or `timeout` has passed.
    pub fn wait_line(
        &self,
        from: usize,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Line, Error> {
        let deadline = Instant::now() + timeout;
        let mut next = from;
        let mut state = self.output.lock();
        loop {
            let mut fresh = state.console.since(next);
            let found = fresh.find(|line| wanted(&line.text)).cloned();
            drop(fresh);
            if let Some(line) = found {
                return Ok(line);
            }
            next = next.max(state.console.count());
            let left = deadline.saturating_duration_since(Instant::now());
            if state.console_closed {
                drop(state);
                // A closed console means an ended process, a moment later at most.
                return Err(match self.wait(left.max(Duration::from_secs(5))) {
                    Some(outcome) => Error::Ended {
                        outcome,
                        messages: self.tail(),
                    },
                    None => self.timed_out("the end of QEMU", timeout),
                });
            }
            if left.is_zero() {
                drop(state);
                return Err(self.timed_out("the expected line", timeout));
            }
            let waited = self.output.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the machine's end, `timeout` at most; `None` when it still runs.
    pub fn wait(&self, timeout: Duration) -> Option<Outcome> {
        let deadline = Instant::now() + timeout;
        let mut state = self.output.lock();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.output.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.try_wait()
    }

    /// How the machine ended, if it has.
    pub fn try_wait(&self) -> Option<Outcome> {
        self.lock_child().try_wait().ok().flatten().map(outcome)
    }

    /// Ends the machine now, as pulling the plug would, and reads its console to the end.
    pub fn kill(&mut self) {
        self.kill_process();
        for reader in self.readers.drain(..) {
            // A reader that panicked in the caller's `on_line` has printed why.
            let _ = reader.join();
        }
    }

    /// As [`kill`](Self::kill), but gives up on a console that is not read to its end in time: a
    /// caller's function that sees its lines may never return.
    pub(crate) fn kill_within(&mut self, patience: Duration) {
        self.kill_process();
        let until = Instant::now() + patience;
        let mut state = self.output.lock();
        while !state.console_closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The thread ends when that function returns, if it does.
                self.readers.clear();
                return;
            }
            let waited = self.output.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.kill();
    }

    fn kill_process(&self) {
        let mut child = self.lock_child();
        // Both fail only for a process that has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The last lines of console and messages, each on a line of its own.
    fn tail(&self) -> String {
        let state = self.output.lock();
        let console = state
            .console
            .since(0)
            .map(|line| format!("\n  console: {}", line.text));
        let messages = state
            .messages
            .since(0)
            .map(|line| format!("\n  qemu: {line}"));
        let shown = |lines: Vec<String>| lines[lines.len().saturating_sub(SHOWN)..].concat();
        shown(console.collect()) + &shown(messages.collect())
    }

    fn timed_out(&self, what: &str, after: Duration) -> Error {
        Error::TimedOut {
            what: what.to_owned(),
            after,
            messages: self.tail(),
        }
    }

    fn lock_child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl<T> Kept<T> {
    fn new(most: usize) -> Kept<T> {
        Kept {
            lines: VecDeque::new(),
            gone: 0,
            most,
        }
    }

    fn push(&mut self, line: T) {
        if self.lines.len() >= self.most && self.lines.pop_front().is_some() {
            self.gone += 1;
        }
        self.lines.push_back(line);
    }

    /// How many came.
    fn count(&self) -> usize {
        self.gone + self.lines.len()
    }

    /// Those from the one with this number on, as far as they are kept.
    fn since(&self, from: usize) -> impl DoubleEndedIterator<Item = &T> {
        self.lines.iter().skip(from.saturating_sub(self.gone))
    }
}

/// Reads to the end, line by line; bytes that are not UTF-8 are replaced.
fn read_lines(pipe: impl Read, mut each: impl FnMut(String)) {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => each(
                String::from_utf8_lossy(&bytes)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned(),
            ),
        }
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    // A process that a signal ended has no code; its negative number is no image's either.
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| -signal));
    Outcome::from_qemu(code.unwrap_or(i32::MIN))
}

#[cfg(test)]
mod tests;

//! What comes in while a run lasts: signals, and what the launcher tells.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use stockade_host::launch::{End, Kind, Launcher, Ready, Record};

use crate::free_ports::FreePorts;
use crate::keeping::Keeping;
use crate::source::Latest;
use crate::waiting::{self, PATIENCE};
use crate::{Result, say, warn};

/// syslog's severity from which on the terminal is told (RFC 5424 §6.2.1).
const ERROR: u8 = 3;

/// The status when a third signal ends the process at once: 128 and SIGINT, as shells count.
const INTERRUPTED: i32 = 130;

/// What is said when a reload was refused, behind the reasons.
const NOT_TAKEN: &str = "warning: SIGHUP: the configuration is not taken; the old one goes on";

/// Something that has happened.
pub(crate) enum Message {
    Signal(i32),
    /// The first machine serves.
    Ready(Ready),
    /// It does not yet, after [`PATIENCE`].
    Slow,
    /// Something to tell; the second is whether it is serious.
    Told(String, bool),
    /// The image has taken a new configuration; what to tell.
    Reloaded(String),
    Ended(End),
}

impl Message {
    /// What this event of the launcher means here; nothing if the console tells it.
    pub(crate) fn of(record: &Record) -> Option<Message> {
        let first_line = || record.text.lines().next().unwrap_or_default().to_owned();
        match record.kind {
            // The console has shown the last words.
            Kind::Ended => Some(Message::Told(first_line(), true)),
            // That it was started, and how it ended, is for `diagnose`.
            Kind::Program if record.severity <= ERROR => {
                Some(Message::Told(record.text.clone(), true))
            }
            Kind::Restarting | Kind::Stopping => Some(Message::Told(record.text.clone(), false)),
            Kind::Ready if record.machine > 1 => Some(Message::Told(record.text.clone(), false)),
            Kind::Reloaded => Some(Message::Reloaded(record.text.clone())),
            _ => None,
        }
    }
}

/// Where messages arrive.
pub(crate) struct Messages {
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// Whether this process had a terminal at its start.
    terminal: bool,
}

impl Messages {
    /// Takes over the signals that a run heeds (stunnel(8), "SIGNALS").
    pub(crate) fn listen() -> Result<Messages> {
        let (sender, receiver) = channel();
        let signals = [SIGHUP, SIGINT, SIGTERM, SIGUSR1];
        waiting::for_signals(signals, &sender, Message::Signal)?;
        Ok(Messages {
            sender,
            receiver,
            terminal: io::stdin().is_terminal(),
        })
    }

    /// For others that have something to tell.
    pub(crate) fn sender(&self) -> Sender<Message> {
        self.sender.clone()
    }

    /// Whether the terminal that there was has gone away: the system then refuses to say what
    /// kind it is, and sends SIGHUP (tty_ioctl(4), signal(7)).
    fn terminal_is_gone(&self) -> bool {
        self.terminal && !io::stdin().is_terminal()
    }
}

/// Does what signals and the launcher ask for, until the launcher has ended.
pub(crate) fn until_end(
    launcher: &Arc<Launcher>,
    messages: Messages,
    keeping: &Keeping,
    latest: &Latest,
    guidance: &str,
    drain: Duration,
) -> End {
    let mut threads = vec![
        watch(launcher, &messages, await_ready),
        watch(launcher, &messages, await_end),
    ];
    let mut free_ports = FreePorts::default();
    free_ports.tell(launcher, latest, keeping);
    let mut stops = 0;
    let log = keeping.log();
    let end = loop {
        let Ok(message) = messages.receiver.recv() else {
            unreachable!("we hold a sender ourselves");
        };
        match message {
            Message::Signal(SIGUSR1) => keeping.reopen(),
            Message::Signal(SIGHUP) if !messages.terminal_is_gone() => {
                let tell = messages.sender();
                threads.push(aside(launcher, move |launcher| {
                    // That it was taken is an event.
                    if let Err(mut lines) = launcher.reload() {
                        lines.push(NOT_TAKEN.to_owned());
                        let _ = tell.send(Message::Told(lines.join("\n"), false));
                    }
                }));
            }
            Message::Signal(_) => {
                stops += 1;
                let drain = match stops {
                    1 => drain,
                    2 => Duration::ZERO,
                    // What QEMU leaves, the kernel takes.
                    _ => std::process::exit(INTERRUPTED),
                };
                threads.push(aside(launcher, move |launcher| {
                    launcher.stop(drain);
                }));
            }
            Message::Ready(ready) => say(&format!(
                "\nServing {:.0} ms after QEMU's start. {guidance}Ctrl-C stops it.\n",
                ready.after.as_secs_f64() * 1e3
            )),
            Message::Slow => warn(&format!(
                "warning: the image does not serve yet, after {} s; it goes on trying",
                PATIENCE.as_secs()
            )),
            Message::Told(text, serious) => {
                let word = if serious { "warning: " } else { "" };
                warn(&format!("{word}{text}"));
                text.lines().for_each(|line| log.write_line(line));
            }
            Message::Reloaded(text) => {
                warn(&text);
                {
                    let latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(global) = &latest.global {
                        keeping.adopt(global);
                    }
                }
                free_ports.tell(launcher, latest, keeping);
            }
            Message::Ended(end) => break end,
        }
    };
    for thread in threads {
        // One that panicked has said why.
        let _ = thread.join();
    }
    end
}

/// Prints how the launcher ended.
pub(crate) fn tell(end: &End) -> ExitCode {
    if end.is_success() {
        say("\nStopped.");
        return ExitCode::SUCCESS;
    }
    if let End::Failed {
        last_words: Some(words),
        ..
    } = end
    {
        for message in &words.messages {
            warn(&format!("qemu: {message}"));
        }
    }
    warn(&format!("error: {end}"));
    ExitCode::FAILURE
}

/// Tells when the first machine serves.
fn await_ready(launcher: &Launcher, tell: &Sender<Message>) {
    let slow = || drop(tell.send(Message::Slow));
    if let Some(ready) = waiting::for_ready(launcher, slow) {
        let _ = tell.send(Message::Ready(ready));
    }
}

fn await_end(launcher: &Launcher, tell: &Sender<Message>) {
    let _ = tell.send(Message::Ended(waiting::for_end(launcher)));
}

fn watch(
    launcher: &Arc<Launcher>,
    messages: &Messages,
    what: impl Fn(&Launcher, &Sender<Message>) + Send + 'static,
) -> JoinHandle<()> {
    let tell = messages.sender();
    aside(launcher, move |launcher| what(launcher, &tell))
}

/// Lets the launcher do something that takes time.
fn aside(
    launcher: &Arc<Launcher>,
    what: impl FnOnce(&Launcher) + Send + 'static,
) -> JoinHandle<()> {
    let launcher = Arc::clone(launcher);
    thread::spawn(move || what(&launcher))
}

//! The log as stunnel keeps it: held until it is known where it goes, then a time stamp, a level and
//! who speaks before each line.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use stockade_config::stunnel::Global;
use stockade_host::Error;
use stockade_host::conf::LogFile;
use stockade_host::launch::Record;

use super::source::Foreground;
use super::syslog::Syslog;

/// Who speaks before a daemon has left its terminal, and where there is no daemon.
const TERMINAL: &str = "ui";

/// Who speaks in a daemon.
const DAEMON: &str = "main";

/// Most lines that are held while it is not known where they go.
const MOST_HELD: usize = 10_000;

/// The log. Clones are the same log.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Inner>>);

struct Inner {
    stage: Stage,
    speaker: &'static str,
    /// Lines of ours beyond this level are left out.
    level: u8,
}

enum Stage {
    /// Nothing is written yet.
    Held(Vec<Line>),
    /// There was no more to it than telling the terminal why.
    GivenUp,
    /// The configuration has said where lines go.
    Open(Sinks),
}

struct Line {
    time: SystemTime,
    level: u8,
    speaker: String,
    text: String,
    /// Whether it was found worth its level where it comes from.
    is_judged: bool,
}

/// Where lines go.
struct Sinks {
    terminal: bool,
    file: Option<Output>,
    syslog: Option<Syslog>,
}

/// What `output` names.
enum Output {
    /// A file that can be opened by its name again.
    Named(LogFile),
    /// This process's standard output, as it was at the start.
    Stream(File),
}

impl Log {
    /// A log that is held.
    pub(super) fn new() -> Log {
        Log(Arc::new(Mutex::new(Inner {
            stage: Stage::Held(Vec::new()),
            speaker: TERMINAL,
            level: super::level::NOTICE,
        })))
    }

    /// A line of ours.
    pub(super) fn say(&self, level: u8, text: &str) {
        let mut inner = self.lock();
        let speaker = inner.speaker.to_owned();
        inner.take(Line {
            time: SystemTime::now(),
            level,
            speaker,
            text: text.to_owned(),
            is_judged: false,
        });
    }

    /// What the image says, whose own journal has judged its importance. Its clock knows seconds alone,
    /// so this host's counts.
    pub(super) fn pass(&self, record: &Record, text: String) {
        let mut inner = self.lock();
        let speaker = match record.connection.as_str() {
            "" => inner.speaker.to_owned(),
            connection => connection.to_owned(),
        };
        inner.take(Line {
            time: SystemTime::now(),
            level: record.severity,
            speaker,
            text,
            is_judged: true,
        });
    }

    /// Writes what is held to standard error, whatever its level, and goes on so: nothing will be
    /// served.
    pub(super) fn give_up(&self) {
        let mut inner = self.lock();
        if let Stage::Held(lines) = &mut inner.stage {
            let lines = std::mem::take(lines);
            inner.stage = Stage::GivenUp;
            for line in lines {
                inner.take(line);
            }
        }
    }

    /// Writes what is held where the configuration wants it, and goes on so.
    ///
    /// # Errors
    ///
    /// The log file can't be opened.
    pub(super) fn open(&self, global: &Global, foreground: Foreground) -> Result<(), Error> {
        let sinks = Sinks {
            terminal: foreground == Foreground::Yes,
            file: Output::open(global)?,
            syslog: Syslog::wanted(global),
        };
        let mut inner = self.lock();
        inner.level = global.debug;
        let before = std::mem::replace(&mut inner.stage, Stage::Open(sinks));
        if let Stage::Held(lines) = before {
            for line in lines {
                inner.take(line);
            }
        }
        Ok(())
    }

    /// Opens the log file by its name again, after logrotate(8) has moved it.
    pub(super) fn reopen(&self) {
        let reopened = match &self.lock().stage {
            Stage::Open(Sinks {
                file: Some(Output::Named(file)),
                ..
            }) => file.reopen(),
            _ => Ok(()),
        };
        match reopened {
            Ok(()) => self.say(super::level::NOTICE, "Log file reopened"),
            Err(error) => self.tell_error(&error),
        }
    }

    /// Goes over to what a new configuration says of the log.
    pub(super) fn adopt(&self, global: &Global) {
        let opened = {
            let inner = &mut *self.lock();
            inner.level = global.debug;
            let Stage::Open(sinks) = &mut inner.stage else {
                return;
            };
            sinks.syslog = Syslog::wanted(global);
            match &sinks.file {
                // Emptying it is for starts alone.
                Some(Output::Named(file)) if global.output.as_deref() == file.path().to_str() => {
                    file.reopen()
                }
                Some(Output::Stream(_)) if is_stream(global) => Ok(()),
                _ => Output::open(global).map(|file| sinks.file = file),
            }
        };
        if let Err(error) = opened {
            self.tell_error(&error);
        }
    }

    /// From now on a daemon speaks.
    pub(super) fn become_daemon(&self) {
        self.lock().speaker = DAEMON;
    }

    /// An error of this host about a file of stunnel's, in stunnel's lines.
    pub(super) fn tell_error(&self, error: &Error) {
        for line in error_lines(error) {
            self.say(super::level::ERROR, &line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as stunnel tells it: what, then which call the system has refused.
pub(super) fn error_lines(error: &Error) -> Vec<String> {
    match error {
        Error::LogFile { path, reason } => vec![
            format!("Cannot open log file: {}", path.display()),
            format!("open: {reason}"),
        ],
        Error::PidFile { path, reason } => vec![
            format!("Cannot create pid file {}", path.display()),
            format!("create: {reason}"),
        ],
        other => other.to_string().lines().map(str::to_owned).collect(),
    }
}

impl Inner {
    fn take(&mut self, line: Line) {
        match &mut self.stage {
            Stage::Held(lines) if lines.len() < MOST_HELD => lines.push(line),
            Stage::Held(_) => {}
            Stage::GivenUp => crate::warn(&short(&line)),
            Stage::Open(sinks) if line.is_judged || line.level <= self.level => {
                sinks.write(&line);
            }
            Stage::Open(_) => {}
        }
    }
}

impl Sinks {
    fn write(&self, line: &Line) {
        let whole = long(line, &TimeZone::system());
        if self.terminal {
            crate::warn(&whole);
        }
        match &self.file {
            Some(Output::Named(file)) => file.write_line(&whole),
            Some(Output::Stream(file)) => {
                // A full disk or a closed pipe must not stop the tunnel.
                let _ = (&*file).write_all(format!("{whole}\n").as_bytes());
            }
            None => {}
        }
        if let Some(syslog) = &self.syslog {
            syslog.send(line.time, line.level, &subject(line), &line.text);
        }
    }
}

impl Output {
    fn open(global: &Global) -> Result<Option<Output>, Error> {
        if is_stream(global) {
            let stream = io::stdout().as_fd().try_clone_to_owned();
            return Ok(stream.ok().map(|stream| Output::Stream(stream.into())));
        }
        Ok(LogFile::open(global)?.map(Output::Named))
    }
}

/// Whether `output` is this process's standard output, which can't always be opened by its name.
fn is_stream(global: &Global) -> bool {
    matches!(
        global.output.as_deref(),
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1")
    )
}

/// A line without its time, for a terminal on which nothing else will come.
fn short(line: &Line) -> String {
    let mark = match line.level {
        0..=3 => "[!]",
        4 => "[:]",
        5 => "[.]",
        _ => "[ ]",
    };
    format!("{mark} {}", line.text)
}

fn long(line: &Line, zone: &TimeZone) -> String {
    let date = date(line.time, zone, "%Y.%m.%d %H:%M:%S");
    format!("{date} {}: {}", subject(line), line.text)
}

fn subject(line: &Line) -> String {
    format!("LOG{}[{}]", line.level, line.speaker)
}

/// A time as this host shows it.
pub(crate) fn date(time: SystemTime, zone: &TimeZone, format: &str) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests;

//! The log, in the form of socat's: `2026/11/22 16:20:00 socat[4711] N listening on …`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use jiff::tz::TimeZone;
use stockade_config::stunnel::{Facility, Global};
use stockade_host::conf::LogFile;

use crate::stunnel::log::date;
use crate::stunnel::syslog::Syslog;

/// How important a line is, as socat ranks them (socat(1), "DIAGNOSTICS").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    /// That of a line of syslog's severity (RFC 5424 §6.2.1).
    pub(super) fn of(severity: u8) -> Level {
        match severity {
            0..=3 => Level::Error,
            4 => Level::Warning,
            5 => Level::Notice,
            6 => Level::Info,
            _ => Level::Debug,
        }
    }

    fn severity(self) -> u8 {
        match self {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Notice => 5,
            Level::Info => 6,
            Level::Debug => 7,
        }
    }

    fn letter(self) -> char {
        match self {
            Level::Error => 'E',
            Level::Warning => 'W',
            Level::Notice => 'N',
            Level::Info => 'I',
            Level::Debug => 'D',
        }
    }
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// To standard error.
    StandardError,
    /// To the end of a file.
    File(PathBuf),
    /// To the system's log.
    System(Facility),
    /// To standard error until there is something to serve, then to the system's log.
    Mixed(Facility),
}

/// How lines look, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) sink: Sink,
    /// Lines beyond this level are left out.
    pub(super) level: Level,
    /// Who speaks.
    pub(super) program: String,
    /// Whether times have microseconds.
    pub(super) microseconds: bool,
    /// This host's name, where lines have it.
    pub(super) host: Option<String>,
}

impl Style {
    /// Errors of this program, to standard error.
    pub(super) fn of(program: &str) -> Style {
        Style {
            sink: Sink::StandardError,
            level: Level::Error,
            program: program.to_owned(),
            microseconds: false,
            host: None,
        }
    }

    fn line(&self, time: SystemTime, zone: &TimeZone, level: Level, text: &str) -> String {
        let format = match self.microseconds {
            true => "%Y/%m/%d %H:%M:%S%.6f",
            false => "%Y/%m/%d %H:%M:%S",
        };
        let date = date(time, zone, format);
        let host = self
            .host
            .as_deref()
            .map_or(String::new(), |host| format!("{host} "));
        let (program, process) = (&self.program, std::process::id());
        format!(
            "{date} {host}{program}[{process}] {} {text}",
            level.letter()
        )
    }
}

/// The log. Clones are the same log.
#[derive(Clone)]
pub(super) struct Log(Arc<Inner>);

struct Inner {
    style: Style,
    file: Option<LogFile>,
    system: Option<Syslog>,
    /// Whether the system's log has its turn.
    serves: AtomicBool,
}

impl Log {
    /// Lines go to standard error, whatever the style says.
    pub(super) fn of_terminal(style: Style) -> Log {
        Log(Arc::new(Inner {
            style: Style {
                sink: Sink::StandardError,
                ..style
            },
            file: None,
            system: None,
            serves: AtomicBool::new(false),
        }))
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// The file can't be opened.
    pub(super) fn open(style: Style) -> Result<Log, String> {
        let file = match &style.sink {
            Sink::File(path) => {
                let output = path
                    .to_str()
                    .ok_or("the log file's name is no UTF-8 text")?;
                let global = Global {
                    output: Some(output.to_owned()),
                    append: true,
                    ..Global::default()
                };
                LogFile::open(&global).map_err(|error| error.to_string())?
            }
            _ => None,
        };
        let system = match &style.sink {
            Sink::System(facility) | Sink::Mixed(facility) => {
                let tag = format!("{}[{}]", style.program, std::process::id());
                Some(Syslog::of(tag, *facility))
            }
            _ => None,
        };
        let serves = AtomicBool::new(matches!(style.sink, Sink::System(_)));
        Ok(Log(Arc::new(Inner {
            style,
            file,
            system,
            serves,
        })))
    }

    /// Adds a line; control characters can't begin another one.
    pub(super) fn say(&self, level: Level, text: &str) {
        let inner = &*self.0;
        if level > inner.style.level {
            return;
        }
        let time = SystemTime::now();
        for text in text.lines() {
            if let Some(system) = &inner.system
                && inner.serves.load(Ordering::Relaxed)
            {
                let text = format!("{} {text}", level.letter());
                system.tell(time, level.severity(), &text);
                continue;
            }
            let line = inner.style.line(time, &TimeZone::system(), level, text);
            match (&inner.file, &inner.style.sink) {
                (Some(file), _) => file.write_line(&line),
                // LogFile leaves this process's streams alone.
                (None, Sink::File(path)) if path.ends_with("stdout") || path.ends_with("1") => {
                    let _ = writeln!(io::stdout(), "{line}");
                }
                _ => crate::warn(&line),
            }
        }
    }

    /// The start is over.
    pub(super) fn serves(&self) {
        self.0.serves.store(true, Ordering::Relaxed);
    }

    /// Opens the file by its name again, after logrotate(8) has moved it.
    pub(super) fn reopen(&self) {
        let reopened = self.0.file.as_ref().map_or(Ok(()), LogFile::reopen);
        if let Err(error) = reopened {
            self.say(Level::Error, &error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn lines_are_socats() {
        let time = UNIX_EPOCH + Duration::from_micros(1_795_364_400_000_042);
        let process = std::process::id();
        let mut style = Style::of("socat");
        assert_eq!(
            style.line(
                time,
                &TimeZone::UTC,
                Level::Notice,
                "listening on AF=1 \"s\""
            ),
            format!("2026/11/22 16:20:00 socat[{process}] N listening on AF=1 \"s\"")
        );
        style.microseconds = true;
        style.host = Some("vm".to_owned());
        assert_eq!(
            style.line(time, &TimeZone::UTC, Level::Error, "x"),
            format!("2026/11/22 16:20:00.000042 vm socat[{process}] E x")
        );
    }

    #[test]
    fn what_is_more_than_was_asked_for_is_left_out() {
        let name = format!("stockade-proxy-log-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let log = Log::open(Style {
            sink: Sink::File(path.clone()),
            level: Level::Warning,
            ..Style::of("socat")
        });
        let log = log.unwrap();
        log.say(Level::Warning, "one\ntwo");
        log.say(Level::Notice, "three");
        let text = std::fs::read_to_string(&path).unwrap();
        let _ = std::fs::remove_file(&path);
        let texts: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split("] ").nth(1))
            .collect();
        assert_eq!(texts, ["W one", "W two"]);
    }

    #[test]
    fn severities_are_levels() {
        let levels = [0, 3, 4, 5, 6, 7].map(Level::of);
        assert_eq!(levels.map(Level::letter), ['E', 'E', 'W', 'N', 'I', 'D']);
        for level in levels {
            assert_eq!(Level::of(level.severity()), level);
        }
    }
}

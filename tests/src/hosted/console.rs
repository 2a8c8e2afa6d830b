//! The log of a hosted tunnel, in the image's own format, on standard output.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use stockade_tunnel::journal::{Date, MARK};

struct Console;

static CONSOLE: Console = Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Who marks a record has judged its importance.
        metadata.target().starts_with(MARK) || metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = Date::from_unix(now.unwrap_or_default().as_secs());
        let level = match record.level() {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 5,
            Level::Debug => 6,
            Level::Trace => 7,
        };
        let subject = record.target().strip_prefix(MARK).unwrap_or("ui");
        let mut out = io::stdout().lock();
        // Whoever does not read the log loses it.
        let _ = writeln!(out, "{now} LOG{level}[{subject}]: {}", record.args());
        let _ = out.flush();
    }

    fn flush(&self) {}
}

/// From now on log lines go to standard output. The tunnel sets the level.
pub fn open() {
    log::set_logger(&CONSOLE).expect("the program's only logger");
    log::set_max_level(LevelFilter::Info);
}

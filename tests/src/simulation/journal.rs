//! Log lines of all parts, with virtual time, for looking into one run.

use std::cell::Cell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};
use stockade_net::Instant;

use super::trace::stamp;

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::ZERO) };
}

struct Journal;

impl Log for Journal {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let target = record.target().rsplit("::").next().unwrap_or_default();
        println!("{} {target}: {}", stamp(NOW.get()), record.args());
    }

    fn flush(&self) {}
}

/// From now on prints every line of at least this level.
pub fn open(level: LevelFilter) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Journal).expect("nobody else logs in this program");
        log::set_max_level(level);
    });
}

/// What this thread's lines are stamped with.
pub(super) fn set_time(now: Instant) {
    NOW.set(now);
}

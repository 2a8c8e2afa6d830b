//! The log of a hosted tunnel, in the image's own format, on standard output.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};

/// What crates of this workspace are called with; the log leaves it out.
const CRATE_PREFIX: &str = "stockade_";

struct Console;

static CONSOLE: Console = Console;
static STARTED: OnceLock<Instant> = OnceLock::new();

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let seconds = STARTED.get_or_init(Instant::now).elapsed().as_secs_f64();
        let level = record.level().as_str().to_lowercase();
        let target = record.target().split("::").next().unwrap_or_default();
        let target = target.strip_prefix(CRATE_PREFIX).unwrap_or(target);
        let mut out = io::stdout().lock();
        // Whoever does not read the log loses it.
        let _ = writeln!(
            out,
            "[{seconds:>12.6}] {level:<5} {target}: {}",
            record.args()
        );
        let _ = out.flush();
    }

    fn flush(&self) {}
}

/// From now on log lines go to standard output. The tunnel sets the level.
pub fn open() {
    STARTED.get_or_init(Instant::now);
    log::set_logger(&CONSOLE).expect("the program's only logger");
    log::set_max_level(LevelFilter::Info);
}

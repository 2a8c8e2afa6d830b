//! `stockade proxy`, and the program under socat's name: one socket of this host, one server, one
//! launcher between them.
//!
//! ```text
//! options ──────────────► wish ──► order ──► serve ──► launcher
//! socat's words ──► socat ──┘                  └─► log
//! ```
//!
//! A [`wish`] is what both command lines ask for; what it means is decided once.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{self, Hosting};

mod changes;
mod hearer;
mod log;
mod options;
mod serve;
mod socat;
mod wish;

use log::{Level, Log, Style};
use wish::Wish;

/// The file name under which this program is socat.
const SOCAT: &str = "socat";

/// How long open connections have when the proxy is stopped, unless told otherwise.
const DRAIN: Duration = Duration::from_secs(5);

/// The status of a start that fails, socat's too.
const FAILED: u8 = 1;

/// Everything that is to be done.
struct Order {
    wish: Wish,
    hosting: Hosting,
    style: Style,
    /// How long open connections have when it is stopped.
    drain: Duration,
    /// Whether one connection is served, and no other.
    once: bool,
    /// What is to be told at the start.
    notes: Vec<(Level, String)>,
}

/// Whether a program that is called by this path is to be socat.
pub(crate) fn is_socat(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(SOCAT))
}

/// `stockade proxy`.
pub(crate) fn main(options: &cli::Proxy) -> ExitCode {
    match options::order(options, |name| env::var_os(name)) {
        Ok(order) => run(order),
        Err(text) => {
            crate::warn(&format!("error: {text}"));
            ExitCode::from(crate::USAGE)
        }
    }
}

/// Does what socat would do with these words.
pub(crate) fn as_socat(words: &[OsString]) -> ExitCode {
    let options = env::var(crate::stunnel::OPTIONS_VARIABLE).unwrap_or_default();
    match socat::read(words, &options) {
        Ok(socat::Request::Serve(order)) => run(*order),
        Ok(socat::Request::Tell(text)) => {
            crate::say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(refused) => {
            let log = open(&refused.style).unwrap_or_else(|(log, _)| log);
            log.say(Level::Error, &refused.text);
            log.say(Level::Notice, &format!("exit({FAILED})"));
            ExitCode::from(FAILED)
        }
    }
}

fn run(order: Order) -> ExitCode {
    match open(&order.style) {
        Ok(log) => ExitCode::from(serve::serve(order, &log)),
        Err((log, text)) => {
            log.say(Level::Error, &text);
            ExitCode::from(FAILED)
        }
    }
}

/// The log; if it can't be opened, why, and where to say so.
fn open(style: &Style) -> Result<Log, (Log, String)> {
    Log::open(style.clone()).map_err(|text| (Log::of_terminal(style.clone()), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socat_is_known_by_its_file_name() {
        for path in ["socat", "/usr/bin/socat", "./socat"] {
            assert!(is_socat(OsStr::new(path)), "{path}");
        }
        for path in ["stockade", "/opt/socat/stockade", "socat1", ""] {
            assert!(!is_socat(OsStr::new(path)), "{path}");
        }
    }
}

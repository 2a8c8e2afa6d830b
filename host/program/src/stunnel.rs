//! `stockade stunnel`, and the program under stunnel's own name: stunnel's command line, log, signals
//! and statuses before the same launcher as `run`.
//!
//! ```text
//! words ──► daemon (a child, unless foreground) ──► source ──► serve ──► launcher
//!                                                     └── log ◄──┘
//! ```
//!
//! What a configuration means is decided where `run --conf` has it decided; here is only how stunnel
//! would say it.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches;

use crate::cli::{self, Run};

mod daemon;
pub(crate) mod hearer;
mod help;
mod inetd;
pub(crate) mod log;
mod serve;
mod signals;
mod source;
pub(crate) mod syslog;
mod words;

use daemon::Parent;
use log::Log;
use source::Place;
use words::Request;

/// The file names under which this program is stunnel.
const NAMES: [&str; 3] = ["stunnel", "stunnel4", "stunnel5"];

/// Options of `run` for a program that has stunnel's command line, separated by blanks.
pub const OPTIONS_VARIABLE: &str = "STOCKADE_OPTIONS";

/// syslog's severities, as the log shows them (RFC 5424 §6.2.1).
mod level {
    pub const EMERGENCY: u8 = 0;
    pub const ERROR: u8 = 3;
    pub const WARNING: u8 = 4;
    pub const NOTICE: u8 = 5;
    pub const INFO: u8 = 6;
}

/// Whether a program that is called by this path is to be stunnel.
pub(crate) fn is_called(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| NAMES.contains(&name))
}

/// Does what stunnel would do with these words. `program` is how this program was called.
pub(crate) fn main(program: &OsStr, words: &[OsString]) -> ExitCode {
    let (parent, words) = match words.split_first() {
        Some((first, rest)) if first == daemon::WORD => (Some(Parent::of_this_process()), rest),
        _ => (None, words),
    };
    ExitCode::from(answer(program, words, parent))
}

/// The status that the process ends with.
fn answer(program: &OsStr, words: &[OsString], parent: Option<std::io::Result<Parent>>) -> u8 {
    let request = words::read(words);
    if let Some(text) = help::answer(&request) {
        crate::warn(text.trim_end());
        return 0;
    }
    let log = Log::new();
    help::banner(&log);
    let mut parent = match parent.transpose() {
        Ok(parent) => parent,
        Err(error) => return fail(&log, &[format!("Nobody waits for this daemon: {error}")]),
    };
    let place = match request {
        Request::Serve(place) => place.open(parent.as_mut()),
        Request::NoDescriptor => Err(vec!["No file descriptor specified".to_owned()]),
        Request::Help | Request::Version | Request::Options | Request::Sockets => return 0,
    };
    let place = match place {
        Ok(place) => place,
        Err(lines) => return fail_with_syntax(&log, &lines, words),
    };
    let options = match options(&place) {
        Ok(options) => options,
        Err(text) => return fail(&log, &[text]),
    };
    let is_inetd = parent.is_none() && source::is_inetd(&place);
    let client = match is_inetd.then(inetd::Client::take).transpose() {
        Ok(client) => client,
        Err(error) => return fail(&log, &[format!("Inetd mode: no client: {error}")]),
    };
    match parent {
        None if !is_inetd && !source::foreground(&place).stays() => {
            match daemon::start(program, words, &place) {
                Ok(status) => status,
                Err(error) => fail(&log, &[format!("daemonize: {error}")]),
            }
        }
        parent => serve::serve(options, place, log, parent, client),
    }
}

/// Tells why nothing is started.
fn fail(log: &Log, lines: &[String]) -> u8 {
    for line in lines {
        log.say(level::ERROR, line);
    }
    log.give_up();
    1
}

/// The same about the command line.
fn fail_with_syntax(log: &Log, lines: &[String], words: &[OsString]) -> u8 {
    let is_descriptor = words.first().is_some_and(|word| words::is(word, "-fd"));
    if is_descriptor && let Some(number) = words.get(1) {
        let text = format!(
            "Reading configuration from descriptor {}",
            number.to_string_lossy()
        );
        log.say(level::NOTICE, &text);
    }
    for line in lines {
        log.say(level::ERROR, line);
    }
    if is_descriptor {
        for line in help::syntax() {
            log.say(level::NOTICE, line);
        }
        if words.len() > 1 {
            log.say(level::ERROR, "Configuration failed");
        }
    }
    log.give_up();
    1
}

/// The options of the run: stunnel's command line has no place for them, so they come from the
/// environment.
fn options(place: &Place) -> Result<Run, String> {
    let text = std::env::var(OPTIONS_VARIABLE).unwrap_or_default();
    let command = cli::run_command(OPTIONS_VARIABLE).no_binary_name(true);
    let options = command
        .try_get_matches_from(text.split_whitespace())
        .and_then(|matches| Run::from_arg_matches(&matches));
    let mut options = options.map_err(|error| format!("{OPTIONS_VARIABLE}: {error}"))?;
    if options.conf.is_some() || options.pidfile.is_some() || options.dry_run {
        return Err(format!(
            "{OPTIONS_VARIABLE}: --conf, --pidfile and --dry-run have no place there"
        ));
    }
    options.conf = Some(place.path().to_owned());
    match options.contradiction() {
        Some(text) => Err(format!("{OPTIONS_VARIABLE}: {text}")),
        None => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stunnel_is_known_by_its_file_name() {
        for path in ["stunnel", "/usr/bin/stunnel4", "./stunnel5"] {
            assert!(is_called(OsStr::new(path)), "{path}");
        }
        for path in ["stockade", "/usr/bin/stunnel/stockade", "stunnel3", ""] {
            assert!(!is_called(OsStr::new(path)), "{path}");
        }
    }
}

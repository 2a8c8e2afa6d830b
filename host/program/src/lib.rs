//! The `stockade` program as a library: its commands, its options and what it prints.
//!
//! [`main`] is the program. `cargo xtask` calls [`run`] and [`check`] with an image that it has just
//! built; what differs between the two is a [`Caller`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;

mod ask;
mod caller;
mod check;
pub mod cli;
mod conf;
mod dry_run;
#[cfg(feature = "embedded-image")]
#[path = "embedded/inside.rs"]
mod embedded;
#[cfg(not(feature = "embedded-image"))]
#[path = "embedded/outside.rs"]
mod embedded;
mod free_ports;
mod hosts;
mod keeping;
pub mod manual;
mod network;
mod notify;
mod packing;
mod plan;
mod proxy;
mod reading;
mod run;
mod source;
mod stunnel;
mod supervise;
mod waiting;
mod words;

pub use caller::{Caller, Image, Installed};
pub use check::check;
pub use hosts::{Place, Secret};
pub use notify::Target;
pub use run::run;
pub use words::shown;

/// What a command returns; the message goes to the terminal as it is.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The status for options that are wrong.
const USAGE: u8 = 2;

/// The whole program: reads the arguments, does what they say, and tells what went wrong.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some((program, words)) = as_stunnel(&arguments) {
        return stunnel::main(program, words);
    }
    if let Some(words) = as_socat(&arguments) {
        return proxy::as_socat(words);
    }
    if let Some((program, words)) = arguments.split_first()
        && hosts::is_contruno(program)
    {
        return hosts::as_contruno(words);
    }
    let cli = match cli::parse(arguments) {
        Ok(cli) => cli,
        Err(answer) => return tell(&answer),
    };
    let done = match cli.command {
        cli::Task::Run(options) => run(&options, &mut Installed::default()),
        cli::Task::Check(options) => check(&options),
        cli::Task::Proxy(options) => return proxy::main(&options),
        cli::Task::Socat(options) => return proxy::as_socat(&options.words),
        cli::Task::Keygen(options) => hosts::keygen(&options),
        cli::Task::Add(options) => hosts::add(&options),
        cli::Task::Remove(options) => hosts::remove(&options),
        cli::Task::List(options) => hosts::list(&options),
        cli::Task::Status(options) => ask::status(&options),
        cli::Task::Stop(options) => ask::stop(&options),
        cli::Task::Reload(options) => ask::reload(&options),
        cli::Task::Diagnose(options) => ask::diagnose(&options),
        cli::Task::Stunnel(options) => {
            return stunnel::main(OsStr::new(caller::NAME), &options.words);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Whether stunnel's command line is meant, by the program's name or by its first word: then how the
/// program was called, and stunnel's words. They are not like ours, `-help` for one.
fn as_stunnel(arguments: &[OsString]) -> Option<(&OsStr, &[OsString])> {
    let (program, words) = arguments.split_first()?;
    if stunnel::is_called(program) {
        return Some((program, words));
    }
    let (command, words) = words.split_first()?;
    let asks_us = words.first().is_some_and(|word| word == "--help");
    (command == cli::STUNNEL && !asks_us).then_some((program, words))
}

/// The same for socat's, whose words are not like ours either.
fn as_socat(arguments: &[OsString]) -> Option<&[OsString]> {
    let (program, words) = arguments.split_first()?;
    if proxy::is_socat(program) {
        return Some(words);
    }
    let (command, words) = words.split_first()?;
    let asks_us = words.first().is_some_and(|word| word == "--help");
    (command == cli::SOCAT && !asks_us).then_some(words)
}

/// Writes lines to standard output. A terminal that has gone away, or a reader that has seen enough,
/// must not end a run in disorder.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes lines to standard error, as [`say`] does.
fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints help, the version, or what is wrong with the options.
pub fn tell(answer: &clap::Error) -> ExitCode {
    // A closed terminal is nobody to tell.
    let _ = answer.print();
    if answer.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

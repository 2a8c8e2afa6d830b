//! `cargo xtask check`: tells what becomes of a stunnel configuration, and starts nothing.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;
use stockade_program::cli::{self, Run};

use crate::Result;

pub(crate) fn main(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let name = "cargo xtask check";
    let arguments = [OsString::from(name)].into_iter().chain(parser.raw_args()?);
    match cli::check_command(name).try_get_matches_from(arguments) {
        Ok(matches) => stockade_program::check(&Run::from_arg_matches(&matches)?),
        Err(answer) => Ok(stockade_program::tell(&answer)),
    }
}

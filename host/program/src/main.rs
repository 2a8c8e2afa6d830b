//! `stockade`: runs the image on this host and speaks to running ones.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_program::main(std::env::args_os())
}

//! The `stockade` program, built together with the tests that start it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_program::main(std::env::args_os())
}

//! `stockade-check`: judges on the host what an image would be started with.
//!
//! Standard input is the image's command line, a newline, and its boot archive, if there is one.
//! Every error is a line of standard output; the status is 0 when there is none.

#![forbid(unsafe_code)]

use std::io::Read;
use std::process::ExitCode;
use std::time::SystemTime;

fn main() -> ExitCode {
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut input) {
        eprintln!("error: standard input: {error}");
        return ExitCode::from(2);
    }
    let end = input.iter().position(|byte| *byte == b'\n');
    let end = end.unwrap_or(input.len());
    let archive = input.get(end + 1..).filter(|archive| !archive.is_empty());
    let line = input.get(..end).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    match stockade_tunnel::check(line, archive, now.map_or(0, |now| now.as_secs())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in errors {
                println!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

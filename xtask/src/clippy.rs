//! `cargo xtask clippy`: lints everything, with warnings denied.

use std::path::Path;
use std::process::ExitCode;

use lexopt::Arg::{Long, Short};

use crate::{Result, image, process};

const HELP: &str = "\
Lints the host crates with their tests, then the image with its own flags; warnings are errors.

Usage: cargo xtask clippy
";

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    match parser.next()? {
        None => {}
        Some(Long("help") | Short('h')) => {
            print!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        Some(other) => return Err(other.unexpected().into()),
    }
    eprintln!("Linting the host crates ...");
    let mut host = process::cargo();
    // The default members: all but the image, which links with its own flags only.
    host.current_dir(root).args([
        "clippy",
        "--locked",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let host = process::run(&mut host);
    eprintln!("Linting the image ...");
    // Both lists of complaints at once, whatever the first one is.
    image::clippy(root)?;
    host?;
    Ok(ExitCode::SUCCESS)
}

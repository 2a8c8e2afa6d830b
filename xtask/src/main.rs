//! `cargo xtask`: builds the image, runs it, tests it.
//!
//! One file per subcommand; each has its own `--help`.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod bench;
mod check;
mod clippy;
mod debian;
mod deploy_lint;
mod dist;
mod fuzz;
mod image;
mod install;
mod packages;
mod process;
mod run;
mod test;
mod tidy;

/// What a subcommand returns; the message goes to the terminal as it is.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
cargo xtask: build, run and test Stockade

Usage: cargo xtask COMMAND [OPTIONS]

Commands:
  run          Build the image and serve TLS with it on this machine
  check        Tell what becomes of a stunnel configuration file
  image        Build target/image/stockade and print its size by part
  dist         Build the program `stockade` with the image inside, for hosts without a checkout
  install      Install that program, its manual page, completions and unit
  test         Install what the tests need, then run all of them
  bench        Measure the image beside Debian's stunnel and nginx
  fuzz         Fuzz what strangers' bytes reach, with AddressSanitizer
  clippy       Lint the host crates, then the image with its own flags
  tidy         Check the conventions of the source tree
  deploy-lint  Check the container recipe and the Kubernetes manifests with their linters
  help         Show this text

`cargo xtask COMMAND --help` shows a command's options.
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    let mut parser = lexopt::Parser::from_env();
    let command = match parser.next()? {
        None => {
            eprint!("{HELP}");
            return Ok(ExitCode::from(2));
        }
        Some(lexopt::Arg::Value(command)) => command,
        Some(lexopt::Arg::Short('h') | lexopt::Arg::Long("help")) => "help".into(),
        Some(other) => return Err(other.unexpected().into()),
    };
    let root = workspace_root()?;
    dispatch_to(&command, &root, parser)
}

fn dispatch_to(command: &OsStr, root: &Path, parser: lexopt::Parser) -> Result<ExitCode> {
    match command.to_str() {
        Some("run") => run::main(root, parser),
        Some("check") => check::main(parser),
        Some("image") => image::main(root, parser),
        Some("dist") => dist::main(root, parser),
        Some("install") => install::main(root, parser),
        Some("test") => test::main(root, parser),
        Some("bench") => bench::main(root, parser),
        Some("fuzz") => fuzz::main(root, parser),
        Some("clippy") => clippy::main(root, parser),
        Some("deploy-lint") => deploy_lint::main(root, parser),
        Some("tidy") => tidy_main(root, parser),
        Some("help") => help(root, parser),
        _ => Err(format!("no command {command:?}; `cargo xtask help` lists them").into()),
    }
}

/// `help COMMAND` is `COMMAND --help`.
fn help(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    match parser.next()? {
        Some(lexopt::Arg::Value(command)) if command != "help" => {
            dispatch_to(&command, root, lexopt::Parser::from_args(["--help"]))
        }
        _ => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The checkout's top folder: `cargo run` names the package's folder at run time.
fn workspace_root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or("CARGO_MANIFEST_DIR is not set: start this program with `cargo xtask`")?;
    let root = Path::new(&package)
        .parent()
        .ok_or("CARGO_MANIFEST_DIR has no parent folder")?;
    Ok(root.to_path_buf())
}

fn tidy_main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    const HELP: &str = "\
Checks the conventions of the source tree that no compiler checks.

Usage: cargo xtask tidy
";
    if let Some(argument) = parser.next()? {
        return match argument {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => {
                print!("{HELP}");
                Ok(ExitCode::SUCCESS)
            }
            other => Err(other.unexpected().into()),
        };
    }
    let violations = tidy::run(root)?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: every convention holds");
        Ok(ExitCode::SUCCESS)
    } else {
        eprintln!("tidy: {} violations", violations.len());
        Ok(ExitCode::FAILURE)
    }
}

//! `stockade-bench`: measures the image and its peers; see `stockade_tests::bench`.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::Arg::Long;
use lexopt::{Parser, ValueExt};
use stockade_tests::bench::subject::Subject;
use stockade_tests::bench::{self, Plan};

const HELP: &str = "\
Measures the image and its peers. `cargo xtask bench` prepares what it takes and runs it, in a
network namespace of its own.

Usage: stockade-bench --plugin FILE [SUBJECT]... [OPTIONS]

Subjects, each of which may be left out:
      --image FILE --hosted FILE --identity FOLDER
                         The image, the program stockade-hosted, cert.pem and key.pem
      --linux NAME=FOLDER
                         A Linux guest: vmlinuz, initrd.gz, and how to run its proxy natively

Options:
      --plugin FILE      QEMU's plugin that counts instructions
      --quick            One sample of each figure
  -h, --help             Show this text
";

fn main() -> ExitCode {
    let plan = match plan() {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}; see --help");
            return ExitCode::FAILURE;
        }
    };
    match bench::run(&plan) {
        0 => ExitCode::SUCCESS,
        failed => {
            eprintln!("{failed} measurements failed");
            ExitCode::FAILURE
        }
    }
}

fn path(parser: &mut Parser) -> Result<Option<PathBuf>, lexopt::Error> {
    Ok(Some(parser.value()?.into()))
}

fn plan() -> Result<Option<Plan>, lexopt::Error> {
    let (mut plugin, mut image, mut hosted, mut identity) = (None, None, None, None);
    let mut linux = Vec::new();
    let mut quick = false;
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("plugin") => plugin = path(&mut parser)?,
            Long("image") => image = path(&mut parser)?,
            Long("hosted") => hosted = path(&mut parser)?,
            Long("identity") => identity = path(&mut parser)?,
            Long("linux") => {
                let words = parser.value()?.string()?;
                let (name, folder) = words.split_once('=').ok_or("--linux takes NAME=FOLDER")?;
                linux.push(Subject::Linux {
                    name: name.to_owned(),
                    folder: folder.into(),
                });
            }
            Long("quick") => quick = true,
            Long("help") | lexopt::Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    let mut subjects = Vec::new();
    match (image, hosted, identity) {
        (Some(image), Some(hosted), Some(identity)) => subjects.push(Subject::Stockade {
            image,
            hosted,
            identity,
        }),
        (None, None, None) => {}
        _ => return Err("--image, --hosted and --identity go together".into()),
    }
    subjects.extend(linux);
    let plugin = plugin.ok_or("--plugin is missing")?;
    Ok(Some(match quick {
        true => Plan::quick(subjects, plugin),
        false => Plan::thorough(subjects, plugin),
    }))
}

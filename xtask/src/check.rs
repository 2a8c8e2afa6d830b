//! `cargo xtask check`: tells what becomes of a stunnel configuration, and starts nothing.

use std::path::Path;
use std::process::ExitCode;

use crate::{Result, run};

const HELP: &str = "\
Reads a stunnel configuration file and all that it names, as `cargo xtask run --conf FILE` does,
and tells what becomes of each option: honoured, accepted without effect, or refused. Then it judges
what certificates, keys and lists contain, as the image would; the first time, that takes a minute to
build. No image is built and nothing is started. The status is 0 when all is right, else 1.

Usage: cargo xtask check --conf FILE [OPTIONS] [-- WORDS]

  WORDS                    The image's own command line, as a run would hand it over

Options:
      --conf FILE          The configuration file; - reads it from standard input
      --net NET            The network that a run would have: user, tap=NAME or bridge=NAME
  -h, --help               Show this text

The other options of `cargo xtask run` may stand here, too.
";

pub(crate) fn main(root: &Path, parser: lexopt::Parser) -> Result<ExitCode> {
    let options = run::Options::parse(parser)?;
    if options.help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(path) = options.conf.clone() else {
        return Err(
            "check takes a configuration file: cargo xtask check --conf /etc/stunnel/stunnel.conf"
                .into(),
        );
    };
    run::check_conf(root, &options, &path)
}

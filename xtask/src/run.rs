//! `cargo xtask run`: builds the image and serves TLS with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, FromArgMatches};
use stockade_program::cli::{self, Machinery, Net, Run};
use stockade_program::{Caller, Image};

use crate::{Result, image, packages};

/// A run out of the checkout: the image is built, programs are installed.
struct Checkout<'a> {
    root: &'a Path,
    install: bool,
}

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let name = "cargo xtask run";
    let arguments = [OsString::from(name)].into_iter().chain(parser.raw_args()?);
    let matches = match command(name).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(answer) => return Ok(stockade_program::tell(&answer)),
    };
    let options = Run::from_arg_matches(&matches)?;
    let install = !matches.get_flag("no-install");
    stockade_program::run(&options, &mut Checkout { root, install })
}

fn command(name: &'static str) -> clap::Command {
    let no_install = Arg::new("no-install")
        .long("no-install")
        .action(ArgAction::SetTrue)
        .help("Refuse to install what is missing, and say which command would");
    cli::run_command(name)
        .about("Build the image, boot it and serve TLS with it until Ctrl-C")
        .mut_arg("image", |image| {
            image.help("Boot this image, an ELF file, instead of the one that is built now")
        })
        .arg(no_install)
}

impl Caller for Checkout<'_> {
    fn program(&self) -> &'static str {
        "cargo xtask"
    }

    fn development_folder(&self) -> Result<PathBuf> {
        Ok(self.root.join("target/dev"))
    }

    fn image_place(&self, machinery: &Machinery) -> String {
        let built = image::path(self.root, false);
        let path = machinery.image.as_deref().unwrap_or(&built);
        stockade_program::shown(path)
    }

    fn prepare(&mut self, machinery: &Machinery, net: &Net) -> Result<Image> {
        let tools = match (net, &machinery.image) {
            (Net::Bridge(_), _) => packages::RUN_ON_BRIDGE,
            _ => packages::RUN,
        };
        packages::require(tools, self.install)?;
        match &machinery.image {
            Some(path) => Image::file(path),
            None => Image::file(&image::build(self.root, false)?.path),
        }
    }
}

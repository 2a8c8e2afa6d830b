//! The options of every command: one description for reading them, for `--help`, for the man page
//! and for the completions.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use stockade_host::{Accel, Firmware, Machine, Publish};

use crate::plan;

/// Most MiB that a machine can be given: a terabyte.
const MAX_MEMORY_MIB: u32 = 1_048_576;

/// A TLS tunnel that is its own operating system: boots the image on this host and looks after it
#[derive(Debug, Parser)]
#[command(name = "stockade", version, disable_help_subcommand = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Task,
}

/// What the program can be asked for.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Boot the image and serve TLS with it until Ctrl-C or SIGTERM
    ///
    /// Boots the image under QEMU and serves TLS with it until Ctrl-C or SIGTERM. Without options
    /// it needs no privilege: https://localhost:8443/ leads to a small HTTP server on this host.
    Run(Box<Run>),
    /// Tell what becomes of each option of a stunnel configuration; start nothing
    ///
    /// Reads a stunnel configuration file and all that it names, as `run --conf FILE` does, and
    /// tells what becomes of each option: honoured, accepted without effect, or refused. Then it
    /// judges what certificates, keys and lists contain, as the image would. Nothing is started.
    /// The status is 0 when all is right, else 1.
    Check(Box<Run>),
}

/// What is served, on which machine and network.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    /// Boot this image, an ELF file, instead of the one that came with this program
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Serve what this stunnel configuration file says, on the addresses that its accept lines
    /// name; `check` tells more. - reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub conf: Option<String>,
    /// The certificate chain, PEM [default: a development certificate for localhost]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// How the image gets a network: rootless (this program's own, without privilege), tap=NAME (an
    /// existing TAP interface that you may open) or bridge=NAME (a TAP made for this run on an
    /// existing bridge) [default: rootless; bridge=br0 when WORDs hold --ipv4 or --ipv6]
    #[arg(long, value_name = "NETWORK")]
    pub net: Option<Net>,
    /// Lead an address of this host to a port of the image: [ADDR:]PORT:GUESTPORT, where ADDR is
    /// 127.0.0.1 if it is left out; may be repeated; with --net rootless only [default: 8443 to the
    /// port where the image accepts]
    #[arg(long, value_name = "FROM:GUESTPORT", action = ArgAction::Append)]
    pub publish: Vec<Publish>,
    /// What runs the image's instructions; auto tries whether a guest runs under KVM
    #[arg(long, value_name = "ACCEL", default_value = "auto",
          value_parser = words::<Accel>(&["auto", "kvm", "tcg"]))]
    pub accel: Accel,
    /// QEMU's machine type; microvm boots fastest
    #[arg(long, value_name = "MACHINE", default_value = "microvm",
          value_parser = words::<Machine>(&["microvm", "q35", "pc"]))]
    pub machine: Machine,
    /// What the machine starts with [default: qboot for microvm, seabios for q35 and pc]
    #[arg(long, value_name = "FIRMWARE",
          value_parser = words::<Firmware>(&["seabios", "qboot"]))]
    pub firmware: Option<Firmware>,
    /// The machine's memory in MiB [default: 128]
    #[arg(long, value_name = "MIB", value_parser = memory)]
    pub memory: Option<u32>,
    /// Log each connection (--log=debug)
    #[arg(long)]
    pub debug: bool,
    /// Print what would be run, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The image's own command line, handed over as it is
    #[arg(last = true, value_name = "WORD")]
    pub words: Vec<String>,
}

/// How the image gets a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Net {
    /// This program's own network, without privilege.
    Rootless,
    /// An existing TAP interface.
    Tap(String),
    /// A TAP of ours on an existing bridge.
    Bridge(String),
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Net, String> {
        match text.split_once('=') {
            // `user` is what QEMU calls its own, which came before.
            None if matches!(text, "rootless" | "user") => Ok(Net::Rootless),
            Some(("tap", name)) if !name.is_empty() => Ok(Net::Tap(name.to_owned())),
            Some(("bridge", name)) if !name.is_empty() => Ok(Net::Bridge(name.to_owned())),
            _ => Err("expected rootless, tap=NAME or bridge=NAME".to_owned()),
        }
    }
}

impl Run {
    /// What does not go together although each option is right by itself.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        // A configuration file says itself what is published and which certificates are shown.
        if self.conf.is_some() && self.cert.is_some() {
            return Some(
                "--conf goes without --cert and --key: the file names its own (cert = FILE, key = FILE)",
            );
        }
        if self.conf.is_some() && !self.publish.is_empty() {
            return Some(
                "--conf goes without --publish: what the file accepts is published (accept = [HOST:]PORT)",
            );
        }
        if !self.publish.is_empty() && plan::net(self) != Net::Rootless {
            return Some(
                "--publish goes with --net rootless only; on a TAP or bridge the image has an address of its own",
            );
        }
        None
    }
}

/// Reads one of a type's words, and tells help and completions which there are.
fn words<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse())
}

fn memory(text: &str) -> Result<u32, String> {
    let digits = text.strip_suffix('M').unwrap_or(text);
    match digits.parse() {
        Ok(mib @ 1..=MAX_MEMORY_MIB) => Ok(mib),
        _ => Err("expected a number of MiB, such as 128".to_owned()),
    }
}

/// The whole program's options.
pub fn command() -> Command {
    Cli::command()
        .mut_subcommand("run", |run| run.after_long_help(image_words()))
        .mut_subcommand("check", as_check)
}

/// The options of `run` under another program's name.
pub fn run_command(name: &'static str) -> Command {
    let run = command()
        .find_subcommand("run")
        .cloned()
        .unwrap_or_default();
    run.name(name).bin_name(name).disable_version_flag(true)
}

/// The options of `check` under another program's name.
pub fn check_command(name: &'static str) -> Command {
    let check = command().find_subcommand("check").cloned();
    check
        .unwrap_or_default()
        .name(name)
        .bin_name(name)
        .disable_version_flag(true)
}

/// What `check` leaves of the options of `run`: the others may stand there without effect, so that
/// a command line can be checked by changing one word of it.
fn as_check(check: Command) -> Command {
    let shown = |arg: &Arg| matches!(arg.get_id().as_str(), "conf" | "net" | "words");
    check
        .mut_args(move |arg| {
            let hidden = !shown(&arg);
            arg.hide(hidden)
        })
        .mut_arg("conf", |conf| conf.required(true))
        .mut_arg("words", |words| {
            words.help("The image's own command line, as a run would hand it over")
        })
}

/// The image's words, for the end of `run --help`.
fn image_words() -> String {
    format!(
        "The image's words:\n{}",
        stockade_config::command_line::help()
    )
}

/// Reads the arguments after the program's name.
///
/// # Errors
///
/// They are not as [`command`] says, or ask for help or the version: the error's text is the answer.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

#[cfg(test)]
mod tests;

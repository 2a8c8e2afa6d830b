//! The options of every command: one description for reading them, for `--help`, for the man page
//! and for the completions.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{
    ArgAction, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint,
};
use stockade_host::control::Name;
use stockade_host::network::Forward;

use crate::notify::Target;
use crate::{caller, plan};

mod hosts;
mod machinery;
mod proxy;

pub use hosts::{
    Add, Audience, Backend, Bound, Carriage, Contruno, Keygen, List, Protocol, Remove, Repository,
};
pub use machinery::Machinery;
pub use proxy::{Destination, Hosting, Proxy, Socat, Source};
pub(crate) use proxy::{LONGEST, destination, tcp};

/// The command with stunnel's command line.
pub(crate) const STUNNEL: &str = "stunnel";

/// The command with socat's command line.
pub(crate) const SOCAT: &str = "socat";

/// Most MiB that a machine can be given: a terabyte.
const MAX_MEMORY_MIB: u32 = 1_048_576;

/// A TLS tunnel that is its own operating system: boots the image on this host and looks after it
#[derive(Debug, Parser)]
#[command(name = "stockade", version)]
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
    ///
    /// SIGHUP reads the configuration and its files again; open connections live on with the old
    /// one. A machine that ends unasked is started anew.
    Run(Box<Run>),
    /// Tell what becomes of a stunnel configuration's options, or of a run's words; start nothing
    ///
    /// Reads a stunnel configuration file and all that it names, as `run --conf FILE` does, and
    /// tells what becomes of each option: honoured, accepted without effect, or refused. Of a run
    /// without --conf, it reads the image's words and what they name, and tells what would be served.
    /// Then it judges what certificates, keys and lists contain, as the image would. Nothing is
    /// started. The status is 0 when all is right, else 1.
    Check(Box<Run>),
    /// Tell whether a running image serves, and how much it does
    ///
    /// The status is 0 when the image serves, 3 when nothing of that name runs, and 4 when it runs
    /// and does not serve (yet).
    Status(Status),
    /// Stop a running image in order, and wait for its end
    ///
    /// No new connection is taken; open ones may end by themselves for as long as --drain says,
    /// and are reset then.
    Stop(Stop),
    /// Let a running image serve what its configuration says now
    ///
    /// The configuration and the files that it names are read again. When all of it is right, new
    /// connections are served by it, and open ones live on with the old one. When anything is wrong,
    /// every error is told and the old one goes on serving.
    ///
    /// With --target, an image anywhere is told over the network that its store has changed: it reads the
    /// store at once, and what came of it is printed.
    Reload(Reload),
    /// Show what has happened to a running image, event by event
    ///
    /// The latest events are kept, numbered across restarts of the machine; after a crash, the
    /// machine's last words are among them.
    Diagnose(Diagnose),
    /// Carry what programs say in the clear to one server, in TLS
    ///
    /// Programs connect to a socket of this host, usually a UNIX socket, and each connection is carried
    /// to the server over TLS of its own; the server's certificate is verified. The socket is there,
    /// with its owner and mode, before anyone can connect, and goes at the end. Whatever becomes of the
    /// server, of its name, or of the machine, the socket stays: a client that can't be served sees an
    /// end of stream, and the log has the reason.
    ///
    /// Certificates and keys are read anew when their files change, and on SIGHUP. SIGTERM and SIGINT
    /// end it, with the status that --exit-code says.
    Proxy(Box<Proxy>),
    /// Make a key by which the image gets into the store's machine
    ///
    /// Prints two lines for a file that --ssh-key=file:NAME takes, of the image and of add, remove and list:
    /// the key's seed, which is secret, and as a comment the line for authorized_keys. What to do with
    /// them goes to standard error.
    Keygen(Keygen),
    /// Add a host to a certificate store, or change one
    ///
    /// The store is a Git repository with a file for each host, as contruno has it: the host's certificate,
    /// its key, its backend. The image that is run with the same --remote serves the host, gets the
    /// certificate and renews it. Of a host that is there, only what is named is changed.
    ///
    /// Whatever others push at the same time is kept: the change is made anew on what is there then.
    /// Commits are by GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL, if they are set. A link to this program that is
    /// called contruno.add takes contruno's words for the same.
    ///
    /// The status is 0 when all was done, 1 when the store is as it was, and 5 when the store is changed
    /// and the image at --target could not be told, or could not read it.
    Add(Box<Add>),
    /// Remove a host from a certificate store
    ///
    /// Its file goes, and the image that serves it stops to. In the repository's history it stays, its key
    /// included. The statuses are those of add.
    Remove(Remove),
    /// Tell which hosts a certificate store has, and how their certificates stand
    ///
    /// A file that can't be read is told with its problem. The status is 0 when the store could be read.
    List(List),
    /// Do what stunnel would do with this command line
    ///
    /// Takes stunnel's words, reads its configuration file, logs as it does, heeds its signals and
    /// ends with its statuses. A link to this program that is called stunnel, stunnel4 or stunnel5
    /// does the same. Unless the file says foreground = yes, the command returns once the image
    /// serves. Options of `run` such as --image can be given in STOCKADE_OPTIONS.
    Stunnel(Stunnel),
    /// Do what socat would do with this command line
    ///
    /// Takes socat's options and two addresses, UNIX-LISTEN or TCP-LISTEN and OPENSSL, logs as it does
    /// and ends with its statuses, but for SIGTERM and SIGINT: then it ends with 0. A link to this program
    /// that is called socat does the same. What is not supported is refused by its name. Options of `proxy`
    /// such as --exit-code and --image can be given in STOCKADE_OPTIONS.
    Socat(Socat),
}

/// What is served, on which machine and network.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    /// The name by which status, stop, reload and diagnose find this run [default: the name of
    /// --conf's file without its ending, else stockade]
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
    /// Serve what this stunnel configuration file says, on the addresses that its accept lines
    /// name; `check` tells more. - reads it from standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub conf: Option<String>,
    /// The certificate chain, PEM [default: a development certificate for localhost]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Serve hosts by name: each file in this folder is one, NAME.pem with a certificate chain and its
    /// key, whose plaintext goes to --connect after --, or a file as the store of --remote has it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub hosts: Option<PathBuf>,
    /// How the image gets a network: rootless (this program's own, without privilege), tap=NAME (an
    /// existing TAP interface that you may open) or bridge=NAME (a TAP made for this run on an
    /// existing bridge) [default: rootless; bridge=br0 when WORDs hold --ipv4 or --ipv6]
    #[arg(long, value_name = "NETWORK")]
    pub net: Option<Net>,
    /// Lead an address of this host to a port of the image: [ADDR:]PORT:GUESTPORT, where ADDR is
    /// 127.0.0.1 if it is left out, or unix:PATH[,mode=MODE][,user=USER][,group=GROUP]:GUESTPORT;
    /// may be repeated; with --net rootless only [default: 8443 to the port where the image accepts; with
    /// hosts by name also 8080 to the one for HTTP, and 9418 to the one for notices]
    #[arg(long, value_name = "FROM:GUESTPORT", action = ArgAction::Append)]
    pub publish: Vec<Forward>,
    /// What boots.
    #[command(flatten)]
    pub machinery: Machinery,
    /// How many seconds open connections have to end by themselves when the run is stopped
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub drain: Duration,
    /// Write this process's number into a file while it runs [default: what pid in --conf's file
    /// names]
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
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

/// Options of `status`.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Which run
    #[command(flatten)]
    pub which: Which,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Options of `stop`.
#[derive(Clone, Debug, Args)]
pub struct Stop {
    /// Which run
    #[command(flatten)]
    pub which: Which,
    /// How many seconds open connections have to end by themselves [default: what the run was
    /// started with]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub drain: Option<Duration>,
}

/// Options of `reload`.
#[derive(Clone, Debug, Args)]
pub struct Reload {
    /// Which run
    #[command(flatten)]
    pub which: Which,
    /// Tell the image at this address, started by whomever, that its store has changed
    /// [default port: 9418]
    #[arg(
        long,
        value_name = "ADDRESS[:PORT]",
        requires = "pass",
        conflicts_with = "name"
    )]
    pub target: Option<Target>,
    /// What that image was started with as --pass: file:NAME for a file's content, - for standard
    /// input's, or the pass itself, which then shows in ps
    #[arg(long, value_name = "PASS", requires = "target")]
    pub pass: Option<String>,
    /// Send the bare pass, for contruno and for an image with --legacy-reload: whoever listens can read it,
    /// and nothing is answered
    #[arg(long, requires = "target")]
    pub legacy: bool,
}

/// Options of `diagnose`.
#[derive(Clone, Debug, Args)]
pub struct Diagnose {
    /// Which run
    #[command(flatten)]
    pub which: Which,
    /// Print JSON, one event a line, for programs
    #[arg(long)]
    pub json: bool,
    /// Leave out the events up to this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub since: u64,
}

/// Words of `stunnel`.
#[derive(Clone, Debug, Args)]
pub struct Stunnel {
    /// FILE [default: /etc/stunnel/stunnel.conf], or -fd N for a descriptor to read it from; or one of
    /// -help, -version, -options and -sockets
    #[arg(
        value_name = "WORD",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<OsString>,
}

/// Which of the runs on this host is meant.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// The name that the run was given, or found for itself [default: the only one that runs]
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
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
        if self.conf.is_some() && plan::hosts_by_name(self) {
            return Some(
                "--conf goes without hosts by name (--hosts, --remote): the file names its own services",
            );
        }
        if self.cert.is_some() && plan::hosts_by_name(self) {
            return Some(
                "--cert and --key go without hosts by name (--hosts, --remote): each host has its own",
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

/// Longest time that can be asked for: a day.
const MAX_SECONDS: f64 = 86_400.0;

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0.0..=MAX_SECONDS) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds up to 86400, such as 5 or 0.5".to_owned()),
    }
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
    // A command that is changed goes to the end of the list, so all go there, in their order.
    let order = [
        "run", "proxy", "check", "status", "stop", "reload", "diagnose", "keygen", "add", "remove",
        "list", STUNNEL, SOCAT,
    ];
    order.into_iter().fold(Cli::command(), |commands, name| {
        commands.mut_subcommand(name, |command| match name {
            "run" => command.after_long_help(image_words()),
            "check" => as_check(command),
            _ => command,
        })
    })
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
    check.mut_args(|arg| match arg.get_id().as_str() {
        "conf" => arg.required_unless_present_any(["hosts", "cert", "words"]),
        "hosts" | "net" => arg,
        "words" => arg.help("The image's own command line, as a run would hand it over"),
        _ => arg.hide(true),
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
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = command();
    // The image is only hashed for those who ask.
    if arguments
        .iter()
        .any(|word| word == "--version" || word == "-V")
    {
        command = command.version(caller::version());
    }
    let matches = command.try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

#[cfg(test)]
mod tests;

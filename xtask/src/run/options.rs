//! The options of `cargo xtask run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;
use stockade_host::{Accel, Firmware, Machine, Publish};

use crate::Result;

/// What stood on the command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) conf: Option<String>,
    pub(super) net: Option<Net>,
    pub(super) accel: Accel,
    pub(super) machine: Machine,
    pub(super) firmware: Option<Firmware>,
    pub(super) memory_mib: Option<u32>,
    pub(super) publish: Vec<Publish>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) debug: bool,
    pub(super) dry_run: bool,
    pub(super) no_install: bool,
    pub(crate) help: bool,
    /// All after `--`: the image's command line.
    pub(super) words: Vec<String>,
}

/// How the image gets a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Net {
    /// QEMU's own network, without privilege.
    User,
    /// An existing TAP interface.
    Tap(String),
    /// A TAP of ours on an existing bridge.
    Bridge(String),
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Net, String> {
        match text.split_once('=') {
            None if text == "user" => Ok(Net::User),
            Some(("tap", name)) if !name.is_empty() => Ok(Net::Tap(name.to_owned())),
            Some(("bridge", name)) if !name.is_empty() => Ok(Net::Bridge(name.to_owned())),
            _ => Err(format!("{text:?} is not user, tap=NAME or bridge=NAME")),
        }
    }
}

impl Options {
    /// Reads the arguments after `run`.
    pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Options> {
        let mut options = Options::default();
        loop {
            if let Some(mut rest) = parser.try_raw_args()
                && rest.peek().is_some_and(|word| word == "--")
            {
                rest.next();
                options.words = rest.map(to_text).collect::<Result<_>>()?;
                break;
            }
            let Some(argument) = parser.next()? else {
                break;
            };
            match argument {
                Long("conf") => options.conf = Some(to_text(parser.value()?)?),
                Long("net") => options.net = Some(parser.value()?.parse()?),
                Long("accel") => options.accel = parser.value()?.parse()?,
                Long("machine") => options.machine = parser.value()?.parse()?,
                Long("firmware") => options.firmware = Some(parser.value()?.parse()?),
                Long("memory") => options.memory_mib = Some(memory(parser.value()?)?),
                Long("publish") => options.publish.push(parser.value()?.parse()?),
                Long("cert") => options.certificate = Some(parser.value()?.into()),
                Long("key") => options.key = Some(parser.value()?.into()),
                Long("debug") => options.debug = true,
                Long("dry-run") => options.dry_run = true,
                Long("no-install") => options.no_install = true,
                Long("help") | Short('h') => {
                    options.help = true;
                    return Ok(options);
                }
                Value(word) => {
                    return Err(format!(
                        "{word:?} is not an option; words for the image stand after `--`"
                    )
                    .into());
                }
                other => {
                    let hint = match &other {
                        Long(name) if stands_after_dashes(name) => {
                            format!("; --{name} is the image's own and stands after `--`")
                        }
                        _ => String::new(),
                    };
                    return Err(format!("{}{hint}", other.unexpected()).into());
                }
            }
        }
        if options.certificate.is_some() != options.key.is_some() {
            return Err("--cert and --key go together: give both or neither".into());
        }
        options.check_conf()?;
        Ok(options)
    }

    /// A configuration file says itself what is published and which certificates are shown.
    fn check_conf(&self) -> Result<()> {
        if self.conf.is_none() {
            return Ok(());
        }
        if self.certificate.is_some() {
            return Err("--conf goes without --cert and --key: the file names its own (cert = FILE, key = FILE)".into());
        }
        if !self.publish.is_empty() {
            return Err("--conf goes without --publish: what the file accepts is published (accept = [HOST:]PORT)".into());
        }
        Ok(())
    }
}

/// Whether this is an option of the image.
fn stands_after_dashes(name: &str) -> bool {
    stockade_config::command_line::OPTIONS
        .iter()
        .any(|option| option.name.strip_prefix("--") == Some(name))
}

fn memory(value: OsString) -> Result<u32> {
    let text = to_text(value)?;
    let digits = text.strip_suffix('M').unwrap_or(&text);
    match digits.parse() {
        Ok(mib @ 1..=1_048_576) => Ok(mib),
        _ => Err(format!("--memory takes a number of MiB, such as 128, not {text:?}").into()),
    }
}

fn to_text(word: OsString) -> Result<String> {
    word.into_string()
        .map_err(|word| format!("{word:?} is not UTF-8").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(lexopt::Parser::from_args(words.iter().copied()))
    }

    #[test]
    fn all_after_the_dashes_is_handed_over_as_it_is() {
        let options = parse(&[
            "--memory",
            "64",
            "--",
            "--ipv4=10.0.0.2/24",
            "--",
            "--debug",
        ])
        .unwrap();
        assert_eq!(options.words, ["--ipv4=10.0.0.2/24", "--", "--debug"]);
        assert_eq!(options.memory_mib, Some(64));
        assert!(!options.debug);
    }

    #[test]
    fn every_option_is_read() {
        let options = parse(&[
            "--net",
            "tap=tap0",
            "--accel=tcg",
            "--machine=q35",
            "--firmware=qboot",
            "--publish=1:2",
            "--publish",
            "0.0.0.0:3:4",
            "--cert",
            "c.pem",
            "--key=k.pem",
            "--debug",
            "--dry-run",
            "--no-install",
        ])
        .unwrap();
        assert_eq!(options.conf, None);
        assert_eq!(options.net, Some(Net::Tap("tap0".to_owned())));
        assert_eq!(options.accel, Accel::Tcg);
        assert_eq!(options.machine, Machine::Q35);
        assert_eq!(options.firmware, Some(Firmware::Qboot));
        assert_eq!(options.publish.len(), 2);
        assert_eq!(options.key, Some(PathBuf::from("k.pem")));
        assert!(options.debug && options.dry_run && options.no_install);
    }

    #[test]
    fn a_configuration_goes_with_the_options_of_the_machine() {
        let options =
            parse(&["--conf", "off.conf", "--memory=64", "--", "--dns=10.0.0.1"]).unwrap();
        assert_eq!(options.conf.as_deref(), Some("off.conf"));
        assert_eq!(options.memory_mib, Some(64));
        assert_eq!(options.words, ["--dns=10.0.0.1"]);
    }

    #[test]
    fn wrong_options_are_refused_with_a_hint() {
        for (words, expect) in [
            (&["--net", "tap"][..], "user, tap=NAME or bridge=NAME"),
            (&["--net=bridge="], "user, tap=NAME or bridge=NAME"),
            (&["--memory=0"], "number of MiB"),
            (&["--memory=lots"], "number of MiB"),
            (&["--cert=c.pem"], "give both or neither"),
            (&["--ipv4=10.0.0.2/24"], "stands after `--`"),
            (&["--conf=f", "--cert=c", "--key=k"], "cert = FILE"),
            (&["--conf=f", "--publish=1:2"], "accept = [HOST:]PORT"),
            (&["hello"], "stand after `--`"),
            (&["--what"], "--what"),
            (&["--machine=isapc"], "microvm, q35 or pc"),
            (&["--publish=443"], "PORT:GUESTPORT"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(expect), "{words:?}: {error}");
        }
    }
}

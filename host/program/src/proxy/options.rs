//! What the options of `stockade proxy` and its environment ask for.

use std::ffi::OsString;
use std::path::PathBuf;

use stockade::Families;

use super::log::{Level, Sink, Style};
use super::wish::Wish;
use super::{DRAIN, Order};
use crate::caller;
use crate::cli::{self, Destination};

/// What is wrong where nothing says where to go.
const NOWHERE: &str = "there is no server to connect to: name it with --connect HOST:PORT, or with DEST_HOST \
                       and DEST_PORT in the environment";

/// Makes one of both; an option counts more than a variable.
///
/// # Errors
///
/// What is missing or wrong.
pub(super) fn order(
    options: &cli::Proxy,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Order, String> {
    // An empty one is as good as none: manifests set them so.
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let text = |name: &str| {
        let text = variable(name).map(OsString::into_string).transpose();
        text.map_err(|_| format!("{name} in the environment is no UTF-8 text"))
    };
    let file = |option: &Option<PathBuf>, name: &str| {
        let named = || variable(name).map(PathBuf::from);
        option.clone().or_else(named)
    };
    let Destination(remote) = match &options.connect {
        Some(destination) => destination.clone(),
        None => {
            let host = text("DEST_HOST")?.ok_or(NOWHERE)?;
            let port = text("DEST_PORT")?.ok_or(NOWHERE)?;
            cli::destination(&host, &port).ok_or_else(|| {
                format!(
                    "DEST_HOST={host} and DEST_PORT={port} in the environment name no server: expected a \
                     host, such as db.example, and a port, such as 3306"
                )
            })?
        }
    };
    let mut wish = Wish::new(options.listen.0.clone(), remote);
    wish.certificate = file(&options.cert, "CLIENT_CERT");
    wish.key = file(&options.key, "CLIENT_KEY");
    wish.authorities = file(&options.cafile, "CAFILE");
    wish.directory.clone_from(&options.capath);
    wish.verify = options.verify;
    wish.name = match &options.commonname {
        Some(name) => Some(name.clone()),
        None => text("DEST_CN")?,
    };
    if wish.name.as_deref() == Some("") {
        let text =
            "--commonname: no certificate has an empty name; without the option it is the host's";
        return Err(text.to_owned());
    }
    wish.families = match (options.ip4, options.ip6) {
        (true, _) => Families::Ipv4,
        (_, true) => Families::Ipv6,
        _ => Families::Both,
    };
    wish.idle = Some(options.idle);
    wish.half_close = options.half_close;
    // What can't be is found before anything is started.
    wish.config()?;
    let mut notes = Vec::new();
    if !wish.verify {
        let text = "--verify 0: whoever answers is trusted".to_owned();
        notes.push((Level::Warning, text));
    }
    Ok(Order {
        wish,
        drain: options.hosting.drain.unwrap_or(DRAIN),
        hosting: options.hosting.clone(),
        style: Style {
            sink: match &options.log_file {
                Some(path) => Sink::File(path.clone()),
                None => Sink::StandardError,
            },
            level: match options.debug {
                true => Level::Debug,
                false => Level::Notice,
            },
            ..Style::of(caller::NAME)
        },
        once: false,
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Task;

    /// Options and variables, separated by blanks; gives what is wished for.
    fn read(options: &str, variables: Variables) -> Result<Wish, String> {
        let words = ["stockade", "proxy"].into_iter().chain(options.split(' '));
        let parsed = cli::parse(words.map(OsString::from)).map_err(|error| error.to_string())?;
        let Task::Proxy(options) = parsed.command else {
            panic!("another command");
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        order(&options, variable).map(|order| order.wish)
    }

    /// Names and values.
    type Variables<'a> = &'a [(&'a str, &'a str)];

    const ENVIRONMENT: [(&str, &str); 6] = [
        ("CAFILE", "/e/ca"),
        ("CLIENT_CERT", "/e/cert"),
        ("CLIENT_KEY", "/e/key"),
        ("DEST_HOST", "e.example"),
        ("DEST_PORT", "443"),
        ("DEST_CN", "e"),
    ];

    #[test]
    fn everything_can_come_from_the_environment() {
        let wish = read("--listen unix:/s", &ENVIRONMENT).unwrap();
        assert_eq!(wish.remote.to_string(), "e.example:443");
        assert_eq!(wish.authorities, Some("/e/ca".into()));
        assert_eq!(wish.certificate, Some("/e/cert".into()));
        assert_eq!(wish.key, Some("/e/key".into()));
        assert_eq!(wish.name.as_deref(), Some("e"));
        assert!(wish.verify);
    }

    #[test]
    fn options_win_over_the_environment() {
        let options = "--listen unix:/s --connect o.example:1 --cafile /o/ca --cert /o/cert --key /o/key \
                       --commonname o --ip4 --idle 50 --half-close 5 --verify 1";
        let wish = read(options, &ENVIRONMENT).unwrap();
        assert_eq!(wish.remote.to_string(), "o.example:1");
        assert_eq!(wish.authorities, Some("/o/ca".into()));
        assert_eq!(wish.certificate, Some("/o/cert".into()));
        assert_eq!(wish.key, Some("/o/key".into()));
        assert_eq!(wish.name.as_deref(), Some("o"));
        assert_eq!(wish.families, Families::Ipv4);
        assert_eq!(wish.idle.map(|time| time.as_secs()), Some(50));
        assert_eq!(wish.half_close.as_secs(), 5);
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let host = [("DEST_HOST", "a")];
        let port = [("DEST_HOST", "a"), ("DEST_PORT", "x")];
        let empty = [("DEST_HOST", ""), ("DEST_PORT", "1")];
        let anybody = "--listen 1 --verify 0 --connect";
        let cases: [(&str, Variables, &str); 10] = [
            ("--connect a:1", &[], "--listen"),
            ("--listen 1", &[], "--connect HOST:PORT"),
            ("--listen 1", &host, "--connect HOST:PORT"),
            ("--listen 1", &empty, "--connect HOST:PORT"),
            ("--listen 1", &port, "DEST_PORT=x"),
            ("--listen 1 --connect a:1 --verify 2", &[], "0 or 1"),
            (
                &format!("{anybody} a:1 --key /k"),
                &[],
                "without a certificate",
            ),
            (
                &format!("{anybody} a:1 --commonname="),
                &[],
                "no certificate has",
            ),
            (
                &format!("{anybody} a:1 --ip4 --ip6"),
                &[],
                "cannot be used with",
            ),
            (&format!("{anybody} [::1]:1 --ip4"), &[], "family"),
        ];
        for (options, variables, told) in cases {
            let error = read(options, variables).unwrap_err();
            assert!(error.contains(told), "{options}: {error}");
        }
    }

    #[test]
    fn verification_ends_only_by_word() {
        let wish = read("--listen 1 --connect a:1 --verify 0", &[]).unwrap();
        assert!(!wish.verify);
    }
}

//! What `-help`, `-version`, `-options` and `-sockets` print, all of it on standard error as stunnel
//! does, and what every log begins with.

use std::fmt::Write as _;

use stockade_config::Zeroizing;
use stockade_config::stunnel::{
    self, Configuration, FileError, Files, KnownOption, Service, Support, Version, known_options,
    known_socket_options, known_tls_options,
};

use super::level;
use super::log::Log;
use super::words::Request;
use crate::caller::VERSION;

mod values;

/// The release of stunnel whose options, texts and order these are. Programs look for `stunnel 5`.
const STUNNEL: &str = "5.68";

/// Where an option's default or its values begin, characters from the left.
const COLUMN: usize = 23;

/// The command line in short.
const SYNTAX: [&str; 8] = [
    " ",
    "Syntax:",
    "stunnel [FILE] | -fd N | -help | -version | -sockets | -options",
    "    FILE        - the configuration file [default: /etc/stunnel/stunnel.conf]",
    "    -fd N       - read the configuration from file descriptor N",
    "    -help       - list the options of the configuration file",
    "    -version    - tell the version and the defaults",
    "    -sockets    - tell the socket options; -options - tell the TLS options",
];

/// The answer to words that ask for nothing to be started.
pub(super) fn answer(request: &Request) -> Option<String> {
    let mut text = heading().join("\n") + "\n \n";
    text += &match request {
        Request::Help => options(),
        Request::Version => defaults(),
        Request::Options => tls_options(),
        Request::Sockets => sockets(),
        Request::Serve(_) | Request::NoDescriptor => return None,
    };
    Some(text)
}

/// Says in the log which program this is.
pub(super) fn banner(log: &Log) {
    for line in heading() {
        log.say(level::NOTICE, &line);
    }
}

pub(super) const fn syntax() -> [&'static str; 8] {
    SYNTAX
}

/// What this is: not stunnel, and to be used as that release of it.
fn heading() -> [String; 3] {
    [
        format!(
            "stunnel {STUNNEL} (compatible: Stockade {VERSION}) on x86_64-pc-linux-gnu platform"
        ),
        "No OpenSSL: TLS by rustls, inside an image under QEMU".to_owned(),
        "Threading:NONE Sockets:POLL,IPv6 TLS:PSK,SNI Auth:NONE".to_owned(),
    ]
}

fn options() -> String {
    let global = |option: &KnownOption| option.is_global;
    let mut text = String::from("Global options:\n");
    rows(&mut text, known_options().filter(global));
    text += " \nService-level options:\n";
    rows(&mut text, known_options().filter(|option| !global(option)));
    text
}

fn rows(text: &mut String, options: impl Iterator<Item = KnownOption>) {
    let mut options: Vec<KnownOption> = options
        .filter(|option| option.support != Support::Refused)
        .collect();
    options.sort_by_key(|option| option.name.to_ascii_lowercase());
    for option in options {
        // Some are without effect for the image, and this process heeds them.
        let values = match values::of(option.name) {
            "" => "accepted without effect",
            values => values,
        };
        row(text, option.name, values);
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    // Writing to a string never fails.
    let _ = writeln!(text, "{name:<COLUMN$}= {value}");
}

fn tls_options() -> String {
    let names = known_tls_options();
    let lines = names.iter().map(|name| format!("options = {name}\n"));
    format!("Supported TLS options:\n{}", lines.collect::<String>())
}

/// The defaults: those of a service about which a file says nothing.
fn defaults() -> String {
    let Some(configuration) = plainest() else {
        return String::new();
    };
    let mut text = String::from("Global options:\n");
    row(&mut text, "fips", "no");
    text += " \nService-level options:\n";
    for service in &configuration.services {
        for (name, value) in of_service(service, configuration.global.debug) {
            row(&mut text, name, &value);
        }
    }
    text
}

fn of_service(service: &Service, debug: u8) -> Vec<(&'static str, String)> {
    const LEVELS: [&str; 8] = [
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    ];
    let level = LEVELS.get(usize::from(debug)).copied().unwrap_or_default();
    let suites: Vec<String> = service
        .suites
        .iter()
        .map(|suite| suite.name().to_owned())
        .collect();
    let seconds = |time: std::time::Duration| format!("{} seconds", time.as_secs());
    vec![
        ("ciphers, ciphersuites", suites.join(":")),
        ("debug", format!("daemon.{level}")),
        (
            "logId",
            format!("{:?}", service.log_id).to_ascii_lowercase(),
        ),
        ("sessionCacheSize", service.session_cache_size.to_string()),
        (
            "sessionCacheTimeout",
            seconds(service.session_cache_timeout),
        ),
        (
            "sslVersionMin, Max",
            format!(
                "{}, {}",
                version(service.versions.0),
                version(service.versions.1)
            ),
        ),
        ("TIMEOUTbusy", seconds(service.timeouts.busy)),
        ("TIMEOUTclose", seconds(service.timeouts.close)),
        ("TIMEOUTconnect", seconds(service.timeouts.connect)),
        ("TIMEOUTidle", seconds(service.timeouts.idle)),
        ("verify", "none".to_owned()),
    ]
}

fn version(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    }
}

/// The configuration that says least.
fn plainest() -> Option<Configuration> {
    struct Plainest;
    impl Files for Plainest {
        fn read(&mut self, _: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
            let text = "foreground = yes\n[service]\nclient = yes\naccept = 1\nconnect = 1\n";
            Ok(Zeroizing::new(text.as_bytes().to_vec()))
        }

        fn list(&mut self, _: &str) -> Result<Vec<String>, FileError> {
            Ok(Vec::new())
        }
    }
    stunnel::read("defaults", &mut Plainest).ok()
}

/// The socket options that can be set with some effect. A section that says nothing has none set.
fn sockets() -> String {
    let mut text = String::from(
        "Socket option defaults:\n    \
         Option Name         |  Accept  |   Local  |  Remote\n    \
         --------------------+----------+----------+----------\n",
    );
    for name in known_socket_options() {
        let _ = writeln!(text, "    {name:<20}|    --    |    --    |    --");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &Request, expected: &[&str]) {
        let text = answer(request).unwrap();
        assert!(
            text.starts_with("stunnel 5.68 (compatible: Stockade "),
            "{text}"
        );
        for line in expected {
            assert!(
                text.lines().any(|found| found == *line),
                "{line:?} in {text}"
            );
        }
    }

    #[test]
    fn every_option_that_is_taken_is_listed_with_its_values() {
        check(
            &Request::Help,
            &[
                "foreground             = yes|quiet|no: whether to stay a process of the terminal",
                "chroot                 = accepted without effect",
                "Global options:",
                "Service-level options:",
            ],
        );
        let text = answer(&Request::Help).unwrap();
        assert!(!text.contains("engineCtrl"), "{text}");
        for option in known_options().filter(|option| option.support == Support::Honoured) {
            assert_ne!(values::of(option.name), "", "{}", option.name);
        }
    }

    #[test]
    fn defaults_and_lists_are_those_in_force() {
        check(
            &Request::Version,
            &[
                "TIMEOUTclose           = 60 seconds",
                "sessionCacheSize       = 1000",
                "debug                  = daemon.notice",
            ],
        );
        check(
            &Request::Options,
            &["options = NO_TLSv1_2", "options = ALL"],
        );
        check(
            &Request::Sockets,
            &["    TCP_NODELAY         |    --    |    --    |    --"],
        );
    }
}

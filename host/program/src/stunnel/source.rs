//! Where the configuration is, and what reading it says.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use stockade_config::stunnel::{Global, Reported, Service};
use stockade_host::conf::{self, INSECURE, Passphrases, Published, stunnel_words};
use stockade_host::launch::{Setup, Source};
use stockade_host::{Account, inherited, memfd};

use super::daemon::Parent;
use super::level;
use super::log::Log;
use crate::check;
use crate::reading::{self, Reading, Recipe};

/// Most bytes that are read from a descriptor: more than any configuration may have.
const MOST: u64 = 2 * 1024 * 1024;

/// How stunnel begins lines about what is not one line's fault.
const HEADS: [&str; 4] = [
    "Service [",
    "Global options: ",
    "Inetd mode: ",
    "Use \"checkHost\"",
];

/// How stunnel tells what it could not do, behind a line of its own about why, which begins so.
const FAILURES: [(&str, &str); 3] = [
    (": Failed to initialize TLS context", ""),
    (": Failed to read PSK secrets", ""),
    (": Failed to include directory", "scandir: "),
];

/// Where the words say that the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// In this file.
    File(PathBuf),
    /// In a descriptor that was handed down.
    Descriptor(String),
}

/// Where it was found.
pub(super) struct Place {
    /// The path by which it is read, each time.
    path: String,
    /// The descriptor that it came by, and what was in it: it can't be read twice.
    descriptor: Option<(String, Vec<u8>)>,
    _memory: Option<OwnedFd>,
}

/// What `foreground` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreground {
    /// A daemon serves.
    No,
    /// This process serves, and its terminal has none of the log.
    Quiet,
    /// This process serves, and logs to its terminal too.
    Yes,
}

impl Foreground {
    /// Whether this process serves itself.
    pub(super) fn stays(self) -> bool {
        self != Foreground::No
    }
}

impl Wanted {
    /// Finds it.
    ///
    /// # Errors
    ///
    /// It is not there; stunnel's lines about that.
    pub(super) fn open(&self, parent: Option<&mut Parent>) -> Result<Place, Vec<String>> {
        match self {
            Wanted::File(path) => {
                let wrong = |why: &str| {
                    let name = path.display();
                    vec![
                        format!("Invalid configuration file name \"{name}\""),
                        format!("realpath: {why}"),
                    ]
                };
                let path = fs::canonicalize(path).map_err(|error| wrong(&stunnel_words(&error)))?;
                let path = path.to_str().ok_or_else(|| wrong("not UTF-8 text"))?;
                Ok(Place::of_file(path))
            }
            Wanted::Descriptor(number) => {
                let Ok(place): Result<u16, _> = number.parse() else {
                    return Err(vec!["Invalid file descriptor number".to_owned()]);
                };
                let bytes = match parent {
                    Some(parent) => parent.configuration(),
                    None => inherited::take(place, MOST),
                };
                let held = bytes.and_then(|bytes| Ok((memfd::sealed("conf", &bytes)?, bytes)));
                let (memory, bytes) = held.map_err(|error| {
                    let why = stunnel_words(&error);
                    vec![
                        "Cannot open configuration file".to_owned(),
                        format!("open: {why}"),
                    ]
                })?;
                Ok(Place {
                    path: memfd::path(&memory),
                    descriptor: Some((number.clone(), bytes)),
                    _memory: Some(memory),
                })
            }
        }
    }
}

impl Place {
    /// A file that is there by this path.
    pub(super) fn of_file(path: &str) -> Place {
        Place {
            path: path.to_owned(),
            descriptor: None,
            _memory: None,
        }
    }

    /// The path by which it is read.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What came by a descriptor; nothing otherwise.
    pub(super) fn bytes(&self) -> &[u8] {
        self.descriptor
            .as_ref()
            .map_or(&[], |(_, bytes)| bytes.as_slice())
    }

    /// How a run of it is called.
    pub(super) fn stem(&self) -> &str {
        let path = std::path::Path::new(&self.path);
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        stem.filter(|_| self.descriptor.is_none())
            .unwrap_or("stunnel")
    }

    fn in_words(&self) -> String {
        match &self.descriptor {
            Some((number, _)) => format!("descriptor {number}"),
            None => format!("file {}", self.path),
        }
    }

    /// A line about the configuration as stunnel writes it.
    pub(super) fn line(&self, line: &str) -> String {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        for head in HEADS {
            // Behind the place, which is a path without these words.
            if let Some(at) = line.find(&format!(": {head}"))
                && line.starts_with('/')
            {
                return line[at + 2..].to_owned();
            }
        }
        match &self.descriptor {
            Some((number, _)) => line.replace(&self.path, number),
            None => line.to_owned(),
        }
    }

    /// An error as stunnel tells it: what is wrong with a file, and then whose file it is.
    pub(super) fn error(&self, line: &str) -> Vec<String> {
        let error = line.strip_prefix("error: ").unwrap_or(line);
        if let Some(section) = self.section_of(error)
            && let Some(lines) = about_section(error, &section)
        {
            return lines;
        }
        let line = self.line(line);
        for (failure, head) in FAILURES {
            if let Some((whose, why)) = line.split_once(failure)
                && let Some(why) = why.strip_prefix(": ")
            {
                return vec![format!("{head}{why}"), format!("{whose}{failure}")];
            }
        }
        vec![line]
    }

    /// Which line, from 1, opens the first section.
    fn first_section(&self) -> Option<usize> {
        let text = fs::read(&self.path).ok()?;
        let text = String::from_utf8_lossy(&text);
        let place = text.lines().position(|line| section(line).is_some());
        place.map(|place| place + 1)
    }

    fn is_readable(&self) -> bool {
        fs::read(&self.path).is_ok()
    }

    /// The section that this error's line is in.
    fn section_of(&self, error: &str) -> Option<String> {
        let line = self.line_of(error)?;
        let text = fs::read(&self.path).ok()?;
        let text = String::from_utf8_lossy(&text);
        let before = text.lines().take(line);
        before.filter_map(section).last().map(str::to_owned)
    }

    /// Which line of the file this error is about.
    fn line_of(&self, error: &str) -> Option<usize> {
        let rest = error.strip_prefix(&self.path)?.strip_prefix(':')?;
        rest.split(':').next()?.parse().ok()
    }
}

/// Whether the configuration has no section, so that this process has one client.
pub(super) fn is_inetd(place: &Place) -> bool {
    let found = conf::find(place.path(), Passphrases::Nobody);
    let examination = found.examination;
    match &examination.configuration {
        Some(configuration) => configuration.services.iter().any(Service::is_inherited),
        None => place.first_section().is_none() && place.is_readable(),
    }
}

/// The name in a line that opens a section.
fn section(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

/// What stunnel finds out when it has read the whole section, and says of that.
fn about_section(error: &str, section: &str) -> Option<Vec<String>> {
    const NO_PROTOCOL: &str = "Protocol not supported";
    const NO_ADDRESS: &str = "Cannot resolve accept target";
    let of_section = |what: &str| format!("Service [{section}]: {what}");
    if error.ends_with(&format!("\": {NO_PROTOCOL}")) {
        return Some(vec![of_section(NO_PROTOCOL)]);
    }
    if let Some((_, why)) = error.split_once(&format!("\": {NO_ADDRESS}: ")) {
        return Some(vec![why.to_owned(), of_section(NO_ADDRESS)]);
    }
    let at = error.find("Error resolving \"")?;
    let (whose, why) = error[at..].split_once(": failed to lookup address information: ")?;
    // gai_strerror(3)'s texts.
    let number = match why {
        "Temporary failure in name resolution" => "EAI_AGAIN",
        "No address associated with hostname" => "EAI_NODATA",
        _ => "EAI_NONAME",
    };
    Some(vec![
        format!("{whose}: {why} ({number})"),
        of_section(NO_ADDRESS),
    ])
}

/// As stunnel, which ends with the first error: the others are told at a lower level.
fn first(errors: Vec<Vec<String>>, log: &Log) -> Vec<String> {
    let mut errors = errors.into_iter();
    let first = errors.next().unwrap_or_default();
    for line in errors.flatten() {
        log.say(level::INFO, &line);
    }
    first
}

/// What the configuration says of `foreground`, as far as it can be read.
pub(super) fn foreground(place: &Place) -> Foreground {
    let found = conf::find(place.path(), Passphrases::Nobody);
    foreground_of(&found.examination.report)
}

fn foreground_of(report: &[Reported]) -> Foreground {
    match global(report, "foreground").map(|found| found.value.to_ascii_lowercase()) {
        Some(value) if value == "yes" => Foreground::Yes,
        Some(value) if value == "quiet" => Foreground::Quiet,
        _ => Foreground::No,
    }
}

/// The last option of this name before the first section.
fn global<'a>(report: &'a [Reported], option: &str) -> Option<&'a Reported> {
    let mut found = report.iter().rev();
    found.find(|row| row.option == option && row.service.is_none())
}

/// A configuration that was read.
pub(super) struct Taken {
    pub(super) reading: Reading,
    pub(super) global: Global,
    pub(super) foreground: Foreground,
    /// Whom the launcher is to become.
    pub(super) account: Account,
}

/// Reads the configuration and logs what stunnel logs of it, but for the verdict.
///
/// # Errors
///
/// Every line of what is wrong.
pub(super) fn read(recipe: &Recipe, place: &Place, log: &Log) -> Result<Taken, Vec<String>> {
    log.say(
        level::NOTICE,
        &format!("Reading configuration from {}", place.in_words()),
    );
    if let Ok(bytes) = fs::read(place.path()) {
        let not = if bytes.starts_with(b"\xef\xbb\xbf") {
            ""
        } else {
            "not "
        };
        let text = format!("UTF-8 byte order mark {not}detected");
        log.say(level::NOTICE, &text);
    }
    let fips = || log.say(level::NOTICE, "FIPS mode disabled");
    let reading = recipe.read(Passphrases::available()).map_err(|refused| {
        let mut lines = refused.lines;
        lines.retain(|line| line != "Configuration failed");
        // stunnel says so behind its global options; what is included is sections as a rule.
        let error = lines.first().map_or("", String::as_str);
        let is_behind = match (place.line_of(error), place.first_section()) {
            (Some(line), section) => section.is_some_and(|section| line >= section),
            (None, _) => error.starts_with('/'),
        };
        if is_behind {
            fips();
        }
        first(lines.iter().map(|line| place.error(line)).collect(), log)
    })?;
    let Some(conf) = &reading.plan.conf else {
        return Err(vec!["there is no configuration".to_owned()]);
    };
    let configuration = &conf.configuration;
    let account = account(&configuration.report).map_err(|line| vec![place.line(&line)])?;
    fips();
    for service in &configuration.services {
        tell_service(service, log);
    }
    for notice in &reading.notices {
        match notice.split_once(INSECURE) {
            Some((_, path)) => {
                let path = path.split(": ").next().unwrap_or(path);
                log.say(level::WARNING, &format!("{INSECURE}{path}"));
            }
            None => log.say(level::NOTICE, &place.line(notice)),
        }
    }
    let boot = reading::boot(&recipe.options, &reading.plan);
    let boot = boot.map_err(|error| vec![error.to_string()])?;
    let errors = check::contents(&boot);
    if !errors.is_empty() {
        let errors = errors.iter().map(|line| place.error(line)).collect();
        return Err(first(errors, log));
    }
    Ok(Taken {
        global: configuration.global.clone(),
        foreground: foreground_of(&configuration.report),
        account,
        reading,
    })
}

/// What stunnel tells of each service while it takes it.
fn tell_service(service: &Service, log: &Log) {
    let name = &service.name;
    log.say(level::INFO, &format!("Initializing service [{name}]"));
    if let Some(cert) = &service.cert {
        let path = &cert.path;
        log.say(
            level::INFO,
            &format!("Loading certificate from file: {path}"),
        );
        log.say(
            level::INFO,
            &format!("Certificate loaded from file: {path}"),
        );
    }
    if let Some(key) = &service.key {
        let path = &key.path;
        log.say(
            level::INFO,
            &format!("Loading private key from file: {path}"),
        );
        log.say(
            level::INFO,
            &format!("Private key loaded from file: {path}"),
        );
    }
}

/// Whom `setuid` and `setgid` name.
fn account(report: &[Reported]) -> Result<Account, String> {
    let [user, group] = ["setuid", "setgid"].map(|option| global(report, option));
    let value = |row: Option<&Reported>| row.map(|row| row.value.clone());
    let wrong = |row: &Reported, why: &dyn std::fmt::Display| {
        format!("{}: \"{} = {}\": {why}", row.origin, row.option, row.value)
    };
    for row in [user, group].into_iter().flatten() {
        let value = Some(row.value.as_str());
        let found = match row.option {
            "setuid" => Account::find(value, None),
            _ => Account::find(None, value),
        };
        found.map_err(|error| wrong(row, &error))?;
    }
    Account::find(value(user).as_deref(), value(group).as_deref())
        .map_err(|error| error.to_string())
}

/// What the configuration that was read last says of the log, and what it publishes.
pub(super) type Latest = Arc<Mutex<Option<(Global, Vec<Published>)>>>;

/// Reads the configuration for the launcher: once at the start, and again at each reload.
pub(super) struct Configurations {
    pub(super) recipe: Recipe,
    pub(super) place: Arc<Place>,
    pub(super) log: Log,
    /// What was read before the start.
    pub(super) first: Option<Setup>,
    /// What was read last, beside what the launcher takes.
    pub(super) latest: Latest,
}

impl Source for Configurations {
    fn read(&mut self) -> Result<Setup, Vec<String>> {
        if let Some(setup) = self.first.take() {
            return Ok(setup);
        }
        let taken = read(&self.recipe, &self.place, &self.log)?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((taken.global, taken.reading.ports.published.clone()));
        Ok(taken.reading.setup())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, descriptor: Option<&str>) -> Place {
        Place {
            path: path.to_owned(),
            descriptor: descriptor.map(|number| (number.to_owned(), Vec::new())),
            _memory: None,
        }
    }

    #[test]
    fn lines_about_a_file_are_stunnels() {
        let file = place("/etc/a.conf", None);
        for (ours, stunnels) in [
            (
                "/etc/a.conf:7: \"colour = red\": Specified option name is not valid here",
                "/etc/a.conf:7: \"colour = red\": Specified option name is not valid here",
            ),
            (
                "/etc/a.conf:2: Service [tls]: TLS server needs a certificate",
                "Service [tls]: TLS server needs a certificate",
            ),
            ("error: no image", "no image"),
        ] {
            assert_eq!(file.line(ours), stunnels);
        }
        assert_eq!(
            file.error("/etc/a.conf:5: Service [tls]: Failed to initialize TLS context: k: none"),
            ["k: none", "Service [tls]: Failed to initialize TLS context"]
        );
        assert_eq!(
            file.error("/etc/a.conf:5: \"include = /b\": Failed to include directory: none"),
            [
                "scandir: none",
                "/etc/a.conf:5: \"include = /b\": Failed to include directory"
            ]
        );
        assert_eq!(file.line_of("/etc/a.conf:7: x"), Some(7));
        assert_eq!(file.line_of("elsewhere:7: x"), None);
        assert_eq!(file.stem(), "a");
    }

    #[test]
    fn lines_about_a_descriptor_name_its_number() {
        let descriptor = place("/proc/self/fd/9", Some("5"));
        assert_eq!(descriptor.line("/proc/self/fd/9:3: x"), "5:3: x");
        assert_eq!(descriptor.stem(), "stunnel");
        let wrong = Wanted::Descriptor("x".to_owned()).open(None);
        assert_eq!(
            wrong.err().unwrap(),
            ["Invalid file descriptor number".to_owned()]
        );
    }

    #[test]
    fn foreground_has_three_values() {
        let report = |value: &str, service: Option<&str>| {
            vec![Reported {
                origin: stockade_config::stunnel::Origin {
                    file: "a".into(),
                    line: 1,
                },
                service: service.map(str::to_owned),
                option: "foreground",
                value: value.to_owned(),
                disposition: stockade_config::stunnel::Disposition::Honoured,
            }]
        };
        assert_eq!(foreground_of(&report("YES", None)), Foreground::Yes);
        assert_eq!(foreground_of(&report("quiet", None)), Foreground::Quiet);
        assert_eq!(foreground_of(&report("no", None)), Foreground::No);
        assert_eq!(foreground_of(&report("yes", Some("s"))), Foreground::No);
        assert_eq!(foreground_of(&[]), Foreground::No);
    }
}

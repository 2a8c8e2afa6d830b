//! From settings to services and a log, when the machine starts and whenever it gets others.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::net::IpAddr;

use config::{
    Config, Crypto, Ipv4, Ipv6, Services, Settings, hosting::Hosting, stunnel::Configuration,
};
use log::LevelFilter;
use tls::WallClock;

use crate::{
    hosting,
    journal::{Facility, Journal, Severity, Syslog},
    server::Keeping,
    service::{
        self, Service,
        conf::{Ground, OwnAddress},
    },
};

/// How the log is to be kept.
pub(crate) struct Logging {
    /// Up to which level the journal's own lines are written.
    pub(crate) level: Severity,
    /// The same for all other lines.
    pub(crate) filter: LevelFilter,
    /// Where lines go besides.
    pub(crate) syslog: Option<Syslog>,
}

impl Logging {
    /// As the command line or the configuration wants it.
    pub(crate) fn of(settings: &Settings) -> Self {
        let config = &settings.config;
        let (level, filter, syslog) = match &settings.services {
            Services::Single { .. } | Services::Hosting(_) => {
                let syslog = (Facility::DAEMON, "stockade");
                (Severity::of_tunnel(config.log), config.log, Some(syslog))
            }
            Services::Conf(configuration) => {
                let global = &configuration.global;
                let facility = Facility::from_number(global.facility as u8);
                let syslog = (
                    facility.unwrap_or(Facility::DAEMON),
                    global.service.as_str(),
                );
                // Its own lines the journal judges by itself; the filter is for all the others,
                // among them the one that whoever started the image waits for.
                (
                    Severity::from_number(global.debug),
                    LevelFilter::Info,
                    global.syslog.then_some(syslog),
                )
            }
        };
        let syslog = config.syslog.zip(syslog);
        Self {
            level,
            filter,
            syslog: syslog.map(|(server, (facility, name))| Syslog::new(server, facility, name)),
        }
    }

    /// A journal that is kept so, from now on.
    pub(crate) fn into_journal(self, clock: &WallClock) -> Journal {
        log::set_max_level(self.filter);
        let mut journal = Journal::new(clock.clone(), self.level);
        journal.reconfigure(self.level, self.syslog);
        journal
    }
}

/// What of a command line holds as long as the machine runs: it has made the network stack and
/// chosen the cryptography.
pub(crate) struct Standing {
    ipv4: Ipv4,
    ipv6: Option<Ipv6>,
    dns: Vec<IpAddr>,
    crypto: Crypto,
    published: bool,
}

impl Standing {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            ipv4: config.ipv4,
            ipv6: config.ipv6,
            dns: config.dns.clone(),
            crypto: config.crypto,
            published: config.published,
        }
    }

    /// Whether another command line leaves it as it is.
    ///
    /// # Errors
    /// A line for each option that it changes.
    pub(crate) fn permits(&self, config: &Config) -> Result<(), Vec<String>> {
        let changes = [
            ("--ipv4", self.ipv4 != config.ipv4),
            ("--ipv6", self.ipv6 != config.ipv6),
            ("--dns", self.dns != config.dns),
            ("--crypto", self.crypto != config.crypto),
            ("--published", self.published != config.published),
        ];
        let changed = changes.iter().filter(|(_, changed)| *changed);
        let lines: Vec<String> = changed
            .map(|(option, _)| format!("{option} can't change while the image runs: start anew"))
            .collect();
        match lines.is_empty() {
            true => Ok(()),
            false => Err(lines),
        }
    }
}

/// What settings come to.
pub(crate) struct Built {
    /// Everything that is served; with a keeper, until it has read its store.
    pub(crate) services: Vec<Service>,
    /// What keeps a store's hosts.
    pub(crate) keeping: Option<Box<Keeping>>,
}

impl From<Vec<Service>> for Built {
    fn from(services: Vec<Service>) -> Self {
        Self {
            services,
            keeping: None,
        }
    }
}

/// Everything that is served, or every line that says why it cannot be.
pub(crate) fn build(settings: &Settings, clock: &WallClock) -> Result<Built, Vec<String>> {
    let config = &settings.config;
    match &settings.services {
        Services::Single { certificate, key } => {
            Service::from_config(config, certificate, key, clock)
                .map(|service| vec![service].into())
                .map_err(|error| lines(&error))
        }
        Services::Conf(configuration) => {
            service::conf::services(configuration, &ground(config, clock))
                .map(Built::from)
                .map_err(|errors| errors.iter().map(ToString::to_string).collect())
        }
        Services::Hosting(hosting) => by_name(hosting, config, clock),
    }
}

/// The hosts of the boot archive and what keeps those of a store, or every line that says why they
/// cannot be served.
fn by_name(hosting: &Hosting, config: &Config, clock: &WallClock) -> Result<Built, Vec<String>> {
    let mut sites = hosting::of_files(hosting, config)?;
    let ground = ground(config, clock);
    let keeping = Keeping::new(hosting, config, &ground)?;
    if keeping.is_some() {
        // It may well be one of the store's.
        sites.default_host = None;
    }
    let mut kept = hosting::Kept::default();
    let (services, left_out) = hosting::services(&sites, &mut kept, &ground);
    match left_out.is_empty() {
        true => Ok(Built { services, keeping }),
        false => Err(left_out
            .iter()
            .map(|(host, why)| format!("{host}: {why}"))
            .collect()),
    }
}

/// stunnel's own lines while it reads.
pub(crate) fn tell(settings: &Settings, journal: &mut Journal) {
    if let Services::Conf(configuration) = &settings.services {
        tell_configuration(configuration, journal);
    }
}

fn tell_configuration(configuration: &Configuration, journal: &mut Journal) {
    let path = match configuration.services.first() {
        Some(first) => &first.origin.file,
        None => "",
    };
    journal.tunnel().reading_configuration(path);
    for service in &configuration.services {
        let mut lines = journal.tunnel();
        let name = &service.name;
        lines.line(
            Severity::Info,
            format_args!("Initializing service [{name}]"),
        );
    }
    for notice in &configuration.notices {
        let severity = Severity::from_number(notice.level);
        let mut lines = journal.tunnel();
        lines.line(severity, format_args!("{}: {}", notice.origin, notice.text));
    }
    for (service, text) in service::conf::loopback_backends(configuration) {
        journal.tunnel().line(
            Severity::Notice,
            format_args!("Service [{service}]: {text} is on the host, reached by the gateway"),
        );
    }
}

/// What the command line says of the network, as far as services have to know.
fn ground(config: &Config, clock: &WallClock) -> Ground {
    Ground {
        provider: service::provider(config.crypto),
        clock: clock.clone(),
        level: Severity::of_service(config.log),
        published: config.published,
        ipv4: match config.ipv4 {
            config::Ipv4::Disabled => OwnAddress::None,
            config::Ipv4::Dhcp => OwnAddress::Unknown,
            config::Ipv4::Static { address, .. } => OwnAddress::Known(address),
        },
        ipv6: match config.ipv6 {
            None => OwnAddress::None,
            Some(ipv6) => OwnAddress::Known(ipv6.address),
        },
    }
}

/// A text's lines.
pub(crate) fn lines(error: &impl ToString) -> Vec<String> {
    error.to_string().lines().map(String::from).collect()
}

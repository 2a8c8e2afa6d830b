//! From a machine and its command line to a running tunnel.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use config::{Config, Services, Settings, exit::ExitStatus, stunnel::Configuration};
use net::{Ipv4Config, Ipv6Config};
use tls::WallClock;

use crate::{
    Machine,
    journal::{Facility, Journal, Severity, Syslog},
    limits::Memory,
    server::Server,
    service::{
        self, Service,
        conf::{Ground, OwnAddress},
    },
};

#[cfg(test)]
mod tests;

/// Reads the configuration and serves until the machine goes away.
///
/// `command_line` is what the machine was given (`-append`), `archive` its boot archive
/// (`-initrd`). Returns only when there is nothing to serve: every error has then been logged.
pub fn start<M: Machine>(
    machine: &mut M,
    command_line: &[u8],
    archive: Option<&[u8]>,
) -> ExitStatus {
    let clock = WallClock::new(machine.wall_clock());
    let settings = match Settings::read(command_line, archive) {
        Ok(settings) => settings,
        Err(error) => {
            log_lines(&error);
            if let config::ReadError::Conf(_) = error {
                let mut journal = Journal::new(clock, Severity::Notice);
                journal.tunnel().configuration_failed();
            }
            return ExitStatus::Configuration;
        }
    };
    match assemble(machine, &settings, clock) {
        Ok(mut server) => loop {
            if let Some(wake) = server.poll(machine) {
                if let Some(status) = server.failure() {
                    return status;
                }
                machine.idle_until(wake);
            }
        },
        Err(status) => status,
    }
}

/// Judges what an image would be started with, on the host: command line, boot archive, and what the
/// files in it contain. `unix_seconds` is now.
///
/// # Errors
/// Every line that the image would end with.
pub fn check(
    command_line: &[u8],
    archive: Option<&[u8]>,
    unix_seconds: u64,
) -> Result<(), Vec<String>> {
    let settings = Settings::read(command_line, archive).map_err(|error| lines(&error))?;
    build(&settings, &WallClock::new(unix_seconds)).map(drop)
}

/// Puts the tunnel together: memory divided, TLS set up, the network stack on the card.
fn assemble<M: Machine>(
    machine: &mut M,
    settings: &Settings,
    clock: WallClock,
) -> Result<Server, ExitStatus> {
    let config = &settings.config;
    let mut journal = journal(settings, &clock);
    let services = services(settings, &clock, &mut journal)?;
    log::info!("cryptography: {}", config.crypto);

    let memory = Memory::for_services(machine.heap_free(), &service::needs(&services));
    log::info!(
        "memory: {} sessions at once, {} KiB a stream buffer",
        memory.sessions,
        memory.stream_buffer.div_ceil(1024)
    );
    let mut seed = [0; 32];
    machine.fill_entropy(&mut seed);
    let network = network(config, machine.mac(), seed, &memory);
    let now = machine.now();
    let stack = net::Stack::new(network, machine.nic(), now).map_err(|error| {
        log_lines(&error);
        ExitStatus::Configuration
    })?;
    Ok(Server::with_journal(
        stack, services, memory, clock, journal, now,
    ))
}

/// The log, as the command line or the configuration wants it.
fn journal(settings: &Settings, clock: &WallClock) -> Journal {
    let config = &settings.config;
    let (level, filter) = match &settings.services {
        Services::Single { .. } => (Severity::of_tunnel(config.log), config.log),
        Services::Conf(configuration) => {
            let level = Severity::from_number(configuration.global.debug);
            // Its own lines the journal judges by itself; this is for all the others, among them
            // the one that whoever started the image waits for.
            (level, log::LevelFilter::Info)
        }
    };
    log::set_max_level(filter);
    let mut journal = Journal::new(clock.clone(), level);
    if let Some(server) = config.syslog {
        let (facility, name, wanted) = match &settings.services {
            Services::Single { .. } => (None, "stockade", true),
            Services::Conf(configuration) => {
                let global = &configuration.global;
                let number = global.facility as u8;
                (Some(number), global.service.as_str(), global.syslog)
            }
        };
        let facility = facility.and_then(Facility::from_number);
        if wanted {
            journal.set_syslog(Syslog::new(
                server,
                facility.unwrap_or(Facility::DAEMON),
                name,
            ));
        }
    }
    journal
}

/// Everything that is served, or every line that says why it cannot be.
fn build(settings: &Settings, clock: &WallClock) -> Result<Vec<Service>, Vec<String>> {
    let config = &settings.config;
    match &settings.services {
        Services::Single { certificate, key } => {
            Service::from_config(config, certificate, key, clock)
                .map(|service| vec![service])
                .map_err(|error| lines(&error))
        }
        Services::Conf(configuration) => {
            service::conf::services(configuration, &ground(config, clock))
                .map_err(|errors| errors.iter().map(ToString::to_string).collect())
        }
    }
}

/// The same, told in the log.
fn services(
    settings: &Settings,
    clock: &WallClock,
    journal: &mut Journal,
) -> Result<Vec<Service>, ExitStatus> {
    let Services::Conf(configuration) = &settings.services else {
        return build(settings, clock).map_err(|errors| {
            errors.iter().for_each(|error| log::error!("{error}"));
            ExitStatus::Configuration
        });
    };
    tell_configuration(configuration, journal);
    let built = build(settings, clock);
    let mut log = journal.tunnel();
    match &built {
        Ok(_) => log.configuration_successful(),
        Err(errors) => {
            for error in errors {
                log.line(Severity::Error, format_args!("{error}"));
            }
            log.configuration_failed();
        }
    }
    built.map_err(|_| ExitStatus::Configuration)
}

/// stunnel's own lines while it reads.
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

fn network(config: &Config, mac: [u8; 6], seed: [u8; 32], memory: &Memory) -> net::Config {
    net::Config {
        mac,
        ipv4: match config.ipv4 {
            config::Ipv4::Disabled => Ipv4Config::Disabled,
            config::Ipv4::Dhcp => Ipv4Config::Dhcp,
            config::Ipv4::Static {
                address,
                prefix,
                gateway,
            } => Ipv4Config::Static {
                address,
                prefix,
                gateway,
            },
        },
        ipv6: config.ipv6.map(|ipv6| Ipv6Config {
            address: ipv6.address,
            prefix: ipv6.prefix,
            gateway: ipv6.gateway,
        }),
        dns: config.dns.clone(),
        seed,
        limits: net::Limits {
            streams: 2 * memory.sessions,
            half_open: memory.sessions,
            recv_buffer: memory.stream_buffer,
            send_buffer: memory.stream_buffer,
        },
        role: match config.published {
            true => net::Role::Published,
            false => net::Role::Host,
        },
    }
}

fn log_lines(error: &impl ToString) {
    for line in lines(error) {
        log::error!("{line}");
    }
}

fn lines(error: &impl ToString) -> Vec<String> {
    error.to_string().lines().map(String::from).collect()
}

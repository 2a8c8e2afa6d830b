//! From a machine and its command line to a running tunnel.

use alloc::{boxed::Box, string::String, vec::Vec};

use config::{Config, ReadError, Services, Settings, exit::ExitStatus};
use net::{Ipv4Config, Ipv6Config};
use tls::WallClock;

use crate::{
    Machine,
    journal::{Journal, Severity},
    limits::{ChannelMemory, KEPT_STREAMS, KeeperMemory, MAX_ERRANDS, MAX_INQUIRIES, Memory},
    management::Management,
    server::Server,
    service,
    setup::{self, Built, Logging, Standing, lines},
};

#[cfg(test)]
mod tests;

/// Reads the configuration and serves until the machine goes away, or until it is told to stop
/// over its management channel.
///
/// `command_line` is what the machine was given (`-append`), `archive` its boot archive
/// (`-initrd`). Also returns when there is nothing to serve: every error has then been logged.
pub fn start<M: Machine>(
    machine: &mut M,
    command_line: &[u8],
    archive: Option<&[u8]>,
) -> ExitStatus {
    let mut management = machine.has_channel().then(|| {
        let archive = archive.map_or(0, <[u8]>::len);
        let memory = ChannelMemory::for_heap(machine.heap_free(), archive);
        Box::new(Management::new(memory, command_line, machine.heap_free()))
    });
    let errors = match assemble(machine, command_line, archive, &mut management) {
        Ok(mut server) => return serve(machine, &mut server),
        Err(errors) => errors,
    };
    let status = ExitStatus::Configuration;
    if let Some(management) = management {
        management.part(machine, errors, status);
    }
    status
}

/// The loop that everything happens in.
fn serve<M: Machine>(machine: &mut M, server: &mut Server) -> ExitStatus {
    loop {
        let wake = server.poll(machine);
        if let Some(status) = server.ended() {
            return status;
        }
        if let Some(wake) = wake {
            machine.idle_until(wake);
        }
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
    setup::build(&settings, &WallClock::new(unix_seconds)).map(drop)
}

/// Puts the tunnel together: memory divided, TLS set up, the network stack on the card. The
/// server takes `management` with it.
///
/// # Errors
/// Every line that says why not. They have been logged.
pub(crate) fn assemble<M: Machine>(
    machine: &mut M,
    command_line: &[u8],
    archive: Option<&[u8]>,
    management: &mut Option<Box<Management>>,
) -> Result<Server, Vec<String>> {
    let clock = WallClock::new(machine.wall_clock());
    let settings = Settings::read(command_line, archive).map_err(|error| {
        let lines = logged(lines(&error));
        if let ReadError::Conf(_) = error {
            let mut journal = Journal::new(clock.clone(), Severity::Notice);
            journal.tunnel().configuration_failed();
        }
        lines
    })?;
    let config = &settings.config;
    let mut journal = Logging::of(&settings).into_journal(&clock);
    if let Some(management) = management {
        management.standing = Some(Standing::of(config));
        journal.keep_events(management.events(), machine.now());
    }
    let heap = machine.heap_free();
    let Built { services, keeping } = services(&settings, &clock, &mut journal)?;
    log::info!("cryptography: {}", config.crypto);

    let left = machine.heap_free();
    let services_took = heap.saturating_sub(left);
    let reserve = management.as_ref().map_or(0, |management| {
        // A configuration that comes later is there beside this one until this one's sessions
        // have ended.
        management.memory().total() + services_took
    });
    let left = left.saturating_sub(reserve);
    let keeper = KeeperMemory::for_heap(left, Memory::stream_buffer(left));
    let keeper_takes = keeping.as_ref().map_or(0, |_| keeper.total());
    let memory = Memory::for_services(
        left.saturating_sub(keeper_takes),
        &service::needs(&services),
    );
    log::info!(
        "memory: {} sessions at once, {} KiB a stream buffer",
        memory.sessions,
        memory.stream_buffer.div_ceil(1024)
    );
    let mut seed = [0; 32];
    machine.fill_entropy(&mut seed);
    let network = network(config, machine.mac(), seed, &memory);
    let now = machine.now();
    let stack =
        net::Stack::new(network, machine.nic(), now).map_err(|error| logged(lines(&error)))?;
    let mut server = Server::with_journal(stack, services, memory, clock, journal, now);
    server.set_heap(left.saturating_add(services_took), services_took);
    if let Some(mut keeping) = keeping {
        keeping.set_memory(keeper);
        server.keep_by(Some(keeping), false);
    }
    if let Some(management) = management.take() {
        server.manage(management);
    }
    Ok(server)
}

/// Everything that is served, or every line that says why it cannot be; told in the log.
fn services(
    settings: &Settings,
    clock: &WallClock,
    journal: &mut Journal,
) -> Result<Built, Vec<String>> {
    setup::tell(settings, journal);
    let built = setup::build(settings, clock);
    if let Services::Single { .. } | Services::Hosting(_) = &settings.services {
        return built.map_err(logged);
    }
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
    built
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
            streams: 2 * memory.sessions + MAX_INQUIRIES + MAX_ERRANDS + KEPT_STREAMS,
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

fn logged(lines: Vec<String>) -> Vec<String> {
    for line in &lines {
        log::error!("{line}");
    }
    lines
}

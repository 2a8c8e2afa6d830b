//! From a machine and its command line to a running tunnel.

use alloc::{string::ToString, vec};

use config::{Config, Services, Settings, exit::ExitStatus};
use net::{Ipv4Config, Ipv6Config};
use tls::WallClock;

use crate::{Machine, limits::Memory, server::Server, service::Service};

/// Reads the configuration and serves until the machine goes away.
///
/// `command_line` is what the machine was given (`-append`), `archive` its boot archive
/// (`-initrd`). Returns only when there is nothing to serve: every error has then been logged.
pub fn start<M: Machine>(
    machine: &mut M,
    command_line: &[u8],
    archive: Option<&[u8]>,
) -> ExitStatus {
    let settings = match Settings::read(command_line, archive) {
        Ok(settings) => settings,
        Err(error) => {
            log_lines(&error);
            return ExitStatus::Configuration;
        }
    };
    log::set_max_level(settings.config.log);
    match assemble(machine, &settings) {
        Ok(mut server) => loop {
            if let Some(wake) = server.poll(machine) {
                machine.idle_until(wake);
            }
        },
        Err(status) => status,
    }
}

/// Puts the tunnel together: memory divided, TLS set up, the network stack on the card.
fn assemble<M: Machine>(machine: &mut M, settings: &Settings) -> Result<Server, ExitStatus> {
    let config = &settings.config;
    let clock = WallClock::new(machine.wall_clock());
    let Services::Single { certificate, key } = &settings.services else {
        log::error!("--conf: this build can't serve a stunnel configuration");
        return Err(ExitStatus::Configuration);
    };
    let service = Service::from_config(config, certificate, key, &clock).map_err(|error| {
        log_lines(&error);
        ExitStatus::Configuration
    })?;
    log::info!("cryptography: {}", config.crypto);

    let memory = Memory::for_heap(machine.heap_free());
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
    Ok(Server::new(stack, vec![service], memory, clock, now))
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
    }
}

fn log_lines(error: &impl ToString) {
    for line in error.to_string().lines() {
        log::error!("{line}");
    }
}

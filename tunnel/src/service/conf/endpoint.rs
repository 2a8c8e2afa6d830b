//! `accept`, `connect` and `redirect`: from what users write to what the image can do.

use alloc::{format, string::String, vec::Vec};
use core::net::IpAddr;

use config::{
    Host,
    stunnel::{Accept, Connect, Failover, Service as Section},
};

use super::{Builder, OwnAddress};
use crate::service::{
    Backend, Listen,
    backend::{self, Place},
};

/// What a host calls itself (RFC 6761 §6.3, and Debian's `/etc/hosts`).
const LOOPBACK_NAMES: [&str; 4] = [
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
];

const NO_UNIX: &str = "UNIX sockets are the host's, and the image reaches them by the launcher's \
                       rootless network alone: run without --net and --ipv4, or use a TCP port";

const NO_PROGRAM: &str = "programs are the host's, and the image reaches them by the launcher's \
                          rootless network alone: run without --net and --ipv4, or let the program \
                          listen, and name it with connect";

const NO_INHERITED: &str = "the client of the inetd mode comes by the launcher's rootless network alone: \
                            run without --net and --ipv4, or give a [section] with accept";

const TOO_MANY: &str = "there are more of these than ports that can stand for them";

impl Builder<'_> {
    pub(super) fn listeners(&mut self, index: usize, section: &Section) -> Vec<Listen> {
        let mut listeners = Vec::new();
        for (nth, accept) in section.accept.iter().enumerate() {
            let (text, is_unix) = match accept {
                Accept::Tcp { text, .. } => (text.as_str(), false),
                Accept::Unix(text) => (text.as_str(), true),
                Accept::Inherited => ("standard input", false),
            };
            let listen = match self.listen(accept, (index, nth)) {
                Ok(listen) => listen,
                Err(fault) => {
                    let fault = format!("\"accept = {text}\": {fault}");
                    self.wrong(section, "accept", Some(text), fault);
                    continue;
                }
            };
            let before = self.taken.iter().find(|(taken, _)| taken.overlaps(&listen));
            match before.copied() {
                // Two ways to write one place.
                Some((taken, owner)) if owner == index && taken == listen => {}
                Some((_, owner)) => {
                    let services = &self.configuration.services;
                    let owner = services.get(owner).map_or("", |owner| &owner.name);
                    let place = match is_unix {
                        true => String::from("there"),
                        false => format!("at {listen}"),
                    };
                    let fault = format!(
                        "\"accept = {text}\": Address already in use (98): \
                         service [{owner}] accepts {place}"
                    );
                    self.wrong(section, "accept", Some(text), fault);
                }
                None => {
                    self.taken.push((listen, index));
                    listeners.push(listen);
                }
            }
        }
        if section.program_ahead().is_some() {
            match (self.has_host(), self.ports.started(index)) {
                (true, Some(port)) => {
                    let listen = Listen { local: None, port };
                    self.taken.push((listen, index));
                    listeners.push(listen);
                }
                (has_host, _) => {
                    let fault = if has_host { TOO_MANY } else { NO_PROGRAM };
                    self.wrong(section, "exec", None, format!("\"exec\": {fault}"));
                }
            }
        }
        listeners
    }

    /// What of the host leads to the ports of a service.
    pub(super) fn led_by(&self, index: usize, section: &Section) -> Vec<(u16, Option<String>)> {
        let accepts = section.accept.iter().enumerate();
        let led_by = accepts.filter_map(|(nth, accept)| {
            let port = self.ports.accepted(index, nth)?;
            let path = match accept {
                Accept::Unix(path) => Some(path.clone()),
                Accept::Tcp { .. } | Accept::Inherited => None,
            };
            Some((port, path))
        });
        let started = self.ports.started(index);
        let program = section.program_ahead().map(|program| program.path.clone());
        led_by.chain(started.map(|port| (port, program))).collect()
    }

    /// Whether the host's UNIX sockets and free ports lead here.
    fn has_host(&self) -> bool {
        self.ground.published && self.ground.ipv4 != OwnAddress::None
    }

    fn listen(&self, accept: &Accept, place: (usize, usize)) -> Result<Listen, String> {
        let ground = self.ground;
        let led = || {
            let port = self.ports.accepted(place.0, place.1);
            let port = port.ok_or_else(|| String::from(TOO_MANY))?;
            Ok(Listen { local: None, port })
        };
        let (host, port) = match accept {
            Accept::Unix(_) if self.has_host() => return led(),
            Accept::Unix(_) => return Err(NO_UNIX.into()),
            Accept::Inherited if self.has_host() => return led(),
            Accept::Inherited => return Err(NO_INHERITED.into()),
            Accept::Tcp { port: 0, .. } if self.has_host() => return led(),
            Accept::Tcp { port: 0, .. } => {
                return Err(
                    "the launcher finds a free port on its rootless network alone: name a port"
                        .into(),
                );
            }
            Accept::Tcp { host, port, .. } => (host, *port),
        };
        let everywhere = Listen { local: None, port };
        let host = match host {
            None => return Ok(everywhere),
            Some(_) if ground.published => return Ok(everywhere),
            Some(host) => host,
        };
        let address = match host {
            Host::Address(address) if address.is_unspecified() => return Ok(everywhere),
            Host::Address(address) if !address.is_loopback() => *address,
            Host::Name(name) if !is_loopback_name(name) => {
                return Err(
                    "a name is not looked up for this: write the image's address, \
                            or the port alone"
                        .into(),
                );
            }
            _ => {
                return Err(
                    "nobody can connect to the image's own loopback: write the port alone or \
                     the image's address; with the rootless network of `cargo xtask run`, this is \
                     the host's loopback"
                        .into(),
                );
            }
        };
        let listen = Listen {
            local: Some(address),
            port,
        };
        match (ground.is_own(address), ground.own()) {
            (Some(false), own) if own.is_empty() => {
                Err("the image has no address of this kind".into())
            }
            (Some(false), own) => Err(format!(
                "Cannot assign requested address (99): the image's address is {own}"
            )),
            (Some(true) | None, _) => Ok(listen),
        }
    }

    pub(super) fn backend(
        &mut self,
        section: &Section,
        option: &str,
        connects: &[Connect],
    ) -> Backend {
        let mut places = Vec::new();
        for connect in connects {
            match connect {
                Connect::Tcp { host, port, text } => {
                    let place = place(host);
                    if let Place::Address(address) = place
                        && self.ground.is_own(address) == Some(true)
                    {
                        let fault = format!(
                            "\"{option} = {text}\": this is the image itself, which has nothing \
                             but its own services: localhost is the host"
                        );
                        self.wrong(section, option, Some(text), fault);
                    }
                    places.push((place, *port));
                }
                Connect::Unix(path) => {
                    let fault = match (self.has_host(), self.ports.dialled(path)) {
                        (false, _) => NO_UNIX,
                        (true, None) => TOO_MANY,
                        (true, Some(port)) => {
                            places.push((Place::Unix(path.clone()), port));
                            continue;
                        }
                    };
                    let fault = format!("\"{option} = {path}\": {fault}");
                    self.wrong(section, option, Some(path), fault);
                }
            }
        }
        if option == "connect"
            && let Some(program) = section.program_behind()
        {
            match (self.has_host(), self.ports.program(program)) {
                (true, Some(port)) => places.push((Place::Program(program.path.clone()), port)),
                (has_host, _) => {
                    let fault = if has_host { TOO_MANY } else { NO_PROGRAM };
                    let fault = format!("\"exec = {}\": {fault}", program.path);
                    self.wrong(section, "exec", None, fault);
                }
            }
        }
        let failover = match section.failover {
            Failover::Priority => backend::Failover::Priority,
            Failover::RoundRobin => backend::Failover::RoundRobin,
        };
        Backend::of(places, failover, section.delay)
    }
}

/// Where a host of `connect` is, seen from the image. What the host calls itself is its gateway.
pub(crate) fn place(host: &Host) -> Place {
    match host {
        Host::Address(address) if address.is_loopback() => Place::Loopback(Some(*address)),
        // As Linux takes it: connect(2) to no address is to oneself.
        Host::Address(address) if address.is_unspecified() => Place::Loopback(Some(*address)),
        Host::Address(address) => Place::Address(canonical(*address)),
        Host::Name(name) if is_loopback_name(name) => Place::Loopback(None),
        Host::Name(name) => Place::Name(name.clone()),
    }
}

/// A `connect` as it was written, if it means the host itself.
pub(super) fn loopback_text(connect: &Connect) -> Option<&str> {
    match connect {
        Connect::Tcp { host, text, .. } => {
            matches!(place(host), Place::Loopback(_)).then_some(text)
        }
        Connect::Unix(_) => None,
    }
}

/// An IPv4 address in IPv6's clothes is one of IPv4 (RFC 4291 §2.5.5.2).
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn is_loopback_name(name: &str) -> bool {
    let mut names = LOOPBACK_NAMES.iter();
    names.any(|known| name.eq_ignore_ascii_case(known))
}

//! `accept`, `connect` and `redirect`: from what users write to what the image can do.

use alloc::{format, string::String, vec::Vec};
use core::net::IpAddr;

use config::{
    Host,
    stunnel::{Accept, Connect, Failover, Service as Section},
};

use super::Builder;
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

const NO_UNIX: &str = "UNIX sockets are the host's, and the image does not reach them: \
                       use a TCP port";

impl Builder<'_> {
    pub(super) fn listeners(&mut self, index: usize, section: &Section) -> Vec<Listen> {
        let mut listeners = Vec::new();
        for accept in &section.accept {
            let text = match accept {
                Accept::Tcp { text, .. } | Accept::Unix(text) => text,
            };
            let listen = match self.listen(accept) {
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
                    let fault = format!(
                        "\"accept = {text}\": Address already in use (98): \
                         service [{owner}] accepts at {listen}"
                    );
                    self.wrong(section, "accept", Some(text), fault);
                }
                None => {
                    self.taken.push((listen, index));
                    listeners.push(listen);
                }
            }
        }
        listeners
    }

    fn listen(&self, accept: &Accept) -> Result<Listen, String> {
        let Accept::Tcp { host, port, .. } = accept else {
            return Err(NO_UNIX.into());
        };
        let (port, ground) = (*port, self.ground);
        if port == 0 {
            return Err("any free port is one that nobody knows: name one".into());
        }
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
                    let fault = format!("\"{option} = {path}\": {NO_UNIX}");
                    self.wrong(section, option, Some(path), fault);
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
fn place(host: &Host) -> Place {
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

//! Services of a stunnel configuration.
//!
//! [`services`] turns what was read into what can be served, or into every reason why not, each
//! with the place of the option that it is about.

use alloc::{format, string::String, vec::Vec};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::stunnel::{self, Configuration, Diagnostic, HostPorts, Origin};
use tls::{Provider, WallClock};

use super::{Listen, Service, SocketOptions, Sockets, VirtualHost};
use crate::{
    journal::{Channel, LogId, Severity},
    limits::Timeouts,
};

mod endpoint;
#[cfg(test)]
mod tests;
mod tls_options;

pub(crate) use endpoint::place;

/// What the services are put on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Whose cryptography they use.
    pub provider: Provider,
    /// Judges certificates and sessions.
    pub clock: WallClock,
    /// How much is logged of those that say nothing of it themselves.
    pub level: Severity,
    /// The launcher has published their addresses on the host: hosts in `accept` are the host's.
    pub published: bool,
    /// The image's IPv4 address, if it has one or will have.
    pub ipv4: OwnAddress<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: OwnAddress<Ipv6Addr>,
}

/// What is known of the image's own address of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnAddress<A> {
    /// There is none and will be none.
    None,
    /// DHCP will tell.
    Unknown,
    /// It is this one.
    Known(A),
}

impl Ground {
    /// Whether `address` is the image's own; `None`: that will show.
    fn is_own(&self, address: IpAddr) -> Option<bool> {
        match (address, self.ipv4, self.ipv6) {
            (IpAddr::V4(_), OwnAddress::Unknown, _) | (IpAddr::V6(_), _, OwnAddress::Unknown) => {
                None
            }
            (IpAddr::V4(address), own, _) => Some(own == OwnAddress::Known(address)),
            (IpAddr::V6(address), _, own) => Some(own == OwnAddress::Known(address)),
        }
    }

    /// The image's own addresses in words.
    fn own(&self) -> String {
        let ipv4 = match self.ipv4 {
            OwnAddress::Known(address) => Some(IpAddr::V4(address)),
            _ => None,
        };
        let ipv6 = match self.ipv6 {
            OwnAddress::Known(address) => Some(IpAddr::V6(address)),
            _ => None,
        };
        let known = ipv4.into_iter().chain(ipv6);
        let known: Vec<String> = known.map(|address| format!("{address}")).collect();
        known.join(" and ")
    }
}

/// Makes services of a configuration. They keep their order, so that each is found at the place
/// that it has in the file.
///
/// # Errors
/// Everything that keeps any of them from being served.
pub fn services(
    configuration: &Configuration,
    ground: &Ground,
) -> Result<Vec<Service>, Vec<Diagnostic>> {
    let mut builder = Builder {
        configuration,
        ground,
        ports: HostPorts::of(configuration),
        errors: Vec::new(),
        taken: Vec::new(),
    };
    let sections = configuration.services.iter().enumerate();
    let built: Vec<Option<Service>> = sections
        .map(|(index, section)| builder.service(index, section))
        .collect();
    let mut services: Vec<Service> = built.into_iter().flatten().collect();
    if services.is_empty() && builder.errors.is_empty() {
        builder.errors.push(Diagnostic {
            origin: whole_file(configuration),
            text: "there is no service in it: expected a section such as [name]".into(),
        });
    }
    if !builder.errors.is_empty() {
        return Err(builder.errors);
    }
    for (index, section) in configuration.services.iter().enumerate() {
        for name in &section.virtual_of {
            let primary = services
                .iter_mut()
                .find(|service| service.channel.name() == name.primary);
            if let Some(primary) = primary {
                let host = VirtualHost::new(&name.pattern, index).for_protocols(&section.alpn);
                primary.virtual_hosts.push(host);
            }
        }
    }
    Ok(services)
}

/// Every `connect` and `redirect` that means the host itself, as it stands in the file, with its
/// service.
pub fn loopback_backends(configuration: &Configuration) -> impl Iterator<Item = (&str, &str)> {
    configuration.services.iter().flat_map(|section| {
        let connects = section.connect.iter().chain(&section.redirect);
        let texts = connects.filter_map(endpoint::loopback_text);
        texts.map(|text| (section.name.as_str(), text))
    })
}

fn whole_file(configuration: &Configuration) -> Origin {
    let first = configuration.report.first();
    Origin {
        file: first.map_or("--conf".into(), |first| first.origin.file.clone()),
        line: 0,
    }
}

struct Builder<'a> {
    configuration: &'a Configuration,
    ground: &'a Ground,
    ports: HostPorts<'a>,
    errors: Vec<Diagnostic>,
    /// Listeners so far, with the services that have them.
    taken: Vec<(Listen, usize)>,
}

impl Builder<'_> {
    fn service(&mut self, index: usize, section: &stunnel::Service) -> Option<Service> {
        let errors = self.errors.len();
        let listeners = self.listeners(index, section);
        let backend = self.backend(section, "connect", &section.connect);
        let redirect = self.backend(section, "redirect", &section.redirect);
        self.source(section);
        let tls = self.tls(section)?;
        if self.errors.len() > errors {
            return None;
        }
        let level = Severity::from_number(section.debug);
        let channel = Channel::new(&section.name, level, log_id(section.log_id));
        let mut service = Service::new(channel, listeners, tls, backend);
        service.led_by = self.led_by(index, section);
        service.redirect = (!section.redirect.is_empty()).then_some(redirect);
        service.timeouts = Timeouts {
            handshake: section.timeouts.busy,
            connect: section.timeouts.connect,
            idle: section.timeouts.idle,
            close: section.timeouts.close,
        };
        service.sockets = Sockets {
            accepted: inherit(section.sockets.local, section.sockets.accept),
            dialled: section.sockets.remote,
        };
        service.reset = section.reset;
        service.source = section.local;
        service.asks_clients = !section.client && section.verify.request;
        service.requires_client = service.asks_clients && section.verify.require;
        service.dialect = section.protocol.clone();
        service.trusted_proxies = section.accept_proxy.clone();
        service.judges = tls_options::judgement(section);
        service.revocation = tls_options::revocation(section);
        service.stapling = self.stapling(section);
        service.kept_sessions = match section.session_resume {
            true => tls_options::session_cache(section),
            false => 0,
        };
        Some(service)
    }

    /// `local`: the image has its own address only.
    fn source(&mut self, section: &stunnel::Service) {
        if let Some(local) = section.local
            && self.ground.is_own(local) == Some(false)
        {
            let own = self.ground.own();
            let text = format!("\"local = {local}\": the image's address is {own}");
            self.wrong(section, "local", None, text);
        }
    }

    /// Notes an error about an option, or about the service where the option is not there.
    fn wrong(
        &mut self,
        section: &stunnel::Service,
        option: &str,
        value: Option<&str>,
        text: String,
    ) {
        self.errors.push(Diagnostic {
            origin: self.origin(section, option, value),
            text: format!("Service [{}]: {text}", section.name),
        });
    }

    /// Where an option of a service stands: in its section, else among the defaults.
    fn origin(&self, section: &stunnel::Service, option: &str, value: Option<&str>) -> Origin {
        let places = [Some(section.name.as_str()), None];
        let found = places.into_iter().find_map(|place| {
            let mut reported = self.configuration.report.iter().rev();
            reported.find(|reported| {
                reported.service.as_deref() == place
                    && reported.option == option
                    && value.is_none_or(|value| reported.value == value)
            })
        });
        found.map_or_else(|| section.origin.clone(), |found| found.origin.clone())
    }
}

/// What a socket that was accepted has from the one that listened.
fn inherit(own: SocketOptions, listener: SocketOptions) -> SocketOptions {
    SocketOptions {
        nodelay: own.nodelay.or(listener.nodelay),
        keepalive: own.keepalive.or(listener.keepalive),
        keepidle: own.keepidle.or(listener.keepidle),
        keepintvl: own.keepintvl.or(listener.keepintvl),
        keepcnt: own.keepcnt.or(listener.keepcnt),
        linger: own.linger.or(listener.linger),
    }
}

fn log_id(ids: stunnel::LogId) -> LogId {
    match ids {
        stunnel::LogId::Sequential => LogId::Sequential,
        stunnel::LogId::Unique => LogId::Unique,
        stunnel::LogId::Thread => LogId::Thread,
        stunnel::LogId::Process => LogId::Process,
    }
}

//! The second step: options become typed values, checked against each other.

mod hosting;
mod requests;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::{host_of, host_of6, network4, network6, unicast};
use super::diagnostic::looks_secret;
use super::links::Links;
use super::options::{self, OptionSpec};
use super::raw::Raw;
use super::{
    DEFAULT_ACCEPT_PORT, DEFAULT_CONNECT_PORT, Diagnostic, Errors, MAX_NAME_SERVERS, Position,
    Problem, SYSLOG_PORT, value,
};
use crate::types::{Accept, Config, Connect, Crypto, Host, Ipv4, Ipv6, ServiceSource, Source};

/// What became of an option.
#[derive(Clone, Copy)]
enum Item<T> {
    Absent,
    /// It was given and is wrong, which is reported: what depends on it is not checked.
    Bad,
    Good(T, Position),
}

impl<T> Item<T> {
    fn good(&self) -> Option<(&T, Position)> {
        match self {
            Item::Good(value, position) => Some((value, *position)),
            _ => None,
        }
    }

    fn is_bad(&self) -> bool {
        matches!(self, Item::Bad)
    }
}

/// The forms that `--ipv4` takes.
#[derive(Clone, Copy)]
enum GivenIpv4 {
    Dhcp,
    Static(Ipv4Addr, u8),
}

/// Types every option, then checks them against each other.
///
/// `None`, or a value beside errors, when anything is wrong.
pub(super) fn check(raw: &Raw<'_>, errors: &mut Errors) -> Option<Config> {
    let mut checker = Checker { raw, errors };
    let ipv4 = checker.one(&options::IPV4, |text| match text {
        "dhcp" => Ok(GivenIpv4::Dhcp),
        _ => value::network(&options::IPV4, text, 32)
            .and_then(|(address, prefix)| host_of(address, prefix))
            .map(|(address, prefix)| GivenIpv4::Static(address, prefix)),
    });
    let gateway4 = checker.one(&options::IPV4_GATEWAY, |text| {
        value::address::<Ipv4Addr>(&options::IPV4_GATEWAY, text)
    });
    let ipv6 = checker.one(&options::IPV6, |text| {
        value::network(&options::IPV6, text, 128)
            .and_then(|(address, prefix)| host_of6(address, prefix))
    });
    let gateway6 = checker.one(&options::IPV6_GATEWAY, |text| {
        value::address::<Ipv6Addr>(&options::IPV6_GATEWAY, text)
    });
    let unsure = ipv4.is_bad() || gateway4.is_bad() || ipv6.is_bad() || gateway6.is_bad();
    let links = Links {
        ipv4: checker.ipv4(ipv4, gateway4, !matches!(ipv6, Item::Absent)),
        ipv6: checker.ipv6(ipv6, gateway6),
    };
    // Peers are checked only against addresses that are known to be meant.
    let links = (!unsure).then_some(links);
    let links = links.as_ref();

    let dns = checker.dns(links);
    let accept = checker.accept(links);
    let connect = checker.connect(links, !dns.is_empty());
    let services = checker.services(accept, links);
    let requests = checker.requests();
    let published = checker.one(&options::PUBLISHED, |_| Ok(()));
    let syslog = checker.syslog(links);
    let log = checker.one(&options::LOG, value::level);
    let crypto = checker.one(&options::CRYPTO, value::crypto);
    let links = links?;
    Some(Config {
        ipv4: links.ipv4,
        ipv6: links.ipv6,
        dns,
        accept: accept?,
        connect: connect?,
        services: services?,
        requests: requests?,
        published: published.good().is_some(),
        syslog,
        log: log.good().map_or(log::LevelFilter::Info, |(log, _)| *log),
        crypto: crypto.good().map_or(Crypto::Ring, |(crypto, _)| *crypto),
    })
}

struct Checker<'r, 'a> {
    raw: &'r Raw<'a>,
    errors: &'r mut Errors,
}

impl<'r, 'a> Checker<'r, 'a> {
    fn report(&mut self, option: &OptionSpec, position: Option<Position>, problem: Problem) {
        self.errors.push(Diagnostic {
            option: option.name.into(),
            position,
            problem,
        });
    }

    /// Types the option's value.
    fn one<T>(
        &mut self,
        option: &'static OptionSpec,
        read: impl FnOnce(&'a str) -> Result<T, Problem>,
    ) -> Item<T> {
        let Some(given) = self.raw.one(option) else {
            return Item::Absent;
        };
        let position = given.position;
        match given
            .value
            .map(|text| hidden(option, text).and_then(|()| read(text)))
        {
            Some(Ok(value)) => Item::Good(value, position),
            Some(Err(problem)) => {
                self.report(option, Some(position), problem);
                Item::Bad
            }
            None => Item::Bad,
        }
    }

    /// Whether an address can be a peer's: reports it under `option` when it can't.
    fn peer(
        &mut self,
        option: &OptionSpec,
        position: Position,
        address: IpAddr,
        links: Option<&Links>,
    ) -> bool {
        let problem = match unicast(address) {
            Err(fault) => Some(Problem::Address { address, fault }),
            Ok(()) => links.and_then(|links| links.unreachable(address)),
        };
        let fine = problem.is_none();
        if let Some(problem) = problem {
            self.report(option, Some(position), problem);
        }
        fine
    }

    fn ipv4(&mut self, given: Item<GivenIpv4>, gateway: Item<Ipv4Addr>, ipv6_given: bool) -> Ipv4 {
        let gateway = gateway
            .good()
            .map(|(gateway, position)| (*gateway, position));
        let (address, prefix) = match given {
            Item::Good(GivenIpv4::Static(address, prefix), _) => (address, prefix),
            other => {
                if let (Some((_, position)), false) = (gateway, other.is_bad()) {
                    let other = &options::IPV4;
                    self.report(
                        &options::IPV4_GATEWAY,
                        Some(position),
                        Problem::Needs { other },
                    );
                }
                return match other {
                    Item::Absent if ipv6_given => Ipv4::Disabled,
                    _ => Ipv4::Dhcp,
                };
            }
        };
        if let Some((gateway, position)) = gateway {
            let problem = if gateway == address {
                Some(Problem::OwnAddress {
                    address: gateway.into(),
                })
            } else if let Err(problem) = host_of(gateway, prefix) {
                Some(problem)
            } else if network4(gateway, prefix) != network4(address, prefix) {
                Some(Problem::OffLink {
                    gateway: gateway.into(),
                    network: network4(address, prefix).into(),
                    prefix,
                })
            } else {
                None
            };
            if let Some(problem) = problem {
                self.report(&options::IPV4_GATEWAY, Some(position), problem);
            }
        }
        Ipv4::Static {
            address,
            prefix,
            gateway: gateway.map(|(gateway, _)| gateway),
        }
    }

    fn ipv6(&mut self, given: Item<(Ipv6Addr, u8)>, gateway: Item<Ipv6Addr>) -> Option<Ipv6> {
        let gateway = gateway
            .good()
            .map(|(gateway, position)| (*gateway, position));
        let Some(((address, prefix), _)) = given.good() else {
            if let (Some((_, position)), false) = (gateway, given.is_bad()) {
                let other = &options::IPV6;
                self.report(
                    &options::IPV6_GATEWAY,
                    Some(position),
                    Problem::Needs { other },
                );
            }
            return None;
        };
        let (address, prefix) = (*address, *prefix);
        if let Some((gateway, position)) = gateway {
            let on_link = network6(gateway, prefix) == network6(address, prefix)
                || gateway.is_unicast_link_local();
            let problem = if gateway == address {
                Some(Problem::OwnAddress {
                    address: gateway.into(),
                })
            } else if let Err(fault) = unicast(gateway.into()) {
                Some(Problem::Address {
                    address: gateway.into(),
                    fault,
                })
            } else if !on_link {
                Some(Problem::OffLink {
                    gateway: gateway.into(),
                    network: network6(address, prefix).into(),
                    prefix,
                })
            } else {
                None
            };
            if let Some(problem) = problem {
                self.report(&options::IPV6_GATEWAY, Some(position), problem);
            }
        }
        Some(Ipv6 {
            address,
            prefix,
            gateway: gateway.map(|(gateway, _)| gateway),
        })
    }

    fn dns(&mut self, links: Option<&Links>) -> Vec<IpAddr> {
        let option = &options::DNS;
        let mut servers = Vec::new();
        let raw = self.raw;
        let values = raw
            .all(option)
            .filter_map(|given| Some((given.position, given.value?)));
        for (position, text) in values {
            if let Err(problem) = hidden(option, text) {
                self.report(option, Some(position), problem);
                continue;
            }
            for item in text.split(',') {
                match value::address(option, item) {
                    Ok(address) => {
                        self.peer(option, position, address, links);
                        if servers.len() == MAX_NAME_SERVERS {
                            self.report(option, Some(position), Problem::TooManyServers);
                            return servers;
                        }
                        servers.push(address);
                    }
                    Err(problem) => self.report(option, Some(position), problem),
                }
            }
        }
        servers
    }

    fn accept(&mut self, links: Option<&Links>) -> Option<Accept> {
        match self.listener(&options::ACCEPT, links) {
            Item::Bad => None,
            Item::Absent => Some(Accept {
                host: None,
                port: DEFAULT_ACCEPT_PORT,
            }),
            Item::Good(accept, _) => Some(accept),
        }
    }

    /// Where the image listens.
    fn listener(&mut self, option: &'static OptionSpec, links: Option<&Links>) -> Item<Accept> {
        let given = self.one(option, |text| match value::host_and_port(option, text)? {
            (Some(Host::Name(_)), _) => Err(value::malformed(option, text)),
            (Some(Host::Address(address)), port) => Ok(Accept {
                host: Some(address),
                port,
            }),
            (None, port) => Ok(Accept { host: None, port }),
        });
        if let (Item::Good(accept, position), Some(links)) = (&given, links)
            && let Some(problem) = accept.host.and_then(|address| links.not_ours(address))
        {
            self.report(option, Some(*position), problem);
            return Item::Bad;
        }
        given
    }

    /// An address of the image's own is refused at every port: nothing but the tunnel
    /// listens there, and no tunnel may lead into itself.
    fn connect(&mut self, links: Option<&Links>, has_servers: bool) -> Option<Connect> {
        let option = &options::CONNECT;
        let given = self.one(option, |text| {
            let (host, port) = value::host_and_port(option, text)?;
            Ok(Connect { host, port })
        });
        let (connect, position) = match given {
            Item::Bad => return None,
            Item::Absent => {
                let connect = Connect {
                    host: None,
                    port: DEFAULT_CONNECT_PORT,
                };
                // Hosts may have backends of their own; those that have none are told of by name.
                if self.raw.one(&options::CONF).is_some() || self.asks_for_hosts().is_some() {
                    return Some(connect);
                }
                (connect, None)
            }
            Item::Good(connect, position) => (connect, Some(position)),
        };
        if self.asks_for_hosts().is_some() && self.raw.one(&options::HOSTS).is_none() {
            let other = &options::HOSTS;
            self.report(option, position, Problem::Needs { other });
            return None;
        }
        let problem = match &connect.host {
            Some(host) if value::is_loopback(host) => Some(Problem::Loopback),
            Some(Host::Address(address)) => {
                return match position {
                    Some(position) => self.peer(option, position, *address, links),
                    None => true,
                }
                .then_some(connect);
            }
            Some(Host::Name(_)) => links
                .filter(|links| !has_servers && !links.has_gateway())
                .map(|_| Problem::NoNameServer),
            None => links
                .filter(|links| !links.has_gateway())
                .map(|_| Problem::NoGateway),
        };
        match problem {
            Some(problem) => {
                self.report(option, position, problem);
                None
            }
            None => Some(connect),
        }
    }

    /// `--remote` and `--hosts`, or else `--conf`, or else `--cert` and `--key`.
    fn services(&mut self, accept: Option<Accept>, links: Option<&Links>) -> Option<ServiceSource> {
        if let Some(asking) = self.asks_for_hosts() {
            return self.hosting(asking, accept, links);
        }
        self.without_hosts();
        let raw = self.raw;
        let Some(conf) = raw.one(&options::CONF) else {
            let (certificate, key) = self.identity();
            return Some(ServiceSource::Single {
                certificate: certificate?,
                key: key?,
            });
        };
        for option in [
            &options::ACCEPT,
            &options::CONNECT,
            &options::CERT,
            &options::KEY,
        ] {
            if let Some(given) = raw.one(option) {
                let problem = Problem::Beside {
                    other: options::CONF.name,
                    position: conf.position,
                };
                self.report(option, Some(given.position), problem);
            }
        }
        let source = self.one(&options::CONF, |text| {
            value::source(&options::CONF, text, None)
        });
        source
            .good()
            .map(|(source, _)| ServiceSource::Conf(source.clone()))
    }

    fn syslog(&mut self, links: Option<&Links>) -> Option<SocketAddr> {
        let option = &options::SYSLOG;
        let given = self.one(option, |text| value::server(option, text, SYSLOG_PORT));
        let (server, position) = given.good()?;
        self.peer(option, position, server.ip(), links)
            .then_some(*server)
    }

    fn identity(&mut self) -> (Option<Source>, Option<Source>) {
        let certificate = self.one(&options::CERT, |text| {
            value::source(&options::CERT, text, Some("CERTIFICATE-----"))
        });
        let key = self.one(&options::KEY, |text| {
            value::source(&options::KEY, text, Some("PRIVATE KEY-----"))
        });
        (
            self.required(certificate, &options::CERT, &options::KEY),
            self.required(key, &options::KEY, &options::CERT),
        )
    }

    fn required(
        &mut self,
        item: Item<Source>,
        option: &'static OptionSpec,
        partner: &'static OptionSpec,
    ) -> Option<Source> {
        match item {
            Item::Good(source, _) => Some(source),
            Item::Bad => None,
            Item::Absent => {
                let partner = self.raw.one(partner);
                let problem = Problem::Missing {
                    expected: option,
                    partner: partner.map(|given| (given.option.name, given.position)),
                };
                self.report(option, None, problem);
                None
            }
        }
    }
}

/// Refuses a value that looks like a key in the wrong place, before any part of it is shown.
/// The options that take such texts never show them.
fn hidden(option: &'static OptionSpec, text: &str) -> Result<(), Problem> {
    if !options::holds_text(option) && looks_secret(text) {
        return Err(value::malformed(option, text));
    }
    Ok(())
}

//! Where a configuration's services are reached: ports of this host, or the image's own address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener, ToSocketAddrs};

use stockade_config::stunnel::{Accept, Configuration, Diagnostic, Notice, Origin, Service};
use stockade_config::{Config, Host, Ipv4};

use crate::Publish;

/// syslog's severity of a notice (RFC 5424 §6.2.1).
const NOTICE: u8 = 5;

/// A port of this host that leads to a service of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The ports of host and image.
    pub publish: Publish,
    /// The service's name.
    pub service: String,
    /// Where the `accept` stands that asks for it.
    pub origin: Origin,
}

/// The ports that a configuration publishes on this host, and what is to be told of them.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// The ports, in the order of the services.
    pub ports: Vec<Published>,
    /// Addresses that are left out, with the reason.
    pub notices: Vec<Notice>,
}

/// A port of this host that can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortProblem {
    /// Where, why, and what to do.
    pub diagnostic: Diagnostic,
    /// Whether another process has it now, and it may be free later.
    pub busy: bool,
}

/// Looks a name up as this host does (getaddrinfo(3)).
///
/// # Errors
///
/// The name is unknown.
pub fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

/// The ports of this host that `accept` names, for QEMU's user network: exactly those, on
/// exactly those addresses. The image listens on the same port numbers.
///
/// # Errors
///
/// Every `accept` that this network can't serve, each with its place.
pub fn publication(
    configuration: &Configuration,
    resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<Publication, Vec<Diagnostic>> {
    let mut publication = Publication::default();
    let mut errors = Vec::new();
    // The service, by its place in the list, of each port.
    let mut owners: Vec<usize> = Vec::new();
    for (index, service) in configuration.services.iter().enumerate() {
        for accept in &service.accept {
            let origin = origin_of(configuration, service, accept);
            let place_on_host = match place_on_host(accept, &resolve) {
                Ok(found) => found,
                Err(text) => {
                    errors.push(Diagnostic { origin, text });
                    continue;
                }
            };
            let port = place_on_host.port;
            // Once is enough: it is the same for each such line.
            if publication.notices.is_empty() {
                publication
                    .notices
                    .extend(place_on_host.left_out.map(|text| Notice {
                        origin: origin.clone(),
                        level: NOTICE,
                        text,
                    }));
            }
            for address in place_on_host.addresses {
                let wanted = Published {
                    publish: Publish {
                        address,
                        port,
                        guest_port: port,
                    },
                    service: service.name.clone(),
                    origin: origin.clone(),
                };
                let known = publication.ports.iter().zip(&owners);
                match place(known, &wanted, index) {
                    Place::New => {
                        publication.ports.push(wanted);
                        owners.push(index);
                    }
                    Place::There => {}
                    Place::Taken(text) => errors.push(Diagnostic {
                        origin: origin.clone(),
                        text,
                    }),
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(without_covered(publication))
    } else {
        Err(errors)
    }
}

/// What becomes of one more port beside those that are there.
enum Place {
    New,
    There,
    Taken(String),
}

fn place<'a>(
    known: impl Iterator<Item = (&'a Published, &'a usize)>,
    wanted: &Published,
    service: usize,
) -> Place {
    let at = wanted.publish;
    for (other, owner) in known.filter(|(other, _)| other.publish.port == at.port) {
        if *owner == service {
            if other.publish.address == at.address {
                return Place::There;
            }
            continue;
        }
        let overlap = other.publish.address == at.address
            || other.publish.address.is_unspecified()
            || at.address.is_unspecified();
        return Place::Taken(if overlap {
            format!(
                "Binding service [{}] to {}:{}: Address already in use: service [{}] accepts there ({})",
                wanted.service, at.address, at.port, other.service, other.origin
            )
        } else {
            format!(
                "port {} of {} is service [{}]'s and that of {} is [{}]'s ({}), but on this network the \
                 image has one address for both; choose different ports, or give the image addresses \
                 of its own (-- --ipv4=ADDRESS/PREFIX)",
                at.port,
                at.address,
                wanted.service,
                other.publish.address,
                other.service,
                other.origin
            )
        });
    }
    Place::New
}

/// Leaves out the addresses that "all addresses" of the same port covers: listening on both
/// fails, and stunnel then goes on with the first.
fn without_covered(mut publication: Publication) -> Publication {
    let wide: Vec<u16> = publication
        .ports
        .iter()
        .filter(|port| port.publish.address.is_unspecified())
        .map(|port| port.publish.port)
        .collect();
    publication
        .ports
        .retain(|port| port.publish.address.is_unspecified() || !wide.contains(&port.publish.port));
    publication
}

/// What one `accept` means on this host.
struct PlaceOnHost {
    addresses: Vec<Ipv4Addr>,
    port: u16,
    /// Addresses that are left out, in words.
    left_out: Option<String>,
}

fn place_on_host(
    accept: &Accept,
    resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<PlaceOnHost, String> {
    let (host, port, text) = tcp(accept)?;
    let ipv4_only = "QEMU's user network listens on IPv4 addresses only";
    let whole = |addresses| PlaceOnHost {
        addresses,
        port,
        left_out: None,
    };
    let wide = |left_out| {
        Ok(PlaceOnHost {
            left_out: Some(left_out),
            ..whole(vec![Ipv4Addr::UNSPECIFIED])
        })
    };
    match host {
        None => wide(format!(
            "accept = {text} means all IPv4 addresses of this host and none of IPv6, here and wherever \
             no host is named: {ipv4_only}"
        )),
        Some(Host::Address(IpAddr::V6(address))) if address.is_unspecified() => wide(format!(
            "accept = {text} means all IPv4 addresses of this host alone: {ipv4_only}"
        )),
        Some(Host::Address(IpAddr::V4(address))) => Ok(whole(vec![*address])),
        Some(Host::Address(IpAddr::V6(address))) => Err(format!(
            "accept = {text}: {address} can't be published: {ipv4_only}; write an IPv4 address, or \
             give the image an address of its own (-- --ipv6=ADDRESS/PREFIX)"
        )),
        Some(Host::Name(name)) => {
            let found =
                resolve(name).map_err(|error| format!("Error resolving \"{name}\": {error}"))?;
            let addresses: Vec<Ipv4Addr> = found
                .iter()
                .filter_map(|address| match address {
                    IpAddr::V4(address) => Some(*address),
                    IpAddr::V6(_) => None,
                })
                .collect();
            if addresses.is_empty() {
                return Err(format!(
                    "accept = {text}: {name} has no IPv4 address, and {ipv4_only}"
                ));
            }
            Ok(whole(addresses))
        }
    }
}

/// The image's own addresses that are on its command line.
pub fn own_addresses(config: &Config) -> Vec<IpAddr> {
    let ipv4 = match config.ipv4 {
        Ipv4::Static { address, .. } => Some(IpAddr::V4(address)),
        Ipv4::Dhcp | Ipv4::Disabled => None,
    };
    let ipv6 = config.ipv6.map(|ipv6| IpAddr::V6(ipv6.address));
    ipv4.into_iter().chain(ipv6).collect()
}

/// Checks each `accept` against the image's own addresses, for a TAP or a bridge.
///
/// Without a static address the image's addresses are known to the DHCP server alone; the image
/// checks then.
pub fn check_own_addresses(configuration: &Configuration, config: &Config) -> Vec<Diagnostic> {
    let own = own_addresses(config);
    let shown = own.iter().map(IpAddr::to_string).collect::<Vec<_>>();
    let shown = shown.join(" and ");
    let dhcp = config.ipv4 == Ipv4::Dhcp;
    let judge = |accept: &Accept| -> Result<(), String> {
        let (host, port, text) = tcp(accept)?;
        let its = if own.is_empty() {
            "an address from DHCP".to_owned()
        } else {
            shown.clone()
        };
        let advice = format!(
            "write accept = {port} for all of its addresses, or run without --net and --ipv4: then \
             this host's addresses count"
        );
        match host {
            None => Ok(()),
            Some(Host::Address(address)) if address.is_loopback() => Err(format!(
                "accept = {text}: {address} is the host's loopback, and the image has {its}; {advice}"
            )),
            Some(Host::Address(address)) => {
                let fits = address.is_unspecified()
                    || own.contains(address)
                    || (dhcp && address.is_ipv4());
                fits.then_some(()).ok_or_else(|| {
                    format!(
                        "accept = {text}: the image's address is {its}, not {address}; {advice}"
                    )
                })
            }
            Some(Host::Name(name)) if is_localhost(name) => Err(format!(
                "accept = {text}: {name} is the host's loopback, and the image has {its}; {advice}"
            )),
            Some(Host::Name(name)) => Err(format!(
                "accept = {text}: {name} is not looked up for this; write the image's address, {its}, \
                 or accept = {port} for all of its addresses"
            )),
        }
    };
    let mut errors = Vec::new();
    for service in &configuration.services {
        for accept in &service.accept {
            if let Err(text) = judge(accept) {
                let origin = origin_of(configuration, service, accept);
                errors.push(Diagnostic { origin, text });
            }
        }
    }
    errors
}

/// Finds out now which port can't be had: QEMU's own message would name no line of the file.
pub fn check_ports(ports: &[Published]) -> Vec<PortProblem> {
    let mut problems = Vec::new();
    for port in ports {
        let Publish {
            address,
            port: number,
            ..
        } = port.publish;
        let Err(error) = TcpListener::bind((address, number)) else {
            continue;
        };
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "; stop what listens there (`ss -ltnp 'sport = :{number}'` shows it) or choose another port"
            ),
            io::ErrorKind::PermissionDenied => format!(
                "; low ports take root, or `sudo sysctl net.ipv4.ip_unprivileged_port_start={number}`; \
                 an image with an address of its own (-- --ipv4=ADDRESS/PREFIX) needs neither"
            ),
            io::ErrorKind::AddrNotAvailable => {
                "; no interface of this host has that address".to_owned()
            }
            _ => String::new(),
        };
        let diagnostic = Diagnostic {
            origin: port.origin.clone(),
            text: format!(
                "Binding service [{}] to {address}:{number}: {}{advice}",
                port.service,
                stunnel_words(&error)
            ),
        };
        problems.push(PortProblem {
            diagnostic,
            busy: error.kind() == io::ErrorKind::AddrInUse,
        });
    }
    problems
}

/// `Address already in use (98)`, as stunnel writes an error of the system.
pub(super) fn stunnel_words(error: &io::Error) -> String {
    let text = error.to_string();
    match (text.split_once(" (os error "), error.raw_os_error()) {
        (Some((words, _)), Some(number)) => format!("{words} ({number})"),
        _ => text,
    }
}

/// Whether this name means the loopback wherever it is looked up (RFC 6761 §6.3, and Debian's
/// `/etc/hosts`).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let known = [
        "localhost",
        "localhost.localdomain",
        "ip6-localhost",
        "ip6-loopback",
    ];
    known.contains(&name.as_str()) || name.ends_with(".localhost")
}

fn tcp(accept: &Accept) -> Result<(Option<&Host>, u16, &str), String> {
    match accept {
        Accept::Unix(path) => Err(format!(
            "accept = {path}: UNIX sockets are not served; name a port, such as accept = localhost:8443"
        )),
        Accept::Tcp { port: 0, text, .. } => Err(format!(
            "accept = {text}: port 0 stands for any free port, and nobody would know which; name one"
        )),
        Accept::Tcp { host, port, text } => Ok((host.as_ref(), *port, text)),
    }
}

fn origin_of(configuration: &Configuration, service: &Service, accept: &Accept) -> Origin {
    let value = match accept {
        Accept::Tcp { text, .. } => text,
        Accept::Unix(path) => path,
    };
    origin(configuration, service, "accept", value)
}

/// Where an option with this value stands: in its section, or before the first one, as a
/// default.
pub(super) fn origin(
    configuration: &Configuration,
    service: &Service,
    option: &str,
    value: &str,
) -> Origin {
    let stands = |section: Option<&str>| {
        configuration.report.iter().find(|reported| {
            reported.option == option
                && reported.value == value
                && reported.service.as_deref() == section
        })
    };
    stands(Some(&service.name))
        .or_else(|| stands(None))
        .map_or_else(|| service.origin.clone(), |found| found.origin.clone())
}

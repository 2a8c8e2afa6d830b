//! Where a configuration's services are reached: ports of this host, or the image's own address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use stockade_config::stunnel::{
    Accept, Configuration, Connect, Diagnostic, HostPorts, Notice, Origin, Service,
};
use stockade_config::{Config, Host, Ipv4};

use crate::network::{self, Forward, HostProgram, HostSocket, Listen, Role, UnixSocket};

/// A port or UNIX socket of this host that leads to a service of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The address and port of this host, and the image's port.
    pub forward: Forward,
    /// The service's name.
    pub service: String,
    /// Where the `accept` stands that asks for it.
    pub origin: Origin,
}

impl Published {
    /// The address and port of this host, unless it is a UNIX socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.forward.listen.address()
    }
}

/// The ports that a configuration publishes on this host, and what is to be told of them.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// The ports, in the order of the services.
    pub ports: Vec<Published>,
    /// UNIX sockets that the services connect to.
    pub sockets: Vec<HostSocket>,
    /// Programs that the services start.
    pub programs: Vec<HostProgram>,
    /// The image's port for the one client that this process was started with.
    pub inherited: Option<u16>,
    /// Addresses that are left out, with the reason.
    pub notices: Vec<Notice>,
}

/// What is wrong where no port is left.
const TOO_MANY: &str = "there are more UNIX sockets, programs and free ports than ports of the image that \
                        can stand for them";

/// A port of this host that can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortProblem {
    /// Where, why, and what to do.
    pub diagnostic: Diagnostic,
    /// Whether another process has it now, and it may be free later.
    pub busy: bool,
}

/// Looks a name up as this host does (getaddrinfo(3)), to listen on its addresses. Those that
/// this host does not have are left out, as long as it has one of them: `localhost` is `::1` too
/// where IPv6 is off.
///
/// # Errors
///
/// The name is unknown.
pub fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    let is_here = |address: &&IpAddr| UdpSocket::bind((**address, 0)).is_ok();
    let here: Vec<IpAddr> = found.iter().filter(is_here).copied().collect();
    Ok(if here.is_empty() { found } else { here })
}

/// The ports of this host that `accept` names, for the rootless network: exactly those, on
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
    let stand_in = HostPorts::of(configuration);
    for (index, service) in configuration.services.iter().enumerate() {
        for (nth, accept) in service.accept.iter().enumerate() {
            if *accept == Accept::Inherited {
                publication.inherited = stand_in.accepted(index, nth);
                continue;
            }
            let origin = origin_of(configuration, service, accept);
            let places = places_on_host(configuration, service, accept, &resolve);
            let places = match places {
                Ok(found) => found,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            for listen in places {
                let own_port = listen.address().map(|address| address.port());
                let guest_port = stand_in.accepted(index, nth).or(own_port);
                let Some(guest_port) = guest_port.filter(|port| *port != 0) else {
                    let (origin, text) = (origin.clone(), TOO_MANY.to_owned());
                    errors.push(Diagnostic { origin, text });
                    continue;
                };
                let wanted = Published {
                    forward: Forward { listen, guest_port },
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
    for service in &configuration.services {
        for (option, connect) in connects(service) {
            if let Connect::Unix(path) = connect
                && stand_in.dialled(path).is_none()
            {
                errors.push(Diagnostic {
                    origin: self::origin(configuration, service, option, path),
                    text: TOO_MANY.to_owned(),
                });
            }
        }
    }
    let sockets = stand_in.sockets().map(|(port, path)| HostSocket {
        port,
        path: path.into(),
    });
    publication.sockets = sockets.collect();
    for (index, service) in configuration.services.iter().enumerate() {
        match program(configuration, &stand_in, index, service) {
            None => {}
            Some(Ok(program)) => publication.programs.push(program),
            Some(Err(error)) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(without_covered(publication))
    } else {
        Err(errors)
    }
}

/// The program of a service, and the port that stands for it.
fn program(
    configuration: &Configuration,
    stand_in: &HostPorts<'_>,
    index: usize,
    service: &Service,
) -> Option<Result<HostProgram, Diagnostic>> {
    let retry = service.retry;
    let (program, port, role) = match (service.program_behind(), service.program_ahead()) {
        (Some(program), _) => (program, stand_in.program(program), Role::Offered),
        (_, Some(program)) => (program, stand_in.started(index), Role::Started { retry }),
        (None, None) => return None,
    };
    // Else stunnel has no standard error any more, and programs have their connection instead.
    let mut report = configuration.report.iter().rev();
    let own_errors = report
        .find(|row| row.option == "foreground")
        .is_some_and(|row| row.value.eq_ignore_ascii_case("yes"));
    let found = port.map(|port| HostProgram {
        port,
        program: program.clone(),
        role,
        own_errors,
    });
    Some(found.ok_or_else(|| Diagnostic {
        origin: origin(configuration, service, "exec", &program.path),
        text: TOO_MANY.to_owned(),
    }))
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
    let Some(at) = wanted.address() else {
        return place_of_file(known, wanted, service);
    };
    if at.port() == 0 {
        return Place::New;
    }
    for (other, owner) in known {
        let Some(there) = other.address().filter(|there| there.port() == at.port()) else {
            continue;
        };
        if *owner == service {
            if there == at {
                return Place::There;
            }
            continue;
        }
        return Place::Taken(if overlap(there.ip(), at.ip()) {
            format!(
                "Binding service [{}] to {at}: Address already in use: service [{}] accepts there ({})",
                wanted.service, other.service, other.origin
            )
        } else {
            format!(
                "port {} of {} is service [{}]'s and that of {} is [{}]'s ({}), but on this network the \
                 image has one address for both; choose different ports, or give the image addresses \
                 of its own (-- --ipv4=ADDRESS/PREFIX)",
                at.port(),
                at.ip(),
                wanted.service,
                there.ip(),
                other.service,
                other.origin
            )
        });
    }
    Place::New
}

/// The same for a UNIX socket, which leads to one service.
fn place_of_file<'a>(
    mut known: impl Iterator<Item = (&'a Published, &'a usize)>,
    wanted: &Published,
    service: usize,
) -> Place {
    let same = known.find(|(other, _)| other.forward.listen == wanted.forward.listen);
    match same {
        None => Place::New,
        Some((_, owner)) if *owner == service => Place::There,
        Some((other, _)) => Place::Taken(format!(
            "Binding service [{}] to {}: Address already in use: service [{}] accepts there ({})",
            wanted.service,
            shown(&wanted.forward.listen),
            other.service,
            other.origin
        )),
    }
}

/// What is listened on, as stunnel writes it.
fn shown(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(socket) => format!("localhost:{}", socket.path.display()),
    }
}

/// Where a service connects to, with the options that say it.
pub(super) fn connects(service: &Service) -> impl Iterator<Item = (&'static str, &Connect)> {
    let connects = service.connect.iter().map(|connect| ("connect", connect));
    let redirects = service.redirect.iter();
    connects.chain(redirects.map(|connect| ("redirect", connect)))
}

/// Whether listening on one of these addresses takes the other: they are the same, or one means
/// all of the family.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified())
}

/// Leaves out the addresses that "all addresses" of the same port covers: listening on both
/// fails, and stunnel then goes on with the first.
fn without_covered(mut publication: Publication) -> Publication {
    let wide: Vec<SocketAddr> = publication
        .ports
        .iter()
        .filter_map(Published::address)
        .filter(|address| address.ip().is_unspecified() && address.port() != 0)
        .collect();
    publication.ports.retain(|port| {
        port.address().is_none_or(|address| {
            let covers = |wide: &SocketAddr| {
                wide.port() == address.port() && wide.is_ipv4() == address.is_ipv4()
            };
            address.ip().is_unspecified() || !wide.iter().any(covers)
        })
    });
    publication
}

/// What one `accept` means on this host: a UNIX socket, an address, or several.
fn places_on_host(
    configuration: &Configuration,
    service: &Service,
    accept: &Accept,
    resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<Vec<Listen>, Diagnostic> {
    match accept {
        Accept::Inherited => Ok(Vec::new()),
        Accept::Unix(path) => {
            let known = |option, name: &Option<String>, find: fn(&str) -> Option<u32>, kind| {
                let Some(name) = name else {
                    return Ok(None);
                };
                find(name).map(Some).ok_or_else(|| Diagnostic {
                    origin: origin(configuration, service, option, name),
                    text: format!(
                        "\"{option} = {name}\": Illegal {kind}: this host knows no such one"
                    ),
                })
            };
            Ok(vec![Listen::Unix(UnixSocket {
                path: path.into(),
                // What the umask leaves, as with stunnel.
                mode: None,
                user: known("setuid", &service.user, network::user, "UID")?,
                group: known("setgid", &service.group, network::group, "GID")?,
            })])
        }
        Accept::Tcp { host, port, .. } => {
            let places = tcp_on_host(host.as_ref(), *port, resolve);
            let places = places.map_err(|text| Diagnostic {
                origin: origin_of(configuration, service, accept),
                text,
            })?;
            Ok(places.into_iter().map(Listen::Tcp).collect())
        }
    }
}

fn tcp_on_host(
    host: Option<&Host>,
    port: u16,
    resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<Vec<SocketAddr>, String> {
    const ALL_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    const ALL_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let addresses = match host {
        None => vec![ALL_IPV4],
        // stunnel leaves the socket in its default state, in which it takes both families
        // (IPV6_V6ONLY in ipv6(7)).
        Some(Host::Address(address)) if *address == ALL_IPV6 => vec![ALL_IPV4, ALL_IPV6],
        Some(Host::Address(address)) => vec![address.to_canonical()],
        Some(Host::Name(name)) => {
            resolve(name).map_err(|error| format!("Error resolving \"{name}\": {error}"))?
        }
    };
    let place = |address| SocketAddr::new(address, port);
    Ok(addresses.into_iter().map(place).collect())
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

/// Finds out now which port can't be had, and leaves none of them open.
pub fn check_ports(ports: &[Published]) -> Vec<PortProblem> {
    let problem = |port: &Published| {
        let (reason, error) = network::try_listen(&port.forward.listen).err()?;
        let advice = match (error.kind(), port.address()) {
            (io::ErrorKind::AddrInUse, Some(address)) => format!(
                "; stop what listens there (`ss -ltnp 'sport = :{}'` shows it) or choose another port",
                address.port()
            ),
            (io::ErrorKind::PermissionDenied, Some(address)) => format!(
                "; low ports take root, or `sudo sysctl net.ipv4.ip_unprivileged_port_start={}`; \
                 an image with an address of its own (-- --ipv4=ADDRESS/PREFIX) needs neither",
                address.port()
            ),
            (io::ErrorKind::AddrNotAvailable, _) => {
                "; no interface of this host has that address".to_owned()
            }
            _ => String::new(),
        };
        let diagnostic = Diagnostic {
            origin: port.origin.clone(),
            text: format!(
                "Binding service [{}] to {}: {}{advice}",
                port.service,
                shown(&port.forward.listen),
                reason.map_or_else(
                    || stunnel_words(&error),
                    |reason| about_file(&reason, &error)
                )
            ),
        };
        Some(PortProblem {
            diagnostic,
            busy: error.kind() == io::ErrorKind::AddrInUse,
        })
    };
    ports.iter().filter_map(problem).collect()
}

/// What is wrong with a UNIX socket's file; begins with the system's words, as stunnel's does.
fn about_file(reason: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AlreadyExists => {
            format!("Address already in use (98): {reason}")
        }
        _ => reason.to_owned(),
    }
}

/// `Address already in use (98)`, as stunnel writes an error of the system.
pub fn stunnel_words(error: &io::Error) -> String {
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
            "accept = {path}: UNIX sockets are this host's, which leads them into an image on its \
             rootless network alone; run without --net and --ipv4, or name a port"
        )),
        Accept::Tcp { port: 0, text, .. } => Err(format!(
            "accept = {text}: any free port is this host's, which leads it into an image on its \
             rootless network alone; run without --net and --ipv4, or name a port"
        )),
        Accept::Inherited => Err(
            "Inetd mode: the client of this process is led into an image on its rootless network \
             alone; run without --net and --ipv4, or give a [section] with accept"
                .to_owned(),
        ),
        Accept::Tcp { host, port, text } => Ok((host.as_ref(), *port, text)),
    }
}

fn origin_of(configuration: &Configuration, service: &Service, accept: &Accept) -> Origin {
    let value = match accept {
        Accept::Tcp { text, .. } => text,
        Accept::Unix(path) => path,
        Accept::Inherited => return service.origin.clone(),
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

//! Where a configuration's services lead, in words and before anything is started.

use std::net::{IpAddr, SocketAddr};

use stockade_config::stunnel::{Accept, Configuration, Connect, Diagnostic, Protocol, Service};
use stockade_config::{Config, Host, Ipv4};

use super::publish::{Published, connects, is_localhost, origin};

/// What stands for this host's loopback, seen from the image: the image's own leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// The rootless network's gateway, which leads to this host's 127.0.0.1 and `::1`.
    UserNetwork,
    /// The default gateway, on a TAP or a bridge.
    Address(IpAddr),
    /// The default gateway that DHCP will name.
    Dhcp,
    /// Nothing: the image has an address and no gateway.
    Missing,
}

impl Gateway {
    /// What the image's command line says of it, on a TAP or a bridge.
    pub fn of(config: &Config) -> Gateway {
        let ipv6 = config.ipv6.and_then(|ipv6| ipv6.gateway).map(IpAddr::from);
        match config.ipv4 {
            Ipv4::Dhcp => Gateway::Dhcp,
            Ipv4::Static {
                gateway: Some(gateway),
                ..
            } => Gateway::Address(gateway.into()),
            Ipv4::Static { gateway: None, .. } | Ipv4::Disabled => {
                ipv6.map_or(Gateway::Missing, Gateway::Address)
            }
        }
    }
}

/// Finds every `connect` that means this host's loopback, or a UNIX socket of this host, where
/// nothing leads to it.
pub fn check_routes(configuration: &Configuration, gateway: Gateway) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for service in &configuration.services {
        if let Some(program) = &service.program
            && gateway != Gateway::UserNetwork
        {
            let path = &program.path;
            errors.push(Diagnostic {
                origin: origin(configuration, service, "exec", path),
                text: format!(
                    "exec = {path}: programs are this host's, to which an image is led on its \
                     rootless network alone; run without --net and --ipv4, or let the program \
                     listen and name it with connect"
                ),
            });
        }
        for (option, connect) in connects(service) {
            let text = text_of(connect);
            let is_unix = matches!(connect, Connect::Unix(_));
            let wrong = if is_unix && gateway != Gateway::UserNetwork {
                format!(
                    "{option} = {text}: UNIX sockets are this host's, to which an image is led on \
                     its rootless network alone; run without --net and --ipv4, or name a port"
                )
            } else if is_loopback(connect) && gateway == Gateway::Missing {
                format!(
                    "{option} = {text} means this host, and the image has no gateway that stands \
                     for it; add --ipv4-gateway=ADDRESS after `--`, or name the server's address"
                )
            } else {
                continue;
            };
            errors.push(Diagnostic {
                origin: origin(configuration, service, option, text),
                text: wrong,
            });
        }
    }
    errors
}

/// One line for each service: where it is reached, and where it leads. `own` are the image's
/// addresses, as far as they are known.
pub fn routes(
    configuration: &Configuration,
    ports: &[Published],
    gateway: Gateway,
    own: &[IpAddr],
) -> Vec<String> {
    let width = configuration
        .services
        .iter()
        .map(|service| service.name.chars().count())
        .max()
        .unwrap_or_default();
    let lines = configuration.services.iter().map(|service| {
        let name = format!("[{}]", service.name);
        let (from, to) = if service.client {
            ("plain", "TLS")
        } else {
            ("TLS", "plain")
        };
        format!(
            "{name:<width$}  {from} from {}, {to} to {}",
            sources(service, ports, own),
            targets(service, gateway),
            width = width + 2
        )
    });
    lines.collect()
}

fn sources(service: &Service, ports: &[Published], own: &[IpAddr]) -> String {
    if !service.virtual_of.is_empty() {
        let names = service
            .virtual_of
            .iter()
            .map(|name| format!("[{}] for {}", name.primary, name.pattern));
        return names.collect::<Vec<_>>().join(", ");
    }
    let published: Vec<String> = ports
        .iter()
        .filter(|port| port.service == service.name)
        .map(|port| match port.address() {
            Some(address) if address.port() == 0 => format!("any free port of {}", address.ip()),
            _ => port.forward.listen.to_string(),
        })
        .collect();
    if !published.is_empty() {
        return published.join(", ");
    }
    let places = service.accept.iter().map(|accept| match accept {
        Accept::Tcp {
            host: None, port, ..
        } if own.is_empty() => format!("port {port} of its address"),
        Accept::Tcp {
            host: None, port, ..
        } => {
            let all = own
                .iter()
                .map(|own| SocketAddr::new(*own, *port).to_string());
            all.collect::<Vec<_>>().join(", ")
        }
        Accept::Tcp { text, .. } => text.clone(),
        Accept::Unix(path) => path.clone(),
        Accept::Inherited => "standard input".to_owned(),
    });
    if let Some(program) = service.program_ahead() {
        return format!("program {}", program.path);
    }
    places.collect::<Vec<_>>().join(", ")
}

fn targets(service: &Service, gateway: Gateway) -> String {
    let targets = service.connect.iter().map(|connect| {
        let text = text_of(connect);
        let Connect::Tcp { port, .. } = connect else {
            return format!("unix:{text}");
        };
        if !is_loopback(connect) {
            return text.to_owned();
        }
        match gateway {
            Gateway::UserNetwork => format!("127.0.0.1:{port} of this host"),
            Gateway::Address(IpAddr::V6(address)) => {
                format!("[{address}]:{port}, the gateway, which stands for localhost")
            }
            Gateway::Address(address) => {
                format!("{address}:{port}, the gateway, which stands for localhost")
            }
            Gateway::Dhcp => {
                format!("port {port} of the gateway that DHCP names, which stands for localhost")
            }
            Gateway::Missing => text.to_owned(),
        }
    });
    let targets: Vec<String> = targets.collect();
    if let Some(program) = service.program_behind() {
        return format!("program {}", program.path);
    }
    if targets.is_empty() {
        let spoken = service.protocol.as_ref().map(|spoken| spoken.protocol);
        if matches!(spoken, Some(Protocol::Connect | Protocol::Socks)) {
            return "where clients ask to go".to_owned();
        }
        return "what the service behind it names".to_owned();
    }
    targets.join(" or ")
}

/// Whether this means the machine that stunnel runs on.
fn is_loopback(connect: &Connect) -> bool {
    match connect {
        Connect::Tcp {
            host: Host::Address(address),
            ..
        } => address.is_loopback(),
        Connect::Tcp {
            host: Host::Name(name),
            ..
        } => is_localhost(name),
        Connect::Unix(_) => false,
    }
}

fn text_of(connect: &Connect) -> &str {
    match connect {
        Connect::Tcp { text, .. } => text,
        Connect::Unix(path) => path,
    }
}

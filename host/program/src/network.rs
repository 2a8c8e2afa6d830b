//! The network of a run, and what to do when the host refuses it.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};

use stockade_config::Config;
use stockade_host::launch::Link;
use stockade_host::network::{Forward, Listen};
use stockade_host::{Error, Privilege, Tap};

use crate::Result;
use crate::cli::Net;

/// Finds out now which port is taken, before anything is built or started, and which one is free.
pub(crate) fn check_ports(forwards: &[Forward], program: &str) -> Result<()> {
    for forward in forwards {
        let Listen::Tcp(address) = forward.listen else {
            continue;
        };
        // Both families may have one port, which this trial would not allow.
        let both = address.is_ipv6() && address.ip().is_unspecified();
        let Err(error) = TcpListener::bind(address) else {
            continue;
        };
        if both {
            continue;
        }
        let free = (address.port().max(1023).saturating_add(1)..=u16::MAX)
            .take(100)
            .find(|port| TcpListener::bind((address.ip(), *port)).is_ok());
        let hint = free.map_or_else(String::new, |port| {
            let other = Forward {
                listen: Listen::Tcp(SocketAddr::new(address.ip(), port)),
                ..forward.clone()
            };
            format!("; this one is free: {program} run --publish {other}")
        });
        return Err(format!("{address} can't be published: {error}{hint}").into());
    }
    Ok(())
}

/// What the card is plugged into.
pub(crate) fn link(net: &Net, tap: Option<&Tap>, program: &str) -> Result<Link> {
    let name = match (net, tap) {
        (Net::Rootless, _) => return Ok(Link::Rootless),
        (Net::Tap(name), _) => {
            if !stockade_host::interface_exists(name) {
                return Err(format!(
                    "there is no interface {name}. Make it with\n  sudo ip tuntap add dev {name} mode tap user $(id -un)\n  \
                     sudo ip link set dev {name} up\nor run without privilege: {program} run --net rootless"
                )
                .into());
            }
            name.clone()
        }
        (Net::Bridge(_), Some(tap)) => tap.name().to_owned(),
        (Net::Bridge(bridge), None) => return Err(format!("no TAP was made on {bridge}").into()),
    };
    if let Err(error) = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
    {
        return Err(format!(
            "/dev/net/tun can't be opened: {error}. Run without it: {program} run --net rootless"
        )
        .into());
    }
    Ok(Link::Tap(name))
}

/// Makes the TAP: with our own rights, else through sudo.
pub(crate) fn make_tap(bridge: &str, config: &Config, program: &str) -> Result<Tap> {
    let error = match Tap::on_bridge(bridge, Privilege::Own) {
        Err(error @ Error::Network { .. }) if !stockade_host::is_root() => error,
        Err(Error::NoBridge { bridge }) => return Err(no_bridge(&bridge, config, program).into()),
        result => return Ok(result?),
    };
    if !has_sudo() || !io::stdin().is_terminal() {
        return Err(format!("{error}\n{}", no_right(bridge, program)).into());
    }
    eprintln!(
        "Making a TAP interface on {bridge} takes root; asking sudo for `ip tuntap` and `ip link`."
    );
    Tap::on_bridge(bridge, Privilege::Sudo)
        .map_err(|error| format!("{error}\n{}", no_right(bridge, program)).into())
}

/// Whether sudo(8) is in `PATH`.
fn has_sudo() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join("sudo").is_file())
}

fn no_right(bridge: &str, program: &str) -> String {
    format!(
        "A TAP interface on {bridge} takes root. Make one for yourself, once, with\n  \
         sudo ip tuntap add dev tap0 mode tap user $(id -un)\n  \
         sudo ip link set dev tap0 master {bridge} up\n\
         and run with --net tap=tap0; or run without privilege: {program} run --net rootless"
    )
}

pub(crate) fn no_bridge(bridge: &str, config: &Config, program: &str) -> String {
    use stockade_config::Ipv4;
    // The gateway is this host's address on the bridge, unless the bridge leads elsewhere.
    let address = match config.ipv4 {
        Ipv4::Static {
            gateway: Some(gateway),
            prefix,
            ..
        } => format!("{gateway}/{prefix}"),
        _ => "10.0.0.1/24".to_owned(),
    };
    format!(
        "there is no bridge {bridge}. Make it with\n  sudo ip link add dev {bridge} up type bridge\n  \
         sudo ip addr add {address} dev {bridge}\n\
         or run without a bridge and without privilege: {program} run"
    )
}

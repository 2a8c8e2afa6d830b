//! The network namespace that every test runs in.

use std::fmt;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process;

/// How the names of this harness's own interfaces begin.
pub(crate) const INTERFACE_PREFIX: &str = "stk";

/// Interfaces that Linux itself puts into a new namespace when certain modules are loaded
/// (`net.core.fb_tunnels_only_for_init_net`); they are down and carry nothing.
const KERNEL_FALLBACK: [&str; 9] = [
    "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0",
];

/// Panics unless this process runs in a network namespace made for the tests.
///
/// The first call brings the loopback interface up. Tests send floods, garbage and resets; none of
/// that may ever reach a real network.
pub fn require() {
    static CHECKED: OnceLock<()> = OnceLock::new();
    CHECKED.get_or_init(|| {
        if let Err(error) = check() {
            panic!("{error}");
        }
        process::must(Command::new("ip").args(["link", "set", "lo", "up"]));
        raise_file_limit();
    });
}

/// Hundreds of connections at once, both ends of them here, need more descriptors than the usual
/// soft limit of 1,024 (getrlimit(2)).
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // If it is refused, the tests that need it will say so.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Lets whoever is in this namespace listen on the ports below 1,024 (ip(7),
/// `ip_unprivileged_port_start`): servers that run as ordinary users are asked for at such ports.
pub fn open_low_ports() {
    const SWITCH: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    fs::write(SWITCH, "0").unwrap_or_else(|error| panic!("{SWITCH}: {error}"));
}

fn check() -> Result<(), NotIsolated> {
    let table = fs::read_to_string("/proc/self/net/dev").map_err(|_| NotIsolated::Unknown)?;
    match foreign_interface(&table) {
        Some(name) => Err(NotIsolated::Foreign(name.to_owned())),
        None => Ok(()),
    }
}

/// The first interface of `/proc/net/dev` (proc(5)) that a namespace of our own would not have.
fn foreign_interface(table: &str) -> Option<&str> {
    table
        .lines()
        .skip(2)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .find(|name| {
            *name != "lo" && !name.starts_with(INTERFACE_PREFIX) && !KERNEL_FALLBACK.contains(name)
        })
}

/// Why the tests refuse to run.
enum NotIsolated {
    Foreign(String),
    Unknown,
}

impl fmt::Display for NotIsolated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotIsolated::Foreign(name) => write!(
                out,
                "the boot tests only run in a network namespace of their own, and this one has \
                 the interface {name:?}"
            )?,
            NotIsolated::Unknown => write!(out, "cannot read /proc/self/net/dev")?,
        }
        write!(out, ": run them with `cargo xtask test`, which makes one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], foreign: Option<&str>) {
        let mut table = String::from("Inter-|   Receive\n face |bytes\n");
        for name in names {
            table.push_str(&format!("  {name}:       0       0    0    0\n"));
        }
        assert_eq!(foreign_interface(&table), foreign);
    }

    #[test]
    fn only_interfaces_of_an_own_namespace_are_accepted() {
        check(&[], None);
        check(&["lo"], None);
        check(&["lo", "stk3", "sit0"], None);
        check(&["lo", "eth0"], Some("eth0"));
        check(&["lo", "stk0", "wlan0"], Some("wlan0"));
        check(&["lo", "docker0", "eth0"], Some("docker0"));
    }
}

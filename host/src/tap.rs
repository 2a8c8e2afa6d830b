//! TAP interfaces on a bridge, made and removed with `ip` (iproute2).

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{self, Command, Output, Stdio};

use crate::error::Error;

/// How the names of our interfaces begin; the process id (at most 7 digits) follows.
/// Linux allows 15 bytes.
const PREFIX: &str = "stockade";

/// Where the kernel lists the interfaces of the reader's network namespace (proc(5)). sysfs shows
/// those of the namespace it was mounted in, which may be another.
const INTERFACES: &str = "/proc/self/net/dev";

/// A TAP interface on a bridge. Dropping it removes it.
#[derive(Debug)]
pub struct Tap {
    name: String,
    privilege: Privilege,
}

/// How the network is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privilege {
    /// By this user: root, or one with CAP_NET_ADMIN.
    #[default]
    Own,
    /// Through sudo(8), which may ask for a password.
    Sudo,
}

/// Whether there is a network interface of this name.
pub fn interface_exists(name: &str) -> bool {
    interfaces().iter().any(|known| known == name)
}

/// Whether there is a bridge of this name.
pub fn bridge_exists(name: &str) -> bool {
    interface_exists(name) && describe(name).contains(r#""info_kind":"bridge""#)
}

impl Tap {
    /// Makes a TAP interface that this user may open, attaches it to the bridge and brings it
    /// up. Interfaces that an earlier process left behind, because it was killed, are removed.
    ///
    /// # Errors
    ///
    /// There is no such bridge, or `ip` refuses.
    pub fn on_bridge(bridge: &str, privilege: Privilege) -> Result<Tap, Error> {
        if !bridge_exists(bridge) {
            return Err(Error::NoBridge {
                bridge: bridge.to_owned(),
            });
        }
        remove_abandoned(privilege);
        let name = format!("{PREFIX}{}", process::id());
        let user = rustix::process::getuid().as_raw().to_string();
        ip(
            privilege,
            ["tuntap", "add", "dev", &name, "mode", "tap", "user", &user],
        )?;
        // From here on the interface is removed whatever fails.
        let tap = Tap { name, privilege };
        ip(
            privilege,
            ["link", "set", "dev", &tap.name, "master", bridge, "up"],
        )?;
        Ok(tap)
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The owner of a TAP may delete it without privilege (TUNSETPERSIST, tuntap.rst), so
        // sudo, which might ask for a password, comes second.
        let delete = ["tuntap", "del", "dev", &self.name, "mode", "tap"];
        let mut result = ip(Privilege::Own, delete);
        if result.is_err() && self.privilege == Privilege::Sudo {
            result = ip(Privilege::Sudo, delete);
        }
        if let Err(error) = result
            && interface_exists(&self.name)
        {
            eprintln!("warning: the interface {} stays behind: {error}", self.name);
        }
    }
}

/// Removes our interfaces whose process is gone. One that a machine still uses has a carrier.
fn remove_abandoned(privilege: Privilege) {
    for name in interfaces() {
        let Some(owner) = name
            .strip_prefix(PREFIX)
            .and_then(|id| id.parse::<u32>().ok())
        else {
            continue;
        };
        if Path::new("/proc").join(owner.to_string()).exists() {
            continue;
        }
        let description = describe(&name);
        let is_tap = description.contains(r#""info_kind":"tun""#);
        let in_use = description.contains(r#""LOWER_UP""#);
        if is_tap && !in_use {
            // What can't be removed now is no reason not to start.
            let _ = ip(privilege, ["tuntap", "del", "dev", &name, "mode", "tap"]);
        }
    }
}

/// The names of all interfaces.
fn interfaces() -> Vec<String> {
    let table = fs::read_to_string(INTERFACES).unwrap_or_default();
    table
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
        .collect()
}

/// What `ip` tells of an interface, in JSON; empty if it tells nothing.
fn describe(name: &str) -> String {
    let output = Command::new("ip")
        .args(["-details", "-json", "link", "show", "dev", name])
        .stdin(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn ip<const N: usize>(privilege: Privilege, arguments: [&str; N]) -> Result<(), Error> {
    let mut command = match privilege {
        Privilege::Own => Command::new("ip"),
        Privilege::Sudo => {
            let mut command = Command::new("sudo");
            command.arg("ip");
            command
        }
    };
    command.args(arguments);
    let text = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ");
    // sudo asks on the terminal itself, so only our own standard streams are closed to it.
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start {
            program: "ip".to_owned(),
            source,
        })?;
    let Output { status, stderr, .. } = output;
    if status.success() {
        return Ok(());
    }
    Err(Error::Network {
        command: text,
        message: String::from_utf8_lossy(&stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_bridge_is_named() {
        let error = Tap::on_bridge("no-such-br", Privilege::Own).unwrap_err();
        assert_eq!(error.to_string(), "there is no bridge no-such-br");
    }

    #[test]
    fn the_loopback_interface_and_odd_names_are_no_bridges() {
        for name in ["lo", "", ".", "..", "../lo", "lo/../lo"] {
            assert!(!bridge_exists(name), "{name:?}");
        }
    }
}

//! A TAP device for one virtual machine: a private link between the test and its guest.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{namespace, process};

/// A TAP device with the host end of one subnet on it. Removed when dropped.
///
/// Every device has a subnet of its own, so tests can run side by side.
pub struct Tap {
    name: String,
    subnet: u16,
}

impl Tap {
    /// Prefix length of [`host`](Self::host) and [`guest`](Self::guest).
    pub const PREFIX: u8 = 24;
    /// Prefix length of [`host_v6`](Self::host_v6) and [`guest_v6`](Self::guest_v6).
    pub const PREFIX_V6: u8 = 64;

    /// Makes a device, gives its host end both addresses and brings it up.
    ///
    /// Panics with what to do when this machine does not let us.
    pub fn create() -> Tap {
        // 10.0.2.0/24 is that of the rootless network: there is no way from its inside to another.
        const FIRST: u16 = 3;
        static NEXT: AtomicU16 = AtomicU16::new(FIRST);
        namespace::require();
        require_tun();
        let subnet = NEXT.fetch_add(1, Ordering::Relaxed);
        let tap = Tap {
            name: format!("{}{subnet}", namespace::INTERFACE_PREFIX),
            subnet,
        };
        let name = tap.name.as_str();
        ip(&["tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr"]);
        ip(&[
            "addr",
            "add",
            &format!("{}/{}", tap.host(), Self::PREFIX),
            "dev",
            name,
        ]);
        let v6 = format!("{}/{}", tap.host_v6(), Self::PREFIX_V6);
        ip(&["-6", "addr", "add", &v6, "dev", name, "nodad"]);
        ip(&["link", "set", name, "up"]);
        tap
    }

    /// The interface's name, for QEMU's `ifname=`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets how large a packet the host sends over the link, in bytes.
    pub fn set_mtu(&self, mtu: u32) {
        ip(&["link", "set", &self.name, "mtu", &mtu.to_string()]);
    }

    /// How many frames the guest has sent (proc(5), `/proc/net/dev`, packets received).
    pub fn frames_from_guest(&self) -> u64 {
        let table = std::fs::read_to_string("/proc/self/net/dev").expect("proc is mounted");
        let mut lines = table.lines().filter_map(|line| line.split_once(':'));
        let (_, counters) = lines
            .find(|(name, _)| name.trim() == self.name)
            .expect("the device exists");
        let packets = counters.split_whitespace().nth(1);
        packets
            .and_then(|word| word.parse().ok())
            .expect("proc(5)'s format")
    }

    /// The host's address, where backends listen; also the guest's gateway.
    pub fn host(&self) -> Ipv4Addr {
        let [high, low] = self.subnet.to_be_bytes();
        Ipv4Addr::new(10, high, low, 1)
    }

    /// The guest's address.
    pub fn guest(&self) -> Ipv4Addr {
        let [high, low] = self.subnet.to_be_bytes();
        Ipv4Addr::new(10, high, low, 2)
    }

    /// An address of the subnet that nobody has.
    pub fn absent(&self) -> Ipv4Addr {
        self.absent_number(0)
    }

    /// One of many addresses of the subnet that nobody has.
    pub fn absent_number(&self, number: u8) -> Ipv4Addr {
        let [high, low] = self.subnet.to_be_bytes();
        Ipv4Addr::new(10, high, low, 100 + number % 100)
    }

    /// The host's IPv6 address (a unique local one, RFC 4193).
    pub fn host_v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x5743, 0, self.subnet, 0, 0, 0, 1)
    }

    /// The guest's IPv6 address.
    pub fn guest_v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x5743, 0, self.subnet, 0, 0, 0, 2)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The namespace takes the device with it in the end; a failure here is no test's concern.
        let _ = Command::new("ip")
            .args(["link", "del", &self.name])
            .output();
    }
}

fn ip(arguments: &[&str]) {
    process::must(Command::new("ip").args(arguments));
}

/// Says in plain words why there can be no TAP device here.
fn require_tun() {
    let Err(error) = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
    else {
        return;
    };
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => {
            "run the tests as root, or allow it with `sudo chmod 666 /dev/net/tun`"
        }
        ErrorKind::NotFound => {
            "load the driver with `sudo modprobe tun`, or give the container `--device /dev/net/tun`"
        }
        _ => "the boot tests need TAP devices",
    };
    panic!("cannot open /dev/net/tun: {error}; {advice}");
}

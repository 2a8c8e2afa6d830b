//! What the machine lacks, and what the image does not use.

use std::thread;
use std::time::Duration;

use stockade_host::{ExitStatus, Network, Outcome};
use stockade_tests::PATIENCE;
use stockade_tests::certificates::Identity;
use stockade_tests::raw;
use stockade_tests::vm::{Guest, Machine};

use crate::setup::{Link, Place, Setup};
use crate::transfer::download;

/// A sound configuration that a machine without its parts never comes to use.
const LINE: &str = "--ipv4=10.255.0.2/24 --ipv4-gateway=10.255.0.1 --cert=file:cert.pem \
                    --key=file:key.pem";

fn end_of(qemu: stockade_host::Qemu) -> (Outcome, String) {
    let identity = Identity::ecdsa();
    let qemu = qemu
        .file("cert.pem", identity.chain)
        .file("key.pem", identity.key)
        .kernel_line(LINE);
    Guest::start(&qemu).finish()
}

#[test]
fn no_network_card() {
    for machine in Machine::ALL {
        let (outcome, log) = end_of(machine.qemu().network(Network::None));
        assert_eq!(outcome, Outcome::Image(ExitStatus::NoDevice), "{log}");
    }
}

/// `qemu64` has no RDRAND: without a virtio-rng device no key would be safe.
pub fn no_entropy_source(place: Place) {
    let (qemu, _cable) = place.qemu();
    let (outcome, log) = end_of(qemu.cpu("qemu64").entropy_device(false));
    assert_eq!(outcome, Outcome::Image(ExitStatus::NoEntropy), "{log}");
}

/// With the same processor, the virtio-rng device alone is enough.
pub fn a_virtio_rng_device_is_an_entropy_source(place: Place) {
    let running = Setup::new(place)
        .qemu(|qemu| qemu.cpu("qemu64").entropy_device(true))
        .start();
    download(&running, 1000);
}

/// And so is RDRAND without the device.
pub fn rdrand_is_an_entropy_source(place: Place) {
    let running = Setup::new(place)
        .qemu(|qemu| qemu.cpu("max").entropy_device(false))
        .start();
    download(&running, 1000);
}

/// Without work the guest halts: a count of QEMU's processor ticks, not a time.
pub fn an_idle_guest_uses_no_processor(place: Place) {
    /// Out of 400 ticks; a guest that polls would use nearly all of them.
    const FEW: u64 = 20;
    let running = Setup::new(place).start();
    download(&running, 1000);
    // The end of the last conversation, and QEMU's own start, are still to be worked off.
    thread::sleep(Duration::from_secs(1));
    let before = running.guest.processor_ticks();
    thread::sleep(Duration::from_secs(4));
    let used = running.guest.processor_ticks() - before;
    assert!(used <= FEW, "{used} ticks in 4 s");
    download(&running, 1000);
}

/// The guest answers ICMP echo requests (RFC 1122 §3.2.2.6).
#[test]
fn ping() {
    let running = Setup::new(Place {
        machine: Machine::Microvm,
        link: Link::Ipv4,
    })
    .start();
    let answer = raw::ping(running.cable.tap().guest(), PATIENCE);
    answer.unwrap_or_else(|error| panic!("no echo reply: {error}"));
}

//! What the machine lacks, and what the image does not use.

use std::thread;
use std::time::Duration;

use stockade_host::{ExitStatus, Network, Outcome};
use stockade_tests::PATIENCE;
use stockade_tests::certificates::Identity;
use stockade_tests::raw;
use stockade_tests::tap::Tap;
use stockade_tests::vm::{Guest, Machine};

use crate::setup::Setup;
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

pub fn no_network_card(machine: Machine) {
    let (outcome, log) = end_of(machine.qemu().network(Network::None));
    assert_eq!(outcome, Outcome::Image(ExitStatus::NoDevice), "{log}");
}

/// `qemu64` has no RDRAND: without a virtio-rng device no key would be safe.
pub fn no_entropy_source(machine: Machine) {
    let tap = Tap::create();
    let network = Network::Tap {
        name: tap.name().to_owned(),
    };
    let qemu = machine
        .qemu()
        .network(network)
        .cpu("qemu64")
        .entropy_device(false);
    let (outcome, log) = end_of(qemu);
    assert_eq!(outcome, Outcome::Image(ExitStatus::NoEntropy), "{log}");
}

/// With the same processor, the virtio-rng device alone is enough.
#[test]
fn a_virtio_rng_device_is_an_entropy_source() {
    let running = Setup::new(Machine::Microvm)
        .qemu(|qemu| qemu.cpu("qemu64").entropy_device(true))
        .start();
    download(&running, 1000);
}

/// And so is RDRAND without the device.
#[test]
fn rdrand_is_an_entropy_source() {
    let running = Setup::new(Machine::Microvm)
        .qemu(|qemu| qemu.cpu("max").entropy_device(false))
        .start();
    download(&running, 1000);
}

/// Without work the guest halts: a count of QEMU's processor ticks, not a time.
pub fn an_idle_guest_uses_no_processor(machine: Machine) {
    /// Out of 400 ticks; a guest that polls would use nearly all of them.
    const FEW: u64 = 20;
    let running = Setup::new(machine).start();
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
    let running = Setup::new(Machine::Microvm).start();
    let answer = raw::ping(running.cable.tap().guest(), PATIENCE);
    answer.unwrap_or_else(|error| panic!("no echo reply: {error}"));
}

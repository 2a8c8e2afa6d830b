//! The image under QEMU command lines that our launcher does not write: as people type them, and as
//! other managers make them.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use stockade_host::{ExitStatus, Outcome, READY};
use stockade_tests::backend::{Backend, GREETING, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::client::{self, TlsStream};
use stockade_tests::pattern::Sum;
use stockade_tests::process::{self, Running};
use stockade_tests::tap::Tap;
use stockade_tests::vm::image;
use stockade_tests::{PATIENCE, wait_until};

use crate::setup::base64;

const DEBUG_EXIT: &str = "-device isa-debug-exit,iobase=0xf4,iosize=4";

/// A QEMU command line and what it leads to.
struct Plain {
    qemu: Running<Console>,
    console: Console,
    identity: Identity,
    backend: Backend,
    tap: Tap,
}

/// Where the serial console goes.
#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    fn text(&self) -> String {
        let bytes = self
            .0
            .lock()
            .expect("no thread panics while it holds the console");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Console {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut bytes = self
            .0
            .lock()
            .expect("no thread panics while it holds the console");
        bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Plain {
    /// Starts QEMU with these words, a network backend called `net`, and all of the image's
    /// configuration in `-append`.
    fn start(words: &str, mode: Mode) -> Plain {
        let tap = Tap::create();
        let backend = Backend::start(tap.host(), mode);
        let identity = Identity::ecdsa();
        let append = format!(
            "console=ttyS0 --ipv4 {}/{} --ipv4-gateway {} --connect {} --accept 8443 \
             --cert base64:{} --key base64:{}",
            tap.guest(),
            Tap::PREFIX,
            tap.host(),
            backend.address(),
            base64(&identity.chain),
            base64(&identity.key),
        );
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-accel",
            "tcg",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
        ]);
        let netdev = format!("tap,id=net,ifname={},script=no,downscript=no", tap.name());
        command
            .args(["-netdev", &netdev])
            .arg("-kernel")
            .arg(image());
        command
            .args(["-append", &append])
            .args(words.split_whitespace());
        let console = Console::default();
        // The guest gets no input; the pipe ends at once, which QEMU's console takes well.
        let qemu = process::start(&mut command, io::empty(), console.clone());
        Plain {
            qemu,
            console,
            identity,
            backend,
            tap,
        }
    }

    fn server(&self) -> SocketAddr {
        (self.tap.guest(), 8443).into()
    }

    fn connect(&self) -> TlsStream {
        let ready = || self.console.text().contains(READY).then_some(());
        assert!(
            wait_until(PATIENCE, ready).is_some(),
            "never ready: {}",
            self.console.text()
        );
        TlsStream::connect(self.server(), &client::verifying(&self.identity))
            .unwrap_or_else(|error| panic!("{error}: {}", self.console.text()))
    }

    fn finish(self) -> (Outcome, String) {
        let finished = self.qemu.finish(PATIENCE);
        let status = finished.status.code().expect("QEMU ends by itself");
        (Outcome::from_qemu(status), self.console.text())
    }
}

/// Boots with these words and fetches what the backend says.
fn serves(words: &str) {
    let plain = Plain::start(words, Mode::Greeting);
    let heard = plain.connect().read_into(Vec::new()).expect("the greeting");
    assert_eq!(heard, GREETING, "{words}");
}

/// Boots with these words and ends with this status and these words on the console.
fn refuses(words: &str, expected: Outcome, says: &str) {
    let (outcome, console) = Plain::start(words, Mode::Greeting).finish();
    assert_eq!(outcome, expected, "{words}: {console}");
    assert!(console.contains(says), "{words}: no {says:?} in {console}");
}

#[test]
fn everything_in_append() {
    serves(
        "-machine microvm -cpu max -nodefaults -global virtio-mmio.force-legacy=false \
         -device virtio-net-device,netdev=net",
    );
}

/// Without ACPI, microvm names its devices in words that it adds to the command line.
#[test]
fn a_microvm_without_acpi() {
    serves(
        "-machine microvm,acpi=off -cpu max -nodefaults -global virtio-mmio.force-legacy=false \
         -device virtio-net-device,netdev=net",
    );
}

#[test]
fn pc_with_all_its_default_devices() {
    serves("-machine pc -cpu max -device virtio-net-pci,netdev=net");
}

/// As libvirt builds it: the card behind a PCI Express root port, other devices beside it.
#[test]
fn q35_with_the_card_behind_a_root_port() {
    serves(
        "-machine q35 -cpu max -nodefaults -device pcie-root-port,id=port1,chassis=1 \
         -device pcie-root-port,id=port2,chassis=2 -device virtio-balloon-pci,bus=port1 \
         -device virtio-net-pci,bus=port2,netdev=net -device virtio-rng-pci",
    );
}

/// Memory on both sides of the hole below 4 GiB.
#[test]
fn memory_above_4_gib() {
    serves("-machine q35 -cpu max -m 5000 -nodefaults -device virtio-net-pci,netdev=net");
    serves("-machine pc -cpu max -m 5000 -nodefaults -device virtio-net-pci,netdev=net");
    serves(
        "-machine microvm -cpu max -m 5000 -nodefaults \
         -global virtio-mmio.force-legacy=false -device virtio-net-device,netdev=net",
    );
}

/// (With less, QEMU itself has no room for image and archive beside each other.)
#[test]
fn too_little_memory() {
    refuses(
        &format!(
            "-machine q35 -cpu max -m 7 -nodefaults -device virtio-net-pci,netdev=net {DEBUG_EXIT}"
        ),
        Outcome::Image(ExitStatus::OutOfMemory),
        "too little memory",
    );
}

/// QEMU's default for virtio-mmio is the legacy interface: the image says how to change that.
#[test]
fn a_legacy_card_is_refused_with_advice() {
    refuses(
        &format!(
            "-machine microvm -cpu max -nodefaults -device virtio-net-device,netdev=net {DEBUG_EXIT}"
        ),
        Outcome::Image(ExitStatus::NoDevice),
        "virtio-mmio.force-legacy=false",
    );
}

/// Without isa-debug-exit the image switches the machine off instead of hanging.
#[test]
fn a_wrong_configuration_powers_every_machine_off() {
    for words in [
        "-machine microvm -global virtio-mmio.force-legacy=false \
         -device virtio-net-device,netdev=net",
        "-machine q35 -device virtio-net-pci,netdev=net",
        "-machine pc -device virtio-net-pci,netdev=net",
    ] {
        // A second `-append` replaces the first.
        let words = format!("{words} -cpu max -nodefaults -append --nonsense");
        refuses(&words, Outcome::PoweredOff, "--nonsense");
    }
}

/// `host_mtu` (virtio 1.2 §5.1.4, `mtu`) is obeyed: without segmentation offload, 10 MB in frames
/// of 9,000 bytes are far fewer frames than in frames of 1,500.
#[test]
fn host_mtu() {
    const LENGTH: u64 = 10 << 20;
    let frames = |mtu: u32| {
        let words = format!(
            "-machine q35 -cpu max -nodefaults -device virtio-net-pci,netdev=net,host_mtu={mtu},\
             host_tso4=off,host_tso6=off,host_ufo=off,gso=off"
        );
        let plain = Plain::start(&words, Mode::Commands);
        plain.tap.set_mtu(mtu);
        let mut stream = plain.connect();
        let before = plain.tap.frames_from_guest();
        writeln!(stream, "DOWN {LENGTH}").expect("the guest takes the command");
        let sum = stream.read_into(stockade_tests::pattern::Hasher::default());
        assert_eq!(
            sum.expect("the whole body").finish(),
            Sum::of_pattern(LENGTH, LENGTH)
        );
        assert_eq!(plain.backend.records().len(), 1);
        plain.tap.frames_from_guest() - before
    };
    let (small, large) = (frames(1500), frames(9000));
    assert!(
        small > LENGTH / 1500,
        "{small} frames of at most 1500 bytes"
    );
    assert!(
        large * 3 < small,
        "{large} frames with an MTU of 9000, {small} with 1500"
    );
}

//! The virtual machine under test: the image in QEMU, always emulated, started by our launcher.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::thread;

use stockade_host::{Accel, Firmware, Outcome, Qemu, Vm};

use crate::{PATIENCE, namespace, wait_until};

/// Names the image to test; without it, the one that `cargo xtask image` wrote.
pub const IMAGE_VARIABLE: &str = "STOCKADE_IMAGE";

/// The machines and firmwares that the image boots on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// QEMU's microvm: virtio over MMIO, qboot.
    Microvm,
    /// q35 with SeaBIOS.
    Q35,
    /// q35 with qboot.
    Q35Qboot,
    /// pc (i440FX) with SeaBIOS.
    Pc,
    /// pc (i440FX) with qboot.
    PcQboot,
}

impl Machine {
    /// Every machine with each of its firmwares.
    pub const ALL: [Machine; 5] = [
        Machine::Microvm,
        Machine::Q35,
        Machine::Q35Qboot,
        Machine::Pc,
        Machine::PcQboot,
    ];

    /// This machine with the image in it: emulated, without network and configuration.
    pub fn qemu(self) -> Qemu {
        let (machine, firmware) = match self {
            Machine::Microvm => (stockade_host::Machine::Microvm, Firmware::Qboot),
            Machine::Q35 => (stockade_host::Machine::Q35, Firmware::SeaBios),
            Machine::Q35Qboot => (stockade_host::Machine::Q35, Firmware::Qboot),
            Machine::Pc => (stockade_host::Machine::Pc, Firmware::SeaBios),
            Machine::PcQboot => (stockade_host::Machine::Pc, Firmware::Qboot),
        };
        Qemu::new(image())
            .accel(Accel::Tcg)
            .machine(machine)
            .firmware(firmware)
    }
}

/// The file of the image to test; panics with what to do when there is none.
pub fn image() -> PathBuf {
    let path = env::var_os(IMAGE_VARIABLE).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/image/stockade"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "there is no image at {}: build it with `cargo xtask image`, or name one in {IMAGE_VARIABLE}",
        path.display()
    );
    path
}

/// A running machine. Ended when dropped; a failing test then prints what its console said.
pub struct Guest {
    vm: Vm,
}

impl Guest {
    /// Switches a machine on.
    pub fn start(qemu: &Qemu) -> Guest {
        namespace::require();
        let vm = qemu.spawn(|_| {});
        Guest {
            vm: vm.unwrap_or_else(|error| panic!("the machine does not start: {error}")),
        }
    }

    /// Everything on the console so far.
    pub fn log(&self) -> String {
        let lines = self.vm.console().into_iter();
        lines.map(|line| line.text + "\n").collect()
    }

    /// How many lines of the console hold `needle`.
    pub fn count(&self, needle: &str) -> usize {
        let log = self.log();
        log.lines().filter(|line| line.contains(needle)).count()
    }

    /// Waits for a line of the console that holds `needle`; panics after [`PATIENCE`], or at once
    /// when the machine ends without it.
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_after(0, needle)
    }

    /// The same among the lines from number `from` on.
    pub fn wait_for_after(&self, from: usize, needle: &str) -> String {
        let line = self
            .vm
            .wait_line(from, PATIENCE, |text| text.contains(needle));
        line.unwrap_or_else(|error| panic!("waiting for {needle:?}: {error}"))
            .text
    }

    /// How many lines the console has shown.
    pub fn lines(&self) -> usize {
        self.vm.console_len()
    }

    /// Waits until the image serves.
    pub fn wait_until_ready(&self) {
        if let Err(error) = self.vm.wait_ready(PATIENCE) {
            panic!("{error}");
        }
    }

    /// Waits for the machine's own end; gives QEMU's word on it and the whole console.
    pub fn finish(mut self) -> (Outcome, String) {
        let outcome = self.vm.wait(PATIENCE);
        let outcome = outcome.unwrap_or_else(|| panic!("the machine still runs"));
        // Reads the console to its end.
        self.vm.kill();
        (outcome, self.log())
    }

    /// Whether the machine still runs.
    pub fn is_running(&self) -> bool {
        self.vm.try_wait().is_none()
    }

    /// The words that `ps` shows of the QEMU process.
    pub fn visible_words(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.vm.pid());
        let words = fs::read(path).expect("our own child");
        String::from_utf8_lossy(&words).replace('\0', " ")
    }

    /// Waits until the QEMU process has replaced the program that starts it.
    pub fn wait_until_executed(&self) {
        let executed = || self.visible_words().contains("-kernel").then_some(());
        assert!(
            wait_until(PATIENCE, executed).is_some(),
            "QEMU is never executed"
        );
    }

    /// Processor time that the QEMU process has used, user and system, in clock ticks
    /// (proc(5), `/proc/PID/stat` fields 14 and 15; 100 ticks a second on x86-64 Linux).
    pub fn processor_ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.vm.pid());
        let stat = fs::read_to_string(path).expect("our own child");
        // The second field, the command's name, may hold spaces; it ends at the last parenthesis.
        let (_, fields) = stat.rsplit_once(')').expect("proc(5)'s format");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
        ticks(11) + ticks(12)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if thread::panicking() {
            self.vm.kill();
            println!("---- the machine's console ----\n{}----", self.log());
            for message in self.vm.messages() {
                println!("qemu: {message}");
            }
        }
    }
}

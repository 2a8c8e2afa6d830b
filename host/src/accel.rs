//! Which accelerator works here, found by trying.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use stockade_config::exit::Outcome;

use crate::error::Error;
use crate::machine::Accel;
use crate::qemu::{PROGRAM, Qemu, image_spoke};

/// How long the trial guest may take: its answer comes within milliseconds where KVM works.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often the trial guest is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A command line that every image refuses: the trial guest ends by itself at once.
const REFUSED: &str = "--ipv4=";

/// What a trial found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// [`Accel::Kvm`] or [`Accel::Tcg`].
    pub accel: Accel,
    /// Why it is not KVM; empty when it is.
    pub reason: String,
}

/// Finds out whether this image runs under KVM on this host, by running it for a moment.
///
/// That the device file exists proves nothing: there are hosts where it opens and the guest
/// fails at its first vector instruction. Nothing is remembered; the next call tries again.
///
/// # Errors
///
/// QEMU can't be started at all, or the image can't be read.
pub fn probe(image: &Path) -> Result<Probe, Error> {
    probe_with(PROGRAM, image)
}

/// As [`probe`], with this QEMU.
pub(crate) fn probe_with(program: &str, image: &Path) -> Result<Probe, Error> {
    let tcg = |reason: String| Probe {
        accel: Accel::Tcg,
        reason,
    };
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(tcg(format!("/dev/kvm can't be opened: {error}")));
    }
    let vm = Qemu::new(image)
        .program(program)
        .accel(Accel::Kvm)
        .kernel_line(REFUSED)
        .spawn(|_| {})?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match vm.try_wait() {
            Some(Outcome::Image(status)) if image_spoke(status) => {
                return Ok(Probe {
                    accel: Accel::Kvm,
                    reason: String::new(),
                });
            }
            Some(outcome) => {
                return Ok(tcg(format!(
                    "a trial guest under KVM ended badly: {outcome}"
                )));
            }
            None => {}
        }
        // QEMU says so and then waits for ever, with the guest stopped.
        if let Some(message) = vm
            .messages()
            .iter()
            .find(|line| line.contains("KVM internal error"))
        {
            return Ok(tcg(format!(
                "/dev/kvm opens, but a trial guest fails: {message}"
            )));
        }
        if Instant::now() >= deadline {
            return Ok(tcg(
                "/dev/kvm opens, but a trial guest under KVM does not run".to_owned(),
            ));
        }
        std::thread::sleep(POLL);
    }
}

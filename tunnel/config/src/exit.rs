//! How an image ends, as words and as numbers.
//!
//! The image writes a value to QEMU's `isa-debug-exit` device (port 0xf4, 4 bytes wide), and
//! QEMU then ends with the status `(value << 1) | 1`: always odd, never 0. So an even status
//! is never the image's own word; see [`Outcome`].

use core::fmt;

/// Why an image ended, in the values that it writes to `isa-debug-exit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitStatus {
    /// The image shut down because it was asked to.
    CleanShutdown = 0x10,
    /// The command line or the boot archive is wrong; the console says what.
    Configuration = 0x11,
    /// A defect of the image itself; the console says where.
    Panic = 0x12,
    /// The processor reported a fault; the console shows vector, address and registers.
    Exception = 0x13,
    /// The machine has no network card that the image can drive.
    NoDevice = 0x14,
    /// The machine offers no source of entropy, so no key would be safe.
    NoEntropy = 0x15,
    /// The machine has too little memory, or memory ran out.
    OutOfMemory = 0x16,
}

/// What a QEMU process's exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The image ended itself with this status.
    Image(ExitStatus),
    /// Status 0: the machine was powered off, or reset under `-no-reboot`, or QEMU was told to quit.
    PoweredOff,
    /// Status 1: QEMU itself failed, mostly before the image ran; its standard error says why.
    Qemu,
    /// A status with which neither this image nor QEMU ends: another image, or another version.
    /// A negative one is the number of a signal that ended QEMU.
    Unknown(i32),
}

impl ExitStatus {
    /// Every status.
    pub const ALL: [ExitStatus; 7] = [
        ExitStatus::CleanShutdown,
        ExitStatus::Configuration,
        ExitStatus::Panic,
        ExitStatus::Exception,
        ExitStatus::NoDevice,
        ExitStatus::NoEntropy,
        ExitStatus::OutOfMemory,
    ];

    /// The value that the image writes to the device.
    pub const fn value(self) -> u8 {
        self as u8
    }

    /// The status that has this device value.
    pub fn from_value(value: u8) -> Option<ExitStatus> {
        ExitStatus::ALL
            .into_iter()
            .find(|status| status.value() == value)
    }

    /// The exit status of QEMU after the image wrote this value: `(value << 1) | 1`.
    pub const fn qemu_status(self) -> i32 {
        ((self as i32) << 1) | 1
    }

    /// What happened and what the operator can do, in one sentence without a final dot.
    pub const fn words(self) -> &'static str {
        match self {
            ExitStatus::CleanShutdown => "the image shut down in order",
            ExitStatus::Configuration => {
                "the image refused its configuration; its console lists every error"
            }
            ExitStatus::Panic => {
                "the image panicked, which is a defect of the image; its console says where"
            }
            ExitStatus::Exception => {
                "the processor reported a fault, which is a defect of the image; \
                 its console shows the registers"
            }
            ExitStatus::NoDevice => {
                "the image found no network card that it can drive; \
                 give the machine a virtio-net device"
            }
            ExitStatus::NoEntropy => {
                "the image found no source of entropy; \
                 use a processor with RDRAND (-cpu max or host) or add a virtio-rng device"
            }
            ExitStatus::OutOfMemory => "the image ran out of memory; give the machine more (-m)",
        }
    }
}

impl Outcome {
    /// Reads the exit status of a QEMU process.
    pub fn from_qemu(status: i32) -> Outcome {
        match status {
            0 => Outcome::PoweredOff,
            1 => Outcome::Qemu,
            _ => ExitStatus::ALL
                .into_iter()
                .find(|known| known.qemu_status() == status)
                .map_or(Outcome::Unknown(status), Outcome::Image),
        }
    }

    /// Whether the machine ended as it was meant to.
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Outcome::PoweredOff | Outcome::Image(ExitStatus::CleanShutdown)
        )
    }
}

/// Reads the exit status of a QEMU process; the same as [`Outcome::from_qemu`].
pub fn from_qemu(status: i32) -> Outcome {
    Outcome::from_qemu(status)
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Image(status) => status.fmt(f),
            Outcome::PoweredOff => f.write_str("the machine was powered off"),
            Outcome::Qemu => f.write_str("QEMU itself failed; its messages say why"),
            Outcome::Unknown(status @ -64..=-1) => {
                write!(f, "QEMU was ended by signal {}", status.unsigned_abs())
            }
            Outcome::Unknown(status) => write!(
                f,
                "the machine ended with status {status}, which no Stockade image of version {} uses",
                crate::VERSION
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn values_are_the_documented_ones() {
        let values = ExitStatus::ALL.map(ExitStatus::value);
        assert_eq!(values, [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16]);
        let statuses = ExitStatus::ALL.map(ExitStatus::qemu_status);
        assert_eq!(statuses, [33, 35, 37, 39, 41, 43, 45]);
    }

    #[test]
    fn every_status_survives_the_way_through_qemu() {
        for status in ExitStatus::ALL {
            assert_eq!(ExitStatus::from_value(status.value()), Some(status));
            assert_eq!(from_qemu(status.qemu_status()), Outcome::Image(status));
        }
    }

    #[test]
    fn other_statuses_are_never_taken_for_the_image_s() {
        assert_eq!(from_qemu(0), Outcome::PoweredOff);
        assert_eq!(from_qemu(1), Outcome::Qemu);
        for status in [-9, 2, 3, 32, 34, 46, 47, 127, 255, i32::MAX, i32::MIN] {
            assert_eq!(from_qemu(status), Outcome::Unknown(status));
        }
        assert_eq!(ExitStatus::from_value(0x0f), None);
        assert_eq!(ExitStatus::from_value(0x17), None);
    }

    #[test]
    fn only_an_orderly_end_is_a_success() {
        assert!(from_qemu(0).is_success());
        assert!(from_qemu(33).is_success());
        for status in [1, 35, 37, 39, 41, 43, 45, 47] {
            assert!(!from_qemu(status).is_success());
        }
    }

    #[test]
    fn outcomes_read_as_sentences() {
        assert_eq!(
            from_qemu(35).to_string(),
            "the image refused its configuration; its console lists every error"
        );
        assert_eq!(from_qemu(-9).to_string(), "QEMU was ended by signal 9");
        assert!(
            from_qemu(99)
                .to_string()
                .starts_with("the machine ended with status 99, ")
        );
    }
}

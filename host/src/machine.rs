//! What a machine can be: its kind, firmware, accelerator and network.

use std::fmt;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::sync::Arc;

/// QEMU's machine types that the image boots on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// No PCI, virtio over MMIO: the fastest to boot.
    #[default]
    Microvm,
    /// PCI Express.
    Q35,
    /// PCI, the i440FX chip set.
    Pc,
}

impl Machine {
    /// Every machine type.
    pub const ALL: [Machine; 3] = [Machine::Microvm, Machine::Q35, Machine::Pc];

    /// Whether devices sit on a PCI bus; otherwise they are virtio-mmio devices.
    pub const fn has_pci(self) -> bool {
        !matches!(self, Machine::Microvm)
    }
}

/// What runs before the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// The PC BIOS; takes a command line of at most [`Firmware::append_limit`] bytes.
    SeaBios,
    /// A minimal firmware, faster than SeaBIOS; the microvm's own.
    Qboot,
}

impl Firmware {
    /// The firmware that QEMU picks for a machine when told nothing.
    pub const fn default_for(machine: Machine) -> Firmware {
        match machine {
            Machine::Microvm => Firmware::Qboot,
            Machine::Q35 | Machine::Pc => Firmware::SeaBios,
        }
    }

    /// Longest `-append` that is safe, in bytes. SeaBIOS's PVH loader corrupts longer lines
    /// from 4,096 bytes on; otherwise the limit is execve's 131,072 bytes for one argument.
    /// Both leave room for words that the machine adds.
    pub const fn append_limit(self) -> usize {
        match self {
            Firmware::SeaBios => 4_000,
            Firmware::Qboot => 131_000,
        }
    }
}

/// What runs the image's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM if a guest runs under it here, else TCG; see [`probe`](crate::probe).
    #[default]
    Auto,
    /// The processor itself.
    Kvm,
    /// QEMU's translator: slower, works everywhere.
    Tcg,
}

/// The image's network card and what it is plugged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// No card.
    None,
    /// A link to the network of this process ([`network::Network`](crate::network::Network)), for
    /// which no privilege is needed. The image's words for it are
    /// [`network::options`](crate::network::options).
    Rootless(RootlessLink),
    /// An existing TAP interface that this user may open.
    Tap {
        /// The interface's name.
        name: String,
    },
}

/// The end of a link that QEMU is to have: what
/// [`network::Network::plug`](crate::network::Network::plug) returned. Good for one machine.
///
/// QEMU inherits a duplicate. Once this end is dropped in this process (with every
/// [`Qemu`](crate::Qemu) that has it), the network sees at once when QEMU ends.
#[derive(Clone, Debug)]
pub struct RootlessLink(Arc<OwnedFd>);

impl RootlessLink {
    /// The descriptor.
    pub fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.0
    }
}

impl From<OwnedFd> for RootlessLink {
    fn from(end: OwnedFd) -> RootlessLink {
        RootlessLink(Arc::new(end))
    }
}

impl PartialEq for RootlessLink {
    /// Whether both are the same end.
    fn eq(&self, other: &RootlessLink) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RootlessLink {}

/// A word that names no machine, firmware, accelerator or port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    word: String,
    expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(word: &str, expected: &'static str) -> ParseError {
        ParseError {
            word: word.to_owned(),
            expected,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.word, self.expected)
    }
}

impl std::error::Error for ParseError {}

/// Gives a type of few words its `FromStr` and `Display`.
macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:expr),+) => {
        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(word: &str) -> Result<Self, ParseError> {
                match word {
                    $($word => Ok($value),)+
                    _ => Err(ParseError { word: word.to_owned(), expected: $expected }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(value if *value == $value => $word,)+
                    _ => unreachable!("every value has a word"),
                })
            }
        }
    };
}

words!(Machine, "microvm, q35 or pc",
    "microvm" => Machine::Microvm, "q35" => Machine::Q35, "pc" => Machine::Pc);
words!(Firmware, "seabios or qboot",
    "seabios" => Firmware::SeaBios, "qboot" => Firmware::Qboot);
words!(Accel, "auto, kvm or tcg",
    "auto" => Accel::Auto, "kvm" => Accel::Kvm, "tcg" => Accel::Tcg);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went_in() {
        for machine in Machine::ALL {
            assert_eq!(machine.to_string().parse(), Ok(machine));
        }
        for accel in [Accel::Auto, Accel::Kvm, Accel::Tcg] {
            assert_eq!(accel.to_string().parse(), Ok(accel));
        }
        for firmware in [Firmware::SeaBios, Firmware::Qboot] {
            assert_eq!(firmware.to_string().parse(), Ok(firmware));
        }
        let error = "Q35".parse::<Machine>().unwrap_err();
        assert_eq!(error.to_string(), "\"Q35\" is not microvm, q35 or pc");
    }
}

//! Why a device cannot be used.

use core::fmt;

use virtio_drivers::transport::DeviceType;

/// Why a virtio device cannot be used, or is not used any longer.
///
/// Displays as what follows the device's name: "the network card" *took no interrupt vector for
/// its receive queue*.
///
/// Every variant but [`VirtioError::Memory`] and [`VirtioError::Interrupt`] is the device's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum VirtioError {
    /// The transport leads to a device of another kind.
    WrongKind(DeviceType),
    /// The device did not take back the features that it had offered (virtio 1.2 §3.1.1 step 6).
    FeaturesRefused {
        /// The feature bits that we asked for.
        features: u64,
    },
    /// The device's configuration space cannot be read.
    Configuration(virtio_drivers::Error),
    /// The device has no such queue (its largest size is 0).
    NoQueue {
        /// Queue index: 0 receives, 1 transmits.
        queue: u16,
    },
    /// The network card's MTU (`host_mtu`) is below the smallest that IPv4 and IPv6 work with
    /// here.
    MtuTooSmall {
        /// Bytes of an IP packet, as read from the device.
        mtu: u16,
        /// Bytes of an IP packet: the least that is accepted.
        least: u16,
    },
    /// The network card has no usable MAC address, and none was given.
    NoMacAddress,
    /// Memory for rings and buffers could not be had.
    Memory {
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// No interrupt vector could be bound to a queue.
    Interrupt {
        /// Queue index: 0 receives, 1 transmits.
        queue: u16,
    },
    /// The device claims to have used more buffers than the queue has.
    UsedIndexJumped {
        /// Queue index: 0 receives, 1 transmits.
        queue: u16,
        /// The used index expected next.
        expected: u16,
        /// The used index that the device wrote.
        found: u16,
    },
    /// The device says that it met an error from which only a reset recovers
    /// (`DEVICE_NEEDS_RESET`, virtio 1.2 §2.1).
    NeedsReset,
}

impl fmt::Display for VirtioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            VirtioError::WrongKind(kind) => {
                write!(f, "is a virtio device of another kind: {kind:?}")
            }
            VirtioError::FeaturesRefused { features } => {
                write!(
                    f,
                    "refused the features that it had offered ({features:#x})"
                )
            }
            VirtioError::Configuration(error) => {
                write!(f, "has a configuration that cannot be read: {error}")
            }
            VirtioError::NoQueue { queue } => write!(f, "has no {} queue", direction(queue)),
            VirtioError::MtuTooSmall { mtu, least } => write!(
                f,
                "has an MTU of {mtu} bytes: set host_mtu to {least} or more, or leave it out"
            ),
            VirtioError::NoMacAddress => write!(f, "has no usable MAC address"),
            VirtioError::Memory { bytes } => write!(
                f,
                "needs {bytes} bytes of memory for its buffers, and there are not so many: give the machine more"
            ),
            VirtioError::Interrupt { queue } => write!(
                f,
                "took no interrupt vector for its {} queue",
                direction(queue)
            ),
            VirtioError::UsedIndexJumped {
                queue,
                expected,
                found,
            } => write!(
                f,
                "claims more {} buffers than it was given (index {found}, expected {expected}): it is not used any longer",
                direction(queue)
            ),
            VirtioError::NeedsReset => write!(
                f,
                "reports an internal error and needs a reset: it is not used any longer"
            ),
        }
    }
}

impl core::error::Error for VirtioError {}

/// The word for what a queue does: the network card's and the console's first port are alike
/// (virtio 1.2 §5.1.2, §5.3.2).
pub(super) fn direction(queue: u16) -> &'static str {
    match queue {
        0 => "receive",
        _ => "transmit",
    }
}

//! Why a card cannot be used.

use core::fmt;

use virtio_drivers::transport::DeviceType;

/// Why the network device cannot be used, or is not used any longer.
///
/// Every variant but [`NicError::Memory`] and [`NicError::Interrupt`] is the device's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NicError {
    /// The transport leads to a device of another kind.
    NotNetwork(DeviceType),
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
    /// The device's MTU (`host_mtu`) is below the smallest that IPv4 and IPv6 work with here.
    MtuTooSmall {
        /// Bytes of an IP packet, as read from the device.
        mtu: u16,
        /// Bytes of an IP packet: the least that is accepted.
        least: u16,
    },
    /// The device has no usable MAC address, and none was given.
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

impl fmt::Display for NicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NicError::NotNetwork(kind) => {
                write!(f, "the virtio device is not a network card but {kind:?}")
            }
            NicError::FeaturesRefused { features } => write!(
                f,
                "the network card refused the features that it had offered ({features:#x})"
            ),
            NicError::Configuration(error) => {
                write!(
                    f,
                    "the network card's configuration cannot be read: {error}"
                )
            }
            NicError::NoQueue { queue } => {
                write!(f, "the network card has no {} queue", direction(queue))
            }
            NicError::MtuTooSmall { mtu, least } => write!(
                f,
                "the network card's MTU is {mtu} bytes: set host_mtu to {least} or more, or leave it out"
            ),
            NicError::NoMacAddress => write!(f, "the network card has no usable MAC address"),
            NicError::Memory { bytes } => write!(
                f,
                "no memory for the network card's buffers ({bytes} bytes wanted): give the machine more"
            ),
            NicError::Interrupt { queue } => write!(
                f,
                "the network card took no interrupt vector for its {} queue",
                direction(queue)
            ),
            NicError::UsedIndexJumped {
                queue,
                expected,
                found,
            } => write!(
                f,
                "the network card claims more {} buffers than it was given (index {found}, expected {expected}): it is not used any longer",
                direction(queue)
            ),
            NicError::NeedsReset => write!(
                f,
                "the network card reports an internal error and needs a reset: it is not used any longer"
            ),
        }
    }
}

impl core::error::Error for NicError {}

/// The word for what a queue does (virtio 1.2 §5.1.2).
pub(super) fn direction(queue: u16) -> &'static str {
    match queue {
        0 => "receive",
        _ => "transmit",
    }
}

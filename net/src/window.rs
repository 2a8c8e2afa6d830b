//! Closed windows, as smoltcp can be told of them.
//!
//! smoltcp 0.14 swaps its retransmission timer for window probes when a peer closes its window,
//! also while bytes are in flight that the peer has not taken; once the window opens, nothing sends
//! those again. Peers do close their window on bytes in flight: when it is scaled, or when they run
//! out of memory. So while bytes are in flight smoltcp is told of the smallest window instead, and
//! goes on retransmitting, which probes the window as well (RFC 9293 §3.8.6.1).

use alloc::vec::Vec;

use crate::amend;
use crate::classify::{Segment, flag};

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
    let mut copy = frame.to_vec();
    amend::set_window(&mut copy, SMALLEST)?;
    Some(copy)
}

//! TCP headers changed in a frame, with their checksum.

use crate::classify::{ETHERNET_HEADER, IPV6_HEADER, u16_at};

/// Where things lie in a TCP header, in bytes (RFC 9293 §3.1).
const SEQUENCE: usize = 4;
const WINDOW: usize = 14;
const CHECKSUM: usize = 16;

/// Sets the window of a TCP segment; `None` when the frame has none.
pub(crate) fn set_window(frame: &mut [u8], window: u16) -> Option<()> {
    replace(frame, WINDOW, window, true)
}

/// Sets the sequence number of a TCP segment. When not `summed`, the card adds the checksum later.
pub(crate) fn set_sequence(frame: &mut [u8], sequence: u32, summed: bool) -> Option<()> {
    let [a, b, c, d] = sequence.to_be_bytes();
    replace(frame, SEQUENCE, u16::from_be_bytes([a, b]), summed)?;
    replace(frame, SEQUENCE + 2, u16::from_be_bytes([c, d]), summed)
}

fn replace(frame: &mut [u8], at: usize, value: u16, summed: bool) -> Option<()> {
    let header = match u16_at(frame, 12)? {
        0x0800 => usize::from(*frame.get(ETHERNET_HEADER)? & 0x0f) * 4,
        _ => IPV6_HEADER,
    };
    let tcp = ETHERNET_HEADER + header;
    let before = u16_at(frame, tcp + at)?;
    let checksum = u16_at(frame, tcp + CHECKSUM)?;
    put(frame, tcp + at, value)?;
    match summed {
        true => put(frame, tcp + CHECKSUM, adjust(checksum, before, value)),
        false => Some(()),
    }
}

/// The checksum after a field has gone from one value to another: RFC 1624 §3, equation 3:
/// HC' = ~(~HC + ~m + m').
fn adjust(checksum: u16, before: u16, value: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!before) + u32::from(value);
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

fn put(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}

//! Frames on the wire.
//!
//! ```text
//! 00 │ version direction length(2) sequence(8) acknowledgement(8) payload(length) CRC-32(4) │ 00
//! ```
//!
//! Numbers are little-endian. What stands between the two zero bytes is stuffed (Cheshire and
//! Baker, "Consistent Overhead Byte Stuffing", SIGCOMM 1997), so that no zero byte is in it: a zero
//! byte is a frame's edge and nothing else. Wherever bytes are lost, the next zero byte is where
//! sense begins again, and no payload can be taken for a frame, whoever wrote it. (A sync word would
//! need its CRC to be told from a payload that holds the same bytes, and after a loss the payload
//! would have a frame's CRC too if somebody put one there.)

use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use crate::crc::Crc;

/// Most bytes of a payload.
pub(crate) const PAYLOAD_MOST: usize = 4096;
/// Version, direction, length, sequence number, acknowledgement.
const HEADER: usize = 20;
/// The CRC-32.
const CHECK: usize = 4;
/// Most bytes of a frame that is not stuffed.
const FRAME_MOST: usize = HEADER + PAYLOAD_MOST + CHECK;
/// Most bytes of a frame on the wire: one more for every 254 of them, and two edges.
pub(crate) const WIRE_MOST: usize = FRAME_MOST + FRAME_MOST / RUN_MOST + 1 + 2;

/// This form of a frame.
const VERSION: u8 = 1;
/// Stands on both sides of a frame.
const EDGE: u8 = 0;
/// Most bytes without a zero that one code byte announces.
const RUN_MOST: usize = 254;

/// A frame that came whole, or one to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Which side sends such frames ([`Message::DIRECTION`](crate::Message::DIRECTION)).
    pub(crate) direction: u8,
    /// How many bytes its sender had given before this payload.
    pub(crate) sequence: u64,
    /// How many bytes its sender has taken in.
    pub(crate) acknowledgement: u64,
    /// The bytes, in two pieces when they are to be written.
    pub(crate) payload: [&'a [u8]; 2],
}

impl<'a> Frame<'a> {
    /// The frame of these bytes between two edges, stuffing undone.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let (checked, check) = bytes.split_last_chunk::<CHECK>()?;
        let mut crc = Crc::new();
        crc.update(checked);
        if crc.finish() != u32::from_le_bytes(*check) {
            return None;
        }
        let ([version, direction], rest) = checked.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (acknowledgement, payload) = rest.split_first_chunk()?;
        let sound =
            *version == VERSION && usize::from(u16::from_le_bytes(*length)) == payload.len();
        sound.then_some(Frame {
            direction: *direction,
            sequence: u64::from_le_bytes(*sequence),
            acknowledgement: u64::from_le_bytes(*acknowledgement),
            payload: [payload, &[]],
        })
    }

    /// Appends the frame to `wire`, [`WIRE_MOST`] bytes at most if its payload has no more than
    /// [`PAYLOAD_MOST`].
    pub(crate) fn write(&self, wire: &mut Vec<u8>) {
        let [first, second] = self.payload;
        let length = u16::try_from(first.len() + second.len()).unwrap_or(u16::MAX);
        let mut header = [0; HEADER];
        let fields = [VERSION, self.direction]
            .into_iter()
            .chain(length.to_le_bytes())
            .chain(self.sequence.to_le_bytes())
            .chain(self.acknowledgement.to_le_bytes());
        for (to, from) in header.iter_mut().zip(fields) {
            *to = from;
        }
        wire.push(EDGE);
        let mut stuffing = Stuffing::new(wire);
        let mut crc = Crc::new();
        for piece in [&header, first, second] {
            crc.update(piece);
            stuffing.write(piece);
        }
        stuffing.write(&crc.finish().to_le_bytes());
        stuffing.finish();
        wire.push(EDGE);
    }
}

/// Writes bytes so that none of them is zero: each run without a zero after a code byte that is
/// one more than the run's length, and stands for a zero after it unless the run has its full length.
struct Stuffing<'a> {
    wire: &'a mut Vec<u8>,
    /// Where the run's code byte stands.
    code: usize,
}

impl<'a> Stuffing<'a> {
    fn new(wire: &'a mut Vec<u8>) -> Self {
        let code = wire.len();
        wire.push(1);
        Self { wire, code }
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte != 0 {
                self.wire.push(*byte);
            }
            if *byte == 0 || self.wire.len() - self.code > RUN_MOST {
                self.finish();
                self.code = self.wire.len();
                self.wire.push(1);
            }
        }
    }

    /// Writes the run's code byte.
    fn finish(&mut self) {
        let code = u8::try_from(self.wire.len() - self.code).unwrap_or(u8::MAX);
        if let Some(place) = self.wire.get_mut(self.code) {
            *place = code;
        }
    }
}

/// Undoes the stuffing of what comes, and finds the frames' edges.
#[derive(Default)]
pub(crate) struct Unstuffing {
    /// What has come of a frame.
    frame: Zeroizing<Vec<u8>>,
    /// Bytes left of the run.
    left: u8,
    /// Whether the run stands for a zero after it too, if another one follows.
    zero: bool,
    /// The frame is longer than any can be, or there was no memory for it.
    spoiled: bool,
}

impl Unstuffing {
    /// Takes bytes in, and returns at the first edge: true if it found one. The others are left in
    /// `bytes`.
    pub(crate) fn read(&mut self, bytes: &mut &[u8]) -> bool {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if *byte == EDGE {
                return true;
            }
            if self.left > 0 {
                self.left -= 1;
                self.push(*byte);
                continue;
            }
            if self.zero {
                self.push(0);
            }
            self.left = byte - 1;
            self.zero = *byte != u8::MAX;
        }
        false
    }

    /// What stands before the edge that was found, if it is not spoiled: empty between two frames.
    /// To be given back to [`reuse`](Self::reuse).
    pub(crate) fn take(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let cut_short = core::mem::take(&mut self.left) > 0;
        self.zero = false;
        if core::mem::take(&mut self.spoiled) || cut_short {
            self.reuse_own();
            return None;
        }
        Some(core::mem::take(&mut self.frame))
    }

    /// Wipes a frame that was taken, and keeps its memory for the next one.
    pub(crate) fn reuse(&mut self, frame: Zeroizing<Vec<u8>>) {
        self.frame = frame;
        self.reuse_own();
    }

    fn reuse_own(&mut self) {
        self.frame.as_mut_slice().zeroize();
        self.frame.clear();
    }

    fn push(&mut self, byte: u8) {
        let length = self.frame.len();
        // Allocated once and whole: a vector that grows leaves its bytes behind.
        let has_room = length < self.frame.capacity()
            || (length == 0 && self.frame.try_reserve_exact(FRAME_MOST).is_ok());
        if has_room && length < FRAME_MOST {
            self.frame.push(byte);
        } else {
            self.spoiled = true;
        }
    }
}

#[cfg(test)]
mod tests;

//! The virtio-net header that precedes every frame (virtio 1.2 §5.1.6).

use super::checksum::{fold, sum};
use super::features::Features;
use super::packet::{Contents, IpVersion, Protocol, Segment, inspect};

/// Bytes of the header of a virtio 1.0 device.
pub(super) const MODERN_LENGTH: usize = 12;
/// Bytes of the header of a legacy device: without `num_buffers` (virtio 1.2 §5.1.6.1).
pub(super) const LEGACY_LENGTH: usize = 10;

/// `flags`: the checksum is still to be computed from `csum_start` on.
const NEEDS_CSUM: u8 = 1;
/// `flags`: the device has verified the checksum.
const DATA_VALID: u8 = 2;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// Where the checksum field lies in a TCP header, in bytes.
const TCP_CHECKSUM: u8 = 16;
/// Where the data offset lies in a TCP header, in bytes.
const TCP_DATA_OFFSET: usize = 12;

/// Whether the device vouches for a received frame's checksum (virtio 1.2 §5.1.6.4).
///
/// With `NEEDS_CSUM` the frame comes from the host itself and was never on a wire; with
/// `DATA_VALID` the host or its hardware has verified it. With neither nobody has.
pub(super) fn vouched(header: &[u8]) -> bool {
    header
        .first()
        .is_some_and(|flags| flags & (NEEDS_CSUM | DATA_VALID) != 0)
}

/// What the device does to the frames that we send.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct TransmitOffload {
    /// Completes TCP checksums.
    pub(super) checksum: bool,
    /// Splits super-segments over IPv4.
    pub(super) tso4: bool,
    /// Splits super-segments over IPv6.
    pub(super) tso6: bool,
}

impl TransmitOffload {
    pub(super) fn new(features: Features) -> TransmitOffload {
        TransmitOffload {
            checksum: features.contains(Features::CSUM),
            tso4: features.contains(Features::HOST_TSO4),
            tso6: features.contains(Features::HOST_TSO6),
        }
    }

    /// Fills in the header of a frame, and the frame's TCP checksum field: with the
    /// pseudo-header's sum, as virtio 1.2 §5.1.6.2 asks, or with the whole checksum when the
    /// device completes none. True when the device will split the frame.
    ///
    /// `segment_size` is the largest TCP payload of one packet on the wire, in bytes; `None` for
    /// a frame that is to be sent as it is. UDP is left alone: its few frames carry checksums of
    /// the stack's own, because receivers that read raw packets, DHCP servers above all, are known
    /// to take a checksum still to be completed for a wrong one.
    pub(super) fn fill(
        self,
        header: &mut [u8],
        frame: &mut [u8],
        segment_size: Option<u16>,
    ) -> bool {
        header.fill(0);
        let Contents::Segment(segment) = inspect(frame) else {
            return false;
        };
        if segment.protocol != Protocol::Tcp {
            return false;
        }
        if !self.checksum {
            complete(frame, &segment);
            return false;
        }
        // Headers lie within the first hundred bytes: both numbers fit.
        let Ok(start) = u16::try_from(segment.start) else {
            return false;
        };
        let field = segment.start + usize::from(TCP_CHECKSUM);
        if !put(
            frame,
            field,
            segment.pseudo_header(segment.length).to_be_bytes(),
        ) {
            return false;
        }
        let split = self.segmentation(segment.version, segment_size);
        let (kind, size) = split.unwrap_or((0, 0));
        let data_offset = frame
            .get(segment.start + TCP_DATA_OFFSET)
            .map_or(0, |byte| byte >> 4);
        let headers = if split.is_some() {
            start + u16::from(data_offset) * 4
        } else {
            0
        };
        let ([h0, h1], [g0, g1], [s0, s1]) = (
            headers.to_le_bytes(),
            size.to_le_bytes(),
            start.to_le_bytes(),
        );
        // flags, gso_type, hdr_len, gso_size, csum_start, csum_offset (virtio 1.2 §5.1.6).
        if let Some(fields) = header.first_chunk_mut::<LEGACY_LENGTH>() {
            *fields = [NEEDS_CSUM, kind, h0, h1, g0, g1, s0, s1, TCP_CHECKSUM, 0];
        }
        split.is_some()
    }

    /// The header's type and size of segmentation, when it is asked for and possible.
    fn segmentation(self, version: IpVersion, size: Option<u16>) -> Option<(u8, u16)> {
        match version {
            IpVersion::V4 if self.tso4 => size.map(|size| (GSO_TCPV4, size)),
            IpVersion::V6 if self.tso6 => size.map(|size| (GSO_TCPV6, size)),
            _ => None,
        }
    }
}

/// Fills in a TCP segment's checksum (RFC 9293 §3.1).
fn complete(frame: &mut [u8], segment: &Segment) {
    let field = segment.start + usize::from(TCP_CHECKSUM);
    let end = segment.start + segment.length;
    if !put(frame, field, [0; 2]) {
        return;
    }
    let Some(bytes) = frame.get(segment.start..end) else {
        return;
    };
    let total = u64::from(sum(bytes)) + u64::from(segment.pseudo_header(segment.length));
    put(frame, field, (!fold(total)).to_be_bytes());
}

/// Writes two bytes at `offset`; false when they do not fit.
fn put(bytes: &mut [u8], offset: usize, value: [u8; 2]) -> bool {
    let field = bytes
        .get_mut(offset..)
        .and_then(|rest| rest.first_chunk_mut::<2>());
    match field {
        Some(field) => {
            *field = value;
            true
        }
        None => false,
    }
}

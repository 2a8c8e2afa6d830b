//! Version 2: what both directions know of the binary header (proxy-protocol.txt §2.2).

/// What each header begins with.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of the signature, version and command, family, and the length of the rest.
pub(super) const FIXED: usize = 16;

/// Version 2 in the upper half, the command in the lower.
pub(super) const LOCAL: u8 = 0x20;
pub(super) const PROXY: u8 = 0x21;

/// Address family in the upper half, transport in the lower.
pub(super) const UNSPECIFIED: u8 = 0x00;
pub(super) const TCP_OVER_IPV4: u8 = 0x11;
pub(super) const TCP_OVER_IPV6: u8 = 0x21;

/// A record's type that both directions know (§2.2.3).
pub(super) const TYPE_CRC32C: u8 = 0x03;

/// Goes on with a CRC32c (RFC 9260 appendix A) whose first value is `!0`, and whose last one is to
/// be inverted.
pub(super) fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    /// Castagnoli's polynomial, its bits in reverse.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(sum & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_its_rfcs_examples() {
        // RFC 3720 appendix B.4, and the check value of CRC catalogues.
        let ascending: [u8; 32] = core::array::from_fn(|at| at as u8);
        for (bytes, sum) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(!crc32c(!0, bytes), sum);
        }
        let (front, back) = ascending.split_at(7);
        assert_eq!(!crc32c(crc32c(!0, front), back), 0x46dd_794e);
    }
}

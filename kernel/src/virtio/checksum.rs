//! The Internet checksum (RFC 1071).

/// Sums `bytes` as big-endian 16-bit words in ones' complement; an odd last byte is padded with 0.
///
/// Not complemented: the sum over data that carries its right checksum is 0xffff (or 0, when
/// every byte is 0).
pub(super) fn sum(bytes: &[u8]) -> u16 {
    // RFC 1071 §2 (B): the sum may be taken in either byte order and swapped at the end, and (C)
    // with wider words than 16 bits: here eight bytes a step, their carries counted above them,
    // and 32 bytes a turn.
    let word = |bytes: &[u8; 8]| u128::from(u64::from_le_bytes(*bytes));
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut total: u128 = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        total += words.iter().map(word).sum::<u128>();
    }
    let (words, tail) = rest.as_chunks::<8>();
    total += words.iter().map(word).sum::<u128>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    total += word(&last);
    // 2^64 is 1 modulo 0xffff, as 2^32 is, so the halves may be added at every width.
    let total = (total >> 64) + (total & u128::from(u64::MAX));
    let total = (total >> 32) + (total & u128::from(u32::MAX));
    // Below 2^34 now.
    fold(total as u64).swap_bytes()
}

/// Folds carries back in until 16 bits remain.
pub(super) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

//! The Internet checksum (RFC 1071).

/// Sums `bytes` as big-endian 16-bit words in ones' complement; an odd last byte is padded with 0.
///
/// Not complemented: the sum over data that carries its right checksum is 0xffff (or 0, when
/// every byte is 0).
pub(super) fn sum(bytes: &[u8]) -> u16 {
    // RFC 1071 §2 (B): the sum may be taken in either byte order and swapped at the end, and (C)
    // with wider words than 16 bits. Four bytes a step into 64 bits cannot overflow below 16 GiB.
    let (words, tail) = bytes.as_chunks::<4>();
    let mut total: u64 = words
        .iter()
        .map(|&word| u64::from(u32::from_le_bytes(word)))
        .sum();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    total += u64::from(u32::from_le_bytes(last));
    fold(total).swap_bytes()
}

/// Folds carries back in until 16 bits remain.
pub(super) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

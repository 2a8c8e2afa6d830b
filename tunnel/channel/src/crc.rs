//! CRC-32 as Ethernet has it (IEEE 802.3 §3.2.9), bit-reflected.

/// The generator polynomial, reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What each byte does to the register: a kilobyte, for a handful of instructions a byte.
static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut register = 1;
    let mut index = 128;
    // The entry of a power of two is the one above it, shifted once more; the others are sums.
    while index > 0 {
        register = (register >> 1) ^ (if register & 1 == 1 { POLYNOMIAL } else { 0 });
        let mut at = 0;
        while at < 256 {
            #[expect(
                clippy::indexing_slicing,
                reason = "evaluated by the compiler, with constants only"
            )]
            {
                table[at + index] = register ^ table[at];
            }
            at += 2 * index;
        }
        index /= 2;
    }
    table
}

/// A checksum that is being computed.
pub(crate) struct Crc(u32);

impl Crc {
    /// Of no bytes yet.
    pub(crate) fn new() -> Self {
        Self(u32::MAX)
    }

    /// Of these bytes too.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.0.to_le_bytes();
            // An index of one byte is always inside.
            let entry = TABLE.get(usize::from(low ^ byte)).copied();
            self.0 = (self.0 >> 8) ^ entry.unwrap_or_default();
        }
    }

    /// The checksum.
    pub(crate) fn finish(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: u32) {
        let mut crc = Crc::new();
        crc.update(bytes);
        assert_eq!(crc.finish(), expect);
    }

    #[test]
    fn known_checksums() {
        check(b"", 0);
        // The check value of the catalogues of CRCs.
        check(b"123456789", 0xcbf4_3926);
        check(b"The quick brown fox jumps over the lazy dog", 0x414f_a339);
        check(&[0; 32], 0x190a_55ad);
        check(&[0xff; 32], 0xff6c_ab0b);
    }
}

//! Reads a fuzzer's bytes as a sequence of values.

/// What is left of an input. Numbers are little-endian; what has run out reads as `None`.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub fn half(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A length of two bytes and as many bytes, or all that are left if they are fewer.
    pub fn block(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.half()?).min(self.rest.len());
        let (block, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(block)
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }
}

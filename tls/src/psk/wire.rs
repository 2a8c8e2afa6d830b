//! The presentation language of RFC 8446 §3: big-endian numbers, vectors with a length in front.

use alloc::vec::Vec;

use super::Fault;

/// Reads a message from its front. Running out of bytes is [`Fault::Decode`].
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (front, rest) = self.0.split_at_checked(length).ok_or(Fault::Decode)?;
        self.0 = rest;
        Ok(front)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        let [value] = self.array()?;
        Ok(value)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| Fault::Decode)
    }

    /// `opaque x<0..2^8-1>`
    pub(super) fn vector8(&mut self) -> Result<Reader<'a>, Fault> {
        let length = self.u8()?;
        self.take(length.into()).map(Reader)
    }

    /// `opaque x<0..2^16-1>`
    pub(super) fn vector16(&mut self) -> Result<Reader<'a>, Fault> {
        let length = self.u16()?;
        self.take(length.into()).map(Reader)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(Fault::Decode),
        }
    }
}

/// Writes a message. Lengths are filled in once what they count is there.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// `opaque x<0..2^8-1>`; what `write` writes must fit.
    pub(super) fn vector8(&mut self, write: impl FnOnce(&mut Writer)) {
        self.vector::<1>(write);
    }

    /// `opaque x<0..2^16-1>`; what `write` writes must fit.
    pub(super) fn vector16(&mut self, write: impl FnOnce(&mut Writer)) {
        self.vector::<2>(write);
    }

    /// An extension (RFC 8446 §4.2).
    pub(super) fn extension(&mut self, number: u16, write: impl FnOnce(&mut Writer)) {
        self.u16(number);
        self.vector16(write);
    }

    fn vector<const N: usize>(&mut self, write: impl FnOnce(&mut Writer)) {
        let start = self.0.len();
        self.bytes(&[0; N]);
        write(self);
        let length = self.0.len() - start - N;
        debug_assert!(length < 1 << (8 * N));
        let length = (length as u64).to_be_bytes();
        let place = self.0.iter_mut().skip(start).take(N);
        for (to, from) in place.zip(length.iter().skip(length.len() - N)) {
            *to = *from;
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A handshake message (RFC 8446 §4): type, length in 24 bits, body.
pub(super) fn message(kind: u8, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(kind);
    writer.vector::<3>(write);
    writer.into_bytes()
}

//! Packs: objects on their way (gitformat-pack(5)).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use sha1::{Digest, Sha1};

use super::delta;
use super::object::{Kind, Object, ObjectId, Objects};
use super::{Error, Limits};

/// How every pack begins: its name and version 2.
const HEAD: &[u8; 8] = b"PACK\0\0\0\x02";

/// Bytes of the hash at the end.
const TRAILER: usize = 20;

/// zlib's own default: keys and certificates hardly shrink any more beyond it.
const LEVEL: u8 = 6;

/// Types of deltas, by what they say of their base.
const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

const SHORT: Error = Error::Pack("it ends too early");

/// Packs these objects, each as a whole.
pub fn pack<'a>(objects: impl ExactSizeIterator<Item = &'a Object>) -> Vec<u8> {
    let mut pack = HEAD.to_vec();
    let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
    pack.extend(count.to_be_bytes());
    for object in objects {
        write_head(object.kind.number(), object.content.len(), &mut pack);
        pack.extend(compress_to_vec_zlib(&object.content, LEVEL));
    }
    let hash = Sha1::digest(&pack);
    pack.extend(hash);
    pack
}

/// A type and a size: four bits of it in the first byte, then seven a byte, the lowest first.
fn write_head(number: u8, size: usize, pack: &mut Vec<u8>) {
    let low = |value: usize, mask: u8| value as u8 & mask;
    let (mut byte, mut rest) = (number << 4 | low(size, 0x0f), size >> 4);
    while rest > 0 {
        pack.push(byte | 0x80);
        byte = low(rest, 0x7f);
        rest >>= 7;
    }
    pack.push(byte);
}

/// Reads a pack. A delta's base is another object of it, or one of `known`.
///
/// # Errors
///
/// It is damaged, is too much for `limits`, or leaves out the base of a delta.
pub fn unpack(pack: &[u8], known: &Objects, limits: &Limits) -> Result<Objects, Error> {
    if pack.len() > limits.pack {
        return Err(Error::TooMuch("a pack's bytes"));
    }
    let split = pack.len().checked_sub(TRAILER).ok_or(SHORT)?;
    let (body, trailer) = pack.split_at_checked(split).ok_or(SHORT)?;
    if Sha1::digest(body).as_slice() != trailer {
        return Err(Error::Pack("its hash is another one"));
    }
    let mut reader = Reader { body, at: 0 };
    if reader.take(HEAD.len())? != HEAD {
        return Err(Error::Pack("it is none of version 2"));
    }
    let count = reader.take(4)?.try_into().map_or(0, u32::from_be_bytes);
    if count > limits.objects {
        return Err(Error::TooMuch("objects"));
    }
    let mut entries = Entries::new(limits);
    for _ in 0..count {
        entries.read(&mut reader)?;
    }
    if reader.at != body.len() {
        return Err(Error::Pack("something follows its objects"));
    }
    entries.resolve(known)
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, _) = self.rest().split_at_checked(count).ok_or(SHORT)?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let byte = *self.rest().first().ok_or(SHORT)?;
        self.at += 1;
        Ok(byte)
    }

    /// A type and a size; see [`write_head`].
    fn head(&mut self) -> Result<(u8, usize), Error> {
        let mut byte = self.byte()?;
        let number = byte >> 4 & 7;
        let mut size = usize::from(byte & 0x0f);
        let mut shift = 4;
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            if shift > usize::BITS - 8 {
                return Err(Error::Pack("an object's size has no end"));
            }
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
        }
        Ok((number, size))
    }

    /// How far before an object its base begins: seven bits a byte, the highest first, each further
    /// byte adding one so that every number has one form.
    fn offset(&mut self) -> Result<usize, Error> {
        let mut byte = self.byte()?;
        let mut offset = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            let next = offset.checked_add(1);
            let next = next.filter(|next| next.leading_zeros() > 7);
            let next = next.ok_or(Error::Pack("an offset has no end"))?;
            offset = next << 7 | usize::from(byte & 0x7f);
        }
        Ok(offset)
    }

    /// `size` bytes that are here compressed (RFC 1950).
    fn inflated(&mut self, size: usize) -> Result<Vec<u8>, Error> {
        const FLAGS: u32 = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
            | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32;
        // One byte more: the end of the stream must be reached with none of it used.
        let mut bytes = vec![0; size + 1];
        let mut state = Box::<DecompressorOxide>::default();
        let (status, consumed, written) = decompress(&mut state, self.rest(), &mut bytes, 0, FLAGS);
        if status != TINFLStatus::Done || written != size {
            return Err(Error::Pack("an object can't be decompressed"));
        }
        self.at += consumed;
        bytes.truncate(size);
        Ok(bytes)
    }
}

/// What a delta is to be applied to.
#[derive(Clone, Copy)]
enum Base {
    /// The object that begins there.
    At(usize),
    Named(ObjectId),
}

struct Delta {
    at: usize,
    base: Base,
    bytes: Vec<u8>,
}

/// An object of the pack that is there as a whole.
struct Whole {
    id: ObjectId,
    /// How many deltas it was made of, one upon the other.
    depth: u32,
}

/// What was read so far.
struct Entries<'a> {
    limits: &'a Limits,
    objects: Objects,
    wholes: BTreeMap<usize, Whole>,
    deltas: Vec<Delta>,
    /// Bytes in all: whole objects, deltas, and the objects that these make.
    total: usize,
}

impl<'a> Entries<'a> {
    fn new(limits: &'a Limits) -> Entries<'a> {
        Entries {
            limits,
            objects: Objects::default(),
            wholes: BTreeMap::new(),
            deltas: Vec::new(),
            total: 0,
        }
    }

    /// Makes sure that an object of this size may be kept.
    fn reserve(&mut self, size: usize) -> Result<(), Error> {
        if size > self.limits.object {
            return Err(Error::TooMuch("an object's bytes"));
        }
        self.total = self.total.saturating_add(size);
        match self.total > self.limits.total {
            true => Err(Error::TooMuch("bytes of objects")),
            false => Ok(()),
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let at = reader.at;
        let (number, size) = reader.head()?;
        let base = match number {
            OFS_DELTA => {
                let base = at.checked_sub(reader.offset()?).filter(|base| *base != at);
                Some(Base::At(base.ok_or(Error::Pack("a base lies before it"))?))
            }
            REF_DELTA => {
                let id = reader.take(ObjectId::LENGTH)?.try_into();
                let id = id.map_err(|_| SHORT)?;
                Some(Base::Named(ObjectId::from_bytes(id)))
            }
            _ => None,
        };
        self.reserve(size)?;
        let bytes = reader.inflated(size)?;
        match base {
            Some(base) => {
                self.reserve(delta::result_size(&bytes)?)?;
                self.deltas.push(Delta { at, base, bytes });
            }
            None => {
                let kind = Kind::from_number(number);
                let kind = kind.ok_or(Error::Pack("an object is of no kind"))?;
                let content = bytes;
                self.add(at, Object { kind, content }, 0);
            }
        }
        Ok(())
    }

    fn add(&mut self, at: usize, object: Object, depth: u32) {
        let id = self.objects.add(object);
        self.wholes.insert(at, Whole { id, depth });
    }

    /// Applies deltas until none is left. Each round makes a whole object of every delta whose base
    /// has become one, so there are as many rounds as the longest chain has deltas.
    fn resolve(mut self, known: &Objects) -> Result<Objects, Error> {
        let mut depths: BTreeMap<ObjectId, u32> = BTreeMap::new();
        for _ in 0..self.limits.depth {
            if self.deltas.is_empty() {
                return Ok(self.objects);
            }
            let waiting = core::mem::take(&mut self.deltas);
            let before = waiting.len();
            let mut missing = None;
            for delta in waiting {
                let found = match delta.base {
                    Base::At(at) => self.wholes.get(&at).map(|whole| (whole.id, whole.depth)),
                    Base::Named(id) => Some((id, depths.get(&id).copied().unwrap_or(0))),
                };
                let base = found.and_then(|(id, depth)| {
                    let base = self.objects.find(&id).or_else(|| known.find(&id));
                    base.map(|base| (base, depth))
                });
                let Some((base, depth)) = base else {
                    if let Base::Named(id) = delta.base {
                        missing = Some(id);
                    }
                    self.deltas.push(delta);
                    continue;
                };
                let kind = base.kind;
                let content = delta::apply(&base.content, &delta.bytes, self.limits.object)?;
                let depth = depth.saturating_add(1);
                if depth > self.limits.depth {
                    return Err(Error::TooMuch("deltas upon deltas"));
                }
                let object = Object { kind, content };
                depths.insert(object.id(), depth);
                self.add(delta.at, object, depth);
            }
            if self.deltas.len() == before {
                return Err(match missing {
                    Some(id) => Error::Missing(id),
                    None => Error::Pack("a delta's base is no object"),
                });
            }
        }
        match self.deltas.is_empty() {
            true => Ok(self.objects),
            false => Err(Error::TooMuch("deltas upon deltas")),
        }
    }
}

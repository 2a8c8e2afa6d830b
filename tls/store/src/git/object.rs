//! Objects and their names.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use sha1::{Digest, Sha1};

use super::Error;

/// The SHA-1 of an object: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 20]);

/// What an object is; the numbers are those in packs (gitformat-pack(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit = 1,
    /// A directory.
    Tree = 2,
    /// A file's content.
    Blob = 3,
    /// An annotated tag.
    Tag = 4,
}

/// An object's kind and content. What it displays for debugging is its length: it may be a private
/// key.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Objects by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    by_id: BTreeMap<ObjectId, Object>,
}

impl ObjectId {
    /// Bytes of a name.
    pub(super) const LENGTH: usize = 20;

    /// What stands for no object: a reference that does not exist yet.
    pub const ZERO: ObjectId = ObjectId([0; 20]);

    /// A name as it is in packs and trees.
    pub const fn from_bytes(bytes: [u8; 20]) -> ObjectId {
        ObjectId(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Reads 40 hexadecimal digits, and nothing else.
    pub fn from_hex(text: &[u8]) -> Option<ObjectId> {
        let mut bytes = [0; 20];
        if text.len() != 2 * Self::LENGTH {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let &[high, low] = pair else {
                return None;
            };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(ObjectId(bytes))
    }
}

/// Lower case alone: that is what Git writes.
fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Kind {
    /// Its number in packs.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    pub(super) const fn from_number(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Commit,
            2 => Kind::Tree,
            3 => Kind::Blob,
            4 => Kind::Tag,
            _ => return None,
        })
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }
}

impl Object {
    /// A file's content.
    pub fn blob(content: impl Into<Vec<u8>>) -> Object {
        let (kind, content) = (Kind::Blob, content.into());
        Object { kind, content }
    }

    /// Its name: the hash of its kind, its length and its content.
    pub fn id(&self) -> ObjectId {
        let mut hash = Sha1::new();
        hash.update(self.kind.word());
        hash.update(alloc::format!(" {}\0", self.content.len()));
        hash.update(&self.content);
        ObjectId(hash.finalize().into())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.kind.word(), self.content.len())
    }
}

impl Objects {
    /// Adds an object, and gives its name.
    pub fn add(&mut self, object: Object) -> ObjectId {
        let id = object.id();
        self.by_id.insert(id, object);
        id
    }

    /// Adds all of these.
    pub fn extend(&mut self, others: Objects) {
        self.by_id.extend(others.by_id);
    }

    /// The object of this name, if it is there.
    pub fn find(&self, id: &ObjectId) -> Option<&Object> {
        self.by_id.get(id)
    }

    /// The content of the object of this name and kind.
    ///
    /// # Errors
    ///
    /// It is not there ([`Error::Missing`]), or is something else.
    pub fn get(&self, id: &ObjectId, kind: Kind) -> Result<&[u8], Error> {
        let object = self.find(id).ok_or(Error::Missing(*id))?;
        match object.kind == kind {
            true => Ok(&object.content),
            false => Err(Error::Object(kind.word())),
        }
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ObjectId, &Object)> {
        self.by_id.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

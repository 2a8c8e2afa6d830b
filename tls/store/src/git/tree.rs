//! Trees: names with what they stand for (gitformat-index(5) has the modes, git-fsck(1) the rules).

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;

use super::Error;
use super::object::{Kind, Object, ObjectId};

/// A mode as it stands in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// A file that is no program.
    pub const FILE: Mode = Mode(0o100_644);
    /// A folder.
    pub const FOLDER: Mode = Mode(0o40_000);

    /// Whether a file's content is behind it, executable or not; no link, no folder.
    pub const fn is_file(self) -> bool {
        self.0 & 0o170_000 == 0o100_000
    }

    /// Whether a tree is behind it.
    pub const fn is_folder(self) -> bool {
        self.0 == Mode::FOLDER.0
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub mode: Mode,
    /// Its content.
    pub id: ObjectId,
}

/// A folder's names. What is not understood of it stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// By name.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

const DAMAGED: Error = Error::Object("tree");

impl Tree {
    /// Reads a tree's content.
    ///
    /// # Errors
    ///
    /// It is none, or has a name twice.
    pub fn parse(mut content: &[u8]) -> Result<Tree, Error> {
        let mut tree = Tree::default();
        while !content.is_empty() {
            let space = content.iter().position(|byte| *byte == b' ');
            let (mode, rest) = split_at(content, space)?;
            let end = rest.iter().position(|byte| *byte == 0);
            let (name, rest) = split_at(rest, end)?;
            let (id, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
            if name.is_empty() || name.contains(&b'/') {
                return Err(DAMAGED);
            }
            let entry = Entry {
                mode: mode_of(mode)?,
                id: ObjectId::from_bytes(*id),
            };
            if tree.entries.insert(name.to_vec(), entry).is_some() {
                return Err(DAMAGED);
            }
            content = rest;
        }
        Ok(tree)
    }

    /// The tree as an object, its names in Git's order: as if a folder's ended with a slash.
    pub fn to_object(&self) -> Object {
        let key = |name: &[u8], mode: Mode| {
            let slash = mode.is_folder().then_some(b'/');
            name.iter().copied().chain(slash).collect::<Vec<u8>>()
        };
        let entries: Vec<_> = self.entries.iter().collect();
        let keys = entries.iter().enumerate();
        // A heap's sort is a fifth of the code of the other one.
        let keys: BinaryHeap<_> = keys
            .map(|(place, (name, entry))| (key(name, entry.mode), place))
            .collect();
        let keys = keys.into_sorted_vec();
        let sorted = keys.iter().filter_map(|(_, place)| entries.get(*place));
        let mut content = Vec::new();
        for (name, Entry { mode, id }) in sorted {
            content.extend(alloc::format!("{:o} ", mode.0).into_bytes());
            content.extend_from_slice(name);
            content.push(0);
            content.extend(id.as_bytes());
        }
        let kind = Kind::Tree;
        Object { kind, content }
    }
}

/// What is before and behind the byte at this place.
fn split_at(bytes: &[u8], place: Option<usize>) -> Result<(&[u8], &[u8]), Error> {
    let (head, rest) = place
        .and_then(|place| bytes.split_at_checked(place))
        .ok_or(DAMAGED)?;
    let (_, rest) = rest.split_first().ok_or(DAMAGED)?;
    Ok((head, rest))
}

fn mode_of(digits: &[u8]) -> Result<Mode, Error> {
    let is_octal = digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
    if !is_octal || !(1..=6).contains(&digits.len()) {
        return Err(DAMAGED);
    }
    let add = |mode: u32, digit: &u8| mode << 3 | u32::from(digit - b'0');
    Ok(Mode(digits.iter().fold(0, add)))
}

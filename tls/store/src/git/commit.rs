//! Commits (git-commit(1); the format is that of `git cat-file commit`).

use alloc::format;
use alloc::string::String;

use super::Error;
use super::object::{Kind, Object, ObjectId};

/// Who makes commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// A name without `<`, `>` and line ends.
    pub name: String,
    /// An address likewise.
    pub email: String,
}

/// A state of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its root folder.
    pub tree: ObjectId,
    /// The commit before it, if there is one; of several, the first.
    pub parent: Option<ObjectId>,
}

impl Commit {
    /// Reads a commit's content, as far as a store needs it.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(content: &[u8]) -> Result<Commit, Error> {
        const DAMAGED: Error = Error::Object("commit");
        let mut lines = content.split(|byte| *byte == b'\n');
        let mut named = |word: &[u8]| lines.next()?.strip_prefix(word).map(ObjectId::from_hex);
        let tree = named(b"tree ").flatten().ok_or(DAMAGED)?;
        let parent = match named(b"parent ") {
            Some(parent) => Some(parent.ok_or(DAMAGED)?),
            None => None,
        };
        Ok(Commit { tree, parent })
    }

    /// The commit as an object: made by this person at this time (seconds since 1970, UTC).
    pub fn to_object(&self, person: &Person, unix_seconds: u64, message: &str) -> Object {
        let Commit { tree, parent } = self;
        let parent = parent.map_or_else(String::new, |id| format!("parent {id}\n"));
        let plain = |text: &str| -> String {
            let is_plain = |letter: &char| !matches!(letter, '<' | '>') && !letter.is_control();
            text.chars().filter(is_plain).collect()
        };
        let who = format!(
            "{} <{}> {unix_seconds} +0000",
            plain(&person.name),
            plain(&person.email)
        );
        let message = message.trim_end();
        let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{message}\n");
        Object {
            kind: Kind::Commit,
            content: text.into_bytes(),
        }
    }
}

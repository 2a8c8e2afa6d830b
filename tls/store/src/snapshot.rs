//! A state of the store: which hosts there are, and the next state made of it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::git::{
    Commit, Entry, Error, Fetched, Kind, Limits, Mode, Object, ObjectId, Objects, Person, Tree,
    pack, unpack,
};

/// A file to be there, or not to be there any more.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's name at the repository's root: the host's.
    pub name: String,
    /// Its content; `None` removes it.
    pub content: Option<Vec<u8>>,
}

/// Files at the root of one commit.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    head: Option<ObjectId>,
    tree: Tree,
    files: BTreeMap<String, Vec<u8>>,
}

/// A commit that is not yet pushed.
#[derive(PartialEq, Eq)]
pub struct Draft {
    /// What the branch must be at for it.
    pub parent: Option<ObjectId>,
    /// Its name.
    pub id: ObjectId,
    /// Its pack, for [`Push`](crate::git::Push).
    pub pack: Vec<u8>,
    /// The state once it is pushed.
    pub snapshot: Snapshot,
}

impl Snapshot {
    /// The state that was fetched; `None` when it is still the one that was known.
    ///
    /// Names that are no UTF-8, and folders with what is in them, are kept but are no files here.
    ///
    /// # Errors
    ///
    /// The pack is damaged, too much, or leaves something out.
    pub fn of(fetched: Fetched, limits: &Limits) -> Result<Option<Snapshot>, Error> {
        let (head, packed) = match fetched {
            Fetched::Unchanged(_) => return Ok(None),
            Fetched::Nothing => return Ok(Some(Snapshot::default())),
            Fetched::Commit { id, pack } => (id, pack),
        };
        let objects = unpack(&packed, &Objects::default(), limits)?;
        let commit = Commit::parse(objects.get(&head, Kind::Commit)?)?;
        let tree = Tree::parse(objects.get(&commit.tree, Kind::Tree)?)?;
        let mut files = BTreeMap::new();
        for (name, entry) in &tree.entries {
            if let (true, Ok(name)) = (entry.mode.is_file(), String::from_utf8(name.clone())) {
                let content = objects.get(&entry.id, Kind::Blob)?;
                files.insert(name, content.to_vec());
            }
        }
        Ok(Some(Snapshot {
            head: Some(head),
            tree,
            files,
        }))
    }

    /// The commit that it is of; `None` while there is none.
    pub fn head(&self) -> Option<ObjectId> {
        self.head
    }

    /// Its files, by name.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        let files = self.files.iter();
        files.map(|(name, content)| (name.as_str(), content.as_slice()))
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The next state: this one with these changes, as a commit by this person at this time (seconds
    /// since 1970, UTC). `None` when they change nothing.
    pub fn with(
        &self,
        changes: &[Change],
        person: &Person,
        unix_seconds: u64,
        message: &str,
    ) -> Option<Draft> {
        let mut snapshot = self.clone();
        let mut objects = Objects::default();
        for Change { name, content } in changes {
            match content {
                Some(content) => {
                    let (mode, id) = (Mode::FILE, objects.add(Object::blob(content.clone())));
                    let entry = Entry { mode, id };
                    snapshot.tree.entries.insert(name.clone().into(), entry);
                    snapshot.files.insert(name.clone(), content.clone());
                }
                None => {
                    snapshot.tree.entries.remove(name.as_bytes());
                    snapshot.files.remove(name);
                }
            }
        }
        if snapshot.tree == self.tree {
            return None;
        }
        let tree = objects.add(snapshot.tree.to_object());
        let parent = self.head;
        let commit = Commit { tree, parent };
        let id = objects.add(commit.to_object(person, unix_seconds, message));
        snapshot.head = Some(id);
        let contents: Vec<&Object> = objects.iter().map(|(_, object)| object).collect();
        Some(Draft {
            parent,
            id,
            pack: pack(contents.into_iter()),
            snapshot,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn change(name: &str, content: Option<&str>) -> Change {
        Change {
            name: name.into(),
            content: content.map(|content| content.into()),
        }
    }

    fn draft(snapshot: &Snapshot, changes: &[Change]) -> Option<Draft> {
        let person = Person {
            name: "Stockade".into(),
            email: "stockade@localhost".into(),
        };
        snapshot.with(changes, &person, 1_800_000_000, "Test")
    }

    fn fetched(draft: &Draft) -> Snapshot {
        let (id, pack) = (draft.id, draft.pack.clone());
        let found = Snapshot::of(Fetched::Commit { id, pack }, &Limits::default());
        found.ok().flatten().unwrap()
    }

    #[test]
    fn a_first_commit_is_fetched_as_it_was_made() {
        let empty = Snapshot::of(Fetched::Nothing, &Limits::default());
        let empty = empty.ok().flatten().unwrap();
        let changes = [
            change("b.example", Some("B")),
            change("a.example", Some("A")),
        ];
        let draft = draft(&empty, &changes).unwrap();
        assert!(draft.parent.is_none());
        assert!(fetched(&draft) == draft.snapshot);
        assert_eq!(draft.snapshot.head(), Some(draft.id));
        let files: Vec<_> = draft.snapshot.files().collect();
        assert_eq!(files, [("a.example", &b"A"[..]), ("b.example", b"B")]);
    }

    #[test]
    fn a_further_commit_sends_only_what_is_new() {
        let empty = Snapshot::default();
        let first = draft(&empty, &[change("a", Some("A")), change("b", Some("B"))]).unwrap();
        let second = draft(
            &first.snapshot,
            &[change("a", Some("C")), change("b", None)],
        )
        .unwrap();
        assert_eq!(second.parent, Some(first.id));
        let objects = unpack(&second.pack, &Objects::default(), &Limits::default()).unwrap();
        assert_eq!(objects.len(), 3);
        assert_eq!(second.snapshot.file("a"), Some(&b"C"[..]));
        assert_eq!(second.snapshot.file("b"), None);
    }

    #[test]
    fn what_changes_nothing_is_no_commit() {
        let first = draft(&Snapshot::default(), &[change("a", Some("A"))]).unwrap();
        assert!(draft(&first.snapshot, &[change("a", Some("A"))]).is_none());
        assert!(draft(&first.snapshot, &[change("b", None)]).is_none());
        assert!(draft(&first.snapshot, &[]).is_none());
        let known = Fetched::Unchanged(first.id);
        assert!(matches!(Snapshot::of(known, &Limits::default()), Ok(None)));
    }

    #[test]
    fn folders_and_odd_names_stay_but_are_no_files() {
        let mut objects = Objects::default();
        let blob = objects.add(Object::blob(*b"x"));
        let inner = objects.add(Tree::default().to_object());
        let mut tree = Tree::default();
        let entries = [
            (vec![0xff], Mode::FILE, blob),
            (b"folder".to_vec(), Mode::FOLDER, inner),
            (b"a".to_vec(), Mode::FILE, blob),
        ];
        for (name, mode, id) in entries {
            tree.entries.insert(name, Entry { mode, id });
        }
        let tree = objects.add(tree.to_object());
        let parent = None;
        let person = Person {
            name: "A".into(),
            email: "a".into(),
        };
        let id = objects.add(Commit { tree, parent }.to_object(&person, 0, ""));
        let contents: Vec<&Object> = objects.iter().map(|(_, object)| object).collect();
        let pack = pack(contents.into_iter());
        let found = Snapshot::of(Fetched::Commit { id, pack }, &Limits::default());
        let found = found.ok().flatten().unwrap();
        assert_eq!(found.files().len(), 1);
        let next = draft(&found, &[change("b", Some("B"))]).unwrap();
        assert_eq!(next.snapshot.tree.entries.len(), 4);
    }

    #[test]
    fn a_commit_whose_files_are_left_out_is_refused() {
        let first = draft(&Snapshot::default(), &[change("a", Some("A"))]).unwrap();
        let second = draft(&first.snapshot, &[change("b", Some("B"))]).unwrap();
        let fetched = Fetched::Commit {
            id: second.id,
            pack: second.pack,
        };
        let missing = Object::blob(*b"A").id();
        let refused = Snapshot::of(fetched, &Limits::default()).err();
        assert_eq!(refused, Some(Error::Missing(missing)));
    }
}

//! A Git repository, without the network around it.

use std::{
    string::{String, ToString},
    vec::Vec,
};

use store::{
    git::{self, Fetched, Limits, Objects, Person, pack, unpack},
    snapshot::{Change, Draft, Snapshot},
    visit::{Outcome, VisitError},
};

use crate::keeper::Fault;

type Visited = Result<Outcome, Fault<VisitError>>;

/// A branch, and whatever happens to it.
#[derive(Default)]
pub(super) struct Repository {
    objects: Objects,
    state: Snapshot,
    /// Nobody can reach it.
    pub(super) is_down: bool,
    /// It can be read, but refuses to be written.
    pub(super) is_read_only: bool,
    /// The answer to the next push is lost on its way.
    pub(super) loses_answer: bool,
    /// What somebody else pushes just before the next push.
    pub(super) rival: Vec<Vec<Change>>,
    pub(super) fetches: usize,
    /// The names of the files of each commit that came by a push.
    pub(super) pushed: Vec<Vec<String>>,
}

/// A change of a file; `None` removes it.
pub(super) fn change(name: &str, content: Option<Vec<u8>>) -> Change {
    let name = name.to_string();
    Change { name, content }
}

impl Repository {
    /// Somebody commits this.
    pub(super) fn commit(&mut self, changes: &[Change]) {
        let person = Person {
            name: "Somebody".into(),
            email: "somebody@localhost".into(),
        };
        let draft = self.state.with(changes, &person, 1_800_000_000, "Change");
        self.adopt(draft.expect("a change"));
    }

    /// A file as it is now.
    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.state.file(name)
    }

    pub(super) fn fetch(&mut self, known: Option<git::ObjectId>) -> Visited {
        self.fetches += 1;
        self.reach()?;
        Ok(Outcome::Fetched(match self.state.head() {
            None => Fetched::Nothing,
            Some(id) if known == Some(id) => Fetched::Unchanged(id),
            Some(id) => {
                let objects = self.objects.iter().map(|(_, object)| object);
                let pack = pack(objects.collect::<Vec<_>>().into_iter());
                Fetched::Commit { id, pack }
            }
        }))
    }

    pub(super) fn push(&mut self, draft: Draft) -> Visited {
        self.reach()?;
        if self.is_read_only {
            let words = "remote: no".into();
            let status = 1;
            return Err(Fault::Conversation(VisitError::Command { status, words }));
        }
        if let Some(changes) = (!self.rival.is_empty()).then(|| self.rival.remove(0)) {
            self.commit(&changes);
        }
        if draft.parent != self.state.head() {
            let stale = git::Error::Stale("failed to update ref".into());
            return Err(Fault::Conversation(VisitError::Git(stale)));
        }
        let objects = unpack(&draft.pack, &Objects::default(), &Limits::default());
        let names = self.adopt(Draft {
            pack: draft.pack,
            ..draft
        });
        assert!(objects.is_ok());
        self.pushed.push(names);
        match core::mem::take(&mut self.loses_answer) {
            true => Err(Fault::TimedOut),
            false => Ok(Outcome::Pushed),
        }
    }

    fn reach(&self) -> Result<(), Fault<VisitError>> {
        match self.is_down {
            true => Err(Fault::Unreachable("nobody answers".to_string())),
            false => Ok(()),
        }
    }

    /// Moves the branch, and reads it anew from nothing but its objects; gives the files that differ.
    fn adopt(&mut self, draft: Draft) -> Vec<String> {
        let limits = Limits::default();
        let objects = unpack(&draft.pack, &Objects::default(), &limits).unwrap();
        self.objects.extend(objects);
        let objects = self.objects.iter().map(|(_, object)| object);
        let pack = pack(objects.collect::<Vec<_>>().into_iter());
        let id = draft.id;
        let state = Snapshot::of(Fetched::Commit { id, pack }, &limits).unwrap();
        let old = core::mem::replace(&mut self.state, state.unwrap());
        let differs = |(name, content): &(&str, &[u8])| old.file(name) != Some(content);
        let changed = self.state.files().filter(differs);
        changed.map(|(name, _)| name.to_string()).collect()
    }
}

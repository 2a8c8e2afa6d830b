//! What a Git server sends: packs and the conversation around them.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use stockade_store::git::{
    Error, Fetch, Fetched, Kind, Limits, Object, ObjectId, Objects, Person, Push, pack, unpack,
};
use stockade_store::snapshot::{Change, Snapshot};

use super::input::Input;

/// Small, so that each of them is reached.
const LIMITS: Limits = Limits {
    pack: 64 << 10,
    objects: 32,
    object: 4 << 10,
    total: 16 << 10,
    depth: 6,
    advertisement: 2 << 10,
};

const BRANCH: &str = "refs/heads/master";

/// Types of deltas in a pack.
const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// A pack: the first byte says of what the rest is made.
///
/// - 0: the pack as it is.
/// - 1: objects as they stand in a pack, their count before them; the head and the hash are right.
/// - Otherwise: of each object a byte with its kind (its three low bits; the others say which earlier
///   object a delta is of) and its content (a block), which is compressed here.
///
/// Checked: each object has the name that it is found by; what is made of a pack holds to its limits,
/// and is unpacked again when packed; a state of the store takes a change, and holds it.
pub fn git_pack(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else {
        return;
    };
    let packed = match how {
        0 => rest.to_vec(),
        1 => match rest.split_first() {
            Some((count, objects)) => whole(u32::from(*count), objects),
            None => return,
        },
        _ => packed(Input::new(rest)),
    };
    match unpack(&packed, &Objects::default(), &LIMITS) {
        Ok(objects) => {
            check(&objects);
            for (id, object) in objects.iter() {
                if object.kind == Kind::Commit {
                    snapshot(*id, packed.clone());
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A pack with as many objects.
fn whole(count: u32, objects: &[u8]) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend(count.to_be_bytes());
    pack.extend(objects);
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &pack);
    pack.extend(hash.as_ref());
    pack
}

fn packed(mut input: Input<'_>) -> Vec<u8> {
    let (mut objects, mut starts, mut names) = (Vec::new(), Vec::new(), Vec::new());
    while let (Some(byte), Some(content)) = (input.byte(), input.block()) {
        let start = objects.len();
        let (kind, back) = (byte & 7, usize::from(byte >> 3));
        let mut size = content.len();
        let mut head = kind << 4 | (size & 0x0f) as u8;
        size >>= 4;
        while size > 0 {
            objects.push(head | 0x80);
            head = (size & 0x7f) as u8;
            size >>= 7;
        }
        objects.push(head);
        let base = starts.len().checked_sub(back + 1);
        match kind {
            OFS_DELTA => {
                let base = base.and_then(|base| starts.get(base)).unwrap_or(&start);
                objects.extend(offset(start - base));
            }
            REF_DELTA => {
                let name = base.and_then(|base| names.get(base));
                objects.extend(name.unwrap_or(&ObjectId::ZERO).as_bytes());
            }
            _ => {}
        }
        objects.extend(stored(content));
        starts.push(start);
        let kind = match kind {
            1 => Kind::Commit,
            2 => Kind::Tree,
            4 => Kind::Tag,
            _ => Kind::Blob,
        };
        let content = content.to_vec();
        names.push(Object { kind, content }.id());
    }
    whole(starts.len() as u32, &objects)
}

/// See gitformat-pack(5), "offset encoding".
fn offset(mut offset: usize) -> Vec<u8> {
    let mut bytes = vec![(offset & 0x7f) as u8];
    while offset > 0x7f {
        offset = (offset >> 7) - 1;
        bytes.push((offset & 0x7f) as u8 | 0x80);
    }
    bytes.reverse();
    bytes
}

/// zlib's format with the content as it is (RFC 1950, RFC 1951 §3.2.4).
fn stored(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a block has a length of two bytes");
    let mut bytes = vec![0x78, 0x01, 0x01];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(content);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in content {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    bytes.extend((high << 16 | low).to_be_bytes());
    bytes
}

fn check(objects: &Objects) {
    let all = objects.iter();
    let total: usize = all.map(|(_, object)| object.content.len()).sum();
    assert!(total <= LIMITS.total, "{total} bytes");
    assert!(objects.len() <= LIMITS.objects as usize);
    for (id, object) in objects.iter() {
        assert_eq!(object.id(), *id);
        assert!(object.content.len() <= LIMITS.object);
        assert!(objects.find(id).is_some());
    }
    let contents: Vec<&Object> = objects.iter().map(|(_, object)| object).collect();
    let again = unpack(&pack(contents.into_iter()), &Objects::default(), &LIMITS);
    assert!(again.as_ref() == Ok(objects), "packed, it is another one");
}

fn snapshot(id: ObjectId, pack: Vec<u8>) {
    let found = match Snapshot::of(Fetched::Commit { id, pack }, &LIMITS) {
        Ok(found) => found.expect("it is not known yet"),
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(found.head(), Some(id));
    let person = Person {
        name: "Stockade".into(),
        email: "stockade@a.example".into(),
    };
    let change = |content: Option<&[u8]>| Change {
        name: "a.example".into(),
        content: content.map(Vec::from),
    };
    let new = [change(Some(b"something new"))];
    let draft = found.with(&new, &person, 1, "a change");
    let Some(draft) = draft else {
        return assert_eq!(found.file("a.example"), Some(&b"something new"[..]));
    };
    assert_eq!(draft.parent, Some(id));
    assert_eq!(
        draft.snapshot.file("a.example"),
        Some(&b"something new"[..])
    );
    assert_eq!(draft.snapshot.head(), Some(draft.id));
    let objects = unpack(&draft.pack, &Objects::default(), &Limits::default());
    assert!(objects.is_ok_and(|objects| objects.find(&draft.id).is_some()));
    let gone = draft.snapshot.with(&[change(None)], &person, 2, "gone");
    assert!(gone.is_some_and(|gone| gone.snapshot.file("a.example").is_none()));
}

/// A byte that says what is asked, one that says how long the pieces are, and what the server says.
///
/// Checked: it comes to the same however it is cut; no more is kept than came; errors say something.
pub fn git_conversation(bytes: &[u8]) {
    let [what, size, said @ ..] = bytes else {
        return;
    };
    let known = (what & 2 != 0).then(|| ObjectId::from_bytes([0x11; 20]));
    let size = usize::from(*size).max(1);
    if what & 1 == 0 {
        let whole = fetched(said, said.len().max(1), known);
        if let Ok((Fetched::Commit { pack, .. }, _)) = &whole {
            assert!(pack.len() <= said.len().min(LIMITS.pack));
        }
        assert_eq!(fetched(said, size, known), whole);
    } else {
        let whole = pushed(said, said.len().max(1), known);
        assert_eq!(pushed(said, size, known), whole);
    }
}

fn fetched(said: &[u8], size: usize, known: Option<ObjectId>) -> Result<(Fetched, Vec<u8>), Error> {
    let mut fetch = Fetch::new(BRANCH, known, &LIMITS);
    let mut output = Vec::new();
    for piece in said.chunks(size) {
        fetch.receive(piece).inspect_err(speaks)?;
        output.extend(fetch.output());
    }
    Ok((fetch.finish().inspect_err(speaks)?, output))
}

fn pushed(said: &[u8], size: usize, old: Option<ObjectId>) -> Result<(bool, Vec<u8>), Error> {
    let new = ObjectId::from_bytes([0x22; 20]);
    let mut push = Push::new(BRANCH, old, new, b"PACK".to_vec(), &LIMITS);
    let mut output = Vec::new();
    for piece in said.chunks(size) {
        push.receive(piece).inspect_err(speaks)?;
        output.extend(push.output());
    }
    Ok((push.is_done(), output))
}

fn speaks(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 8192);
    assert!(!text.contains(char::is_control), "{text:?}");
}

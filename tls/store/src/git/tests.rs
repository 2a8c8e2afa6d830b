//! Conversations with servers of one's own making, and packs that Git has made.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use sha1::{Digest, Sha1};

use super::packet::packet;
use super::*;

/// The four newest commits of twelve that change one file of sixty numbers a line at a time, by
/// `git pack-objects`, with bases by their places and by their names.
const PACKS: [&[u8]; 2] = [
    include_bytes!("tests/ofs-delta.pack"),
    include_bytes!("tests/ref-delta.pack"),
];

const HEAD: &str = "4ab0cd9c782c4503f70221516ed82245c4eca08c";
const BRANCH: &str = "refs/heads/master";

fn id(hex: &str) -> ObjectId {
    ObjectId::from_hex(hex.as_bytes()).unwrap()
}

fn read(pack: &[u8]) -> Result<Objects, Error> {
    unpack(pack, &Objects::default(), &Limits::default())
}

#[test]
fn objects_have_git_s_names() {
    let blob = Object::blob(*b"");
    assert_eq!(
        blob.id().to_string(),
        "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    );
    assert_eq!(
        Tree::default().to_object().id().to_string(),
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    );
    assert_eq!(ObjectId::from_hex(&[b'A'; 40]), None);
    assert_eq!(ObjectId::from_hex(&[b'a'; 41]), None);
}

#[test]
fn packs_of_git_are_read_with_either_kind_of_delta() {
    for pack in PACKS {
        let objects = read(pack).unwrap();
        assert_eq!(objects.len(), 12);
        let commit = Commit::parse(objects.get(&id(HEAD), Kind::Commit).unwrap()).unwrap();
        assert_eq!(
            commit.tree.to_string(),
            "8d0cca3a5602ab80b8ed907242cf37b63f87d7df"
        );
        let tree = Tree::parse(objects.get(&commit.tree, Kind::Tree).unwrap()).unwrap();
        let file = tree.entries.get(&b"f"[..]).unwrap();
        assert!(file.mode.is_file());
        let lines: String = (12..=72).map(|number| format!("{number}\n")).collect();
        assert_eq!(objects.get(&file.id, Kind::Blob).unwrap(), lines.as_bytes());
        // And what is written is the same again.
        assert_eq!(tree.to_object().id(), commit.tree);
        let parent = commit.parent.unwrap();
        assert!(objects.get(&parent, Kind::Commit).is_ok());
        assert_eq!(
            objects.get(&file.id, Kind::Tree),
            Err(Error::Object("tree"))
        );
    }
}

#[test]
fn what_is_packed_is_unpacked() {
    let mut objects = Objects::default();
    for length in [0, 1, 15, 16, 2047, 2048, 100_000] {
        objects.add(Object::blob(vec![b'x'; length]));
    }
    let contents: Vec<&Object> = objects.iter().map(|(_, object)| object).collect();
    let packed = pack(contents.into_iter());
    assert_eq!(read(&packed).unwrap(), objects);
}

/// A pack with this body, whose hash is right.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut pack = body.to_vec();
    pack.extend(Sha1::digest(body));
    pack
}

#[test]
fn damaged_packs_are_refused_wherever_the_damage_is() {
    for pack in PACKS {
        let body = &pack[..pack.len() - 20];
        for at in 0..body.len() {
            assert!(read(&sealed(&body[..at])).is_err(), "cut at {at}");
            for bit in [0, 4, 7] {
                let mut body = body.to_vec();
                body[at] ^= 1 << bit;
                // A changed kind or a bit that zlib does not need makes no error, but no other object
                // of the same name either.
                if let Ok(objects) = read(&sealed(&body)) {
                    let mut all = objects.iter();
                    assert!(all.all(|(id, object)| object.id() == *id));
                }
            }
        }
        let mut other = pack.to_vec();
        *other.last_mut().unwrap() ^= 1;
        let error = read(&other).unwrap_err();
        assert_eq!(error, Error::Pack("its hash is another one"));
    }
}

#[test]
fn every_limit_holds() {
    let limits = Limits::default();
    for (limits, what) in [
        (
            Limits {
                pack: 800,
                ..limits
            },
            "a pack's bytes",
        ),
        (
            Limits {
                objects: 11,
                ..limits
            },
            "objects",
        ),
        (
            Limits {
                object: 170,
                ..limits
            },
            "an object's bytes",
        ),
        (
            Limits {
                total: 1000,
                ..limits
            },
            "bytes of objects",
        ),
        (Limits { depth: 0, ..limits }, "deltas upon deltas"),
    ] {
        for pack in PACKS {
            let refused = unpack(pack, &Objects::default(), &limits);
            assert_eq!(refused, Err(Error::TooMuch(what)), "{limits:?}");
        }
    }
}

/// A pack of deltas, each with its base's name.
fn pack_of_deltas(deltas: &[(ObjectId, Vec<u8>)]) -> Vec<u8> {
    let mut body = b"PACK\0\0\0\x02\0\0\0".to_vec();
    body.push(deltas.len() as u8);
    for (base, delta) in deltas {
        body.push(7 << 4 | delta.len() as u8);
        body.extend(base.as_bytes());
        body.extend(miniz_oxide::deflate::compress_to_vec_zlib(delta, 6));
    }
    sealed(&body)
}

#[test]
fn a_delta_needs_its_base() {
    // It inserts one byte into nothing: sizes 0 and 1, then the byte.
    let base = Object::blob(*b"");
    let pack = pack_of_deltas(&[(base.id(), vec![0, 1, 1, b'x'])]);
    assert_eq!(read(&pack), Err(Error::Missing(base.id())));
    let mut known = Objects::default();
    known.add(base);
    let objects = unpack(&pack, &known, &Limits::default()).unwrap();
    assert!(objects.find(&Object::blob(*b"x").id()).is_some());
}

#[test]
fn deltas_upon_deltas_are_resolved_in_any_order() {
    let mut known = Objects::default();
    let base = known.add(Object::blob(*b""));
    // Each copies what there is and adds a byte.
    let mut deltas = vec![(base, vec![0, 1, 1, b'x'])];
    for length in 1..10u8 {
        let base = Object::blob(vec![b'x'; length.into()]).id();
        deltas.push((base, vec![length, length + 1, 0x90, length, 1, b'x']));
    }
    deltas.reverse();
    let pack = pack_of_deltas(&deltas);
    let longest = Object::blob(vec![b'x'; 10]).id();
    let with_depth = |depth| {
        let limits = Limits {
            depth,
            ..Limits::default()
        };
        unpack(&pack, &known, &limits)
    };
    assert!(with_depth(10).unwrap().find(&longest).is_some());
    assert_eq!(with_depth(9), Err(Error::TooMuch("deltas upon deltas")));
    // Two that wait for each other wait for ever.
    let (one, two) = (Object::blob(*b"1").id(), Object::blob(*b"2").id());
    let delta = vec![1, 1, 1, b'2'];
    let circle = pack_of_deltas(&[(one, delta.clone()), (two, delta)]);
    assert!(matches!(read(&circle), Err(Error::Missing(_))));
}

#[test]
fn trees_are_sorted_as_if_folders_ended_with_a_slash() {
    let mut tree = Tree::default();
    for (name, mode) in [("a", Mode::FOLDER), ("a.b", Mode::FILE), ("a0", Mode::FILE)] {
        let id = Object::blob(name).id();
        tree.entries.insert(name.into(), Entry { mode, id });
    }
    let content = tree.to_object().content;
    let place = |name: &[u8]| content.windows(name.len()).position(|some| some == name);
    assert!(place(b" a.b\0") < place(b" a\0"));
    assert!(place(b" a\0") < place(b" a0\0"));
    assert_eq!(Tree::parse(&content).unwrap(), tree);
    for damaged in [
        &b"100644 \0aaaaaaaaaaaaaaaaaaaa"[..],
        b"100644 a/b\0aaaaaaaaaaaaaaaaaaaa",
        b"100648 a\0aaaaaaaaaaaaaaaaaaaa",
        b"1006440 a\0aaaaaaaaaaaaaaaaaaaa",
        b"100644 a\0aaaaaaaaaaaaaaaaaaa",
        b"100644 a\0aaaaaaaaaaaaaaaaaaaa100644 a\0aaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(Tree::parse(damaged), Err(Error::Object("tree")));
    }
}

#[test]
fn a_commit_is_what_it_says() {
    let commit = Commit {
        tree: id(HEAD),
        parent: Some(id(HEAD)),
    };
    let person = Person {
        name: "A <B>\nC".into(),
        email: "a@example.org".into(),
    };
    let object = commit.to_object(&person, 1_000_000_000, "Renewed\n");
    let text = String::from_utf8(object.content.clone()).unwrap();
    let who = "A BC <a@example.org> 1000000000 +0000";
    assert_eq!(
        text,
        format!("tree {HEAD}\nparent {HEAD}\nauthor {who}\ncommitter {who}\n\nRenewed\n")
    );
    assert_eq!(Commit::parse(&object.content).unwrap(), commit);
    assert_eq!(Commit::parse(b"tree 1\n"), Err(Error::Object("commit")));
}

fn advertisement(capabilities: &str) -> Vec<u8> {
    let mut bytes = packet(format!("{HEAD} HEAD\0{capabilities}\n").as_bytes());
    bytes.extend(packet(format!("{HEAD} {BRANCH}\n").as_bytes()));
    bytes.extend(b"0000");
    bytes
}

const UPLOAD: &str = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow no-progress \
                      include-tag agent=git/2.39.5";
const RECEIVE: &str =
    "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta";

/// Speaks to a conversation in pieces of this size.
fn say(bytes: &[u8], size: usize, mut receive: impl FnMut(&[u8]) -> Result<(), Error>) {
    for piece in bytes.chunks(size) {
        receive(piece).unwrap();
    }
}

fn in_bands(bytes: &[u8]) -> Vec<u8> {
    let mut packets = packet(b"\x02Counting objects\r");
    for piece in bytes.chunks(100) {
        packets.extend(packet(&[&[1], piece].concat()));
    }
    packets.extend(b"0000");
    packets
}

#[test]
fn a_branch_is_fetched_whatever_the_pieces() {
    for size in [1, 7, 4096] {
        let mut fetch = Fetch::new(BRANCH, None, &Limits::default());
        say(&advertisement(UPLOAD), size, |bytes| fetch.receive(bytes));
        let asked = String::from_utf8(fetch.output()).unwrap();
        assert!(
            asked.contains(&format!("want {HEAD} side-band-64k ")),
            "{asked}"
        );
        assert!(asked.ends_with("deepen 1\n0000"), "{asked}");
        let shallow = packet(format!("shallow {HEAD}").as_bytes());
        say(&[&shallow[..], b"0000"].concat(), size, |bytes| {
            fetch.receive(bytes)
        });
        assert_eq!(fetch.output(), b"0009done\n");
        say(&packet(b"NAK\n"), size, |bytes| fetch.receive(bytes));
        say(&in_bands(PACKS[0]), size, |bytes| fetch.receive(bytes));
        assert!(fetch.is_done());
        let pack = PACKS[0].to_vec();
        assert_eq!(fetch.finish(), Ok(Fetched::Commit { id: id(HEAD), pack }));
    }
}

#[test]
fn nothing_is_asked_for_when_nothing_is_new() {
    let known = Some(id(HEAD));
    for (branch, known, expected) in [
        (BRANCH, known, Fetched::Unchanged(id(HEAD))),
        ("refs/heads/other", known, Fetched::Nothing),
        ("refs/heads/other", None, Fetched::Nothing),
    ] {
        let mut fetch = Fetch::new(branch, known, &Limits::default());
        fetch.receive(&advertisement(UPLOAD)).unwrap();
        assert_eq!(fetch.output(), b"0000");
        assert_eq!(fetch.finish(), Ok(expected));
    }
    // A repository without a commit.
    let zero = ObjectId::ZERO;
    let mut bytes = packet(format!("{zero} capabilities^{{}}\0{RECEIVE}").as_bytes());
    bytes.extend(b"0000");
    let mut fetch = Fetch::new(BRANCH, None, &Limits::default());
    fetch.receive(&bytes).unwrap();
    assert_eq!(fetch.finish(), Ok(Fetched::Nothing));
}

#[test]
fn a_fetch_tells_what_is_wrong() {
    let refused = |bytes: &[u8]| {
        let mut fetch = Fetch::new(BRANCH, None, &Limits::default());
        fetch.receive(bytes).err()
    };
    let error = refused(&packet(b"ERR access denied\n"));
    assert_eq!(error, Some(Error::Server("access denied".into())));
    let error = refused(&advertisement("ofs-delta")).unwrap().to_string();
    assert!(error.contains("side-band-64k is needed"), "{error}");
    assert!(refused(&packet(b"hello\n")).is_some());

    let answered = |answer: &[u8]| {
        let mut fetch = Fetch::new(
            BRANCH,
            None,
            &Limits {
                pack: 4,
                ..Limits::default()
            },
        );
        fetch.receive(&advertisement(UPLOAD)).unwrap();
        fetch.receive(answer).err()
    };
    let nak = [&b"0000"[..], &packet(b"NAK\n")].concat();
    let with = |line: &[u8]| answered(&[&nak[..], &packet(line)].concat());
    assert_eq!(with(b"\x01PACK"), None);
    assert_eq!(with(b"\x01PACK\0"), Some(Error::TooMuch("a pack's bytes")));
    assert_eq!(
        with(b"\x03out of memory\n"),
        Some(Error::Server("out of memory".into()))
    );
    assert_eq!(with(b"\x04"), Some(Error::Unexpected("a band")));
    assert!(answered(&packet(b"ACK\n")).is_some());
    let fetch = Fetch::new(BRANCH, None, &Limits::default());
    assert_eq!(fetch.finish(), Err(Error::Ended));
}

fn push(old: Option<ObjectId>) -> Push {
    let (new, pack) = (Object::blob(*b"new").id(), b"the pack".to_vec());
    Push::new(BRANCH, old, new, pack, &Limits::default())
}

fn report(lines: &[&str]) -> Vec<u8> {
    let mut report: Vec<u8> = lines
        .iter()
        .flat_map(|line| packet(line.as_bytes()))
        .collect();
    report.extend(b"0000");
    in_bands(&report)
}

#[test]
fn a_branch_is_moved_whatever_the_pieces() {
    for size in [1, 7, 4096] {
        let mut push = push(Some(id(HEAD)));
        say(&advertisement(RECEIVE), size, |bytes| push.receive(bytes));
        let said = String::from_utf8(push.output()).unwrap();
        let new = Object::blob(*b"new").id();
        assert!(
            said.contains(&format!("{HEAD} {new} {BRANCH}\0report-status ")),
            "{said}"
        );
        assert!(said.ends_with("0000the pack"), "{said}");
        let report = report(&["unpack ok\n", &format!("ok {BRANCH}\n")]);
        say(&report, size, |bytes| push.receive(bytes));
        assert!(push.is_done());
    }
}

#[test]
fn whoever_was_faster_is_not_overwritten() {
    let mut late = push(None);
    assert!(matches!(
        late.receive(&advertisement(RECEIVE)),
        Err(Error::Stale(_))
    ));
    // A flush is how to leave, and nothing is pushed.
    assert_eq!(late.output(), b"0000");
    let refused = |lines: &[&str]| {
        let mut push = push(Some(id(HEAD)));
        push.receive(&advertisement(RECEIVE)).unwrap();
        let refused = push.receive(&report(lines)).err();
        assert!(!push.is_done());
        refused
    };
    let line = format!("ng {BRANCH} failed to update ref\n");
    assert!(matches!(
        refused(&["unpack ok\n", &line]),
        Some(Error::Stale(_))
    ));
    let line = format!("ng {BRANCH} pre-receive hook declined\n");
    assert!(matches!(
        refused(&["unpack ok\n", &line]),
        Some(Error::Server(_))
    ));
    for lines in [
        &["unpack index-pack abnormal exit\n"][..],
        &["unpack ok\n"],
        &[],
        &["unpack ok\n", "ok refs/heads/other\n"],
    ] {
        assert!(refused(lines).is_some(), "{lines:?}");
    }
}

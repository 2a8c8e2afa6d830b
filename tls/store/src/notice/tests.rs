//! Both ends against each other, and each against what it should not take.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::{format, vec::Vec};

use super::*;

const IMAGE: [u8; NONCE] = [7; NONCE];
const TELLER: [u8; NONCE] = [9; NONCE];

fn pass(text: &str) -> Pass {
    Pass::new(text.as_bytes()).unwrap()
}

fn taker(bare: bool) -> Taker {
    Taker::new(Arc::new(pass("foo")), bare, IMAGE)
}

fn teller(text: &str) -> Teller {
    Teller::new(pass(text), TELLER, 1_795_000_000)
}

fn done() -> Outcome {
    Outcome::Done {
        hosts: 3,
        troubles: vec![Trouble {
            host: "a.example".into(),
            why: "the key is another certificate's".into(),
        }],
        more: 0,
    }
}

/// All that each end says in a whole conversation: the teller's two parts, the image's two.
fn conversation(outcome: &Outcome) -> [Vec<u8>; 4] {
    let (mut taker, mut teller) = (taker(false), teller("foo"));
    let opening = teller.departing();
    assert_eq!(taker.receive(&opening), Ok(None));
    let challenge = taker.departing();
    assert_eq!(teller.receive(&challenge), Ok(None));
    let notice = teller.departing();
    assert!(teller.has_told());
    let time = 1_795_000_000;
    let taken = taker.receive(&notice);
    assert_eq!(taken, Ok(Some(Notice::Framed { time })));
    assert!(taker.departing().is_empty() && !taker.is_over());
    taker.conclude(outcome, 5);
    assert!(taker.is_over());
    let answer = taker.departing();
    let told = Told {
        outcome: outcome.clone(),
        time: 5,
    };
    assert_eq!(teller.receive(&answer), Ok(Some(told)));
    assert_eq!(teller.receive_end(), Ok(()));
    [opening, challenge, notice, answer]
}

#[test]
fn a_notice_is_taken_and_its_outcome_told() {
    conversation(&done());
    conversation(&Outcome::Failed("10.0.0.1 can't be reached".into()));
}

#[test]
fn the_form_of_a_conversation() {
    let [opening, challenge, notice, answer] = conversation(&Outcome::Failed("x".into()));
    assert_eq!(
        opening,
        [b"stockade notice 1\n".as_slice(), &TELLER].concat()
    );
    assert_eq!(challenge, [b"\0\x21\x01".as_slice(), &IMAGE].concat());
    let time = 1_795_000_000_u64.to_be_bytes();
    assert_eq!(notice[..11], [b"\0\x29\x02".as_slice(), &time].concat());
    let content = b"\0\0\0\0\0\0\0\x05\x01\0\x01x";
    assert_eq!(answer[..15], [b"\0\x2d\x03".as_slice(), content].concat());
    // From Python's hmac, hashlib and a HKDF after RFC 5869.
    assert_eq!(hex(&notice[11..]), NOTICE_TAG);
    assert_eq!(hex(&answer[15..]), OUTCOME_TAG);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const NOTICE_TAG: &str = "9a9ae8d47198be9222fb2d57228fa8a68cce34f05eae555512f3326599172926";
const OUTCOME_TAG: &str = "182ecabb97b9347659de18e5f6785dcea3a9d14bb94c9906221a708bd0ac7f5c";

/// Cuts are where they like: nothing is judged before all of it is there.
#[test]
fn every_cut_of_the_bytes() {
    let [opening, challenge, notice, answer] = conversation(&done());
    let sent = [opening.as_slice(), &notice].concat();
    for size in 1..=sent.len() {
        let mut taker = taker(true);
        let mut taken = Vec::new();
        for piece in sent.chunks(size) {
            taken.extend(taker.receive(piece).unwrap());
        }
        let time = 1_795_000_000;
        assert_eq!(taken, [Notice::Framed { time }], "{size}");
        taker.conclude(&done(), 5);
        assert_eq!(taker.departing(), [challenge.as_slice(), &answer].concat());
    }
    let received = [challenge.as_slice(), &answer].concat();
    for size in 1..=received.len() {
        let mut teller = teller("foo");
        let mut told = Vec::new();
        for piece in received.chunks(size) {
            told.extend(teller.receive(piece).unwrap());
        }
        assert_eq!(told.len(), 1, "{size}");
        assert_eq!(told[0].outcome, done());
    }
}

#[test]
fn what_ends_early_is_no_notice_and_no_outcome() {
    let [opening, challenge, notice, answer] = conversation(&done());
    let sent = [opening.as_slice(), &notice].concat();
    for length in 0..sent.len() {
        let mut taker = taker(false);
        assert_eq!(taker.receive(&sent[..length]), Ok(None), "{length}");
        assert_eq!(taker.receive_end(), Err(Refusal::Form), "{length}");
        assert!(taker.is_over());
    }
    let received = [challenge.as_slice(), &answer].concat();
    for length in 0..received.len() {
        let mut teller = teller("foo");
        assert_eq!(teller.receive(&received[..length]), Ok(None), "{length}");
        assert_eq!(teller.receive_end(), Err(TellError::Ended), "{length}");
    }
}

#[test]
fn a_notice_counts_for_one_challenge() {
    let [opening, _, notice, answer] = conversation(&done());
    // Sent once more, to a machine whose clock stands still and which remembers nothing.
    let mut again = Taker::new(Arc::new(pass("foo")), true, [8; NONCE]);
    assert_eq!(again.receive(&opening), Ok(None));
    assert_eq!(again.receive(&notice), Err(Refusal::Pass));
    // Twice on one connection: the second says nothing.
    let mut twice = taker(false);
    let sent = [opening.as_slice(), &notice, &notice].concat();
    assert!(matches!(twice.receive(&sent), Ok(Some(_))));
    assert_eq!(twice.receive(&notice), Ok(None));
    // Nor does an outcome count for another notice.
    let mut other = Teller::new(pass("foo"), [1; NONCE], 1_795_000_000);
    let challenge = frame(CHALLENGE, &[&IMAGE]);
    assert_eq!(other.receive(&challenge), Ok(None));
    assert_eq!(other.receive(&answer), Err(TellError::Forged));
}

#[test]
fn a_tag_can_t_be_sent_back() {
    let mut teller = teller("foo");
    teller.departing();
    teller.receive(&frame(CHALLENGE, &[&IMAGE])).unwrap();
    // An image that knows nothing gives the teller its own notice as the outcome.
    let mut notice = teller.departing();
    notice[2] = OUTCOME;
    assert_eq!(teller.receive(&notice), Err(TellError::Forged));
}

#[test]
fn every_byte_counts() {
    let [opening, challenge, notice, answer] = conversation(&done());
    for place in 0..notice.len() {
        let mut changed = notice.clone();
        changed[place] ^= 1;
        let mut taker = taker(false);
        taker.receive(&opening).unwrap();
        let refused = match taker.receive(&changed) {
            // A length that is greater: the rest is waited for.
            Ok(None) => taker.receive_end().unwrap_err(),
            other => other.unwrap_err(),
        };
        assert!(matches!(refused, Refusal::Pass | Refusal::Form), "{place}");
        let refusal = frame(REFUSAL, &[&[refused.number()]]);
        assert!(taker.departing().ends_with(&refusal), "{place}");
    }
    for place in 0..answer.len() {
        let mut changed = answer.clone();
        changed[place] ^= 1;
        let mut teller = teller("foo");
        teller.receive(&challenge).unwrap();
        let told = teller.receive(&changed);
        assert!(!matches!(told, Ok(Some(_))), "{place}");
        if told.is_ok() {
            assert_eq!(teller.receive_end(), Err(TellError::Ended), "{place}");
        }
    }
    // Nonces, too: another challenge on the way, and the notice is none.
    let mut changed = challenge.clone();
    changed[3] ^= 1;
    let (mut taker, mut teller) = (taker(false), teller("foo"));
    taker.receive(&teller.departing()).unwrap();
    teller.receive(&changed).unwrap();
    assert_eq!(taker.receive(&teller.departing()), Err(Refusal::Pass));
}

#[test]
fn another_pass_is_refused_at_both_ends() {
    let (mut taker, mut teller) = (taker(true), teller("bar"));
    taker.receive(&teller.departing()).unwrap();
    teller.receive(&taker.departing()).unwrap();
    let notice = teller.departing();
    assert_eq!(taker.receive(&notice), Err(Refusal::Pass));
    let refused = teller.receive(&taker.departing());
    assert_eq!(refused, Err(TellError::Refused(Refusal::Pass)));
    assert!(taker.is_over());
    // A later notice with the right one does not count on this connection.
    assert_eq!(taker.receive(&conversation(&done())[2]), Ok(None));
}

#[test]
fn clocks_are_told_and_decide_nothing() {
    for (there, here) in [(0, u64::MAX), (u64::MAX, 0), (1_795_000_000, 1)] {
        let mut teller = Teller::new(pass("foo"), TELLER, there);
        let mut taker = taker(false);
        taker.receive(&teller.departing()).unwrap();
        teller.receive(&taker.departing()).unwrap();
        let taken = taker.receive(&teller.departing()).unwrap();
        assert_eq!(taken, Some(Notice::Framed { time: there }));
        taker.conclude(&done(), here);
        let told = teller.receive(&taker.departing()).unwrap().unwrap();
        assert_eq!(told.time, here);
    }
}

/// Whether these bytes, in these pieces, are taken for the bare pass.
fn bare(pieces: &[&[u8]], allowed: bool, ends: bool) -> Result<Option<Notice>, Refusal> {
    let mut taker = taker(allowed);
    let mut found = None;
    for piece in pieces {
        found = found.or(taker.receive(piece)?);
    }
    if ends {
        found = found.or(taker.receive_end()?);
    }
    if found.is_some() {
        taker.conclude(&done(), 0);
        assert!(taker.is_over());
    }
    // To such a teller nothing is said.
    assert!(taker.departing().is_empty());
    Ok(found)
}

#[test]
fn the_bare_pass_is_taken_where_it_is_allowed() {
    let taken = Ok(Some(Notice::Bare));
    assert_eq!(bare(&[b"foo"], true, false), taken);
    assert_eq!(bare(&[b"f", b"o", b"o"], true, true), taken);
    assert_eq!(bare(&[b"foo\n"], true, true), taken);
    assert_eq!(bare(&[b"fo", b"o\n"], true, true), taken);
    for wrong in [b"bar".as_slice(), b"fo", b"f", b"fob", b"Foo"] {
        assert_eq!(bare(&[wrong], true, true), Err(Refusal::Pass), "{wrong:?}");
    }
    assert_eq!(bare(&[], true, true), Err(Refusal::Pass));
    for bytes in [b"foo".as_slice(), b"f", b"bar", b"\x16\x03\x01"] {
        assert_eq!(bare(&[bytes], false, false), Err(Refusal::Unknown));
    }
    assert_eq!(bare(&[], false, true), Err(Refusal::Form));
}

/// Else the moment would tell how long the right pass is.
#[test]
fn a_wrong_bare_pass_is_refused_at_its_end() {
    for length in 1..9 {
        let wrong = vec![b'x'; length];
        assert_eq!(bare(&[&wrong], true, false), Ok(None), "{length}");
        assert_eq!(bare(&[&wrong], true, true), Err(Refusal::Pass));
    }
    let mut taker = taker(true);
    for _ in 0..100 {
        assert_eq!(taker.receive(&[b'x'; 4096]), Ok(None));
    }
    assert_eq!(taker.receive_end(), Err(Refusal::Pass));
}

#[test]
fn a_pass_that_begins_as_notices_do_is_told_from_them_by_its_end() {
    let like = Arc::new(pass("stock"));
    let mut taker = Taker::new(like.clone(), true, IMAGE);
    assert_eq!(taker.receive(b"stock"), Ok(None));
    assert_eq!(taker.receive_end(), Ok(Some(Notice::Bare)));
    let mut taker = Taker::new(like, true, IMAGE);
    let mut teller = teller("stock");
    let opening = teller.departing();
    assert_eq!(taker.receive(&opening[..5]), Ok(None));
    assert_eq!(taker.receive(&opening[5..]), Ok(None));
    teller.receive(&taker.departing()).unwrap();
    assert!(matches!(taker.receive(&teller.departing()), Ok(Some(_))));
}

#[test]
fn another_version_is_told_so() {
    for bare in [false, true] {
        let mut taker = taker(bare);
        let refused = taker.receive(b"stockade notice 2\n");
        assert_eq!(refused, Err(Refusal::Version));
        let refusal = taker.departing();
        let refused = teller("foo").receive(&refusal);
        assert_eq!(refused, Err(TellError::Refused(Refusal::Version)));
    }
}

#[test]
fn whoever_understands_is_told_why_he_is_refused() {
    let mut fresh = taker(true);
    assert_eq!(fresh.refuse(Refusal::Busy), Refusal::Busy);
    assert!(fresh.departing().is_empty() && fresh.is_over());
    let mut begun = taker(true);
    assert!(!begun.has_begun());
    begun.receive(&teller("foo").departing()).unwrap();
    assert!(begun.has_begun());
    begun.departing();
    begun.refuse(Refusal::Busy);
    assert_eq!(begun.departing(), b"\0\x02\x04\x05");
    for number in 0..=u8::MAX {
        if let Some(refusal) = Refusal::from_number(number) {
            assert_eq!(refusal.number(), number);
            assert!(!refusal.to_string().is_empty());
        }
    }
}

#[test]
fn frames_of_no_use_are_refused() {
    let opening = teller("foo").departing();
    for bytes in [
        b"\0\0".as_slice(),
        b"\xff\xff",
        b"\0\x2a",
        b"\0\x01\x02",
        b"\0\x02\x02\0",
        b"\0\x01\x09",
    ] {
        let mut taker = taker(false);
        taker.receive(&opening).unwrap();
        assert_eq!(taker.receive(bytes), Err(Refusal::Form), "{bytes:?}");
    }
    for bytes in [
        b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0",
        b"\0\x01\x04",
        b"\0\x02\x04\xff",
        b"\0\x02\x01\0",
        b"\0\x01\x03",
    ] {
        let mut teller = teller("foo");
        assert_eq!(teller.receive(bytes), Err(TellError::Stranger), "{bytes:?}");
    }
}

#[test]
fn an_outcome_has_a_bound_and_counts_what_it_leaves_out() {
    let trouble = |number: usize| Trouble {
        host: format!("{number}.example"),
        why: "ü".repeat(2000),
    };
    let outcome = Outcome::Done {
        hosts: 1,
        troubles: (0..1000).map(trouble).collect(),
        more: 5,
    };
    let (mut taker, mut teller) = (taker(false), teller("foo"));
    taker.receive(&teller.departing()).unwrap();
    teller.receive(&taker.departing()).unwrap();
    taker.receive(&teller.departing()).unwrap();
    taker.conclude(&outcome, 0);
    let answer = taker.departing();
    assert!(answer.len() <= MOST_FRAME);
    let told = teller.receive(&answer).unwrap().unwrap();
    let Outcome::Done { troubles, more, .. } = told.outcome else {
        panic!("another outcome");
    };
    assert!(troubles.len() > 20);
    assert_eq!(troubles.len() + usize::try_from(more).unwrap(), 1005);
    assert!(troubles[0].why.chars().all(|letter| letter == 'ü'));
    for length in 0..100 {
        let outcome = done().encode();
        let cut = outcome.get(..length).filter(|cut| *cut != outcome);
        assert_eq!(cut.and_then(Outcome::decode), None);
    }
    let longer = [done().encode(), vec![0]].concat();
    assert_eq!(Outcome::decode(&longer), None);
}

#[test]
fn a_pass_has_bounds_and_is_not_shown() {
    assert_eq!(Pass::new(b"").err(), Some(NoPass));
    assert_eq!(Pass::new(&[b'x'; 1025]).err(), Some(NoPass));
    assert_eq!(format!("{:?}", pass("secret")), "Pass");
    assert!(NoPass.to_string().contains("1024"));
    assert_eq!(pass("foo").bare(), b"foo");
}

#[test]
fn nonces_do_not_come_twice() {
    let mut nonces = Nonces::new([1; 64]);
    let (first, second) = (nonces.draw(), nonces.draw());
    assert_ne!(first, second);
    assert_ne!(first, Nonces::new([2; 64]).draw());
}

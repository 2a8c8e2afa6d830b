//! Notices that the store has changed: what strangers say to either end, and what becomes of a
//! conversation that somebody spoils on its way.

use std::sync::{Arc, OnceLock};

use stockade_store::notice::{MOST_FRAME, NONCE, Notice, Outcome, Pass, Taker, Teller, Trouble};

use super::input::Input;

/// What both ends know.
const PASS: &[u8] = b"foo";
const TELLER: [u8; NONCE] = [9; NONCE];
const IMAGE: [u8; NONCE] = [7; NONCE];
const TIME: u64 = 1_795_000_000;
/// Turns that two ends get.
const TURNS: usize = 6;

/// A byte that says what the rest is: what a stranger says to the image, or to a teller, in pieces; an
/// outcome; or what is spoiled of a conversation between two ends that mean well.
///
/// Checked: whoever has not shown the pass has told nothing; each end says little, and nothing once it is
/// over; an outcome reads as it was written; and what a spoiled conversation brings back is what the
/// image said, or nothing.
pub fn notice(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() {
        Some(0) => to_image(&mut input),
        Some(1) => to_teller(&mut input),
        Some(2) => outcome(&bytes[1..]),
        Some(_) => spoiled(&mut input),
        None => {}
    }
}

fn pass() -> Pass {
    static KNOWN: OnceLock<Pass> = OnceLock::new();
    let pass = KNOWN.get_or_init(|| Pass::new(PASS).expect("it is short"));
    pass.clone()
}

fn to_image(input: &mut Input<'_>) {
    let takes_bare = input.byte().is_some_and(|flags| flags & 1 == 1);
    let mut taker = Taker::new(Arc::new(pass()), takes_bare, IMAGE);
    let (mut said, mut sent, mut taken) = (Vec::new(), 0, 0);
    let mut was_over = false;
    loop {
        let piece = input.block();
        let result = match piece {
            Some(piece) => {
                said.extend_from_slice(piece);
                taker.receive(piece)
            }
            None => taker.receive_end(),
        };
        match result {
            Ok(Some(Notice::Bare)) => {
                assert!(takes_bare && said.starts_with(PASS), "it was not said");
                taken += 1;
            }
            Ok(Some(Notice::Framed { .. })) => taken += 1,
            Ok(None) => {}
            Err(refusal) => {
                assert!(!refusal.to_string().is_empty());
                assert!(taker.is_over() && taken == 0);
            }
        }
        if taken == 1 && input.byte().is_some_and(|byte| byte & 1 == 0) {
            taker.conclude(&answer(), TIME);
            assert!(taker.is_over());
        }
        let departing = taker.departing();
        assert!(
            !was_over || departing.is_empty(),
            "it speaks when it is over"
        );
        sent += departing.len();
        was_over = taker.is_over();
        if piece.is_none() {
            break;
        }
    }
    assert!(taken <= 1 && sent <= 2 * MOST_FRAME);
}

fn to_teller(input: &mut Input<'_>) {
    let mut teller = Teller::new(pass(), TELLER, TIME);
    let mut told = 0;
    let mut sent = teller.departing().len();
    while let Some(piece) = input.block() {
        match teller.receive(piece) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                told += 1;
                assert_eq!(
                    Outcome::decode(&answer.outcome.encode()),
                    Some(answer.outcome)
                );
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        sent += teller.departing().len();
    }
    assert!(told <= 1 && sent < 200);
    if teller.receive_end().is_err() {
        assert_eq!(told, 0);
    }
}

fn outcome(bytes: &[u8]) {
    if let Some(outcome) = Outcome::decode(bytes) {
        let again = outcome.encode();
        assert!(again.len() <= MOST_FRAME);
        let read = Outcome::decode(&again).expect("it was written here");
        // What was left out is counted; all else stays.
        match (&outcome, &read) {
            (
                Outcome::Done {
                    hosts,
                    troubles,
                    more,
                },
                Outcome::Done {
                    hosts: again,
                    troubles: kept,
                    more: left,
                },
            ) => {
                assert_eq!(hosts, again);
                assert!(troubles.starts_with(kept));
                let out = u32::try_from(troubles.len() - kept.len()).expect("few");
                assert_eq!(more.saturating_add(out), *left);
            }
            _ => assert_eq!(outcome, read),
        }
    }
}

fn answer() -> Outcome {
    Outcome::Done {
        hosts: 2,
        troubles: vec![Trouble {
            host: "a.example".to_owned(),
            why: "no key".to_owned(),
        }],
        more: 1,
    }
}

/// Each turn: a byte of the wire to the image that gets another value, and one of the wire back.
fn spoiled(input: &mut Input<'_>) {
    let mut taker = Taker::new(Arc::new(pass()), true, IMAGE);
    let mut teller = Teller::new(pass(), TELLER, TIME);
    let (mut is_spoiled, mut taken, mut told) = (false, false, None);
    for _ in 0..TURNS {
        let mut wire = teller.departing();
        is_spoiled |= spoil(&mut wire, input);
        if let Ok(Some(notice)) = taker.receive(&wire) {
            assert_eq!(notice, Notice::Framed { time: TIME });
            taken = true;
            taker.conclude(&answer(), TIME);
        }
        let mut wire = taker.departing();
        is_spoiled |= spoil(&mut wire, input);
        match teller.receive(&wire) {
            Ok(Some(found)) => told = Some(found),
            Ok(None) => {}
            Err(_) => assert!(is_spoiled, "refused for nothing"),
        }
    }
    if let Some(told) = &told {
        assert!(taken, "told by nobody");
        assert_eq!((&told.outcome, told.time), (&answer(), TIME));
    }
    assert!(is_spoiled || told.is_some(), "lost");
}

/// Gives a byte another value, if the input says so. The rest is as it was.
fn spoil(wire: &mut [u8], input: &mut Input<'_>) -> bool {
    let (Some(place), Some(change)) = (input.half(), input.byte()) else {
        return false;
    };
    match wire.get_mut(usize::from(place)) {
        Some(byte) if change != 0 => {
            *byte ^= change;
            true
        }
        _ => false,
    }
}

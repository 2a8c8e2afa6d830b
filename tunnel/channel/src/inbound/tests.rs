//! Messages out of bytes.

use alloc::vec::Vec;

use super::*;

const MOST: usize = 50_000;

fn message(length: usize) -> Vec<u8> {
    let bytes = (0..length).map(|i| i as u8);
    let prefix = u32::try_from(length).unwrap().to_le_bytes();
    prefix.into_iter().chain(bytes).collect()
}

#[test]
fn messages_cut_anywhere_come_whole() {
    let lengths = [0, 1, 3, 4, 5, 1000, 4096, 40_000, MOST, 2];
    let stream: Vec<u8> = lengths.into_iter().flat_map(message).collect();
    for piece in [1, 2, 3, 5, 64, 4096, WAITING_MOST] {
        let mut inbound = Inbound::default();
        let mut found = Vec::new();
        for bytes in stream.chunks(piece) {
            assert!(inbound.push(bytes));
            while let Some(message) = inbound.next(MOST) {
                found.push(message.unwrap().len());
            }
        }
        assert_eq!(found, lengths);
        assert_eq!(inbound.waiting.capacity(), 0, "nothing is kept");
    }
}

#[test]
fn what_is_not_asked_for_waits_within_its_bound() {
    let mut inbound = Inbound::default();
    let mut pushed = 0;
    while inbound.push(&message(96)) {
        pushed += 1;
        assert!(inbound.waiting.capacity() <= WAITING_MOST);
    }
    assert_eq!(pushed, WAITING_MOST / 100);
    assert_eq!(inbound.next(MOST).unwrap().unwrap().len(), 96);
    assert!(inbound.push(&message(96)));
    for _ in 0..pushed {
        assert_eq!(inbound.next(MOST).unwrap().unwrap().len(), 96);
    }
    assert!(inbound.next(MOST).is_none());
}

#[test]
fn a_message_that_is_too_long_is_passed_over() {
    let mut inbound = Inbound::default();
    let stream = [message(MOST + 1), message(7)].concat();
    let mut found = Vec::new();
    for bytes in stream.chunks(4096) {
        assert!(inbound.push(bytes));
        while let Some(message) = inbound.next(MOST) {
            found.push(message.map(|message| message.len()));
        }
    }
    let length = u32::try_from(MOST + 1).unwrap();
    let refused = Err(BadMessage::TooLong { length, most: MOST });
    assert_eq!(found, [refused, Ok(7)]);
}

#[test]
fn endless_beginnings_take_no_memory() {
    let mut inbound = Inbound::default();
    for length in [u32::MAX, u32::MAX - 1] {
        assert!(inbound.push(&length.to_le_bytes()));
        assert!(matches!(
            inbound.next(MOST),
            Some(Err(BadMessage::TooLong { .. }))
        ));
        // What follows is that message's, whatever it looks like.
        for _ in 0..100 {
            assert!(inbound.push(&u32::MAX.to_le_bytes()));
            assert!(inbound.next(MOST).is_none());
            assert!(inbound.waiting.capacity() < 64);
        }
        inbound = Inbound::default();
    }
}

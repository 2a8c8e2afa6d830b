//! The ring of bytes beside a plain vector that does the same.

use alloc::vec::Vec;

use super::*;

#[test]
fn it_does_what_a_vector_does() {
    const MOST: usize = 5000;
    let mut queue = Queue::default();
    let mut plain: Vec<u8> = Vec::new();
    let mut state = 7u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for step in 0..5000 {
        let bytes: Vec<u8> = (0..random(700)).map(|i| (i + step) as u8).collect();
        let fits = plain.len() + bytes.len() <= MOST;
        assert_eq!(queue.reserve(bytes.len(), MOST), fits);
        if fits {
            queue.append(&bytes);
            plain.extend(&bytes);
        }
        let (from, length) = (random(plain.len() + 1), random(800));
        let expect = &plain[from..plain.len().min(from + length)];
        assert_eq!(queue.part(from, length).concat(), expect);
        let removed = random(800).min(plain.len());
        queue.remove(removed, step % 2 == 0);
        plain.drain(..removed);
        assert_eq!(queue.len(), plain.len());
        assert!(queue.bytes.capacity() <= MOST);
    }
}

#[test]
fn memory_is_given_back_when_it_is_empty() {
    let mut queue = Queue::default();
    assert!(queue.reserve(100_000, 100_000));
    queue.append(&[1; 100_000]);
    assert!(!queue.reserve(1, 100_000));
    assert!(!queue.reserve(usize::MAX, usize::MAX));
    queue.remove(100_000, true);
    assert!(queue.bytes.capacity() <= KEPT);
}

#[test]
fn secret_bytes_are_wiped_in_place() {
    let mut queue = Queue::default();
    assert!(queue.reserve(8, 8));
    queue.append(b"secrets!");
    queue.wipe(3);
    assert_eq!(queue.part(0, 8).concat(), b"\0\0\0rets!");
}

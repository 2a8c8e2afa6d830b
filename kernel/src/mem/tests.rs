//! The memory routines against the standard library, at every size around their branches.

use super::*;

/// Sizes around every branch of the routines.
fn sizes() -> impl Iterator<Item = usize> {
    (0..200)
        .chain([255, 256, 257, 320, 321, 511, 512, 513, 514, 519])
        .chain([
            767, 768, 769, 833, 1000, 1023, 1024, 1025, 1279, 1281, 1536, 1600, 1792, 2047, 2048,
            2049, 3000, 4096, 4099,
        ])
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Runs `check` without AVX, and with it where this processor has it.
fn narrow_and_wide(check: fn()) {
    check();
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX, and the operating system keeps its state.
        unsafe { use_avx() };
        check();
    }
}

#[test]
fn copy_moves_every_byte_and_no_other() {
    narrow_and_wide(check_copy);
}

fn check_copy() {
    for size in sizes() {
        for offset in [0, 1, 7, 15] {
            let source = pattern(size + offset);
            let mut target = vec![0xee; size + 32];
            // SAFETY: both regions hold `size` bytes from their offsets and do not overlap.
            let end = unsafe {
                copy(
                    target.as_mut_ptr().wrapping_add(16),
                    source.as_ptr().wrapping_add(offset),
                    size,
                )
            };
            assert_eq!(end, target.as_mut_ptr().wrapping_add(16));
            assert_eq!(target[16..16 + size], source[offset..], "{size}");
            assert!(target[..16].iter().all(|&byte| byte == 0xee), "{size}");
            assert!(target[16 + size..].iter().all(|&byte| byte == 0xee));
        }
    }
}

#[test]
fn overlapping_copies_match_copy_within() {
    narrow_and_wide(check_overlapping_copies);
}

fn check_overlapping_copies() {
    for size in sizes() {
        for (from, to) in [
            (0, 0),
            (0, 1),
            (1, 0),
            (0, 8),
            (8, 0),
            (3, 67),
            (67, 3),
            (0, 130),
            (130, 0),
            (100, 0),
        ] {
            let mut expected = pattern(size + 140);
            let mut actual = expected.clone();
            expected.copy_within(from..from + size, to);
            let base = actual.as_mut_ptr();
            // SAFETY: both regions lie in `actual`, which has 140 bytes more than `size`.
            unsafe { copy_overlapping(base.wrapping_add(to), base.wrapping_add(from), size) };
            assert!(actual == expected, "size {size} from {from} to {to}");
        }
    }
}

#[test]
fn fill_sets_every_byte_and_no_other() {
    for size in sizes() {
        let mut target = vec![0x11; size + 32];
        let start = target.as_mut_ptr().wrapping_add(16);
        // SAFETY: `target` has 16 bytes more than `size` from `start`.
        let end = unsafe { fill(start, 0x1a5, size) };
        assert_eq!(end, start);
        let inside = 16..16 + size;
        for (index, &byte) in target.iter().enumerate() {
            let expected = if inside.contains(&index) { 0xa5 } else { 0x11 };
            assert_eq!(byte, expected, "size {size} index {index}");
        }
    }
}

#[test]
fn compare_finds_the_first_difference() {
    for size in sizes() {
        let left = pattern(size);
        // SAFETY: both slices hold `size` bytes.
        assert_eq!(unsafe { compare(left.as_ptr(), left.as_ptr(), size) }, 0);
        for place in (0..size).step_by(1 + size / 40) {
            let mut right = left.clone();
            right[place] = right[place].wrapping_add(1);
            if let Some(last) = right.last_mut().filter(|_| place + 1 < size) {
                *last ^= 0x55;
            }
            let expected = left.cmp(&right) as i32;
            // SAFETY: both slices hold `size` bytes.
            let order = unsafe { compare(left.as_ptr(), right.as_ptr(), size) };
            assert_eq!(order.signum(), expected, "size {size} place {place}");
            // SAFETY: both slices hold `size` bytes.
            assert_ne!(unsafe { differ(left.as_ptr(), right.as_ptr(), size) }, 0);
        }
    }
}

#[test]
fn length_stops_at_the_first_zero() {
    for (text, expected) in [(&b"\0"[..], 0), (b"a\0b\0", 1), (b"sixteen letters.\0", 16)] {
        // SAFETY: every text holds a zero byte.
        assert_eq!(unsafe { length(text.as_ptr()) }, expected);
    }
}

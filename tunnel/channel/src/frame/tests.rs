//! Frames: their form, byte by byte, and what becomes of broken ones.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

fn frame(payload: &[u8]) -> Frame<'_> {
    Frame {
        direction: b'G',
        sequence: 0x0102_0304,
        acknowledgement: 5,
        payload: [payload, &[]],
    }
}

fn written(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    frame(payload).write(&mut wire);
    wire
}

/// What the reader makes of a wire: each frame's payload, or nothing where one is broken.
fn read(wire: &[u8], piece: usize) -> Vec<Option<Vec<u8>>> {
    let mut frames = Unstuffing::default();
    let mut found = Vec::new();
    for mut bytes in wire.chunks(piece) {
        while frames.read(&mut bytes) {
            let Some(raw) = frames.take() else {
                found.push(None);
                continue;
            };
            if !raw.is_empty() {
                found.push(Frame::parse(&raw).map(|frame| frame.payload[0].to_vec()));
            }
            frames.reuse(raw);
        }
    }
    found
}

/// Bytes that look random, with zeros among them.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    core::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

#[test]
fn the_form_of_a_frame() {
    let expect: &[&[u8]] = &[
        &[0],
        // Version, direction, and the length's low byte; its high byte ends the run.
        &[4, 1, b'G', 3],
        // The sequence number, whose upper half is zeros.
        &[5, 4, 3, 2, 1, 1, 1, 1],
        // The last of them is this run's, with the acknowledgement behind it.
        &[2, 5, 1, 1, 1, 1, 1, 1],
        // Of that the last zero, the payload, and the CRC as zlib's `crc32` has it.
        &[8, b'a', b'b', b'c', 0xb0, 0xb4, 0xd2, 0xff],
        &[0],
    ];
    assert_eq!(written(b"abc"), expect.concat());
}

#[test]
fn payloads_of_every_shape_come_back() {
    let mut payloads = vec![
        vec![],
        vec![0],
        vec![0; PAYLOAD_MOST],
        vec![0xff; PAYLOAD_MOST],
        bytes(PAYLOAD_MOST),
    ];
    // Runs around the longest, with a zero behind them and without.
    for length in 200..300 {
        payloads.push(vec![7; length]);
        payloads.push([vec![7; length], vec![0]].concat());
        payloads.push([vec![0], vec![7; length], vec![0, 0]].concat());
    }
    for payload in payloads {
        let wire = written(&payload);
        assert!(wire.len() <= WIRE_MOST, "{} bytes", wire.len());
        let inside = &wire[1..wire.len() - 1];
        assert!(!inside.contains(&0), "a zero byte inside a frame");
        for piece in [1, 7, usize::MAX] {
            assert_eq!(read(&wire, piece), [Some(payload.clone())]);
        }
    }
}

#[test]
fn two_pieces_are_one_payload() {
    let payload = bytes(1000);
    for at in 0..payload.len() {
        let (first, second) = payload.split_at(at);
        let mut wire = Vec::new();
        let halves = Frame {
            payload: [first, second],
            ..frame(&[])
        };
        halves.write(&mut wire);
        assert_eq!(wire, written(&payload));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let wire = written(b"a payload");
    for at in 0..wire.len() {
        for bit in 0..8 {
            let mut wire = wire.clone();
            wire[at] ^= 1 << bit;
            wire.extend(written(b"the next one"));
            let found = read(&wire, usize::MAX);
            assert_eq!(found.last(), Some(&Some(b"the next one".to_vec())));
            // Only the first edge may be lost without harm to the frame: when it is the first byte
            // of all, what takes its place is read as a part of the frame.
            assert_eq!(
                found.iter().flatten().count(),
                1,
                "bit {bit} of byte {at}: {found:x?}"
            );
        }
    }
}

#[test]
fn after_a_cut_the_next_frame_is_read() {
    let first = written(&bytes(300));
    let second = written(b"second");
    for kept in 0..first.len() - 1 {
        // The end is lost, the beginning is lost, something in the middle is lost.
        let cuts = [
            first[..kept].to_vec(),
            first[kept + 1..].to_vec(),
            [&first[..kept], &first[kept + 1..]].concat(),
        ];
        for cut in cuts {
            let wire = [cut, second.clone()].concat();
            let found = read(&wire, usize::MAX);
            assert_eq!(found.last(), Some(&Some(b"second".to_vec())));
        }
    }
}

#[test]
fn a_frame_in_a_payload_is_no_frame() {
    let inner = written(b"forged");
    let outer = written(&inner);
    // Without its first edge alone, the outer one is whole.
    for lost in 2..outer.len() {
        let found = read(&outer[lost..], usize::MAX);
        assert_eq!(found.iter().flatten().count(), 0, "after {lost} bytes");
    }
}

#[test]
fn endless_frames_take_no_more_memory_than_one() {
    let mut frames = Unstuffing::default();
    for _ in 0..1000 {
        assert!(!frames.read(&mut &[0x55; 4096][..]));
        assert!(frames.frame.capacity() <= FRAME_MOST);
    }
    assert!(frames.read(&mut &[0][..]));
    assert_eq!(frames.take(), None);
    // And the one after it is whole.
    let wire = written(b"abc");
    let mut bytes = &wire[1..];
    assert!(frames.read(&mut bytes));
    assert!(Frame::parse(&frames.take().unwrap()).is_some());
}

#[test]
fn other_versions_and_wrong_lengths_are_refused() {
    /// A frame's bytes with a right CRC.
    #[track_caller]
    fn check(header: &[u8], payload: &[u8], expect: bool) {
        let mut bytes = [header, payload].concat();
        let mut crc = Crc::new();
        crc.update(&bytes);
        bytes.extend(crc.finish().to_le_bytes());
        assert_eq!(Frame::parse(&bytes).is_some(), expect);
    }
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&[VERSION, b'G', 3, 0]);
    check(&header, b"abc", true);
    check(&header, b"ab", false);
    check(&header, b"abcd", false);
    check(&header[..HEADER - 1], b"", false);
    check(b"", b"", false);
    header[0] = VERSION + 1;
    check(&header, b"abc", false);
}

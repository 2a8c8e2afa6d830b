//! Frames by hand: what the classifier makes of good, odd and damaged ones.

use std::vec;
use std::vec::Vec;

use super::*;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 2];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A TCP segment of 3 payload bytes from port 1000 to 443, with 4 bytes of options.
const SEGMENT: [u8; 27] = [
    0x03, 0xe8, 0x01, 0xbb, 0, 0, 0, 9, 0, 0, 0, 7, 0x60, 0x18, 0x10, 0, 0, 0, 0, 0, 1, 1, 1, 1,
    b'a', b'b', b'c',
];

fn ethernet(ethertype: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [&OURS[..], &THEIRS, &ethertype, packet].concat()
}

fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2,
    ];
    packet[3] = (20 + payload.len()) as u8;
    packet.extend(payload);
    ethernet([8, 0], &packet)
}

fn v6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next_header, 64];
    for last in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    ethernet([0x86, 0xdd], &packet)
}

fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn flow(local: &str, remote: &str) -> Flow {
    Flow {
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
    }
}

fn segment(local: &str, remote: &str) -> Class {
    Class::Tcp(Segment {
        flow: flow(local, remote),
        flags: 0x18,
        sequence: 9,
        acknowledgment: 7,
        window: 0x1000,
        payload: 3,
        source_mac: THEIRS,
    })
}

#[track_caller]
fn check(frame: &[u8], expect: Class) {
    let link = Link {
        mac: OURS,
        loopback: Loopback::Nowhere,
    };
    assert_eq!(classify(frame, &link), expect);
}

#[test]
fn tcp_over_both_families() {
    let four = segment("10.9.0.2:443", "10.9.0.1:1000");
    let frame = v4(6, &SEGMENT);
    check(&frame, four);
    // Ethernet's padding is not payload.
    let padded = [&frame[..], &[0; 9]].concat();
    check(&padded, segment("10.9.0.2:443", "10.9.0.1:1000"));
    check(&v6(6, &SEGMENT), segment("[fd00::2]:443", "[fd00::1]:1000"));
    // With IPv4 options the segment begins later.
    let mut options = v4(6, &[&[1, 1, 1, 1][..], &SEGMENT].concat());
    options[14] = 0x46;
    check(&options, segment("10.9.0.2:443", "10.9.0.1:1000"));
}

#[test]
fn cut_short_anywhere_is_dropped() {
    for frame in [v4(6, &SEGMENT), v6(6, &SEGMENT), v4(17, &[0; 8])] {
        for len in 0..frame.len() {
            check(&frame[..len], Class::Drop);
        }
    }
}

#[test]
fn frames_for_others_and_impossible_addresses() {
    let frame = v4(6, &SEGMENT);
    check(&with(frame.clone(), 0, &[2, 0, 0, 0, 0, 3]), Class::Drop);
    check(&with(frame.clone(), 6, &[3]), Class::Drop);
    check(&with(frame.clone(), 6, &OURS), Class::Drop);
    check(&with(frame.clone(), 0, &[0xff; 6]), Class::Drop);
    for source in [
        [0, 0, 0, 0],
        [0, 1, 2, 3],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255; 4],
        [10, 9, 0, 2],
    ] {
        check(&with(frame.clone(), 26, &source), Class::Drop);
    }
    for destination in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        check(&with(frame.clone(), 30, &destination), Class::Drop);
    }
    let frame = v6(6, &SEGMENT);
    let mut loopback = [0; 16];
    check(&with(frame.clone(), 22, &loopback), Class::Drop);
    check(&with(frame.clone(), 38, &loopback), Class::Drop);
    loopback[15] = 1;
    check(&with(frame.clone(), 22, &loopback), Class::Drop);
    check(&with(frame.clone(), 38, &loopback), Class::Drop);
    check(&with(frame.clone(), 22, &[0xff]), Class::Drop);
    check(&with(frame.clone(), 38, &[0xff]), Class::Drop);
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 0, 1];
    check(&with(frame, 22, &mapped), Class::Drop);
}

#[test]
fn loopback_addresses_where_a_launcher_is() {
    let check = |loopback, frame: &[u8], expect| {
        let link = Link {
            mac: OURS,
            loopback,
        };
        assert_eq!(classify(frame, &link), expect, "{loopback:?}");
    };
    let four = v4(6, &SEGMENT);
    let from = with(four.clone(), 26, &[127, 9, 8, 7]);
    let to = with(four.clone(), 30, &[127, 9, 8, 7]);
    let mut one = [0; 16];
    one[15] = 1;
    let six = v6(6, &SEGMENT);
    let from_six = with(six.clone(), 22, &one);
    let to_six = with(six.clone(), 38, &one);
    for loopback in [Loopback::Nowhere, Loopback::Remote, Loopback::Local] {
        check(loopback, &four, segment("10.9.0.2:443", "10.9.0.1:1000"));
        check(loopback, &six, segment("[fd00::2]:443", "[fd00::1]:1000"));
    }
    check(
        Loopback::Remote,
        &from,
        segment("10.9.0.2:443", "127.9.8.7:1000"),
    );
    check(
        Loopback::Remote,
        &from_six,
        segment("[fd00::2]:443", "[::1]:1000"),
    );
    check(Loopback::Remote, &to, Class::Drop);
    check(Loopback::Remote, &to_six, Class::Drop);
    check(
        Loopback::Local,
        &to,
        segment("127.9.8.7:443", "10.9.0.1:1000"),
    );
    check(
        Loopback::Local,
        &to_six,
        segment("[::1]:443", "[fd00::1]:1000"),
    );
    check(Loopback::Local, &from, Class::Drop);
    check(Loopback::Local, &from_six, Class::Drop);
    for loopback in [Loopback::Remote, Loopback::Local] {
        // Not between two of them, not from or to nowhere, and nothing but TCP.
        check(
            loopback,
            &with(from.clone(), 30, &[127, 0, 0, 2]),
            Class::Drop,
        );
        check(
            loopback,
            &with(from.clone(), 30, &[224, 0, 0, 2]),
            Class::Drop,
        );
        check(loopback, &with(to.clone(), 26, &[0; 4]), Class::Drop);
        check(
            loopback,
            &with(four.clone(), 26, &[224, 0, 0, 1]),
            Class::Drop,
        );
        check(loopback, &with(six.clone(), 22, &[0xff]), Class::Drop);
        let udp = [0, 53, 0x9c, 0x40, 0, 8, 0, 0];
        check(
            loopback,
            &with(v4(17, &udp), 26, &[127, 0, 0, 1]),
            Class::Drop,
        );
        check(
            loopback,
            &with(v4(17, &udp), 30, &[127, 0, 0, 1]),
            Class::Drop,
        );
        check(
            loopback,
            &with(v6(58, &[128, 0, 0, 0]), 22, &one),
            Class::Drop,
        );
    }
}

#[test]
fn malformed_headers() {
    let frame = v4(6, &SEGMENT);
    check(&with(frame.clone(), 14, &[0x55]), Class::Drop);
    check(&with(frame.clone(), 14, &[0x44]), Class::Drop);
    // Total length below the header's, and beyond the frame.
    check(&with(frame.clone(), 16, &[0, 19]), Class::Drop);
    check(&with(frame.clone(), 16, &[0xff, 0xff]), Class::Drop);
    // More fragments; a fragment's offset.
    check(&with(frame.clone(), 20, &[0x20, 0]), Class::Drop);
    check(&with(frame.clone(), 20, &[0, 1]), Class::Drop);
    // A data offset below 5 words, and beyond the segment; ports of zero.
    check(&with(frame.clone(), 46, &[0x40]), Class::Drop);
    check(&with(frame.clone(), 46, &[0xf0]), Class::Drop);
    check(&with(frame.clone(), 34, &[0, 0]), Class::Drop);
    check(&with(frame.clone(), 36, &[0, 0]), Class::Drop);
    check(&with(frame, 12, &[0x88, 0xb5]), Class::Drop);
}

#[test]
fn everything_else() {
    check(&ethernet([8, 6], &[0; 28]), Class::Neighbor);
    let udp = |source: u16, destination: u16| {
        let [a, b] = source.to_be_bytes();
        let [c, d] = destination.to_be_bytes();
        [a, b, c, d, 0, 8, 0, 0]
    };
    check(&v4(17, &udp(67, 68)), Class::Service);
    check(&v4(17, &udp(53, 40_000)), Class::Service);
    check(&v6(17, &udp(53, 40_000)), Class::Service);
    check(&v4(17, &udp(53, 100)), Class::Stray);
    check(&v4(17, &udp(5353, 5353)), Class::Drop);
    check(&v4(17, &udp(1, 2)), Class::Stray);
    check(&v4(1, &[8, 0, 0, 0]), Class::Service);
    check(&with(v4(1, &[8, 0, 0, 0]), 0, &[0xff; 6]), Class::Drop);
    check(&v4(1, &[0, 0, 0, 0]), Class::Drop);
    check(&v4(132, &[0; 8]), Class::Stray);
    check(&v6(58, &[128, 0, 0, 0]), Class::Service);
    check(&v6(58, &[135, 0, 0, 0]), Class::Neighbor);
    check(&v6(58, &[136, 0, 0, 0]), Class::Neighbor);
    check(&v6(58, &[134, 0, 0, 0]), Class::Drop);
    check(&v6(0, &[0; 8]), Class::Drop);
    check(&v6(44, &[0; 8]), Class::Stray);
}

#[test]
fn undeliverable() {
    let sent = v4(6, &SEGMENT);
    let quote = |kind: u8, code: u8| [&[kind, code, 0, 0, 0, 0, 0, 0][..], &sent[14..42]].concat();
    let about = |error| {
        Class::Undeliverable(Undeliverable {
            flow: flow("10.9.0.1:1000", "10.9.0.2:443"),
            sequence: 9,
            error,
        })
    };
    check(&v4(1, &quote(3, 1)), about(StreamError::Unreachable));
    check(&v4(1, &quote(3, 13)), about(StreamError::Prohibited));
    check(&v4(1, &quote(3, 3)), about(StreamError::Refused));
    check(&v4(1, &quote(3, 4)), Class::Drop);
    check(&v4(1, &quote(11, 0)), Class::Drop);
    let short = quote(3, 1);
    for len in 0..short.len() {
        check(&v4(1, &short[..len]), Class::Drop);
    }
    let sent = v6(6, &SEGMENT);
    let quote = |code: u8| [&[1, code, 0, 0, 0, 0, 0, 0][..], &sent[14..62]].concat();
    let about = |error| {
        Class::Undeliverable(Undeliverable {
            flow: flow("[fd00::1]:1000", "[fd00::2]:443"),
            sequence: 9,
            error,
        })
    };
    check(&v6(58, &quote(0)), about(StreamError::Unreachable));
    check(&v6(58, &quote(4)), about(StreamError::Refused));
}

#[test]
fn reads_back_what_was_sent() {
    let expect = Outgoing::Tcp(Sent {
        sequence: 9,
        end: 12,
        acknowledgment: 7,
        window: 0x1000,
        flags: 0x18,
    });
    assert_eq!(outgoing(&v4(6, &SEGMENT)), expect);
    assert_eq!(outgoing(&v6(6, &SEGMENT)), expect);
    assert_eq!(
        outgoing(&ethernet([8, 6], &[0; 28])),
        Outgoing::Solicitation
    );
    assert_eq!(outgoing(&v6(58, &[135, 0])), Outgoing::Solicitation);
    assert_eq!(outgoing(&v6(58, &[129, 0])), Outgoing::Other);
    assert_eq!(outgoing(&v4(17, &[0; 8])), Outgoing::Other);
    assert_eq!(outgoing(&[]), Outgoing::Other);
}

#[test]
fn a_segments_extent() {
    let with = |flags, sequence, payload| Segment {
        flow: flow("10.9.0.2:443", "10.9.0.1:1000"),
        flags,
        sequence,
        acknowledgment: 0,
        window: 0,
        payload,
        source_mac: THEIRS,
    };
    assert_eq!(with(flag::ACK, 5, 10).end(), 15);
    assert_eq!(with(flag::SYN, u32::MAX, 0).end(), 0);
    assert_eq!(with(flag::FIN | flag::ACK, 5, 10).end(), 16);
    assert!(with(flag::SYN, 0, 0).opens());
    assert!(!with(flag::SYN | flag::ACK, 0, 0).opens());
    assert!(!with(flag::SYN | flag::RST, 0, 0).opens());
}

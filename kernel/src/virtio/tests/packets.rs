//! Checksums and the virtio-net header: vectors.

use smoltcp::wire::IpProtocol;

use super::frames::{ETHERNET, ip, tcp, udp};
use crate::virtio::checksum::{fold, sum};
use crate::virtio::header::{LEGACY_LENGTH, MODERN_LENGTH, TransmitOffload, vouched};
use crate::virtio::packet::{Contents, IpVersion, Protocol, Segment, Verdict, inspect, judge};

const ALL: TransmitOffload = TransmitOffload {
    checksum: true,
    tso4: true,
    tso6: true,
};

/// The slow, obvious way: RFC 1071 §1 word by word.
fn plain_sum(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[test]
fn sums_the_example_of_rfc_1071() {
    // RFC 1071 §3.
    assert_eq!(
        sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
        0xddf2
    );
}

#[test]
fn sums_every_length_and_alignment_as_the_plain_way_does() {
    let bytes: Vec<u8> = (0..600u32).map(|n| (n * 167 + n / 7) as u8).collect();
    for start in 0..9 {
        for end in start..start + 70 {
            assert_eq!(sum(&bytes[start..end]), plain_sum(&bytes[start..end]));
        }
    }
    assert_eq!(sum(&bytes), plain_sum(&bytes));
    assert_eq!(sum(&[0xff; 65_536]), plain_sum(&[0xff; 65_536]));
    assert_eq!(sum(&[]), 0);
    assert_eq!(fold(0x1_ffff_ffff), 1);
}

#[track_caller]
fn check_verdict(frame: &[u8], expect: Verdict) {
    assert_eq!(judge(frame, false), expect);
}

#[test]
fn right_checksums_pass_and_any_flipped_bit_fails() {
    for version in [4, 6] {
        for payload in [&b""[..], b"x", b"odd", b"even", &[0xff; 1001], &[0; 1460]] {
            for (frame, header) in [(tcp(version, payload), 32), (udp(version, payload), 8)] {
                check_verdict(&frame, Verdict::Deliver);
                let segment = frame.len() - payload.len() - header;
                for at in [segment, segment + 2, frame.len() - 1] {
                    let mut bad = frame.clone();
                    bad[at] ^= 0x10;
                    check_verdict(&bad, Verdict::Corrupt);
                    assert_eq!(judge(&bad, true), Verdict::Deliver, "the device vouches");
                }
            }
        }
    }
}

#[test]
fn a_changed_address_fails_too() {
    for version in [4, 6] {
        let mut frame = tcp(version, b"data");
        frame[ETHERNET + if version == 4 { 15 } else { 23 }] ^= 1;
        check_verdict(&frame, Verdict::Corrupt);
    }
}

#[test]
fn padding_behind_the_packet_does_not_count() {
    for version in [4, 6] {
        for mut frame in [tcp(version, b"abc"), udp(version, b"abc")] {
            frame.extend_from_slice(b"padding");
            check_verdict(&frame, Verdict::Deliver);
        }
    }
}

#[test]
fn udp_without_checksum_passes_over_ipv4_only() {
    for (version, expect) in [(4, Verdict::Deliver), (6, Verdict::Corrupt)] {
        let mut frame = udp(version, b"no checksum");
        let at = frame.len() - 11 - 2;
        frame[at..at + 2].fill(0);
        check_verdict(&frame, expect);
    }
}

#[test]
fn udp_whose_length_exceeds_the_packet_fails() {
    for length in [0u16, 7, 500, u16::MAX] {
        let mut frame = udp(4, b"hello");
        frame[ETHERNET + 24..ETHERNET + 26].copy_from_slice(&length.to_be_bytes());
        check_verdict(&frame, Verdict::Corrupt);
    }
}

#[test]
fn fragments_are_never_taken_for_whole_segments() {
    for field in [0x2000u16, 0x0001, 0x2010] {
        let mut frame = tcp(4, b"a part of more");
        frame[ETHERNET + 6..ETHERNET + 8].copy_from_slice(&field.to_be_bytes());
        check_verdict(&frame, Verdict::Fragment);
        assert_eq!(judge(&frame, true), Verdict::Fragment);
    }
    let mut frame = tcp(4, b"do not fragment, and whole");
    frame[ETHERNET + 6..ETHERNET + 8].copy_from_slice(&0x4000u16.to_be_bytes());
    assert!(matches!(inspect(&frame), Contents::Segment(_)));
    let fragment = ip(6, IpProtocol::Ipv6Frag, 100, |bytes| bytes.fill(6));
    check_verdict(&fragment, Verdict::Fragment);
}

#[test]
fn extension_headers_are_followed() {
    // Hop-by-hop of 8 bytes, destination options of 16, then TCP.
    let inner = tcp(6, b"behind options");
    let segment = &inner[ETHERNET + 40..];
    let frame = ip(6, IpProtocol::HopByHop, 24 + segment.len(), |bytes| {
        bytes[..24].fill(0);
        bytes[0] = 60;
        bytes[8] = 6;
        bytes[9] = 1;
        bytes[24..].copy_from_slice(segment);
    });
    check_verdict(&frame, Verdict::Deliver);
    let Contents::Segment(found) = inspect(&frame) else {
        panic!("the segment is there");
    };
    assert_eq!(found.start, ETHERNET + 40 + 24);
    let mut bad = frame;
    bad[ETHERNET + 40 + 24] ^= 1;
    check_verdict(&bad, Verdict::Corrupt);
}

#[test]
fn an_endless_chain_of_extension_headers_ends() {
    let frame = ip(6, IpProtocol::HopByHop, 1000, |bytes| bytes.fill(0));
    check_verdict(&frame, Verdict::Corrupt);
}

#[test]
fn an_extension_header_longer_than_the_packet_is_refused() {
    for next in [0, 6, 17] {
        let frame = ip(6, IpProtocol::HopByHop, 8, |bytes| {
            bytes.copy_from_slice(&[next, 255, 0, 0, 0, 0, 0, 0]);
        });
        assert_eq!(inspect(&frame), Contents::Malformed);
    }
}

#[test]
fn what_is_not_tcp_or_udp_is_the_stacks_business() {
    check_verdict(&ip(4, IpProtocol::Icmp, 8, |_| {}), Verdict::Deliver);
    check_verdict(&ip(6, IpProtocol::Icmpv6, 8, |_| {}), Verdict::Deliver);
    let mut arp = vec![0; 42];
    arp[12..14].copy_from_slice(&[8, 6]);
    check_verdict(&arp, Verdict::Deliver);
}

#[test]
fn every_truncation_is_survived_and_none_delivered() {
    for version in [4, 6] {
        for frame in [tcp(version, b"some payload"), udp(version, b"some payload")] {
            for length in 14..frame.len() {
                check_verdict(&frame[..length], Verdict::Corrupt);
                assert_eq!(inspect(&frame[..length]), Contents::Malformed);
            }
            for length in 0..14 {
                let _ = judge(&frame[..length], false);
            }
        }
    }
}

#[test]
fn impossible_ip_headers_are_refused() {
    let good = tcp(4, b"payload");
    // Version 5; a header of 16 bytes; a total length of 8; none at all.
    let changes: [fn(&mut [u8]); 4] = [
        |frame| frame[ETHERNET] = 0x55,
        |frame| frame[ETHERNET] = 0x44,
        |frame| frame[ETHERNET + 3] = 8,
        |frame| frame[ETHERNET + 2..ETHERNET + 4].fill(0),
    ];
    for change in changes {
        let mut frame = good.clone();
        change(&mut frame);
        assert_eq!(inspect(&frame), Contents::Malformed);
    }
}

#[test]
fn a_header_vouches_with_either_flag() {
    assert!(!vouched(&[]));
    assert!(!vouched(&[0; 12]));
    assert!(vouched(&[1, 0]));
    assert!(vouched(&[2, 0]));
    assert!(!vouched(&[4, 0]), "RSC_INFO says nothing about checksums");
}

/// Fills the header of a frame; checks it and the frame's checksum field.
#[track_caller]
fn check_header(
    offload: TransmitOffload,
    frame: &[u8],
    segment_size: Option<u16>,
    expect: [u8; LEGACY_LENGTH],
) {
    let mut header = [0xaa; MODERN_LENGTH];
    let mut filled = frame.to_vec();
    let split = offload.fill(&mut header, &mut filled, segment_size);
    assert_eq!(header[..LEGACY_LENGTH], expect);
    assert_eq!(header[LEGACY_LENGTH..], [0, 0], "num_buffers");
    assert_eq!(split, expect[1] != 0);
    if expect[0] == 0 {
        assert_eq!(filled, frame, "the frame stays as it was");
        return;
    }
    // What the device does (virtio 1.2 §5.1.6.2): sum from csum_start on, store the complement.
    let start = usize::from(u16::from_le_bytes([expect[6], expect[7]]));
    let field = start + usize::from(expect[8]);
    let checksum = !sum(&filled[start..]);
    filled[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(
        filled, frame,
        "the device completes it to the checksum it had"
    );
}

#[test]
fn tcp_headers_ask_for_the_checksum() {
    for length in [0, 1, 100, 1448] {
        let payload = vec![7; length];
        // csum_start is 14 + 20 or 14 + 40, csum_offset 16.
        check_header(
            ALL,
            &tcp(4, &payload),
            None,
            [1, 0, 0, 0, 0, 0, 34, 0, 16, 0],
        );
        check_header(
            ALL,
            &tcp(6, &payload),
            None,
            [1, 0, 0, 0, 0, 0, 54, 0, 16, 0],
        );
    }
}

#[test]
fn super_segments_ask_for_segmentation() {
    // 14 + 20 + 32 = 66 and 14 + 40 + 32 = 86 bytes of headers, 1448 = 0x05a8 of payload each.
    let payload = vec![9; 60_001];
    check_header(
        ALL,
        &tcp(4, &payload),
        Some(1448),
        [1, 1, 66, 0, 0xa8, 5, 34, 0, 16, 0],
    );
    check_header(
        ALL,
        &tcp(6, &payload),
        Some(1448),
        [1, 4, 86, 0, 0xa8, 5, 54, 0, 16, 0],
    );
}

#[test]
fn segmentation_is_asked_for_only_where_negotiated() {
    let payload = vec![9; 5000];
    let only4 = TransmitOffload { tso6: false, ..ALL };
    let only6 = TransmitOffload { tso4: false, ..ALL };
    check_header(
        only4,
        &tcp(6, &payload),
        Some(1400),
        [1, 0, 0, 0, 0, 0, 54, 0, 16, 0],
    );
    check_header(
        only6,
        &tcp(4, &payload),
        Some(1400),
        [1, 0, 0, 0, 0, 0, 34, 0, 16, 0],
    );
}

#[test]
fn all_else_is_sent_as_it_is() {
    let none = TransmitOffload::default();
    check_header(none, &tcp(4, b"x"), None, [0; 10]);
    check_header(none, &tcp(4, &[1; 4000]), Some(1400), [0; 10]);
    check_header(ALL, &udp(4, b"dhcp"), None, [0; 10]);
    check_header(ALL, &udp(6, b"dns"), None, [0; 10]);
    check_header(ALL, &[0; 42], None, [0; 10]);
    check_header(ALL, &[], None, [0; 10]);
    check_header(ALL, &tcp(4, b"cut")[..50], None, [0; 10]);
}

#[test]
fn segments_are_located() {
    let frame = tcp(4, b"12345");
    let Contents::Segment(Segment {
        version,
        protocol,
        start,
        length,
        ..
    }) = inspect(&frame)
    else {
        panic!("the segment is there");
    };
    assert_eq!((version, protocol), (IpVersion::V4, Protocol::Tcp));
    assert_eq!((start, length), (34, 37));
}

#[test]
fn a_checksum_that_the_device_does_not_complete_is_completed_here() {
    for version in [4, 6] {
        for length in [0u16, 1, 2, 3, 8, 1400, 1459] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let right = tcp(version, &payload);
            let mut frame = right.clone();
            // Whatever the stack left in the field.
            let field = if version == 4 {
                14 + 20 + 16
            } else {
                14 + 40 + 16
            };
            frame[field] ^= 0x55;
            let mut header = [0xff; 12];
            let split = TransmitOffload::default().fill(&mut header, &mut frame, None);
            assert!(!split);
            assert_eq!(header, [0; 12], "the device is asked for nothing");
            assert_eq!(frame, right, "version {version}, {length} bytes");
        }
    }
}

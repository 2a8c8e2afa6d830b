//! Headers of both versions: whole, in pieces, spoiled.

use alloc::{format, vec, vec::Vec};

use super::*;
use crate::dialect::{End, random::Random};

/// A header, and how much of the input it was; `None` while it has to grow.
fn take(input: &[u8]) -> Result<Option<(Told, usize)>, Fault> {
    let mut output = Vec::new();
    let mut wire = Wire::new(End::Client, input, false, &mut output);
    let told = read(&mut wire)?;
    let taken = wire.taken();
    assert!(output.is_empty());
    assert!(told.is_some() || taken == 0);
    Ok(told.map(|told| (told, taken)))
}

/// `header` tells of `source` once its last byte is there, and not before; what follows stays.
fn check(header: &[u8], source: Option<(&str, &str)>) {
    let source = source.map(|(client, local)| (client.parse().unwrap(), local.parse().unwrap()));
    for length in 0..header.len() {
        assert_eq!(take(&header[..length]), Ok(None), "{length} bytes");
    }
    for behind in [&b""[..], b"\x16\x03\x01", &[b'\n'; 200]] {
        let input = [header, behind].concat();
        assert_eq!(
            take(&input),
            Ok(Some((Told { source }, header.len()))),
            "{}",
            header.escape_ascii()
        );
    }
}

fn refused(input: &[u8]) -> &'static str {
    match take(input) {
        Err(fault) => {
            assert_eq!(fault.end, End::Client);
            fault.text
        }
        told => panic!("{}: {told:?}", input.escape_ascii()),
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = v2::SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];
const TOLD_IPV4: (&str, &str) = ("192.0.2.1:56324", "198.51.100.2:443");

fn ipv6() -> Vec<u8> {
    let mut block = vec![0; 36];
    block[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    block[15] = 1;
    block[16..20].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    block[31] = 2;
    block[32..].copy_from_slice(&[0xff, 0xff, 0, 25]);
    block
}

/// With a record of the right checksum somewhere in its end.
fn with_checksum(front: &[u8], back: &[u8]) -> Vec<u8> {
    let at = v2::FIXED + IPV4.len() + front.len() + 3;
    let records = [&IPV4, front, &[0x03, 0, 4, 0, 0, 0, 0], back].concat();
    let mut header = v2(0x21, 0x11, &records);
    let sum = !v2::crc32c(!0, &header);
    header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    header
}

#[test]
fn lines_tell_of_tcp_over_either_family() {
    check(
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
        Some(TOLD_IPV4),
    );
    check(
        b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n",
        Some(("255.255.255.255:65535", "0.0.0.0:0")),
    );
    check(
        b"PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 65535 25\r\n",
        Some(("[2001:db8::1]:65535", "[2001:db8::2]:25")),
    );
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n");
    let address = format!("[{longest}]:65535");
    check(line.as_bytes(), Some((&address, &address)));
}

#[test]
fn lines_may_tell_nothing() {
    check(b"PROXY UNKNOWN\r\n", None);
    check(b"PROXY UNKNOWN \r\n", None);
    check(b"PROXY UNKNOWN ffff::1 anything \x00\xff 1\r\n", None);
    let filled = [&b"PROXY UNKNOWN "[..], &[b'x'; MAX_LINE - 16], b"\r\n"].concat();
    assert_eq!(filled.len(), MAX_LINE);
    check(&filled, None);
}

#[test]
fn lines_keep_to_the_grammar() {
    for line in [
        "PROXY ",
        "PROXY TCP4",
        "PROXY TCP4 192.0.2.1",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 ",
        "PROXY TCP4  192.0.2.1 198.51.100.2 1 2",
        "PROXY  TCP4 192.0.2.1 198.51.100.2 1 2",
        "PROXY TCP4 192.0.2.1\t198.51.100.2 1 2",
        "PROXY tcp4 192.0.2.1 198.51.100.2 1 2",
        "PROXY TCP5 192.0.2.1 198.51.100.2 1 2",
        "PROXY UDP4 192.0.2.1 198.51.100.2 1 2",
        "PROXY UNKNOWNS",
        "PROXY TCP4 192.0.2.01 198.51.100.2 1 2",
        "PROXY TCP4 192.0.2 198.51.100.2 1 2",
        "PROXY TCP4 192.0.2.256 198.51.100.2 1 2",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2",
        "PROXY TCP4 192.0.2.1 2001:db8::2 1 2",
        "PROXY TCP4 example.org 198.51.100.2 1 2",
        "PROXY TCP6 192.0.2.1 198.51.100.2 1 2",
        "PROXY TCP6 2001:db8::1::2 2001:db8::2 1 2",
        "PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2",
        "PROXY TCP6 fe80::1%1 2001:db8::2 1 2",
        "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2",
        "PROXY TCP4 192.0.2.1 198.51.100.2 -1 2",
        "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2",
        "PROXY TCP4 192.0.2.1 198.51.100.2 01 2",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 0x2",
        "PROXY TCP4 192.0.2.1 198.51.100.2  2",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 \u{665}",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r",
    ] {
        assert_eq!(refused(format!("{line}\r\n").as_bytes()), MALFORMED);
    }
    assert_eq!(refused(b"PROXY UNKNOWN\n"), MALFORMED);
    assert_eq!(refused(b"PROXY TCP4 \xff\xfe 192.0.2.1 1 2\r\n"), MALFORMED);
}

#[test]
fn lines_have_a_bound_whether_they_end_or_not() {
    let long = "The PROXY header is too long";
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    assert_eq!(take(&endless[..MAX_LINE - 1]), Ok(None));
    assert_eq!(refused(&endless[..MAX_LINE]), long);
    let late = [&endless[..MAX_LINE - 1], b"\r\n"].concat();
    assert_eq!(refused(&late), long);
}

#[test]
fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
    let none = "No PROXY header where one must be";
    assert_eq!(take(b""), Ok(None));
    for input in [
        &b"\x16"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"proxy",
        b"PROXY\t",
        b"PROXYTCP4 ",
        b"\r\n\r\n\0\r\nQUIT\r\n",
        b"\n",
        b"\r\r",
    ] {
        assert_eq!(refused(input), none);
    }
}

#[test]
fn binary_headers_tell_of_tcp_over_either_family() {
    check(&v2(0x21, 0x11, &IPV4), Some(TOLD_IPV4));
    check(
        &v2(0x21, 0x21, &ipv6()),
        Some(("[2001:db8::1]:65535", "[2001:db8::2]:25")),
    );
    let records = [&IPV4[..], &[0xea, 0, 3, 1, 2, 3, 0x04, 0, 0]].concat();
    check(&v2(0x21, 0x11, &records), Some(TOLD_IPV4));
}

#[test]
fn binary_headers_may_tell_nothing() {
    for local in [&b""[..], &IPV4, &[0xff; 300]] {
        for family in [0x00, 0x11, 0x21, 0x31, 0xff] {
            check(&v2(0x20, family, local), None);
        }
    }
    check(&v2(0x21, 0x00, b""), None);
    check(&v2(0x21, 0x00, &[0x04, 0, 1, 9]), None);
    check(&v2(0x21, 0x10, &IPV4), None);
    check(&v2(0x21, 0x12, &IPV4), None);
    check(&v2(0x21, 0x22, &ipv6()), None);
    check(&v2(0x21, 0x31, &[b'/'; 216]), None);
    check(&v2(0x21, 0x32, &[0; 216]), None);
}

#[test]
fn binary_headers_with_other_versions_commands_or_families_are_refused() {
    for command in (0..=0xff).filter(|command| ![0x20, 0x21].contains(command)) {
        assert_eq!(
            refused(&v2(command, 0x11, &IPV4)),
            "Unknown version or command of PROXY"
        );
    }
    for family in (0..=0xff).filter(|family| family >> 4 > 3 || family & 0xf > 2) {
        assert_eq!(
            refused(&v2(0x21, family, &[0; 216])),
            "Unknown address family of PROXY"
        );
    }
}

#[test]
fn binary_headers_hold_their_addresses_and_whole_records() {
    for length in 0..IPV4.len() {
        assert_eq!(refused(&v2(0x21, 0x11, &IPV4[..length])), MALFORMED);
    }
    for length in [0, 12, 35] {
        assert_eq!(refused(&v2(0x21, 0x21, &ipv6()[..length])), MALFORMED);
    }
    assert_eq!(refused(&v2(0x21, 0x31, &[0; 215])), MALFORMED);
    for records in [
        &[0x04][..],
        &[0x04, 0],
        &[0x04, 0, 1],
        &[0x04, 0xff, 0xff, 0, 0],
        &[0x04, 0, 0, 0x04],
    ] {
        let rest = [&IPV4, records].concat();
        assert_eq!(refused(&v2(0x21, 0x11, &rest)), MALFORMED);
    }
}

#[test]
fn binary_headers_have_a_bound() {
    let filled = |length: usize| {
        let mut records = vec![0; length - v2::FIXED];
        let value = (records.len() - 3) as u16;
        records[0] = 0x04;
        records[1..3].copy_from_slice(&value.to_be_bytes());
        v2(0x21, 0x00, &records)
    };
    check(&filled(MAX_HEADER), None);
    let long = "The PROXY header is too long";
    assert_eq!(refused(&filled(MAX_HEADER + 1)), long);
    assert_eq!(refused(&filled(MAX_HEADER + 1)[..v2::FIXED]), long);
    assert_eq!(refused(&v2(0x20, 0, &vec![0; 0xffff])), long);
}

#[test]
fn a_checksum_that_is_there_is_right() {
    for (front, back) in [
        (&b""[..], &b""[..]),
        (&[0x04, 0, 2, 7, 7], b""),
        (b"", &[0x02, 0, 1, b'x', 0x04, 0, 0]),
    ] {
        let header = with_checksum(front, back);
        check(&header, Some(TOLD_IPV4));
        for at in v2::FIXED..header.len() {
            for bit in 0..8 {
                let mut header = header.clone();
                header[at] ^= 1 << bit;
                // A type or a length that has changed may hide the checksum; never its mismatch.
                match take(&header) {
                    Err(_) | Ok(None) => {}
                    Ok(Some(_)) => assert!(at >= v2::FIXED + IPV4.len(), "byte {at}"),
                }
            }
        }
    }
    let mut wrong = with_checksum(b"", b"");
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&wrong), "The PROXY header's checksum is wrong");
    let twice = with_checksum(b"", &[0x03, 0, 4, 0, 0, 0, 0]);
    assert_eq!(refused(&twice), MALFORMED);
    let short = [&IPV4[..], &[0x03, 0, 3, 0, 0, 0]].concat();
    assert_eq!(refused(&v2(0x21, 0x11, &short)), MALFORMED);
}

#[test]
fn anything_is_taken_refused_or_awaited() {
    let mut random = Random(1);
    let seeds = [
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".to_vec(),
        v2(0x21, 0x11, &[&IPV4[..], &[0x04, 0, 1, 1]].concat()),
        with_checksum(&[0x04, 0, 1, 1], &[0x04, 0, 0]),
        v2(0x21, 0x21, &ipv6()),
    ];
    for seed in seeds.iter().cycle().take(20_000) {
        let input = random.spoil(seed);
        if let Ok(Some((_, taken))) = take(&input) {
            assert!(taken <= input.len());
        }
    }
}

//! Where bodies end.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;

/// Reads a body that comes in pieces of so many bytes: its content, its trailer section, and what is
/// behind it.
fn read(
    framing: Framing,
    bytes: &[u8],
    step: usize,
) -> Result<(Vec<u8>, Vec<u8>, usize), BodyError> {
    let mut body = Body::new(framing);
    let (mut content, mut section) = (Vec::new(), Vec::new());
    let (mut at, mut come) = (0, 0);
    loop {
        let waiting = &bytes[at..come];
        let piece = body.next(waiting)?;
        let count = match piece {
            Piece::More if come == bytes.len() => {
                body.ended()?;
                return Ok((content, section, bytes.len() - at));
            }
            Piece::More => {
                come = bytes.len().min(come + step);
                continue;
            }
            Piece::Framing(count) => count,
            Piece::Content(count) => {
                content.extend_from_slice(&waiting[..count]);
                count
            }
            Piece::Trailers(count) => {
                section.extend_from_slice(&waiting[..count]);
                count
            }
            Piece::End => return Ok((content, section, bytes.len() - at)),
        };
        body.took(waiting, piece, count);
        at += count;
    }
}

#[test]
fn chunks_are_read_however_they_are_cut() {
    let text = b"3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n000\r\nT: u\r\n\r\nNEXT";
    for step in 1..=text.len() {
        let (content, section, left) = read(Framing::Chunked, text, step).unwrap();
        assert_eq!(content, b"abc0123456789");
        assert_eq!(section, b"T: u\r\n\r\n");
        // What has not come yet is not known of.
        assert!(left == 4, "{step} {left}");
    }
}

#[test]
fn lengths_are_kept_to() {
    for step in 1..6 {
        let (content, _, left) = read(Framing::Length(3), b"abcde", step).unwrap();
        assert_eq!((content, left), (b"abc".to_vec(), 2));
    }
    assert_eq!(read(Framing::Length(9), b"abc", 9), Err(BodyError::Cut));
    assert_eq!(
        read(Framing::Chunked, b"3\r\nabc\r\n", 9),
        Err(BodyError::Cut)
    );
    assert_eq!(read(Framing::UntilClose, b"abc", 2).unwrap().0, b"abc");
    assert_eq!(read(Framing::None, b"abc", 3).unwrap().2, 3);
    assert_eq!(read(Framing::Length(0), b"abc", 3).unwrap().2, 3);
}

#[test]
fn chunks_that_could_be_read_in_two_ways_are_refused() {
    let long = alloc::format!("1;{}\r\na\r\n", "x".repeat(MAX_SIZE_LINE));
    let many = alloc::format!("0\r\n{}\r\n", "A: b\r\n".repeat(1000));
    for text in [
        "3\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "0x3\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "-3\r\nabc\r\n",
        "\r\nabc\r\n",
        "g\r\n",
        "3\rx\r\n",
        "3;a\rb\r\nabc\r\n",
        "3;a\nb\r\nabc\r\n",
        "11111111111111111\r\n",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        &long,
        &many,
    ] {
        for step in [1, text.len()] {
            let found = read(Framing::Chunked, text.as_bytes(), step);
            assert!(
                found.is_err(),
                "{:?} {found:?}",
                text.escape_debug().to_string()
            );
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut out = Vec::new();
    write_chunk(&mut out, b"hello");
    write_chunk(&mut out, b"");
    write_chunk(&mut out, &[b'x'; 300]);
    write_end(
        &mut out,
        b"Digest: x\r\nContent-Length: 3\r\nX-Forwarded-For: 1\r\nA_b: c\r\n\r\n",
    );
    let (content, section, left) = read(Framing::Chunked, &out, 7).unwrap();
    assert_eq!(content.len(), 305);
    assert_eq!(String::from_utf8(section).unwrap(), "Digest: x\r\n\r\n");
    assert_eq!(left, 0);
    let mut out = Vec::new();
    write_end(&mut out, b"");
    assert_eq!(out, b"0\r\n\r\n");
}

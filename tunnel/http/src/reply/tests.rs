//! Replies in whatever pieces they come.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;

const MAX_CONTENT: usize = 64 * 1024;

const BOUNDS: Bounds = Bounds {
    head: 16 * 1024,
    content: MAX_CONTENT,
};

type Expected<'a> = Result<Option<(u16, &'a [u8])>, ReplyError>;

/// What is read of these bytes in pieces of so many, and, if it `ends`, the connection's end.
fn read(bytes: &[u8], piece: usize, ends: bool) -> Result<Option<(u16, Vec<u8>)>, ReplyError> {
    let mut reader = ReplyReader::new(false, BOUNDS);
    for piece in bytes.chunks(piece) {
        reader.take(piece);
        if let Some(reply) = reader.reply()? {
            return Ok(Some((reply.status, reply.content)));
        }
    }
    match ends {
        true => reader
            .end()
            .map(|reply| Some((reply.status, reply.content))),
        false => Ok(None),
    }
}

fn check(bytes: &[u8], ends: bool, expected: Expected<'_>) {
    for piece in [1, 7, 16_384] {
        let expected = expected.map(|read| read.map(|(status, body)| (status, body.to_vec())));
        assert!(
            read(bytes, piece, ends) == expected,
            "{:?} in pieces of {piece}",
            String::from_utf8_lossy(bytes.get(..80).unwrap_or(bytes))
        );
    }
}

#[test]
fn content_is_as_long_as_is_said() {
    check(
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody and more",
        false,
        Ok(Some((200, b"body"))),
    );
    check(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nno",
        false,
        Ok(Some((404, b"no"))),
    );
    check(
        b"HTTP/1.0 200 OK\nContent-Length: 4\n\nbody",
        false,
        Ok(Some((200, b"body"))),
    );
    check(
        b"HTTP/1.1 204 No Content\r\n\r\n",
        false,
        Ok(Some((204, b""))),
    );
    check(b"HTTP/1.1 200 OK\r\n\r\nbody", false, Ok(None));
    check(
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        true,
        Ok(Some((200, b"body"))),
    );
}

#[test]
fn responses_that_say_only_to_wait_are_passed_over() {
    check(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
          HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        false,
        Ok(Some((200, b"x"))),
    );
    check(
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        false,
        Err(ReplyError::Malformed),
    );
    let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(2000);
    check(&endless, false, Err(ReplyError::TooLong));
}

#[test]
fn chunks_are_put_together() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n".to_vec();
    let check = |chunks: &[u8], ends, expected: Expected<'_>| {
        check(&[&head, chunks].concat(), ends, expected);
    };
    let all = b"4\r\nbody\r\n6;x=y\r\n parts\r\n0\r\n\r\n";
    check(all, false, Ok(Some((200, b"body parts"))));
    let trailed = b"A\r\n0123456789\r\n0\r\nDigest: x\r\n\r\n";
    check(trailed, false, Ok(Some((200, b"0123456789"))));
    check(b"4\r\nbody\r\n0\r\n", false, Ok(None));
    check(b"4\r\nbody\r\n0\r\n", true, Err(ReplyError::Cut));
    check(b"4\r\nbo", true, Err(ReplyError::Cut));
    check(b"x\r\nbody\r\n", false, Err(ReplyError::Malformed));
    check(b"3\r\nbody\r\n", false, Err(ReplyError::Malformed));
    check(b"fffffffff\r\n", false, Err(ReplyError::TooLong));
    let filler = [&b"8\r\n01234567\r\n".repeat(MAX_CONTENT / 8)[..], b"1\r\n"].concat();
    check(&filler, false, Err(ReplyError::TooLong));
    let line = [b"4;", &b"x".repeat(100_000)[..]].concat();
    check(&line, false, Err(ReplyError::TooLong));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: \r\n",
    ] {
        let response = alloc::format!("HTTP/1.1 200 OK\r\n{fields}\r\nbody");
        check(response.as_bytes(), false, Err(ReplyError::Malformed));
    }
    check(
        b"HTTP/1.1 000 OK\r\n\r\n",
        false,
        Err(ReplyError::Malformed),
    );
    let encoded = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    check(encoded, false, Err(ReplyError::Encoded));
}

#[test]
fn what_is_too_long_is_not_waited_for() {
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
        false,
        Err(ReplyError::TooLong),
    );
    let many = [b"HTTP/1.1 200 OK\r\n", &b"X: y\r\n".repeat(97)[..]].concat();
    check(
        &[&many, &b"\r\n"[..]].concat(),
        false,
        Err(ReplyError::TooLong),
    );
}

//! What responders may say over HTTP.

use alloc::{format, vec};

use super::*;
use crate::{
    relay::Stream,
    session::tests::pipe::{End, pipe},
};

fn exchange(request: &[u8]) -> Exchange {
    let responder = Responder::parse("http://ocsp.example:81/x?y").unwrap();
    Exchange::new(&responder, request)
}

/// A responder's bytes in pieces of `piece`, and then, if `ends`, the end of the connection.
fn answered(response: &[u8], piece: usize, ends: bool) -> Result<Option<Vec<u8>>, ExchangeError> {
    let (mut near, mut far) = pipe(512);
    let mut exchange = exchange(b"question");
    let mut pieces = response.chunks(piece);
    loop {
        let end = match pieces.next() {
            Some(bytes) => {
                assert_eq!(far.send(bytes), bytes.len());
                false
            }
            None if ends => {
                far.finish();
                true
            }
            None => return exchange.poll(&mut near),
        };
        match exchange.poll(&mut near) {
            Ok(None) if !end => {}
            result => return result,
        }
    }
}

fn check(response: &[u8], ends: bool, expected: Result<Option<&[u8]>, ExchangeError>) {
    for piece in [1, 7, 500] {
        let body = answered(response, piece, ends);
        assert_eq!(
            body,
            expected.map(|body| body.map(<[u8]>::to_vec)),
            "{:?} in pieces of {piece}",
            String::from_utf8_lossy(response.get(..60).unwrap_or(response))
        );
    }
}

fn sent(far: &mut End) -> Vec<u8> {
    far.read_all()
}

#[test]
fn a_question_is_a_post_that_names_its_host() {
    let (mut near, mut far) = pipe(100_000);
    let body = vec![7; 300];
    assert_eq!(exchange(&body).poll(&mut near), Ok(None));
    let head = "POST /x?y HTTP/1.0\r\nHost: ocsp.example:81\r\nUser-Agent: stunnel\r\n\
                Content-Type: application/ocsp-request\r\nContent-Length: 300\r\n\r\n";
    assert_eq!(sent(&mut far), [head.as_bytes(), &body].concat());
}

#[test]
fn a_question_goes_out_as_there_is_room() {
    let (mut near, mut far) = pipe(200);
    let body = vec![7; 1000];
    let mut exchange = exchange(&body);
    let mut all = Vec::new();
    for _ in 0..20 {
        assert_eq!(exchange.poll(&mut near), Ok(None));
        all.extend(sent(&mut far));
    }
    assert!(all.ends_with(&body) && all.starts_with(b"POST ") && all.len() < 1200);
}

#[test]
fn a_body_has_its_length_or_ends_with_the_connection() {
    let known = b"HTTP/1.0 200 OK\r\nContent-type: application/ocsp-response\r\n\
                  Content-Length: 4\r\n\r\nbody";
    check(known, false, Ok(Some(b"body")));
    check(known, true, Ok(Some(b"body")));
    let open = b"HTTP/1.1 200\r\nX: y\r\n\r\nbody";
    check(open, false, Ok(None));
    check(open, true, Ok(Some(b"body")));
    check(b"HTTP/1.0 200 OK\r\n\r\n", true, Ok(Some(b"")));
    check(b"HTTP/1.0 200 OK\nX: y\n\nbody", true, Ok(Some(b"body")));
    check(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        false,
        Ok(Some(b"body")),
    );
}

#[test]
fn what_is_no_answer_is_an_error() {
    let check = |response: &[u8], error| check(response, true, Err(error));
    check(b"", ExchangeError::Cut);
    check(b"HTTP/1.0 200 OK\r\nContent-Le", ExchangeError::Cut);
    check(
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nbody",
        ExchangeError::Cut,
    );
    check(b"SSH-2.0-OpenSSH_9\r\n", ExchangeError::Malformed);
    check(b"\x15\x03\x01\x00\x02", ExchangeError::Malformed);
    check(
        b"HTTP/1.0 404 Not Found\r\n\r\n",
        ExchangeError::Status(404),
    );
    check(
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
        ExchangeError::Status(301),
    );
    check(
        b"HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n",
        ExchangeError::Status(404),
    );
    check(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        ExchangeError::Encoded,
    );
    for length in ["-1", "x", "", "99999999999999999999", "4, 4"] {
        let response = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\nbody");
        check(response.as_bytes(), ExchangeError::Malformed);
    }
    let twice = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody!";
    check(twice, ExchangeError::Malformed);
}

#[test]
fn what_has_no_end_is_cut_off() {
    let head = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
    let long = |head: &[u8], filler: &[u8], count: usize| [head, &filler.repeat(count)].concat();
    let most = tls::MAX_OCSP_RESPONSE;
    let whole = answered(&long(&head, b"x", most), 500, true);
    assert_eq!(
        whole.map(|body| body.map(|body| body.len())),
        Ok(Some(most))
    );
    let check = |response: &[u8]| {
        assert_eq!(answered(response, 500, true), Err(ExchangeError::TooLong));
    };
    check(&long(&head, b"x", most + 1));
    check(&long(b"HTTP/1.0 200 OK\r\nX: ", b"x", 10_000));
    check(&long(b"HTTP/1.0 200 OK\r\n", b"X: y\r\n", 5000));
    check(b"HTTP/1.0 200 OK\r\nContent-Length: 65537\r\n\r\n");
}

//! Every shape by which a backend might be led to see another message than we do, and what else can't
//! be carried: each is answered by 400, and nothing behind it is read.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{Client, Exchange, Fault, Options, Progress, Refusal, View, request};

fn client() -> Client<'static> {
    Client {
        address: "192.0.2.7".parse().unwrap(),
        server_name: Some("tls.example"),
    }
}

/// Says these bytes and a good request behind them, sees 400 and the connection end, and returns what
/// a backend has heard.
fn end(bytes: &[u8]) -> String {
    let text = [bytes, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let mut exchange = Exchange::new(Options::default());
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    let mut at = 0;
    for _ in 0..10 {
        let view = View {
            bytes: &text[at..],
            ..View::default()
        };
        let backend = (!heard.is_empty()).then(View::default);
        let turn = exchange.poll(&client(), view, backend, &mut said, &mut heard);
        at += turn.client;
        match turn.progress {
            Progress::Connect { .. } => exchange.connected(false, &mut heard),
            Progress::End => break,
            other => assert_eq!(other, Progress::Wait),
        }
    }
    let said = String::from_utf8(said).unwrap();
    let shown = bytes.escape_ascii().to_string();
    assert!(
        said.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{shown} {said}"
    );
    assert!(said.contains("\r\nConnection: close\r\n"), "{shown}");
    assert_eq!(
        (at, said.matches("HTTP/1.1 ").count()),
        (text.len(), 1),
        "{shown}"
    );
    let heard = String::from_utf8(heard).unwrap();
    assert!(!heard.contains("smuggled"), "{shown} {heard}");
    heard
}

#[test]
fn heads_that_could_be_read_in_two_ways_are_refused() {
    let body = |fields: &str| alloc::format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let host = |value: &str| alloc::format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n");
    let target = |target: &str| alloc::format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let table: Vec<(String, Fault)> = [
        (
            "CL.TE",
            body("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
            Fault::TwoLengths,
        ),
        (
            "TE.CL",
            body("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
            Fault::TwoLengths,
        ),
        (
            "TE.TE",
            body("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE.TE other",
            body("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE list",
            body("Transfer-Encoding: gzip, chunked\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE doubled",
            body("Transfer-Encoding: chunked, chunked\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE misspelt",
            body("Transfer-Encoding: xchunked\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE quoted",
            body("Transfer-Encoding: \"chunked\"\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE with VT",
            body("Transfer-Encoding: \x0bchunked\r\n"),
            Fault::Syntax,
        ),
        (
            "TE empty",
            body("Transfer-Encoding:\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE identity",
            body("Transfer-Encoding: identity\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE in HTTP/1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Fault::TransferEncoding,
        ),
        (
            "CL twice, alike",
            body("Content-Length: 4\r\nContent-Length: 4\r\n"),
            Fault::Length,
        ),
        (
            "CL twice",
            body("Content-Length: 4\r\nContent-Length: 5\r\n"),
            Fault::Length,
        ),
        ("CL list", body("Content-Length: 4, 4\r\n"), Fault::Length),
        ("CL signed", body("Content-Length: +4\r\n"), Fault::Length),
        ("CL negative", body("Content-Length: -4\r\n"), Fault::Length),
        (
            "CL hexadecimal",
            body("Content-Length: 0x4\r\n"),
            Fault::Length,
        ),
        ("CL empty", body("Content-Length: \r\n"), Fault::Length),
        (
            "CL blank inside",
            body("Content-Length: 4 4\r\n"),
            Fault::Length,
        ),
        (
            "CL too great",
            body("Content-Length: 18446744073709551616\r\n"),
            Fault::Length,
        ),
        ("obs-fold", body("A: b\r\n c\r\n"), Fault::Syntax),
        (
            "obs-fold first",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "bare LF",
            "GET / HTTP/1.1\nHost: a\r\n\r\n".into(),
            Fault::LineEnd,
        ),
        (
            "bare LF at the end",
            "GET / HTTP/1.1\r\nHost: a\r\n\n".into(),
            Fault::LineEnd,
        ),
        (
            "bare LF in a value",
            body("A: b\nTransfer-Encoding: chunked\r\n"),
            Fault::LineEnd,
        ),
        ("bare CR", body("A: b\rc\r\n"), Fault::LineEnd),
        ("CR before CR LF", body("A: b\r\r\n"), Fault::LineEnd),
        (
            "blank before the colon",
            body("Content-Length : 4\r\n"),
            Fault::Syntax,
        ),
        (
            "blank in a name",
            body("Content Length: 4\r\n"),
            Fault::Syntax,
        ),
        (
            "tab in a name",
            body("Content-Length\t: 4\r\n"),
            Fault::Syntax,
        ),
        ("no colon", body("Content-Length\r\n"), Fault::Syntax),
        ("no name", body(": 4\r\n"), Fault::Syntax),
        ("NUL in a value", body("A: b\0c\r\n"), Fault::Syntax),
        ("NUL in a name", body("A\0: b\r\n"), Fault::Syntax),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".into(), Fault::Host),
        (
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(),
            Fault::Host,
        ),
        ("empty Host", host(""), Fault::Host),
        ("Host with a path", host("a/b"), Fault::Host),
        ("Host with a user", host("u@a"), Fault::Host),
        ("Host with blanks", host("a b"), Fault::Host),
        ("two in one Host", host("a, b"), Fault::Host),
        ("Host with a bad port", host("a:b"), Fault::Host),
        ("Host with a great port", host("a:65536"), Fault::Host),
        ("Host with a signed port", host("a:+1"), Fault::Host),
        ("Host with brackets", host("[a]"), Fault::Host),
        ("Host quoted", host("\"a\""), Fault::Host),
        (
            "absolute-form against Host",
            target("http://b/"),
            Fault::HostMismatch,
        ),
        (
            "absolute-form with a user",
            target("http://u@a/"),
            Fault::Target,
        ),
        (
            "absolute-form without a host",
            target("http:///x"),
            Fault::Target,
        ),
        ("another scheme", target("ftp://a/"), Fault::Target),
        ("no path", target("a"), Fault::Target),
        ("asterisk", target("*"), Fault::Target),
        ("fragment", target("/a#b"), Fault::Target),
        (
            "Connection is no list of names",
            body("Connection: a b\r\n"),
            Fault::Connection,
        ),
        (
            "no blank after the method",
            "GET/ HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "a method that is none",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "no version",
            "GET /\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "a word more",
            "GET / x HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "CL with VT",
            body("Content-Length: \x0b4\r\n"),
            Fault::Syntax,
        ),
        (
            "CL with a fraction",
            body("Content-Length: 4.0\r\n"),
            Fault::Length,
        ),
        (
            "TE with a parameter",
            body("Transfer-Encoding: chunked;x\r\n"),
            Fault::TransferEncoding,
        ),
        (
            "TE with FF",
            body("Transfer-Encoding: chunked\x0c\r\n"),
            Fault::Syntax,
        ),
        (
            "TE behind a bare CR",
            body("A: b\rTransfer-Encoding: chunked\r\n"),
            Fault::LineEnd,
        ),
        (
            "TE in a folded line",
            body("A: b\r\n\tTransfer-Encoding: chunked\r\n"),
            Fault::Syntax,
        ),
        (
            "TE folded",
            body("Transfer-Encoding:\r\n chunked\r\n"),
            Fault::Syntax,
        ),
        ("DEL in a value", body("A: b\x7fc\r\n"), Fault::Syntax),
        ("BEL in a target", target("/\x07"), Fault::Syntax),
        ("VT in a name", body("A\x0b: b\r\n"), Fault::Syntax),
        ("brackets in a name", body("A[]: b\r\n"), Fault::Syntax),
        ("UTF-8 in a name", body("\u{e9}: b\r\n"), Fault::Syntax),
        ("Host with an empty label", host("a..b"), Fault::Host),
        ("Host of a dot", host("."), Fault::Host),
        ("Host with two ports", host("a:1:2"), Fault::Host),
        (
            "a method in lower case",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "a tab after the method",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "two blanks after the method",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "a blank after the version",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "TLS inside TLS",
            "\x16\x03\x01\x02\0\r\n\r\n".into(),
            Fault::Syntax,
        ),
        (
            "blank lines",
            "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            Fault::Syntax,
        ),
    ]
    .map(|(_, head, fault)| (head, fault))
    .into();
    for (head, fault) in table {
        let shown = head.escape_debug().to_string();
        let mut out = Vec::new();
        let refusal = request(head.as_bytes(), &client(), &mut out);
        assert_eq!(refusal, Err(Refusal::Malformed(fault)), "{shown}");
        assert!(out.is_empty(), "{shown}");
        assert_eq!(end(head.as_bytes()), "", "{shown}");
    }
}

#[test]
fn chunks_that_could_be_read_in_two_ways_are_refused() {
    for (_, body) in [
        ("a size line that ends with LF", "3\nabc\r\n0\r\n\r\n"),
        ("an extension that ends with LF", "3;a\nabc\r\n0\r\n\r\n"),
        ("an extension with a bare CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        ("an extension with NUL", "3;\0\r\nabc\r\n0\r\n\r\n"),
        ("a chunk that ends with LF", "3\r\nabc\n0\r\n\r\n"),
        ("a chunk longer than it says", "3\r\nabcd\r\n0\r\n\r\n"),
        ("a chunk shorter than it says", "3\r\nab\r\n0\r\n\r\n"),
        (
            "a size that is more than 64 bits",
            "10000000000000003\r\nabc\r\n0\r\n\r\n",
        ),
        ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        ("a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
        ("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("a size behind a blank", " 3\r\nabc\r\n0\r\n\r\n"),
        ("a size before a blank", "3 \r\nabc\r\n0\r\n\r\n"),
        ("a size behind VT", "\x0b3\r\nabc\r\n0\r\n\r\n"),
        ("a size with _", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("an extension without a size", ";x\r\nabc\r\n0\r\n\r\n"),
        ("a trailer that ends with LF", "0\r\nA: b\n\r\n"),
        ("a trailer section that ends with LF", "0\r\nA: b\r\n\n"),
        ("a trailer with a bare CR", "0\r\nA: b\rc\r\n\r\n"),
        (
            "a trailer with a blank before its colon",
            "0\r\nA : b\r\n\r\n",
        ),
        ("a folded trailer", "0\r\nA: b\r\n c\r\n\r\n"),
        ("a request line as a trailer", "0\r\nGET / HTTP/1.1\r\n\r\n"),
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let heard = end(alloc::format!("{head}{body}").as_bytes());
        assert!(
            !heard.ends_with("0\r\n\r\n"),
            "{} {heard}",
            body.escape_debug()
        );
    }
}

#[test]
fn nothing_in_a_trailer_section_says_how_a_message_is_read() {
    let mut out = Vec::new();
    let names = [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Forwarded",
        "X-Forwarded-For",
        "X.Forwarded.For",
        "X_Real_IP",
        "Cookie",
        "Authorization",
        "Proxy",
    ];
    let section: String = names.map(|name| alloc::format!("{name}: 1\r\n")).concat();
    crate::write_end(&mut out, alloc::format!("{section}\r\n").as_bytes());
    assert_eq!(out, b"0\r\n\r\n");
}

//! Responders' addresses.

use alloc::string::String;

use crate::stunnel::{Responder, ResponderError};

/// Host, port and path.
fn check(url: &str, expected: Result<(&str, u16, &str), ResponderError>) {
    let read = Responder::parse(url);
    let read = read.map(|read| (alloc::format!("{}", read.host), read.port, read.path));
    let expected = expected.map(|(host, port, path)| (String::from(host), port, path.into()));
    assert_eq!(read, expected, "{url}");
}

#[test]
fn a_responder_is_a_url_without_tls() {
    check("http://a.example", Ok(("a.example", 80, "/")));
    check("HTTP://a.example:8080", Ok(("a.example", 8080, "/")));
    check("http://a.example:/x", Ok(("a.example", 80, "/x")));
    check("http://10.0.0.1:1/x/y?z#f", Ok(("10.0.0.1", 1, "/x/y?z")));
    check("http://a.example?z", Ok(("a.example", 80, "/?z")));
    check("http://[::1]:81/", Ok(("::1", 81, "/")));
    check("http://[fe80::1]", Ok(("fe80::1", 80, "/")));
    check("https://a.example/", Err(ResponderError::Tls));
    for url in [
        "",
        "http",
        "http:/",
        "http://",
        "http:///x",
        "ldap://a.example/",
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:x/",
        "http://user@a.example/",
        "http://a b/",
        "http://a.example/ HTTP/1.0",
        "http://a.example/\r\nX: y",
        "http://[::1/",
        "http://[::1]x/",
        "http://\u{e4}.example/",
    ] {
        check(url, Err(ResponderError::Malformed));
    }
}

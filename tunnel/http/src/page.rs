//! Answers of our own: what went wrong, on a small page.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::{Refusal, Said};

impl fmt::Display for Said {
    /// One line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, words) = texts(self.status);
        write!(f, "HTTP {} {reason}: ", self.status)?;
        match self.why {
            None => f.write_str(words.trim_end_matches('.')),
            Some(why) if self.status >= 500 && !matches!(why, Refusal::Version) => {
                write!(f, "the backend's answer: {why}")
            }
            Some(why) => why.fmt(f),
        }
    }
}

/// A whole response that says `status`, after which the connection ends; without its body where the
/// request was `HEAD`.
pub fn page(status: u16, is_head: bool) -> Vec<u8> {
    let (reason, words) = texts(status);
    let body = format!(
        "<!doctype html><title>{status} {reason}</title><h1>{status} {reason}</h1><p>{words}</p>\n"
    );
    // "The origin server MUST generate an Allow header field in a 405 response" (RFC 9110 §15.5.6).
    let allow = match status {
        405 => "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
        _ => "",
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\n{allow}Content-Type: text/html\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if is_head { "" } else { &body };
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The status's name (RFC 9110 §15), and what it means here.
fn texts(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("Bad Request", "The request can't be understood."),
        404 => ("Not Found", "No such host is served here."),
        405 => ("Method Not Allowed", "Neither CONNECT nor TRACE is served."),
        408 => ("Request Timeout", "The request did not come in time."),
        413 => ("Content Too Large", "The request's body is too large."),
        417 => ("Expectation Failed", "Only 100-continue can be expected."),
        421 => (
            "Misdirected Request",
            "This connection is for another host.",
        ),
        431 => (
            "Request Header Fields Too Large",
            "The request's head is too large.",
        ),
        502 => ("Bad Gateway", "The server behind gave no proper answer."),
        503 => ("Service Unavailable", "There are too many requests."),
        504 => (
            "Gateway Timeout",
            "The server behind did not answer in time.",
        ),
        505 => (
            "HTTP Version Not Supported",
            "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
        ),
        _ => ("Error", "Something went wrong."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_was_not_understood_and_of_whom() {
        let said = |status, why| alloc::string::ToString::to_string(&Said { status, why });
        assert_eq!(
            said(404, None),
            "HTTP 404 Not Found: No such host is served here"
        );
        let fault = Refusal::Malformed(crate::Fault::TwoLengths);
        let two = "there are both Content-Length and Transfer-Encoding";
        assert_eq!(
            said(400, Some(fault)),
            format!("HTTP 400 Bad Request: {two}")
        );
        assert_eq!(
            said(502, Some(fault)),
            format!("HTTP 502 Bad Gateway: the backend's answer: {two}")
        );
    }

    #[test]
    fn a_page_says_how_long_it_is_and_ends_the_connection() {
        let text = alloc::string::String::from_utf8(page(502, false)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert!(head.ends_with("Connection: close"));
        let short = page(502, true);
        assert_eq!(short, [head.as_bytes(), b"\r\n\r\n"].concat());
    }
}

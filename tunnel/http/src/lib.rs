//! HTTP/1.1 messages between a client and a backend that must agree on where each one ends
//! (RFC 9110, RFC 9112).
//!
//! Nothing here does I/O. A head is read from bytes that wait, judged strictly, and written anew: what
//! is sent on is never what came, but what was understood of it. So nobody behind can read another
//! message than was read here.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

extern crate alloc;

mod body;
mod exchange;
mod field;
mod head;
mod host;
mod page;
mod reply;
mod request;
mod response;
#[cfg(test)]
mod smuggling;

pub use body::{Body, BodyError, Framing, Piece, write_chunk, write_end};
pub use exchange::{Exchange, Options, Progress, Said, Turn, View};
pub use host::host;
pub use page::page;
pub use reply::{Bounds, Reply, ReplyError, ReplyReader};
pub use request::{Client, Request, request};
pub use response::{Response, response};

/// Most bytes of a head, its last empty line included.
pub const MAX_HEAD: usize = 16 * 1024;

/// Most fields of a head.
pub const MAX_FIELDS: usize = 100;

/// Why a message is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The head is none, or can be read in more than one way: why.
    Malformed(Fault),
    /// The head is longer than [`MAX_HEAD`], or has more than [`MAX_FIELDS`] fields.
    TooLong,
    /// The method is `CONNECT`, and here is no proxy of that kind; or `TRACE`, whose answer shows what
    /// only the backend may see.
    Method,
    /// It expects what nobody here knows (RFC 9110 §10.1.1).
    Expectation,
    /// It is of another version than HTTP/1.0 and HTTP/1.1.
    Version,
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is no head (RFC 9112 §2.1).
    Syntax,
    /// A line ends with LF alone, or CR stands alone (RFC 9112 §2.2).
    LineEnd,
    /// The target is of no form that goes with the method (RFC 9112 §3.2).
    Target,
    /// `Host` is missing, there more than once, or no host (RFC 9112 §3.2).
    Host,
    /// An absolute target names another host than `Host` does.
    HostMismatch,
    /// `Content-Length` is there more than once, or no number (RFC 9112 §6.3).
    Length,
    /// `Transfer-Encoding` is anything but one `chunked` (RFC 9112 §6.1).
    TransferEncoding,
    /// Both of them are there (RFC 9112 §6.1).
    TwoLengths,
    /// `Connection` is no list of names.
    Connection,
}

impl Refusal {
    /// The status that a client is answered with.
    pub fn status(self) -> u16 {
        match self {
            Refusal::Malformed(_) => 400,
            Refusal::TooLong => 431,
            Refusal::Method => 405,
            Refusal::Expectation => 417,
            Refusal::Version => 505,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Malformed(fault)
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Fault::Syntax => "the head is no HTTP/1.1",
            Fault::LineEnd => "a line does not end with CR and LF",
            Fault::Target => "the target does not go with the method",
            Fault::Host => "Host is missing, repeated, or no host",
            Fault::HostMismatch => "the target names another host than Host",
            Fault::Length => "Content-Length is repeated or no number",
            Fault::TransferEncoding => "Transfer-Encoding is not chunked alone",
            Fault::TwoLengths => "there are both Content-Length and Transfer-Encoding",
            Fault::Connection => "Connection is no list of names",
        })
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::Malformed(fault) => fault.fmt(f),
            Refusal::TooLong => write!(
                f,
                "the head has more than {MAX_HEAD} bytes or {MAX_FIELDS} fields"
            ),
            Refusal::Method => f.write_str("neither CONNECT nor TRACE is served"),
            Refusal::Expectation => f.write_str("Expect is not 100-continue"),
            Refusal::Version => f.write_str("the version is neither HTTP/1.0 nor HTTP/1.1"),
        }
    }
}

impl core::error::Error for Refusal {}

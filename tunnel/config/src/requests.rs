//! What is made of what clients say inside TLS: bytes, or requests of HTTP.

use core::fmt;

/// How plaintext is carried to backends (`--mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes, as they come.
    Tcp,
    /// Requests of HTTP/1.1, one by one, each to the backend of its host.
    Http,
}

/// How plaintext is carried, as the options say it of everything that says nothing else of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// See [`Mode`]; `None`: what is usual for what is served.
    pub mode: Option<Mode>,
    /// For how many seconds browsers are to come by HTTPS alone (`--hsts`, RFC 6797 §6.1.1).
    pub hsts: Option<u32>,
    /// Most bytes of a request's body (`--max-body`); `None`: any number.
    pub max_body: Option<u64>,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        })
    }
}

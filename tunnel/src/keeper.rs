//! Keeps hosts' certificates: reads the store, has certificates renewed, writes them to the store.
//!
//! Here is what is to be done and when, and nothing that does it. Whoever owns a keeper carries out
//! what it demands, one conversation with another machine each, and hands the replies back:
//!
//! ```text
//! demand ──► the owner: a connection of its own, with a deadline ──► reply ─┐
//!   ▲                                                                      │
//!   └───────────────────────── Keeper ◄────────────────────────────────────┘
//!                                └──► sites: to be put in force, then installed()
//! ```

use alloc::{string::String, vec::Vec};
use core::fmt;

use store::{
    git::ObjectId,
    snapshot::Draft,
    visit::{Outcome, VisitError},
};

/// A conversation with another machine, to be had now.
pub enum Demand {
    /// Read the store, unless it is still at this commit.
    Fetch(Option<ObjectId>),
    /// Move the store's branch to this commit.
    Push(Draft),
    /// Ask the authority over HTTPS.
    Request(Request),
}

/// One HTTP request to an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'static str,
    /// Where to: `https://HOST[:PORT]/PATH`.
    pub url: String,
    /// Its content, of the type `application/jose+json`; empty for the others.
    pub body: Vec<u8>,
}

/// What has become of a demand.
pub enum Reply {
    /// Of [`Demand::Fetch`] and [`Demand::Push`].
    Visited(Result<Outcome, Fault<VisitError>>),
    /// Of [`Demand::Request`]: the answer, whatever its status.
    Answered(Result<acme::Response, Fault<HttpError>>),
}

/// Why there was no conversation, or none to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault<E> {
    /// The name has no address, or nobody could be reached: why, in words.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// The TLS connection: why, in words.
    Tls(String),
    /// The conversation itself.
    Conversation(E),
}

/// Why what came is no HTTP response (RFC 9112).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is none that can be asked.
    Url,
    /// What came is no response.
    Malformed,
    /// It is longer than any answer of an authority.
    TooLong,
    /// It ended in the midst.
    Cut,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "the address is no https:// address",
            Self::Malformed => "the answer is no HTTP response",
            Self::TooLong => "the answer is too long",
            Self::Cut => "the connection ended before the answer did",
        })
    }
}

impl<E: fmt::Display> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::TimedOut => f.write_str("it took too long"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Conversation(error) => error.fmt(f),
        }
    }
}

/// What came of a notice that the store has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The store was read; so many hosts are served. Hosts whose files can't be used stand by their
    /// names, with the reason.
    Done {
        /// Hosts that are served.
        hosts: usize,
        /// Those that are not, or not as their files say, and why.
        troubles: Vec<(String, String)>,
    },
    /// The store could not be read: why, in words. What was served is served on.
    Failed(String),
}

/// How one host is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// The last second of its certificate, since 1970, UTC; `None`: it has none that can be used.
    pub not_after: Option<u64>,
    /// When it is to be renewed, or tried again; `None`: nobody renews it.
    pub next: Option<u64>,
    /// Why the last try has failed; `None`: it has not.
    pub trouble: Option<String>,
}

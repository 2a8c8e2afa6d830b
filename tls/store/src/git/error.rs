//! What can be wrong with what a Git server says.

use alloc::string::String;
use core::fmt;

use super::ObjectId;

/// Why a conversation or a pack is no good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A packet is not one (gitprotocol-common(5), "pkt-line Format").
    Packet,
    /// Something came that does not belong there.
    Unexpected(&'static str),
    /// The server says what is wrong.
    Server(String),
    /// The branch is no longer what the new commit was made for: somebody else was faster.
    Stale(String),
    /// More of this than [`Limits`](super::Limits) allow.
    TooMuch(&'static str),
    /// The pack is no pack (gitformat-pack(5)).
    Pack(&'static str),
    /// An object is none of its kind.
    Object(&'static str),
    /// An object is named that is not there.
    Missing(ObjectId),
    /// The other end was over before the conversation.
    Ended,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Packet => f.write_str("the Git server sends something that is no packet"),
            Error::Unexpected(what) => {
                write!(f, "the Git server sends something other than {what}")
            }
            Error::Server(text) => write!(f, "the Git server says: {text}"),
            Error::Stale(text) => write!(f, "somebody else has pushed meanwhile: {text}"),
            Error::TooMuch(what) => write!(f, "the Git repository has too much: {what}"),
            Error::Pack(what) => write!(f, "the Git server sends a pack that is damaged: {what}"),
            Error::Object(what) => write!(f, "the Git repository has a damaged {what}"),
            Error::Missing(id) => write!(f, "the Git server leaves out the object {id}"),
            Error::Ended => f.write_str("the Git server has ended the conversation too early"),
        }
    }
}

impl core::error::Error for Error {}

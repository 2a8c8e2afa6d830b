//! What a server thinks of a client's certificate, where it does not end the handshake over it.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::Refusal;

/// What [`ClientAuth::Note`](crate::ClientAuth::Note) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A certificate was shown, and it is good.
    Good,
    /// None was shown.
    Missing,
    /// The one that was shown is not good.
    Refused {
        /// Why, in words.
        reason: String,
        /// Why, in types: where the path was judged by our own validation, and in this very
        /// handshake, as a resumed session keeps only the words.
        refusal: Option<Box<Refusal>>,
    },
}

impl Verdict {
    /// Whether the client has shown who it is.
    #[must_use]
    pub fn is_good(&self) -> bool {
        *self == Verdict::Good
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Good => out.write_str("the peer's certificate is good"),
            Verdict::Missing => out.write_str("the peer has shown no certificate"),
            Verdict::Refused { reason, .. } => {
                write!(out, "the peer's certificate was refused: {reason}")
            }
        }
    }
}

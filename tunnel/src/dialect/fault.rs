//! Why a dialect comes to nothing.

use alloc::{boxed::Box, string::String};
use core::fmt;

/// Most bytes of a peer's words that are shown.
const SHOWN: usize = 100;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that was accepted.
    Client,
    /// The one that is dialled.
    Backend,
}

/// What is wrong, and at which end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose fault it is.
    pub end: End,
    /// What is wrong: stunnel's words where it has some.
    pub text: &'static str,
    /// What the peer said, escaped and cut; never a secret of ours.
    pub said: Option<Box<str>>,
}

impl Fault {
    /// A fault that needs no words of the peer.
    pub fn new(end: End, text: &'static str) -> Fault {
        Fault {
            end,
            text,
            said: None,
        }
    }

    /// A fault with what the peer `said` instead.
    pub fn with(end: End, text: &'static str, said: &[u8]) -> Fault {
        let shown = said.get(..SHOWN).unwrap_or(said);
        let mut said: String = shown.escape_ascii().map(char::from).collect();
        if shown.len() == SHOWN {
            said.push_str("...");
        }
        Fault {
            end,
            text,
            said: Some(said.into_boxed_str()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)?;
        match &self.said {
            Some(said) => write!(f, ": {said}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_peer_are_escaped_and_cut() {
        let text = |said: &[u8]| alloc::format!("{}", Fault::with(End::Backend, "No", said));
        assert_eq!(text(b"a\r\n\x1b[1m"), "No: a\\r\\n\\x1b[1m");
        assert_eq!(text(&[b'x'; 200]).len(), "No: ".len() + SHOWN + 3);
    }
}

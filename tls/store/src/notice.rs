//! The notice that the store has changed, and what came of it: both ends of the conversation.
//!
//! Whoever has changed the store, the teller, connects over TCP and begins. Numbers have their
//! highest byte first.
//!
//! ```text
//! teller                                          image
//!   "stockade notice 1\n" ‖ nonce (32)    ──►
//!                                         ◄──     challenge: nonce (32)
//!   notice: time (8) ‖ tag (32)           ──►
//!                                         ◄──     outcome: time (8) ‖ what came of it ‖ tag (32)
//!                                                 or, at any time, refusal: reason (1)
//!
//! frame:            length of what follows (2) ‖ kind (1) ‖ content
//! kinds:            1 challenge, 2 notice, 3 outcome, 4 refusal
//! time:             seconds since 1970, UTC, by the sender's clock
//! what came of it:  0 ‖ hosts (4) ‖ troubles left out (4) ‖ troubles (2) ‖ each: name, why
//!                   or 1 ‖ why the store could not be read
//! text:             its bytes (2) ‖ UTF-8
//!
//! both    = line ‖ the teller's nonce ‖ the image's nonce ‖ the notice's time
//! notice  : tag = HMAC-SHA256(key "notice", both)
//! outcome : tag = HMAC-SHA256(key "outcome", both ‖ the outcome's content before its tag)
//! key NAME = HKDF-SHA256(no salt, the pass, "stockade notice 1 " ‖ NAME), 64 bytes
//! ```
//!
//! **Replay.** A notice counts for one challenge, and a challenge for one connection: what was said once
//! says nothing again, whatever the two clocks show and whatever was forgotten at a reboot. So times
//! are told and bound by the tags, but decide nothing; a machine whose clock is wrong can still be told, and
//! the teller learns that it is. The outcome is bound to the teller's nonce in the same way. Each
//! side's tags have a key of their own, so that none can be sent back to where it came from.
//!
//! **Guessing.** The image shows no tag to whoever has not shown one, and takes one guess per
//! connection. Who hears a conversation can try passes against its tags, as against every password
//! that a key is made of: a pass is to be drawn at random.
//!
//! **The bare pass.** contruno's tellers connect, send the pass, and close; they read nothing. Where that is
//! allowed, bytes that do not begin as the line does are taken for it. Nothing is answered.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use hkdf::Hkdf;
use hkdf::hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

mod outcome;
mod taker;
mod teller;
#[cfg(test)]
mod tests;

pub use outcome::{MOST_TROUBLES, Outcome, Trouble};
pub use taker::{Notice, Taker};
pub use teller::{TellError, Teller, Told};

/// How a conversation begins. The digit is the protocol's version.
const LINE: &[u8; 18] = b"stockade notice 1\n";

/// What the line is in every version.
const ANY_LINE: &[u8] = b"stockade notice ";

/// Bytes of a nonce.
pub const NONCE: usize = 32;

/// Bytes of a tag.
const TAG: usize = 32;

/// Most bytes of a pass.
const MOST_PASS: usize = 1024;

/// Bytes of a frame's length.
const LENGTH: usize = 2;

/// Most bytes of a frame, its length included: so much fits the smallest send buffer at once.
pub const MOST_FRAME: usize = 16 * 1024;

const CHALLENGE: u8 = 1;
const NOTICE: u8 = 2;
const OUTCOME: u8 = 3;
const REFUSAL: u8 = 4;

/// What both ends know. It displays nothing of itself, and is wiped when dropped.
#[derive(Clone)]
pub struct Pass {
    notice: Zeroizing<[u8; 64]>,
    outcome: Zeroizing<[u8; 64]>,
    bare: Zeroizing<Vec<u8>>,
}

/// A pass is empty or longer than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPass;

impl fmt::Display for NoPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pass has 1 to {MOST_PASS} bytes")
    }
}

impl core::error::Error for NoPass {}

impl Pass {
    /// The pass with these bytes.
    ///
    /// # Errors
    ///
    /// There are none, or more than 1,024.
    pub fn new(bytes: &[u8]) -> Result<Pass, NoPass> {
        if bytes.is_empty() || bytes.len() > MOST_PASS {
            return Err(NoPass);
        }
        let hkdf = Hkdf::<Sha256>::new(None, bytes);
        let key = |name: &[u8]| {
            let mut key = Zeroizing::new([0; 64]);
            hkdf.expand_multi_info(&[b"stockade notice 1 ", name], key.as_mut())
                .map_err(|_| NoPass)?;
            Ok(key)
        };
        Ok(Pass {
            notice: key(b"notice")?,
            outcome: key(b"outcome")?,
            bare: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// The bare pass, for those who understand nothing else.
    pub fn bare(&self) -> &[u8] {
        &self.bare
    }

    /// Whether these bytes are it, in a time that does not tell how many of them are right.
    fn is_bare(&self, bytes: &[u8]) -> bool {
        bytes.ct_eq(&self.bare).into()
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

/// Nonces without end that nobody can foresee, out of one draw of unpredictable bytes.
pub struct Nonces {
    key: Zeroizing<[u8; 64]>,
    drawn: u64,
}

impl Nonces {
    /// Those that come of a key which was never used before.
    pub fn new(key: [u8; 64]) -> Nonces {
        Nonces {
            key: Zeroizing::new(key),
            drawn: 0,
        }
    }

    /// The next one.
    pub fn draw(&mut self) -> [u8; NONCE] {
        self.drawn = self.drawn.wrapping_add(1);
        let key: &[u8; 64] = &self.key;
        let mac = <Hmac<Sha256> as Mac>::new(key.into()).chain_update(self.drawn.to_be_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// What both ends have said before the outcome.
#[derive(Clone, Copy, Default)]
struct Said {
    teller: [u8; NONCE],
    image: [u8; NONCE],
    time: u64,
}

impl Said {
    fn notice(&self, pass: &Pass) -> Hmac<Sha256> {
        self.authenticator(&pass.notice)
    }

    fn outcome(&self, pass: &Pass, content: &[u8]) -> Hmac<Sha256> {
        self.authenticator(&pass.outcome).chain_update(content)
    }

    fn authenticator(&self, key: &[u8; 64]) -> Hmac<Sha256> {
        <Hmac<Sha256> as Mac>::new(key.into())
            .chain_update(LINE)
            .chain_update(self.teller)
            .chain_update(self.image)
            .chain_update(self.time.to_be_bytes())
    }
}

/// Why the image has not taken a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its teller does not know the pass.
    Pass,
    /// It is neither a notice nor a bare pass that would be allowed.
    Unknown,
    /// It is a notice of another version.
    Version,
    /// It is no whole notice.
    Form,
    /// Too many notices wait, or too many were wrong: later.
    Busy,
}

impl Refusal {
    fn number(self) -> u8 {
        match self {
            Refusal::Pass => 1,
            Refusal::Unknown => 2,
            Refusal::Version => 3,
            Refusal::Form => 4,
            Refusal::Busy => 5,
        }
    }

    fn from_number(number: u8) -> Option<Refusal> {
        Some(match number {
            1 => Refusal::Pass,
            2 => Refusal::Unknown,
            3 => Refusal::Version,
            4 => Refusal::Form,
            5 => Refusal::Busy,
            _ => return None,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Pass => "the pass is not the right one",
            Refusal::Unknown => "it is no notice that the store has changed",
            Refusal::Version => "it is a notice of another version",
            Refusal::Form => "it is no whole notice",
            Refusal::Busy => "there are too many notices, or too many wrong ones: try again later",
        })
    }
}

impl core::error::Error for Refusal {}

/// A frame's bytes as they come.
#[derive(Default)]
struct Incoming(Vec<u8>);

/// A length that no frame has.
struct BadLength;

impl Incoming {
    /// Takes in what there is room for, and says how much that was.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(MOST_FRAME.saturating_sub(self.0.len()));
        self.0
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        taken
    }

    /// The frame, once all of it is there: its kind, its content.
    fn frame(&self, most: usize) -> Result<Option<(u8, &[u8])>, BadLength> {
        let Some((length, rest)) = self.0.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > most.min(MOST_FRAME - LENGTH) {
            return Err(BadLength);
        }
        Ok(rest
            .get(..length)
            .and_then(|frame| frame.split_first())
            .map(|(kind, content)| (*kind, content)))
    }

    /// What has come behind the frame.
    fn rest(&self) -> Incoming {
        let length = self.0.first_chunk::<LENGTH>();
        let length = length.map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
        let rest = self.0.get(LENGTH + length..).unwrap_or_default();
        Incoming(rest.to_vec())
    }
}

/// A frame with this content.
fn frame(kind: u8, content: &[&[u8]]) -> Vec<u8> {
    let length = 1 + content.iter().map(|part| part.len()).sum::<usize>();
    // No content is longer than a frame may be.
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.push(kind);
    content
        .iter()
        .for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// `text`, or as many whole characters of it as `most` bytes have.
fn cut(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default())
        .unwrap_or_default()
        .into()
}

//! The image's end: one connection, from its first byte to the outcome.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hkdf::hmac::Mac;

use super::{
    ANY_LINE, CHALLENGE, Incoming, LINE, NONCE, NOTICE, OUTCOME, Outcome, Pass, REFUSAL, Refusal,
    Said, TAG, frame,
};

/// How a conversation begins: the line and a nonce.
const OPENING: usize = LINE.len() + NONCE;

/// A notice's kind, time and tag.
const NOTICE_LENGTH: usize = 1 + 8 + TAG;

/// Takes one notice. Bytes go in and out; the owner has the deadline, and draws the nonce.
pub struct Taker {
    pass: Arc<Pass>,
    takes_bare: bool,
    said: Said,
    state: State,
    departing: Vec<u8>,
}

enum State {
    /// What has come: the beginning of a notice, or of something else.
    Opening(Vec<u8>),
    /// As much of it as a pass has bytes.
    Bare(Vec<u8>),
    /// It was another pass. Its teller learns that at its own end: earlier would tell how long the
    /// right one is.
    Wrong,
    /// The challenge was sent.
    Challenged(Incoming),
    /// A notice was taken.
    Taken { answers: bool },
    /// Nothing counts any more.
    Over,
}

/// A notice that was taken: the store has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Its teller waits for the outcome.
    Framed {
        /// What the teller's clock shows, in seconds since 1970, UTC.
        time: u64,
    },
    /// Its teller knows the pass, and waits for nothing.
    Bare,
}

impl Taker {
    /// For one connection. `nonce` was never used before and could not be foreseen; the bare pass
    /// will do where `takes_bare`.
    pub fn new(pass: Arc<Pass>, takes_bare: bool, nonce: [u8; NONCE]) -> Taker {
        Taker {
            pass,
            takes_bare,
            said: Said {
                image: nonce,
                ..Said::default()
            },
            state: State::Opening(Vec::new()),
            departing: Vec::new(),
        }
    }

    /// Takes in what the teller has sent. A notice comes out once.
    ///
    /// # Errors
    ///
    /// It is refused. What departs says so to those who would understand; then the conversation is over.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<Option<Notice>, Refusal> {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Opening(seen) => {
                    let taken = bytes.len().min(OPENING - seen.len());
                    seen.extend_from_slice(bytes.get(..taken).unwrap_or_default());
                    taken
                }
                State::Bare(seen) => {
                    let room = self.pass.bare.len().saturating_sub(seen.len());
                    let some = bytes.get(..room).unwrap_or(bytes);
                    seen.extend_from_slice(some);
                    bytes.len()
                }
                State::Challenged(incoming) => incoming.push(bytes),
                State::Wrong | State::Taken { .. } | State::Over => return Ok(None),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
            if let Some(notice) = self.advance()? {
                return Ok(Some(notice));
            }
        }
        Ok(None)
    }

    /// Says that the teller sends nothing more.
    ///
    /// # Errors
    ///
    /// What it has sent is no notice.
    pub fn receive_end(&mut self) -> Result<Option<Notice>, Refusal> {
        match &mut self.state {
            State::Opening(seen) if self.takes_bare => match self.pass.is_bare(seen) {
                true => Ok(Some(self.take_bare())),
                false => Err(self.refuse(Refusal::Pass)),
            },
            State::Bare(_) | State::Wrong => Err(self.refuse(Refusal::Pass)),
            State::Opening(_) | State::Challenged(_) => Err(self.refuse(Refusal::Form)),
            State::Taken { .. } | State::Over => Ok(None),
        }
    }

    /// Refuses whatever comes, or what has come; gives the reason back.
    pub fn refuse(&mut self, reason: Refusal) -> Refusal {
        let understands = match &self.state {
            State::Opening(seen) => seen.starts_with(ANY_LINE),
            State::Challenged(_) | State::Taken { answers: true } => true,
            State::Bare(_) | State::Wrong | State::Taken { .. } | State::Over => false,
        };
        if understands {
            self.departing
                .extend_from_slice(&frame(REFUSAL, &[&[reason.number()]]));
        }
        self.state = State::Over;
        reason
    }

    /// Answers the notice that was taken; `time` is what this machine's clock shows.
    pub fn conclude(&mut self, outcome: &Outcome, time: u64) {
        if let State::Taken { answers: true } = self.state {
            let mut content = time.to_be_bytes().to_vec();
            content.append(&mut outcome.encode());
            let tag = self.said.outcome(&self.pass, &content).finalize();
            self.departing
                .extend_from_slice(&frame(OUTCOME, &[&content, &tag.into_bytes()]));
        }
        self.state = State::Over;
    }

    /// Whether the teller has begun as tellers do, and its notice is waited for.
    pub fn has_begun(&self) -> bool {
        matches!(self.state, State::Challenged(_))
    }

    /// Whether the conversation is over, as soon as what departs is sent.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// What is to be sent to the teller now.
    pub fn departing(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.departing)
    }

    fn advance(&mut self) -> Result<Option<Notice>, Refusal> {
        match &mut self.state {
            State::Opening(seen) => {
                if !seen.starts_with(LINE) && !LINE.starts_with(seen) {
                    return self.leave_line();
                }
                let nonce = seen.get(LINE.len()..).and_then(|rest| rest.try_into().ok());
                if let Some(nonce) = nonce {
                    self.said.teller = nonce;
                    self.departing
                        .extend_from_slice(&frame(CHALLENGE, &[&self.said.image]));
                    self.state = State::Challenged(Incoming::default());
                }
                Ok(None)
            }
            State::Bare(seen) if seen.len() == self.pass.bare.len() => {
                match self.pass.is_bare(seen) {
                    true => Ok(Some(self.take_bare())),
                    false => {
                        self.state = State::Wrong;
                        Ok(None)
                    }
                }
            }
            State::Bare(_) | State::Wrong | State::Taken { .. } | State::Over => Ok(None),
            State::Challenged(incoming) => match incoming.frame(NOTICE_LENGTH) {
                Ok(None) => Ok(None),
                Ok(Some((NOTICE, content))) => {
                    let Some((time, tag)) = content.split_first_chunk() else {
                        return Err(self.refuse(Refusal::Form));
                    };
                    self.said.time = u64::from_be_bytes(*time);
                    // In constant time.
                    if self.said.notice(&self.pass).verify_slice(tag).is_err() {
                        return Err(self.refuse(Refusal::Pass));
                    }
                    self.state = State::Taken { answers: true };
                    let time = self.said.time;
                    Ok(Some(Notice::Framed { time }))
                }
                Ok(Some(_)) | Err(_) => Err(self.refuse(Refusal::Form)),
            },
        }
    }

    /// What has come is not the line.
    fn leave_line(&mut self) -> Result<Option<Notice>, Refusal> {
        let State::Opening(seen) = &mut self.state else {
            return Ok(None);
        };
        if seen.starts_with(ANY_LINE) {
            return Err(self.refuse(Refusal::Version));
        }
        if !self.takes_bare {
            return Err(self.refuse(Refusal::Unknown));
        }
        let mut seen = core::mem::take(seen);
        seen.truncate(self.pass.bare.len());
        self.state = State::Bare(seen);
        self.advance()
    }

    fn take_bare(&mut self) -> Notice {
        self.state = State::Taken { answers: false };
        Notice::Bare
    }
}

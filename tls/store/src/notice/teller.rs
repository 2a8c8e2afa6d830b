//! The teller's end: one connection, from the line to the outcome.

use alloc::vec::Vec;
use core::fmt;

use hkdf::hmac::Mac;

use super::{
    CHALLENGE, Incoming, LINE, MOST_FRAME, NONCE, NOTICE, OUTCOME, Outcome, Pass, REFUSAL, Refusal,
    Said, TAG, frame,
};

/// Tells one notice. Bytes go in and out; the owner has the deadline, and draws the nonce.
pub struct Teller {
    pass: Pass,
    said: Said,
    state: State,
    incoming: Incoming,
    departing: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The line was sent.
    Begun,
    /// The notice was sent.
    Told,
    Over,
}

/// What the image has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What came of the notice.
    pub outcome: Outcome,
    /// What the image's clock shows, in seconds since 1970, UTC.
    pub time: u64,
}

/// Why there is no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TellError {
    /// The image says no.
    Refused(Refusal),
    /// Whoever answers does not know the pass.
    Forged,
    /// Whoever answers takes no notices.
    Stranger,
    /// The connection ended before the outcome came.
    Ended,
}

impl fmt::Display for TellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TellError::Refused(reason) => write!(f, "it refuses the notice: {reason}"),
            TellError::Forged => f.write_str("whoever answers there does not know the pass"),
            TellError::Stranger => f.write_str("what answers there takes no notices"),
            TellError::Ended => f.write_str("the connection ended before the outcome came"),
        }
    }
}

impl core::error::Error for TellError {}

impl Teller {
    /// For one connection. `nonce` was never used before and could not be foreseen; `time` is what
    /// this machine's clock shows, in seconds since 1970, UTC.
    pub fn new(pass: Pass, nonce: [u8; NONCE], time: u64) -> Teller {
        let mut departing = LINE.to_vec();
        departing.extend_from_slice(&nonce);
        Teller {
            pass,
            said: Said {
                teller: nonce,
                time,
                ..Said::default()
            },
            state: State::Begun,
            incoming: Incoming::default(),
            departing,
        }
    }

    /// Takes in what the image has sent. The outcome comes out once.
    ///
    /// # Errors
    ///
    /// There will be none.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<Option<Told>, TellError> {
        while !bytes.is_empty() && self.state != State::Over {
            let taken = self.incoming.push(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            let result = self.advance();
            if !matches!(result, Ok(None)) {
                self.state = State::Over;
                return result;
            }
        }
        Ok(None)
    }

    /// Says that the image sends nothing more.
    ///
    /// # Errors
    ///
    /// The outcome has not come.
    pub fn receive_end(&mut self) -> Result<(), TellError> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Over => Ok(()),
            State::Begun | State::Told => Err(TellError::Ended),
        }
    }

    /// What is to be sent to the image now.
    pub fn departing(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.departing)
    }

    /// Whether the notice was handed out to be sent: from now on the image works on it.
    pub fn has_told(&self) -> bool {
        self.state == State::Told && self.departing.is_empty()
    }

    fn advance(&mut self) -> Result<Option<Told>, TellError> {
        loop {
            let Ok(frame) = self.incoming.frame(MOST_FRAME) else {
                return Err(TellError::Stranger);
            };
            let Some((kind, content)) = frame else {
                return Ok(None);
            };
            match (self.state, kind) {
                (_, REFUSAL) => {
                    let reason = match content {
                        [number] => Refusal::from_number(*number),
                        _ => None,
                    };
                    return Err(reason.map_or(TellError::Stranger, TellError::Refused));
                }
                (State::Begun, CHALLENGE) => {
                    let Ok(nonce) = content.try_into() else {
                        return Err(TellError::Stranger);
                    };
                    self.said.image = nonce;
                    self.tell();
                    self.incoming = self.incoming.rest();
                }
                (State::Told, OUTCOME) => return self.judge(content).map(Some),
                _ => return Err(TellError::Stranger),
            }
        }
    }

    fn tell(&mut self) {
        let tag = self.said.notice(&self.pass).finalize().into_bytes();
        let time = self.said.time.to_be_bytes();
        self.departing
            .extend_from_slice(&frame(NOTICE, &[&time, &tag]));
        self.state = State::Told;
    }

    fn judge(&self, content: &[u8]) -> Result<Told, TellError> {
        let (content, tag) = content
            .len()
            .checked_sub(TAG)
            .and_then(|length| content.split_at_checked(length))
            .ok_or(TellError::Stranger)?;
        // In constant time.
        let authenticator = self.said.outcome(&self.pass, content);
        if authenticator.verify_slice(tag).is_err() {
            return Err(TellError::Forged);
        }
        let (time, rest) = content.split_first_chunk().ok_or(TellError::Stranger)?;
        let outcome = Outcome::decode(rest).ok_or(TellError::Stranger)?;
        let time = u64::from_be_bytes(*time);
        Ok(Told { outcome, time })
    }
}

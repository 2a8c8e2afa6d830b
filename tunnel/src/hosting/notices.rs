//! Notices that the store has changed, as they come over a connection ([`store::notice`]).

use alloc::{sync::Arc, vec::Vec};

use config::{Accept, hosting::Store};
use net::Status as Life;
use store::notice::{NONCE, Notice, Outcome, Pass, Refusal, Taker};

use crate::{
    dialect::End,
    relay::{Scratch, Stream},
    session::SessionError,
};

/// Bytes that are looked at together: more than a whole notice has.
const PIECE: usize = 1024;

/// Where notices are taken, and from whom.
#[derive(Clone, Debug)]
pub struct Notices {
    /// Where they come.
    pub accept: Accept,
    /// What their tellers know.
    pub pass: Arc<Pass>,
    /// Whether that is enough by itself, said in the clear.
    pub takes_bare: bool,
}

impl Notices {
    /// What the options say of them; `None`: nobody can tell anything.
    ///
    /// # Errors
    /// A line for a pass that is none.
    pub fn of_store(store: &Store) -> Result<Option<Self>, &'static str> {
        let pass = store.pass.as_ref().map(|pass| Pass::new(pass));
        let pass = pass
            .transpose()
            .map_err(|_| "--pass: it has no byte, or more than 1024")?;
        Ok(pass.map(|pass| Self {
            accept: store.notices,
            pass: Arc::new(pass),
            takes_bare: store.legacy_reload,
        }))
    }
}

/// Takes one notice. Owned by whoever has the stream, and has a deadline for it.
pub struct Responder {
    taker: Taker,
    /// Nothing is believed.
    barred: bool,
    departing: Vec<u8>,
    sent: usize,
    refused: Option<Refusal>,
    /// Something has come.
    is_heard: bool,
    /// A notice waits for its outcome.
    waits: bool,
}

/// What came of a turn.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// Nothing; more has to come, or to go.
    Wait,
    /// A notice was taken; [`Responder::conclude`] answers it.
    Taken(Notice),
    /// Everything is sent, and our direction ended, or the teller has left.
    End(Result<(), SessionError>),
}

impl Responder {
    /// For one connection; `nonce` was never used before and could not be foreseen. Who is `barred`
    /// is refused whatever it says.
    pub fn new(notices: &Notices, nonce: [u8; NONCE], barred: bool) -> Self {
        Self {
            taker: Taker::new(notices.pass.clone(), notices.takes_bare, nonce),
            barred,
            departing: Vec::new(),
            sent: 0,
            refused: None,
            is_heard: false,
            waits: false,
        }
    }

    /// Bytes that were sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Whether a notice waits for its outcome.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Answers the notice that was taken; `unix_seconds` is what the clock shows.
    pub fn conclude(&mut self, outcome: &Outcome, unix_seconds: u64) {
        self.waits = false;
        self.taker.conclude(outcome, unix_seconds);
    }

    /// Refuses the notice, whether it was taken or not.
    pub fn refuse(&mut self, reason: Refusal) {
        self.waits = false;
        self.refused = Some(self.taker.refuse(reason));
    }

    /// Moves everything that can be moved now.
    pub fn poll<S: Stream>(&mut self, stream: &mut S, scratch: &mut Scratch) -> Turn {
        if let Some(notice) = self.read(stream, scratch) {
            self.waits = true;
            return Turn::Taken(notice);
        }
        self.departing.append(&mut self.taker.departing());
        let count = stream.send(&self.departing);
        self.departing.drain(..count);
        self.sent += count;
        if let Life::Closed(Some(error)) = stream.status() {
            return Turn::End(Err(SessionError::PlainEndLost(error)));
        }
        if !self.taker.is_over() {
            return match stream.status() {
                // Nobody is left to wait for the outcome.
                Life::Closed(None) => Turn::End(Ok(())),
                _ => Turn::Wait,
            };
        }
        if !self.departing.is_empty() {
            return Turn::Wait;
        }
        stream.finish();
        Turn::End(match self.refused {
            // Who says nothing has only looked whether somebody is there.
            _ if !self.is_heard => Ok(()),
            Some(Refusal::Form) => Err(SessionError::NegotiationAbandoned(End::Client)),
            Some(reason) => Err(SessionError::Notice(reason)),
            None => Ok(()),
        })
    }

    fn read<S: Stream>(&mut self, stream: &mut S, scratch: &mut Scratch) -> Option<Notice> {
        while !self.taker.is_over() && !self.waits {
            let waiting = stream.recv_len().min(PIECE);
            let result = if waiting > 0 {
                self.is_heard = true;
                let bytes = scratch.first(waiting);
                let length = stream.peek(bytes);
                let result = self.taker.receive(bytes.get(..length).unwrap_or_default());
                stream.skip(length);
                result
            } else if stream.peer_finished() {
                self.taker.receive_end()
            } else {
                return None;
            };
            match result {
                Err(reason) => self.refused = Some(reason),
                Ok(notice) if self.barred && (notice.is_some() || self.taker.has_begun()) => {
                    self.refuse(Refusal::Busy);
                }
                Ok(Some(notice)) => return Some(notice),
                Ok(None) => {}
            }
        }
        // Whatever comes behind the notice is nothing to us.
        stream.skip(stream.recv_len());
        None
    }
}

//! One client's request, from its first byte until it is answered.

use net::Status as Life;

use super::{Answer, Answers, MAX_HEAD};
use crate::{
    dialect::End,
    relay::{Scratch, Stream},
    session::SessionError,
};

/// Answers one request. Owned by whoever has the stream, and has a deadline for it.
#[derive(Default)]
pub struct Responder {
    /// Bytes of the request that were looked at.
    seen: usize,
    /// What is to be sent, and how much of it was.
    answer: Option<(Answer, usize)>,
}

/// What came of a turn.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// Nothing; more has to come, or to go.
    Wait,
    /// The answer is known: [`Responder::poll`] sends it.
    Answered,
    /// Everything is sent, and our direction ended, or the client has left.
    End(Result<(), SessionError>),
}

impl Responder {
    /// The answer, once it is known.
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref().map(|(answer, _)| answer)
    }

    /// Bytes that were sent.
    pub fn sent(&self) -> usize {
        self.answer.as_ref().map_or(0, |(_, sent)| *sent)
    }

    /// Moves everything that can be moved now, at `unix_seconds`.
    pub fn poll<S: Stream>(
        &mut self,
        stream: &mut S,
        answers: &Answers,
        scratch: &mut Scratch,
        unix_seconds: u64,
    ) -> Turn {
        let Some((answer, sent)) = &mut self.answer else {
            return self.read(stream, answers, scratch, unix_seconds);
        };
        // Whatever comes behind the request is nothing to us.
        stream.skip(stream.recv_len());
        if let Life::Closed(Some(error)) = stream.status() {
            return Turn::End(Err(SessionError::PlainEndLost(error)));
        }
        let rest = answer.bytes.get(*sent..).unwrap_or_default();
        *sent += stream.send(rest);
        if *sent < answer.bytes.len() {
            return Turn::Wait;
        }
        stream.finish();
        Turn::End(Ok(()))
    }

    fn read<S: Stream>(
        &mut self,
        stream: &mut S,
        answers: &Answers,
        scratch: &mut Scratch,
        unix_seconds: u64,
    ) -> Turn {
        let waiting = stream.recv_len().min(MAX_HEAD);
        if waiting > self.seen {
            let bytes = scratch.first(waiting);
            let length = stream.peek(bytes);
            let head = bytes.get(..length).unwrap_or_default();
            let fresh = head.get(self.seen..).unwrap_or_default();
            // Without a line's end nothing can have become whole; but what does not begin like a
            // request shows at once.
            let matters = self.seen == 0 || length >= MAX_HEAD || fresh.contains(&b'\n');
            self.seen = length;
            if matters && let Some(answer) = answers.answer(head, unix_seconds) {
                self.answer = Some((answer, 0));
                return Turn::Answered;
            }
        }
        match stream.status() {
            Life::Closed(Some(error)) => Turn::End(Err(SessionError::PlainEndLost(error))),
            Life::Closed(None) => Turn::End(self.left()),
            _ if stream.peer_finished() => {
                stream.finish();
                Turn::End(self.left())
            }
            _ => Turn::Wait,
        }
    }

    /// The client has ended its direction. Who has said nothing has only looked whether somebody is
    /// there.
    fn left(&self) -> Result<(), SessionError> {
        match self.seen {
            0 => Ok(()),
            _ => Err(SessionError::NegotiationAbandoned(End::Client)),
        }
    }
}

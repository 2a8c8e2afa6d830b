//! What responders have said, for as long as they have said it for.

use alloc::{collections::VecDeque, vec::Vec};

use tls::StatusQuery;

use super::Outcome;

/// Most answers that are kept; the oldest goes first.
const MAX_ANSWERS: usize = 256;

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked.
    pub query: StatusQuery,
    /// Whether a responder's certificate in the answer counted.
    pub included: bool,
    /// What was said.
    pub outcome: Outcome,
    /// Until when it holds, Unix seconds.
    pub until: u64,
}

/// Answers by what they are about.
#[derive(Default)]
pub struct Known(VecDeque<Answer>);

impl Known {
    /// What is known of a certificate at `unix_seconds`.
    pub fn find(&self, query: &StatusQuery, included: bool, unix_seconds: u64) -> Option<Outcome> {
        let mut fresh = self.0.iter().filter(|known| known.until > unix_seconds);
        let is = |known: &&Answer| known.included == included && known.query.is_same(query);
        fresh.find(is).map(|known| known.outcome)
    }

    /// Keeps an answer in the place of an earlier one.
    pub fn keep(&mut self, answer: Answer, unix_seconds: u64) {
        self.0.retain(|known| {
            known.until > unix_seconds
                && (known.included != answer.included || !known.query.is_same(&answer.query))
        });
        while self.0.len() >= MAX_ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back(answer);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the oldest first.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.0.iter().map(|known| known.outcome).collect()
    }
}

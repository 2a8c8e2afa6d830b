//! A visit to the store over its stream.

use alloc::vec::Vec;

use store::visit::{Visit, VisitError};

use super::{Visited, is_over};
use crate::{keeper::Fault, relay::Stream};

/// A visit, and what of it waits for room in the stream.
pub(super) struct Call {
    /// Taken when it is over.
    visit: Option<Visit>,
    leaving: Vec<u8>,
    sent: usize,
}

impl Call {
    pub(super) fn new(visit: Visit) -> Self {
        Self {
            visit: Some(visit),
            leaving: Vec::new(),
            sent: 0,
        }
    }

    pub(super) fn poll<S: Stream>(&mut self, stream: &mut S) -> Option<Visited> {
        let result = match self.advance(stream) {
            Ok(false) => return None,
            Ok(true) => self.visit.take()?.finish(),
            Err(error) => Err(error),
        };
        match &result {
            Ok(_) => stream.finish(),
            Err(_) => stream.reset(),
        }
        Some(result.map_err(Fault::Conversation))
    }

    /// Whether it is over.
    fn advance<S: Stream>(&mut self, stream: &mut S) -> Result<bool, VisitError> {
        let Some(visit) = &mut self.visit else {
            return Ok(false);
        };
        loop {
            if self.sent == self.leaving.len() {
                self.leaving = visit.departing();
                self.sent = 0;
            }
            let sent = stream.send(self.leaving.get(self.sent..).unwrap_or_default());
            self.sent += sent;
            if visit.is_done() {
                return Ok(true);
            }
            let received = match stream.recv_len() {
                0 => 0,
                _ => {
                    let take =
                        |bytes: &mut [u8]| (bytes.len(), (bytes.len(), visit.receive(bytes)));
                    let (count, result) = stream.with_recv(take);
                    result?;
                    count
                }
            };
            if is_over(stream) {
                visit.receive_end()?;
                return Ok(true);
            }
            if sent == 0 && received == 0 {
                return Ok(false);
            }
        }
    }
}

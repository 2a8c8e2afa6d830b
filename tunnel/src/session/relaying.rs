//! The relay's part of a session: bytes both ways, until both directions have ended.

use core::time::Duration;

use net::{Instant, Status};

use super::{Direction, Session, SessionError, Step};
use crate::relay::{self, Scratch, Stream};

impl Session {
    pub(super) fn relaying<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        loop {
            let mut moved = relay::transmit(&mut self.connection, tls) > 0;
            match self.open(tls, plain, scratch) {
                Ok(any) => moved |= any,
                Err(error) => {
                    self.send_last_words(tls, &error);
                    self.abort(plain);
                    return self.end(Err(SessionError::Tls(error)));
                }
            }
            match self.seal(tls, plain, scratch) {
                Ok(any) => moved |= any,
                Err(error) => {
                    self.send_last_words(tls, &error);
                    self.abort(plain);
                    return self.end(Err(SessionError::Tls(error)));
                }
            }
            if !moved {
                break;
            }
            self.active = now;
        }
        self.settle(tls, plain, now)
    }

    /// Opens what the TLS end has sent; passes its close_notify on as FIN.
    fn open<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
    ) -> Result<bool, tls::Error> {
        if self.inbound == Direction::Ended {
            // "Any data received after a closure alert has been received MUST be ignored."
            // (RFC 8446 §6.1)
            tls.skip(tls.recv_len());
            return Ok(false);
        }
        if !self.rest.is_empty() {
            // It came before whatever waits in the stream.
            let sent = plain.send(&self.rest);
            self.rest.drain(..sent);
            self.received += sent as u64;
            return Ok(sent > 0);
        }
        let room = plain.send_room();
        let opened = relay::open(&mut self.connection, tls, room, scratch, |plaintext| {
            plain.send(plaintext);
        })?;
        self.received += opened.written as u64;
        if self.connection.peer_closed() {
            plain.finish();
            self.inbound = Direction::Ended;
            return Ok(true);
        }
        if opened.incomplete && tls.peer_finished() {
            if self.outbound == Direction::Ended && tls.recv_len() == 0 {
                // Both ways were over but for the peer's close_notify, which many leave out. (With
                // a part of a record at the end, something has been cut off for certain.)
                plain.finish();
                self.inbound = Direction::Ended;
            } else {
                self.failed.get_or_insert(SessionError::Truncated);
            }
        }
        Ok(opened.read > 0)
    }

    /// Seals what the plain end has sent; passes its FIN on as close_notify.
    ///
    /// The FIN of the TLS end's TCP connection waits until the other direction has ended too: to
    /// TLS close_notify says all, and whatever carries the TCP connection (an HTTP proxy after
    /// CONNECT, a load balancer) may take one FIN for the end of both directions and cut the answer
    /// off.
    fn seal<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
    ) -> Result<bool, tls::Error> {
        let mut moved = false;
        if self.outbound == Direction::Open && self.connection.pending_output() == 0 {
            let sealed = relay::seal(&mut self.connection, plain, usize::MAX, tls, scratch)?;
            self.sent += sealed.read as u64;
            moved = sealed.any();
            if plain.recv_len() == 0 && plain.peer_finished() {
                self.connection.close_notify();
                self.outbound = Direction::Ending;
                moved = true;
            }
        }
        if self.outbound == Direction::Ending {
            moved |= relay::transmit(&mut self.connection, tls) > 0;
            if self.connection.pending_output() == 0 {
                self.outbound = Direction::Ended;
            }
        }
        if self.have_both_ended() {
            tls.finish();
        }
        Ok(moved)
    }

    /// Decides, when nothing moves any more, whether the session goes on.
    fn settle<T: Stream, P: Stream>(&mut self, tls: &mut T, plain: &mut P, now: Instant) -> Step {
        let queued = tls.send_queued() + plain.send_queued();
        if queued != self.queued {
            // A reader that takes its time is no silence.
            self.queued = queued;
            self.active = now;
        }
        if let Status::Closed(Some(error)) = tls.status() {
            self.failed.get_or_insert(SessionError::TlsEndLost(error));
        }
        if let Status::Closed(Some(error)) = plain.status() {
            self.failed.get_or_insert(SessionError::PlainEndLost(error));
        }
        self.undelivered = !self.is_drained(tls, plain);
        if self.have_both_ended() && !self.undelivered && self.failed.is_none() {
            return self.end(Ok(()));
        }
        let late = now >= self.deadline();
        if let Some(error) = self.failed.clone() {
            // A loss at one end shows at the other as a reset, but only behind the bytes that
            // came before it.
            if late || !self.undelivered {
                self.abort(tls);
                self.abort(plain);
                return self.end(Err(error));
            }
            return Step::Wait;
        }
        if !late {
            return Step::Wait;
        }
        let closing = self.is_half_closed() && !self.undelivered;
        if closing && self.timeouts.close.is_zero() {
            // One end's end is to be the other's. Where our close_notify has not gone out it does
            // not now: a TLS peer can tell that there might have been more.
            tls.finish();
            plain.finish();
        } else {
            // Not FIN: whoever is still there must not take what it has read for the whole.
            self.abort(tls);
            self.abort(plain);
        }
        self.end(Err(match closing {
            true => SessionError::CloseTimeout,
            false => SessionError::Idle,
        }))
    }

    pub(super) fn patience(&self) -> Duration {
        let closing = self.is_half_closed() && !self.undelivered;
        if closing || self.failed.is_some() {
            self.timeouts.close
        } else {
            self.timeouts.idle
        }
    }

    fn have_both_ended(&self) -> bool {
        self.inbound == Direction::Ended && self.outbound == Direction::Ended
    }

    fn is_half_closed(&self) -> bool {
        self.inbound == Direction::Ended || self.outbound == Direction::Ended
    }

    /// Whether all that a failed end sent before has reached the other end, or never can.
    fn is_drained(&self, tls: &impl Stream, plain: &impl Stream) -> bool {
        let plain_done = is_gone(plain) || (plain.send_queued() == 0 && self.rest.is_empty());
        let tls_done = is_gone(tls)
            || self.failed == Some(SessionError::Truncated)
            || (tls.send_queued() == 0 && self.connection.pending_output() == 0);
        plain_done && tls_done
    }
}

fn is_gone(stream: &impl Stream) -> bool {
    matches!(stream.status(), Status::Closed(_))
}

//! A session whose client speaks HTTP: requests one by one, each to the backend of its host.
//!
//! It comes here after its handshake, and again whenever a backend is there. The messages are
//! [`http::Exchange`]'s; here is how their bytes move.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::{net::IpAddr, time::Duration};

use http::{Client, Exchange, Progress, Turn, View};
use net::{Instant, Status, StreamError};
use tls::MAX_PLAINTEXT;

use super::{Session, SessionError, State, Step};
use crate::relay::{self, Scratch, Stream};

/// Most plaintext of a client that waits, but for the record that goes beyond it, in bytes: a whole
/// head.
const WINDOW: usize = http::MAX_HEAD;

/// Bytes shown of what a backend has sent, where they do not lie in one piece.
const SHOWN: usize = http::MAX_HEAD;

/// How long a client may take for its next request.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// How long a client may take for a head, from its first byte to its last.
const HEAD: Duration = Duration::from_secs(60);

/// How long a message may stand still.
const SILENCE: Duration = Duration::from_secs(60);

/// The messages of one client, and those of their bytes that are on their way.
pub struct Exchanging {
    exchange: Exchange,
    client: IpAddr,
    server_name: Option<String>,
    /// Came out of TLS, not yet taken.
    inside: Vec<u8>,
    to_client: Vec<u8>,
    to_backend: Vec<u8>,
    /// When a head has begun that has not come whole, and nothing but that is awaited.
    head_since: Option<Instant>,
    /// A backend is being connected to, which was not kept from an earlier request.
    connecting: bool,
    /// What is to be done once all is sent.
    after: Option<After>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    End,
    Upgrade,
}

impl Exchanging {
    /// For a client at this address, which has asked for this name in TLS.
    pub fn new(exchange: Exchange, client: IpAddr, server_name: Option<String>) -> Self {
        Self {
            exchange,
            client,
            server_name,
            inside: Vec::new(),
            to_client: Vec::new(),
            to_backend: Vec::new(),
            head_since: None,
            connecting: false,
            after: None,
        }
    }

    /// Until when to wait, where something has moved last at `active`.
    ///
    /// A head has a limit of its own: byte by byte it would never stand still.
    fn deadline(&self, active: Instant) -> Instant {
        let still = active + self.patience();
        self.head_since
            .map_or(still, |since| still.min(since + HEAD))
    }

    /// Notes whether a head is awaited.
    fn note_head(&mut self, now: Instant) {
        let begun = self.exchange.is_idle() && !self.inside.is_empty();
        self.head_since = match begun && self.to_client.is_empty() {
            true => self.head_since.or(Some(now)),
            false => None,
        };
    }

    /// How long nothing may move.
    fn patience(&self) -> Duration {
        match self.exchange.is_idle() && self.inside.is_empty() && self.after.is_none() {
            true => NEXT_REQUEST,
            false => SILENCE,
        }
    }

    /// Whether what the client sends next is content that the exchange needs not see.
    fn carries_past(&self) -> bool {
        self.inside.is_empty() && self.to_backend.is_empty() && self.exchange.for_backend() > 0
    }

    /// Shows the exchange what waits.
    fn turn(&mut self, ended: bool, backend: Option<View<'_>>) -> Turn {
        let about = Client {
            address: self.client,
            server_name: self.server_name.as_deref(),
        };
        let client = View {
            bytes: &self.inside,
            ended,
            lost: false,
        };
        let (to_client, to_backend) = (&mut self.to_client, &mut self.to_backend);
        self.exchange
            .poll(&about, client, backend, to_client, to_backend)
    }
}

impl Session {
    /// Has what comes out of TLS read as HTTP.
    pub fn with_exchange(mut self, exchanging: Exchanging) -> Self {
        self.exchanging = Some(alloc::boxed::Box::new(exchanging));
        self
    }

    /// Whether its client speaks HTTP with it.
    pub fn is_exchanging(&self) -> bool {
        self.exchanging.is_some()
    }

    /// The backend that [`Step::Route`] has asked for is to be dialled; or, `kept`, is there.
    pub fn routed(&mut self, kept: bool, now: Instant) {
        let Some(exchanging) = &mut self.exchanging else {
            return;
        };
        exchanging.connecting = !kept;
        exchanging.head_since = None;
        match kept {
            true => {
                let out = &mut exchanging.to_backend;
                exchanging.exchange.connected(true, out);
                self.state = State::Exchanging;
            }
            false => {
                let until = now + self.timeouts.connect;
                self.state = State::Connecting { until };
            }
        }
        self.active = now;
    }

    /// There is no backend for the request: the client is told by this status.
    pub fn has_no_backend(&mut self, status: u16, now: Instant) {
        if let Some(exchanging) = &mut self.exchanging {
            exchanging.connecting = false;
            let out = &mut exchanging.to_client;
            exchanging.exchange.unreachable(status, out);
            self.state = State::Exchanging;
            self.active = now;
        }
    }

    /// The request that [`Step::Route`] has told of is for a host with these options.
    ///
    /// # Errors
    /// They forbid it: the status that the client is to be told.
    pub fn enter_host(&mut self, options: &Arc<http::Options>) -> Result<(), u16> {
        let exchanging = self.exchanging.as_mut();
        exchanging.map_or(Ok(()), |exchanging| exchanging.exchange.enter(options))
    }

    /// The page that the client was sent instead of an answer, once.
    pub fn take_said(&mut self) -> Option<http::Said> {
        self.exchanging.as_mut()?.exchange.take_said()
    }

    /// The client's connection ends with the response that comes next.
    pub fn end_after_response(&mut self) {
        if let Some(exchanging) = &mut self.exchanging {
            exchanging.exchange.end_after_response();
        }
    }

    pub(super) fn exchange_deadline(&self) -> Instant {
        let exchanging = self.exchanging.as_ref();
        exchanging.map_or(self.active + SILENCE, |exchanging| {
            exchanging.deadline(self.active)
        })
    }

    /// Goes on where the handshake, or a backend's answer to a SYN, has led.
    pub(super) fn exchange(&mut self, now: Instant) {
        if let Some(exchanging) = &mut self.exchanging
            && core::mem::take(&mut exchanging.connecting)
        {
            let out = &mut exchanging.to_backend;
            exchanging.exchange.connected(false, out);
        }
        self.active = now;
        self.state = State::Exchanging;
    }

    pub(super) fn exchanging<T: Stream, P: Stream>(
        &mut self,
        tls: &mut T,
        mut plain: Option<&mut P>,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Step {
        let Some(mut exchanging) = self.exchanging.take() else {
            return Step::Wait;
        };
        let plain_end = plain.as_deref_mut();
        let step = self.exchange_messages(&mut exchanging, tls, plain_end, scratch, now);
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                match &error {
                    SessionError::Tls(error) => self.send_last_words(tls, error),
                    _ => self.abort(tls),
                }
                if let Some(plain) = plain {
                    self.abort(plain);
                }
                return self.end(Err(error));
            }
        };
        if self.state == State::Relaying {
            self.rest = exchanging.inside;
        } else {
            self.exchanging = Some(exchanging);
        }
        step
    }

    fn exchange_messages<T: Stream, P: Stream>(
        &mut self,
        exchanging: &mut Exchanging,
        tls: &mut T,
        mut plain: Option<&mut P>,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Result<Step, SessionError> {
        loop {
            let mut moved = self.send_messages(exchanging, tls, plain.as_deref_mut(), scratch)?;
            if let Some(plain) = plain.as_deref_mut() {
                moved |= self.carry_content(exchanging, tls, plain, scratch)?;
            }
            let sent = exchanging.to_client.is_empty() && self.connection.pending_output() == 0;
            if let Some(after) = exchanging.after.filter(|_| sent) {
                if after == After::Upgrade && exchanging.to_backend.is_empty() {
                    self.state = State::Relaying;
                    return Ok(Step::Wait);
                }
                if after == After::End {
                    self.connection.close_notify();
                    relay::transmit(&mut self.connection, tls);
                    tls.finish();
                    if let Some(plain) = plain {
                        plain.finish();
                    }
                    return Ok(self.end(Ok(())));
                }
            }
            let past = plain.is_some() && exchanging.carries_past();
            let (opened, ended) = self.open_messages(exchanging, tls, past, scratch)?;
            moved |= opened;
            if exchanging.after.is_none() {
                let turn = take_turn(exchanging, ended, plain.as_deref_mut(), scratch);
                exchanging
                    .inside
                    .drain(..turn.client.min(exchanging.inside.len()));
                moved |= turn.client > 0 || turn.backend > 0;
                match turn.progress {
                    Progress::Wait => {}
                    Progress::Connect { host, fresh } => return Ok(Step::Route { host, fresh }),
                    Progress::Release { keep } => {
                        // A message that is cut off here would be the backend's fault alone.
                        self.active = now;
                        return Ok(Step::Release { keep });
                    }
                    Progress::Upgrade => exchanging.after = Some(After::Upgrade),
                    Progress::End => exchanging.after = Some(After::End),
                    Progress::Abort => return Err(SessionError::MessageCut),
                }
                moved |= turn.progress != Progress::Wait;
            }
            if !moved {
                break;
            }
            self.active = now;
        }
        self.await_messages(exchanging, tls, plain.as_deref(), now)
    }

    /// Decides, when nothing moves any more, whether to wait.
    fn await_messages<T: Stream, P: Stream>(
        &mut self,
        exchanging: &mut Exchanging,
        tls: &mut T,
        plain: Option<&P>,
        now: Instant,
    ) -> Result<Step, SessionError> {
        if let Status::Closed(error) = tls.status() {
            return match error {
                None if exchanging.exchange.is_idle() => Ok(self.end(Ok(()))),
                error => Err(SessionError::TlsEndLost(
                    error.unwrap_or(StreamError::Reset),
                )),
            };
        }
        let queued = tls.send_queued();
        if queued != self.queued {
            // A reader that takes its time is no silence.
            self.queued = queued;
            self.active = now;
        }
        exchanging.note_head(now);
        if now < exchanging.deadline(self.active) {
            return Ok(Step::Wait);
        }
        if exchanging.after.is_some() || !exchanging.to_client.is_empty() {
            return Err(SessionError::Idle);
        }
        let stuck = plain.is_some_and(|plain| plain.send_queued() > 0);
        let waits = stuck || !exchanging.inside.is_empty();
        let out = &mut exchanging.to_client;
        self.active = now;
        match exchanging.exchange.timed_out(waits, out) {
            Progress::Abort => Err(SessionError::Idle),
            Progress::End => {
                exchanging.after = Some(After::End);
                Ok(Step::Again)
            }
            _ => Ok(Step::Again),
        }
    }

    /// Sends what is to be sent to both ends.
    fn send_messages<T: Stream, P: Stream>(
        &mut self,
        exchanging: &mut Exchanging,
        tls: &mut T,
        plain: Option<&mut P>,
        scratch: &mut Scratch,
    ) -> Result<bool, SessionError> {
        let mut moved = relay::transmit(&mut self.connection, tls) > 0;
        let mut at = 0;
        while at < exchanging.to_client.len() && self.connection.pending_output() == 0 {
            let waiting = exchanging.to_client.get(at..).unwrap_or_default();
            if !relay::has_room(tls, waiting.len()) {
                break;
            }
            let space = scratch.first(tls.send_room());
            let sealed = self.connection.send(waiting, space);
            let sealed = sealed.map_err(SessionError::Tls)?;
            if sealed.read == 0 {
                break;
            }
            tls.send(space.get(..sealed.written).unwrap_or_default());
            at += sealed.read;
        }
        exchanging.to_client.drain(..at);
        self.sent += at as u64;
        moved |= at > 0;
        if let Some(plain) = plain
            && !exchanging.to_backend.is_empty()
        {
            let sent = plain.send(&exchanging.to_backend);
            exchanging.to_backend.drain(..sent);
            self.received += sent as u64;
            moved |= sent > 0;
        }
        Ok(moved)
    }

    /// Carries content from end to end that the exchange needs not see, between the buffers where it
    /// lies.
    fn carry_content<T: Stream, P: Stream>(
        &mut self,
        exchanging: &mut Exchanging,
        tls: &mut T,
        plain: &mut P,
        scratch: &mut Scratch,
    ) -> Result<bool, SessionError> {
        let mut moved = false;
        let Exchanging {
            exchange,
            inside,
            to_client,
            to_backend,
            ..
        } = exchanging;
        while to_client.is_empty() && self.connection.pending_output() == 0 {
            let most = usize::try_from(exchange.for_client()).unwrap_or(usize::MAX);
            let sealed = relay::seal(&mut self.connection, plain, most, tls, scratch);
            let sealed = sealed.map_err(SessionError::Tls)?;
            if sealed.read == 0 {
                break;
            }
            exchange.carried_to_client(sealed.read as u64);
            self.sent += sealed.read as u64;
            moved = true;
        }
        while inside.is_empty() && to_backend.is_empty() && exchange.for_backend() > 0 {
            let room = plain.send_room();
            let sink = |plaintext: &[u8]| {
                let most = usize::try_from(exchange.for_backend()).unwrap_or(usize::MAX);
                let (content, rest) = plaintext.split_at(plaintext.len().min(most));
                // It has room for all that is opened.
                exchange.carried_to_backend(plain.send(content) as u64);
                // The beginning of the next request.
                inside.extend_from_slice(rest);
                self.received += content.len() as u64;
            };
            let opened = relay::open(&mut self.connection, tls, room, scratch, sink);
            if opened.map_err(SessionError::Tls)?.read == 0 {
                break;
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Opens what the client has sent, unless it is carried `past` the exchange. Also tells whether
    /// nothing will come behind it.
    fn open_messages<T: Stream>(
        &mut self,
        exchanging: &mut Exchanging,
        tls: &mut T,
        past: bool,
        scratch: &mut Scratch,
    ) -> Result<(bool, bool), SessionError> {
        let mut moved = false;
        let room = match past {
            true => 0,
            false => MAX_PLAINTEXT,
        };
        while exchanging.inside.len() < WINDOW && !self.connection.peer_closed() {
            let inside = &mut exchanging.inside;
            let sink = |plaintext: &[u8]| inside.extend_from_slice(plaintext);
            let opened = relay::open(&mut self.connection, tls, room, scratch, sink);
            let opened = opened.map_err(SessionError::Tls)?;
            if opened.read == 0 {
                // Messages say themselves where they end: a missing close_notify cuts none off
                // unnoticed.
                return Ok((moved, opened.incomplete && tls.peer_finished()));
            }
            moved = true;
        }
        Ok((moved, self.connection.peer_closed()))
    }
}

/// Shows the exchange what waits at both ends, of the backend where it lies if that will do.
fn take_turn<P: Stream>(
    exchanging: &mut Exchanging,
    ended: bool,
    plain: Option<&mut P>,
    scratch: &mut Scratch,
) -> Turn {
    let Some(plain) = plain else {
        return exchanging.turn(ended, None);
    };
    let waiting = plain.recv_len();
    let lost = matches!(plain.status(), Status::Closed(Some(_)));
    let over = plain.peer_finished() || matches!(plain.status(), Status::Closed(_));
    // Content of known length goes past the exchange, once there is room for it.
    if waiting == 0 || exchanging.exchange.for_client() > 0 {
        let view = View {
            bytes: &[],
            ended: over && waiting == 0,
            lost,
        };
        return exchanging.turn(ended, Some(view));
    }
    let (turn, shown) = plain.with_recv(|bytes| {
        let view = View {
            bytes,
            ended: over && bytes.len() == waiting,
            lost,
        };
        let turn = exchanging.turn(ended, Some(view));
        (turn.backend, (turn, bytes.len()))
    });
    let stuck = turn.backend == 0 && turn.client == 0 && turn.progress == Progress::Wait;
    if !stuck || shown == waiting {
        return turn;
    }
    // What is to be read as one wraps around the end of the buffer.
    let window = scratch.first(SHOWN);
    let length = plain.peek(window);
    let view = View {
        bytes: window.get(..length).unwrap_or_default(),
        ended: over && length == waiting,
        lost,
    };
    let turn = exchanging.turn(ended, Some(view));
    plain.skip(turn.backend);
    turn
}

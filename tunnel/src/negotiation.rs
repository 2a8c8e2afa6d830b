//! A dialect at work on one connection: what waits at its ends is shown to it, and what it answers
//! is sent, in the clear or inside TLS.

use alloc::{boxed::Box, vec::Vec};
use core::net::SocketAddr;

use net::Status;
use tls::{Connection, MAX_PLAINTEXT};

use crate::{
    dialect::{About, Dialect, End, Ends, MAX_OUTPUT, Progress, Stage, Unreachable, WINDOW, Wire},
    relay::{self, Scratch, Stream},
    session::{Mode, SessionError},
};

/// One connection's dialect, and bytes that are on their way.
///
/// As in a session, the *TLS end* is where records travel, now or later, and the *plain end* is the
/// other one.
pub struct Negotiation {
    dialect: Box<dyn Dialect>,
    mode: Mode,
    client: SocketAddr,
    local: SocketAddr,
    backend: Option<SocketAddr>,
    /// How the stage ended; what was written in it is still to be sent.
    outcome: Option<Progress>,
    tls: Side,
    plain: Side,
    /// Plaintext that came out of TLS and is not taken; at most [`WINDOW`] and a record of it.
    inside: Vec<u8>,
}

/// What an end is told.
#[derive(Default)]
struct Side {
    /// Not yet sent.
    output: Vec<u8>,
    /// Something was ever sent.
    told: bool,
    /// How many bytes were taken in the last turn.
    taken: usize,
}

/// What a turn of the dialect came to.
struct Turn {
    taken: bool,
    result: Result<Progress, SessionError>,
}

impl Negotiation {
    /// The dialect of a connection that `client` has made to `local`.
    pub fn new(
        dialect: Box<dyn Dialect>,
        mode: Mode,
        client: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        Self {
            dialect,
            mode,
            client,
            local,
            backend: None,
            outcome: None,
            tls: Side::default(),
            plain: Side::default(),
            inside: Vec::new(),
        }
    }

    /// Server mode: whether the backend is dialled before TLS.
    pub fn dials_first(&self) -> bool {
        self.mode == Mode::Server && self.dialect.dials_first()
    }

    /// The backend is dialled at this address.
    pub fn set_backend(&mut self, backend: SocketAddr) {
        self.backend = Some(backend);
    }

    /// Plaintext that came out of TLS behind what the dialect took: it is relayed before anything
    /// else.
    pub fn into_rest(self) -> Vec<u8> {
        self.inside
    }

    /// Goes on before TLS begins.
    ///
    /// # Errors
    /// The dialect comes to nothing, or an end has gone: [`part`](Self::part).
    pub fn clear<T: Stream, P: Stream>(
        &mut self,
        mut tls: Option<&mut T>,
        mut plain: Option<&mut P>,
        scratch: &mut Scratch,
    ) -> Result<Progress, SessionError> {
        loop {
            self.tls.flush(tls.as_deref_mut());
            self.plain.flush(plain.as_deref_mut());
            if self.is_settled() {
                return Ok(self.outcome.take().unwrap_or(Progress::Wait));
            }
            if self.outcome.is_some() || self.is_full() {
                break;
            }
            let (tls_window, plain_window) = scratch.halves();
            let tls_seen = show(tls.as_deref_mut(), tls_window);
            let plain_seen = show(plain.as_deref_mut(), plain_window);
            let turn = self.turn(Stage::Clear, tls_seen, plain_seen, None);
            skip(tls.as_deref_mut(), self.tls.taken);
            skip(plain.as_deref_mut(), self.plain.taken);
            match turn.result? {
                Progress::Wait if turn.taken => {}
                Progress::Wait => {
                    self.tls.flush(tls.as_deref_mut());
                    self.plain.flush(plain.as_deref_mut());
                    break;
                }
                over => self.outcome = Some(over),
            }
        }
        let tls = tls.map(|stream| (stream.status(), stream.peer_finished()));
        self.stays(
            tls,
            plain.map(|stream| (stream.status(), stream.peer_finished())),
        )
    }

    /// Goes on inside TLS, by `connection`.
    ///
    /// # Errors
    /// As for [`clear`](Self::clear), or TLS is broken.
    pub fn secured<T: Stream, P: Stream>(
        &mut self,
        stage: Stage,
        connection: &mut Connection,
        tls: &mut T,
        mut plain: Option<&mut P>,
        scratch: &mut Scratch,
    ) -> Result<Progress, SessionError> {
        let mut ended;
        loop {
            self.seal(connection, tls, scratch)?;
            self.plain.flush(plain.as_deref_mut());
            if self.is_settled() {
                return Ok(self.outcome.take().unwrap_or(Progress::Wait));
            }
            ended = self.open(connection, tls, scratch)?;
            if self.outcome.is_some() || self.is_full() {
                break;
            }
            let (window, _) = scratch.halves();
            let plain_seen = show(plain.as_deref_mut(), window);
            let inside = core::mem::take(&mut self.inside);
            let shown = inside.get(..WINDOW).unwrap_or(&inside);
            let tls_seen = (shown, ended && shown.len() == inside.len());
            let turn = self.turn(stage, tls_seen, plain_seen, Some(&*connection));
            self.inside = inside;
            self.inside.drain(..self.tls.taken.min(self.inside.len()));
            skip(plain.as_deref_mut(), self.plain.taken);
            match turn.result? {
                Progress::Wait if turn.taken => {}
                Progress::Wait => {
                    self.seal(connection, tls, scratch)?;
                    self.plain.flush(plain.as_deref_mut());
                    break;
                }
                over => self.outcome = Some(over),
            }
        }
        let plain = plain.map(|stream| (stream.status(), stream.peer_finished()));
        self.stays(Some((tls.status(), ended)), plain)
    }

    /// The backend that the client has asked for can't be reached: tells it so.
    pub fn unreachable(&mut self, why: Unreachable) {
        let mut client = Wire::new(End::Client, &[], false, &mut self.tls.output);
        self.dialect.unreachable(&mut client, why);
    }

    /// Ends both ends because it came to nothing: in order where something was said that is to be
    /// read, else by `abort`.
    pub fn part<T: Stream, P: Stream>(
        &mut self,
        connection: Option<&mut Connection>,
        tls: Option<&mut T>,
        plain: Option<&mut P>,
        scratch: &mut Scratch,
        resets: bool,
    ) {
        if let Some(tls) = tls {
            let told = match connection {
                Some(connection) => {
                    // What cannot be sealed any more was of no use to a peer that is gone.
                    let _ = self.seal(connection, tls, scratch);
                    connection.close_notify();
                    relay::transmit(connection, tls);
                    self.tls.told
                }
                None => {
                    self.tls.flush(Some(tls));
                    self.tls.told
                }
            };
            end(tls, told, resets);
        }
        if let Some(plain) = plain {
            self.plain.flush(Some(plain));
            end(plain, self.plain.told, resets);
        }
    }

    /// Asks the dialect once.
    fn turn(
        &mut self,
        stage: Stage,
        tls: (&[u8], bool),
        plain: (&[u8], bool),
        connection: Option<&Connection>,
    ) -> Turn {
        let about = About {
            client: self.client,
            local: self.local,
            backend: self.backend,
            tls: connection,
        };
        let (client_end, backend_end) = match self.mode {
            Mode::Server => (&mut self.tls, &mut self.plain),
            Mode::Client => (&mut self.plain, &mut self.tls),
        };
        let (client, backend) = match self.mode {
            Mode::Server => (tls, plain),
            Mode::Client => (plain, tls),
        };
        let mut ends = Ends {
            client: Wire::new(End::Client, client.0, client.1, &mut client_end.output),
            backend: Wire::new(End::Backend, backend.0, backend.1, &mut backend_end.output),
        };
        let result = self.dialect.poll(stage, &mut ends, &about);
        let taken = (ends.client.taken(), ends.backend.taken());
        client_end.taken = taken.0;
        backend_end.taken = taken.1;
        Turn {
            taken: taken != (0, 0),
            result: result.map_err(SessionError::Negotiation),
        }
    }

    /// Sends what the TLS end is told, in records.
    fn seal<T: Stream>(
        &mut self,
        connection: &mut Connection,
        tls: &mut T,
        scratch: &mut Scratch,
    ) -> Result<(), SessionError> {
        relay::transmit(connection, tls);
        while !self.tls.output.is_empty() && connection.pending_output() == 0 {
            let space = scratch.first(tls.send_room());
            let sealed = connection
                .send(&self.tls.output, space)
                .map_err(SessionError::Tls)?;
            if sealed.read == 0 {
                break;
            }
            tls.send(space.get(..sealed.written).unwrap_or_default());
            self.tls.output.drain(..sealed.read);
            self.tls.told = true;
        }
        Ok(())
    }

    /// Opens what has come; true when nothing more will.
    fn open<T: Stream>(
        &mut self,
        connection: &mut Connection,
        tls: &mut T,
        scratch: &mut Scratch,
    ) -> Result<bool, SessionError> {
        while self.inside.len() < WINDOW && !connection.peer_closed() {
            let inside = &mut self.inside;
            let sink = |plaintext: &[u8]| inside.extend_from_slice(plaintext);
            let opened = relay::open(connection, tls, MAX_PLAINTEXT, scratch, sink)
                .map_err(SessionError::Tls)?;
            if opened.read == 0 {
                return Ok(tls.peer_finished());
            }
        }
        Ok(connection.peer_closed())
    }

    /// Whether the stage is over and everything is sent.
    fn is_settled(&self) -> bool {
        let sent = self.tls.output.is_empty() && self.plain.output.is_empty();
        self.outcome.is_some() && sent
    }

    fn is_full(&self) -> bool {
        self.tls.output.len().max(self.plain.output.len()) > MAX_OUTPUT
    }

    /// Whether there is still somebody to wait for, given each end's status and whether its peer has
    /// ended.
    fn stays(
        &self,
        tls: Option<(Status, bool)>,
        plain: Option<(Status, bool)>,
    ) -> Result<Progress, SessionError> {
        let (client, backend) = match self.mode {
            Mode::Server => (tls, plain),
            Mode::Client => (plain, tls),
        };
        let gone = |end: Option<(Status, bool)>, may_end: bool| match end {
            Some((Status::Closed(_), _)) => true,
            Some((_, ended)) => ended && !may_end,
            None => false,
        };
        // An application that ends first may still wait for its answer.
        if gone(client, self.mode == Mode::Client) {
            return Err(SessionError::NegotiationAbandoned(End::Client));
        }
        if gone(backend, false) {
            return Err(SessionError::NegotiationAbandoned(End::Backend));
        }
        Ok(Progress::Wait)
    }
}

impl Side {
    /// Sends what is to be sent, in the clear.
    fn flush<S: Stream>(&mut self, stream: Option<&mut S>) {
        if self.output.is_empty() {
            return;
        }
        let sent = stream.map_or(0, |stream| stream.send(&self.output));
        self.output.drain(..sent);
        self.told |= sent > 0;
    }
}

/// What waits on a stream, copied into `window`, and whether nothing more will come behind it.
pub(crate) fn show<'a, S: Stream>(
    stream: Option<&mut S>,
    window: &'a mut [u8],
) -> (&'a [u8], bool) {
    let Some(stream) = stream else {
        return (&[], false);
    };
    let waiting = stream.recv_len();
    let window = window.get_mut(..WINDOW).unwrap_or_default();
    let length = match waiting {
        0 => 0,
        _ => stream.peek(window),
    };
    let ended = length == waiting && stream.peer_finished();
    (window.get(..length).unwrap_or_default(), ended)
}

fn skip<S: Stream>(stream: Option<&mut S>, count: usize) {
    if let Some(stream) = stream
        && count > 0
    {
        stream.skip(count);
    }
}

fn end(stream: &mut impl Stream, told: bool, resets: bool) {
    match resets && !told {
        true => stream.reset(),
        false => stream.finish(),
    }
}

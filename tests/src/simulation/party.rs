//! One side of one connection at the host: a TLS client or a plaintext backend.

use std::time::Duration;

use stockade_net::{Instant, Status, Stream, StreamError, StreamId};
use stockade_tls::{Connection, MAX_PLAINTEXT, RECORD_OVERHEAD};

use super::content::{Judge, Writing};
use super::plan::{Ending, Opening, Plan, Reading};
use super::random::Random;

/// How a party's connection ended, seen from that party.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Both directions were ended in order.
    Orderly,
    /// TCP failed.
    Lost(StreamError),
    /// The peer's FIN came without close_notify (RFC 8446 §6.1).
    Truncated,
    /// TLS failed.
    Tls(stockade_tls::Error),
    /// This party ended it by its own will.
    Own,
    /// A client that never spoke TLS was told off and cut off.
    CutOff,
}

/// What a party wants after a step.
#[derive(Debug, Default)]
pub struct Wish {
    /// To be stepped again at this time even if nothing arrives.
    pub wake: Option<Instant>,
    /// To have its stream released: it is over.
    pub end: Option<End>,
    /// To be switched off: none of its frames passes any more.
    pub vanish: bool,
}

/// One side of one connection.
pub struct Party {
    /// Its number, unlike that of any other party of the run.
    pub number: u32,
    /// What it does.
    pub plan: Plan,
    /// Its stream in the host's stack.
    pub stream: StreamId,
    transport: Transport,
    random: Random,
    writing: Writing,
    judge: Judge,
    began: Instant,
    next_write: Option<Instant>,
    next_read: Instant,
    paused: bool,
    stopped: Option<Instant>,
    /// Our direction has been ended in order (close_notify, or a backend's FIN).
    ended: bool,
    /// The peer's direction has.
    peer_ended: bool,
    /// FIN is queued.
    finished: bool,
    /// How it ended, once it has.
    pub end: Option<End>,
    /// When.
    pub over: Option<Instant>,
}

enum Transport {
    Plain,
    Tls(Box<Tls>),
    /// Bytes that are no TLS, and whether a FIN follows them.
    Raw {
        outbox: Vec<u8>,
        finish: bool,
    },
}

struct Tls {
    connection: Connection,
    /// Bytes received and not yet opened.
    inbox: Vec<u8>,
    /// Bytes sealed and not yet sent.
    outbox: Vec<u8>,
}

impl Party {
    /// A backend's side of an accepted connection.
    pub fn backend(
        number: u32,
        plan: Plan,
        stream: StreamId,
        random: Random,
        now: Instant,
    ) -> Self {
        Party::new(number, plan, stream, Transport::Plain, random, now)
    }

    /// A client on a stream that is being connected.
    pub fn client(
        number: u32,
        plan: Plan,
        stream: StreamId,
        mut connection: Connection,
        mut random: Random,
        now: Instant,
    ) -> Self {
        let mut hello = vec![0; connection.pending_output()];
        let length = connection.transmit(&mut hello);
        hello.truncate(length);
        let half = || hello[..length / 2].to_vec();
        let (outbox, finish) = match plan.opening {
            Opening::Proper(_) => {
                let tls = Box::new(Tls {
                    connection,
                    inbox: Vec::new(),
                    outbox: hello,
                });
                return Party::new(number, plan, stream, Transport::Tls(tls), random, now);
            }
            Opening::Silent => (Vec::new(), false),
            Opening::Garbage => {
                let length = random.size(20_000);
                (random.bytes(length), false)
            }
            Opening::HalfHello | Opening::HalfHelloReset => (half(), false),
            Opening::HalfHelloFin => (half(), true),
        };
        let transport = Transport::Raw { outbox, finish };
        Party::new(number, plan, stream, transport, random, now)
    }

    fn new(
        number: u32,
        plan: Plan,
        stream: StreamId,
        transport: Transport,
        random: Random,
        now: Instant,
    ) -> Self {
        Party {
            number,
            writing: Writing::new(number, plan.length),
            plan,
            stream,
            transport,
            random,
            judge: Judge::default(),
            began: now,
            next_write: None,
            next_read: now,
            paused: false,
            stopped: None,
            ended: false,
            peer_ended: false,
            finished: false,
            end: None,
            over: None,
        }
    }

    /// The number of the party at the other end, as far as it is known from what was read.
    pub fn peer(&self) -> Option<u32> {
        self.judge.writer()
    }

    /// Bytes written, read.
    pub fn counts(&self) -> (usize, usize) {
        (self.writing.written(), self.judge.count())
    }

    /// Whether this party was told that the peer's direction is complete.
    pub fn was_told_complete(&self) -> bool {
        self.peer_ended
    }

    /// Whether this party ended its direction in order.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// When the connection began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Does everything that can be done now.
    pub fn step(&mut self, stream: &mut Stream<'_>, now: Instant) -> Wish {
        if stream.status() == Status::Connecting {
            return Wish::default();
        }
        while self.read(stream, now) | self.write(stream, now) {}
        let mut wish = self.conclude(stream, now);
        if wish.end.is_none() {
            wish.wake = self.wake(stream, now);
        } else {
            self.end.clone_from(&wish.end);
            self.over = Some(now);
        }
        wish
    }

    fn read(&mut self, stream: &mut Stream<'_>, now: Instant) -> bool {
        let allowance = match stream.status() {
            // What came before a reset is judged at once.
            Status::Closed(Some(_)) => usize::MAX,
            _ => self.allowance(now),
        };
        if allowance == 0 || stream.recv_len() == 0 {
            if matches!(self.transport, Transport::Plain) && stream.recv_finished() {
                self.peer_ended = true;
            }
            return false;
        }
        let bytes = stream.with_recv(|data| {
            let count = data.len().min(allowance);
            (count, data[..count].to_vec())
        });
        if let Reading::Slow { every, .. } = self.plan.reading {
            self.next_read = now + every;
        }
        match &mut self.transport {
            Transport::Plain => judge(&mut self.judge, self.number, &bytes),
            Transport::Tls(tls) => {
                tls.inbox.extend_from_slice(&bytes);
                let judged = &mut self.judge;
                let number = self.number;
                if let Err(error) = tls.open(|bytes| judge(judged, number, bytes)) {
                    self.end = Some(End::Tls(error));
                }
                self.peer_ended |= tls.connection.peer_closed();
            }
            Transport::Raw { .. } => {}
        }
        true
    }

    /// How many bytes the plan lets it read now.
    fn allowance(&mut self, now: Instant) -> usize {
        let read = self.judge.count();
        match self.plan.reading {
            _ if self.is_handshaking() => usize::MAX,
            Reading::Eager => usize::MAX,
            Reading::Slow { bytes, .. } if now >= self.next_read => bytes,
            Reading::Slow { .. } => 0,
            Reading::Pause { after, length } => {
                if read >= after && !self.paused {
                    self.paused = true;
                    self.next_read = now + length;
                }
                match self.paused && now < self.next_read {
                    true => 0,
                    false => usize::MAX,
                }
            }
            Reading::Stops { after, .. } if read < after => usize::MAX,
            Reading::Stops { .. } => {
                self.stopped.get_or_insert(now);
                0
            }
        }
    }

    fn write(&mut self, stream: &mut Stream<'_>, now: Instant) -> bool {
        match &mut self.transport {
            Transport::Raw { outbox, finish } => {
                let sent = stream.send(outbox);
                outbox.drain(..sent);
                if outbox.is_empty() && *finish && !self.finished {
                    self.finished = true;
                    stream.finish();
                }
                return sent > 0;
            }
            Transport::Tls(tls) => {
                tls.transmit();
                let sent = stream.send(&tls.outbox);
                tls.outbox.drain(..sent);
                if !tls.outbox.is_empty() || !tls.connection.may_send() {
                    return sent > 0;
                }
            }
            Transport::Plain => {}
        }
        if self.ended || self.finished {
            return false;
        }
        let due = *self.next_write.get_or_insert(now + self.plan.delay);
        if now < due {
            return false;
        }
        let limit = self.limit().saturating_sub(self.writing.written());
        let most = self.plan.chunk.min(limit);
        let taken = match &mut self.transport {
            Transport::Plain => {
                let bytes = self.writing.take(most.min(stream.send_room()));
                assert_eq!(stream.send(&bytes), bytes.len(), "there was room");
                bytes.len()
            }
            Transport::Tls(tls) if stream.send_room() > 0 => {
                let bytes = self.writing.take(most.min(MAX_PLAINTEXT));
                tls.seal(&bytes);
                let sent = stream.send(&tls.outbox);
                tls.outbox.drain(..sent);
                bytes.len()
            }
            _ => 0,
        };
        if taken > 0 && self.plan.pause > Duration::ZERO {
            self.next_write = Some(now + self.plan.pause);
        }
        taken > 0
    }

    /// The most that may be written before the plan's end.
    fn limit(&self) -> usize {
        match self.plan.ending {
            Ending::FinAlone(after)
            | Ending::Reset(after)
            | Ending::Garbage(after)
            | Ending::Vanish(after) => after,
            _ => usize::MAX,
        }
    }

    /// Ends what is to be ended, and says how the connection has ended if it has.
    fn conclude(&mut self, stream: &mut Stream<'_>, now: Instant) -> Wish {
        let over = |end| Wish {
            end: Some(end),
            ..Wish::default()
        };
        if let Some(end) = self.end.take() {
            // TLS has failed: the alert, if there is one, has been queued.
            stream.finish();
            return over(end);
        }
        if let Status::Closed(Some(error)) = stream.status() {
            return over(End::Lost(error));
        }
        if let Transport::Raw { outbox, .. } = &self.transport {
            if self.plan.opening == Opening::HalfHelloReset && outbox.is_empty() {
                stream.reset();
                return over(End::Own);
            }
            if stream.recv_finished() || matches!(stream.status(), Status::Closed(None)) {
                stream.finish();
                return over(End::CutOff);
            }
            return Wish::default();
        }
        if let Reading::Stops { patience, .. } = self.plan.reading
            && let Some(since) = self.stopped
            && now >= since + patience
        {
            stream.reset();
            return over(End::Own);
        }
        if let Some(wish) = self.end_our_direction(stream) {
            return wish;
        }
        let truncated = matches!(self.transport, Transport::Tls(_))
            && stream.recv_finished()
            && !self.peer_ended;
        if truncated {
            stream.reset();
            return over(End::Truncated);
        }
        let both = self.finished && self.peer_ended;
        let closed = stream.status() == Status::Closed(None);
        let delivered = stream.send_queued() == 0;
        if both && (closed || self.plan.hurried && delivered) {
            let mannered = self.ended;
            return over(if mannered { End::Orderly } else { End::Own });
        }
        Wish::default()
    }

    fn end_our_direction(&mut self, stream: &mut Stream<'_>) -> Option<Wish> {
        if self.finished || self.is_handshaking() {
            return None;
        }
        let written = self.writing.written();
        let started = self.next_write.is_some() && self.outbox_is_empty();
        let all = started && self.writing.is_over();
        let own = || Wish {
            end: Some(End::Own),
            ..Wish::default()
        };
        match self.plan.ending {
            Ending::Finish if all => self.finish(stream),
            Ending::FinishAfterPeer if all && self.peer_ended => self.finish(stream),
            Ending::NotifyAlone if all && !self.ended => self.notify(stream),
            Ending::NotifyAlone if self.ended && self.peer_ended => self.finish(stream),
            Ending::FinAlone(after) if started && written >= after => {
                self.finished = true;
                stream.finish();
            }
            Ending::Reset(after) if started && written >= after => {
                stream.reset();
                return Some(own());
            }
            Ending::ResetAfterReading(after)
                if self.judge.count() >= after || (all && self.peer_ended) =>
            {
                stream.reset();
                return Some(own());
            }
            Ending::Garbage(after) if started && written >= after => {
                let length = self.random.size(20_000);
                let garbage = self.random.bytes(length);
                stream.send(&garbage);
                // Waits for what comes back, and writes no more.
                self.finished = true;
            }
            Ending::Vanish(after) if started && written >= after => {
                return Some(Wish {
                    vanish: true,
                    ..own()
                });
            }
            _ => {}
        }
        None
    }

    /// close_notify without FIN.
    fn notify(&mut self, stream: &mut Stream<'_>) {
        self.ended = true;
        if let Transport::Tls(tls) = &mut self.transport {
            tls.connection.close_notify();
            tls.transmit();
            let sent = stream.send(&tls.outbox);
            tls.outbox.drain(..sent);
        }
    }

    fn finish(&mut self, stream: &mut Stream<'_>) {
        if !self.ended {
            self.notify(stream);
        }
        // With a full send buffer the close_notify still waits.
        if self.outbox_is_empty() {
            stream.finish();
            self.finished = true;
        }
    }

    fn outbox_is_empty(&self) -> bool {
        match &self.transport {
            Transport::Tls(tls) => tls.outbox.is_empty(),
            _ => true,
        }
    }

    fn is_handshaking(&self) -> bool {
        match &self.transport {
            Transport::Tls(tls) => tls.connection.is_handshaking(),
            _ => false,
        }
    }

    /// When to look again though nothing arrives.
    fn wake(&self, stream: &Stream<'_>, now: Instant) -> Option<Instant> {
        let read = matches!(
            self.plan.reading,
            Reading::Slow { .. } | Reading::Pause { .. }
        ) && (stream.recv_len() > 0 || stream.peer_finished());
        let write = match self.next_write {
            Some(due) if !self.finished && !self.writing.is_over() => Some(due),
            _ => None,
        };
        let delay = self.next_write.filter(|_| !self.finished && !self.ended);
        let patience = match (self.plan.reading, self.stopped) {
            (Reading::Stops { patience, .. }, Some(since)) => Some(since + patience),
            _ => None,
        };
        [read.then_some(self.next_read), write, delay, patience]
            .into_iter()
            .flatten()
            .filter(|when| *when > now)
            .min()
    }
}

impl Tls {
    fn open(&mut self, mut sink: impl FnMut(&[u8])) -> Result<(), stockade_tls::Error> {
        loop {
            let result = self
                .connection
                .receive(&mut self.inbox, usize::MAX, &mut sink);
            self.transmit();
            let consumed = result?.consumed;
            self.inbox.drain(..consumed);
            if consumed == 0 || self.inbox.is_empty() {
                return Ok(());
            }
        }
    }

    /// Moves handshake messages and alerts to the outbox.
    fn transmit(&mut self) {
        let start = self.outbox.len();
        self.outbox
            .resize(start + self.connection.pending_output(), 0);
        let length = self.connection.transmit(&mut self.outbox[start..]);
        self.outbox.truncate(start + length);
    }

    fn seal(&mut self, plaintext: &[u8]) {
        if plaintext.is_empty() {
            return;
        }
        let start = self.outbox.len();
        let most = plaintext.len() + RECORD_OVERHEAD + self.connection.pending_output();
        self.outbox.resize(start + most, 0);
        let sealed = self
            .connection
            .send(plaintext, &mut self.outbox[start..])
            .expect("the connection may send");
        assert_eq!(sealed.read, plaintext.len(), "one record takes it all");
        self.outbox.truncate(start + sealed.written);
    }
}

fn judge(judge: &mut Judge, number: u32, bytes: &[u8]) {
    if let Err(wrong) = judge.read(bytes) {
        panic!("party {number} read something wrong: {wrong}");
    }
}
